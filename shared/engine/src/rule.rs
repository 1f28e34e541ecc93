//! Rules that a build for tests (feature `mutants`) can leave out, so that a test must miss them. Each is a wrong
//! protocol: section 13 of `docs/protocol.md`.

use std::cell::Cell;

macro_rules! rules {
    ($($name:ident,)*) => {
        /// A rule of the protocol, asked about at the one place where it is kept. What is wrong without it stands in
        /// section 13 of `docs/protocol.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule {
            $(/// A rule of that section.
            $name,)*
        }

        #[cfg(feature = "mutants")]
        impl Rule {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

rules! {
    Overlap, Behind, FutureStamps, Evidence, FirstEvidence, AcceptEvidence, AcceptForgets, GapInUtc, SmallerGap,
    RaiseLasts, Step, DateMargin, HorizonAtStart, KeyVersion, CommittedRetry, CommittedHeads, CommittedBacklog,
    CommittedOld, LedgerMark, MarkLast, RetryLast, RewindCommitted, ListRetried, Resend, BulkCap, TwoLanes, Share,
    CursorOrder, AccountPoller, AccountFetcher, ResolveLater, FailingLeaves, Breaker, BreakerKnown, CrashCount,
    RowDate, EqualHash, EqualStamp, EqualSettled, PaidByLater, FalseDeletes, Passes, BarrenTwice, SnapshotMargin,
    DetailsLag, RowAge, SweepLooks, SweepWhole, SweepSince, SweepCursor, SweepBulk,
}

thread_local! {
    static LEFT_OUT: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Leaves a rule out on this thread from now on, or none.
#[cfg(feature = "mutants")]
pub fn leave_out(rule: Option<Rule>) {
    LEFT_OUT.set(rule);
}

impl Rule {
    /// Whether the rule is left out: never, where it could do harm.
    pub fn is_left_out(self) -> bool {
        cfg!(feature = "mutants") && LEFT_OUT.get() == Some(self)
    }
}
