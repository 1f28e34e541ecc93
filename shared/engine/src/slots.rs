//! Slots on the schedule of calls that all functions of a source share ([`crate::ports::Ledger::reserve`]): an interval
//! each, and nobody's twice. A function takes several in a row in one write.

use std::time::Duration;

use crate::{Clock, LocalMillis, millis_of};

/// How late a slot may still be used, where the interval between two is shorter than that.
const LATE_MAX: Duration = Duration::from_secs(1);

/// The longest that a poller waits for its slot, whatever the clocks of others: more than a fetcher takes slots ahead.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Waits until a poller's slot has come.
pub async fn wait_for(clock: &impl Clock, slot: LocalMillis) {
    let wait = slot.since(clock.now()).min(WAIT_MAX);
    if !wait.is_zero() {
        clock.sleep(wait).await;
    }
}

/// How many calls, `interval` apart, have room in `span`; one at least.
pub(crate) fn calls_in(span: Duration, interval: Duration) -> usize {
    usize::try_from(millis_of(span) / millis_of(interval).max(1)).unwrap_or(usize::MAX).max(1)
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slots {
    next_at: LocalMillis,
    count: u32,
}

impl Slots {
    pub(crate) fn new(first_at: LocalMillis, count: u32) -> Self {
        Self { next_at: first_at, count }
    }

    /// Takes the next slot whose time is not over. A slot that was missed is given up: made up for, a vendor that
    /// answered slowly for a while would be called faster afterwards.
    pub(crate) fn take(&mut self, now: LocalMillis, interval: Duration) -> Option<LocalMillis> {
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

    fn at(millis: i64) -> LocalMillis {
        LocalMillis::new(millis)
    }

    #[test]
    fn a_missed_slot_is_given_up_and_a_later_one_kept() {
        let mut slots = Slots::new(at(10_000), 5);
        assert_eq!(slots.take(at(11_000), INTERVAL), Some(at(10_000)), "just in time");
        assert_eq!(slots.take(at(12_200), INTERVAL), Some(at(11_500)), "two were missed");
        assert_eq!(slots.take(at(20_000), INTERVAL), None);
    }
}
