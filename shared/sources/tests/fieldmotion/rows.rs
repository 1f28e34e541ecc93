//! Streams that are listed as rows: users, vehicles, departments, and others where a setting asks for it.

use std::time::Duration;

use tidemark_engine::change::{Found, ListRequest, Page};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::Source;
use tidemark_engine::stream::{ListShape, SourceKind};
use tidemark_fakes::{Effect, Fault};
use tidemark_sources::registry;

use crate::account::{Account, BEGINNING, account, id, stream};
use crate::log::{collect_log, logged};
use crate::support::answer;

const DEPARTMENTS: &str = r#"[{"id":"427100","name":"Test1","users":null,"assets":"556200","last_edited":"2025-07-20 17:29:57"},{"id":"427101","name":"a\/b","last_edited":"2026-01-01 00:00:00"}]"#;

async fn page(account: &Account, name: &'static str, from: StampMillis, page: u32) -> Result<Page, SourceFailure> {
    account.source.list(&stream(name), ListRequest::Page(from, page)).await
}

fn show(account: &Account, function: &str, body: &str) {
    account.vendor.clear_faults();
    account.vendor.fault(Fault::new(answer(200, body)).on_function(function)).unwrap();
}

#[tokio::test]
async fn rows_are_listed_in_one_page_with_their_stamps() {
    let account = account("{}").await;
    for (name, function) in
        [("users", "Users_list"), ("vehicles", "Vehicles_list"), ("departments", "Departments_list")]
    {
        let traits = account.source.streams().iter().find(|traits| traits.name.as_str() == name).unwrap();
        assert_eq!((traits.shape, traits.stamped, traits.filtered), (ListShape::Pages, true, true));
        show(&account, function, DEPARTMENTS);
        let listed = page(&account, name, BEGINNING, 1).await.unwrap();
        assert_eq!((listed.pages_total, listed.unusable_count, listed.changes.len()), (Some(1), 0, 2), "{name}");
        let row = listed.changes[1].row().unwrap().text();
        assert_eq!(row, r#"{"id":"427101","name":"a\/b","last_edited":"2026-01-01 00:00:00"}"#);
        assert_eq!(listed.changes[1].stamp().unwrap().at, StampMillis::new(1_767_225_600_000));
        let beyond = page(&account, name, BEGINNING, 2).await.unwrap();
        assert_eq!((beyond.changes.len(), beyond.pages_total), (0, Some(1)));
        let ids = account.source.list(&stream(name), ListRequest::Changed(BEGINNING)).await.unwrap_err();
        assert_eq!(ids.class, FailureClass::Forbidden);
    }
}

/// Rows without a stamp are left out by any bound, so a first import sends none.
#[tokio::test]
async fn a_first_import_of_rows_sends_no_bound() {
    let account = account("{}").await;
    show(&account, "Users_list", "[]");
    for from in [BEGINNING, BEGINNING.minus(Duration::from_mins(2)), BEGINNING.plus(Duration::from_hours(1))] {
        page(&account, "users", from, 1).await.unwrap();
    }
    let parameters: Vec<_> = account.vendor.requests().into_iter().map(|request| request.parameters).collect();
    let unbounded = ["fields", "_api_now", "_api_md5", "_api_id"];
    assert_eq!(parameters[0], unbounded);
    assert_eq!(parameters[1], unbounded);
    assert_eq!(parameters[2], ["last_edited", "fields", "_api_now", "_api_md5", "_api_id"]);
}

#[tokio::test]
async fn a_single_row_is_looked_up_in_the_list_of_all() {
    let account = account("{}").await;
    show(&account, "Departments_list", DEPARTMENTS);
    let (id, body, at) = account.fetched("departments", "427100").await;
    assert_eq!((id.as_str(), at), ("427100", Some(StampMillis::new(1_753_032_597_000))));
    assert!(body.contains("556200"));
    let detail = account.fetch("departments", "7").await.unwrap();
    assert_eq!(detail.found, Found::Missing, "it may be there, and not be listed");
    assert!(account.vendor.requests().iter().all(|request| !request.parameters.contains(&"last_edited".to_owned())));
    // A list that cannot be read says nothing of one record.
    for effect in [Effect::MaintenancePage, Effect::WrongShape, Effect::EmptyBody] {
        account.vendor.clear_faults();
        account.vendor.fault(Fault::new(effect.clone())).unwrap();
        assert_eq!(account.fetch("departments", "7").await.unwrap_err().class, FailureClass::Transient, "{effect:?}");
    }
}

#[tokio::test]
async fn other_types_are_listed_as_rows_where_a_setting_asks_for_it() {
    let account = account(r#"{"row_lists":["jobs"],"jobs_form_id":"9","rows_parameter":"changed_after"}"#).await;
    show(&account, "Jobs_list", r#"[{"id":"622081","last_edited":"2026-01-01 00:00:00","deleted":"0"}]"#);
    let from = BEGINNING.plus(Duration::from_hours(1));
    let listed = page(&account, "jobs", from, 1).await.unwrap();
    assert_eq!(listed.changes.len(), 1);
    assert!(listed.changes[0].row().is_some());
    let asked = &account.vendor.requests()[0].parameters;
    assert_eq!(asked[..3], ["changed_after", "form_id", "fields"]);
    // One record is still fetched by its own function.
    account.vendor.clear_faults();
    account.vendor.seed_count("jobs", 1).unwrap();
    assert_eq!(account.fetched("jobs", "622081").await.0, "622081");
    let usual = crate::account::account("{}").await;
    assert!(usual.source.list(&stream("jobs"), ListRequest::Changed(BEGINNING)).await.is_ok());
    assert_ne!(account.source.account_mark().await.unwrap(), usual.source.account_mark().await.unwrap());
}

#[tokio::test]
async fn a_bound_that_is_not_heeded_is_told_once_and_loses_nothing() {
    let account = account("{}").await;
    show(&account, "Departments_list", DEPARTMENTS);
    collect_log();
    for _ in 0..2 {
        let listed = page(&account, "departments", StampMillis::new(1_767_225_600_000), 1).await.unwrap();
        assert_eq!(listed.changes.len(), 2);
    }
    assert_eq!(logged().matches("rows_parameter").count(), 1, "{}", logged());
}

/// A single odd row waits; that it is listed at all says that the record is not gone.
#[tokio::test]
async fn one_row_that_is_no_json_stops_no_other() {
    let account = account("{}").await;
    show(&account, "Users_list", r#"[{"id":"1","price":NaN},{"id":"2"}]"#);
    let listed = page(&account, "users", BEGINNING, 1).await.unwrap();
    let rows: Vec<bool> = listed.changes.iter().map(|change| change.row().is_some()).collect();
    assert_eq!(rows, [false, true]);
    let failure = account.fetch("users", "1").await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Record, "{failure}");
    assert!(matches!(account.fetch("users", "2").await.unwrap().found, Found::Record { .. }));
    // Many are the answer's.
    show(&account, "Users_list", r#"[{"id":NaN}]"#);
    assert_eq!(page(&account, "users", BEGINNING, 1).await.unwrap_err().class, FailureClass::Transient);
}

/// A filter that means "equal to" lists nothing, for ever.
#[tokio::test]
async fn a_filter_that_is_not_heeded_is_noticed_on_the_first_import() {
    let account = account("{}").await;
    account.vendor.seed_count("users", 5).unwrap();
    account.vendor.configure(|settings| settings.bound_means_equal = true);
    let failure = page(&account, "users", BEGINNING, 1).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Forbidden);
    assert!(
        failure.cause.contains("last_edited") && failure.next_step.unwrap().contains("rows_parameter"),
        "{failure}"
    );
    account.vendor.configure(|settings| settings.bound_means_equal = false);
    account.vendor.reset_requests();
    for _ in 0..2 {
        assert_eq!(page(&account, "users", BEGINNING, 1).await.unwrap().changes.len(), 5);
    }
    assert_eq!(account.vendor.request_counts().total, 3, "it is compared once");
}

#[tokio::test]
async fn stock_containers_are_copied_only_where_they_are_named() {
    let all = registry::parse_streams(SourceKind::FieldMotion, "{}", "all").unwrap();
    assert!(!all.contains(&stream("stock_containers")));
    assert!(["users", "vehicles", "departments"].iter().all(|name| all.iter().any(|known| known.as_str() == *name)));
    let named = registry::parse_streams(SourceKind::FieldMotion, "{}", "all,stock_containers").unwrap();
    assert_eq!(named.len(), all.len() + 1);
    assert_eq!(id("7").as_str(), "7");
}
