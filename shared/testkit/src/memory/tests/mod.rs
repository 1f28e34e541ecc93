//! The memory ports' own behaviour, beyond the contracts of the ports.

mod faults;
mod queue;
mod source;
