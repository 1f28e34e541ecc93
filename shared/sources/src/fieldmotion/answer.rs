//! Reads FieldMotion's answers: lists of changed ids, and single rows.
//!
//! Shapes: the vendor writes down neither, so every shape that PHP makes of them is read. What is none of these shapes is
//! an error. Nothing that is in doubt is read as "no changes" or as "gone": the one would hide an outage, the
//! other would delete a record.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use tidemark_engine::change::Change;
use tidemark_engine::record::{Body, RecordId};

use crate::json::{Malformed, scalar_id};

/// The most ids that one list may hold; what is beyond cannot be worked off in one run's memory.
const IDS_MAX: usize = 2_000_000;

/// A list answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    /// The changed ids in the vendor's order, each once.
    pub(super) changes: Vec<Change>,
    /// Entries without a usable id.
    pub(super) unusable_count: usize,
}

/// A detail answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A row.
    Found {
        /// The id it bears.
        id: RecordId,
        /// Its JSON text, exactly as received.
        body: Body,
        /// What its `last_edited` says, if it is a text.
        last_edited: Option<String>,
    },
    /// There is none.
    Gone,
}

/// The text of an answer that reports an error: an object with `error`, or a bare text. `None` for anything else.
pub(super) fn error_text(json: &str) -> Option<String> {
    match json.trim_ascii_start().bytes().next() {
        Some(b'"') => serde_json::from_str(json).ok(),
        Some(b'{') => {
            let error = Members::of(json).ok()?.error?;
            Some(serde_json::from_str(error.get()).unwrap_or_default())
        }
        _ => None,
    }
}

/// Reads a list: `["1","2"]`, `[1,2]`, `[{"id":"1"}]`, or `{"0":"1","2":"3"}`, which PHP makes of an array with gaps.
///
/// `{}` is a list only if `empty_object` says so. Numbers keep their digits, however many; texts keep their zeros.
pub(super) fn ids(json: &str, empty_object: bool) -> Result<Ids, Malformed> {
    ids_up_to(IDS_MAX, json, empty_object)
}

fn ids_up_to(count_max: usize, json: &str, empty_object: bool) -> Result<Ids, Malformed> {
    let mut parser = serde_json::Deserializer::from_str(json);
    let collected = parser.deserialize_any(IdVisitor { count_max }).map_err(|error| match error.classify() {
        Category::Data => Malformed::Shape("not a list of ids, or too long a one"),
        Category::Io | Category::Syntax | Category::Eof => Malformed::NotJson,
    })?;
    parser.end().map_err(|_| Malformed::NotJson)?;
    let Collected { ids: Ids { mut changes, unusable_count }, is_object } = collected;
    if changes.is_empty() && unusable_count == 0 && is_object && !empty_object {
        return Err(Malformed::Shape("an empty object, which is no list"));
    }
    if changes.is_empty() && unusable_count > 0 {
        return Err(Malformed::Shape("a list in which no entry has a usable id"));
    }
    let mut seen = HashSet::with_capacity(changes.len());
    let first_time: Vec<bool> = changes.iter().map(|change| seen.insert(&change.id)).collect();
    let mut first_time = first_time.into_iter();
    changes.retain(|_| first_time.next().unwrap_or(true));
    Ok(Ids { changes, unusable_count })
}

/// Reads a row: an object with `id`, an array of one such, or an object of one such under its id. `null`, `false`, `[]`
/// and `{"<id>":null}` and its like are "gone"; `{}` is only if `empty_object` says so.
pub(super) fn row(json: &str, asked: &RecordId, empty_object: bool) -> Result<Row, Malformed> {
    let json = json.trim_ascii();
    if is_nothing(json) {
        return Ok(Row::Gone);
    }
    match json.bytes().next() {
        Some(b'{') => {
            let members = Members::of(json)?;
            if members.id.is_some() {
                return found(json, &members);
            }
            match members.only {
                None if members.count == 0 && empty_object => Ok(Row::Gone),
                Some((key, value)) if members.count == 1 && (key == asked.as_str() || is_digits(&key)) => {
                    if is_nothing(value.get()) {
                        return Ok(Row::Gone);
                    }
                    found(value.get(), &Members::of(value.get())?)
                }
                _ => Err(Malformed::Shape("an object without an id")),
            }
        }
        Some(b'[') => {
            let rows: OneAtMost =
                serde_json::from_str(json).map_err(|_| Malformed::Shape("an array of several rows"))?;
            let row = rows.0.ok_or(Malformed::Shape("an array of several rows"))?.get();
            found(row, &Members::of(row)?)
        }
        _ => Err(Malformed::Shape("neither a row nor an empty answer")),
    }
}

fn found(json: &str, members: &Members<'_>) -> Result<Row, Malformed> {
    let id = members.id.and_then(|id| scalar_id(id.get())).ok_or(Malformed::Shape("a row without a usable id"))?;
    let last_edited = members.last_edited.and_then(|text| serde_json::from_str(text.get()).ok());
    Ok(Row::Found { id, body: Body::new(json), last_edited })
}

/// What PHP answers when there is no row.
fn is_nothing(json: &str) -> bool {
    let inner = json.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    json == "null" || json == "false" || inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

fn is_digits(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// The id that a list's entry is or bears.
fn entry_id(entry: &str) -> Option<RecordId> {
    if entry.starts_with('{') { scalar_id(Members::of(entry).ok()?.id?.get()) } else { scalar_id(entry) }
}

/// The members of an object that matter here; of a name written twice the last one counts, as in PHP.
#[derive(Default)]
struct Members<'a> {
    id: Option<&'a RawValue>,
    last_edited: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    count: usize,
    only: Option<(String, &'a RawValue)>,
}

impl<'a> Members<'a> {
    fn of(json: &'a str) -> Result<Self, Malformed> {
        let mut parser = serde_json::Deserializer::from_str(json);
        parser.deserialize_map(MembersVisitor).map_err(|_| Malformed::Shape("no object where a row should be"))
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            members.count += 1;
            match key.as_str() {
                "id" => members.id = Some(value),
                "last_edited" => members.last_edited = Some(value),
                "error" => members.error = Some(value),
                _ => {}
            }
            members.only = Some((key, value));
        }
        Ok(members)
    }
}

/// The entry of an array that has one at most.
struct OneAtMost<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for OneAtMost<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Option<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let first = entries.next_element()?;
                if entries.next_element::<&RawValue>()?.is_some() {
                    return Err(A::Error::custom("several"));
                }
                Ok(first)
            }
        }

        deserializer.deserialize_seq(Entries).map(Self)
    }
}

struct Collected {
    ids: Ids,
    is_object: bool,
}

/// Takes ids one by one: a list of a million of them is never held as JSON values.
struct IdVisitor {
    count_max: usize,
}

impl Ids {
    /// Takes one entry; false when that is one too many.
    fn take(&mut self, entry: &str, count_max: usize) -> bool {
        match entry_id(entry) {
            Some(id) => self.changes.push(Change::of(id)),
            None => self.unusable_count += 1,
        }
        self.changes.len() + self.unusable_count <= count_max
    }
}

impl<'de> Visitor<'de> for IdVisitor {
    type Value = Collected;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} ids", self.count_max)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Collected, A::Error> {
        let mut ids = Ids::default();
        while let Some(entry) = entries.next_element::<&RawValue>()? {
            if !ids.take(entry.get(), self.count_max) {
                return Err(A::Error::custom("too long"));
            }
        }
        Ok(Collected { ids, is_object: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Collected, A::Error> {
        let mut ids = Ids::default();
        while let Some((key, entry)) = entries.next_entry::<String, &RawValue>()? {
            // Only positions make an object a list; `{"ok":1}` is none.
            if !is_digits(&key) {
                return Err(A::Error::custom("no list"));
            }
            if !ids.take(entry.get(), self.count_max) {
                return Err(A::Error::custom("too long"));
            }
        }
        Ok(Collected { ids, is_object: true })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::checked;

    fn id(text: &str) -> RecordId {
        RecordId::parse(text).unwrap()
    }

    fn listed(json: &str) -> Vec<String> {
        let ids = ids(json, false).unwrap();
        assert_eq!(ids.unusable_count, 0, "{json}");
        ids.changes.iter().map(|change| change.id.as_str().to_owned()).collect()
    }

    fn read(json: &str) -> Result<Row, Malformed> {
        row(&checked(json.as_bytes().to_vec())?, &id("683138"), false)
    }

    fn body_of(json: &str) -> (String, String, Option<String>) {
        match read(json) {
            Ok(Row::Found { id, body, last_edited }) => (id.as_str().to_owned(), body.text().to_owned(), last_edited),
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn lists_come_in_four_shapes() {
        for json in
            [r#"["1","2"]"#, "[1,2]", r#"[{"id":"1"},{"name":"x","id":2}]"#, r#"{"0":"1","2":"2"}"#, " [ 1 ,\n2 ] "]
        {
            assert_eq!(listed(json), ["1", "2"], "{json}");
        }
        assert_eq!(listed("[]"), [""; 0]);
    }

    #[test]
    fn ids_are_kept_to_the_digit_and_deduplicated_exactly() {
        let json = r#"["007",7,"7",9007199254740993,"9007199254740993",18446744073709551616000,-5,1.50,"a#b \u00e9\ud83d\ude00"]"#;
        assert_eq!(listed(json), ["007", "7", "9007199254740993", "18446744073709551616000", "-5", "1.50", "a#b é😀"]);
    }

    #[test]
    fn entries_without_a_usable_id_are_counted() {
        let long = "x".repeat(1025);
        let json = format!(r#"["1","","{long}",null,true,[["2"]],{{"name":"x"}},{{"id":["3"]}},"\ud800"]"#);
        let ids = ids(&json, false).unwrap();
        assert_eq!(ids.unusable_count, 8);
        assert_eq!(ids.changes, [Change::of(id("1"))]);
    }

    #[test]
    fn what_is_no_list_is_never_no_changes() {
        for json in [
            "null",
            "false",
            "true",
            "0",
            r#""x""#,
            "{}",
            r#"{"ok":1}"#,
            r#"{"items":[]}"#,
            "[null]",
            r#"[{"error":"x"}]"#,
        ] {
            assert!(matches!(ids(json, false), Err(Malformed::Shape(_))), "{json}");
        }
        for json in ["[1,2", r#"["1","2"#, "[1,]", "[1] [2]", "[1]<html>"] {
            assert_eq!(ids(json, false), Err(Malformed::NotJson), "{json}");
        }
        assert_eq!(ids("{}", true), Ok(Ids::default()));
    }

    #[test]
    fn a_list_without_end_is_refused() {
        assert_eq!(ids_up_to(3, "[1,2,3]", false).unwrap().changes.len(), 3);
        for json in ["[1,2,3,4]", "[1,1,1,1]", "[1,2,3,null]", r#"{"0":1,"1":2,"2":3,"3":4}"#] {
            assert_eq!(
                ids_up_to(3, json, false),
                Err(Malformed::Shape("not a list of ids, or too long a one")),
                "{json}"
            );
        }
    }

    #[test]
    fn bodies_that_are_no_json_are_told_apart() {
        for (body, why) in [
            (&b""[..], Malformed::Empty),
            (b" \r\n", Malformed::Empty),
            (b"\xef\xbb\xbf", Malformed::Empty),
            (b"<!DOCTYPE html>", Malformed::Html),
            (b"\n<br /><b>Warning</b>: []", Malformed::Html),
            (b"not logged in", Malformed::NotJson),
            (b"{'error':'not logged in'}", Malformed::NotJson),
            (b"[\"\xff\"]", Malformed::NotJson),
            (b"[1,2", Malformed::NotJson),
            (b"[NaN]", Malformed::NotJson),
        ] {
            assert_eq!(checked(body.to_vec()), Err(why), "{body:?}");
        }
        assert_eq!(checked("\u{feff}[1]".into()).unwrap(), "[1]");
    }

    #[test]
    fn deep_answers_are_refused_and_brackets_in_texts_are_not_depth() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(checked(nested(127).into()).is_ok());
        assert_eq!(checked(nested(128).into()), Err(Malformed::Deep));
        assert_eq!(checked(nested(1_000_000).into()), Err(Malformed::Deep));
        assert_eq!(checked("[".repeat(1_000_000).into()), Err(Malformed::Deep));
        let text = format!(r#"{{"id":"683138","x":"\"{}\\"}}"#, "[".repeat(500));
        assert!(checked(text.into()).is_ok());
    }

    #[test]
    fn errors_are_found_in_objects_and_bare_texts() {
        let error = |json: &str| error_text(json);
        assert_eq!(error(r#"{"error":"not logged in"}"#).as_deref(), Some("not logged in"));
        assert_eq!(error(r#" {"ok":0,"error":{"code":1}}"#).as_deref(), Some(""));
        assert_eq!(error(r#"{"error":null}"#).as_deref(), Some(""));
        assert_eq!(error(r#""not logged in""#).as_deref(), Some("not logged in"));
        for json in ["[]", "null", "{}", r#"{"id":"1","meta":{"error":"x"}}"#, r#"[{"error":"x"}]"#] {
            assert_eq!(error(json), None, "{json}");
        }
    }

    #[test]
    fn a_row_is_kept_byte_for_byte_in_every_shape() {
        let row = r#"{ "id":"683138", "price":1e400,"n":1.0,"x":"a\/b\u00e9\ud800", "last_edited":"2024-09-22 12:25:58","x":2 }"#;
        for json in [
            row.to_owned(),
            format!(" \n{row}\n"),
            format!("[ {row} ]"),
            format!(r#"{{"683138": {row}}}"#),
            format!(r#"{{"0":{row}}}"#),
        ] {
            let stamp = Some("2024-09-22 12:25:58".to_owned());
            assert_eq!(body_of(&json), ("683138".to_owned(), row.to_owned(), stamp), "{json}");
        }
    }

    #[test]
    fn a_rows_id_is_the_one_it_bears() {
        assert_eq!(body_of(r#"{"id":683138}"#).0, "683138");
        assert_eq!(body_of(r#"{"id":"7"}"#).0, "7");
        assert_eq!(body_of(r#"[{"id":9007199254740993}]"#).0, "9007199254740993");
        assert_eq!(body_of(r#"{"683138":{"id":"7"}}"#).0, "7");
    }

    #[test]
    fn a_stamp_that_is_no_text_is_none() {
        for stamp in ["null", "0", "1446481080", "[]", "{}", "false"] {
            assert_eq!(body_of(&format!(r#"{{"id":"1","last_edited":{stamp}}}"#)).2, None, "{stamp}");
        }
        assert_eq!(body_of(r#"{"id":"1","last_edited_e":"0"}"#).2, None);
    }

    #[test]
    fn no_row_means_gone() {
        for json in ["null", "false", "[]", " [ ]\n", r#"{"683138":null}"#, r#"{"683138":[]}"#, r#"{"683138":false}"#] {
            assert_eq!(read(json), Ok(Row::Gone), "{json}");
        }
        assert_eq!(row("{}", &id("1"), true), Ok(Row::Gone));
    }

    #[test]
    fn what_is_no_row_is_malformed_and_never_gone() {
        for json in [
            "{}",
            "true",
            "0",
            r#"{"ok":1,"unexpected":[[1],[2,null]]}"#,
            r#"{"name":"x"}"#,
            r#"{"id":null}"#,
            r#"{"id":""}"#,
            r#"{"id":["1"]}"#,
            r#"[{"id":"1"},{"id":"2"}]"#,
            "[null]",
            "[[]]",
            r#"["683138"]"#,
            r#"{"name":{"id":"1"}}"#,
            r#"{"683138":"x"}"#,
            r#"{"683138":{"name":"x"}}"#,
        ] {
            assert!(matches!(read(json), Err(Malformed::Shape(_))), "{json}: {:?}", read(json));
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(text) = checked(body) {
                let _error = error_text(&text);
                let _ids = ids(&text, false);
                let _row = row(&text, &id("1"), false);
            }
        }

        #[test]
        fn no_json_like_input_makes_it_panic(text in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}") {
            if let Ok(text) = checked(text.into_bytes()) {
                let _error = error_text(&text);
                let _ids = ids(&text, false);
                let _row = row(&text, &id("1"), false);
            }
        }

        #[test]
        fn every_id_that_can_be_kept_is_read_back(texts in proptest::collection::hash_set("\\PC{1,20}", 0..20)) {
            let texts: Vec<String> = texts.into_iter().collect();
            prop_assert_eq!(listed(&serde_json::to_string(&texts).unwrap()), texts);
        }

        /// A list cut anywhere is a failure, never a shorter list.
        #[test]
        fn a_list_cut_short_is_refused(count in 1..50_usize, at in any::<prop::sample::Index>()) {
            let json = serde_json::to_string(&(0..count).collect::<Vec<_>>()).unwrap();
            let cut = json.get(..at.index(json.len())).unwrap();
            prop_assert!(checked(cut.as_bytes().to_vec()).is_err());
        }
    }
}
