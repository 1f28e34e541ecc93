//! Pauses between tries of what a batch call left over.
//!
//! The SDK retries whole calls. What a batch call accepts only in part comes back as a success with leftovers, and those
//! have to be tried again here.

use std::time::Duration;

use thiserror::Error;
use tidemark_engine::ports::Random;

use crate::clock::SystemRandom;

/// How often leftovers are tried again while none is accepted.
pub(crate) const TRIES: u32 = 8;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// What a batch call refused at every try.
#[derive(Debug, Error)]
#[error("{count} items of a batch were left over time and again: the table is throttled")]
pub(crate) struct Leftovers {
    pub(crate) count: usize,
}

/// How long to pause before try `try_count`, counted from 1: doubling, capped, between half and the whole of it, so that
/// functions that were throttled together do not come back together.
pub(crate) fn pause(try_count: u32) -> Duration {
    let doublings = 2_u32.saturating_pow(try_count.saturating_sub(1));
    let whole = FIRST.saturating_mul(doublings).min(LONGEST);
    let half = whole / 2;
    let jitter_ms = SystemRandom.below(u64::try_from(half.as_millis()).unwrap_or(0).saturating_add(1));
    half + Duration::from_millis(jitter_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_cap() {
        for (try_count, longest_ms) in [(0, 50), (1, 50), (2, 100), (3, 200), (7, 2_000), (40, 2_000)] {
            let longest = Duration::from_millis(longest_ms);
            for _ in 0..50 {
                let pause = pause(try_count);
                assert!((longest / 2..=longest).contains(&pause), "try {try_count}: {pause:?}");
            }
        }
    }
}
