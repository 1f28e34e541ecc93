//! Owed work: chunks of ids, and the retry lane.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use derive_more::Display;
use strum::{EnumString, IntoStaticStr};

use crate::{Body, LocalMillis, Position, RecordId, Rule, StreamKey};

/// The most ids that one chunk holds.
pub const CHUNK_IDS: usize = 50;
/// The most bytes of rows, or of events, that one chunk carries: a queue message holds 256 KiB, ids included.
pub const CHUNK_BYTES: usize = 220 * 1024;
/// So many of a chunk's records may vanish without a doubt about the vendor's answers.
pub const VANISHED_MAX: usize = 5;
/// A longer row travels as its id and is fetched.
pub const ROW_BYTES_MAX: usize = 200 * 1024;
/// How many ids of one stream may be in the retry lane before it stops listing.
pub const RETRY_MAX: usize = 1_000;
/// How long a record must seem gone before it is believed, where many seemed gone at once.
pub const GONE_BELIEVED_AFTER: Duration = Duration::from_hours(31);
/// After so many tries a retry entry no longer holds the checkpoint under [`PoisonPolicy::Advance`].
pub const TRIES_TO_ADVANCE: u32 = 5;
/// How far details may lag behind the event that announces them, on the local clock.
pub const DETAILS_LAG: Duration = Duration::from_secs(20);
/// How far clocks of pollers and fetchers are apart as a rule: a fetcher waits so long with a message that is early.
pub(crate) const HOST_CLOCKS_APART: Duration = Duration::from_secs(2);
/// The longest time between two tries of one id.
pub const RETRY_MAX_AFTER: Duration = Duration::from_hours(24);

/// Which chunks go first: what just changed, or imports and backfills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Lane {
    /// What a listing found first.
    Fresh,
    /// What was handed over.
    Bulk,
}

impl Lane {
    /// The name used in keys.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Where a chunk is kept: `lane#holds#version#seq`, numbers padded, so that each lane is sorted by `holds`.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[display("{stream} {}", self.sort_key())]
pub struct ChunkKey {
    /// The stream.
    pub stream: StreamKey,
    /// The lane.
    pub lane: Lane,
    /// The order of what the chunk holds; the largest number when it holds nothing.
    pub holds_order: i64,
    /// The checkpoint version that the tick's lease wrote: two pollers never write the same key.
    pub version: i64,
    /// Its number in the tick.
    pub seq: u32,
}

/// Shifts the order of positions so that it sorts as text.
const ORDER_ZERO: i128 = 1 << 63;

impl ChunkKey {
    /// The key of a chunk that holds `holds`.
    pub fn new(stream: StreamKey, lane: Lane, holds: Option<&Position>, version: i64, seq: u32) -> Self {
        Self { stream, lane, holds_order: holds.map_or(i64::MAX, Position::order), version, seq }
    }

    /// The sort key in the ledger.
    pub fn sort_key(&self) -> String {
        let order = i128::from(self.holds_order) + ORDER_ZERO;
        format!("{}#{order:020}#{:015}#{:06}", self.lane.as_str(), self.version, self.seq)
    }

    /// Reads a sort key; none when it is not the key of a chunk.
    pub fn parse(stream: StreamKey, text: &str) -> Option<Self> {
        let mut parts = text.split('#');
        let lane = parts.next()?.parse().ok()?;
        let order: i128 = parts.next()?.parse().ok()?;
        let holds_order = i64::try_from(order.checked_sub(ORDER_ZERO)?).ok()?;
        let (version, seq) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let key = Self { stream, lane, holds_order, version, seq };
        (key.sort_key() == text).then_some(key)
    }
}

/// Ids that are owed a fetch. The set only shrinks; an empty chunk is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it is kept.
    pub key: ChunkKey,
    /// What it keeps `committed` at: `scanned` when its listing began; nothing for an operator's work.
    pub holds: Option<Position>,
    /// The ids still owed.
    pub ids: BTreeSet<RecordId>,
    /// Local start of the list call that found them: a stored look begun at or after it has paid for an id.
    pub listed_at: LocalMillis,
    /// When it is sent, or sent again, on the local clock.
    pub next_at: LocalMillis,
    /// What else the list said about the ids.
    pub told: Told,
    /// The id that a fetcher last was alone with, after an earlier delivery had crashed.
    pub trying: Option<Trying>,
}

impl Chunk {
    /// From when on a look pays for its ids: when they were listed, or when details cannot lag behind a feed any more.
    pub fn pays_from(&self) -> LocalMillis {
        match &self.told {
            Told::Events(_) if !Rule::DetailsLag.is_left_out() => self.listed_at.plus(DETAILS_LAG),
            Told::Events(_) | Told::Ids | Told::Rows => self.listed_at,
        }
    }
}

/// What a chunk's list said about its ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: each id is fetched.
    Ids,
    /// Whole rows, which travel in the chunk's first message; without it each id is fetched.
    Rows,
    /// The newest event of each id.
    Events(BTreeMap<RecordId, Event>),
}

/// The newest event about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it says that the record was deleted.
    pub deleted: bool,
    /// The event, JSON as the vendor sent it.
    pub body: Option<Body>,
}

/// An id that is tried by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trying {
    /// Which.
    pub id: RecordId,
    /// For the how-manieth time in a row.
    pub times: u32,
}

/// What a retry entry does to the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoisonPolicy {
    /// `committed` waits for it: the checkpoint alone is enough to recover.
    Block,
    /// After [`TRIES_TO_ADVANCE`] tries `committed` goes on: the entry is the only memory of the debt.
    Advance,
}

/// An id that could not be fetched or stored, and is tried again by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryEntry {
    /// Its stream.
    pub stream: StreamKey,
    /// The id.
    pub id: RecordId,
    /// Why it is here.
    pub reason: Reason,
    /// What happened last, in words, without any of the body.
    pub cause: String,
    /// Since when, on the local clock: for [`Reason::SeemsGone`] since the look that raised the doubt.
    pub since: LocalMillis,
    /// What it keeps `committed` at; only falls.
    pub holds: Option<Position>,
    /// Start of the newest failing look, on the local clock; only rises. A stored look begun later pays for the id.
    pub listed_at: LocalMillis,
    /// How often it was sent again.
    pub attempts: u32,
    /// When it is sent again, on the local clock.
    pub next_at: LocalMillis,
}

/// Why an id is in the retry lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The source failed while this record was asked for.
    Outage,
    /// The vendor's answer about this record cannot be used.
    Record,
    /// The record does not fit into the table.
    Unstorable,
    /// The fetcher died several times while it was alone with it.
    Crash,
    /// It seems gone, along with many others of its chunk.
    SeemsGone,
    /// An operator asked for it.
    Asked,
}

impl Reason {
    /// Every one of them.
    pub const ALL: [Self; 6] =
        [Self::Outage, Self::Record, Self::Unstorable, Self::Crash, Self::SeemsGone, Self::Asked];

    /// The name kept in the ledger.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl RetryEntry {
    /// Whether it keeps `committed` where it is.
    pub fn blocks(&self, policy: PoisonPolicy) -> bool {
        policy == PoisonPolicy::Block || self.attempts < TRIES_TO_ADVANCE
    }

    /// Whether a person should hear of it: at the third try, or at once where waiting heals nothing.
    pub fn needs_attention(&self) -> bool {
        !matches!(self.reason, Reason::Outage | Reason::Asked) || self.attempts >= 3
    }
}

/// How long after try number `attempts` the next one comes: 1, 2, 4 .. minutes, at most a day.
pub fn retry_after(attempts: u32) -> Duration {
    Duration::from_mins(1 << attempts.min(20)).min(RETRY_MAX_AFTER)
}

/// What happens next to the ids of a chunk that are not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// They are sent again at this time.
    SentAt(LocalMillis),
    /// One of them is tried by itself.
    Tried(Trying),
}
