//! A clock that moves only when a test moves it.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::ports::Clock;

/// A clock under a test's control. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    now: LocalMillis,
    sleepers: Vec<(LocalMillis, Waker)>,
    moves_for_sleepers: bool,
    slept: Duration,
}

impl ManualClock {
    /// Stands at `now` until [`ManualClock::advance`]; a sleeper waits for that.
    pub fn new(now: LocalMillis) -> Self {
        Self::with(now, false)
    }

    /// Stands at `now`; a sleeper moves it and continues immediately.
    pub fn hasty(now: LocalMillis) -> Self {
        Self::with(now, true)
    }

    fn with(now: LocalMillis, moves_for_sleepers: bool) -> Self {
        let state = State { now, sleepers: Vec::new(), moves_for_sleepers, slept: Duration::ZERO };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Moves the clock on and wakes those who slept for less.
    pub fn advance(&self, span: Duration) {
        let mut state = self.lock();
        state.now = state.now.plus(span);
        let now = state.now;
        for (_, waker) in state.sleepers.extract_if(.., |(until, _)| *until <= now) {
            waker.wake();
        }
    }

    /// Sets the clock, also back.
    pub fn set(&self, now: LocalMillis) {
        self.lock().now = now;
        self.advance(Duration::ZERO);
    }

    /// How long was slept so far, all sleepers together.
    pub fn slept(&self) -> Duration {
        self.lock().slept
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> LocalMillis {
        self.lock().now
    }

    async fn sleep(&self, span: Duration) {
        let until = {
            let mut state = self.lock();
            state.slept = state.slept.saturating_add(span);
            let until = state.now.plus(span);
            if state.moves_for_sleepers {
                state.now = until;
            }
            until
        };
        poll_fn(|context| {
            let mut state = self.lock();
            if state.now >= until {
                return Poll::Ready(());
            }
            state.sleepers.push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_waits_until_the_clock_is_moved() {
        let clock = ManualClock::new(LocalMillis::new(1_000));
        let sleeper = clock.clone();
        let sleeping = tokio::spawn(async move { sleeper.sleep(Duration::from_secs(1)).await });
        tokio::task::yield_now().await;
        assert!(!sleeping.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeping.await.expect("it wakes");
        assert_eq!(clock.now(), LocalMillis::new(2_000));
    }

    #[tokio::test]
    async fn a_hasty_clock_moves_for_its_sleepers() {
        let clock = ManualClock::hasty(LocalMillis::new(0));
        clock.sleep(Duration::from_secs(3)).await;
        assert_eq!((clock.now(), clock.slept()), (LocalMillis::new(3_000), Duration::from_secs(3)));
    }
}
