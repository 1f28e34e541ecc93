//! What went wrong with the vendor while one message was worked on, shared by the calls in flight.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{FetchReport, FetcherPorts};
use crate::{
    Clock, FAILURES_TO_OPEN, FailureClass, Ledger, LocalMillis, Notice, Rule, SourceFailure, SourceState, Stops,
    StoreFailure, StreamKey, StreamState, Why, describe, disposition, pause_after,
};

struct State {
    calls: u32,
    /// Failures in a row of the stream, those of earlier messages included.
    in_a_row: u32,
    /// Those of this message.
    new_failures: u32,
    /// Whether a call succeeded after earlier messages had failed.
    healed: bool,
    /// The last failure, and it for a person.
    last: Option<(Why, String)>,
    stopped: bool,
    paused_until: Option<LocalMillis>,
}

/// Counts calls and failures in a row, and says when to stop calling.
pub(super) struct Trouble {
    stream: StreamKey,
    source: SourceState,
    was_disturbed: bool,
    state: Mutex<State>,
}

impl Trouble {
    /// With the pauses as they are. After a pause of the source the poller's list call is the probe.
    pub(super) fn new(key: &StreamKey, source: SourceState, stream: &StreamState, now: LocalMillis) -> Self {
        let by_source = source.breaker.open_until.map(|until| until.max(now.plus(Duration::from_mins(1))));
        let by_stream = stream.breaker.open(now).filter(|_| !Rule::Breaker.is_left_out());
        let paused_until = by_source.max(by_stream);
        let state = State {
            calls: 0,
            in_a_row: stream.breaker.failure_count,
            new_failures: 0,
            healed: false,
            last: None,
            stopped: paused_until.is_some(),
            paused_until,
        };
        Self { stream: key.clone(), source, was_disturbed: stream.breaker.is_disturbed(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call is made.
    pub(super) fn call(&self) {
        self.state().calls += 1;
    }

    /// A call was answered.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        if !state.stopped {
            (state.in_a_row, state.new_failures, state.last) = (0, 0, None);
            state.healed = self.was_disturbed;
        }
    }

    /// A call failed in a way that is not the record's own. One that is known already does not count.
    pub(super) fn failed(&self, failure: &SourceFailure, is_known: bool) {
        let mut state = self.state();
        let why = Why { class: failure.class, cause: failure.cause.clone() };
        state.last = Some((why, describe(failure, &self.stream)));
        if is_known && disposition(failure.class).stops != Stops::Source {
            return;
        }
        state.in_a_row += 1;
        state.new_failures += 1;
        let in_a_row = state.in_a_row >= FAILURES_TO_OPEN && !Rule::Breaker.is_left_out();
        state.stopped |= in_a_row || disposition(failure.class).stops == Stops::Source;
    }

    /// There is no slot before the message's time is over.
    pub(super) fn out_of_time(&self) {
        self.state().stopped = true;
    }

    /// Whether no further call should be made.
    pub(super) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Calls made.
    pub(super) fn calls(&self) -> u32 {
        self.state().calls
    }

    /// Until when nobody calls, as far as is known.
    pub(super) fn paused_until(&self) -> Option<LocalMillis> {
        self.state().paused_until
    }

    /// Writes pauses, and their end, for all functions of the stream or the source.
    pub(super) async fn conclude<P: FetcherPorts>(
        &self,
        ports: &P,
        report: &mut FetchReport,
    ) -> Result<(), StoreFailure> {
        let (healed, new_failures, last) = {
            let state = self.state();
            (state.healed, state.new_failures, state.last.clone())
        };
        let ledger = ports.ledger();
        if healed {
            ledger.resume_stream(&self.stream).await?;
        }
        let Some((why, described)) = last else { return Ok(()) };
        let class = why.class;
        report.failure = Some(described);
        if new_failures == 0 || Rule::Breaker.is_left_out() {
            return Ok(());
        }
        let now = ports.clock().now();
        let paused_for = if disposition(class).stops == Stops::Source {
            let open_for = self.source.breaker.next_open_for(class.retry_after());
            ledger.pause_source(self.stream.source, now.plus(open_for), open_for, &why).await?;
            if class == FailureClass::Unauthorized {
                report.notice(Notice::CredentialRejected);
            }
            Some(open_for)
        } else {
            let paused_for = pause_after(ledger.add_failures(&self.stream, new_failures).await?);
            if let Some(paused_for) = paused_for {
                ledger.pause_stream(&self.stream, now.plus(paused_for), &why).await?;
            }
            paused_for
        };
        if let Some(paused_for) = paused_for {
            report.notice(Notice::BreakerOpened);
            self.state().paused_until = Some(now.plus(paused_for));
        }
        Ok(())
    }
}
