//! Use case 4, the sweep: is the copy whole?
//!
//! A list of changes does not show everything: silent deletions, silent edits, what a fault has left out. A sweep lists
//! everything (`list`), compares it with the stored ids (`compare`), and owes a fetch for what does not agree (`owe`):
//! section 9 of `docs/protocol.md`. It never marks anything deleted: the fetcher does, when the vendor says that the record
//! is gone. So a list that lies costs calls and nothing else, and many candidates at once wait for a person only to save
//! these calls.
//!
//! It runs beside the pollers and shares nothing with them but the schedule of calls and the bulk lane, which it adds to
//! only when it is empty. Its state is an item of its own: it never holds or moves a checkpoint.
#![expect(async_fn_in_trait, reason = "static dispatch only: whether a future is Send is known where it is run")]
#![warn(clippy::wildcard_enum_match_arm)]

mod backfill;
mod compare;
mod list;
mod owe;
pub mod ports;
pub mod state;

use std::collections::HashSet;
use std::time::Duration;

use tidemark_engine::backoff::short_pause;
use tidemark_engine::checkpoint::{Checkpoint, LEASE};
use tidemark_engine::clock::{LocalMillis, VendorMillis};
use tidemark_engine::failure::{SourceFailure, Stops, StoreFailure, causes};
use tidemark_engine::health::Why;
use tidemark_engine::poll::{PollError, Poller, TICK_MAX};
use tidemark_engine::ports::{Checkpoints, Clock, Ledger, Source, Written};
use tidemark_engine::stream::{ListShape, StreamKey, StreamName, StreamTraits};
use tidemark_engine::work::Lane;

pub use self::backfill::{Estimate, Estimated, ask_for_range, cancel, estimate, refusal};
use self::ports::{SweepPorts, Sweeps};
use self::state::{Backfill, Ground, KEPT_FOR, Phase, Place, Problem, Proof, Range, Sweep, SweepState};

/// How many records are fetched and compared where lists give ids alone, and nobody has said how many.
pub const SAMPLE: u64 = 20;
/// The most that a person may ask for: more takes long, and says little more.
pub const SAMPLE_MAX: u64 = 1_000;
/// A sweep that could not be read to its end for so long has failed.
const SWEEP_MAX: Duration = Duration::from_hours(24);
/// How long a sweep may go on after a tick that took all its time.
const TIME_MIN: Duration = Duration::from_secs(30);
/// How often a request is written again where somebody goes on with a sweep meanwhile.
const TRIES: u32 = 5;

/// What going on with a sweep came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Vendor calls made.
    pub calls_count: u32,
    /// Ids put into the ledger.
    pub owed_count: usize,
    /// What the sweep found, where it came to its end.
    pub proof: Option<Proof>,
    /// The backfill, where it came to its end.
    pub backfill: Option<Backfill>,
    /// Why it needs a person, if it does.
    pub problem: Option<Problem>,
    /// Whether it began again, because what it had compared was another account's, or from before a restore or a rewind.
    pub began_again: bool,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is noted.
    Noted,
    /// There is nothing to approve, or to cancel.
    Nothing,
    /// A sweep is under way: what was withheld is compared again. Of a backfill: another one is not over.
    UnderWay,
    /// Others wrote at every try.
    Busy,
}

/// Asks for a sweep, with a sample of this size or of the usual one. It begins when the bulk lane is empty and no other sweep
/// is under way; a request while one waits changes no more than the sample.
///
/// # Errors
/// [`StoreFailure`] when the table fails.
pub async fn ask<P: SweepPorts>(ports: &P, stream: &StreamKey, sample: Option<u64>) -> Result<Asked, StoreFailure> {
    let now = ports.clock().now();
    request(ports, stream, |state| {
        state.asked_at = state.asked_at.or(Some(now));
        state.sample = sample.or(state.sample);
        Asked::Noted
    })
    .await
}

/// Has the candidates fetched that the last sweep withheld; the fetch decides about each of them.
///
/// # Errors
/// [`StoreFailure`] when a table fails.
pub async fn approve<P: SweepPorts>(ports: &P, stream: &StreamKey) -> Result<Asked, StoreFailure> {
    let Some(checkpoint) = ports.checkpoints().load(stream).await? else { return Ok(Asked::Nothing) };
    request(ports, stream, |state| {
        if state.under_way.is_some() {
            return Asked::UnderWay;
        }
        let Some(last) = state.last.as_ref().filter(|last| last.withheld > 0) else { return Asked::Nothing };
        let (phase, ground, proof) = (Phase::Owing(None), Ground::of(&checkpoint), last.clone());
        let (previous, failure, range, owed, sample) = (None, None, None, 0, SAMPLE);
        state.under_way = Some(Sweep { phase, ground, failed_count: 0, previous, failure, proof, range, owed, sample });
        Asked::Noted
    })
    .await
}

async fn request<P: SweepPorts>(
    ports: &P,
    stream: &StreamKey,
    change: impl Fn(&mut SweepState) -> Asked,
) -> Result<Asked, StoreFailure> {
    for _ in 0..TRIES {
        let found = ports.sweeps().load_sweep(stream).await?;
        let before = found.unwrap_or_else(|| first(ports.clock().now()));
        let mut next = before.clone();
        let asked = change(&mut next);
        if next == before {
            return Ok(asked);
        }
        next.version += 1;
        if ports.sweeps().store_sweep(stream, &next).await? == Written::Applied {
            return Ok(asked);
        }
    }
    Ok(Asked::Busy)
}

/// The state before the first sweep. Versions are never used again, even if the item was lost: they are part of keys.
fn first(now: LocalMillis) -> SweepState {
    SweepState { version: now.get(), ..SweepState::default() }
}

/// When a poller's invocation that began at `started_at` leaves the rest of a sweep to the next one. A scan may take all of
/// its tick's time at each tick, so there is always some left for the sweep.
pub fn stop_at<P: SweepPorts>(poller: &Poller<P>, started_at: LocalMillis) -> LocalMillis {
    let interval = poller.settings.poll_interval;
    let until = started_at.plus(interval / 2).max(poller.ports.clock().now().plus(interval / 8));
    until.min(started_at.plus(TICK_MAX + TIME_MIN))
}

/// Goes on with the stream's sweep until then, or begins the one that was asked for.
///
/// It does nothing while the stream or its source is paused, somebody else goes on with it, or anything is owed in the bulk
/// lane or the backlog.
///
/// # Errors
/// [`PollError`] for an unknown stream or when a table or the queue fails. A vendor's failure is none.
pub async fn go_on<P: SweepPorts>(
    poller: &Poller<P>,
    stream: &StreamName,
    until: LocalMillis,
) -> Result<SweepReport, PollError> {
    let traits = poller.traits_of(stream)?;
    let key = StreamKey { source: poller.ports.source().kind(), name: stream.clone() };
    let ended = match taken_up(poller, traits, &key, until).await {
        Ok(None) => return Ok(SweepReport::default()),
        Ok(Some(run)) => Box::pin(run.run()).await,
        Err(failure) => Err(failure),
    };
    ended.map_err(|failure| PollError::Store(key, failure))
}

/// Takes the lease of the sweep, if there is anything to do and nothing that it has to wait for.
async fn taken_up<'a, P: SweepPorts>(
    poller: &'a Poller<P>,
    traits: &'a StreamTraits,
    key: &StreamKey,
    until: LocalMillis,
) -> Result<Option<Run<'a, P>>, StoreFailure> {
    let ports = &poller.ports;
    let now = ports.clock().now();
    let Some(mut state) = ports.sweeps().load_sweep(key).await? else { return Ok(None) };
    let is_idle = state.under_way.is_none() && state.asked_at.is_none() && state.open_backfill().is_none();
    if is_idle || state.lease_until > now || now >= until || !poller.settings.streams.contains(&key.name) {
        return Ok(None);
    }
    let Some(checkpoint) = ports.checkpoints().load(key).await? else { return Ok(None) };
    // A scan may be under way at all times.
    let imports = traits.filtered && !checkpoint.backlog.is_empty();
    let is_busy = imports || checkpoint.last_success_at.is_none();
    let is_over = state.under_way.as_ref().is_some_and(|sweep| is_old(sweep, now) && sweep.can_go_on(&checkpoint));
    if !is_over && (is_busy || is_paused(ports, key, now).await? || has_bulk_work(ports, key).await?) {
        return Ok(None);
    }
    let under_way = state.under_way.take();
    let began_again = under_way.as_ref().is_some_and(|sweep| !sweep.can_go_on(&checkpoint));
    let range = match &under_way {
        Some(sweep) => sweep.range,
        None => state.open_backfill().map(|backfill| backfill.range),
    };
    // A backfill goes first: a person waits for it.
    let takes_up_request = range.is_none() && (began_again || under_way.is_none());
    let sample = state.sample.or(under_way.as_ref().map(|sweep| sweep.sample)).unwrap_or(SAMPLE);
    let sweep = under_way.filter(|_| !began_again);
    let sweep = sweep.unwrap_or_else(|| begun(&checkpoint, traits, &state, range, sample, now));
    if takes_up_request {
        (state.asked_at, state.sample) = (None, None);
    }
    let (version, lease_until) = (state.version + 1, now.plus(LEASE));
    let next = SweepState { version, lease_until, under_way: Some(sweep.clone()), ..state };
    if ports.sweeps().store_sweep(key, &next).await? == Written::Refused {
        return Ok(None);
    }
    let gap_ms = checkpoint.clocks.gap_ms.unwrap_or_default();
    let is_answering = checkpoint.last_success_at.is_some_and(|at| now.since(at) < poller.settings.poll_interval);
    let (key, report) = (key.clone(), SweepReport { began_again, ..SweepReport::default() });
    let (seq, met, page_before) = (0, HashSet::new(), None);
    let lease_version = version;
    Ok(Some(Run {
        poller,
        traits,
        key,
        state: next,
        sweep,
        lease_version,
        seq,
        gap_ms,
        is_answering,
        until,
        met,
        page_before,
        report,
    }))
}

async fn has_bulk_work<P: SweepPorts>(ports: &P, key: &StreamKey) -> Result<bool, StoreFailure> {
    Ok(!ports.ledger().head(key, Lane::Bulk, 1).await?.is_empty())
}

/// Whether a sweep has taken too long. What a person has approved may be as old as it likes, and what a backfill has listed
/// as old as it is kept.
fn is_old(sweep: &Sweep, now: LocalMillis) -> bool {
    let age = now.since(sweep.proof.begun_at);
    let is_owing = matches!(sweep.phase, Phase::Owing(_));
    if is_owing { age > KEPT_FOR && sweep.range.is_some() } else { age > SWEEP_MAX }
}

async fn is_paused<P: SweepPorts>(ports: &P, key: &StreamKey, now: LocalMillis) -> Result<bool, StoreFailure> {
    let source = ports.ledger().source_state(key.source).await?;
    let stream = ports.ledger().stream_state(key).await?;
    let is_open = source.breaker.open(now).is_some() || stream.breaker.open(now).is_some();
    Ok(is_open || [source.pause, stream.pause].into_iter().flatten().any(|pause| pause.is_on(now)))
}

fn begun(
    checkpoint: &Checkpoint,
    traits: &StreamTraits,
    state: &SweepState,
    range: Option<Range>,
    sample: u64,
    now: LocalMillis,
) -> Sweep {
    let gap_ms = checkpoint.clocks.gap_ms.unwrap_or_default();
    let proof = Proof { begun_at: now, started_at: VendorMillis::new(now.get()).shifted(gap_ms), ..Proof::default() };
    let phase = if traits.shape == ListShape::Pages { Phase::Pages(Place::default()) } else { Phase::Listing(None) };
    let previous = state.last.as_ref().map(|last| last.begun_at);
    let (failure, failed_count) = (None, 0);
    Sweep { phase, ground: Ground::of(checkpoint), previous, failure, failed_count, proof, range, owed: 0, sample }
}

/// How a step of a sweep went.
enum Went {
    On,
    Over,
    /// What it has put into the bulk lane is fetched first.
    Waits,
    /// It cannot prove anything.
    Failed(Problem),
}

/// Why a step ends early.
enum Halt {
    Source(SourceFailure),
    Store(StoreFailure),
    /// Somebody else goes on with the sweep.
    Fenced,
}

impl From<StoreFailure> for Halt {
    fn from(failure: StoreFailure) -> Self {
        Self::Store(failure)
    }
}

/// A sweep that this invocation goes on with. `state` is the stored one, `sweep` what the next [`Run::save`] writes.
struct Run<'a, P> {
    poller: &'a Poller<P>,
    traits: &'a StreamTraits,
    key: StreamKey,
    state: SweepState,
    sweep: Sweep,
    /// The version that the lease wrote, and how many chunks and pieces were put: their keys.
    lease_version: i64,
    seq: u32,
    gap_ms: i64,
    /// Whether the last poll has read the list of changes.
    is_answering: bool,
    until: LocalMillis,
    /// Digests of the ids that the sweep met on pages, and of the page that was read last, with its number of entries.
    met: HashSet<u64>,
    page_before: Option<(i64, usize)>,
    report: SweepReport,
}

impl<P: SweepPorts> Run<'_, P> {
    fn now(&self) -> LocalMillis {
        self.poller.ports.clock().now()
    }

    fn is_late(&self) -> bool {
        self.now() >= self.until
    }

    async fn run(mut self) -> Result<SweepReport, StoreFailure> {
        loop {
            if is_old(&self.sweep, self.now()) {
                let problem = self.too_old();
                return self.end(Some(problem)).await;
            }
            let went = match self.sweep.phase.clone() {
                Phase::Pages(place) => self.list_pages(place).await,
                Phase::Listing(place) => self.list_all(place).await,
                Phase::Comparing(records, after) => self.compare(records, after).await,
                Phase::Owing(after) if self.sweep.range.is_some() => self.owe_listed(after).await,
                Phase::Owing(after) => self.owe_extra(after).await,
            };
            let went = match went {
                Ok(Went::On) if !self.is_late() => self.save().await.map(|()| Went::On),
                went => went,
            };
            match went {
                Ok(Went::On) if !self.is_late() => {}
                Ok(Went::On | Went::Waits) => return self.leave().await,
                Ok(Went::Over) => return self.end(None).await,
                Ok(Went::Failed(problem)) => return self.end(Some(problem)).await,
                Err(Halt::Source(failure)) => match self.note_failure(&failure).await? {
                    Some(problem) => return self.end(Some(problem)).await,
                    None => return self.leave().await,
                },
                Err(Halt::Store(failure)) => return Err(failure),
                Err(Halt::Fenced) => return Ok(self.report),
            }
        }
    }

    fn too_old(&self) -> Problem {
        let failure = self.sweep.failure.as_ref().map(|cause| format!("; the last call that failed: {cause}"));
        let what = match self.sweep.phase {
            Phase::Owing(_) => "what it has listed could not all be fetched within 30 days",
            Phase::Pages(_) | Phase::Listing(_) | Phase::Comparing(..) => {
                "it could not be read to its end within a day"
            }
        };
        let cause = format!("{what}{}", failure.unwrap_or_default());
        Problem::new(cause, "raise RequestsPerSecond, or see that the vendor answers")
    }

    /// What follows from a failed call: why it proves nothing, where another one would fail, too. Else it goes on later.
    async fn note_failure(&mut self, failure: &SourceFailure) -> Result<Option<Problem>, StoreFailure> {
        let cause = causes(failure);
        match failure.class.stops() {
            Stops::Stream => {
                let next_step = failure.next_step.unwrap_or(failure.class.next_step());
                return Ok(Some(Problem::new(cause, next_step)));
            }
            // There was no time left to wait it out.
            Stops::Source if short_pause(failure.class).is_some() => {}
            Stops::Source => {
                let ledger = self.poller.ports.ledger();
                let breaker = ledger.source_state(self.key.source).await?.breaker;
                let open_for = breaker.next_open_for(failure.class.retry_after());
                let why = Why { class: failure.class, cause: failure.cause.clone() };
                ledger.pause_source(self.key.source, self.now().plus(open_for), open_for, &why).await?;
            }
            Stops::StreamInARow | Stops::Record | Stops::Token => {}
        }
        self.sweep.failure = Some(cause);
        Ok(None)
    }

    /// The state as it is written next.
    fn next(&self, lease_until: LocalMillis) -> SweepState {
        let mut next = SweepState { version: self.state.version + 1, lease_until, ..self.state.clone() };
        let Sweep { proof, owed, range, .. } = &self.sweep;
        if let Some(backfill) = next.backfill.as_mut().filter(|_| range.is_some()) {
            backfill.begun_at = Some(proof.begun_at);
            (backfill.listed, backfill.owed, backfill.calls) = (proof.listed, *owed, proof.calls);
        }
        next.under_way = Some(self.sweep.clone());
        next
    }

    /// Writes where the sweep stands; the lease runs on.
    async fn save(&mut self) -> Result<(), Halt> {
        self.write(self.next(self.now().plus(LEASE))).await
    }

    async fn write(&mut self, next: SweepState) -> Result<(), Halt> {
        if self.poller.ports.sweeps().store_sweep(&self.key, &next).await? == Written::Refused {
            return Err(Halt::Fenced);
        }
        self.state = next;
        Ok(())
    }

    /// Leaves the rest of the sweep to somebody else.
    async fn leave(self) -> Result<SweepReport, StoreFailure> {
        let next = self.next(LocalMillis::default());
        self.written(next).await
    }

    /// Ends the sweep: with its proof, or with nothing proved where it has `failed`. The last proof then stays.
    async fn end(mut self, failed: Option<Problem>) -> Result<SweepReport, StoreFailure> {
        let mut next = SweepState { under_way: None, ..self.next(LocalMillis::default()) };
        if self.sweep.range.is_some() {
            // It says nothing of the rest of the copy.
            if let Some(backfill) = &mut next.backfill {
                backfill.ended_at = Some(self.now());
                backfill.problem = failed.or_else(|| self.sweep.proof.problem());
            }
            self.report.backfill.clone_from(&next.backfill);
            return self.written(next).await;
        }
        next.problem = failed;
        if next.problem.is_none() {
            let ended_at = Some(VendorMillis::new(self.now().get()).shifted(self.gap_ms));
            let proof = Proof { ended_at, ..self.sweep.proof.clone() };
            next.problem = proof.problem();
            next.last = Some(proof.clone());
            next.good = Some(proof.clone()).filter(Proof::is_good).or(next.good);
            self.report.proof = Some(proof);
        }
        self.report.problem.clone_from(&next.problem);
        self.written(next).await
    }

    async fn written(mut self, next: SweepState) -> Result<SweepReport, StoreFailure> {
        match self.write(next).await {
            Ok(()) => Ok(self.report),
            Err(Halt::Store(failure)) => Err(failure),
            // Somebody else went on with it: what this one found is not what is stored.
            Err(Halt::Fenced | Halt::Source(_)) => {
                Ok(SweepReport { proof: None, problem: None, backfill: None, ..self.report })
            }
        }
    }
}
