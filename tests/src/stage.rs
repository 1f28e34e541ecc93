//! A stage on which the engine plays against memory: one vendor, one stream, the real poller and fetcher.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::chunk::CHUNK_IDS;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::fetch::{FetchReport, Fetcher, FetcherPorts};
use tidemark_engine::poll::{PollError, PollOutcome, PollReport, PollSettings, Poller, PollerPorts};
use tidemark_engine::ports::Clock;
use tidemark_engine::quarantine::PoisonPolicy;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::rule::{self, Rule};
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName};
use tidemark_testkit::memory::{
    Delivery, Flaw, ManualClock, MemoryQueue, MemorySource, MemoryTables, Operation, SeededRandom, StoredRecord,
    Vendor, VendorSettings, version_of,
};

/// When every play begins.
pub const START: UtcMillis = UtcMillis::new(1_800_000_000_000);

/// The world in memory. Clones share everything but chance.
pub struct World {
    /// The clock; whoever sleeps moves it.
    pub clock: ManualClock,
    /// The tables.
    pub tables: MemoryTables,
    /// The change queue.
    pub queue: MemoryQueue,
    /// The vendor.
    pub source: MemorySource,
    random: SeededRandom,
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            clock: self.clock.clone(),
            tables: self.tables.clone(),
            queue: self.queue.clone(),
            source: self.source.clone(),
            random: SeededRandom::new(1),
        }
    }
}

impl PollerPorts for World {
    type Source = MemorySource;
    type Checkpoints = MemoryTables;
    type Ledger = MemoryTables;
    type Versions = MemoryTables;
    type Queue = MemoryQueue;
    type Clock = ManualClock;
    type Random = SeededRandom;

    fn source(&self) -> &MemorySource {
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
    fn queue(&self) -> &MemoryQueue {
        &self.queue
    }
    fn clock(&self) -> &ManualClock {
        &self.clock
    }
    fn random(&self) -> &SeededRandom {
        &self.random
    }
}

impl FetcherPorts for World {
    type Source = MemorySource;
    type Ledger = MemoryTables;
    type Records = MemoryTables;
    type Clock = ManualClock;
    type Random = SeededRandom;

    fn source(&self) -> &MemorySource {
        &self.source
    }
    fn ledger(&self) -> &MemoryTables {
        &self.tables
    }
    fn records(&self) -> &MemoryTables {
        &self.tables
    }
    fn clock(&self) -> &ManualClock {
        &self.clock
    }
    fn random(&self) -> &SeededRandom {
        &self.random
    }
}

/// The variable that names the rule to leave out, or the flaw of the tables, when a test is run to see it fail.
pub const LEAVE_OUT: &str = "TIDEMARK_LEAVE_OUT";

/// Leaves out the rule that the environment names; the tables' flaw, if it names one.
#[expect(clippy::disallowed_methods, reason = "how a test that is run once more is told what to leave out")]
fn leave_out_what_is_asked() -> Option<Flaw> {
    let asked = std::env::var(LEAVE_OUT).ok()?;
    let rule = Rule::ALL.into_iter().find(|rule| format!("{rule:?}") == asked);
    rule::leave_out(rule);
    let flaw = Flaw::ALL.into_iter().find(|flaw| format!("{flaw:?}") == asked);
    assert!(rule.is_some() || flaw.is_some(), "there is nothing to leave out that is called {asked}");
    flaw
}

/// A play: the world, the settings, and who acts next.
pub struct Stage {
    /// The world.
    pub world: World,
    /// The poller's settings.
    pub settings: RefCell<PollSettings>,
    owners: Cell<u32>,
}

impl Stage {
    /// A stage with a well-behaved vendor whose list has this shape.
    pub fn new(shape: ListShape) -> Self {
        Self::with(VendorSettings::new(shape))
    }

    /// A stage with this vendor.
    pub fn with(vendor: VendorSettings) -> Self {
        Self::at(vendor, ManualClock::hasty(START))
    }

    /// A stage whose clock stands still while a call is held.
    pub fn patient(shape: ListShape) -> Self {
        let stage = Self::at(VendorSettings::new(shape), ManualClock::new(START));
        stage.settings.borrow_mut().call_interval = Duration::ZERO;
        stage
    }

    fn at(vendor: VendorSettings, clock: ManualClock) -> Self {
        let flaw = leave_out_what_is_asked();
        let stream = vendor.stream.name.clone();
        let settings = PollSettings {
            overlap: Duration::from_mins(2),
            poison_policy: PoisonPolicy::Block,
            call_interval: Duration::from_millis(1),
            visibility_timeout: Duration::from_mins(12),
            streams: vec![stream],
            chunk_ids: CHUNK_IDS,
        };
        let world = World {
            tables: MemoryTables::new(),
            queue: MemoryQueue::new(clock.clone(), settings.visibility_timeout, 8),
            source: MemorySource::new(Vendor::new(vendor), clock.clone()),
            random: SeededRandom::new(1),
            clock,
        };
        world.tables.with(|tables| tables.flaw = flaw);
        Self { world, settings: RefCell::new(settings), owners: Cell::new(0) }
    }

    /// The stream's key.
    pub fn stream(&self) -> StreamKey {
        StreamKey { source: SourceKind::FieldMotion, name: self.name() }
    }

    fn name(&self) -> StreamName {
        self.world.source.with(|vendor| vendor.settings.stream.name.clone())
    }

    /// The time.
    pub fn now(&self) -> UtcMillis {
        self.world.clock.now()
    }

    /// Lets time pass.
    pub fn wait(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }

    /// Edits records at the vendor, now and visible at once.
    pub fn edit<'a>(&self, ids: impl IntoIterator<Item = &'a str>) {
        let now = self.now();
        self.world.source.with(|vendor| {
            for text in ids {
                vendor.edit(&id(text), now, Duration::ZERO);
            }
        });
    }

    /// Deletes records at the vendor.
    pub fn delete<'a>(&self, ids: impl IntoIterator<Item = &'a str>) {
        let now = self.now();
        self.world.source.with(|vendor| {
            for text in ids {
                vendor.delete(&id(text), now, Duration::ZERO);
            }
        });
    }

    /// One tick of a new poller.
    ///
    /// # Errors
    /// Those of the poller.
    pub async fn try_tick(&self) -> Result<PollReport, PollError> {
        self.owners.set(self.owners.get() + 1);
        let poller = Poller { ports: self.world.clone(), settings: self.settings.borrow().clone() };
        poller.poll(&self.name(), &format!("poller-{}", self.owners.get())).await
    }

    /// One tick that does not fail.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub async fn tick(&self) -> PollReport {
        self.try_tick().await.expect("the tick works")
    }

    /// The fetcher.
    pub fn fetcher(&self) -> Fetcher<World> {
        Fetcher { ports: self.world.clone(), call_interval: self.settings.borrow().call_interval }
    }

    /// Has one delivery fetched, with two minutes' time, and acknowledged when it is done with.
    ///
    /// # Errors
    /// Those of the fetcher; the message then stays.
    pub async fn fetch(&self, delivery: &Delivery) -> Result<FetchReport, StoreFailure> {
        let stop_at = self.now().plus(Duration::from_mins(2));
        let report = self.fetcher().fetch(&delivery.message, delivery.receive_count, stop_at).await?;
        if report.acknowledged {
            self.world.queue.delete(delivery);
        }
        Ok(report)
    }

    /// Has all visible messages fetched, once each.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub async fn drain(&self) -> Vec<FetchReport> {
        let mut reports = Vec::new();
        for delivery in self.world.queue.receive(usize::MAX) {
            reports.push(self.fetch(&delivery).await.expect("the fetch works"));
        }
        reports
    }

    /// A tick, then everything it sent, then the tick that commits and lists anew.
    pub async fn sync(&self) -> PollReport {
        self.tick().await;
        self.drain().await;
        self.tick().await
    }

    /// Ticks every five minutes, with everything fetched between, until a list tells nothing new; the last report.
    pub async fn settle(&self) -> PollReport {
        let mut report = self.tick().await;
        for _ in 0..20 {
            if report.outcome == PollOutcome::Quiet {
                break;
            }
            self.drain().await;
            self.wait(300);
            report = self.tick().await;
        }
        report
    }

    /// The stored state of the stream.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub fn checkpoint(&self) -> Checkpoint {
        let stream = self.stream();
        self.world.tables.with(|tables| tables.checkpoints.get(&stream).expect("it was polled").state.clone())
    }

    /// A stored record.
    pub fn record(&self, text: &str) -> Option<StoredRecord> {
        let stream = self.stream();
        let key = RecordKey { source: stream.source, stream: stream.name, id: id(text) };
        self.world.tables.with(|tables| tables.records.get(&key).cloned())
    }

    /// Ids in quarantine.
    pub fn quarantined(&self) -> Vec<String> {
        self.world.tables.with(|tables| tables.quarantine.keys().map(|(_, id)| id.as_str().to_owned()).collect())
    }

    /// Records that are not stored as the vendor shows them now.
    pub fn differences(&self) -> Vec<String> {
        let now = self.now();
        let ids: Vec<String> = self.world.source.with(|vendor| vendor.ids().map(|id| id.as_str().to_owned()).collect());
        ids.into_iter().filter(|text| !self.is_as_shown(text, now)).collect()
    }

    fn is_as_shown(&self, text: &str, now: UtcMillis) -> bool {
        let shown = self.world.source.with(|vendor| vendor.seen(&id(text), now).cloned());
        let stored = self.record(text);
        match shown.filter(|version| version.body.is_some()) {
            None => true,
            Some(version) => stored.is_some_and(|record| {
                record.deleted.is_none() && record.body.as_ref().and_then(version_of) == Some(version.number)
            }),
        }
    }

    /// Detail calls made since this was last asked, by either function.
    pub fn details(&self) -> usize {
        self.world.source.faults().take_calls().get(&Operation::Fetch).copied().unwrap_or(0)
    }
}

/// An id.
#[expect(clippy::expect_used, reason = "a test's own expectation")]
pub fn id(text: &str) -> RecordId {
    RecordId::parse(text).expect("a test's id is usable")
}

/// The ids `0` to `count`, the latter excluded, all of the same length.
pub fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:05}")).collect()
}
