//! What the fetcher logs: one line a message, one more for each id that was set aside; never a body.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use tidemark_engine::fetch::FetchReport;
use tidemark_engine::message::Message;
use tidemark_engine::poll::Notice;
use tidemark_engine::stamp::millis_of;
use tidemark_engine::stream::SourceKind;
use tidemark_runtime::failure::ErrorKind;
use tidemark_runtime::notice;

/// How often SQS has delivered a message, as an attribute of it.
const RECEIVE_COUNT: &str = "ApproximateReceiveCount";

/// The queue's side of a message.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Its id in the queue, when it bears one.
    pub(crate) message_id: Option<String>,
    /// How often it was delivered, this time included.
    pub(crate) receive_count: u32,
}

impl Delivery {
    /// Reads it off a message. A count that is missing is taken for the first: the mildest thing that it can mean.
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
        "{why}; it goes to the dead-letter queue by itself. Find out who sent it, then delete it there"
    );
}

/// A message for which no time was left.
pub(crate) fn no_time(message: &Message, delivery: &Delivery) {
    tracing::info!(
        source = %message.source,
        stream = %message.stream,
        run = message.run,
        chunk = message.seq,
        message_id = delivery.message_id,
        outcome = "given_back",
        "no time was left for it; it is delivered again"
    );
}

/// A message that could not be resolved, through a failure of our own.
pub(crate) fn failed(message: &Message, delivery: &Delivery, kind: ErrorKind, why: &str, took: Duration) {
    tracing::error!(
        source = %message.source,
        stream = %message.stream,
        run = message.run,
        chunk = message.seq,
        message_id = delivery.message_id,
        receive_count = delivery.receive_count,
        outcome = "failed",
        error_type = kind.as_str(),
        took_ms = millis_of(took),
        "{why}"
    );
}

/// A message that was resolved, as far as it could be.
pub(crate) fn fetched(message: &Message, delivery: &Delivery, report: &FetchReport, took: Duration) {
    for (id, reason) in &report.poisoned {
        tracing::warn!(
            source = %message.source,
            stream = %message.stream,
            run = message.run,
            chunk = message.seq,
            %id,
            reason,
            "the id cannot be stored and goes into quarantine; it is tried again by itself"
        );
    }
    let (outcome, words) = outcome(report);
    let words = report.failure.as_deref().unwrap_or(words);
    let notices = notice::list(&report.notices);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = %message.source,
                stream = %message.stream,
                run = message.run,
                chunk = message.seq,
                message_id = delivery.message_id,
                receive_count = delivery.receive_count,
                outcome,
                ids_count = message.ids.len(),
                calls_count = report.calls_count,
                written_count = report.written_count,
                superseded_count = report.superseded_count,
                deleted_count = report.deleted_count,
                poisoned_count = report.poisoned.len(),
                left_count = report.left_count,
                notices,
                took_ms = millis_of(took),
                "{words}"
            )
        };
    }
    if report.failure.is_some() || !report.acknowledged || report.notices.iter().any(Notice::needs_attention) {
        line!(warn);
    } else {
        line!(info);
    }
}

/// What became of a message: a name that filters can rely on, and words.
fn outcome(report: &FetchReport) -> (&'static str, &'static str) {
    let done_count = report.written_count + report.superseded_count + report.deleted_count + report.poisoned.len();
    if !report.acknowledged {
        ("given_back", "not everything was resolved; it is delivered again")
    } else if report.left_count > 0 {
        ("left_over", "ids were left for later; the poller sends them again")
    } else if done_count == 0 {
        ("nothing_to_do", "its ids are resolved already")
    } else {
        ("resolved", "its ids are resolved")
    }
}
