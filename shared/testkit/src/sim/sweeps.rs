//! Sweeps: some run while it storms, and when all is as the vendor has it, things happen that no list of changes shows.
//! Sweeps then have to find them, also where lists lie. What they do is drawn from a source of chance of its own, so that a
//! history goes on as it did without them.

use std::rc::Rc;

use tidemark_engine::clock::{LocalMillis, VendorMillis, millis_of};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Random;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::{ListShape, StreamName};
use tidemark_sweep::state::{Backfill, Ground, Phase, Range, Sweep, SweepState};

use super::actors::id;
use super::oracle::Oracle;
use super::trace::Who;
use super::weather::{Sky, StreamWeather};
use super::world::{World, records_of};
use crate::memory::{SeededRandom, Vendor};

/// How many intervals a sweep may take in calm weather, whatever it waits for.
const SWEEP_INTERVALS: usize = 180;

/// What a sweep has to find: counts of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) listed: u64,
    pub(super) missing: u64,
    pub(super) different: u64,
    pub(super) extra: u64,
}

impl World {
    /// Asks for sweeps and backfills while it storms, in some histories.
    pub(super) async fn sweep_sometimes(world: Rc<Self>, random: SeededRandom) {
        if !random.chance(150_000) {
            return;
        }
        while world.now() < world.storm_end() {
            world.wait(random.between(100_000, 900_000)).await;
            for stream in &world.weather.streams {
                world.ask_for_sweep(stream.name());
                world.ask_for_backfill(stream, &random);
            }
        }
    }

    /// Asks for a backfill since any time, or cancels the one that is not over.
    fn ask_for_backfill(&self, stream: &StreamWeather, random: &SeededRandom) {
        let (key, now) = (self.key_of(stream.name()), self.now());
        if stream.shape() == ListShape::Feed || random.chance(500_000) {
            return;
        }
        let from = VendorMillis::new(random.between(0, now.get()));
        self.trace.note(now, Who::Operator, || format!("a backfill of {} since {from}, or its end", stream.name()));
        self.tables.with(|tables| {
            let state = tables.sweeps.entry(key).or_insert(SweepState { version: now.get(), ..SweepState::default() });
            if !state.cancel_backfill(now) {
                state.backfill = Some(Backfill::asked(Range { from, to: None }, now));
            }
            state.version += 1;
        });
    }

    fn ask_for_sweep(&self, stream: &StreamName) {
        self.trace.note(self.now(), Who::Operator, || format!("a sweep of {stream}"));
        let (key, now) = (self.key_of(stream), self.now());
        self.tables.with(|tables| {
            let state = tables.sweeps.entry(key).or_insert(SweepState { version: now.get(), ..SweepState::default() });
            if state.asked_at.is_none() {
                *state = SweepState { version: state.version + 1, asked_at: Some(now), ..state.clone() };
            }
        });
    }

    /// The last part of a history.
    pub(super) fn sweep_all(self: &Rc<Self>) {
        let random = self.chance_for(30);
        self.is_sweeping.set(true);
        for stream in &self.weather.streams {
            self.harm(stream, &random);
        }
        let lie = random.below(6);
        // What is refused cannot be fresh.
        let lies = if self.weather.sky == Sky::Fair { 2 } else { 3 };
        if lie < lies {
            self.lie(lie, &random);
            if !self.sweep_until_ended(&random, false) {
                return;
            }
            for stream in &self.weather.streams {
                self.source.with_stream(stream.name(), |vendor| vendor.omitted.clear());
            }
            // A refusal may come when the sweep has ended already, and is over three intervals after it was planned.
            self.executor.run_until(self.now().shifted(3 * millis_of(self.weather.poll_interval)));
        }
        if self.sweep_until_ended(&random, true) {
            self.approve_and_settle();
            self.oracle(Oracle::must_be_swept);
        }
    }

    /// What no list of changes shows: records are deleted, edited and created silently, and removed from the copy.
    fn harm(&self, stream: &StreamWeather, random: &SeededRandom) {
        let now = self.now();
        let few = [0, 1, 3];
        let deleted = random.one_of(&[0, 2, 6, 40]);
        let (edited, created) = (random.one_of(&few), random.one_of(&few));
        // In fair weather, so much that what is fresh would wait for it.
        let lost = if self.weather.sky == Sky::Fair { u32::MAX } else { random.one_of(&[0, 2, 30]) };
        let touched = self.source.with_stream(stream.name(), |vendor| {
            vendor.is_silent = true;
            let touched = harm(vendor, now, random, [deleted, edited, created]);
            vendor.is_silent = false;
            touched
        });
        let source = self.key_of(stream.name()).source;
        let records = records_of(stream);
        let key = |id: &RecordId| RecordKey { source, stream: records.clone(), id: id.clone() };
        let mut gone = Vec::new();
        self.tables.with(|tables| {
            let ids = self.source.with_stream(stream.name(), |vendor| some_of(vendor, now, random, lost));
            gone.extend(ids.into_iter().filter(|id| tables.records.remove(&key(id)).is_some()));
        });
        self.trace.note(now, Who::World, || format!("silently in {}: {touched:?}, lost {gone:?}", stream.name()));
        self.oracle(|oracle, _| oracle.note_harm(stream.name(), touched, &gone));
    }

    /// Lists leave records out, or are refused for a while in the midst of a sweep.
    fn lie(self: &Rc<Self>, lie: u64, random: &SeededRandom) {
        let now = self.now();
        for stream in &self.weather.streams {
            let omitted = self.source.with_stream(stream.name(), |vendor| {
                let count = match lie {
                    0 => random.one_of(&[1, 5, 30]),
                    1 => u32::MAX,
                    _ => 0,
                };
                vendor.omitted.extend(some_of(vendor, now, random, count));
                vendor.omitted.len()
            });
            self.trace.note(now, Who::World, || format!("lists of {} leave out {omitted} records", stream.name()));
        }
        if lie == 2 {
            let interval = millis_of(self.weather.poll_interval);
            let (after, lasts) = (random.between(0, 2 * interval), random.between(1_000, interval));
            let world = Rc::clone(self);
            self.executor.spawn(&Rc::default(), async move {
                world.wait(after).await;
                world.set_unwell(Some(FailureClass::Forbidden));
                world.wait(lasts).await;
                world.set_unwell(None);
            });
        }
    }

    /// Asks for a sweep of each stream and waits until it has ended, if it can. An `honest` one has to find exactly what was
    /// harmed.
    fn sweep_until_ended(self: &Rc<Self>, random: &SeededRandom, honest: bool) -> bool {
        let interval = millis_of(self.weather.poll_interval);
        let asked_at = self.now();
        let edits = honest && (self.weather.sky == Sky::Fair || random.chance(500_000));
        for stream in &self.weather.streams {
            let expected = self.oracle(|oracle, world| oracle.expected(world, stream.name()));
            self.oracle(|oracle, _| oracle.expect_proof(stream.name(), expected, honest, edits));
            self.ask_for_sweep(stream.name());
        }
        for _ in 0..SWEEP_INTERVALS {
            for step in 0..2 {
                self.executor.run_until(self.now().shifted(interval / 2));
                if self.oracle(|oracle, _| oracle.is_broken()) {
                    return false;
                }
                for stream in self.weather.streams.iter().filter(|_| edits) {
                    // A record that is created after its place in the list was passed.
                    let created = random.chance(500_000) && self.weather.sky != Sky::Fair;
                    let number = if created {
                        90_000_000 + self.stats().edits
                    } else {
                        random.below(u64::from(stream.record_count))
                    };
                    let number = id(u32::try_from(number).unwrap_or(0));
                    let is_there = self.source.with_stream(stream.name(), |vendor| {
                        vendor.seen(&number, self.now()).is_some_and(|version| version.body.is_some())
                    });
                    if (created || is_there) && step == 0 {
                        self.edit(stream, &number, 0);
                    }
                }
            }
            let ended = |stream: &StreamWeather| {
                let state = self.sweeps_of(stream.name());
                state.is_some_and(|now| now.asked_at.is_none() && now.under_way.is_none())
            };
            if self.weather.streams.iter().all(ended) {
                self.count(|stats| stats.sweeps += 2);
                let is_all_proved = |stream: &StreamWeather| {
                    let proof = self
                        .sweeps_of(stream.name())
                        .and_then(|state| state.last)
                        .filter(|proof| proof.begun_at >= asked_at.shifted(-1_000));
                    self.oracle(|oracle, world| oracle.check_proof(world, stream.name(), proof.as_ref()));
                };
                self.weather.streams.iter().for_each(is_all_proved);
                self.work_off();
                return !self.oracle(|oracle, _| oracle.is_broken());
            }
        }
        self.oracle(Oracle::sweep_never_ends);
        false
    }

    /// Waits until nothing is owed any more.
    fn work_off(&self) {
        let interval = millis_of(self.weather.poll_interval);
        for _ in 0..SWEEP_INTERVALS {
            self.executor.run_until(self.now().shifted(interval / 2));
            let owes = self.tables.with(|tables| !tables.chunks.is_empty());
            if !owes || self.oracle(|oracle, _| oracle.is_broken()) {
                return;
            }
        }
    }

    /// A person approves what is withheld, and all is worked off.
    fn approve_and_settle(self: &Rc<Self>) {
        for stream in &self.weather.streams {
            let Some(state) = self.sweeps_of(stream.name()) else { continue };
            let Some(proof) = state.last.clone().filter(|last| last.withheld > 0) else { continue };
            self.count(|stats| stats.sweeps_withheld += 1);
            let (phase, version) = (Phase::Owing(None), state.version + 1);
            let key = self.key_of(stream.name());
            let checkpoint = self.tables.with(|tables| tables.checkpoints.get(&key).cloned());
            let ground = checkpoint.map(|checkpoint| Ground::of(&checkpoint)).unwrap_or_default();
            let under_way = Some(Sweep {
                phase,
                ground,
                previous: None,
                failure: None,
                failed_count: 0,
                proof,
                range: None,
                owed: 0,
                sample: 20,
            });
            self.tables.with(|tables| {
                tables.sweeps.insert(self.key_of(stream.name()), SweepState { version, under_way, ..state });
            });
        }
        let interval = millis_of(self.weather.poll_interval);
        for _ in 0..SWEEP_INTERVALS {
            self.executor.run_until(self.now().shifted(interval));
            let is_over = self.oracle(|oracle, world| oracle.is_broken() || oracle.is_swept(world));
            if is_over {
                return;
            }
        }
    }

    fn sweeps_of(&self, stream: &StreamName) -> Option<SweepState> {
        self.tables.with(|tables| tables.sweeps.get(&self.key_of(stream)).cloned())
    }
}

/// Deletes, edits and creates so many records; all of them. Only rows show what was edited.
fn harm(vendor: &mut Vendor, now: LocalMillis, random: &SeededRandom, counts: [u32; 3]) -> Vec<RecordId> {
    let [deleted, edited, created] = counts;
    let no_lag = std::time::Duration::ZERO;
    // A vendor that shows nothing any more is not believed.
    let there = u32::try_from(vendor.present(now).count()).unwrap_or(u32::MAX);
    let mut touched = some_of(vendor, now, random, deleted.min(there.saturating_sub(1)));
    for id in &touched {
        vendor.delete(id, now, no_lag);
    }
    if vendor.settings.stream.shape == ListShape::Pages {
        let some = some_of(vendor, now, random, edited);
        for id in &some {
            vendor.edit(id, now, no_lag);
        }
        touched.extend(some);
    }
    for number in 0..created {
        let new = id(20_000 + number);
        vendor.edit(&new, now, no_lag);
        touched.push(new);
    }
    touched
}

/// Up to so many records that are there.
fn some_of(vendor: &Vendor, now: LocalMillis, random: &SeededRandom, count: u32) -> Vec<RecordId> {
    let mut all: Vec<RecordId> = vendor.present(now).map(|(id, _)| id.clone()).collect();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut some = Vec::new();
    while some.len() < count && !all.is_empty() {
        let place = random.below(u64::try_from(all.len()).unwrap_or(1));
        some.push(all.swap_remove(usize::try_from(place).unwrap_or(0)));
    }
    some
}
