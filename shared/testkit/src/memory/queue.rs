//! A queue in memory that delivers at least once: visibility, receive counts, delays, dead letters and redrive.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::message::Message;
use tidemark_engine::ports::{ChangeQueue, Clock, Outgoing};

use super::clock::ManualClock;
use super::gate::{Gate, Operation, ScriptedFaults};

/// What becomes of a message that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redelivery {
    /// It arrives once.
    #[default]
    Once,
    /// It is accepted and never arrives: purged, expired, or stopped as a loop.
    Lost,
    /// It arrives twice.
    Twice,
    /// It arrives so much later than its delay says.
    Late(Duration),
}

/// A message in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Tells it from every other message of this queue, also from its own duplicate.
    pub number: u64,
    /// What was sent.
    pub message: Arc<Message>,
    /// When it can be received.
    pub visible_at: LocalMillis,
    /// How often it was received.
    pub receive_count: u32,
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which message; with `receive_count` the receipt that deletes it.
    pub number: u64,
    /// What was sent.
    pub message: Arc<Message>,
    /// How often it was received, this time included.
    pub receive_count: u32,
}

/// A queue with a dead-letter queue behind it. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryQueue<C = ManualClock, G = ScriptedFaults> {
    state: Arc<Mutex<State>>,
    clock: C,
    gate: G,
}

#[derive(Debug)]
struct State {
    queued: Vec<Queued>,
    dead: Vec<Queued>,
    fates: VecDeque<Redelivery>,
    last_number: u64,
    visibility: Duration,
    receives_max: u32,
}

impl<C: Clock> MemoryQueue<C> {
    /// An empty queue whose received messages stay invisible for `visibility` and whose messages go to the dead letters
    /// instead of being received more than `receives_max` times.
    pub fn new(clock: C, visibility: Duration, receives_max: u32) -> Self {
        let state = State {
            queued: Vec::new(),
            dead: Vec::new(),
            fates: VecDeque::new(),
            last_number: 0,
            visibility,
            receives_max,
        };
        Self { state: Arc::new(Mutex::new(state)), clock, gate: ScriptedFaults::default() }
    }

    /// The script of faults.
    pub fn faults(&self) -> &ScriptedFaults {
        &self.gate
    }
}

impl<C: Clock, G> MemoryQueue<C, G> {
    /// The same queue behind another gate.
    pub fn behind<H>(&self, gate: H) -> MemoryQueue<C, H>
    where
        C: Clone,
    {
        MemoryQueue { state: Arc::clone(&self.state), clock: self.clock.clone(), gate }
    }

    /// Says what becomes of the next message sent that has no fate yet.
    pub fn fate(&self, fate: Redelivery) {
        self.lock().fates.push_back(fate);
    }

    /// Puts a message straight into the queue.
    pub fn put(&self, message: &Arc<Message>, visible_at: LocalMillis) {
        self.lock().put(message, visible_at);
    }

    /// Receives up to `count` visible messages, oldest first. One received too often goes to the dead letters instead.
    pub fn receive(&self, count: usize) -> Vec<Delivery> {
        let now = self.clock.now();
        self.lock().receive(now, count)
    }

    /// Deletes a message, unless it was received again since.
    pub fn delete(&self, delivery: &Delivery) {
        let is_it =
            |queued: &Queued| queued.number == delivery.number && queued.receive_count == delivery.receive_count;
        self.lock().queued.retain(|queued| !is_it(queued));
    }

    /// Makes a received message visible again at once.
    pub fn give_back(&self, delivery: &Delivery) {
        let now = self.clock.now();
        let mut state = self.lock();
        if let Some(queued) = state.queued.iter_mut().find(|queued| queued.number == delivery.number) {
            queued.visible_at = now;
        }
    }

    /// Moves all dead letters back; each is a new message then.
    pub fn redrive(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        for dead in std::mem::take(&mut state.dead) {
            state.put(&dead.message, now);
        }
    }

    /// Drops everything, dead letters included.
    pub fn purge(&self) {
        let mut state = self.lock();
        state.queued.clear();
        state.dead.clear();
    }

    /// When the next message becomes visible.
    pub fn next_visible_at(&self) -> Option<LocalMillis> {
        self.lock().queued.iter().map(|queued| queued.visible_at).min()
    }

    /// Messages not deleted yet.
    pub fn queued(&self) -> Vec<Queued> {
        self.lock().queued.clone()
    }

    /// How many messages are not deleted yet.
    pub fn queued_count(&self) -> usize {
        self.lock().queued.len()
    }

    /// Messages received too often.
    pub fn dead_letters(&self) -> Vec<Queued> {
        self.lock().dead.clone()
    }

    /// How many messages were received too often.
    pub fn dead_count(&self) -> usize {
        self.lock().dead.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, message: &Arc<Message>, visible_at: LocalMillis) {
        self.last_number += 1;
        let message = Arc::clone(message);
        self.queued.push(Queued { number: self.last_number, message, visible_at, receive_count: 0 });
    }

    fn receive(&mut self, now: LocalMillis, count: usize) -> Vec<Delivery> {
        let mut received = Vec::new();
        let mut index = 0;
        while let Some(queued) = self.queued.get_mut(index) {
            if queued.visible_at > now || received.len() == count {
                index += 1;
                continue;
            }
            if queued.receive_count >= self.receives_max {
                let dead = self.queued.remove(index);
                self.dead.push(dead);
                continue;
            }
            queued.receive_count += 1;
            queued.visible_at = now.plus(self.visibility);
            let message = Arc::clone(&queued.message);
            received.push(Delivery { number: queued.number, message, receive_count: queued.receive_count });
            index += 1;
        }
        received
    }
}

impl<C: Clock, G: Gate> ChangeQueue for MemoryQueue<C, G> {
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure> {
        let accepted = self.gate.before(Operation::Send).await?.of(messages.len());
        {
            let now = self.clock.now();
            let mut state = self.lock();
            for Outgoing { message, delay } in messages.iter().take(accepted) {
                let message = Arc::new(message.clone());
                let visible_at = now.plus(*delay);
                match state.fates.pop_front().unwrap_or_default() {
                    Redelivery::Lost => {}
                    Redelivery::Once => state.put(&message, visible_at),
                    Redelivery::Late(by) => state.put(&message, visible_at.plus(by)),
                    Redelivery::Twice => {
                        state.put(&message, visible_at);
                        state.put(&message, visible_at);
                    }
                }
            }
        }
        self.gate.after(Operation::Send).await?;
        Ok(accepted)
    }
}
