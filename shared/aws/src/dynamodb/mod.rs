//! The three tables.
//!
//! What each item looks like is said where it is written: [`checkpoints`], [`ledger`], [`records`].

pub mod checkpoints;
mod item;
pub mod ledger;
mod position;
pub mod records;
#[cfg(test)]
mod samples;
mod table;

pub use checkpoints::CheckpointTable;
#[cfg(feature = "operator")]
pub use ledger::AuditEntry;
pub use ledger::LedgerTable;
#[cfg(feature = "operator")]
pub use records::{CopyTable, Kept, LoggedAs, LoggedWrite, RecordLog, Since, StoredRecord};
pub use records::{RecordTable, VersionTable};

/// The version of the items' shape that this program writes and reads.
const SCHEMA_VERSION: i64 = 2;
