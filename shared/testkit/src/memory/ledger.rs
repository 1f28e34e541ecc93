//! The ledger in memory: chunks, quarantine, and what the functions of a source share.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemark_engine::breaker::{Breaker, Pause, SourceState, StampGap};
use tidemark_engine::chunk::{Chunk, ChunkKey, Finish};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Ledger, Written};
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{SourceKind, StreamKey};

use super::gate::{Extent, Gate, Operation, unavailable};
use super::tables::{Flaw, MemoryTables, SourceItem, Tables};

impl<G: Gate> Ledger for MemoryTables<G> {
    async fn put_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreFailure> {
        let extent = self.gate().before(Operation::PutChunks).await?;
        self.with(|tables| {
            for chunk in chunks.iter().take(extent.of(chunks.len())) {
                tables.chunks.insert(chunk.key.clone(), chunk.clone());
            }
        });
        self.gate().after(Operation::PutChunks).await?;
        match extent {
            Extent::Whole => Ok(()),
            Extent::First(_) => Err(unavailable(Operation::PutChunks)),
        }
    }

    async fn chunks(&self, stream: &StreamKey, run: &str, first: u32, end: u32) -> Result<Vec<Chunk>, StoreFailure> {
        self.call(Operation::Chunks, |tables| {
            let key = |seq| ChunkKey { stream: stream.clone(), run: run.to_owned(), seq, epoch: i64::MIN };
            if first >= end {
                return Vec::new();
            }
            let found = tables.chunks.range(key(first)..key(end));
            found.map(|(key, chunk)| shown(tables.flaw, tables.counters.get(key).copied(), chunk)).collect()
        })
        .await
    }

    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure> {
        self.call(Operation::Chunk, |tables| tables.chunks.get(key).cloned()).await
    }

    async fn mark_sent(&self, key: &ChunkKey, sent_at: UtcMillis) -> Result<Written, StoreFailure> {
        self.on_chunk(Operation::MarkSent, key, |chunk| {
            chunk.sent_at = Some(sent_at);
            chunk.send_count = chunk.send_count.saturating_add(1);
            chunk.parked = false;
            Written::Applied
        })
        .await
    }

    async fn finish(&self, key: &ChunkKey, finish: &Finish) -> Result<Written, StoreFailure> {
        self.call(Operation::Finish, |tables| {
            let Some(chunk) = tables.chunks.get_mut(key) else { return Written::Refused };
            if tables.flaw == Some(Flaw::CountsDown) {
                let all = i64::try_from(chunk.pending.len()).unwrap_or(i64::MAX);
                let done = i64::try_from(finish.done.len()).unwrap_or(i64::MAX);
                *tables.counters.entry(key.clone()).or_insert(all) -= done;
            }
            for id in &finish.done {
                chunk.pending.remove(id);
                chunk.poisoned.remove(id);
            }
            chunk.stamps.extend(finish.stamp);
            chunk.parked |= finish.parked;
            chunk.withheld_count = chunk.withheld_count.max(finish.withheld_count);
            Written::Applied
        })
        .await
    }

    async fn poison(&self, key: &ChunkKey, id: &RecordId, reason: &str) -> Result<Written, StoreFailure> {
        self.on_chunk(Operation::Poison, key, |chunk| {
            if !chunk.pending.remove(id) {
                return Written::Refused;
            }
            chunk.poisoned.insert(id.clone(), reason.to_owned());
            Written::Applied
        })
        .await
    }

    async fn mark_trying(&self, key: &ChunkKey, id: &RecordId, receives: u32) -> Result<Written, StoreFailure> {
        self.on_chunk(Operation::MarkTrying, key, |chunk| {
            chunk.trying = Some(id.clone());
            chunk.receives = receives;
            Written::Applied
        })
        .await
    }

    async fn quarantined(&self, stream: &StreamKey) -> Result<Vec<Quarantined>, StoreFailure> {
        self.call(Operation::Quarantined, |tables| {
            tables.quarantine.values().filter(|entry| entry.stream == *stream).cloned().collect()
        })
        .await
    }

    async fn quarantine(&self, entry: &Quarantined) -> Result<Written, StoreFailure> {
        self.call(Operation::Quarantine, |tables| {
            let key = (entry.stream.clone(), entry.id.clone());
            if tables.quarantine.contains_key(&key) {
                return Written::Refused;
            }
            if tables.flaw == Some(Flaw::QuarantinesLate) {
                tables.held_back.push(entry.clone());
                return Written::Applied;
            }
            tables.quarantine.insert(key, entry.clone());
            Written::Applied
        })
        .await
    }

    async fn reschedule(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        attempts: u32,
        next_at: UtcMillis,
    ) -> Result<Written, StoreFailure> {
        self.call(Operation::Reschedule, |tables| {
            let Some(entry) = tables.quarantine.get_mut(&(stream.clone(), id.clone())) else {
                return Written::Refused;
            };
            entry.attempts = attempts;
            entry.next_at = next_at;
            Written::Applied
        })
        .await
    }

    async fn resolve(&self, stream: &StreamKey, id: &RecordId, fetched_at: UtcMillis) -> Result<Written, StoreFailure> {
        self.call(Operation::Resolve, |tables| {
            let key = (stream.clone(), id.clone());
            if tables.quarantine.get(&key).is_none_or(|entry| entry.since >= fetched_at) {
                return Written::Refused;
            }
            tables.quarantine.remove(&key);
            Written::Applied
        })
        .await
    }

    async fn source_state(&self, source: SourceKind) -> Result<SourceState, StoreFailure> {
        self.call(Operation::SourceState, |tables| {
            tables.sources.get(&source).map(|item| item.state.clone()).unwrap_or_default()
        })
        .await
    }

    async fn add_failures(&self, source: SourceKind, count: u32) -> Result<u32, StoreFailure> {
        self.on_source(Operation::AddFailures, source, |item| {
            let breaker = &mut item.state.breaker;
            breaker.failure_count = breaker.failure_count.saturating_add(count);
            breaker.failure_count
        })
        .await
    }

    async fn open_breaker(
        &self,
        source: SourceKind,
        until: UtcMillis,
        open_for: Duration,
        why: &str,
    ) -> Result<Written, StoreFailure> {
        self.on_source(Operation::OpenBreaker, source, |item| {
            let breaker = &mut item.state.breaker;
            if breaker.open_until.is_some_and(|open_until| open_until > until) {
                return Written::Refused;
            }
            breaker.open_until = Some(until);
            breaker.open_for = Some(open_for);
            breaker.why = Some(why.to_owned());
            Written::Applied
        })
        .await
    }

    async fn close_breaker(&self, source: SourceKind) -> Result<(), StoreFailure> {
        self.on_source(Operation::CloseBreaker, source, |item| {
            item.state.breaker = Breaker::default();
        })
        .await
    }

    async fn pause_stream(&self, stream: &StreamKey, pause: &Pause) -> Result<(), StoreFailure> {
        self.on_source(Operation::PauseStream, stream.source, |item| {
            item.state.pauses.insert(stream.name.clone(), pause.clone());
        })
        .await
    }

    async fn resume_stream(&self, stream: &StreamKey) -> Result<(), StoreFailure> {
        self.on_source(Operation::ResumeStream, stream.source, |item| {
            item.state.pauses.remove(&stream.name);
        })
        .await
    }

    async fn note_stamp_gap(&self, source: SourceKind, gap: StampGap) -> Result<(), StoreFailure> {
        self.on_source(Operation::NoteStampGap, source, |item| item.state.stamp_gap = Some(gap)).await
    }

    async fn reserve(
        &self,
        source: SourceKind,
        calls: u32,
        interval: Duration,
        now: UtcMillis,
        latest: UtcMillis,
    ) -> Result<Option<UtcMillis>, StoreFailure> {
        self.on_source(Operation::Reserve, source, |item| {
            let first = item.next_call_at.max(now);
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

/// A chunk as a reader sees it.
fn shown(flaw: Option<Flaw>, counter: Option<i64>, chunk: &Chunk) -> Chunk {
    let looks_done = match flaw {
        Some(Flaw::ShowsAllDone) => true,
        Some(Flaw::CountsDown) => counter.is_some_and(|left| left <= 0),
        _ => false,
    };
    let pending = if looks_done { BTreeSet::new() } else { chunk.pending.clone() };
    Chunk { pending, ..chunk.clone() }
}

impl<G: Gate> MemoryTables<G> {
    /// A write to a chunk that requires that the chunk exists.
    async fn on_chunk(
        &self,
        operation: Operation,
        key: &ChunkKey,
        write: impl FnOnce(&mut Chunk) -> Written,
    ) -> Result<Written, StoreFailure> {
        self.call(operation, |tables: &mut Tables| tables.chunks.get_mut(key).map_or(Written::Refused, write)).await
    }

    /// A write to a source's item, which comes into being with the first one.
    async fn on_source<T>(
        &self,
        operation: Operation,
        source: SourceKind,
        write: impl FnOnce(&mut SourceItem) -> T,
    ) -> Result<T, StoreFailure> {
        self.call(operation, |tables| write(tables.sources.entry(source).or_default())).await
    }
}
