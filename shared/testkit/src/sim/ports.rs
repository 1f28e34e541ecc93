//! The ports of one simulated invocation.

use std::rc::Rc;
use std::sync::Arc;

use tidemark_engine::failure::StoreFailure;
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

crate::ports_of_fields!(SimPorts);
