//! Edits while an import runs: how long it takes until each is stored.

use std::error::Error;
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::record::RecordId;
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

fn import(shape: ListShape) -> Result<f64, Box<dyn Error>> {
    let play = Play::new(vendor(shape), IMPORTED, BODY_BYTES);
    let half = Duration::from_secs(2_500);
    let half_over_at = play.next_tick().plus(half);
    let edits = edit_every(&play, &ids(shape, IMPORTED), half);
    play.until_quiet(half_over_at)?;
    slowest(&play, &edits)
}

/// Edits for so long, from the last id on: what goes through all of them comes to that one late. When, and the number of
/// each version.
pub(super) fn edit_every(play: &Play, ids: &[RecordId], span: Duration) -> Vec<(LocalMillis, u64)> {
    let begun_at = play.next_tick();
    let mut edits = Vec::new();
    let mut at = begun_at.plus(INTERVAL / 2);
    for id in ids.iter().rev() {
        if at >= begun_at.plus(span) {
            break;
        }
        edits.push((at, play.edit(id, at)));
        at = at.plus(EDIT_EVERY);
    }
    edits
}

/// The slowest edit's way into the copy, in intervals between two polls.
pub(super) fn slowest(play: &Play, edits: &[(LocalMillis, u64)]) -> Result<f64, Box<dyn Error>> {
    let waits = edits.iter().map(|(at, number)| {
        let stored_at = play.stored_at(*number).ok_or("an edit was not stored")?;
        Ok(intervals(stored_at.since(*at)))
    });
    let waits: Vec<f64> = waits.collect::<Result<_, Box<dyn Error>>>()?;
    Ok(waits.into_iter().fold(0.0, f64::max))
}
