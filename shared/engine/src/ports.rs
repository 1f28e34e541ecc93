//! What the engine asks of the world. Each method's guarantees are law: `tidemark_testkit::contract` holds every
//! implementation to them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::breaker::{Pause, SourceState, StampGap};
use crate::change::{Detail, ListRequest, Page};
use crate::checkpoint::{Checkpoint, Position, Transition};
use crate::chunk::{Chunk, ChunkKey, Finish};
use crate::failure::{SourceFailure, StoreFailure};
use crate::message::Message;
use crate::quarantine::Quarantined;
use crate::record::{Record, RecordId, RecordKey, StoredVersion, Tombstone};
use crate::stamp::UtcMillis;
use crate::stream::{SourceKind, StreamKey, StreamName, StreamTraits};
use crate::watch::Measurement;

/// A vendor. It never sees a checkpoint, a queue or a retry loop.
pub trait Source {
    /// Which vendor this is.
    fn kind(&self) -> SourceKind;

    /// Its streams, whether turned on or not.
    fn streams(&self) -> &[StreamTraits];

    /// Lists one page of changes. Reads only; every call is a fresh, freshly signed request, tried once.
    ///
    /// # Errors
    /// A failure of any class but [`crate::failure::FailureClass::Record`]. Whatever is not a well-formed list is a
    /// failure, never an empty page.
    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure>;

    /// Fetches one record. Reads only; tried once, but for one renewal of a rejected credential.
    ///
    /// # Errors
    /// A failure of any class but [`crate::failure::FailureClass::TokenRejected`].
    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure>;

    /// The record that a ledger id stands for: itself, but for a feed, whose ids are locators.
    ///
    /// # Errors
    /// [`crate::failure::FailureClass::Record`] when the locator is not one of ours.
    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        Ok((stream.clone(), id.clone()))
    }
}

/// The credential of a source.
pub trait Credentials {
    /// The secret's JSON text; remembered for a few minutes.
    ///
    /// # Errors
    /// Unauthorized or transient, with the secret's name and never its value.
    async fn secret(&self) -> Result<secrecy::SecretString, SourceFailure>;

    /// The same, read anew: for a credential that the vendor has just rejected.
    ///
    /// # Errors
    /// As [`Credentials::secret`].
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

/// What became of an attempt to own a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The stream is owned; the state as it is now, with the new epoch.
    Held(Box<Checkpoint>),
    /// Another poller owns it, until then on its clock.
    Busy(UtcMillis),
    /// There is no such stream yet.
    Missing,
}

/// The checkpoints. Every write is one conditional update of one item.
pub trait Checkpoints {
    /// The state of a stream, strongly consistent.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn load(&self, stream: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure>;

    /// E0: creates the state of a stream that has none, `committed = scanned = start`. Refused when there is one.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn create(&self, stream: &StreamKey, start: &Position) -> Result<Written, StoreFailure>;

    /// E1: takes the lease for `owner` until `until`, if it is free at `now` or already `owner`'s, and raises the epoch to
    /// `if_not_exists(epoch, now_ms) + 1`. Safe to arrive twice: the later epoch is the one returned.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn acquire(
        &self,
        stream: &StreamKey,
        owner: &str,
        now: UtcMillis,
        until: UtcMillis,
    ) -> Result<Acquired, StoreFailure>;

    /// E2, E4, E5, E12, E13: replaces the state by `transition.next`, if the stored epoch is `next.epoch`, the guard
    /// holds, and neither position goes back.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn store(&self, transition: &Transition) -> Result<Written, StoreFailure>;
}

/// The ledger: chunks, quarantine, and what the functions of a source share.
pub trait Ledger {
    /// E3: puts the chunks, all of them or an error; some may then be there. Putting one again is harmless only before
    /// it is accepted.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn put_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreFailure>;

    /// The chunks `first` to `end` (excluded) of a run, of every epoch, by number. Strongly consistent.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn chunks(&self, stream: &StreamKey, run: &str, first: u32, end: u32) -> Result<Vec<Chunk>, StoreFailure>;

    /// One chunk, strongly consistent.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure>;

    /// Notes that a chunk was sent and becomes visible at `sent_at`; it is no longer parked. Refused when there is no
    /// such chunk.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn mark_sent(&self, key: &ChunkKey, sent_at: UtcMillis) -> Result<Written, StoreFailure>;

    /// E6: takes `done` out of `pending` and `poisoned`, adds the stamp, notes what was left over. Idempotent and
    /// commutative. Refused when there is no such chunk.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn finish(&self, key: &ChunkKey, finish: &Finish) -> Result<Written, StoreFailure>;

    /// E7: moves a pending id to `poisoned`. Refused when it is not pending.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn poison(&self, key: &ChunkKey, id: &RecordId, reason: &str) -> Result<Written, StoreFailure>;

    /// Notes which id a fetcher is alone with, for the `receives`th time in a row.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn mark_trying(&self, key: &ChunkKey, id: &RecordId, receives: u32) -> Result<Written, StoreFailure>;

    /// The quarantine of a stream, by id. Strongly consistent.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn quarantined(&self, stream: &StreamKey) -> Result<Vec<Quarantined>, StoreFailure>;

    /// E10: puts an id into quarantine. Refused when it is there: the earliest held checkpoint wins.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn quarantine(&self, entry: &Quarantined) -> Result<Written, StoreFailure>;

    /// Notes that a quarantined id was sent again. Refused when it is no longer there.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn reschedule(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        attempts: u32,
        next_at: UtcMillis,
    ) -> Result<Written, StoreFailure>;

    /// E11: takes an id out of quarantine, if it went in before `fetched_at`.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn resolve(&self, stream: &StreamKey, id: &RecordId, fetched_at: UtcMillis) -> Result<Written, StoreFailure>;

    /// What the functions of a source share. Strongly consistent.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn source_state(&self, source: SourceKind) -> Result<SourceState, StoreFailure>;

    /// Adds failures in a row and returns how many there are now. A repeated arrival counts twice, which errs on the
    /// gentle side.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn add_failures(&self, source: SourceKind, count: u32) -> Result<u32, StoreFailure>;

    /// Opens the breaker until `until`, unless it is open for longer.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn open_breaker(
        &self,
        source: SourceKind,
        until: UtcMillis,
        open_for: Duration,
        why: &str,
    ) -> Result<Written, StoreFailure>;

    /// Closes the breaker and forgets its failures.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn close_breaker(&self, source: SourceKind) -> Result<(), StoreFailure>;

    /// Pauses a stream.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn pause_stream(&self, stream: &StreamKey, pause: &Pause) -> Result<(), StoreFailure>;

    /// Ends a stream's pause.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn resume_stream(&self, stream: &StreamKey) -> Result<(), StoreFailure>;

    /// Notes the gap between stamps and the vendor's clock.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn note_stamp_gap(&self, source: SourceKind, gap: StampGap) -> Result<(), StoreFailure>;

    /// Reserves `calls` calls, each `interval` long, on the source's shared schedule: returns the instant the first may
    /// be made, or none, reserving nothing, when that would be after `latest`. Reservations never overlap.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn reserve(
        &self,
        source: SourceKind,
        calls: u32,
        interval: Duration,
        now: UtcMillis,
        latest: UtcMillis,
    ) -> Result<Option<UtcMillis>, StoreFailure>;
}

/// What became of a write to the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The record is this version now.
    Written,
    /// A newer version was there already, which is as good.
    Superseded,
}

/// The records, for the one who writes them.
///
/// Versions are ordered by (stamp, fetch start). A stored record without a stamp gives way to any later fetch; an
/// incoming one without a stamp needs a later fetch and keeps the stored stamp. A tombstone gives way to a later fetch
/// and to nothing else: when it was found, the vendor had no such record, whatever an earlier fetch had seen.
pub trait Records {
    /// E8: stores a version, unless a newer one is there. Idempotent.
    ///
    /// # Errors
    /// Any [`StoreFailure`]; `Large` when the record does not fit.
    async fn upsert(&self, record: &Record) -> Result<Stored, StoreFailure>;

    /// E9: marks a record as gone, unless it was fetched later. Body and stamp stay. Idempotent.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn tombstone(&self, tombstone: &Tombstone) -> Result<Stored, StoreFailure>;
}

/// The records, for the one who may only know which versions are stored.
pub trait StoredVersions {
    /// The stored versions of these records; missing ones are left out. Eventually consistent: an older version than
    /// the stored one may be seen.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
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
    /// Sends messages and returns how many from the front were accepted; those behind may have been sent too.
    ///
    /// # Errors
    /// Any [`StoreFailure`], when nothing is known of any.
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure>;
}

/// The local clock, and waiting by it.
pub trait Clock {
    /// Now, on the local clock.
    fn now(&self) -> UtcMillis;

    /// Comes back after `span`.
    async fn sleep(&self, span: Duration);
}

/// A source of chance, for jitter.
pub trait Random {
    /// A number from 0 to `bound`, the latter excluded; 0 when `bound` is 0.
    fn below(&self, bound: u64) -> u64;
}

/// Where the watcher's figures go.
pub trait Measurements {
    /// Publishes the figures, all of them or an error.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    async fn publish(&self, measurements: &[Measurement]) -> Result<(), StoreFailure>;
}
