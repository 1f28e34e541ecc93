//! What a vendor says it still allows, and what that means for the next call.
//!
//! Some vendors tell with every answer how many calls are left and when the count starts again. A source that reads that can
//! slow down before the limit is hit, instead of running into it at full speed.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use tidemark_engine::clock::{LocalMillis, VendorMillis};

use super::headers::{self, RETRY_AFTER_MAX};

const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The longest time between two calls while some are left. A longer one would outlast the functions that wait, and the
/// last calls before a limit are better made than slept away: when none is left, nobody calls.
const SPACING_MAX: Duration = Duration::from_secs(30);
/// How long it is waited for the count to start again when no call is left; beyond that the call is refused, so that the
/// source's breaker opens for everyone.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A count that starts again later than this is no daily limit, so its header is something else than a Unix time.
const RESET_MAX: Duration = Duration::from_hours(25);

/// How many calls are left, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    remaining: u64,
    /// On the local clock.
    reset_at: LocalMillis,
}

/// What an allowance means for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It may be made after so long.
    After(Duration),
    /// It must not be made; calls are allowed again after so long, or at most [`RETRY_AFTER_MAX`].
    Refused(Duration),
}

impl Allowance {
    /// Reads `X-RateLimit-Remaining` and `X-RateLimit-Reset`, a Unix time in seconds; none when either is missing or
    /// nonsense.
    ///
    /// Clock: the reset is the vendor's, so it counts from the answer's own `Date`; without one it is compared with
    /// `now`, the local clock.
    pub(super) fn of(headers: &HeaderMap, now: LocalMillis) -> Option<Self> {
        let remaining = headers::text(headers, &REMAINING)?.parse().ok()?;
        let reset: i64 = headers::text(headers, &RESET)?.parse().ok()?;
        let on_vendors_clock = VendorMillis::new(reset.checked_mul(1000)?);
        let until_reset = on_vendors_clock.since(headers::date(headers).unwrap_or(headers::taken_for_vendors(now)));
        (until_reset <= RESET_MAX).then(|| Self { remaining, reset_at: now.plus(until_reset) })
    }

    /// The same after one more call.
    #[must_use]
    pub(super) fn less_one(self) -> Self {
        Self { remaining: self.remaining.saturating_sub(1), ..self }
    }

    /// What it means for a call at `now`, when the last one was made at `last`.
    pub(super) fn pace(self, last: Option<LocalMillis>, now: LocalMillis) -> Pace {
        let until_reset = self.reset_at.since(now);
        if until_reset.is_zero() {
            return Pace::After(Duration::ZERO);
        }
        let Some(spacing) = divided(until_reset, self.remaining) else {
            return if until_reset <= WAIT_MAX {
                Pace::After(until_reset)
            } else {
                Pace::Refused(until_reset.min(RETRY_AFTER_MAX))
            };
        };
        // A clock set back must not make it wait for longer than the spacing.
        let due = last.map_or(now, |last| last.min(now).plus(spacing.min(SPACING_MAX)));
        Pace::After(due.since(now))
    }
}

/// A span in so many parts; none in no parts.
fn divided(span: Duration, parts: u64) -> Option<Duration> {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    millis.checked_div(parts).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{DATE, HeaderValue};

    use super::*;

    const NOW: LocalMillis = LocalMillis::new(1_767_225_600_000);

    fn headers(remaining: &str, reset: &str, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(REMAINING, HeaderValue::from_str(remaining).unwrap());
        headers.insert(RESET, HeaderValue::from_str(reset).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        headers
    }

    fn allowance(remaining: u64, seconds: u64) -> Allowance {
        Allowance { remaining, reset_at: NOW.plus(Duration::from_secs(seconds)) }
    }

    #[test]
    fn the_reset_is_compared_with_the_vendors_own_clock() {
        // Both clocks agree; the vendor's is an hour ahead; the vendor tells no time.
        for (reset, date) in [
            ("1767225660", Some("Thu, 01 Jan 2026 00:00:00 GMT")),
            ("1767229260", Some("Thu, 01 Jan 2026 01:00:00 GMT")),
            ("1767225660", None),
        ] {
            assert_eq!(Allowance::of(&headers("7", reset, date), NOW), Some(allowance(7, 60)), "{reset} {date:?}");
        }
    }

    #[test]
    fn headers_that_make_no_sense_say_nothing() {
        for (remaining, reset) in [
            ("", "1767225660"),
            ("-1", "1767225660"),
            ("many", "1767225660"),
            ("1.5", "1767225660"),
            ("7", "soon"),
            ("7", ""),
            ("7", "1767225660000"),
            ("7", "9223372036854775807"),
        ] {
            assert_eq!(Allowance::of(&headers(remaining, reset, None), NOW), None, "{remaining} {reset}");
        }
        assert_eq!(Allowance::of(&HeaderMap::new(), NOW), None);
        // Seconds to wait instead of a time are long past, and slow nothing down.
        let past = Allowance::of(&headers("0", "60", None), NOW).unwrap();
        assert_eq!(past.pace(Some(NOW), NOW), Pace::After(Duration::ZERO));
    }

    #[test]
    fn what_is_left_is_spread_until_the_reset() {
        let seconds = |seconds| Pace::After(Duration::from_secs(seconds));
        assert_eq!(allowance(6, 60).pace(Some(NOW), NOW), seconds(10));
        assert_eq!(allowance(6, 60).pace(Some(NOW.shifted(-4_000)), NOW), seconds(6));
        assert_eq!(allowance(6, 60).pace(Some(NOW.shifted(-40_000)), NOW), seconds(0));
        assert_eq!(allowance(6, 60).pace(None, NOW), seconds(0), "the first call has nothing to keep a distance from");
        assert_eq!(allowance(6, 60).pace(Some(NOW.shifted(3_600_000)), NOW), seconds(10), "the clock was set back");
        assert_eq!(allowance(1, 3_600).pace(Some(NOW), NOW), Pace::After(SPACING_MAX));
        assert_eq!(allowance(6, 60).pace(Some(NOW), NOW.shifted(60_000)), seconds(0), "after the reset");
    }

    #[test]
    fn without_calls_left_only_a_short_wait_is_slept() {
        assert_eq!(allowance(0, 5).pace(None, NOW), Pace::After(Duration::from_secs(5)));
        assert_eq!(allowance(0, 6).pace(None, NOW), Pace::Refused(Duration::from_secs(6)));
        assert_eq!(allowance(0, 86_400).pace(None, NOW), Pace::Refused(RETRY_AFTER_MAX));
        assert_eq!(allowance(1, 60).less_one().pace(None, NOW), Pace::Refused(Duration::from_mins(1)));
    }
}
