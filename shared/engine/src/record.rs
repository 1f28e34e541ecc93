//! Records: one vendor object each, kept as the vendor sent it.

use std::time::Duration;

use derive_more::{Debug, Display};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use strum::IntoStaticStr;
use thiserror::Error;

use crate::{LocalMillis, SourceKind, Stamp, StreamKey, StreamName, VendorMillis};

/// The longest id that is kept, in bytes: a sort key of the records table has room for as many.
pub const ID_BYTES_MAX: usize = 1024;

/// The longest that a row may wait until it is stored: as long as SQS keeps a message. An older one does not count.
pub const ROW_AGE_MAX: Duration = Duration::from_hours(14 * 24);
/// The shortest that a tombstone may stay: no look that began before it can be stored any more when it goes.
pub const TOMBSTONE_AGE_MIN: Duration = Duration::from_hours(15 * 24);

/// The vendor's identifier of a record, as text. For a feed, the locator of the record (see `ListShape::Feed`).
///
/// Shown for logs: control characters escaped, so that an id can forge no line, and cut at 200 characters.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[debug("RecordId({self})")]
#[display("{}", _0.chars().take(200).flat_map(char::escape_debug).collect::<String>())]
#[serde(try_from = "String")]
pub struct RecordId(Box<str>);

/// An identifier that cannot be kept.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadRecordId {
    /// The identifier is empty.
    #[error("the id is empty")]
    Empty,
    /// The identifier has so many bytes, more than [`ID_BYTES_MAX`].
    #[error("the id has {0} bytes, more than {ID_BYTES_MAX}")]
    Long(usize),
}

impl RecordId {
    /// Reads an identifier.
    ///
    /// # Errors
    /// [`BadRecordId`] when it is empty or longer than [`ID_BYTES_MAX`].
    pub fn parse(text: impl Into<Box<str>>) -> Result<Self, BadRecordId> {
        let text = text.into();
        match text.len() {
            0 => Err(BadRecordId::Empty),
            bytes if bytes > ID_BYTES_MAX => Err(BadRecordId::Long(bytes)),
            _ => Ok(Self(text)),
        }
    }

    /// The identifier as the vendor wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RecordId {
    type Error = BadRecordId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(text)
    }
}

/// The JSON text of one record, byte for byte as the vendor sent it. It holds personal data, and cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[debug("Body({} bytes)", _0.len())]
pub struct Body(Box<str>);

impl Body {
    /// Wraps the text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for the store alone.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The first 16 bytes of the text's SHA-256: two bodies of one record with the same fingerprint are the same.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        Fingerprint(*digest.first_chunk().unwrap_or(&[0; 16]))
    }
}

/// Written into a message as the JSON it is, not as a string that holds JSON.
impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue =
            serde_json::from_str(&self.0).map_err(|_| <S::Error as ser::Error>::custom("the body is not JSON"))?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Box::<str>::from(raw)))
    }
}

/// What tells two bodies of one record apart. Shown in hexadecimal.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash)]
#[display("{:032x}", u128::from_be_bytes(*_0))]
pub struct Fingerprint(pub [u8; 16]);

/// Where a record is kept: its source, stream and id. Shown for logs as `source#stream#id`, the id escaped.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[display("{source}#{stream}#{id}")]
pub struct RecordKey {
    /// The vendor account.
    pub source: SourceKind,
    /// The object type; for a feed, the record's own type.
    pub stream: StreamName,
    /// The vendor's identifier.
    pub id: RecordId,
}

impl RecordKey {
    /// The partition that the record is kept in; its sort key is the id as the vendor wrote it.
    pub fn partition(&self) -> StreamKey {
        StreamKey { source: self.source, name: self.stream.clone() }
    }
}

/// What one vendor call showed of a record, ready to be stored. Looks are ordered by `looked_at` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Where the record is kept.
    pub key: RecordKey,
    /// When the call that showed it was started, on the local clock.
    pub looked_at: LocalMillis,
    /// What it showed.
    pub seen: Seen,
    /// The newest event about it, for feeds: JSON as the vendor sent it.
    pub event: Option<Body>,
    /// Whether the record seems stored already: a hint for the store.
    pub is_stored: bool,
}

/// What a look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The record.
    Record {
        /// The vendor's JSON.
        body: Body,
        /// The vendor's last-edited value, when the record has one.
        stamp: Option<Stamp>,
        /// What the vendor's clock had reached at most when the look ended, for records fetched by id.
        seen_at: Option<VendorMillis>,
    },
    /// That it is gone.
    Gone(DeletedBecause),
}

/// How a deletion was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum DeletedBecause {
    /// The vendor announced it.
    Announced,
    /// The record was owed a fetch, and not there when it was asked for.
    Vanished,
    /// The same, but the vendor's answers were unclear, and it has lasted.
    Missing,
}

impl DeletedBecause {
    /// The name kept in the table.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What is known of a stored record without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    /// The vendor's stamp as text, when the record has one.
    pub stamp: Option<String>,
    /// When the look that is stored was started, on the local clock of that time.
    pub looked_at: LocalMillis,
    /// What the vendor's clock had reached at most when that look ended.
    pub seen_at: Option<VendorMillis>,
    /// What tells its body from another; none for a tombstone of an unseen record.
    pub fingerprint: Option<Fingerprint>,
    /// Whether it is a tombstone.
    pub deleted: bool,
}
