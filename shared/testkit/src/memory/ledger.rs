//! The ledger in memory: chunks, the retry lane, and what functions share.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemark_engine::clock::{LocalMillis, StampMillis};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::health::{Breaker, SourceState, StreamState, Why};
use tidemark_engine::lateness::Lateness;
use tidemark_engine::ports::{Ledger, Owed, Written};
use tidemark_engine::position::Position;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Next, RetryEntry, Told};

use super::gate::{Gate, Operation};
use super::tables::{Flaw, MemoryTables, SourceItem, Tables};

impl<G: Gate> Ledger for MemoryTables<G> {
    async fn put_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreFailure> {
        self.write_all(Operation::PutChunks, chunks, |tables, chunks| {
            tables.chunks.extend(chunks.iter().map(|chunk| (chunk.key.clone(), chunk.clone())));
        })
        .await
    }

    async fn head(&self, stream: &StreamKey, lane: Lane, limit: usize) -> Result<Vec<Chunk>, StoreFailure> {
        self.read(Operation::Head, |tables| lane_of(tables, stream, lane).take(limit).cloned().collect()).await
    }

    async fn owed(&self, stream: &StreamKey) -> Result<Owed, StoreFailure> {
        self.read(Operation::Owed, |tables| {
            let count = |lane| lane_of(tables, stream, lane).map(|chunk| chunk.ids.len()).sum::<usize>();
            let count = |lane| u64::try_from(count(lane)).unwrap_or(u64::MAX);
            Owed { fresh_count: count(Lane::Fresh), bulk_count: count(Lane::Bulk) }
        })
        .await
    }

    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure> {
        self.read(Operation::Chunk, |tables| tables.chunks.get(key).cloned()).await
    }

    async fn mark_sent(&self, key: &ChunkKey, next_at: LocalMillis) -> Result<Written, StoreFailure> {
        self.on_chunk(Operation::MarkSent, key, move |chunk| chunk.next_at = next_at).await
    }

    async fn finish(&self, key: &ChunkKey, gone: &BTreeSet<RecordId>, next: &Next) -> Result<Written, StoreFailure> {
        let (gone, next) = (gone.clone(), next.clone());
        self.on_chunk(Operation::Finish, key, move |chunk| {
            chunk.ids.retain(|id| !gone.contains(id));
            match &next {
                Next::SentAt(at) => chunk.next_at = *at,
                Next::Tried(trying) => chunk.trying = Some(trying.clone()),
            }
        })
        .await
    }

    async fn delete_chunk(&self, key: &ChunkKey) -> Result<(), StoreFailure> {
        self.write(Operation::DeleteChunk, key, |tables, key| {
            tables.chunks.remove(key);
        })
        .await
    }

    async fn retry_entries(&self, stream: &StreamKey) -> Result<Vec<RetryEntry>, StoreFailure> {
        self.read(Operation::RetryEntries, |tables| {
            tables.retries.values().filter(|entry| entry.stream == *stream).cloned().collect()
        })
        .await
    }

    async fn retry_entry(&self, stream: &StreamKey, id: &RecordId) -> Result<Option<RetryEntry>, StoreFailure> {
        let key = (stream.clone(), id.clone());
        self.read(Operation::RetryEntry, |tables| tables.retries.get(&key).cloned()).await
    }

    async fn set_aside(&self, entry: &RetryEntry) -> Result<(), StoreFailure> {
        self.write(Operation::SetAside, entry, set_aside).await
    }

    async fn reschedule(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        attempts: u32,
        next_at: LocalMillis,
    ) -> Result<Written, StoreFailure> {
        let key = (stream.clone(), id.clone());
        self.write(Operation::Reschedule, &key, move |tables, key| {
            let Some(entry) = tables.retries.get_mut(key) else { return Written::Refused };
            entry.attempts = attempts;
            entry.next_at = next_at;
            Written::Applied
        })
        .await
    }

    async fn resolve(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        looked_at: LocalMillis,
    ) -> Result<Written, StoreFailure> {
        let key = (stream.clone(), id.clone());
        self.write(Operation::Resolve, &key, move |tables, key| {
            let any = tables.flaw == Some(Flaw::ResolvesAny);
            if tables.retries.get(key).is_none_or(|entry| entry.listed_at >= looked_at && !any) {
                return Written::Refused;
            }
            tables.retries.remove(key);
            Written::Applied
        })
        .await
    }

    async fn stream_state(&self, stream: &StreamKey) -> Result<StreamState, StoreFailure> {
        self.read(Operation::StreamState, |tables| tables.streams.get(stream).cloned().unwrap_or_default()).await
    }

    async fn write_mark(&self, stream: &StreamKey, mark: &str) -> Result<(), StoreFailure> {
        let mark = mark.to_owned();
        self.on_stream(Operation::WriteMark, stream, move |state| state.mark = Some(mark.clone())).await
    }

    async fn note_stored(&self, stream: &StreamKey, at: LocalMillis, late: &Lateness) -> Result<(), StoreFailure> {
        let late = *late;
        self.on_stream(Operation::NoteStored, stream, move |state| {
            if state.last_stored_at < Some(at) {
                state.last_stored_at = Some(at);
                state.lateness.0.iter_mut().zip(late.0).for_each(|(sum, count)| *sum += count);
            }
        })
        .await
    }

    async fn add_failures(&self, stream: &StreamKey, count: u32) -> Result<u32, StoreFailure> {
        self.on_stream(Operation::AddFailures, stream, move |state| {
            let breaker = &mut state.breaker;
            breaker.failure_count = breaker.failure_count.saturating_add(count);
            breaker.failure_count
        })
        .await
    }

    async fn pause_stream(&self, stream: &StreamKey, until: LocalMillis, why: &Why) -> Result<Written, StoreFailure> {
        let why = why.clone();
        self.on_stream(Operation::PauseStream, stream, move |state| pause(&mut state.breaker, until, &why)).await
    }

    async fn resume_stream(&self, stream: &StreamKey) -> Result<(), StoreFailure> {
        self.on_stream(Operation::ResumeStream, stream, |state| state.breaker = Breaker::default()).await
    }

    async fn source_state(&self, source: SourceKind) -> Result<SourceState, StoreFailure> {
        self.read(Operation::SourceState, |tables| {
            tables.sources.get(&source).map(|item| item.state.clone()).unwrap_or_default()
        })
        .await
    }

    async fn pause_source(
        &self,
        source: SourceKind,
        until: LocalMillis,
        open_for: Duration,
        why: &Why,
    ) -> Result<Written, StoreFailure> {
        let why = why.clone();
        self.on_source(Operation::PauseSource, source, move |item| {
            let breaker = &mut item.state.breaker;
            let written = pause(breaker, until, &why);
            if written == Written::Applied {
                breaker.open_for = Some(open_for);
            }
            written
        })
        .await
    }

    async fn resume_source(&self, source: SourceKind) -> Result<(), StoreFailure> {
        self.on_source(Operation::ResumeSource, source, |item| item.state.breaker = Breaker::default()).await
    }

    async fn note_bulk(&self, stream: &StreamKey, at: LocalMillis) -> Result<(), StoreFailure> {
        let name = stream.name.clone();
        self.on_source(Operation::NoteBulk, stream.source, move |item| {
            item.state.bulk.insert(name.clone(), at);
        })
        .await
    }

    async fn reserve(
        &self,
        source: SourceKind,
        calls: u32,
        interval: Duration,
        earliest: LocalMillis,
        latest: LocalMillis,
    ) -> Result<Option<LocalMillis>, StoreFailure> {
        self.on_source(Operation::Reserve, source, move |item| {
            let first = item.next_call_at.max(earliest);
            if first > latest {
                return None;
            }
            // Whole milliseconds, rounded up: no two calls share one.
            let span = interval.saturating_mul(calls).as_nanos().div_ceil(1_000_000);
            item.next_call_at = first.shifted(i64::try_from(span).unwrap_or(i64::MAX));
            Some(first)
        })
        .await
    }
}

/// The chunks of a lane, in key order.
fn lane_of<'a>(tables: &'a Tables, stream: &'a StreamKey, lane: Lane) -> impl Iterator<Item = &'a Chunk> {
    let first = ChunkKey { stream: stream.clone(), lane, holds_order: i64::MIN, version: i64::MIN, seq: 0 };
    let ours = move |key: &ChunkKey| key.stream == *stream && key.lane == lane;
    tables.chunks.range(first..).take_while(move |(key, _)| ours(key)).map(|(_, chunk)| chunk)
}

fn set_aside(tables: &mut Tables, entry: &RetryEntry) {
    let key = (entry.stream.clone(), entry.id.clone());
    let Some(stored) = tables.retries.get_mut(&key) else {
        tables.retries.insert(key, entry.clone());
        return;
    };
    let is_newer = stored.listed_at < entry.listed_at;
    if is_newer {
        stored.listed_at = entry.listed_at;
        stored.since = entry.since;
        stored.reason = entry.reason;
        stored.cause.clone_from(&entry.cause);
    }
    let may_fall = match tables.flaw {
        Some(Flaw::FirstHolds) => false,
        Some(Flaw::HoldsWithTime) => is_newer,
        _ => true,
    };
    let falls = match (&entry.holds, &stored.holds) {
        (Some(new), Some(old)) => new.order() < old.order(),
        (Some(_), None) => true,
        (None, _) => false,
    };
    if may_fall && falls {
        stored.holds.clone_from(&entry.holds);
    }
}

/// Opens a breaker, unless it is open for longer.
fn pause(breaker: &mut Breaker, until: LocalMillis, why: &Why) -> Written {
    if breaker.open_until.is_some_and(|open_until| open_until > until) {
        return Written::Refused;
    }
    breaker.open_until = Some(until);
    breaker.why = Some(why.clone());
    Written::Applied
}

/// What an update without a condition makes of a chunk that is gone.
fn empty(key: &ChunkKey) -> Chunk {
    Chunk {
        key: key.clone(),
        holds: Some(Position::At(StampMillis::new(key.holds_order))),
        ids: BTreeSet::new(),
        listed_at: LocalMillis::default(),
        next_at: LocalMillis::default(),
        told: Told::Ids,
        trying: None,
    }
}

impl<G: Gate> MemoryTables<G> {
    /// A write to a chunk, which has to exist.
    async fn on_chunk(
        &self,
        operation: Operation,
        key: &ChunkKey,
        write: impl Fn(&mut Chunk) + Send + 'static,
    ) -> Result<Written, StoreFailure> {
        self.write(operation, key, move |tables, key| {
            if tables.flaw == Some(Flaw::UpdateCreates) {
                tables.chunks.entry(key.clone()).or_insert_with(|| empty(key));
            }
            let Some(chunk) = tables.chunks.get_mut(key) else { return Written::Refused };
            write(chunk);
            Written::Applied
        })
        .await
    }

    /// A write to a stream's item, which comes into being with the first one.
    async fn on_stream<T>(
        &self,
        operation: Operation,
        stream: &StreamKey,
        write: impl Fn(&mut StreamState) -> T + Send + 'static,
    ) -> Result<T, StoreFailure> {
        self.write(operation, stream, move |tables, stream| write(tables.streams.entry(stream.clone()).or_default()))
            .await
    }

    /// A write to a source's item, which comes into being with the first one.
    async fn on_source<T>(
        &self,
        operation: Operation,
        source: SourceKind,
        write: impl Fn(&mut SourceItem) -> T + Send + 'static,
    ) -> Result<T, StoreFailure> {
        self.write(operation, &source, move |tables, source| write(tables.sources.entry(*source).or_default())).await
    }
}
