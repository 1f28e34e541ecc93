//! A seeded source of chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidemark_engine::ports::Random;

use crate::split_mix::{STEP, mixed};

/// `SplitMix64`: the same seed gives the same numbers, on every machine. Clones draw from the same row of numbers.
#[derive(Clone, Debug)]
pub struct SeededRandom {
    state: Arc<AtomicU64>,
}

impl SeededRandom {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Self {
        // Seeds in a row would give related first numbers; one round of mixing parts them.
        Self { state: Arc::new(AtomicU64::new(mixed(seed.wrapping_add(STEP)))) }
    }

    /// The next 64 bits.
    pub fn bits(&self) -> u64 {
        mixed(self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }

    /// A number from `low` to `high`, the latter excluded; `low` when there is none between.
    pub fn between(&self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high.saturating_sub(low)).unwrap_or(0);
        low.saturating_add(i64::try_from(self.below(span)).unwrap_or(0))
    }

    /// Whether a chance of `per_million` in a million came true.
    pub fn chance(&self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    /// One of `choices`; the default when there are none.
    pub fn one_of<T: Copy + Default>(&self, choices: &[T]) -> T {
        let index = self.below(u64::try_from(choices.len()).unwrap_or(0));
        usize::try_from(index).ok().and_then(|index| choices.get(index)).copied().unwrap_or_default()
    }
}

impl Random for SeededRandom {
    fn below(&self, bound: u64) -> u64 {
        // The high half of a wide product: as even as a modulo and without a division.
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_numbers_again_and_no_other_does() {
        let numbers = |seed| {
            let random = SeededRandom::new(seed);
            (0..8).map(|_| random.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let random = SeededRandom::new(1);
        assert!((0..10_000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
        assert!((0..100).all(|_| (-5..5).contains(&random.between(-5, 5))));
    }
}
