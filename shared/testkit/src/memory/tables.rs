//! The items of the three tables, and the handle through which the ports reach them.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::{LocalMillis, Stamp, VendorMillis};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::health::{SourceState, StreamState};
use tidemark_engine::record::{Body, DeletedBecause, RecordId, RecordKey, StoredVersion};
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_engine::work::{Chunk, ChunkKey, RetryEntry};
use tidemark_sweep::state::{PieceKey, SweepState};

use super::gate::{Effect, Gate, Operation, ScriptedFaults};

/// All items, for an oracle to read and for a test to change.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Checkpoints by stream.
    pub checkpoints: BTreeMap<StreamKey, Checkpoint>,
    /// Chunks by key, each lane in the order of its sort keys.
    pub chunks: BTreeMap<ChunkKey, Chunk>,
    /// The retry lane, by stream and id.
    pub retries: BTreeMap<(StreamKey, RecordId), RetryEntry>,
    /// What the functions of a stream share.
    pub streams: BTreeMap<StreamKey, StreamState>,
    /// What the functions of a source share.
    pub sources: BTreeMap<SourceKind, SourceItem>,
    /// Records by key.
    pub records: BTreeMap<RecordKey, StoredRecord>,
    /// Ids that sweeps keep.
    pub pieces: BTreeMap<(StreamKey, PieceKey), Vec<RecordId>>,
    /// The states of sweeps.
    pub sweeps: BTreeMap<StreamKey, SweepState>,
    /// What these tables get wrong on purpose.
    pub flaw: Option<Flaw>,
}

impl Tables {
    /// Loses the ledger: chunks, retry lane, marks, pauses and what sweeps keep. Checkpoints and records stay.
    pub fn lose_ledger(&mut self) {
        self.chunks.clear();
        self.retries.clear();
        self.streams.clear();
        self.sources.clear();
        self.pieces.clear();
        self.sweeps.clear();
    }
}

/// A condition of a write left out on purpose, to show that a test or a simulation notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Checkpoints are written whatever their version.
    NoVersion,
    /// A write to a chunk that is gone creates an empty one.
    UpdateCreates,
    /// What a retry entry holds stays what it was at first.
    FirstHolds,
    /// What a retry entry holds falls only along with a newer failure.
    HoldsWithTime,
    /// A retry entry is resolved by any look.
    ResolvesAny,
    /// A record is replaced by whatever look comes last.
    LastWriteWins,
    /// A record is replaced only by a look with a newer stamp.
    StampsFirst,
}

impl Flaw {
    /// Every one of them.
    pub const ALL: [Self; 7] = [
        Self::NoVersion,
        Self::UpdateCreates,
        Self::FirstHolds,
        Self::HoldsWithTime,
        Self::ResolvesAny,
        Self::LastWriteWins,
        Self::StampsFirst,
    ];
}

/// A source's shared item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceItem {
    /// Pause and bulk work.
    pub state: SourceState,
    /// The first instant that is not reserved.
    pub next_call_at: LocalMillis,
}

/// A record as its item holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The vendor's JSON; none for a tombstone of a record that was never stored.
    pub body: Option<Body>,
    /// The vendor's stamp.
    pub stamp: Option<Stamp>,
    /// When the look that is stored was started.
    pub looked_at: LocalMillis,
    /// What the vendor's clock had reached at most when that look ended.
    pub seen_at: Option<VendorMillis>,
    /// How its deletion was learnt, if it is gone.
    pub deleted: Option<DeletedBecause>,
    /// The newest event about it.
    pub event: Option<Body>,
    /// What a read that lags behind may still show.
    pub before: Option<Box<StoredRecord>>,
}

impl StoredRecord {
    /// What the poller and the fetcher may know of it.
    pub fn version(&self) -> StoredVersion {
        StoredVersion {
            stamp: self.stamp.as_ref().map(|stamp| stamp.text.clone()),
            looked_at: self.looked_at,
            seen_at: self.seen_at,
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

    /// Lets the effects land that the script's faults have kept.
    pub fn land_kept(&self) {
        for effect in self.gate.take_kept() {
            self.with(|tables| effect.land(tables));
        }
    }
}

impl<G> MemoryTables<G> {
    /// The same items behind another gate.
    pub fn behind<H>(&self, gate: H) -> MemoryTables<H> {
        MemoryTables { items: Arc::clone(&self.items), gate }
    }

    /// Reads or changes the items.
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

    /// One read: the way there, the look, the way back.
    pub(super) async fn read<T>(
        &self,
        operation: Operation,
        look: impl FnOnce(&Tables) -> T,
    ) -> Result<T, StoreFailure> {
        self.gate.before(operation).await?;
        let outcome = look(&self.lock());
        self.gate.after(operation).await?;
        Ok(outcome)
    }

    /// One write of one item, `effect` of `input`. The gate may keep it to land later.
    pub(super) async fn write<I, T>(
        &self,
        operation: Operation,
        input: &I,
        effect: impl Fn(&mut Tables, &I) -> T + Send + 'static,
    ) -> Result<T, StoreFailure>
    where
        I: ToOwned + ?Sized,
        I::Owned: Send + 'static,
    {
        let extent = self.gate.before(operation).await;
        let landed = extent.map(|_| effect(&mut self.lock(), input));
        self.gate.offer(operation, landed.is_ok(), || later(input.to_owned(), effect));
        let outcome = landed?;
        self.gate.after(operation).await?;
        Ok(outcome)
    }

    /// One write of several items, of which the gate may let pass only the first few; the call fails then.
    pub(super) async fn write_all<I, T>(
        &self,
        operation: Operation,
        items: &[I],
        effect: impl Fn(&mut Tables, &[I]) -> T + Send + 'static,
    ) -> Result<T, StoreFailure>
    where
        I: Clone + Send + 'static,
    {
        let extent = self.gate.before(operation).await;
        let few = extent.as_ref().map_or(items.len(), |extent| extent.of(items.len()));
        let items_there = items.get(..few).unwrap_or(items);
        let landed = extent.map(|_| effect(&mut self.lock(), items_there));
        self.gate.offer(operation, landed.is_ok(), || later(items_there.to_vec(), effect));
        let outcome = landed?;
        self.gate.after(operation).await?;
        if few < items.len() { Err(super::gate::unavailable(operation)) } else { Ok(outcome) }
    }
}

fn later<I, O, T>(input: O, effect: impl Fn(&mut Tables, &I) -> T + Send + 'static) -> Effect
where
    I: ?Sized,
    O: Borrow<I> + Send + 'static,
{
    Effect::new(move |tables| {
        effect(tables, input.borrow());
    })
}
