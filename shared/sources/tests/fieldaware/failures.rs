//! What goes wrong, and what it means.

use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_fakes::{Effect, Fault, Mode, RetryAfter};

use crate::account::{Account, account, assert_harmless};
use crate::support::answer;

const LOCATOR: &str = "jobs/job/7cc5e2d8879a43829dcc07655f5ca606";

impl Account {
    /// What reading the feed and fetching lead to when the vendor does this.
    async fn classes(&self, effect: &Effect) -> (FailureClass, FailureClass) {
        let job = self.vendor.truth("jobs").unwrap().into_keys().next().unwrap();
        self.vendor.fault(Fault::new(effect.clone())).unwrap();
        let listed = self.try_events("63182001").await.unwrap_err();
        let fetched = self.try_fetch(&format!("jobs/job/{job}")).await.unwrap_err();
        self.vendor.clear_faults();
        for failure in [&listed, &fetched] {
            assert_harmless(failure);
            assert!(!failure.cause.contains(&job), "{failure}");
        }
        assert!(listed.cause.starts_with("/changes/{token}/: "), "{listed}");
        assert!(fetched.cause.starts_with("/job/{uuid}: "), "{fetched}");
        (listed.class, fetched.class)
    }
}

#[tokio::test]
async fn failures_have_their_classes() {
    use FailureClass::{Forbidden, Record, Throttled, TokenRejected, Transient, Unauthorized};
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    let wait = |seconds| Throttled { retry_after: Some(Duration::from_secs(seconds)) };
    let no_wait = Throttled { retry_after: None };
    let throttled = |status, retry_after| Effect::Throttled { status, retry_after };
    let named = r#"{"error":{"name":"APIValidationError","message":"jane@example.com 63182001"}}"#;
    for (effect, list, detail) in [
        (Effect::NotLoggedIn, Unauthorized, Unauthorized),
        (Effect::Error("no such job jane@example.com".to_owned()), Transient, Record),
        (Effect::MaintenancePage, Transient, Transient),
        (Effect::EmptyBody, Transient, Transient),
        (Effect::WrongShape, Transient, Record),
        (Effect::DeepJson { depth: 128 }, Transient, Record),
        (Effect::CutBeforeAnswer, Transient, Transient),
        (Effect::CutHead { after_bytes: 20 }, Transient, Transient),
        (Effect::CutBody { after_bytes: 5, reset: false }, Transient, Transient),
        (Effect::Redirect { status: 307, to: "http://127.0.0.1:1/".to_owned() }, Transient, Transient),
        (throttled(429, RetryAfter::Seconds(30)), wait(30), wait(30)),
        (throttled(429, RetryAfter::Text("soon".to_owned())), no_wait, no_wait),
        (throttled(503, RetryAfter::Seconds(5)), wait(5), wait(5)),
        (answer(400, named), TokenRejected, Record),
        (answer(401, named), Unauthorized, Unauthorized),
        (answer(401, ""), Transient, Transient),
        (answer(403, named), Forbidden, Record),
        (answer(403, "{}"), Transient, Transient),
        (answer(400, ""), Transient, Transient),
        (answer(404, "<html>Not Found</html>"), Transient, Transient),
        (answer(422, named), TokenRejected, Record),
        (answer(500, named), Transient, Transient),
        (answer(502, "<html>Bad Gateway</html>"), Transient, Transient),
        (answer(503, "null"), Transient, Transient),
        (answer(200, named), Transient, Record),
        (answer(200, r#"{"error":{"name":"AuthenticationError"}}"#), Unauthorized, Unauthorized),
        (answer(200, r#"{"error":{}}"#), Transient, Record),
        (answer(200, "null"), Transient, Record),
        (answer(200, "[]"), Transient, Record),
        (answer(200, "{}"), Transient, Record),
        (answer(200, r#"{"items":null,"next":5}"#), Transient, Record),
        (answer(200, r#"{"uuid":null}"#), Transient, Record),
        (answer(200, "Invalid token"), Transient, Transient),
        (answer(200, r#"{"items":[],"next":5"#), Transient, Transient),
    ] {
        assert_eq!(account.classes(&effect).await, (list, detail), "{effect:?}");
    }
}

#[tokio::test]
async fn the_name_of_an_error_is_shown_and_its_message_is_not() {
    let account = account("{}").await;
    let body = r#"{"error":{"name":"APIValidationError","message":"jane@example.com"}}"#;
    account.vendor.fault(Fault::new(answer(422, body))).unwrap();
    let failure = account.try_fetch(LOCATOR).await.unwrap_err();
    assert!(failure.cause.ends_with("(APIValidationError)"), "{failure}");
    assert_harmless(&failure);
}

#[tokio::test]
async fn a_next_that_names_no_token_fails_the_page_with_its_cause() {
    let account = account("{}").await;
    account.vendor.fault(Fault::new(answer(200, r#"{"items":[],"next":"/changes/latest/"}"#))).unwrap();
    let failure = account.try_events("63182001").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
    assert!(failure.cause.contains("next names no token"), "{failure}");
}

#[tokio::test]
async fn an_answer_without_end_is_left_at_the_limit_of_its_kind() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    let classes = account.classes(&Effect::EndlessBody { bytes: 20 << 20 }).await;
    assert_eq!(classes, (FailureClass::Transient, FailureClass::Record));
}

#[tokio::test]
async fn a_vendor_that_is_down_is_a_transient_failure() {
    let account = account("{}").await;
    account.vendor.set_mode(Mode::Down);
    let failure = account.try_events("63182001").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
    assert_harmless(&failure);
    account.vendor.set_mode(Mode::Up);
    assert!(account.try_events("63182001").await.is_ok());
}
