//! Edits while an import runs: how long it takes until each is stored.

use std::error::Error;
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::stream::ListShape;

use super::BODY_BYTES;
use crate::play::{INTERVAL, Play, ids, intervals, vendor};
use crate::row::{Row, at_most};

const IMPORTED: usize = 10_000;
/// One edit in so much time: at every offset to a poll.
const EDIT_EVERY: Duration = Duration::from_secs(7 * 60 + 13);

pub(super) fn measure() -> Result<Row, Box<dyn Error>> {
    let mut slowest: f64 = 0.0;
    for shape in [ListShape::Whole, ListShape::Pages, ListShape::Feed] {
        slowest = slowest.max(import(shape)?);
    }
    Ok(at_most(
        "fresh edit while an import runs, stored within polls, without its own fetch",
        slowest,
        2.0,
        "",
        "import of 10,000 records at 2 requests a second; the slowest of an edit every 7 minutes, ids, rows and feed",
    ))
}

/// The slowest edit's way into the copy, in intervals between two polls.
fn import(shape: ListShape) -> Result<f64, Box<dyn Error>> {
    let play = Play::new(vendor(shape), IMPORTED, BODY_BYTES);
    let begun_at = play.next_tick();
    let half = Duration::from_secs(2_500);
    // The last ids: an import comes to them late.
    let ids = ids(shape, IMPORTED);
    let mut edits: Vec<(LocalMillis, u64)> = Vec::new();
    let mut at = begun_at.plus(INTERVAL / 2);
    for id in ids.iter().rev() {
        if at >= begun_at.plus(half) {
            break;
        }
        edits.push((at, play.edit(id, at)));
        at = at.plus(EDIT_EVERY);
    }
    play.until_quiet(begun_at.plus(half))?;
    let waits = edits.iter().map(|(at, number)| {
        let stored_at = play.stored_at(*number).ok_or("an edit was not stored")?;
        Ok(intervals(stored_at.since(*at)))
    });
    let waits: Vec<f64> = waits.collect::<Result<_, Box<dyn Error>>>()?;
    Ok(waits.into_iter().fold(0.0, f64::max))
}
