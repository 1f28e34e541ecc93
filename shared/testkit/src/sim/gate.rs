//! The place where a call meets its fate: it takes time, and while it storms the process may die or freeze, and the call
//! may fail, be done in part, or lose its answer.

use std::future::pending;
use std::rc::Rc;

use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::Random;

use super::executor::{Life, delay};
use super::mutant::Mutant;
use super::trace::{What, Who};
use super::weather::FREEZE_MILLIS_MAX;
use super::world::World;
use crate::memory::{Extent, Flaw, Gate, Operation, unavailable};

/// One invocation.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) who: Who,
    pub(super) life: Rc<Life>,
    /// Local less true time, in milliseconds.
    pub(super) skew_millis: i64,
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
        self.world.trace.push(self.world.executor.now(), self.process.who, what);
    }

    async fn die(&self, what: What) {
        self.world.count(|stats| stats.crashes += 1);
        self.note(what);
        self.process.life.kill();
        pending::<()>().await;
    }

    fn latency(&self, operation: Operation) -> i64 {
        let random = &self.world.random;
        let is_slow = self.world.is_storming() && random.chance(self.world.weather.chances.slow);
        match operation {
            Operation::List if is_slow => random.between(5_000, 60_000),
            Operation::List => random.between(300, 6_000),
            Operation::Fetch if is_slow => random.between(1_000, 20_000),
            Operation::Fetch => random.between(100, 700),
            _ if is_slow => random.between(200, 5_000),
            _ => random.between(2, 40),
        }
    }
}

impl Gate for SimGate {
    async fn before(&self, operation: Operation) -> Result<Extent, StoreFailure> {
        let world = &self.world;
        world.count(|stats| stats.steps += 1);
        let mut fails = false;
        let mut extent = Extent::Whole;
        if world.is_storming() {
            let chances = &world.weather.chances;
            let mut draw = self.draw();
            let is_vendor = matches!(operation, Operation::List | Operation::Fetch);
            if draw.is(chances.crash) {
                self.die(What::CrashedBefore(operation)).await;
            } else if draw.is(chances.freeze) {
                world.count(|stats| stats.freezes += 1);
                self.note(What::Froze(operation));
                let until = world.executor.now().shifted(world.random.between(100_000, FREEZE_MILLIS_MAX));
                self.process.life.freeze(until);
            } else if draw.is(if is_vendor { chances.transient } else { chances.reject }) {
                fails = true;
            } else if draw.is(chances.part) && matches!(operation, Operation::PutChunks | Operation::Send) {
                extent = Extent::First(usize::try_from(world.random.below(3)).unwrap_or(0));
            }
        }
        delay(&world.executor, self.latency(operation)).await;
        if operation == Operation::Chunks && world.mutant == Some(Mutant::Flawed(Flaw::ShowsAllDone)) {
            let flaw = (world.queue.queued_count() == 0).then_some(Flaw::ShowsAllDone);
            world.tables.with(|tables| tables.flaw = flaw);
        }
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
        world.observe(operation, self.process.who);
        let is_storming = world.is_storming();
        let chances = &world.weather.chances;
        let mut draw = self.draw();
        let is_lost = is_storming && {
            if draw.is(chances.crash) {
                self.die(What::CrashedAfter(operation)).await;
            }
            draw.is(chances.lose)
        };
        // The way back takes time, too; that it does so for every third call is enough to have others come in between.
        if draw.is(300_000) {
            delay(&world.executor, world.random.between(1, 40)).await;
        }
        if is_lost {
            world.count(|stats| stats.lost_answers += 1);
            self.note(What::LostAnswer(operation));
            return Err(unavailable(operation));
        }
        Ok(())
    }

    fn reads_stale(&self) -> bool {
        self.world.is_storming() && self.world.random.chance(self.world.weather.chances.stale)
    }
}
