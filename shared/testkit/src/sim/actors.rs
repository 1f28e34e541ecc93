//! What the world does of its own accord: edits, ticks, outages, losses. Each actor draws from a source of chance of its
//! own, so that a wrong protocol meets the same vendor as the right one.

use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::clock::{LocalMillis, StampMillis};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Random;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::StreamName;

use super::START;
use super::executor::delay;
use super::oracle::Oracle;
use super::trace::Who;
use super::weather::{Sky, StreamWeather, pick};
use super::world::World;
use crate::memory::{Operation, SeededRandom, Vendor};

/// When nothing ever heals.
pub(super) const NEVER: LocalMillis = LocalMillis::new(i64::MAX);
/// How far ahead a stamp of the far future lies.
const FUTURE_MILLIS: i64 = 10_000_000_000;
/// The time between two edits of the calm.
const CALM_EDIT_MILLIS: i64 = 150_000;

/// The id of record `number`.
pub(super) fn id(number: u32) -> RecordId {
    match RecordId::parse(number.to_string()) {
        Ok(id) => id,
        Err(_) => unreachable_id(),
    }
}

#[expect(clippy::panic, reason = "a number is never a bad id")]
fn unreachable_id() -> RecordId {
    panic!("a number is a good id")
}

pub(super) fn record(random: &SeededRandom, bound: u32) -> RecordId {
    id(u32::try_from(random.below(u64::from(bound))).unwrap_or(0))
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

impl World {
    /// What exists before the history begins, and the actors of it.
    pub(super) fn begin(self: &Rc<Self>) {
        for (index, stream) in (0_u64..).zip(&self.weather.streams) {
            let random = self.chance_for(index);
            self.found(stream, &random);
            self.spawn_actor(Self::edits(Rc::clone(self), stream.clone(), random));
            self.spawn_actor(Self::schedule(Rc::clone(self), stream.name().clone(), self.chance_for(10 + index)));
        }
        self.start_pump();
        self.start_watcher();
        if self.weather.sky == Sky::Fair {
            return;
        }
        let random = self.chance_for(20);
        self.doom(&random);
        self.spawn_actor(Self::outages(Rc::clone(self), random));
        self.spawn_actor(Self::losses(Rc::clone(self), self.chance_for(21)));
        self.spawn_actor(Self::correct_zone(Rc::clone(self), self.chance_for(22)));
        self.spawn_actor(Self::haste(Rc::clone(self), self.chance_for(25)));
        self.spawn_actor(Self::flap(Rc::clone(self), self.chance_for(26)));
        self.spawn_actor(Self::operate(Rc::clone(self), self.chance_for(23)));
        self.spawn_actor(Self::sweep_sometimes(Rc::clone(self), self.chance_for(31)));
        if self.weather.hides {
            self.spawn_actor(Self::hide(Rc::clone(self), self.chance_for(24)));
        }
    }

    fn spawn_actor(self: &Rc<Self>, actor: impl Future<Output = ()> + 'static) {
        self.executor.spawn(&Rc::default(), actor);
    }

    pub(super) async fn wait(&self, millis: i64) {
        delay(&self.executor, millis).await;
    }

    /// When the storm ends.
    pub(super) fn storm_end(&self) -> LocalMillis {
        START.shifted(self.weather.storm_millis)
    }

    /// A wait that ends within the storm, most of the time.
    pub(super) fn sometime(&self, random: &SeededRandom) -> i64 {
        random.between(300_000, self.weather.storm_millis)
    }

    /// The records that are there before the history begins.
    fn found(&self, stream: &StreamWeather, random: &SeededRandom) {
        self.source.with_stream(stream.name(), |vendor| {
            for number in 0..stream.record_count {
                vendor.edit(&id(number), START.shifted(-random.between(1_000, 60_000_000)), Duration::ZERO);
            }
            if self.weather.sky == Sky::Storm && random.chance(300_000) {
                vendor.unstamped.insert(record(random, stream.record_count));
                vendor.unstamped.insert(record(random, stream.record_count));
            }
            if random.chance(100_000) {
                let stamp = StampMillis::new(START.get() + FUTURE_MILLIS);
                vendor.edit_stamped(&id(0), START.shifted(-5_000), stamp);
            }
        });
        self.foreign.with_stream(stream.name(), |vendor| {
            for number in (0..stream.record_count).step_by(2) {
                let at = START.shifted(random.between(0, self.weather.storm_millis));
                vendor.edit_to(&id(number), at, Body::new("{\"foreign\":true}"));
            }
        });
    }

    /// Records that fail, kill, or do not fit, for a while or for ever.
    fn doom(&self, random: &SeededRandom) {
        let storm_millis = self.weather.storm_millis;
        let until = |for_ever: u32| {
            if random.chance(for_ever) { NEVER } else { START.shifted(random.between(0, storm_millis)) }
        };
        let Some(stream) = self.weather.streams.get(usize::from(random.chance(500_000))) else { return };
        let any = || record(random, stream.record_count);
        self.source.with_stream(stream.name(), |vendor| {
            for _ in 0..random.one_of(&[0, 1, 3]) {
                vendor.poison(&any(), until(0));
            }
            for _ in 0..random.one_of(&[0, 0, 1, 2, 14]) {
                vendor.fail(&any(), FailureClass::Transient, until(500_000));
            }
            for _ in 0..random.one_of(&[0, 0, 1]) {
                vendor.killers.insert(any(), until(500_000));
            }
        });
        for _ in 0..random.one_of(&[0, 0, 1]) {
            self.too_large.borrow_mut().insert((stream.name().clone(), any()), until(300_000));
        }
    }

    pub(super) fn edit(&self, stream: &StreamWeather, id: &RecordId, lag_millis: i64) {
        let now = self.now();
        self.change(stream, |vendor| vendor.edit(id, now, span(lag_millis)));
        if self.weather.sky == Sky::Fair {
            self.oracle(|oracle, world| oracle.expect_fresh(world, stream, id));
        }
    }

    fn change(&self, stream: &StreamWeather, change: impl FnOnce(&mut Vendor) -> u64) {
        self.count(|stats| stats.edits += 1);
        let number = self.source.with_stream(stream.name(), change);
        self.trace.note(self.now(), Who::World, || {
            let name = stream.name();
            self.source.with_stream(name, |vendor| {
                let of = |id: &RecordId| vendor.history(id).last().filter(|last| last.number == number).cloned();
                let found = vendor.ids().find_map(|id| Some((id.clone(), of(id)?)));
                format!("edit in {name}: {found:?}")
            })
        });
    }

    async fn edits(world: Rc<Self>, stream: StreamWeather, random: SeededRandom) {
        // A few records more than there are at first: some are created.
        let bound = stream.record_count + 5;
        let lag_millis = world.weather.lag_millis;
        let lag = || if random.chance(300_000) { 0 } else { random.between(0, lag_millis) };
        while world.now() < world.storm_end() {
            let mean = *pick(&random, &stream.edit_millis);
            world.wait(random.between(0, i64::try_from(2 * mean).unwrap_or(0))).await;
            let id = record(&random, bound);
            let now = world.now();
            match random.below(100) {
                _ if world.weather.sky == Sky::Fair => world.edit(&stream, &id, lag()),
                0..3 => {
                    // Many records, one stamp.
                    let half: Vec<RecordId> =
                        (0..stream.record_count).filter(|_| random.chance(500_000)).map(self::id).collect();
                    for id in &half {
                        world.edit(&stream, id, lag());
                    }
                }
                3..25 => {
                    // Twice in a second, or almost; what comes second may show much later.
                    world.edit(&stream, &id, 0);
                    world.wait(random.between(1, 900)).await;
                    let (now, lag) = (world.now(), span(random.between(900, 5_000)));
                    if random.chance(500_000) {
                        world.change(&stream, |vendor| vendor.revert(&id, now, lag));
                    } else {
                        world.change(&stream, |vendor| vendor.edit(&id, now, lag));
                    }
                }
                25..35 => world.change(&stream, |vendor| vendor.revert(&id, now, span(lag()))),
                // A later edit of it creates it again.
                35..42 => world.change(&stream, |vendor| vendor.delete(&id, now, span(lag()))),
                42..44 => {
                    for _ in 0..random.between(3, 12) {
                        let other = record(&random, bound);
                        world.change(&stream, |vendor| vendor.delete(&other, now, span(lag())));
                    }
                }
                _ => world.edit(&stream, &id, lag()),
            }
        }
        // A little traffic goes on, so that there is evidence of how the clocks stand.
        if world.weather.sky != Sky::Fair {
            for _ in 0..4 {
                world.edit(&stream, &record(&random, bound), 0);
                world.wait(CALM_EDIT_MILLIS).await;
            }
        }
    }

    async fn schedule(world: Rc<Self>, stream: StreamName, random: SeededRandom) {
        let interval = i64::try_from(world.weather.poll_interval.as_millis()).unwrap_or(0);
        world.wait(random.between(0, interval)).await;
        loop {
            world.tick(&stream);
            let mut wait = interval;
            if world.is_storming() {
                let chances = &world.weather.chances;
                if random.chance(chances.double_tick) {
                    let after = random.between(0, 30_000);
                    let (world, stream) = (Rc::clone(&world), stream.clone());
                    Rc::clone(&world).spawn_actor(async move {
                        world.wait(after).await;
                        world.tick(&stream);
                    });
                }
                if random.chance(chances.missed_tick) {
                    wait *= random.one_of(&[2, 8]);
                }
            } else if world.is_calm() {
                world.count(|stats| stats.calm_ticks += 1);
            }
            world.wait(wait).await;
        }
    }

    async fn outages(world: Rc<Self>, random: SeededRandom) {
        let classes = [
            FailureClass::Transient,
            FailureClass::Transient,
            FailureClass::Throttled { retry_after: Some(Duration::from_secs(random.below(600))) },
            FailureClass::Unauthorized,
            FailureClass::Forbidden,
        ];
        if !random.chance(400_000) {
            return;
        }
        let class = *pick(&random, &classes);
        world.wait(random.between(500_000, world.weather.storm_millis)).await;
        let lasts = random.between(30_000, 1_200_000).min(world.storm_end().millis_since(world.now()));
        world.count(|stats| stats.outages += 1);
        world.outage.set(Some((world.now(), world.now().shifted(lasts))));
        world.set_unwell(Some(class));
        world.wait(lasts).await;
        world.set_unwell(None);
    }

    pub(super) fn set_unwell(&self, class: Option<FailureClass>) {
        self.trace.note(self.now(), Who::World, || format!("the vendor's calls fail: {class:?}"));
        for stream in &self.weather.streams {
            self.source.with_stream(stream.name(), |vendor| vendor.unwell = class);
        }
    }

    /// Dead letters are moved back; ledger, retry lane and queue are lost, once or more, in the midst of some tick.
    async fn losses(world: Rc<Self>, random: SeededRandom) {
        world.wait(world.sometime(&random)).await;
        world.redrive();
        if !world.weather.wipes {
            return;
        }
        for _ in 0..random.between(1, 4) {
            let steps = [Operation::Head, Operation::RetryEntries, Operation::StreamState, Operation::PutChunks];
            world.loses_at.set(Some(*pick(&random, &steps)));
            world.wait(random.between(200_000, 1_500_000)).await;
        }
    }

    /// Loses the ledger, if it is to be lost at this step.
    pub(super) fn lose_ledger_at(&self, step: Operation) {
        if self.loses_at.get() != Some(step) || self.is_sweeping.get() {
            return;
        }
        self.loses_at.set(None);
        self.count(|stats| stats.wipes += 1);
        self.trace.note(self.now(), Who::World, || "ledger and queue are lost".to_owned());
        self.queue.purge();
        self.believed.borrow_mut().clear();
        self.tables.with(crate::memory::Tables::lose_ledger);
        self.oracle(Oracle::note_loss);
    }

    /// Now and then, and when the vendor's clock jumps, records are edited that show late, and ticks follow each other
    /// closely.
    async fn haste(world: Rc<Self>, random: SeededRandom) {
        let step = world.weather.streams.first().and_then(|stream| stream.vendor.clock_step);
        let near = |at: LocalMillis| at.millis_since(START) - random.between(0, 30_000);
        let mut times = vec![random.between(100_000, world.weather.storm_millis)];
        times.extend(step.map(|step| near(step.at)));
        times.sort_unstable();
        for at in times {
            world.wait((START.shifted(at)).millis_since(world.now())).await;
            if world.is_calm() {
                return;
            }
            for stream in &world.weather.streams {
                world.edit_thrice(stream, &record(&random, stream.record_count));
            }
            for _ in 0..random.between(2, 6) {
                for stream in &world.weather.streams {
                    world.edit(stream, &record(&random, stream.record_count), world.weather.lag_millis);
                }
                world.wait(random.between(0, 10_000)).await;
            }
            for _ in 0..random.between(1, 4) {
                for stream in &world.weather.streams {
                    world.tick(stream.name());
                }
                world.wait(random.between(2_000, 40_000)).await;
            }
        }
    }

    /// One record three times within a second, the third time as the first; each shows later than the one before.
    fn edit_thrice(&self, stream: &StreamWeather, id: &RecordId) {
        let now = self.now();
        let lag_millis = self.weather.lag_millis;
        self.edit(stream, id, 0);
        self.change(stream, |vendor| vendor.edit(id, now, span(lag_millis / 3)));
        self.change(stream, |vendor| vendor.revert(id, now, span(lag_millis)));
    }

    /// In some histories a record's details fail now and then, and it is edited each time.
    async fn flap(world: Rc<Self>, random: SeededRandom) {
        if !random.chance(400_000) {
            return;
        }
        let stream = pick(&random, &world.weather.streams);
        let id = record(&random, stream.record_count);
        while world.now() < world.storm_end() {
            let until = world.now().shifted(random.between(60_000, 250_000));
            world.source.with_stream(stream.name(), |vendor| vendor.fail(&id, FailureClass::Transient, until));
            world.edit(stream, &id, 0);
            world.wait(random.between(250_000, 700_000)).await;
        }
    }

    /// For a while the vendor finds many records gone that it lists.
    async fn hide(world: Rc<Self>, random: SeededRandom) {
        world.wait(world.sometime(&random)).await;
        let lasts = random.between(60_000, 600_000).min(world.storm_end().millis_since(world.now()));
        world.trace.note(world.now(), Who::World, || "all records seem gone".to_owned());
        for stream in &world.weather.streams {
            world.source.with_stream(stream.name(), |vendor| {
                let all: Vec<RecordId> = vendor.ids().cloned().collect();
                vendor.hidden.extend(all);
            });
            // So that there is something to be fetched.
            for number in 0..stream.record_count {
                if random.chance(700_000) {
                    world.edit(stream, &id(number), 0);
                }
            }
        }
        world.wait(lasts).await;
        world.trace.note(world.now(), Who::World, || "they are there again".to_owned());
        for stream in &world.weather.streams {
            world.source.with_stream(stream.name(), |vendor| vendor.hidden.clear());
        }
    }

    /// The storm is over: whatever can heal is well.
    pub(super) fn heal(&self) {
        self.calm_down();
        self.loses_at.set(None);
        self.trace.note(self.now(), Who::World, || "the storm is over".to_owned());
        self.set_unwell(None);
        self.is_swapped.set(false);
        self.overlap.set(self.weather.overlap);
        self.too_large.borrow_mut().retain(|_, until| *until == NEVER);
        for stream in &self.weather.streams {
            self.source.with_stream(stream.name(), |vendor| {
                vendor.failing.retain(|_, failing| failing.until == NEVER);
                vendor.killers.retain(|_, until| *until == NEVER);
                vendor.hidden.clear();
                vendor.settings.date = crate::memory::DateHeader::True;
            });
        }
        // An operator has what failed tried again at once.
        self.tables.with(|tables| {
            for entry in tables.retries.values_mut() {
                entry.next_at = LocalMillis::default();
                entry.attempts = 0;
            }
        });
    }
}
