//! The tables as one process sees them: records that kill or do not fit, and wrong orders of writes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::health::{SourceState, StreamState, Why};
use tidemark_engine::lateness::Lateness;
use tidemark_engine::ports::{Checkpoints, Ledger, Owed, Records, Stored, StoredVersions, Written};
use tidemark_engine::record::{Look, RecordId, RecordKey, Seen, StoredVersion};
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Next, RetryEntry};
use tidemark_sweep::ports::{Slice, StoredSlices, Sweeps};
use tidemark_sweep::state::{Kept, PieceKey, SweepState};

use super::gate::SimGate;
use super::mutant::{Mutant, Slip};
use super::trace::What;
use crate::memory::MemoryTables;

/// What a record that does not fit is said to have.
const TOO_LARGE: Stored = Stored::TooLarge(500_000);

/// The tables of one process.
pub(super) struct SimTables {
    inner: MemoryTables<SimGate>,
    gate: SimGate,
    /// What [`Slip::ChunksLast`] has not put yet.
    chunks_kept: RefCell<Vec<Chunk>>,
    /// What [`Slip::EntryLast`] has not put yet.
    entries_kept: RefCell<Vec<RetryEntry>>,
}

impl SimTables {
    pub(super) fn new(gate: &SimGate) -> Self {
        let inner = gate.world.tables.behind(gate.clone());
        Self { inner, gate: gate.clone(), chunks_kept: RefCell::default(), entries_kept: RefCell::default() }
    }

    fn slips(&self, slip: Slip) -> bool {
        self.gate.world.mutant == Some(Mutant::Slipped(slip))
    }

    /// Forgets what was sent, where the queue is believed; fetchers know it from its message.
    fn forget_sent(&self, keys: &[ChunkKey]) {
        let world = &self.gate.world;
        world.tables.with(|tables| {
            let sent = keys.iter().filter_map(|key| tables.chunks.remove(key));
            world.believed.borrow_mut().extend(sent.map(|chunk| (chunk.key.clone(), chunk)));
        });
    }

    async fn put_entries_kept(&self) -> Result<(), StoreFailure> {
        let kept = std::mem::take(&mut *self.entries_kept.borrow_mut());
        for entry in kept {
            self.inner.set_aside(&entry).await?;
        }
        Ok(())
    }
}

impl Checkpoints for SimTables {
    async fn load(&self, stream: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure> {
        self.inner.load(stream).await
    }

    async fn create(&self, first: &Checkpoint) -> Result<Written, StoreFailure> {
        self.inner.create(first).await
    }

    async fn store(&self, next: &Checkpoint) -> Result<Written, StoreFailure> {
        let written = Checkpoints::store(&self.inner, next).await?;
        let kept = std::mem::take(&mut *self.chunks_kept.borrow_mut());
        if !kept.is_empty() {
            self.inner.put_chunks(&kept).await?;
        }
        Ok(written)
    }
}

impl Ledger for SimTables {
    async fn put_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreFailure> {
        if self.slips(Slip::ChunksLast) {
            self.chunks_kept.borrow_mut().extend(chunks.iter().cloned());
            return Ok(());
        }
        self.inner.put_chunks(chunks).await?;
        if self.slips(Slip::QueueBelieved) {
            let sent = chunks.iter().filter(|chunk| chunk.next_at > LocalMillis::default());
            self.forget_sent(&sent.map(|chunk| chunk.key.clone()).collect::<Vec<_>>());
        }
        Ok(())
    }

    async fn head(&self, stream: &StreamKey, lane: Lane, limit: usize) -> Result<Vec<Chunk>, StoreFailure> {
        self.inner.head(stream, lane, limit).await
    }

    async fn owed(&self, stream: &StreamKey) -> Result<Owed, StoreFailure> {
        self.inner.owed(stream).await
    }

    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure> {
        let found = self.inner.chunk(key).await?;
        Ok(found.or_else(|| self.gate.world.believed.borrow().get(key).cloned()))
    }

    async fn mark_sent(&self, key: &ChunkKey, next_at: LocalMillis) -> Result<Written, StoreFailure> {
        let written = self.inner.mark_sent(key, next_at).await?;
        if self.slips(Slip::QueueBelieved) {
            self.forget_sent(std::slice::from_ref(key));
        }
        Ok(written)
    }

    async fn finish(&self, key: &ChunkKey, gone: &BTreeSet<RecordId>, next: &Next) -> Result<Written, StoreFailure> {
        let written = self.inner.finish(key, gone, next).await?;
        self.put_entries_kept().await?;
        Ok(written)
    }

    async fn delete_chunk(&self, key: &ChunkKey) -> Result<(), StoreFailure> {
        self.inner.delete_chunk(key).await?;
        self.put_entries_kept().await
    }

    async fn retry_entries(&self, stream: &StreamKey) -> Result<Vec<RetryEntry>, StoreFailure> {
        self.inner.retry_entries(stream).await
    }

    async fn retry_entry(&self, stream: &StreamKey, id: &RecordId) -> Result<Option<RetryEntry>, StoreFailure> {
        self.inner.retry_entry(stream, id).await
    }

    async fn set_aside(&self, entry: &RetryEntry) -> Result<(), StoreFailure> {
        self.gate.world.note_aside(entry);
        if self.slips(Slip::EntryLast) {
            self.entries_kept.borrow_mut().push(entry.clone());
            return Ok(());
        }
        self.inner.set_aside(entry).await
    }

    async fn reschedule(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        attempts: u32,
        next_at: LocalMillis,
    ) -> Result<Written, StoreFailure> {
        self.inner.reschedule(stream, id, attempts, next_at).await
    }

    async fn resolve(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        looked_at: LocalMillis,
    ) -> Result<Written, StoreFailure> {
        self.inner.resolve(stream, id, looked_at).await
    }

    async fn stream_state(&self, stream: &StreamKey) -> Result<StreamState, StoreFailure> {
        self.inner.stream_state(stream).await
    }

    async fn write_mark(&self, stream: &StreamKey, mark: &str) -> Result<(), StoreFailure> {
        self.inner.write_mark(stream, mark).await
    }

    async fn note_stored(&self, stream: &StreamKey, at: LocalMillis, late: &Lateness) -> Result<(), StoreFailure> {
        self.inner.note_stored(stream, at, late).await
    }

    async fn add_failures(&self, stream: &StreamKey, count: u32) -> Result<u32, StoreFailure> {
        self.inner.add_failures(stream, count).await
    }

    async fn pause_stream(&self, stream: &StreamKey, until: LocalMillis, why: &Why) -> Result<Written, StoreFailure> {
        self.inner.pause_stream(stream, until, why).await
    }

    async fn resume_stream(&self, stream: &StreamKey) -> Result<(), StoreFailure> {
        self.inner.resume_stream(stream).await
    }

    async fn source_state(&self, source: SourceKind) -> Result<SourceState, StoreFailure> {
        self.inner.source_state(source).await
    }

    async fn pause_source(
        &self,
        source: SourceKind,
        until: LocalMillis,
        open_for: Duration,
        why: &Why,
    ) -> Result<Written, StoreFailure> {
        self.inner.pause_source(source, until, open_for, why).await
    }

    async fn resume_source(&self, source: SourceKind) -> Result<(), StoreFailure> {
        self.inner.resume_source(source).await
    }

    async fn note_bulk(&self, stream: &StreamKey, at: LocalMillis) -> Result<(), StoreFailure> {
        self.inner.note_bulk(stream, at).await
    }

    async fn reserve(
        &self,
        source: SourceKind,
        calls: u32,
        interval: Duration,
        earliest: LocalMillis,
        latest: LocalMillis,
    ) -> Result<Option<LocalMillis>, StoreFailure> {
        self.inner.reserve(source, calls, interval, earliest, latest).await
    }
}

impl Records for SimTables {
    async fn store(&self, looks: &[Look]) -> Result<Vec<Stored>, StoreFailure> {
        let world = &self.gate.world;
        if let Some(look) = looks.iter().find(|look| matches!(look.seen, Seen::Record { .. }) && world.kills(&look.key))
        {
            world.count(|stats| stats.killed += 1);
            self.gate.die(What::KilledBy(look.key.to_string())).await;
        }
        let fits = |look: &&Look| matches!(look.seen, Seen::Gone(_)) || !world.is_too_large(&look.key);
        let fitting: Vec<Look> = looks.iter().filter(fits).cloned().collect();
        *self.gate.process.storing.borrow_mut() = fitting.iter().map(|look| look.key.clone()).collect();
        world.check_looks(&fitting);
        let stored = Records::store(&self.inner, &fitting).await?;
        let mut stored = stored.into_iter();
        Ok(looks.iter().map(|look| if fits(&look) { stored.next().unwrap_or(TOO_LARGE) } else { TOO_LARGE }).collect())
    }
}

impl StoredVersions for SimTables {
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        self.inner.versions(keys).await
    }
}

impl StoredSlices for SimTables {
    async fn slice(&self, records: &StreamKey, after: Option<&RecordId>) -> Result<Slice, StoreFailure> {
        self.inner.slice(records, after).await
    }
}

impl Sweeps for SimTables {
    async fn load_sweep(&self, stream: &StreamKey) -> Result<Option<SweepState>, StoreFailure> {
        self.inner.load_sweep(stream).await
    }

    async fn store_sweep(&self, stream: &StreamKey, next: &SweepState) -> Result<Written, StoreFailure> {
        self.inner.store_sweep(stream, next).await
    }

    async fn keep(&self, stream: &StreamKey, piece: &PieceKey, ids: &[RecordId]) -> Result<(), StoreFailure> {
        self.inner.keep(stream, piece, ids).await
    }

    async fn kept(&self, stream: &StreamKey, sweep: LocalMillis, kept: Kept) -> Result<Vec<RecordId>, StoreFailure> {
        self.inner.kept(stream, sweep, kept).await
    }
}
