//! Staleness and lag: how old what is stored may be.

use std::time::Duration;

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::health::StreamState;

/// Since when a stream that was never listed counts as stale: for ever.
const NEVER: LocalMillis = LocalMillis::new(0);

/// How a stream stands at an instant of the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How long the list was not read, or nothing of what is owed was stored or listed further: the longer of the two.
    pub staleness: Duration,
    /// How long the oldest work that holds the checkpoint has waited; zero when nothing does.
    pub lag: Duration,
    /// Ids put into the bulk lane since it was last empty.
    pub import_count: u64,
    /// Whether a listing too big for one tick is under way.
    pub is_listing: bool,
}

/// How a stream stands at `now`. Waiting is no progress. A missing checkpoint counts as stale since 1970.
pub fn standing(checkpoint: Option<&Checkpoint>, state: &StreamState, now: LocalMillis) -> Standing {
    let Some(checkpoint) = checkpoint else {
        return Standing { staleness: now.since(NEVER), lag: Duration::ZERO, import_count: 0, is_listing: false };
    };
    let unlisted = now.since(checkpoint.last_success_at.unwrap_or(NEVER));
    let moved_at = checkpoint.owed_since.max(checkpoint.last_progress_at).max(state.last_stored_at);
    let unmoved = checkpoint.owed_since.and(moved_at).map_or(Duration::ZERO, |at| now.since(at));
    Standing {
        staleness: unlisted.max(unmoved),
        lag: checkpoint.held_since.map_or(Duration::ZERO, |since| now.since(since)),
        import_count: checkpoint.import_count,
        is_listing: !checkpoint.backlog.is_empty(),
    }
}
