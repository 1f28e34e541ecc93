//! A run: one listing and everything it found, from list to commit.

use std::time::Duration;

use crate::checkpoint::Position;
use crate::stamp::UtcMillis;

/// How far before its horizon a run of a stream without stamps commits.
pub const STAMPLESS_MARGIN: Duration = Duration::from_mins(5);
/// How many epochs may have accepted chunks, not all of them finished, into one run before it is begun anew.
pub const SEGMENTS_MAX: usize = 50;
/// How many pages of an ordered list make one run.
pub const ORDERED_PAGES_MAX: u32 = 50;
/// How many passes over moving pages are tried before the run is given up.
pub const PASSES_MAX: u32 = 6;

/// Chunks accepted by one poller: `first` to `end`, the latter excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who accepted them.
    pub epoch: i64,
    /// The first chunk.
    pub first: u32,
    /// The chunk behind the last.
    pub end: u32,
}

/// A listing under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Unique and time-ordered: `<milliseconds>-<epoch>` of its start.
    pub run_id: String,
    /// Where its list started.
    pub from: Position,
    /// The start of its first list call, on the vendor's clock: a commit never passes it, because what was edited
    /// later may not have been listed.
    pub horizon: UtcMillis,
    /// The start of its first list call, on the poller's clock.
    pub listed_at: UtcMillis,
    /// `scanned` when the run began: what a quarantined id of this run holds the checkpoint at.
    pub held_checkpoint: Position,
    /// Chunks accepted so far; the next one's number.
    pub accepted: u32,
    /// Chunks sent so far.
    pub sent: u32,
    /// The first chunk that still has pending ids.
    pub frontier: u32,
    /// The newest stamp stored by the chunks below the frontier, none above the horizon unless all were; for a feed
    /// the token behind the last event.
    pub newest: Option<Position>,
    /// Whether the listing is whole.
    pub sealed: bool,
    /// Where the listing goes on after a pause: the last accepted id, or a page.
    pub cursor: Option<String>,
    /// Who accepted which chunks; together they cover at least `frontier..accepted`.
    pub segments: Vec<Segment>,
    /// Ids accepted so far.
    pub listed_count: u64,
    /// Ids that were pending at the end of the last tick.
    pub pending_count: u64,
    /// The newest stamp that was stored, before this run, of a record that it listed: up to there its stamps tell
    /// nothing new.
    pub known: Option<UtcMillis>,
}

impl Run {
    /// A run that has accepted nothing yet; the instants are those of its first list call, see [`Run::horizon`] and
    /// [`Run::listed_at`].
    pub fn new(
        run_id: String,
        from: Position,
        horizon: UtcMillis,
        listed_at: UtcMillis,
        held_checkpoint: Position,
    ) -> Self {
        Self {
            run_id,
            from,
            horizon,
            listed_at,
            held_checkpoint,
            accepted: 0,
            sent: 0,
            frontier: 0,
            newest: None,
            sealed: false,
            cursor: None,
            segments: Vec::new(),
            listed_count: 0,
            pending_count: 0,
            known: None,
        }
    }

    /// The epoch that accepted chunk `seq`.
    pub fn epoch_of(&self, seq: u32) -> Option<i64> {
        self.segments.iter().find(|s| (s.first..s.end).contains(&seq)).map(|s| s.epoch)
    }

    /// Moves the frontier past its chunk, which is finished; who accepted it does not matter any more.
    pub fn advance(&mut self) {
        self.frontier += 1;
        self.segments.retain(|segment| segment.end > self.frontier);
    }

    /// Notes that `count` more chunks were accepted under `epoch`.
    pub fn accept(&mut self, epoch: i64, count: u32) {
        let first = self.accepted;
        self.accepted = first.saturating_add(count);
        match self.segments.last_mut() {
            Some(last) if last.epoch == epoch => last.end = self.accepted,
            _ => self.segments.push(Segment { epoch, first, end: self.accepted }),
        }
    }
}
