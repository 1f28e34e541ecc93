//! The items of the three tables, and the handle through which the ports reach them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemark_engine::breaker::SourceState;
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::chunk::{Chunk, ChunkKey};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::{Body, DeletedBecause, RecordId, RecordKey, StoredVersion};
use tidemark_engine::stamp::{Stamp, UtcMillis};
use tidemark_engine::stream::{SourceKind, StreamKey};

use super::gate::{Gate, Operation, ScriptedFaults};

/// All items, for an oracle to look at and for a test to spoil.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Checkpoints by stream.
    pub checkpoints: BTreeMap<StreamKey, StoredCheckpoint>,
    /// Chunks by key.
    pub chunks: BTreeMap<ChunkKey, Chunk>,
    /// Quarantined ids by stream and id.
    pub quarantine: BTreeMap<(StreamKey, RecordId), Quarantined>,
    /// What the functions of a source share.
    pub sources: BTreeMap<SourceKind, SourceItem>,
    /// Records by key.
    pub records: BTreeMap<RecordKey, StoredRecord>,
    /// What these tables get wrong on purpose.
    pub flaw: Option<Flaw>,
    /// What [`Flaw::CountsDown`] counts.
    pub counters: BTreeMap<ChunkKey, i64>,
    /// What [`Flaw::QuarantinesLate`] holds back.
    pub held_back: Vec<Quarantined>,
}

/// A rule left out on purpose, to show that a test or a simulation notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Checkpoints are written by whoever comes, whatever the epoch.
    NoFence,
    /// A version needs a newer stamp: one of the same second is taken for the same.
    RefusesEqualStamps,
    /// A comparison with a stamp that is not there is false, as an expression without thought has it.
    RefusesMissingStamps,
    /// Quarantine entries are written only after the commit.
    QuarantinesLate,
    /// A chunk is done when a counter of its ids has been counted down.
    CountsDown,
    /// Every chunk looks done.
    ShowsAllDone,
}

impl Flaw {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::NoFence,
        Self::RefusesEqualStamps,
        Self::RefusesMissingStamps,
        Self::QuarantinesLate,
        Self::CountsDown,
        Self::ShowsAllDone,
    ];
}

/// A checkpoint as its item holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The state; its epoch is 0 until the first lease.
    pub state: Checkpoint,
    /// Whether an epoch was written yet: a re-created item starts from the time, not from 0.
    pub has_epoch: bool,
}

/// A source's shared item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceItem {
    /// Breaker, pauses and gap.
    pub state: SourceState,
    /// The first instant that is not reserved.
    pub next_call_at: UtcMillis,
}

/// A record as its item holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The vendor's JSON; none for a tombstone of a record that was never stored.
    pub body: Option<Body>,
    /// The vendor's stamp.
    pub stamp: Option<Stamp>,
    /// When the newest call about it was started.
    pub fetched_at: UtcMillis,
    /// How its deletion was learnt, if it is gone.
    pub deleted: Option<DeletedBecause>,
    /// The newest event about it.
    pub event: Option<Body>,
    /// What a read that lags behind may still show.
    pub before: Option<Box<StoredRecord>>,
}

impl StoredRecord {
    /// What the poller may know of it.
    pub fn version(&self) -> StoredVersion {
        StoredVersion {
            last_edited_at: self.stamp.as_ref().map(|stamp| stamp.at),
            fetched_at: self.fetched_at,
            fingerprint: self.body.as_ref().map(Body::fingerprint),
            deleted: self.deleted.is_some(),
        }
    }
}

/// The tables as a port: checkpoints, ledger, records and stored versions. Clones reach the same items.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables<G = ScriptedFaults> {
    items: Arc<Mutex<Tables>>,
    gate: G,
}

impl MemoryTables {
    /// Empty tables without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The script of faults.
    pub fn faults(&self) -> &ScriptedFaults {
        &self.gate
    }
}

impl<G> MemoryTables<G> {
    /// The same items behind another gate.
    pub fn behind<H>(&self, gate: H) -> MemoryTables<H> {
        MemoryTables { items: Arc::clone(&self.items), gate }
    }

    /// Looks at the items, or spoils them.
    pub fn with<T>(&self, look: impl FnOnce(&mut Tables) -> T) -> T {
        look(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G: Gate> MemoryTables<G> {
    pub(super) fn gate(&self) -> &G {
        &self.gate
    }

    /// One call: the way there, the effect, the way back.
    pub(super) async fn call<T>(
        &self,
        operation: Operation,
        effect: impl FnOnce(&mut Tables) -> T,
    ) -> Result<T, StoreFailure> {
        self.gate.before(operation).await?;
        let outcome = effect(&mut self.lock());
        self.gate.after(operation).await?;
        Ok(outcome)
    }
}
