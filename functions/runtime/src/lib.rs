//! What the three functions share, so that each is only its configuration and its handler.
//!
//! [`start()`] runs a function; [`environment`] and [`vendor`] read configuration; [`log`], [`notice`] and
//! [`attention`] tell people what happened; [`failure`] says what a failed invocation answers; [`worlds`] puts an adapter
//! behind each of the engine's ports. [`kept`] is for tests.

pub mod attention;
mod causes;
pub mod environment;
pub mod failure;
pub mod kept;
pub mod log;
pub mod notice;
mod start;
pub mod vendor;
pub mod worlds;

pub use start::{StartError, serve, start};
