//! The vendors: one module each, implementing the engine's `Source` port.
//!
//! A source knows its vendor's streams, how one page of changes is listed and how one record is fetched. It never sees a
//! checkpoint, a queue or a retry loop, and it reads no clock but the one it is given. [`registry`] is the only place
//! that knows all of them; [`http`] is the only place that speaks HTTP.
mod account;
mod credential;
pub mod fieldaware;
pub mod fieldly;
pub mod fieldmotion;
pub mod fsmnavigator;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod http;
mod json;
pub mod probe;
mod purpose;
pub mod registry;
mod rows;
mod settings;
mod time;

pub use settings::BadSettings;
