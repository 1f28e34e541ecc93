//! Every shape that an answer may have.

use proptest::prelude::*;

use super::*;
use crate::json::checked;

fn id(text: &str) -> RecordId {
    RecordId::parse(text).unwrap()
}

fn listed(json: &str) -> Vec<String> {
    let ids = ids(json, false).unwrap();
    assert_eq!(ids.unusable_count, 0, "{json}");
    ids.taken.iter().map(|change| change.id.as_str().to_owned()).collect()
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
    for json in [r#"["1","2"]"#, "[1,2]", r#"[{"id":"1"},{"name":"x","id":2}]"#, r#"{"0":"1","2":"2"}"#, " [ 1 ,\n2 ] "]
    {
        assert_eq!(listed(json), ["1", "2"], "{json}");
    }
    assert_eq!(listed("[]"), [""; 0]);
}

#[test]
fn ids_are_kept_to_the_digit_and_deduplicated_exactly() {
    let json =
        r#"["007",7,"7",9007199254740993,"9007199254740993",18446744073709551616000,-5,1.50,"a#b \u00e9\ud83d\ude00"]"#;
    assert_eq!(listed(json), ["007", "7", "9007199254740993", "18446744073709551616000", "-5", "1.50", "a#b é😀"]);
}

#[test]
fn entries_without_a_usable_id_are_counted() {
    let long = "x".repeat(1025);
    let json = format!(r#"["1","","{long}",null,true,[["2"]],{{"name":"x"}},{{"id":["3"]}},"\ud800"]"#);
    let ids = ids(&json, false).unwrap();
    assert_eq!(ids.unusable_count, 8);
    assert_eq!(ids.taken, [Change::of(id("1"))]);
}

#[test]
fn odd_entries_are_counted_and_passed_by() {
    let body = b"[\"1\",null,[[]],NaN,\"caf\xe9\",{\"id\":\"2\",\"price\":Infinity},{\"id\":null},\"3\"]".to_vec();
    let json = crate::json::tolerated_up_to(9, body).unwrap();
    let ids = ids(&json, false).unwrap();
    assert_eq!(ids.unusable_count, 5);
    assert_eq!(ids.taken, ["1", "2", "3"].map(|text| Change::of(id(text))));
}

#[test]
fn lists_are_read_in_the_usual_wrappers_too() {
    for json in [
        r#"{"ids":["1","2"]}"#,
        r#"{"ok":1,"data":[1,2]}"#,
        r#"{"total":"2","items":{"0":"1","5":"2"}}"#,
        r#"{"success":true,"ids":["1","2"],"data":[]}"#,
        r#"{"success":true,"data":[],"ids":["1","2"]}"#,
        r#"{"success":true,"customers":[{"id":"1"},{"id":"2"}],"page":1}"#,
    ] {
        assert_eq!(listed(json), ["1", "2"], "{json}");
    }
    for json in [
        r#"{"ids":null,"total":0}"#,
        r#"{"items":[],"count":"0"}"#,
        r#"{"ok":1,"ids":[]}"#,
        r#"{"data":{},"total":0}"#,
        r#"{"success":true,"rows":null}"#,
    ] {
        assert_eq!(listed(json), [""; 0], "{json}");
    }
    for json in [
        r#"{"items":[]}"#,
        r#"{"ids":null}"#,
        r#"{"ok":1}"#,
        r#"{"ok":0,"ids":["1"]}"#,
        r#"{"success":false,"ids":[]}"#,
        r#"{"success":"false","ids":[]}"#,
        r#"{"success":"no","ids":[]}"#,
        r#"{"success":true,"rows":false}"#,
        r#"{"status":"error","data":[],"total":0}"#,
        // A time is no id: these are stamps by id.
        r#"{"683136":"2026-01-01 10:00:00","683137":"2026-01-01 10:00:01"}"#,
        r#"{"ids":["1"],"truncated":true}"#,
        r#"{"ids":["1"],"total":2}"#,
        r#"{"ids":[],"total":2}"#,
        r#"{"ok":1,"ids":[],"total":2}"#,
        r#"{"data":{"id":"1"}}"#,
        r#"{"ids":[],"total":0,"error":"down","status":500}"#,
        r#"{"ok":1,"unexpected":[[1],[2,null]]}"#,
        // Pages of a list are documented nowhere, so nobody would ask for the next one.
        r#"{"ids":["1"],"next":"/a/Customers_listByLastEdited?page=2"}"#,
        r#"{"ids":["1"],"has_more":true}"#,
        r#"{"ids":["1"],"page":1,"total_pages":"3"}"#,
        r#"{"data":["1"],"meta":{"last_page":2}}"#,
        r#"{"data":["1"],"pagination":{"nextPage":2}}"#,
    ] {
        assert!(matches!(ids(json, false), Err(Malformed::Shape(_))), "{json}: {:?}", ids(json, false));
    }
    assert_eq!(listed(r#"{"ids":["1"],"next":null,"has_more":false,"total_pages":1}"#), ["1"]);
}

fn page(json: &str) -> Result<Rows, Malformed> {
    let stamp = |text: &str| crate::fieldmotion::zone::Zone::utc().stamp(text);
    rows(&Sent::of(json.as_bytes().to_vec())?, false, &stamp)
}

#[test]
fn rows_are_kept_byte_for_byte_with_their_stamps() {
    let (one, two) = (r#"{"id":"1", "name":"a\/b","last_edited":"2025-07-20 17:29:57"}"#, r#"{"id":2,"users":null}"#);
    for json in [
        format!("[{one}, {two}]"),
        format!(r#"{{"1":{one},"2":{two}}}"#),
        format!(r#"{{"ok":1,"departments":[{one},{two}]}}"#),
    ] {
        let read = page(&json).unwrap();
        let rows: Vec<_> = read.changes.iter().map(|change| change.row().unwrap().text()).collect();
        assert_eq!((rows, read.unusable_count), (vec![one, two], 0), "{json}");
        assert_eq!(read.changes[0].stamp().unwrap().text, "2025-07-20 17:29:57");
        assert_eq!(read.changes[1].stamp(), None);
    }
    assert_eq!(page("[]"), Ok(Rows { pages_total: Some(1), ..Rows::default() }));
    let read = page(&format!("[{one},null,[],\"3\",{{\"name\":\"x\"}}]")).unwrap();
    assert_eq!((read.changes.len(), read.unusable_count), (1, 4));
    assert!(page("[\"1\",\"2\"]").is_err(), "ids are no rows");
}

#[test]
fn one_row_that_is_no_json_hides_no_other() {
    let rows = page(r#"{"ok":1,"users":[{"id":"1","price":NaN},{"id":"2"}]}"#).unwrap();
    assert_eq!((rows.changes.len(), rows.odd_count), (2, 1));
    assert!(rows.changes[0].row().is_none() && rows.changes[1].row().is_some());
}

#[test]
fn of_two_rows_of_one_record_the_later_one_counts() {
    let row = |hour: u8| format!(r#"{{"id":"1","last_edited":"2025-07-20 {hour:02}:00:00"}}"#);
    for (first, second, kept) in [(1, 2, 2), (2, 1, 2)] {
        let read = page(&format!("[{},{}]", row(first), row(second))).unwrap();
        let rows: Vec<_> = read.changes.iter().map(|change| change.row().unwrap().text().to_owned()).collect();
        assert_eq!(rows, [row(kept)]);
    }
}

#[test]
fn what_is_no_list_is_never_no_changes() {
    for json in
        ["null", "false", "true", "0", r#""x""#, "{}", r#"{"ok":1}"#, r#"{"items":[]}"#, "[null]", r#"[{"error":"x"}]"#]
    {
        assert!(matches!(ids(json, false), Err(Malformed::Shape(_))), "{json}");
    }
    for json in ["[1,2", r#"["1","2"#, "[1,]", "[1] [2]", "[1]<html>"] {
        assert_eq!(ids(json, false), Err(Malformed::NotJson), "{json}");
    }
    assert_eq!(ids("{}", true), Ok(Entries::default()));
}

#[test]
fn a_list_without_end_is_refused() {
    let ids_up_to =
        |count_max, json, empty| super::listed(count_max, json, empty, &|entry| entry_id(entry).map(Change::of));
    assert_eq!(ids_up_to(3, "[1,2,3]", false).unwrap().taken.len(), 3);
    for json in ["[1,2,3,4]", "[1,1,1,1]", "[1,2,3,null]", r#"{"0":1,"1":2,"2":3,"3":4}"#] {
        assert_eq!(ids_up_to(3, json, false), Err(Malformed::Shape("not a list, or too long a one")), "{json}");
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
        (b"[\"\xff\"]", Malformed::Odd),
        (b"[1,2", Malformed::NotJson),
        (b"[NaN]", Malformed::Odd),
        (b"[\xff]", Malformed::NotJson),
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
fn errors_are_found_in_objects_alone() {
    let error = |json: &str| error_text(json);
    assert_eq!(error(r#"{"error":"not logged in"}"#).as_deref(), Some("not logged in"));
    assert_eq!(error(r#" {"ok":0,"error":{"code":1}}"#).as_deref(), Some(""));
    assert_eq!(error(r#"{"error":7}"#).as_deref(), Some(""));
    for json in [
        "[]",
        "null",
        "{}",
        r#""not logged in""#,
        r#"{"id":"1","error":null}"#,
        r#"{"id":"1","error":""}"#,
        r#"{"error":false}"#,
        r#"{"timestamp":"2026","status":404,"error":"Not Found","path":"/a/x"}"#,
        r#"{"statusCode":403,"message":"Forbidden","error":"Forbidden"}"#,
        r#"{"error":[]}"#,
        r#"{"id":"1","meta":{"error":"x"}}"#,
        r#"[{"error":"x"}]"#,
    ] {
        assert_eq!(error(json), None, "{json}");
    }
}

#[test]
fn messages_of_php_are_known_in_every_dress() {
    for text in [
        "<br />\n<b>Warning</b>:  Undefined array key \"key\" in <b>/www/a.php</b> on line <b>7</b><br />\n[]",
        "\nWarning: Undefined array key \"auth\" in /www/a.php on line 7\n[\"1\"]",
        "PHP Notice:  Undefined index: md5",
        "Fatal error: Uncaught Exception",
        "<p><b>Deprecated</b>: strlen()</p>",
        "Strict Standards: Non-static method Auth::check() in /www/a.php on line 3\n[]",
        "<br />\n<font size='1'><table class='xdebug-error xe-warning' dir='ltr'>",
    ] {
        assert!(is_php_message(text.as_bytes()), "{text}");
    }
    for text in ["", "[]", "<html><b>Warning</b></html>", "not logged in", "Warning"] {
        assert!(!is_php_message(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_row_is_read_in_the_usual_wrappers_too() {
    let row = r#"{"id":"683138","name":"x"}"#;
    for json in [
        format!(r#"{{"ok":1,"data":{row}}}"#),
        format!(r#"{{"customer":{row},"total":1}}"#),
        format!(r#"{{"customer":{row},"result":null}}"#),
        format!(r#"{{"data":[],"customer":{row}}}"#),
        format!(r#"{{"data":[{row}]}}"#),
        format!(r#"{{"result":{{"683138":{row}}}}}"#),
    ] {
        assert_eq!(body_of(&json).1, row, "{json}");
    }
    for json in [r#"{"ok":1,"data":null}"#, r#"{"data":[ ]}"#, r#"{"data":{"683138":null}}"#] {
        assert_eq!(read(json), Ok(Row::Missing), "documented nowhere: {json}");
    }
    assert!(read(r#"{"data":[{"id":"1"},{"id":"2"}]}"#).is_err());
    assert_eq!(body_of(r#"{"id":"1","data":null,"error":null}"#).0, "1");
}

#[test]
fn a_row_is_kept_byte_for_byte_in_every_shape() {
    let row =
        r#"{ "id":"683138", "price":1e400,"n":1.0,"x":"a\/b\u00e9\ud800", "last_edited":"2024-09-22 12:25:58","x":2 }"#;
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
    for json in [r#"{"7":null}"#, r#"{"0":[]}"#] {
        assert_eq!(read(json), Ok(Row::Missing), "under another id it says less: {json}");
    }
}

#[test]
fn what_is_no_row_is_malformed_and_never_gone() {
    for json in [
        "{}",
        "true",
        "0",
        r#"{"ok":1,"unexpected":[[1],[2,null]]}"#,
        r#"{"name":"x"}"#,
        r#"{"data":null,"error":"down","status":500}"#,
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
