//! Development only: what the other crates are tested with.

pub mod contract;
pub mod memory;
pub mod model;
pub mod sim;
mod split_mix;
