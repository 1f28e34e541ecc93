//! The documented policies are enough for the commands, and no more than they need.

use std::collections::BTreeSet;

use serde_json::Value;
use tidemark_cli::Terminal;
use tidemark_engine::work::{Lane, Reason};

use crate::stage::Stage;

const READS: [&str; 12] = [
    "status",
    "doctor",
    "explain fieldmotion customers 1",
    "records fieldmotion customers",
    "changes fieldmotion",
    "quarantine list fieldmotion",
    "checkpoint show fieldmotion customers",
    "verify fieldmotion customers",
    "backfill list",
    "dead-letters list fieldmotion",
    "cost --month",
    "audit",
];

const ACTS: [&str; 10] = [
    "init fieldly --yes",
    "init fieldly --yes", // replaces the value
    "quarantine retry fieldmotion --yes",
    "quarantine drop fieldmotion jobs 9 --why test --yes",
    "fetch fieldmotion customers 1 --yes",
    "dead-letters redrive fieldmotion --yes",
    "dead-letters purge fieldmotion --yes",
    "pause fieldmotion --why test --yes",
    "pause fieldmotion/jobs --why test --yes",
    "resume fieldmotion --yes", // of what was paused before
];

async fn stage() -> Stage {
    let stage = Stage::fresh_with(&[("WithFetcher", "yes")]).await;
    stage.store("customers", "1", "{}").await;
    stage.owe("customers", Lane::Fresh, 0, &["1"]).await;
    stage.set_aside("jobs", "9", Reason::Outage, 1).await;
    stage.send_letters().await;
    stage
}

/// What a policy grants: its statements, each with an action.
fn grants(policy: &str) -> BTreeSet<(String, String)> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    let texts = |value: &Value| match value.as_array() {
        Some(many) => many.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        None => vec![value.as_str().unwrap().to_owned()],
    };
    let statements = policy["Statement"].as_array().unwrap().iter();
    let grants = |statement: &Value| {
        let sid = statement["Sid"].as_str().unwrap().to_owned();
        texts(&statement["Action"]).into_iter().map(move |action| (sid.clone(), action)).collect::<Vec<_>>()
    };
    statements.flat_map(grants).collect()
}

#[tokio::test]
async fn the_policy_for_reading_lets_read_and_nothing_else() {
    let stage = stage().await;
    for command in READS {
        let ran = stage.run_as(stage.role("Reader").await, Terminal::none(), command, "").await;
        assert!(ran.code < 2 && ran.notes.is_empty(), "{command}: {ran}");
    }
    assert_eq!(stage.used("Reader"), grants(include_str!("../../policies/read.json")), "it grants what reads call");

    stage.run("pause fieldmotion --why 'set up' --yes").await;
    for command in ACTS {
        let ran = stage.run_as(stage.role("Reader").await, Terminal::none(), command, "").await;
        assert_eq!(ran.code, 3, "{command}: {ran}");
        assert!(ran.notes.contains("not authorized to perform: dynamodb:PutItem"), "the audit comes first: {ran}");
    }
}

#[tokio::test]
async fn with_the_policy_for_operating_every_act_can_be_done() {
    let stage = stage().await;
    for command in ACTS {
        let ran = stage.run_as(stage.role("Operator").await, Terminal::none(), command, "id\nsecret\n").await;
        assert_eq!(ran.code, 0, "{command}: {ran}");
        assert!(!ran.out.contains("nothing_to_do"), "{command}: {ran}");
    }
    // There is no such function, which only one who may ask for it learns.
    let ran = stage.run_as(stage.role("Operator").await, Terminal::none(), "account keep fieldmotion --yes", "").await;
    assert!(ran.notes.contains("cannot invoke the function"), "{ran}");
    let reads = grants(include_str!("../../policies/read.json"));
    let used: BTreeSet<_> = stage.used("Operator").difference(&reads).cloned().collect();
    assert_eq!(used, grants(include_str!("../../policies/operate.json")), "it grants what acts call");
}
