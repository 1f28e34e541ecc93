//! `status` in each state.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;
use tidemark_cli::Terminal;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::health::{ACCOUNT_CHANGED, Pause, Why};
use tidemark_engine::ports::Ledger;
use tidemark_engine::position::Position;
use tidemark_engine::stream::SourceKind;
use tidemark_engine::work::{Lane, Reason};

use crate::stage::{NOW, Stage, ago, emulator, stream};

fn why(class: FailureClass, cause: &str) -> Why {
    Why { class, cause: cause.to_owned() }
}

#[tokio::test]
async fn all_is_fresh() {
    let stage = Stage::fresh().await;
    assert_snapshot!("fresh", stage.run("status").await);
    assert_snapshot!("fresh_json", stage.run("status --json").await);
}

#[tokio::test]
async fn an_import_is_under_way() {
    let stage = Stage::new(&[]).await;
    stage.checkpoint("customers", |state| state.import_count = 4).await;
    stage.checkpoint("jobs", |state| state.held_since = Some(ago(30))).await;
    stage.owe("customers", Lane::Bulk, 0, &["1", "2", "3"]).await;
    stage.owe("jobs", Lane::Fresh, 0, &["1"]).await;
    assert_snapshot!("importing", stage.run("status").await);
    assert_snapshot!("importing_json", stage.run("status fieldmotion/customers --json").await);
}

#[tokio::test]
async fn streams_stand_still() {
    let stage = Stage::new(&[]).await;
    stage.checkpoint("customers", |state| state.last_success_at = Some(ago(1_400))).await;
    let ran = stage.run("status").await;
    assert_snapshot!("stale_and_never_polled", ran);
}

#[tokio::test]
async fn a_list_that_fails_and_records_that_are_not_stored_lead_to_different_places() {
    let stage = Stage::new(&[("StaleAfterSeconds", "100")]).await;
    // One list is not read; the other one is, and what it owes is not stored.
    stage.checkpoint("customers", |state| state.last_success_at = Some(ago(100_000))).await;
    stage.checkpoint("jobs", |state| state.owed_since = Some(ago(100_000))).await;
    stage.owe("customers", Lane::Fresh, 0, &["1"]).await;
    stage.owe("jobs", Lane::Fresh, 0, &["1"]).await;
    let next = |ran: &str, stream: &str| {
        let report: Value = serde_json::from_str(ran).unwrap();
        let needs = report["attention"].as_array().unwrap().iter().find(|need| need["stream"] == stream).cloned();
        needs.map(|need| need["next"].as_str().unwrap().to_owned())
    };
    let ran = stage.run("status --json").await;
    assert_eq!(next(&ran.out, "customers").as_deref(), Some("tidemark doctor fieldmotion says why"), "{ran}");
    let jobs = next(&ran.out, "jobs").unwrap_or_default();
    assert!(jobs.contains("fieldmotion-fetcher"), "{ran}");
}

#[tokio::test]
async fn a_first_import_has_committed_nothing() {
    let stage = Stage::new(&[]).await;
    let beginning = Position::At(StampMillis::new(946_684_800_000));
    stage.checkpoint("jobs", |state| (state.scanned, state.committed) = (beginning.clone(), beginning.clone())).await;
    let ran = stage.run("status").await;
    let jobs: Vec<&str> = ran.out.lines().find(|line| line.contains("jobs")).unwrap().split_whitespace().collect();
    assert_eq!(jobs[..5], ["jobs", "fresh", "41", "s", "-"], "{ran}");
}

#[tokio::test]
async fn records_are_in_quarantine() {
    let stage = Stage::fresh().await;
    stage.set_aside("customers", "4711", Reason::Record, 1).await;
    stage.set_aside("jobs", "9", Reason::Outage, 1).await;
    assert_snapshot!("quarantined", stage.run("status").await);
}

#[tokio::test]
async fn what_all_streams_of_a_source_need_is_said_once() {
    let stage = Stage::fresh().await;
    let pause = Duration::from_mins(5);
    let down = why(FailureClass::Unauthorized, "401, also after the secret was read again");
    stage.ledger.pause_source(SourceKind::FieldMotion, NOW.plus(pause), pause, &down).await.unwrap();
    let ran = stage.run("status").await;
    assert!(ran.out.contains("\n  fieldmotion, 2 streams: 401, also after"), "{ran}");
    assert!(ran.out.contains("key rejected") && ran.out.contains("; asked again in 5 min\n"), "{ran}");
    assert!(stage.run("status --json").await.out.contains("\"key_rejected\""));
    assert_eq!(ran.out.matches("401").count(), 1, "{ran}");
}

#[tokio::test]
async fn the_vendor_is_down_or_refuses() {
    let stage = Stage::fresh().await;
    let until = NOW.plus(Duration::from_mins(5));
    let refusal = why(FailureClass::Forbidden, "403 from the list of jobs");
    stage.ledger.pause_stream(&stream("jobs"), until, &refusal).await.unwrap();
    let down = why(FailureClass::Unauthorized, "401, also after the secret was read again");
    stage.ledger.pause_source(SourceKind::FieldMotion, until, Duration::from_mins(5), &down).await.unwrap();
    assert_snapshot!("vendor_down_and_refused", stage.run("status").await);
}

#[tokio::test]
async fn the_account_is_another_one() {
    let stage = Stage::fresh().await;
    let changed = why(FailureClass::Forbidden, ACCOUNT_CHANGED);
    stage.ledger.pause_stream(&stream("jobs"), NOW.shifted(-9_000), &changed).await.unwrap();
    assert_snapshot!("account_changed", stage.run("status").await);
    stage.ledger.pause_stream(&stream("customers"), NOW.shifted(-9_000), &changed).await.unwrap();
    let ran = stage.run("status").await;
    assert!(ran.out.contains("fieldmotion, 2 streams: ") && ran.out.contains("account keep fieldmotion, or"), "{ran}");
}

#[tokio::test]
async fn a_person_paused_it() {
    let stage = Stage::fresh().await;
    let pause = |since| Pause { since, until: None, by: "anna".to_owned(), why: "their move".to_owned() };
    stage.ledger.begin_stream_pause(&stream("jobs"), &pause(ago(90_000))).await.unwrap();
    stage.ledger.begin_stream_pause(&stream("customers"), &pause(ago(60))).await.unwrap();
    assert_snapshot!("paused", stage.run("status").await);
}

#[tokio::test]
async fn what_is_off_is_shown_where_it_is_asked_for() {
    let stage = Stage::new(&[("FieldMotionStreams", "customers"), ("ScheduleState", "DISABLED")]).await;
    stage.checkpoint("customers", |_| {}).await;
    assert_snapshot!("off", stage.run("status fieldmotion").await);
    let ran = stage.run("status fieldly").await;
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.notes.contains("fieldly is off in the stack tidemark; on: fieldmotion"), "{ran}");
}

#[tokio::test]
async fn pages_fit_a_narrow_terminal_and_colours_come_only_where_they_are_wanted() {
    let stage = Stage::fresh().await;
    let narrow = Terminal { width: 50, ..Terminal::none() };
    let ran = stage.run_as(emulator().await.1, narrow, "status", "").await;
    assert!(ran.out.lines().all(|line| line.chars().count() <= 50), "{ran}");
    assert!(
        ["STATE", "LISTED", "OWED", "QUARANTINE"].iter().all(|word| ran.out.contains(word)),
        "no word is cut: {ran}"
    );
    assert!(!ran.out.contains('\u{1b}'), "{ran}");
    let colours = Terminal { has_colours: true, ..Terminal::none() };
    let ran = stage.run_as(emulator().await.1, colours, "status", "").await;
    assert!(ran.out.contains('\u{1b}'), "{ran}");
    let json = stage.run_as(emulator().await.1, colours, "status --json", "").await;
    assert!(serde_json::from_str::<Value>(&json.out).is_ok(), "{json}");
}

#[tokio::test]
async fn nothing_is_deployed() {
    let stage = Stage::new(&[]).await;
    let ran = stage.run("status --stack nowhere").await;
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    assert!(ran.notes.contains("no stack called nowhere in the region us-east-1\nnext: name it with --stack"), "{ran}");
}

#[tokio::test]
async fn a_permission_is_missing() {
    let stage = Stage::fresh().await;
    let ran = stage.run_as(stage.role("Stranger").await, Terminal::none(), "status", "").await;
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.notes.contains("not authorized to perform: dynamodb:GetItem"), "{ran}");
}

#[tokio::test]
async fn a_sweep_that_needs_a_person_is_named_and_the_last_good_one_shown() {
    let stage = Stage::fresh().await;
    for withheld in [0, 21] {
        stage.sweep("customers", withheld).await;
    }
    let wide = Terminal { width: 140, ..Terminal::none() };
    assert_snapshot!("swept", stage.run_as(emulator().await.1, wide, "status", "").await);
}

#[tokio::test]
async fn changes_that_show_later_than_half_of_the_overlap_ask_for_a_longer_one() {
    let stage = Stage::fresh().await;
    stage.late("customers", 2).await;
    stage.late("jobs", 1).await;
    assert_snapshot!("late", stage.run("status").await);
}
