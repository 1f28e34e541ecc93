//! The engine's real use cases in memory, at the default rate and schedule, with two fetchers at work beside the poller.

pub(crate) mod bill;
pub(crate) mod log;
mod tables;
mod time;
mod vendor;
mod world;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::fetch::Fetcher;
use tidemark_engine::poll::{PollOutcome, PollSettings, Poller};
use tidemark_engine::ports::Clock;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{CHUNK_IDS, PoisonPolicy};
use tidemark_fetcher::log::Delivery;
use tidemark_sweep::state::Proof;
use tidemark_testkit::memory::{Hold, MemoryQueue, MemorySource, SeededRandom, Vendor, VendorSettings};
use tidemark_watch::{WatchedStream, Watcher};

use bill::{Bill, figure};
use log::Log;
use tables::{PlayTables, Role};
use time::{PlayClock, Task, run};
pub(crate) use vendor::ids;
use vendor::{PlayQueue, PlaySource};
use world::World;

/// When every play begins.
const START: LocalMillis = LocalMillis::new(1_800_000_000_000);
/// The time between two polls.
pub(crate) const INTERVAL: Duration = Duration::from_mins(5);
/// The requests a second that a vendor gets.
pub(crate) const RATE: f64 = 2.0;
const CALL_INTERVAL: Duration = Duration::from_millis(500);
/// What a fetcher's invocation has for its message.
const FETCH_TIME: Duration = Duration::from_secs(110);
/// As SQS names messages.
const MESSAGE_ID: &str = "5fea7756-0ea4-451a-a703-a558b933e274";
/// How many fetchers are at work.
const FETCHERS: usize = 2;
/// Longer than anything that is played.
const PLAY_MAX: Duration = Duration::from_hours(14 * 24);
/// A year, over which the records of an account were edited.
const YEAR: Duration = Duration::from_hours(365 * 24);

/// A play: one vendor with one stream, and both functions.
pub(crate) struct Play {
    world: World,
    log: Log,
    settings: PollSettings,
    next_tick: Cell<LocalMillis>,
    /// When the last tick began.
    last_tick: Cell<LocalMillis>,
    owners: Cell<u32>,
    /// How the last tick ended.
    outcome: RefCell<Option<PollOutcome>>,
    /// What the last sweep found, and in which tick it ended.
    proof: RefCell<Option<(Proof, LocalMillis)>>,
    failure: RefCell<Option<String>>,
}

impl Play {
    /// An account with these records, edited one after the other over a year, of which nothing is copied yet. Each body
    /// has so many bytes.
    pub(crate) fn new(vendor: VendorSettings, count: usize, body_bytes: usize) -> Self {
        let clock = PlayClock::new(START);
        let settings = PollSettings {
            overlap: Duration::from_mins(2),
            poison_policy: PoisonPolicy::Block,
            call_interval: CALL_INTERVAL,
            poll_interval: INTERVAL,
            fetcher_timeout: Duration::from_mins(2),
            visibility_timeout: Duration::from_mins(12),
            streams: vec![vendor.stream.name.clone()],
            chunk_ids: CHUNK_IDS,
        };
        let (tables, shape) = (PlayTables::new(clock.clone()), vendor.stream.shape);
        let queue = MemoryQueue::new(clock.clone(), settings.visibility_timeout, 8);
        let source = MemorySource::new(Vendor::new(vendor), clock.clone());
        let world = World {
            queue: PlayQueue { queue, meter: Rc::clone(&tables.meter) },
            source: PlaySource { vendor: source, body_bytes, meter: Rc::clone(&tables.meter) },
            random: SeededRandom::new(1),
            tables,
            clock,
        };
        let (next_tick, owners) = (Cell::new(START), Cell::new(0));
        let last_tick = Cell::new(START);
        let (outcome, proof, failure) = (RefCell::default(), RefCell::default(), RefCell::default());
        let play = Self { world, log: Log::new(), settings, next_tick, last_tick, owners, outcome, proof, failure };
        play.edit_evenly(&ids(shape, count), START.minus(YEAR), START);
        play
    }

    /// The same account in use: imported, and edited now and then since, so that it is known how stamps and clock agree.
    pub(crate) fn in_use(vendor: VendorSettings, count: usize, body_bytes: usize) -> Result<Self, Box<dyn Error>> {
        let ids = ids(vendor.stream.shape, count);
        let play = Self::new(vendor, count, body_bytes);
        play.until_quiet(START)?;
        let begun_at = play.next_tick.get();
        // At every offset to a poll, and a while without.
        for (nth, id) in (1..=12).zip(&ids) {
            play.edit(id, begun_at.plus(Duration::from_secs(nth * 325)));
        }
        play.until_quiet(begun_at.plus(Duration::from_hours(3)))?;
        play.take_bill();
        Ok(play)
    }

    /// The time.
    pub(crate) fn now(&self) -> LocalMillis {
        self.world.clock.now()
    }

    /// When the next tick is.
    pub(crate) fn next_tick(&self) -> LocalMillis {
        self.next_tick.get()
    }

    /// Edits a record at an instant, also one to come; the number of its version.
    pub(crate) fn edit(&self, id: &RecordId, at: LocalMillis) -> u64 {
        self.world.source.vendor.with(|vendor| vendor.edit(id, at, Duration::ZERO))
    }

    /// Edits records one after the other between two instants.
    pub(crate) fn edit_evenly(&self, ids: &[RecordId], from: LocalMillis, until: LocalMillis) {
        let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        for (nth, id) in (0..).zip(ids) {
            self.edit(id, from.shifted(until.millis_since(from) * nth / count));
        }
    }

    /// What was used since this was asked last.
    pub(crate) fn take_bill(&self) -> Bill {
        self.world.tables.take_bill()
    }

    /// When a version was first stored, less the time that its message's own calls took.
    pub(crate) fn stored_at(&self, number: u64) -> Option<LocalMillis> {
        self.world.tables.meter.borrow().stored_at.get(&number).copied()
    }

    /// Records that are not stored as the vendor shows them.
    fn differences(&self) -> usize {
        let now = self.world.clock.now();
        let meter = self.world.tables.meter.borrow();
        self.world.source.vendor.with(|vendor| {
            let is_missing = |version: &u64| !meter.stored_at.contains_key(version);
            vendor.present(now).map(|(_, version)| version.number).filter(is_missing).count()
        })
    }

    /// Plays until a tick from `from` on finds nothing new and nothing owed.
    pub(crate) fn until_quiet(&self, from: LocalMillis) -> Result<(), Box<dyn Error>> {
        self.until(|| self.last_tick.get() >= from)
    }

    /// Plays until this is so, and a tick finds nothing new and nothing owed.
    fn until(&self, is_reached: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
        self.outcome.take();
        let mut tasks: Vec<Task<'_>> = vec![Box::pin(self.poll())];
        tasks.extend((0..FETCHERS).map(|_| -> Task<'_> { Box::pin(self.fetch()) }));
        self.run(tasks, || {
            let is_quiet = *self.outcome.borrow() == Some(PollOutcome::Quiet) && is_reached();
            is_quiet && self.world.queue.queue.queued_count() == 0
        })?;
        match self.differences() {
            0 => Ok(()),
            count => Err(format!("{count} records differ").into()),
        }
    }

    /// Asks for a sweep, and plays until it has ended and a tick finds nothing new and nothing owed.
    pub(crate) fn sweep(&self) -> Result<Proof, Box<dyn Error>> {
        self.proof.take();
        let is_asked = Cell::new(false);
        let key = StreamKey { source: self.kind(), name: self.stream() };
        let ask = async {
            if let Err(failure) = tidemark_sweep::ask(&self.world, &key, None).await {
                self.fail(failure.to_string());
            }
            is_asked.set(true);
        };
        self.run(vec![Box::pin(ask)], || is_asked.get())?;
        self.until(|| self.proof.borrow().as_ref().is_some_and(|(_, ended_in)| self.last_tick.get() > *ended_in))?;
        Ok(self.proof.take().map(|(proof, _)| proof).unwrap_or_default())
    }

    /// Adds records that no list of changes shows.
    pub(crate) fn add_silently(&self, ids: &[RecordId]) {
        let now = self.now();
        self.world.source.vendor.with(|vendor| {
            vendor.is_silent = true;
            for id in ids {
                vendor.edit(id, now, Duration::ZERO);
            }
            vendor.is_silent = false;
        });
    }

    /// Plays one tick, without fetchers.
    pub(crate) fn one_tick(&self) -> Result<(), Box<dyn Error>> {
        self.outcome.take();
        self.run(vec![Box::pin(self.poll())], || self.outcome.borrow().is_some())
    }

    /// One look of the watcher. Of its log the lines of the streams count.
    pub(crate) fn watch(&self) -> Result<(), Box<dyn Error>> {
        let source = self.kind();
        let streams =
            self.settings.streams.iter().map(|name| WatchedStream { name: name.clone(), rests_for: Duration::ZERO });
        let watcher =
            Watcher { ports: self.world.clone(), watched: vec![(source, streams.collect())], stale_after: INTERVAL };
        let is_done = Cell::new(false);
        let task = async {
            match watcher.watch().await {
                Ok(reports) => {
                    let bytes = self.log.bytes_of(|| reports.iter().for_each(tidemark_watcher::log::stream));
                    self.count(|bill| bill.log_bytes += bytes);
                }
                Err(failure) => self.fail(failure.to_string()),
            }
            is_done.set(true);
        };
        run(&self.world.clock, vec![Box::pin(task)], || is_done.get());
        self.failed()
    }

    fn run(&self, tasks: Vec<Task<'_>>, is_over: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
        let stop_at = self.now().plus(PLAY_MAX);
        run(&self.world.clock, tasks, || is_over() || self.failure.borrow().is_some() || self.now() >= stop_at);
        self.failed()?;
        if self.now() >= stop_at { Err("it does not come to an end".into()) } else { Ok(()) }
    }

    /// Plays with a poller alone, or a fetcher alone, until a call that was made to wait is reached: there it dies.
    pub(crate) fn kill(&self, victim: Victim, hold: &Hold) -> Result<(), Box<dyn Error>> {
        let is_reached = Cell::new(false);
        let task: Task<'_> = match victim {
            Victim::Poller => Box::pin(self.poll()),
            Victim::Fetcher => Box::pin(self.fetch()),
        };
        let watch = async {
            hold.reached().await;
            is_reached.set(true);
        };
        self.run(vec![task, Box::pin(watch)], || is_reached.get())?;
        // Its schedule goes on without it.
        self.next_tick.set(self.next_tick.get().max(self.last_tick.get().plus(INTERVAL)));
        Ok(())
    }

    async fn poll(&self) {
        let poller = Poller { ports: self.world.of(Role::Poller), settings: self.settings.clone() };
        loop {
            self.world.clock.sleep(self.next_tick.get().since(self.world.clock.now())).await;
            self.outcome.take();
            self.last_tick.set(self.now());
            self.owners.set(self.owners.get() + 1);
            let ended = poller.poll(&self.stream(), &format!("poller-{}", self.owners.get())).await;
            self.count(|bill| bill.ticks += 1.0);
            self.go_on_with_sweep(&poller).await;
            while self.next_tick.get() <= self.world.clock.now() {
                self.next_tick.set(self.next_tick.get().plus(INTERVAL));
            }
            match ended {
                Ok(report) => {
                    let stream = StreamKey { source: self.kind(), name: self.stream() };
                    let took = self.now().since(self.last_tick.get());
                    self.logged(|| {
                        tidemark_poller::log::tick(&stream, &report, took);
                    });
                    *self.outcome.borrow_mut() = Some(report.outcome);
                }
                Err(failure) => self.fail(failure.to_string()),
            }
        }
    }

    /// The last thing that a poller's invocation does.
    async fn go_on_with_sweep(&self, poller: &Poller<World>) {
        let until = tidemark_sweep::stop_at(poller, self.last_tick.get());
        match tidemark_sweep::go_on(poller, &self.stream(), until).await {
            Ok(report) => {
                let ended = report.proof.map(|proof| (proof, self.last_tick.get()));
                self.proof.replace_with(|before| ended.or(before.take()));
            }
            Err(failure) => self.fail(failure.to_string()),
        }
    }

    async fn fetch(&self) {
        let fetcher = Fetcher { ports: self.world.of(Role::Fetcher), call_interval: CALL_INTERVAL };
        let queue = &self.world.queue.queue;
        loop {
            let Some(delivery) = queue.receive(1).into_iter().next() else {
                self.world.clock.sleep(Duration::from_secs(1)).await;
                continue;
            };
            let calls = u32::try_from(delivery.message.ids.len()).unwrap_or(u32::MAX);
            fetcher.ports.tables.own_calls.set(CALL_INTERVAL.saturating_mul(calls));
            let started_at = self.now();
            let (message, receive_count) = (&delivery.message, delivery.receive_count);
            match fetcher.fetch(message, receive_count, started_at.plus(FETCH_TIME)).await {
                Ok(report) => {
                    let as_received = Delivery { message_id: Some(MESSAGE_ID.to_owned()), receive_count };
                    let took = self.now().since(started_at);
                    self.logged(|| tidemark_fetcher::log::fetched(message, &as_received, &report, took));
                    queue.delete(&delivery);
                }
                Err(failure) => self.fail(failure.to_string()),
            }
        }
    }

    fn count(&self, count: impl FnOnce(&mut Bill)) {
        count(&mut self.world.tables.meter.borrow_mut().bill);
    }

    /// Counts the lines that an invocation logs.
    fn logged(&self, lines: impl FnOnce()) {
        let bytes = self.log.bytes_of_invocation(lines);
        self.count(|bill| bill.log_bytes += bytes);
    }

    fn fail(&self, failure: String) {
        self.failure.borrow_mut().get_or_insert(failure);
    }

    fn failed(&self) -> Result<(), Box<dyn Error>> {
        self.failure.take().map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn kind(&self) -> SourceKind {
        self.world.source.vendor.with(|vendor| vendor.settings.kind)
    }

    fn stream(&self) -> StreamName {
        self.settings.streams.first().cloned().unwrap_or(StreamName::known("none"))
    }

    /// The faults of tables, queue and vendor.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }
}

/// Who dies.
#[derive(Clone, Copy)]
pub(crate) enum Victim {
    Poller,
    Fetcher,
}

/// The vendor whose list has this shape: FieldMotion's customers, FSM Navigator's jobs, FieldAware's feed.
pub(crate) fn vendor(shape: ListShape) -> VendorSettings {
    let (kind, name) = match shape {
        ListShape::Whole => (SourceKind::FieldMotion, "customers"),
        ListShape::Pages => (SourceKind::FsmNavigator, "jobs"),
        ListShape::Feed => (SourceKind::FieldAware, "changes"),
    };
    let mut vendor = VendorSettings { kind, ..VendorSettings::new(shape) };
    vendor.stream.name = StreamName::known(name);
    vendor
}

/// A duration in intervals between two polls.
pub(crate) fn intervals(span: Duration) -> f64 {
    span.as_secs_f64() / INTERVAL.as_secs_f64()
}

/// How often something was done for each of so many.
pub(crate) fn per(done: f64, count: usize) -> f64 {
    done / figure(count)
}
