//! Reads answers: errors, single records, and pages of lists. Pages of the feed are read in `events.rs`.
//!
//! A page of a list is `{"count":187,"items":[..],"page":2,"pageSize":3}`, or the bare list, which is documented nowhere and says nothing of
//! where it ends. A row has a `uuid` and an address, which is written
//! in a different way in almost every list.

use std::hash::{DefaultHasher, Hash, Hasher};

use tidemark_engine::change::{Change, Found};
use tidemark_engine::record::{Body, RecordId};

use super::cursor::Extent;
use super::events::path_to;
use super::locator::Locator;
use super::path::{Path, canonical, is_segment, is_uuid};
use super::settings::FieldAwareSettings;
use super::streams::{self, Class, UnknownClasses};
use crate::http::speaks_of_address;
use crate::json::{Malformed, Object, entries};
use crate::rows::{Shows, held, names_next, without_errors};

/// How much of the name of a vendor's error is shown.
const ERROR_NAME_CHARS_MAX: usize = 40;
/// Members of errors that frameworks write.
const FOREIGN_KEYS: [&str; 5] = ["statusCode", "status", "code", "details", "stack"];
/// Members that hold an address, alone or within `link`.
const ADDRESS_NAMES: [&str; 4] = ["url", "href", "link", "self"];

/// The rows of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows(Vec<Row>);

/// A row, as far as it says which record it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    uuid: Option<String>,
    address: Option<String>,
    entity: Option<String>,
    /// Whether it is `null`, which names nothing and hides nothing.
    is_null: bool,
}

/// Reads a page of a list, and what it says of where the list ends.
pub(super) fn page(json: &str, has_next: Option<bool>) -> Result<(Rows, Extent), Malformed> {
    let no_list = Malformed::Shape("no page of a list");
    let (items, count, size, has_next) = if let Some(items) = entries(json) {
        (items, None, None, has_next)
    } else {
        let page = Object::of(json).ok_or(no_list)?;
        let count = page.count("count");
        let items = page.get("items").and_then(|items| held(items, count == Some(0)));
        without_errors(&page, Shows::of(items.as_deref(), count.is_some()))?;
        let items = items.ok_or(no_list)?;
        (items, count, page.count("pageSize"), if names_next(&page) { Some(true) } else { has_next })
    };
    let rows = Rows(items.into_iter().map(Row::read).collect());
    let row_count = u64::try_from(rows.0.len()).unwrap_or(u64::MAX);
    let extent = Extent { rows: row_count, count, has_next, digest: rows.digest(), size };
    Ok((rows, extent))
}

impl Row {
    /// What is no object names no record.
    fn read(json: &str) -> Self {
        let Some(row) = Object::of(json) else {
            return Self { is_null: json == "null", ..Self::default() };
        };
        let link = row.object("link");
        let within = |object: &Object<'_>| ADDRESS_NAMES.iter().find_map(|name| object.text(name));
        Self {
            uuid: row.id("uuid").map(|id| id.as_str().to_owned()),
            address: link.as_ref().and_then(within).or_else(|| within(&row)),
            entity: row.text("entityClass"),
            is_null: false,
        }
    }
}

impl Row {
    /// The class of a quote that is listed among jobs, by its address.
    fn quote_among(&self, listed: &Class) -> Option<&'static Class> {
        let path = Path::of_address(self.address.as_deref()?)?;
        // What stands before may be the base path of a gateway.
        let segments: Vec<&str> = path.segments().collect();
        streams::quote_at(segments.iter().rev().nth(1)?).filter(|_| listed.entity == "Job")
    }
}

impl Rows {
    /// How many rows there are but for nulls.
    fn told_count(&self) -> usize {
        self.0.iter().filter(|row| !row.is_null).count()
    }

    /// The records of a class's list, and how many rows name none. `below` is the user that they stand below, and the
    /// list's segment. A row that names its own class is of that class, and one among jobs whose address is a quote's is
    /// that quote: the list of jobs holds quotes, too. A row of a class that is not known is counted, and the log names it.
    ///
    /// # Errors
    /// When no row at all names a record of a known class: then this is no list of records, and what it lists must not go
    /// missing silently.
    pub(super) fn changes(
        self,
        class: &'static Class,
        below: Option<(&str, &str)>,
        settings: &FieldAwareSettings,
    ) -> Result<(Vec<Change>, usize), Malformed> {
        let (mut changes, mut unusable_count) = (Vec::new(), 0);
        let (row_count, told_count) = (self.0.len(), self.told_count());
        let mut unknown = UnknownClasses::default();
        for row in self.0 {
            let class = match row.entity.as_deref().filter(|_| class.is_told) {
                Some(name) => streams::of_entity(name),
                None => Some(row.quote_among(class).unwrap_or(class)),
            };
            let Some(class) = class else {
                unknown.note(row.entity.as_deref().unwrap_or_default());
                unusable_count += 1;
                continue;
            };
            if !settings.keeps(class) {
                continue;
            }
            let path = path_to(class, row.uuid.as_deref(), row.address.as_deref(), settings).or_else(|| {
                let (user, segment) = below?;
                Path::parse(&format!("user/{user}/{segment}"))?.join(row.uuid.as_deref()?)
            });
            match path.and_then(|path| Locator { class, path }.id()) {
                Some(id) => changes.push(Change::of(id)),
                None => unusable_count += 1,
            }
        }
        if !unknown.is_empty() {
            tracing::warn!(
                class = class.entity,
                classes = %unknown,
                next_step = "report the names to the maintainers: records of these classes are not copied",
                "rows of this list are of classes that are not known here; they are skipped"
            );
        }
        some_are_usable(told_count, row_count - unusable_count)?;
        Ok((changes, unusable_count))
    }

    /// What tells this page from another: which records it names, in their order.
    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.iter().for_each(|row| (&row.uuid, &row.address).hash(&mut hasher));
        hasher.finish()
    }

    /// The uuids of the rows, and how many rows have none.
    ///
    /// # Errors
    /// When none has one.
    pub(super) fn uuids(self) -> Result<(Vec<String>, usize), Malformed> {
        let (row_count, told_count) = (self.0.len(), self.told_count());
        let named = self.0.into_iter().filter_map(|row| {
            let by_address = || Some(Path::of_address(&row.address?)?.last().to_owned()).filter(|last| is_uuid(last));
            row.uuid.filter(|uuid| is_segment(uuid)).or_else(by_address)
        });
        // What cannot be kept as an id could not be fetched either.
        let uuids: Vec<String> = named.filter(|uuid| RecordId::parse(uuid.as_str()).is_ok()).collect();
        let unusable_count = row_count - uuids.len();
        some_are_usable(told_count, uuids.len())?;
        Ok((uuids, unusable_count))
    }
}

fn some_are_usable(told_count: usize, usable_count: usize) -> Result<(), Malformed> {
    if told_count > 0 && usable_count == 0 {
        return Err(Malformed::Shape("a list in which no row names a record of a class that is known"));
    }
    Ok(())
}

/// A record, under the id in its row.
pub(super) fn record(json: &str) -> Result<Found, Malformed> {
    let json = json.trim_ascii();
    let object = Object::of(json).ok_or(Malformed::Shape("no object"))?;
    let uuid = object.id("uuid").ok_or(Malformed::Shape("an object without a uuid"))?;
    let id = RecordId::parse(canonical(uuid.as_str())).map_err(|_| Malformed::Shape("an object without a uuid"))?;
    Ok(Found::Record { id, body: Body::new(json), stamp: None })
}

/// Whether JSON is the vendor's own error, `{"error":{"name":"..","message":".."}}`: gateways and frameworks write others,
/// some of which have a name, too.
pub(super) fn is_own_error(json: &str) -> bool {
    let Some(error) = Object::of(json).and_then(|object| object.object("error")) else { return false };
    let is_named = error.text("name").is_some_and(|name| !name.is_empty());
    is_named && FOREIGN_KEYS.iter().all(|key| error.get(key).is_none())
}

/// Whether an error speaks of the address that was called.
pub(super) fn is_about_address(json: &str) -> bool {
    let error = Object::of(json).and_then(|object| object.object("error")).unwrap_or_default();
    speaks_of_address(&error.text("message").unwrap_or_default())
}

/// The name in an error body, `{"error":{"name":"..","message":".."}}`, as far as it can be shown. The message may quote
/// a record.
pub(super) fn error_name(json: &str) -> Option<String> {
    let error = Object::of(json)?.object("error")?;
    let name = error.text("name").unwrap_or_default();
    let is_plain = (1..=ERROR_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphabetic());
    Some(if is_plain { name } else { "without a name".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "07af3523740340fb8685ae2eece650c3";

    fn settings() -> FieldAwareSettings {
        FieldAwareSettings::parse("{}").unwrap()
    }

    fn listed(records: &str, json: &str) -> (Vec<String>, usize) {
        let (rows, _) = page(json, None).unwrap();
        let (changes, unusable_count) = rows.changes(streams::of_records(records).unwrap(), None, &settings()).unwrap();
        (changes.into_iter().map(|change| change.id.as_str().to_owned()).collect(), unusable_count)
    }

    #[test]
    fn the_address_is_found_in_every_variant() {
        for address in [
            r#""link":{"rel":"detail","url":"https://api.fieldaware.net/job/"#,
            r#""link":{"rel":"detail","href":"https://api.fieldaware.net/job/"#,
            r#""link":{"rel":"detail","link":"https://api.fieldaware.net/job/"#,
            r#""link":"https://other.example/job/"#,
            r#""href":"/job/"#,
        ] {
            let end = if address.contains('{') { "\"}" } else { "\"" };
            let json = format!(r#"{{"items":[{{"uuid":"{UUID}",{address}{UUID}{end}}}]}}"#);
            assert_eq!(listed("assets", &json), (vec![format!("assets/job/{UUID}")], 0), "{json}");
        }
    }

    #[test]
    fn without_an_address_the_path_is_the_usual_one_of_the_class() {
        let rows = format!(
            r#"{{"items":[{{"uuid":"{UUID}"}},{{"uuid":"{UUID}","link":{{"url":"https://evil.example/"}}}}]}}"#
        );
        let expected = format!("unavailable_time_types/unavailability/types/{UUID}");
        assert_eq!(listed("unavailable_time_types", &rows), (vec![expected.clone(), expected], 0));
    }

    #[test]
    fn rows_below_a_user_have_the_path_below_that_user() {
        let (rows, _) = page(&format!(r#"{{"items":[{{"uuid":"{UUID}"}}]}}"#), None).unwrap();
        let class = streams::of_records("unavailable_times").unwrap();
        let (changes, _) = rows.changes(class, Some(("7cc5", "unavailability")), &settings()).unwrap();
        assert_eq!(changes[0].id.as_str(), format!("unavailable_times/user/7cc5/unavailability/{UUID}"));
    }

    #[test]
    fn a_row_that_names_its_class_is_of_that_class() {
        let json = format!(
            r#"{{"items":[{{"uuid":"{UUID}","entityClass":"FieldQuote"}},{{"uuid":"1","entityClass":"JobTask"}},{{"uuid":"1"}}]}}"#
        );
        let expected = vec![format!("field_quotes/fieldquote/{UUID}"), "jobs/job/1".to_owned()];
        assert_eq!(listed("jobs", &json), (expected, 1), "a class that is not known is counted");
    }

    #[test]
    fn rows_without_a_record_are_counted() {
        let json =
            format!(r#"{{"items":[{{}},{{"name":"x"}},{{"uuid":"../1"}},{{"link":{{"url":"/item/{UUID}"}}}}]}}"#);
        assert_eq!(listed("items", &json), (vec![format!("items/item/{UUID}")], 3));
        let (rows, _) = page(&json, None).unwrap();
        assert_eq!(rows.uuids(), Ok((vec![UUID.to_owned()], 3)));
    }

    #[test]
    fn a_list_in_which_no_row_names_a_record_is_no_list() {
        let no_list = Malformed::Shape("a list in which no row names a record of a class that is known");
        let rows = |json: &str| page(json, None).unwrap().0;
        let items = streams::of_records("items").unwrap();
        let unusable = r#"{"items":[{},{"id":"1"}]}"#;
        assert_eq!(rows(unusable).changes(items, None, &settings()), Err(no_list));
        assert_eq!(rows(unusable).uuids(), Err(no_list));
        assert_eq!(rows(r#"{"items":[]}"#).changes(items, None, &settings()), Ok((Vec::new(), 0)));
        // Rows of classes that are not kept are rows of records, those of classes that are not known may be anything.
        let jobs_alone = FieldAwareSettings::parse(r#"{"record_streams":["items","jobs"]}"#).unwrap();
        let of_class = |name| format!(r#"{{"items":[{{}},{{"uuid":"1","entityClass":"{name}"}}]}}"#);
        assert_eq!(rows(&of_class("Task")).changes(items, None, &jobs_alone), Ok((Vec::new(), 1)));
        assert_eq!(rows(&of_class("JobTask")).changes(items, None, &settings()), Err(no_list));
    }

    #[test]
    fn the_extent_is_what_the_page_says() {
        let extent = |json: &str, has_next| {
            let Extent { rows, count, has_next, .. } = page(json, has_next).unwrap().1;
            (rows, count, has_next)
        };
        let sample = r#"{"count":187,"items":[{"uuid":"1"}],"page":2,"pageSize":3,"sortedBy":[]}"#;
        assert_eq!(extent(sample, Some(true)), (1, Some(187), Some(true)));
        assert_eq!(extent(r#"{"items":[]}"#, None), (0, None, None));
        let named = r#"{"count":1,"items":[{"uuid":"1"}],"next":"/customer/?page=1"}"#;
        assert_eq!(extent(named, Some(false)), (1, Some(1), Some(true)), "a named next page wins");
        assert_eq!(extent(r#"[{"uuid":"1"}]"#, None), (1, None, None), "it does not say that it is all there is");
        assert_eq!(extent(r#"[{"uuid":"1"}]"#, Some(true)), (1, None, Some(true)));
    }

    #[test]
    fn what_is_no_list_is_never_an_empty_one() {
        for json in [
            "null",
            "7",
            r#""x""#,
            "{}",
            r#"{"items":null}"#,
            r#"{"items":[],"count":0,"error":"down"}"#,
            r#"{"items":[],"count":0,"errors":[7]}"#,
            r#"{"items":null,"count":3}"#,
            r#"{"items":{},"count":3}"#,
            r#"{"items":{"a":{"uuid":"1"}},"count":1}"#,
        ] {
            assert!(matches!(page(json, None), Err(Malformed::Shape(_))), "{json}");
        }
        let items = streams::of_records("items").unwrap();
        for json in [r#"{"items":[1]}"#, "[1]", r#"{"items":[null,[],"x"]}"#] {
            let rows = page(json, None).unwrap().0;
            assert!(matches!(rows.changes(items, None, &settings()), Err(Malformed::Shape(_))), "{json}");
        }
    }

    #[test]
    fn other_forms_of_a_list_are_read() {
        for json in [r#"{"items":null,"count":0}"#, r#"{"items":{},"count":0}"#] {
            assert_eq!(listed("items", json), (Vec::new(), 0), "{json}");
        }
        let gaps = format!(r#"{{"items":{{"0":{{"uuid":"{UUID}"}},"2":{{"uuid":"1"}}}},"count":2}}"#);
        assert_eq!(listed("items", &gaps).0, [format!("items/item/{UUID}"), "items/item/1".to_owned()]);
    }

    #[test]
    fn rows_that_are_no_objects_are_counted_and_passed_by() {
        let json = format!(r#"{{"items":[null,[{{"uuid":"2"}}],{{"uuid":"{UUID}"}},7]}}"#);
        assert_eq!(listed("items", &json), (vec![format!("items/item/{UUID}")], 3));
        assert_eq!(page(&json, None).unwrap().0.uuids(), Ok((vec![UUID.to_owned()], 3)));
        assert_eq!(listed("items", r#"{"items":[null]}"#), (Vec::new(), 1), "a null hides nothing");
    }

    #[test]
    fn a_row_among_jobs_whose_address_is_a_quotes_is_that_quote() {
        let row = |path: &str| format!(r#"{{"uuid":"{UUID}","link":{{"url":"https://h.example/{path}/{UUID}"}}}}"#);
        let json = format!(r#"{{"items":[{},{},{}]}}"#, row("webquote"), row("fieldquote"), row("job"));
        let (web, field) = (format!("web_quotes/webquote/{UUID}"), format!("field_quotes/fieldquote/{UUID}"));
        assert_eq!(listed("jobs", &json), (vec![web.clone(), field, format!("jobs/job/{UUID}")], 0));
        let behind_gateway = format!("web_quotes/fa/webquote/{UUID}");
        assert_eq!(listed("jobs", &format!("[{}]", row("fa/webquote"))).0, [behind_gateway]);
        assert_eq!(listed("customers", &format!("[{}]", row("webquote"))).0, [format!("customers/webquote/{UUID}")]);
    }

    #[test]
    fn only_an_error_with_a_name_is_the_vendors_own() {
        assert!(is_own_error(r#"{"error":{"name":"NotFoundError","message":"no job 7"}}"#));
        for others in [
            "{}",
            "null",
            r#"{"error":{}}"#,
            r#"{"error":{"name":""}}"#,
            r#"{"error":{"code":404,"message":"x","status":"NOT_FOUND"}}"#,
            r#"{"error":"Not Found","status":404}"#,
            r#"[{"error":{"name":"NotFoundError"}}]"#,
            r#"{"error":{"statusCode":404,"name":"NotFoundError","message":"Endpoint \"GET /x\" not found."}}"#,
            r#"{"data":null,"error":{"status":404,"name":"NotFoundError","message":"Not Found","details":{}}}"#,
            r#"{"error":{"name":"Error","message":"no route","stack":"Error: no route\n at x"}}"#,
        ] {
            assert!(!is_own_error(others), "{others}");
        }
    }

    #[test]
    fn of_an_error_only_a_plain_name_is_shown() {
        let name = |json: &str| error_name(json);
        assert_eq!(
            name(r#"{"error":{"name":"NotFoundError","message":"no job 7"}}"#).as_deref(),
            Some("NotFoundError")
        );
        for odd in [r#"{"error":{"name":"jane@example.com"}}"#, r#"{"error":{}}"#, r#"{"error":{"name":7}}"#] {
            assert_eq!(name(odd).as_deref(), Some("without a name"), "{odd}");
        }
        for none in [r#"{"uuid":"1","error":null}"#, r#"{"uuid":"1","error":"x"}"#, "[]", r#"{"items":[]}"#] {
            assert_eq!(name(none), None, "{none}");
        }
    }
}
