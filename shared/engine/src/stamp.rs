//! Instants: when something happened, and on whose clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant as milliseconds since 1970-01-01T00:00:00Z. Whose clock it was read from is said where it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtcMillis(i64);

impl UtcMillis {
    /// The instant `millis` milliseconds after the epoch.
    pub const fn new(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// This instant moved by `millis` milliseconds, saturating.
    #[must_use]
    pub const fn shifted(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This instant and `span` later, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        self.shifted(millis_of(span))
    }

    /// `span` before this instant, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        self.shifted(-millis_of(span))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is the later one.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from `earlier` to this instant; zero when `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.millis_since(earlier)).unwrap_or(0))
    }
}

/// A duration in whole milliseconds, saturating.
pub fn millis_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with milliseconds where there are any; a bare number outside the years that has a name.
impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// The vendor's own last-edited value of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// As the vendor wrote it.
    pub text: String,
    /// The same instant, on the vendor's clock.
    pub at: UtcMillis,
}
