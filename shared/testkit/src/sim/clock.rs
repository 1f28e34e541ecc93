//! The true clock, and those of processes, which are a little off.

use std::rc::Rc;
use std::time::Duration;

use tidemark_engine::clock::{LocalMillis, millis_of};
use tidemark_engine::ports::Clock;

use super::executor::{Executor, delay};

/// The true time, in which the vendor's history is kept.
#[derive(Clone)]
pub(super) struct TrueClock(pub(super) Rc<Executor>);

impl Clock for TrueClock {
    fn now(&self) -> LocalMillis {
        self.0.now()
    }

    async fn sleep(&self, span: Duration) {
        delay(&self.0, millis_of(span)).await;
    }
}

/// The clock of a process.
#[derive(Clone)]
pub(super) struct LocalClock {
    pub(super) executor: Rc<Executor>,
    pub(super) skew_millis: i64,
}

impl Clock for LocalClock {
    fn now(&self) -> LocalMillis {
        self.executor.now().shifted(self.skew_millis)
    }

    async fn sleep(&self, span: Duration) {
        delay(&self.executor, millis_of(span)).await;
    }
}
