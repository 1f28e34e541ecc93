//! Places on the schedule of calls that all functions of a source share: an interval each, and nobody's twice.
//!
//! The schedule itself is kept by [`crate::ports::Ledger::reserve`]. A function takes several places in a row in one
//! write, and calls at each of them.

use std::time::Duration;

use crate::stamp::UtcMillis;

/// How late a place may still be used, where the interval between two is shorter than that.
const LATE_MAX: Duration = Duration::from_secs(1);

/// Places in a row that are not used yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Places {
    next_at: UtcMillis,
    count: u32,
}

impl Places {
    /// So many places, of which the first is at `first_at`.
    pub(crate) fn new(first_at: UtcMillis, count: u32) -> Self {
        Self { next_at: first_at, count }
    }

    /// How many are left.
    pub(crate) fn left(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Takes the next place whose time is not over; none when there is no such place any more.
    ///
    /// A place that was missed is given up. Made up for, a vendor that answered slowly for a while would be called
    /// faster afterwards, by every function at once.
    pub(crate) fn take(&mut self, now: UtcMillis, interval: Duration) -> Option<UtcMillis> {
        while self.count > 0 {
            let at = self.next_at;
            self.next_at = at.plus(interval);
            self.count -= 1;
            if at.plus(interval.max(LATE_MAX)) >= now {
                return Some(at);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(500);

    fn at(millis: i64) -> UtcMillis {
        UtcMillis::new(millis)
    }

    #[test]
    fn places_lie_an_interval_apart_and_come_to_an_end() {
        let mut places = Places::new(at(10_000), 3);
        let taken = [(); 4].map(|()| places.take(at(9_000), INTERVAL));
        assert_eq!(taken, [Some(at(10_000)), Some(at(10_500)), Some(at(11_000)), None]);
    }

    #[test]
    fn a_missed_place_is_given_up_and_a_later_one_kept() {
        let mut places = Places::new(at(10_000), 5);
        assert_eq!(places.take(at(11_000), INTERVAL), Some(at(10_000)), "just in time");
        assert_eq!(places.take(at(12_200), INTERVAL), Some(at(11_500)), "two were missed");
        assert_eq!(places.take(at(20_000), INTERVAL), None);
    }
}
