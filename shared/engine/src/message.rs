//! The queue message: a hint to look at a chunk. The ledger is the truth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::change::announces_deletion;
use crate::chunk::{ChunkKey, RETRY_RUN};
use crate::record::{Body, RecordId};
use crate::stamp::UtcMillis;
use crate::stream::{SourceKind, StreamKey, StreamName};

/// The version of the message's shape that this program writes and reads.
pub const MESSAGE_VERSION: u32 = 1;

/// Names a chunk and the ids to look at.
///
/// Shape: `{"version":1,"source","stream","run","seq","epoch","ids":[..],"listed_at_ms":n,"rows":{..}?,"events":{..}?}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// [`MESSAGE_VERSION`].
    pub version: u32,
    /// The vendor.
    pub source: SourceKind,
    /// The stream.
    pub stream: StreamName,
    /// The run, or `retry`.
    pub run: String,
    /// The chunk's number.
    pub seq: u32,
    /// The epoch of the poller that made the chunk.
    pub epoch: i64,
    /// The ids to look at; one that is no longer pending in the ledger is ignored.
    pub ids: Vec<RecordId>,
    /// When the list call that told of them was started, on the local clock: what the rows are dated by.
    #[serde(rename = "listed_at_ms")]
    pub listed_at: UtcMillis,
    /// The rows that the list returned whole, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<RecordId, Row>,
    /// The newest event of each id, for feeds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<RecordId, Body>,
}

/// A row that travels in a message, with the stamp that its source read from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The vendor's JSON.
    pub body: Body,
    /// The stamp as the vendor wrote it and in UTC, when the row bears one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<crate::stamp::Stamp>,
}

/// A message that is not one of ours.
#[derive(Debug, Error)]
pub enum BadMessage {
    /// It is not JSON of the expected shape.
    #[error("the message is not a change message: {0}")]
    Shape(String),
    /// It was written by a program with another idea of messages.
    #[error("the message has version {found}, this program reads version {MESSAGE_VERSION}")]
    Version {
        /// What it says.
        found: u64,
    },
}

impl Message {
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
            return Err(BadMessage::Version { found: version });
        }
        serde_json::from_str(text).map_err(|fault| BadMessage::Shape(place(&fault)))
    }

    /// Whether the feed has announced that the record is gone. Of an id that comes out of quarantine it is not known
    /// whether that is still so: it may have come back meanwhile, and is asked for.
    pub fn announces_deletion(&self, id: &RecordId) -> bool {
        announces_deletion(id) && self.run != RETRY_RUN
    }

    /// The stream it belongs to.
    pub fn stream_key(&self) -> StreamKey {
        StreamKey { source: self.source, name: self.stream.clone() }
    }

    /// The chunk it names.
    pub fn chunk_key(&self) -> ChunkKey {
        ChunkKey { stream: self.stream_key(), run: self.run.clone(), seq: self.seq, epoch: self.epoch }
    }
}
