//! The change feed.

use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Source;
use tidemark_engine::position::Position;
use tidemark_engine::stream::ListShape;
use tidemark_fakes::fieldaware::{NextForm, TokenForm};
use tidemark_fakes::{Add, Change, Fault};

use crate::account::{CHANGES, RECORD_STREAMS, account, account_at, ids};
use crate::log::logged;
use crate::support::answer;

const OWN_ERROR: &str = r#"{"error":{"name":"OddError","message":"odd"}}"#;

/// The paths of the vendor's classes, below users where that is where they stand.
fn path_of(stream: &str) -> &'static str {
    match stream {
        "jobs" => "job",
        "web_quotes" => "webquote",
        "field_quotes" => "fieldquote",
        "items" => "item",
        "tasks" => "task",
        "customers" => "customer",
        "locations" => "location",
        "contacts" => "contact",
        "assets" => "asset",
        "invoices" => "invoice",
        "users" => "user",
        "unavailable_time_types" => "unavailability/types",
        "unavailable_times" => "unavailability",
        _ => "exception",
    }
}

#[tokio::test]
async fn the_feed_is_the_only_stream() {
    let account = account("{}").await;
    let [feed] = account.source.streams() else { panic!("one stream") };
    assert_eq!((&feed.name, feed.shape, feed.stamped), (&CHANGES, ListShape::Feed, false));
    assert_eq!(feed.first, Position::Token { text: String::new(), sequence: 0 });
}

#[tokio::test]
async fn events_of_every_class_spread_into_their_record_streams() {
    let account = account("{}").await;
    let token = account.newest_token().await;
    for stream in RECORD_STREAMS {
        let added = account.vendor.add(Add::one(stream)).unwrap().ids.remove(0);
        let page = account.events(&token).await;
        let change = page.changes.last().unwrap();
        let locator = change.id.as_str();
        assert!(locator.starts_with(&format!("{stream}/")), "{locator}");
        assert!(locator.ends_with(&format!("{}/{added}", path_of(stream))), "{locator}");
        assert_eq!(account.record_of(locator), (stream.to_owned(), added.clone()));
        assert_eq!(account.fetched(locator).await.0, added);
        let now = account.vendor.now_ms().div_euclid(1000) * 1000;
        let stamp = change.stamp().unwrap();
        assert_eq!(stamp.at, StampMillis::new(now));
        assert_eq!(account.source.stamp(&CHANGES, &stamp.text).as_ref(), Some(stamp));
        assert!(change.event().unwrap().text().contains("\"status\": \"CREATED\""), "kept as it was received");
    }
    assert_eq!(account.events(&token).await.changes.len(), RECORD_STREAMS.len());
}

#[tokio::test]
async fn a_deletion_is_announced_and_a_record_that_comes_back_is_a_change() {
    let account = account("{}").await;
    let added = account.vendor.seed_count("customers", 1).unwrap().remove(0);
    let token = account.newest_token().await;
    account.vendor.delete(Change::of("customers", &added)).unwrap();
    let page = account.events(&token).await;
    assert_eq!(ids(&page), [format!("customers/customer/{added}")]);
    assert!(page.changes[0].deleted);
    assert_eq!(account.record_of(ids(&page)[0]), ("customers".to_owned(), added.clone()));
    account.vendor.undelete(Change::of("customers", &added)).unwrap();
    let page = account.events(&token).await;
    let told: Vec<_> = page.changes.iter().map(|change| (change.id.as_str(), change.deleted)).collect();
    let locator = format!("customers/customer/{added}");
    assert_eq!((told.first(), told.last()), (Some(&(locator.as_str(), true)), Some(&(locator.as_str(), false))));
}

#[tokio::test]
async fn every_form_of_next_leads_through_the_whole_feed() {
    use NextForm::{Address, Relative, Text, Token, Vendor};
    for (next_form, token_form) in [
        (Vendor, TokenForm::Number),
        (Address, TokenForm::Number),
        (Relative, TokenForm::Number),
        (Token, TokenForm::Number),
        (Text, TokenForm::Number),
        (Vendor, TokenForm::Opaque),
        (Relative, TokenForm::Opaque),
    ] {
        let quirks = |settings: &mut tidemark_fakes::fieldaware::Settings| {
            settings.next_form = next_form;
            settings.token_form = token_form;
        };
        let account = account_at(quirks, r#"{"page_size":4}"#).await;
        let token = account.newest_token().await;
        let added = account.vendor.add(Add { count: 10, ..Add::one("items") }).unwrap().ids;
        let expected: Vec<String> = added.iter().map(|id| format!("items/item/{id}")).collect();
        let (told, end) = account.followed(&token).await;
        assert_eq!(told, expected, "{next_form:?} {token_form:?}");
        assert_eq!(account.followed(&end).await, (Vec::new(), end.clone()));
        account.edit("items", &added[3]);
        assert_eq!(account.followed(&end).await.0, [expected[3].as_str()]);
    }
}

#[tokio::test]
async fn a_page_smaller_than_its_size_is_not_the_end() {
    let account = account(r#"{"page_size":2}"#).await;
    let token = account.newest_token().await;
    account.vendor.add(Add { count: 5, ..Add::one("items") }).unwrap();
    assert_eq!(account.events(&token).await.changes.len(), 1, "pages are strictly smaller");
    assert_eq!(account.followed(&token).await.0.len(), 5);
}

#[tokio::test]
async fn an_inclusive_token_tells_an_event_again_and_ends_all_the_same() {
    let account = account_at(|settings| settings.inclusive = true, r#"{"page_size":4}"#).await;
    let token = account.newest_token().await;
    let added = account.vendor.add(Add { count: 7, ..Add::one("items") }).unwrap().ids;
    let (mut told, end) = account.followed(&token).await;
    assert!(told.len() > 7, "{told:?}");
    told.dedup();
    assert_eq!(told, added.iter().map(|id| format!("items/item/{id}")).collect::<Vec<_>>());
    let again = account.events(&end).await;
    assert_eq!((again.changes.len(), again.next), (1, Some(end)), "the unmoved token is the end");
}

#[tokio::test]
async fn repeated_events_are_all_told_in_their_order() {
    let account = account_at(|settings| settings.repeat_events = true, "{}").await;
    let token = account.newest_token().await;
    let added = account.vendor.add(Add::one("jobs")).unwrap().ids.remove(0);
    account.vendor.delete(Change::of("jobs", &added)).unwrap();
    let page = account.events(&token).await;
    let told: Vec<_> = page.changes.iter().map(|change| (change.id.as_str(), change.deleted)).collect();
    let locator = format!("jobs/job/{added}");
    assert_eq!(told, [false, false, true, true].map(|deleted| (locator.as_str(), deleted)));
}

#[tokio::test]
async fn filters_and_page_size_are_sent_with_every_page() {
    let account = account(r#"{"page_size":3,"entity_class":"Item","status":"CREATED"}"#).await;
    let token = account.newest_token().await;
    account.vendor.add(Add::one("jobs")).unwrap();
    let added = account.vendor.add(Add { count: 5, ..Add::one("items") }).unwrap().ids;
    account.edit("items", &added[0]);
    account.vendor.reset_requests();
    assert_eq!(account.followed(&token).await.0, added.iter().map(|id| format!("items/item/{id}")).collect::<Vec<_>>());
    let requests = account.vendor.requests();
    assert_eq!(requests.len(), 5, "three pages of events, an empty one that leads on, and one that does not");
    for request in requests {
        assert_eq!(request.parameters, ["pageSize", "entityClass", "status"]);
    }
}

#[tokio::test]
async fn nothing_is_sent_that_the_settings_do_not_ask_for() {
    let account = account("{}").await;
    let token = account.newest_token().await;
    account.events(&token).await;
    for request in account.vendor.requests() {
        assert_eq!(request.parameters, [""; 0], "{}", request.function);
    }
}

#[tokio::test]
async fn pages_without_an_event_of_ours_are_not_the_end() {
    let account = account(r#"{"page_size":3,"record_streams":["jobs"]}"#).await;
    let token = account.newest_token().await;
    account.vendor.add(Add { count: 10, ..Add::one("items") }).unwrap();
    let job = account.vendor.add(Add::one("jobs")).unwrap().ids.remove(0);
    account.vendor.reset_requests();
    let page = account.events(&token).await;
    assert_eq!((account.asked().len(), page.changes.len(), page.is_end), (1, 0, false));
    assert_ne!(page.next.unwrap(), token, "what was passed over is not read again");
    // Only the feed itself says that it ends.
    account.vendor.add(Add { count: 10, ..Add::one("items") }).unwrap();
    let (told, end) = account.followed(&token).await;
    assert_eq!((told, end), (vec![format!("jobs/job/{job}")], account.newest_token().await));
}

#[tokio::test]
async fn unknown_classes_are_passed_over_and_named_in_the_log() {
    let account = account("{}").await;
    let uuid = "7cc5e2d8879a43829dcc07655f5ca606";
    let page = format!(
        r#"{{"items":[{{"entityClass":"Spaceship","entity":{{"uuid":"{uuid}"}}}},{{"entityClass":"Item","entity":{{"uuid":"{uuid}"}}}}],"next":63182001}}"#
    );
    account.vendor.fault(Fault::new(answer(200, &page))).unwrap();
    let page = account.events("63182000").await;
    assert_eq!((ids(&page), page.unusable_count), (vec![&*format!("items/item/{uuid}")], 0));
    assert!(logged().contains("classes=Spaceship"), "{}", logged());
}

#[tokio::test]
async fn events_without_a_record_are_counted_and_the_others_kept() {
    let account = account("{}").await;
    let page = r#"{"items":[{"entityClass":"Item"},{"entityClass":"Item","entity":{"uuid":"07af35"}},{}],"next":5}"#;
    account.vendor.fault(Fault::new(answer(200, page))).unwrap();
    let page = account.events("4").await;
    assert_eq!((ids(&page), page.unusable_count), (vec!["items/item/07af35"], 2));
}

#[tokio::test]
async fn events_without_an_address_lead_to_the_usual_path_of_their_class() {
    let account = account_at(|settings| settings.event_urls = false, "{}").await;
    let token = account.newest_token().await;
    for stream in RECORD_STREAMS {
        account.vendor.add(Add::one(stream)).unwrap();
    }
    let page = account.events(&token).await;
    assert_eq!(page.changes.len(), 12);
    assert_eq!(page.unusable_count, 2, "times below users cannot be found without an address");
    for locator in ids(&page) {
        account.fetched(locator).await;
    }
}

#[tokio::test]
async fn the_class_of_a_quote_is_that_of_its_event_though_its_address_is_a_jobs() {
    let account = account_at(|settings| settings.quotes_as_jobs = true, "{}").await;
    let token = account.newest_token().await;
    for stream in ["web_quotes", "field_quotes", "jobs"] {
        let added = account.vendor.add(Add::one(stream)).unwrap().ids.remove(0);
        let locator = account.followed(&token).await.0.pop().unwrap();
        assert_eq!(locator, format!("{stream}/job/{added}"));
        assert_eq!(account.record_of(&locator), (stream.to_owned(), added.clone()));
        assert_eq!(account.fetched(&locator).await.0, added);
    }
}

#[tokio::test]
async fn detail_paths_are_a_setting() {
    let account = account(r#"{"detail_paths":{"field_quotes":"/job/{uuid}"}}"#).await;
    let token = account.newest_token().await;
    let added = account.vendor.add(Add::one("field_quotes")).unwrap().ids.remove(0);
    let locator = account.followed(&token).await.0.remove(0);
    assert_eq!(locator, format!("field_quotes/job/{added}"));
    assert_eq!(account.fetched(&locator).await.0, added);
}

#[tokio::test]
async fn a_token_that_the_vendor_refuses_is_told_apart_from_other_failures() {
    for status in [400, 404, 410, 422] {
        let account = account_at(|settings| settings.rejected_token_status = status, "{}").await;
        let token = account.newest_token().await;
        account.vendor.configure(|settings| settings.token_epoch = 1);
        assert_eq!(account.try_events(&token).await.unwrap_err().class, FailureClass::TokenRejected, "{status}");
        let fresh = account.newest_token().await;
        assert!(account.try_events(&fresh).await.is_ok());
    }
    let account = account("{}").await;
    account.vendor.fault(Fault::new(answer(400, OWN_ERROR))).unwrap();
    let failure = account.list(ListRequest::NewestToken).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Forbidden);
}

#[tokio::test]
async fn a_token_that_somebody_else_refuses_is_kept() {
    let account = account("{}").await;
    let token = account.newest_token().await;
    for status in [400, 404, 422] {
        for others in ["", "404 page not found", "{}", "<html></html>", r#"{"error":{"code":404,"message":"x"}}"#] {
            account.vendor.fault(Fault::new(answer(status, others)).times(1)).unwrap();
            let failure = account.try_events(&token).await.unwrap_err();
            assert_eq!(failure.class, FailureClass::Transient, "{status} {others}");
        }
    }
}

/// Kind: refusal. What the vendor says of the way it was called, as in the midst of a deployment, says nothing of the token.
#[tokio::test]
async fn a_token_is_kept_where_the_vendor_speaks_of_the_call() {
    let account = account("{}").await;
    let token = account.newest_token().await;
    for (status, name, message) in [
        (404, "NotFoundError", "Endpoint not found"),
        (404, "NotFoundError", "No route matches /changes/63182001/"),
        (400, "InvalidProtocolError", "Invalid protocol, please use HTTPS"),
    ] {
        let refusal = format!(r#"{{"error":{{"name":"{name}","message":"{message}"}}}}"#);
        account.vendor.fault(Fault::new(answer(status, &refusal)).times(1)).unwrap();
        let failure = account.try_events(&token).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Forbidden, "{message}");
    }
    assert!(account.try_events(&token).await.is_ok());
}

#[tokio::test]
async fn odd_events_are_counted_and_the_good_ones_kept() {
    let account = account("{}").await;
    let page = r#"{"items":[null,{"entityClass":"Item","entity":{"uuid":"07af35"},"n":NaN},["x"],7],"next":5}"#;
    account.vendor.fault(Fault::new(answer(200, page))).unwrap();
    let page = account.events("4").await;
    assert_eq!((ids(&page), page.unusable_count, page.is_end), (vec!["items/item/07af35"], 3, false));
}

#[tokio::test]
async fn an_empty_page_without_a_next_is_the_end_and_keeps_the_token() {
    let account = account("{}").await;
    for page in [r#"{"items":[]}"#, r#"{"items":[],"next":null}"#] {
        account.vendor.fault(Fault::new(answer(200, page)).times(1)).unwrap();
        let page = account.events("4").await;
        assert_eq!((page.changes.len(), page.next.as_deref(), page.is_end), (0, Some("4"), true));
    }
}

#[tokio::test]
async fn events_of_a_last_page_without_a_next_are_told_with_a_token_taken_before_them() {
    let account = account("{}").await;
    let token = account.newest_token().await;
    account.vendor.add(Add::one("items")).unwrap();
    let page = r#"{"items":[{"entityClass":"Item","entity":{"uuid":"07af35"}}]}"#;
    account.vendor.fault(Fault::new(answer(200, page)).on_function("/changes/{token}/")).unwrap();
    account.vendor.reset_requests();
    let page = account.events(&token).await;
    assert_eq!(account.asked(), ["/changes/{token}/", "/changes/token", "/changes/{token}/"]);
    assert_eq!((ids(&page), page.is_end), (vec!["items/item/07af35"], true));
    assert_eq!(page.next, Some(account.newest_token().await));
    assert_ne!(page.next, Some(token), "and are not told again");
}

#[tokio::test]
async fn an_empty_page_that_leads_on_is_not_the_end() {
    let account = account("{}").await;
    account.vendor.fault(Fault::new(answer(200, r#"{"items":[],"next":5}"#))).unwrap();
    let page = account.events("4").await;
    assert_eq!((page.next.as_deref(), page.is_end), (Some("5"), false));
    assert!(account.events("5").await.is_end);
}

#[tokio::test]
async fn a_stored_token_that_is_no_token_is_rejected_without_a_call() {
    let account = account("{}").await;
    for token in ["", "..", "latest", "5/6", "5?x=y", "é"] {
        assert_eq!(account.try_events(token).await.unwrap_err().class, FailureClass::TokenRejected, "{token}");
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}

#[tokio::test]
async fn what_the_feed_keeps_silent_about_is_not_told() {
    let account = account_at(|settings| settings.silent_deletes = true, "{}").await;
    let seeded = account.vendor.seed_count("customers", 2).unwrap();
    let token = account.newest_token().await;
    account.vendor.delete(Change::of("customers", &seeded[0])).unwrap();
    let mut custom = Change::of("customers", &seeded[1]);
    custom.set.insert("customFields".to_owned(), serde_json::json!({"f1": 7}));
    account.vendor.edit(custom).unwrap();
    let (told, end) = account.followed(&token).await;
    assert_eq!(told, [""; 0], "a limit of the vendor: a first import alone brings both");
    account.edit("customers", &seeded[1]);
    assert_eq!(account.followed(&end).await.0, [format!("customers/customer/{}", seeded[1])]);
}

#[tokio::test]
async fn a_commit_that_comes_late_is_told_behind_the_token() {
    let account = account("{}").await;
    let seeded = account.vendor.seed_count("items", 2).unwrap();
    let token = account.newest_token().await;
    account.vendor.edit(Change::of("items", &seeded[0]).visible_after_ms(5_000)).unwrap();
    account.edit("items", &seeded[1]);
    let (told, end) = account.followed(&token).await;
    assert_eq!(told, [format!("items/item/{}", seeded[1])]);
    account.vendor.advance(std::time::Duration::from_secs(5));
    assert_eq!(account.followed(&end).await.0, [format!("items/item/{}", seeded[0])]);
}

#[tokio::test]
async fn what_this_source_does_not_have_is_refused_without_a_call() {
    let account = account("{}").await;
    let from = StampMillis::new(0);
    for request in [ListRequest::Changed(from), ListRequest::Page(from, 1)] {
        assert_eq!(account.list(request).await.unwrap_err().class, FailureClass::Forbidden, "{request:?}");
    }
    let jobs = tidemark_engine::stream::StreamName::known("jobs");
    let id = super::account::id("jobs/job/1");
    assert_eq!(account.source.list(&jobs, ListRequest::NewestToken).await.unwrap_err().class, FailureClass::Forbidden);
    assert_eq!(account.source.fetch(&jobs, &id).await.unwrap_err().class, FailureClass::Forbidden);
    assert_eq!(account.vendor.request_counts().total, 0);
}
