//! What the vendor's failures mean.

use std::time::Duration;

use tidemark_engine::failure::FailureClass::{self, Forbidden, Record, Throttled, Transient};
use tidemark_fakes::fieldly::Metadata;
use tidemark_fakes::{CallKind, Effect, Fault, RetryAfter};

use crate::account::{Account, account};
use crate::support::{answer, shown};

/// What listing and fetching lead to when the vendor does this.
async fn classes(account: &Account, effect: &Effect) -> (FailureClass, FailureClass) {
    for kind in [CallKind::List, CallKind::Detail] {
        account.vendor.fault(Fault::new(effect.clone()).on_call(kind)).unwrap();
    }
    let listed = account.list("clients").await.unwrap_err();
    let fetched = account.fetch("clients", "501").await.unwrap_err();
    account.vendor.clear_faults();
    for failure in [&listed, &fetched] {
        let shown = shown(failure);
        for hidden in ["client_secret", "Y2xpZW50", "t0k3n", "501", "127.0.0.1", "jane@example.com"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
        assert!(shown.starts_with("GET /clients"), "{shown}");
    }
    (listed.class, fetched.class)
}

#[tokio::test]
async fn failures_have_their_classes_and_a_list_is_never_a_records() {
    let account = account("{}").await;
    account.vendor.seed_count("clients", 1).unwrap();
    let wait = |seconds| Throttled { retry_after: Some(Duration::from_secs(seconds)) };
    let throttled = |status, retry_after| Effect::Throttled { status, retry_after };
    for (effect, list, detail) in [
        // The client is good, since the token was granted.
        (Effect::NotLoggedIn, Transient, Transient),
        (answer(401, OWN), Transient, Transient),
        (answer(401, "<html>Login</html>"), Transient, Transient),
        (answer(403, OWN), Forbidden, Forbidden),
        (answer(403, "<html>Forbidden</html>"), Transient, Transient),
        (answer(403, "{}"), Transient, Transient),
        (answer(400, OWN), Forbidden, Record),
        (answer(400, ""), Transient, Transient),
        (answer(404, "<html>Not Found</html>"), Transient, Transient),
        (answer(404, "404 page not found"), Transient, Transient),
        (answer(404, r#"{"message":"no Route matched with those values"}"#), Transient, Transient),
        (answer(422, OWN), Forbidden, Record),
        (answer(422, "null"), Transient, Transient),
        (Effect::Error("jane@example.com is invalid".to_owned()), Forbidden, Record),
        (answer(500, r#"{"error":"jane@example.com"}"#), Transient, Transient),
        (answer(502, "<html>Bad Gateway</html>"), Transient, Transient),
        (answer(503, ""), Transient, Transient),
        (throttled(429, RetryAfter::Seconds(30)), wait(30), wait(30)),
        (throttled(503, RetryAfter::Seconds(5)), wait(5), wait(5)),
        (Effect::MaintenancePage, Transient, Transient),
        (Effect::EmptyBody, Transient, Transient),
        (Effect::WrongShape, Transient, Record),
        (Effect::DeepJson { depth: 128 }, Transient, Record),
        (Effect::Truncate { bytes: 20 }, Transient, Transient),
        (Effect::CutBeforeAnswer, Transient, Transient),
        (Effect::CutBody { after_bytes: 5, reset: true }, Transient, Transient),
        (answer(200, "null"), Transient, Record),
        (answer(200, "{}"), Transient, Record),
        (answer(200, r#"{"errors":{"base":["jane@example.com"]}}"#), Transient, Record),
        (answer(200, r#"{"clients":{"id":501}}"#), Transient, Record),
    ] {
        assert_eq!(classes(&account, &effect).await, (list, detail), "{effect:?}");
    }
    account.vendor.fault(Fault::new(answer(404, OWN)).on_call(CallKind::List)).unwrap();
    let failure = account.list("clients").await.unwrap_err();
    assert_eq!(failure.class, Forbidden, "no such resource");
    assert!(failure.next_step.unwrap().contains("base URL and the paths"), "{failure:?}");
}

/// The vendor's own error, with something in it that is never shown.
const OWN: &str = r#"{"error":"jane@example.com"}"#;

#[tokio::test]
async fn a_refused_filter_and_a_missing_right_have_their_own_next_steps() {
    let account = account("{}").await;
    for (status, body, step) in [
        (422, r#"{"errors":{"updated_at":["is invalid"]}}"#, "set updated_filters"),
        (422, r#"{"errors":{"type":["is invalid"]}}"#, "compare filters and paging"),
        (403, OWN, "may read this list"),
    ] {
        account.vendor.fault(Fault::new(answer(status, body)).on_call(CallKind::List)).unwrap();
        let failure = account.list("clients").await.unwrap_err();
        assert!(failure.next_step.unwrap().contains(step), "{status}: {failure:?}");
        account.vendor.clear_faults();
    }
}

#[tokio::test]
async fn a_refusal_names_our_own_parameters_and_no_values() {
    let account = account(r#"{"queries":{"clients":{"secret_filter":"jane@example.com"}}}"#).await;
    let failure = account.list("clients").await.unwrap_err();
    assert!(failure.cause.ends_with("422 Unprocessable Entity, which refuses secret_filter"), "{failure}");
    let body = r#"{"errors":{"jane@example.com":["x"],"page":["jane@example.com"]}}"#;
    account.vendor.fault(Fault::new(answer(422, body)).on_call(CallKind::List)).unwrap();
    let failure = account.list("clients").await.unwrap_err();
    assert!(failure.cause.ends_with("which refuses page") && !shown(&failure).contains("jane"), "{failure}");
}

#[tokio::test]
async fn rows_without_an_id_are_counted_and_the_others_kept() {
    let account = account("{}").await;
    account.vendor.configure(|vendor| vendor.metadata = Metadata::None);
    let body = r#"{"clients":[{"id":1},{"serial_number":"13"},{"id":null},7]}"#;
    account.vendor.fault(Fault::new(answer(200, body)).on_call(CallKind::List)).unwrap();
    let page = account.list("clients").await.unwrap();
    assert_eq!((page.changes.len(), page.unusable_count), (1, 3));
}
