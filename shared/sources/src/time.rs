//! Stamps and bounds, as far as they are the same for every vendor.
//!
//! A stamp has two readings: the one in which the vendor compares it, and the instant in UTC. Of a vendor whose stamps
//! have their offset, or are in UTC where they have none, both are the same number. One with naive stamps in a zone of its
//! own has its own module for them (`fieldmotion/zone.rs`).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};

/// 9998-12-31T23:59:59, in seconds: a year of five digits, which a zone could make of 9999, can be written by no vendor.
const LAST_SECOND: i64 = 253_370_764_799;

/// The reading of a vendor whose stamps are instants: the same number.
pub(crate) fn reading(at: VendorMillis) -> StampMillis {
    StampMillis::new(at.get())
}

/// The stamp of a vendor whose stamps are instants.
pub(crate) fn stamp(text: &str, instant: Timestamp) -> Stamp {
    let utc = VendorMillis::new(instant.as_millisecond());
    Stamp { text: text.to_owned(), at: reading(utc), utc }
}

/// A time without an offset. One with the name of a zone is none: it would be read hours off.
pub(crate) fn naive(text: &str) -> Option<DateTime> {
    text.parse().ok().filter(|_| !text.contains('['))
}

/// A time with an offset of its own, or in UTC where it has none.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| TimeZone::UTC.to_timestamp(naive(text)?).ok())
}

/// A lower bound as it can be written: below 1970 there is nothing to ask for, and beyond 9998 there is no stamp.
pub(crate) fn bound(from: StampMillis) -> Timestamp {
    let millis = from.get().clamp(0, LAST_SECOND * 1000 + 999);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_lies_in_the_years_that_can_be_written() {
        for (from, text) in [
            (i64::MIN, "1970-01-01T00:00:00Z"),
            (-1, "1970-01-01T00:00:00Z"),
            (1_771_804_800_250, "2026-02-23T00:00:00.25Z"),
            (i64::MAX, "9998-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(bound(StampMillis::new(from)).to_string(), text);
        }
    }

    #[test]
    fn an_instant_is_the_same_number_in_both_readings() {
        let text = "2026-01-15T10:30:00+01:00";
        let read = stamp(text, text.parse().unwrap());
        let second = 1_768_469_400_000;
        assert_eq!((read.text.as_str(), read.at.get(), read.utc.get()), (text, second, second));
        assert_eq!(reading(read.utc), read.at);
    }
}
