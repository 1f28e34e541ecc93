//! The memory ports' own behaviour, beyond the contracts of the ports.

mod clocks;
mod faults;
mod queue;
mod source;
