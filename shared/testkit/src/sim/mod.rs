//! A deterministic simulation of the engine as it ships: the same use cases, only the ports differ.
//!
//! One seed is one history. A vendor edits, lags, deletes and fails; pollers overlap, crash, freeze and come back;
//! messages are lost, doubled and late; every call of a port is a place where a process may die before or after the
//! effect, or where its answer gets lost. First it storms, then it is calm, and then everything has to be as the vendor
//! has it. What is right is decided by the vendor's own history, never by our tables.
//!
//! [`run`] plays one seed. The same seed gives the same history, so a violation is replayed by its seed alone.

mod executor;
mod gate;
mod history;
mod many;
mod mutant;
mod oracle;
mod ports;
mod stats;
mod timeline;
mod trace;
mod weather;
mod world;

use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::ListShape;

pub use history::{Outcome, Violation, replay, run, run_mutant};
pub use many::{Many, run_many};
pub use mutant::Mutant;
pub use stats::Stats;
pub use trace::{Step, What, Who};
pub use weather::{Chances, Weather};

/// When every history starts, on the vendor's clock.
pub const START: UtcMillis = UtcMillis::new(1_767_225_600_000);

/// The shapes of lists, each of which the engine walks differently.
pub const SHAPES: [ListShape; 3] = [ListShape::Whole, ListShape::Pages, ListShape::Feed];
