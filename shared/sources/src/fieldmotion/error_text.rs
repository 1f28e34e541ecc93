//! What the texts of FieldMotion's error objects mean, and how much of one is shown.
//!
//! The vendor documents few of them, and no code beside them: a text is all there is to go by. It is compared word by
//! word, so that "monkey" is no "key", and every list of words is a setting. What the vendor's own program says when it
//! fails (`Undefined array key "auth"`) comes first: such a text quotes names, and means none of them.
//!
//! A text may quote a record: names, addresses, illnesses. So a word of it is shown only as part of one of these phrases,
//! or if it is the name of a parameter.

use tidemark_engine::failure::FailureClass;

use super::vocabulary;
use crate::http::{ALLOW_LIST_STEP, Purpose};

/// How much of a vendor's text is looked at, and how much of it is shown.
const BYTES_READ: usize = 2 << 10;
const WORDS_SHOWN: usize = 20;

/// Words of the vendor's documented texts that mean nothing by themselves.
const PLAIN_WORDS: [&str; 6] = ["missing", "or", "invalid", "parameter", "parameters", "not"];
/// Parameters that no setting names.
const SIGNATURE: [&str; 3] = ["_api_now", "_api_md5", "_api_id"];

/// Words and phrases that tell one kind of error from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorWords {
    /// The vendor's program failed over what it read.
    pub(super) program: Vec<String>,
    /// Too many calls.
    pub(super) throttled: Vec<String>,
    /// The address that calls is not allowed.
    pub(super) address: Vec<String>,
    /// The credential was rejected.
    pub(super) auth: Vec<String>,
    /// The function does not exist.
    pub(super) unknown_function: Vec<String>,
    /// A field that is asked for does not exist.
    pub(super) unknown_field: Vec<String>,
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
            program: words(vocabulary::PROGRAM),
            throttled: words(vocabulary::THROTTLED),
            address: words(vocabulary::ADDRESS),
            auth: words(vocabulary::AUTH),
            unknown_function: words(vocabulary::UNKNOWN_FUNCTION),
            unknown_field: words(vocabulary::UNKNOWN_FIELD),
            forbidden: words(vocabulary::FORBIDDEN),
            gone: Vec::new(),
            source: words(vocabulary::SOURCE),
        }
    }
}

/// What an error text means for the call it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The call failed.
    Failed {
        /// How.
        class: FailureClass,
        /// What a person can do, where the text says more than the class.
        next_step: Option<&'static str>,
    },
    /// The time of the call was refused, or how it is written.
    TimeRefused,
    /// The record is not there.
    Gone,
    /// It says nothing that is known.
    Unknown,
}

impl Meaning {
    fn class(class: FailureClass) -> Self {
        Self::Failed { class, next_step: None }
    }

    fn of(class: FailureClass, next_step: &'static str) -> Self {
        Self::Failed { class, next_step: Some(next_step) }
    }
}

/// The parameters of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    /// The one that differs with each record.
    pub(super) id: &'a str,
    /// The one for the fields.
    pub(super) fields: &'a str,
    /// Every other one that the settings name.
    pub(super) others: &'a [&'a str],
}

impl Names<'_> {
    fn know(self, word: &str) -> bool {
        word == self.id || word == self.fields || self.others.contains(&word) || SIGNATURE.contains(&word)
    }
}

impl ErrorWords {
    /// What `text` means. One about a parameter is about how every call is made, unless it names the id's.
    pub(super) fn meaning(&self, text: &str, purpose: Purpose, names: Names<'_>) -> Meaning {
        let start = start_of(text);
        let words = words_of(start);
        let names_parameter = |name: &str| words.contains(&name);
        let tokens = tokens(start);
        let says = |phrases: &[String]| phrases.iter().any(|phrase| contains(&tokens, &self::tokens(phrase)));
        let is_of_parameter = tokens.iter().any(|word| word == "parameter" || word == "parameters");
        let is_detail = purpose == Purpose::Detail;
        if is_detail && says(&self.gone) {
            Meaning::Gone
        } else if says(&self.unknown_field) || (is_of_parameter && names_parameter(names.fields)) {
            Meaning::of(FailureClass::Forbidden, FIELDS_STEP)
        } else if says(&self.program) {
            if is_detail {
                Meaning::of(FailureClass::Record, PROGRAM_OF_RECORD_STEP)
            } else {
                Meaning::of(FailureClass::Transient, PROGRAM_OF_LIST_STEP)
            }
        } else if says(&self.throttled) {
            Meaning::class(FailureClass::Throttled { retry_after: None })
        } else if says(&self.address) {
            Meaning::of(FailureClass::Forbidden, ALLOW_LIST_STEP)
        } else if contains(&tokens, &["api".to_owned(), "now".to_owned()]) {
            Meaning::TimeRefused
        } else if says(&self.auth) {
            Meaning::class(FailureClass::Unauthorized)
        } else if says(&self.unknown_function) || (!is_detail && says(&self.forbidden)) {
            Meaning::class(FailureClass::Forbidden)
        } else if says(&self.source) {
            Meaning::class(FailureClass::Transient)
        } else if is_of_parameter && !names_parameter(names.id) {
            Meaning::of(FailureClass::Forbidden, PARAMETER_STEP)
        } else {
            Meaning::Unknown
        }
    }

    /// Whether `text` looks like a rejected credential.
    pub(super) fn is_auth(&self, text: &str) -> bool {
        let text = tokens(start_of(text));
        self.auth.iter().any(|phrase| contains(&text, &tokens(phrase)))
    }

    /// A vendor's text as it may be shown to a person: the phrases of these lists and the names of parameters, `..` for
    /// all else.
    pub(super) fn shown(&self, text: &str, names: Names<'_>) -> String {
        let phrases = [
            &self.program,
            &self.throttled,
            &self.address,
            &self.auth,
            &self.unknown_function,
            &self.unknown_field,
            &self.forbidden,
            &self.gone,
            &self.source,
        ];
        let words = words_of(start_of(text));
        let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        let mut is_known: Vec<bool> = lower.iter().map(|word| PLAIN_WORDS.contains(&word.as_str())).collect();
        for phrase in phrases.into_iter().flatten().map(|phrase| tokens(phrase)).filter(|phrase| !phrase.is_empty()) {
            for (at, window) in lower.windows(phrase.len()).enumerate() {
                if window == phrase {
                    is_known.iter_mut().skip(at).take(phrase.len()).for_each(|known| *known = true);
                }
            }
        }
        let mut shown: Vec<&str> = Vec::new();
        for ((word, lower), is_known) in words.into_iter().zip(&lower).zip(is_known) {
            let word = if names.know(word) {
                word
            } else if is_known {
                lower
            } else {
                WITHHELD
            };
            if word == WITHHELD && shown.last() == Some(&WITHHELD) {
                continue;
            }
            if shown.len() == WORDS_SHOWN {
                shown.push(WITHHELD);
                break;
            }
            shown.push(word);
        }
        shown.join(" ")
    }
}

/// What stands for words that are not shown.
const WITHHELD: &str = "..";

const FIELDS_STEP: &str =
    "the vendor refuses a field that is asked for: set the stream's \"fields\" in FieldMotionSettings to those it has";
const PARAMETER_STEP: &str = "the vendor refuses how it is called: compare the parameters' names in FieldMotionSettings (list_parameter, \
     id_parameter, rows_parameter, jobs_form_id) with its documentation";
const PROGRAM_OF_RECORD_STEP: &str = "the vendor's program fails over this record: look at it in FieldMotion, or report it to the vendor; it is tried \
     again by itself";
const PROGRAM_OF_LIST_STEP: &str =
    "the vendor's program fails: report it to the vendor if it lasts; nothing is wrong with the credential";

/// The part of a text that is looked at.
fn start_of(text: &str) -> &str {
    text.get(..text.floor_char_boundary(BYTES_READ)).unwrap_or(text)
}

/// The words of a text; `_api_md5` is one.
fn words_of(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect()
}

/// The letters-and-digits words of a text, in lower case: `_api_md5` is two, "api" and "md5".
fn tokens(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn contains(text: &[String], phrase: &[String]) -> bool {
    !phrase.is_empty() && text.windows(phrase.len()).any(|words| words == phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> = Names { id: "id", fields: "fields", others: &["from", "form_id", "last_edited"] };

    /// The class of a text in a list and in a detail; none where it says nothing that is known.
    fn classes(text: &str) -> [Option<FailureClass>; 2] {
        [Purpose::List, Purpose::Detail].map(|purpose| match ErrorWords::default().meaning(text, purpose, NAMES) {
            Meaning::Failed { class, .. } => Some(class),
            Meaning::TimeRefused => Some(FailureClass::Unauthorized),
            Meaning::Unknown => None,
            Meaning::Gone => unreachable!("no word means gone by default"),
        })
    }

    #[test]
    fn error_texts_have_their_classes() {
        use FailureClass::{Forbidden, Record, Throttled, Transient, Unauthorized};
        let throttled = Throttled { retry_after: None };
        let both = |class| [Some(class), Some(class)];
        for (text, expected) in [
            ("not logged in", both(Unauthorized)),
            ("Not Logged-In.", both(Unauthorized)),
            ("missing or invalid parameter: _api_md5", both(Unauthorized)),
            ("missing or invalid parameter: _api_id", both(Unauthorized)),
            ("invalid API key", both(Unauthorized)),
            ("this key has expired", both(Unauthorized)),
            ("auth failed", both(Unauthorized)),
            ("AUTHENTICATION required", both(Unauthorized)),
            ("missing id parameter", [None, None]),
            ("missing or invalid parameter: id", [None, None]),
            ("missing or invalid parameter: from", both(Forbidden)),
            ("missing or invalid parameter: customer_id", both(Forbidden)),
            ("unknown parameters: fields", both(Forbidden)),
            ("Unknown column 'price' in 'field list'", both(Forbidden)),
            ("the monkey's author left a keyboard", [None, None]),
            ("no customer with the key 7", [None, None]),
            ("unknown function", both(Forbidden)),
            ("permission denied", [Some(Forbidden), None]),
            ("Your IP address is not allowed", both(Forbidden)),
            ("API key not whitelisted for 10.1.2.3", both(Forbidden)),
            ("Too many requests, slow down", both(throttled)),
            ("database has gone away", both(Transient)),
            ("customer not found", [None, None]),
            ("", [None, None]),
            // The vendor's program, failing: whatever it quotes is no credential, no right and no function.
            (r#"Undefined array key "price""#, [Some(Transient), Some(Record)]),
            (r#"Undefined array key "auth""#, [Some(Transient), Some(Record)]),
            ("Undefined index: login", [Some(Transient), Some(Record)]),
            ("Duplicate entry '7' for key 'PRIMARY'", [Some(Transient), Some(Record)]),
            (
                "Uncaught TypeError: strlen(): Argument #1 must be of type string, null given",
                [Some(Transient), Some(Record)],
            ),
            ("Call to undefined function Jobs_getById()", both(Forbidden)),
        ] {
            assert_eq!(classes(text), expected, "{text}");
        }
        let meaning = |text| ErrorWords::default().meaning(text, Purpose::List, NAMES);
        assert_eq!(meaning("missing or invalid parameter: _api_now"), Meaning::TimeRefused);
        assert_eq!(meaning("api_now has expired, not logged in"), Meaning::TimeRefused);
    }

    #[test]
    fn causes_that_differ_have_next_steps_that_differ() {
        let step = |text| match ErrorWords::default().meaning(text, Purpose::Detail, NAMES) {
            Meaning::Failed { next_step, .. } => next_step,
            Meaning::TimeRefused | Meaning::Gone | Meaning::Unknown => None,
        };
        assert_eq!(step("Undefined array key \"x\""), Some(PROGRAM_OF_RECORD_STEP));
        assert_eq!(step("your IP is not whitelisted"), Some(ALLOW_LIST_STEP));
        assert_eq!(step("missing or invalid parameter: fields"), Some(FIELDS_STEP));
        assert_eq!(step("missing or invalid parameter: from"), Some(PARAMETER_STEP));
        assert_eq!(step("not logged in"), None);
    }

    #[test]
    fn words_for_gone_count_in_details_alone() {
        let words = ErrorWords { gone: vec!["not found".to_owned()], ..ErrorWords::default() };
        assert_eq!(words.meaning("customer not found", Purpose::Detail, NAMES), Meaning::Gone);
        assert_eq!(words.meaning("customer not found", Purpose::List, NAMES), Meaning::Unknown);
    }

    #[test]
    fn only_known_words_and_parameters_are_shown() {
        let words = ErrorWords { gone: vec!["is archived".to_owned()], ..ErrorWords::default() };
        for (text, expected) in [
            ("missing or invalid parameter: from", "missing or invalid parameter from"),
            ("missing or invalid parameter: _api_now", "missing or invalid parameter _api_now"),
            ("Not logged in!", "not logged in"),
            ("no customer 683138 (jane@example.com, +4412345)", ".."),
            ("bad md5 08f97bd1466d74e2f46e9a083ec6e668", ".. md5 .."),
            ("Undefined array key \"price\"", "undefined array key .."),
            ("line\r\n{\"level\":\"ERROR\"} \u{1b}[31mred \u{2028} busy \u{202e}abc", ".. busy .."),
            ("customer Smith is archived", ".. is archived"),
            ("", ""),
        ] {
            assert_eq!(words.shown(text, NAMES), expected, "{text}");
        }
        assert_eq!(ErrorWords::default().shown(&"busy ".repeat(30), NAMES).split(' ').count(), WORDS_SHOWN + 1);
    }

    #[test]
    fn no_word_of_a_customer_is_shown() {
        let text = "customer Jane Smith (Dr. O'Hara, Allergy: penicillin) is archived";
        assert_eq!(ErrorWords::default().shown(text, NAMES), "..");
        for text in [
            "invalid parameter: Jane Smith",
            "missing parameter \"jane@example.com\"",
            "not logged in: Jane",
            "Undefined array key \"Jane Smith\" in /srv/Smith/jane.php on line 7",
            "SQLSTATE[23000]: Duplicate entry 'Jane' for key 'Smith'",
            "permission denied for Jane Smith",
            "too many requests, Jane",
            "Smith's jobs are not allowed (penicillin)",
            "IP 203.0.113.7 of Jane is not allowed",
            "ungültiger Kunde: Jane\u{a0}Smith",
            "api key of JANE SMITH is invalid",
        ] {
            let shown = ErrorWords::default().shown(text, NAMES).to_lowercase();
            for word in ["jane", "smith", "penicillin", "203", "example", "php"] {
                assert!(!shown.contains(word), "{text}: {shown}");
            }
        }
    }

    #[test]
    fn a_text_without_end_is_looked_at_in_its_first_2_kib() {
        let words = ErrorWords::default();
        let late = format!("{} not logged in", "é".repeat(BYTES_READ));
        assert_eq!(words.meaning(&late, Purpose::List, NAMES), Meaning::Unknown);
        assert_eq!(words.shown(&late, NAMES), "..");
    }
}
