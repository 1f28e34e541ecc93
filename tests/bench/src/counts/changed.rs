//! Thousands of changed records: an import, a poll that finds a thousand, and an ordinary day.

use std::error::Error;
use std::time::Duration;

use tidemark_engine::stream::ListShape;

use super::BODY_BYTES;
use crate::play::bill::Bill;
use crate::play::{INTERVAL, Play, ids, per, vendor};
use crate::row::{Row, at_most, printed};

const IMPORTED: usize = 5_000;
const EDITED: usize = 1_000;
const A_DAY: usize = 2_000;
/// How many write units a record may take besides its own.
const BEYOND_OWN: f64 = 0.25;

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for (shape, import, poll, apart) in [
        (
            ListShape::Whole,
            "write units per record beyond its own: import, fetched by id",
            "write units per record beyond its own: poll of 1,000, fetched by id",
            "the same without the overlap, fetched by id",
        ),
        (
            ListShape::Pages,
            "write units per record beyond its own: import, rows",
            "write units per record beyond its own: poll of 1,000, rows",
            "the same without the overlap, rows",
        ),
        (
            ListShape::Feed,
            "write units per record beyond its own: import, feed",
            "write units per record beyond its own: poll of 1,000, feed",
            "the same without the overlap, feed",
        ),
    ] {
        let imported = self::import(shape, BODY_BYTES)?;
        let how = "5,000 records of 1 KB, edited over a year";
        rows.push(at_most(import, per(imported.beyond_own(), IMPORTED), BEYOND_OWN, "", how));
        if shape == ListShape::Whole {
            rows.extend(calls(&imported));
        }
        let spread = self::poll(shape, INTERVAL)?;
        let how = "1,000 records of 1 KB, edited evenly between two polls";
        rows.push(at_most(poll, per(spread.beyond_own(), EDITED), BEYOND_OWN, "", how));
        let early = self::poll(shape, Duration::from_mins(1))?;
        let how = "1,000 records of 1 KB, edited within the first of the five minutes between two polls";
        rows.push(printed(apart, format!("{:.3}", per(early.beyond_own(), EDITED)), how));
    }
    let day = day()?;
    rows.push(printed(
        "an ordinary day, fetched by id: detail calls a change",
        format!("{:.2}", per(day.details, A_DAY)),
        "2,000 records edited evenly over a day: one call each, and one more for what lies in the overlap of two lists",
    ));
    Ok(rows)
}

fn calls(imported: &Bill) -> Vec<Row> {
    let how = "the same import";
    vec![
        at_most(
            "n changed records, fetched by id: detail calls beyond one for each time that a list showed the record",
            (imported.details - imported.listed).max(0.0),
            0.0,
            "",
            how,
        ),
        printed(
            "n changed records, fetched by id: detail calls for 5,000",
            format!("{:.0}", imported.details),
            "the same import; until it is known that the zone is right, each list goes back 26 hours",
        ),
        at_most(
            "n changed records, fetched by id: list calls beyond one a tick",
            imported.lists - imported.ticks,
            0.0,
            "",
            how,
        ),
    ]
}

/// A first import, to the tick that finds nothing left to do.
pub(super) fn import(shape: ListShape, body_bytes: usize) -> Result<Bill, Box<dyn Error>> {
    let play = Play::new(vendor(shape), IMPORTED, body_bytes);
    play.until_quiet(play.next_tick())?;
    Ok(play.take_bill())
}

/// How many records [`import`] imports.
pub(super) const fn imported() -> usize {
    IMPORTED
}

/// A thousand records edited within the first part of an interval between two polls, copied.
fn poll(shape: ListShape, within: Duration) -> Result<Bill, Box<dyn Error>> {
    let play = Play::in_use(vendor(shape), IMPORTED, BODY_BYTES)?;
    play.one_tick()?;
    let polled_at = play.next_tick().minus(INTERVAL);
    play.take_bill();
    let ids = ids(shape, EDITED);
    play.edit_evenly(&ids, polled_at, polled_at.plus(within));
    play.until_quiet(play.next_tick())?;
    Ok(play.take_bill())
}

fn day() -> Result<Bill, Box<dyn Error>> {
    let play = Play::in_use(vendor(ListShape::Whole), IMPORTED, BODY_BYTES)?;
    let begun_at = play.next_tick();
    let ends_at = begun_at.plus(Duration::from_hours(24));
    play.edit_evenly(&ids(ListShape::Whole, A_DAY), begun_at, ends_at);
    play.until_quiet(ends_at)?;
    Ok(play.take_bill())
}
