//! The world of one history: tables, queue, vendor, and the invocations that run in it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tidemark_engine::fetch::{FetchReport, Fetcher};
use tidemark_engine::message::Message;
use tidemark_engine::poll::{PollError, PollOutcome, PollReport, PollSettings, Poller};
use tidemark_engine::stamp::UtcMillis;

use super::executor::{Executor, Life};
use super::gate::Process;
use super::mutant::Mutant;
use super::oracle::Oracle;
use super::ports::{SimPorts, TrueClock};
use super::stats::Stats;
use super::trace::{Trace, Who};
use super::weather::{CHUNK_IDS, FETCHER_MILLIS, OVERLAP, RECEIVES_MAX, VISIBILITY, Weather};
use crate::memory::{Delivery, MemoryQueue, MemorySource, MemoryTables, Operation, SeededRandom, Vendor};

/// How many fetchers run at once.
const CONCURRENCY_MAX: u32 = 6;

/// The world.
pub(super) struct World {
    pub(super) executor: Rc<Executor>,
    pub(super) random: SeededRandom,
    pub(super) weather: Weather,
    pub(super) tables: MemoryTables<()>,
    pub(super) queue: MemoryQueue<TrueClock>,
    pub(super) source: MemorySource<TrueClock>,
    pub(super) trace: Trace,
    pub(super) mutant: Option<Mutant>,
    oracle: RefCell<Oracle>,
    stats: Cell<Stats>,
    is_calm: Cell<bool>,
    invocations: Cell<u32>,
    in_flight: Cell<u32>,
    pump: RefCell<Option<Waker>>,
    is_rung: Cell<bool>,
}

impl World {
    pub(super) fn new(random: SeededRandom, weather: Weather, trace: Trace, mutant: Option<Mutant>) -> Rc<Self> {
        let executor = Rc::new(Executor::new(super::START));
        let clock = TrueClock(Rc::clone(&executor));
        let vendor = Vendor::new(weather.vendor.clone());
        Rc::new(Self {
            queue: MemoryQueue::new(clock.clone(), VISIBILITY, RECEIVES_MAX),
            source: MemorySource::new(vendor, clock),
            tables: MemoryTables::default(),
            oracle: RefCell::new(Oracle::new(&weather)),
            executor,
            random,
            weather,
            trace,
            mutant,
            stats: Cell::default(),
            is_calm: Cell::new(false),
            invocations: Cell::new(0),
            in_flight: Cell::new(0),
            pump: RefCell::default(),
            is_rung: Cell::new(false),
        })
    }

    pub(super) fn now(&self) -> UtcMillis {
        self.executor.now()
    }

    pub(super) fn is_storming(&self) -> bool {
        !self.is_calm.get()
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

    /// Looks at the oracle.
    pub(super) fn oracle<T>(&self, look: impl FnOnce(&mut Oracle, &Self) -> T) -> T {
        look(&mut self.oracle.borrow_mut(), self)
    }

    /// Lets the oracle look at what a call has just done.
    pub(super) fn observe(&self, operation: Operation, who: Who) {
        self.oracle(|oracle, world| oracle.observe(world, operation, who));
    }

    fn process(&self, who: impl FnOnce(u32) -> Who) -> Rc<Process> {
        let number = self.invocations.get() + 1;
        self.invocations.set(number);
        let skew_millis = self.weather.skew_millis.saturating_add(self.random.between(-500, 500));
        Rc::new(Process { who: who(number), life: Rc::<Life>::default(), skew_millis })
    }

    /// Starts a tick.
    pub(super) fn tick(self: &Rc<Self>) {
        self.count(|stats| stats.ticks += 1);
        let process = self.process(Who::Poller);
        let stream = self.weather.vendor.stream.name.clone();
        let settings = PollSettings {
            overlap: OVERLAP,
            poison_policy: self.weather.policy,
            call_interval: self.weather.call_interval,
            visibility_timeout: VISIBILITY,
            chunk_ids: CHUNK_IDS,
            streams: vec![stream.clone()],
        };
        let poller = Poller { ports: SimPorts::new(self, &process), settings };
        let (world, who) = (Rc::clone(self), process.who);
        self.executor.spawn(&process.life, async move {
            let owner = format!("{who:?}");
            let ended = poller.poll(&stream, &owner).await;
            world.note_tick(who, &ended);
        });
    }

    fn note_tick(&self, who: Who, ended: &Result<PollReport, PollError>) {
        self.trace.note(self.now(), who, || match ended {
            Ok(report) => format!("tick ends: {report:?}"),
            Err(error) => format!("tick fails: {error}"),
        });
        let Ok(report) = ended else { return };
        self.count(|stats| match report.outcome {
            PollOutcome::LeaseBusy => stats.leases_refused += 1,
            PollOutcome::Fenced => stats.fenced += 1,
            PollOutcome::Aborted => stats.aborts += 1,
            _ => {}
        });
    }

    /// Puts a message into the queue, with whatever befalls it.
    pub(super) fn post(&self, message: &Arc<Message>, delay: Duration) {
        let visible_at = self.now().plus(delay);
        if !self.is_storming() {
            self.queue.put(message, visible_at);
            return self.ring();
        }
        let chances = self.weather.chances;
        if self.random.chance(chances.message_loss) {
            return self.count(|stats| stats.lost_messages += 1);
        }
        let copies = if self.random.chance(chances.duplicate) { 2 } else { 1 };
        self.count(|stats| stats.doubled_messages += copies - 1);
        for _ in 0..copies {
            let late = if self.random.chance(chances.late) {
                self.count(|stats| stats.late_messages += 1);
                self.random.one_of(&[5_000, 60_000, 400_000, 900_000])
            } else {
                100
            };
            self.queue.put(message, visible_at.shifted(late));
        }
        self.ring();
    }

    /// Moves dead letters back into the queue.
    pub(super) fn redrive(&self) {
        let count = self.queue.dead_count();
        if count > 0 {
            self.count(|stats| stats.redriven_messages += u64::try_from(count).unwrap_or(0));
            self.queue.redrive();
            self.ring();
        }
    }

    fn ring(&self) {
        self.is_rung.set(true);
        if let Some(waker) = self.pump.take() {
            waker.wake();
        }
    }

    /// Starts what hands messages to fetchers.
    pub(super) fn start_pump(self: &Rc<Self>) {
        let world = Rc::clone(self);
        self.executor.spawn(&Rc::default(), async move {
            loop {
                while world.in_flight.get() < CONCURRENCY_MAX {
                    let received = world.queue.receive(1).pop();
                    let Some(delivery) = received else { break };
                    world.deliver(delivery);
                }
                world.wait_for_messages().await;
            }
        });
    }

    async fn wait_for_messages(&self) {
        let is_full = self.in_flight.get() >= CONCURRENCY_MAX;
        let until = self.queue.next_visible_at().filter(|_| !is_full).map(|at| at.max(self.now()));
        let mut is_set = false;
        poll_fn(|context| {
            if self.is_rung.take() || until.is_some_and(|until| self.now() >= until) {
                return Poll::Ready(());
            }
            *self.pump.borrow_mut() = Some(context.waker().clone());
            if let (Some(until), false) = (until, is_set) {
                is_set = true;
                self.executor.wake_at(until, context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Starts a fetcher for one delivery.
    fn deliver(self: &Rc<Self>, delivery: Delivery) {
        self.count(|stats| stats.deliveries += 1);
        let process = self.process(Who::Fetcher);
        let fetcher = Fetcher { ports: SimPorts::new(self, &process), call_interval: self.weather.call_interval };
        let stop_at = self.now().shifted(process.skew_millis).shifted(FETCHER_MILLIS);
        let (world, who) = (Rc::clone(self), process.who);
        let flight = Flight::start(self);
        self.trace.note(self.now(), who, || {
            let message = &delivery.message;
            format!("receives {} for the {}. time: {:?}", message.chunk_key(), delivery.receive_count, message.ids)
        });
        self.executor.spawn(&process.life, async move {
            let _flight = flight;
            let ended = fetcher.fetch(&delivery.message, delivery.receive_count, stop_at).await;
            world.trace.note(world.now(), who, || match &ended {
                Ok(report) => format!("fetch ends: {report:?}"),
                Err(error) => format!("fetch fails: {error}"),
            });
            let Ok(report) = ended else { return };
            world.oracle(|oracle, world| oracle.check_fetch(world, &report));
            world.acknowledge(&delivery, &report);
        });
    }

    fn acknowledge(&self, delivery: &Delivery, report: &FetchReport) {
        if !report.acknowledged {
            return;
        }
        if self.is_storming() && self.random.chance(self.weather.chances.lose) {
            return self.count(|stats| stats.lost_acknowledgements += 1);
        }
        self.queue.delete(delivery);
    }
}

/// A fetcher under way; it counts until it is dropped, however it ends.
struct Flight(Rc<World>);

impl Flight {
    fn start(world: &Rc<World>) -> Self {
        world.in_flight.set(world.in_flight.get() + 1);
        Self(Rc::clone(world))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get().saturating_sub(1));
        self.0.ring();
    }
}
