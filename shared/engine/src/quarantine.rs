//! The quarantine: ids that cannot be stored, and when each is tried again.

use std::time::Duration;

use crate::checkpoint::Position;
use crate::record::RecordId;
use crate::stamp::UtcMillis;
use crate::stream::StreamKey;

/// How many ids of one stream may be in quarantine before it stops listing: more than this is no longer about
/// single records.
pub const QUARANTINE_MAX: usize = 1_000;

/// Why an id is in quarantine of whose deletion a chunk gave reason to doubt.
pub const SEEMS_GONE: &str = "it seems gone, along with many others of its chunk";
/// After so many tries in vain, the last a day after the one before, such a record is believed to be gone.
const TRIES_TO_BELIEVE: u32 = 4;

/// What a quarantined id does to the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoisonPolicy {
    /// `committed` waits for it; `scanned` and fresh records go on. The checkpoint alone is then enough to recover.
    Block,
    /// `committed` goes on; the quarantine is then the only memory of the debt.
    Advance,
}

/// An id that cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its stream.
    pub stream: StreamKey,
    /// The id.
    pub id: RecordId,
    /// Why, without any of the body.
    pub reason: String,
    /// Since when, on the local clock.
    pub since: UtcMillis,
    /// What it holds the checkpoint at under [`PoisonPolicy::Block`].
    pub held_checkpoint: Position,
    /// How often it was tried again.
    pub attempts: u32,
    /// When it is tried again, on the local clock.
    pub next_at: UtcMillis,
}

impl Quarantined {
    /// Whether the record must not be marked deleted yet, though it is not there.
    pub fn is_doubted(&self) -> bool {
        self.reason == SEEMS_GONE && self.attempts < TRIES_TO_BELIEVE
    }

    /// Whether it was tried less than the ladder's first step ago. An id that shows up as news is tried out of turn, but
    /// no more often than that.
    pub fn was_tried_lately(&self, now: UtcMillis) -> bool {
        let tried_at = self.next_at.minus(retry_after(self.attempts));
        now.since(tried_at) < retry_after(0)
    }
}

/// How long after try number `attempts` the next one comes.
pub fn retry_after(attempts: u32) -> Duration {
    Duration::from_secs(match attempts {
        0 => 15 * 60,
        1 => 3600,
        2 => 6 * 3600,
        _ => 24 * 3600,
    })
}
