//! A deterministic simulation of the engine as it ships: the same use cases, only the ports differ.
//!
//! One seed is one history of two streams of one source. A vendor edits, lags, deletes and fails, its clock jumps, its time
//! zone is read wrong and put right; pollers overlap, crash, freeze and come back; messages are lost, doubled and late;
//! every call of a port is a place where a process may die before or after the effect, where its answer gets lost, and
//! from where its write may arrive once more minutes later. First it storms, then it is calm, and then everything has to
//! be as the vendor has it. What is right is decided by the vendor's own history, never by our tables.
//!
//! Every tenth history is fair weather with a big import, in which freshness is checked; of the others every ninth has a
//! big step of the vendor's clock. [`run`] plays one seed. The same seed gives the same history, so a violation is
//! replayed by its seed alone.

mod actors;
mod clock;
mod executor;
mod gate;
mod history;
mod many;
mod mutant;
mod operator;
mod oracle;
mod ports;
mod pump;
mod source;
mod stats;
mod sweeps;
mod tables;
mod trace;
mod weather;
mod world;

use tidemark_engine::clock::LocalMillis;

pub use history::{Outcome, Violation, replay, run, run_mutant};
pub use many::{Many, kills, run_many};
pub use mutant::{Mutant, Slip};
pub use stats::Stats;
pub use trace::{Step, What, Who};
pub use weather::{Chances, Sky, StreamWeather, Weather};

/// When every history starts, on the true clock.
pub const START: LocalMillis = LocalMillis::new(1_767_225_600_000);
