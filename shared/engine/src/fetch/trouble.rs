//! What went wrong with the vendor while one message was resolved, shared by the calls in flight.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::breaker::FAILURES_TO_OPEN;
use crate::failure::{Afterwards, BreakerEffect, FailureClass, SourceFailure, disposition};

#[derive(Default)]
struct State {
    calls: u32,
    /// The last failure that is not a record's own, unless a call succeeded since.
    last: Option<(FailureClass, String)>,
    in_a_row: u32,
    stopped: bool,
}

/// Counts calls and failures in a row, and says when to stop calling.
#[derive(Default)]
pub(super) struct Trouble(Mutex<State>);

impl Trouble {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call is made.
    pub(super) fn call(&self) {
        self.state().calls += 1;
    }

    /// A call was answered.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        if !state.stopped {
            state.in_a_row = 0;
            state.last = None;
        }
    }

    /// A call failed in a way that is not the record's own.
    pub(super) fn failed(&self, failure: &SourceFailure) {
        let mut state = self.state();
        let policy = disposition(failure.class);
        state.in_a_row += 1;
        state.stopped |= policy.breaker == BreakerEffect::Opens
            || policy.afterwards == Afterwards::PauseStream
            || state.in_a_row >= FAILURES_TO_OPEN;
        state.last = Some((failure.class, failure.to_string()));
    }

    /// Whether no further call should be made.
    pub(super) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Calls made.
    pub(super) fn calls(&self) -> u32 {
        self.state().calls
    }

    /// The failure that nothing has made good, and how many there were in a row.
    pub(super) fn last(&self) -> Option<(SourceFailure, u32)> {
        let state = self.state();
        let (class, cause) = state.last.clone()?;
        Some((SourceFailure::new(class, cause), state.in_a_row))
    }
}
