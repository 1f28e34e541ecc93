//! The checkpoint: how far a stream got. One item a stream; only the poller and the operator write it.

use std::time::Duration;

use crate::{LocalMillis, Position, RecordId, StampMillis, StreamKey, StreamTraits};

/// How long a poller owns its stream after each write.
pub const LEASE: Duration = Duration::from_mins(3);
/// How many listings may be under way before two are merged.
pub const BACKLOG_MAX: usize = 4;
/// `behind` before anything is measured: no zone error is larger.
pub const BEHIND_FIRST: Duration = Duration::from_hours(26);
/// `behind` of a stream whose records have no stamps.
pub const BEHIND_UNSTAMPED: Duration = Duration::from_mins(5);

/// The durable state of a stream: section 2 of `docs/protocol.md`. Instants are on the local clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The stream.
    pub stream: StreamKey,
    /// Raised by one with every write.
    pub version: i64,
    /// The next list starts an overlap below this.
    pub scanned: Position,
    /// Everything at or below is stored; never above `scanned`.
    pub committed: Position,
    /// Until when the stream is owned, on the owner's clock.
    pub lease_until: LocalMillis,
    /// Who owns it: an invocation.
    pub lease_owner: String,
    /// What is known of the vendor's clock.
    pub clocks: Clocks,
    /// Listings that were too big for one tick, oldest first.
    pub backlog: Vec<Listing>,
    /// Parts of a snapshot that are listed again, each by itself, from their `begun_at` on.
    pub later: Vec<Listing>,
    /// The mark that the ledger had when this was written; another one there means that the ledger was lost.
    pub ledger_mark: Option<String>,
    /// The account and the settings that this state belongs to.
    pub account_mark: String,
    /// When a list was last read to where it is bounded.
    pub last_success_at: Option<LocalMillis>,
    /// When a listing of the backlog last went on.
    pub last_progress_at: Option<LocalMillis>,
    /// Start of the listing that owes the oldest open work, when the poller last looked; nothing when nothing is owed.
    pub owed_since: Option<LocalMillis>,
    /// The same with what waits in the retry lane and holds the checkpoint.
    pub held_since: Option<LocalMillis>,
    /// Ids put into the bulk lane since it was last empty.
    pub import_count: u64,
}

/// What a stream knows of its vendor's clock. Rules: section 4 of `docs/protocol.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Vendor's clock less local clock in milliseconds, a lower bound, in UTC; none before the first listing.
    pub gap_ms: Option<i64>,
    /// Local start of the listing that `gap_ms` is of: a step back shows by comparing with it.
    pub gap_at: LocalMillis,
    /// The gap that the horizon goes by: falls at once, rises only once a larger gap has lasted an overlap.
    pub held_gap_ms: Option<i64>,
    /// A larger gap that has not lasted an overlap.
    pub raise: Option<Raise>,
    /// How far stamps may lag the vendor's clock.
    pub behind: Duration,
    /// Local start of the newest listing.
    pub listed_at: LocalMillis,
    /// Looks begun before this say nothing about `behind`.
    pub evidence_from: LocalMillis,
}

/// A gap larger than the one that the horizon goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    /// The smallest that was seen since.
    pub gap_ms: i64,
    /// Local end of the call that showed it first.
    pub seen_at: LocalMillis,
}

impl Clocks {
    /// Nothing is known yet.
    pub fn unknown(stamped: bool) -> Self {
        Self { behind: if stamped { BEHIND_FIRST } else { BEHIND_UNSTAMPED }, ..Self::default() }
    }
}

/// A listing that goes on beside the fresh ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What is listed.
    pub scope: Scope,
    /// What `committed` is kept at while it is under way; nothing where an operator asked for it.
    pub holds: Option<Position>,
    /// Where it goes on.
    pub cursor: Cursor,
    /// Local start of its first call. Of a snapshot: what was fetched well after it need not be fetched again.
    pub begun_at: LocalMillis,
}

/// What a listing of the backlog lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The changes from a lower bound on.
    Changes(StampMillis),
    /// Everything there is, for a feed without a usable token.
    Snapshot,
}

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// At its beginning.
    Start,
    /// Behind this id of an id list in id order.
    Id(RecordId),
    /// In the midst of a walk over numbered pages.
    Pages(PageWalk),
    /// Where the source says.
    Source(String),
}

/// A walk over numbered pages: forward, backward, and so on until nothing new shows. The default is its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageWalk {
    /// Passes finished; after an odd number the next one goes backward.
    pub pass: u32,
    /// Steps done of this pass.
    pub step: u32,
    /// Whether this pass met a row that no pass before had met.
    pub added: bool,
    /// How many pages the last forward pass met; none before the first page.
    pub pages: u32,
    /// How many passes before this one, in a row, met nothing new.
    pub barren: u32,
    /// The newest stamp that the first pass met, as long as all rows came in the order of their stamps.
    pub newest: Option<StampMillis>,
    /// Whether the vendor refuses the page behind the last one that was read, although more rows may follow.
    pub is_capped: bool,
    /// The page that the vendor had named and refused: the walk began again for it.
    pub refused: Option<u32>,
}

impl Checkpoint {
    /// The state of a stream that was never polled.
    pub fn first(stream: StreamKey, traits: &StreamTraits, account_mark: String) -> Self {
        Self {
            stream,
            version: 0,
            scanned: traits.first.clone(),
            committed: traits.first.clone(),
            lease_until: LocalMillis::default(),
            lease_owner: String::new(),
            clocks: Clocks::unknown(traits.stamped),
            backlog: Vec::new(),
            later: Vec::new(),
            ledger_mark: None,
            account_mark,
            last_success_at: None,
            last_progress_at: None,
            owed_since: None,
            held_since: None,
            import_count: 0,
        }
    }

    /// Adds a listing to the backlog. One too many merges with the newest: both are begun again from the lower bound.
    pub fn hand_over(&mut self, listing: Listing) {
        let is_full = self.backlog.len() >= BACKLOG_MAX;
        match self.backlog.last_mut().filter(|_| is_full) {
            Some(last) => *last = merged(last, &listing),
            None => self.backlog.push(listing),
        }
    }
}

fn merged(a: &Listing, b: &Listing) -> Listing {
    let scope = match (&a.scope, &b.scope) {
        (Scope::Changes(a), Scope::Changes(b)) => Scope::Changes((*a).min(*b)),
        (Scope::Snapshot, _) | (_, Scope::Snapshot) => Scope::Snapshot,
    };
    let holds = [&a.holds, &b.holds].into_iter().flatten().min().cloned();
    Listing { scope, holds, cursor: Cursor::Start, begun_at: b.begun_at }
}
