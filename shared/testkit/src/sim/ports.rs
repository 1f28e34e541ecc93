//! The ports of one simulated invocation.

use std::rc::Rc;
use std::sync::Arc;

use tidemark_engine::failure::StoreFailure;
use tidemark_engine::fetch::FetcherPorts;
use tidemark_engine::poll::PollerPorts;
use tidemark_engine::ports::{ChangeQueue, Outgoing, Random};

use super::clock::LocalClock;
use super::gate::{Process, SimGate};
use super::source::SimSource;
use super::tables::SimTables;
use super::world::World;
use crate::memory::{Gate, Operation};

/// Sends into the queue of the world, where messages are lost, doubled and delayed.
pub(super) struct SimQueue(SimGate);

impl ChangeQueue for SimQueue {
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure> {
        let accepted = self.0.before(Operation::Send).await?.of(messages.len());
        for Outgoing { message, delay } in messages.iter().take(accepted) {
            self.0.world.post(&Arc::new(message.clone()), *delay);
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
    source: SimSource,
    tables: SimTables,
    queue: SimQueue,
    clock: LocalClock,
    random: SimRandom,
}

impl SimPorts {
    pub(super) fn new(world: &Rc<World>, process: &Rc<Process>) -> Self {
        let gate = SimGate { world: Rc::clone(world), process: Rc::clone(process) };
        Self {
            source: SimSource::new(&gate),
            tables: SimTables::new(&gate),
            clock: LocalClock { executor: Rc::clone(&world.executor), skew_millis: process.skew_millis },
            random: SimRandom(Rc::clone(world)),
            queue: SimQueue(gate),
        }
    }
}

impl PollerPorts for SimPorts {
    type Source = SimSource;
    type Checkpoints = SimTables;
    type Ledger = SimTables;
    type Versions = SimTables;
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
    type Source = SimSource;
    type Ledger = SimTables;
    type Records = SimTables;
    type Versions = SimTables;
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

    fn versions(&self) -> &Self::Versions {
        &self.tables
    }

    fn clock(&self) -> &Self::Clock {
        &self.clock
    }

    fn random(&self) -> &Self::Random {
        &self.random
    }
}
