//! The ports' conditions as a model: what every conditional write answers and what it leaves behind, in plain Rust.
//!
//! [`check`] plays random lists of [`Step`]s: several pollers that own the stream in turn, freeze and come back; fetchers
//! that finish, repeat and poison; writes of which exactly one condition does not hold. Each becomes a [`Call`] of the
//! ports [`Checkpoints`](tidemark_engine::ports::Checkpoints) and [`Ledger`](tidemark_engine::ports::Ledger), which an
//! implementation and [`Items`], the model, answer alike. What a call may change is compared after it, and everything at the
//! end. A list that ends in a difference is shrunk to the shortest that still does, and told.
//!
//! A poller of the model does what is right by the state that it knows, which may be long out of date: only the
//! conditions then keep the invariants of the protocol, which hold for the model itself after every step. What a condition
//! answers is said in `stream.rs` and `ledger.rs`, from the ports' docs and nothing else: they share no line with
//! the memory tables, or both could be wrong alike.
//!
//! [`Arm`]s name the ways out of the conditions, both of each; a run that met all of them has tested all of them.

mod arm;
mod call;
mod invariants;
mod items;
mod ledger;
mod machine;
mod play;
mod poller;
mod step;
mod stream;

use tidemark_engine::checkpoint::Position;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

use self::poller::OWNERS;

pub use arm::{ARMS, Arm};
pub use call::{Answer, Call};
pub use items::Items;
pub use machine::Model;
pub use play::{Case, Effort, check};
pub use poller::{Change, Spoilt};
pub use step::Step;

/// The stream that every model is about. Its tables belong to one case alone.
fn model_stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("model") }
}

/// An instant, in seconds after one that any clock has passed.
fn at(seconds: i64) -> UtcMillis {
    UtcMillis::new(1_767_225_600_000).shifted(seconds.saturating_mul(1_000))
}

/// A position `by` places on.
fn moved(position: &Position, by: i64) -> Position {
    match position {
        Position::At(instant) => Position::At(instant.shifted(by.saturating_mul(1_000))),
        Position::Token { sequence, .. } => {
            let sequence = sequence.saturating_add(by);
            Position::Token { text: format!("t{sequence}"), sequence }
        }
    }
}
