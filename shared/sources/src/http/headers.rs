//! What two response headers say: `Date` and `Retry-After`.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tidemark_engine::clock::{LocalMillis, VendorMillis};

/// The longest wait that is taken over from a vendor; a vendor that asks for more is asked again after this.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// A wrong name of the weekday leaves the instant readable.
const HTTP_DATE: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// When the vendor answered, on its own clock; none when the header is missing or is no HTTP date.
pub(super) fn date(headers: &HeaderMap) -> Option<VendorMillis> {
    instant(text(headers, &DATE)?)
}

/// How long the vendor asks for no calls, at least a second and at most [`RETRY_AFTER_MAX`]. None when it does not say, or
/// says something that is neither a number of seconds nor an HTTP date to come.
///
/// Clock: a date counts from the answer's own `Date`, so that the vendor's clock is compared with itself, else from
/// `now`, the local clock.
///
/// Source: RFC 9110 section 10.2.3.
pub(super) fn retry_after(headers: &HeaderMap, now: LocalMillis) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a long wait, not junk, and 0 is a part of a second.
        let seconds = text.parse().unwrap_or(u64::MAX).max(1);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let until = instant(text)?;
    let wait = until.since(date(headers).unwrap_or(taken_for_vendors(now)));
    (!wait.is_zero()).then(|| wait.min(RETRY_AFTER_MAX))
}

/// The local clock, taken for the vendor's where that does not show.
pub(super) fn taken_for_vendors(now: LocalMillis) -> VendorMillis {
    VendorMillis::new(now.get())
}

/// The text of a header, without space around it.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn instant(text: &str) -> Option<VendorMillis> {
    HTTP_DATE.parse_timestamp(text).ok().map(|instant| VendorMillis::new(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const NOW: LocalMillis = LocalMillis::new(1_767_225_600_000);

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn the_date_is_the_vendors_clock() {
        let date_of = |text| date(&headers(&[(DATE, text)]));
        assert_eq!(date_of("Thu, 01 Jan 2026 00:00:00 GMT"), Some(taken_for_vendors(NOW)));
        assert_eq!(
            date_of("Mon, 01 Jan 2026 00:00:00 GMT"),
            Some(taken_for_vendors(NOW)),
            "the weekday does not matter"
        );
        for junk in ["", "yesterday", "2026-01-01T00:00:00Z", "Thu, 99 Jan 2026 00:00:00 GMT"] {
            assert_eq!(date_of(junk), None, "{junk}");
        }
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn a_wait_is_read_in_both_forms_and_bounded() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, wait) in [
            ("30", seconds(30)),
            ("0", seconds(1)),
            ("000", seconds(1)),
            (" 30 ", seconds(30)),
            ("900", seconds(900)),
            ("901", seconds(900)),
            ("1000000000", seconds(900)),
            ("99999999999999999999999999", seconds(900)),
            ("Thu, 01 Jan 2026 00:02:00 GMT", seconds(120)),
            ("Fri, 01 Jan 2027 00:00:00 GMT", seconds(900)),
            ("Wed, 31 Dec 2025 23:59:59 GMT", None),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("1e9", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(&headers(&[(RETRY_AFTER, text)]), NOW), wait, "{text}");
        }
    }

    #[test]
    fn a_date_to_wait_for_counts_from_the_vendors_own_clock() {
        let both = [(DATE, "Thu, 01 Jan 2026 12:00:00 GMT"), (RETRY_AFTER, "Thu, 01 Jan 2026 12:01:00 GMT")];
        assert_eq!(retry_after(&headers(&both), NOW), Some(Duration::from_mins(1)));
    }
}
