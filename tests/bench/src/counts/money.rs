//! What the counted calls cost in AWS.

use std::error::Error;

use tidemark_engine::stream::{ListShape, SourceKind};
use tidemark_sources::registry::{parse_streams, streams_of};

use super::changed::{import, imported};
use super::idle::{look, tick};
use crate::cost::{Polled, of_month, of_work};
use crate::play::bill::Bill;
use crate::play::{INTERVAL, RATE, per, vendor};
use crate::row::{Row, printed};

const MILLION: f64 = 1e6;
/// How often streams are listed whole whose list has no lower bound, in seconds.
const SCANNED_EVERY: f64 = 3_600.0;

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for (shape, body_bytes, what) in [
        (ListShape::Whole, 512, "AWS cost per million new records of 0.5 KB, fetched by id"),
        (ListShape::Whole, 1_024, "AWS cost per million new records of 1 KB, fetched by id"),
        (ListShape::Whole, 5 * 1_024, "AWS cost per million new records of 5 KB, fetched by id"),
        (ListShape::Pages, 512, "AWS cost per million new records of 0.5 KB, listed as rows"),
        (ListShape::Pages, 1_024, "AWS cost per million new records of 1 KB, listed as rows"),
        (ListShape::Pages, 5 * 1_024, "AWS cost per million new records of 5 KB, listed as rows"),
    ] {
        let bill = import(shape, body_bytes)?.times(per(MILLION, imported()));
        let how = "computed from the units of an import of 5,000, and list prices; 2 requests a second";
        rows.push(printed(what, of_work(&bill, RATE).told(), how));
    }
    rows.extend(months()?);
    Ok(rows)
}

fn months() -> Result<Vec<Row>, Box<dyn Error>> {
    let look = look()?;
    let ticks = Ticks {
        ids: tick(vendor(ListShape::Whole))?,
        pages: tick(vendor(ListShape::Pages))?,
        feed: tick(vendor(ListShape::Feed))?,
        scan: {
            let mut unfiltered = vendor(ListShape::Pages);
            unfiltered.stream.filtered = false;
            tick(unfiltered)?
        },
    };
    let all = SourceKind::ALL.iter().map(|kind| ticks.of(*kind)).collect::<Result<Vec<_>, _>>()?;
    let how = "computed from the units of idle ticks and looks of the watcher, and list prices; streams and schedules as \
               the template has them";
    Ok(vec![
        printed(
            "AWS cost of an idle stack with FieldMotion alone, a month",
            of_month(&[ticks.of(SourceKind::FieldMotion)?], &look, RATE).told(),
            how,
        ),
        printed("AWS cost of an idle stack with all four sources, a month", of_month(&all, &look, RATE).told(), how),
    ])
}

/// What a tick without news uses, by kind of list.
struct Ticks {
    ids: Bill,
    pages: Bill,
    feed: Bill,
    /// A list of a hundred rows without a lower bound.
    scan: Bill,
}

impl Ticks {
    /// The streams that are on by default.
    fn of(&self, kind: SourceKind) -> Result<Vec<Polled>, Box<dyn Error>> {
        let usual = parse_streams(kind, "{}", "all")?;
        let streams = streams_of(kind, "{}")?.into_iter().filter(|stream| usual.contains(&stream.name));
        let polled = streams.map(|stream| {
            let idle_tick = match stream.shape {
                ListShape::Whole => &self.ids,
                ListShape::Feed => &self.feed,
                ListShape::Pages if stream.filtered => &self.pages,
                ListShape::Pages => &self.scan,
            };
            let every_seconds = if stream.filtered { INTERVAL.as_secs_f64() } else { SCANNED_EVERY };
            Polled { streams: 1.0, every_seconds, idle_tick: idle_tick.clone() }
        });
        Ok(polled.collect())
    }
}
