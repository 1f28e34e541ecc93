//! One invocation of the poller: the event in, one tick, one line in the log.

use std::io::Write;
use std::time::Duration;

use lambda_runtime::LambdaEvent;
use serde_json::Value;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::poll::{Notice, PollOutcome, PollReport, Poller, PollerPorts};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::stamp::millis_of;
use tidemark_engine::stream::{StreamKey, StreamName};
use tidemark_runtime::attention::Attention;
use tidemark_runtime::failure::{ErrorKind, InvocationError};
use tidemark_runtime::notice;

/// Serves the poller's invocations.
pub(crate) struct Handler<P, W> {
    pub(crate) poller: Poller<P>,
    pub(crate) attention: Attention<W>,
}

impl<P: PollerPorts, W: Write> Handler<P, W> {
    /// Does one tick of the stream that the event names. A vendor's failure is an outcome; the next tick is its retry.
    ///
    /// # Errors
    /// [`InvocationError`] for an event that names no stream of this source, and when a table or the queue fails.
    pub(crate) async fn handle(&self, event: LambdaEvent<Value>) -> Result<(), InvocationError> {
        let (payload, context) = event.into_parts();
        let clock = self.poller.ports.clock();
        let source = self.poller.ports.source().kind();
        let started_at = clock.now();
        let tick = match self.stream_of(&payload) {
            Ok(stream) => self.tick(stream, &context.request_id).await,
            Err(error) => Err((None, error)),
        };
        let took = clock.now().since(started_at);
        match tick {
            Ok((stream, report)) => {
                log(&stream, &report, took);
                self.attention.raise(&stream, report.run_id.as_deref(), &report.notices);
                Ok(())
            }
            Err((stream, error)) => {
                tracing::error!(
                    %source,
                    stream = stream.as_ref().map(StreamName::as_str),
                    error_type = error.kind.as_str(),
                    took_ms = millis_of(took),
                    "{error}"
                );
                Err(error)
            }
        }
    }

    async fn tick(
        &self,
        stream: StreamName,
        owner: &str,
    ) -> Result<(StreamKey, PollReport), (Option<StreamName>, InvocationError)> {
        match self.poller.poll(&stream, owner).await {
            Ok(report) => Ok((StreamKey { source: self.poller.ports.source().kind(), name: stream }, report)),
            Err(error) => Err((Some(stream), error.into())),
        }
    }

    /// The stream that an event names: `{"stream":"customers"}`, or the same as the text of a JSON string, as a schedule
    /// with an escaped input sends it.
    fn stream_of(&self, payload: &Value) -> Result<StreamName, InvocationError> {
        let unwrapped: Option<Value> = payload.as_str().and_then(|text| serde_json::from_str(text).ok());
        let named = unwrapped.as_ref().unwrap_or(payload).get("stream").and_then(Value::as_str);
        let known =
            || self.poller.ports.source().streams().iter().map(|traits| traits.name.as_str()).collect::<Vec<_>>();
        named.and_then(|name| StreamName::parse(name).ok()).ok_or_else(|| {
            let message = format!(
                "the event is {}; source {} takes {{\"stream\":\"<name>\"}} with one of {}. Correct the schedule's input",
                shape(payload),
                self.poller.ports.source().kind(),
                known().join(", "),
            );
            InvocationError::new(ErrorKind::MalformedEvent, message)
        })
    }
}

/// What an event looks like, without repeating any of it.
fn shape(payload: &Value) -> &'static str {
    match payload {
        Value::Null => "empty",
        Value::Bool(_) | Value::Number(_) => "a bare value",
        Value::String(_) => "a text that names no stream",
        Value::Array(_) => "a list",
        Value::Object(members) if members.contains_key("stream") => "an object whose \"stream\" is no stream name",
        Value::Object(_) => "an object without \"stream\"",
    }
}

/// Logs a tick in one line; as a warning when somebody may want to know why the stream does not move.
fn log(stream: &StreamKey, report: &PollReport, took: Duration) {
    let outcome = told(&report.outcome);
    let notices = notice::list(&report.notices);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = %stream.source,
                stream = %stream.name,
                run = report.run_id.as_deref(),
                outcome = outcome.name,
                class = outcome.class,
                until = outcome.until,
                calls_count = report.calls_count,
                listed_count = report.listed_count,
                unchanged_count = report.unchanged_count,
                accepted_count = report.accepted_count,
                sent_count = report.sent_count,
                pending_count = report.pending_count,
                committed = report.committed.as_ref().map(tracing::field::display),
                notices,
                took_ms = millis_of(took),
                "{}",
                outcome.message
            )
        };
    }
    if outcome.warns || report.notices.iter().any(Notice::needs_attention) {
        line!(warn);
    } else {
        line!(info);
    }
}

/// An outcome as the log tells it.
struct Told<'a> {
    /// A name that filters can rely on.
    name: &'static str,
    /// What happened, and what a person can do where something can be done.
    message: &'a str,
    /// The class of the vendor's failure.
    class: Option<&'static str>,
    /// Until when nothing is called.
    until: Option<String>,
    /// Whether the stream stands still for a reason that is not its own.
    warns: bool,
}

fn told(outcome: &PollOutcome) -> Told<'_> {
    let news = |name, message| Told { name, message, class: None, until: None, warns: false };
    let trouble = |name, message| Told { name, message, class: None, until: None, warns: true };
    match outcome {
        PollOutcome::TurnedOff => news("turned_off", "the stream is turned off; remove its schedule or turn it on"),
        PollOutcome::LeaseBusy => news("lease_busy", "another poller is at work on the stream"),
        PollOutcome::Fenced => trouble("fenced", "another poller took over; nothing is lost"),
        PollOutcome::BreakerOpen(until) => Told {
            until: Some(until.to_string()),
            ..trouble("breaker_open", "the source is left alone after failures")
        },
        PollOutcome::Paused(until) => Told {
            until: Some(until.to_string()),
            ..trouble("paused", "the vendor refuses the stream; it is asked again")
        },
        PollOutcome::Frozen => {
            trouble("frozen", "too many ids are in quarantine; nothing new is listed until they drain")
        }
        PollOutcome::Quiet => news("quiet", "nothing new"),
        PollOutcome::Listing => news("listing", "the listing goes on at the next tick"),
        PollOutcome::Waiting => news("waiting", "waiting for ids to be stored"),
        PollOutcome::Aborted => trouble("aborted", "the run is given up and listed anew; nothing is lost"),
        PollOutcome::SourceFailed { class, cause } => {
            Told { class: Some(class_name(*class)), ..trouble("source_failed", cause) }
        }
    }
}

fn class_name(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Transient => "transient",
        FailureClass::Throttled { .. } => "throttled",
        FailureClass::Unauthorized => "unauthorized",
        FailureClass::Forbidden => "forbidden",
        FailureClass::Record => "record",
        FailureClass::TokenRejected => "token_rejected",
    }
}

#[cfg(test)]
mod tests;
