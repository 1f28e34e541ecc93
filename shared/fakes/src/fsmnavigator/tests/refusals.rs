//! What is refused: keys, scopes, addresses, and calls beyond the limit.

use std::time::Duration;

use serde_json::Value;

use super::{KEY, get, get_with, http, json, with_jobs};
use crate::{Effect, Fault, fsmnavigator::RetryAfterIn};

#[tokio::test]
async fn a_missing_or_unknown_key_is_401() {
    let fake = with_jobs(1).await;
    assert_eq!(get_with(&fake, "jobs", "fsm_test_other").await.status(), 401);
    let without = http().get(format!("{}/api/v1/jobs", fake.url())).send().await.unwrap();
    assert_eq!(without.status(), 401);
    let refusals: Vec<_> = fake.requests().into_iter().filter_map(|request| request.refusal).collect();
    assert_eq!(refusals, ["X-API-Key is not known", "X-API-Key is missing"]);
    fake.rotate("fsm_test_other", false);
    assert_eq!(get_with(&fake, "jobs", "fsm_test_other").await.status(), 200);
    assert_eq!(get(&fake, "jobs").await.status(), 401);
}

#[tokio::test]
async fn a_missing_scope_is_403() {
    let fake = with_jobs(1).await;
    fake.grant(KEY, &["jobs:read"]);
    assert_eq!(get(&fake, "jobs").await.status(), 200);
    assert_eq!(get(&fake, "customers").await.status(), 403);
    assert_eq!(get(&fake, "customers?id=123").await.status(), 403);
}

#[tokio::test]
async fn an_unknown_address_is_404() {
    let fake = with_jobs(1).await;
    for target in ["invoices", "jobs/789/notes", ""] {
        assert_eq!(get(&fake, target).await.status(), 404, "{target}");
    }
}

#[tokio::test]
async fn the_limit_is_told_with_every_answer_and_kept() {
    let fake = with_jobs(1).await;
    fake.freeze_clock();
    fake.configure(|settings| (settings.limit_calls, settings.limit_seconds) = (2, 60));
    let mut told = Vec::new();
    for _ in 0..3 {
        let answer = get(&fake, "jobs").await;
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let reset: i64 = header("x-ratelimit-reset").unwrap().parse().unwrap();
        assert!((59..=61).contains(&(reset - fake.now_ms() / 1000)));
        assert_eq!(header("x-ratelimit-limit").as_deref(), Some("2"));
        told.push((answer.status().as_u16(), header("x-ratelimit-remaining").unwrap(), header("retry-after")));
    }
    let expected = [(200, "1", None), (200, "0", None), (429, "0", Some("60"))];
    assert_eq!(told, expected.map(|(status, left, wait)| (status, left.to_owned(), wait.map(str::to_owned))));
    fake.advance(Duration::from_mins(1));
    assert_eq!(get(&fake, "jobs").await.status(), 200);
}

#[tokio::test]
async fn a_refused_call_says_where_it_is_told_to() {
    let fake = with_jobs(1).await;
    fake.freeze_clock();
    for (told_in, header, body) in [
        (RetryAfterIn::Both, true, true),
        (RetryAfterIn::Header, true, false),
        (RetryAfterIn::Body, false, true),
        (RetryAfterIn::Nowhere, false, false),
    ] {
        fake.configure(|settings| (settings.limit_calls, settings.retry_after) = (0, told_in));
        let answer = get(&fake, "jobs").await;
        assert_eq!(answer.headers().contains_key("retry-after"), header, "{told_in:?}");
        let text: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(text.get("retry_after").is_some(), body, "{told_in:?}");
        assert_eq!(text["error"], "rate_limit_exceeded");
    }
}

#[tokio::test]
async fn a_fault_can_answer_an_error_with_status_200() {
    let fake = with_jobs(1).await;
    fake.fault(Fault::new(Effect::Error("maintenance".to_owned()))).unwrap();
    let answer = json(&fake, "jobs").await;
    assert_eq!((&answer["success"], &answer["error"]), (&Value::Bool(false), &Value::from("maintenance")));
}
