//! Time that stands still while anyone has something to do: tasks on one thread, the same at every run.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::ports::Clock;

/// A clock that [`run`] moves. Clones show the same time.
#[derive(Clone, Debug)]
pub(crate) struct PlayClock(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    now: LocalMillis,
    sleepers: Vec<(LocalMillis, Waker)>,
}

impl PlayClock {
    pub(crate) fn new(now: LocalMillis) -> Self {
        Self(Rc::new(RefCell::new(State { now, sleepers: Vec::new() })))
    }

    /// Moves on to the next instant for which somebody sleeps; whether there is one.
    fn advance(&self) -> bool {
        let mut state = self.0.borrow_mut();
        let Some(next) = state.sleepers.iter().map(|(until, _)| *until).min() else { return false };
        state.now = state.now.max(next);
        let now = state.now;
        state.sleepers.extract_if(.., |(until, _)| *until <= now).for_each(|(_, waker)| waker.wake());
        true
    }
}

impl Clock for PlayClock {
    fn now(&self) -> LocalMillis {
        self.0.borrow().now
    }

    async fn sleep(&self, span: Duration) {
        let until = self.now().plus(span);
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if state.now >= until {
                return Poll::Ready(());
            }
            state.sleepers.push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// What one task does.
pub(crate) type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs tasks until it is over, or nobody has anything left to do; what is under way then is dropped, as by a crash.
pub(crate) fn run(clock: &PlayClock, tasks: Vec<Task<'_>>, is_over: impl Fn() -> bool) {
    let mut tasks: Vec<(Option<Task<'_>>, Arc<Woken>)> =
        tasks.into_iter().map(|task| (Some(task), Arc::new(Woken(AtomicBool::new(true))))).collect();
    loop {
        let mut is_busy = true;
        while is_busy {
            is_busy = false;
            for (task, woken) in &mut tasks {
                if is_over() {
                    return;
                }
                if !woken.0.swap(false, Ordering::Relaxed) {
                    continue;
                }
                is_busy = true;
                let waker = Waker::from(Arc::clone(woken));
                if task.as_mut().is_some_and(|task| task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()) {
                    *task = None;
                }
            }
        }
        if is_over() || !clock.advance() {
            return;
        }
    }
}
