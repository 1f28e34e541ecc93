//! The engine's ports in memory: DynamoDB's and SQS's semantics as far as the ports promise them, and nothing more.
//!
//! [`MemoryTables`] and [`MemoryQueue`] are cheap handles of shared state; clones see the same items. Every call passes
//! a [`Gate`] before and after its effect: there a call can be refused, lose its answer or be held. In tests the gate is
//! [`ScriptedFaults`]; in the simulation it is where time passes and where a process dies.

mod answers;
mod checkpoints;
mod clock;
mod gate;
mod ledger;
mod queue;
mod random;
mod records;
mod settings;
mod source;
mod sweeps;
mod tables;
mod vendor;

pub use clock::ManualClock;
pub use gate::{Effect, Extent, Fault, Gate, Hold, Operation, ScriptedFaults, unavailable};
pub use queue::{Delivery, MemoryQueue, Queued, Redelivery};
pub use random::SeededRandom;
pub use settings::{DateHeader, Dated, Order, Step, VendorSettings};
pub use source::MemorySource;
pub use tables::{Flaw, MemoryTables, SourceItem, StoredRecord, Tables};
pub use vendor::{Event, Failing, Vendor, Version, version_of};

#[cfg(test)]
mod tests;
