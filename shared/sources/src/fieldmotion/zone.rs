//! FieldMotion's times: naive local ones, `YYYY-MM-DD HH:MM:SS`, in a zone that the vendor does not name.
//!
//! In UTC, the default, all of this is plain conversion. In a zone with daylight saving time one hour of local time
//! comes twice each autumn ("the fold"), and a naive time within it does not tell which of the two it means:
//!
//! - **A lower bound in the fold is sent as the second before the fold.** The vendor compares local times, so an edit of
//!   the second pass at 01:10 is not "after" a bound of the first pass at 01:30, nor, should its comparison exclude the
//!   bound itself, is one at 01:00:00 after a bound of 01:00:00.
//! - **A stamp in the fold is read as the fold's last second.** Records are ordered by stamp: were 01:50 of the first
//!   pass later than 01:10 of the second, the newer version would be refused for ever. Equal stamps are ordered by
//!   the fetch, and the later fetch is right. That the instant may lie up to two hours ahead of the vendor's clock is
//!   harmless: a commit is clipped to the horizon.
//! - **A stamp in the gap of spring**, which should not exist, is read as if the clocks had not been changed yet.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use tidemark_engine::stamp::{Stamp, UtcMillis};

const NAIVE: &str = "%Y-%m-%d %H:%M:%S";
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The zone that the vendor's naive times are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone(TimeZone);

/// The local time that comes twice around a change of clocks.
struct Fold {
    first_local: DateTime,
    last: Timestamp,
}

impl Zone {
    /// The zone without any of these troubles.
    pub(super) fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this IANA name, from the rules that are part of the program: the same on every machine.
    pub(super) fn named(name: &str) -> Option<Self> {
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    /// An instant in local time, to the second, cut.
    pub(super) fn naive(&self, at: UtcMillis) -> String {
        self.local(at).strftime(NAIVE).to_string()
    }

    /// The naive time after which the vendor lists everything edited after `from`.
    pub(super) fn lower_bound(&self, from: UtcMillis) -> String {
        let local = self.local(from);
        let bound = match self.fold(local) {
            Some(fold) => fold.first_local.saturating_sub(SECOND),
            None => local,
        };
        bound.strftime(NAIVE).to_string()
    }

    /// Reads a naive time in this zone, or one that bears an offset of its own. None for anything else, `0000-00-00
    /// 00:00:00` among it.
    pub(super) fn instant(&self, text: &str) -> Option<UtcMillis> {
        let text = text.trim();
        if !is_date_and_time(text) {
            return None;
        }
        let instant = if let Ok(instant) = text.parse::<Timestamp>() {
            instant
        } else {
            let local: DateTime = text.parse().ok()?;
            match self.fold(local) {
                Some(fold) => fold.last,
                None => self.0.to_ambiguous_timestamp(local).compatible().ok()?,
            }
        };
        Some(UtcMillis::new(instant.as_millisecond()))
    }

    /// Reads a stamp, keeping the vendor's text.
    pub(super) fn stamp(&self, text: &str) -> Option<Stamp> {
        self.instant(text).map(|at| Stamp { text: text.to_owned(), at })
    }

    /// Instants outside the years 1970 to 9998 have no place in the vendor's format; they become the nearest that has.
    fn local(&self, at: UtcMillis) -> DateTime {
        let second = at.get().div_euclid(1000).clamp(0, 253_370_764_800);
        let instant = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        self.0.to_datetime(instant)
    }

    /// The fold that a local time lies in, if it does.
    fn fold(&self, local: DateTime) -> Option<Fold> {
        let AmbiguousOffset::Fold { before, after } = self.0.to_ambiguous_timestamp(local).offset() else {
            return None;
        };
        // The clocks are changed between the two instants that this local time may mean.
        let earlier = before.to_timestamp(local).ok()?;
        let change = self.0.following(earlier).find(|change| change.offset() == after)?.timestamp();
        let seconds_twice = i64::from(before.seconds()) - i64::from(after.seconds());
        let last = change.checked_add(SignedDuration::from_secs(seconds_twice - 1)).ok()?;
        Some(Fold { first_local: after.to_datetime(change), last })
    }
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

    fn at(text: &str) -> UtcMillis {
        UtcMillis::new(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn utc_is_plain_conversion() {
        let utc = zone("UTC");
        assert_eq!(utc.lower_bound(at("2026-10-25T00:30:59.999Z")), "2026-10-25 00:30:59");
        assert_eq!(utc.naive(at("2026-01-01T00:00:00Z")), "2026-01-01 00:00:00");
        assert_eq!(utc.instant("2024-09-22 12:25:58"), Some(at("2024-09-22T12:25:58Z")));
    }

    #[test]
    fn stamps_with_an_offset_of_their_own_need_no_zone() {
        let berlin = zone("Europe/Berlin");
        for (text, instant) in [
            ("2026-07-01 12:00:00", "2026-07-01T10:00:00Z"),
            ("2026-07-01T12:00:00", "2026-07-01T10:00:00Z"),
            ("2026-07-01T12:00:00Z", "2026-07-01T12:00:00Z"),
            ("2026-07-01T12:00:00+05:30", "2026-07-01T06:30:00Z"),
            ("2026-07-01 12:00:00.250", "2026-07-01T10:00:00.250Z"),
            (" 2026-07-01 12:00:00 ", "2026-07-01T10:00:00Z"),
            ("2099-01-01 00:00:00", "2098-12-31T23:00:00Z"),
        ] {
            assert_eq!(berlin.instant(text), Some(at(instant)), "{text}");
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
    fn the_repeated_hour_is_one_instant_and_its_bound_lies_before_it() {
        let london = zone("Europe/London");
        for text in ["2026-10-25 01:00:00", "2026-10-25 01:30:00", "2026-10-25 01:59:59"] {
            assert_eq!(london.instant(text), Some(at("2026-10-25T01:59:59Z")), "{text}");
        }
        assert_eq!(london.instant("2026-10-25 00:59:59"), Some(at("2026-10-24T23:59:59Z")));
        assert_eq!(london.instant("2026-10-25 02:00:00"), Some(at("2026-10-25T02:00:00Z")));
        for from in ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:59:59Z"] {
            assert_eq!(london.lower_bound(at(from)), "2026-10-25 00:59:59", "{from}");
        }
        assert_eq!(london.lower_bound(at("2026-10-25T02:00:00Z")), "2026-10-25 02:00:00");
    }

    #[test]
    fn half_hour_folds_and_gaps_are_no_exception() {
        let lord_howe = zone("Australia/Lord_Howe");
        assert_eq!(lord_howe.instant("2026-04-05 01:45:00"), Some(at("2026-04-04T15:29:59Z")));
        assert_eq!(lord_howe.lower_bound(at("2026-04-04T15:10:00Z")), "2026-04-05 01:29:59");
        let london = zone("Europe/London");
        assert_eq!(london.instant("2026-03-29 01:30:00"), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn positions_beyond_the_calendar_are_clamped() {
        let utc = zone("UTC");
        assert_eq!(utc.lower_bound(UtcMillis::new(i64::MIN)), "1970-01-01 00:00:00");
        assert_eq!(utc.lower_bound(UtcMillis::new(i64::MAX)), "9999-01-01 00:00:00");
    }

    #[test]
    fn unknown_zones_are_none() {
        for name in ["", "Mars/Olympus", "+01:00", "../../etc/passwd"] {
            assert_eq!(Zone::named(name), None, "{name}");
        }
    }

    const ZONES: [&str; 6] =
        ["UTC", "Europe/London", "America/St_Johns", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca"];

    /// Seconds around a fall-back, or anywhere from 2000 to 2040.
    fn any_second() -> impl Strategy<Value = i64> {
        prop_oneof![1_792_880_000..1_792_900_000_i64, 1_775_300_000..1_775_330_000_i64, 946_684_800..2_208_988_800_i64]
    }

    fn second(second: i64) -> UtcMillis {
        UtcMillis::new(second * 1000)
    }

    proptest! {
        /// The promise of `lower_bound`, by the vendor's own comparison of texts.
        #[test]
        fn every_later_edit_is_after_the_bound(name in proptest::sample::select(&ZONES[..]), from in any_second(), later in 1..20_000_i64) {
            let zone = zone(name);
            prop_assert!(zone.naive(second(from + later)) > zone.lower_bound(second(from)));
        }

        /// Stamps never run backwards, so that no newer version is refused.
        #[test]
        fn stamps_keep_the_order_of_edits(name in proptest::sample::select(&ZONES[..]), edit in any_second(), later in 0..20_000_i64) {
            let zone = zone(name);
            let read = |at| zone.instant(&zone.naive(second(at))).unwrap();
            prop_assert!(read(edit) <= read(edit + later));
            prop_assert!(read(edit) >= second(edit), "a stamp read too early would let a commit pass it by");
        }
    }
}
