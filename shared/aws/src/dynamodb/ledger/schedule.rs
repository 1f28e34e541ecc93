//! The schedule of vendor calls that the functions of a source share.
//!
//! It is one attribute of the source's item, `next_call_at`: everything before it is reserved. A reservation is one write
//! where the state of the schedule is guessed right, and a refused one returns the state:
//!
//! | schedule | write | first call |
//! |---|---|---|
//! | reserved to some instant from `earliest` on, not after `latest` | `next_call_at = next_call_at + span` | the old `next_call_at` |
//! | free | `next_call_at = earliest + span` | `earliest` |
//! | reserved beyond `latest` | none | none |

use std::time::Duration;

use thiserror::Error;
use tidemark_engine::clock::LocalMillis;

use super::super::item::{Item, instant, item, number};

/// How often a reservation is tried while others change the schedule.
pub(super) const RESERVE_TRIES: u32 = 10;

/// Other functions changed the schedule during every try.
#[derive(Debug, Error)]
#[error("the schedule of calls changed under each of {RESERVE_TRIES} tries")]
pub(super) struct Contended;

/// How much of the schedule `calls` take, in whole milliseconds, rounded up so that no two calls share one.
pub(super) fn span_ms(calls: u32, interval: Duration) -> i64 {
    let nanos = interval.saturating_mul(calls).as_nanos();
    i64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// How a reservation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reservation {
    /// Behind what is reserved already.
    Behind,
    /// From the earliest instant on.
    Earliest,
}

impl Reservation {
    /// The write that holds on this schedule; none when it is reserved beyond `latest`.
    pub(super) fn of(next_call_at: LocalMillis, earliest: LocalMillis, latest: LocalMillis) -> Option<Self> {
        if next_call_at < earliest {
            return Some(Self::Earliest);
        }
        (next_call_at <= latest).then_some(Self::Behind)
    }

    pub(super) fn update(self) -> &'static str {
        match self {
            Self::Behind => "SET #next_call_at = #next_call_at + :span",
            Self::Earliest => "SET #next_call_at = :end",
        }
    }

    pub(super) fn condition(self) -> &'static str {
        match self {
            Self::Behind => "#next_call_at >= :earliest AND #next_call_at <= :latest",
            Self::Earliest => "attribute_not_exists(#next_call_at) OR #next_call_at < :earliest",
        }
    }

    pub(super) fn values(self, span_ms: i64, earliest: LocalMillis, latest: LocalMillis) -> Item {
        match self {
            Self::Behind => {
                item([(":span", number(span_ms)), (":earliest", instant(earliest)), (":latest", instant(latest))])
            }
            Self::Earliest => item([(":end", instant(earliest.shifted(span_ms))), (":earliest", instant(earliest))]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    fn ms(millis: i64) -> LocalMillis {
        LocalMillis::new(millis)
    }

    #[test]
    fn the_state_of_the_schedule_decides_the_write() {
        let (earliest, latest) = (ms(100), ms(200));
        let cases = [
            (99, Some(Reservation::Earliest)),
            (100, Some(Reservation::Behind)),
            (200, Some(Reservation::Behind)),
            (201, None),
        ];
        for (next_call_at, expected) in cases {
            assert_eq!(Reservation::of(ms(next_call_at), earliest, latest), expected, "{next_call_at}");
        }
        for way in [Reservation::Earliest, Reservation::Behind] {
            samples::assert_consistent(&[way.update(), way.condition()], &way.values(7, earliest, latest));
        }
    }

    #[test]
    fn a_span_is_whole_and_never_too_short() {
        let cases = [
            (0, Duration::from_secs(1), 0),
            (3, Duration::from_secs(2), 6_000),
            (1, Duration::from_micros(1), 1),
            (3, Duration::from_micros(333_333), 1_000),
            (u32::MAX, Duration::MAX, i64::MAX),
        ];
        for (calls, interval, expected) in cases {
            assert_eq!(span_ms(calls, interval), expected, "{calls} x {interval:?}");
        }
    }
}
