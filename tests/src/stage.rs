//! A stage on which the engine plays against memory: one vendor, one stream, the real poller and fetcher.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::fetch::{FetchReport, Fetcher};
use tidemark_engine::health::{Breaker, StreamState};
use tidemark_engine::message::Message;
use tidemark_engine::operate::{Act, Acted, act};
use tidemark_engine::poll::{PollError, PollOutcome, PollReport, PollSettings, Poller};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::rule::{self, Rule};
use tidemark_engine::stream::{ListShape, StreamKey, StreamName};
use tidemark_engine::work::{CHUNK_IDS, Chunk, DETAILS_LAG, Lane, PoisonPolicy, RetryEntry};
use tidemark_sweep::SweepReport;
use tidemark_testkit::memory::{
    Delivery, Flaw, ManualClock, MemoryQueue, MemorySource, MemoryTables, Operation, SeededRandom, StoredRecord,
    Tables, Vendor, VendorSettings, version_of,
};
use tidemark_watch::standing::{Standing, standing};

/// When every play begins: at a whole second.
pub const START: LocalMillis = LocalMillis::new(1_800_000_000_000);
/// The time between two polls.
pub const POLL_INTERVAL: Duration = Duration::from_mins(5);

/// The world in memory. Clones share everything but chance.
#[derive(Clone)]
pub struct World<S = MemorySource> {
    /// The clock; a sleeper moves it.
    pub clock: ManualClock,
    /// The tables.
    pub tables: MemoryTables,
    /// The change queue.
    pub queue: MemoryQueue,
    /// The vendor.
    pub source: S,
    random: SeededRandom,
}

impl World {
    /// The same world behind another source.
    pub fn behind<S>(&self, source: S) -> World<S> {
        World {
            clock: self.clock.clone(),
            tables: self.tables.clone(),
            queue: self.queue.clone(),
            source,
            random: self.random.clone(),
        }
    }
}

tidemark_testkit::ports_of_fields!(World<S>, S);

/// The variable that names the rule to leave out, or the flaw of the tables, when a test is run to see it fail.
pub const LEAVE_OUT: &str = "TIDEMARK_LEAVE_OUT";

/// Leaves out the rule that the environment names; the tables' flaw, if it names one.
#[expect(clippy::disallowed_methods, reason = "how a test that is run once more is told what to leave out")]
fn leave_out_what_is_asked() -> Option<Flaw> {
    let asked = std::env::var(LEAVE_OUT).ok()?;
    let rule = Rule::ALL.iter().copied().find(|rule| format!("{rule:?}") == asked);
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

    /// The same after some ticks: the stream has a record `old`, owes nothing, and knows how far its stamps lag.
    #[must_use]
    pub async fn known(self) -> Self {
        for _ in 0..2 {
            self.edit(["old"]);
            self.sync().await;
            self.drain().await;
            // Looks of the first minutes are no evidence.
            self.wait(500);
        }
        self.settle().await;
        self.details();
        self
    }

    fn at(vendor: VendorSettings, clock: ManualClock) -> Self {
        let flaw = leave_out_what_is_asked();
        let settings = PollSettings {
            overlap: Duration::from_mins(2),
            poison_policy: PoisonPolicy::Block,
            call_interval: Duration::from_millis(1),
            poll_interval: POLL_INTERVAL,
            fetcher_timeout: Duration::from_mins(2),
            visibility_timeout: Duration::from_mins(12),
            streams: vec![vendor.stream.name.clone()],
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
        StreamKey { source: self.world.source.kind(), name: self.name() }
    }

    fn name(&self) -> StreamName {
        self.vendor(|vendor| vendor.settings.stream.name.clone())
    }

    /// The time.
    pub fn now(&self) -> LocalMillis {
        self.world.clock.now()
    }

    /// Lets time pass.
    pub fn wait(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }

    /// Looks at the vendor, or changes it.
    pub fn vendor<T>(&self, look: impl FnOnce(&mut Vendor) -> T) -> T {
        self.world.source.with(look)
    }

    /// Reads or changes the tables.
    pub fn tables<T>(&self, look: impl FnOnce(&mut Tables) -> T) -> T {
        self.world.tables.with(look)
    }

    /// Edits records at the vendor, now and visible immediately.
    pub fn edit<I: AsRef<str>>(&self, ids: impl IntoIterator<Item = I>) {
        let now = self.now();
        for text in ids {
            self.vendor(|vendor| vendor.edit(&id(text.as_ref()), now, Duration::ZERO));
        }
    }

    /// Deletes records at the vendor.
    pub fn delete<I: AsRef<str>>(&self, ids: impl IntoIterator<Item = I>) {
        let now = self.now();
        for text in ids {
            self.vendor(|vendor| vendor.delete(&id(text.as_ref()), now, Duration::ZERO));
        }
    }

    /// One tick of a new poller in this world.
    ///
    /// # Errors
    /// Those of the poller.
    pub async fn try_tick_in<S: Source>(&self, world: World<S>) -> Result<PollReport, PollError> {
        self.owners.set(self.owners.get() + 1);
        let poller = Poller { ports: world, settings: self.settings.borrow().clone() };
        poller.poll(&self.name(), &format!("poller-{}", self.owners.get())).await
    }

    /// Goes on with the stream's sweep, as the invocation of a poller does after its tick.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub async fn sweep_on(&self) -> SweepReport {
        let poller = Poller { ports: self.world.clone(), settings: self.settings.borrow().clone() };
        let until = tidemark_sweep::stop_at(&poller, self.now());
        tidemark_sweep::go_on(&poller, &self.name(), until).await.expect("the sweep works")
    }

    /// One tick of a new poller.
    ///
    /// # Errors
    /// Those of the poller.
    pub async fn try_tick(&self) -> Result<PollReport, PollError> {
        self.try_tick_in(self.world.clone()).await
    }

    /// One tick that does not fail.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub async fn tick(&self) -> PollReport {
        self.try_tick().await.expect("the tick works")
    }

    /// The fetcher.
    pub fn fetcher(&self) -> Fetcher<World> {
        self.fetcher_in(self.world.clone())
    }

    /// The fetcher in this world.
    pub fn fetcher_in<S>(&self, world: World<S>) -> Fetcher<World<S>> {
        Fetcher { ports: world, call_interval: self.settings.borrow().call_interval }
    }

    /// When a fetcher that begins now must have ended.
    pub fn stop_at(&self) -> LocalMillis {
        self.now().plus(Duration::from_mins(2))
    }

    /// Has one delivery fetched, with two minutes' time, and acknowledged.
    ///
    /// # Errors
    /// Those of the fetcher; the message then stays.
    pub async fn fetch(&self, delivery: &Delivery) -> Result<FetchReport, StoreFailure> {
        let report = self.fetcher().fetch(&delivery.message, delivery.receive_count, self.stop_at()).await?;
        self.world.queue.delete(delivery);
        Ok(report)
    }

    /// Receives the one message that is visible.
    ///
    /// # Panics
    /// When there is none, or another one.
    pub fn receive(&self) -> Delivery {
        let mut received = self.world.queue.receive(2);
        assert_eq!(received.len(), 1, "one message is visible");
        received.remove(0)
    }

    /// The messages of the queue, received or not.
    pub fn messages(&self) -> Vec<Arc<Message>> {
        self.world.queue.queued().into_iter().map(|queued| queued.message).collect()
    }

    /// Has all visible messages fetched, once each; of a feed those that wait for lagging details.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub async fn drain(&self) -> Vec<FetchReport> {
        let mut reports = Vec::new();
        if self.world.source.streams().iter().any(|traits| traits.shape == ListShape::Feed) {
            self.world.clock.advance(DETAILS_LAG + Duration::from_secs(2));
        }
        for delivery in self.world.queue.receive(usize::MAX) {
            reports.push(self.fetch(&delivery).await.expect("the fetch works"));
        }
        reports
    }

    /// A tick, then everything it sent, then a tick that commits and lists again.
    pub async fn sync(&self) -> PollReport {
        self.tick().await;
        self.drain().await;
        self.tick().await
    }

    /// Ticks an interval apart, with messages fetched by one fetcher as they become visible; the last report.
    pub async fn play(&self, ticks: usize) -> Option<PollReport> {
        let mut last = None;
        for _ in 0..ticks {
            let next_at = self.now().plus(POLL_INTERVAL);
            last = Some(self.tick().await);
            self.fetch_until(next_at).await;
        }
        last
    }

    /// Has messages fetched as they become visible, until it is `end`.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub async fn fetch_until(&self, end: LocalMillis) {
        while self.now() < end {
            if let Some(delivery) = self.world.queue.receive(1).pop() {
                self.fetch(&delivery).await.expect("the fetch works");
                continue;
            }
            let visible_at = self.world.queue.next_visible_at().map_or(end, |at| at.min(end));
            self.world.clock.set(visible_at.max(self.now()));
        }
    }

    /// Plays until a tick finds nothing to do; its report.
    pub async fn settle(&self) -> PollReport {
        let mut report = self.tick().await;
        for _ in 0..20 {
            if report.outcome == PollOutcome::Quiet {
                break;
            }
            self.fetch_until(self.now().plus(POLL_INTERVAL)).await;
            report = self.tick().await;
        }
        report
    }

    /// Has the operator act on the stream, under the settings as they are.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub async fn act(&self, what: Act) -> Acted {
        let traits = self.vendor(|vendor| vendor.settings.stream.clone());
        let mark = self.vendor(|vendor| vendor.settings.account_mark.clone());
        let acted = act(&self.world.tables, &self.stream(), &traits, &mark, self.now(), &what).await;
        acted.expect("the tables answer")
    }

    /// The stored state of the stream.
    #[expect(clippy::expect_used, reason = "a test's own expectation")]
    pub fn checkpoint(&self) -> Checkpoint {
        self.tables(|tables| tables.checkpoints.get(&self.stream()).cloned()).expect("it was polled")
    }

    /// What the functions of the stream share.
    pub fn stream_state(&self) -> StreamState {
        self.tables(|tables| tables.streams.get(&self.stream()).cloned().unwrap_or_default())
    }

    /// The pause of the whole source.
    pub fn source_breaker(&self) -> Breaker {
        self.tables(|tables| tables.sources.entry(self.stream().source).or_default().state.breaker.clone())
    }

    /// How the stream stands now.
    pub fn standing(&self) -> Standing {
        standing(Some(&self.checkpoint()), &self.stream_state(), self.now())
    }

    /// The chunks of a lane.
    pub fn chunks(&self, lane: Lane) -> Vec<Chunk> {
        self.tables(|tables| tables.chunks.values().filter(|chunk| chunk.key.lane == lane).cloned().collect())
    }

    /// How many ids a lane owes.
    pub fn owed_count(&self, lane: Lane) -> usize {
        self.chunks(lane).iter().map(|chunk| chunk.ids.len()).sum()
    }

    /// The retry lane.
    pub fn retries(&self) -> Vec<RetryEntry> {
        self.tables(|tables| tables.retries.values().cloned().collect())
    }

    /// Ids in the retry lane.
    pub fn retried(&self) -> Vec<String> {
        self.retries().iter().map(|entry| entry.id.as_str().to_owned()).collect()
    }

    /// A stored record.
    pub fn record(&self, text: &str) -> Option<StoredRecord> {
        let is_feed = self.vendor(|vendor| vendor.settings.stream.shape) == ListShape::Feed;
        let stream = if is_feed { StreamName::known("widgets") } else { self.name() };
        let key = RecordKey { source: self.stream().source, stream, id: id(text) };
        self.tables(|tables| tables.records.get(&key).cloned())
    }

    /// The version of a stored record that is not deleted.
    pub fn version(&self, text: &str) -> Option<u64> {
        let record = self.record(text).filter(|record| record.deleted.is_none())?;
        version_of(&record.body?)
    }

    /// Records that are not stored as the vendor shows them now.
    pub fn differences(&self) -> Vec<String> {
        let now = self.now();
        let ids: Vec<RecordId> = self.vendor(|vendor| vendor.ids().cloned().collect());
        let shown = |id: &RecordId| self.vendor(|vendor| vendor.seen(id, now).filter(|it| it.body.is_some()).cloned());
        let differs = |id: &RecordId| shown(id).is_some_and(|it| self.version(id.as_str()) != Some(it.number));
        ids.iter().filter(|id| differs(id)).map(|id| id.as_str().to_owned()).collect()
    }

    /// Detail calls made since this was last asked.
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
