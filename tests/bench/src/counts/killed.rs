//! A poller or a fetcher that is killed in the midst of a first import: what its successors ask of the vendor again.

use std::error::Error;

use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{Fault, Hold, Operation, ScriptedFaults};

use super::BODY_BYTES;
use crate::play::{INTERVAL, Play, RATE, Victim, vendor};
use crate::row::{Row, at_most};

const IMPORTED: usize = 1_000;
/// Looks that a fetcher may hold when it dies: a batch that is stored, one that is filled, and calls under way.
const IN_HAND: f64 = 25.0 + 24.0 + 10.0;

/// A place to die at: before or after the `nth` call, counted from 1.
struct Place {
    operation: Operation,
    nth: usize,
    is_after: bool,
}

const fn before(operation: Operation, nth: usize) -> Place {
    Place { operation, nth, is_after: false }
}

const fn after(operation: Operation, nth: usize) -> Place {
    Place { operation, nth, is_after: true }
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    // The first write of the checkpoint takes the lease, the second notes the ledger's mark, the third moves `scanned`.
    let unsent = [
        before(Operation::PutChunks, 1),
        after(Operation::PutChunks, 1),
        before(Operation::Send, 1),
        before(Operation::PutChunks, 2),
        after(Operation::PutChunks, 2),
        after(Operation::Store, 3),
        after(Operation::Store, 4),
    ];
    let sent = [after(Operation::Send, 1), before(Operation::Store, 3)];
    let most = |places: &[Place], victim| -> Result<f64, Box<dyn Error>> {
        let again: Vec<f64> = places.iter().map(|place| again(place, victim)).collect::<Result<_, _>>()?;
        Ok(again.into_iter().fold(0.0, f64::max))
    };
    let half = RATE * INTERVAL.as_secs_f64() / 2.0;
    let how = "first import of 1,000 records edited over a year; the most of the places to die at, beyond an import that nobody kills";
    Ok(vec![
        at_most(
            "detail calls again after a killed poller that had sent nothing it had not noted",
            most(&unsent, Victim::Poller)?,
            0.0,
            "",
            how,
        ),
        at_most(
            "detail calls again after a poller killed between sending and its checkpoint",
            most(&sent, Victim::Poller)?,
            half,
            "",
            how,
        ),
        at_most(
            "detail calls again after a killed fetcher",
            most(&[before(Operation::Fetch, 40)], Victim::Fetcher)?,
            IN_HAND,
            "",
            how,
        ),
    ])
}

/// Detail calls of an import with a death in it, beyond those of one without.
fn again(place: &Place, victim: Victim) -> Result<f64, Box<dyn Error>> {
    let calm = new();
    calm.until_quiet(calm.next_tick())?;
    let play = new();
    if matches!(victim, Victim::Fetcher) {
        play.one_tick()?;
    }
    let world = play.world();
    let faults = match place.operation {
        Operation::Send => world.queue.queue.faults(),
        Operation::Fetch => world.source.vendor.faults(),
        _ => world.tables.items.faults(),
    };
    play.kill(victim, &hold(faults, place))?;
    play.until_quiet(play.next_tick())?;
    Ok(play.take_bill().details - calm.take_bill().details)
}

fn new() -> Play {
    Play::new(vendor(ListShape::Whole), IMPORTED, BODY_BYTES)
}

fn hold(faults: &ScriptedFaults, place: &Place) -> Hold {
    faults.push_times(place.operation, &Fault::Pass, place.nth - 1);
    if place.is_after { faults.hold_after(place.operation) } else { faults.hold_before(place.operation) }
}
