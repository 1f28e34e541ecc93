//! What the engine asks of the world.
//!
//! Each method's guarantees are law: `tidemark_testkit::contract` holds every implementation to them. Where nothing
//! else is said, an error is any [`StoreFailure`], and the call may have taken effect. L1 to R1: section 3 of
//! `docs/protocol.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{
    Body, Checkpoint, Chunk, ChunkKey, Detail, Lane, Lateness, Later, ListRequest, LocalMillis, Look, Message, Next,
    Page, RecordId, RecordKey, RetryEntry, SourceFailure, SourceKind, SourceState, Stamp, StampMillis, StoreFailure,
    StoredVersion, StreamKey, StreamName, StreamState, StreamTraits, VendorMillis, Why,
};

/// A vendor. It never sees a checkpoint, a queue or a retry loop.
pub trait Source {
    /// Which vendor this is.
    fn kind(&self) -> SourceKind;
    /// Its streams, whether turned on or not.
    fn streams(&self) -> &[StreamTraits];
    /// Lists one page of changes, in one freshly signed request, tried once. Whatever is not a well-formed list is a
    /// failure, of any class but `Record`, never an empty page.
    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure>;
    /// Fetches one record; tried once, but for one renewal of a rejected credential. Any class but `TokenRejected`.
    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure>;
    /// A digest of the base URL, the key's id where it has one, and every setting that changes what a list shows or how
    /// stamps are read. Fails as a credential that cannot be read.
    async fn account_mark(&self) -> Result<String, SourceFailure>;
    /// An instant of the vendor's clock as its stamps show it. The time zone is used here and for [`Stamp::utc`] alone.
    fn reading(&self, at: VendorMillis) -> StampMillis;
    /// Reads a stamp of this stream once more, from the text that is stored.
    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp>;
    /// The record that a listed id stands for: itself, but for a feed, whose ids are locators.
    ///
    /// # Errors
    /// [`crate::failure::FailureClass::Record`] when the locator is not one of this source's.
    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        Ok((stream.clone(), id.clone()))
    }

    /// The part of a snapshot at a cursor, by itself, and where the others go on. None if it has no parts.
    fn apart(&self, _cursor: Option<&str>) -> Option<(Later, Option<String>)> {
        None
    }

    /// The event that stands for two of one record, none of which was stored yet: the later one, with what the earlier
    /// one alone says.
    fn joined_event(&self, _earlier: &Body, later: &Body) -> Body {
        later.clone()
    }
}

/// The credential of a source.
pub trait Credentials {
    /// The secret's JSON text; remembered for a few minutes. Fails as unauthorized or transient, naming the secret.
    async fn secret(&self) -> Result<secrecy::SecretString, SourceFailure>;
    /// The same, read again: for a credential that the vendor has just rejected.
    async fn fresh_secret(&self) -> Result<secrecy::SecretString, SourceFailure>;
}

/// Whether a conditional write took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Applied,
    /// Its condition did not hold. After a lost answer this may also be the second arrival of a write that did.
    Refused,
}

/// The checkpoints. Every write is one conditional write of one item.
pub trait Checkpoints {
    /// The state of a stream, strongly consistent. `Malformed` for another schema version.
    async fn load(&self, stream: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure>;
    /// Creates the state of a stream that has none. Refused when there is one.
    async fn create(&self, first: &Checkpoint) -> Result<Written, StoreFailure>;
    /// C1, C2: replaces the state by `next` if the stored version is `next.version - 1`.
    async fn store(&self, next: &Checkpoint) -> Result<Written, StoreFailure>;
}

/// How much of a stream is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Ids in the fresh lane.
    pub fresh_count: u64,
    /// Ids in the bulk lane.
    pub bulk_count: u64,
}

/// The ledger: owed work, the retry lane, and what functions share.
///
/// Writes to what does not exist are refused and create nothing. Reads are strongly consistent.
pub trait Ledger {
    /// L1: puts the chunks, all of them or an error; some may then be there. Putting one again is harmless.
    async fn put_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreFailure>;
    /// The first `limit` chunks of a lane, in key order.
    async fn head(&self, stream: &StreamKey, lane: Lane, limit: usize) -> Result<Vec<Chunk>, StoreFailure>;
    /// How many ids the lanes owe, for a report. May be eventually consistent.
    async fn owed(&self, stream: &StreamKey) -> Result<Owed, StoreFailure>;
    /// One chunk.
    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure>;
    /// L2: notes when a chunk that is sent now is sent again.
    async fn mark_sent(&self, key: &ChunkKey, next_at: LocalMillis) -> Result<Written, StoreFailure>;
    /// L3: takes ids that are finished out of a chunk, and notes what is next. Idempotent.
    async fn finish(&self, key: &ChunkKey, gone: &BTreeSet<RecordId>, next: &Next) -> Result<Written, StoreFailure>;
    /// L4: deletes a chunk whose ids are all finished.
    async fn delete_chunk(&self, key: &ChunkKey) -> Result<(), StoreFailure>;
    /// The retry lane of a stream, by id.
    async fn retry_entries(&self, stream: &StreamKey) -> Result<Vec<RetryEntry>, StoreFailure>;
    /// One entry of the retry lane.
    async fn retry_entry(&self, stream: &StreamKey, id: &RecordId) -> Result<Option<RetryEntry>, StoreFailure>;
    /// L5, L6: puts an id into the retry lane. Where it is there already, `listed_at`, `since`, reason and cause are
    /// raised to the newer failure and `holds` falls to the lower one, each by itself; the rest stays.
    async fn set_aside(&self, entry: &RetryEntry) -> Result<(), StoreFailure>;
    /// L2 of the retry lane: notes that an entry is sent now.
    async fn reschedule(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        attempts: u32,
        next_at: LocalMillis,
    ) -> Result<Written, StoreFailure>;
    /// L7: deletes an entry of the retry lane, if its `listed_at` is before `looked_at`.
    async fn resolve(&self, stream: &StreamKey, id: &RecordId, looked_at: LocalMillis)
    -> Result<Written, StoreFailure>;
    /// What the functions of a stream share.
    async fn stream_state(&self, stream: &StreamKey) -> Result<StreamState, StoreFailure>;
    /// Writes the ledger's mark of a stream.
    async fn write_mark(&self, stream: &StreamKey, mark: &str) -> Result<(), StoreFailure>;
    /// L8: notes that something of the stream was stored at `at`; only rises, and with it adds how late that showed.
    async fn note_stored(&self, stream: &StreamKey, at: LocalMillis, late: &Lateness) -> Result<(), StoreFailure>;
    /// Adds failures in a row of a stream and returns how many there are now. A repeated arrival counts twice, which
    /// errs on the gentle side.
    async fn add_failures(&self, stream: &StreamKey, count: u32) -> Result<u32, StoreFailure>;
    /// Pauses a stream until `until`, unless it is paused for longer.
    async fn pause_stream(&self, stream: &StreamKey, until: LocalMillis, why: &Why) -> Result<Written, StoreFailure>;
    /// Ends a stream's pause and forgets its failures.
    async fn resume_stream(&self, stream: &StreamKey) -> Result<(), StoreFailure>;
    /// What the functions of a source share.
    async fn source_state(&self, source: SourceKind) -> Result<SourceState, StoreFailure>;
    /// Pauses a source until `until`, unless it is paused for longer; `open_for` is how long that is.
    async fn pause_source(
        &self,
        source: SourceKind,
        until: LocalMillis,
        open_for: Duration,
        why: &Why,
    ) -> Result<Written, StoreFailure>;
    /// Ends a source's pause.
    async fn resume_source(&self, source: SourceKind) -> Result<(), StoreFailure>;
    /// Notes that a stream has bulk work at `at`.
    async fn note_bulk(&self, stream: &StreamKey, at: LocalMillis) -> Result<(), StoreFailure>;
    /// Reserves `calls` calls, each `interval` long, on the source's shared schedule; reservations never overlap. The
    /// instant of the first, at or after `earliest`; none, and nothing reserved, when it would be after `latest`.
    async fn reserve(
        &self,
        source: SourceKind,
        calls: u32,
        interval: Duration,
        earliest: LocalMillis,
        latest: LocalMillis,
    ) -> Result<Option<LocalMillis>, StoreFailure>;
}

/// What became of one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The record is this version now.
    Written,
    /// A later look was there already, which is as good.
    Superseded,
    /// Its so many bytes do not fit into the table; nothing was written.
    TooLarge(usize),
}

/// The records, for the one who writes them.
pub trait Records {
    /// R1: stores each look, unless the stored one began at or after it; what became of each, in their order. A
    /// tombstone leaves body and stamp. Idempotent. No two are about one record. After an error some may be stored.
    async fn store(&self, looks: &[Look]) -> Result<Vec<Stored>, StoreFailure>;
}

/// The records, for the one who may only know which versions are stored.
pub trait StoredVersions {
    /// The stored versions of these records; missing ones are left out. Eventually consistent: an older version than
    /// the stored one may be seen.
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure>;
}

/// A message and how long it stays invisible after it was sent, up to 15 minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The message.
    pub message: Message,
    /// How long it stays invisible.
    pub delay: Duration,
}

/// The change queue, for the one who sends. Delivery is at least once, in any order.
pub trait ChangeQueue {
    /// Sends messages and returns how many from the front were accepted; those behind may have been sent too. After an
    /// error nothing is known of any.
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure>;
}

/// The local clock, and waiting by it.
pub trait Clock {
    /// Now.
    fn now(&self) -> LocalMillis;
    /// Comes back after `span`.
    async fn sleep(&self, span: Duration);
}

/// A source of chance, for jitter and marks.
pub trait Random {
    /// A number from 0 to `bound`, the latter excluded; 0 when `bound` is 0.
    fn below(&self, bound: u64) -> u64;
}

/// What poller and fetcher alike ask of the world.
pub trait Ports {
    /// The vendor.
    fn source(&self) -> &impl Source;
    /// The ledger.
    fn ledger(&self) -> &impl Ledger;
    /// The stored versions.
    fn versions(&self) -> &impl StoredVersions;
    /// The clock.
    fn clock(&self) -> &impl Clock;
    /// Chance.
    fn random(&self) -> &impl Random;

    /// The stored versions of a stream's listed ids, by id; missing ones are left out. So is a locator that names no
    /// record: the fetcher says what is wrong with it.
    async fn versions_of<'i>(
        &self,
        stream: &StreamName,
        listed: impl Iterator<Item = &'i RecordId>,
    ) -> Result<BTreeMap<RecordId, StoredVersion>, StoreFailure> {
        let source = self.source();
        let mut ids = BTreeMap::new();
        for id in listed {
            if let Ok((stream, record)) = source.record_of(stream, id) {
                ids.insert(RecordKey { source: source.kind(), stream, id: record }, id);
            }
        }
        let keys: Vec<RecordKey> = ids.keys().cloned().collect();
        let stored = self.versions().versions(&keys).await?;
        Ok(stored.into_iter().filter_map(|(key, version)| ids.get(&key).map(|id| ((*id).clone(), version))).collect())
    }
}
