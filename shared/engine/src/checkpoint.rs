//! The checkpoint: how far a stream got, and the only state that needs fencing.

use std::fmt;
use std::time::Duration;

use crate::run::Run;
use crate::stamp::UtcMillis;
use crate::stream::StreamKey;

/// How long a poller owns its stream without renewing, on the local clock.
pub const LEASE: Duration = Duration::from_mins(3);
/// After how much of a lease a working poller renews it.
pub const LEASE_RENEWAL: Duration = Duration::from_mins(1);
/// How many of a feed's tokens are remembered.
pub const TOKENS_KEPT: usize = 8;

/// A place in a stream: an instant on the vendor's clock, or a feed's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Everything stamped at or before this instant.
    At(UtcMillis),
    /// Everything before this token of a feed.
    Token {
        /// The token, as the vendor gave it; empty before the first.
        text: String,
        /// How many tokens came before it: what makes tokens comparable.
        sequence: i64,
    },
}

impl Position {
    /// What positions of one stream are compared by.
    pub fn order(&self) -> i64 {
        match self {
            Self::At(at) => at.get(),
            Self::Token { sequence, .. } => *sequence,
        }
    }

    /// The instant, when this is one.
    pub fn at(&self) -> Option<UtcMillis> {
        match self {
            Self::At(at) => Some(*at),
            Self::Token { .. } => None,
        }
    }

    /// The token, when this is one and there is one yet.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Token { text, .. } if !text.is_empty() => Some(text),
            Self::Token { .. } | Self::At(_) => None,
        }
    }

    /// The later of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.order() > self.order() { other } else { self }
    }

    /// The earlier of two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if other.order() < self.order() { other } else { self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Token { text, sequence } => write!(f, "token {text} (#{sequence})"),
        }
    }
}

/// A feed's token and when it was first seen, on the local clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenToken {
    /// The token.
    pub position: Position,
    /// When it was first seen.
    pub seen_at: UtcMillis,
}

/// The durable state of a stream.
///
/// Guarantees, kept by the conditions of [`crate::ports::Checkpoints`]: `committed`, `scanned` and `epoch` never go
/// back, `committed <= scanned` (the poller sees to that), and only the poller that holds `epoch` changes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose state this is.
    pub stream: StreamKey,
    /// Everything at or below is stored; enough to recover from when all else is lost.
    pub committed: Position,
    /// Where the next list starts, less the overlap. At or past `committed`; past it while the quarantine holds the
    /// checkpoint.
    pub scanned: Position,
    /// Fencing number; grows with every lease.
    pub epoch: i64,
    /// Until when the stream is owned, on the owner's clock.
    pub lease_until: UtcMillis,
    /// Who owns it: an invocation.
    pub lease_owner: String,
    /// The listing under way, from list to commit.
    pub run: Option<Run>,
    /// When a poll last ended with nothing outstanding: a commit, or a list without news. Local clock.
    pub last_success_at: Option<UtcMillis>,
    /// When the stream last moved: chunks were accepted, a long listing went on, it was sealed, or fewer ids were pending
    /// than at the tick before. Local clock.
    pub last_progress_at: Option<UtcMillis>,
    /// The start of the last listing, but for the first, whose findings are all stored or quarantined. Vendor's clock.
    pub listed_at: Option<UtcMillis>,
    /// Up to when everything is known to be stored, on the vendor's clock: the start of the last listing that left
    /// nothing in quarantine; before there was one, the start of the first listing, since what it owes counts from then.
    /// Lag is measured from here, or from `committed` where that is later.
    pub complete_at: Option<UtcMillis>,
    /// A feed's newest tokens, oldest first.
    pub tokens: Vec<SeenToken>,
}

impl Checkpoint {
    /// The state of a stream that was never polled.
    pub fn first(stream: StreamKey, start: Position) -> Self {
        Self {
            stream,
            committed: start.clone(),
            scanned: start,
            epoch: 0,
            lease_until: UtcMillis::default(),
            lease_owner: String::new(),
            run: None,
            last_success_at: None,
            last_progress_at: None,
            listed_at: None,
            complete_at: None,
            tokens: Vec::new(),
        }
    }
}

/// One conditional write of a checkpoint: what must still hold, and the state that follows.
///
/// Every one requires that `epoch` is still the writer's, and that neither `committed` nor `scanned` goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What else must hold.
    pub guard: Guard,
    /// The state after the write; `next.epoch` is the epoch required.
    pub next: Checkpoint,
}

/// What a [`Transition`] requires of the run that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// There is none (E2, and a poll without news).
    NoRun,
    /// It is this one, with this many chunks accepted (E4, E5).
    Run {
        /// The run.
        run_id: String,
        /// Chunks accepted before this write.
        accepted: u32,
    },
    /// It is this one, and sealed (E12).
    Sealed {
        /// The run.
        run_id: String,
    },
    /// It is this one, in whatever state (E13).
    Abort {
        /// The run.
        run_id: String,
    },
}
