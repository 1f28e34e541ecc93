//! What a list asks for, and what it tells.

use std::time::Duration;

use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::{StampMillis, VendorMillis};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Source;
use tidemark_engine::stream::{ListShape, SourceKind, StreamName};
use tidemark_fakes::fieldly::{Filter, Metadata, Order};
use tidemark_fakes::{Add, Change, ClockChange, DateHeader, ShowStamp, ShownStamp};
use tidemark_sources::registry;

use crate::account::{BEGINNING, STREAMS, account, ids, source_at};
use crate::log::logged;

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn every_stream_is_listed_in_whole_rows_byte_for_byte() {
    let account = account("{}").await;
    for stream in STREAMS {
        account.vendor.seed_count(stream, 12).unwrap();
        let truth = account.vendor.truth(stream).unwrap();
        let page = account.list(stream).await.unwrap();
        assert_eq!((page.changes.len(), page.pages_total, page.unusable_count), (12, Some(1), 0));
        for change in &page.changes {
            let record = &truth[change.id.as_str()];
            assert_eq!(change.row().unwrap().text(), record.body);
            let stamp = change.stamp().unwrap();
            assert_eq!((stamp.at.get(), &stamp.text), (record.last_edited_ms, &record.last_edited));
        }
    }
    assert_eq!(account.vendor.request_counts().refused, 0);
}

#[tokio::test]
async fn cents_seconds_and_metres_stay_as_they_are() {
    let account = account("{}").await;
    for (stream, field) in [
        ("work_items", "total_price"),
        ("time_reports", "billable_total_time"),
        ("travel_reports", "internal_distance"),
    ] {
        let id = account.vendor.seed_count(stream, 1).unwrap().remove(0);
        let truth = account.vendor.truth(stream).unwrap()[&id].row.get(field).unwrap().clone();
        assert!(truth.is_u64());
        let page = account.list(stream).await.unwrap();
        let row = page.changes[0].row().unwrap().text();
        assert!(row.contains(&format!("\"{field}\":{truth},")), "{row}");
    }
}

#[tokio::test]
async fn a_work_order_and_a_project_that_share_a_serial_number_are_two_records() {
    let account = account("{}").await;
    account.vendor.configure(|settings| settings.order = Order::ById);
    account.vendor.seed_count("work_items", 3).unwrap();
    let page = account.list("work_items").await.unwrap();
    assert_eq!(ids(&page), ["1001", "1002", "1003"]);
    let serials: Vec<String> = account
        .vendor
        .truth("work_items")
        .unwrap()
        .values()
        .map(|r| r.row.text("serial_number").unwrap().to_owned())
        .collect();
    assert_eq!(serials[1], serials[2]);
}

#[tokio::test]
async fn only_changes_after_the_bound_are_listed() {
    let account = account("{}").await;
    account.vendor.seed_count("clients", 3).unwrap();
    let page = account.page("clients", account.ago(HOUR), 1).await.unwrap();
    assert_eq!((ids(&page).len(), page.pages_total), (0, Some(0)), "an empty list is no failure");
    account.vendor.edit(Change::of("clients", "502")).unwrap();
    let page = account.page("clients", account.ago(HOUR), 1).await.unwrap();
    assert_eq!(ids(&page), ["502"]);
    let call = account.calls().pop().unwrap();
    assert_eq!(call.parameters, ["page", "per_page", "updated_at"]);
    let from = call.from.unwrap();
    assert_eq!((from.len(), from.ends_with('Z')), ("2020-11-08T23:00:00.000Z".len(), true), "{from}");
    assert_eq!(from.parse::<jiff::Timestamp>().unwrap().as_millisecond(), account.ago(HOUR).get());
}

#[tokio::test]
async fn a_filter_by_days_is_widened_to_the_whole_day_before() {
    let settings = r#"{"filter_formats":{"clients":"date"}}"#;
    let account = account(settings).await;
    account.vendor.configure(|vendor| vendor.filter = Filter::DateOnly);
    account.vendor.seed_count("clients", 3).unwrap();
    let stamped = |id: &str, stamp: &str| account.vendor.edit(Change::of("clients", id).stamped(stamp)).unwrap();
    stamped("501", "2026-01-13T23:59:59.000Z");
    stamped("502", "2026-01-15T00:00:00.000Z");
    stamped("503", "2026-01-15T23:59:59.000Z");
    let from: jiff::Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
    let page = account.page("clients", StampMillis::new(from.as_millisecond()), 1).await.unwrap();
    assert_eq!(ids(&page), ["503", "502"], "the day of the bound is listed from its start");
    assert_eq!(account.calls()[0].from.as_deref(), Some("2026-01-14"));
}

#[tokio::test]
async fn a_filter_that_wants_days_refuses_times_and_the_failure_names_it() {
    let account = account("{}").await;
    account.vendor.configure(|vendor| vendor.filter = Filter::DateOnly);
    let failure = account.list("clients").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Forbidden);
    assert!(failure.cause.contains("422") && failure.cause.ends_with("which refuses updated_at"), "{failure}");
    assert!(!failure.cause.contains("2000-01-01"), "{failure}");
}

#[tokio::test]
async fn the_names_of_path_rows_filter_and_stamp_are_settings() {
    let account = account(
        r#"{"paths":{"clients":"work_items"},"rows_keys":{"clients":"rows"},"updated_filters":{"clients":"changed_after"},
        "updated_fields":{"clients":"changed_at"},"metadata_key":"meta","per_page":7}"#,
    )
    .await;
    account.vendor.configure(|vendor| {
        vendor.rows_key = Some("rows".to_owned());
        vendor.filter_name = "changed_after".to_owned();
        vendor.updated_field = Some("changed_at".to_owned());
        vendor.metadata = Metadata::Meta;
    });
    account.vendor.seed_count("work_items", 8).unwrap();
    let page = account.list("clients").await.unwrap();
    assert_eq!((page.changes.len(), page.pages_total), (7, Some(2)));
    assert!(page.changes.iter().all(|change| change.stamp().is_some()));
    let calls = account.calls();
    assert_eq!((calls[0].function.as_str(), calls[0].parameters[2].as_str()), ("GET /work_items", "changed_after"));
}

#[tokio::test]
async fn a_type_can_be_asked_for_in_the_vendors_spelling() {
    let account = account(r#"{"queries":{"work_items":{"type":"workorder"}}}"#).await;
    account.vendor.seed_count("work_items", 4).unwrap();
    account.vendor.seed_count("clients", 1).unwrap();
    let page = account.list("work_items").await.unwrap();
    assert_eq!(page.changes.len(), 2);
    assert!(page.changes.iter().all(|change| change.row().unwrap().text().contains("\"type\":\"Workorder\"")));
    assert_eq!(account.list("clients").await.unwrap().changes.len(), 1);
    assert_eq!(account.calls()[1].parameters, ["page", "per_page", "updated_at"]);
}

#[tokio::test]
async fn a_stream_without_filter_or_stamp_says_so_and_is_listed_whole() {
    let settings = r#"{"updated_filters":{"clients":null},"updated_fields":{"clients":null}}"#;
    let account = account(settings).await;
    for traits in account.source.streams() {
        let expected = traits.name.as_str() != "clients";
        assert_eq!((traits.filtered, traits.stamped, traits.shape), (expected, expected, ListShape::Pages));
    }
    account.vendor.seed_count("clients", 3).unwrap();
    let page = account.page("clients", account.now(), 1).await.unwrap();
    assert_eq!(page.changes.len(), 3);
    assert!(page.changes.iter().all(|change| change.stamp().is_none() && change.row().is_some()));
    assert_eq!(account.calls()[0].parameters, ["page", "per_page"]);
    assert!(!logged().contains("does not apply"));
}

#[tokio::test]
async fn a_filter_that_is_not_heeded_is_told_once_and_loses_nothing() {
    let account = account("{}").await;
    account.vendor.configure(|vendor| vendor.filter = Filter::Ignored);
    account.vendor.seed_count("travel_reports", 3).unwrap();
    for _ in 0..3 {
        let page = account.page("travel_reports", account.ago(HOUR), 1).await.unwrap();
        assert_eq!(page.changes.len(), 3);
    }
    let lines = logged();
    let told: Vec<&str> =
        lines.lines().filter(|line| line.contains("does not apply") && line.contains("travel_reports")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("WARN") && told[0].contains("older_count=3"), "{told:?}");
}

#[tokio::test]
async fn a_stamp_without_its_milliseconds_is_no_doubt_about_the_filter() {
    let account = account("{}").await;
    account.vendor.configure(|vendor| vendor.filter = Filter::Ignored);
    account.vendor.add(Add::with_id("time_reports", "1")).unwrap();
    let second = account.now().get().div_euclid(1000) * 1000;
    account.page("time_reports", StampMillis::new(second + 999), 1).await.unwrap();
    assert!(!logged().lines().any(|line| line.contains("does not apply") && line.contains("time_reports")));
}

#[tokio::test]
async fn stamps_that_are_missing_or_nonsense_are_none() {
    let account = account("{}").await;
    account.vendor.seed_count("clients", 1).unwrap();
    for (shown, expected) in [
        (ShownStamp::Missing, None),
        (ShownStamp::Text(String::new()), None),
        (ShownStamp::Text("2026-01-15".to_owned()), None),
        (ShownStamp::Text("2026-07-01T12:00:00.000+02:00".to_owned()), Some(1_782_900_000_000)),
        (ShownStamp::Text("2026-07-01T10:00:00.250Z".to_owned()), Some(1_782_900_000_250)),
    ] {
        let show = ShowStamp { stream: "clients".to_owned(), id: "501".to_owned(), shown };
        account.vendor.show_stamp(&show).unwrap();
        let listed = account.list("clients").await.unwrap().changes.remove(0);
        assert_eq!(listed.stamp().map(|stamp| stamp.at.get()), expected, "{show:?}");
        assert_eq!(account.fetched("clients", "501").await.2.map(StampMillis::get), expected, "{show:?}");
    }
}

#[tokio::test]
async fn the_vendors_clock_comes_with_every_answer_that_has_one() {
    let account = account("{}").await;
    account.vendor.seed_count("clients", 1).unwrap();
    let second = account.now().get().div_euclid(1000) * 1000;
    for (date, expected) in [
        (DateHeader::Present, Some(VendorMillis::new(second))),
        (DateHeader::SkewedSeconds(-86_400), Some(VendorMillis::new(second - 86_400_000))),
        (DateHeader::Absent, None),
    ] {
        account.vendor.change_clock(ClockChange { date: Some(date), ..ClockChange::default() });
        assert_eq!(account.list("clients").await.unwrap().date, expected);
        assert_eq!(account.fetch("clients", "501").await.unwrap().date, expected);
    }
}

#[tokio::test]
async fn the_base_url_may_name_the_apis_path_or_not() {
    let account = account("{}").await;
    for suffix in ["", "/", "/api/public/v1", "/api/public/v1/"] {
        let url = format!("{}{suffix}", account.vendor.url());
        let source = source_at(&url, &account.vendor, "{}", &account.keys, "100000");
        let listed = source.list(&StreamName::known("clients"), ListRequest::Page(BEGINNING, 1)).await;
        assert!(listed.is_ok(), "{suffix}");
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
        let failure = account.source.list(&StreamName::known("clients"), request).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Forbidden, "{request:?}");
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}

#[test]
fn streams_are_known_without_network_and_settings_are_checked_together() {
    let streams = registry::streams_of(SourceKind::Fieldly, "{}").unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, STREAMS);
    let bad = registry::streams_of(SourceKind::Fieldly, r#"{"per_page":51,"pages":1}"#).unwrap_err();
    assert_eq!(bad.problems.len(), 2, "{bad}");
}
