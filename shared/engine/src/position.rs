//! Positions: how far a stream is listed.

use derive_more::Display;

use crate::StampMillis;

/// A place in a stream: a stamp, or a feed's token. Those of one stream are of one kind, and the later one is larger.
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Everything stamped at or before this.
    At(StampMillis),
    /// Everything before this token of a feed.
    #[display("{}", if text.is_empty() { "no token yet".to_owned() } else { format!("token {text} (#{sequence})") })]
    Token {
        /// How many tokens came before it: what makes tokens comparable.
        sequence: i64,
        /// The token, as the vendor gave it; empty before the first.
        text: String,
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
}
