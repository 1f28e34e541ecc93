//! Instants, each on a clock of its own. Mixing two clocks up does not compile.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How far the vendor's and the local clock may be apart before a person hears of it.
pub const OFFSET_MAX: Duration = Duration::from_mins(5);

/// The clock of the machine that Tidemark runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Local;

/// The vendor's clock, in UTC, as its `Date` header shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vendor;

/// The vendor's stamps as the vendor compares them: naive local time where stamps are naive, read as if it were UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamped;

/// An instant on clock `C`, in milliseconds since 1970-01-01T00:00:00.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant<C>(i64, #[serde(skip)] PhantomData<C>);

/// An instant on the local clock.
pub type LocalMillis = Instant<Local>;
/// An instant on the vendor's clock, in UTC.
pub type VendorMillis = Instant<Vendor>;
/// An instant in the reading of the vendor's stamps.
pub type StampMillis = Instant<Stamped>;

impl<C: Copy> Instant<C> {
    /// The instant `millis` milliseconds after the epoch.
    pub const fn new(millis: i64) -> Self {
        Self(millis, PhantomData)
    }

    /// Milliseconds since the epoch.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Moved by `millis` milliseconds, saturating.
    #[must_use]
    pub const fn shifted(self, millis: i64) -> Self {
        Self::new(self.0.saturating_add(millis))
    }

    /// `span` later, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        self.shifted(millis_of(span))
    }

    /// `span` earlier, saturating.
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

/// RFC 3339 with milliseconds where there are any; a bare number outside the years that have a name.
impl<C> fmt::Display for Instant<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// How far the vendor's clock may be from the local one where no Date says so.
pub(crate) const NO_DATE: Duration = Duration::from_secs(400);

/// A duration in whole milliseconds, saturating.
pub fn millis_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The vendor's own last-edited value of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// As the vendor wrote it.
    pub text: String,
    /// The same in the reading in which the vendor compares it: what lists are bounded by.
    pub at: StampMillis,
    /// The same instant in UTC, as far as the configured time zone is right.
    pub utc: VendorMillis,
}
