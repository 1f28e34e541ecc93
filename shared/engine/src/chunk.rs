//! A chunk: up to 50 ids of a run, one queue message and one ledger item.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::checkpoint::Position;
use crate::record::RecordId;
use crate::stamp::UtcMillis;
use crate::stream::StreamKey;

/// The most ids that one chunk holds.
pub const CHUNK_IDS: u32 = 50;
/// The most bytes of rows that one chunk's message carries, leaving room for ids in a queue message of 256 KiB.
pub const CHUNK_ROW_BYTES: usize = 220 * 1024;
/// A longer row travels as its id and is fetched.
pub const ROW_BYTES_MAX: usize = 200 * 1024;
/// How long a chunk is kept: longer than a message can live in both queues.
pub const CHUNK_KEPT: Duration = Duration::from_hours(90 * 24);
/// The run that retries of quarantined ids are kept under.
pub const RETRY_RUN: &str = "retry";

/// Where a chunk is kept. Two pollers never write the same one, because the epoch is part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// The stream.
    pub stream: StreamKey,
    /// The run's id, or [`RETRY_RUN`].
    pub run: String,
    /// Its number in the run.
    pub seq: u32,
    /// The epoch of the poller that made it.
    pub epoch: i64,
}

impl fmt::Display for ChunkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}/{:08}#{}", self.stream, self.run, self.seq, self.epoch)
    }
}

/// The ledger's item of a chunk. `pending` and `poisoned` only shrink, but for the move from one to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it is kept.
    pub key: ChunkKey,
    /// The run's horizon, on the vendor's clock.
    pub horizon: UtcMillis,
    /// When the list call that told of its ids was started, on the poller's clock.
    pub listed_at: UtcMillis,
    /// What an id of this chunk holds the checkpoint at once it is quarantined.
    pub held_checkpoint: Position,
    /// Ids neither stored nor quarantined yet.
    pub pending: BTreeSet<RecordId>,
    /// Ids that cannot be stored, each with the reason.
    pub poisoned: BTreeMap<RecordId, String>,
    /// The newest stamp stored by each attempt: the newest at or before the horizon, or the horizon if all were newer.
    pub stamps: BTreeSet<UtcMillis>,
    /// Whether its message carries rows.
    pub has_rows: bool,
    /// When its message became or becomes visible, on the poller's clock; none before it is sent.
    pub sent_at: Option<UtcMillis>,
    /// How often it was sent.
    pub send_count: u32,
    /// Whether a fetcher left ids over on purpose: the next tick sends it again.
    pub parked: bool,
    /// How many of its ids seemed gone when a fetcher withheld their tombstones; the run is begun anew.
    pub withheld_count: u32,
    /// The id that a fetcher was alone with when it last began one, after earlier deliveries had failed.
    pub trying: Option<RecordId>,
    /// How often in a row that was the same id.
    pub receives: u32,
}

impl Chunk {
    /// A chunk that nobody has worked on and that is not sent yet; ids of rows are told from others by `has_rows`.
    pub fn new(
        key: ChunkKey,
        horizon: UtcMillis,
        listed_at: UtcMillis,
        held_checkpoint: Position,
        pending: BTreeSet<RecordId>,
    ) -> Self {
        Self {
            key,
            horizon,
            listed_at,
            held_checkpoint,
            pending,
            poisoned: BTreeMap::new(),
            stamps: BTreeSet::new(),
            has_rows: false,
            sent_at: None,
            send_count: 0,
            parked: false,
            withheld_count: 0,
            trying: None,
            receives: 0,
        }
    }

    /// The same, sent for the first time, or about to be: its message becomes visible then.
    #[must_use]
    pub fn sent(self, sent_at: Option<UtcMillis>) -> Self {
        Self { sent_at, send_count: u32::from(sent_at.is_some()), ..self }
    }

    /// Whether every id is stored or quarantined.
    pub fn is_done(&self) -> bool {
        self.pending.is_empty()
    }
}

/// What a fetcher writes of a chunk when it ends: one idempotent update (E6), whatever became of the ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    /// Ids that are stored.
    pub done: BTreeSet<RecordId>,
    /// The newest stamp stored by this attempt (see [`Chunk::stamps`]).
    pub stamp: Option<UtcMillis>,
    /// Whether ids were left over on purpose.
    pub parked: bool,
    /// How many tombstones were withheld.
    pub withheld_count: u32,
}
