//! A single-threaded executor whose time is virtual: it jumps to the next timer when nothing else can run.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tidemark_engine::clock::LocalMillis;

/// A process as the executor sees it: it can be killed or frozen from within.
#[derive(Debug, Default)]
pub(super) struct Life {
    killed: Cell<bool>,
    frozen_until: Cell<LocalMillis>,
}

impl Life {
    /// Ends the process: it is dropped as soon as it awaits.
    pub(super) fn kill(&self) {
        self.killed.set(true);
    }

    /// Stops the process until then, from its next await on.
    pub(super) fn freeze(&self, until: LocalMillis) {
        self.frozen_until.set(until);
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    life: Rc<Life>,
    alarm: Arc<Alarm>,
}

/// Wakes one task.
struct Alarm {
    task: usize,
    is_queued: AtomicBool,
    ready: Arc<Mutex<VecDeque<usize>>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready).push_back(self.task);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Timer {
    at: LocalMillis,
    order: u64,
    waker: Waker,
}

impl Timer {
    fn key(&self) -> Reverse<(LocalMillis, u64)> {
        Reverse((self.at, self.order))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The executor. Tasks, timers and time are its own; the same tasks in the same order give the same run.
pub(super) struct Executor {
    now: Cell<LocalMillis>,
    order: Cell<u64>,
    polls: Cell<u64>,
    is_stopped: Cell<bool>,
    timers: RefCell<BinaryHeap<Timer>>,
    tasks: RefCell<Vec<Option<Task>>>,
    ready: Arc<Mutex<VecDeque<usize>>>,
}

impl Executor {
    /// An executor without tasks.
    pub(super) fn new(now: LocalMillis) -> Self {
        Self {
            now: Cell::new(now),
            order: Cell::new(0),
            polls: Cell::new(0),
            is_stopped: Cell::new(false),
            timers: RefCell::default(),
            tasks: RefCell::default(),
            ready: Arc::default(),
        }
    }

    /// The virtual time.
    pub(super) fn now(&self) -> LocalMillis {
        self.now.get()
    }

    /// How often a task was polled.
    pub(super) fn polls(&self) -> u64 {
        self.polls.get()
    }

    /// Lets nothing more happen.
    pub(super) fn stop(&self) {
        self.is_stopped.set(true);
    }

    /// Starts a task.
    pub(super) fn spawn(&self, life: &Rc<Life>, future: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.len();
        let alarm = Arc::new(Alarm { task, is_queued: AtomicBool::new(true), ready: Arc::clone(&self.ready) });
        tasks.push(Some(Task { future: Box::pin(future), life: Rc::clone(life), alarm }));
        lock(&self.ready).push_back(task);
    }

    /// Runs until nothing happens before `end`; then it is `end`.
    pub(super) fn run_until(&self, end: LocalMillis) {
        loop {
            loop {
                let next = lock(&self.ready).pop_front();
                let Some(task) = next else { break };
                self.poll(task);
                if self.is_stopped.get() {
                    return;
                }
            }
            let due = {
                let mut timers = self.timers.borrow_mut();
                if timers.peek().is_some_and(|timer| timer.at <= end) { timers.pop() } else { None }
            };
            let Some(timer) = due else { break };
            self.now.set(timer.at.max(self.now.get()));
            timer.waker.wake();
        }
        self.now.set(end.max(self.now.get()));
    }

    /// Drops every task and timer.
    pub(super) fn clear(&self) {
        // Dropping a task may wake or start others: take them out first.
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
        self.timers.borrow_mut().clear();
        lock(&self.ready).clear();
    }

    fn poll(&self, index: usize) {
        let taken = self.tasks.borrow_mut().get_mut(index).and_then(Option::take);
        let Some(mut task) = taken else { return };
        task.alarm.is_queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&task.alarm));
        let thaws_at = task.life.frozen_until.get();
        if thaws_at > self.now.get() {
            self.wake_at(thaws_at, waker);
        } else {
            self.polls.set(self.polls.get() + 1);
            let polled = task.future.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_ready() || task.life.killed.get() {
                return;
            }
        }
        if let Some(slot) = self.tasks.borrow_mut().get_mut(index) {
            *slot = Some(task);
        }
    }

    /// Wakes somebody once it is `at`.
    pub(super) fn wake_at(&self, at: LocalMillis, waker: Waker) {
        let order = self.order.get();
        self.order.set(order + 1);
        self.timers.borrow_mut().push(Timer { at, order, waker });
    }
}

/// Comes back once it is `until` or later.
pub(super) struct Delay {
    executor: Rc<Executor>,
    until: LocalMillis,
    is_set: bool,
}

/// A wait of `millis` milliseconds.
pub(super) fn delay(executor: &Rc<Executor>, millis: i64) -> Delay {
    Delay { executor: Rc::clone(executor), until: executor.now().shifted(millis), is_set: false }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.is_set {
            self.is_set = true;
            self.executor.wake_at(self.until, context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> (Rc<Executor>, Rc<RefCell<Vec<i64>>>) {
        (Rc::new(Executor::new(LocalMillis::new(0))), Rc::default())
    }

    fn sleeper(executor: &Rc<Executor>, seen: &Rc<RefCell<Vec<i64>>>, millis: i64) -> impl Future<Output = ()> + use<> {
        let (executor, seen) = (Rc::clone(executor), Rc::clone(seen));
        async move {
            delay(&executor, millis).await;
            seen.borrow_mut().push(millis);
        }
    }

    #[test]
    fn time_jumps_from_timer_to_timer() {
        let (executor, seen) = start();
        for millis in [3_600_000, 5, 20] {
            executor.spawn(&Rc::default(), sleeper(&executor, &seen, millis));
        }
        executor.run_until(LocalMillis::new(1_000));
        assert_eq!(*seen.borrow(), [5, 20]);
        assert_eq!(executor.now(), LocalMillis::new(1_000));
        executor.run_until(LocalMillis::new(4_000_000));
        assert_eq!(*seen.borrow(), [5, 20, 3_600_000]);
    }

    #[test]
    fn a_frozen_process_goes_on_late_and_a_killed_one_never() {
        let (executor, seen) = start();
        let (frozen, killed) = (Rc::<Life>::default(), Rc::<Life>::default());
        executor.spawn(&frozen, sleeper(&executor, &seen, 10));
        executor.spawn(&killed, sleeper(&executor, &seen, 11));
        frozen.freeze(LocalMillis::new(500));
        killed.kill();
        executor.run_until(LocalMillis::new(499));
        assert!(seen.borrow().is_empty());
        executor.run_until(LocalMillis::new(1_000));
        assert_eq!(*seen.borrow(), [10]);
    }
}
