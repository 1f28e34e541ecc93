//! All functions of a source together call its vendor no faster than its rate: pollers and fetchers, side by side, by
//! nothing but the schedule in the ledger. Time is tokio's, paused: it jumps when everybody waits.
#![expect(clippy::unwrap_used, reason = "a test's own expectation")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::fetch::Fetcher;
use tidemark_engine::poll::{PollSettings, Poller};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName, StreamTraits};
use tidemark_engine::work::{CHUNK_IDS, PoisonPolicy};
use tidemark_sweep::ports::Shown;
use tidemark_testkit::memory::{MemoryQueue, MemorySource, MemoryTables, SeededRandom, Vendor, VendorSettings};
use tidemark_tests::stage::{START, id};
use tidemark_watch::standing::standing;
use tokio::time::Instant;

/// Two calls a second, as by default.
const INTERVAL: Duration = Duration::from_millis(500);
const MINUTE: i64 = 60_000;
/// Ten percent above the rate, in a minute.
const CALLS_A_MINUTE_MAX: usize = 132;

#[derive(Clone)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> LocalMillis {
        START.plus(self.0.elapsed())
    }

    #[expect(clippy::disallowed_methods, reason = "time is paused: nobody waits")]
    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// What is asked in this minute is answered after so long.
#[derive(Clone, Copy)]
struct Slow {
    minute: i64,
    takes: Duration,
}

/// Calls in this time get a 429 that asks to wait until its end.
#[derive(Clone, Copy)]
struct Busy {
    from: LocalMillis,
    to: LocalMillis,
}

/// When a call was started, on the vendor's clock.
type Calls = Rc<RefCell<Vec<i64>>>;

/// A vendor that takes a fifth of a second for an answer, and longer at times, and notes when it was asked. As a process's
/// own gate does, it lets one call of a function begin in an interval.
struct Asked {
    source: MemorySource<PausedClock>,
    clock: PausedClock,
    calls: Calls,
    slow: Option<Slow>,
    busy: Option<Busy>,
    interval: Duration,
    next_at: tokio::sync::Mutex<LocalMillis>,
}

impl Asked {
    async fn ask(&self) -> Result<(), SourceFailure> {
        {
            let mut next_at = self.next_at.lock().await;
            self.clock.sleep(next_at.since(self.clock.now())).await;
            *next_at = self.clock.now().plus(self.interval);
        }
        let now = self.clock.now();
        self.calls.borrow_mut().push(now.get());
        let minute = now.millis_since(START) / MINUTE;
        let slow = self.slow.filter(|slow| minute == slow.minute);
        self.clock.sleep(slow.map_or(Duration::from_millis(200), |slow| slow.takes)).await;
        let Some(busy) = self.busy.filter(|busy| (busy.from..busy.to).contains(&now)) else { return Ok(()) };
        let retry_after = Some(Duration::from_secs(busy.to.since(now).as_secs() + 1));
        Err(SourceFailure::new(FailureClass::Throttled { retry_after }, "too many requests"))
    }
}

impl Source for Asked {
    fn kind(&self) -> SourceKind {
        self.source.kind()
    }

    fn streams(&self) -> &[StreamTraits] {
        self.source.streams()
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        self.ask().await?;
        self.source.list(stream, request).await
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        self.ask().await?;
        self.source.fetch(stream, id).await
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        self.source.account_mark().await
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        self.source.reading(at)
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        self.source.stamp(stream, text)
    }
}

impl Shown for Asked {}

/// The ports of one function.
struct Function {
    source: Asked,
    tables: MemoryTables,
    queue: MemoryQueue<PausedClock>,
    clock: PausedClock,
    random: SeededRandom,
}

tidemark_testkit::ports_of_fields!(Function);

/// A source with several streams, of each of which there is a poller, and three fetchers.
struct Play {
    tables: MemoryTables,
    queue: MemoryQueue<PausedClock>,
    clock: PausedClock,
    calls: Calls,
    slow: Option<Slow>,
    busy: Option<Busy>,
    interval: Duration,
    ticks_every: Duration,
    vendors: Vec<(StreamName, MemorySource<PausedClock>)>,
}

impl Play {
    fn new(shape: ListShape, streams: &[&'static str], records: usize) -> Self {
        let clock = PausedClock(Instant::now());
        let vendor_of = |name: &'static str| {
            let mut settings = VendorSettings::new(shape);
            settings.stream.name = StreamName::known(name);
            settings.page_rows = 5;
            let mut vendor = Vendor::new(settings);
            for number in 0..records {
                vendor.edit(&id(&format!("{name}{number:04}")), START, Duration::ZERO);
            }
            (StreamName::known(name), MemorySource::new(vendor, clock.clone()))
        };
        Self {
            tables: MemoryTables::new(),
            queue: MemoryQueue::new(clock.clone(), Duration::from_mins(12), 8),
            calls: Rc::default(),
            slow: None,
            busy: None,
            interval: INTERVAL,
            ticks_every: Duration::from_secs(20),
            vendors: streams.iter().map(|name| vendor_of(name)).collect(),
            clock,
        }
    }

    fn function(&self, source: &MemorySource<PausedClock>) -> Function {
        let source = Asked {
            source: source.clone(),
            clock: self.clock.clone(),
            calls: Rc::clone(&self.calls),
            slow: self.slow,
            busy: self.busy,
            interval: self.interval,
            next_at: tokio::sync::Mutex::new(START),
        };
        let random = SeededRandom::new(1);
        Function { source, tables: self.tables.clone(), queue: self.queue.clone(), clock: self.clock.clone(), random }
    }

    fn poller(&self, source: &MemorySource<PausedClock>) -> Poller<Function> {
        let settings = PollSettings {
            overlap: Duration::from_mins(2),
            poison_policy: PoisonPolicy::Block,
            call_interval: self.interval,
            poll_interval: Duration::from_mins(5),
            fetcher_timeout: Duration::from_mins(2),
            visibility_timeout: Duration::from_mins(12),
            streams: self.vendors.iter().map(|(name, _)| name.clone()).collect(),
            chunk_ids: CHUNK_IDS,
        };
        Poller { ports: self.function(source), settings }
    }

    async fn poll_for(&self, minutes: i64, name: &StreamName, source: &MemorySource<PausedClock>) {
        let end = START.shifted(minutes * MINUTE);
        let mut ticks = 0;
        while self.clock.now() < end {
            ticks += 1;
            self.poller(source).poll(name, &format!("{name}-{ticks}")).await.unwrap();
            self.clock.sleep(self.ticks_every).await;
        }
    }

    async fn fetch_for(&self, minutes: i64) {
        let end = START.shifted(minutes * MINUTE);
        while self.clock.now() < end {
            let Some(delivery) = self.queue.receive(1).pop() else {
                self.clock.sleep(Duration::from_secs(1)).await;
                continue;
            };
            let source =
                self.vendors.iter().find(|(name, _)| *name == delivery.message.stream().name).map(|(_, source)| source);
            let fetcher = Fetcher { ports: self.function(source.unwrap()), call_interval: self.interval };
            let stop_at = self.clock.now().plus(Duration::from_mins(2));
            fetcher.fetch(&delivery.message, delivery.receive_count, stop_at).await.unwrap();
            self.queue.delete(&delivery);
        }
    }

    /// Plays for some minutes; the largest number of calls in any one of them.
    async fn busiest_minute(&self, minutes: i64) -> (usize, usize) {
        let pollers = join_all(self.vendors.iter().map(|(name, source)| self.poll_for(minutes, name, source)));
        let fetchers = join_all((0..3).map(|_| self.fetch_for(minutes)));
        futures_util::future::join(pollers, fetchers).await;
        let mut calls = self.calls.borrow().clone();
        calls.sort_unstable();
        let within = |first: &i64| calls.iter().filter(|at| (*first..first + MINUTE).contains(at)).count();
        (calls.iter().map(within).max().unwrap_or(0), calls.len())
    }
}

#[tokio::test(start_paused = true)]
async fn pollers_and_fetchers_of_ids_share_the_rate() {
    let play = Play::new(ListShape::Whole, &["customers", "jobs", "assets"], 300);
    let (busiest, all) = play.busiest_minute(12).await;
    assert!(busiest <= CALLS_A_MINUTE_MAX, "{busiest} calls in one minute");
    // The rate was used, or this would show nothing.
    assert!(busiest > 100 && all > 900, "{busiest} of {all}");
    assert_eq!(play.tables.with(|tables| tables.records.len()), 900);
}

#[tokio::test(start_paused = true)]
async fn pollers_that_walk_pages_at_once_share_the_rate() {
    let play = Play::new(ListShape::Pages, &["jobs", "customers", "assets", "technicians"], 300);
    let (busiest, all) = play.busiest_minute(12).await;
    assert!(busiest <= CALLS_A_MINUTE_MAX, "{busiest} calls in one minute");
    assert!(busiest > 100 && all > 480, "{busiest} of {all}");
    assert_eq!(play.tables.with(|tables| tables.records.len()), 1_200);
}

#[tokio::test(start_paused = true)]
async fn after_slow_answers_the_vendor_is_not_called_faster() {
    for (shape, records) in [(ListShape::Pages, 1_200), (ListShape::Whole, 900)] {
        // GIVEN a vendor that takes half a minute for an answer for a while, in the midst of work
        let slow = Some(Slow { minute: 2, takes: Duration::from_secs(30) });
        let streams = &["jobs", "customers", "assets", "technicians"];
        let play = Play { slow, ..Play::new(shape, streams, records / 4) };
        let (busiest, all) = play.busiest_minute(14).await;
        // THEN what it was not asked for meanwhile is not made up for
        assert!(busiest <= CALLS_A_MINUTE_MAX, "{shape:?}: {busiest} calls in one minute");
        assert!(busiest > 100, "{shape:?}: {busiest} of {all}");
        assert_eq!(play.tables.with(|tables| tables.records.len()), records);
    }
}

#[tokio::test(start_paused = true)]
async fn at_a_slow_rate_all_streams_move_and_the_rate_is_used() {
    // GIVEN one call in ten seconds for six streams, polled every five minutes
    let streams = &["customers", "jobs", "assets", "asset_types", "tasks", "stock_containers"];
    let play = Play::new(ListShape::Whole, streams, 60);
    let play = Play { interval: Duration::from_secs(10), ticks_every: Duration::from_mins(5), ..play };
    let minutes = 50;
    let (_, all) = play.busiest_minute(minutes).await;
    // THEN no message keeps the others waiting for long, and no place is taken for nothing
    let now = START.shifted(minutes * MINUTE);
    for (name, _) in &play.vendors {
        let key = StreamKey { source: SourceKind::FieldMotion, name: name.clone() };
        let standing = play.tables.with(|tables| standing(Some(&tables.checkpoints[&key]), &tables.streams[&key], now));
        assert!(standing.staleness < Duration::from_mins(15), "{name}: {standing:?}");
    }
    assert!(all >= 240, "{all} calls of 300");
}

#[tokio::test(start_paused = true)]
async fn at_a_slow_rate_a_record_that_seems_gone_gets_its_second_call_within_the_message() {
    let play = Play { interval: Duration::from_secs(10), ..Play::new(ListShape::Whole, &["customers"], 4) };
    let (name, source) = &play.vendors[0];
    play.poller(source).poll(name, "poller").await.unwrap();
    let now = play.clock.now();
    for number in 0..4 {
        source.with(|vendor| vendor.delete(&id(&format!("customers{number:04}")), now, Duration::ZERO));
    }
    play.clock.sleep(Duration::from_mins(1)).await;
    let delivery = play.queue.receive(1).pop().unwrap();
    // WHEN there is time for three calls
    let fetcher = Fetcher { ports: play.function(source), call_interval: play.interval };
    let stop_at = play.clock.now().plus(Duration::from_secs(25));
    let report = fetcher.fetch(&delivery.message, 1, stop_at).await.unwrap();
    // THEN one record gets two of them, where four at once would get one each
    assert_eq!((report.calls_count, report.deleted_count), (3, 1), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_seems_gone_keeps_no_other_function_waiting() {
    let play =
        Play { interval: Duration::from_millis(1), ..Play::new(ListShape::Whole, &["customers"], CHUNK_IDS + 1) };
    let (name, source) = &play.vendors[0];
    play.poller(source).poll(name, "poller").await.unwrap();
    let began = play.clock.now();
    source.with(|vendor| vendor.delete(&id("customers0000"), began, Duration::ZERO));
    let [first, second] = &play.queue.receive(2)[..] else { panic!("two chunks") };
    let fetcher = || Fetcher { ports: play.function(source), call_interval: play.interval };
    let stop_at = began.plus(Duration::from_secs(25));
    // WHEN a fetcher waits to ask for a record again, and another one asks for another record
    let other = async {
        play.clock.sleep(Duration::from_millis(500)).await;
        fetcher().fetch(&second.message, 1, stop_at).await.unwrap();
        play.clock.now().since(began)
    };
    let fetcher = fetcher();
    let (report, took) = futures_util::future::join(fetcher.fetch(&first.message, 1, stop_at), other).await;
    // THEN that one does not wait for the first
    assert_eq!(report.unwrap().deleted_count, 1);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_short_retry_after_is_waited_out_by_all_functions_together() {
    // GIVEN a vendor that is busy for twenty seconds in the midst of an import
    let busy = Busy { from: START.shifted(3 * MINUTE), to: START.shifted(3 * MINUTE + 20_000) };
    let play = Play { busy: Some(busy), ..Play::new(ListShape::Whole, &["customers", "jobs"], 400) };
    let (busiest, _) = play.busiest_minute(10).await;
    let met = play.calls.borrow().iter().filter(|at| (busy.from.get()..busy.to.get()).contains(at)).count();
    // THEN it is called by those alone who had their slots when it said so: not forty times
    assert!((1..=12).contains(&met), "{met} calls");
    assert!(busiest <= CALLS_A_MINUTE_MAX, "{busiest} calls in one minute");
    // and the import goes on, no pause is opened, nothing is set aside
    play.tables.with(|tables| {
        assert_eq!((tables.records.len(), tables.retries.len()), (800, 0));
        assert!(tables.sources.values().all(|source| !source.state.breaker.is_disturbed()));
    });
}

/// The next poll is five minutes away; the import does not wait for it.
#[tokio::test(start_paused = true)]
async fn five_short_429s_cost_an_import_seconds() {
    let play = Play::new(ListShape::Whole, &["customers"], 400);
    let retry_after = Some(Duration::from_secs(1));
    let play = Play { interval: Duration::from_millis(50), ticks_every: Duration::from_mins(5), ..play };
    let source = play.vendors[0].1.clone();
    let clock = play.clock.clone();
    let trouble = async {
        clock.sleep(Duration::from_secs(5)).await;
        source.with(|vendor| vendor.failures.extend([FailureClass::Throttled { retry_after }; 5]));
    };
    futures_util::future::join(play.busiest_minute(1), trouble).await;
    assert_eq!(play.tables.with(|tables| (tables.records.len(), tables.retries.len())), (400, 0));
}
