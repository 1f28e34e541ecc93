//! Sources and streams: who is polled, and for which object type.

use std::borrow::Cow;

use derive_more::Display;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};
use thiserror::Error;

use crate::Position;

/// A vendor that Tidemark knows how to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[derive(strum::Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum SourceKind {
    /// FieldMotion: signed form posts, changed ids per object type.
    FieldMotion,
    /// FieldAware: one feed of events behind a token.
    FieldAware,
    /// FSM Navigator: numbered pages of whole rows, behind an API key.
    FsmNavigator,
    /// Fieldly: numbered pages of whole rows, behind OAuth 2.0 client credentials.
    Fieldly,
}

impl SourceKind {
    /// Every source, in the order in which reports list them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name used in keys, messages, metrics and logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One object type of a source, polled on its own schedule with its own checkpoint.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StreamName(Cow<'static, str>);

/// A stream name has characters that a key or a metric cannot have.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a stream name has 1 to 64 characters of a-z, 0-9 and _; this one has {length} characters or others")]
pub struct BadStreamName {
    length: usize,
}

impl StreamName {
    /// A name known when the program was written.
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Reads a name that came from outside.
    ///
    /// # Errors
    /// [`BadStreamName`] unless it has 1 to 64 characters of `a-z`, `0-9` and `_`.
    pub fn parse(text: &str) -> Result<Self, BadStreamName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
            return Err(BadStreamName { length: text.chars().count() });
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StreamName {
    type Error = BadStreamName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

/// A stream of a source: the key of its checkpoint. Shown as `source#stream`.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[display("{source}#{name}")]
pub struct StreamKey {
    /// The vendor account.
    pub source: SourceKind,
    /// The object type.
    pub name: StreamName,
}

/// How a stream's list call answers; it decides how the poller walks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListShape {
    /// All changed ids in one answer, without stamps and without a cursor.
    Whole,
    /// Numbered pages of whole rows, over a list that may move while it is read.
    Pages,
    /// Events in commit order behind an opaque token.
    Feed,
}

/// What a source says of one of its streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTraits {
    /// The stream.
    pub name: StreamName,
    /// How its list call answers.
    pub shape: ListShape,
    /// Whether its records have a last-edited stamp.
    pub stamped: bool,
    /// Whether the list takes a lower bound. A stream without one is scanned whole, at a slower rate.
    pub filtered: bool,
    /// Where the first import starts.
    pub first: Position,
}
