//! Failures: what kinds there are, and what each one leads to. The whole policy is that of [`FailureClass`].

use std::error::Error;
use std::time::Duration;

use thiserror::Error;

use crate::StreamKey;

/// What a vendor's failure means for the work at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The source is unwell: connection, TLS, time-out, 5xx, an answer cut short, empty, or not JSON at all.
    Transient,
    /// The source asks for fewer calls (429), and for how long when it says so.
    Throttled {
        /// How long it asks for no calls.
        retry_after: Option<Duration>,
    },
    /// The credential was rejected, also after it was read again.
    Unauthorized,
    /// The credential could not be read, because the key that encrypts its secret may not be used.
    SecretLocked,
    /// The credential is good but may not do this (403), or the function does not exist.
    Forbidden,
    /// This record alone: its answer is malformed, too large, about another record, or a refusal of this id.
    Record,
    /// The feed's token is unknown or expired.
    TokenRejected,
}

/// Whom a failure stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stops {
    /// The record alone: its id goes to the retry lane.
    Record,
    /// The stream, once there were several in a row.
    StreamInARow,
    /// The stream, at once: the vendor refuses it.
    Stream,
    /// The whole source, at once: every further call would do harm.
    Source,
    /// The feed's token: a new one is taken and everything is listed once.
    Token,
}

impl FailureClass {
    /// How long the vendor asks for no calls, where it says so.
    pub const fn retry_after(self) -> Option<Duration> {
        if let Self::Throttled { retry_after } = self { retry_after } else { None }
    }

    /// Whether the call is tried again at once, after a backoff.
    pub const fn is_tried_again(self) -> bool {
        matches!(self, Self::Transient | Self::SecretLocked)
    }

    /// Whom it stops.
    pub const fn stops(self) -> Stops {
        match self {
            Self::Transient | Self::SecretLocked => Stops::StreamInARow,
            Self::Throttled { .. } | Self::Unauthorized => Stops::Source,
            Self::Forbidden => Stops::Stream,
            Self::Record => Stops::Record,
            Self::TokenRejected => Stops::Token,
        }
    }

    /// What a person can do.
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::Transient => "nothing if it passes; else look at the vendor's status page and at the base URL",
            Self::Throttled { .. } => "nothing if it is rare; else lower RequestsPerSecond",
            Self::Unauthorized => "put a valid credential into the source's secret; nothing else needs to be done",
            Self::SecretLocked => {
                "let the function use the secret's key: set SecretKmsKeyArn (or KmsKeyArn) to it, and see that it is \
                 enabled and its key policy allows the function's role"
            }
            Self::Forbidden => "give the vendor's API user the right to read this object type, or turn the stream off",
            Self::Record => "look at the record in the vendor's application; it is tried again automatically",
            Self::TokenRejected => "nothing: everything is listed once, from a new token",
        }
    }
}

/// A vendor call that failed. `cause` names status and kind, never a body, a query or a credential.
#[derive(Debug, Error)]
#[error("{cause}")]
pub struct SourceFailure {
    /// What it means.
    pub class: FailureClass,
    /// What happened, in words for a person.
    pub cause: String,
    /// What a person can do, where the cause says more than the class.
    pub next_step: Option<&'static str>,
    /// The error below, if there is one.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl SourceFailure {
    /// A failure without an error below it.
    pub fn new(class: FailureClass, cause: impl Into<String>) -> Self {
        Self { class, cause: cause.into(), next_step: None, source: None }
    }

    /// A failure caused by another error.
    pub fn caused(class: FailureClass, cause: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self { class, cause: cause.into(), next_step: None, source: Some(Box::new(source)) }
    }

    /// The same with a next step that fits its cause.
    #[must_use]
    pub fn with_next_step(self, next_step: &'static str) -> Self {
        Self { next_step: Some(next_step), ..self }
    }
}

/// What happened, with the causes below it.
pub fn causes(failure: &SourceFailure) -> String {
    let below = std::iter::successors(failure.source(), |error| (*error).source());
    below.fold(failure.cause.clone(), |causes, error| format!("{causes}: {error}"))
}

/// The failure for a person: source, stream, cause with its causes, next step.
pub fn describe(failure: &SourceFailure, stream: &StreamKey) -> String {
    let (causes, next_step) = (causes(failure), failure.next_step.unwrap_or(failure.class.next_step()));
    format!("source {}, stream {}: {causes}; next: {next_step}", stream.source, stream.name)
}

/// A table or queue call of our own that failed, after the adapter's retries; the text says which.
#[derive(Debug, Error)]
pub enum StoreFailure {
    /// Throttled, unreachable or failing: the same call may succeed later. It may also have taken effect.
    #[error("{0} did not succeed; it is tried again at the next tick")]
    Unavailable(&'static str, #[source] Box<dyn Error + Send + Sync>),
    /// The function's role does not allow it, or the table or queue does not exist.
    #[error("{0} was refused; compare the deployed stack with its template (role, table and queue names)")]
    Denied(&'static str, #[source] Box<dyn Error + Send + Sync>),
    /// What is stored has a shape that this program does not know.
    #[error(
        "{operation}: the item {key} has an unknown shape ({cause}); it was written by another version of this program: \
         deploy that one, or a newer one"
    )]
    Malformed {
        /// Which call.
        operation: &'static str,
        /// The item.
        key: String,
        /// What is wrong with it.
        cause: String,
    },
}
