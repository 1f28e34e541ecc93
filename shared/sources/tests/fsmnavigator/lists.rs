//! Lists: both dialects, pages, bounds, stamps and ids.

use std::time::Duration;

use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::{StampMillis, VendorMillis};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Source;
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, SourceKind};
use tidemark_fakes::fsmnavigator::{Dialect, ListOrder, Paging, UpdatedSince};
use tidemark_fakes::{Add, Change, ClockChange, DateHeader, Fault, ShowStamp, ShownStamp};
use tidemark_sources::registry;

use crate::account::{BEGINNING, FIRST, STREAMS, account, ids, source_at, stream};
use crate::log::logged;
use crate::support::answer;

#[tokio::test]
async fn every_stream_is_listed_byte_for_byte_in_both_dialects() {
    let account = account("{}").await;
    for name in STREAMS {
        account.vendor.seed_count(name, 12).unwrap();
    }
    for dialect in [Dialect::Guide, Dialect::Reference] {
        account.vendor.configure(|settings| settings.dialect = dialect);
        for name in STREAMS {
            let page = account.list(name).await.unwrap();
            assert_eq!((page.pages_total, page.unusable_count, page.next), (Some(1), 0, None));
            let truth = account.vendor.truth(name).unwrap();
            assert_eq!(page.changes.len(), truth.len(), "{name} {dialect:?}");
            for change in &page.changes {
                let record = &truth[change.id.as_str()];
                assert_eq!(change.row().unwrap().text(), record.body, "{name} {dialect:?}");
                assert!(record.body.contains("@example.com"), "there is nothing to be careful with");
                let stamp = change.stamp().unwrap();
                assert_eq!((&stamp.text, stamp.at.get()), (&record.last_edited, record.last_edited_ms));
                assert!(change.event().is_none());
            }
        }
    }
    assert_eq!(account.vendor.request_counts().refused, 0);
}

#[tokio::test]
async fn the_traits_follow_the_settings() {
    let settings = r#"{"incremental":{"jobs":"client_scan","assets":"server"},"unstamped":["technicians"],
        "first_checkpoint":"2026-01-01T00:00:00Z"}"#;
    for (settings, filtered, unstamped, first) in
        [("{}", "jobs", "", FIRST), (settings, "assets", "technicians", StampMillis::new(1_767_225_600_000))]
    {
        let account = account(settings).await;
        let opt_in = ["inventory", "customer_locations", "service_records"];
        let names: Vec<&str> = account.source.streams().iter().map(|traits| traits.name.as_str()).collect();
        assert_eq!(names, [&STREAMS[..], &opt_in].concat());
        for (traits, name) in account.source.streams().iter().zip(STREAMS) {
            assert_eq!((traits.name.as_str(), traits.shape), (name, ListShape::Pages));
            assert_eq!((traits.filtered, traits.stamped), (name == filtered, name != unstamped), "{name}");
            assert_eq!(traits.first, Position::At(first));
        }
    }
}

#[test]
fn settings_that_make_no_sense_stop_the_start_and_are_named_together() {
    let settings = r#"{"per_page":101,"incremental":{"jobs":"sometimes"},"perpage":50}"#;
    let error = registry::streams_of(SourceKind::FsmNavigator, settings).unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
    assert!(error.to_string().contains(r#""per_page" must be a whole number from 1 to 100"#), "{error}");
}

#[tokio::test]
async fn pages_are_asked_for_one_by_one_and_their_total_is_told() {
    let account = account(r#"{"per_page":2}"#).await;
    for (count, pages) in [(0, 0), (1, 1), (4, 3)] {
        account.vendor.seed_count("customers", count).unwrap();
        let page = account.list("customers").await.unwrap();
        assert_eq!(page.pages_total, Some(pages));
    }
    let mut listed = Vec::new();
    for page in 1..=4 {
        let page = account.page_from("customers", BEGINNING, page).await.unwrap();
        assert_eq!(page.pages_total, Some(3));
        listed.extend(ids(&page).into_iter().map(str::to_owned));
    }
    assert_eq!(listed, ["123", "124", "125", "126", "127"]);
    account.vendor.configure(|settings| settings.dialect = Dialect::Reference);
    assert_eq!(account.page_from("customers", BEGINNING, 3).await.unwrap().pages_total, Some(3));
}

#[tokio::test]
async fn an_empty_list_may_have_no_page_or_one() {
    let account = account("{}").await;
    for pages in [0, 1] {
        account.vendor.configure(|settings| settings.empty_total_pages = pages);
        let page = account.list("jobs").await.unwrap();
        assert_eq!((page.changes.len(), page.pages_total.map(u64::from)), (0, Some(pages)));
    }
}

#[tokio::test]
async fn without_a_total_no_page_is_the_last() {
    let account = account(r#"{"per_page":2}"#).await;
    account.vendor.seed_count("jobs", 3).unwrap();
    for paging in [Paging::NoTotals, Paging::Nothing] {
        account.vendor.configure(|settings| settings.paging = paging);
        for page in 1..=3 {
            let page = account.page_from("jobs", BEGINNING, page).await.unwrap();
            assert_eq!(page.pages_total, None, "{paging:?}");
        }
    }
}

#[tokio::test]
async fn a_vendor_that_caps_the_rows_a_page_is_not_cut_short() {
    let account = account(r#"{"per_page":100}"#).await;
    account.vendor.seed_count("jobs", 5).unwrap();
    account.vendor.configure(|settings| (settings.per_page_max, settings.paging) = (2, Paging::NoTotals));
    let page = account.list("jobs").await.unwrap();
    assert_eq!((page.changes.len(), page.pages_total), (2, None), "short of what was asked for, and not the last");
    assert_eq!(account.page_from("jobs", BEGINNING, 3).await.unwrap().pages_total, None);
}

#[tokio::test]
async fn the_first_page_over_and_over_is_a_failure_and_no_end() {
    let account = account("{}").await;
    let first = r#"{"success":true,"jobs":[{"id":1}],"page":1,"per_page":50,"total":237,"total_pages":5}"#;
    account.vendor.fault(Fault::new(answer(200, first))).unwrap();
    assert!(account.page_from("jobs", BEGINNING, 1).await.is_ok());
    assert_eq!(account.page_from("jobs", BEGINNING, 2).await.unwrap_err().class, FailureClass::Transient);
}

#[tokio::test]
async fn the_bound_is_sent_for_jobs_alone_and_in_utc() {
    let account = account("{}").await;
    let from = StampMillis::new(1_771_804_800_999);
    for name in STREAMS {
        account.page_from(name, from, 3).await.unwrap();
    }
    let requests = account.vendor.requests();
    assert_eq!(requests[0].from.as_deref(), Some("2026-02-23T00:00:00Z"));
    assert_eq!(requests[0].parameters, ["page", "per_page", "updated_since"]);
    for request in &requests[1..] {
        assert_eq!((&request.from, request.parameters.len()), (&None, 2), "{request:?}");
    }
}

#[tokio::test]
async fn how_the_bound_is_sent_is_a_setting() {
    let settings = r#"{"incremental":{"customers":"server","jobs":"client_scan"},"filter_parameter":"modified_after",
        "per_page":100}"#;
    let account = account(settings).await;
    for name in ["customers", "jobs"] {
        account.list(name).await.unwrap();
    }
    let requests = account.vendor.requests();
    assert_eq!(requests[0].parameters, ["page", "per_page", "modified_after"]);
    assert_eq!(requests[1].parameters, ["page", "per_page"]);
}

#[tokio::test]
async fn only_changes_after_the_bound_are_listed() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 3).unwrap();
    let now = StampMillis::new(account.vendor.now_ms());
    let hour = Duration::from_hours(1);
    assert!(account.page_from("jobs", now.minus(hour), 1).await.unwrap().changes.is_empty(), "no failure");
    account.vendor.edit(Change::of("jobs", "790")).unwrap();
    for inclusive in [true, false] {
        account.vendor.configure(|settings| settings.inclusive = inclusive);
        let page = account.page_from("jobs", now.minus(hour), 1).await.unwrap();
        assert_eq!(ids(&page), ["790"]);
    }
    assert!(!logged().contains("from before the time"), "an honoured bound is nothing to warn of");
}

#[tokio::test]
async fn rows_from_before_an_ignored_bound_are_kept_and_told_of_once() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 3).unwrap();
    account.vendor.configure(|settings| settings.updated_since = UpdatedSince::Ignored);
    let now = StampMillis::new(account.vendor.now_ms());
    let warnings = || logged().matches("the list shows rows from before the time that was asked for").count();
    let before = warnings();
    for _ in 0..3 {
        assert_eq!(account.page_from("jobs", now, 1).await.unwrap().changes.len(), 3);
    }
    assert_eq!(warnings() - before, 1);
    assert!(logged().contains("stream=jobs row_count=3"));
}

#[tokio::test]
async fn a_scan_without_a_bound_is_nothing_to_warn_of() {
    let account = account("{}").await;
    account.vendor.seed_count("customers", 3).unwrap();
    let now = StampMillis::new(account.vendor.now_ms());
    assert_eq!(account.page_from("customers", now, 1).await.unwrap().changes.len(), 3);
    assert!(!logged().contains("stream=customers row_count"));
}

#[tokio::test]
async fn rows_move_when_they_are_edited_and_each_page_is_as_the_vendor_shows_it() {
    let account = account(r#"{"per_page":2}"#).await;
    account.vendor.seed_count("customers", 4).unwrap();
    assert_eq!(ids(&account.page_from("customers", BEGINNING, 1).await.unwrap()), ["123", "124"]);
    account.vendor.edit(Change::of("customers", "123")).unwrap();
    // 125 slipped to the first page: the engine goes back for it.
    assert_eq!(ids(&account.page_from("customers", BEGINNING, 2).await.unwrap()), ["126", "123"]);
    account.vendor.configure(|settings| settings.list_order = ListOrder::Id);
    assert_eq!(ids(&account.page_from("customers", BEGINNING, 2).await.unwrap()), ["125", "126"]);
}

#[tokio::test]
async fn stamps_that_are_missing_or_nonsense_are_none_and_the_row_is_kept() {
    let account = account("{}").await;
    account.vendor.seed_count("customers", 1).unwrap();
    for (shown, expected) in [
        (ShownStamp::Missing, None),
        (ShownStamp::Text(String::new()), None),
        (ShownStamp::Text("soon".to_owned()), None),
        (ShownStamp::Text("2026-07-01".to_owned()), None),
        (ShownStamp::Text("2099-01-01T00:00:00Z".to_owned()), Some(4_070_908_800_000)),
        (ShownStamp::Text("2026-07-01T12:00:00.5+02:00".to_owned()), Some(1_782_900_000_500)),
        (ShownStamp::Text("2026-07-01 10:00:00".to_owned()), Some(1_782_900_000_000)),
    ] {
        let show = ShowStamp { stream: "customers".to_owned(), id: "123".to_owned(), shown };
        account.vendor.show_stamp(&show).unwrap();
        let page = account.list("customers").await.unwrap();
        assert_eq!(ids(&page), ["123"]);
        assert_eq!(page.changes[0].stamp().map(|stamp| stamp.at.get()), expected, "{show:?}");
        assert_eq!(account.fetched("customers", "123").await.2.map(StampMillis::get), expected, "{show:?}");
    }
}

#[tokio::test]
async fn rows_without_an_id_are_counted_and_the_others_kept() {
    let account = account("{}").await;
    let body = r#"{"data":[{"job_id":1},{"name":"x"},{"id":"2"},null,{"job_id":""}],"pagination":{"total_pages":1}}"#;
    account.vendor.fault(Fault::new(answer(200, body))).unwrap();
    let page = account.list("jobs").await.unwrap();
    assert_eq!((ids(&page), page.unusable_count), (vec!["1", "2"], 3));
}

#[tokio::test]
async fn odd_ids_come_back_as_they_are() {
    let account = account("{}").await;
    let odd = ["a#b", "with space", "emoji 😀", "../../x", "50%25", "é/\\\"", "007", "[0]", "a&b=c"];
    for text in odd {
        account.vendor.add(Add::with_id("assets", text)).unwrap();
    }
    assert_eq!(ids(&account.list("assets").await.unwrap()), odd);
}

#[tokio::test]
async fn the_vendors_clock_comes_with_every_answer_that_has_one() {
    // A wrong clock makes the reset of the limit look far away, which is not the subject here.
    let account = account(r#"{"rate_headers":"ignore"}"#).await;
    account.vendor.seed_count("jobs", 1).unwrap();
    let now = account.vendor.now_ms().div_euclid(1000) * 1000;
    for (date, expected) in [
        (DateHeader::Present, Some(VendorMillis::new(now))),
        (DateHeader::SkewedSeconds(-86_400), Some(VendorMillis::new(now - 86_400_000))),
        (DateHeader::Absent, None),
    ] {
        account.vendor.change_clock(ClockChange { date: Some(date), ..ClockChange::default() });
        assert_eq!(account.list("jobs").await.unwrap().date, expected);
        assert_eq!(account.fetch("jobs", "789").await.unwrap().date, expected);
    }
}

#[tokio::test]
async fn the_base_url_may_name_the_folder_or_not() {
    let account = account("{}").await;
    for suffix in ["", "/", "/api/v1", "/api/v1/"] {
        let url = format!("{}{suffix}", account.vendor.url());
        let source = source_at(&url, &account.vendor, "{}", &account.keys);
        let request = ListRequest::Page(BEGINNING, 1);
        assert!(source.list(&stream("jobs"), request).await.is_ok(), "{suffix}");
    }
}

#[tokio::test]
async fn what_this_source_does_not_have_is_refused_without_a_call() {
    let account = account("{}").await;
    assert_eq!(account.list("invoices").await.unwrap_err().class, FailureClass::Forbidden);
    assert_eq!(account.fetch("invoices", "1").await.unwrap_err().class, FailureClass::Forbidden);
    for request in [
        ListRequest::Changed(BEGINNING),
        ListRequest::Events("1"),
        ListRequest::NewestToken,
        ListRequest::Snapshot(None),
    ] {
        let failure = account.source.list(&stream("jobs"), request).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Forbidden, "{request:?}");
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}
