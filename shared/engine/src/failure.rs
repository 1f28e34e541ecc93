//! Failures: what kinds there are, and what each one leads to. The whole policy is [`disposition`].

use std::error::Error;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// What a vendor's failure means for the work at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The source is unwell: connection, TLS, time-out, 5xx, an answer cut short, empty, or not JSON at all.
    Transient,
    /// The source asks for fewer calls (429), and for how long when it says so.
    Throttled {
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The credential was rejected, also after it was read anew.
    Unauthorized,
    /// The credential is good but may not do this (403), or the function does not exist.
    Forbidden,
    /// This record alone: its answer is malformed, too large, about another record, or a refusal of this id.
    Record,
    /// The feed's token is unknown or expired.
    TokenRejected,
}

/// What becomes of the ids at hand once in-call tries are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// They stay pending and are sent again at the next tick.
    Park,
    /// They stay pending, and the stream is left alone for a while.
    PauseStream,
    /// The id is quarantined and tried again on a slow ladder.
    Quarantine,
    /// A new token is taken and everything is listed once.
    Resync,
}

/// What a failure does to the source's breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerEffect {
    /// Nothing: the source is well.
    None,
    /// One more in a row.
    Counts,
    /// It opens at once: every further call would do harm.
    Opens,
}

/// What a failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// Whether it is tried again within the call, after a backoff.
    pub tried_again: bool,
    /// What becomes of the ids.
    pub afterwards: Afterwards,
    /// What it does to the breaker.
    pub breaker: BreakerEffect,
    /// What a person can do.
    pub next_step: &'static str,
}

/// What a failure of this class leads to.
pub const fn disposition(class: FailureClass) -> Disposition {
    match class {
        FailureClass::Transient => Disposition {
            tried_again: true,
            afterwards: Afterwards::Park,
            breaker: BreakerEffect::Counts,
            next_step: "nothing if it passes; else look at the vendor's status page and at the base URL",
        },
        FailureClass::Throttled { .. } => Disposition {
            tried_again: false,
            afterwards: Afterwards::Park,
            breaker: BreakerEffect::Opens,
            next_step: "nothing if it is rare; else lower RequestsPerSecond",
        },
        FailureClass::Unauthorized => Disposition {
            tried_again: false,
            afterwards: Afterwards::Park,
            breaker: BreakerEffect::Opens,
            next_step: "put a valid credential into the source's secret; nothing else needs to be done",
        },
        FailureClass::Forbidden => Disposition {
            tried_again: false,
            afterwards: Afterwards::PauseStream,
            breaker: BreakerEffect::None,
            next_step: "give the vendor's API user the right to read this object type, or turn the stream off",
        },
        FailureClass::Record => Disposition {
            tried_again: true,
            afterwards: Afterwards::Quarantine,
            breaker: BreakerEffect::None,
            next_step: "look at the record in the vendor's application; it is tried again by itself",
        },
        FailureClass::TokenRejected => Disposition {
            tried_again: false,
            afterwards: Afterwards::Resync,
            breaker: BreakerEffect::None,
            next_step: "nothing: everything is listed once, from a new token",
        },
    }
}

/// A vendor call that failed.
///
/// `cause` names status and kind, never a body, a query or a credential.
#[derive(Debug)]
pub struct SourceFailure {
    /// What it means.
    pub class: FailureClass,
    /// What happened, in words for a person.
    pub cause: String,
    /// The error below, if there is one.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl SourceFailure {
    /// A failure without an error below it.
    pub fn new(class: FailureClass, cause: impl Into<String>) -> Self {
        Self { class, cause: cause.into(), source: None }
    }

    /// A failure caused by another error.
    pub fn caused(class: FailureClass, cause: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self { class, cause: cause.into(), source: Some(Box::new(source)) }
    }
}

impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl Error for SourceFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| -> &(dyn Error + 'static) { source })
    }
}

/// A table or queue call of our own that failed, after the adapter's retries.
#[derive(Debug, Error)]
pub enum StoreFailure {
    /// Throttled, unreachable or failing: the same call may succeed later. It may also have taken effect.
    #[error("{operation} did not succeed; it is tried again at the next tick")]
    Unavailable {
        /// Which call.
        operation: &'static str,
        /// The error below.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The function's role does not allow it, or the table or queue does not exist.
    #[error("{operation} was refused; compare the deployed stack with its template (role, table and queue names)")]
    Denied {
        /// Which call.
        operation: &'static str,
        /// The error below.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The value does not fit into the store.
    #[error("{operation}: the value is too large ({bytes} bytes)")]
    Large {
        /// Which call.
        operation: &'static str,
        /// How large.
        bytes: usize,
    },
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
