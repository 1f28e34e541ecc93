//! Reads FSM Navigator's answers: pages of rows, and single rows, in either of the vendor's two dialects.
//!
//! | | the guide | the reference pages |
//! |---|---|---|
//! | list | `{"success":true,"jobs":[..],"page":1,"per_page":50,"total":237,"total_pages":5}` | `{"data":[..],"pagination":{"page":1,"per_page":50,"total":3,"total_pages":1},"request_id":".."}` |
//! | detail | `{"success":true,"job":{..}}` | not shown: `{"data":{..}}` or `{"data":[{..}]}`; the row alone is read, too |
//! | id | `id` | `job_id`, `customer_id`, .. |
//!
//! What is none of these shapes is an error. Nothing that is in doubt is read as "no changes" or as "gone": the one
//! would hide an outage, the other would delete a record.

use std::collections::HashMap;

use tidemark_engine::change::{Change, Found, Listed};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stamp::{Stamp, UtcMillis};

use super::object_types::ObjectType;
use super::settings::{Dialect, FsmNavigatorSettings, IdField};
use super::time;
use crate::json::{Malformed, Object, entries};

/// A page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// The rows in the vendor's order, each id once.
    pub(super) changes: Vec<Change>,
    /// Rows without a usable id.
    pub(super) unusable_count: usize,
    /// How many pages there are, as far as the answer can be believed.
    pub(super) pages_total: Option<u32>,
}

impl Rows {
    /// How many rows are stamped before an instant.
    pub(super) fn count_before(&self, bound: UtcMillis) -> usize {
        self.changes.iter().filter(|change| change.stamp().is_some_and(|stamp| stamp.at < bound)).count()
    }
}

/// What is looked for in an answer.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) object_type: &'static ObjectType,
    pub(super) settings: &'a FsmNavigatorSettings,
}

impl Reader<'_> {
    /// Reads a page of a list.
    ///
    /// A page that says to be another one than `page` is refused: a vendor that ignored the parameter would show its
    /// first page over and over, and the rest would never be seen.
    pub(super) fn page(self, body: &Object<'_>, page: u32) -> Result<Rows, Malformed> {
        let rows = self.members().find_map(|name| body.get(name).and_then(entries));
        let rows = rows.ok_or(Malformed::Shape("without a list of rows"))?;
        let paging = self.paging(body);
        let pages_total = paging.pages_total(page, rows.len())?;
        let mut unusable_count = 0;
        let mut changes: Vec<Change> = Vec::with_capacity(rows.len());
        let mut places: HashMap<RecordId, usize> = HashMap::with_capacity(rows.len());
        for row in rows {
            let Some((id, stamp)) = self.row(row) else {
                unusable_count += 1;
                continue;
            };
            let place = *places.entry(id.clone()).or_insert(changes.len());
            let listed = Listed { stamp, row: Some(Body::new(row)), event: None };
            let change = Change { id, listed: Some(Box::new(listed)) };
            match changes.get_mut(place) {
                None => changes.push(change),
                // A page is one answer: of a record that is in it twice, the newer row counts.
                Some(known) if instant_of(known) <= instant_of(&change) => *known = change,
                Some(_) => {}
            }
        }
        if changes.is_empty() && unusable_count > 0 {
            return Err(Malformed::Shape("a list in which no row has a usable id"));
        }
        Ok(Rows { changes, unusable_count, pages_total })
    }

    /// Reads a single row: that of `job` or `data`, an array of one in `data` or `jobs`, or the answer itself. `null`
    /// and `[]` there are "gone".
    pub(super) fn record(self, json: &str, body: &Object<'_>) -> Result<Found, Malformed> {
        let held = std::iter::once(self.object_type.singular).chain(self.members()).find_map(|name| body.get(name));
        let row = match held {
            None => json.trim_ascii(),
            Some("null") => return Ok(Found::Gone),
            Some(held) if held.starts_with('[') => match entries(held).as_deref() {
                Some([]) => return Ok(Found::Gone),
                Some([row]) => *row,
                _ => return Err(Malformed::Shape("several rows where one was asked for")),
            },
            Some(held) => held,
        };
        let (id, stamp) = self.row(row).ok_or(Malformed::Shape("not a row with a usable id"))?;
        Ok(Found::Record { id, body: Body::new(row), stamp })
    }

    /// The members that may hold rows.
    fn members(self) -> impl Iterator<Item = &'static str> {
        let named = Some(self.object_type.resource).filter(|_| self.settings.dialect != Dialect::Reference);
        let data = Some("data").filter(|_| self.settings.dialect != Dialect::Guide);
        named.into_iter().chain(data)
    }

    fn paging(self, body: &Object<'_>) -> Paging {
        let nested = body.object("pagination").filter(|_| self.settings.dialect != Dialect::Guide);
        let count = |name: &str| {
            let beside_rows = body.count(name).filter(|_| self.settings.dialect != Dialect::Reference);
            beside_rows.or_else(|| nested.as_ref()?.count(name))
        };
        Paging { page: count("page"), per_page: count("per_page"), total_pages: count("total_pages") }
    }

    /// The id and the stamp of a row; none when it has no usable id.
    ///
    /// `job_id` goes before `id`: it says whose id it is, while `id` beside it could be anything's.
    fn row(self, json: &str) -> Option<(RecordId, Option<Stamp>)> {
        let row = Object::of(json)?;
        let named = Some(self.object_type.named_id).filter(|_| self.settings.id_field != IdField::Plain);
        let plain = Some("id").filter(|_| self.settings.id_field != IdField::Named);
        let id = named.into_iter().chain(plain).find_map(|name| row.id(name))?;
        let updated = row.text(&self.settings.updated_field).filter(|_| self.settings.is_stamped(self.object_type));
        Some((id, updated.and_then(|text| time::stamp(&text))))
    }
}

fn instant_of(change: &Change) -> Option<UtcMillis> {
    change.stamp().map(|stamp| stamp.at)
}

/// What an answer says of pages.
#[derive(Clone, Copy, Debug)]
struct Paging {
    page: Option<u64>,
    per_page: Option<u64>,
    total_pages: Option<u64>,
}

impl Paging {
    /// How many pages there are, by the answer for page `asked` with so many rows; none when that is not known, and the
    /// list ends with its first empty page.
    ///
    /// Where the total is missing, a page with fewer rows than the answer itself says that a page has is the last one.
    /// With fewer than *we* asked for it need not be: the vendor may cap what it is asked for, and then every page is
    /// short. A total of no pages beside rows is not believed.
    fn pages_total(self, asked: u32, row_count: usize) -> Result<Option<u32>, Malformed> {
        let total_pages = self.total_pages.filter(|total| *total > 0 || row_count == 0);
        let asked_page = u64::from(asked);
        // Behind the end, which may have moved since, some show the last page instead of an empty one.
        let is_behind_end = total_pages.is_some_and(|total| asked_page > total);
        if self.page.is_some_and(|page| page != asked_page) && !is_behind_end {
            return Err(Malformed::Shape("another page than the one asked for"));
        }
        if let Some(total) = total_pages {
            return Ok(u32::try_from(total).ok());
        }
        let rows = u64::try_from(row_count).unwrap_or(u64::MAX);
        Ok(self.per_page.filter(|per_page| row_count > 0 && rows < *per_page).map(|_| asked))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::object_types::OBJECT_TYPES;
    use super::*;
    use crate::json::checked;

    fn page_with(settings: &str, json: &str, page: u32) -> Result<Rows, Malformed> {
        let settings = FsmNavigatorSettings::parse(settings).unwrap();
        let body = Object::of(json).ok_or(Malformed::Shape("no object"))?;
        Reader { object_type: &OBJECT_TYPES[0], settings: &settings }.page(&body, page)
    }

    fn page(json: &str) -> Result<Rows, Malformed> {
        page_with("{}", json, 1)
    }

    fn ids(rows: &Rows) -> Vec<&str> {
        rows.changes.iter().map(|change| change.id.as_str()).collect()
    }

    fn record_with(settings: &str, json: &str) -> Result<Found, Malformed> {
        let settings = FsmNavigatorSettings::parse(settings).unwrap();
        let body = Object::of(json).ok_or(Malformed::Shape("no object"))?;
        Reader { object_type: &OBJECT_TYPES[0], settings: &settings }.record(json, &body)
    }

    fn body_of(json: &str) -> String {
        match record_with("{}", json) {
            Ok(Found::Record { body, .. }) => body.text().to_owned(),
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn both_dialects_of_a_list_are_read() {
        for json in [
            r#"{"success":true,"jobs":[{"id":1},{"id":2}],"page":1,"per_page":50,"total":2,"total_pages":1}"#,
            r#"{"data":[{"job_id":1},{"job_id":2}],"pagination":{"page":1,"per_page":50,"total":2,"total_pages":1},"request_id":"a1"}"#,
            r#"{"data":[{"id":"1"},{"id":"2"}],"total_pages":1}"#,
            r#"{"jobs":[{"job_id":1},{"job_id":"2"}],"pagination":{"total_pages":"1"}}"#,
        ] {
            let rows = page(json).unwrap();
            assert_eq!((ids(&rows), rows.pages_total), (vec!["1", "2"], Some(1)), "{json}");
        }
    }

    #[test]
    fn a_dialect_that_is_set_is_the_only_one_read() {
        let guide = r#"{"success":true,"jobs":[{"id":1}],"total_pages":3}"#;
        let reference = r#"{"data":[{"job_id":1}],"pagination":{"total_pages":3}}"#;
        for (settings, read, refused) in
            [(r#"{"dialect":"guide"}"#, guide, reference), (r#"{"dialect":"reference"}"#, reference, guide)]
        {
            assert_eq!(page_with(settings, read, 1).unwrap().pages_total, Some(3), "{settings}");
            assert!(page_with(settings, refused, 1).is_err(), "{settings}");
        }
    }

    #[test]
    fn what_is_no_page_of_rows_is_never_no_changes() {
        for json in [
            "{}",
            r#"{"success":true}"#,
            r#"{"success":true,"jobs":null,"total_pages":0}"#,
            r#"{"success":true,"jobs":{},"total_pages":0}"#,
            r#"{"customers":[],"total_pages":0}"#,
            r#"{"data":{"id":1}}"#,
            r#"{"jobs":[{"name":"x"}],"total_pages":1}"#,
            r#"{"jobs":[[1],7],"total_pages":1}"#,
        ] {
            assert!(matches!(page(json), Err(Malformed::Shape(_))), "{json}");
        }
        assert_eq!(ids(&page(r#"{"jobs":[],"total_pages":0}"#).unwrap()), [""; 0]);
    }

    #[test]
    fn the_total_of_pages_is_told_only_where_it_is_known() {
        let rows = |count: usize| vec![r#"{"id":1}"#; count].join(",");
        for (count, paging, asked, expected) in [
            (0, r#""total_pages":0"#, 1, Some(0)),
            (2, r#""total_pages":1"#, 1, Some(1)),
            (2, r#""total_pages":5"#, 3, Some(5)),
            // Behind the end, empty or the last page again.
            (0, r#""total_pages":2"#, 3, Some(2)),
            (2, r#""total_pages":2,"page":2"#, 3, Some(2)),
            // Not told: a page shorter than the answer says that pages are is the last one.
            (2, r#""per_page":50"#, 3, Some(3)),
            (2, r#""per_page":2"#, 3, None),
            (0, r#""per_page":50"#, 1, None),
            (2, r#""total":2"#, 1, None),
            (2, r#""total_pages":null"#, 1, None),
            (2, r#""total_pages":"many""#, 1, None),
            (2, r#""total_pages":-1"#, 1, None),
            (2, r#""total_pages":5000000000"#, 1, None),
            // Contradicted by the rows themselves.
            (2, r#""total_pages":0"#, 1, None),
        ] {
            let json = format!(r#"{{"jobs":[{}],{paging}}}"#, rows(count));
            assert_eq!(page_with("{}", &json, asked).unwrap().pages_total, expected, "{json} as page {asked}");
        }
    }

    #[test]
    fn another_page_than_the_one_asked_for_is_refused() {
        for paging in [r#""page":1,"total_pages":5"#, r#""page":1"#, r#""page":4,"total_pages":5"#] {
            let json = format!(r#"{{"jobs":[{{"id":1}}],{paging}}}"#);
            assert!(page_with("{}", &json, 3).is_err(), "{json}");
        }
    }

    #[test]
    fn the_named_id_goes_before_the_plain_one() {
        let both = r#"{"jobs":[{"id":1,"job_id":2,"customer_id":3}],"total_pages":1}"#;
        for (settings, expected) in [("{}", "2"), (r#"{"id_field":"named"}"#, "2"), (r#"{"id_field":"id"}"#, "1")] {
            assert_eq!(ids(&page_with(settings, both, 1).unwrap()), [expected], "{settings}");
        }
        let unusable = r#"{"jobs":[{"id":7,"job_id":null}],"total_pages":1}"#;
        assert_eq!(ids(&page(unusable).unwrap()), ["7"]);
        assert!(page_with(r#"{"id_field":"named"}"#, unusable, 1).is_err());
    }

    #[test]
    fn rows_without_a_usable_id_are_counted_and_the_others_kept() {
        let rows = page(r#"{"data":[{"id":1},{"name":"x"},7,null,{"id":""},{"id":[2]},{"id":9007199254740993}]}"#);
        let rows = rows.unwrap();
        assert_eq!((ids(&rows), rows.unusable_count), (vec!["1", "9007199254740993"], 5));
    }

    #[test]
    fn of_a_record_that_is_listed_twice_the_newer_row_counts() {
        let row = |second: u32| format!(r#"{{"id":1,"updated_at":"2026-01-01T00:00:0{second}Z"}}"#);
        for (first, then) in [(1, 2), (2, 1)] {
            let json = format!(r#"{{"jobs":[{},{{"id":2}},{}]}}"#, row(first), row(then));
            let rows = page(&json).unwrap();
            assert_eq!(ids(&rows), ["1", "2"]);
            assert_eq!(rows.changes[0].row().unwrap().text(), row(2), "{json}");
        }
    }

    #[test]
    fn rows_are_kept_byte_for_byte_with_their_stamp() {
        let row = r#"{ "job_id":42.10 , "x":"a\/bé\ud800","updated_at":"2026-01-15T10:30:00+01:00","n":1e400 }"#;
        let rows = page(&format!(r#"{{"data":[ {row} ],"pagination":{{}}}}"#)).unwrap();
        let change = &rows.changes[0];
        assert_eq!((change.id.as_str(), change.row().unwrap().text()), ("42.10", row));
        let stamp = change.stamp().unwrap();
        assert_eq!((stamp.text.as_str(), stamp.at.get()), ("2026-01-15T10:30:00+01:00", 1_768_469_400_000));
        assert_eq!(rows.count_before(UtcMillis::new(1_768_469_400_001)), 1);
        assert_eq!(rows.count_before(UtcMillis::new(1_768_469_400_000)), 0);
    }

    #[test]
    fn stamps_follow_the_settings() {
        let json = r#"{"jobs":[{"id":1,"updated_at":"2026-01-15T09:30:00Z","changed":"2026-01-16T09:30:00Z"}]}"#;
        let stamp = |settings| {
            let rows = page_with(settings, json, 1).unwrap();
            rows.changes[0].stamp().map(|stamp| stamp.text.clone())
        };
        assert_eq!(stamp("{}").as_deref(), Some("2026-01-15T09:30:00Z"));
        assert_eq!(stamp(r#"{"updated_field":"changed"}"#).as_deref(), Some("2026-01-16T09:30:00Z"));
        assert_eq!(stamp(r#"{"updated_field":"missing"}"#), None);
        assert_eq!(stamp(r#"{"unstamped":["jobs"]}"#), None);
        assert!(stamp(r#"{"unstamped":["assets"]}"#).is_some());
    }

    #[test]
    fn a_record_is_found_in_every_shape() {
        let row = r#"{"id":7, "updated_at":"2026-01-15T09:30:00Z"}"#;
        for json in [
            format!(r#"{{"success":true,"job":{row}}}"#),
            format!(r#"{{"data":{row},"request_id":"a"}}"#),
            format!(r#"{{"data":[{row}],"pagination":{{"total_pages":1}}}}"#),
            format!(r#"{{"success":true,"jobs":[{row}]}}"#),
            row.to_owned(),
            format!(" \n{row}\n"),
        ] {
            assert_eq!(body_of(&json), row, "{json}");
        }
    }

    #[test]
    fn an_empty_answer_is_gone_and_what_is_no_row_is_not() {
        for json in [r#"{"success":true,"job":null}"#, r#"{"data":[]}"#, r#"{"data":null}"#, r#"{"jobs":[ ]}"#] {
            assert_eq!(record_with("{}", json), Ok(Found::Gone), "{json}");
        }
        for json in [
            "{}",
            r#"{"success":true}"#,
            r#"{"data":{}}"#,
            r#"{"data":7}"#,
            r#"{"data":[{"id":1},{"id":2}]}"#,
            r#"{"data":[7]}"#,
            r#"{"job":{"name":"x"}}"#,
            r#"{"job":false}"#,
        ] {
            assert!(matches!(record_with("{}", json), Err(Malformed::Shape(_))), "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(text in "[\\[\\]{}\",:0-9a-z_\\\\ ]{0,60}") {
            if let Ok(text) = checked(text.into_bytes()) {
                let _page = page(&text);
                let _record = record_with("{}", &text);
            }
        }

        #[test]
        fn no_page_like_input_makes_it_panic(rows in "[\\[\\]{}\",:0-9ijobd_ ]{0,30}", total in "[\"0-9-]{1,12}") {
            let json = format!(r#"{{"jobs":[{rows}],"data":{rows},"total_pages":{total}}}"#);
            if let Ok(text) = checked(json.into_bytes()) {
                let _page = page(&text);
                let _record = record_with("{}", &text);
            }
        }
    }
}
