//! Pages of whole rows, for every vendor that lists so: where the rows are, which of them can be used, and what the
//! answer proves about the end of the list.
//!
//! The end is proved by the vendor's own count, or by the first page without rows; never by a page that is short. What
//! counts say is believed as long as the rows do not contradict it. Where nothing is proved the answer is "unknown", and
//! the engine reads on.
//!
//! A row that is no JSON (`NaN`, a text in another encoding, a raw control character) hides no other row: it is listed by
//! its id alone, so that the record is asked for by itself, and waits in quarantine if that shows the same. Too many of
//! them are the page's failure.

mod message;
mod odd;
mod paging;
mod probe;
mod told;

use std::collections::HashMap;

use tidemark_engine::change::{Change, Listed as ListedRow, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::StreamName;

pub(crate) use self::odd::Sent;
pub(crate) use self::paging::{Counts, is_beyond_the_end, names_next, refuses_page};
pub(crate) use self::probe::Honoured;
pub(crate) use self::told::Told;
use crate::json::{Malformed, Object, entries};

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// The rows in the vendor's order, each id once.
    pub(crate) changes: Vec<Change>,
    /// Rows without a usable id.
    pub(crate) unusable_count: usize,
    /// How many pages there are, when that is proved.
    pub(crate) pages_total: Option<u32>,
    /// Rows that are no JSON, listed by their id alone.
    pub(crate) odd_count: usize,
    /// Whether the answer speaks of more rows than it shows.
    pub(crate) speaks_of_more: bool,
}

impl Rows {
    /// How many rows are stamped before an instant.
    pub(crate) fn count_before(&self, bound: StampMillis) -> usize {
        self.changes.iter().filter(|change| change.stamp().is_some_and(|stamp| stamp.at < bound)).count()
    }
}

/// What came of asking for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Its rows, and when the vendor answered.
    Rows(Rows, Option<VendorMillis>),
    /// The vendor has no such page, which is not the first.
    Refused(Option<VendorMillis>),
}

impl Listed {
    /// The page as the engine sees it.
    pub(crate) fn into_page(self) -> Page {
        match self {
            Self::Refused(date) => Page { is_refused: true, date, ..Page::default() },
            Self::Rows(rows, date) => {
                let Rows { changes, unusable_count, pages_total, .. } = rows;
                Page { changes, pages_total, date, unusable_count, ..Page::default() }
            }
        }
    }

    /// The rows alone; of a page that is not there none.
    pub(crate) fn into_rows(self) -> Rows {
        match self {
            Self::Rows(rows, _) => rows,
            Self::Refused(_) => Rows::default(),
        }
    }
}

/// Says which page of a stream has rows that are no JSON.
pub(crate) fn tell_of_odd(stream: &StreamName, page: u32, rows: &Rows) {
    if rows.odd_count > 0 {
        tracing::warn!(
            stream = %stream,
            page,
            row_count = rows.odd_count,
            "rows of this page hold what JSON does not have (NaN, another encoding); these records are asked for one by one"
        );
    }
}

/// Members of a failure, whichever framework writes it, in small letters without `_`: those that hold what went wrong...
const ERRORS: [&str; 6] = ["errors", "error", "errormessage", "errorcode", "exception", "fault"];
/// ...that say that it did...
const FAILED: [&str; 6] = ["failed", "iserror", "haserror", "haserrors", "incompleteresults", "timedout"];
/// ...that say that it did not...
const SUCCEEDED: [&str; 4] = ["success", "succeeded", "issuccess", "ok"];
/// ...and that say either.
const STATUS: [&str; 4] = ["status", "statuscode", "httpstatus", "code"];

fn plain(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

/// Whether a member holds what went wrong, and so never rows.
pub(crate) fn names_failure(name: &str) -> bool {
    ERRORS.contains(&plain(name).as_str())
}

/// Members that may say it in an object of their own.
const HEADS: [&str; 7] = ["meta", "metadata", "status", "header", "responseStatus", "response", "result"];

/// What an answer shows, as far as it says how far its words are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Rows.
    Rows,
    /// None, and it counts none or says where to go on.
    NoneCounted,
    /// None, and nothing but its words says why.
    Nothing,
}

impl Shows {
    /// What so many rows show, beside a count of them or without one.
    pub(crate) fn of(rows: Option<&[&str]>, is_counted: bool) -> Self {
        match rows {
            Some([_, ..]) => Self::Rows,
            Some([]) | None if is_counted => Self::NoneCounted,
            Some([]) | None => Self::Nothing,
        }
    }
}

/// Refuses an answer that says that it failed, or that it is not whole, whatever else it holds: what is missing in it may
/// be there. Of one that shows nothing the messages are read, too; and where it counts nothing either, words that are not
/// known as harmless are no proof that there is nothing.
pub(crate) fn without_errors(envelope: &Object<'_>, shows: Shows) -> Result<(), Malformed> {
    let any = |says: &dyn Fn(&Object<'_>) -> bool| {
        says(envelope) || HEADS.iter().filter_map(|head| envelope.object(head)).any(|head| says(&head))
    };
    if any(&says_failed) || (shows != Shows::Rows && any(&message::refuses)) {
        return Err(Malformed::Shape("an object that says that it failed"));
    }
    if shows == Shows::Nothing && any(&message::is_unclear) {
        return Err(Malformed::Shape("an object without rows or a count, beside words that are not understood"));
    }
    Ok(())
}

fn says_failed(object: &Object<'_>) -> bool {
    object.members().any(|(name, value)| {
        let (name, text) = (plain(name), value.trim_matches('"').to_ascii_lowercase());
        let name = name.as_str();
        (ERRORS.contains(&name) && !is_nothing(value))
            || (FAILED.contains(&name) && matches!(&*text, "true" | "1" | "yes"))
            || (SUCCEEDED.contains(&name) && is_no(value))
            || (STATUS.contains(&name) && is_bad_status(&text))
    })
}

fn is_no(value: &str) -> bool {
    let text = value.trim_matches('"').to_ascii_lowercase();
    matches!(&*text, "" | "0" | "false" | "null" | "no" | "error" | "fail" | "failed" | "failure")
}

fn is_bad_status(text: &str) -> bool {
    let is_word = matches!(
        text,
        "error" | "errors" | "fail" | "failed" | "failure" | "exception" | "maintenance" | "unavailable" | "timeout"
    );
    is_word || text.parse().is_ok_and(|status: u32| (400..600).contains(&status))
}

/// An empty value: a vendor that always sends `errors` sends this when there are none.
pub(crate) fn is_nothing(value: &str) -> bool {
    let inner =
        [('[', ']'), ('{', '}')].iter().find_map(|(open, close)| value.strip_prefix(*open)?.strip_suffix(*close));
    matches!(value, "null" | "false" | "0" | "\"\"") || inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// The rows that a member holds; none when it holds none. `null` and an empty object are no rows where the answer counts
/// none beside them. Some writers make an object with digits for names of an array with gaps.
pub(crate) fn held(value: &str, is_none_counted: bool) -> Option<Vec<&str>> {
    if value.starts_with('[') {
        return entries(value);
    }
    if value == "null" {
        return is_none_counted.then(Vec::new);
    }
    let object = Object::of(value)?;
    let is_index = |name: &str| (1..10).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_digit());
    let mut members = object.members().peekable();
    if members.peek().is_none() {
        return is_none_counted.then(Vec::new);
    }
    members.map(|(name, row)| (is_index(name) && row.starts_with('{')).then_some(row)).collect()
}

/// The rows of the members that may hold them: those of the first that has some.
pub(crate) fn first_held<'a>(values: impl Iterator<Item = &'a str>, is_none_counted: bool) -> Option<Vec<&'a str>> {
    let held = values.filter_map(|value| held(value, is_none_counted));
    held.reduce(|first, next| if first.is_empty() { next } else { first })
}

/// Of the members that may hold a record the first that shows something, else the first.
pub(crate) fn first_that_shows<'a>(values: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut values = values.peekable();
    let first = values.peek().copied();
    values.find(|value| !is_nothing(value)).or(first)
}

/// Judges the rows of a page; `read` makes the id and the stamp of a row, none when it has no usable id.
pub(crate) fn judged(
    sent: &Sent,
    rows: &[&str],
    read: impl Fn(&str) -> Option<(RecordId, Option<Stamp>)>,
) -> Result<Rows, Malformed> {
    let odd = sent.odd(rows)?;
    let mut page = Rows { changes: Vec::with_capacity(rows.len()), ..Rows::default() };
    let mut places: HashMap<RecordId, usize> = HashMap::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let Some((id, stamp)) = read(row) else {
            page.unusable_count += 1;
            continue;
        };
        let place = *places.entry(id.clone()).or_insert(page.changes.len());
        let change = if odd.contains(&at) {
            page.odd_count += 1;
            Change::of(id)
        } else {
            let listed = ListedRow { stamp, row: Some(Body::new(*row)), event: None };
            Change { id, deleted: false, listed: Some(Box::new(listed)) }
        };
        match page.changes.get_mut(place) {
            None => page.changes.push(change),
            // A page is one answer: of a record that is in it twice, the newer row counts.
            Some(known) if instant_of(known) <= instant_of(&change) => *known = change,
            Some(_) => {}
        }
    }
    if page.changes.is_empty() && page.unusable_count > 0 {
        return Err(Malformed::Shape("a page in which no row has a usable id"));
    }
    Ok(page)
}

fn instant_of(change: &Change) -> Option<StampMillis> {
    change.stamp().map(|stamp| stamp.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &str) -> Option<(RecordId, Option<Stamp>)> {
        let row = Object::of(row)?;
        let instant = row.text("at").and_then(|text| text.parse().ok().map(|at| crate::time::stamp(&text, at)));
        Some((row.id("id")?, instant))
    }

    fn page(json: &str) -> Result<Rows, Malformed> {
        let sent = Sent::of(json.as_bytes().to_vec())?;
        let rows = held(sent.json(), false).ok_or(Malformed::Shape("no rows"))?;
        judged(&sent, &rows, read)
    }

    fn ids(rows: &Rows) -> Vec<&str> {
        rows.changes.iter().map(|change| change.id.as_str()).collect()
    }

    #[test]
    fn rows_are_read_in_every_wrapper_that_frameworks_make() {
        for (value, is_none_counted, expected) in [
            (r#"[{"id":1}]"#, false, Some(vec![r#"{"id":1}"#])),
            (r#"{"0":{"id":1},"7":{"id":2}}"#, false, Some(vec![r#"{"id":1}"#, r#"{"id":2}"#])),
            ("[]", false, Some(vec![])),
            ("null", true, Some(vec![])),
            ("null", false, None),
            ("{}", true, Some(vec![])),
            ("{}", false, None),
            (r#"{"id":1}"#, true, None),
            (r#"{"0":{"id":1},"total":2}"#, true, None),
            (r#"{"0":1}"#, false, None),
            ("7", true, None),
            (r#""""#, true, None),
        ] {
            assert_eq!(held(value, is_none_counted), expected, "{value}");
        }
    }

    #[test]
    fn an_answer_that_says_that_it_failed_is_refused_whatever_it_holds() {
        let says = |member: &str| {
            without_errors(&Object::of(&format!(r#"{{{member},"data":[]}}"#)).unwrap(), Shows::Rows).is_err()
        };
        for member in [
            r#""errors":["x"]"#,
            r#""error":"down""#,
            r#""errorMessage":"Task timed out""#,
            r#""fault":{"faultstring":"x"}"#,
            r#""success":false"#,
            r#""success":"false""#,
            r#""ok":0"#,
            r#""status":"error""#,
            r#""status":"FAIL""#,
            r#""status":"maintenance""#,
            r#""status":500"#,
            r#""statusCode":"503""#,
            r#""code":401"#,
            r#""failed":true"#,
            r#""incomplete_results":true"#,
            r#""timed_out":true"#,
            r#""status":{"code":429}"#,
            r#""meta":{"error":"x"}"#,
            r#""response":{"success":false}"#,
            r#""result":{"code":503}"#,
        ] {
            assert!(says(member), "{member}");
        }
        for member in [
            r#""errors":[]"#,
            r#""error":null"#,
            r#""success":true"#,
            r#""success":"customers listed""#,
            r#""ok":1"#,
            r#""status":"success""#,
            r#""status":200"#,
            r#""code":0"#,
            r#""code":"OK""#,
            r#""failed":0"#,
            r#""timed_out":false"#,
            r#""message":"no jobs found""#,
        ] {
            assert!(!says(member), "{member}");
        }
    }

    #[test]
    fn a_message_of_refusal_is_read_where_nothing_is_shown() {
        for (message, refuses) in [
            (r#""message":"Rate limit exceeded""#, true),
            (r#""msg":"RATE_LIMIT""#, true),
            (r#""messages":["Too many requests"]"#, true),
            (r#""detail":"Not authorised""#, true),
            (r#""meta":{"message":"Down for maintenance"}"#, true),
            (r#""message":"Your session has expired. Please log in.""#, true),
            (r#""message":"OK""#, false),
            (r#""message":"No records found""#, false),
            (r#""message":"No failed jobs found""#, false),
            (r#""message":"No maintenance due""#, false),
            (r#""message":"No unavailable times""#, false),
            (r#""message":"No expired contracts""#, false),
            (r#""message":"Completed without an error.""#, false),
            (r#""title":"Rate limit""#, false),
        ] {
            let object = format!("{{{message}}}");
            let is_refused = |shows| without_errors(&Object::of(&object).unwrap(), shows).is_err();
            let read = [Shows::Nothing, Shows::NoneCounted, Shows::Rows].map(is_refused);
            assert_eq!(read, [refuses, refuses, false], "{message}");
        }
    }

    #[test]
    fn where_nothing_is_shown_and_none_counted_only_harmless_words_are_believed() {
        for (member, is_unclear) in [
            (r#""message":"Votre abonnement a expir\u00e9""#, true),
            (r#""message":"Your trial is over""#, true),
            (r#""messages":["Account suspended"]"#, true),
            (r#""message":"The account is not complete""#, true),
            (r#""message":"Jobs not found""#, false),
            (r#""message":"No active subscription""#, true),
            (r#""message":"No API access on this plan""#, true),
            (r#""message":"0 credits left""#, true),
            (r#""message":"API key not found""#, true),
            (r#""message":"Account was not found.""#, true),
            (r#""message":"No jobs found for this account""#, false),
            (r#""message":"Access granted, no jobs found""#, false),
            (r#""status":"unauthorized""#, true),
            (r#""status":"rate_limited""#, true),
            (r#""code":1015"#, true),
            (r#""code":"E42""#, true),
            (r#""meta":{"message":"Bitte sp\u00e4ter"}"#, true),
            (r#""message":"""#, false),
            (r#""message":null"#, false),
            (r#""messages":[]"#, false),
            (r#""message":"Jobs retrieved successfully.""#, false),
            (r#""message":"0 results""#, false),
            (r#""message":"No content""#, false),
            (r#""msg":"There are none""#, false),
            (r#""status":"success""#, false),
            (r#""status":true"#, false),
            (r#""status":"1""#, false),
            (r#""code":204"#, false),
            (r#""code":"OK""#, false),
            (r#""request_id":"a1b2""#, false),
        ] {
            let object = format!("{{{member}}}");
            let is_refused = |shows| without_errors(&Object::of(&object).unwrap(), shows).is_err();
            let read = [Shows::Nothing, Shows::NoneCounted, Shows::Rows].map(is_refused);
            assert_eq!(read, [is_unclear, false, false], "{member}");
        }
    }

    #[test]
    fn of_a_record_that_is_listed_twice_the_newer_row_counts() {
        let row = |second: u32| format!(r#"{{"id":1,"at":"2026-01-01T00:00:0{second}Z"}}"#);
        for (first, then) in [(1, 2), (2, 1)] {
            let rows = page(&format!(r#"[{},{{"id":2}},{}]"#, row(first), row(then))).unwrap();
            assert_eq!(ids(&rows), ["1", "2"]);
            assert_eq!(rows.changes[0].row().unwrap().text(), row(2));
        }
    }

    #[test]
    fn rows_without_a_usable_id_are_counted_and_alone_a_failure() {
        let rows = page(r#"[{"id":1},{"name":"x"},7,null,[],{"id":""},{"id":[2]}]"#).unwrap();
        assert_eq!((ids(&rows), rows.unusable_count), (vec!["1"], 6));
        assert!(page(r#"[{"name":"x"},7]"#).is_err());
        assert_eq!(page("[]"), Ok(Rows::default()));
    }

    #[test]
    fn a_row_that_is_no_json_is_listed_by_its_id_alone() {
        for odd in [r#"{"id":2,"price":NaN}"#, "{\"id\":2,\"name\":\"a\nb\"}", r#"{"id":2,"n":-Infinity}"#] {
            let rows = page(&format!(r#"[{{"id":1}}, {odd} ,{{"id":3}}]"#)).unwrap();
            assert_eq!((ids(&rows), rows.odd_count, rows.unusable_count), (vec!["1", "2", "3"], 1, 0), "{odd}");
            let with_rows: Vec<bool> = rows.changes.iter().map(|change| change.row().is_some()).collect();
            assert_eq!(with_rows, [true, false, true], "{odd}");
        }
        assert_eq!(page(r#"[{"id":1},{"id":NaN}]"#).unwrap().unusable_count, 1);
    }
}
