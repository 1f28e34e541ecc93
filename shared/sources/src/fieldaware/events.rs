//! Reads pages of the change feed.
//!
//! `{"items":[..],"next":..}`: the events in the order in which they happened, and where to go on, which the vendor writes
//! as an address when there are events and as a number when there are none. Every form is read at any time; one that
//! names no token is a failure, since neither "the end" nor "the same place" may be guessed. None at all is the end.

use jiff::Timestamp;
use tidemark_engine::change::{Change, Listed};
use tidemark_engine::clock::Stamp;
use tidemark_engine::record::Body;

use super::locator::Locator;
use super::path::{Path, canonical, is_segment, is_token, is_uuid, token_of_address};
use super::settings::FieldAwareSettings;
use super::streams::{self, Class, List, UUID, UnknownClasses};
use crate::json::{Malformed, Object};
use crate::rows::{Shows, held, names_next, without_errors};
use crate::time;

/// A page of events.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EventPage {
    /// The events of record streams that are kept, in the vendor's order.
    pub(super) changes: Vec<Change>,
    /// Where to go on; none when the page names no next one.
    pub(super) next: Option<String>,
    /// Whether there was no event at all, kept or not.
    pub(super) is_empty: bool,
    /// Whether each event has the number of the next token, as where a token shows what it was made of once more.
    pub(super) is_repeat: bool,
    /// Events that name no record.
    pub(super) unusable_count: usize,
    /// The classes that this program does not know.
    pub(super) unknown: UnknownClasses,
}

const NO_TOKEN: Malformed = Malformed::Shape("a page whose next names no token");

/// What an event is to us.
enum Event {
    Kept(Change),
    NotKept,
    Unknown(String),
    Unusable,
}

/// Reads a page of events.
pub(super) fn page(json: &str, settings: &FieldAwareSettings) -> Result<EventPage, Malformed> {
    let page = Object::of(json).ok_or(Malformed::Shape("no page of events"))?;
    let items = page.get("items").and_then(|items| held(items, false));
    without_errors(&page, Shows::of(items.as_deref(), page.get("next").is_some()))?;
    let items = items.ok_or(Malformed::Shape("a page without a list of events"))?;
    let next = match page.get("next").filter(|next| *next != "null") {
        Some(next) => Some(token(next).ok_or(NO_TOKEN)?),
        // Under another name than the vendor's: the end it is not.
        None if names_next(&page) => return Err(NO_TOKEN),
        None => None,
    };
    let is_of = |item: &str, token: &str| Object::of(item)?.id("id").map(|id| id.as_str() == token);
    let is_repeat = next.as_ref().is_some_and(|next| items.iter().all(|item| is_of(item, next) == Some(true)));
    let mut read = EventPage { is_empty: items.is_empty(), is_repeat, next, ..EventPage::default() };
    for item in items {
        match event(item, settings) {
            Event::Kept(change) => read.changes.push(change),
            Event::NotKept => {}
            Event::Unknown(name) => read.unknown.note(&name),
            Event::Unusable => read.unusable_count += 1,
        }
    }
    Ok(read)
}

/// Reads the newest token: `{"url":"..","sinceToken":63182001}`.
pub(super) fn newest_token(json: &str) -> Result<String, Malformed> {
    let answer = Object::of(json).ok_or(Malformed::Shape("no token"))?;
    let token = answer.get("sinceToken").and_then(bare_token).or_else(|| token_of_address(&answer.text("url")?));
    token.ok_or(Malformed::Shape("an object without a token"))
}

/// A token, written as a number, as a text of digits, or as an address.
fn token(json: &str) -> Option<String> {
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).ok()?;
        return if is_digits(&text) { bare_token(json) } else { token_of_address(&text) };
    }
    bare_token(json)
}

/// A token that stands for itself: a number, or a text that is no address.
fn bare_token(json: &str) -> Option<String> {
    let text = if json.starts_with('"') {
        serde_json::from_str(json).ok()?
    } else {
        Some(json).filter(|number| is_digits(number))?.to_owned()
    };
    is_token(&text).then_some(text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn event(json: &str, settings: &FieldAwareSettings) -> Event {
    let Some(event) = Object::of(json) else {
        return Event::Unusable;
    };
    let Some(name) = event.text("entityClass") else {
        return Event::Unusable;
    };
    let Some(class) = streams::of_entity(&name) else {
        return Event::Unknown(name);
    };
    if !settings.keeps(class) {
        return Event::NotKept;
    }
    let deleted = event.text("status").is_some_and(|status| status.eq_ignore_ascii_case("DELETED"));
    let uuid = event.object("entity").and_then(|entity| entity.id("uuid"));
    let uuid = uuid.as_ref().map(tidemark_engine::record::RecordId::as_str);
    let path = path_to(class, uuid, event.text("url").as_deref(), settings)
        // A deletion is not fetched, so it needs no path but the record's name.
        .or_else(|| Path::parse(uuid.filter(|uuid| deleted && is_segment(uuid))?));
    let Some(id) = path.and_then(|path| Locator { class, path }.id()) else {
        return Event::Unusable;
    };
    let listed = Listed {
        stamp: event.text("changedOn").and_then(|text| stamp(&text)),
        row: None,
        event: Some(Body::new(json)),
    };
    Event::Kept(Change { id, deleted, listed: Some(Box::new(listed)) })
}

/// The path to a record: what the settings say, else what its address says, else the usual one of its class. An address
/// that leads to another record than the one named is not used.
pub(super) fn path_to(
    class: &Class,
    uuid: Option<&str>,
    address: Option<&str>,
    settings: &FieldAwareSettings,
) -> Option<Path> {
    let leads_there = |path: &Path| match uuid {
        Some(uuid) => canonical(path.last()) == canonical(uuid),
        None => is_uuid(path.last()),
    };
    let by_address = address.and_then(Path::of_address).filter(leads_there);
    let uuid = uuid.map(str::to_owned).or_else(|| Some(by_address.as_ref()?.last().to_owned()))?;
    settings.fixed_path(class, &uuid).or(by_address).or_else(|| match class.list {
        List::At { detail, .. } => Path::parse(detail.strip_suffix(UUID)?)?.join(&uuid),
        List::BelowUsers { .. } => None,
    })
}

/// When an event happened, ISO 8601 with an offset.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    let instant: Timestamp = text.parse().ok()?;
    Some(time::stamp(text, instant))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JOB: &str = "7cc5e2d8879a43829dcc07655f5ca606";

    fn settings(text: &str) -> FieldAwareSettings {
        FieldAwareSettings::parse(text).unwrap()
    }

    fn read(items: &str) -> EventPage {
        page(&format!(r#"{{"items":[{items}],"next":5}}"#), &settings("{}")).unwrap()
    }

    fn ids(items: &str) -> Vec<String> {
        read(items).changes.iter().map(|change| change.id.as_str().to_owned()).collect()
    }

    fn event_of(class: &str, more: &str) -> String {
        format!(r#"{{"entityClass":"{class}","entity":{{"uuid":"{JOB}"}}{more}}}"#)
    }

    /// The guide's sample.
    const SAMPLE: &str = r#"{"status":"UPDATED","changedBy":{"uuid":"3bf0cb0efb6e471b8826b59cf4748600"},"entityClass":"Job","changedOn":"2014-10-15T12:16:53+00:00","url":"https://api.fieldaware.net/job/7cc5e2d8879a43829dcc07655f5ca606","entity":{"uuid":"7cc5e2d8879a43829dcc07655f5ca606"},"actions":[{"entityClass":"JobTask","status":"REASSIGNED","uuid":"53b68807ba3747dfa48e93d1c727957c","url":"https://api.fieldaware.net/job/7cc5e2d8879a43829dcc07655f5ca606/task/53b68807ba3747dfa48e93d1c727957c"}],"id":63252907}"#;

    #[test]
    fn the_guides_sample_is_read_and_kept_as_it_is() {
        let page = read(SAMPLE);
        let [change] = &page.changes[..] else { panic!("{page:?}") };
        assert_eq!(change.id.as_str(), format!("jobs/job/{JOB}"));
        assert_eq!(change.stamp().unwrap().text, "2014-10-15T12:16:53+00:00");
        assert_eq!(change.stamp().unwrap().at.get(), 1_413_375_413_000);
        assert_eq!(change.event().unwrap().text(), SAMPLE);
        assert_eq!((page.unusable_count, page.is_empty), (0, false));
    }

    #[test]
    fn the_token_is_read_in_every_form() {
        for (next, expected) in [
            ("63182001", "63182001"),
            (r#""63182001""#, "63182001"),
            (r#""https://api.fieldaware.net/changes/63252980/""#, "63252980"),
            (r#""https:\/\/api.fieldaware.net\/changes\/63252980\/""#, "63252980"),
            (r#""https://evil.example:8443/changes/63252980/?x=y""#, "63252980"),
            (r#""/changes/dcae3660ec84eac94/""#, "dcae3660ec84eac94"),
        ] {
            let read = page(&format!(r#"{{"items":[],"next":{next}}}"#), &settings("{}")).unwrap();
            assert_eq!((read.next.as_deref(), read.is_empty), (Some(expected), true));
        }
    }

    #[test]
    fn a_next_that_names_no_token_is_a_failure_and_never_the_end() {
        for next in [
            "-1",
            "6.3e7",
            "1.5",
            "true",
            "{}",
            "[5]",
            r#""""#,
            r#""abc""#,
            r#""https://api.fieldaware.net/changes/latest/""#,
            r#""https://evil.example/""#,
            r#""//evil.example""#,
            r#""http://127.0.0.1:9001/2018-06-01/runtime/invocation/next""#,
            r#""/changes/..%2fadmin/""#,
            r#""/changes/../admin/""#,
        ] {
            let read = page(&format!(r#"{{"items":[],"next":{next}}}"#), &settings("{}"));
            assert_eq!(read, Err(Malformed::Shape("a page whose next names no token")), "{next}");
        }
    }

    #[test]
    fn a_next_page_under_another_name_is_a_failure_and_never_the_end() {
        for next in [r#""links":{"next":"/changes/7/"}"#, r#""nextUrl":"/changes/7/""#, r#""has_more":true"#] {
            for items in ["", SAMPLE] {
                assert_eq!(page(&format!(r#"{{"items":[{items}],{next}}}"#), &settings("{}")), Err(NO_TOKEN), "{next}");
            }
        }
    }

    #[test]
    fn a_page_without_a_next_has_none() {
        for json in [r#"{"items":[]}"#, r#"{"items":[],"next":null,"prev":"/changes/previous/2014-10-14/"}"#] {
            assert_eq!(page(json, &settings("{}")).unwrap().next, None, "{json}");
        }
    }

    #[test]
    fn what_is_no_page_of_events_is_never_no_changes() {
        for json in [
            "null",
            "[]",
            "7",
            r#""x""#,
            "{}",
            r#"{"next":5}"#,
            r#"{"items":{},"next":5}"#,
            r#"{"items":null,"next":5}"#,
        ] {
            assert!(matches!(page(json, &settings("{}")), Err(Malformed::Shape(_))), "{json}");
        }
    }

    #[test]
    fn the_newest_token_is_a_number_a_text_or_in_the_address() {
        for (json, expected) in [
            (r#"{"url":"https://api.fieldaware.net/changes/63182001/","sinceToken":63182001}"#, Some("63182001")),
            (r#"{"sinceToken":"dcae3660ec84eac94"}"#, Some("dcae3660ec84eac94")),
            (r#"{"url":"https://api.fieldaware.net/changes/63182001/"}"#, Some("63182001")),
            (r#"{"sinceToken":null,"url":"https://api.fieldaware.net/changes/latest/"}"#, None),
            ("[]", None),
            ("63182001", None),
        ] {
            assert_eq!(newest_token(json).ok().as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn a_deletion_is_told_and_needs_no_address() {
        for (class, id) in
            [("Customer", format!("customers/customer/{JOB}")), ("UnavailableTime", format!("unavailable_times/{JOB}"))]
        {
            let page = read(&event_of(class, r#","status":"DELETED""#));
            let [change] = &page.changes[..] else { panic!("{page:?}") };
            assert_eq!((change.id.as_str(), change.deleted), (id.as_str(), true));
        }
        assert_eq!(read(&event_of("UnavailableTime", r#","status":"UPDATED""#)).unusable_count, 1);
    }

    #[test]
    fn the_class_comes_from_the_event_and_not_from_its_address() {
        let url = format!(r#","url":"https://api.fieldaware.com/job/{JOB}""#);
        assert_eq!(ids(&event_of("WebQuote", &url)), [format!("web_quotes/job/{JOB}")]);
        assert_eq!(ids(&event_of("FieldQuote", &url)), [format!("field_quotes/job/{JOB}")]);
    }

    #[test]
    fn without_a_usable_address_the_path_is_the_usual_one_of_the_class() {
        for url in [
            "null",
            r#""""#,
            r#""https://evil.example/""#,
            r#""//evil.example""#,
            r#""\\\\evil.example""#,
            r#""https://api.fieldaware.net/job/53b68807ba3747dfa48e93d1c727957c""#,
            r#""http://127.0.0.1:9001/2018-06-01/runtime/invocation/next""#,
            r#""http://169.254.169.254/latest/meta-data/""#,
            r#""https://api.fieldaware.net/job/..%2f..%2fadmin""#,
            r#""https://api\u3002fieldaware.net/job/\u002e\u002e/7""#,
        ] {
            let more = format!(r#","url":{url}"#);
            assert_eq!(ids(&event_of("FieldQuote", &more)), [format!("field_quotes/fieldquote/{JOB}")], "{url}");
            assert_eq!(read(&event_of("WorkingHoursException", &more)).unusable_count, 1, "{url}");
        }
    }

    #[test]
    fn paths_of_the_settings_replace_all_others() {
        let settings = settings(r#"{"detail_paths":{"field_quotes":"/quotes/field/{uuid}"}}"#);
        let event = event_of("FieldQuote", &format!(r#","url":"https://h.example/job/{JOB}""#));
        let page = page(&format!(r#"{{"items":[{event}],"next":5}}"#), &settings).unwrap();
        assert_eq!(page.changes[0].id.as_str(), format!("field_quotes/quotes/field/{JOB}"));
    }

    #[test]
    fn events_without_a_record_are_counted() {
        for item in [
            "null",
            "[]",
            r#"[{"entityClass":"Job"}]"#,
            "1",
            "{}",
            r#"{"entityClass":"Job"}"#,
            r#"{"entityClass":7,"entity":{"uuid":"1"}}"#,
            r#"{"entityClass":"Job","entity":{"uuid":""}}"#,
            r#"{"entityClass":"Job","entity":{"uuid":"../x"}}"#,
            r#"{"entityClass":"Job","url":"https://api.fieldaware.net/job/list"}"#,
        ] {
            assert_eq!((read(item).unusable_count, read(item).changes.len()), (1, 0), "{item}");
        }
        let by_address = format!(r#"{{"entityClass":"Job","url":"https://h.example/job/{JOB}"}}"#);
        assert_eq!(ids(&by_address), [format!("jobs/job/{JOB}")]);
    }

    #[test]
    fn events_of_one_id_are_told_apart_by_their_records() {
        let items = [event_of("Job", r#","id":63739455"#), event_of("Customer", r#","id":63739455"#)];
        assert_eq!(ids(&items.join(",")), [format!("jobs/job/{JOB}"), format!("customers/customer/{JOB}")]);
    }

    #[test]
    fn unknown_classes_are_named_and_classes_not_kept_are_passed_over() {
        let long = "x".repeat(100);
        let items = [event_of("JobTask", ""), event_of(r"A\nB", ""), event_of(&long, ""), event_of("JobTask", "")];
        let page = read(&items.join(","));
        assert_eq!(page.unknown.to_string(), "(not shown), JobTask");
        assert_eq!((page.changes.len(), page.unusable_count, page.is_empty), (0, 0, false));
        let settings = settings(r#"{"record_streams":["jobs"]}"#);
        let json = format!(r#"{{"items":[{},{SAMPLE}],"next":5}}"#, event_of("Task", ""));
        let page = super::page(&json, &settings).unwrap();
        assert_eq!((page.changes.len(), page.unknown.is_empty()), (1, true));
    }

    #[test]
    fn a_stamp_that_is_no_time_is_none() {
        for changed_on in ["null", "7", r#""""#, r#""soon""#, r#""2014-10-15T12:16:53""#] {
            let page = read(&event_of("Job", &format!(r#","changedOn":{changed_on}"#)));
            assert_eq!(page.changes[0].stamp(), None, "{changed_on}");
        }
        let page = read(&event_of("Job", r#","changedOn":"2014-10-15T14:16:53.500+02:00""#));
        assert_eq!(page.changes[0].stamp().unwrap().at.get(), 1_413_375_413_500);
    }

    #[test]
    fn repeated_events_are_all_kept_in_their_order() {
        let deleted = event_of("Job", r#","status":"DELETED""#);
        let created = event_of("Job", r#","status":"CREATED""#);
        let page = read(&[deleted, created.clone(), created].join(","));
        let told: Vec<_> = page.changes.iter().map(|change| (change.id.as_str().to_owned(), change.deleted)).collect();
        assert_eq!(told, [true, false, false].map(|deleted| (format!("jobs/job/{JOB}"), deleted)));
    }

    proptest! {
        #[test]
        fn no_json_like_input_makes_it_panic(text in "[\\[\\]{}\",:0-9a-z/\\\\ ]{0,40}") {
            let _page = page(&text, &settings("{}"));
            let _token = newest_token(&text);
        }
    }
}
