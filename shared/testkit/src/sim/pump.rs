//! What hands messages to fetchers.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tidemark_engine::fetch::{FetchReport, Fetcher};
use tidemark_engine::message::Message;
use tidemark_engine::notice::Notice;

use super::ports::SimPorts;
use super::trace::Who;
use super::world::World;
use crate::memory::Delivery;

/// How many fetchers run at once.
const CONCURRENCY_MAX: u32 = 4;

/// What waits for messages, and how many are under way.
#[derive(Default)]
pub(super) struct Pump {
    in_flight: Cell<u32>,
    waker: RefCell<Option<Waker>>,
    is_rung: Cell<bool>,
}

impl Pump {
    fn ring(&self) {
        self.is_rung.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A fetcher under way; it counts until it is dropped, however it ends.
struct Flight(Rc<World>);

impl Flight {
    fn start(world: &Rc<World>) -> Self {
        let in_flight = &world.pump.in_flight;
        in_flight.set(in_flight.get() + 1);
        Self(Rc::clone(world))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let in_flight = &self.0.pump.in_flight;
        in_flight.set(in_flight.get().saturating_sub(1));
        self.0.pump.ring();
    }
}

impl World {
    /// Puts a message into the queue, with whatever befalls it.
    pub(super) fn post(&self, message: &Arc<Message>, delay: Duration) {
        let visible_at = self.now().plus(delay);
        if !self.is_storming() {
            self.queue.put(message, visible_at);
            return self.pump.ring();
        }
        let chances = self.weather.chances;
        if self.random.chance(chances.message_loss) {
            return self.count(|stats| stats.lost_messages += 1);
        }
        let copies = if self.random.chance(chances.duplicate) { 2 } else { 1 };
        self.count(|stats| stats.doubled_messages += copies - 1);
        for _ in 0..copies {
            let late = if self.random.chance(chances.late) { self.random.one_of(&self.weather.delays) } else { 0 };
            self.count(|stats| stats.late_messages += u64::from(late > 0));
            self.queue.put(message, visible_at.shifted(late + 100));
        }
        self.pump.ring();
    }

    /// Moves dead letters back into the queue.
    pub(super) fn redrive(&self) {
        self.queue.redrive();
        self.pump.ring();
    }

    /// Starts what hands messages to fetchers.
    pub(super) fn start_pump(self: &Rc<Self>) {
        let world = Rc::clone(self);
        self.executor.spawn(&Rc::default(), async move {
            loop {
                while world.pump.in_flight.get() < CONCURRENCY_MAX {
                    let received = world.queue.receive(1).pop();
                    let Some(delivery) = received else { break };
                    world.deliver(delivery);
                }
                world.wait_for_messages().await;
            }
        });
    }

    async fn wait_for_messages(&self) {
        let is_full = self.pump.in_flight.get() >= CONCURRENCY_MAX;
        let until = self.queue.next_visible_at().filter(|_| !is_full).map(|at| at.max(self.now()));
        let mut is_set = false;
        poll_fn(|context| {
            if self.pump.is_rung.take() || until.is_some_and(|until| self.now() >= until) {
                return Poll::Ready(());
            }
            *self.pump.waker.borrow_mut() = Some(context.waker().clone());
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
        let process = self.process(Who::Fetcher, delivery.message.stream());
        let fetcher = Fetcher { ports: SimPorts::new(self, &process), call_interval: self.weather.call_interval };
        let stop_at = self.now().shifted(process.skew_millis).plus(self.weather.fetcher_span());
        let (world, who) = (Rc::clone(self), process.who);
        let flight = Flight::start(self);
        self.trace.note(self.now(), who, || {
            let message = &delivery.message;
            format!(
                "receives {:?} of {} for the {}. time: {:?}",
                message.work(),
                message.stream().name,
                delivery.receive_count,
                message.ids
            )
        });
        self.executor.spawn(&process.life, async move {
            let _flight = flight;
            let ended = Box::pin(fetcher.fetch(&delivery.message, delivery.receive_count, stop_at)).await;
            world.trace.note(world.now(), who, || match &ended {
                Ok(report) => format!("fetch ends: {report:?}"),
                Err(error) => format!("fetch fails: {error}"),
            });
            let Ok(report) = ended else { return };
            world.conclude(&delivery, &report);
        });
    }

    fn conclude(&self, delivery: &Delivery, report: &FetchReport) {
        self.oracle(|oracle, world| oracle.check_fetch(world, report));
        if report.notices.contains(&Notice::AccountChanged) {
            self.count(|stats| stats.other_accounts += 1);
        }
        if self.is_storming() && self.random.chance(self.weather.chances.lose) {
            return self.count(|stats| stats.lost_acknowledgements += 1);
        }
        self.queue.delete(delivery);
    }
}
