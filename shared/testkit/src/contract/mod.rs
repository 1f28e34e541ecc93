//! The ports' docs as assertions: one suite a port, run alike on the memory ports and on the real adapters.
//!
//! A suite relies on nothing but the port. What it writes it writes under the stream it is given, which must be unused;
//! [`source_state()`] writes the item that all streams of a source share, so it needs a source that nobody else uses at the
//! time. A suite panics with the sentence that does not hold.

mod checkpoints;
mod ledger;
mod queue;
mod records;
mod retry_lane;
mod source_state;
mod stream_state;
mod sweeps;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis, VendorMillis};
use tidemark_engine::position::Position;
use tidemark_engine::record::RecordId;

pub use checkpoints::checkpoints;
pub use ledger::ledger;
pub use queue::{Receiver, queue};
pub use records::{records, stored_versions};
pub use retry_lane::retry_lane;
pub use source_state::{reservations, source_state};
pub use stream_state::stream_state;
pub use sweeps::sweeps;

/// An instant that any clock has passed: the suites count from here.
const START: i64 = 1_767_225_600_000;

/// Ids that a careless key, set or expression would trip over.
const AWKWARD: [&str; 12] = ["7", "07", "a#b", "#", "-5", "-", "a b", "ä", "🦆", "../x", "%23", "\"'\\"];

fn at(seconds: i64) -> LocalMillis {
    LocalMillis::new(START).shifted(seconds.saturating_mul(1_000))
}

fn vendor_at(seconds: i64) -> VendorMillis {
    VendorMillis::new(at(seconds).get())
}

fn position(seconds: i64) -> Position {
    Position::At(StampMillis::new(at(seconds).get()))
}

/// A stamp whose zone is an hour ahead of UTC.
fn stamp(seconds: i64) -> Stamp {
    let utc = vendor_at(seconds);
    Stamp { text: format!("stamp {seconds}"), at: StampMillis::new(utc.get()).shifted(3_600_000), utc }
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

fn ids(texts: &[&str]) -> BTreeSet<RecordId> {
    texts.iter().map(|text| id(text)).collect()
}

/// An id of the greatest length, told from others by its number.
fn longest_id(number: usize) -> String {
    let tail = format!("#{number:03}");
    let filler = tidemark_engine::record::ID_BYTES_MAX.saturating_sub(tail.len());
    format!("{}{tail}", "x".repeat(filler))
}
