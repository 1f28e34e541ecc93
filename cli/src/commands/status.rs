//! How every stream stands, and what needs a person.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::sqs::DeadLetters;
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::{FailureClass, StoreFailure};
use tidemark_engine::health::{SourceState, StreamState};
use tidemark_engine::ports::{Checkpoints, Clock, Ledger};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_watch::state::{State, StreamReport};
use tidemark_watch::{is_excused_by, look_at};

use crate::Ended;
use crate::context::Context;
use crate::failure::Failure;
use crate::names::Place;
use crate::page;
use crate::stack::{Deployment, Stack};
use crate::time;

/// How often `--watch` draws.
const REDRAW: Duration = Duration::from_secs(3);
/// From this width on, times are absolute too, and it is shown when the copy was found whole.
const WIDE: u16 = 140;
/// Below this width, what is said least often is left out, because words would be broken into letters.
const USUAL: u16 = 80;

/// What the page shows.
#[derive(Serialize)]
struct Status {
    stack: String,
    at: String,
    streams: Vec<Row>,
    /// What needs a person, the worst first.
    attention: Vec<Attention>,
    /// Sources that are off.
    off: Vec<&'static str>,
    #[serde(skip)]
    now: LocalMillis,
}

#[derive(Serialize)]
struct Row {
    source: &'static str,
    stream: String,
    state: &'static str,
    until: Option<String>,
    import_done_count: Option<u64>,
    import_listed_count: Option<u64>,
    last_success_at: Option<String>,
    committed: Option<String>,
    last_stored_at: Option<String>,
    whole_at: Option<String>,
    late_p99: Option<String>,
    owed_fresh_count: u64,
    owed_bulk_count: u64,
    quarantine_count: usize,
    troubled_count: usize,
    staleness_seconds: Option<u64>,
    lag_seconds: u64,
    held_back: Option<String>,
    sweeping: Option<String>,
    #[serde(skip)]
    seen: Seen,
}

/// What was read of a stream.
struct Seen {
    state: State,
    last_success_at: Option<LocalMillis>,
    /// Nothing until the first import has got somewhere.
    committed: Option<Position>,
    last_stored_at: Option<LocalMillis>,
    whole_at: Option<LocalMillis>,
}

#[derive(Serialize)]
struct Attention {
    source: Option<&'static str>,
    stream: Option<String>,
    what: String,
    next: String,
    /// When the vendor is asked again.
    #[serde(skip)]
    again_at: Option<LocalMillis>,
}

/// What the tables hold of one stream.
struct Found {
    report: StreamReport,
    checkpoint: Option<Checkpoint>,
    shared: StreamState,
}

pub(super) async fn once(context: &mut Context<'_>, place: Option<&Place>) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let status = look(context, &stack, place).await?;
    context.show(&status, |status, context| {
        let page = status.page(context);
        Ok(context.out.write_all(page.as_bytes())?)
    })?;
    Ok(if status.attention.is_empty() { Ended::Well } else { Ended::WithAttention })
}

/// Draws again and again; a failure in between is shown and outlived.
pub(super) async fn watch(context: &mut Context<'_>, place: Option<&Place>) -> Result<Ended, Failure> {
    if context.global.json {
        let what = "--watch draws for a person, --json is for a program";
        return Err(Failure::Usage(format!("{what}\nnext: leave one of them out")));
    }
    let stack = context.stack().await?;
    loop {
        context.now = SystemClock.now();
        let page = match look(context, &stack, place).await {
            Ok(status) => status.page(context),
            Err(failure) => format!("{}\n{failure}\n", time::absolute(context.now)),
        };
        let clear = if context.terminal.is_screen { "\u{1b}[H\u{1b}[2J" } else { "" };
        write!(context.out, "{clear}{page}")?;
        context.out.flush()?;
        SystemClock.sleep(REDRAW).await;
    }
}

async fn look(context: &mut Context<'_>, stack: &Stack, place: Option<&Place>) -> Result<Status, Failure> {
    let now = context.now;
    if let Some(place) = place {
        stack.source(place.source)?;
    }
    let wanted = stack.sources.iter().filter(|source| place.is_none_or(|place| place.source == source.source));
    let wanted: Vec<&Deployment> = wanted.collect();
    let mut status = Status {
        stack: stack.name.clone(),
        at: time::rfc3339(now),
        streams: Vec::new(),
        attention: Vec::new(),
        off: Vec::new(),
        now,
    };
    let stream = match place {
        Some(Place { source, stream: Some(stream) }) => Some(stack.polled(*source, stream)?),
        _ => None,
    };
    let stream = stream.as_ref();
    let sdk = context.sdk().await?;
    let queues = wanted.iter().map(|source| DeadLetters::new(sdk, source.dead_letters_url.as_str()));
    let queues: Vec<DeadLetters> = queues.collect();
    let (found, depths) = futures_util::join!(
        try_join_all(wanted.iter().map(|source| async {
            let shared = stack.ledger.source_state(source.source).await?;
            let keys = source.streams.iter().filter(|name| stream.is_none_or(|stream| *stream == **name));
            let keys = keys.map(|name| StreamKey { source: source.source, name: name.clone() });
            let streams = try_join_all(keys.map(|key| find(stack, key, &shared, now))).await?;
            Ok::<_, StoreFailure>((shared, streams))
        })),
        join_all(queues.iter().map(DeadLetters::depth)),
    );
    for ((source, (shared, streams)), depth) in wanted.iter().zip(found?).zip(depths) {
        let changed = streams.iter().filter(|found| found.report.state == State::AccountChanged);
        let changed_count = changed.count();
        for found in &streams {
            status.streams.push(Row::of(found, stack.first(&found.report.stream).as_ref()));
            status.attention.extend(needs(stack, found, &shared, changed_count, now));
        }
        if place.is_some() {
            let off = source.off().into_iter().filter(|name| stream.is_none_or(|stream| stream == name));
            status.streams.extend(off.map(|name| Row::off(source.source, name.to_string())));
        }
        match depth {
            Ok(0) => {}
            Ok(depth) => status.attention.push(dead_letters(source.source, depth)),
            // A person who may read tables and not queues still learns how the streams stand.
            Err(failure) => {
                let failure = Failure::from(failure);
                writeln!(context.notes, "note: {failure}")?;
            }
        }
    }
    if !stack.is_scheduled {
        status.attention.push(Attention {
            source: None,
            stream: None,
            what: "the schedules are disabled: nothing is polled, and no alarm rings".to_owned(),
            next: "deploy with ScheduleState=ENABLED".to_owned(),
            again_at: None,
        });
    }
    if place.is_none() {
        let is_on = |kind: &SourceKind| stack.sources.iter().any(|source| source.source == *kind);
        status.off = SourceKind::ALL.iter().filter(|kind| !is_on(kind)).map(|kind| kind.as_str()).collect();
    }
    Ok(status)
}

async fn find(stack: &Stack, key: StreamKey, source: &SourceState, now: LocalMillis) -> Result<Found, StoreFailure> {
    let limits = stack.limits(&key);
    let (report, checkpoint, shared) = futures_util::try_join!(
        look_at(&stack.checkpoints, &stack.ledger, key.clone(), limits, source, now),
        stack.checkpoints.load(&key),
        stack.ledger.stream_state(&key),
    )?;
    Ok(Found { report, checkpoint, shared })
}

impl Row {
    /// How a stream stands whose first import starts at `first`.
    fn of(found: &Found, first: Option<&Position>) -> Self {
        let Found { report, checkpoint, shared } = found;
        let until = match report.state {
            State::Paused { until } => until,
            State::Refused { until } | State::KeyRejected { until } | State::VendorDown { until } => Some(until),
            _ => None,
        };
        let import = match report.state {
            State::Importing { done_count, listed_count } => Some((done_count, listed_count)),
            _ => None,
        };
        let committed = checkpoint.as_ref().map(|checkpoint| &checkpoint.committed);
        let seen = Seen {
            state: report.state,
            last_success_at: checkpoint.as_ref().and_then(|checkpoint| checkpoint.last_success_at),
            committed: committed.filter(|committed| Some(*committed) != first).cloned(),
            last_stored_at: shared.last_stored_at,
            whole_at: report.whole_at,
        };
        Self {
            source: report.stream.source.as_str(),
            stream: report.stream.name.to_string(),
            state: report.state.as_str(),
            until: until.map(time::rfc3339),
            import_done_count: import.map(|(done_count, _)| done_count),
            import_listed_count: import.map(|(_, listed_count)| listed_count),
            last_success_at: seen.last_success_at.map(time::rfc3339),
            committed: committed.map(ToString::to_string),
            last_stored_at: seen.last_stored_at.map(time::rfc3339),
            whole_at: seen.whole_at.map(time::rfc3339),
            late_p99: shared.lateness.p99().map(late),
            owed_fresh_count: report.owed.fresh_count,
            owed_bulk_count: report.owed.bulk_count,
            quarantine_count: report.quarantine_count,
            troubled_count: report.troubled_count,
            staleness_seconds: checkpoint.as_ref().map(|_| report.standing.staleness.as_secs()),
            lag_seconds: report.standing.lag.as_secs(),
            held_back: report.held_back.clone(),
            sweeping: report.sweeping.clone(),
            seen,
        }
    }

    /// A stream that is not polled.
    fn off(source: SourceKind, stream: String) -> Self {
        let seen =
            Seen { state: State::Off, last_success_at: None, committed: None, last_stored_at: None, whole_at: None };
        Self {
            source: source.as_str(),
            stream,
            state: State::Off.as_str(),
            until: None,
            import_done_count: None,
            import_listed_count: None,
            last_success_at: None,
            committed: None,
            last_stored_at: None,
            whole_at: None,
            late_p99: None,
            owed_fresh_count: 0,
            owed_bulk_count: 0,
            quarantine_count: 0,
            troubled_count: 0,
            staleness_seconds: None,
            lag_seconds: 0,
            held_back: None,
            sweeping: None,
            seen,
        }
    }
}

/// What needs a person at a stream, and the next step. Of its source's streams, `changed_count` have another account.
fn needs(stack: &Stack, found: &Found, source: &SourceState, changed_count: usize, now: LocalMillis) -> Vec<Attention> {
    let Found { report, checkpoint, shared } = found;
    let StreamKey { source: kind, name } = &report.stream;
    let place = format!("{kind}/{name}");
    let mut needed = Vec::new();
    let mut add = |what: String, next: String| {
        let again_at = match report.state {
            State::Refused { until } | State::KeyRejected { until } | State::VendorDown { until } => Some(until),
            _ => None,
        };
        needed.push(Attention { source: Some(kind.as_str()), stream: Some(name.to_string()), what, next, again_at });
    };
    let cause = || {
        let breakers = [&shared.breaker, &source.breaker];
        breakers.into_iter().find_map(|breaker| breaker.why.clone())
    };
    match report.state {
        State::Paused { .. } => {
            let pauses = [(&source.pause, kind.to_string()), (&shared.pause, place.clone())];
            for (pause, whom) in pauses {
                if let Some(pause) = pause.as_ref().filter(|pause| pause.is_on(now) && !is_excused_by(pause, now)) {
                    let since = time::shown(pause.since, now);
                    let what = format!("paused by {} since {since}: {}", pause.by, pause.why);
                    add(what, format!("tidemark resume {whom}"));
                }
            }
        }
        State::AccountChanged => add(
            "the account, its key or a setting that changes what is listed is another one; nothing is listed"
                .to_owned(),
            // One decision is enough where all have to be decided.
            if changed_count > 1 {
                format!("put the old one back, or tidemark account keep {kind}, or start-again")
            } else {
                format!("put the old one back, or tidemark account keep {kind} {name}, or start-again")
            },
        ),
        State::Refused { .. } | State::KeyRejected { .. } | State::VendorDown { .. } => {
            let why = cause();
            let next = why.as_ref().map_or(FailureClass::Transient, |why| why.class).next_step();
            let cause = why.map_or_else(|| "the vendor failed".to_owned(), |why| why.cause);
            add(cause, next.to_owned());
        }
        State::Stale if checkpoint.is_none() => {
            let next = format!("wait for its first poll after a deployment; else tidemark doctor {kind}");
            add("it was never polled".to_owned(), next);
        }
        State::Stale => {
            let limits = stack.limits(&report.stream);
            let listed_at = checkpoint.as_ref().and_then(|checkpoint| checkpoint.last_success_at);
            let unlisted = now.since(listed_at.unwrap_or(LocalMillis::new(0)));
            if unlisted > limits.rests_for.saturating_add(limits.stale_after) {
                let unlisted = listed_at.map_or_else(String::new, |_| format!(" for {}", time::span(unlisted)));
                let what = format!("its list was not read{unlisted}: its polls fail, or nothing starts them");
                add(what, format!("tidemark doctor {kind} says why"));
            } else {
                let what =
                    format!("records are owed, and none was stored for {}", time::span(report.standing.staleness));
                add(what, stack.log(*kind, "fetcher"));
            }
        }
        State::QuarantineFull | State::Importing { .. } | State::Behind | State::Fresh | State::Off => {}
    }
    if report.troubled_count > 0 {
        let what = format!("{} in quarantine that waiting does not fix", page::plural(report.troubled_count, "id"));
        add(what, format!("tidemark quarantine list {kind} {name}"));
    }
    let overlap: Option<u64> = stack.parameter("OverlapSeconds").and_then(|text| text.parse().ok());
    if let Some((shown, overlap)) = shared.lateness.p99().zip(overlap)
        && shown > Duration::from_secs(overlap / 2)
    {
        let what = format!("one change in a hundred shows {} late; the overlap is {overlap} s", late(shown));
        add(what, "deploy with OverlapSeconds of twice that: what shows later than the overlap is missed".to_owned());
    }
    if let Some(problem) = &report.sweep_problem {
        add(format!("the last sweep: {}", problem.cause), problem.next_step.clone());
    }
    needed
}

/// How late changes show, in words.
fn late(p99: Duration) -> String {
    if p99 == Duration::MAX { "over 300 s".to_owned() } else { format!("up to {} s", p99.as_secs()) }
}

fn dead_letters(source: SourceKind, depth: u64) -> Attention {
    let count = usize::try_from(depth).unwrap_or(usize::MAX);
    Attention {
        source: Some(source.as_str()),
        stream: None,
        what: format!("{} in the dead-letter queue", page::plural(count, "message")),
        next: format!("tidemark dead-letters list {source}"),
        again_at: None,
    }
}

impl Attention {
    /// Whether it is the same for another stream of the source.
    fn is_like(&self, other: &Self) -> bool {
        self.source == other.source && self.what == other.what && self.next == other.next
    }
}

impl Status {
    /// What needs a person, with the number of streams that need the same; the one that is asked again first stands for all.
    fn grouped(&self) -> Vec<(&Attention, usize)> {
        let mut groups: Vec<(&Attention, usize)> = Vec::new();
        for need in &self.attention {
            match groups.iter_mut().find(|(first, _)| first.is_like(need)) {
                Some((first, count)) => {
                    *count += 1;
                    if need.again_at < first.again_at {
                        *first = need;
                    }
                }
                None => groups.push((need, 1)),
            }
        }
        groups
    }

    fn page(&self, context: &Context<'_>) -> String {
        let terminal = context.terminal;
        let now = self.now;
        let when = |at: Option<LocalMillis>| match at {
            None => "-".to_owned(),
            Some(at) if terminal.width >= WIDE => time::shown(at, now),
            Some(at) => time::age(at, now),
        };
        let is_wide = terminal.width >= WIDE;
        let ages = if is_wide { "" } else { "; ages below" };
        let mut page = format!("{}  {}{ages}\n\n", self.stack, time::absolute(now));
        if self.streams.is_empty() {
            page.push_str("No source is on.\n");
        } else {
            let head = ["STREAM", "STATE", "LISTED", "COMMITTED", "STORED", "WHOLE", "OWED", "QUARANTINE"];
            let mut table = page::table(terminal, head);
            let last = head.len() - 1;
            page::keep_whole(&mut table, [0, 1, last]);
            // With the longest state, all fits 80 columns.
            page::close_up(&mut table, [(last - 3, 1), (last - 1, 1), (last, 0)]);
            let left_out: &[&str] = match terminal.width {
                WIDE.. => &[],
                USUAL.. => &["WHOLE"],
                _ => &["WHOLE", "COMMITTED", "STORED"],
            };
            for word in left_out {
                page::hide(&mut table, head.iter().position(|each| each == word));
            }
            let mut source = "";
            for row in &self.streams {
                if row.source != source {
                    source = row.source;
                    table.add_row(vec![source]);
                }
                let committed = match &row.seen.committed {
                    Some(Position::Token { text, .. }) => text.clone(),
                    at => when(at.as_ref().and_then(Position::at).map(|at| LocalMillis::new(at.get()))),
                };
                table.add_row(vec![
                    format!("  {}", row.stream).into(),
                    page::state(row.seen.state, is_wide),
                    when(row.seen.last_success_at).into(),
                    committed.into(),
                    when(row.seen.last_stored_at).into(),
                    when(row.seen.whole_at).into(),
                    page::count(row.owed_fresh_count + row.owed_bulk_count),
                    page::count(u64::try_from(row.quarantine_count).unwrap_or(u64::MAX)),
                ]);
            }
            page.push_str(&page::lines(&table));
        }
        if !self.off.is_empty() {
            page = format!("{page}\nOff: {}\n", self.off.join(", "));
        }
        let paused: Vec<&Row> =
            self.streams.iter().filter(|row| matches!(row.seen.state, State::Paused { .. })).collect();
        for same in paused.chunk_by(|one, next| (one.source, &one.held_back) == (next.source, &next.held_back)) {
            let [Row { source, stream, held_back, .. }, ..] = same else { continue };
            let place = if same.len() == 1 {
                format!("{source}/{stream}")
            } else {
                format!("{source}, {} streams", same.len())
            };
            page = format!("{page}\n{place}: {}\n", held_back.as_deref().unwrap_or_default());
        }
        for row in &self.streams {
            if let Some(words) = &row.sweeping {
                page = format!("{page}\n{}/{}: {words}\n", row.source, row.stream);
            }
        }
        if !self.attention.is_empty() {
            page.push_str("\nNeeds a person:\n");
        }
        for (need, count) in self.grouped() {
            let Attention { source, stream, what, next, again_at } = need;
            let place = match (source, stream) {
                (Some(source), Some(_)) if count > 1 => format!("{source}, {count} streams: "),
                (Some(source), Some(stream)) => format!("{source}/{stream}: "),
                (Some(source), None) => format!("{source}: "),
                _ => String::new(),
            };
            let again = match again_at {
                Some(at) if *at > now => format!("; asked again {}", time::relative(*at, now)),
                Some(_) => "; asked again at the next poll".to_owned(),
                None => String::new(),
            };
            page = format!("{page}  {place}{what}{again}\n    next: {next}\n");
        }
        page
    }
}
