//! How long to wait between the tries of one call.

use std::time::Duration;

use crate::{FailureClass, Random, SourceFailure, WAIT_IN_PLACE_MAX, millis_of};

/// Tries of one call, the first included.
const TRIES: u32 = 3;
/// The same while the vendor asks for short pauses: one that always does must not be called all the time that there is.
const TRIES_QUIET: u32 = 30;

/// When a call that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// After this long.
    After(Duration),
    /// After this long, and nobody else calls before.
    AfterQuiet(Duration),
}

/// How a call that failed `tried` times is tried again, if at all. Short pauses are waited out for longer.
pub fn again<R: Random>(random: &R, failure: &SourceFailure, tried: u32) -> Option<Again> {
    if let Some(wait) = short_pause(failure.class) {
        return (tried < TRIES_QUIET).then_some(Again::AfterQuiet(wait));
    }
    let is_tried = tried < TRIES && failure.class.is_tried_again();
    is_tried.then(|| Again::After(backoff(random, tried)))
}

/// The pause that the vendor asks for, if it is waited out in place.
pub fn short_pause(class: FailureClass) -> Option<Duration> {
    class.retry_after().filter(|wait| *wait <= WAIT_IN_PLACE_MAX)
}

/// The wait before try number `tried + 1`: up to a second, then up to two, at least half of it.
fn backoff<R: Random>(random: &R, tried: u32) -> Duration {
    let ceiling = Duration::from_secs(1).saturating_mul(1_u32 << tried.saturating_sub(1).min(5));
    let half = ceiling / 2;
    let jitter = random.below(u64::try_from(millis_of(half)).unwrap_or(0));
    half.saturating_add(Duration::from_millis(jitter))
}
