//! The queue message: a hint to look at a chunk. The ledger is the truth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Body, ChunkKey, RecordId, SourceKind, Stamp, StreamKey, StreamName};

/// The version of the message's shape that this program writes and reads.
pub const MESSAGE_VERSION: u32 = 2;

/// What `chunk` says of an id in the retry lane.
const RETRY: &str = "retry";

/// Names a chunk and the ids to look at.
///
/// Shape: `{"version":2,"source","stream","chunk":"<sort key>","ids":[..],"account_mark","rows":{..}?}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// [`MESSAGE_VERSION`].
    version: u32,
    source: SourceKind,
    stream: StreamName,
    chunk: String,
    /// The ids to look at; one that the ledger does not owe is ignored.
    pub ids: Vec<RecordId>,
    /// The account and settings under which the ids were listed.
    pub account_mark: String,
    /// The rows that the list returned whole, by id. They count only where the chunk says that it has rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<RecordId, Row>,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// A chunk.
    Chunk(ChunkKey),
    /// An id of the retry lane.
    Retry,
}

/// A row that travels in a message, with the stamp that its source read from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The vendor's JSON.
    pub body: Body,
    /// The row's stamp, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
}

/// A message that cannot be worked on.
#[derive(Debug, Error)]
pub enum BadMessage {
    /// It is not JSON of the expected shape.
    #[error("the message is not a change message: {0}")]
    Shape(String),
    /// It was written by a program with another idea of messages.
    #[error("the message has version {0}, this program reads version {MESSAGE_VERSION}")]
    Version(u64),
}

impl Message {
    /// A message about ids of a chunk.
    pub fn of_chunk(
        key: &ChunkKey,
        ids: Vec<RecordId>,
        rows: BTreeMap<RecordId, Row>,
        account_mark: impl Into<String>,
    ) -> Self {
        let StreamKey { source, name: stream } = key.stream.clone();
        let (chunk, account_mark) = (key.sort_key(), account_mark.into());
        Self { version: MESSAGE_VERSION, source, stream, chunk, ids, account_mark, rows }
    }

    /// A message about an id of the retry lane.
    pub fn of_retry(stream: &StreamKey, id: RecordId, account_mark: impl Into<String>) -> Self {
        let StreamKey { source, name: stream } = stream.clone();
        let (chunk, ids, account_mark, rows) = (RETRY.to_owned(), vec![id], account_mark.into(), BTreeMap::new());
        Self { version: MESSAGE_VERSION, source, stream, chunk, ids, account_mark, rows }
    }

    /// Reads a message body.
    ///
    /// # Errors
    /// [`BadMessage`], which names the place of the fault but repeats nothing of the body.
    pub fn parse(text: &str) -> Result<Self, BadMessage> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let place = |fault: &serde_json::Error| format!("{:?} error at column {}", fault.classify(), fault.column());
        let Versioned { version } = serde_json::from_str(text).map_err(|fault| BadMessage::Shape(place(&fault)))?;
        if version != u64::from(MESSAGE_VERSION) {
            return Err(BadMessage::Version(version));
        }
        let message: Self = serde_json::from_str(text).map_err(|fault| BadMessage::Shape(place(&fault)))?;
        match message.work() {
            Some(_) => Ok(message),
            None => Err(BadMessage::Shape("it names no chunk".to_owned())),
        }
    }

    /// The vendor.
    pub fn source(&self) -> SourceKind {
        self.source
    }

    /// The stream it belongs to.
    pub fn stream(&self) -> StreamKey {
        StreamKey { source: self.source, name: self.stream.clone() }
    }

    /// What it is about; none when it names no chunk, which [`Message::parse`] refuses.
    pub fn work(&self) -> Option<Work> {
        if self.chunk == RETRY {
            return Some(Work::Retry);
        }
        ChunkKey::parse(self.stream(), &self.chunk).map(Work::Chunk)
    }
}
