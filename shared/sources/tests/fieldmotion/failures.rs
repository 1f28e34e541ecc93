//! Answers that are none, and what each means.

use std::time::Duration;

use tidemark_engine::change::{Found, ListRequest};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Source;
use tidemark_testkit::fake::{Effect, Fault, RetryAfter};

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
        (Effect::Error("invalid API key".to_owned()), Unauthorized, Unauthorized),
        (Effect::Error("missing id parameter".to_owned()), Transient, Record),
        (Effect::Error("missing or invalid parameter: _api_now".to_owned()), Transient, Transient),
        (Effect::Error("unknown function".to_owned()), Forbidden, Forbidden),
        (Effect::Error("no such customer jane@example.com 683136".to_owned()), Transient, Record),
        (Effect::MaintenancePage, Transient, Transient),
        (Effect::EmptyBody, Transient, Transient),
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
        (answer(401, ""), Unauthorized, Unauthorized),
        (answer(403, "{}"), Forbidden, Forbidden),
        (answer(404, "<html>Not Found</html>"), Forbidden, Forbidden),
        (answer(404, "[]"), Forbidden, Forbidden),
        (answer(400, "{}"), Forbidden, Record),
        (answer(422, "null"), Forbidden, Record),
        (answer(400, r#"{"error":"not logged in"}"#), Unauthorized, Unauthorized),
        (answer(500, r#"{"error":"not logged in"}"#), Unauthorized, Unauthorized),
        (answer(500, r#"{"error":"oops"}"#), Transient, Transient),
        (answer(404, r#"{"error":"oops"}"#), Forbidden, Forbidden),
        (answer(500, "[]"), Transient, Transient),
        (answer(502, "<html>Bad Gateway</html>"), Transient, Transient),
        (answer(503, "null"), Transient, Transient),
        (answer(201, r#"{"error":"oops"}"#), Transient, Record),
        (answer(200, "not logged in"), Unauthorized, Unauthorized),
        (answer(200, "\"not logged in\""), Unauthorized, Unauthorized),
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
    account.vendor.fault(Fault::new(Effect::EmptyBody)).unwrap();
    assert_eq!(account.list("customers").await.unwrap_err().class, FailureClass::Transient);
    assert_eq!(account.fetch("customers", "1").await.unwrap_err().class, FailureClass::Record);
}

#[tokio::test]
async fn what_this_source_does_not_have_is_refused_without_a_call() {
    let account = account("{}").await;
    let unknown = account.list("invoices").await.unwrap_err();
    assert_eq!(unknown.class, FailureClass::Forbidden);
    assert_eq!(account.fetch("invoices", "1").await.unwrap_err().class, FailureClass::Forbidden);
    for request in [
        ListRequest::Page { from: BEGINNING, page: 1 },
        ListRequest::Events { token: "1" },
        ListRequest::NewestToken,
        ListRequest::Snapshot { cursor: None },
    ] {
        let failure = account.source.list(&stream("jobs"), request).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Forbidden, "{request:?}");
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}
