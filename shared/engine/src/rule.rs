//! Rules that can be left out, so that tests can show that they would be missed.
//!
//! Each variant is a wrong protocol of `docs/protocol.md`, named by the rule that it lacks. Only with the feature
//! `mutants`, which the testkit alone asks for, can a rule be left out at all; without it every question below is answered
//! "no" when the program is compiled.

#[cfg(feature = "mutants")]
use std::cell::Cell;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule of the protocol, at the one place where it is kept.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        #[cfg(feature = "mutants")]
        impl Rule {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

rules! {
    /// A list starts an overlap below `scanned`.
    Overlap,
    /// `scanned` is the horizon less `behind`.
    Behind,
    /// Stamps in the future say nothing about `behind`.
    FutureStamps,
    /// Looks from before a step or an acceptance say nothing about `behind`.
    Evidence,
    /// Nor do those of the first listing.
    FirstEvidence,
    /// Nor those right after new settings were accepted.
    AcceptEvidence,
    /// Accepting new settings forgets what was measured of `behind`.
    AcceptForgets,
    /// The gap is kept in UTC.
    GapInUtc,
    /// Of two listings the smaller gap counts.
    SmallerGap,
    /// A larger gap counts once it has lasted an overlap.
    RaiseLasts,
    /// A step back of the vendor's clock moves the list's start.
    Step,
    /// Without a Date the local clock is not believed.
    DateMargin,
    /// The horizon is the start of the call, not its answer.
    HorizonAtStart,
    /// A chunk's key bears the version of its tick.
    KeyVersion,
    /// `committed` waits for the retry lane.
    CommittedRetry,
    /// `committed` waits for open chunks.
    CommittedHeads,
    /// `committed` waits for listings under way.
    CommittedBacklog,
    /// `committed` never reaches the `scanned` of its own tick.
    CommittedOld,
    /// A ledger without the checkpoint's mark was lost.
    LedgerMark,
    /// The mark is read after the lanes.
    MarkLast,
    /// The retry lane is read after the chunks.
    RetryLast,
    /// A rewind lowers `committed` too.
    RewindCommitted,
    /// Listings do not leave out ids of the retry lane.
    ListRetried,
    /// What is not finished long after it was sent is sent again.
    Resend,
    /// The bulk lane has a cap.
    BulkCap,
    /// Big listings go to the bulk lane.
    TwoLanes,
    /// Streams share the source's rate for bulk work.
    Share,
    /// A listing that goes on continues behind its cursor, in an order of its own.
    CursorOrder,
    /// The poller stops at another account's mark.
    AccountPoller,
    /// The fetcher stops at another account's mark.
    AccountFetcher,
    /// A retry entry is resolved by a later look alone.
    ResolveLater,
    /// A failing id leaves its chunk.
    FailingLeaves,
    /// A stream pauses after failures in a row.
    Breaker,
    /// Failures of ids in the retry lane are no news.
    BreakerKnown,
    /// An id at which the fetcher dies is set aside.
    CrashCount,
    /// A row is dated by its page's call.
    RowDate,
    /// A row of equal body is new if its stamp is.
    EqualHash,
    /// A row of equal stamp is new if its body is.
    EqualStamp,
    /// An equal row is left out only once its stored look is old enough.
    EqualSettled,
    /// A stored look pays for an id only if it began after the id was listed.
    PaidByLater,
    /// So many vanished records are not believed at once.
    FalseDeletes,
    /// Pages are walked until a pass meets nothing new.
    Passes,
    /// A pass that met nothing new counts only if the list did not move, or twice.
    BarrenTwice,
    /// A feed's snapshot leaves out only what was fetched well after it began.
    SnapshotMargin,
    /// A record behind an event is looked at only when details cannot lag any more.
    DetailsLag,
}

#[cfg(feature = "mutants")]
thread_local! {
    static LEFT_OUT: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Leaves a rule out on this thread from now on, or none.
#[cfg(feature = "mutants")]
pub fn leave_out(rule: Option<Rule>) {
    LEFT_OUT.set(rule);
}

impl Rule {
    /// Whether the rule is left out.
    #[cfg(feature = "mutants")]
    pub(crate) fn is_left_out(self) -> bool {
        LEFT_OUT.get() == Some(self)
    }

    /// Whether the rule is left out: never, where it could do harm.
    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the same question as with the feature")]
    pub(crate) const fn is_left_out(self) -> bool {
        false
    }
}
