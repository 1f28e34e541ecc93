//! Playing one history: the storm, the calm, and the reckoning.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::checkpoint::Position;
use tidemark_engine::ports::Random;
use tidemark_engine::rule::leave_out;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::ListShape;

use super::mutant::Mutant;
use super::oracle::Oracle;
use super::stats::Stats;
use super::timeline::{self, Event, id};
use super::trace::{Step, Trace, Who};
use super::weather::{FREEZE_MILLIS_MAX, TICK_MILLIS, Weather, pick};
use super::world::World;
use super::{SHAPES, START};
use crate::memory::{SeededRandom, Vendor};

/// How many ticks of the calm come at the storm's pace; later ones come more and more slowly, so that the quarantine's
/// ladder is climbed to its end.
const CALM_TICKS_QUICK: u32 = 16;
/// How many ticks of the calm there are in all.
const CALM_TICKS_MAX: u32 = 40;
/// The longest time between two ticks of the calm.
const CALM_MILLIS_MAX: i64 = 6 * 3_600_000;

/// What did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// How it was broken.
    pub detail: String,
    /// When.
    pub at: UtcMillis,
}

/// How a history went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// How the vendor's list answers.
    pub shape: ListShape,
    /// What happened.
    pub stats: Stats,
    /// The first thing that did not hold.
    pub violation: Option<Violation>,
    /// The last steps; only of a replay.
    pub steps: Vec<Step>,
    /// What the history was like; only of a replay.
    pub weather: Option<Weather>,
}

/// Plays the history of `seed`.
pub fn run(seed: u64) -> Outcome {
    play(seed, Trace::new(0, false), None)
}

/// Plays the history of `seed` with a rule left out.
pub fn run_mutant(seed: u64, mutant: Mutant) -> Outcome {
    play(seed, Trace::new(0, false), Some(mutant))
}

/// Plays the history of `seed` once more and keeps its last `kept` steps, in words.
pub fn replay(seed: u64, kept: usize) -> Outcome {
    play(seed, Trace::new(kept, true), None)
}

fn play(seed: u64, trace: Trace, mutant: Option<Mutant>) -> Outcome {
    leave_out(mutant.and_then(Mutant::rule));
    let random = SeededRandom::new(seed);
    let shape = *pick(&random, &SHAPES);
    let weather = Weather::draw(&random, shape);
    let events = timeline::draw(&random, &weather);
    let is_replay = trace.is_wordy;
    let world = World::new(random, weather, trace, mutant);
    world.tables.with(|tables| tables.flaw = mutant.and_then(Mutant::flaw));
    let history = History { world: &world };
    history.begin();
    history.storm(&events);
    history.calm();
    let violation = world.oracle(|oracle, _| oracle.violation());
    world.count(|stats| {
        stats.polls = world.executor.polls();
        stats.simulated_seconds = u64::try_from(world.now().millis_since(START) / 1_000).unwrap_or(0);
    });
    world.executor.clear();
    leave_out(None);
    Outcome {
        seed,
        shape,
        stats: world.stats(),
        violation,
        steps: world.trace.take(),
        weather: is_replay.then(|| world.weather.clone()),
    }
}

struct History<'a> {
    world: &'a Rc<World>,
}

impl History<'_> {
    fn is_over(&self) -> bool {
        self.world.oracle(|oracle, _| oracle.is_broken())
    }

    fn vendor<T>(&self, look: impl FnOnce(&mut Vendor, &SeededRandom) -> T) -> T {
        self.world.source.with(|vendor| look(vendor, &self.world.random))
    }

    fn begin(&self) {
        let weather = &self.world.weather;
        self.vendor(|vendor, random| {
            for id in (0..weather.record_count).filter_map(id) {
                vendor.edit(&id, START.shifted(-random.between(1_000, 5_000_000)), Duration::ZERO);
            }
            for _ in 0..weather.poison_count {
                let poisoned = u32::try_from(random.below(u64::from(weather.record_count))).unwrap_or(0);
                let heals_at = START.shifted(random.between(0, weather.storm_millis));
                if let Some(id) = id(poisoned) {
                    vendor.poison(&id, heals_at);
                }
            }
        });
        self.world.start_pump();
    }

    fn storm(&self, events: &[(UtcMillis, Event)]) {
        for (at, event) in events {
            self.world.executor.run_until(*at);
            if self.is_over() {
                return;
            }
            self.befall(event);
        }
    }

    fn befall(&self, event: &Event) {
        let world = self.world;
        let now = world.now();
        world.trace.note(now, Who::World, || format!("{event:?}"));
        match event {
            Event::Tick => world.tick(),
            Event::Edit(numbers, lag) => self.vendor(|vendor, _| {
                world.count(|stats| stats.edits += u64::try_from(numbers.len()).unwrap_or(0));
                numbers.iter().copied().filter_map(id).for_each(|id| {
                    vendor.edit(&id, now, *lag);
                });
            }),
            Event::Delete(numbers, lag) => self.vendor(|vendor, _| {
                numbers.iter().copied().filter_map(id).for_each(|id| {
                    vendor.delete(&id, now, *lag);
                });
            }),
            Event::Unwell(class) => {
                world.count(|stats| stats.outages += u64::from(class.is_some()));
                self.vendor(|vendor, _| vendor.unwell = *class);
            }
            Event::Redrive => world.redrive(),
            Event::Wipe => self.wipe(),
        }
    }

    /// Ledger, quarantine and queue are lost. An operator lets the stream start again from what is committed.
    fn wipe(&self) {
        let world = self.world;
        world.count(|stats| stats.wipes += 1);
        world.queue.purge();
        world.tables.with(|tables| {
            tables.chunks.clear();
            tables.quarantine.clear();
            for stored in tables.checkpoints.values_mut() {
                let state = &mut stored.state;
                state.scanned = state.committed.clone();
                state.run = None;
                state.epoch += 1;
                state.tokens.retain(|token| token.position.order() <= state.committed.order());
            }
        });
        world.oracle(Oracle::reset);
    }

    fn calm(&self) {
        let world = self.world;
        if self.is_over() {
            return;
        }
        let end = START.shifted(world.weather.storm_millis);
        world.executor.run_until(end);
        world.trace.note(end, Who::World, || "the storm is over".to_owned());
        world.calm_down();
        self.vendor(|vendor, _| {
            vendor.unwell = None;
            vendor.poison.clear();
        });
        let mut pause = TICK_MILLIS;
        for number in 0..CALM_TICKS_MAX {
            world.count(|stats| stats.calm_ticks += 1);
            world.redrive();
            world.tick();
            world.executor.run_until(world.now().shifted(pause));
            if self.is_over() {
                return;
            }
            // Until the last frozen process has thawed, it may still do something that was right when it froze.
            let has_thawed = world.now() > end.shifted(FREEZE_MILLIS_MAX + TICK_MILLIS);
            if has_thawed && world.oracle(|oracle, world| oracle.what_is_left(world)).is_none() {
                return self.idle();
            }
            if number >= CALM_TICKS_QUICK {
                pause = (pause * 2).min(CALM_MILLIS_MAX);
            }
        }
        world.oracle(|oracle, world| oracle.must_have_converged(world, false));
    }

    /// All is stored: what follows must be idle, and change nothing.
    fn idle(&self) {
        let world = self.world;
        let tick = |count| {
            for _ in 0..count {
                world.tick();
                world.executor.run_until(world.now().shifted(TICK_MILLIS));
            }
            world.stats()
        };
        // What is in the overlap is looked at once more before it has settled; and a fetch that was made just when it
        // settled is in doubt until it is made again, since clocks differ a little from call to call.
        // A slow vendor's last ids take some ticks more.
        let mut before = tick(4);
        let mut after = tick(2);
        for _ in 0..3 {
            if after.fetches == before.fetches {
                break;
            }
            (before, after) = (after, tick(2));
        }
        let (lists, fetches) = (after.lists - before.lists, after.fetches - before.fetches);
        world.oracle(|oracle, world| {
            oracle.must_have_converged(world, true);
            oracle.must_be_idle(world, lists, fetches);
        });
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        if let Some(weather) = &self.weather {
            writeln!(f, "{weather:?}")?;
        }
        let Some(violation) = &self.violation else {
            return writeln!(f, "seed {} ({:?}): no violation", self.seed, self.shape);
        };
        let seconds = violation.at.millis_since(START) / 1_000;
        writeln!(f, "seed {} ({:?}) violates {} after {seconds} s", self.seed, self.shape, violation.invariant)?;
        writeln!(f, "  {}", violation.detail)?;
        writeln!(f, "replay: cargo run -p tidemark-testkit --bin simulate -- --seed {}", self.seed)
    }
}

/// Whether a position is one of a feed.
pub(super) fn token_index(position: &Position) -> Option<usize> {
    match position {
        Position::Token { text, .. } => text.strip_prefix('t')?.parse().ok(),
        Position::At(_) => None,
    }
}
