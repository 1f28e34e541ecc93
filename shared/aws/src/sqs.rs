//! The change queue on SQS.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchOutput;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
#[cfg(feature = "operator")]
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
#[cfg(feature = "operator")]
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{ChangeQueue, Clock, Outgoing};

use crate::backoff;
use crate::client::Sdk;
use crate::errors::AwsError;

/// The most messages of one call.
///
/// Source: Amazon SQS API Reference, `SendMessageBatch` (read 2026-11-21).
const BATCH_MESSAGES: usize = 10;
/// The most bytes of one call's bodies. SQS takes more today; emulators and older queues do not.
const BATCH_BYTES: usize = 256 * 1024;
/// The longest delay of a message. Source: as above.
const DELAY_MAX: Duration = Duration::from_mins(15);

/// How many timeouts of the function that takes its messages a queue's visibility timeout has to cover.
///
/// Source: AWS Lambda Developer Guide, "Creating and configuring an Amazon SQS event source mapping" (read 2026-11-27).
pub const VISIBILITY_TIMEOUTS: u32 = 6;

const OPERATION: &str = "send changes to the queue";

/// A source's change queue.
///
/// Messages go out in batches, one after the other: a batch closes at 10 messages or 256 KiB. Messages that SQS refuses
/// one by one are sent again with backoff, unless SQS says that the message is at fault.
#[derive(Clone, Debug)]
pub struct SqsQueue<C> {
    client: Client,
    url: String,
    clock: C,
}

impl<C: Clock> SqsQueue<C> {
    /// The queue at `url`; `clock` times pauses between tries.
    pub fn new(sdk: &Sdk, url: impl Into<String>, clock: C) -> Self {
        Self { client: sdk.sqs(), url: url.into(), clock }
    }

    /// Sends one batch and returns how many from its front were accepted.
    async fn send_batch(&self, bodies: &[Body]) -> Result<usize, StoreFailure> {
        let mut left: Vec<usize> = (0..bodies.len()).collect();
        let mut try_count = 0;
        loop {
            let answer = match self.send_once(bodies, &left).await {
                Ok(answer) => answer,
                Err(failure) if try_count == 0 => return Err(failure),
                Err(_) => break,
            };
            let accepted = |index: &usize| answer.successful().iter().any(|entry| entry.id() == index.to_string());
            left.retain(|index| !accepted(index));
            let hopeless = answer.failed().iter().find(|entry| entry.sender_fault());
            if let Some(entry) = hopeless {
                tracing::error!(code = entry.code(), "SQS refuses a message for what it holds");
                break;
            }
            try_count += 1;
            if left.is_empty() || try_count > backoff::TRIES {
                break;
            }
            self.clock.sleep(backoff::pause(try_count)).await;
        }
        Ok(left.first().copied().unwrap_or(bodies.len()))
    }

    async fn send_once(&self, bodies: &[Body], which: &[usize]) -> Result<SendMessageBatchOutput, StoreFailure> {
        let chosen = which.iter().filter_map(|index| Some((index, bodies.get(*index)?)));
        let entries = chosen.map(|(index, body)| body.entry(*index)).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|error| unavailable(Box::new(error)))?;
        let sent = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
        sent.map_err(|error| AwsError::of(error).store_failure(OPERATION))
    }
}

impl<C: Clock> ChangeQueue for SqsQueue<C> {
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure> {
        let mut accepted_count = 0;
        let mut left = messages.iter();
        let mut next = left.next().map(Body::of).transpose()?;
        while let Some(first) = next.take() {
            let mut bytes = first.json.len();
            let mut batch = vec![first];
            for message in left.by_ref() {
                let body = Body::of(message)?;
                bytes += body.json.len();
                if batch.len() == BATCH_MESSAGES || bytes > BATCH_BYTES {
                    next = Some(body);
                    break;
                }
                batch.push(body);
            }
            match self.send_batch(&batch).await {
                Ok(count) => {
                    accepted_count += count;
                    if count < batch.len() {
                        return Ok(accepted_count);
                    }
                }
                Err(failure) if accepted_count == 0 => return Err(failure),
                Err(failure) => {
                    tracing::warn!(%failure, accepted_count, "only part of the changes was sent");
                    return Ok(accepted_count);
                }
            }
        }
        Ok(accepted_count)
    }
}

/// A message that lies in a dead-letter queue.
#[cfg(feature = "operator")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What SQS calls it.
    pub message_id: String,
    /// Its body.
    pub body: String,
    /// When it was sent first, on the clock of SQS.
    pub sent_at: Option<LocalMillis>,
    handle: String,
}

/// A dead-letter queue, for an operator.
#[cfg(feature = "operator")]
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
    url: String,
}

#[cfg(feature = "operator")]
impl DeadLetters {
    /// The dead-letter queue at `url`.
    pub fn new(sdk: &Sdk, url: impl Into<String>) -> Self {
        Self { client: sdk.sqs(), url: url.into() }
    }

    /// How many messages lie there, about.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn depth(&self) -> Result<u64, StoreFailure> {
        let waiting = QueueAttributeName::ApproximateNumberOfMessages;
        let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let sent = asked.attribute_names(waiting.clone()).attribute_names(hidden.clone()).send().await;
        let answer = sent.map_err(|error| AwsError::of(error).store_failure("count the dead letters"))?;
        let counts = answer.attributes.unwrap_or_default();
        let count = |name| counts.get(&name).and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
        Ok(count(waiting) + count(hidden))
    }

    /// Takes up to `limit` messages. Nobody else sees them for a minute, or until they are put back.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn take(&self, limit: usize) -> Result<Vec<Letter>, StoreFailure> {
        let mut letters = Vec::new();
        while letters.len() < limit {
            let sent = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(10)
                .visibility_timeout(60)
                // Without a wait some servers alone are asked, and an empty answer is no proof.
                .wait_time_seconds(2)
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
                .await;
            let answer = sent.map_err(|error| AwsError::of(error).store_failure("take dead letters"))?;
            let found = answer.messages.unwrap_or_default();
            if found.is_empty() {
                break;
            }
            letters.extend(found.into_iter().filter_map(letter_of));
        }
        Ok(letters)
    }

    /// Lets others see a message again that was taken.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn put_back(&self, letter: &Letter) -> Result<(), StoreFailure> {
        let call = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(&letter.handle);
        let sent = call.visibility_timeout(0).send().await;
        sent.map(|_| ()).map_err(|error| AwsError::of(error).store_failure("put a dead letter back"))
    }

    /// Deletes a message that was taken.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn delete(&self, letter: &Letter) -> Result<(), StoreFailure> {
        let sent = self.client.delete_message().queue_url(&self.url).receipt_handle(&letter.handle).send().await;
        sent.map(|_| ()).map_err(|error| AwsError::of(error).store_failure("delete a dead letter"))
    }
}

#[cfg(feature = "operator")]
fn letter_of(message: aws_sdk_sqs::types::Message) -> Option<Letter> {
    let sent_at = message.attributes.unwrap_or_default().remove(&MessageSystemAttributeName::SentTimestamp);
    Some(Letter {
        message_id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        sent_at: sent_at.and_then(|at| at.parse().ok()).map(LocalMillis::new),
        handle: message.receipt_handle?,
    })
}

/// A message as it is sent.
struct Body {
    json: String,
    delay_seconds: i32,
}

impl Body {
    fn of(outgoing: &Outgoing) -> Result<Self, StoreFailure> {
        let json = serde_json::to_string(&outgoing.message).map_err(|error| unavailable(Box::new(error)))?;
        Ok(Self { json: sendable(json), delay_seconds: delay_seconds(outgoing.delay) })
    }

    fn entry(&self, index: usize) -> Result<SendMessageBatchRequestEntry, BuildError> {
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(&self.json)
            .delay_seconds(self.delay_seconds)
            .build()
    }
}

/// The same JSON without the two characters that JSON takes as they are and SQS refuses, the whole message with them.
/// They can stand only within its strings; a row that contains them is stored with them escaped.
///
/// Source: Amazon SQS API Reference, `SendMessageBatch` (read 2026-11-25).
fn sendable(json: String) -> String {
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        return json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    json
}

/// The delay in whole seconds, rounded up: a message must not be seen before its time.
fn delay_seconds(delay: Duration) -> i32 {
    let whole = delay.min(DELAY_MAX).as_millis().div_ceil(1_000);
    i32::try_from(whole).unwrap_or_default()
}

fn unavailable(source: Box<dyn std::error::Error + Send + Sync>) -> StoreFailure {
    StoreFailure::Unavailable(OPERATION, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_sqs_refuses_are_escaped_and_read_the_same() {
        let text = "a\u{fffe}b\u{ffff}c\u{fffd}";
        let json = sendable(serde_json::to_string(text).unwrap());
        assert!(!json.contains(['\u{fffe}', '\u{ffff}']), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn delays_are_rounded_up_and_capped() {
        let cases = [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (900_000, 900), (5_000_000, 900)];
        for (millis, seconds) in cases {
            assert_eq!(delay_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }
}
