//! Calling the vendor's list: tries, breaker, clock, and what follows a listing of any shape.

use std::time::Duration;

use crate::backoff::{TRIES, backoff};
use crate::change::{ListRequest, Page};
use crate::checkpoint::{Checkpoint, Guard, Position};
use crate::failure::disposition;
use crate::places::Places;
use crate::ports::{Clock, Ledger, Source};
use crate::run::Run;
use crate::stamp::UtcMillis;
use crate::stream::ListShape;

use super::clocks::{self, Reading};
use super::tick::{Halt, Tick};
use super::{Notice, PollOutcome, PollerPorts};

/// The coarsest resolution of a stamp.
const STAMP_RESOLUTION: Duration = Duration::from_secs(1);
/// The longest that a list waits for its place: longer than any fetcher takes places ahead, so that a clock far off
/// cannot hold a tick until its end.
const PLACE_WAIT_MAX: Duration = Duration::from_mins(2);
/// How many places one write takes at most: few enough that others do not wait long.
const PLACES_A_WRITE: u32 = 10;

impl<P: PollerPorts> Tick<'_, P> {
    /// Takes `calls` places on the schedule that all functions of the source share, and waits for the first. A fetcher
    /// takes places for one chunk at most, so that a list waits for what is in hand, never for the backlog.
    pub(super) async fn reserve(&self, calls: u32) -> Result<(), Halt> {
        let turn = self.turn(calls).await?;
        self.poller.ports.clock().sleep(self.wait_for(turn)).await;
        Ok(())
    }

    /// Waits for the place of the next of `wanted` calls in a row, whose places are taken up to [`PLACES_A_WRITE`] at a
    /// time. Whether it comes before this tick has to stop.
    pub(super) async fn reserve_next_of(&mut self, wanted: u32) -> Result<bool, Halt> {
        let interval = self.poller.settings.call_interval;
        let mut taken = self.places.take(self.now(), interval);
        if taken.is_none() {
            let count = wanted.clamp(1, PLACES_A_WRITE);
            let first = self.turn(count).await?;
            self.places = Places::new(first.plus(interval), count - 1);
            taken = Some(first);
        }
        let wait = self.wait_for(taken.unwrap_or_default());
        let is_in_time = self.now().plus(wait) < self.stop_at;
        if is_in_time {
            self.poller.ports.clock().sleep(wait).await;
        }
        Ok(is_in_time)
    }

    /// The first of `calls` places that nobody has taken.
    async fn turn(&self, calls: u32) -> Result<UtcMillis, Halt> {
        let source = self.checkpoint.stream.source;
        let interval = self.poller.settings.call_interval;
        let now = self.now();
        let whenever = UtcMillis::new(i64::MAX);
        Ok(self.poller.ports.ledger().reserve(source, calls, interval, now, whenever).await?.unwrap_or(now))
    }

    fn wait_for(&self, turn: UtcMillis) -> Duration {
        turn.since(self.now()).min(PLACE_WAIT_MAX)
    }

    /// One list call, tried up to three times. An answer closes the breaker and ends the stream's pause.
    pub(super) async fn call(&mut self, request: ListRequest<'_>) -> Result<(Page, Reading), Halt> {
        let poller = self.poller;
        let clock = poller.ports.clock();
        let mut tries = 0;
        loop {
            let called_at = clock.now();
            tries += 1;
            self.report.calls_count += 1;
            match poller.ports.source().list(&self.traits.name, request).await {
                Ok(page) => {
                    let reading = clocks::read(called_at, clock.now(), page.date);
                    self.report.listed_count += page.changes.len();
                    self.note_answer(&page, &reading).await?;
                    return Ok((page, reading));
                }
                Err(failure) if disposition(failure.class).tried_again && tries < TRIES => {
                    clock.sleep(backoff(poller.ports.random(), tries)).await;
                    self.reserve(1).await?;
                }
                Err(failure) => return Err(Halt::Source { failure, tries }),
            }
        }
    }

    async fn note_answer(&mut self, page: &Page, reading: &Reading) -> Result<(), Halt> {
        let ledger = self.poller.ports.ledger();
        if self.state.breaker.is_disturbed() {
            ledger.close_breaker(self.checkpoint.stream.source).await?;
            self.state.breaker = crate::breaker::Breaker::default();
        }
        if self.state.pauses.remove(&self.traits.name).is_some() {
            ledger.resume_stream(&self.checkpoint.stream).await?;
        }
        let unusable = Some(page.unusable_count).filter(|count| *count > 0);
        for notice in unusable.map(|count| Notice::UnusableIds { count }).into_iter().chain(reading.notice.clone()) {
            if !self.report.notices.contains(&notice) {
                self.report.notices.push(notice);
            }
        }
        Ok(())
    }

    /// Asks whether the source is well again, with the cheapest list call there is.
    pub(super) async fn probe(&mut self) -> Result<(), Halt> {
        self.reserve(1).await?;
        let from = self.checkpoint.scanned.at().unwrap_or_default();
        let request = match self.traits.shape {
            ListShape::Whole => ListRequest::Changed { from },
            ListShape::Pages => ListRequest::Page { from, page: 1 },
            ListShape::Feed => ListRequest::NewestToken,
        };
        self.call(request).await.map(drop)
    }

    /// Where a new list starts: the overlap below `scanned`.
    pub(super) fn start_of_list(&self) -> UtcMillis {
        self.checkpoint.scanned.at().unwrap_or_default().minus(self.poller.settings.overlap)
    }

    /// Where news begin: a second past `scanned`, so that a vendor who takes the bound inclusively does not tell of the
    /// newest record again at every tick. What lies within that second belongs to the overlap zone.
    pub(super) fn news_from(&self) -> UtcMillis {
        self.checkpoint.scanned.at().unwrap_or_default().plus(STAMP_RESOLUTION)
    }

    /// Whether the stream has never finished a listing.
    pub(super) fn is_first_import(&self) -> bool {
        self.checkpoint.last_success_at.is_none()
    }

    /// Begins a run (E2).
    pub(super) async fn start(&mut self, from: Position, reading: &Reading) -> Result<(), Halt> {
        self.start_with(from, reading, None).await
    }

    /// Begins a run of which it is known where it will commit to.
    pub(super) async fn start_with(
        &mut self,
        from: Position,
        reading: &Reading,
        newest: Option<Position>,
    ) -> Result<(), Halt> {
        let run_id = format!("{:013}-{}", self.now().get(), self.checkpoint.epoch);
        let held_checkpoint = self.checkpoint.scanned.clone();
        let run = Run::new(run_id, from, reading.horizon, reading.called_at, held_checkpoint);
        let run = Run { newest, known: self.known, ..run };
        self.report.run_id = Some(run.run_id.clone());
        let complete_at = self.checkpoint.complete_at.or(Some(run.horizon));
        let next = Checkpoint { run: Some(run), complete_at, ..self.checkpoint.clone() };
        self.store(Guard::NoRun, next).await
    }

    /// Ends a listing that told nothing new.
    pub(super) async fn rest_quiet(&mut self, reading: &Reading) -> Result<PollOutcome, Halt> {
        let now = self.now();
        let committed = self.committable(self.checkpoint.scanned.clone());
        let moved = committed != self.checkpoint.committed;
        let mut next = Checkpoint { last_success_at: Some(now), committed, ..self.checkpoint.clone() };
        self.note_listed(&mut next, reading.horizon);
        if moved {
            self.report.committed = Some(next.committed.clone());
        }
        self.store_last(Guard::NoRun, next).await?;
        Ok(PollOutcome::Quiet)
    }

    /// Seals the run (E5): the listing is whole, and that is progress. Ends the tick.
    pub(super) async fn seal(&mut self) -> Result<PollOutcome, Halt> {
        let guard = self.unchanged();
        let mut next = Checkpoint { last_progress_at: Some(self.now()), ..self.checkpoint.clone() };
        if let Some(run) = &mut next.run {
            run.sealed = true;
            run.pending_count = run.listed_count;
            self.report.pending_count = run.pending_count;
        }
        self.store_last(guard, next).await?;
        Ok(PollOutcome::Waiting)
    }
}
