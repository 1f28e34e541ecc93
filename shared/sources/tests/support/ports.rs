//! The engine's world: a source, tables in memory, and the vendor's clock.

use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::fetch::{FetchReport, Fetcher, FetcherPorts};
use tidemark_engine::poll::{PollReport, PollSettings, Poller, PollerPorts};
use tidemark_engine::ports::{self, ChangeQueue, Checkpoints, Clock, Ledger, Random, Records, Source, StoredVersions};
use tidemark_engine::stream::StreamName;
use tidemark_engine::work::{CHUNK_IDS, PoisonPolicy};
use tidemark_fakes::Fake;
use tidemark_sources::registry::AnySource;
use tidemark_sweep::ports::{Shown, StoredSlices, SweepPorts, Sweeps};
use tidemark_testkit::memory::{MemoryQueue, MemoryTables, SeededRandom};

use crate::support::{SharedKeys, VendorTime};

/// How far apart calls are, as the engine reckons.
const CALL_INTERVAL: Duration = Duration::from_millis(1);
/// How far apart polls are.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_mins(5);
/// How long a message stays out of sight once it was received.
const VISIBILITY: Duration = Duration::from_mins(12);

/// The engine's clock: the vendor's, moved by sleeping. A long sleep is a deadline, which no test reaches.
#[derive(Clone)]
pub(crate) struct EngineTime(VendorTime);

impl Clock for EngineTime {
    fn now(&self) -> LocalMillis {
        self.0.now()
    }

    async fn sleep(&self, span: Duration) {
        if span >= Duration::from_mins(1) {
            std::future::pending::<()>().await;
        }
        self.0.sleep(span).await;
    }
}

/// What poller and fetcher reach. Clones share it.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) source: Rc<AnySource<VendorTime, SharedKeys>>,
    pub(crate) tables: MemoryTables,
    pub(crate) queue: MemoryQueue<EngineTime>,
    pub(crate) clock: EngineTime,
    pub(crate) random: SeededRandom,
}

impl Ports {
    /// Empty tables and an empty queue for a source that reads this vendor.
    pub(crate) fn new(source: AnySource<VendorTime, SharedKeys>, vendor: &Fake) -> Self {
        let clock = EngineTime(VendorTime(vendor.clone()));
        Self {
            source: Rc::new(source),
            tables: MemoryTables::new(),
            queue: MemoryQueue::new(clock.clone(), VISIBILITY, 8),
            random: SeededRandom::new(1),
            clock,
        }
    }

    /// One tick of the poller.
    pub(crate) async fn poll(&self, stream: &StreamName, owner: &str) -> PollReport {
        self.poller(stream).poll(stream, owner).await.unwrap()
    }

    /// The poller of a stream.
    pub(crate) fn poller(&self, stream: &StreamName) -> Poller<Self> {
        let settings = PollSettings {
            overlap: Duration::from_mins(2),
            poison_policy: PoisonPolicy::Block,
            call_interval: CALL_INTERVAL,
            poll_interval: POLL_INTERVAL,
            fetcher_timeout: VISIBILITY / 6,
            visibility_timeout: VISIBILITY,
            streams: vec![stream.clone()],
            chunk_ids: CHUNK_IDS,
        };
        Poller { ports: self.clone(), settings }
    }

    /// Fetches all that was sent; what each fetch did.
    pub(crate) async fn fetch_all(&self) -> Vec<FetchReport> {
        let fetcher = Fetcher { ports: self.clone(), call_interval: CALL_INTERVAL };
        let mut reports = Vec::new();
        for delivery in self.queue.receive(usize::MAX) {
            let stop_at = self.clock.now().plus(Duration::from_mins(10));
            reports.push(fetcher.fetch(&delivery.message, delivery.receive_count, stop_at).await.unwrap());
            self.queue.delete(&delivery);
        }
        reports
    }
}

impl ports::Ports for Ports {
    fn source(&self) -> &impl Source {
        &*self.source
    }

    fn ledger(&self) -> &impl Ledger {
        &self.tables
    }

    fn versions(&self) -> &impl StoredVersions {
        &self.tables
    }

    fn clock(&self) -> &impl Clock {
        &self.clock
    }

    fn random(&self) -> &impl Random {
        &self.random
    }
}

impl PollerPorts for Ports {
    fn checkpoints(&self) -> &impl Checkpoints {
        &self.tables
    }

    fn queue(&self) -> &impl ChangeQueue {
        &self.queue
    }
}

impl SweepPorts for Ports {
    fn sweeps(&self) -> &impl Sweeps {
        &self.tables
    }

    fn slices(&self) -> &impl StoredSlices {
        &self.tables
    }

    fn shown(&self) -> &impl Shown {
        &*self.source
    }
}

impl FetcherPorts for Ports {
    fn records(&self) -> &impl Records {
        &self.tables
    }
}
