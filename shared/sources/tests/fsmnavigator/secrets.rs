//! The key: renewed when it is rejected, and shown nowhere.

use tidemark_engine::failure::FailureClass;
use tidemark_fakes::{Add, Change, Effect, Fault, RetryAfter};

use crate::account::{KEY, account, account_with, secret, source_at};
use crate::log::logged;
use crate::support::{SharedKeys, answer};

#[tokio::test]
async fn a_rejection_with_status_200_renews_the_key_too() {
    let account = account("{}").await;
    account.vendor.rotate("fsm_test_new", true);
    account.keys.change(&secret("fsm_test_new"));
    account.vendor.fault(Fault::new(Effect::Error("invalid_api_key".to_owned())).times(1)).unwrap();
    assert!(account.list("jobs").await.is_ok());
    assert_eq!(account.keys.fresh_count(), 1);
}

#[tokio::test]
async fn a_missing_scope_is_no_rejected_key() {
    let account = account("{}").await;
    account.vendor.grant(KEY, &[]);
    assert_eq!(account.list("jobs").await.unwrap_err().class, FailureClass::Forbidden);
    assert_eq!(account.keys.fresh_count(), 0);
}

#[tokio::test]
async fn a_broken_secret_is_named_never_shown_and_mended_when_it_is() {
    for broken in ["", "s3cret", r#"{"key":"s3cret"}"#, r#"{"api_key":""}"#, r#"{"api_key":"s3cret\nX-Other: 1"}"#] {
        let mut account = account("{}").await;
        account.keys = SharedKeys::new(broken);
        account.source = source_at(account.vendor.url(), &account.vendor, "{}", &account.keys);
        let failure = account.list("jobs").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unauthorized, "{broken}");
        assert!(failure.cause.contains("api_key"), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("s3cret"), "{failure:?}");
        assert_eq!(account.vendor.request_counts().total, 0);
        account.keys.change(&secret(KEY));
        assert!(account.list("jobs").await.is_ok(), "{broken}");
    }
}

#[tokio::test]
async fn no_key_and_no_personal_data_is_ever_logged() {
    let account = account_with("{}", "canary-api-key").await;
    account.vendor.add(Add::with_id("customers", "canary-id")).unwrap();
    let edit = Change::of("customers", "canary-id").set("customer_email", "canary@example.com");
    account.vendor.edit(edit).unwrap();
    account.fetched("customers", "canary-id").await;
    assert_eq!(account.list("customers").await.unwrap().changes.len(), 1);
    for effect in [
        Effect::NotLoggedIn,
        Effect::Error("canary-api-key of canary@example.com".to_owned()),
        Effect::CutBody { after_bytes: 30, reset: true },
        Effect::Redirect { status: 302, to: "http://canary.example/".to_owned() },
        Effect::Throttled { status: 429, retry_after: RetryAfter::Text("canary".to_owned()) },
        answer(500, "canary"),
        answer(400, r#"{"success":false,"error":"x","message":"canary@example.com"}"#),
        answer(200, r#"{"customer":{"name":"canary"}}"#),
    ] {
        account.vendor.fault(Fault::new(effect)).unwrap();
        for failure in
            [account.fetch("customers", "canary-id").await.unwrap_err(), account.list("customers").await.unwrap_err()]
        {
            tracing::warn!(cause = %failure, error = ?failure, "as it would be logged where it is handled");
        }
        account.vendor.clear_faults();
    }
    account.vendor.rotate("canary-api-key-2", false);
    account.keys.change(&secret("canary-api-key-2"));
    assert!(account.list("customers").await.is_ok());

    let logged = logged();
    assert!(logged.contains("vendor called") && logged.contains("status=200"), "the log was not captured: {logged}");
    for secret in ["canary", KEY, "@example.com", "+1555"] {
        assert!(!logged.contains(secret), "{logged}");
    }
}
