//! The ports' docs as assertions: one suite a port, run alike on the memory ports and on the real adapters.
//!
//! A suite relies on nothing but the port. What it writes it writes under the stream it is given, which must be unused;
//! [`source_state()`] writes the item that all streams of a source share, so it needs a source that nobody else uses at the
//! time. A suite panics with the sentence that does not hold.

mod checkpoints;
mod ledger;
mod quarantine;
mod queue;
mod records;
mod source_state;

use std::fmt::Debug;
use std::time::Duration;

use tidemark_engine::checkpoint::Position;
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;

pub use checkpoints::checkpoints;
pub use ledger::ledger;
pub use quarantine::quarantine;
pub use queue::{Receiver, queue};
pub use records::{records, stored_versions};
pub use source_state::{reservations, source_state};

/// An instant that any clock has passed: the suites count from here.
const START: UtcMillis = UtcMillis::new(1_767_225_600_000);

/// Ids that a careless key, set or expression would trip over.
const AWKWARD: [&str; 9] = ["7", "07", "a#b", "a b", "ä", "🦆", "../x", "%23", "\"'\\"];

fn at(seconds: i64) -> UtcMillis {
    START.shifted(seconds.saturating_mul(1_000))
}

fn position(seconds: i64) -> Position {
    Position::At(at(seconds))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// What a call answered; a failure is a breach of the contract.
#[expect(clippy::panic, reason = "a suite reports a breach by panicking, as a test does")]
fn good<T, E: Debug>(answer: Result<T, E>) -> T {
    match answer {
        Ok(value) => value,
        Err(failure) => panic!("the port failed: {failure:?}"),
    }
}

/// What has to be there.
#[expect(clippy::panic, reason = "a suite reports a breach by panicking, as a test does")]
fn there<T>(value: Option<T>, what: &str) -> T {
    match value {
        Some(value) => value,
        None => panic!("{what} is missing"),
    }
}

fn id(text: &str) -> RecordId {
    good(RecordId::parse(text))
}
