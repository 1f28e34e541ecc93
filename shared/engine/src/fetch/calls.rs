//! The calls of one message, shared by those in flight: when they are made, how they went, and when to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{FetchReport, Fetcher, FetcherPorts, Task};
use crate::{
    Clock, FAILURES_TO_OPEN, FailureClass, Ledger, LocalMillis, Notice, Rule, Slots, SourceFailure, SourceState, Stops,
    StoreFailure, StreamKey, StreamState, Why, calls_in, describe, pause_after,
};

/// How much of the shared schedule a message takes in one write: more would keep all others waiting.
const SLOTS_SPAN: Duration = Duration::from_secs(25);
/// How many ids are looked at at once at most.
const IN_FLIGHT: usize = 10;
/// How often a record that is not there is asked for.
const CALLS_TO_BELIEVE_GONE: usize = 2;

/// The calls of one message.
pub(super) struct Calls {
    stream: StreamKey,
    source: SourceState,
    was_disturbed: bool,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Slots taken ahead, and until when the vendor asked this message to be quiet.
    pub(super) slots: Slots,
    pub(super) quiet_until: LocalMillis,
    pub(super) count: u32,
    /// Failures in a row of the stream, those of earlier messages included.
    in_a_row: u32,
    /// Those of this message.
    new_failures: u32,
    /// Whether a call succeeded after earlier messages had failed.
    healed: bool,
    /// The last failure, and it for a person.
    last: Option<(Why, String)>,
    pub(super) stopped: bool,
    paused_until: Option<LocalMillis>,
}

impl<P: FetcherPorts> Fetcher<P> {
    /// The calls of a task, with the pauses as they are. After a source's pause the poller's list call is the probe.
    pub(super) async fn calls(&self, task: &Task) -> Result<Calls, StoreFailure> {
        let ledger = self.ports.ledger();
        let source = ledger.source_state(task.stream.source).await?;
        let StreamState { breaker: stream, pause, .. } = ledger.stream_state(&task.stream).await?;
        let now = self.ports.clock().now();
        let soon = now.plus(Duration::from_mins(1));
        let by_source = source.breaker.open_until.map(|until| until.max(soon));
        let by_stream = stream.open(now).filter(|_| !Rule::Breaker.is_left_out());
        // A person's pause may end at any time, so what it holds up is due again soon.
        let by_person = [&source.pause, &pause].into_iter().flatten().any(|pause| pause.is_on(now));
        let paused_until = by_source.max(by_stream).max(by_person.then_some(soon));
        let (in_a_row, stopped) = (stream.failure_count, paused_until.is_some());
        let state = Mutex::new(State { in_a_row, stopped, paused_until, ..State::default() });
        Ok(Calls { stream: task.stream.clone(), source, was_disturbed: stream.is_disturbed(), state })
    }
}

impl Calls {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first slots for `wanted` calls, as far as they may be made at all until `stop_at`; how many ids may be
    /// looked at at once: section 6.3 of `docs/protocol.md`.
    pub(super) async fn reserve<P: FetcherPorts>(
        &self,
        fetcher: &Fetcher<P>,
        wanted: usize,
        stop_at: LocalMillis,
    ) -> Result<usize, StoreFailure> {
        let (now, interval) = (fetcher.ports.clock().now(), fetcher.call_interval);
        if wanted == 0 || self.state().stopped || now >= stop_at {
            return Ok(IN_FLIGHT);
        }
        let wanted = wanted.min(calls_in(SLOTS_SPAN, interval)).min(calls_in(stop_at.since(now), interval));
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let ledger = fetcher.ports.ledger();
        let Some(first_at) = ledger.reserve(self.stream.source, wanted, interval, now, stop_at.minus(interval)).await?
        else {
            self.state().stopped = true;
            return Ok(IN_FLIGHT);
        };
        self.state().slots = Slots::new(first_at, wanted);
        let slots = calls_in(SLOTS_SPAN.min(stop_at.since(first_at)), interval);
        Ok((slots / CALLS_TO_BELIEVE_GONE).clamp(1, IN_FLIGHT))
    }

    pub(super) fn answered(&self) {
        let mut state = self.state();
        if !state.stopped {
            (state.in_a_row, state.new_failures, state.last) = (0, 0, None);
            state.healed = self.was_disturbed;
        }
    }

    /// A call failed in a way that is not the record's own. One that is known already does not count: that the credential is
    /// rejected shows with another id, or with the next list. But a vendor that asks for no calls always gets none.
    pub(super) fn failed(&self, failure: &SourceFailure, is_known: bool) {
        let mut state = self.state();
        let why = Why { class: failure.class, cause: failure.cause.clone() };
        state.last = Some((why, describe(failure, &self.stream)));
        let stops_source = failure.class.stops() == Stops::Source;
        if is_known && !matches!(failure.class, FailureClass::Throttled { .. }) {
            return;
        }
        state.in_a_row += 1;
        state.new_failures += 1;
        let in_a_row = state.in_a_row >= FAILURES_TO_OPEN && !Rule::Breaker.is_left_out();
        state.stopped |= in_a_row || stops_source;
    }

    /// Writes pauses, and their end, for all functions of the stream or the source; until when nobody calls.
    pub(super) async fn conclude<P: FetcherPorts>(
        self,
        ports: &P,
        report: &mut FetchReport,
    ) -> Result<Option<LocalMillis>, StoreFailure> {
        let State { count, new_failures, healed, last, paused_until, .. } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.calls_count = count;
        let ledger = ports.ledger();
        if healed {
            ledger.resume_stream(&self.stream).await?;
        }
        let Some((why, described)) = last else { return Ok(paused_until) };
        report.failure = Some(described);
        if new_failures == 0 || Rule::Breaker.is_left_out() {
            return Ok(paused_until);
        }
        let now = ports.clock().now();
        let paused_for = if why.class.stops() == Stops::Source {
            let open_for = self.source.breaker.next_open_for(why.class.retry_after());
            ledger.pause_source(self.stream.source, now.plus(open_for), open_for, &why).await?;
            if why.class == FailureClass::Unauthorized {
                report.notices.insert(Notice::CredentialRejected);
            }
            Some(open_for)
        } else {
            let paused_for = pause_after(ledger.add_failures(&self.stream, new_failures).await?);
            if let Some(paused_for) = paused_for {
                ledger.pause_stream(&self.stream, now.plus(paused_for), &why).await?;
            }
            paused_for
        };
        let Some(paused_for) = paused_for else { return Ok(paused_until) };
        report.notices.insert(Notice::BreakerOpened);
        Ok(Some(now.plus(paused_for)))
    }
}
