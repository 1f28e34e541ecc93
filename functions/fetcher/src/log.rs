//! What the fetcher logs: one line a message, one more for each id that was set aside; never a body.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use tidemark_engine::clock::millis_of;
use tidemark_engine::fetch::FetchReport;
use tidemark_engine::message::{Message, Work};
use tidemark_engine::notice::Notice;
use tidemark_engine::stream::SourceKind;
use tidemark_runtime::failure::ErrorKind;
use tidemark_runtime::notice;

/// How often SQS has delivered a message, as an attribute of it.
const RECEIVE_COUNT: &str = "ApproximateReceiveCount";

/// The queue's side of a message.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Its id in the queue, when it has one.
    pub message_id: Option<String>,
    /// How often it was delivered, this time included.
    pub receive_count: u32,
}

impl Delivery {
    /// Reads it off a message. A missing count is read as 1, the mildest meaning.
    pub(crate) fn of(message: &SqsMessage) -> Self {
        let count = message.attributes.get(RECEIVE_COUNT).and_then(|count| count.parse().ok());
        Self { message_id: message.message_id.clone(), receive_count: count.unwrap_or(1) }
    }
}

/// A message that this function cannot work on.
pub(crate) fn not_ours(source: SourceKind, delivery: &Delivery, why: &str) {
    tracing::error!(
        %source,
        message_id = delivery.message_id,
        receive_count = delivery.receive_count,
        outcome = "not_ours",
        "{why}; the queue moves it to the dead-letter queue. Find out who sent it, then delete it there"
    );
}

/// A message for which no time was left.
pub(crate) fn no_time(message: &Message, delivery: &Delivery) {
    tracing::info!(
        source = %message.source(),
        stream = %message.stream().name,
        chunk = chunk(message),
        message_id = delivery.message_id,
        outcome = "given_back",
        "no time was left for it; it is delivered again"
    );
}

/// A message that failed because of our own tables or program.
pub(crate) fn failed(message: &Message, delivery: &Delivery, kind: ErrorKind, why: &str, took: Duration) {
    tracing::error!(
        source = %message.source(),
        stream = %message.stream().name,
        chunk = chunk(message),
        message_id = delivery.message_id,
        receive_count = delivery.receive_count,
        outcome = "failed",
        error_type = kind.as_str(),
        took_ms = millis_of(took),
        "{why}"
    );
}

/// A message that was worked on, completely or in part.
pub fn fetched(message: &Message, delivery: &Delivery, report: &FetchReport, took: Duration) {
    let chunk = chunk(message);
    for (id, reason, cause) in &report.set_aside {
        tracing::warn!(
            source = %message.source(),
            stream = %message.stream().name,
            chunk,
            %id,
            reason = reason.as_str(),
            cause,
            "the id is in quarantine; it is tried again automatically"
        );
    }
    let (outcome, words) = outcome(report);
    let words = report.failure.as_deref().unwrap_or(words);
    let notices = notice::list(&report.notices);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = %message.source(),
                stream = %message.stream().name,
                chunk,
                message_id = delivery.message_id,
                receive_count = delivery.receive_count,
                outcome,
                ids_count = message.ids.len(),
                calls_count = report.calls_count,
                paid_count = report.paid_count,
                written_count = report.written_count,
                superseded_count = report.superseded_count,
                deleted_count = report.deleted_count,
                set_aside_count = report.set_aside.len(),
                left_count = report.left_count,
                notices,
                took_ms = millis_of(took),
                "{words}"
            )
        };
    }
    if report.failure.is_some() || report.notices.iter().any(Notice::needs_attention) {
        line!(warn);
    } else {
        line!(info);
    }
}

/// The chunk's key in the ledger, or `retry`.
fn chunk(message: &Message) -> Option<String> {
    message.work().map(|work| match work {
        Work::Chunk(key) => key.sort_key(),
        Work::Retry => "retry".to_owned(),
    })
}

/// The outcome of a message: a name that filters can rely on, and a text.
fn outcome(report: &FetchReport) -> (&'static str, &'static str) {
    let stored_count = report.written_count + report.superseded_count + report.deleted_count;
    if report.notices.contains(&Notice::AccountChanged) {
        ("account_changed", "its ids were listed under another account or other settings; nothing was stored")
    } else if report.left_count > 0 || report.failure.is_some() && stored_count == 0 && report.set_aside.is_empty() {
        ("left_over", "ids were left for later; the poller sends them again")
    } else if stored_count + report.set_aside.len() == 0 {
        ("nothing_to_do", "its ids are stored already")
    } else {
        ("resolved", "its ids are stored or in quarantine")
    }
}
