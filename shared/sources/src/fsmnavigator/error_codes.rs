//! What the vendor's error codes mean.
//!
//! An answer with `success` other than `true` has failed, whatever its status. Its `error` is a code, of which the
//! vendor's visible pages show one, `rate_limit_exceeded`; the others here are what such codes are usually called, and
//! settings.

use tidemark_engine::failure::FailureClass;

use crate::credential::Credential;
use crate::http::{ALLOW_LIST_STEP, Purpose, speaks_of_address};
use crate::json::Object;
use crate::settings::{Settings, texts};

/// What is shown of a code that is not a plain word.
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

/// The code of a call from an address that may not call.
const IP_NOT_ALLOWED: &str = "ip_not_allowed";

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
    /// How many seconds the body asks for no calls.
    pub(super) retry_after_seconds: Option<u64>,
    /// Whether it has the vendor's own shape. Others before the vendor report failures, too, in shapes of their own.
    is_own: bool,
    /// Whether its message speaks of the address that was called.
    is_of_address: bool,
}

/// Whether an answer is an error of the vendor's own shape.
pub(super) fn is_own_error(json: &str) -> bool {
    Object::of(json).and_then(|body| Reported::of(&body)).is_some_and(|reported| reported.is_own)
}

impl Reported {
    /// The failure that an answer reports, if it reports one: `success` is there and not `true`, or it is not there but
    /// an `error` in words is.
    ///
    /// The vendor's own are `{"success":false,"error":"..","message":".."}`, and in the reference's dialect, which may leave
    /// out `success`, a code with the id of the request: a code with a message alone is what others write, too.
    pub(super) fn of(body: &Object<'_>) -> Option<Self> {
        let code = body.text("error").unwrap_or_default();
        let success = body.get("success");
        let has_succeeded = |success| matches!(success, "true" | "1" | "\"true\"" | "\"1\"");
        let is_failed = success.map_or(!code.is_empty(), |success| !has_succeeded(success));
        let is_own = match success {
            Some(success) => success == "false" && !code.is_empty(),
            // A row that has a member of that name is none.
            None => is_code(&code) && body.text("request_id").is_some() && body.get("id").is_none(),
        };
        is_failed.then(|| Self {
            code,
            retry_after_seconds: body.count("retry_after"),
            is_own,
            is_of_address: speaks_of_address(&body.text("message").unwrap_or_default()),
        })
    }

    /// What a person can do, where the code says more than what it means.
    pub(super) fn next_step(&self) -> Option<&'static str> {
        (self.is_own && self.code == IP_NOT_ALLOWED).then_some(ALLOW_LIST_STEP)
    }

    /// The code for logs: letters and `_` alone, so that it is a word and no sentence, id, address or key.
    pub(super) fn shown(&self, credential: &Credential<1>) -> &str {
        let is_shown = self.code.is_empty() || is_code(&self.code);
        if is_shown && !credential.is_shown_in(&self.code) { &self.code } else { NOT_SHOWN }
    }
}

fn is_code(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (1..=SHOWN_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
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
                &["forbidden", "insufficient_scope", "missing_scope", "insufficient_permissions", IP_NOT_ALLOWED],
            ),
            gone: take("gone_error_codes", &["not_found", "resource_not_found", "record_not_found"]),
        }
    }

    /// What a reported failure means: nothing unless it is the vendor's own, and "gone" only of a record.
    pub(super) fn meaning(&self, reported: &Reported, purpose: Purpose) -> Meaning {
        let is_among = |codes: &[String]| reported.is_own && codes.contains(&reported.code);
        if is_among(&self.throttled) {
            Meaning::Failed(FailureClass::Throttled { retry_after: None })
        } else if is_among(&self.auth) {
            Meaning::Failed(FailureClass::Unauthorized)
        } else if is_among(&self.forbidden) {
            Meaning::Failed(FailureClass::Forbidden)
        } else if purpose == Purpose::Detail && is_among(&self.gone) && !reported.is_of_address {
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
            r#"{"success":"no"}"#,
            r#"{"error":"oops"}"#,
        ] {
            assert!(reported(json).is_some(), "{json}");
        }
        for json in [
            r#"{"success":true}"#,
            r#"{"success":1,"jobs":[]}"#,
            r#"{"success":"true"}"#,
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
    fn only_the_vendors_own_shape_is_its_own_error() {
        for json in [
            r#"{"success":false,"error":"not_found","message":"Job not found."}"#,
            r#"{"success":false,"error":"Invalid page"}"#,
            r#"{"error":"not_found","message":"Job not found.","request_id":"a1b2c3d4e5f6"}"#,
        ] {
            assert!(is_own_error(json), "{json}");
        }
        for json in [
            "{}",
            "null",
            r#"{"success":false}"#,
            r#"{"success":false,"error":null}"#,
            // Gateways, firewalls and frameworks.
            r#"{"success":false,"errors":[{"code":1015,"message":"You are being rate limited"}],"result":null}"#,
            r#"{"timestamp":"2026-01-01","status":404,"error":"Not Found","message":"No message","path":"/api"}"#,
            r#"{"message":"no Route matched with those values"}"#,
            r#"{"message":"Missing Authentication Token"}"#,
            r#"{"error":"not_found"}"#,
            r#"{"error":"not_found","message":"The requested resource was not found."}"#,
            r#"{"statusCode":403,"error":"Forbidden","message":"Forbidden"}"#,
            r#"{"success":true,"error":"not_found","message":"x"}"#,
            r#"{"id":7,"error":"none","message":"a row"}"#,
        ] {
            assert!(!is_own_error(json), "{json}");
        }
    }

    #[test]
    fn the_vendors_sample_is_read_whole() {
        let sample = r#"{"success":false,"error":"rate_limit_exceeded","message":"Too many requests. Please try again later.","retry_after":60}"#;
        let code = "rate_limit_exceeded".to_owned();
        let expected = Reported { code, retry_after_seconds: Some(60), is_own: true, is_of_address: false };
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
            let code = code.to_owned();
            let reported = Reported { code, retry_after_seconds: None, is_own: true, is_of_address: false };
            let code = &reported.code;
            assert_eq!(codes.meaning(&reported, Purpose::List), list, "{code}");
            assert_eq!(codes.meaning(&reported, Purpose::Detail), detail.unwrap_or(list), "{code}");
            if code == "not_found" {
                let of_address = Reported { is_of_address: true, code: code.clone(), ..reported };
                assert_eq!(codes.meaning(&of_address, Purpose::Detail), Meaning::Unknown);
            }
            let of_others = Reported { is_own: false, ..reported };
            assert_eq!(codes.meaning(&of_others, Purpose::Detail), Meaning::Unknown, "{}", of_others.code);
        }
    }

    #[test]
    fn only_codes_are_shown() {
        let credential = Credential::of(["keyoflettersalone"]);
        let reported = |code: &str| {
            let code = code.to_owned();
            Reported { code, retry_after_seconds: None, is_own: true, is_of_address: false }
        };
        let shown = |code: &str| reported(code).shown(&credential).to_owned();
        assert_eq!(shown("rate_limit_exceeded"), "rate_limit_exceeded");
        let long = "x".repeat(65);
        for text in ["no customer jane@example.com", "fsm_live_0123", "line\nbreak", &long, "bad_keyoflettersalone"] {
            assert_eq!(shown(text), NOT_SHOWN);
        }
    }
}
