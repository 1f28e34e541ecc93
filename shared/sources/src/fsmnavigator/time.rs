//! FSM Navigator's times: ISO 8601, in all samples in UTC with a `Z` at the end.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tidemark_engine::stamp::{Stamp, UtcMillis};

/// An instant as the lower bound of a list, to the second, cut.
pub(super) fn written(at: UtcMillis) -> String {
    // Before 1970 there is nothing to ask for, and years of five digits are no ISO 8601.
    let second = at.get().div_euclid(1000).clamp(0, 253_370_764_800);
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Reads a time with an offset of its own; one without is in UTC. None for anything else, a date alone among it: a day
/// is too coarse to order versions by.
pub(super) fn instant(text: &str) -> Option<UtcMillis> {
    let text = text.trim();
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let instant = match text.parse::<Timestamp>() {
        Ok(instant) => instant,
        Err(_) => TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    Some(UtcMillis::new(instant.as_millisecond()))
}

/// Reads a stamp, keeping the vendor's text.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    instant(text).map(|at| Stamp { text: text.to_owned(), at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_written_in_utc_to_the_second() {
        for (at, text) in [
            (1_771_804_800_000, "2026-02-23T00:00:00Z"),
            (1_771_804_800_999, "2026-02-23T00:00:00Z"),
            (-1, "1970-01-01T00:00:00Z"),
            (i64::MIN, "1970-01-01T00:00:00Z"),
            (i64::MAX, "9999-01-01T00:00:00Z"),
        ] {
            assert_eq!(written(UtcMillis::new(at)), text);
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
            assert_eq!(instant(text), Some(UtcMillis::new(at)), "{text}");
        }
        let kept = stamp("2026-01-15T10:30:00+01:00").unwrap();
        assert_eq!((kept.text.as_str(), kept.at), ("2026-01-15T10:30:00+01:00", UtcMillis::new(second)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "2026-01-15", "0000-00-00 00:00:00", "2026-02-30T00:00:00Z", "1768469400", "yesterday at noon"]
        {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
