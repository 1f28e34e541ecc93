//! Commands that only read, beside `status`.

use insta::assert_snapshot;
use tidemark_engine::record::{DeletedBecause, Seen};
use tidemark_engine::work::{Lane, Reason};
use tidemark_sweep::state::{Backfill, Problem};

use crate::stage::{Stage, ago, id, stream};

#[tokio::test]
async fn the_life_of_a_record_is_told() {
    let stage = Stage::fresh().await;
    stage.store("customers", "1", "{\"name\":\"Secret Ltd\"}").await;
    stage.store("customers", "2", "{}").await;
    stage.owe("customers", Lane::Fresh, 0, &["2", "3"]).await;
    stage.store("customers", "4", "{}").await;
    stage.set_aside("customers", "4", Reason::Outage, 3).await;
    stage.store("customers", "5", "{}").await;
    stage.look("customers", "5", Seen::Gone(DeletedBecause::Vanished), 60).await;
    let mut lives = String::new();
    for record in ["1", "2", "3", "4", "5", "6"] {
        lives = format!("{lives}{}\n", stage.run(&format!("explain fieldmotion customers {record}")).await);
    }
    assert!(!lives.contains("Secret"), "no body is printed: {lives}");
    assert_snapshot!("explain", lives);
    assert_snapshot!("explain_json", stage.run("explain fieldmotion customers 4 --json").await);
}

#[tokio::test]
async fn records_are_printed_with_their_bodies() {
    let stage = Stage::fresh().await;
    stage.store("customers", "1", "{\"n\": 1.10,\n\"name\":\"A, B\"}").await;
    stage.store("customers", "2", "{}").await;
    stage.look("customers", "2", Seen::Gone(DeletedBecause::Announced), 60).await;
    for seq in 0..3 {
        stage.store("jobs", &format!("j{seq}"), "{}").await;
    }
    let mut pages = String::new();
    for command in [
        "records fieldmotion customers",
        "records fieldmotion customers --deleted",
        "records fieldmotion customers --format csv",
        "records fieldmotion customers --since 10m",
        "records fieldmotion jobs j1 j9",
    ] {
        pages = format!("{pages}$ {command}\n{}\n", stage.run(command).await);
    }
    assert_snapshot!("records", pages);
}

#[tokio::test]
async fn what_was_written_lately_is_shown_the_newest_first() {
    let stage = Stage::fresh().await;
    stage.store("customers", "1", "{\"name\":\"Secret Ltd\"}").await;
    stage.store("jobs", "1", "{}").await;
    stage.look("customers", "1", Seen::Gone(DeletedBecause::Vanished), 60).await;
    stage.look("customers", "1", Seen::Gone(DeletedBecause::Vanished), 30).await;
    let shown = async |command: &str| {
        let ran = stage.run(command).await;
        assert!(ran.code == 0 && !ran.out.contains("Secret"), "no body is printed: {ran}");
        // What each line says behind its time, which is the emulator's.
        ran.out.lines().map(|line| line.split_once("Z  ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let mut of_all = shown("changes fieldmotion").await;
    of_all.sort();
    assert_eq!(of_all.len(), 4, "{of_all:?}");
    let of_jobs = shown("changes fieldmotion jobs").await;
    assert!(of_jobs.len() == 1 && of_jobs[0].starts_with("jobs 1: new"), "{of_jobs:?}");
    let of_customers = shown("changes fieldmotion customers").await;
    assert!(of_customers[0].starts_with("customers 1: same"), "{of_customers:?}");
    assert!(of_customers[1].starts_with("customers 1: deleted: vanished"), "{of_customers:?}");
    assert_eq!(shown("changes fieldmotion customers --limit 1").await, of_customers[..1]);
    let ran = stage.run("changes fieldmotion customers --json --limit 1").await;
    let line: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((line["id"].as_str(), line["deleted_because"].as_str()), (Some("1"), None), "{ran}");
}

#[tokio::test]
async fn what_the_stack_costs_is_counted_by_service() {
    let stage = Stage::fresh().await;
    assert_snapshot!("cost", format!("{}\n{}", stage.run("cost").await, stage.run("cost --month").await));
    assert_snapshot!("cost_json", stage.run("cost --json").await);
}

#[tokio::test]
async fn quarantine_is_listed_by_reason() {
    let stage = Stage::fresh().await;
    assert_snapshot!("quarantine_empty", stage.run("quarantine list fieldmotion").await);
    stage.set_aside("customers", "4711", Reason::Record, 1).await;
    stage.set_aside("customers", "4712", Reason::Record, 4).await;
    stage.set_aside("jobs", "9", Reason::Outage, 1).await;
    assert_snapshot!("quarantine", stage.run("quarantine list fieldmotion").await);
    assert_snapshot!("quarantine_json", stage.run("quarantine list fieldmotion customers 4712 --json").await);
    let ran = stage.run("quarantine list").await;
    assert!(ran.code == 1 && ran.out.contains("\nfieldmotion/jobs       9 "), "without a source, of all: {ran}");
    assert!(ran.out.ends_with("\nnext: tidemark quarantine retry SOURCE, when the cause is fixed\n"), "{ran}");
    let ran = stage.run("quarantine list fieldmotion jobs --reason outage").await;
    assert_eq!((ran.code, ran.out.contains("4711")), (0, false), "one that may pass needs nobody: {ran}");
    let ran = stage.run("quarantine list fieldmotion jobs 8").await;
    assert_eq!(ran.code, 1);
    assert!(ran.notes.contains("not in quarantine: 8"), "{ran}");
}

#[tokio::test]
async fn a_checkpoint_is_shown_in_words() {
    let stage = Stage::new(&[]).await;
    stage
        .checkpoint("customers", |state| {
            state.held_since = Some(ago(300));
            state.lease_until = ago(0).shifted(90_000);
        })
        .await;
    assert_snapshot!("checkpoint", stage.run("checkpoint show fieldmotion customers").await);
    assert_snapshot!("checkpoint_json", stage.run("checkpoint show fieldmotion customers --json").await);
    let ran = stage.run("checkpoint show fieldmotion jobs").await;
    assert_eq!(ran.code, 1);
    assert!(ran.notes.contains("fieldmotion/jobs was never polled"), "{ran}");
}

#[tokio::test]
async fn what_does_not_exist_is_answered_with_the_nearest_name() {
    let stage = Stage::fresh().await;
    for (command, said) in [
        ("status fieldmotoin", "Did you mean fieldmotion?"),
        ("explain fieldmotion custmers 1", "Did you mean customers?"),
        ("checkpoint show fieldmotion job", "Did you mean jobs?"),
        ("checkpoint show fieldaware jobs", "name the stream changes"),
        ("checkpoint show fieldmotion assets", "the stream fieldmotion/assets is off; on: customers, jobs"),
        ("records fieldly clients --since soon", "how long ago (2h, 3d)"),
        ("stauts", "'status'"),
    ] {
        let ran = stage.run(command).await;
        assert_eq!(ran.code, 2, "{command}: {ran}");
        assert!(ran.notes.contains(said), "{command}: {ran}");
    }
}

#[tokio::test]
async fn nothing_that_only_reads_leaves_a_trace() {
    let stage = Stage::fresh().await;
    stage.store("customers", "1", "{}").await;
    for command in [
        "status",
        "explain fieldmotion customers 1",
        "records fieldmotion customers",
        "quarantine list fieldmotion",
        "checkpoint show fieldmotion customers",
        "dead-letters list fieldmotion",
        "audit",
        "version",
        "man",
        "completions bash",
    ] {
        let ran = stage.run(command).await;
        assert_eq!(ran.code, 0, "{command}: {ran}");
        assert!(!ran.out.is_empty(), "{command}");
    }
    assert!(stage.ledger.acts(9).await.unwrap().is_empty());
    assert!(stage.ledger.chunks_with(&stream("customers"), &id("1")).await.unwrap().is_empty());
}

#[tokio::test]
async fn backfills_are_listed_with_what_became_of_them() {
    let stage = Stage::fresh().await;
    let none = stage.run("backfill list").await;
    assert_eq!((none.code, none.out.as_str()), (0, "No backfill was asked for.\n"), "{none}");
    let mut pages = String::new();
    stage.backfill("jobs", |_| {}).await;
    for change in [
        |_: &mut Backfill| {},
        |backfill: &mut Backfill| (backfill.begun_at, backfill.listed, backfill.calls) = (Some(ago(600)), 300, 2),
        |backfill: &mut Backfill| (backfill.ended_at, backfill.listed, backfill.owed) = (Some(ago(60)), 300, 300),
        |backfill: &mut Backfill| {
            let problem = Problem { cause: "the vendor refused it".to_owned(), next_step: "ask it why".to_owned() };
            (backfill.ended_at, backfill.problem) = (Some(ago(60)), Some(problem));
        },
        |backfill: &mut Backfill| (backfill.ended_at, backfill.is_cancelled) = (Some(ago(60)), true),
    ] {
        stage.backfill("customers", change).await;
        pages = format!("{pages}{}\n", stage.run("backfill list").await);
    }
    assert_snapshot!("backfill", pages);
    assert_snapshot!("backfill_json", stage.run("backfill list fieldmotion --json").await);
}

#[tokio::test]
async fn a_sweep_says_whether_the_copy_is_whole() {
    let stage = Stage::fresh().await;
    let mut pages = format!("{}\n", stage.run("verify fieldmotion customers").await);
    for withheld in [0, 21] {
        stage.sweep("customers", withheld).await;
        let ran = stage.run("verify fieldmotion customers").await;
        assert_eq!(ran.code, u8::from(withheld > 0), "{ran}");
        pages = format!("{pages}{ran}\n");
    }
    assert_snapshot!("sweep", pages);
    assert_snapshot!("sweep_json", stage.run("verify fieldmotion customers --json").await);
    let ran = stage.run("sweep approve fieldmotion jobs --yes").await;
    assert!(ran.code != 0 && ran.notes.contains("the last sweep withheld nothing"), "{ran}");
}
