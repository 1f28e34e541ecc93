//! What the texts of FieldMotion's error objects mean.
//!
//! The vendor documents few of them, and no code beside them: a text is all there is to go by. It is compared word by
//! word, so that "monkey" is no "key", and every list of words is a setting.

use tidemark_engine::failure::FailureClass;

use crate::http::Purpose;

/// How much of a vendor's text is ever shown.
const WORDS_SHOWN: usize = 20;
const WORD_CHARS_SHOWN: usize = 32;

/// Words and phrases that tell one kind of error from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorWords {
    /// Too many calls.
    pub(super) throttled: Vec<String>,
    /// The credential was rejected.
    pub(super) auth: Vec<String>,
    /// The function does not exist.
    pub(super) unknown_function: Vec<String>,
    /// The credential may not do this. Read in lists alone: in a detail it may be one record that is not shown.
    pub(super) forbidden: Vec<String>,
    /// The record does not exist. Empty by default: the vendor answers that with no row.
    pub(super) gone: Vec<String>,
    /// The vendor itself is unwell, or the call as such is wrong, whichever record it is for.
    pub(super) source: Vec<String>,
}

impl Default for ErrorWords {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            throttled: words(&["too many requests", "rate limit", "rate limited", "throttled"]),
            auth: words(&[
                "logged in",
                "log in",
                "login",
                "md5",
                "key",
                "auth",
                "authenticate",
                "authenticated",
                "authentication",
                "authorise",
                "authorised",
                "authorisation",
                "authorize",
                "authorized",
                "authorization",
                "unauthorised",
                "unauthorized",
                "unauthenticated",
                "signature",
                "credential",
                "credentials",
            ]),
            unknown_function: words(&[
                "unknown function",
                "invalid function",
                "undefined function",
                "no such function",
                "function not found",
                "function does not exist",
            ]),
            forbidden: words(&[
                "permission",
                "permissions",
                "not permitted",
                "not allowed",
                "forbidden",
                "access denied",
            ]),
            gone: Vec::new(),
            source: words(&[
                "api now",
                "database",
                "timeout",
                "timed out",
                "try again",
                "busy",
                "maintenance",
                "unavailable",
                "overloaded",
                "internal error",
                "server error",
            ]),
        }
    }
}

/// What an error text means for the call it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The call failed.
    Failed(FailureClass),
    /// The record is not there.
    Gone,
}

impl ErrorWords {
    /// What `text` means. One that says nothing known is the record's own in a detail, the source's in a list. One about
    /// a parameter is about how every call is made, unless it names `id_parameter`, which differs with each record.
    pub(super) fn meaning(&self, text: &str, purpose: Purpose, id_parameter: &str) -> Meaning {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let names_id = text.split(|c| !is_word(c)).any(|word| word == id_parameter);
        let text = tokens(text);
        let is_of_parameter = text.iter().any(|word| word == "parameter" || word == "parameters") && !names_id;
        let says = |phrases: &[String]| phrases.iter().any(|phrase| contains(&text, &tokens(phrase)));
        let is_detail = purpose == Purpose::Detail;
        if is_detail && says(&self.gone) {
            return Meaning::Gone;
        }
        Meaning::Failed(if says(&self.throttled) {
            FailureClass::Throttled { retry_after: None }
        } else if says(&self.auth) {
            FailureClass::Unauthorized
        } else if says(&self.unknown_function) || (!is_detail && says(&self.forbidden)) {
            FailureClass::Forbidden
        } else if says(&self.source) {
            FailureClass::Transient
        } else if is_of_parameter {
            FailureClass::Forbidden
        } else if !is_detail {
            FailureClass::Transient
        } else {
            FailureClass::Record
        })
    }

    /// Whether `text` looks like a rejected credential.
    pub(super) fn is_auth(&self, text: &str) -> bool {
        let text = tokens(text);
        self.auth.iter().any(|phrase| contains(&text, &tokens(phrase)))
    }
}

/// The letters-and-digits words of a text, in lower case: `_api_md5` is two, "api" and "md5".
fn tokens(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn contains(text: &[String], phrase: &[String]) -> bool {
    !phrase.is_empty() && text.windows(phrase.len()).any(|words| words == phrase)
}

/// A vendor's text as it may be shown to a person: its plain words. Whatever may be an id, a number, an address, a
/// credential or an escape sequence shows as `..`, so that no personal data leave through an error.
pub(super) fn shown(text: &str) -> String {
    let plain = |word: &&str| {
        word.len() <= WORD_CHARS_SHOWN
            && word.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-:;,.'()!?".contains(&byte))
    };
    let mut words = text.split_ascii_whitespace();
    let mut shown: Vec<&str> =
        words.by_ref().take(WORDS_SHOWN).map(|word| if plain(&word) { word } else { ".." }).collect();
    if words.next().is_some() {
        shown.push("..");
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str, purpose: Purpose) -> FailureClass {
        match ErrorWords::default().meaning(text, purpose, "id") {
            Meaning::Failed(class) => class,
            Meaning::Gone => unreachable!("no word means gone by default"),
        }
    }

    #[test]
    fn error_texts_have_their_classes() {
        use FailureClass::{Forbidden, Record, Throttled, Transient, Unauthorized};
        let throttled = Throttled { retry_after: None };
        for (text, list, detail) in [
            ("not logged in", Unauthorized, Unauthorized),
            ("Not Logged-In.", Unauthorized, Unauthorized),
            ("missing or invalid parameter: _api_md5", Unauthorized, Unauthorized),
            ("invalid API key", Unauthorized, Unauthorized),
            ("auth failed", Unauthorized, Unauthorized),
            ("AUTHENTICATION required", Unauthorized, Unauthorized),
            ("missing id parameter", Transient, Record),
            ("missing or invalid parameter: id", Transient, Record),
            ("missing or invalid parameter: from", Forbidden, Forbidden),
            ("missing or invalid parameter: customer_id", Forbidden, Forbidden),
            ("unknown parameters: fields", Forbidden, Forbidden),
            ("missing or invalid parameter: _api_now", Transient, Transient),
            ("the monkey's author left a keyboard", Transient, Record),
            ("unknown function", Forbidden, Forbidden),
            ("permission denied", Forbidden, Record),
            ("Too many requests, slow down", throttled, throttled),
            ("database has gone away", Transient, Transient),
            ("customer not found", Transient, Record),
            ("", Transient, Record),
        ] {
            assert_eq!(meaning(text, Purpose::List), list, "list: {text}");
            assert_eq!(meaning(text, Purpose::Detail), detail, "detail: {text}");
        }
    }

    #[test]
    fn words_for_gone_count_in_details_alone() {
        let words = ErrorWords { gone: vec!["not found".to_owned()], ..ErrorWords::default() };
        assert_eq!(words.meaning("customer not found", Purpose::Detail, "id"), Meaning::Gone);
        assert_eq!(words.meaning("customer not found", Purpose::List, "id"), Meaning::Failed(FailureClass::Transient));
    }

    #[test]
    fn only_plain_words_are_shown() {
        for (text, expected) in [
            ("missing or invalid parameter: from", "missing or invalid parameter: from"),
            ("no customer 683138 (jane@example.com, +4412345)", "no customer .. .. .."),
            ("bad md5 08f97bd1466d74e2f46e9a083ec6e668", "bad .. .."),
            ("line\r\n{\"level\":\"ERROR\"} \u{1b}[31mred \u{2028} \u{202e}abc", "line .. .. .. .."),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(shown(&"word ".repeat(30)).split(' ').count(), WORDS_SHOWN + 1);
    }
}
