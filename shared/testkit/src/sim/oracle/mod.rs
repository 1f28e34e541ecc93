//! What must hold, judged by the vendor's own history. The invariants are those of section 10 of `docs/protocol.md`.

mod end;
mod feed;
mod fresh;
mod movement;
mod positions;
mod records;
mod swept;

use std::collections::{BTreeMap, BTreeSet};

use tidemark_engine::checkpoint::{Checkpoint, Scope};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::fetch::FetchReport;
use tidemark_engine::position::Position;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{ChunkKey, Lane, PoisonPolicy, RetryEntry, VANISHED_MAX};

use super::gate::Process;
use super::history::Violation;
use super::trace::Who;
use super::weather::{Sky, StreamWeather, Weather};
use super::world::{World, records_of};
use crate::memory::Operation;
use fresh::Fresh;
use movement::Movement;

type Verdict = Result<(), (&'static str, String)>;

fn broken<T>(invariant: &'static str, detail: impl FnOnce() -> String) -> Result<T, (&'static str, String)> {
    Err((invariant, detail()))
}

/// One stream as the oracle watches it.
struct Watched {
    key: StreamKey,
    shape: ListShape,
    /// The stream under which its records are kept.
    records: StreamName,
    /// The checkpoint as it was last seen.
    last: Option<Checkpoint>,
    /// When the listing began that was concluded last.
    concluded: Option<LocalMillis>,
    /// What was put under each key.
    put: BTreeMap<ChunkKey, BTreeSet<RecordId>>,
    /// When the stored look of each record began, as it was last seen.
    looked_at: BTreeMap<RecordId, LocalMillis>,
    /// Records that a restore will lose.
    to_lose: Vec<RecordKey>,
    /// Of a feed: events before this one were passed over by listing everything instead, which shows no deletion.
    passed_over: usize,
    /// Records that were rightly believed to be gone while the vendor hid them, and not edited since.
    hidden: BTreeSet<RecordId>,
    /// Edits that have to be stored soon.
    fresh: Vec<Fresh>,
    /// What the next proof has to say.
    awaited: Option<swept::Awaited>,
    movement: Movement,
}

/// The judge of one history.
pub(super) struct Oracle {
    streams: Vec<Watched>,
    policy: PoisonPolicy,
    is_fair: bool,
    /// Healthy records that went into the retry lane because of an outage.
    blamed: BTreeSet<(StreamName, RecordId)>,
    violation: Option<Violation>,
}

impl Oracle {
    pub(super) fn new(weather: &Weather) -> Self {
        let watched = |stream: &StreamWeather| Watched {
            key: StreamKey { source: SourceKind::FieldMotion, name: stream.name().clone() },
            shape: stream.shape(),
            records: records_of(stream),
            last: None,
            concluded: None,
            put: BTreeMap::new(),
            looked_at: BTreeMap::new(),
            to_lose: Vec::new(),
            passed_over: 0,
            hidden: BTreeSet::new(),
            fresh: Vec::new(),
            awaited: None,
            movement: Movement::default(),
        };
        Self {
            streams: weather.streams.iter().map(watched).collect(),
            policy: weather.policy,
            is_fair: weather.sky == Sky::Fair,
            blamed: BTreeSet::new(),
            violation: None,
        }
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.clone()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.violation.is_some()
    }

    fn judge(&mut self, world: &World, verdict: Verdict) {
        if let (Err((invariant, detail)), None) = (verdict, &self.violation) {
            world.trace.note(world.now(), Who::World, || format!("VIOLATION {invariant}: {detail}"));
            self.violation = Some(Violation { invariant, detail, at: world.now() });
        }
    }

    fn watched(&mut self, stream: &StreamKey) -> Option<&mut Watched> {
        self.streams.iter_mut().find(|watched| watched.key == *stream)
    }

    /// Looks at what a call has just done.
    pub(super) fn observe(&mut self, world: &World, operation: Operation, process: &Process) {
        let (policy, is_fair) = (self.policy, self.is_fair);
        let Some(watched) = self.watched(&process.stream) else { return };
        let verdict = match operation {
            Operation::Create | Operation::Store => watched.check_checkpoint(world, process, policy),
            Operation::PutChunks => watched.check_put(world).and_then(|()| watched.check_bulk(world, is_fair)),
            Operation::MarkSent => watched.check_bulk(world, is_fair),
            Operation::StoreLooks => watched.check_stored(world, &process.storing.borrow()),
            Operation::Finish | Operation::DeleteChunk | Operation::SetAside => {
                watched.movement.moved(world.now());
                Ok(())
            }
            Operation::NoteStored => {
                watched.movement.stored(world.now());
                Ok(())
            }
            // Nothing else moves what is owed.
            _ => return,
        };
        watched.note_owed(world, process.began_at);
        self.judge(world, verdict);
    }

    /// The same for a write that came late.
    pub(super) fn observe_late(&mut self, world: &World, operation: Operation) {
        let mut verdict = Ok(());
        for watched in &mut self.streams {
            watched.note_owed(world, world.now());
            if verdict.is_ok() {
                verdict = match operation {
                    Operation::StoreLooks => watched.check_all_stored(world),
                    Operation::Store => watched.check_late_checkpoint(world),
                    _ => Ok(()),
                };
            }
        }
        self.judge(world, verdict);
    }

    /// A panic of the engine is caught by the fetcher and blamed on the record: here it is a bug.
    pub(super) fn check_fetch(&mut self, world: &World, report: &FetchReport) {
        let panicked = report.set_aside.iter().find(|(_, _, cause)| cause.contains("panicked"));
        if let Some((id, _, _)) = panicked {
            let verdict = broken("no panic", || format!("the fetcher panicked at {id}"));
            self.judge(world, verdict);
        }
    }

    /// P10: an outage of the whole vendor moves only a handful of healthy records to the retry lane.
    pub(super) fn note_aside(&mut self, world: &World, entry: &RetryEntry) {
        let is_outage = world.outage.get().is_some_and(|(from, to)| from <= entry.listed_at && entry.listed_at < to);
        if !is_outage || world.weather.chances.transient > 0 {
            return;
        }
        // What went there before the outage fails on, and is not moved by it.
        let key = (entry.stream.clone(), entry.id.clone());
        if world.tables.with(|tables| tables.retries.contains_key(&key)) {
            return;
        }
        self.blamed.insert((entry.stream.name.clone(), entry.id.clone()));
        let count = self.blamed.len();
        if count > BLAMED_MAX {
            let verdict = broken("P10 an outage is no record's fault", || format!("{count} records were set aside"));
            self.judge(world, verdict);
        }
    }

    /// The ledger was lost: what moved is not known any more.
    pub(super) fn note_loss(&mut self, world: &World) {
        for watched in &mut self.streams {
            watched.movement.forget(world.now());
            watched.put.clear();
        }
    }

    /// Records that are lost as soon as an operator has written the checkpoint.
    pub(super) fn will_lose(&mut self, stream: &StreamName, lost: Vec<RecordKey>) {
        if let Some(watched) = self.streams.iter_mut().find(|watched| watched.key.name == *stream) {
            watched.to_lose = lost;
        }
    }
}

/// How many healthy records an outage may move to the retry lane.
const BLAMED_MAX: usize = 40;

impl Watched {
    /// P3 and P4, then P1 and P2.
    fn check_checkpoint(&mut self, world: &World, process: &Process, policy: PoisonPolicy) -> Verdict {
        let Some(next) = world.tables.with(|tables| tables.checkpoints.get(&self.key).cloned()) else { return Ok(()) };
        let Some(last) = self.last.replace(next.clone()) else { return Ok(()) };
        if last == next {
            return Ok(());
        }
        world.trace.note(world.now(), process.who, || in_words(&last, &next));
        if next.version <= last.version {
            return broken("P4 versions rise", || format!("version {} after {}", next.version, last.version));
        }
        if process.who == Who::Operator && next.scanned.order() <= last.scanned.order() {
            let gone = std::mem::take(&mut self.to_lose);
            world.lose(&gone, &self.key.name);
            self.looked_at.retain(|id, _| gone.iter().all(|key| key.id != *id));
        }
        if next.committed.order() > next.scanned.order() {
            return broken("P3 committed is not above scanned", || in_words(&last, &next));
        }
        let is_back = next.committed.order() < last.committed.order();
        if is_back && next.committed != next.scanned && process.who != Who::Operator {
            return broken("P3 committed does not go back", || in_words(&last, &next));
        }
        let is_unread = token_index(&next.scanned) < token_index(&last.scanned) && next.ledger_mark == last.ledger_mark;
        if is_unread && process.who != Who::Operator {
            return broken("P3 a feed is not read back", || in_words(&last, &next));
        }
        if next.last_success_at.is_none() {
            self.movement.never_listed();
        } else if next.last_success_at != last.last_success_at {
            world.count(|stats| stats.commits += 1);
            self.movement.listed(world.now(), process.began_at);
            self.concluded = process.listed_at.get();
        }
        if next.last_progress_at != last.last_progress_at || next.backlog.len() > last.backlog.len() {
            self.movement.moved(world.now());
        }
        world.count(|stats| stats.handed_over += u64::from(next.backlog.len() > last.backlog.len()));
        let begins_snapshot = next.scanned != last.scanned
            && next.backlog.iter().any(|listing| listing.scope == Scope::Snapshot && !last.backlog.contains(listing));
        if begins_snapshot {
            self.passed_over = self.passed_over.max(token_index(&next.scanned).unwrap_or(0));
        }
        let is_same = last.scanned == next.scanned && last.committed == next.committed && last.backlog == next.backlog;
        // A list that moves too much to be read whole concludes nothing, whatever else its tick writes.
        match process.listed_at.get().and(self.concluded) {
            Some(listed_at) if !is_same => self.check_positions(world, &next, listed_at, policy),
            _ => Ok(()),
        }
    }

    /// P4: a checkpoint write that comes late changes nothing, unless it is still the next one.
    fn check_late_checkpoint(&mut self, world: &World) -> Verdict {
        let now = world.tables.with(|tables| tables.checkpoints.get(&self.key).cloned());
        match (&self.last, now) {
            (Some(last), Some(now)) if *last != now && now.version != last.version + 1 => {
                broken("P4 a late checkpoint write changes nothing", || in_words(last, &now))
            }
            (last, now) => {
                let success = |checkpoint: &Option<Checkpoint>| checkpoint.as_ref()?.last_success_at;
                if success(last) != success(&now) {
                    self.movement.listed(world.now(), world.now());
                }
                self.last = now;
                Ok(())
            }
        }
    }

    /// P5: no two chunks have the same key. That one is put again is extra work and no harm.
    fn check_put(&mut self, world: &World) -> Verdict {
        world.tables.with(|tables| {
            for (key, chunk) in tables.chunks.iter().filter(|(key, _)| key.stream == self.key) {
                let known = self.put.entry(key.clone()).or_insert_with(|| chunk.ids.clone());
                if !chunk.ids.is_subset(known) {
                    return broken("P5 chunks only shrink", || format!("{key} was {known:?} and is {:?}", chunk.ids));
                }
            }
            Ok(())
        })
    }

    /// P12: no more bulk work is in flight than an interval has calls, and one chunk more. A sweep's may have more ids.
    fn check_bulk(&self, world: &World, is_fair: bool) -> Verdict {
        if !is_fair || self.shape == ListShape::Pages {
            return Ok(());
        }
        let weather = &world.weather;
        let now = world.now();
        let in_flight: usize = world.tables.with(|tables| {
            let ours = tables.chunks.values().filter(|chunk| chunk.key.stream == self.key);
            let sent = ours.filter(|chunk| chunk.key.lane == Lane::Bulk && chunk.next_at > now.shifted(1_000));
            sent.map(|chunk| chunk.ids.len()).sum()
        });
        let calls = weather.poll_interval.as_millis() / weather.call_interval.as_millis();
        let max = usize::try_from(calls).unwrap_or(usize::MAX) + 2 * weather.chunk_ids.max(VANISHED_MAX);
        if in_flight > max {
            return broken("P12 bulk work has a cap", || format!("{in_flight} ids of {} are in flight", self.key));
        }
        Ok(())
    }

    fn note_owed(&mut self, world: &World, from: LocalMillis) {
        let owes = world.tables.with(|tables| {
            let first = ChunkKey {
                stream: self.key.clone(),
                lane: Lane::Fresh,
                holds_order: i64::MIN,
                version: i64::MIN,
                seq: 0,
            };
            tables.chunks.range(first..).next().is_some_and(|(key, _)| key.stream == self.key)
                || tables.checkpoints.get(&self.key).is_some_and(|checkpoint| !checkpoint.backlog.is_empty())
        });
        self.movement.owes(world.now(), from, owes);
    }
}

/// How many events of a feed come before a token.
fn token_index(position: &Position) -> Option<usize> {
    position.token()?.strip_prefix('t')?.parse().ok()
}

/// What changed in a checkpoint.
fn in_words(last: &Checkpoint, next: &Checkpoint) -> String {
    let mut words = vec![format!("{} version {}", next.stream.name, next.version)];
    if last.scanned != next.scanned || last.committed != next.committed {
        words.push(format!("scanned {} -> {}", last.scanned, next.scanned));
        words.push(format!("committed {} -> {}", last.committed, next.committed));
    }
    if last.clocks != next.clocks {
        words.push(format!("{:?}", next.clocks));
    }
    if last.backlog != next.backlog {
        words.push(format!("backlog {:?}", next.backlog));
    }
    words.join(", ")
}
