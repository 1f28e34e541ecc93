//! FSM Navigator's times: ISO 8601, in all samples in UTC with a `Z` at the end.

use tidemark_engine::clock::{Stamp, StampMillis};

use crate::time;

/// The lower bound of a list, to the second, cut.
pub(super) fn written(from: StampMillis) -> String {
    time::bound(from).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads a time with an offset of its own, keeping the vendor's text; one without is in UTC. None for anything else, a
/// date alone among it: a day is too coarse to order versions by.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    let trimmed = text.trim();
    if !matches!(trimmed.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    Some(time::stamp(text, time::instant(trimmed)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_written_in_utc_to_the_second() {
        for (from, text) in [
            (1_771_804_800_000, "2026-02-23T00:00:00Z"),
            (1_771_804_800_999, "2026-02-23T00:00:00Z"),
            (i64::MIN, "1970-01-01T00:00:00Z"),
            (i64::MAX, "9998-12-31T23:59:59Z"),
        ] {
            assert_eq!(written(StampMillis::new(from)), text);
        }
    }

    #[test]
    fn stamps_are_read_with_their_offset_and_without_in_utc() {
        let second = 1_768_469_400_000;
        for (text, at) in [
            ("2026-01-15T09:30:00Z", second),
            (" 2026-01-15T09:30:00Z ", second),
            ("2026-01-15T09:30:00.250Z", second + 250),
            ("2026-01-15T10:30:00+01:00", second),
            ("2026-01-15 09:30:00", second),
            ("2026-01-15T09:30:00", second),
        ] {
            let stamp = stamp(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((stamp.at.get(), stamp.utc.get(), stamp.text.as_str()), (at, at, text));
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "2026-01-15", "0000-00-00 00:00:00", "2026-02-30T00:00:00Z", "1768469400", "yesterday at noon"]
        {
            assert_eq!(stamp(text), None, "{text}");
        }
    }
}
