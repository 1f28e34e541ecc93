//! No address that the vendor sends is ever requested: nothing but the configured host is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidemark_engine::change::ListRequest;
use tidemark_fakes::{Add, Effect, Fault};
use tokio::net::TcpListener;

use crate::account::{account, account_at, assert_harmless, ids};
use crate::support::answer;

const JOB: &str = "7cc5e2d8879a43829dcc07655f5ca606";

/// A host that nobody should call.
struct Elsewhere {
    port: u16,
    calls: Arc<AtomicUsize>,
}

impl Elsewhere {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { port, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Addresses that lead there, or somewhere else that they should not.
    fn corpus(&self, path: &str) -> Vec<String> {
        let port = self.port;
        vec![
            format!("http://127.0.0.1:{port}/"),
            format!("http://127.0.0.1:{port}{path}"),
            format!("http://localhost:{port}{path}"),
            format!("//127.0.0.1:{port}{path}"),
            format!("\\\\127.0.0.1:{port}{path}"),
            format!("http:\\\\127.0.0.1:{port}{path}"),
            format!("http:/\\127.0.0.1:{port}{path}"),
            format!("https://api.fieldaware.net@127.0.0.1:{port}{path}"),
            format!("http://user:pass@127.0.0.1:{port}{path}"),
            format!("@127.0.0.1:{port}{path}"),
            format!(":{port}{path}"),
            format!("/..%2f..%2f127.0.0.1:{port}{path}"),
            format!("/../..{path}"),
            format!("http://127.0.0.1:{port}/2018-06-01/runtime/invocation/next"),
            format!("http://127\u{3002}0\u{3002}0\u{3002}1:{port}{path}"),
            format!("http://\u{ff11}27.0.0.1:{port}{path}"),
            format!("http://[::ffff:127.0.0.1]:{port}{path}"),
            format!("http://2130706433:{port}{path}"),
            format!("{path}\r\nHost: 127.0.0.1:{port}"),
            format!("{path}#@127.0.0.1:{port}/"),
            format!("{path}?next=http://127.0.0.1:{port}/"),
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            "https://evil/".to_owned(),
            "//evil".to_owned(),
            "\\\\evil".to_owned(),
            "https://api.host@evil".to_owned(),
            "file:///etc/passwd".to_owned(),
            "javascript:alert(1)".to_owned(),
        ]
    }
}

#[tokio::test]
async fn no_address_of_an_event_is_requested() {
    let account = account("{}").await;
    let elsewhere = Elsewhere::start().await;
    for url in elsewhere.corpus(&format!("/job/{JOB}")) {
        let event = serde_json::json!({"entityClass": "Job", "status": "UPDATED", "url": url, "entity": {"uuid": JOB}});
        let page = serde_json::json!({"items": [event], "next": 5}).to_string();
        account.vendor.fault(Fault::new(answer(200, &page)).on_function("/changes/{token}/").times(1)).unwrap();
        let page = account.events("4").await;
        assert_eq!(ids(&page), [format!("jobs/job/{JOB}")], "{url:?}");
        account.try_fetch(ids(&page)[0]).await.unwrap();
    }
    assert_eq!(elsewhere.calls(), 0);
    assert!(account.asked().iter().all(|function| function == "/changes/{token}/" || function == "/job/{uuid}"));
}

#[tokio::test]
async fn no_address_of_a_next_page_is_requested() {
    let account = account(r#"{"record_streams":["jobs"]}"#).await;
    let elsewhere = Elsewhere::start().await;
    let item = serde_json::json!({"entityClass": "Item", "entity": {"uuid": JOB}});
    for next in elsewhere.corpus("/changes/63182002/") {
        // Nothing that is copied is on the page, so the source itself goes on to the next one.
        let page = serde_json::json!({"items": [item], "next": next}).to_string();
        account.vendor.fault(Fault::new(answer(200, &page)).times(1)).unwrap();
        match account.try_events("63182001").await {
            Ok(page) => assert!(page.changes.is_empty(), "{next:?}"),
            Err(failure) => assert_harmless(&failure),
        }
        account.vendor.clear_faults();
    }
    assert_eq!(elsewhere.calls(), 0);
    for request in account.vendor.requests() {
        assert_eq!(request.function, "/changes/{token}/");
        assert!(["63182001", "63182002"].contains(&request.from.as_deref().unwrap()), "{request:?}");
    }
}

#[tokio::test]
async fn no_address_of_a_newest_token_or_a_row_is_requested() {
    let account = account(r#"{"record_streams":["jobs"]}"#).await;
    let elsewhere = Elsewhere::start().await;
    for url in elsewhere.corpus(&format!("/job/{JOB}")) {
        let token = serde_json::json!({"url": url, "sinceToken": 5}).to_string();
        account.vendor.fault(Fault::new(answer(200, &token)).times(1)).unwrap();
        assert_eq!(account.newest_token().await, "5");
        let row = serde_json::json!({"uuid": JOB, "link": {"rel": "detail", "url": url}});
        let page = serde_json::json!({"count": 1, "items": [row]}).to_string();
        account.vendor.fault(Fault::new(answer(200, &page)).times(1)).unwrap();
        let page = account.list(ListRequest::Snapshot(None)).await.unwrap();
        assert_eq!(ids(&page), [format!("jobs/job/{JOB}")], "{url:?}");
        account.try_fetch(ids(&page)[0]).await.unwrap();
    }
    assert_eq!(elsewhere.calls(), 0);
}

#[tokio::test]
async fn a_vendor_whose_addresses_name_another_host_is_asked_at_the_configured_one() {
    let elsewhere = Elsewhere::start().await;
    let base = format!("http://127.0.0.1:{}", elsewhere.port);
    let account = account_at(|settings| settings.address_base = base, r#"{"page_size":3,"list_page_size":2}"#).await;
    let token = account.newest_token().await;
    account.vendor.add(Add { count: 9, ..Add::one("customers") }).unwrap();
    for locator in account.followed(&token).await.0 {
        account.fetched(&locator).await;
    }
    assert_eq!(account.imported().await, account.truth());
    assert_eq!(elsewhere.calls(), 0);
}

#[tokio::test]
async fn a_redirect_is_refused_and_no_key_leaves() {
    let account = account("{}").await;
    let elsewhere = Elsewhere::start().await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("http://127.0.0.1:{}/job/{JOB}", elsewhere.port);
        account.vendor.fault(Fault::new(Effect::Redirect { status, to })).unwrap();
        for failure in [
            account.try_fetch(&format!("jobs/job/{JOB}")).await.unwrap_err(),
            account.list(ListRequest::NewestToken).await.unwrap_err(),
        ] {
            assert!(failure.cause.contains("redirect"), "{failure}");
            assert_harmless(&failure);
        }
        account.vendor.clear_faults();
    }
    assert_eq!(elsewhere.calls(), 0);
}
