use proptest::prelude::*;

use super::*;
use crate::fieldly::settings::FieldlySettings;
use crate::json::checked;

fn resource(settings: &str) -> Resource {
    FieldlySettings::parse(settings).unwrap().resources.remove(0)
}

fn page_of(json: &str, page: u32, settings: &str) -> Result<Rows, Malformed> {
    let resource = resource(settings);
    rows(&Sent::of(json.as_bytes().to_vec())?, Asked { resource: &resource, page, metadata_key: None })
}

fn page(json: &str) -> Result<Rows, Malformed> {
    page_of(json, 1, "{}")
}

fn total(json: &str, number: u32) -> Option<u32> {
    page_of(json, number, "{}").unwrap_or_else(|malformed| panic!("{json}: {malformed}")).pages_total
}

fn ids(rows: &Rows) -> Vec<&str> {
    rows.changes.iter().map(|change| change.id.as_str()).collect()
}

#[test]
fn rows_are_kept_byte_for_byte_with_their_stamp() {
    let first =
        r#"{ "id":1,"price":1.50,"n":12345678901234567890,"t":"\u00e9\/", "updated_at":"2020-11-08T23:00:00.000Z" }"#;
    let rows = page(&format!(r#"{{"work_items":[{first},{{"id":"a/b","updated_at":null}}]}}"#)).unwrap();
    assert_eq!(ids(&rows), ["1", "a/b"]);
    assert_eq!(rows.changes[0].row().unwrap().text(), first);
    let stamp = rows.changes[0].stamp().unwrap();
    assert_eq!((stamp.text.as_str(), stamp.at.get()), ("2020-11-08T23:00:00.000Z", 1_604_876_400_000));
    assert_eq!(rows.changes[1].stamp(), None);
}

#[test]
fn records_that_share_a_serial_number_are_two() {
    let json = r#"{"work_items":[{"id":1,"serial_number":"1111","type":"Workorder"},{"id":2,"serial_number":"1111","type":"Project"}]}"#;
    assert_eq!(ids(&page(json).unwrap()), ["1", "2"]);
}

#[test]
fn rows_are_found_under_the_resource_or_as_the_only_array() {
    for json in [
        r#"{"work_items":[{"id":1}],"others":[{"id":2}]}"#,
        r#"{"data":[{"id":1}],"metadata":{"x":[]}}"#,
        r#"{"errors":[],"items":[{"id":1}]}"#,
    ] {
        assert_eq!(ids(&page(json).unwrap()), ["1"], "{json}");
    }
    let settings = r#"{"rows_keys":{"work_items":"others"}}"#;
    let rows = page_of(r#"{"work_items":[{"id":1}],"others":[{"id":2}]}"#, 1, settings).unwrap();
    assert_eq!(ids(&rows), ["2"]);
    assert!(page_of(r#"{"work_items":[{"id":1}]}"#, 1, settings).is_err());
    let settings = r#"{"paths":{"work_items":"v2/orders"}}"#;
    assert_eq!(ids(&page_of(r#"{"orders":[{"id":3}],"x":[]}"#, 1, settings).unwrap()), ["3"]);
}

#[test]
fn what_is_no_page_is_never_an_empty_one() {
    for json in [
        "{}",
        "null",
        "7",
        r#"{"work_items":null}"#,
        r#"{"work_items":{}}"#,
        r#"{"a":[],"b":[]}"#,
        // Nothing says that this is a list of work items.
        r#"{"messages":[]}"#,
        r#"{"name":"api","versions":[]}"#,
        r#"{"errors":[]}"#,
        r#"{"errors":{"base":["x"]},"work_items":[]}"#,
        r#"{"error":"maintenance","work_items":[]}"#,
        r#"{"ok":1,"unexpected":[[1],[2,null]]}"#,
        r#"{"work_items":[{"serial_number":"1"}]}"#,
    ] {
        assert!(matches!(page(json), Err(Malformed::Shape(_))), "{json}: {:?}", page(json));
    }
}

/// A null with a total of 0, and other forms in which frameworks write a list.
#[test]
fn other_forms_of_a_list_are_read() {
    for (json, expected, pages_total) in [
        (r#"{"work_items":null,"metadata":{"total":0,"total_count":0,"total_pages":0}}"#, vec![], Some(0)),
        (r#"{"work_items":null,"metadata":{"total":0}}"#, vec![], None),
        (r#"{"work_items":{},"meta":{"total_count":0}}"#, vec![], Some(0)),
        (r#"{"work_items":{"0":{"id":1},"2":{"id":2}}}"#, vec!["1", "2"], None),
        (r#"{"data":{"0":{"id":1}},"pagination":{"total_pages":3}}"#, vec!["1"], Some(3)),
        (r#"[{"id":1}]"#, vec!["1"], None),
        ("[]", vec![], None),
        (r#"{"items":[],"metadata":{"total_pages":0}}"#, vec![], Some(0)),
        // Of two members that may hold the rows, the one that has some.
        (r#"{"work_items":[],"data":[{"id":1}]}"#, vec!["1"], None),
        (r#"{"work_items":null,"data":[{"id":1}]}"#, vec!["1"], None),
    ] {
        let rows = page(json).unwrap_or_else(|malformed| panic!("{json}: {malformed}"));
        assert_eq!((ids(&rows), rows.pages_total), (expected, pages_total), "{json}");
    }
    let settings = r#"{"rows_keys":{"work_items":"work_items"}}"#;
    assert!(page_of("[]", 1, settings).is_err(), "whoever names the key means it");
}

#[test]
fn one_row_that_is_no_json_hides_no_other() {
    let rows = page(r#"{"work_items":[{"id":1,"price":NaN},{"id":2}],"metadata":{"total_pages":1}}"#).unwrap();
    assert_eq!((ids(&rows), rows.odd_count), (vec!["1", "2"], 1));
    assert!(rows.changes[0].row().is_none() && rows.changes[1].row().is_some());
}

#[test]
fn only_the_vendors_own_shape_is_its_own_error() {
    for json in [
        r#"{"errors":{"title":["is missing"]}}"#,
        r#"{"errors":["Record not found"]}"#,
        r#"{"error":"Not found"}"#,
        r#"{"error":"invalid_token","error_description":"The access token expired","state":"unauthorized"}"#,
        r#"{"status":404,"error":"Not Found"}"#,
    ] {
        assert!(is_own_error(json), "{json}");
    }
    for json in [
        "{}",
        "null",
        r#"{"errors":{}}"#,
        r#"{"error":""}"#,
        r#"{"error":{"code":403,"message":"denied"}}"#,
        r#"{"message":"Forbidden"}"#,
        r#"{"success":false,"errors":[{"code":1015}],"result":null}"#,
        r#"{"timestamp":"2026","status":404,"error":"Not Found","path":"/api"}"#,
        r#"{"statusCode":403,"error":"Forbidden","message":"Forbidden"}"#,
        r#"{"clients":[]}"#,
        r#"{"id":7,"error":"a member of a row"}"#,
    ] {
        assert!(!is_own_error(json), "{json}");
    }
}

#[test]
fn gone_is_said_in_the_guides_words_alone() {
    for json in [
        r#"{"errors":{"id":["does not exist"]}}"#,
        r#"{"errors":{"base":["is archived","is gone"],"id":["is unknown"]}}"#,
        r#"{"error":"The requested resource could not be found"}"#,
        r#"{"error":" the requested resource could not be found. "}"#,
    ] {
        assert!(says_gone(json.as_bytes()), "{json}");
    }
    for json in [
        r#"{"error":"Not Found"}"#,
        r#"{"error":"404 Not Found"}"#,
        r#"{"error":"Gone"}"#,
        r#"{"status":404,"error":"Not Found"}"#,
        r#"{"errors":{"detail":"Not Found"}}"#,
        r#"{"errors":{}}"#,
        r#"{"errors":{"id":[]}}"#,
        r#"{"errors":{"token":["is invalid"]}}"#,
        r#"{"errors":{"company":["is not active"]}}"#,
        r#"{"errors":{"base":["not found"]}}"#,
        r#"{"errors":{"id":[7]}}"#,
        r#"{"errors":{"id":["does not exist"],"status":404}}"#,
        r#"{"errors":["Not Found"]}"#,
        r#"{"errors":[{"status":"404","title":"Not Found"}]}"#,
        r#"{"error":"No route matches"}"#,
        "{}",
        "null",
        "",
    ] {
        assert!(!says_gone(json.as_bytes()), "{json}");
    }
    assert!(!says_gone(b"\xff"));
}

#[test]
fn rows_without_a_usable_id_are_counted() {
    let rows = page(r#"{"work_items":[{"id":1},{"id":null},{"id":""},7,[],{"id":{"a":1}}]}"#).unwrap();
    assert_eq!((ids(&rows), rows.unusable_count), (vec!["1"], 5));
}

#[test]
fn the_metadata_tell_how_many_pages_there_are() {
    let full = r#""work_items":[{"id":1},{"id":2}]"#;
    for key in ["metadata", "meta"] {
        let json = format!(r#"{{{full},"{key}":{{"total":2,"total_count":5,"total_pages":3,"page":1,"per_page":2}}}}"#);
        assert_eq!(total(&json, 1), Some(3), "{json}");
    }
    assert_eq!(total(r#"{"work_items":[],"metadata":{"total_pages":0}}"#, 1), Some(0));
    assert_eq!(
        total(r#"{"work_items":[{"id":1}],"metadata":{"total_pages":3}}"#, 1),
        Some(3),
        "a page that is not full"
    );
    let resource = resource("{}");
    let json = format!(r#"{{{full},"info":{{"total_pages":"4"}},"meta":{{"total_pages":9}}}}"#);
    let asked = Asked { resource: &resource, page: 1, metadata_key: Some("info") };
    assert_eq!(rows(&Sent::whole(json), asked).unwrap().pages_total, Some(4));
}

#[test]
fn total_is_not_the_grand_total() {
    let json = r#"{"work_items":[{"id":1},{"id":2}],"metadata":{"total":2}}"#;
    assert_eq!(total(json, 1), None, "it may have another page behind it");
}

#[test]
fn total_count_is() {
    let full = r#""work_items":[{"id":1},{"id":2}]"#;
    for (metadata, page, expected) in [
        (r#"{"total":2,"total_count":5,"per_page":2}"#, 1, Some(3)),
        (r#"{"total":2,"total_count":2,"total_pages":1}"#, 1, Some(1)),
        (r#"{"total":2,"total_count":2}"#, 1, None),
        (r#"{"total":2,"total_count":2,"per_page":2}"#, 1, None),
        (r#"{"total_count":5,"per_page":2,"total_pages":1}"#, 1, Some(3)),
        (r#"{"total_pages":0}"#, 1, None),
        (r#"{"total_pages":99999999999}"#, 1, None),
        (r#"{"total_pages":2,"next_page":3}"#, 2, None),
    ] {
        assert_eq!(total(&format!(r#"{{{full},"metadata":{metadata}}}"#), page), expected, "{metadata}");
    }
}

/// A page that is one row short in mid-list proves nothing.
#[test]
fn without_metadata_no_page_is_the_last() {
    for (json, page) in [
        (r#"{"work_items":[{"id":1},{"id":2}]}"#, 1),
        (r#"{"work_items":[{"id":1}]}"#, 1),
        (r#"{"work_items":[{"id":1}]}"#, 7),
        (r#"{"work_items":[]}"#, 7),
        (r#"{"work_items":[]}"#, 1),
        (r#"{"work_items":[{"id":1},7]}"#, 7),
        (r#"{"work_items":[{"id":1}],"metadata":{"per_page":50}}"#, 7),
        (r#"{"work_items":[{"id":1}],"metadata":{"total_pages":null}}"#, 7),
        (r#"{"work_items":[{"id":1}],"info":{"total_pages":1}}"#, 1),
    ] {
        assert_eq!(total(json, page), None, "{json} {page}");
    }
}

/// The guide's sample goes on while `len(data) == per_page`, and `data` is the whole envelope.
#[test]
fn the_members_of_the_envelope_are_never_counted() {
    let two_members = r#"{"work_items":[{"id":1}],"metadata":{}}"#;
    assert_eq!(total(two_members, 1), None, "as many members as rows in a page, which says nothing");
    let one_member = r#"{"work_items":[{"id":1},{"id":2}]}"#;
    assert_eq!(total(one_member, 1), None, "fewer members than rows in a page, which says nothing either");
}

#[test]
fn an_answer_about_another_page_is_refused_while_the_page_exists() {
    let json = r#"{"work_items":[{"id":1}],"metadata":{"total_pages":3,"page":1}}"#;
    assert!(matches!(page_of(json, 2, "{}"), Err(Malformed::Shape(_))));
    assert_eq!(total(json, 4), Some(3), "the list has shrunk");
}

#[test]
fn stamps_are_iso_8601_and_in_utc_where_they_do_not_say() {
    let at = |text: &str| stamp(text).map(|stamp| stamp.at.to_string());
    for (text, expected) in [
        ("2020-11-08T23:00:00.000Z", Some("2020-11-08T23:00:00Z")),
        ("2020-11-08T23:00:00.123Z", Some("2020-11-08T23:00:00.123Z")),
        ("2020-11-08T23:00:00+01:00", Some("2020-11-08T22:00:00Z")),
        ("2020-11-08T23:00:00", Some("2020-11-08T23:00:00Z")),
        ("2020-11-08 23:00:00", Some("2020-11-08T23:00:00Z")),
        ("2020-11-08", None),
        ("1604876400", None),
        ("", None),
        ("soon", None),
    ] {
        assert_eq!(at(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_record_comes_by_itself_or_in_an_envelope() {
    let row = r#"{"id":7,"client":{"id":9},"data":{"id":8},"updated_at":"2020-11-08T23:00:00.000Z"}"#;
    let resource = resource("{}");
    for json in [
        row.to_owned(),
        format!(" {row}\n"),
        format!(r#"{{"work_item":{row}}}"#),
        format!(r#"{{"data":{row},"x":1}}"#),
        format!(r#"{{"work_item":null,"data":{row}}}"#),
    ] {
        let Ok(Found::Record { id, body, stamp }) = detail(&json, &resource) else { panic!("{json}") };
        assert_eq!((id.as_str(), body.text()), ("7", row), "{json}");
        assert_eq!(stamp.unwrap().at.get(), 1_604_876_400_000);
    }
    for json in [r#"{"work_item":null}"#, r#"{"data":null}"#] {
        assert_eq!(detail(json, &resource), Ok(Found::Missing), "{json}");
    }
    for json in [
        "null",
        "[]",
        "{}",
        r#"{"errors":["down"],"data":null}"#,
        r#"{"client":{"id":9}}"#,
        r#"{"work_item":{"title":"x"}}"#,
        r#"{"data":[{"id":1}]}"#,
    ] {
        assert!(matches!(detail(json, &resource), Err(Malformed::Shape(_))), "{json}");
    }
    assert_eq!(["clients", "companies", "staff"].map(singular), ["client", "company", "staff"]);
}

#[test]
fn of_a_refusal_only_our_own_parameters_are_named() {
    let sent = [("page", "1"), ("updated_at", "x"), ("type", "y")];
    let body = br#"{"errors":{"updated_at":["jane@example.com is invalid"],"jane@example.com":["x"],"type":[]}}"#;
    assert_eq!(refused_parameters(body, &sent), ["updated_at", "type"]);
    for body in [&b""[..], b"<html>", b"[]", br#"{"errors":["updated_at"]}"#, b"\xff"] {
        assert_eq!(refused_parameters(body, &sent), [""; 0]);
    }
}

proptest! {
    #[test]
    fn no_json_like_input_makes_it_panic(text in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}") {
        if let Ok(json) = checked(text.clone().into_bytes()) {
            let _page = page(&json);
            let _record = detail(&json, &resource("{}"));
        }
        let _stamp = stamp(&text);
        let _names = refused_parameters(text.as_bytes(), &[("page", "1")]);
    }

    /// A page cut anywhere is a failure, never a shorter page.
    #[test]
    fn a_page_cut_short_is_refused(count in 0..20_usize, at in any::<prop::sample::Index>()) {
        let rows: Vec<_> = (0..count).map(|id| serde_json::json!({"id": id})).collect();
        let json = serde_json::json!({"work_items": rows, "metadata": {"total_pages": 1}}).to_string();
        let cut = json.get(..at.index(json.len())).unwrap();
        prop_assert!(checked(cut.as_bytes().to_vec()).is_err());
        prop_assert_eq!(page(&json).unwrap().changes.len(), count);
    }
}
