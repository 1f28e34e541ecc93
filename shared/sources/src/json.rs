//! Reading vendors' JSON: checked before it is believed, and kept as it was received.
//!
//! Nothing here builds a tree of values: members are taken as slices of the text, so that a record's body is stored
//! byte for byte, numbers keep their digits, and a list of a million entries costs what its text costs.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;
use tidemark_engine::record::RecordId;

/// How deep an answer may be nested: the limit of the JSON parser, which it does not apply to text kept as it is.
const DEPTH_MAX: usize = 127;

/// An answer that is not what was asked for. Shows nothing of it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// There is nothing.
    #[error("the answer is empty")]
    Empty,
    /// It is a page for people.
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
}

impl Malformed {
    /// Whether nothing can be read from the answer at all, as in an outage, rather than something else than was asked for.
    pub(crate) fn is_unreadable(self) -> bool {
        match self {
            Self::Empty | Self::Html | Self::NotJson => true,
            Self::Deep | Self::Shape(_) => false,
        }
    }
}

/// Checks that an answer is JSON and not nested too deeply, whatever its shape.
pub(crate) fn checked(body: Vec<u8>) -> Result<String, Malformed> {
    let mut text = String::from_utf8(body).map_err(|_| Malformed::NotJson)?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    let start = text.trim_ascii_start();
    if start.is_empty() {
        return Err(Malformed::Empty);
    }
    if start.starts_with('<') {
        return Err(Malformed::Html);
    }
    if is_deep(&text) {
        return Err(Malformed::Deep);
    }
    serde_json::from_str::<&RawValue>(&text).map_err(|_| Malformed::NotJson)?;
    Ok(text)
}

/// Whether brackets outside of texts are nested too deeply.
fn is_deep(json: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A JSON text or number as an id: a number keeps the digits it is written with.
pub(crate) fn scalar_id(json: &str) -> Option<RecordId> {
    match json.bytes().next()? {
        b'"' => RecordId::parse(serde_json::from_str::<String>(json).ok()?).ok(),
        b'-' | b'0'..=b'9' => RecordId::parse(json).ok(),
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
    fn what_is_neither_object_nor_array_is_neither() {
        for json in ["null", "[1]", "7", r#""x""#, ""] {
            assert!(Object::of(json).is_none(), "{json}");
        }
        assert_eq!(entries(r#"[1, {"a": 2}]"#), Some(vec!["1", r#"{"a": 2}"#]));
        assert_eq!(entries("{}"), None);
    }
}
