//! The fake vendor's clock and how its times are written.

use jiff::{Timestamp, civil, fmt::rfc2822, tz::TimeZone};
use serde::{Deserialize, Serialize};

const NAIVE: &str = "%Y-%m-%d %H:%M:%S";

/// The vendor's own clock: the system's, moved by an offset, or standing still.
#[derive(Debug)]
pub(crate) struct VendorClock {
    offset_ms: i64,
    frozen_at_ms: Option<i64>,
    date: DateHeader,
}

/// What the `Date` header of every answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DateHeader {
    /// The vendor's clock.
    Present,
    /// There is no such header.
    Absent,
    /// The vendor's clock plus so many seconds, so that stamps and header disagree.
    SkewedSeconds(i64),
}

/// One change of the clock; fields left out stay as they are.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockChange {
    /// Sets the distance from the system's clock.
    pub offset_ms: Option<i64>,
    /// Moves the clock on by so much; works on a frozen clock, too.
    pub advance_ms: Option<i64>,
    /// Stops the clock where it is, or lets it run on from there.
    pub frozen: Option<bool>,
    /// What the `Date` header says from now on.
    pub date: Option<DateHeader>,
}

impl VendorClock {
    pub(crate) fn new() -> Self {
        Self { offset_ms: 0, frozen_at_ms: None, date: DateHeader::Present }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.frozen_at_ms.unwrap_or_else(|| system_ms().saturating_add(self.offset_ms))
    }

    pub(crate) fn change(&mut self, change: ClockChange) {
        if let Some(offset_ms) = change.offset_ms {
            self.offset_ms = offset_ms;
            if self.frozen_at_ms.is_some() {
                self.frozen_at_ms = Some(system_ms().saturating_add(offset_ms));
            }
        }
        if let Some(advance_ms) = change.advance_ms {
            self.offset_ms = self.offset_ms.saturating_add(advance_ms);
            self.frozen_at_ms = self.frozen_at_ms.map(|at| at.saturating_add(advance_ms));
        }
        match (change.frozen, self.frozen_at_ms) {
            (Some(true), None) => self.frozen_at_ms = Some(self.now_ms()),
            (Some(false), Some(at)) => {
                self.offset_ms = at.saturating_sub(system_ms());
                self.frozen_at_ms = None;
            }
            (Some(true) | None, Some(_)) | (Some(false) | None, None) => {}
        }
        self.date = change.date.unwrap_or(self.date);
    }

    pub(crate) fn date_header(&self) -> Option<String> {
        match self.date {
            DateHeader::Present => Some(http_date(self.now_ms().div_euclid(1000))),
            DateHeader::Absent => None,
            DateHeader::SkewedSeconds(skew) => Some(http_date(self.now_ms().div_euclid(1000).saturating_add(skew))),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the system's end of a fake vendor's clock, which no port reaches"
)]
fn system_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Writes an instant as an HTTP date (RFC 9110).
pub(crate) fn http_date(seconds: i64) -> String {
    let instant = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&instant).unwrap_or_default()
}

/// Writes an instant as `YYYY-MM-DD HH:MM:SS` in a zone `offset_seconds` east of UTC.
pub(crate) fn naive(seconds: i64, offset_seconds: i64) -> String {
    let local = Timestamp::from_second(seconds.saturating_add(offset_seconds)).unwrap_or(Timestamp::UNIX_EPOCH);
    local.to_zoned(TimeZone::UTC).strftime(NAIVE).to_string()
}

/// Reads what [`naive`] writes, and nothing else.
pub(crate) fn parse_naive(text: &str, offset_seconds: i64) -> Option<i64> {
    let local = civil::DateTime::strptime(NAIVE, text).ok()?;
    let seconds = local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second().checked_sub(offset_seconds)?;
    (naive(seconds, offset_seconds) == text).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naive_times_round_trip_in_any_offset() {
        for offset in [0, 3600, -18_000] {
            let text = naive(1_767_225_600, offset);
            assert_eq!(parse_naive(&text, offset), Some(1_767_225_600));
        }
        assert_eq!(naive(1_767_225_600, 0), "2026-01-01 00:00:00");
    }

    #[test]
    fn text_that_is_no_time_is_refused() {
        for text in ["", "0000-00-00 00:00:00", "2026-1-1 0:0:0", "2026-01-01", "2026-02-30 00:00:00", "yesterday"] {
            assert_eq!(parse_naive(text, 0), None, "{text}");
        }
    }

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let mut clock = VendorClock::new();
        clock.change(ClockChange { frozen: Some(true), ..ClockChange::default() });
        let at = clock.now_ms();
        clock.change(ClockChange { advance_ms: Some(1500), ..ClockChange::default() });
        assert_eq!(clock.now_ms(), at + 1500);
    }

    #[test]
    fn the_date_header_is_an_http_date() {
        assert_eq!(http_date(1_767_225_600), "Thu, 01 Jan 2026 00:00:00 GMT");
    }
}
