//! How calls are signed, written and paced, and the credential that signs them.

use std::time::Duration;

use tidemark_engine::change::ListRequest;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Source;
use tidemark_engine::stream::SourceKind;
use tidemark_fakes::fieldmotion::ApiNowFormat;
use tidemark_fakes::{Add, CallKind, Fake, Fault};
use tidemark_sources::registry::{self, SourceConfig};

use crate::account::{API_ID, API_KEY, BEGINNING, account, secret, source_at, stream};
use crate::log::{collect_log, logged};
use crate::support::{SharedKeys, VendorTime, answer};

#[tokio::test]
async fn odd_ids_are_signed_and_come_back_as_they_are() {
    let account = account("{}").await;
    let odd = ["a#b", "with space", "emoji 😀", "../../x", "50%25", "é/\\\"", "007", "[0]", "a&b=c", "\u{7f}"];
    for text in odd {
        account.vendor.add(Add::with_id("tasks", text)).unwrap();
    }
    assert_eq!(account.listed("tasks").await, odd);
    for text in odd {
        assert_eq!(account.fetched("tasks", text).await.0, text);
    }
    assert_eq!(account.vendor.request_counts().refused, 0);
}

#[tokio::test]
async fn the_time_of_a_call_is_written_in_each_format() {
    for (format, settings) in [
        (ApiNowFormat::Unix, r#"{"api_now_format":"unix"}"#),
        (ApiNowFormat::AtUnix, r#"{"api_now_format":"at_unix"}"#),
        (ApiNowFormat::Datetime, r#"{"api_now_format":"datetime"}"#),
        (ApiNowFormat::Datetime, r#"{"api_now_format":"datetime","timezone":"Africa/Lagos"}"#),
    ] {
        let account = account(settings).await;
        account.vendor.configure(|vendor| {
            vendor.api_now_format = format;
            vendor.zone_offset_seconds = if settings.contains("Lagos") { 3600 } else { 0 };
        });
        assert_eq!(account.listed("jobs").await, [""; 0], "{settings}");
        // Signed again: what was right five minutes ago is refused by now.
        account.vendor.advance(Duration::from_hours(1));
        assert_eq!(account.listed("jobs").await, [""; 0], "{settings}");
        assert_eq!(account.vendor.request_counts().refused, 0);
    }
}

#[tokio::test]
async fn the_other_forms_of_the_time_are_tried_once_where_the_first_call_is_rejected() {
    for (format, name) in [(ApiNowFormat::AtUnix, "at_unix"), (ApiNowFormat::Datetime, "datetime")] {
        collect_log();
        let account = account("{}").await;
        account.vendor.configure(|vendor| vendor.api_now_format = format);
        assert_eq!(account.listed("jobs").await, [""; 0]);
        let refused = account.vendor.request_counts().refused;
        assert!((1..=2).contains(&refused), "{name}: {refused}");
        let told = format!("api_now_format=\"{name}\"");
        assert!(logged().contains(&told) && logged().contains("FieldMotionSettings"), "{}", logged());
        // What was found is used from then on.
        assert_eq!(account.listed("customers").await, [""; 0]);
        assert_eq!(account.vendor.request_counts().refused, refused);
    }
}

#[tokio::test]
async fn the_other_forms_of_the_time_are_tried_neither_twice_nor_after_a_success() {
    let account = account("{}").await;
    account.vendor.rotate("124", "new", false);
    for (calls, refused) in [(1, 3), (2, 4)] {
        assert_eq!(account.list("jobs").await.unwrap_err().class, FailureClass::Unauthorized);
        assert_eq!(account.vendor.request_counts().refused, refused, "{calls}");
    }
    let account = crate::account::account("{}").await;
    assert!(account.list("jobs").await.is_ok());
    account.vendor.rotate("124", "new", false);
    assert_eq!(account.list("jobs").await.unwrap_err().class, FailureClass::Unauthorized);
    assert_eq!(account.vendor.request_counts().refused, 2, "a key that was good is tried once more");
}

/// An outage in the midst of trying says nothing of a form: the next call tries them again.
#[tokio::test]
async fn the_other_forms_of_the_time_are_tried_again_where_an_outage_cut_that_short() {
    let account = account("{}").await;
    account.vendor.configure(|vendor| vendor.api_now_format = ApiNowFormat::Datetime);
    account.vendor.fault(Fault::new(answer(503, "")).after(1).times(1)).unwrap();
    assert_eq!(account.list("jobs").await.unwrap_err().class, FailureClass::Transient);
    assert_eq!(account.listed("jobs").await, [""; 0]);
}

#[tokio::test]
async fn the_parameters_are_settings() {
    let settings =
        r#"{"fields":{"customers":["name"],"tasks":[]},"fields_encoding":"list","fields_parameter":"columns"}"#;
    let account = account(settings).await;
    for name in ["customers", "tasks"] {
        account.vendor.seed_count(name, 1).unwrap();
        let id = account.listed(name).await.remove(0);
        account.fetch(name, &id).await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
    let details: Vec<_> =
        account.vendor.requests().into_iter().filter(|request| request.kind == CallKind::Detail).collect();
    assert_eq!(details[0].parameters, ["id", "columns", "_api_now", "_api_md5", "_api_id"]);
    assert_eq!(details[1].parameters, ["id", "_api_now", "_api_md5", "_api_id"]);
    assert!(details.iter().all(|request| request.signature_ok));
}

#[tokio::test]
async fn the_base_url_may_name_the_functions_folder_or_not() {
    let account = account("{}").await;
    for suffix in ["", "/", "/a", "/a/"] {
        let url = format!("{}{suffix}", account.vendor.url());
        let source = source_at(&url, &account.vendor, "{}", &account.keys);
        let listed = source.list(&stream("jobs"), ListRequest::Changed(BEGINNING)).await;
        assert!(listed.is_ok(), "{suffix}");
    }
    let wrong = source_at(&format!("{}/b", account.vendor.url()), &account.vendor, "{}", &account.keys);
    let failure = wrong.list(&stream("jobs"), ListRequest::Changed(BEGINNING)).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "a web server's page is no word of the vendor's");
    assert!(failure.next_step.unwrap().contains("compare the base URL"), "{failure:?}");
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let account = account("{}").await;
    let config = SourceConfig {
        kind: SourceKind::FieldMotion,
        base_url: account.vendor.url(),
        settings: "{}",
        requests_per_second: "2",
    };
    let source = registry::build(config, account.keys.clone(), VendorTime(Fake::clone(&account.vendor))).unwrap();
    for _ in 0..4 {
        source.list(&stream("jobs"), ListRequest::Changed(BEGINNING)).await.unwrap();
    }
    let at: Vec<i64> = account.vendor.requests().iter().map(|request| request.at_ms).collect();
    let apart: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(apart, [500, 500, 500]);
}

#[tokio::test]
async fn a_status_401_renews_the_credential_too() {
    let account = account("{}").await;
    account.keys.change(&secret("123", &format!("{API_KEY} ")));
    let rejection = r#"{"error":"oops"}"#;
    assert!(account.list("customers").await.is_ok());
    account.vendor.fault(Fault::new(answer(401, rejection)).times(2)).unwrap();
    assert_eq!(
        account.list("customers").await.unwrap_err().class,
        FailureClass::Unauthorized,
        "the same, but for a space"
    );
    account.vendor.rotate("124", "new", true);
    account.keys.change(&secret("124", "new"));
    account.vendor.fault(Fault::new(answer(401, rejection)).times(1)).unwrap();
    assert!(account.list("customers").await.is_ok());
    assert_eq!(account.keys.fresh_count(), 2);
}

#[tokio::test]
async fn a_broken_secret_is_named_never_shown_and_mended_when_it_is() {
    for broken in ["", "s3cret", "{\"api_id\":\"s3cret\"}", "{\"api_id\":\"1\",\"api_key\":\"\"}"] {
        let mut account = account("{}").await;
        account.keys = SharedKeys::new(broken);
        account.source = source_at(account.vendor.url(), &account.vendor, "{}", &account.keys);
        let failure = account.list("customers").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unauthorized, "{broken}");
        assert!(failure.cause.contains("api_key"), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("s3cret"), "{failure:?}");
        assert_eq!(account.vendor.request_counts().total, 0);
        account.keys.change(&secret(API_ID, API_KEY));
        assert!(account.list("customers").await.is_ok());
    }
}
