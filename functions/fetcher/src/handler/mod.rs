//! One invocation of the fetcher: a batch of queue messages in, the ids of those to be delivered again out.
//!
//! Each message is read, worked on and logged by itself, one after the other, so that a bad one fails alone. A message
//! that is foreign or cannot be read fails until the queue moves it to the dead-letter queue, which raises an alarm. Our
//! own messages are acknowledged whatever happened to their ids: the poller sends the remaining ones again.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsMessage};
use futures_util::FutureExt;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::fetch::{Fetcher, FetcherPorts};
use tidemark_engine::message::Message;
use tidemark_engine::ports::{Clock, Source};
use tidemark_runtime::attention::Attention;
use tidemark_runtime::failure::{ErrorKind, InvocationError, chain};

use crate::log::{self, Delivery};

/// The most time of an invocation that is reserved for writing the outcome of its ids.
const MARGIN_MAX: Duration = Duration::from_secs(10);
/// The share of the remaining time that is reserved, if that is less.
const MARGIN_PART: u32 = 5;

/// Serves the fetcher's invocations.
pub(crate) struct Handler<P, W> {
    pub(crate) fetcher: Fetcher<P>,
    /// How long an invocation may take, used when its deadline is implausible.
    pub(crate) timeout: Duration,
    pub(crate) attention: Attention<W>,
}

/// An SQS event whose messages are not parsed yet: a malformed one must not fail the others.
#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    messages: Vec<Box<RawValue>>,
}

/// The part of a message that is needed to return it to the queue.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "messageId")]
    id: String,
}

impl<P: FetcherPorts, W: Write> Handler<P, W> {
    /// Works on the messages of an SQS event and names those that are to be delivered again.
    ///
    /// # Errors
    /// [`InvocationError`] when the event is not an SQS event, or when a message failed that has no id: the response cannot
    /// name it (an empty name would silently mean the whole batch), so the whole batch is delivered again. Likewise when
    /// every message failed in our own tables or program: returned messages alone count as no error and raise no alarm.
    pub(crate) async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<SqsBatchResponse, InvocationError> {
        let (payload, context) = event.into_parts();
        let answered = self.resolve(&payload, context.deadline).await;
        if let Err(error) = &answered {
            tracing::error!(source = %self.fetcher.ports.source().kind(), error_type = error.kind.as_str(), "{error}");
        }
        answered
    }

    async fn resolve(&self, payload: &RawValue, deadline: u64) -> Result<SqsBatchResponse, InvocationError> {
        let batch: Batch = serde_json::from_str(payload.get()).map_err(|_| {
            let message =
                "the event is not an SQS event: it has no list of \"Records\". Invoke the fetcher through its queue";
            InvocationError::new(ErrorKind::MalformedEvent, message)
        })?;
        let deadline = LocalMillis::new(i64::try_from(deadline).unwrap_or(i64::MAX));
        let stop_at = stop_at(self.fetcher.ports.clock().now(), deadline, self.timeout);
        let mut response = SqsBatchResponse::default();
        let mut nameless_count = 0;
        let mut failed = Vec::new();
        for message in &batch.messages {
            match self.is_done(message, stop_at).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => failed.push(error),
            }
            match serde_json::from_str::<Named>(message.get()) {
                Ok(Named { id }) if !id.is_empty() => response.add_failure(id),
                _ => nameless_count += 1,
            }
        }
        if nameless_count > 0 {
            let message =
                format!("{nameless_count} messages without a messageId failed; the whole batch is given back");
            return Err(InvocationError::new(ErrorKind::MissingMessageId, message));
        }
        if failed.len() == batch.messages.len()
            && let Some(error) = failed.pop()
        {
            return Err(error);
        }
        Ok(response)
    }

    /// Works on one message; returns whether it is finished. An error means that our own tables or program failed.
    async fn is_done(&self, message: &RawValue, stop_at: LocalMillis) -> Result<bool, InvocationError> {
        let source = self.fetcher.ports.source().kind();
        let Ok(sqs) = serde_json::from_str::<SqsMessage>(message.get()) else {
            log::not_ours(source, &Delivery::default(), "the record is not an SQS message");
            return Ok(false);
        };
        let delivery = Delivery::of(&sqs);
        let message = match Message::parse(sqs.body.as_deref().unwrap_or_default()) {
            Ok(message) => message,
            Err(bad) => {
                log::not_ours(source, &delivery, &bad.to_string());
                return Ok(false);
            }
        };
        drop(sqs);
        if let Some(why) = self.why_not_ours(&message) {
            log::not_ours(source, &delivery, &why);
            return Ok(false);
        }
        self.fetch(&message, &delivery, stop_at).await
    }

    fn why_not_ours(&self, message: &Message) -> Option<String> {
        let source = self.fetcher.ports.source();
        if message.source() != source.kind() {
            return Some(format!("it is for source {}, and this function fetches {}", message.source(), source.kind()));
        }
        let stream = message.stream().name;
        let is_known = source.streams().iter().any(|traits| traits.name == stream);
        (!is_known).then(|| format!("source {} has no stream {stream}", source.kind()))
    }

    async fn fetch(
        &self,
        message: &Message,
        delivery: &Delivery,
        stop_at: LocalMillis,
    ) -> Result<bool, InvocationError> {
        let clock = self.fetcher.ports.clock();
        let started_at = clock.now();
        // Ids wait in the ledger; rows exist only in the message, so it has to come again.
        if started_at >= stop_at && !message.rows.is_empty() {
            log::no_time(message, delivery);
            return Ok(false);
        }
        // A panic in one message must not fail the others.
        let fetching = AssertUnwindSafe(self.fetcher.fetch(message, delivery.receive_count, stop_at)).catch_unwind();
        let fetched = fetching.await;
        let now = clock.now();
        let took = now.since(started_at);
        match fetched {
            Ok(Ok(report)) => {
                log::fetched(message, delivery, &report, took);
                self.attention.raise(&message.stream(), now, &report.notices);
                Ok(true)
            }
            Ok(Err(failure)) => {
                log::failed(message, delivery, ErrorKind::of_store(&failure), &chain(&failure), took);
                Err(failure.into())
            }
            Err(_) => {
                let why = "the log names the place";
                log::failed(message, delivery, ErrorKind::Panicked, why, took);
                Err(InvocationError::new(ErrorKind::Panicked, why))
            }
        }
    }
}

/// When to stop, so that there is time to write the outcome of the ids.
///
/// A deadline in the past does not come from Lambda; the local emulator of `cargo lambda` sends 1970.
fn stop_at(now: LocalMillis, deadline: LocalMillis, timeout: Duration) -> LocalMillis {
    let deadline = if deadline > now { deadline } else { now.plus(timeout) };
    let margin = (deadline.since(now) / MARGIN_PART).min(MARGIN_MAX);
    deadline.minus(margin)
}

#[cfg(test)]
mod tests;
