//! FieldMotion's times: naive local ones, `YYYY-MM-DD HH:MM:SS`, in a zone that the vendor does not name.
//!
//! The vendor compares these texts, so a stamp's place, and the lower bound of a list, is the text itself, read as if it
//! were UTC: no zone, right or wrong, changes it. The configured zone is used for three things alone: to say what an
//! instant looks like to the vendor (`Zone::reading`), to say when a stamp was (its `utc`), and to write the time of a
//! call where the vendor wants a naive one.
//!
//! In the hour of autumn that comes twice, and in the hour of spring that does not come at all, a naive time does not tell
//! which instant it means; it is read with the offset from before the change. That the vendor's stamps go back by an hour
//! in autumn is the engine's to know: it sees the step in the reading of the vendor's clock.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};

use crate::time;

const NAIVE: &str = "%Y-%m-%d %H:%M:%S";

/// The zone that the vendor's naive times are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// The zone in which naive times are instants.
    pub(super) fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this IANA name, from the rules that are part of the program: the same on every machine.
    pub(super) fn named(name: &str) -> Option<Self> {
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    /// Its IANA name.
    pub(super) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or_default()
    }

    /// What an instant looks like to the vendor.
    pub(super) fn reading(&self, at: VendorMillis) -> StampMillis {
        // An instant that is beyond the calendar has the offset of its end.
        let end = if at.get() < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let offset = self.0.to_offset(Timestamp::from_millisecond(at.get()).unwrap_or(end));
        StampMillis::new(at.get()).shifted(i64::from(offset.seconds()) * 1000)
    }

    /// Reads a naive time, or one that has an offset of its own, keeping the vendor's text. None for anything else,
    /// `0000-00-00 00:00:00` among it.
    pub(super) fn stamp(&self, text: &str) -> Option<Stamp> {
        let trimmed = text.trim();
        if !is_date_and_time(trimmed) {
            return None;
        }
        let (at, utc) = if let Ok(instant) = trimmed.parse::<Timestamp>() {
            let utc = VendorMillis::new(instant.as_millisecond());
            (self.reading(utc), utc)
        } else {
            let local = time::naive(trimmed)?;
            let read = TimeZone::UTC.to_timestamp(local).ok()?;
            let instant = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
            (StampMillis::new(read.as_millisecond()), VendorMillis::new(instant.as_millisecond()))
        };
        Some(Stamp { text: text.to_owned(), at, utc })
    }
}

/// A place among the stamps as the vendor writes it, to the second, cut.
pub(super) fn naive(at: StampMillis) -> String {
    time::bound(at).strftime(NAIVE).to_string()
}

/// Whether a text starts as `YYYY-MM-DD HH:MM:SS` does; the parsers would also take a date alone.
fn is_date_and_time(text: &str) -> bool {
    let shape = b"0000-00-00 00:00:00";
    text.len() >= shape.len()
        && text.bytes().zip(shape).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            b' ' => matches!(byte, b' ' | b'T' | b't'),
            _ => byte == *wanted,
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// Both readings of a stamp, as texts.
    fn read(zone: &Zone, text: &str) -> (String, String) {
        let stamp = zone.stamp(text).unwrap_or_else(|| panic!("{text} is no stamp"));
        (stamp.at.to_string(), stamp.utc.to_string())
    }

    #[test]
    fn a_stamps_place_is_its_text_and_its_instant_depends_on_the_zone() {
        for (name, utc) in [
            ("UTC", "2026-07-01T12:00:00Z"),
            ("Europe/Berlin", "2026-07-01T10:00:00Z"),
            ("America/St_Johns", "2026-07-01T14:30:00Z"),
        ] {
            for text in ["2026-07-01 12:00:00", "2026-07-01T12:00:00", " 2026-07-01 12:00:00 "] {
                assert_eq!(
                    read(&zone(name), text),
                    ("2026-07-01T12:00:00Z".to_owned(), utc.to_owned()),
                    "{name} {text}"
                );
            }
        }
        let fraction = read(&zone("Europe/Berlin"), "2026-07-01 12:00:00.250");
        assert_eq!(fraction, ("2026-07-01T12:00:00.25Z".to_owned(), "2026-07-01T10:00:00.25Z".to_owned()));
    }

    #[test]
    fn a_stamp_with_an_offset_of_its_own_has_the_place_of_its_local_time() {
        let berlin = zone("Europe/Berlin");
        for (text, at, utc) in [
            ("2026-07-01T12:00:00Z", "2026-07-01T14:00:00Z", "2026-07-01T12:00:00Z"),
            ("2026-07-01T12:00:00+05:30", "2026-07-01T08:30:00Z", "2026-07-01T06:30:00Z"),
            ("2026-01-01 12:00:00+01:00", "2026-01-01T12:00:00Z", "2026-01-01T11:00:00Z"),
        ] {
            assert_eq!(read(&berlin, text), (at.to_owned(), utc.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        let utc = zone("UTC");
        for text in [
            "",
            "0",
            "null",
            "0000-00-00 00:00:00",
            "0000-00-00",
            "2026-07-01",
            "2026-02-30 00:00:00",
            "2026-07-01 25:00:00",
            "1446481080",
            "2026-07-01 12:00:00 later",
            "٢٠٢٦-07-01 12:00:00",
        ] {
            assert_eq!(utc.stamp(text), None, "{text}");
        }
        let stamp = utc.stamp(" 2026-07-01 12:00:00").unwrap();
        assert_eq!(stamp.text, " 2026-07-01 12:00:00", "the vendor's text is kept as written");
    }

    #[test]
    fn the_hours_around_a_change_of_clocks_keep_their_places() {
        let london = zone("Europe/London");
        let (at, utc) = read(&london, "2026-10-25 01:30:00");
        assert_eq!((at.as_str(), utc.as_str()), ("2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z"), "twice in autumn");
        let (at, utc) = read(&london, "2026-03-29 01:30:00");
        assert_eq!((at.as_str(), utc.as_str()), ("2026-03-29T01:30:00Z", "2026-03-29T01:30:00Z"), "never in spring");
        let reading = |text: &str| london.reading(VendorMillis::new(millis(text))).to_string();
        assert_eq!(reading("2026-10-25T00:59:59Z"), "2026-10-25T01:59:59Z");
        assert_eq!(reading("2026-10-25T01:00:00Z"), "2026-10-25T01:00:00Z", "the vendor's time steps back");
    }

    #[test]
    fn a_bound_is_written_as_stamps_are() {
        assert_eq!(naive(StampMillis::new(millis("2026-10-25T01:30:59.999Z"))), "2026-10-25 01:30:59");
        assert_eq!(naive(StampMillis::new(i64::MIN)), "1970-01-01 00:00:00");
        assert_eq!(naive(StampMillis::new(i64::MAX)), "9998-12-31 23:59:59");
        for end in [i64::MIN, i64::MAX] {
            assert!(zone("Europe/London").reading(VendorMillis::new(end)).get().abs_diff(end) < 86_400_000);
        }
    }

    #[test]
    fn unknown_zones_are_none() {
        for name in ["", "Mars/Olympus", "+01:00", "../../etc/passwd"] {
            assert_eq!(Zone::named(name), None, "{name}");
        }
        assert_eq!((zone("europe/london").name(), Zone::utc().name()), ("Europe/London", "UTC"));
    }

    const ZONES: [&str; 6] =
        ["UTC", "Europe/London", "America/St_Johns", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca"];

    /// Seconds around a fall-back, or anywhere from 2000 to 2040.
    fn any_second() -> impl Strategy<Value = i64> {
        prop_oneof![1_792_880_000..1_792_900_000_i64, 1_775_300_000..1_775_330_000_i64, 946_684_800..2_208_988_800_i64]
    }

    proptest! {
        /// What the vendor stamps at an instant is read back at the place that the instant has.
        #[test]
        fn a_stamp_lies_where_the_clock_was_read(name in proptest::sample::select(&ZONES[..]), second in any_second()) {
            let zone = zone(name);
            let at = zone.reading(VendorMillis::new(second * 1000));
            let stamp = zone.stamp(&naive(at)).unwrap();
            prop_assert_eq!(stamp.at, at);
            prop_assert_eq!(zone.reading(stamp.utc), at, "the instant is one that this naive time may mean");
        }

        /// Whatever the zone, a bound lists what lies after it by the vendor's own comparison of texts.
        #[test]
        fn bounds_are_ordered_as_texts(one in any_second(), other in any_second()) {
            let text = |second: i64| naive(StampMillis::new(second * 1000));
            prop_assert_eq!(one.cmp(&other), text(one).cmp(&text(other)));
        }
    }
}
