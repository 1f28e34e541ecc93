//! The world of one history: tables, queue, vendor, and the invocations that run in it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::poll::{PollError, PollOutcome, PollReport, PollSettings, Poller};
use tidemark_engine::ports::{Clock, Ports};
use tidemark_engine::record::{Look, RecordId, RecordKey};
use tidemark_engine::stream::{ListShape, StreamKey, StreamName};
use tidemark_engine::work::{Chunk, ChunkKey, RetryEntry};

use super::clock::TrueClock;
use super::executor::{Executor, Life};
use super::gate::Process;
use super::mutant::Mutant;
use super::oracle::Oracle;
use super::ports::SimPorts;
use super::pump::Pump;
use super::stats::Stats;
use super::trace::{Trace, Who};
use super::weather::{RECEIVES_MAX, Sky, StreamWeather, Weather};
use crate::memory::{MemoryQueue, MemorySource, MemoryTables, Operation, SeededRandom, Vendor, VendorSettings};

/// The stream under which a feed's records are kept.
pub(super) const FEED_RECORDS: StreamName = StreamName::known("widgets");

/// The world.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) executor: Rc<Executor>,
    pub(super) random: SeededRandom,
    pub(super) weather: Weather,
    pub(super) tables: MemoryTables<()>,
    pub(super) queue: MemoryQueue<TrueClock>,
    /// The account that is copied.
    pub(super) source: MemorySource<TrueClock>,
    /// The account that processes ask while `is_swapped`.
    pub(super) foreign: MemorySource<TrueClock>,
    pub(super) is_swapped: Cell<bool>,
    /// The overlap that is set now.
    pub(super) overlap: Cell<Duration>,
    /// Records that do not fit into the table, and until when.
    pub(super) too_large: RefCell<BTreeMap<(StreamName, RecordId), LocalMillis>>,
    /// Chunks that only fetchers know of, where the queue is believed.
    pub(super) believed: RefCell<BTreeMap<ChunkKey, Chunk>>,
    /// When the vendor failed as a whole.
    pub(super) outage: Cell<Option<(LocalMillis, LocalMillis)>>,
    /// The poller's step at which ledger and queue are lost.
    pub(super) loses_at: Cell<Option<Operation>>,
    pub(super) pump: Pump,
    pub(super) trace: Trace,
    pub(super) mutant: Option<Mutant>,
    oracle: RefCell<Oracle>,
    stats: Cell<Stats>,
    is_calm: Cell<bool>,
    /// Whether the last part of the history is played, with sweeps.
    pub(super) is_sweeping: Cell<bool>,
    invocations: Cell<u32>,
}

impl World {
    pub(super) fn new(
        seed: u64,
        random: SeededRandom,
        weather: Weather,
        trace: Trace,
        mutant: Option<Mutant>,
    ) -> Rc<Self> {
        let executor = Rc::new(Executor::new(super::START));
        let clock = TrueClock(Rc::clone(&executor));
        let shift = weather.zone_shift();
        let vendors = |mark: &str| {
            let vendor = |stream: &StreamWeather| {
                let account_mark = mark.to_owned();
                Vendor::new(VendorSettings { zone_shift: shift, account_mark, ..stream.vendor.clone() })
            };
            let mut all = weather.streams.iter().map(vendor);
            let first = all.next().unwrap_or_else(|| Vendor::new(VendorSettings::new(ListShape::Whole)));
            all.fold(MemorySource::new(first, clock.clone()), MemorySource::and)
        };
        Rc::new(Self {
            seed,
            queue: MemoryQueue::new(clock.clone(), weather.visibility, RECEIVES_MAX),
            source: vendors("ours"),
            foreign: vendors("another"),
            is_swapped: Cell::new(false),
            overlap: Cell::new(weather.overlap),
            too_large: RefCell::default(),
            believed: RefCell::default(),
            outage: Cell::new(None),
            loses_at: Cell::new(None),
            pump: Pump::default(),
            tables: MemoryTables::default(),
            oracle: RefCell::new(Oracle::new(&weather)),
            executor,
            random,
            weather,
            trace,
            mutant,
            stats: Cell::default(),
            is_calm: Cell::new(false),
            is_sweeping: Cell::new(false),
            invocations: Cell::new(0),
        })
    }

    pub(super) fn now(&self) -> LocalMillis {
        self.executor.now()
    }

    pub(super) fn is_storming(&self) -> bool {
        !self.is_calm_or_fair()
    }

    pub(super) fn is_calm_or_fair(&self) -> bool {
        self.is_calm.get() || self.weather.sky == Sky::Fair
    }

    pub(super) fn is_calm(&self) -> bool {
        self.is_calm.get()
    }

    pub(super) fn calm_down(&self) {
        self.is_calm.set(true);
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Stats)) {
        let mut stats = self.stats.get();
        count(&mut stats);
        self.stats.set(stats);
    }

    pub(super) fn stats(&self) -> Stats {
        self.stats.get()
    }

    /// A source of chance that depends on nothing but the seed and `purpose`.
    pub(super) fn chance_for(&self, purpose: u64) -> SeededRandom {
        SeededRandom::new(self.seed.wrapping_mul(1_000).wrapping_add(purpose))
    }

    /// Looks at the oracle; a history whose oracle has seen enough ends.
    pub(super) fn oracle<T>(&self, look: impl FnOnce(&mut Oracle, &Self) -> T) -> T {
        let mut oracle = self.oracle.borrow_mut();
        let seen = look(&mut oracle, self);
        if oracle.is_broken() {
            self.executor.stop();
        }
        seen
    }

    /// Lets the oracle look at what a call has just done.
    pub(super) fn observe(&self, operation: Operation, process: &Process) {
        self.oracle(|oracle, world| oracle.observe(world, operation, process));
    }

    /// The same for a write that came late.
    pub(super) fn observe_late(&self, operation: Operation) {
        self.oracle(|oracle, world| oracle.observe_late(world, operation));
    }

    pub(super) fn check_looks(&self, looks: &[Look]) {
        self.oracle(|oracle, world| oracle.check_looks(world, looks));
    }

    pub(super) fn note_aside(&self, entry: &RetryEntry) {
        self.count(|stats| stats.set_aside += 1);
        self.oracle(|oracle, world| oracle.note_aside(world, entry));
    }

    /// The stream whose list shows a record.
    pub(super) fn stream_of(&self, key: &RecordKey) -> StreamName {
        let is_its = |stream: &&StreamWeather| records_of(stream) == key.stream;
        self.weather.streams.iter().find(is_its).map_or_else(|| key.stream.clone(), |stream| stream.name().clone())
    }

    /// Whether storing this record kills the fetcher.
    pub(super) fn kills(&self, key: &RecordKey) -> bool {
        let now = self.now();
        self.source.with_stream(&self.stream_of(key), |vendor| vendor.kills(&key.id, now))
    }

    /// Whether this record does not fit into the table.
    pub(super) fn is_too_large(&self, key: &RecordKey) -> bool {
        let too_large = self.too_large.borrow();
        !too_large.is_empty()
            && too_large.get(&(self.stream_of(key), key.id.clone())).is_some_and(|until| *until > self.now())
    }

    pub(super) fn process(&self, who: impl FnOnce(u32) -> Who, stream: StreamKey) -> Rc<Process> {
        let number = self.invocations.get() + 1;
        self.invocations.set(number);
        Rc::new(Process {
            who: who(number),
            life: Rc::<Life>::default(),
            stream,
            skew_millis: self.random.between(-500, 500),
            began_at: self.now(),
            listed_at: Cell::new(None),
            storing: RefCell::default(),
        })
    }

    pub(super) fn key_of(&self, stream: &StreamName) -> StreamKey {
        StreamKey { source: self.source.with(|vendor| vendor.settings.kind), name: stream.clone() }
    }

    /// Starts a tick.
    pub(super) fn tick(self: &Rc<Self>, stream: &StreamName) {
        self.count(|stats| stats.ticks += 1);
        let process = self.process(Who::Poller, self.key_of(stream));
        let weather = &self.weather;
        let settings = PollSettings {
            overlap: self.overlap.get(),
            poison_policy: weather.policy,
            call_interval: weather.call_interval,
            poll_interval: weather.poll_interval,
            fetcher_timeout: weather.fetcher_span(),
            visibility_timeout: weather.visibility,
            chunk_ids: weather.chunk_ids,
            streams: weather.streams.iter().map(|stream| stream.name().clone()).collect(),
        };
        let poller = Poller { ports: SimPorts::new(self, &process), settings };
        let (world, who, stream) = (Rc::clone(self), process.who, stream.clone());
        let began_at = poller.ports.clock().now();
        self.executor.spawn(&process.life, async move {
            let owner = format!("{who:?}");
            let ended = Box::pin(poller.poll(&stream, &owner)).await;
            world.note_tick(&stream, who, &ended);
            if ended.is_ok() {
                let until = tidemark_sweep::stop_at(&poller, began_at);
                let swept = tidemark_sweep::go_on(&poller, &stream, until).await;
                world.trace.note(world.now(), who, || format!("its sweep: {swept:?}"));
                let ended = swept.ok().and_then(|report| report.backfill).filter(|ended| ended.problem.is_none());
                world.count(|stats| stats.backfills += u64::from(ended.is_some()));
            }
        });
    }

    fn note_tick(&self, stream: &StreamName, who: Who, ended: &Result<PollReport, PollError>) {
        self.trace.note(self.now(), who, || match ended {
            Ok(report) => format!("tick of {stream} ends: {report:?}"),
            Err(error) => format!("tick of {stream} fails: {error}"),
        });
        let Ok(report) = ended else { return };
        self.count(|stats| {
            match report.outcome {
                PollOutcome::LeaseBusy => stats.leases_refused += 1,
                PollOutcome::Fenced => stats.fenced += 1,
                PollOutcome::AccountChanged => stats.other_accounts += 1,
                _ => {}
            }
            for notice in &report.notices {
                match notice {
                    tidemark_engine::notice::Notice::ClockStep(_) => stats.clock_steps += 1,
                    tidemark_engine::notice::Notice::Resync => stats.resyncs += 1,
                    _ => {}
                }
            }
        });
    }
}

/// The stream under which a stream's records are kept.
pub(super) fn records_of(stream: &StreamWeather) -> StreamName {
    if stream.shape() == ListShape::Feed { FEED_RECORDS } else { stream.name().clone() }
}
