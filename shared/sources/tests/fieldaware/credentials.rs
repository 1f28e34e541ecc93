//! The key: how it is sent, and what happens when it is rejected.

use tidemark_engine::change::ListRequest;
use tidemark_engine::failure::FailureClass;
use tidemark_fakes::{Add, Change, Effect, Fault};

use crate::account::{TOKEN, account, assert_harmless, secret, source_at};
use crate::log::logged;
use crate::support::{SharedKeys, answer};

#[tokio::test]
async fn a_rejected_key_that_has_not_changed_is_not_tried_again() {
    let account = account("{}").await;
    account.vendor.rotate("new-key", false);
    for request in [ListRequest::NewestToken, ListRequest::Snapshot(None)] {
        account.vendor.reset_requests();
        let failure = account.list(request).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unauthorized, "{request:?}");
        assert_harmless(&failure);
        assert_eq!(account.vendor.request_counts().total, 1);
    }
    assert_eq!(account.keys.fresh_count(), 2);
}

#[tokio::test]
async fn a_broken_secret_is_named_never_shown_and_mended_when_it_is() {
    for broken in ["", "s3cret", r#"{"key":"s3cret"}"#, r#"{"token":""}"#, r#"{"token":"s3cret\nX-Evil: 1"}"#] {
        let mut account = account("{}").await;
        account.keys = SharedKeys::new(broken);
        account.source = source_at(account.vendor.url(), &account.vendor, "{}", &account.keys);
        let failure = account.list(ListRequest::NewestToken).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unauthorized, "{broken}");
        assert!(failure.cause.contains("token"), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("s3cret"), "{failure:?}");
        assert_eq!(account.vendor.request_counts().total, 0);
        account.keys.change(&secret(TOKEN));
        assert!(account.list(ListRequest::NewestToken).await.is_ok());
    }
}

#[tokio::test]
async fn no_key_and_no_personal_data_is_ever_logged() {
    let mut account = account("{}").await;
    account.vendor.rotate("canary-key", false);
    account.keys = SharedKeys::new(&secret("canary-key"));
    account.source = source_at(account.vendor.url(), &account.vendor, "{}", &account.keys);
    account.vendor.add(Add::with_id("customers", "canaryid")).unwrap();
    account.vendor.edit(Change::of("customers", "canaryid").set("email", "canary@example.com")).unwrap();
    account.vendor.add(Add::with_id("users", "canaryuser")).unwrap();
    account.fetched("customers/customer/canaryid").await;
    account.snapshot().await;
    for effect in [
        Effect::NotLoggedIn,
        Effect::Error("bad canary-key canary@example.com".to_owned()),
        Effect::CutBody { after_bytes: 30, reset: true },
        Effect::Redirect { status: 302, to: "http://canary.example/".to_owned() },
        answer(500, r#"{"error":{"name":"canary","message":"canary"}}"#),
        answer(422, "canary"),
    ] {
        account.vendor.fault(Fault::new(effect)).unwrap();
        let failure = account.try_fetch("customers/customer/canaryid").await.unwrap_err();
        let cause = failure.cause.replace("(canary)", "");
        tracing::warn!(cause, "as it would be logged where it is handled");
        account.vendor.clear_faults();
    }
    let logged = logged();
    assert!(logged.contains("vendor called") && logged.contains("status=200"), "the log was not captured: {logged}");
    for secret in ["canary", TOKEN, "@example.com"] {
        assert!(!logged.contains(secret), "{secret}");
    }
}
