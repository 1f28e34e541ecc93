//! Access tokens: when one is asked for, by whom, and what becomes of a rejected one.

use std::time::Duration;

use tidemark_engine::failure::FailureClass::{self, Throttled, Transient, Unauthorized};
use tidemark_fakes::{CallKind, Effect, Fault, RetryAfter};

use crate::account::{Account, STREAMS, TOKEN, account, account_of, secret, source_at};
use crate::log::logged;
use crate::support::{SharedKeys, answer, shown};

const HOUR: Duration = Duration::from_hours(1);

/// Lists all streams at once, each twice.
async fn list_together(account: &Account) -> Vec<Result<usize, FailureClass>> {
    let list =
        async |stream| account.list(stream).await.map(|page| page.changes.len()).map_err(|failure| failure.class);
    let each_stream = async || {
        let [work_items, clients, times, travels] = STREAMS.map(|stream| Box::pin(list(stream)));
        let answered = tokio::join!(work_items, clients, times, travels);
        <[_; 4]>::from(answered)
    };
    let (some, others) = tokio::join!(Box::pin(each_stream()), Box::pin(each_stream()));
    [some, others].concat()
}

#[tokio::test]
async fn calls_that_come_together_ask_for_one_token() {
    let account = account("{}").await;
    assert_eq!(list_together(&account).await, [Ok(0); 8]);
    assert_eq!((account.token_requests(), account.calls().len()), (1, 8));
}

#[tokio::test]
async fn a_token_serves_until_a_minute_before_its_end() {
    let account = account("{}").await;
    for (wait, tokens) in [(0, 1), (3539, 1), (1, 2), (3539, 2), (1, 3)] {
        account.vendor.advance(Duration::from_secs(wait));
        account.list("clients").await.unwrap();
        assert_eq!(account.token_requests(), tokens, "after another {wait} s");
    }
    assert_eq!(account.vendor.request_counts().refused, 0, "no token was used past its end");
}

#[tokio::test]
async fn the_margin_is_a_setting() {
    let account = account(r#"{"token_renew_margin_seconds":600}"#).await;
    for (wait, tokens) in [(0, 1), (2999, 1), (1, 2)] {
        account.vendor.advance(Duration::from_secs(wait));
        account.list("clients").await.unwrap();
        assert_eq!(account.token_requests(), tokens, "after another {wait} s");
    }
}

#[tokio::test]
async fn a_rejected_token_is_renewed_once_and_the_call_repeated() {
    let account = account("{}").await;
    account.list("clients").await.unwrap();
    account.vendor.revoke_tokens();
    assert!(account.fetch("clients", "1").await.is_ok(), "a 404 by now, so gone");
    let statuses: Vec<_> = account.vendor.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 200, 401, 200, 404].map(Some));
    assert_eq!(account.keys.fresh_count(), 0, "the secret was never in doubt");
}

#[tokio::test]
async fn calls_that_are_rejected_together_renew_the_token_once() {
    let account = account("{}").await;
    account.list("clients").await.unwrap();
    account.vendor.revoke_tokens();
    assert_eq!(list_together(&account).await, [Ok(0); 8]);
    assert_eq!(account.token_requests(), 2);
}

/// The endpoint has just granted it, so the client is good: the next try may find another function's token ended.
#[tokio::test]
async fn a_good_token_that_is_refused_is_no_rejected_credential() {
    let account = account("{}").await;
    let rejection = r#"{"error":"invalid_token"}"#;
    account.vendor.fault(Fault::new(answer(401, rejection)).on_call(CallKind::List).times(2)).unwrap();
    let failure = account.list("clients").await.unwrap_err();
    assert_eq!(failure.class, Transient);
    assert!(failure.next_step.unwrap().contains("may have ended the token"), "{failure:?}");
    assert_eq!((account.calls().len(), account.token_requests(), account.keys.fresh_count()), (2, 2, 0));
    assert!(account.list("clients").await.is_ok());
    assert_eq!(account.token_requests(), 2, "the last one granted serves");
}

#[tokio::test]
async fn a_401_that_is_not_the_vendors_ends_no_token() {
    let account = account("{}").await;
    account.list("clients").await.unwrap();
    for body in ["<html>Login</html>", "401 Unauthorized", "{}"] {
        account.vendor.fault(Fault::new(answer(401, body)).on_call(CallKind::List)).unwrap();
        assert_eq!(account.list("clients").await.unwrap_err().class, Transient, "{body}");
        account.vendor.clear_faults();
    }
    assert!(account.list("clients").await.is_ok());
    assert_eq!(account.token_requests(), 1);
}

#[tokio::test]
async fn a_rotated_client_is_taken_up_by_the_call_that_finds_out() {
    let account = account("{}").await;
    account.list("clients").await.unwrap();
    account.vendor.rotate("other", "secret", false);
    account.keys.change(&secret("other", "secret"));
    account.vendor.reset_requests();
    assert!(account.list("clients").await.is_ok());
    let asked: Vec<_> =
        account.vendor.requests().into_iter().map(|request| (request.function, request.status.unwrap())).collect();
    let (list, token) = ("GET /clients".to_owned(), TOKEN.to_owned());
    assert_eq!(asked, [(list.clone(), 401), (token.clone(), 401), (token, 200), (list, 200)]);
    assert_eq!(account.keys.fresh_count(), 1);
}

#[tokio::test]
async fn a_token_of_another_client_is_never_used() {
    let account = account("{}").await;
    account.list("clients").await.unwrap();
    account.vendor.rotate("other", "secret", true);
    // Remembered again by another call, while the old token is still good.
    let keys = account.keys.clone();
    keys.change(&secret("other", "secret"));
    tidemark_engine::ports::Credentials::fresh_secret(&keys).await.unwrap();
    account.list("clients").await.unwrap();
    assert_eq!((account.token_requests(), account.vendor.request_counts().refused), (2, 0));
}

#[tokio::test]
async fn a_client_that_is_rejected_is_never_asked_for_again_and_all_who_wait_hear_of_it() {
    for status in [400, 401] {
        let account = account("{}").await;
        account.vendor.configure(|vendor| vendor.token_refusal_status = status);
        account.vendor.rotate("other", "secret", false);
        assert_eq!(account.list("clients").await.unwrap_err().class, Unauthorized);
        assert_eq!((account.token_requests(), account.calls().len()), (1, 0), "{status}");
        account.vendor.reset_requests();
        assert_eq!(list_together(&account).await, [Err(Unauthorized); 8]);
        assert_eq!((account.token_requests(), account.calls().len()), (1, 0), "{status}");
    }
}

/// Who waits for a request that fails gets the same failure as who made it: the cause, and what a person can do.
#[tokio::test]
async fn calls_that_share_a_failed_token_request_share_its_next_step() {
    let account = account("{}").await;
    account.vendor.fault(Fault::new(answer(403, "<html>no</html>")).on_function(TOKEN)).unwrap();
    let list = async || Box::pin(account.list("clients")).await.unwrap_err();
    let (one, other) = tokio::join!(list(), list());
    assert_eq!(account.token_requests(), 1);
    assert!(one.next_step.is_some());
    assert_eq!((one.cause, one.next_step), (other.cause, other.next_step));
}

#[tokio::test]
async fn an_earlier_token_that_is_about_to_end_costs_a_few_requests_and_fails_no_call() {
    let account = account("{}").await;
    account.vendor.configure(|vendor| vendor.reuse_tokens = true);
    account.list("clients").await.unwrap();
    account.vendor.advance(Duration::from_mins(59));
    // The vendor hands out the same token for its whole last minute; one for each call would be 120 requests.
    for _ in 0..120 {
        account.list("clients").await.unwrap();
        account.vendor.advance(Duration::from_millis(500));
    }
    assert!((2..=12).contains(&account.token_requests()), "{}", account.token_requests());
    account.list("clients").await.unwrap();
    assert!(account.calls().iter().filter(|call| call.status == Some(401)).count() <= 1);
}

#[tokio::test]
async fn calls_that_come_together_share_even_a_token_with_no_time_left() {
    let account = account("{}").await;
    account.vendor.configure(|vendor| vendor.reuse_tokens = true);
    account.list("clients").await.unwrap();
    account.vendor.advance(Duration::from_millis(3_599_500));
    assert_eq!(list_together(&account).await, [Ok(0); 8]);
    assert_eq!((account.token_requests(), account.vendor.request_counts().refused), (2, 0));
}

#[tokio::test]
async fn failures_of_the_token_endpoint_have_their_classes_and_are_never_a_records() {
    let account = account("{}").await;
    account.vendor.seed_count("clients", 1).unwrap();
    let wait = Throttled { retry_after: Some(Duration::from_secs(30)) };
    for (effect, class) in [
        (answer(500, ""), Transient),
        (answer(503, "<html>"), Transient),
        (answer(400, r#"{"error":"invalid_scope"}"#), FailureClass::Forbidden),
        (answer(400, r#"{"error":"invalid_client"}"#), Unauthorized),
        (answer(400, r#"{"error":"unauthorized_client"}"#), Unauthorized),
        (answer(401, r#"{"error":"invalid_client"}"#), Unauthorized),
        (answer(200, r#"{"error":"invalid_client"}"#), Unauthorized),
        (answer(403, r#"{"error":"access_denied"}"#), FailureClass::Forbidden),
        (answer(404, r#"{"error":"Not found"}"#), FailureClass::Forbidden),
        // Not in the vendor's words.
        (answer(400, ""), Transient),
        (answer(401, ""), Transient),
        (answer(401, "<html>Login</html>"), Transient),
        (answer(403, "<html>Forbidden</html>"), Transient),
        (answer(404, "404 page not found"), Transient),
        (Effect::Throttled { status: 429, retry_after: RetryAfter::Seconds(30) }, wait),
        (Effect::CutBeforeAnswer, Transient),
        (Effect::EmptyBody, Transient),
        (Effect::MaintenancePage, Transient),
        (Effect::WrongShape, Transient),
        (Effect::EndlessBody { bytes: 1 << 20 }, Transient),
        (Effect::Redirect { status: 307, to: "http://127.0.0.1:1/".to_owned() }, Transient),
        (answer(200, r#"{"access_token":"","expires_in":3600}"#), Transient),
        (answer(200, "{'access_token':'token', 'token_type':'Bearer', 'expires_in':3600}"), Transient),
    ] {
        account.vendor.fault(Fault::new(effect.clone()).on_function(TOKEN)).unwrap();
        account.vendor.revoke_tokens();
        let listed = account.list("clients").await.unwrap_err();
        let fetched = account.fetch("clients", "501").await.unwrap_err();
        assert_eq!((listed.class, fetched.class), (class, class), "{effect:?}");
        assert!(listed.cause.starts_with(TOKEN), "{listed}");
        let is_named = listed.next_step.is_some_and(|step| step.contains("token_path"));
        assert_eq!(is_named, class == FailureClass::Forbidden, "{effect:?}: {:?}", listed.next_step);
        account.vendor.clear_faults();
    }
    assert!(account.list("clients").await.is_ok(), "a failure is not remembered");
}

#[tokio::test]
async fn the_token_endpoints_path_is_a_setting() {
    let account = account(r#"{"token_path":"token"}"#).await;
    assert_eq!(account.list("clients").await.unwrap_err().class, Unauthorized, "there the fake wants a token");
    assert_eq!(account.vendor.requests()[0].function, "POST /token");
}

#[tokio::test]
async fn token_requests_keep_the_rate_too() {
    let account = account("{}").await;
    let source = source_at(account.vendor.url(), &account.vendor, "{}", &account.keys, "2");
    let account = Account { source, ..account };
    account.list("clients").await.unwrap();
    account.vendor.revoke_tokens();
    account.list("clients").await.unwrap();
    let at: Vec<i64> = account.vendor.requests().iter().map(|request| request.at_ms).collect();
    let apart: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(apart, [500; 4]);
}

#[tokio::test]
async fn a_client_id_with_a_colon_cannot_be_sent_and_is_named_not_shown() {
    let account = account_of("{}", "s3cret", "x").await;
    let keys = SharedKeys::new(&secret("s3:cret", "x"));
    let source = source_at(account.vendor.url(), &account.vendor, "{}", &keys, "100000");
    let account = Account { source, ..account };
    let failure = account.list("clients").await.unwrap_err();
    assert_eq!(failure.class, Unauthorized);
    assert!(failure.cause.contains("colon") && !shown(&failure).contains("cret\""), "{failure}");
    assert_eq!(account.vendor.request_counts().total, 0);
}

#[tokio::test]
async fn neither_token_nor_client_is_ever_logged() {
    let account = account_of("{}", "canary-client", "canary-secret").await;
    account.list("clients").await.unwrap();
    account.vendor.revoke_tokens();
    account.list("clients").await.unwrap();
    account.vendor.advance(HOUR);
    for effect in [
        answer(400, r#"{"error":"canary"}"#),
        answer(400, r#"{"error":"invalid_client","error_description":"canary-secret is wrong"}"#),
        answer(200, r#"{"access_token":"canary-t0k3n","token_type":"canary"}"#),
        answer(200, r#"{"access_token":"canary-t0k3n","#),
    ] {
        account.vendor.fault(Fault::new(effect).on_function(TOKEN)).unwrap();
        let failure = account.list("clients").await.unwrap_err();
        tracing::warn!(cause = %failure, error = ?failure, "as it would be logged where it is handled");
        account.vendor.clear_faults();
    }
    let logged = logged();
    assert!(logged.contains("vendor called") && logged.contains(TOKEN), "{logged}");
    // "canary-client:canary-secret" in base 64 starts so.
    for hidden in ["canary", "t0k3n", "Y2FuYXJ5LWNsaWVudDpj"] {
        assert!(!logged.contains(hidden), "{hidden}");
    }
}
