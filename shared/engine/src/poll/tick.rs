//! One tick, in the order of the protocol.

use super::{Halt, Listed, OwedWork, PollOutcome, PollerPorts, Tick};
use crate::{
    FAILURES_TO_OPEN, FailureClass, Ledger, ListShape, LocalMillis, Notice, OPEN_MAX, RETRY_MAX, Rule, SourceFailure,
    SourceState, Stops, StoreFailure, Why, short_pause,
};

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn work(&mut self, source: &SourceState) -> Result<PollOutcome, Halt> {
        let owed = self.read_owed().await?;
        let breaker = &owed.state.breaker;
        if let Some(until) = breaker.open(self.now()).filter(|_| breaker.refusal().is_some()) {
            return Ok(PollOutcome::Paused(until));
        }
        if owed.state.pause.as_ref().is_some_and(|pause| pause.is_on(self.now())) {
            return Ok(PollOutcome::PausedByOperator);
        }
        let is_paused = breaker.open(self.now()).is_some();
        let is_frozen = owed.retries.len() > RETRY_MAX;
        // A scan that goes on covers all that another one would.
        let lists = !is_frozen && (self.traits.filtered || self.checkpoint.backlog.is_empty());
        // After a pause of the source the list call is the probe; where none is made, what is sent. Until a probe succeeds a
        // fetcher makes no call, and the try would be lost.
        let is_probed = source.breaker.open_until.is_some() && lists;
        if source.breaker.is_disturbed() && !lists {
            self.poller.ports.ledger().resume_source(self.checkpoint.stream.source).await?;
        }
        if !is_paused {
            if !is_probed {
                self.send_due_retries(&owed).await?;
            }
            self.send_due(&owed.fresh, self.fresh_cap()).await?;
        }
        if is_frozen {
            self.report.notices.insert(Notice::QuarantineFull(owed.retries.len()));
            return Ok(PollOutcome::Frozen);
        }
        if owed.bulk.is_empty() && self.checkpoint.backlog.is_empty() {
            self.checkpoint.import_count = 0;
        }
        let listed = if lists { self.list(source, &owed, !is_paused).await? } else { Listed::nothing(self.started_at) };
        let (is_read, is_whole) = (listed.scanned.is_some() || !lists, listed.is_whole);
        self.conclude(&owed, listed).await?;
        let sends = if is_paused { 0 } else { self.send_due_bulk(&owed).await? };
        if !self.checkpoint.backlog.is_empty() {
            self.go_on(&owed, sends).await?;
            if self.checkpoint.backlog.is_empty() && self.put_count == 0 {
                self.note_owed(&owed, None);
            }
        }
        Ok(match () {
            () if !is_read => PollOutcome::Unlisted,
            () if !is_whole || !self.checkpoint.backlog.is_empty() => PollOutcome::Importing,
            () if self.checkpoint.owed_since.is_some() => PollOutcome::Owing,
            () => PollOutcome::Quiet,
        })
    }

    async fn list(&mut self, source: &SourceState, owed: &OwedWork, sends: bool) -> Result<Listed, Halt> {
        let listed = match self.traits.shape {
            ListShape::Whole => self.list_ids(owed, sends).await?,
            ListShape::Pages => self.list_rows(owed).await?,
            ListShape::Feed => self.list_feed(owed, sends).await?,
        };
        if source.breaker.is_disturbed() {
            self.poller.ports.ledger().resume_source(self.checkpoint.stream.source).await?;
        }
        // Not where details fail, though the list is allowed.
        if owed.state.breaker.refusal().is_some() && owed.state.breaker.failure_count < FAILURES_TO_OPEN {
            self.poller.ports.ledger().resume_stream(&self.checkpoint.stream).await?;
        }
        Ok(listed)
    }

    /// C2: `scanned`, `committed` and all that follows from the listing, in one write, after the chunks were put.
    async fn conclude(&mut self, owed: &OwedWork, listed: Listed) -> Result<(), Halt> {
        let now = self.now();
        let committed = self.checkpoint.committed.clone();
        self.note_owed(owed, (self.put_count > 0).then_some(listed.begun_at));
        let mut next = self.checkpoint.clone();
        if let Some(scanned) = listed.scanned {
            next.scanned = scanned;
            next.last_success_at = Some(now);
            self.is_sole |= next.backlog.is_empty();
        }
        let target = if Rule::CommittedOld.is_left_out() { &next.scanned } else { &owed.committable };
        next.committed = committed.clone().max(target.clone()).min(next.scanned.clone());
        if next.committed != committed {
            self.report.committed = Some(next.committed.clone());
        }
        if next.backlog.is_empty() { self.store_last(next).await } else { self.store(next).await }
    }

    /// Notes since when something is owed; `put_at` is the start of a listing that put chunks.
    fn note_owed(&mut self, owed: &OwedWork, put_at: Option<LocalMillis>) {
        let listings = self.checkpoint.backlog.iter().map(|listing| listing.begun_at);
        let owed_since = listings.chain(owed.lanes_since).chain(put_at).min();
        self.checkpoint.owed_since = owed_since;
        self.checkpoint.held_since = owed_since.into_iter().chain(owed.retries_since).min();
    }

    /// Lets a failed list call pause others. A list that merely fails pauses nobody: the next tick is its retry.
    pub(super) async fn note_failure(
        &mut self,
        source: &SourceState,
        failure: &SourceFailure,
    ) -> Result<(), StoreFailure> {
        let ledger = self.poller.ports.ledger();
        let stream = &self.checkpoint.stream;
        let now = self.now();
        let why = Why { class: failure.class, cause: failure.cause.clone() };
        match failure.class.stops() {
            // There was no time left to wait it out.
            Stops::Source if short_pause(failure.class).is_some() => {}
            Stops::Source => {
                let open_for = source.breaker.next_open_for(failure.class.retry_after());
                ledger.pause_source(stream.source, now.plus(open_for), open_for, &why).await?;
                self.report.notices.insert(Notice::BreakerOpened);
                if failure.class == FailureClass::Unauthorized {
                    self.report.notices.insert(Notice::CredentialRejected);
                }
            }
            Stops::Stream => {
                ledger.pause_stream(stream, now.plus(OPEN_MAX), &why).await?;
                self.report.notices.insert(Notice::StreamPaused);
            }
            Stops::StreamInARow | Stops::Record | Stops::Token => {}
        }
        Ok(())
    }
}
