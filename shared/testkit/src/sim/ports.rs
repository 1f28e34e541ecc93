//! The ports of one simulated invocation.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidemark_engine::failure::StoreFailure;
use tidemark_engine::fetch::FetcherPorts;
use tidemark_engine::poll::PollerPorts;
use tidemark_engine::ports::{ChangeQueue, Clock, Outgoing, Random};
use tidemark_engine::stamp::{UtcMillis, millis_of};

use super::executor::{Executor, delay};
use super::gate::{Process, SimGate};
use super::world::World;
use crate::memory::{Gate, MemorySource, MemoryTables, Operation};

/// The vendor's clock, which is the true one.
#[derive(Clone)]
pub(super) struct TrueClock(pub(super) Rc<Executor>);

impl Clock for TrueClock {
    fn now(&self) -> UtcMillis {
        self.0.now()
    }

    async fn sleep(&self, span: Duration) {
        delay(&self.0, millis_of(span)).await;
    }
}

/// The clock of a process, which may be off.
#[derive(Clone)]
pub(super) struct LocalClock {
    executor: Rc<Executor>,
    skew_millis: i64,
}

impl Clock for LocalClock {
    fn now(&self) -> UtcMillis {
        self.executor.now().shifted(self.skew_millis)
    }

    async fn sleep(&self, span: Duration) {
        delay(&self.executor, millis_of(span)).await;
    }
}

/// Sends into the queue of the world, where messages are lost, doubled and delayed.
pub(super) struct SimQueue(SimGate);

impl ChangeQueue for SimQueue {
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure> {
        let accepted = self.0.before(Operation::Send).await?.of(messages.len());
        for Outgoing { message, delay } in messages.iter().take(accepted) {
            let world = &self.0.world;
            world.post(&Arc::new(message.clone()), *delay);
        }
        self.0.after(Operation::Send).await?;
        Ok(accepted)
    }
}

/// Chance, drawn from the history's seed.
pub(super) struct SimRandom(Rc<World>);

impl Random for SimRandom {
    fn below(&self, bound: u64) -> u64 {
        self.0.random.below(bound)
    }
}

/// All ports of one invocation.
pub(super) struct SimPorts {
    source: MemorySource<TrueClock, SimGate>,
    tables: MemoryTables<SimGate>,
    queue: SimQueue,
    clock: LocalClock,
    random: SimRandom,
}

impl SimPorts {
    pub(super) fn new(world: &Rc<World>, process: &Rc<Process>) -> Self {
        let gate = || SimGate { world: Rc::clone(world), process: Rc::clone(process) };
        Self {
            source: world.source.behind(gate()),
            tables: world.tables.behind(gate()),
            queue: SimQueue(gate()),
            clock: LocalClock { executor: Rc::clone(&world.executor), skew_millis: process.skew_millis },
            random: SimRandom(Rc::clone(world)),
        }
    }
}

impl PollerPorts for SimPorts {
    type Source = MemorySource<TrueClock, SimGate>;
    type Checkpoints = MemoryTables<SimGate>;
    type Ledger = MemoryTables<SimGate>;
    type Versions = MemoryTables<SimGate>;
    type Queue = SimQueue;
    type Clock = LocalClock;
    type Random = SimRandom;

    fn source(&self) -> &Self::Source {
        &self.source
    }

    fn checkpoints(&self) -> &Self::Checkpoints {
        &self.tables
    }

    fn ledger(&self) -> &Self::Ledger {
        &self.tables
    }

    fn versions(&self) -> &Self::Versions {
        &self.tables
    }

    fn queue(&self) -> &Self::Queue {
        &self.queue
    }

    fn clock(&self) -> &Self::Clock {
        &self.clock
    }

    fn random(&self) -> &Self::Random {
        &self.random
    }
}

impl FetcherPorts for SimPorts {
    type Source = MemorySource<TrueClock, SimGate>;
    type Ledger = MemoryTables<SimGate>;
    type Records = MemoryTables<SimGate>;
    type Clock = LocalClock;
    type Random = SimRandom;

    fn source(&self) -> &Self::Source {
        &self.source
    }

    fn ledger(&self) -> &Self::Ledger {
        &self.tables
    }

    fn records(&self) -> &Self::Records {
        &self.tables
    }

    fn clock(&self) -> &Self::Clock {
        &self.clock
    }

    fn random(&self) -> &Self::Random {
        &self.random
    }
}
