//! Answers that are none, and what each means.

use std::time::Duration;

use tidemark_engine::change::{Found, ListRequest};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Source;
use tidemark_fakes::{Effect, Fault, RetryAfter};

use crate::account::{BEGINNING, account, stream};
use crate::support::answer;

#[tokio::test]
async fn failures_have_their_classes() {
    use FailureClass::{Forbidden, Record, Throttled, Transient, Unauthorized};
    let account = account("{}").await;
    account.vendor.seed_count("customers", 1).unwrap();
    let wait = |seconds| Throttled { retry_after: Some(Duration::from_secs(seconds)) };
    let no_wait = Throttled { retry_after: None };
    let throttled = |status, retry_after| Effect::Throttled { status, retry_after };
    let text = |text: &str| RetryAfter::Text(text.to_owned());
    for (effect, list, detail) in [
        (Effect::NotLoggedIn, Unauthorized, Unauthorized),
        (Effect::Error(r#"Undefined array key "auth""#.to_owned()), Transient, Record),
        (Effect::Error("Your IP address 10.0.0.1 is not allowed".to_owned()), Forbidden, Forbidden),
        (Effect::Error("Unknown column 'price' in 'field list'".to_owned()), Forbidden, Forbidden),
        (Effect::Error("invalid API key".to_owned()), Unauthorized, Unauthorized),
        (Effect::Error("missing id parameter".to_owned()), Transient, Record),
        (Effect::Error("missing or invalid parameter: _api_now".to_owned()), Transient, Transient),
        (Effect::Error("unknown function".to_owned()), Forbidden, Forbidden),
        (Effect::Error("no such customer jane@example.com 683136".to_owned()), Transient, Record),
        (Effect::MaintenancePage, Transient, Transient),
        (Effect::WrongShape, Transient, Record),
        (Effect::DeepJson { depth: 128 }, Transient, Record),
        (Effect::DeepJson { depth: 1_000_000 }, Transient, Record),
        (Effect::CutBeforeAnswer, Transient, Transient),
        (Effect::CutHead { after_bytes: 20 }, Transient, Transient),
        (Effect::CutBody { after_bytes: 5, reset: false }, Transient, Transient),
        (Effect::CutBody { after_bytes: 5, reset: true }, Transient, Transient),
        (Effect::Truncate { bytes: 5 }, Transient, Transient),
        (Effect::Redirect { status: 307, to: "http://127.0.0.1:1/".to_owned() }, Transient, Transient),
        (throttled(429, RetryAfter::Seconds(30)), wait(30), wait(30)),
        (throttled(429, RetryAfter::Seconds(1_000_000_000)), wait(900), wait(900)),
        (throttled(429, RetryAfter::DateInSeconds(60)), wait(60), wait(60)),
        (throttled(429, RetryAfter::DateInSeconds(-60)), no_wait, no_wait),
        (throttled(429, text("-1")), no_wait, no_wait),
        (throttled(429, text("soon")), no_wait, no_wait),
        (throttled(503, RetryAfter::Seconds(5)), wait(5), wait(5)),
        (throttled(503, text("soon")), Transient, Transient),
        // Not in the vendor's own words: an outage, whatever the status says.
        (answer(401, ""), Transient, Transient),
        (answer(401, "not logged in"), Transient, Transient),
        (answer(403, "{}"), Transient, Transient),
        (answer(403, r#"{"message":"Forbidden"}"#), Transient, Transient),
        (answer(404, "<html>Not Found</html>"), Transient, Transient),
        (answer(404, "404 page not found"), Transient, Transient),
        (answer(404, ""), Transient, Transient),
        (answer(404, "[]"), Transient, Transient),
        (answer(400, "{}"), Transient, Transient),
        (answer(422, "null"), Transient, Transient),
        (answer(405, "<html></html>"), Transient, Transient),
        // In its own words.
        (answer(401, r#"{"error":"oops"}"#), Unauthorized, Unauthorized),
        (answer(402, r#"{"error":"oops"}"#), Forbidden, Forbidden),
        (answer(403, r#"{"error":"oops"}"#), Forbidden, Forbidden),
        (answer(400, r#"{"error":"oops"}"#), Forbidden, Record),
        (answer(422, r#"{"error":"missing or invalid parameter: from"}"#), Forbidden, Forbidden),
        (answer(500, r#"{"error":"Undefined array key \"key\""}"#), Transient, Record),
        (answer(400, r#"{"error":"not logged in"}"#), Unauthorized, Unauthorized),
        (answer(500, r#"{"error":"not logged in"}"#), Unauthorized, Unauthorized),
        (answer(500, r#"{"error":"oops"}"#), Transient, Transient),
        (answer(404, r#"{"error":"oops"}"#), Forbidden, Forbidden),
        (answer(500, "[]"), Transient, Transient),
        (answer(502, "<html>Bad Gateway</html>"), Transient, Transient),
        (answer(503, "null"), Transient, Transient),
        (answer(201, r#"{"error":"oops"}"#), Transient, Record),
        (answer(200, "not logged in"), Transient, Transient),
        (answer(200, "\"not logged in\""), Transient, Record),
        (answer(200, "<br />\n<b>Warning</b>:  Undefined array key \"key\"<br />\n[]"), Transient, Record),
        (answer(200, r#"{"id":"683136","price":NaN}"#), Transient, Record),
        (answer(200, "all is well"), Transient, Transient),
        (answer(200, "{}"), Transient, Record),
        (answer(200, "true"), Transient, Record),
        (answer(200, r#"{"error":null}"#), Transient, Record),
        (answer(200, r#"[{"error":"oops"}]"#), Transient, Record),
        (answer(200, r#"[[["1"]]]"#), Transient, Record),
    ] {
        assert_eq!(account.classes(effect.clone()).await, (list, detail), "{effect:?}");
    }
    // What means "gone" for a record is no list.
    for body in ["null", "false"] {
        account.vendor.fault(Fault::new(answer(200, body))).unwrap();
        assert_eq!(account.list("customers").await.unwrap_err().class, Transient, "{body}");
        account.vendor.clear_faults();
    }
}

#[tokio::test]
async fn words_for_gone_are_a_setting() {
    let account = account(r#"{"gone_error_words":["not found"]}"#).await;
    account.vendor.seed_count("customers", 1).unwrap();
    account.vendor.fault(Fault::new(Effect::Error("customer not found".to_owned()))).unwrap();
    assert_eq!(account.fetch("customers", "683136").await.unwrap().found, Found::Gone);
    assert_eq!(account.list("customers").await.unwrap_err().class, FailureClass::Transient);
}

#[tokio::test]
async fn empty_objects_and_broken_details_are_settings() {
    let account = account(r#"{"empty_object":"empty","broken_detail":"record"}"#).await;
    account.vendor.fault(Fault::new(answer(200, "{}"))).unwrap();
    assert!(account.list("customers").await.unwrap().changes.is_empty());
    assert_eq!(account.fetch("customers", "1").await.unwrap().found, Found::Gone);
    account.vendor.clear_faults();
    account.vendor.fault(Fault::new(Effect::MaintenancePage)).unwrap();
    assert_eq!(account.list("customers").await.unwrap_err().class, FailureClass::Transient);
    assert_eq!(account.fetch("customers", "1").await.unwrap_err().class, FailureClass::Record);
}

/// The engine judges what lasts: nothing is taken for an outage of the vendor, and nothing for gone.
#[tokio::test]
async fn an_empty_answer_to_a_detail_is_a_record_that_is_missing() {
    let account = account("{}").await;
    for empty in [answer(200, ""), answer(200, " \r\n"), answer(204, ""), answer(200, r#"{"data":null}"#)] {
        account.vendor.fault(Fault::new(empty.clone())).unwrap();
        assert_eq!(account.fetch("customers", "1").await.unwrap().found, Found::Missing, "{empty:?}");
        account.vendor.clear_faults();
    }
    account.vendor.fault(Fault::new(answer(204, ""))).unwrap();
    assert!(account.list("customers").await.unwrap().changes.is_empty(), "no content is a list without entries");
    account.vendor.clear_faults();
    account.vendor.fault(Fault::new(Effect::EmptyBody)).unwrap();
    assert_eq!(account.list("customers").await.unwrap_err().class, FailureClass::Transient, "an empty 200 is none");
}

/// Kind: a failure is named by its cause. What PHP, the database and the disk say quotes names of the vendor's program,
/// such as `login`, and refuses nothing.
#[tokio::test]
async fn what_the_vendors_server_says_of_itself_is_no_refusal() {
    let account = account("{}").await;
    account.vendor.seed_count("customers", 1).unwrap();
    for text in [
        "Access denied for user 'fm'@'localhost' (using password: YES)",
        "SQLSTATE[28000] [1045] Access denied for user 'fm'@'10.0.0.5'",
        "The server requested authentication method unknown to the client",
        "file_put_contents(/var/log/api.log): failed to open stream: Permission denied",
        "include(/var/www/login.php): Failed to open stream: No such file or directory",
        "Cannot modify header information - headers already sent by (output started at /var/www/login.php:12)",
        "Maximum execution time of 30 seconds exceeded in /var/www/auth/lib.php on line 7",
        "Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes) in /www/auth.php",
        "Duplicate entry 'login' for key 'users.login'",
        "Undefined variable $credentials in /var/www/login.php on line 12",
        "Trying to access array offset on value of type null",
        "Call to a member function authenticate() on null",
    ] {
        let classes = account.classes(Effect::Error(text.to_owned())).await;
        assert_eq!(classes, (FailureClass::Transient, FailureClass::Record), "{text}");
    }
    assert_eq!(account.keys.fresh_count(), 0, "the credential was never in doubt");
}

/// A PHP error that names a `key`, for one record, and a PHP warning before a list.
#[tokio::test]
async fn a_failure_of_the_vendors_program_is_never_a_rejected_credential() {
    let account = account("{}").await;
    account.vendor.seed_count("customers", 2).unwrap();
    account
        .vendor
        .fault(Fault::new(Effect::Error(r#"Undefined array key "price""#.to_owned())).on_id("683136"))
        .unwrap();
    let failure = account.fetch("customers", "683136").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Record);
    assert!(failure.next_step.unwrap().contains("program fails over this record"), "{failure:?}");
    assert!(matches!(account.fetch("customers", "683137").await.unwrap().found, Found::Record { .. }));
    account.vendor.clear_faults();
    for body in [
        "<br />\n<b>Warning</b>:  Undefined array key \"api_key\" in <b>/www/api.php</b> on line <b>7</b><br />\n[]",
        "\nWarning: Undefined array key \"api_key\" in /www/api.php on line 7\n[]",
        r#"{"error":"Undefined array key \"api_key\""}"#,
    ] {
        account.vendor.fault(Fault::new(answer(200, body))).unwrap();
        let failure = account.list("customers").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Transient, "{body}");
        assert!(failure.next_step.unwrap().contains("report it to the vendor"), "{failure:?}");
        assert!(!failure.cause.contains("www"), "{failure}");
        account.vendor.clear_faults();
    }
    assert_eq!(account.keys.fresh_count(), 0);
}

#[tokio::test]
async fn causes_that_differ_have_next_steps_that_differ() {
    let account = account("{}").await;
    let mut steps = std::collections::BTreeSet::new();
    let effects = [
        answer(404, "<html>nginx</html>"),
        answer(403, "<html>Your IP address is not allowed</html>"),
        answer(403, "<html>Attention Required! | Cloudflare</html>"),
        answer(403, "<html></html>"),
        answer(200, "<html>login</html>"),
        answer(200, "please log in"),
        answer(422, r#"{"error":"missing or invalid parameter: from"}"#),
        answer(200, r#"{"error":"Unknown column 'x' in 'field list'"}"#),
        answer(200, r#"{"error":"missing or invalid parameter: _api_now"}"#),
        answer(200, r#"{"rows":7}"#),
        answer(200, r#"{"error":"Undefined array key \"x\""}"#),
        Effect::Redirect { status: 301, to: format!("{}/a/Customers_listByLastEdited/", account.vendor.url()) },
        Effect::Redirect { status: 302, to: "/login".to_owned() },
        Effect::Redirect { status: 302, to: "https://elsewhere.example/".to_owned() },
    ];
    for effect in &effects {
        account.vendor.fault(Fault::new(effect.clone())).unwrap();
        let failure = account.list("customers").await.unwrap_err();
        account.vendor.clear_faults();
        assert!(steps.insert(failure.next_step.expect("a next step")), "{effect:?}: {failure:?}");
    }
}

#[tokio::test]
async fn no_word_of_a_customer_reaches_a_failure() {
    let account = account("{}").await;
    let text = "customer Jane Smith (Dr. O'Hara, Allergy: penicillin) is archived";
    for status in [200, 400, 500] {
        let body = format!(r#"{{"error":"{text}"}}"#);
        account.vendor.fault(Fault::new(answer(status, &body))).unwrap();
        for failure in
            [account.list("customers").await.unwrap_err(), account.fetch("customers", "1").await.unwrap_err()]
        {
            let shown = crate::support::shown(&failure);
            for word in ["customer ", "Jane", "Smith", "Dr", "Hara", "Allergy", "penicillin", "archived"] {
                assert!(!shown.contains(word), "{word}: {shown}");
            }
        }
        account.vendor.clear_faults();
    }
}

#[tokio::test]
async fn what_this_source_does_not_have_is_refused_without_a_call() {
    let account = account("{}").await;
    let unknown = account.list("invoices").await.unwrap_err();
    assert_eq!(unknown.class, FailureClass::Forbidden);
    assert_eq!(account.fetch("invoices", "1").await.unwrap_err().class, FailureClass::Forbidden);
    for request in [
        ListRequest::Page(BEGINNING, 1),
        ListRequest::Page(BEGINNING, 2),
        ListRequest::Events("1"),
        ListRequest::NewestToken,
        ListRequest::Snapshot(None),
    ] {
        let failure = account.source.list(&stream("jobs"), request).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Forbidden, "{request:?}");
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}
