//! What the poller logs of a tick: one line.

use std::time::Duration;

use tidemark_engine::clock::millis_of;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::{PollOutcome, PollReport};
use tidemark_engine::stream::StreamKey;
use tidemark_runtime::notice;

/// Logs a tick, as a warning when the stream does not move, and returns the name of its outcome.
pub(crate) fn tick(stream: &StreamKey, report: &PollReport, took: Duration) -> &'static str {
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
    if shown.warns || report.notices.iter().any(Notice::needs_attention) {
        line!(warn);
    } else {
        line!(info);
    }
    shown.name
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
    let news = |name, message| Shown { name, message, class: None, until: None, warns: false };
    let trouble = |name, message| Shown { name, message, class: None, until: None, warns: true };
    match outcome {
        PollOutcome::TurnedOff => news("turned_off", "the stream is turned off; remove its schedule or turn it on"),
        PollOutcome::LeaseBusy => news("lease_busy", "another poller is at work on the stream"),
        PollOutcome::Fenced => trouble("fenced", "another poller or an operator took over; nothing is lost"),
        PollOutcome::AccountChanged => trouble(
            "account_changed",
            "the account or its settings are not those of the copy; nothing is listed until a person decides",
        ),
        PollOutcome::BreakerOpen(until) => Shown {
            until: Some(until.to_string()),
            ..trouble("breaker_open", "calls to the source pause after failures")
        },
        PollOutcome::PausedByOperator => news("paused_by_operator", "a person has paused the stream or the source"),
        PollOutcome::Paused(until) => Shown {
            until: Some(until.to_string()),
            ..trouble("paused", "the vendor refuses the stream; it is listed again after the pause")
        },
        PollOutcome::Frozen => {
            trouble("frozen", "too many ids are in quarantine; nothing new is listed until they drain")
        }
        PollOutcome::Quiet => news("quiet", "nothing is owed"),
        PollOutcome::Owing => news("owing", "ids are owed a fetch"),
        PollOutcome::Importing => news("importing", "a big listing goes on at the next tick"),
        PollOutcome::Unlisted => {
            trouble("unlisted", "the list could not be read whole; it is read again at the next tick")
        }
        PollOutcome::SourceFailed(class, cause) => {
            Shown { class: Some(class_name(*class)), ..trouble("source_failed", cause) }
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
