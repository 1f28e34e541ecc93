//! The place where a call meets its fate: it takes time, and while it storms the process may die or freeze, and the call
//! may fail, be done in part, or lose its answer.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::Random;
use tidemark_engine::record::RecordKey;
use tidemark_engine::stream::StreamKey;

use super::executor::{Life, delay};
use super::trace::{What, Who};
use super::weather::{FREEZE_MILLIS_MAX, LATE_WRITE_MILLIS_MAX};
use super::world::World;
use crate::memory::{Effect, Extent, Gate, Operation, unavailable};

/// One invocation.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) who: Who,
    pub(super) life: Rc<Life>,
    /// The stream that it works on.
    pub(super) stream: StreamKey,
    /// Local less true time, in milliseconds.
    pub(super) skew_millis: i64,
    /// When it began, on the true clock.
    pub(super) began_at: LocalMillis,
    /// When the first list call was started that was answered, on the true clock.
    pub(super) listed_at: Cell<Option<LocalMillis>>,
    /// The records that it is storing.
    pub(super) storing: RefCell<Vec<RecordKey>>,
}

/// The gate of one process.
#[derive(Clone)]
pub(super) struct SimGate {
    pub(super) world: Rc<World>,
    pub(super) process: Rc<Process>,
}

/// A range of a million chances, taken from its lower end.
struct Draw(u32);

impl Draw {
    fn is(&mut self, chance: u32) -> bool {
        match self.0.checked_sub(chance) {
            Some(left) => {
                self.0 = left;
                false
            }
            None => true,
        }
    }
}

impl SimGate {
    fn draw(&self) -> Draw {
        Draw(u32::try_from(self.world.random.below(1_000_000)).unwrap_or(0))
    }

    fn note(&self, what: What) {
        self.world.trace.push(self.world.now(), self.process.who, what);
    }

    /// Ends the process.
    pub(super) async fn die(&self, what: What) {
        self.note(what);
        self.process.life.kill();
        pending::<()>().await;
    }

    async fn crash(&self, what: What) {
        self.world.count(|stats| stats.crashes += 1);
        self.die(what).await;
    }

    /// How long a call takes on its way there, in milliseconds; on its way back it takes as long, or nothing.
    fn latency(&self, operation: Operation) -> i64 {
        let random = &self.world.random;
        let is_storming = self.world.is_storming();
        let is_slow = is_storming && random.chance(self.world.weather.chances.slow);
        let is_slow_list = is_storming && random.chance(self.world.weather.chances.slow_list);
        match operation {
            Operation::List if is_slow_list => random.one_of(&[0, 8_000, 50_000, 100_000]),
            Operation::List => random.one_of(&[0, 300, 1_000, 3_000]),
            Operation::Fetch if is_slow => random.between(0, 20_000),
            Operation::Fetch => random.between(0, 700),
            // So that a sweep has to go on in another tick.
            Operation::Slice if self.world.is_sweeping.get() => random.one_of(&[0, 0, 50_000]),
            // A lane is read while others work on it.
            Operation::Head if is_slow => random.one_of(&[200, 5_000, 30_000]),
            _ if is_slow => random.between(200, 5_000),
            // That every other call takes time is enough to have others come in between.
            _ if random.chance(500_000) => random.between(2, 40),
            _ => 0,
        }
    }
}

impl Gate for SimGate {
    async fn before(&self, operation: Operation) -> Result<Extent, StoreFailure> {
        let world = &self.world;
        world.count(|stats| stats.steps += 1);
        let mut fails = false;
        let mut extent = Extent::Whole;
        if world.is_storming() && self.process.who != Who::Operator {
            let chances = &world.weather.chances;
            let mut draw = self.draw();
            let is_vendor = matches!(operation, Operation::List | Operation::Fetch);
            if draw.is(chances.crash) {
                self.crash(What::CrashedBefore(operation)).await;
            } else if draw.is(chances.freeze) {
                world.count(|stats| stats.freezes += 1);
                self.note(What::Froze(operation));
                let until = world.now().shifted(world.random.between(60_000, FREEZE_MILLIS_MAX));
                self.process.life.freeze(until);
            } else if draw.is(if is_vendor { chances.transient } else { chances.reject }) {
                fails = true;
            } else if draw.is(chances.part)
                && matches!(operation, Operation::PutChunks | Operation::Send | Operation::StoreLooks)
            {
                extent = Extent::First(usize::try_from(world.random.below(3)).unwrap_or(0));
            }
        }
        delay(&world.executor, self.latency(operation)).await;
        if fails {
            world.count(|stats| stats.rejections += 1);
            self.note(What::Rejected(operation));
            return Err(unavailable(operation));
        }
        if extent != Extent::Whole {
            world.count(|stats| stats.partial_calls += 1);
            self.note(What::Partly(operation));
        }
        world.count(|stats| match operation {
            Operation::Fetch => stats.fetches += 1,
            Operation::List => stats.lists += 1,
            _ => {}
        });
        Ok(extent)
    }

    async fn after(&self, operation: Operation) -> Result<(), StoreFailure> {
        let world = &self.world;
        self.note(What::Did(operation));
        world.observe(operation, &self.process);
        if matches!(self.process.who, Who::Poller(_)) {
            world.lose_ledger_at(operation);
        }
        if world.is_calm_or_fair() || self.process.who == Who::Operator {
            return Ok(());
        }
        let chances = &world.weather.chances;
        let mut draw = self.draw();
        if draw.is(chances.crash) {
            self.crash(What::CrashedAfter(operation)).await;
        }
        let is_lost = draw.is(chances.lose);
        // The way back takes time, too.
        if operation == Operation::List {
            delay(&world.executor, self.latency(operation)).await;
        } else if draw.is(300_000) {
            delay(&world.executor, world.random.between(1, 40)).await;
        }
        if is_lost {
            world.count(|stats| stats.lost_answers += 1);
            self.note(What::LostAnswer(operation));
            return Err(unavailable(operation));
        }
        Ok(())
    }

    fn reads_stale(&self) -> Option<LocalMillis> {
        let lags = self.world.is_storming() && self.world.random.chance(self.world.weather.chances.stale);
        // What was stored before any fetcher began that can be at work now shows by now.
        lags.then(|| self.world.now().minus(self.world.weather.fetcher_span()))
    }

    fn offer(&self, operation: Operation, _landed: bool, effect: impl FnOnce() -> Effect) {
        let world = &self.world;
        if !world.is_storming() || !world.random.chance(world.weather.chances.late_write) {
            return;
        }
        let effect = effect();
        let wipes = world.stats().wipes;
        let late = world.random.between(1_000, LATE_WRITE_MILLIS_MAX);
        let gate = self.clone();
        world.executor.spawn(&Rc::default(), async move {
            let world = &gate.world;
            delay(&world.executor, late).await;
            // A lost table that has its old mark again would be no lost table.
            if operation == Operation::WriteMark && world.stats().wipes != wipes {
                return;
            }
            world.count(|stats| stats.late_writes += 1);
            gate.note(What::LandedLate(operation));
            world.tables.with(|tables| effect.land(tables));
            world.observe_late(operation);
        });
    }
}
