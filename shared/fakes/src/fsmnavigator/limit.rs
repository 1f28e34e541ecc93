//! The rate limit: so many calls within a window that rolls along, counted for each key.

use std::collections::{BTreeMap, VecDeque};

use super::settings::Settings;

/// The calls of each key that still count, on the vendor's clock.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<String, VecDeque<i64>>);

/// What the limit says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it is answered.
    pub(super) is_allowed: bool,
    /// How many calls the limit allows.
    pub(super) limit: u64,
    /// How many more are answered until `reset`.
    pub(super) remaining: u64,
    /// When the oldest call that counts is forgotten, Unix seconds, rounded up.
    pub(super) reset: i64,
    /// How long until then, rounded up.
    pub(super) retry_after_seconds: i64,
}

impl Calls {
    /// Counts a call in, if it is allowed; a refused one does not count.
    pub(super) fn count(&mut self, key: &str, settings: &Settings, now_ms: i64) -> Verdict {
        let window_ms = settings.limit_seconds.saturating_mul(1000);
        let calls = self.0.entry(key.to_owned()).or_default();
        while calls.front().is_some_and(|at| at.saturating_add(window_ms) <= now_ms) {
            calls.pop_front();
        }
        let used = |calls: &VecDeque<i64>| u64::try_from(calls.len()).unwrap_or(u64::MAX);
        let is_allowed = used(calls) < settings.limit_calls;
        if is_allowed {
            calls.push_back(now_ms);
        }
        let reset_ms = calls.front().copied().unwrap_or(now_ms).saturating_add(window_ms);
        Verdict {
            is_allowed,
            limit: settings.limit_calls,
            remaining: settings.limit_calls.saturating_sub(used(calls)),
            reset: rounded_up(reset_ms),
            retry_after_seconds: rounded_up(reset_ms.saturating_sub(now_ms)),
        }
    }
}

fn rounded_up(millis: i64) -> i64 {
    millis.saturating_add(999).div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_rolls_and_each_key_has_its_own() {
        let settings = Settings { limit_calls: 2, limit_seconds: 60, ..Settings::default() };
        let mut calls = Calls::default();
        let mut count = |key: &str, now_ms| {
            let verdict = calls.count(key, &settings, now_ms);
            (verdict.is_allowed, verdict.remaining, verdict.reset, verdict.retry_after_seconds)
        };
        assert_eq!(count("a", 1_000_000), (true, 1, 1_060, 60));
        assert_eq!(count("a", 1_030_000), (true, 0, 1_060, 30));
        assert_eq!(count("a", 1_059_001), (false, 0, 1_060, 1));
        assert_eq!(count("b", 1_059_001), (true, 1, 1_120, 60));
        assert_eq!(count("a", 1_060_000), (true, 0, 1_090, 30), "the first is forgotten, the second is not");
    }
}
