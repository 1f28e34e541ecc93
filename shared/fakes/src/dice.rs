//! Values that look arbitrary: the same seed, stream and number always give the same.

use fastrand::Rng;

/// What the values of one record's row are made from.
pub(crate) struct Dice(Rng);

impl Dice {
    /// The dice of a record.
    pub(crate) fn of(seed: u64, stream: &str, number: u64) -> Self {
        let salt = stream.bytes().fold(seed, |salt, byte| salt.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self(Rng::with_seed(salt ^ number.rotate_left(32)))
    }

    /// The next number.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// The next number, below a limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit.max(1)
    }

    /// The next number, of `range` numbers from `base` on.
    pub(crate) fn number(&mut self, base: u64, range: u64) -> u64 {
        base.saturating_add(self.below(range))
    }

    /// One of these texts.
    pub(crate) fn one_of<'text>(&mut self, texts: &[&'text str]) -> &'text str {
        let count = u64::try_from(texts.len()).unwrap_or(1);
        let at = usize::try_from(self.below(count)).unwrap_or(0);
        texts.get(at).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_seed_stream_and_number_alone() {
        let rolled = |seed, stream, number| {
            let mut dice = Dice::of(seed, stream, number);
            [dice.roll(), dice.roll()]
        };
        assert_eq!(rolled(1, "jobs", 5), rolled(1, "jobs", 5));
        for other in [rolled(2, "jobs", 5), rolled(1, "tasks", 5), rolled(1, "jobs", 6)] {
            assert_ne!(rolled(1, "jobs", 5), other);
        }
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut dice = Dice::of(1, "jobs", 5);
        assert!((0..1000).all(|_| (7..10).contains(&dice.number(7, 3))));
        assert_eq!((dice.below(0), dice.one_of(&[])), (0, ""));
    }
}
