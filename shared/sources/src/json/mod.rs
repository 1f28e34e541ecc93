//! Reading vendors' JSON: checked before it is believed, and kept as it was received.
//!
//! Nothing here builds a tree of values: members are taken as slices of the text, so that a record's body is stored
//! byte for byte, numbers keep their digits, and a list of a million entries costs what its text costs.

mod text;

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::record::{ID_BYTES_MAX, RecordId};

pub(crate) use self::text::completed;
use self::text::{mended, within_bounds};
use crate::purpose::Purpose;

/// How deep an answer may be nested: the limit of the JSON parser, which it does not apply to text kept as it is.
const DEPTH_MAX: usize = 127;
/// How many entries or members an array or object may have that is read here: rows of a page, members of a row. Each
/// costs many times its text.
const ENTRIES_MAX: usize = 50_000;
/// Down to which depth they count: what is nested further is kept as text.
const ENTRIES_DEPTH: usize = 4;

/// An answer that is not what was asked for. Shows nothing of it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// There is nothing.
    #[error("the answer is empty")]
    Empty,
    /// It is an HTML page.
    #[error("the answer is HTML, not JSON")]
    Html,
    /// It is not JSON, or only its beginning.
    #[error("the answer is not JSON, or was cut short")]
    NotJson,
    /// It is nested too deeply.
    #[error("the answer is nested more than {DEPTH_MAX} levels deep")]
    Deep,
    /// It is JSON of another shape.
    #[error("the answer is {0}")]
    Shape(&'static str),
    /// An array or object in it has too many entries.
    #[error("the answer has more entries in one list or object than the {ENTRIES_MAX} that are read")]
    Crowded,
    /// It is JSON but for a value that JSON does not have.
    #[error("the answer is JSON but for a value such as NaN, or a text in another encoding than UTF-8")]
    Odd,
}

impl Malformed {
    /// Whether nothing can be read from the answer at all, as in an outage, rather than something else than was asked for.
    pub(crate) fn is_unreadable(self) -> bool {
        match self {
            Self::Empty | Self::Html | Self::NotJson => true,
            Self::Deep | Self::Shape(_) | Self::Crowded | Self::Odd => false,
        }
    }

    /// The failure of a call that was answered so: of a list always the source's; of a record its own, unless the answer
    /// cannot be read at all. `call` names the function or address pattern, never a record.
    pub(crate) fn into_failure(self, call: &str, purpose: Purpose) -> SourceFailure {
        let is_the_records = purpose == Purpose::Detail && !self.is_unreadable();
        let class = if is_the_records { FailureClass::Record } else { FailureClass::Transient };
        SourceFailure::new(class, format!("{call}: {self}")).with_next_step(self.next_step(purpose))
    }

    /// What a person can do.
    pub(crate) const fn next_step(self, purpose: Purpose) -> &'static str {
        match (self, purpose) {
            (Self::Empty, _) => "nothing if it passes; else ask the vendor why it answers nothing",
            (Self::Html, _) => {
                "nothing if it passes (maintenance); else a login page or a firewall answers: compare the base URL, and ask \
                 the vendor to let this integration through"
            }
            (Self::NotJson, _) => "nothing if it passes; else look at the vendor's status page and at the base URL",
            (Self::Deep | Self::Shape(_), Purpose::List) => {
                "the vendor lists in another shape than is known: compare the base URL and the source's settings with its \
                 documentation (docs/sources/)"
            }
            (Self::Deep | Self::Shape(_), Purpose::Detail) => {
                "the vendor shows records in another shape than is known: if it is so for all, compare the source's settings \
                 with its documentation (docs/sources/), else look at this record in the vendor's application"
            }
            (Self::Crowded, Purpose::List) => "ask for smaller pages, if the source has a setting for it",
            (Self::Odd, Purpose::List) => {
                "find the row with the odd value in the vendor's application (a number that is none, a broken text) and \
                 mend it there; the list is read again by itself"
            }
            (Self::Crowded | Self::Odd, Purpose::Detail) => "look at the record in the vendor's application",
        }
    }
}

/// Checks that an answer is JSON, neither nested too deeply nor with too many entries, whatever its shape.
pub(crate) fn checked(body: Vec<u8>) -> Result<String, Malformed> {
    checked_up_to(ENTRIES_MAX, body)
}

/// The same with another limit of entries, for answers that are not read into memory entry by entry.
pub(crate) fn checked_up_to(entries_max: usize, body: Vec<u8>) -> Result<String, Malformed> {
    match read(entries_max, body)? {
        Read::Sound(json) => Ok(json),
        Read::Mended(_) => Err(Malformed::Odd),
    }
}

/// The same, but with `null` in the place of what JSON does not have: for answers of which nothing is stored as it is.
pub(crate) fn tolerated_up_to(entries_max: usize, body: Vec<u8>) -> Result<String, Malformed> {
    match read(entries_max, body)? {
        Read::Sound(json) | Read::Mended(json) => Ok(json),
    }
}

/// JSON as it came, or with `null` in the place of what JSON does not have.
enum Read {
    Sound(String),
    Mended(String),
}

fn read(entries_max: usize, body: Vec<u8>) -> Result<Read, Malformed> {
    let start = without_marks(&body);
    if start.is_empty() {
        return Err(Malformed::Empty);
    }
    if start.starts_with(b"<") {
        return Err(Malformed::Html);
    }
    let body = if start.len() < body.len() { start.to_vec() } else { body };
    within_bounds(&body, entries_max)?;
    let odd = match String::from_utf8(body) {
        Ok(text) if is_json(&text) => return Ok(Read::Sound(text)),
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    mended(&odd).map(Read::Mended).ok_or(Malformed::NotJson)
}

/// A body without what editors put before it: byte order marks, one for each file of a program that has one, and lines
/// between them.
pub(crate) fn without_marks(body: &[u8]) -> &[u8] {
    let mut start = body.trim_ascii_start();
    while let Some(rest) = start.strip_prefix(BYTE_ORDER_MARK) {
        start = rest.trim_ascii_start();
    }
    start
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// A JSON text or number as an id: a number keeps the digits it is written with. A whole one that is written with a
/// fraction of zeros, as tables with gaps make of a column of numbers, is the same id as without.
pub(crate) fn scalar_id(json: &str) -> Option<RecordId> {
    match json.bytes().next()? {
        // Not even read when it is longer than an id can be, each of its bytes escaped.
        b'"' if json.len() > 6 * ID_BYTES_MAX + 2 => None,
        b'"' => RecordId::parse(serde_json::from_str::<String>(json).ok()?).ok(),
        b'-' | b'0'..=b'9' => {
            let whole = json.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|digit| digit == b'0'));
            RecordId::parse(whole.map_or(json, |(whole, _)| whole)).ok()
        }
        _ => None,
    }
}

/// The entries of an array, each as it was received; none when it is no array.
pub(crate) fn entries(json: &str) -> Option<Vec<&str>> {
    let entries: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(entries.into_iter().map(RawValue::get).collect())
}

/// The members of an object, each value as it was received; of a name written twice the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(Vec<(String, &'a str)>);

impl<'a> Object<'a> {
    /// Reads an object; none when it is something else.
    pub(crate) fn of(json: &'a str) -> Option<Self> {
        serde_json::Deserializer::from_str(json).deserialize_map(Members).ok()
    }

    /// The value of a member.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The value of a member that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// The value of a member that is a whole number that is not negative, or a text of its digits.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.get(name)?.trim_matches('"').parse().ok()
    }

    /// The value of a member that is an object.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        Self::of(self.get(name)?)
    }

    /// The value of a member that is usable as an id.
    pub(crate) fn id(&self, name: &str) -> Option<RecordId> {
        scalar_id(self.get(name)?)
    }

    /// The members in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            members.push((name, value.get()));
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_the_text_they_were_received_with() {
        let object = Object::of(r#"{"id":0042.10e1 ,"a":[1, 2],"n":{"b":"x"},"t":"7","a":1.50}"#);
        assert!(object.is_none(), "a number with a leading zero is no JSON");
        let object = Object::of(r#"{"id":42.10e1 ,"a":[1, 2],"n":{"b":"x"},"t":"7","a":1.50}"#).unwrap();
        assert_eq!((object.get("a"), object.get("id")), (Some("1.50"), Some("42.10e1")));
        assert_eq!(object.object("n").and_then(|inner| inner.text("b")).as_deref(), Some("x"));
        assert_eq!((object.count("t"), object.count("n"), object.text("a")), (Some(7), None, None));
        assert_eq!(object.members().map(|(name, _)| name).collect::<Vec<_>>(), ["id", "a", "n", "t", "a"]);
    }

    #[test]
    fn more_entries_than_can_be_read_are_refused() {
        let array = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert!(checked(array(ENTRIES_MAX).into()).is_ok());
        assert_eq!(checked(array(ENTRIES_MAX + 1).into()), Err(Malformed::Crowded));
        let members: Vec<String> = (0..=ENTRIES_MAX).map(|at| format!("\"{at}\":1")).collect();
        let row = format!("{{{}}}", members.join(","));
        assert_eq!(checked(format!("{{\"rows\":[{row}]}}").into()), Err(Malformed::Crowded));
        let deep = format!("[[[[{}]]]]", array(ENTRIES_MAX + 1));
        assert!(checked(deep.into()).is_ok(), "what is kept as text may be as long as it is");
        assert!(checked(format!("[\"{}\"]", ",".repeat(ENTRIES_MAX + 1)).into()).is_ok(), "a text has no entries");
        assert!(checked_up_to(usize::MAX, array(ENTRIES_MAX + 1).into()).is_ok());
    }

    #[test]
    fn an_id_longer_than_any_is_not_even_read() {
        assert_eq!(scalar_id(&format!("\"{}\"", "x".repeat(64 << 10))), None);
        let escaped = format!("\"{}\"", "\\u0061".repeat(ID_BYTES_MAX));
        assert_eq!(scalar_id(&escaped).unwrap().as_str(), "a".repeat(ID_BYTES_MAX));
    }

    #[test]
    fn a_number_is_an_id_to_its_digits_and_a_fraction_of_zeros_is_none() {
        for (json, id) in [
            ("7", "7"),
            ("7.0", "7"),
            ("-5.00", "-5"),
            ("9007199254740993.0", "9007199254740993"),
            ("42.10", "42.10"),
            ("1e2", "1e2"),
            (r#""7.0""#, "7.0"),
        ] {
            assert_eq!(scalar_id(json).unwrap().as_str(), id, "{json}");
        }
    }

    #[test]
    fn each_malformed_answer_has_a_class_and_a_next_step() {
        use FailureClass::{Record, Transient};
        for (malformed, detail) in [
            (Malformed::Empty, Transient),
            (Malformed::Html, Transient),
            (Malformed::NotJson, Transient),
            (Malformed::Deep, Record),
            (Malformed::Shape("odd"), Record),
            (Malformed::Crowded, Record),
            (Malformed::Odd, Record),
        ] {
            let failure = malformed.into_failure("GET /jobs", Purpose::List);
            assert_eq!((failure.class, failure.next_step.is_some()), (Transient, true), "{malformed}");
            let failure = malformed.into_failure("GET /jobs/..", Purpose::Detail);
            assert_eq!((failure.class, failure.next_step.is_some()), (detail, true), "{malformed}");
        }
    }

    #[test]
    fn what_is_neither_object_nor_array_is_neither() {
        for json in ["null", "[1]", "7", r#""x""#, ""] {
            assert!(Object::of(json).is_none(), "{json}");
        }
        assert_eq!(entries(r#"[1, {"a": 2}]"#), Some(vec!["1", r#"{"a": 2}"#]));
        assert_eq!(entries("{}"), None);
    }
}
