//! Whose words an unsuccessful answer has.
//!
//! "Rejected", "no right", "not there" and "refused" are believed only when the vendor itself says so. What stands before
//! a vendor (a gateway, a firewall, a load balancer) answers with the same statuses, and knows nothing of records.

use std::fmt;

use reqwest::header::{HeaderMap, SERVER};

use super::body;
use crate::json;

/// How a source knows its vendor's own error: from the JSON text of an answer, which may be cut short and closed again.
pub(crate) type OwnError = fn(&str) -> bool;

/// Whose words an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// The vendor's: an error of its own shape.
    Vendors,
    /// Nobody's: there is no body.
    Nobodys,
    /// An HTML page.
    Page,
    /// Text that is no JSON.
    Text,
    /// JSON that is not an error of the vendor.
    OtherJson,
}

/// What probably answered in the vendor's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocker {
    /// A list of addresses that may call.
    AllowList,
    /// A firewall, or a protection against bots.
    Firewall,
}

/// What texts of allow-lists say, in lower case.
const ALLOW_LIST: &[&str] = &[
    "ip address",
    "ip not allowed",
    "ip is not allowed",
    "ip restricted",
    "your ip",
    "client ip",
    "whitelist",
    "white-list",
    "allowlist",
    "allow-list",
    "allow list",
];
/// What pages of firewalls say, in lower case.
const FIREWALL: &[&str] = &[
    "attention required",
    "captcha",
    "cloudflare",
    "checking your browser",
    "enable javascript and cookies",
    "incapsula",
    "imperva",
    "akamai",
    "sucuri",
    "mod_security",
    "modsecurity",
    "not acceptable!",
    "request blocked",
    "request could not be satisfied",
    "request was blocked",
    "requested url was rejected",
    "web application firewall",
    "you have been blocked",
    "unusual traffic",
];
/// Headers that only firewalls send.
const FIREWALL_HEADERS: &[&str] = &["cf-mitigated", "x-sucuri-block", "x-iinfo", "x-amzn-waf-action"];

impl Words {
    /// Whose words the start of a body is.
    pub(super) fn of(start: &[u8], own: OwnError) -> Self {
        if body::error_text(start, own).is_some() {
            return Self::Vendors;
        }
        let text = String::from_utf8_lossy(json::without_marks(start));
        let text = text.trim();
        match text.chars().next() {
            None => Self::Nobodys,
            Some('<') => Self::Page,
            Some(_) if json::completed(text).is_some() => Self::OtherJson,
            Some(_) => Self::Text,
        }
    }
}

/// What came instead of the vendor's own error.
impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vendors => "its own error",
            Self::Nobodys => "no text",
            Self::Page => "an HTML page",
            Self::Text => "text that is no JSON",
            Self::OtherJson => "JSON that is not an error of the vendor",
        })
    }
}

impl Blocker {
    /// What probably answered, by the headers and the start of the body.
    pub(super) fn of(headers: &HeaderMap, start: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(start).to_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        if says(ALLOW_LIST) {
            return Some(Self::AllowList);
        }
        let is_known = headers.get(SERVER).is_some_and(|server| server.as_bytes().starts_with(b"AkamaiGHost"))
            || FIREWALL_HEADERS.iter().any(|name| headers.contains_key(*name));
        (is_known || says(FIREWALL)).then_some(Self::Firewall)
    }

    /// What a person can do.
    pub(super) const fn next_step(self) -> &'static str {
        match self {
            Self::AllowList => ALLOW_LIST_STEP,
            Self::Firewall => {
                "a firewall before the vendor stops these calls: ask the vendor to let this integration through"
            }
        }
    }
}

/// What texts of "not found" call an address that leads nowhere, in lower case.
const ADDRESS: [&str; 10] =
    ["endpoint", "route", "url", "uri", "path", "page", "method", "controller", "handler", "version"];

/// Whether a "not found" speaks of the address that was called, and so says nothing of a record.
pub(crate) fn speaks_of_address(text: &str) -> bool {
    let text = text.to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).any(|word| ADDRESS.contains(&word.strip_suffix('s').unwrap_or(word)))
}

/// What a person can do about a list of addresses that may call.
pub(crate) const ALLOW_LIST_STEP: &str =
    "have the address that these functions call from put on the vendor's list of allowed addresses";

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::json::Object;

    fn own(json: &str) -> bool {
        Object::of(json).is_some_and(|object| object.text("error").is_some())
    }

    #[test]
    fn only_the_vendors_own_shape_is_its_word() {
        for (body, words) in [
            (r#"{"error":"no"}"#, Words::Vendors),
            ("\u{feff} {\"error\":\"no\"}\n", Words::Vendors),
            (r#"{"error":"a long text that was cut sho"#, Words::Vendors),
            ("", Words::Nobodys),
            (" \r\n", Words::Nobodys),
            ("<html>404</html>", Words::Page),
            ("404 page not found", Words::Text),
            ("{'error':'no'}", Words::Text),
            ("{}", Words::OtherJson),
            ("null", Words::OtherJson),
            (r#"{"message":"Missing Authentication Token"}"#, Words::OtherJson),
            (r#"[{"error":"no"}]"#, Words::OtherJson),
        ] {
            assert_eq!(Words::of(body.as_bytes(), own), words, "{body}");
        }
        assert_eq!(Words::of(b"{\"error\":\"caf\xe9\"}", own), Words::Vendors, "the bytes of another encoding");
    }

    #[test]
    fn an_address_that_leads_nowhere_is_no_record() {
        for text in ["Endpoint not found", "no route matches", "Unknown URL: GET /jobs/7", "API version not found"] {
            assert!(speaks_of_address(text), "{text}");
        }
        for text in ["Job not found.", "no job 7", "The requested resource could not be found", "curly", ""] {
            assert!(!speaks_of_address(text), "{text}");
        }
    }

    #[test]
    fn firewalls_and_allow_lists_are_known_by_what_they_say() {
        let blocker = |body: &str| Blocker::of(&HeaderMap::new(), body.as_bytes());
        assert_eq!(blocker("<html>Your IP address 10.1.2.3 is not allowed</html>"), Some(Blocker::AllowList));
        assert_eq!(blocker("Forbidden: not in whitelist"), Some(Blocker::AllowList));
        assert_eq!(blocker("<title>Attention Required! | Cloudflare</title>"), Some(Blocker::Firewall));
        assert_eq!(
            blocker("The requested URL was rejected. Please consult with your administrator."),
            Some(Blocker::Firewall)
        );
        assert_eq!(blocker("<html><h1>403 Forbidden</h1>nginx</html>"), None);
        let mut headers = HeaderMap::new();
        headers.insert("cf-mitigated", HeaderValue::from_static("challenge"));
        assert_eq!(Blocker::of(&headers, b""), Some(Blocker::Firewall));
    }
}
