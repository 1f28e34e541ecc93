//! What must hold, judged by the vendor's own history.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidemark_engine::checkpoint::{Checkpoint, Position};
use tidemark_engine::chunk::ChunkKey;
use tidemark_engine::fetch::FetchReport;
use tidemark_engine::quarantine::PoisonPolicy;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::run::Run;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName};

use super::history::{Violation, token_index};
use super::trace::Who;
use super::weather::{CHUNK_IDS, OVERLAP, VISIBILITY, Weather};
use super::world::World;
use crate::memory::{DateHeader, Operation, StoredRecord, Tables, Vendor, Version, version_of};

/// The stream under which a feed's records are kept.
const FEED_RECORDS: StreamName = StreamName::known("widgets");

/// With a shorter life of a feed's tokens a quiet stream has to start over again and again.
const TOKEN_LIFE_MIN: Duration = Duration::from_hours(24);

/// The judge of one history.
pub(super) struct Oracle {
    stream: StreamKey,
    records: StreamName,
    shape: ListShape,
    policy: PoisonPolicy,
    /// The checkpoint as it was last seen.
    last: Option<Checkpoint>,
    /// What was left of each accepted chunk of the run.
    left: BTreeMap<ChunkKey, usize>,
    /// Who accepted each chunk of the run.
    epochs: BTreeMap<u32, i64>,
    /// The ids that the run has accepted.
    accepted: BTreeSet<RecordId>,
    /// How many chunks may be out.
    window: u32,
    /// Stamp and fetch start of each record as they were last seen.
    seen: BTreeMap<RecordKey, (Option<UtcMillis>, UtcMillis)>,
    /// Records that were rightly marked deleted, with the deletion's number.
    buried: BTreeMap<RecordId, u64>,
    /// Ids that were in quarantine.
    quarantined: BTreeSet<RecordId>,
    /// Ids that a stale poller put there once more, and when.
    late: BTreeSet<(RecordId, UtcMillis)>,
    /// Records that were in quarantine: they are tried again without their event.
    tried_again: BTreeSet<RecordId>,
    /// Whether a run was given up: a message of it that comes late may bring an older event back.
    gave_up: bool,
    /// Events before this one were passed over by listing everything instead, which tells of no deletion.
    passed_over: usize,
    violation: Option<Violation>,
}

/// `max(1, rate x visibility timeout / ids of a chunk)`, as the design has it.
fn window_of(weather: &Weather) -> u32 {
    let chunk = weather.call_interval.saturating_mul(CHUNK_IDS).as_millis().max(1);
    u32::try_from(VISIBILITY.as_millis() / chunk).unwrap_or(u32::MAX).max(1)
}

type Verdict = Result<(), (&'static str, String)>;

fn broken<T>(invariant: &'static str, detail: impl FnOnce() -> String) -> Result<T, (&'static str, String)> {
    Err((invariant, detail()))
}

impl Oracle {
    pub(super) fn new(weather: &Weather) -> Self {
        let traits = &weather.vendor.stream;
        let records = if traits.shape == ListShape::Feed { FEED_RECORDS } else { traits.name.clone() };
        Self {
            stream: StreamKey { source: SourceKind::FieldMotion, name: traits.name.clone() },
            records,
            shape: traits.shape,
            policy: weather.policy,
            last: None,
            left: BTreeMap::new(),
            epochs: BTreeMap::new(),
            accepted: BTreeSet::new(),
            window: window_of(weather),
            seen: BTreeMap::new(),
            buried: BTreeMap::new(),
            quarantined: BTreeSet::new(),
            late: BTreeSet::new(),
            tried_again: BTreeSet::new(),
            gave_up: false,
            passed_over: 0,
            violation: None,
        }
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.clone()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.violation.is_some()
    }

    /// Accepts the state as it is: an operator changed it.
    pub(super) fn reset(&mut self, world: &World) {
        self.last = self.state(world);
        self.left.clear();
        self.epochs.clear();
    }

    /// Looks at what a call has just done.
    pub(super) fn observe(&mut self, world: &World, operation: Operation, who: Who) {
        let verdict = match operation {
            Operation::Create | Operation::Acquire | Operation::Store => self.check_state(world, operation, who),
            Operation::PutChunks | Operation::Finish | Operation::Poison => self.check_chunks(world),
            Operation::Quarantine => {
                world.count(|stats| stats.quarantined += 1);
                self.excuse_what_is_late(world);
                world.tables.with(|tables| {
                    let ids = tables.quarantine.keys().filter_map(|(_, id)| id.as_str().rsplit('/').next());
                    self.tried_again.extend(ids.filter_map(|id| RecordId::parse(id).ok()));
                });
                Ok(())
            }
            _ => Ok(()),
        };
        self.judge(world, verdict);
    }

    /// A poller that froze may put an id into quarantine that was taken out meanwhile, and behind which the checkpoint has
    /// moved since: no harm is done, and its next try takes it out again.
    fn excuse_what_is_late(&mut self, world: &World) {
        let committed = self.last.as_ref().map_or(i64::MIN, |state| state.committed.order());
        world.tables.with(|tables| {
            for entry in tables.quarantine.values() {
                if entry.held_checkpoint.order() < committed && self.quarantined.contains(&entry.id) {
                    self.late.insert((entry.id.clone(), entry.since));
                }
            }
            self.quarantined.extend(tables.quarantine.values().map(|entry| entry.id.clone()));
        });
    }

    /// A panic of the engine is caught by the fetcher and blamed on the record: here it is nobody's fault but ours.
    pub(super) fn check_fetch(&mut self, world: &World, report: &FetchReport) {
        let panicked = report.poisoned.iter().find(|(_, reason)| reason.contains("panicked"));
        let verdict = match panicked {
            Some((id, _)) => broken("no panic", || format!("the fetcher panicked at {id}")),
            None => Ok(()),
        };
        self.judge(world, verdict);
    }

    fn judge(&mut self, world: &World, verdict: Verdict) {
        let Err((invariant, detail)) = verdict else { return };
        if self.violation.is_none() {
            world.trace.note(world.now(), Who::World, || format!("VIOLATED {invariant}: {detail}"));
            self.violation = Some(Violation { invariant, detail, at: world.now() });
            world.executor.stop();
        }
    }

    fn state(&self, world: &World) -> Option<Checkpoint> {
        world.tables.with(|tables| tables.checkpoints.get(&self.stream).map(|stored| stored.state.clone()))
    }

    /// I3, I4, I5, and whatever a commit is judged by.
    fn check_state(&mut self, world: &World, operation: Operation, who: Who) -> Verdict {
        let Some(state) = self.state(world) else { return Ok(()) };
        let Some(last) = self.last.replace(state.clone()) else {
            return Ok(());
        };
        if last == state {
            return Ok(());
        }
        world.trace.note(world.now(), who, || in_words(&last, &state));
        let went_back =
            state.committed.order() < last.committed.order() || state.scanned.order() < last.scanned.order();
        if went_back || state.epoch < last.epoch {
            return broken("I3 monotone", || format!("{last:?} became {state:?}"));
        }
        if state.committed.order() > state.scanned.order() {
            return broken("I3 committed <= scanned", || format!("{} > {}", state.committed, state.scanned));
        }
        if operation == Operation::Store && state.epoch != last.epoch {
            return broken("I4 one writer", || format!("epoch {} became {}", last.epoch, state.epoch));
        }
        if let Some(run) = &state.run {
            check_run(world, &self.stream, run)?;
            self.check_accepted(world, last.run.as_ref(), run)?;
            if self.shape != ListShape::Pages && run.sent.saturating_sub(run.frontier) > self.window {
                return broken("I13 bounded work", || format!("{} chunks may be out: {run:?}", self.window));
            }
            if let Some(token) = run.newest.as_ref().and_then(token_index).filter(|_| run.accepted == 0) {
                self.passed_over = self.passed_over.max(token);
            }
        }
        let has_ended =
            last.run.as_ref().is_some_and(|old| state.run.as_ref().is_none_or(|new| new.run_id != old.run_id));
        let is_success = state.last_success_at != last.last_success_at;
        let has_moved = state.committed != last.committed || state.scanned != last.scanned;
        if has_ended {
            self.left.clear();
            let epochs = std::mem::take(&mut self.epochs);
            self.gave_up |= !is_success && !has_moved;
            if let Some(run) = last.run.as_ref().filter(|_| is_success || has_moved) {
                world.count(|stats| stats.commits += 1);
                check_closed(world, &self.stream, run, &epochs)?;
            }
        }
        if let Some(run) = &state.run {
            for segment in &run.segments {
                self.epochs.extend((segment.first..segment.end).map(|seq| (seq, segment.epoch)));
            }
        }
        if has_moved || is_success {
            self.check_positions(world, &state)?;
            self.check_records(world)?;
        }
        Ok(())
    }

    /// I13: where all ids come in one list, none is accepted twice by a run, however often its listing is interrupted.
    fn check_accepted(&mut self, world: &World, last: Option<&Run>, run: &Run) -> Verdict {
        if self.shape != ListShape::Whole {
            return Ok(());
        }
        let first = match last {
            Some(last) if last.run_id == run.run_id => last.accepted,
            _ => {
                self.accepted.clear();
                0
            }
        };
        world.tables.with(|tables| {
            for seq in first..run.accepted {
                let Some(epoch) = run.epoch_of(seq) else { continue };
                let key = ChunkKey { stream: self.stream.clone(), run: run.run_id.clone(), seq, epoch };
                let Some(chunk) = tables.chunks.get(&key) else { continue };
                for id in &chunk.pending {
                    if !self.accepted.insert(id.clone()) {
                        return broken("I13 bounded work", || format!("run {} accepted {id} twice", run.run_id));
                    }
                }
            }
            Ok(())
        })
    }

    /// I6: what is left of an accepted chunk only shrinks.
    fn check_chunks(&mut self, world: &World) -> Verdict {
        let Some(run) = self.last.as_ref().and_then(|state| state.run.as_ref()) else {
            return Ok(());
        };
        world.tables.with(|tables| {
            for segment in &run.segments {
                for seq in segment.first..segment.end {
                    let key =
                        ChunkKey { stream: self.stream.clone(), run: run.run_id.clone(), seq, epoch: segment.epoch };
                    let Some(chunk) = tables.chunks.get(&key) else { continue };
                    let left = chunk.pending.len() + chunk.poisoned.len();
                    if self.left.get(&key).is_some_and(|before| *before < left) {
                        return broken("I6 chunks shrink", || format!("chunk {key} grew to {left}"));
                    }
                    self.left.insert(key, left);
                }
            }
            Ok(())
        })
    }

    /// I1 and I2: what no later list will tell of is stored, or known to be in quarantine.
    fn check_positions(&self, world: &World, state: &Checkpoint) -> Verdict {
        world.tables.with(|tables| {
            world.source.with(|vendor| {
                self.check_below(world, tables, vendor, &state.scanned, "I1 no silent loss", true)?;
                if self.policy == PoisonPolicy::Advance {
                    return Ok(());
                }
                for entry in tables.quarantine.values() {
                    let is_late = self.late.contains(&(entry.id.clone(), entry.since));
                    if entry.held_checkpoint.order() < state.committed.order() && !is_late {
                        return broken("I2 strict checkpoint", || {
                            format!(
                                "{} is held at {}, committed is {}",
                                entry.id, entry.held_checkpoint, state.committed
                            )
                        });
                    }
                }
                self.check_below(world, tables, vendor, &state.committed, "I2 strict checkpoint", false)
            })
        })
    }

    fn check_below(
        &self,
        world: &World,
        tables: &Tables,
        vendor: &Vendor,
        position: &Position,
        invariant: &'static str,
        is_quarantine_enough: bool,
    ) -> Verdict {
        let now = world.now();
        let lost = |id: &RecordId, version: &Version| {
            let stored = tables.records.get(&self.key(id));
            if is_stored(vendor, id, version, stored, now) || (is_quarantine_enough && self.is_quarantined(tables, id))
            {
                return Ok(());
            }
            let stored = stored.map(|stored| (stored.body.as_ref().and_then(version_of), stored.deleted));
            broken(invariant, || {
                format!("position {position}: record {id} is at version {version:?}, stored is {stored:?}")
            })
        };
        if let Position::At(at) = position {
            let from = at.minus(OVERLAP);
            let mut below = vendor.present(now).filter(|(_, version)| !vendor.lists(version, from));
            return below.try_for_each(|(id, version)| lost(id, version));
        }
        let told = token_index(position).unwrap_or(0);
        let mut newest: BTreeMap<&RecordId, u64> = BTreeMap::new();
        for (index, event) in vendor.events().iter().enumerate().take(told) {
            if event.deletes && index < self.passed_over {
                newest.remove(&event.id);
            } else {
                newest.insert(&event.id, event.number);
            }
        }
        // Of what happened to a record since, a later event will tell.
        let mut newest = newest.into_iter().filter_map(|(id, number)| Some((id, number, vendor.seen(id, now)?)));
        newest.try_for_each(|(id, number, version)| if version.number == number { lost(id, version) } else { Ok(()) })
    }

    fn key(&self, id: &RecordId) -> RecordKey {
        RecordKey { source: self.stream.source, stream: self.records.clone(), id: id.clone() }
    }

    fn is_quarantined(&self, tables: &Tables, id: &RecordId) -> bool {
        if self.shape != ListShape::Feed {
            return tables.quarantine.contains_key(&(self.stream.clone(), id.clone()));
        }
        tables.quarantine.keys().any(|(_, locator)| locator.as_str().rsplit('/').next() == Some(id.as_str()))
    }

    /// I7: no record goes back; and one that is rightly marked deleted stays so.
    fn check_records(&mut self, world: &World) -> Verdict {
        let now = world.now();
        world.tables.with(|tables| {
            world.source.with(|vendor| {
                for (key, stored) in &tables.records {
                    let version = (stored.stamp.as_ref().map(|stamp| stamp.at), stored.fetched_at);
                    if self.seen.get(key).is_some_and(|seen| *seen > version) {
                        return broken("I7 records monotone", || format!("{key} went back to {version:?}"));
                    }
                    self.seen.insert(key.clone(), version);
                    let gone = vendor.seen(&key.id, now).filter(|version| version.body.is_none());
                    match gone {
                        Some(version) if stored.deleted.is_some() => {
                            self.buried.insert(key.id.clone(), version.number);
                        }
                        Some(version) if self.buried.get(&key.id) == Some(&version.number) => {
                            return broken("a deletion stays", || format!("{key} was marked deleted and came back"));
                        }
                        _ => {}
                    }
                }
                Ok(())
            })
        })
    }

    /// I9, I10, I11: what is not yet as it has to be in the end.
    pub(super) fn what_is_left(&self, world: &World) -> Option<(&'static str, String)> {
        self.converged(world, false).err()
    }

    /// Judges by what is left. A run under way is no fault: what is in the overlap may be looked at again.
    pub(super) fn must_have_converged(&mut self, world: &World, may_run: bool) {
        let verdict = self.check_records(world).and_then(|()| self.converged(world, may_run));
        self.judge(world, verdict);
    }

    fn converged(&self, world: &World, may_run: bool) -> Verdict {
        let now = world.now();
        world.tables.with(|tables| {
            world.source.with(|vendor| {
                for id in vendor.ids() {
                    let Some(version) = vendor.seen(id, now) else { continue };
                    let stored = tables.records.get(&self.key(id));
                    if !self.is_as(vendor, id, version, stored) {
                        return broken("I9 convergence", || {
                            format!("record {id} is {version:?}, stored is {stored:?}")
                        });
                    }
                }
                // What is sent again after the vendor has forgotten the run's token goes without its events.
                if world.weather.vendor.token_life >= TOKEN_LIFE_MIN && !self.gave_up {
                    self.check_events(tables, vendor, now)?;
                }
                let Some(stored) = tables.checkpoints.get(&self.stream) else {
                    return broken("I11 progress", || "there is no checkpoint".to_owned());
                };
                let state = &stored.state;
                if token_index(&state.scanned).is_some_and(|index| index < vendor.told_count(now)) {
                    return broken("I11 progress", || format!("the feed is read up to {}", state.scanned));
                }
                if let Some((_, id)) = tables.quarantine.keys().next() {
                    return broken("I10 quarantine drains", || format!("{id} is in quarantine"));
                }
                if state.committed != state.scanned {
                    return broken("I11 progress", || format!("committed {} < {}", state.committed, state.scanned));
                }
                if let Some(run) = state.run.as_ref().filter(|_| !may_run) {
                    let key =
                        |seq| ChunkKey { stream: self.stream.clone(), run: run.run_id.clone(), seq, epoch: i64::MIN };
                    let mut chunks = tables.chunks.range(key(0)..key(u32::MAX)).map(|(_, chunk)| chunk);
                    if !run.sealed
                        || chunks.any(|chunk| run.epoch_of(chunk.key.seq) == Some(chunk.key.epoch) && !chunk.is_done())
                    {
                        return broken("I11 progress", || format!("run {} is open", run.run_id));
                    }
                }
                let (queued, dead) = (world.queue.queued_count(), world.queue.dead_count());
                if queued + dead > 0 && !may_run {
                    return broken("I11 progress", || format!("{queued} messages and {dead} dead letters are left"));
                }
                Ok(())
            })
        })
    }

    /// Beside each record of a feed is the newest event about it, however often its message was sent.
    fn check_events(&self, tables: &Tables, vendor: &Vendor, now: UtcMillis) -> Verdict {
        let told = vendor.told_count(now);
        let events = vendor.events().iter().enumerate().take(told).skip(self.passed_over);
        let newest: BTreeMap<&RecordId, u64> = events.map(|(_, event)| (&event.id, event.number)).collect();
        for (id, number) in newest.into_iter().filter(|(id, _)| !self.tried_again.contains(*id)) {
            let Some(stored) = tables.records.get(&self.key(id)) else { continue };
            let event = stored.event.as_ref().and_then(version_of);
            // What was found gone before its deletion was told keeps the event that led there.
            if event != Some(number) && stored.deleted.is_none() {
                return broken("a record's event is its newest", || format!("{id}: {event:?} instead of {number}"));
            }
        }
        Ok(())
    }

    /// Whether what is stored is as the vendor has it now. Only a feed tells of deletions, and only those that were not
    /// passed over.
    fn is_as(&self, vendor: &Vendor, id: &RecordId, version: &Version, stored: Option<&StoredRecord>) -> bool {
        match (&version.body, stored) {
            (Some(body), Some(stored)) => stored.deleted.is_none() && stored.body.as_ref() == Some(body),
            (Some(_), None) => false,
            (None, Some(stored)) => {
                let mut told = vendor.events().iter().skip(self.passed_over);
                stored.deleted.is_some() || !told.any(|event| event.id == *id && event.number == version.number)
            }
            (None, None) => true,
        }
    }

    /// I13: two idle ticks of a filtered list or a feed make at most two list calls each and fetch nothing.
    pub(super) fn must_be_idle(&mut self, world: &World, lists: u64, fetches: u64) {
        let is_clock_trusted = world.weather.vendor.date != DateHeader::Absent
            && !matches!(world.weather.vendor.date, DateHeader::Skewed(by) if by.abs() > 100_000)
            && world.weather.skew_millis.abs() < 250_000;
        let calls_max = if self.shape == ListShape::Pages { u64::MAX } else { 4 };
        let is_idle = lists <= calls_max && (fetches == 0 || !is_clock_trusted);
        let is_resyncing = world.weather.vendor.token_life < TOKEN_LIFE_MIN;
        let verdict = if is_idle || is_resyncing || world.weather.vendor.zone_shift != 0 {
            Ok(())
        } else {
            broken("I13 bounded work", || format!("two idle ticks made {lists} list calls and {fetches} detail calls"))
        };
        self.judge(world, verdict);
    }
}

/// Whether what is stored is this version, a later one, or rightly marked deleted since.
fn is_stored(vendor: &Vendor, id: &RecordId, version: &Version, stored: Option<&StoredRecord>, now: UtcMillis) -> bool {
    let gone_later = || {
        let later = vendor.history(id).iter().filter(|other| other.number >= version.number);
        later.filter(|other| other.visible_at <= now).any(|other| other.body.is_none())
    };
    match stored {
        None => version.body.is_none(),
        Some(stored) if stored.deleted.is_some() => gone_later(),
        Some(stored) => stored.body.as_ref().and_then(version_of).is_some_and(|number| number >= version.number),
    }
}

/// I5: the run's segments cover what was accepted and is not finished, and every such chunk is in the ledger.
fn check_run(world: &World, stream: &StreamKey, run: &Run) -> Verdict {
    let mut end = run.segments.first().map_or(run.accepted, |first| first.first);
    if end > run.frontier {
        return broken("I5 run integrity", || format!("frontier {}, segments {:?}", run.frontier, run.segments));
    }
    for segment in &run.segments {
        if segment.first != end || segment.end <= segment.first {
            return broken("I5 run integrity", || format!("segments {:?}", run.segments));
        }
        end = segment.end;
    }
    if end != run.accepted || run.sent > run.accepted || run.frontier > run.accepted {
        return broken("I5 run integrity", || format!("{run:?}"));
    }
    world.tables.with(|tables| {
        for segment in &run.segments {
            for seq in segment.first..segment.end {
                let key = ChunkKey { stream: stream.clone(), run: run.run_id.clone(), seq, epoch: segment.epoch };
                if !tables.chunks.contains_key(&key) {
                    return broken("I5 run integrity", || format!("accepted chunk {key} is not in the ledger"));
                }
            }
        }
        Ok(())
    })
}

/// I8: a run is committed only when nothing of it is pending, and what is poisoned is in quarantine.
fn check_closed(world: &World, stream: &StreamKey, run: &Run, epochs: &BTreeMap<u32, i64>) -> Verdict {
    let in_run = |seq: u32, epoch: i64| epochs.get(&seq) == Some(&epoch);
    world.tables.with(|tables| {
        let key = |seq| ChunkKey { stream: stream.clone(), run: run.run_id.clone(), seq, epoch: i64::MIN };
        let chunks = tables.chunks.range(key(0)..key(u32::MAX)).map(|(_, chunk)| chunk);
        for chunk in chunks.filter(|chunk| in_run(chunk.key.seq, chunk.key.epoch)) {
            let quarantined: BTreeSet<&RecordId> = tables.quarantine.keys().map(|(_, id)| id).collect();
            let is_open = !run.sealed || !chunk.pending.is_empty();
            if is_open || chunk.poisoned.keys().any(|id| !quarantined.contains(id)) {
                return broken("I8 closure", || format!("run {} was committed with {chunk:?}", run.run_id));
            }
        }
        Ok(())
    })
}

/// What changed in a checkpoint.
fn in_words(last: &Checkpoint, state: &Checkpoint) -> String {
    let mut words = vec![format!("epoch {}", state.epoch)];
    if last.scanned != state.scanned || last.committed != state.committed {
        words.push(format!("committed {} -> {}", last.committed, state.committed));
        words.push(format!("scanned {} -> {}", last.scanned, state.scanned));
    }
    if last.run != state.run {
        words.push(format!("run {:?}", state.run));
    }
    words.join(", ")
}
