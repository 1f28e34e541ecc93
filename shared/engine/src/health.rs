//! Pauses: of one stream after failures in a row, of a whole source after a 429 or a rejected credential.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{FailureClass, Lateness, LocalMillis, Stops, StreamName};

/// How many failures in a row open a breaker.
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long it opens at first; each further time twice as long.
pub const OPEN_FIRST: Duration = Duration::from_mins(1);
/// The longest it opens, whatever the vendor's Retry-After says.
pub const OPEN_MAX: Duration = Duration::from_mins(15);
/// A Retry-After up to this long is waited out in place; a longer one opens the source's breaker.
pub const WAIT_IN_PLACE_MAX: Duration = Duration::from_secs(30);

/// The cause of the refusal that the poller notes for a stream whose account is another one.
pub const ACCOUNT_CHANGED: &str = "the account, its key or a setting that changes what is listed is another one";

/// What all functions of a stream share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// A random id, lost when the ledger is.
    pub mark: Option<String>,
    /// The stream's pause.
    pub breaker: Breaker,
    /// When a fetcher last stored something of it, on the local clock.
    pub last_stored_at: Option<LocalMillis>,
    /// How late its changes showed.
    pub lateness: Lateness,
    /// An operator's pause of the stream.
    pub pause: Option<Pause>,
}

/// What all functions of a source share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// The pause of the whole source.
    pub breaker: Breaker,
    /// When each stream last had bulk work, on the local clock.
    pub bulk: BTreeMap<StreamName, LocalMillis>,
    /// An operator's pause of the whole source.
    pub pause: Option<Pause>,
}

/// A pause that a person asked for. No success ends it: only its time, or a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when, on that person's clock.
    pub since: LocalMillis,
    /// Until when; without an end, until a person resumes.
    pub until: Option<LocalMillis>,
    /// Who asked for it.
    pub by: String,
    /// Why, in that person's words.
    pub why: String,
}

impl Pause {
    /// Whether nobody may call at `now`.
    pub fn is_on(&self, now: LocalMillis) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// A pause after failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row.
    pub failure_count: u32,
    /// Until when nobody calls.
    pub open_until: Option<LocalMillis>,
    /// How long it was opened for the last time.
    pub open_for: Option<Duration>,
    /// Why it was opened.
    pub why: Option<Why>,
}

/// Why a breaker was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// What it means.
    pub class: FailureClass,
    /// What happened, in words for a person.
    pub cause: String,
}

impl Breaker {
    /// Until when nobody may call, if so.
    pub fn open(&self, now: LocalMillis) -> Option<LocalMillis> {
        self.open_until.filter(|until| *until > now)
    }

    /// Why the vendor refuses the stream, if it did when it was asked last.
    pub fn refusal(&self) -> Option<&Why> {
        self.why.as_ref().filter(|why| why.class.stops() == Stops::Stream)
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

/// How long a stream pauses after so many failures in a row: from [`FAILURES_TO_OPEN`] on a minute, doubling.
pub fn pause_after(failure_count: u32) -> Option<Duration> {
    let further = failure_count.checked_sub(FAILURES_TO_OPEN)?;
    Some(OPEN_FIRST.saturating_mul(1 << further.min(4)).min(OPEN_MAX))
}
