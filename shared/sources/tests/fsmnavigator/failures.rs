//! What each thing that can go wrong leads to.

use std::time::Duration;

use tidemark_engine::failure::FailureClass::{self, Forbidden, Record, Throttled, Transient, Unauthorized};
use tidemark_fakes::fsmnavigator::FakeFsmNavigator;
use tidemark_fakes::{Effect, Fault, Mode, RetryAfter};

use crate::account::{KEY, account, answer_with, assert_harmless};
use crate::support::answer;

fn wait(seconds: u64) -> FailureClass {
    Throttled { retry_after: Some(Duration::from_secs(seconds)) }
}

const NO_WAIT: FailureClass = Throttled { retry_after: None };

#[tokio::test]
async fn failures_have_their_classes() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    for (effect, list, detail) in [
        (Effect::NotLoggedIn, Unauthorized, Unauthorized),
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
        (answer(500, r#"{"success":false,"error":"internal_error"}"#), Transient, Transient),
        (answer(502, "<html>Bad Gateway</html>"), Transient, Transient),
        (answer(404, "<html>Not Found</html>"), Transient, Transient),
        (answer(404, "404 page not found"), Transient, Transient),
        (answer(404, r#"{"message":"no Route matched with those values"}"#), Transient, Transient),
        (answer(503, "null"), Transient, Transient),
        (answer(200, "null"), Transient, Record),
        (answer(200, "{}"), Transient, Record),
        (answer(200, r#"{"success":true}"#), Transient, Record),
        (answer(200, r#"{"success":true,"jobs":null}"#), Transient, Record),
        (answer(200, r#"{"jobs":{"one":{"id":1}}}"#), Transient, Record),
        (answer(200, r#"{"jobs":[{"name":"x"}]}"#), Transient, Record),
    ] {
        // `"jobs":null` shows no record, and where no total says so it is no page of none.
        let is_nothing = effect == answer(200, r#"{"success":true,"jobs":null}"#);
        let detail = Some(detail).filter(|_| !is_nothing);
        assert_eq!(account.classes(effect.clone()).await, (list, detail), "{effect:?}");
    }
}

#[tokio::test]
async fn requests_that_the_vendor_refuses_are_not_taken_for_an_outage() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    let own = r#"{"success":false,"error":"some_error","message":"jane@example.com +15551234567"}"#;
    for (status, list, detail) in [
        (400, Forbidden, Some(Record)),
        (401, Unauthorized, Some(Unauthorized)),
        (402, Forbidden, Some(Forbidden)),
        (403, Forbidden, Some(Forbidden)),
        (404, Forbidden, None),
        (405, Forbidden, Some(Record)),
        (408, Transient, Some(Transient)),
        (409, Forbidden, Some(Record)),
        (410, Forbidden, None),
        (422, Forbidden, Some(Record)),
        (429, NO_WAIT, Some(NO_WAIT)),
    ] {
        assert_eq!(account.classes(answer(status, own)).await, (list, detail), "{status}");
        if matches!(status, 408 | 429) {
            continue;
        }
        for body in ["<html>No</html>", "no", "{}", r#"{"error":"Forbidden","statusCode":403,"message":"x"}"#] {
            assert_eq!(account.classes(answer(status, body)).await, (Transient, Some(Transient)), "{status} {body}");
        }
        // A record that is not there, says nobody.
        let detail = Some(Transient).filter(|_| !matches!(status, 404 | 410));
        assert_eq!(account.classes(answer(status, "")).await, (Transient, detail), "{status}");
    }
}

#[tokio::test]
async fn success_false_with_status_200_is_a_failure_by_its_code() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    for (code, list, detail) in [
        ("rate_limit_exceeded", NO_WAIT, NO_WAIT),
        ("invalid_api_key", Unauthorized, Unauthorized),
        ("insufficient_scope", Forbidden, Forbidden),
        ("validation_error", Transient, Record),
        ("no job 789 of jane@example.com", Transient, Record),
        ("", Transient, Record),
    ] {
        let effect = Effect::Error(code.to_owned());
        assert_eq!(account.classes(effect).await, (list, Some(detail)), "{code}");
    }
    // Rows beside it are not believed either.
    let page = r#"{"success":false,"jobs":[{"id":1}],"page":1,"total_pages":1}"#;
    assert_eq!(account.classes(answer(200, page)).await, (Transient, Some(Record)));
    let record = r#"{"success":false,"job":{"id":789}}"#;
    assert_eq!(account.classes(answer(200, record)).await, (Transient, Some(Record)));
}

#[tokio::test]
async fn a_code_says_more_than_the_status_beside_it() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    for (status, code, list, detail) in [
        (400, "rate_limit_exceeded", NO_WAIT, Some(NO_WAIT)),
        (500, "unauthorized", Unauthorized, Some(Unauthorized)),
        (404, "insufficient_scope", Forbidden, Some(Forbidden)),
        (500, "not_found", Transient, Some(Transient)),
        (404, "not_found", Forbidden, None),
    ] {
        let body = format!(r#"{{"success":false,"error":"{code}"}}"#);
        assert_eq!(account.classes(answer(status, &body)).await, (list, detail), "{status} {code}");
    }
}

#[tokio::test]
async fn retry_after_is_read_from_the_header_in_every_form() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    let text = |text: &str| RetryAfter::Text(text.to_owned());
    for (status, retry_after, expected) in [
        (429, RetryAfter::Seconds(30), wait(30)),
        (429, RetryAfter::Seconds(0), wait(1)),
        (429, RetryAfter::Seconds(1_000_000_000), wait(900)),
        (429, RetryAfter::DateInSeconds(60), wait(60)),
        (429, RetryAfter::DateInSeconds(-60), NO_WAIT),
        (429, text("-1"), NO_WAIT),
        (429, text("soon"), NO_WAIT),
        (503, RetryAfter::Seconds(5), wait(5)),
        (503, text("soon"), Transient),
    ] {
        let effect = Effect::Throttled { status, retry_after };
        assert_eq!(account.classes(effect.clone()).await, (expected, Some(expected)), "{effect:?}");
    }
}

#[tokio::test]
async fn retry_after_in_the_body_counts_where_the_header_says_nothing() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    let sample = r#"{"success":false,"error":"rate_limit_exceeded","message":"Too many requests. Please try again later.","retry_after":60}"#;
    for (status, headers, body, expected) in [
        (429, vec![], sample, wait(60)),
        (429, vec![("Retry-After", "soon")], sample, wait(60)),
        (429, vec![("Retry-After", "30")], sample, wait(30)),
        (429, vec![], r#"{"success":false,"retry_after":"7"}"#, wait(7)),
        (429, vec![], r#"{"success":false,"retry_after":86400}"#, wait(900)),
        (429, vec![], r#"{"success":false,"retry_after":0}"#, wait(1)),
        (429, vec![], r#"{"success":false,"retry_after":-1}"#, NO_WAIT),
        (429, vec![], r#"{"success":false,"retry_after":"soon"}"#, NO_WAIT),
        (429, vec![], "<html>slow down</html>", NO_WAIT),
        // Also when the status claims success.
        (200, vec![], sample, wait(60)),
        (200, vec![("Retry-After", "30")], sample, wait(30)),
    ] {
        let effect = answer_with(status, body, &headers);
        assert_eq!(account.classes(effect.clone()).await, (expected, Some(expected)), "{effect:?}");
    }
}

#[tokio::test]
async fn the_longest_wait_that_is_taken_over_is_a_setting() {
    let account = account(r#"{"retry_after_max_seconds":20}"#).await;
    account.vendor.seed_count("jobs", 1).unwrap();
    let effect = |seconds| Effect::Throttled { status: 429, retry_after: RetryAfter::Seconds(seconds) };
    assert_eq!(account.classes(effect(19)).await, (wait(19), Some(wait(19))));
    assert_eq!(account.classes(effect(60)).await, (wait(20), Some(wait(20))));
}

#[tokio::test]
async fn error_codes_are_settings() {
    let settings = r#"{"throttled_error_codes":["daily_quota_used_up"],"auth_error_codes":["key_expired"],
        "forbidden_error_codes":["plan_required"]}"#;
    let account = account(settings).await;
    account.vendor.seed_count("jobs", 1).unwrap();
    for (code, class) in [("daily_quota_used_up", NO_WAIT), ("key_expired", Unauthorized), ("plan_required", Forbidden)]
    {
        assert_eq!(account.classes(Effect::Error(code.to_owned())).await, (class, Some(class)), "{code}");
    }
}

#[tokio::test]
async fn nothing_is_tried_twice() {
    let account = account("{}").await;
    for status in [400, 401, 403, 404, 409, 429, 500] {
        account.vendor.fault(Fault::new(answer(status, ""))).unwrap();
        account.vendor.reset_requests();
        assert!(account.list("jobs").await.is_err());
        assert_eq!(account.vendor.request_counts().total, 1, "{status}");
        account.vendor.clear_faults();
    }
}

#[tokio::test]
async fn a_missing_scope_stops_its_stream_alone() {
    let account = account("{}").await;
    account.vendor.grant(KEY, &["jobs:read"]);
    account.vendor.seed_count("customers", 1).unwrap();
    assert!(account.list("jobs").await.is_ok());
    assert_eq!(account.list("customers").await.unwrap_err().class, Forbidden);
    assert_eq!(account.fetch("customers", "123").await.unwrap_err().class, Forbidden);
}

#[tokio::test]
async fn an_answer_without_end_is_left_at_the_limit_of_its_kind() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 1).unwrap();
    assert_eq!(account.classes(Effect::EndlessBody { bytes: 20 << 20 }).await, (Transient, Some(Record)));
}

#[tokio::test]
async fn a_vendor_that_is_down_is_a_transient_failure() {
    let account = account("{}").await;
    account.vendor.set_mode(Mode::Down);
    let failure = account.list("jobs").await.unwrap_err();
    assert_eq!(failure.class, Transient);
    assert_harmless(&failure);
    account.vendor.set_mode(Mode::Up);
    assert!(account.list("jobs").await.is_ok());
}

#[tokio::test]
async fn a_redirect_is_refused_and_the_key_does_not_leave() {
    let account = account("{}").await;
    let elsewhere = FakeFsmNavigator::start().await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{}/api/v1/jobs", elsewhere.url());
        account.vendor.fault(Fault::new(Effect::Redirect { status, to })).unwrap();
        let failure = account.list("jobs").await.unwrap_err();
        assert_eq!(failure.class, Transient);
        assert!(failure.cause.contains("redirect"), "{failure}");
        assert_harmless(&failure);
        account.vendor.clear_faults();
    }
    assert_eq!(elsewhere.request_counts().total, 0);
}

#[tokio::test]
async fn a_failure_names_the_address_as_a_pattern_and_the_code() {
    let account = account("{}").await;
    account.vendor.fault(Fault::new(answer(409, r#"{"success":false,"error":"conflict"}"#))).unwrap();
    let listed = account.list("jobs").await.unwrap_err();
    let fetched = account.fetch("jobs", "789").await.unwrap_err();
    let cause = "the vendor answered with status 409 Conflict and the error \"conflict\"";
    assert_eq!(listed.cause, format!("GET /jobs?page=1: {cause}"));
    assert_eq!(fetched.cause, format!("GET /jobs?id=..: {cause}"));
}
