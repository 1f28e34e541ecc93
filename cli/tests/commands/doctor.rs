//! `doctor` on the AWS side: each trouble by its name. What it finds at a vendor is tested where a probe is made.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;
use tidemark_cli::Terminal;

use crate::stage::{Ran, Stage};

/// Somebody who hears of alarms at once.
const SUBSCRIBED: (&str, &str) = ("Subscriber", "sqs");

async fn healthy() -> Stage {
    Stage::fresh_with(&[SUBSCRIBED]).await
}

/// What a check of this name says: verdict, words and next step.
fn said(ran: &Ran, check: &str) -> (String, String, String) {
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran}"));
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|checked| checked["check"] == check).unwrap_or_else(|| panic!("{ran}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("what"), text("next"))
}

async fn doctor(stage: &Stage) -> Ran {
    stage.run("doctor --json").await
}

#[tokio::test]
async fn of_a_stack_without_fault_all_is_well_but_what_cannot_be_seen() {
    let stage = healthy().await;
    let ran = stage.run("doctor fieldmotion").await;
    // There is no such function in this stack, so the vendor cannot be asked; why it cannot names the call.
    let page = ran.out.split("-            vendor").next().unwrap();
    // How many the account lets run is the emulator's own.
    let count = page.split_once("concurrency   ").unwrap().1.split(' ').next().unwrap();
    assert_snapshot!("healthy", page.replace(count, "SO MANY"));
    assert!(ran.out.ends_with("0 failures, 0 warnings, 8 ok, 1 could not be looked at\n"), "{ran}");
    assert_eq!(doctor(&stage).await.code, 3);
}

#[tokio::test]
async fn disabled_schedules_are_named() {
    let ran = doctor(&Stage::fresh_with(&[SUBSCRIBED, ("ScheduleState", "DISABLED")]).await).await;
    let (verdict, what, next) = said(&ran, "schedules");
    assert_eq!((ran.code, verdict.as_str()), (1, "failure"));
    assert!(what.contains("1 schedule disabled") && next.contains("ScheduleState=ENABLED"), "{what}; {next}");
}

#[tokio::test]
async fn alarms_that_nobody_hears_are_named() {
    let ran = doctor(&Stage::fresh().await).await;
    let (verdict, what, next) = said(&ran, "subscribers");
    assert_eq!((ran.code, verdict.as_str()), (1, "warning"));
    assert!(what.contains("nobody is subscribed") && next.contains("AlarmEmail"), "{what}; {next}");
}

#[tokio::test]
async fn too_little_concurrency_is_named() {
    let ran = doctor(&Stage::fresh_with(&[SUBSCRIBED, ("MaxConcurrency", "5000")]).await).await;
    let (verdict, what, next) = said(&ran, "concurrency");
    assert_eq!((ran.code, verdict.as_str()), (1, "warning"));
    assert!(what.contains("this stack uses up to 5003") && next.contains("Service Quotas"), "{what}; {next}");
}

#[tokio::test]
async fn a_mapping_that_is_off_is_named() {
    let ran = doctor(&Stage::fresh_with(&[SUBSCRIBED, ("WithFetcher", "yes")]).await).await;
    let (verdict, what, _) = said(&ran, "queue");
    assert_eq!((ran.code, verdict.as_str()), (1, "failure"));
    assert!(what.contains("no message reaches the fetcher"), "{what}");
}

#[tokio::test]
async fn dead_letters_are_named() {
    let stage = healthy().await;
    stage.send_letters().await;
    let ran = doctor(&stage).await;
    let (verdict, what, next) = said(&ran, "dead letters");
    assert_eq!((ran.code, verdict.as_str()), (1, "warning"));
    assert!(what.contains("in the dead-letter queue"), "{what}");
    assert_eq!(next, "tidemark dead-letters list fieldmotion");
}

#[tokio::test]
async fn a_stale_alarm_that_would_ring_for_nothing_is_named() {
    let ran = doctor(&Stage::fresh_with(&[SUBSCRIBED, ("StaleAfterSeconds", "599")]).await).await;
    let (verdict, what, next) = said(&ran, "settings");
    assert_eq!((ran.code, verdict.as_str()), (1, "failure"));
    assert!(what.contains("less than twice PollRate") && next.contains("StaleAfterSeconds=600"), "{what}; {next}");
    let ran = doctor(&Stage::fresh_with(&[SUBSCRIBED, ("StaleAfterSeconds", "600")]).await).await;
    assert_eq!(said(&ran, "settings").0, "ok");
}

#[tokio::test]
async fn records_that_lack_fields_which_are_asked_for_now_are_named() {
    let settings = r#"{"fields":{"customers":["name","phone"],"jobs":[]}}"#;
    let stage = Stage::fresh_with(&[SUBSCRIBED, ("FieldMotionSettings", settings)]).await;
    stage.store("customers", "1", r#"{"id":"1","name":"Secret Ltd","phone":null}"#).await;
    stage.store("jobs", "1", r#"{"id":"1"}"#).await;
    let report: Value = serde_json::from_str(&doctor(&stage).await.out).unwrap();
    let is_named = report["checks"].as_array().unwrap().iter().any(|checked| checked["check"] == "fields");
    assert!(!is_named, "{report}");
    stage.store("customers", "2", r#"{"id":"2","name":"Secret Ltd"}"#).await;
    let ran = doctor(&stage).await;
    let (verdict, what, next) = said(&ran, "fields");
    assert_eq!((ran.code, verdict.as_str()), (1, "warning"));
    assert!(what.starts_with("1 of 2 records lack fields"), "{what}");
    assert!(next.starts_with("tidemark backfill fieldmotion customers --from 1970-01-01"), "{next}");
    assert!(!ran.out.contains("Secret"), "no body is printed: {ran}");
}

#[tokio::test]
async fn stamps_that_lag_by_hours_are_named() {
    let stage = Stage::new(&[SUBSCRIBED]).await;
    stage.checkpoint("customers", |state| state.clocks.behind = Duration::from_hours(5)).await;
    let ran = doctor(&stage).await;
    let (verdict, what, next) = said(&ran, "zone");
    assert_eq!((ran.code, verdict.as_str()), (1, "warning"));
    assert!(what.contains("lag the vendor's clock by 5 h") && next.contains("time zone"), "{what}; {next}");
}

#[tokio::test]
async fn where_nothing_is_deployed_it_says_so() {
    let ran = healthy().await.run("doctor --stack nowhere").await;
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.out.contains("there is no stack called nowhere") && ran.out.contains("next: name it"), "{ran}");
}

#[tokio::test]
async fn who_may_do_nothing_learns_what_is_missing_of_every_check() {
    let stage = healthy().await;
    let ran = stage.run_as(stage.role("Stranger").await, Terminal::none(), "doctor --json", "").await;
    assert_eq!(ran.code, 3, "{ran}");
    for (check, action) in [
        ("subscribers", "sns:ListSubscriptionsByTopic"),
        ("alarms", "cloudwatch:DescribeAlarms"),
        ("tables", "dynamodb:GetItem"),
        ("schedules", "scheduler:ListSchedules"),
        ("dead letters", "sqs:GetQueueAttributes"),
        ("vendor", "lambda:InvokeFunction"),
    ] {
        let (verdict, what, next) = said(&ran, check);
        assert_eq!(verdict, "unseen", "{check}");
        assert!(what.contains(action) && next.contains("permission"), "{check}: {what}; {next}");
    }
}

#[tokio::test]
async fn a_source_that_is_off_is_wrong_usage() {
    let ran = healthy().await.run("doctor fieldly").await;
    assert_eq!(ran.code, 2, "{ran}");
}
