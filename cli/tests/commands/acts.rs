//! Commands that change something: their plan, the question, what they change, and the entry that they leave.

use insta::assert_snapshot;
use tidemark_engine::ports::Ledger;
use tidemark_engine::stream::SourceKind;
use tidemark_engine::work::Reason;

use crate::stage::{NOW, Stage, ago, id, stream};

/// Every act, each on something that it can be done to.
const ACTS: [&str; 13] = [
    "quarantine retry fieldmotion",
    "quarantine drop fieldmotion customers 4711 --why gone",
    "fetch fieldmotion customers 1 2",
    "checkpoint rewind fieldmotion customers --to 3h",
    "account keep fieldmotion customers",
    "account start-again fieldmotion",
    "verify fieldmotion customers --now",
    "verify fieldmotion --now --sample 200",
    "backfill fieldmotion customers --from 3d",
    "sweep approve fieldmotion customers",
    "pause fieldmotion/jobs --for 2h --why 'their move'",
    "resume fieldmotion/customers",
    "pause fieldmotion --why 'their move'",
];

async fn stage() -> Stage {
    let stage = Stage::fresh().await;
    stage.set_aside("customers", "4711", Reason::Record, 2).await;
    stage.set_aside("jobs", "9", Reason::Outage, 2).await;
    stage.sweep("customers", 21).await;
    let ran = stage.run("pause fieldmotion/customers --why 'set up' --yes").await;
    assert_eq!(ran.code, 0, "{ran}");
    stage
}

/// A text without the number of a request to AWS, which is another one each time.
fn without_request(text: &str) -> String {
    let Some((before, after)) = text.split_once(" (request ") else { return text.to_owned() };
    let (_, after) = after.split_once(')').unwrap_or_default();
    format!("{before}{after}")
}

#[tokio::test]
async fn an_act_shows_its_plan_and_does_nothing_without_an_answer() {
    let stage = stage().await;
    let acts_before = stage.ledger.acts(99).await.unwrap();
    let mut plans = String::new();
    for act in ACTS {
        let planned = stage.run(&format!("{act} --dry-run")).await;
        plans = format!("{plans}$ {act} --dry-run\n{}\n", without_request(&planned.to_string()));
        let refused = stage.run(act).await;
        assert_eq!(refused.code, 2, "{act}: {refused}");
        assert!(refused.notes.contains("there is no terminal to ask") && refused.notes.contains("--yes"), "{refused}");
        let declined = stage.answer(act, "no\n").await;
        assert_eq!(declined.code, 1, "{act}: {declined}");
        assert!(declined.notes.contains("Go on? [y/N]") && declined.notes.contains("nothing was done"), "{declined}");
    }
    assert_snapshot!("plans", plans);
    assert_eq!(stage.ledger.acts(99).await.unwrap(), acts_before);
    let entries = stage.ledger.retry_entries(&stream("customers")).await.unwrap();
    assert_eq!(entries.iter().map(|entry| (entry.id.as_str(), entry.attempts)).collect::<Vec<_>>(), [("4711", 2)]);
}

#[tokio::test]
async fn quarantine_is_retried_at_the_next_poll_and_dropped_for_good() {
    let stage = stage().await;
    let ran = stage.answer("quarantine retry fieldmotion", "y\n").await;
    assert_eq!(ran.code, 0, "{ran}");
    for (name, text) in [("customers", "4711"), ("jobs", "9")] {
        let entry = stage.ledger.retry_entry(&stream(name), &id(text)).await.unwrap().unwrap();
        assert_eq!((entry.next_at, entry.attempts), (NOW, 2), "{name}");
    }
    let ran = stage.run("quarantine drop fieldmotion customers --reason record --why 'gone there' --yes").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert!(stage.ledger.retry_entries(&stream("customers")).await.unwrap().is_empty());
    assert_eq!(stage.ledger.retry_entries(&stream("jobs")).await.unwrap().len(), 1);
    let ran = stage.run("quarantine drop fieldmotion jobs --yes").await;
    assert_eq!(ran.code, 2);
    assert!(ran.notes.contains("say why with --why"), "{ran}");
    let ran = stage.run("quarantine retry fieldmotion customers --yes").await;
    assert_eq!((ran.code, ran.out.lines().last()), (0, Some("nothing is in quarantine")), "{ran}");
}

#[tokio::test]
async fn records_are_owed_and_sent_when_they_are_asked_for() {
    let stage = stage().await;
    let ran = stage.run("fetch fieldmotion customers 1 1 4711 --yes --why 'customer called' --json").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.out.contains("\"outcome\": \"done\"") && ran.out.contains("2 records sent"), "{ran}");
    let entry = async |text| stage.ledger.retry_entry(&stream("customers"), &id(text)).await.unwrap().unwrap();
    let asked = entry("1").await;
    assert_eq!((asked.reason, asked.attempts, asked.holds.is_none()), (Reason::Asked, 1, true));
    assert!(asked.next_at > NOW, "a poll does not send it once more at once");
    assert_eq!(entry("4711").await.reason, Reason::Record, "what is known of a failure stays");
    let ran = stage.run("fetch fieldmotion customers --yes").await;
    assert_eq!(ran.code, 2, "{ran}");
    let ran = stage.run("fetch fieldaware unavailable_times 1 --yes").await;
    assert!(ran.code == 2 && ran.notes.contains("is not known from its uuid"), "{ran}");
}

#[tokio::test]
async fn a_source_or_a_stream_is_paused_and_resumed() {
    let stage = Stage::fresh().await;
    let ran = stage.run("pause fieldmotion --for 2h --yes").await;
    assert!(ran.code == 2 && ran.notes.contains("say why with --why"), "{ran}");
    let ran = stage.run("pause fieldmotion --for 2h --why 'their move' --yes").await;
    assert_eq!(ran.code, 0, "{ran}");
    let pause = stage.ledger.source_state(SourceKind::FieldMotion).await.unwrap().pause.unwrap();
    assert_eq!((pause.since, pause.until, pause.why.as_str()), (NOW, Some(NOW.shifted(7_200_000)), "their move"));
    assert!(pause.by.starts_with("arn:aws:"), "{}", pause.by);
    assert_snapshot!("resume", stage.run("resume fieldmotion --yes").await.to_string().replace(&pause.by, "<arn>"));
    assert_eq!(stage.ledger.source_state(SourceKind::FieldMotion).await.unwrap().pause, None);
    assert_snapshot!("resume_nothing", stage.run("resume fieldmotion/jobs --yes").await);
    let acts = stage.ledger.acts(9).await.unwrap();
    let commands: Vec<&str> = acts.iter().map(|act| act.command.as_str()).collect();
    assert_eq!(acts.len(), 2, "nothing to do is no act: {commands:?}");
    let mut audit = stage.run("audit").await.to_string();
    audit = audit.replace(&pause.by, "<arn>");
    assert!(audit.contains("pause fieldmotion: make no calls until 2026-02-24 12:31:48Z, in 2 h"), "{audit}");
    assert!(audit.contains("why: their move"), "{audit}");
}

#[tokio::test]
async fn a_poller_that_cannot_be_asked_is_named() {
    let stage = Stage::fresh().await;
    let ran = stage.run("checkpoint rewind fieldmotion customers --to 2026-02-24 --yes").await;
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.notes.contains("cannot invoke the function"), "{ran}");
    assert_eq!(stage.ledger.acts(9).await.unwrap().len(), 1, "it was asked for, and that is written down");
}

#[tokio::test]
async fn a_feed_cannot_go_back_to_a_time() {
    let stage = Stage::new(&[("WithFieldAware", "yes")]).await;
    let ran = stage.run("checkpoint rewind fieldaware changes --to 2h --yes").await;
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.notes.contains("never polled"), "{ran}");
    let ran = stage.run("backfill fieldaware changes --from 2h --yes").await;
    assert!(ran.code == 2 && ran.notes.contains("`tidemark fetch` fetches records by their ids"), "{ran}");
}

#[tokio::test]
async fn a_backfill_that_cannot_be_asked_for_is_refused_with_what_can_be_done() {
    let stage = Stage::fresh().await;
    stage.backfill("jobs", |_| {}).await;
    for (command, code, why) in [
        ("backfill fieldmotion jobs --from 2h", 1, "is not over\nnext: wait for its end, or tidemark backfill cancel"),
        ("backfill fieldmotion customers --from 2h --to 1h", 2, "leave the upper bound out"),
        ("backfill fieldmotion customers --from 2027-01-01", 2, "begins later than now"),
        ("backfill fieldmotion customers", 2, "--from <TIME>"),
        ("backfill", 2, "Usage: tidemark backfill"),
        ("backfill cancel fieldmotion customers", 1, "no backfill waits or is under way"),
        ("backfill list fieldmotio", 2, "fieldmotion"),
    ] {
        let ran = stage.run(&format!("{command} --yes").replace("io --yes", "io")).await;
        assert!(ran.code == code && ran.notes.contains(why), "{command}: {ran}");
    }
    assert!(stage.ledger.acts(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_backfill_is_cancelled_by_the_poller_after_its_plan() {
    let stage = Stage::fresh().await;
    stage
        .backfill("customers", |backfill| {
            (backfill.begun_at, backfill.listed, backfill.owed) = (Some(ago(3_000)), 300, 200);
        })
        .await;
    let ran = stage.run("backfill cancel fieldmotion customers --dry-run").await;
    assert!(ran.code == 0 && ran.out.contains("it has listed 300 and put 200 into the bulk lane"), "{ran}");
    let ran = stage.run("backfill cancel fieldmotion customers --yes").await;
    assert!(ran.code == 3 && ran.notes.contains("cannot invoke the function"), "{ran}");
}
