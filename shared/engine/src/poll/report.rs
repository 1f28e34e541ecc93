//! What a tick did.

use std::collections::BTreeSet;

use strum::{IntoStaticStr, VariantNames};
use thiserror::Error;

use crate::{FailureClass, LocalMillis, Notice, Position, SourceKind, StoreFailure, StreamKey, StreamName};

/// How a tick ended.
#[derive(Debug, Default, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PollOutcome {
    /// The stream is turned off.
    TurnedOff,
    /// Another poller owns the stream; this one did nothing.
    LeaseBusy,
    /// Another poller took over while this one worked.
    Fenced,
    /// The account or its settings are not those of the checkpoint; nothing is called until a person decides.
    AccountChanged,
    /// Nobody calls the source until then.
    BreakerOpen(LocalMillis),
    /// The vendor refuses this stream; it is asked again then.
    Paused(LocalMillis),
    /// A person has paused the stream or the source.
    PausedByOperator,
    /// Too many ids are in quarantine: nothing new is listed until they drain.
    Frozen,
    /// The list was read; nothing is owed.
    #[default]
    Quiet,
    /// The list was read; ids are owed a fetch.
    Owing,
    /// The list was read, and a big listing goes on at the next tick.
    Importing,
    /// The list could not be read whole; it is read again at the next tick.
    Unlisted,
    /// The vendor failed, for this cause, which says what a person can do; the next tick tries again.
    SourceFailed(FailureClass, String),
}

/// What a tick did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PollReport {
    /// How it ended.
    pub outcome: PollOutcome,
    /// Vendor calls made.
    pub calls_count: u32,
    /// Changes listed.
    pub listed_count: usize,
    /// Listed changes that are not owed a fetch, because what is stored is as new.
    pub unchanged_count: usize,
    /// Ids put into the ledger.
    pub owed_count: usize,
    /// Messages sent, first or again.
    pub sent_count: usize,
    /// Where `committed` was moved to, if it was.
    pub committed: Option<Position>,
    /// What it noticed.
    pub notices: BTreeSet<Notice>,
}

impl PollReport {
    pub(super) fn new(outcome: PollOutcome) -> Self {
        Self { outcome, ..Self::default() }
    }
}

/// A tick that could not do its work. Nothing is lost: checkpoint and ledger are as the last write left them.
#[derive(Debug, Error)]
pub enum PollError {
    /// There is no such stream.
    #[error("source {0} has no stream {1}; it has {2}. Correct the schedule's input")]
    UnknownStream(SourceKind, StreamName, String),
    /// A table or the queue failed.
    #[error("stream {0}: {1}")]
    Store(StreamKey, #[source] StoreFailure),
}
