//! What an operator decides for the poller of a source, and what follows from it.

use std::time::Duration;

use crate::{PoisonPolicy, StreamName, calls_in};

/// The longest that a tick works before it leaves the rest to the next one.
pub const TICK_MAX: Duration = Duration::from_mins(13);

/// The smallest overlap that loses nothing: 30 s until an edit shows in lists, 20 s in details, and 13 s of tolerances.
pub const OVERLAP_MIN: Duration = Duration::from_secs(63);

/// What an operator decides for the poller of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollSettings {
    /// How far below `scanned` a list starts again; see [`OVERLAP_MIN`].
    pub overlap: Duration,
    /// What a retry entry does to the checkpoint.
    pub poison_policy: PoisonPolicy,
    /// The time between two calls that the vendor is asked for.
    pub call_interval: Duration,
    /// The time between two polls of a stream.
    pub poll_interval: Duration,
    /// How long a fetcher may work on one message.
    pub fetcher_timeout: Duration,
    /// The queue's visibility timeout.
    pub visibility_timeout: Duration,
    /// The streams that are turned on.
    pub streams: Vec<StreamName>,
    /// How many ids make a chunk: [`crate::work::CHUNK_IDS`], fewer where a short history is to have many chunks.
    pub chunk_ids: usize,
}

impl PollSettings {
    /// How many calls the vendor's rate has room for in `span`, one at least.
    pub(super) fn calls_in(&self, span: Duration) -> usize {
        calls_in(span, self.call_interval)
    }

    /// How many chunks of one listing are fresh; the rest is handed over. Half an interval's calls.
    pub(super) fn fresh_chunks(&self) -> usize {
        (self.calls_in(self.poll_interval / 2) / self.chunk_ids).max(1)
    }

    /// After how long a chunk that was sent, and is not finished, is sent again.
    pub fn patience(&self) -> Duration {
        self.visibility_timeout.saturating_mul(2)
    }
}
