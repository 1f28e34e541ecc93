//! Reads FSM Navigator's answers: pages of rows, and single rows, in either of the vendor's two dialects.
//!
//! | | the guide | the reference pages |
//! |---|---|---|
//! | list | `{"success":true,"jobs":[..],"page":1,"per_page":50,"total":237,"total_pages":5}` | `{"data":[..],"pagination":{"page":1,"per_page":50,"total":3,"total_pages":1},"request_id":".."}` |
//! | detail | `{"success":true,"job":{..}}` | not shown: `{"data":{..}}` or `{"data":[{..}]}`; the row alone is read, too |
//! | id | `id` | `job_id`, `customer_id`, .. |
//!
//! Frameworks write lists in other forms, too, which [`crate::rows`] reads. What is none of these shapes is an error. Nothing that is in doubt is read as "no changes" or as "gone": the one
//! would hide an outage, the other would delete a record.

use tidemark_engine::change::Found;
use tidemark_engine::clock::Stamp;
use tidemark_engine::record::{Body, RecordId};

use super::settings::{Dialect, FsmNavigatorSettings, IdField};
use super::streams::ObjectType;
use super::time;
use crate::json::{Malformed, Object, entries};
use crate::rows::{self, Counts, Rows, Sent, Shows};

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
    pub(super) fn page(self, sent: &Sent, page: u32) -> Result<Rows, Malformed> {
        let json = sent.json().trim_ascii();
        let body = Object::of(json);
        let counts = body.as_ref().map(|body| self.counts(body)).unwrap_or_default();
        let rows = match &body {
            Some(body) => self.rows(body, counts.is_nothing()),
            // A list without an envelope says nothing of pages.
            None if self.settings.dialect == Dialect::Auto => entries(json),
            None => None,
        };
        let shows = Shows::of(rows.as_deref(), counts.are_there());
        body.as_ref().map_or(Ok(()), |body| rows::without_errors(body, shows))?;
        let rows = rows.ok_or(Malformed::Shape("without a list of rows"))?;
        let pages_total = counts.pages_total(page, rows.len())?;
        let speaks_of_more = counts.speak_of_more(page, rows.len());
        let judged = rows::judged(sent, &rows, |row| self.row(row))?;
        Ok(Rows { pages_total, speaks_of_more, ..judged })
    }

    /// The rows of an envelope.
    fn rows<'a>(self, body: &Object<'a>, is_none_counted: bool) -> Option<Vec<&'a str>> {
        rows::first_held(self.members().filter_map(|name| body.get(name)), is_none_counted)
    }

    /// Reads a single row: that of `job` or `data`, an array of one in `data` or `jobs`, or the answer itself. `null`
    /// and `[]` there show no record, which is less than the vendor's word that there is none.
    pub(super) fn record(self, json: &str) -> Result<Found, Malformed> {
        let body = Object::of(json).ok_or(Malformed::Shape("not an object"))?;
        let names = std::iter::once(self.object_type.singular).chain(self.members());
        let held = rows::first_that_shows(names.filter_map(|name| body.get(name)));
        let row = match held {
            None => json.trim_ascii(),
            Some("null") => return missing(&body),
            Some(held) if held.starts_with('[') => match entries(held).as_deref() {
                Some([]) => return missing(&body),
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
        let named =
            self.object_type.plural.iter().copied().filter(move |_| self.settings.dialect != Dialect::Reference);
        let data = Some("data").filter(|_| self.settings.dialect != Dialect::Guide);
        named.chain(data)
    }

    fn counts(self, body: &Object<'_>) -> Counts {
        let nested = body.object("pagination").filter(|_| self.settings.dialect != Dialect::Guide);
        let count = |name: &str| {
            let beside_rows = body.count(name).filter(|_| self.settings.dialect != Dialect::Reference);
            beside_rows.or_else(|| nested.as_ref()?.count(name))
        };
        Counts {
            page: count("page"),
            per_page: count("per_page"),
            pages: count("total_pages"),
            total: count("total"),
            names_next: rows::names_next(body) || nested.as_ref().is_some_and(rows::names_next),
        }
    }

    /// The id and the stamp of a row; none when it has no usable id.
    ///
    /// `job_id` goes before `id`: it says whose id it is, while `id` beside it could be anything's.
    fn row(self, json: &str) -> Option<(RecordId, Option<Stamp>)> {
        let row = Object::of(json)?;
        let id = if let Some(field) = self.settings.own_id_field(self.object_type) {
            row.id(field)?
        } else {
            let named = Some(self.object_type.named_id).filter(|_| self.settings.id_field != IdField::Plain);
            let plain = Some("id").filter(|_| self.settings.id_field != IdField::Named);
            named.into_iter().chain(plain).find_map(|name| row.id(name))?
        };
        let updated = row.text(&self.settings.updated_field).filter(|_| self.settings.is_stamped(self.object_type));
        Some((id, updated.and_then(|text| time::stamp(&text))))
    }
}

/// That an answer shows no record, unless it says why.
fn missing(body: &Object<'_>) -> Result<Found, Malformed> {
    rows::without_errors(body, Shows::Nothing).map(|()| Found::Missing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::streams::OBJECT_TYPES;
    use super::*;
    use crate::json::checked;

    fn page_with(settings: &str, json: &str, page: u32) -> Result<Rows, Malformed> {
        let settings = FsmNavigatorSettings::parse(settings).unwrap();
        let sent = Sent::of(json.as_bytes().to_vec())?;
        Reader { object_type: &OBJECT_TYPES[0], settings: &settings }.page(&sent, page)
    }

    fn page(json: &str) -> Result<Rows, Malformed> {
        page_with("{}", json, 1)
    }

    fn ids(rows: &Rows) -> Vec<&str> {
        rows.changes.iter().map(|change| change.id.as_str()).collect()
    }

    fn record_with(settings: &str, json: &str) -> Result<Found, Malformed> {
        let settings = FsmNavigatorSettings::parse(settings).unwrap();
        Reader { object_type: &OBJECT_TYPES[0], settings: &settings }.record(json)
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
            r#"{"success":true,"jobs":null,"total_pages":1}"#,
            r#"{"success":true,"jobs":null}"#,
            r#"{"success":true,"jobs":{},"page":1}"#,
            r#"{"customers":[],"total_pages":0}"#,
            r#"{"success":true,"total_pages":0}"#,
            r#"{"data":{"id":1}}"#,
            r#"{"jobs":[{"name":"x"}],"total_pages":1}"#,
            r#"{"jobs":[[1],7],"total_pages":1}"#,
        ] {
            assert!(matches!(page(json), Err(Malformed::Shape(_))), "{json}");
        }
        assert_eq!(ids(&page(r#"{"jobs":[],"total_pages":0}"#).unwrap()), [""; 0]);
    }

    /// A null with a total of 0, and other forms in which frameworks write a list.
    #[test]
    fn other_forms_of_a_list_are_read() {
        for (json, expected, pages_total) in [
            (r#"{"success":true,"jobs":null,"page":1,"total":0,"total_pages":0}"#, vec![], Some(0)),
            (r#"{"data":null,"pagination":{"total":0}}"#, vec![], Some(0)),
            (r#"{"success":true,"jobs":{},"total":0}"#, vec![], Some(0)),
            (r#"{"jobs":{"0":{"id":1},"2":{"id":2}},"total_pages":1}"#, vec!["1", "2"], Some(1)),
            (r#"[{"id":1},{"id":2}]"#, vec!["1", "2"], None),
            ("[]", vec![], None),
        ] {
            let rows = page(json).unwrap_or_else(|malformed| panic!("{json}: {malformed}"));
            assert_eq!((ids(&rows), rows.pages_total), (expected, pages_total), "{json}");
        }
        for dialect in ["guide", "reference"] {
            assert!(page_with(&format!(r#"{{"dialect":"{dialect}"}}"#), "[]", 1).is_err(), "{dialect}");
        }
    }

    #[test]
    fn one_row_that_is_no_json_hides_no_other() {
        let rows = page(r#"{"data":[{"job_id":1},{"job_id":2,"price":NaN}],"pagination":{"total_pages":1}}"#).unwrap();
        assert_eq!((ids(&rows), rows.odd_count, rows.pages_total), (vec!["1", "2"], 1, Some(1)));
        assert!(rows.changes[1].row().is_none(), "it is asked for by its id");
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
            (2, r#""per_page":2,"total":5"#, 1, Some(3)),
            // Not told. A total of as many rows as there are may be of this page alone.
            (2, r#""total":2"#, 1, None),
            (2, r#""per_page":2,"total":2,"total_pages":1"#, 1, None),
            // Not told. A page that is short proves nothing.
            (2, r#""per_page":50"#, 3, None),
            (2, r#""per_page":2"#, 3, None),
            (0, r#""per_page":50"#, 1, None),
            // A named next page is there.
            (2, r#""total_pages":3,"next":"/jobs?page=4""#, 3, None),
            (2, r#""total_pages":4,"next":"/jobs?page=4""#, 3, Some(4)),
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
        for paging in [r#""page":1,"total_pages":5"#, r#""page":1"#, r#""page":4"#, r#""page":4,"total_pages":5"#] {
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
        assert_eq!(ids(&page_with(r#"{"id_fields":{"jobs":"customer_id"}}"#, both, 1).unwrap()), ["3"]);
    }

    #[test]
    fn rows_without_a_usable_id_are_counted_and_the_others_kept() {
        let rows = page(r#"{"data":[{"id":1},{"name":"x"},7,null,{"id":""},{"id":[2]},{"id":9007199254740993}]}"#);
        let rows = rows.unwrap();
        assert_eq!((ids(&rows), rows.unusable_count), (vec!["1", "9007199254740993"], 5));
    }

    #[test]
    fn rows_are_kept_byte_for_byte_with_their_stamp() {
        let row = r#"{ "job_id":42.10 , "x":"a\/bé\ud800","updated_at":"2026-01-15T10:30:00+01:00","n":1e400 }"#;
        let rows = page(&format!(r#"{{"data":[ {row} ],"pagination":{{}}}}"#)).unwrap();
        let change = &rows.changes[0];
        assert_eq!((change.id.as_str(), change.row().unwrap().text()), ("42.10", row));
        let stamp = change.stamp().unwrap();
        assert_eq!((stamp.text.as_str(), stamp.at.get()), ("2026-01-15T10:30:00+01:00", 1_768_469_400_000));
        let at = |ms| tidemark_engine::clock::StampMillis::new(ms);
        assert_eq!(rows.count_before(at(1_768_469_400_001)), 1);
        assert_eq!(rows.count_before(at(1_768_469_400_000)), 0);
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
            format!(r#"{{"success":true,"job":null,"data":{row}}}"#),
            format!(r#"{{"jobs":[],"data":[{row}]}}"#),
            row.to_owned(),
            format!(" \n{row}\n"),
        ] {
            assert_eq!(body_of(&json), row, "{json}");
        }
    }

    #[test]
    fn an_empty_answer_shows_no_record_and_what_is_no_row_is_malformed() {
        for json in [r#"{"success":true,"job":null}"#, r#"{"data":[]}"#, r#"{"data":null}"#, r#"{"jobs":[ ]}"#] {
            assert_eq!(record_with("{}", json), Ok(Found::Missing), "{json}");
        }
        for json in [
            "{}",
            r#"{"success":true}"#,
            r#"{"data":null,"errors":["down"]}"#,
            r#"{"data":[],"error":{"code":5}}"#,
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
