//! What all functions of a source share: the breaker, paused streams, the gap of its stamps.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::stamp::{UtcMillis, millis_of};
use crate::stream::StreamName;

/// How many failures in a row open the breaker.
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long it opens at first; each further time twice as long.
pub const OPEN_FIRST: Duration = Duration::from_mins(1);
/// The longest it opens, whatever the vendor's Retry-After says.
pub const OPEN_MAX: Duration = Duration::from_mins(15);
/// How long a stream that the vendor refuses is left alone before it is asked again.
pub const PAUSE: Duration = Duration::from_mins(15);
/// How long an observed gap of stamps is believed.
pub const GAP_KEPT: Duration = Duration::from_hours(24);
/// A larger gap is a broken stamp, not a time zone.
pub const GAP_MAX: Duration = Duration::from_hours(26);

/// The shared state of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// The source-wide pause.
    pub breaker: Breaker,
    /// Streams that the vendor refuses, each with until when and why.
    pub pauses: BTreeMap<StreamName, Pause>,
    /// How far stamps were seen to run ahead of the vendor's clock.
    pub stamp_gap: Option<StampGap>,
}

/// A source-wide pause after failures that are the source's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row.
    pub failure_count: u32,
    /// Until when nobody calls; afterwards the poller's next list call is the probe.
    pub open_until: Option<UtcMillis>,
    /// How long it was opened for the last time.
    pub open_for: Option<Duration>,
    /// Why it was opened.
    pub why: Option<String>,
}

/// A stream that the vendor refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it is asked again, on the local clock.
    pub until: UtcMillis,
    /// What the vendor said.
    pub why: String,
}

/// The largest `stamp - vendor Date` seen, in milliseconds; negative when stamps run behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StampGap {
    /// The gap.
    pub millis: i64,
    /// When it was seen, on the local clock.
    pub seen_at: UtcMillis,
}

/// Whether calls may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Yes.
    Closed,
    /// Nobody, until then.
    Open(UtcMillis),
    /// The poller alone: its list call is the probe.
    HalfOpen,
}

impl Breaker {
    /// Whether calls may be made at `now`.
    pub fn state(&self, now: UtcMillis) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if until > now => BreakerState::Open(until),
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// How long to open now: what the vendor asks for, else twice as long as the last time; never over [`OPEN_MAX`].
    pub fn next_open_for(&self, retry_after: Option<Duration>) -> Duration {
        let doubled = self.open_for.map_or(OPEN_FIRST, |last| last.saturating_mul(2));
        retry_after.unwrap_or(doubled).clamp(Duration::from_secs(1), OPEN_MAX)
    }

    /// Whether a success has anything to put right.
    pub fn is_disturbed(&self) -> bool {
        self.failure_count > 0 || self.open_until.is_some()
    }
}

impl SourceState {
    /// Until when `stream` is paused, if it is.
    pub fn paused(&self, stream: &StreamName, now: UtcMillis) -> Option<&Pause> {
        self.pauses.get(stream).filter(|pause| pause.until > now)
    }

    /// The gap to be noted after `seen` was observed, when it says more than what is known.
    pub fn wider_gap(&self, seen: i64, now: UtcMillis) -> Option<StampGap> {
        if seen.saturating_abs() > millis_of(GAP_MAX) {
            return None;
        }
        let known = self.stamp_gap.filter(|gap| now.since(gap.seen_at) < GAP_KEPT);
        let says_more = known.is_none_or(|gap| seen > gap.millis.saturating_add(1_000));
        says_more.then_some(StampGap { millis: seen, seen_at: now })
    }
}
