//! A vendor, the source that reads it, and the engine over tables in memory.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::change::{Detail, Page};
use tidemark_engine::chunk::CHUNK_IDS;
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::fetch::{Fetcher, FetcherPorts};
use tidemark_engine::poll::{PollOutcome, PollReport, PollSettings, Poller, PollerPorts};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::quarantine::PoisonPolicy;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::StreamName;
pub(crate) use tidemark_sources::registry::AnySource;
use tidemark_sources::registry::{self, SourceConfig};
use tidemark_testkit::fake::Fake;
use tidemark_testkit::memory::{MemoryQueue, MemoryTables, SeededRandom, StoredRecord};

use crate::Vendor;
use crate::log::collect_log;
use crate::support::{SharedKeys, VendorTime};

/// What the first credential of every test is made of.
pub(crate) const OLD: &str = "canary-old";
/// What the one after it is made of.
pub(crate) const NEW: &str = "canary-new";

const CALL_INTERVAL: Duration = Duration::from_millis(1);

/// A vendor with a source that reads it.
pub(crate) struct World<V> {
    pub(crate) vendor: V,
    pub(crate) keys: SharedKeys,
    ports: Ports,
    owners: Cell<u32>,
}

impl<V: Vendor> World<V> {
    /// A vendor without records, whose clock stands still but for whoever sleeps.
    pub(crate) async fn start() -> Self {
        Self::with_secret(&V::secret(OLD)).await
    }

    /// The same with another secret than the one that is accepted.
    pub(crate) async fn with_secret(secret: &str) -> Self {
        collect_log();
        let vendor = V::start(OLD).await;
        vendor.freeze_clock();
        let keys = SharedKeys::new(secret);
        let clock = VendorTime(Fake::clone(&vendor));
        let config = SourceConfig {
            kind: V::KIND,
            base_url: vendor.url(),
            settings: V::SETTINGS,
            requests_per_second: "100000",
        };
        let source = registry::build(config, keys.clone(), clock.clone()).unwrap();
        let clock = EngineTime(clock);
        let ports = Ports {
            source: Rc::new(source),
            tables: MemoryTables::new(),
            queue: MemoryQueue::new(clock.clone(), Duration::from_mins(12), 8),
            random: Rc::new(SeededRandom::new(1)),
            clock,
        };
        Self { vendor, keys, ports, owners: Cell::new(0) }
    }

    /// A vendor with so many records that have been there for long, and the ids under which a list tells of them.
    pub(crate) async fn with_records(count: usize) -> (Self, Vec<RecordId>) {
        let world = Self::start().await;
        world.vendor.seed_count(V::RECORDS, count).unwrap();
        let ids = world.vendor.truth(V::RECORDS).unwrap().into_keys().map(|record| V::listed_id(&record)).collect();
        (world, ids)
    }

    fn stream() -> StreamName {
        StreamName::known(V::STREAM)
    }

    /// One list call.
    pub(crate) async fn list(&self) -> Result<Page, SourceFailure> {
        let source = &*self.ports.source;
        source.list(&Self::stream(), V::request(source)).await
    }

    /// One detail call.
    pub(crate) async fn fetch(&self, id: &RecordId) -> Result<Detail, SourceFailure> {
        self.ports.source.fetch(&Self::stream(), id).await
    }

    /// The record that a listed id stands for.
    pub(crate) fn record_of(&self, id: &RecordId) -> RecordId {
        self.ports.source.record_of(&Self::stream(), id).unwrap().1
    }

    /// One tick of the poller, and the fetching of all that it sent.
    pub(crate) async fn sync(&self) -> PollReport {
        self.owners.set(self.owners.get() + 1);
        let settings = PollSettings {
            overlap: Duration::from_mins(2),
            poison_policy: PoisonPolicy::Block,
            call_interval: CALL_INTERVAL,
            visibility_timeout: Duration::from_mins(12),
            streams: vec![Self::stream()],
            chunk_ids: CHUNK_IDS,
        };
        let poller = Poller { ports: self.ports.clone(), settings };
        let report = poller.poll(&Self::stream(), &format!("poller-{}", self.owners.get())).await.unwrap();
        let fetcher = Fetcher { ports: self.ports.clone(), call_interval: CALL_INTERVAL };
        for delivery in self.ports.queue.receive(usize::MAX) {
            let stop_at = self.ports.clock.now().plus(Duration::from_mins(2));
            let outcome = fetcher.fetch(&delivery.message, delivery.receive_count, stop_at).await.unwrap();
            if outcome.acknowledged {
                self.ports.queue.delete(&delivery);
            }
        }
        report
    }

    /// Polls every five minutes until a list tells nothing new; the last report.
    pub(crate) async fn settle(&self) -> PollReport {
        for _ in 0..20 {
            let report = self.sync().await;
            if report.outcome == PollOutcome::Quiet {
                return report;
            }
            self.vendor.advance(Duration::from_mins(5));
        }
        panic!("the stream does not come to rest");
    }

    /// How many records are stored, tombstones included.
    pub(crate) fn stored_count(&self) -> usize {
        self.ports.tables.with(|tables| tables.records.len())
    }

    /// The records that the vendor has and that are not stored exactly so.
    pub(crate) fn differences(&self) -> Vec<String> {
        let truth = self.vendor.truth(V::RECORDS).unwrap();
        let living = truth.into_iter().filter(|(_, record)| !record.deleted && record.active);
        living
            .filter(|(id, record)| self.stored(id).as_deref() != Some(V::stored_body(record)))
            .map(|(id, _)| id)
            .collect()
    }

    /// What is stored of a record that is not marked deleted.
    fn stored(&self, id: &str) -> Option<String> {
        let key =
            RecordKey { source: V::KIND, stream: StreamName::known(V::RECORDS), id: RecordId::parse(id).unwrap() };
        let stored: Option<StoredRecord> = self.ports.tables.with(|tables| tables.records.get(&key).cloned());
        let record = stored.filter(|record| record.deleted.is_none())?;
        Some(record.body?.text().to_owned())
    }
}

/// The engine's clock: the vendor's, moved by whoever sleeps. A long sleep is a deadline, which no test reaches.
#[derive(Clone)]
struct EngineTime(VendorTime);

impl Clock for EngineTime {
    fn now(&self) -> UtcMillis {
        self.0.now()
    }

    async fn sleep(&self, span: Duration) {
        if span >= Duration::from_mins(1) {
            std::future::pending::<()>().await;
        }
        self.0.sleep(span).await;
    }
}

/// The engine's world. Clones share it.
#[derive(Clone)]
struct Ports {
    source: Rc<AnySource<VendorTime, SharedKeys>>,
    tables: MemoryTables,
    queue: MemoryQueue<EngineTime>,
    clock: EngineTime,
    random: Rc<SeededRandom>,
}

impl PollerPorts for Ports {
    type Source = AnySource<VendorTime, SharedKeys>;
    type Checkpoints = MemoryTables;
    type Ledger = MemoryTables;
    type Versions = MemoryTables;
    type Queue = MemoryQueue<EngineTime>;
    type Clock = EngineTime;
    type Random = SeededRandom;

    fn source(&self) -> &Self::Source {
        &self.source
    }

    fn checkpoints(&self) -> &MemoryTables {
        &self.tables
    }

    fn ledger(&self) -> &MemoryTables {
        &self.tables
    }

    fn versions(&self) -> &MemoryTables {
        &self.tables
    }

    fn queue(&self) -> &Self::Queue {
        &self.queue
    }

    fn clock(&self) -> &EngineTime {
        &self.clock
    }

    fn random(&self) -> &SeededRandom {
        &self.random
    }
}

impl FetcherPorts for Ports {
    type Source = AnySource<VendorTime, SharedKeys>;
    type Ledger = MemoryTables;
    type Records = MemoryTables;
    type Clock = EngineTime;
    type Random = SeededRandom;

    fn source(&self) -> &Self::Source {
        &self.source
    }

    fn ledger(&self) -> &MemoryTables {
        &self.tables
    }

    fn records(&self) -> &MemoryTables {
        &self.tables
    }

    fn clock(&self) -> &EngineTime {
        &self.clock
    }

    fn random(&self) -> &SeededRandom {
        &self.random
    }
}
