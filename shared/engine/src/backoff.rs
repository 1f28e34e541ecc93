//! How long to wait between the tries of one call.

use std::time::Duration;

use crate::ports::Random;
use crate::stamp::millis_of;

/// Tries of one call, the first included.
pub(crate) const TRIES: u32 = 3;

/// The wait before try number `tried + 1`: up to a second, then up to two, at least half of it.
pub(crate) fn backoff<R: Random>(random: &R, tried: u32) -> Duration {
    let ceiling = Duration::from_secs(1).saturating_mul(1_u32 << tried.saturating_sub(1).min(5));
    let half = ceiling / 2;
    let jitter = random.below(u64::try_from(millis_of(half)).unwrap_or(0));
    half.saturating_add(Duration::from_millis(jitter))
}
