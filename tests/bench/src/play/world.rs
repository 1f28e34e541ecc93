//! The ports of both functions in memory.

use std::rc::Rc;

use tidemark_engine::failure::StoreFailure;
use tidemark_engine::fetch::FetcherPorts;
use tidemark_engine::measurement::Measurement;
use tidemark_engine::poll::PollerPorts;
use tidemark_engine::ports::Measurements;
use tidemark_engine::watch::WatcherPorts;
use tidemark_testkit::memory::SeededRandom;

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
    pub(crate) random: Rc<SeededRandom>,
}

impl World {
    /// The same world for another function.
    pub(crate) fn of(&self, role: Role) -> Self {
        Self { tables: self.tables.of(role), ..self.clone() }
    }
}

impl PollerPorts for World {
    type Source = PlaySource;
    type Checkpoints = PlayTables;
    type Ledger = PlayTables;
    type Versions = PlayTables;
    type Queue = PlayQueue;
    type Clock = PlayClock;
    type Random = SeededRandom;

    fn source(&self) -> &PlaySource {
        &self.source
    }
    fn checkpoints(&self) -> &PlayTables {
        &self.tables
    }
    fn ledger(&self) -> &PlayTables {
        &self.tables
    }
    fn versions(&self) -> &PlayTables {
        &self.tables
    }
    fn queue(&self) -> &PlayQueue {
        &self.queue
    }
    fn clock(&self) -> &PlayClock {
        &self.clock
    }
    fn random(&self) -> &SeededRandom {
        &self.random
    }
}

impl FetcherPorts for World {
    type Source = PlaySource;
    type Ledger = PlayTables;
    type Records = PlayTables;
    type Versions = PlayTables;
    type Clock = PlayClock;
    type Random = SeededRandom;

    fn source(&self) -> &PlaySource {
        &self.source
    }
    fn ledger(&self) -> &PlayTables {
        &self.tables
    }
    fn records(&self) -> &PlayTables {
        &self.tables
    }
    fn versions(&self) -> &PlayTables {
        &self.tables
    }
    fn clock(&self) -> &PlayClock {
        &self.clock
    }
    fn random(&self) -> &SeededRandom {
        &self.random
    }
}

/// Figures that go nowhere.
pub(crate) struct Nowhere;

impl Measurements for Nowhere {
    async fn publish(&self, _: &[Measurement]) -> Result<(), StoreFailure> {
        Ok(())
    }
}

impl WatcherPorts for World {
    type Checkpoints = PlayTables;
    type Ledger = PlayTables;
    type Measurements = Nowhere;
    type Clock = PlayClock;

    fn checkpoints(&self) -> &PlayTables {
        &self.tables
    }
    fn ledger(&self) -> &PlayTables {
        &self.tables
    }
    fn measurements(&self) -> &Nowhere {
        &Nowhere
    }
    fn clock(&self) -> &PlayClock {
        &self.clock
    }
}
