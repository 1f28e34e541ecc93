//! Development only: what the other crates are tested with.

pub mod contract;
pub mod memory;
pub mod model;
mod ports;
pub mod sim;
mod split_mix;
