//! What the vendor's error codes mean.
//!
//! An answer with `success` other than `true` has failed, whatever its status. Its `error` is a code, of which the
//! vendor's visible pages show one, `rate_limit_exceeded`; the others here are what such codes are usually called, and
//! settings.

use tidemark_engine::failure::FailureClass;

use crate::credential::Credential;
use crate::http::Purpose;
use crate::json::Object;
use crate::settings::{Settings, texts};

/// What is shown of a code that is no word.
const NOT_SHOWN: &str = "..";
const SHOWN_BYTES_MAX: usize = 64;

/// Codes, by what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorCodes {
    throttled: Vec<String>,
    auth: Vec<String>,
    forbidden: Vec<String>,
    gone: Vec<String>,
}

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is no such record.
    Gone,
    /// A failure of this class.
    Failed(FailureClass),
    /// Nothing that is known.
    Unknown,
}

/// The failure that an answer reports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reported {
    /// Its code; empty when there is none.
    pub(super) code: String,
    /// How many seconds the body asks to be left alone.
    pub(super) retry_after_seconds: Option<u64>,
}

impl Reported {
    /// The failure that an answer reports, if it reports one: `success` is there and not `true`, or it is not there but
    /// an `error` in words is.
    pub(super) fn of(body: &Object<'_>) -> Option<Self> {
        let is_failed = match body.get("success") {
            Some(success) => success != "true",
            None => body.text("error").is_some_and(|error| !error.is_empty()),
        };
        is_failed.then(|| Self {
            code: body.text("error").unwrap_or_default(),
            retry_after_seconds: body.count("retry_after"),
        })
    }

    /// The code for logs: letters and `_` alone, so that it is a word and no sentence, id, address or key.
    pub(super) fn shown(&self, credential: &Credential<1>) -> &str {
        let is_code = self.code.len() <= SHOWN_BYTES_MAX
            && self.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_code && !credential.is_shown_in(&self.code) { &self.code } else { NOT_SHOWN }
    }
}

impl ErrorCodes {
    /// Takes the lists of codes out of the settings.
    pub(super) fn take(settings: &mut Settings) -> Self {
        let mut take = |key, usual: &[&str]| {
            let usual = usual.iter().map(|code| (*code).to_owned()).collect();
            settings.take(key, "a list of error codes", usual, texts)
        };
        Self {
            throttled: take("throttled_error_codes", &["rate_limit_exceeded"]),
            auth: take(
                "auth_error_codes",
                &["unauthorized", "unauthenticated", "authentication_required", "invalid_api_key", "missing_api_key"],
            ),
            forbidden: take(
                "forbidden_error_codes",
                &["forbidden", "insufficient_scope", "missing_scope", "insufficient_permissions", "ip_not_allowed"],
            ),
            gone: take("gone_error_codes", &["not_found"]),
        }
    }

    /// What a reported failure means; "gone" only of a record.
    pub(super) fn meaning(&self, reported: &Reported, purpose: Purpose) -> Meaning {
        let is_among = |codes: &[String]| codes.contains(&reported.code);
        if is_among(&self.throttled) {
            Meaning::Failed(FailureClass::Throttled { retry_after: None })
        } else if is_among(&self.auth) {
            Meaning::Failed(FailureClass::Unauthorized)
        } else if is_among(&self.forbidden) {
            Meaning::Failed(FailureClass::Forbidden)
        } else if purpose == Purpose::Detail && is_among(&self.gone) {
            Meaning::Gone
        } else {
            Meaning::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(json: &str) -> Option<Reported> {
        Reported::of(&Object::of(json).unwrap())
    }

    #[test]
    fn success_that_is_not_true_is_a_failure_and_its_absence_is_not() {
        for json in [
            r#"{"success":false}"#,
            r#"{"success":false,"jobs":[]}"#,
            r#"{"success":null}"#,
            r#"{"success":0}"#,
            r#"{"success":"true"}"#,
            r#"{"error":"oops"}"#,
        ] {
            assert!(reported(json).is_some(), "{json}");
        }
        for json in [
            r#"{"success":true}"#,
            r#"{"success":true,"error":""}"#,
            r#"{"data":[]}"#,
            "{}",
            r#"{"data":[],"error":null}"#,
            r#"{"data":[],"error":""}"#,
            r#"{"data":[],"error":false}"#,
        ] {
            assert!(reported(json).is_none(), "{json}");
        }
    }

    #[test]
    fn the_vendors_sample_is_read_whole() {
        let sample = r#"{"success":false,"error":"rate_limit_exceeded","message":"Too many requests. Please try again later.","retry_after":60}"#;
        let expected = Reported { code: "rate_limit_exceeded".to_owned(), retry_after_seconds: Some(60) };
        assert_eq!(reported(sample), Some(expected));
    }

    #[test]
    fn codes_have_their_meaning_and_only_a_record_can_be_gone() {
        let codes = ErrorCodes::take(&mut Settings::open(r#"{"throttled_error_codes":["daily_quota"]}"#));
        let failed = |class| Meaning::Failed(class);
        for (code, list, detail) in [
            ("daily_quota", failed(FailureClass::Throttled { retry_after: None }), None),
            ("rate_limit_exceeded", Meaning::Unknown, None),
            ("invalid_api_key", failed(FailureClass::Unauthorized), None),
            ("insufficient_scope", failed(FailureClass::Forbidden), None),
            ("not_found", Meaning::Unknown, Some(Meaning::Gone)),
            ("", Meaning::Unknown, None),
        ] {
            let reported = Reported { code: code.to_owned(), retry_after_seconds: None };
            assert_eq!(codes.meaning(&reported, Purpose::List), list, "{code}");
            assert_eq!(codes.meaning(&reported, Purpose::Detail), detail.unwrap_or(list), "{code}");
        }
    }

    #[test]
    fn only_codes_are_shown() {
        let credential = Credential::of(["keyoflettersalone"]);
        let shown =
            |code: &str| Reported { code: code.to_owned(), retry_after_seconds: None }.shown(&credential).to_owned();
        assert_eq!(shown("rate_limit_exceeded"), "rate_limit_exceeded");
        let long = "x".repeat(65);
        for text in ["no customer jane@example.com", "fsm_live_0123", "line\nbreak", &long, "bad_keyoflettersalone"] {
            assert_eq!(shown(text), NOT_SHOWN);
        }
    }
}
