//! Rules that can be left out, so that tests can show that they would be missed.
//!
//! Only with the feature `mutants`, which the testkit alone asks for, can one be left out at all; without it every
//! question below is answered "no" when the program is compiled.

#[cfg(feature = "mutants")]
use std::cell::Cell;

/// A rule of the protocol, at the one place where it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A run is committed when its ids are stored, not when they are sent.
    CommitWhenStored,
    /// A commit never passes the horizon.
    Horizon,
    /// The horizon is that of the run's first list call.
    FirstHorizon,
    /// A row is dated by its page's call.
    RowDate,
    /// Clocks are compared before they are mixed.
    ClockOffset,
    /// Commits are held back where stamps may be of another zone.
    ZoneGuard,
    /// What is stored of a quiet overlap zone is not fetched again.
    Settled,
    /// A row is unchanged only if stamp and body are.
    SameBody,
    /// Pages are walked until a pass adds nothing.
    Passes,
    /// An interrupted list goes on behind its cursor.
    Cursor,
    /// No more chunks are out than the rate can finish.
    Window,
    /// What is not finished long after it was sent is sent again.
    Resend,
    /// What is left over is parked, and its message acknowledged.
    Park,
    /// A source that fails is left alone.
    Breaker,
    /// So many vanished records are not believed.
    FalseDeletes,
    /// A stream without stamps commits to its horizon less a margin.
    StamplessMargin,
    /// An abort is no progress.
    AbortIsNoProgress,
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
    /// Every one of them.
    #[cfg(feature = "mutants")]
    pub const ALL: [Self; 17] = [
        Self::CommitWhenStored,
        Self::Horizon,
        Self::FirstHorizon,
        Self::RowDate,
        Self::ClockOffset,
        Self::ZoneGuard,
        Self::Settled,
        Self::SameBody,
        Self::Passes,
        Self::Cursor,
        Self::Window,
        Self::Resend,
        Self::Park,
        Self::Breaker,
        Self::FalseDeletes,
        Self::StamplessMargin,
        Self::AbortIsNoProgress,
    ];

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
