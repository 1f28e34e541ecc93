//! One tick: the state in hand, and the one way in which it is written.

use crate::breaker::{BreakerState, PAUSE, Pause, SourceState};
use crate::checkpoint::{Checkpoint, Guard, LEASE, LEASE_RENEWAL, Transition};
use crate::failure::{SourceFailure, StoreFailure};
use crate::places::Places;
use crate::ports::{Checkpoints, Clock, Ledger, Outgoing, Written};
use crate::quarantine::{QUARANTINE_MAX, Quarantined};
use crate::rule::Rule;
use crate::source_health;
use crate::stamp::UtcMillis;
use crate::stream::{ListShape, StreamTraits};

use super::walk::Walked;
use super::{LISTING_MAX, Notice, PollOutcome, PollReport, Poller, PollerPorts};

/// Why a tick stops early.
#[derive(Debug)]
pub(super) enum Halt {
    /// Another poller owns the stream.
    Fenced,
    /// The vendor failed, this many times in a row.
    Source { failure: SourceFailure, tries: u32 },
    /// The run was given up.
    Aborted,
    /// Our own tables or queue failed.
    Store(StoreFailure),
}

impl From<StoreFailure> for Halt {
    fn from(failure: StoreFailure) -> Self {
        Self::Store(failure)
    }
}

/// A tick under way. `checkpoint` is the stored state; what is changed in it is written by the next [`Tick::store`].
pub(super) struct Tick<'a, P: PollerPorts> {
    pub(super) poller: &'a Poller<P>,
    pub(super) traits: &'a StreamTraits,
    pub(super) state: SourceState,
    pub(super) checkpoint: Checkpoint,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) report: PollReport,
    pub(super) stop_at: UtcMillis,
    /// Messages of accepted chunks that the window has room for.
    pub(super) unsent: Vec<Outgoing>,
    /// Chunks that were sent earlier and are not finished.
    pub(super) outstanding: u32,
    /// How many runs of the source are open, once this tick has looked.
    pub(super) open_runs: Option<u32>,
    /// The newest stamp that is stored of a record in this tick's list.
    pub(super) known: Option<UtcMillis>,
    /// Places on the schedule of calls that are taken and not used yet.
    pub(super) places: Places,
    renewed_at: UtcMillis,
}

impl<'a, P: PollerPorts> Tick<'a, P> {
    pub(super) fn new(
        poller: &'a Poller<P>,
        traits: &'a StreamTraits,
        state: SourceState,
        checkpoint: Checkpoint,
        started_at: UtcMillis,
    ) -> Self {
        Self {
            poller,
            traits,
            state,
            checkpoint,
            quarantined: Vec::new(),
            report: PollReport::new(PollOutcome::Waiting),
            stop_at: started_at.plus(LISTING_MAX),
            unsent: Vec::new(),
            outstanding: 0,
            open_runs: None,
            known: None,
            places: Places::default(),
            renewed_at: started_at,
        }
    }

    pub(super) fn now(&self) -> UtcMillis {
        self.poller.ports.clock().now()
    }

    /// The whole tick, after the lease was taken.
    pub(super) async fn work(&mut self) -> Result<PollOutcome, Halt> {
        self.quarantined = self.poller.ports.ledger().quarantined(&self.checkpoint.stream).await?;
        if self.state.breaker.state(self.now()) == BreakerState::HalfOpen {
            self.probe().await?;
        }
        self.retry_quarantined().await?;
        if self.checkpoint.run.is_some() {
            match self.walk().await? {
                Walked::Waiting => {
                    self.rest().await?;
                    return Ok(PollOutcome::Waiting);
                }
                Walked::Aborted => return Ok(PollOutcome::Aborted),
                Walked::Listing | Walked::Committed => {}
            }
        }
        if self.checkpoint.run.is_none() && self.quarantined.len() > QUARANTINE_MAX {
            self.report.notices.push(Notice::QuarantineFull { count: self.quarantined.len() });
            self.release().await?;
            return Ok(PollOutcome::Frozen);
        }
        match self.traits.shape {
            ListShape::Whole => self.list_whole().await,
            ListShape::Pages => self.list_pages().await,
            ListShape::Feed => self.list_feed().await,
        }
    }

    /// Writes the next state, whose lease runs on. After a refusal or a lost answer the state is read back before
    /// anything is concluded: a write that did arrive has succeeded, also when its second arrival was refused.
    pub(super) async fn store(&mut self, guard: Guard, mut next: Checkpoint) -> Result<(), Halt> {
        let now = self.now();
        next.lease_until = now.plus(LEASE);
        self.write(guard, next).await?;
        self.renewed_at = now;
        Ok(())
    }

    /// Writes the last state of this tick, which frees the stream.
    pub(super) async fn store_last(&mut self, guard: Guard, mut next: Checkpoint) -> Result<(), Halt> {
        next.lease_until = UtcMillis::default();
        self.write(guard, next).await
    }

    async fn write(&mut self, guard: Guard, next: Checkpoint) -> Result<(), Halt> {
        let checkpoints = self.poller.ports.checkpoints();
        let transition = Transition { guard, next };
        let written = checkpoints.store(&transition).await;
        if !matches!(written, Ok(Written::Applied)) {
            let found = checkpoints.load(&transition.next.stream).await?;
            if found.as_ref() != Some(&transition.next) {
                return Err(written.err().map_or(Halt::Fenced, Halt::Store));
            }
        }
        self.checkpoint = transition.next;
        Ok(())
    }

    /// The guard of a write that leaves run and chunks as they are.
    pub(super) fn unchanged(&self) -> Guard {
        match &self.checkpoint.run {
            None => Guard::NoRun,
            Some(run) => Guard::Run { run_id: run.run_id.clone(), accepted: run.accepted },
        }
    }

    /// Renews the lease, after another answer of a long listing, when a good part of it is gone. That is progress, too: a
    /// listing may take longer than a stream may stand still.
    pub(super) async fn renew(&mut self) -> Result<(), Halt> {
        let now = self.now();
        if now.since(self.renewed_at) < LEASE_RENEWAL {
            return Ok(());
        }
        let next = Checkpoint { last_progress_at: Some(now), ..self.checkpoint.clone() };
        self.store(self.unchanged(), next).await
    }

    /// Ends the tick with the run as it is in hand.
    pub(super) async fn rest(&mut self) -> Result<(), Halt> {
        self.store_last(self.unchanged(), self.checkpoint.clone()).await
    }

    /// Frees the stream after a failure; that another poller took over meanwhile is no further failure.
    pub(super) async fn release(&mut self) -> Result<(), StoreFailure> {
        match self.rest().await {
            Err(Halt::Store(failure)) => Err(failure),
            Ok(()) | Err(Halt::Fenced | Halt::Aborted | Halt::Source { .. }) => Ok(()),
        }
    }

    /// Gives the run up (E13): positions stay, everything is listed again.
    pub(super) async fn abort(&mut self, notice: Notice) -> Result<(), Halt> {
        self.report.notices.push(notice);
        let Some(run) = &self.checkpoint.run else { return Ok(()) };
        let guard = Guard::Abort { run_id: run.run_id.clone() };
        let mut next = Checkpoint { run: None, ..self.checkpoint.clone() };
        if Rule::AbortIsNoProgress.is_left_out() {
            next.last_progress_at = Some(self.now());
        }
        self.store_last(guard, next).await
    }

    /// Lets the vendor's failure have its effect on what all functions of the source share.
    pub(super) async fn note_source_failure(
        &mut self,
        failure: &SourceFailure,
        tries: u32,
    ) -> Result<(), StoreFailure> {
        let ledger = self.poller.ports.ledger();
        let stream = &self.checkpoint.stream;
        let now = self.now();
        if source_health::note_failure(ledger, stream, &self.state, failure, tries, now).await? {
            self.report.notices.push(Notice::BreakerOpened);
        }
        if source_health::pauses_stream(failure) {
            let pause = Pause { until: now.plus(PAUSE), why: failure.cause.clone() };
            ledger.pause_stream(stream, &pause).await?;
        }
        self.report.notices.extend(source_health::notice_of(failure));
        Ok(())
    }
}
