//! The tables of `docs/runbook.md` are those of the advice in the code.
#![expect(clippy::expect_used, reason = "a test's own expectation")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use strum::VariantNames;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::StreamName;
use tidemark_engine::work::Reason;
use tidemark_watch::advice::{Advice, of_notice, of_outcome, of_reason};

const NOW: LocalMillis = LocalMillis::new(0);

/// One of each.
fn notices() -> Vec<Notice> {
    vec![
        Notice::FirstImport,
        Notice::Quarantined(1),
        Notice::ClockDoubt(1),
        Notice::ClockStep(1),
        Notice::DateMissing,
        Notice::ZoneDoubt(1),
        Notice::StampsMissing(1),
        Notice::FutureStamp(1),
        Notice::TombstonesWithheld(1),
        Notice::LedgerLost,
        Notice::ListMoving,
        Notice::LeftOut(StreamName::known("jobs")),
        Notice::UnusableIds(1),
        Notice::VolatileRows(1),
        Notice::Resync,
        Notice::StreamPaused,
        Notice::QuarantineFull(1),
        Notice::BreakerOpened,
        Notice::CredentialRejected,
        Notice::AccountChanged,
    ]
}

/// One of each.
fn outcomes() -> Vec<PollOutcome> {
    vec![
        PollOutcome::TurnedOff,
        PollOutcome::LeaseBusy,
        PollOutcome::Fenced,
        PollOutcome::AccountChanged,
        PollOutcome::BreakerOpen(NOW),
        PollOutcome::Paused(NOW),
        PollOutcome::PausedByOperator,
        PollOutcome::Frozen,
        PollOutcome::Quiet,
        PollOutcome::Owing,
        PollOutcome::Importing,
        PollOutcome::Unlisted,
        PollOutcome::SourceFailed(FailureClass::Throttled { retry_after: Some(Duration::ZERO) }, String::new()),
    ]
}

fn names(advice: impl IntoIterator<Item = Advice>) -> Vec<&'static str> {
    advice.into_iter().map(|advice| advice.name).collect()
}

#[test]
fn every_notice_and_every_outcome_is_in_a_table() {
    assert_eq!(names(notices().iter().map(of_notice)), Notice::VARIANTS);
    assert_eq!(names(outcomes().iter().map(of_outcome)), PollOutcome::VARIANTS);
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbook.md")
}

/// The page with the rows of the table under this head replaced.
fn with_table(page: &str, head: &str, advice: impl IntoIterator<Item = Advice>) -> String {
    let head = format!("\n{head}\n|---|---|---|\n");
    let (before, rest) = page.split_once(&head).expect("the page has the table");
    let (_, after) = rest.split_once("\n\n").expect("a table ends at an empty line");
    let row = |Advice { name, meaning, next }: Advice| format!("| `{name}` | {meaning} | {next} |");
    let rows: Vec<String> = advice.into_iter().map(row).collect();
    format!("{before}{head}{}\n\n{after}", rows.join("\n"))
}

#[test]
fn the_runbook_says_what_log_and_command_line_say() {
    let (ringing, silent): (Vec<_>, Vec<_>) = notices().into_iter().partition(Notice::needs_attention);
    let page = fs::read_to_string(file()).expect("the page can be read");
    let expected = with_table(&page, "| `outcome` | what happened | next step |", outcomes().iter().map(of_outcome));
    let expected = with_table(&expected, "| `reason` | what happened | next step |", Reason::ALL.map(of_reason));
    let expected = with_table(&expected, "| notice | what happened | next step |", ringing.iter().map(of_notice));
    let expected = with_table(&expected, "| silent notice | what happened | next step |", silent.iter().map(of_notice));
    #[expect(clippy::disallowed_methods, reason = "how snapshots are updated, here as elsewhere")]
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        fs::write(file(), &expected).expect("the page can be written");
        return;
    }
    assert!(page == expected, "the runbook differs from advice.rs: INSTA_UPDATE=always writes its tables again");
}
