//! The ports' conditions as a model: what every conditional write answers and what it leaves behind.
//!
//! [`check`] plays random lists of [`Call`]s on an implementation: writes of several pollers and fetchers that know nothing
//! of each other, and late repeats of any of them. The model keeps nothing but the list: what is stored is worked out from
//! all the calls so far, in `history.rs`, from the ports' docs and nothing else. It shares no line with the memory tables,
//! or both could be wrong alike. A list that ends in a difference is shrunk and told.

mod call;
mod history;
mod play;

pub use call::{Answer, Call};
pub use play::{Case, Effort, check};

use tidemark_engine::clock::{LocalMillis, StampMillis, VendorMillis};
use tidemark_engine::position::Position;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

/// The stream that every list is about. Its tables belong to one case alone.
fn stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("model") }
}

/// An instant, in seconds after one that any clock has passed.
fn at(seconds: i64) -> LocalMillis {
    LocalMillis::new(1_767_225_600_000).shifted(seconds.saturating_mul(1_000))
}

fn vendor_at(seconds: i64) -> VendorMillis {
    VendorMillis::new(at(seconds).get())
}

fn position(seconds: i64) -> Position {
    Position::At(StampMillis::new(seconds.saturating_mul(1_000)))
}

/// The id with this number.
#[expect(clippy::expect_used, reason = "a short id is one")]
fn id(number: u8) -> RecordId {
    RecordId::parse(format!("id#{number}")).expect("an id")
}

fn key(number: u8) -> RecordKey {
    let StreamKey { source, name } = stream();
    RecordKey { source, stream: name, id: id(number) }
}
