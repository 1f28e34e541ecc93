//! What the poller logs of a tick: one line.

use std::time::Duration;

use tidemark_engine::clock::millis_of;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::{PollOutcome, PollReport};
use tidemark_engine::stream::StreamKey;
use tidemark_runtime::notice;
use tidemark_sweep::SweepReport;
use tidemark_sweep::state::{Backfill, Proof};
use tidemark_watch::advice;

/// Logs a tick and returns the name of its outcome: as a warning when the stream does not move, for debugging when there
/// is no news. The watcher logs how each stream stands anyway.
pub fn tick(stream: &StreamKey, report: &PollReport, took: Duration) -> &'static str {
    let shown = shown(&report.outcome);
    let notices = notice::list(&report.notices);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = %stream.source,
                stream = %stream.name,
                outcome = shown.name,
                class = shown.class,
                until = shown.until,
                calls_count = report.calls_count,
                listed_count = report.listed_count,
                unchanged_count = report.unchanged_count,
                owed_count = report.owed_count,
                sent_count = report.sent_count,
                committed = report.committed.as_ref().map(tracing::field::display),
                notices,
                took_ms = millis_of(took),
                "{}",
                shown.message
            )
        };
    }
    let has_no_news = matches!(report.outcome, PollOutcome::Quiet | PollOutcome::TurnedOff);
    if shown.warns || report.notices.iter().any(Notice::needs_attention) {
        line!(warn);
    } else if has_no_news && report.notices.is_empty() {
        line!(debug);
    } else {
        line!(info);
    }
    shown.name
}

/// Logs what a sweep found, or why it proved nothing, and what a backfill did; nothing while they are under way.
pub(crate) fn sweep(stream: &StreamKey, report: &SweepReport) {
    let (source, stream) = (stream.source, &stream.name);
    if report.began_again {
        tracing::info!(
            %source, %stream,
            "the sweep, or the backfill, began again: since it began, the account, the ledger or the checkpoint became another one, as by a \
             restore or a rewind"
        );
    }
    if let Some(proof) = &report.proof {
        let Proof { listed, stored, deleted, missing, different, extra, unlisted, reported, .. } = *proof;
        let Proof { withheld, sampled, sample_different, calls, started_at, .. } = *proof;
        tracing::info!(
            %source, %stream, %started_at, listed, stored, deleted, missing, different, extra, unlisted, reported,
            withheld, sampled, sample_different, calls_count = calls,
            "the copy was compared with all that the vendor lists"
        );
    }
    if let Some(Backfill { range, listed, owed, calls, problem, .. }) = &report.backfill {
        let (from, to) = (range.from, range.to.map(tracing::field::display));
        match problem {
            None => tracing::info!(
                %source, %stream, %from, to, listed, owed_count = owed, calls_count = calls,
                "the backfill has listed its range, and what it owes is in the bulk lane"
            ),
            Some(problem) => tracing::warn!(
                %source, %stream, %from, to, listed, owed_count = owed, calls_count = calls,
                "the backfill ended early: {problem}. What it has listed before is fetched"
            ),
        }
    }
    if let Some(problem) = &report.problem {
        tracing::warn!(
            %source, %stream,
            "the sweep needs a person: {problem}. Nothing was marked deleted, and the last good proof stays. The next sweep \
             tries again"
        );
    }
}

/// An outcome as the log shows it.
struct Shown<'a> {
    /// A name that filters can rely on.
    name: &'static str,
    /// What happened, and the next step where there is one.
    message: &'a str,
    /// The class of the vendor's failure.
    class: Option<&'static str>,
    /// Until when there are no calls.
    until: Option<String>,
    /// Whether the stream stands still for a reason that is not its own.
    warns: bool,
}

fn shown(outcome: &PollOutcome) -> Shown<'_> {
    let advice = advice::of_outcome(outcome);
    let news = Shown { name: advice.name, message: advice.meaning, class: None, until: None, warns: false };
    match outcome {
        PollOutcome::TurnedOff
        | PollOutcome::LeaseBusy
        | PollOutcome::PausedByOperator
        | PollOutcome::Quiet
        | PollOutcome::Owing
        | PollOutcome::Importing => news,
        PollOutcome::Fenced | PollOutcome::AccountChanged | PollOutcome::Frozen | PollOutcome::Unlisted => {
            Shown { warns: true, ..news }
        }
        PollOutcome::BreakerOpen(until) | PollOutcome::Paused(until) => {
            Shown { until: Some(until.to_string()), warns: true, ..news }
        }
        PollOutcome::SourceFailed(class, cause) => {
            Shown { message: cause, class: Some(class_name(*class)), warns: true, ..news }
        }
    }
}

fn class_name(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Transient => "transient",
        FailureClass::Throttled { .. } => "throttled",
        FailureClass::Unauthorized => "unauthorized",
        FailureClass::SecretLocked => "secret_locked",
        FailureClass::Forbidden => "forbidden",
        FailureClass::Record => "record",
        FailureClass::TokenRejected => "token_rejected",
    }
}
