//! Times: how they are shown, and how a person may write them.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use tidemark_engine::clock::{Instant, LocalMillis};

/// An instant, absolute: `2026-02-24 10:31:07Z`.
pub(crate) fn absolute<C: Copy>(at: Instant<C>) -> String {
    match Timestamp::from_millisecond(at.get()) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => format!("{} ms", at.get()),
    }
}

/// An instant, absolute and relative: `2026-02-24 10:31:07Z, 41 s ago`.
pub(crate) fn shown<C: Copy>(at: Instant<C>, now: LocalMillis) -> String {
    format!("{}, {}", absolute(at), relative(at, now))
}

/// An instant as seen from now: `41 s ago`, `in 3 min`. What is less than a second ahead, by another clock, is now.
pub(crate) fn relative<C: Copy>(at: Instant<C>, now: LocalMillis) -> String {
    let apart = now.get().saturating_sub(at.get());
    let span = span(Duration::from_millis(apart.unsigned_abs()));
    if apart <= -1_000 { format!("in {span}") } else { format!("{span} ago") }
}

/// The same, where all are ages: `41 s`, `in 3 min`.
pub(crate) fn age<C: Copy>(at: Instant<C>, now: LocalMillis) -> String {
    relative(at, now).trim_end_matches(" ago").to_owned()
}

/// A span of time in its largest unit: `41 s`, `3 min`, `5 h`, `2 d`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// An instant in RFC 3339, for programs.
pub(crate) fn rfc3339<C: Copy>(at: Instant<C>) -> String {
    at.to_string()
}

/// A time on the command line: an instant, a day, or how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// An instant.
    At(LocalMillis),
    /// That long ago.
    Ago(Duration),
}

impl When {
    /// Reads `2026-02-24T10:31:07Z`, `2026-02-24`, which begins at midnight UTC, or `2h`.
    ///
    /// # Errors
    /// What may be written.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(LocalMillis::new(at.as_millisecond())));
        }
        // A time of day without its zone would be read as a day.
        let day = text.parse::<Date>().ok().filter(|_| !text.contains(['T', 't', ' ']));
        if let Some(midnight) = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok()) {
            return Ok(Self::At(LocalMillis::new(midnight.timestamp().as_millisecond())));
        }
        let wanted =
            "write an instant with its zone (2026-02-24T10:31:07Z), a day (2026-02-24), or how long ago (2h, 3d)";
        parse_span(text).map(Self::Ago).map_err(|_| wanted.to_owned())
    }

    /// The instant, seen from `now`.
    pub(crate) fn at(self, now: LocalMillis) -> LocalMillis {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.minus(span),
        }
    }
}

/// Reads a span of time such as `90s`, `2h` or `1d 6h`; a day has 24 hours.
///
/// # Errors
/// What may be written.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let wanted = || "write a span of time such as 90s, 45m, 2h or 3d".to_owned();
    let span: Span = text.parse().map_err(|_| wanted())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wanted())?;
    Duration::try_from(signed).ok().filter(|span| !span.is_zero()).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: LocalMillis = LocalMillis::new(1_771_929_108_000);

    #[test]
    fn an_instant_is_shown_absolute_and_relative() {
        for (apart, expected) in [
            (0, "2026-02-24 10:31:48Z, 0 s ago"),
            (500, "2026-02-24 10:31:48Z, 0 s ago"),
            (-41_000, "2026-02-24 10:31:07Z, 41 s ago"),
            (-5_999_000, "2026-02-24 08:51:49Z, 99 min ago"),
            (180_000, "2026-02-24 10:34:48Z, in 3 min"),
            (-400_000_000, "2026-02-19 19:25:08Z, 4 d ago"),
        ] {
            assert_eq!(shown(NOW.shifted(apart), NOW), expected);
        }
    }

    #[test]
    fn a_time_is_an_instant_a_day_or_how_long_ago() {
        let at = |millis| Ok(When::At(LocalMillis::new(millis)));
        let ago = |seconds| Ok(When::Ago(Duration::from_secs(seconds)));
        for (text, expected) in [
            ("2026-02-24T10:31:48Z", at(1_771_929_108_000)),
            ("2026-02-24T11:31:48+01:00", at(1_771_929_108_000)),
            ("2026-02-24", at(1_771_891_200_000)),
            ("2h", ago(7_200)),
            ("1d 6h", ago(108_000)),
        ] {
            assert_eq!(When::parse(text), expected, "{text}");
        }
        for text in ["yesterday", "2026-02-24T10:31:48", "0s", "-2h", "", "5"] {
            assert!(When::parse(text).unwrap_err().contains("how long ago"), "{text}");
        }
    }
}
