//! Positions: how far a stream is listed.

use derive_more::Display;

use crate::StampMillis;

/// A place in a stream: a stamp, or a feed's token.
#[derive(Clone, Debug, Display, PartialEq, Eq)]
pub enum Position {
    /// Everything stamped at or before this.
    At(StampMillis),
    /// Everything before this token of a feed.
    #[display("token {text} (#{sequence})")]
    Token {
        /// The token, as the vendor gave it; empty before the first.
        text: String,
        /// How many tokens came before it: what makes tokens comparable.
        sequence: i64,
    },
}

impl Position {
    /// What positions of one stream are compared by.
    pub fn order(&self) -> i64 {
        match self {
            Self::At(at) => at.get(),
            Self::Token { sequence, .. } => *sequence,
        }
    }

    /// The stamp, when this is one.
    pub fn at(&self) -> Option<StampMillis> {
        if let Self::At(at) = self { Some(*at) } else { None }
    }

    /// The token, when this is one and there is one yet.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Token { text, .. } if !text.is_empty() => Some(text),
            Self::Token { .. } | Self::At(_) => None,
        }
    }

    /// The later of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.order() > self.order() { other } else { self }
    }

    /// The earlier of two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if other.order() < self.order() { other } else { self }
    }
}
