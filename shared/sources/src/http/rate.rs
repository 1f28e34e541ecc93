//! How fast a vendor is called: the local half of the rate limit.
//!
//! The budget that all functions of a source share is the engine's (`Ledger::reserve`). This one is the last gate
//! before the wire: whatever a caller does, one process sends at most one request per interval. It waits by the
//! `Clock` port, and it sees the clock only through differences, so that a clock set back delays nobody.
//!
//! A source whose vendor tells how many calls it still allows can have itself steered by that ([`Gate::respect`],
//! [`Gate::steered_turn`]): it slows down before the limit is hit, and calls nobody once it is.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{self, Arc, PoisonError};
use std::time::Duration;

use governor::clock::Clock as Timeline;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use thiserror::Error;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::ports::Clock;
use tokio::sync::Mutex;

use super::allowance::{Allowance, Pace};
use super::problem::Problem;

/// The shortest interval that is kept: the clock port tells no two instants within one millisecond apart.
const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// The longest interval: a slower source could not be polled at all.
const INTERVAL_MAX: Duration = Duration::from_hours(1);

/// How many requests a second a vendor allows; a positive finite number, such as 2 or 0.5.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct RequestsPerSecond(f64);

/// A rate that cannot be kept.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("requests per second is a number above 0, at least one an hour (0.0003), such as 2 or 0.5")]
pub struct BadRate;

impl RequestsPerSecond {
    /// Reads a rate.
    ///
    /// # Errors
    /// [`BadRate`] unless it is a finite number that is at least one request an hour.
    pub fn parse(text: &str) -> Result<Self, BadRate> {
        let rate: f64 = text.trim().parse().map_err(|_| BadRate)?;
        let slowest = 1.0 / INTERVAL_MAX.as_secs_f64();
        if rate.is_finite() && rate >= slowest { Ok(Self(rate)) } else { Err(BadRate) }
    }

    /// The rate.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The time from one request to the next.
    pub fn interval(self) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.0).unwrap_or(INTERVAL_MAX)
    }
}

/// Proof that a request waited for its turn; a request cannot be sent without one.
#[derive(Debug)]
pub(crate) struct Turn(());

/// Lets requests pass one by one, an interval apart, in the order they came.
pub(super) struct Gate {
    limiter: Option<RateLimiter<NotKeyed, InMemoryState, ToldTime, NoOpMiddleware<Nanos>>>,
    time: ToldTime,
    /// When the clock was last looked at. Held while waiting: tokio's lock is fair, so nobody is overtaken.
    looked_at: Mutex<LocalMillis>,
    /// When the last steered request passed. Held while waiting, for the same reason.
    steered_at: Mutex<Option<LocalMillis>>,
    /// What the vendor said last.
    allowance: sync::Mutex<Option<Allowance>>,
}

impl Gate {
    /// A gate that lets a first request through at once. An interval under a millisecond is no limit.
    pub(super) fn new(rate: RequestsPerSecond, now: LocalMillis) -> Self {
        let time = ToldTime::default();
        let quota = Some(rate.interval())
            .filter(|interval| *interval >= INTERVAL_MIN)
            .and_then(Quota::with_period)
            .map(|quota| quota.allow_burst(NonZeroU32::MIN));
        Self {
            limiter: quota.map(|quota| RateLimiter::direct_with_clock(quota, time.clone())),
            time,
            looked_at: Mutex::new(now),
            steered_at: Mutex::new(None),
            allowance: sync::Mutex::new(None),
        }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self, clock: &impl Clock) -> Turn {
        let Some(limiter) = &self.limiter else { return Turn(()) };
        let mut looked_at = self.looked_at.lock().await;
        loop {
            let now = clock.now();
            self.time.advance(now.since(*looked_at));
            *looked_at = now;
            match limiter.check() {
                Ok(()) => return Turn(()),
                Err(early) => clock.sleep(whole_millis(early.wait_time_from(self.time.now()))).await,
            }
        }
    }

    /// Takes to heart what the vendor allows from now on.
    pub(super) fn respect(&self, allowance: Allowance) {
        self.change_allowance(|_| Some(allowance));
    }

    /// Waits for a turn that the vendor allows, too.
    ///
    /// # Errors
    /// [`Problem::Spent`] when it allows none for longer than is worth waiting.
    pub(super) async fn steered_turn(&self, clock: &impl Clock) -> Result<Turn, Problem> {
        let mut steered_at = self.steered_at.lock().await;
        if let Some(allowance) = self.change_allowance(|known| known) {
            match allowance.pace(*steered_at, clock.now()) {
                Pace::Refused(retry_after) => return Err(Problem::Spent { retry_after }),
                Pace::After(wait) if wait.is_zero() => {}
                Pace::After(wait) => clock.sleep(wait).await,
            }
        }
        let turn = self.turn(clock).await;
        *steered_at = Some(clock.now());
        // Until the answer says how many are left; others may pass before it comes.
        self.change_allowance(|known| known.map(Allowance::less_one));
        Ok(turn)
    }

    fn change_allowance(&self, change: impl FnOnce(Option<Allowance>) -> Option<Allowance>) -> Option<Allowance> {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        *allowance = change(*allowance);
        *allowance
    }
}

/// Rounded up: a wait that a clock of milliseconds takes for none would never end.
fn whole_millis(wait: Duration) -> Duration {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Duration::from_millis(millis)
}

/// The limiter's time: what it was set to, in nanoseconds; it never goes back.
#[derive(Clone, Debug, Default)]
struct ToldTime(Arc<AtomicU64>);

impl ToldTime {
    fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let told = self.0.load(Ordering::Relaxed).saturating_add(nanos);
        // Only the holder of the gate's lock writes, so load and store need not be one step.
        self.0.store(told, Ordering::Relaxed);
    }
}

impl Timeline for ToldTime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use reqwest::header::HeaderName;

    use super::*;

    /// A clock that moves only when somebody sleeps.
    #[derive(Default)]
    struct Sleeper(AtomicI64);

    impl Clock for Sleeper {
        fn now(&self) -> LocalMillis {
            LocalMillis::new(self.0.load(Ordering::Relaxed))
        }

        async fn sleep(&self, span: Duration) {
            let millis = i64::try_from(span.as_millis()).unwrap();
            assert!(millis > 0, "a sleep of nothing would never end");
            self.0.fetch_add(millis, Ordering::Relaxed);
        }
    }

    fn rate(text: &str) -> RequestsPerSecond {
        RequestsPerSecond::parse(text).unwrap()
    }

    #[test]
    fn rates_are_positive_finite_numbers() {
        for (text, interval_ms) in [("2", 500), (" 0.5\n", 2_000), ("200", 5), ("1e3", 1), ("0.001", 1_000_000)] {
            assert_eq!(rate(text).interval(), Duration::from_millis(interval_ms), "{text}");
        }
        for text in ["", "0", "-1", "NaN", "inf", "-inf", "1e-300", "two", "2/s", "0x2", "1,5"] {
            assert_eq!(RequestsPerSecond::parse(text), Err(BadRate), "{text}");
        }
    }

    #[tokio::test]
    async fn requests_pass_one_interval_apart_and_the_first_at_once() {
        let clock = Sleeper(AtomicI64::new(1_767_225_600_000));
        let gate = Gate::new(rate("2"), clock.now());
        let mut passed = Vec::new();
        for _ in 0..4 {
            let _turn = gate.turn(&clock).await;
            passed.push(clock.now().get() - 1_767_225_600_000);
        }
        assert_eq!(passed, [0, 500, 1_000, 1_500]);
    }

    #[tokio::test]
    async fn idle_time_is_not_saved_up() {
        let clock = Sleeper::default();
        let gate = Gate::new(rate("2"), clock.now());
        let _turn = gate.turn(&clock).await;
        clock.0.store(60_000, Ordering::Relaxed);
        for expected in [60_000, 60_500, 61_000] {
            let _turn = gate.turn(&clock).await;
            assert_eq!(clock.now().get(), expected);
        }
    }

    #[tokio::test]
    async fn a_clock_set_back_delays_by_one_interval_at_most() {
        let clock = Sleeper(AtomicI64::new(10_000_000));
        let gate = Gate::new(rate("2"), clock.now());
        let _turn = gate.turn(&clock).await;
        clock.0.store(0, Ordering::Relaxed);
        let _turn = gate.turn(&clock).await;
        assert_eq!(clock.now().get(), 500);
    }

    #[tokio::test]
    async fn odd_intervals_are_rounded_up_to_what_the_clock_can_tell() {
        let clock = Sleeper::default();
        let gate = Gate::new(rate("300"), clock.now());
        for _ in 0..301 {
            let _turn = gate.turn(&clock).await;
        }
        let took = clock.now().get();
        assert!((1_000..=1_300).contains(&took), "300 requests after the first took {took} ms");
    }

    /// An answer's headers: so many calls left, until so many seconds from the clock's start.
    fn allowed(remaining: u64, seconds: i64) -> Allowance {
        let texts = [("x-ratelimit-remaining", remaining.to_string()), ("x-ratelimit-reset", seconds.to_string())];
        let headers = texts.map(|(name, text)| (HeaderName::from_static(name), text.parse().unwrap()));
        Allowance::of(&headers.into_iter().collect(), LocalMillis::new(0)).unwrap()
    }

    #[tokio::test]
    async fn turns_are_spread_over_what_the_vendor_still_allows() {
        let clock = Sleeper::default();
        let gate = Gate::new(rate("2"), clock.now());
        let mut passed = Vec::new();
        for _ in 0..2 {
            gate.steered_turn(&clock).await.unwrap();
            passed.push(clock.now().get());
        }
        assert_eq!(passed, [0, 500], "nothing is known of a limit");
        gate.respect(allowed(4, 40));
        for _ in 0..4 {
            gate.steered_turn(&clock).await.unwrap();
            passed.push(clock.now().get());
        }
        // A quarter of the time left, then a third of the rest, a half, all of it.
        assert_eq!(passed, [0, 500, 10_375, 20_250, 30_125, 40_000]);
        gate.steered_turn(&clock).await.unwrap();
        assert_eq!(clock.now().get(), 40_500, "after the reset the rate alone counts");
    }

    #[tokio::test]
    async fn an_allowance_wider_than_the_rate_changes_nothing() {
        let clock = Sleeper::default();
        let gate = Gate::new(rate("2"), clock.now());
        gate.respect(allowed(1_000, 60));
        for expected in [0, 500, 1_000] {
            gate.steered_turn(&clock).await.unwrap();
            assert_eq!(clock.now().get(), expected);
        }
    }

    #[tokio::test]
    async fn nobody_passes_when_no_call_is_left_until_the_reset() {
        let clock = Sleeper::default();
        let gate = Gate::new(rate("100000"), clock.now());
        gate.respect(allowed(1, 60));
        gate.steered_turn(&clock).await.unwrap();
        for left in [60, 20] {
            clock.0.store((60 - left) * 1_000, Ordering::Relaxed);
            let refused = gate.steered_turn(&clock).await.unwrap_err();
            let wait = Duration::from_secs(u64::try_from(left).unwrap());
            assert!(matches!(refused, Problem::Spent { retry_after } if retry_after == wait), "{refused:?}");
        }
        clock.0.store(57_000, Ordering::Relaxed);
        gate.steered_turn(&clock).await.unwrap();
        assert_eq!(clock.now().get(), 60_000, "a few seconds are waited for");
    }

    #[tokio::test]
    async fn whoever_is_not_steered_is_never_refused() {
        let clock = Sleeper::default();
        let gate = Gate::new(rate("2"), clock.now());
        gate.respect(allowed(0, 3_600));
        let _turn = gate.turn(&clock).await;
        assert_eq!(clock.now().get(), 0);
    }

    #[tokio::test]
    async fn more_than_a_thousand_a_second_is_no_limit() {
        let clock = Sleeper::default();
        let gate = Gate::new(rate("100000"), clock.now());
        for _ in 0..1_000 {
            let _turn = gate.turn(&clock).await;
        }
        assert_eq!(clock.now().get(), 0);
    }
}
