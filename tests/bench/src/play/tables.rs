//! Tables in memory that count what each call would cost on DynamoDB, from the sizes of the adapters' own items.
//!
//! A put or a deletion costs the item's size, an update the larger of before and after, a refused one what is there; a
//! write is charged by 1 KB, a read by 4 KB, an eventually consistent one half. Items that stay below 1 KB whatever they
//! hold (the state of a stream, the state of a source) count one unit.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use tidemark_aws::dynamodb::ledger::{chunks, retry};
use tidemark_aws::dynamodb::{checkpoints, records};
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::health::{SourceState, StreamState, Why};
use tidemark_engine::lateness::Lateness;
use tidemark_engine::ports::{Checkpoints, Clock, Ledger, Owed, Records, Stored, StoredVersions, Written};
use tidemark_engine::record::{Look, RecordId, RecordKey, Seen, StoredVersion};
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Next, RetryEntry};
use tidemark_sweep::ports::{Slice, StoredSlices, Sweeps};
use tidemark_sweep::state::{Kept, PieceKey, SweepState};
use tidemark_testkit::memory::{MemoryTables, version_of};

use super::bill::{Bill, figure, read_units, write_units};
use super::time::PlayClock;

/// The most statements of one batch.
const BATCH_STATEMENTS: usize = 25;
/// The most items of one batch read.
const BATCH_READS: usize = 100;
/// The most bytes of items that one query reads.
const QUERY_BYTES: usize = 1_024 * 1_024;

/// Which function calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Poller,
    Fetcher,
}

/// What has been used, and what is stored.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) bill: Bill,
    /// The sizes of the records' items.
    sizes: BTreeMap<RecordKey, usize>,
    /// Records written since the bill was begun.
    written: BTreeSet<RecordKey>,
    /// When each version of the vendor's was first stored, less the time that its message's own calls take.
    pub(crate) stored_at: BTreeMap<u64, LocalMillis>,
}

/// The tables, for one function.
#[derive(Clone)]
pub(crate) struct PlayTables {
    pub(crate) items: MemoryTables,
    pub(crate) meter: Rc<RefCell<Meter>>,
    clock: PlayClock,
    role: Role,
    /// To where this function believes that the schedule of calls is reserved.
    reserved_until: Cell<LocalMillis>,
    /// How long the calls of the message in hand take.
    pub(crate) own_calls: Cell<Duration>,
}

impl PlayTables {
    pub(crate) fn new(clock: PlayClock) -> Self {
        Self {
            items: MemoryTables::new(),
            meter: Rc::default(),
            clock,
            role: Role::Poller,
            reserved_until: Cell::default(),
            own_calls: Cell::default(),
        }
    }

    /// The same tables for another function.
    pub(crate) fn of(&self, role: Role) -> Self {
        Self { role, reserved_until: Cell::default(), ..self.clone() }
    }

    /// The bill so far; begins a new one.
    pub(crate) fn take_bill(&self) -> Bill {
        let mut meter = self.meter.borrow_mut();
        meter.written.clear();
        std::mem::take(&mut meter.bill)
    }

    fn count(&self, count: impl FnOnce(&mut Bill)) {
        count(&mut self.meter.borrow_mut().bill);
    }

    /// Notes requests to the tables.
    fn requests(&self, count: usize) {
        let role = self.role;
        self.count(|bill| match role {
            Role::Poller => bill.poller_requests += figure(count),
            Role::Fetcher => bill.fetcher_requests += figure(count),
        });
    }

    /// Notes one write of one item of the ledger or of a checkpoint.
    fn ledger_write(&self, bytes: usize) {
        self.requests(1);
        self.count(|bill| {
            bill.ledger_writes += write_units(bytes);
            bill.writes_count += 1.0;
        });
    }

    /// Notes one strongly consistent read of the ledger or of a checkpoint.
    fn ledger_read(&self, bytes: usize) {
        self.requests(1);
        self.count(|bill| bill.ledger_reads += read_units(bytes));
    }

    fn chunk_bytes(&self, key: &ChunkKey) -> usize {
        self.items.with(|tables| tables.chunks.get(key).map_or(0, chunks::size_of))
    }

    fn checkpoint_bytes(&self, stream: &StreamKey) -> usize {
        self.items.with(|tables| tables.checkpoints.get(stream).map_or(0, checkpoints::size_of))
    }

    fn entry_bytes(&self, stream: &StreamKey, id: &RecordId) -> usize {
        let key = (stream.clone(), id.clone());
        self.items.with(|tables| tables.retries.get(&key).map_or(0, retry::size_of))
    }

    /// Notes what one look's write takes: a statement, and an update where the statement's guess was wrong.
    fn look(&self, look: &Look, stored: Stored, is_alone: bool) {
        let at = self.clock.now().minus(self.own_calls.get());
        let mut meter = self.meter.borrow_mut();
        let before = meter.sizes.get(&look.key).copied();
        let after = match (&look.seen, before) {
            (Seen::Gone(_), Some(before)) => before,
            _ => records::size_of(look),
        };
        let is_right = is_alone || (stored == Stored::Written && look.is_stored == before.is_some());
        let mut units =
            write_units(if stored == Stored::Written { after.max(before.unwrap_or(0)) } else { before.unwrap_or(0) });
        if !is_right {
            units += write_units(before.unwrap_or(0));
            meter.bill.fetcher_requests += 1.0;
        }
        meter.bill.writes_count += 1.0;
        let is_first = stored == Stored::Written && meter.written.insert(look.key.clone());
        if is_first {
            let own = write_units(after);
            meter.bill.own_writes += own;
            meter.bill.record_bytes += figure(after);
            meter.bill.again_writes += units - own;
        } else {
            meter.bill.again_writes += units;
        }
        if stored == Stored::Written {
            meter.sizes.insert(look.key.clone(), after);
            if let Seen::Record { body, .. } = &look.seen
                && let Some(number) = version_of(body)
            {
                meter.stored_at.entry(number).or_insert(at);
            }
        }
    }
}

impl Checkpoints for PlayTables {
    async fn load(&self, stream: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure> {
        self.ledger_read(self.checkpoint_bytes(stream));
        self.items.load(stream).await
    }

    async fn create(&self, first: &Checkpoint) -> Result<Written, StoreFailure> {
        self.ledger_write(checkpoints::size_of(first));
        self.items.create(first).await
    }

    async fn store(&self, next: &Checkpoint) -> Result<Written, StoreFailure> {
        self.ledger_write(checkpoints::size_of(next).max(self.checkpoint_bytes(&next.stream)));
        Checkpoints::store(&self.items, next).await
    }
}

impl Ledger for PlayTables {
    async fn put_chunks(&self, put: &[Chunk]) -> Result<(), StoreFailure> {
        self.requests(put.len());
        self.count(|bill| {
            bill.ledger_writes += put.iter().map(|chunk| write_units(chunks::size_of(chunk))).sum::<f64>();
            bill.writes_count += figure(put.len());
        });
        self.items.put_chunks(put).await
    }

    async fn head(&self, stream: &StreamKey, lane: Lane, limit: usize) -> Result<Vec<Chunk>, StoreFailure> {
        let found = self.items.head(stream, lane, limit).await?;
        self.ledger_read(found.iter().map(chunks::size_of).sum());
        Ok(found)
    }

    async fn owed(&self, stream: &StreamKey) -> Result<Owed, StoreFailure> {
        let of = |lane| {
            self.items
                .with(|tables| tables.chunks.values().filter(|chunk| chunk.key.lane == lane).map(chunks::size_of).sum())
        };
        for lane in [Lane::Fresh, Lane::Bulk] {
            let units = read_units(of(lane)) / 2.0;
            self.requests(1);
            self.count(|bill| bill.ledger_reads += units);
        }
        self.items.owed(stream).await
    }

    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure> {
        self.ledger_read(self.chunk_bytes(key));
        self.items.chunk(key).await
    }

    async fn mark_sent(&self, key: &ChunkKey, next_at: LocalMillis) -> Result<Written, StoreFailure> {
        self.ledger_write(self.chunk_bytes(key));
        self.items.mark_sent(key, next_at).await
    }

    async fn finish(&self, key: &ChunkKey, gone: &BTreeSet<RecordId>, next: &Next) -> Result<Written, StoreFailure> {
        self.ledger_write(self.chunk_bytes(key));
        self.items.finish(key, gone, next).await
    }

    async fn delete_chunk(&self, key: &ChunkKey) -> Result<(), StoreFailure> {
        self.ledger_write(self.chunk_bytes(key));
        self.items.delete_chunk(key).await
    }

    async fn retry_entries(&self, stream: &StreamKey) -> Result<Vec<RetryEntry>, StoreFailure> {
        let found = self.items.retry_entries(stream).await?;
        self.ledger_read(found.iter().map(retry::size_of).sum());
        Ok(found)
    }

    async fn retry_entry(&self, stream: &StreamKey, id: &RecordId) -> Result<Option<RetryEntry>, StoreFailure> {
        self.ledger_read(self.entry_bytes(stream, id));
        self.items.retry_entry(stream, id).await
    }

    async fn set_aside(&self, entry: &RetryEntry) -> Result<(), StoreFailure> {
        let bytes = retry::size_of(entry).max(self.entry_bytes(&entry.stream, &entry.id));
        for _ in 0..=usize::from(entry.holds.is_some()) {
            self.ledger_write(bytes);
        }
        self.items.set_aside(entry).await
    }

    async fn reschedule(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        attempts: u32,
        next_at: LocalMillis,
    ) -> Result<Written, StoreFailure> {
        self.ledger_write(self.entry_bytes(stream, id));
        self.items.reschedule(stream, id, attempts, next_at).await
    }

    async fn resolve(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        looked_at: LocalMillis,
    ) -> Result<Written, StoreFailure> {
        self.ledger_write(self.entry_bytes(stream, id));
        self.items.resolve(stream, id, looked_at).await
    }

    async fn stream_state(&self, stream: &StreamKey) -> Result<StreamState, StoreFailure> {
        self.ledger_read(0);
        self.items.stream_state(stream).await
    }

    async fn write_mark(&self, stream: &StreamKey, mark: &str) -> Result<(), StoreFailure> {
        self.ledger_write(0);
        self.items.write_mark(stream, mark).await
    }

    async fn note_stored(&self, stream: &StreamKey, at: LocalMillis, late: &Lateness) -> Result<(), StoreFailure> {
        self.ledger_write(0);
        self.items.note_stored(stream, at, late).await
    }

    async fn add_failures(&self, stream: &StreamKey, count: u32) -> Result<u32, StoreFailure> {
        self.ledger_write(0);
        self.items.add_failures(stream, count).await
    }

    async fn pause_stream(&self, stream: &StreamKey, until: LocalMillis, why: &Why) -> Result<Written, StoreFailure> {
        self.ledger_write(0);
        self.items.pause_stream(stream, until, why).await
    }

    async fn resume_stream(&self, stream: &StreamKey) -> Result<(), StoreFailure> {
        self.ledger_write(0);
        self.items.resume_stream(stream).await
    }

    async fn source_state(&self, source: SourceKind) -> Result<SourceState, StoreFailure> {
        self.ledger_read(0);
        self.items.source_state(source).await
    }

    async fn pause_source(
        &self,
        source: SourceKind,
        until: LocalMillis,
        open_for: Duration,
        why: &Why,
    ) -> Result<Written, StoreFailure> {
        self.ledger_write(0);
        self.items.pause_source(source, until, open_for, why).await
    }

    async fn resume_source(&self, source: SourceKind) -> Result<(), StoreFailure> {
        self.ledger_write(0);
        self.items.resume_source(source).await
    }

    async fn note_bulk(&self, stream: &StreamKey, at: LocalMillis) -> Result<(), StoreFailure> {
        self.ledger_write(0);
        self.items.note_bulk(stream, at).await
    }

    async fn reserve(
        &self,
        source: SourceKind,
        calls: u32,
        interval: Duration,
        earliest: LocalMillis,
        latest: LocalMillis,
    ) -> Result<Option<LocalMillis>, StoreFailure> {
        // A write is guessed from what this function knows of the schedule; a wrong guess takes a second one.
        let next_call_at = || {
            self.items
                .with(|tables| tables.sources.get(&source).map_or(LocalMillis::default(), |item| item.next_call_at))
        };
        let is_guessed = (self.reserved_until.get() < earliest) == (next_call_at() < earliest);
        for _ in 0..=usize::from(!is_guessed) {
            self.ledger_write(0);
        }
        let reserved = self.items.reserve(source, calls, interval, earliest, latest).await;
        self.reserved_until.set(next_call_at());
        reserved
    }
}

impl Records for PlayTables {
    async fn store(&self, looks: &[Look]) -> Result<Vec<Stored>, StoreFailure> {
        self.requests(looks.len().div_ceil(BATCH_STATEMENTS));
        let stored = Records::store(&self.items, looks).await?;
        for (look, stored) in looks.iter().zip(&stored) {
            self.look(look, *stored, looks.len() == 1);
        }
        Ok(stored)
    }
}

impl StoredVersions for PlayTables {
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        self.requests(keys.len().div_ceil(BATCH_READS));
        {
            let mut meter = self.meter.borrow_mut();
            let units = |key: &RecordKey| read_units(meter.sizes.get(key).copied().unwrap_or(0)) / 2.0;
            let sum = keys.iter().map(units).sum::<f64>();
            meter.bill.version_reads += sum;
        }
        self.items.versions(keys).await
    }
}

impl StoredSlices for PlayTables {
    async fn slice(&self, records: &StreamKey, after: Option<&RecordId>) -> Result<Slice, StoreFailure> {
        self.requests(1);
        let mut all = Slice { found: Vec::new(), more: true };
        let mut bytes = 0;
        while all.more && bytes < QUERY_BYTES {
            let last = all.found.last().map(|(id, _)| id);
            let Slice { found, more } = self.items.slice(records, last.or(after)).await?;
            let meter = self.meter.borrow();
            let key =
                |id: &RecordId| RecordKey { source: records.source, stream: records.name.clone(), id: id.clone() };
            bytes += found.iter().filter_map(|(id, _)| meter.sizes.get(&key(id))).sum::<usize>();
            all.found.extend(found);
            all.more = more;
        }
        self.meter.borrow_mut().bill.version_reads += read_units(bytes) / 2.0;
        Ok(all)
    }
}

impl Sweeps for PlayTables {
    async fn load_sweep(&self, stream: &StreamKey) -> Result<Option<SweepState>, StoreFailure> {
        self.ledger_read(0);
        self.items.load_sweep(stream).await
    }

    async fn store_sweep(&self, stream: &StreamKey, next: &SweepState) -> Result<Written, StoreFailure> {
        self.ledger_write(0);
        self.items.store_sweep(stream, next).await
    }

    async fn keep(&self, stream: &StreamKey, piece: &PieceKey, ids: &[RecordId]) -> Result<(), StoreFailure> {
        self.ledger_write(ids.iter().map(|id| id.as_str().len()).sum());
        self.items.keep(stream, piece, ids).await
    }

    async fn kept(&self, stream: &StreamKey, sweep: LocalMillis, kept: Kept) -> Result<Vec<RecordId>, StoreFailure> {
        let ids = self.items.kept(stream, sweep, kept).await?;
        self.ledger_read(ids.iter().map(|id| id.as_str().len()).sum());
        Ok(ids)
    }
}
