//! What the fuzz targets have in common: a vendor that answers as the input says, and laws that no answer may break.
//!
//! A target plays answers to a real source and looks at all that comes of it: the page or record, the failure, the log, the
//! requests and the memory. See [`laws`] for what must hold whatever was answered.
//!
//! `make fuzz` runs all targets. A new one is a file in `targets/`, a `[[bin]]` in `Cargo.toml`, and a folder of a few seeds
//! in `corpus/`.
mod answers;
pub mod laws;
mod log;
mod memory;
mod vendor;
pub mod world;

pub use answers::Input;
pub use vendor::{Call, Outcome, Played, Setup, again, play};

/// A character that no text of the program holds: what is marked with it in an answer shows wherever it leaks.
pub const CANARY: char = '\u{e000}';
