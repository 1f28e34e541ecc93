//! The system's clock and chance.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidemark_engine::clock::{LocalMillis, millis_of};
use tidemark_engine::ports::{Clock, Random};

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this adapter is where the system clock is read")]
    fn now(&self) -> LocalMillis {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        LocalMillis::new(millis_of(since_epoch))
    }

    #[expect(clippy::disallowed_methods, reason = "this adapter is where waiting happens")]
    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// Chance, with a seed of its own in each process. For jitter only: it protects no secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { fastrand::u64(..bound) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_stays_below_its_bound() {
        assert_eq!(SystemRandom.below(0), 0);
        assert_eq!(SystemRandom.below(1), 0);
        assert!((0..1_000).all(|_| SystemRandom.below(7) < 7));
    }

    #[test]
    fn now_is_after_this_was_written() {
        assert!(SystemClock.now() > LocalMillis::new(1_750_000_000_000));
    }
}
