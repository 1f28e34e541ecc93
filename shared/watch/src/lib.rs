//! Use case 3, the watcher: report how every stream stands. It reads and reports; it never writes a table.
#![expect(async_fn_in_trait, reason = "static dispatch only: whether a future is Send is known where it is run")]

pub mod advice;
pub mod measurement;
pub mod standing;
pub mod state;

use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::health::{Breaker, Pause, SourceState};
use tidemark_engine::ports::{Checkpoints, Clock, Ledger};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{Reason, RetryEntry};
use tidemark_sweep::ports::Sweeps;

use self::measurement::{Measurement, MeasurementName, Measurements};
use self::standing::standing;
use self::state::{State, StreamReport, state_of};

/// How many polls a stream is not stale for at least: with fewer, one late poll is a stale stream.
pub const POLLS_TO_STALE: u32 = 2;
/// After how long a pause that a person asked for rings like any other standstill.
const PAUSE_REMINDER: Duration = DAY;

/// For so long the quarantine asks for a person once more: the watcher comes by in between.
const REMINDER: Duration = Duration::from_mins(15);
const DAY: Duration = Duration::from_hours(24);

/// The ports that a watcher needs.
pub trait WatcherPorts {
    /// The checkpoints.
    fn checkpoints(&self) -> &impl Checkpoints;
    /// The ledger, which keeps what sweeps found, too.
    fn ledger(&self) -> &(impl Ledger + Sweeps);
    /// Where measurements go.
    fn measurements(&self) -> &impl Measurements;
    /// The clock.
    fn clock(&self) -> &impl Clock;
}

/// The watcher of a stack.
pub struct Watcher<P> {
    /// Its world.
    pub ports: P,
    /// The sources that are turned on, each with its streams that are.
    pub watched: Vec<(SourceKind, Vec<WatchedStream>)>,
    /// From when on a stream is called stale, for the report.
    pub stale_after: Duration,
}

/// A stream that is turned on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedStream {
    /// Which.
    pub name: StreamName,
    /// How long it rests between two scans of its whole list; nothing for the others.
    pub rests_for: Duration,
}

impl<P: WatcherPorts> Watcher<P> {
    /// Looks at every watched stream and publishes the figures of each source, with the heartbeat last: a watcher that
    /// sees nothing must not look alive.
    ///
    /// # Errors
    /// [`StoreFailure`] when a table cannot be read or the figures cannot be published.
    pub async fn watch(&self) -> Result<Vec<StreamReport>, StoreFailure> {
        let now = self.ports.clock().now();
        let mut reports = Vec::new();
        let mut measurements = Vec::new();
        for (source, streams) in &self.watched {
            let state = self.ports.ledger().source_state(*source).await?;
            let mut of_source = Vec::new();
            for watched in streams {
                let stream = StreamKey { source: *source, name: watched.name.clone() };
                let (checkpoints, ledger) = (self.ports.checkpoints(), self.ports.ledger());
                let limits = Limits { rests_for: watched.rests_for, stale_after: self.stale_after };
                of_source.push(look_at(checkpoints, ledger, stream, limits, &state, now).await?);
            }
            measurements.extend(measure(*source, &of_source));
            reports.extend(of_source);
        }
        measurements.push(Measurement { name: MeasurementName::Heartbeat, source: None, value: 1.0 });
        self.ports.measurements().publish(&measurements).await?;
        Ok(reports)
    }
}

/// From when on a stream counts as stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it rests between two polls.
    pub rests_for: Duration,
    /// How long after that a poll may be due.
    pub stale_after: Duration,
}

/// Looks at one stream. Reads only: four items by key, and the partition of what the stream owes.
///
/// # Errors
/// [`StoreFailure`] when a table cannot be read.
pub async fn look_at<C: Checkpoints, L: Ledger + Sweeps>(
    checkpoints: &C,
    ledger: &L,
    stream: StreamKey,
    limits: Limits,
    source: &SourceState,
    now: LocalMillis,
) -> Result<StreamReport, StoreFailure> {
    let checkpoint = checkpoints.load(&stream).await?;
    let shared = ledger.stream_state(&stream).await?;
    let standing = standing(checkpoint.as_ref(), &shared, now);
    let entries = ledger.retry_entries(&stream).await?;
    let troubled: Vec<&RetryEntry> = entries.iter().filter(|entry| entry.needs_attention()).collect();
    let (troubled_count, reminds) = (troubled.len(), reminds(&troubled, now));
    let owed = ledger.owed(&stream).await?;
    let held_back = paused_by_person("the source", source.pause.as_ref(), now)
        .or_else(|| paused_by_person("the stream", shared.pause.as_ref(), now))
        .or_else(|| why_paused("the stream", &shared.breaker, now))
        .or_else(|| why_paused("the source", &source.breaker, now));
    let is_excused = [&source.pause, &shared.pause].into_iter().flatten().any(|pause| is_excused_by(pause, now));
    let overdue = if is_excused { Duration::ZERO } else { standing.staleness.saturating_sub(limits.rests_for) };
    let is_stale = overdue > limits.stale_after;
    let quarantine_count = entries.len();
    let state = State::Fresh;
    let sweep = ledger.load_sweep(&stream).await?.unwrap_or_default();
    let sweeping = sweep.progress();
    let (whole_at, sweep_problem) = (sweep.good.map(|good| good.begun_at), sweep.problem);
    let report = StreamReport {
        stream,
        standing,
        owed,
        quarantine_count,
        troubled_count,
        reminds,
        overdue,
        is_stale,
        state,
        held_back,
        whole_at,
        sweep_problem,
        sweeping,
    };
    Ok(StreamReport { state: state_of(&report, &shared, source, now), ..report })
}

/// Whether a person's pause excuses a stream that stands still: one that lasts longer than a day may be forgotten.
pub fn is_excused_by(pause: &Pause, now: LocalMillis) -> bool {
    pause.is_on(now) && now.since(pause.since) < PAUSE_REMINDER
}

/// The alarm of the quarantine itself rings when the first id comes in, and stays on.
fn reminds(troubled: &[&RetryEntry], now: LocalMillis) -> bool {
    let since = |reason: Option<Reason>| {
        let of_reason = troubled.iter().filter(|entry| reason.is_none_or(|reason| entry.reason == reason));
        of_reason.map(|entry| entry.since).min()
    };
    let is_due = |at: LocalMillis| {
        let age = now.since(at).as_secs();
        age % DAY.as_secs() < REMINDER.as_secs() && (age >= DAY.as_secs() || Some(at) != since(None))
    };
    Reason::ALL.into_iter().filter_map(|reason| since(Some(reason))).any(is_due)
}

fn paused_by_person(who: &str, pause: Option<&Pause>, now: LocalMillis) -> Option<String> {
    let pause = pause.filter(|pause| pause.is_on(now))?;
    let until = pause.until.map_or_else(|| "somebody resumes it".to_owned(), |until| until.to_string());
    Some(format!("{who} was paused by {} until {until}: {}", pause.by, pause.why))
}

fn why_paused(who: &str, breaker: &Breaker, now: LocalMillis) -> Option<String> {
    let until = breaker.open(now)?;
    let cause = breaker.why.as_ref().map_or("-", |why| why.cause.as_str());
    Some(format!("{who} pauses until {until}: {cause}"))
}

fn measure(source: SourceKind, reports: &[StreamReport]) -> Vec<Measurement> {
    let longest = |of: fn(&StreamReport) -> Duration| reports.iter().map(of).max().unwrap_or_default().as_secs_f64();
    let backlog: u64 = reports.iter().map(|report| report.owed.fresh_count + report.owed.bulk_count).sum();
    let quarantine: usize = reports.iter().map(|report| report.troubled_count).sum();
    let reminders = reports.iter().filter(|report| report.reminds).count();
    let problems = reports.iter().filter(|report| report.sweep_problem.is_some()).count();
    let count = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    [
        (MeasurementName::Staleness, longest(|report| report.overdue)),
        (MeasurementName::Lag, longest(|report| report.standing.lag)),
        (MeasurementName::Backlog, count(backlog)),
        (MeasurementName::Quarantine, count(u64::try_from(quarantine).unwrap_or(u64::MAX))),
        (MeasurementName::Attention, count(u64::try_from(reminders).unwrap_or(u64::MAX))),
        (MeasurementName::SweepProblems, count(u64::try_from(problems).unwrap_or(u64::MAX))),
    ]
    .map(|(name, value)| Measurement { name, source: Some(source), value })
    .to_vec()
}
