//! The ports of both functions in memory.

use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Clock, Ledger};
use tidemark_sweep::ports::Sweeps;
use tidemark_testkit::memory::SeededRandom;
use tidemark_watch::WatcherPorts;
use tidemark_watch::measurement::{Measurement, Measurements};

use super::tables::{PlayTables, Role};
use super::time::PlayClock;
use super::vendor::{PlayQueue, PlaySource};

/// The world of one function. Clones are the same world.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: PlayClock,
    pub(crate) tables: PlayTables,
    pub(crate) queue: PlayQueue,
    pub(crate) source: PlaySource,
    pub(crate) random: SeededRandom,
}

impl World {
    /// The same world for another function.
    pub(crate) fn of(&self, role: Role) -> Self {
        Self { tables: self.tables.of(role), ..self.clone() }
    }
}

tidemark_testkit::ports_of_fields!(World);

/// Figures that go nowhere.
pub(crate) struct Nowhere;

impl Measurements for Nowhere {
    async fn publish(&self, _: &[Measurement]) -> Result<(), StoreFailure> {
        Ok(())
    }
}

impl WatcherPorts for World {
    fn checkpoints(&self) -> &impl Checkpoints {
        &self.tables
    }
    fn ledger(&self) -> &(impl Ledger + Sweeps) {
        &self.tables
    }
    fn measurements(&self) -> &impl Measurements {
        &Nowhere
    }
    fn clock(&self) -> &impl Clock {
        &self.clock
    }
}
