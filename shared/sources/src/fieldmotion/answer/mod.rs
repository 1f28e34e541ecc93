//! Reads FieldMotion's answers: lists of changed ids, lists of rows, and single rows.
//!
//! Shapes: the vendor writes down few, so every shape that PHP makes of them is read, and the usual wrappers. What is none
//! of these shapes is an error. Nothing that is in doubt is read as "no changes" or as "gone": the one would hide an
//! outage, the other would delete a record.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use tidemark_engine::change::Change;
use tidemark_engine::clock::Stamp;
use tidemark_engine::record::{Body, RecordId};

use crate::json::{Malformed, Object, scalar_id};
use crate::rows::{self, Rows, Sent, Shows};
use crate::time;

/// The most ids that one list may hold; what is beyond cannot be worked off in one run's memory.
const IDS_MAX: usize = 2_000_000;

/// Members that hold the list where an answer is an object around it.
const LIST_WRAPPERS: [&str; 16] = [
    "ids",
    "items",
    "data",
    "rows",
    "result",
    "results",
    "records",
    "list",
    "customers",
    "jobs",
    "assets",
    "asset_types",
    "tasks",
    "users",
    "vehicles",
    "departments",
];
/// Members that hold the row where a detail is an object around it.
const ROW_WRAPPERS: [&str; 9] = ["data", "row", "record", "item", "result", "customer", "job", "asset", "task"];
/// Members of the errors that gateways and frameworks write.
const OTHERS: [&str; 7] = ["timestamp", "path", "statusCode", "status", "message", "requestId", "request_id"];
/// Members that say how many entries a list has.
const TOTALS: [&str; 3] = ["total", "total_count", "count"];

/// Members that say how many pages a list has.
const PAGES: [&str; 3] = ["total_pages", "pages", "last_page"];

/// The entries of a list answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entries<T> {
    /// What was listed in the vendor's order; of ids each one once.
    pub(super) taken: Vec<T>,
    /// Entries without a usable id.
    pub(super) unusable_count: usize,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self { taken: Vec::new(), unusable_count: 0 }
    }
}

/// A detail answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A row.
    Found {
        /// The id in it.
        id: RecordId,
        /// Its JSON text, exactly as received.
        body: Body,
        /// What its `last_edited` says, if it is a text.
        last_edited: Option<String>,
    },
    /// There is none: the vendor says so in one of its documented ways.
    Gone,
    /// There is none, in a way that is documented nowhere.
    Missing,
}

/// The text of an answer that is an error: an object with `error`, and nothing that others write beside it. Empty for an
/// error that is no text.
/// `None` for anything else, a row with a field of that name which is empty among it.
pub(super) fn error_text(json: &str) -> Option<String> {
    if !json.trim_ascii_start().starts_with('{') {
        return None;
    }
    let members = Members::of(json).ok()?;
    let error = members.error?.get();
    if is_nothing(error) || error == "\"\"" || members.is_of_others {
        return None;
    }
    Some(serde_json::from_str(error).unwrap_or_default())
}

/// Whether an answer is the vendor's own error: the vendor writes a text.
pub(super) fn is_own_error(json: &str) -> bool {
    error_text(json).is_some_and(|text| !text.is_empty())
}

/// Whether a text is what PHP says when a program fails, which it may write before or in the place of an answer.
pub(super) fn is_php_message(body: &[u8]) -> bool {
    const LEVELS: [&str; 8] = [
        "Warning:",
        "Notice:",
        "Deprecated:",
        "Fatal error:",
        "Parse error:",
        "Recoverable error:",
        "Catchable fatal error:",
        "Strict Standards:",
    ];
    let start = String::from_utf8_lossy(body.get(..400).unwrap_or(body)).replace(['\n', '\r', '\t'], " ");
    // `<br />\n<b>Warning</b>:  Undefined ..` where it is written as HTML.
    let plain = ["<br />", "<br>", "<b>", "</b>", "<p>", "PHP "].iter().fold(start, |text, tag| text.replace(tag, ""));
    // A debugger that is on writes a table instead.
    plain.contains("xdebug-error") || LEVELS.iter().any(|level| plain.trim_start().starts_with(level))
}

/// Reads a list of ids: `["1","2"]`, `[1,2]`, `[{"id":"1"}]`, or `{"0":"1","2":"3"}`, which PHP makes of an array with gaps,
/// bare or in one of the usual wrappers.
///
/// `{}` is a list only if `empty_object` says so. Numbers keep their digits, however many; texts keep their zeros.
pub(super) fn ids(json: &str, empty_object: bool) -> Result<Entries<Change>, Malformed> {
    let mut ids = listed(IDS_MAX, json, empty_object, &|entry| entry_id(entry).map(Change::of))?;
    let mut seen = HashSet::with_capacity(ids.taken.len());
    let is_new: Vec<bool> = ids.taken.iter().map(|change| seen.insert(&change.id)).collect();
    let mut is_new = is_new.into_iter();
    ids.taken.retain(|_| is_new.next().unwrap_or(true));
    Ok(ids)
}

/// Reads a list of rows, in the same shapes, or under their ids. `stamp` reads what their `last_edited` says.
pub(super) fn rows(sent: &Sent, empty_object: bool, stamp: &dyn Fn(&str) -> Option<Stamp>) -> Result<Rows, Malformed> {
    let entries = listed(IDS_MAX, sent.json(), empty_object, &Some)?.taken;
    let rows = rows::judged(sent, &entries, |row| {
        let members = Members::of(row).ok()?;
        let stamp = members.last_edited().and_then(|text| stamp(&text));
        Some((scalar_id(members.id?.get())?, stamp))
    })?;
    Ok(Rows { pages_total: Some(1), ..rows })
}

/// Makes something of an entry; none when it is unusable.
type Take<'a, 'de, T> = &'a dyn Fn(&'de str) -> Option<T>;

fn listed<'de, T>(
    count_max: usize,
    json: &'de str,
    empty_object: bool,
    take: Take<'_, 'de, T>,
) -> Result<Entries<T>, Malformed> {
    let wrapper = Wrapper::of(json);
    let (list, total) = match &wrapper {
        Some(Wrapper { list: Some(list), total, .. }) => (list.get(), *total),
        Some(Wrapper { list: None, .. }) => return Err(Malformed::Shape("an object that holds no list")),
        None => (json, None),
    };
    let shows_nothing = wrapper.is_some() && is_empty(list);
    let around = wrapper.as_ref().and_then(|_| Object::of(json)).unwrap_or_default();
    let shows = match (shows_nothing, total) {
        (false, _) => Shows::Rows,
        (true, Some(_)) => Shows::NoneCounted,
        (true, None) => Shows::Nothing,
    };
    rows::without_errors(&around, shows)?;
    if has_more_pages(&around) {
        return Err(Malformed::Shape("the first of several pages, which are not documented"));
    }
    let is_said_to_be_empty =
        total == Some(0) || wrapper.is_some_and(|wrapper| wrapper.has_succeeded && total.is_none());
    if shows_nothing {
        return if is_said_to_be_empty {
            Ok(Entries::default())
        } else {
            Err(Malformed::Shape("an object that holds no list"))
        };
    }
    let mut parser = serde_json::Deserializer::from_str(list);
    let collected =
        parser.deserialize_any(ListVisitor { count_max, take }).map_err(|error| match error.classify() {
            Category::Data => Malformed::Shape("not a list, or too long a one"),
            Category::Io | Category::Syntax | Category::Eof => Malformed::NotJson,
        })?;
    parser.end().map_err(|_| Malformed::NotJson)?;
    let Collected { entries: Entries { taken, unusable_count }, is_object } = collected;
    let count = taken.len() + unusable_count;
    if count == 0 && is_object && !empty_object {
        return Err(Malformed::Shape("an empty object, which is not a list"));
    }
    if taken.is_empty() && unusable_count > 0 {
        return Err(Malformed::Shape("a list in which no entry has a usable id"));
    }
    if total.is_some_and(|total| total > count) {
        return Err(Malformed::Shape("a list that is shorter than it says"));
    }
    Ok(Entries { taken, unusable_count })
}

/// Whether the object around a list says that there are more pages of it.
fn has_more_pages(around: &Object<'_>) -> bool {
    let says_so = |object: &Object<'_>| {
        rows::names_next(object) || PAGES.iter().any(|name| object.count(name).is_some_and(|pages| pages > 1))
    };
    let mut beside = ["pagination", "meta", "metadata"].iter().filter_map(|name| around.object(name));
    says_so(around) || beside.any(|beside| says_so(&beside))
}

/// Reads a row: an object with `id`, an array of one such, an object of one such under its id, or one in one of the usual
/// wrappers. `null`, `false`, `[]` and `{"<id>":null}` and its like are "gone"; `{}` is only if `empty_object` says so.
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
            if let Some(wrapped) = members.wrapped_row {
                let found = row(wrapped.get(), asked, false)?;
                // Nothing there is documented nowhere.
                return match found {
                    Row::Found { .. } => Ok(found),
                    Row::Gone | Row::Missing => {
                        rows::without_errors(&Object::of(json).unwrap_or_default(), Shows::Nothing)
                            .map(|()| Row::Missing)
                    }
                };
            }
            match members.only {
                None if members.count == 0 && empty_object => Ok(Row::Gone),
                Some((key, value)) if members.count == 1 && (key == asked.as_str() || is_digits(&key)) => {
                    if is_nothing(value.get()) {
                        // Under another id it says nothing of this one.
                        return Ok(if key == asked.as_str() { Row::Gone } else { Row::Missing });
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
    Ok(Row::Found { id, body: Body::new(json), last_edited: members.last_edited() })
}

/// What PHP answers when there is no row.
fn is_nothing(json: &str) -> bool {
    let inner = json.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    json == "null" || json == "false" || inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// Whether a list that an object holds is empty: an empty object is one, too, while `false` is a list that failed.
fn is_empty(json: &str) -> bool {
    let inner = json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    (is_nothing(json) && json != "false") || inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

fn is_digits(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// The id that a list's entry is or has. A time is none: PHP makes `{"<id>":"<time>"}` of two columns.
fn entry_id(entry: &str) -> Option<RecordId> {
    if entry.starts_with('{') {
        return scalar_id(Members::of(entry).ok()?.id?.get());
    }
    let is_time = |id: &RecordId| id.as_str().as_bytes().get(4) == Some(&b'-') && time::naive(id.as_str()).is_some();
    scalar_id(entry).filter(|id| !is_time(id))
}

/// The members of an object that matter here; of a name written twice the last one counts, as in PHP.
#[derive(Default)]
struct Members<'a> {
    id: Option<&'a RawValue>,
    last_edited: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    wrapped_row: Option<&'a RawValue>,
    is_of_others: bool,
    count: usize,
    only: Option<(String, &'a RawValue)>,
}

impl<'a> Members<'a> {
    fn of(json: &'a str) -> Result<Self, Malformed> {
        let mut parser = serde_json::Deserializer::from_str(json);
        parser.deserialize_map(MembersVisitor).map_err(|_| Malformed::Shape("no object where a row should be"))
    }

    /// The stamp, if it is a text.
    fn last_edited(&self) -> Option<String> {
        serde_json::from_str(self.last_edited?.get()).ok()
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
                name if OTHERS.contains(&name) => members.is_of_others = true,
                // Of several the one that shows something.
                name if ROW_WRAPPERS.contains(&name) => {
                    members.wrapped_row =
                        members.wrapped_row.filter(|row| !rows::is_nothing(row.get())).or(Some(value));
                }
                _ => {}
            }
            members.only = Some((key, value));
        }
        Ok(members)
    }
}

/// An object around a list, by its names: one of which every name is a number is the list itself.
#[derive(Default)]
struct Wrapper<'a> {
    list: Option<&'a RawValue>,
    total: Option<usize>,
    has_succeeded: bool,
    is_list: bool,
}

impl<'a> Wrapper<'a> {
    fn of(json: &'a str) -> Option<Self> {
        if !json.trim_ascii_start().starts_with('{') {
            return None;
        }
        let mut parser = serde_json::Deserializer::from_str(json);
        parser.deserialize_map(WrapperVisitor).ok().filter(|wrapper| !wrapper.is_list)
    }
}

struct WrapperVisitor;

impl<'de> Visitor<'de> for WrapperVisitor {
    type Value = Wrapper<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wrapper<'de>, A::Error> {
        let mut wrapper = Wrapper { is_list: true, ..Wrapper::default() };
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            wrapper.is_list &= is_digits(&key);
            let (name, text) = (key.as_str(), value.get());
            if LIST_WRAPPERS.contains(&name) {
                // Of several the one that has entries.
                wrapper.list = wrapper.list.filter(|list| !is_empty(list.get())).or(Some(value));
            } else if TOTALS.contains(&name) {
                wrapper.total = text.trim_matches('"').parse().ok();
            } else if matches!(name, "ok" | "success") {
                wrapper.has_succeeded = matches!(text, "1" | "true" | "\"1\"" | "\"true\"");
            }
        }
        Ok(wrapper)
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

struct Collected<T> {
    entries: Entries<T>,
    is_object: bool,
}

/// Takes entries one by one: a list of a million ids is never held as JSON values.
struct ListVisitor<'a, 'de, T> {
    count_max: usize,
    take: Take<'a, 'de, T>,
}

impl<'de, T> ListVisitor<'_, 'de, T> {
    /// Takes one entry; false when that is one too many.
    fn take(&self, entries: &mut Entries<T>, entry: &'de str) -> bool {
        match (self.take)(entry) {
            Some(taken) => entries.taken.push(taken),
            None => entries.unusable_count += 1,
        }
        entries.taken.len() + entries.unusable_count <= self.count_max
    }
}

impl<'de, T> Visitor<'de> for ListVisitor<'_, 'de, T> {
    type Value = Collected<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} entries", self.count_max)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Collected<T>, A::Error> {
        let mut entries = Entries::default();
        while let Some(entry) = list.next_element::<&RawValue>()? {
            if !self.take(&mut entries, entry.get()) {
                return Err(A::Error::custom("too long"));
            }
        }
        Ok(Collected { entries, is_object: false })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut list: A) -> Result<Collected<T>, A::Error> {
        let mut entries = Entries::default();
        while let Some((key, entry)) = list.next_entry::<String, &RawValue>()? {
            // Only positions make an object a list; `{"ok":1}` is none.
            if !is_digits(&key) {
                return Err(A::Error::custom("no list"));
            }
            if !self.take(&mut entries, entry.get()) {
                return Err(A::Error::custom("too long"));
            }
        }
        Ok(Collected { entries, is_object: true })
    }
}

#[cfg(test)]
mod tests;
