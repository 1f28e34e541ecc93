//! Playing one history: the storm, the calm, the reckoning, and what sweeps find then.

use std::fmt;
use std::rc::Rc;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::rule::leave_out;
use tidemark_engine::stream::StreamName;

use super::START;
use super::mutant::Mutant;
use super::oracle::Oracle;
use super::stats::Stats;
use super::trace::{Step, Trace};
use super::weather::{FREEZE_MILLIS_MAX, LATE_WRITE_MILLIS_MAX, Weather};
use super::world::World;
use crate::memory::SeededRandom;

/// How long the calm lasts at most.
const CALM_MILLIS_MAX: i64 = 12_000_000;

/// What did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// How it was broken.
    pub detail: String,
    /// When.
    pub at: LocalMillis,
}

/// How a history went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
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

/// Plays the history of `seed` with a wrong variant of the protocol.
pub fn run_mutant(seed: u64, mutant: Mutant) -> Outcome {
    play(seed, Trace::new(0, false), Some(mutant))
}

/// Plays the history of `seed` once more and keeps its last `kept` steps, in words.
pub fn replay(seed: u64, kept: usize, mutant: Option<Mutant>) -> Outcome {
    play(seed, Trace::new(kept, true), mutant)
}

fn play(seed: u64, trace: Trace, mutant: Option<Mutant>) -> Outcome {
    leave_out(mutant.and_then(Mutant::rule));
    let random = SeededRandom::new(seed);
    let weather = Weather::draw(seed, &random);
    let is_replay = trace.is_wordy;
    let world = World::new(seed, random, weather, trace, mutant);
    world.tables.with(|tables| tables.flaw = mutant.and_then(Mutant::flaw));
    world.begin();
    world.executor.run_until(world.storm_end());
    calm(&world);
    let violation = world.oracle(|oracle, _| oracle.violation());
    world.count(|stats| {
        stats.polls = world.executor.polls();
        stats.simulated_seconds = u64::try_from(world.now().millis_since(START) / 1_000).unwrap_or(0);
    });
    world.executor.clear();
    leave_out(None);
    let weather = is_replay.then(|| world.weather.clone());
    Outcome { seed, stats: world.stats(), violation, steps: world.trace.take(), weather }
}

fn is_over(world: &World) -> bool {
    world.oracle(|oracle, _| oracle.is_broken())
}

/// Until the last frozen process has thawed, and the last write has come, something may still happen that was right when it
/// began. From then on all must be well within a while, and stay so.
fn calm(world: &Rc<World>) {
    if is_over(world) {
        return;
    }
    world.heal();
    let interval = i64::try_from(world.weather.poll_interval.as_millis()).unwrap_or(0);
    let end = world.now().shifted(CALM_MILLIS_MAX);
    world.executor.run_until(world.now().shifted(FREEZE_MILLIS_MAX + LATE_WRITE_MILLIS_MAX));
    touch_hidden(world);
    // Twice: what is written late may be seen late.
    let mut well = 0;
    while well < 2 && world.now() < end {
        world.executor.run_until(world.now().shifted(interval));
        if is_over(world) {
            return;
        }
        well = if world.oracle(|oracle, world| oracle.is_all_well(world)) { well + 1 } else { 0 };
    }
    world.oracle(Oracle::must_be_well);
    if !is_over(world) {
        world.sweep_all();
    }
}

fn touch_hidden(world: &World) {
    let hidden: Vec<(StreamName, _)> =
        world.oracle(|oracle, _| oracle.hidden().map(|(stream, id)| (stream.clone(), id.clone())).collect());
    let now = world.now();
    for (stream, id) in hidden {
        world.source.with_stream(&stream, |vendor| {
            if vendor.seen(&id, now).is_some_and(|version| version.body.is_some()) {
                vendor.edit(&id, now, std::time::Duration::ZERO);
            }
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
            return writeln!(f, "seed {}: no violation", self.seed);
        };
        let seconds = violation.at.millis_since(START) / 1_000;
        writeln!(f, "seed {} violates {} after {seconds} s", self.seed, violation.invariant)?;
        writeln!(f, "  {}", violation.detail)?;
        writeln!(f, "replay: cargo run -p tidemark-testkit --bin simulate -- --seed {}", self.seed)
    }
}
