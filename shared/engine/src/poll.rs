//! Use case 1, the poller: list what changed, write it to the ledger, send it, and commit what is finished.
//!
//! A tick takes no input but the stream's name, and finds out from the checkpoint what there is to do: so a tick that
//! comes twice, late, or after a crash does the right thing, and the next tick is the retry of this one. In order:
//!
//! 1. take the lease ([`Acquired`]), or leave;
//! 2. send quarantined ids whose time has come (`retry`);
//! 3. walk the open run's chunks from its frontier, send again what was left over, and commit when all is stored
//!    (`walk`, `commit`);
//! 4. list (`whole`, `pages`, `feed`), write chunks and have them accepted (`accept`), send them (`dispatch`).
//!
//! Ways to get this wrong: committing what was merely sent; committing past the horizon, the start of the run's first
//! list call; stamping a row with the time at which it was processed; believing a refused conditional write without
//! reading back; calling an abort progress.

mod accept;
mod clocks;
mod commit;
mod dispatch;
mod feed;
mod list;
mod pages;
mod retry;
mod settled;
mod tick;
mod walk;
mod whole;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::breaker::BreakerState;
use crate::checkpoint::{LEASE, Position};
use crate::failure::{FailureClass, StoreFailure, disposition};
use crate::ports::{Acquired, ChangeQueue, Checkpoints, Clock, Ledger, Random, Source, StoredVersions, Written};
use crate::quarantine::PoisonPolicy;
use crate::stamp::UtcMillis;
use crate::stream::{StreamKey, StreamName, StreamTraits};
use tick::{Halt, Tick};

/// How long a tick goes on listing before it leaves the rest to the next one.
pub const LISTING_MAX: Duration = Duration::from_mins(13);

/// The world of a poller.
pub trait PollerPorts {
    /// The vendor.
    type Source: Source;
    /// The checkpoints.
    type Checkpoints: Checkpoints;
    /// The ledger.
    type Ledger: Ledger;
    /// The stored versions.
    type Versions: StoredVersions;
    /// The change queue.
    type Queue: ChangeQueue;
    /// The clock.
    type Clock: Clock;
    /// Chance.
    type Random: Random;

    /// The vendor.
    fn source(&self) -> &Self::Source;
    /// The checkpoints.
    fn checkpoints(&self) -> &Self::Checkpoints;
    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;
    /// The stored versions.
    fn versions(&self) -> &Self::Versions;
    /// The change queue.
    fn queue(&self) -> &Self::Queue;
    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// Chance.
    fn random(&self) -> &Self::Random;
}

/// What an operator decides for the poller of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollSettings {
    /// How far below `scanned` a list starts again; see [`OVERLAP_MIN`].
    pub overlap: Duration,
    /// What a quarantined id does to the checkpoint.
    pub poison_policy: PoisonPolicy,
    /// The time between two calls that the vendor is asked for.
    pub call_interval: Duration,
    /// The queue's visibility timeout.
    pub visibility_timeout: Duration,
    /// The streams that are turned on.
    pub streams: Vec<StreamName>,
    /// How many ids make a chunk: [`crate::chunk::CHUNK_IDS`], fewer where a short history is to have many chunks.
    pub chunk_ids: u32,
}

/// The smallest overlap that loses nothing: 30 s until an edit shows in lists, 1 s of stamp resolution, 10 s of clock.
pub const OVERLAP_MIN: Duration = Duration::from_secs(41);

/// The poller of one source.
pub struct Poller<P> {
    /// Its world.
    pub ports: P,
    /// Its settings.
    pub settings: PollSettings,
}

/// How a tick ended.
#[derive(Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// The stream is turned off.
    TurnedOff,
    /// Another poller owns the stream; this one did nothing.
    LeaseBusy,
    /// Another poller took over while this one worked; nothing of it counts that was not written before.
    Fenced,
    /// The source is left alone until then.
    BreakerOpen(UtcMillis),
    /// The vendor refuses this stream; it is asked again then.
    Paused(UtcMillis),
    /// Too many ids are in quarantine: nothing new is listed until they drain.
    Frozen,
    /// Nothing new.
    Quiet,
    /// The listing goes on at the next tick.
    Listing,
    /// A run waits for ids to be stored.
    Waiting,
    /// The run was given up and is listed anew at the next tick.
    Aborted,
    /// The vendor failed; the checkpoint stays, and the next tick tries again.
    SourceFailed {
        /// What the failure means.
        class: FailureClass,
        /// What happened, and what a person can do.
        cause: String,
    },
}

/// Something a tick or a fetch noticed that is no failure of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The stream had no checkpoint: its first import begins.
    FirstImport,
    /// Ids were quarantined.
    Quarantined {
        /// How many.
        count: usize,
    },
    /// The local and the vendor's clock are more than five minutes apart.
    ClockDoubt {
        /// Vendor's less local time, in milliseconds.
        offset_ms: i64,
    },
    /// The vendor's answer had no Date: its clock is guessed from the local one.
    DateMissing,
    /// Stamps do not agree with the vendor's clock: probably a wrong time zone in the settings.
    ZoneDoubt {
        /// How far the newest stamp is behind the vendor's clock, in milliseconds.
        behind_ms: i64,
    },
    /// Records of a stream that should bear stamps bore none.
    StampsMissing {
        /// How many.
        count: usize,
    },
    /// A stamp lies in the future.
    FutureStamp {
        /// How far ahead of the vendor's clock, in milliseconds.
        ahead_ms: i64,
    },
    /// So many records of one chunk seemed gone that nothing was marked deleted; everything is listed anew.
    TombstonesWithheld {
        /// How many.
        count: u32,
    },
    /// A chunk that was accepted is missing, or its rows were lost; the run is listed anew.
    ChunkLost,
    /// The list moved too much to be read whole; the run is listed anew.
    ListMoving,
    /// The list held entries without a usable id, which can be neither fetched nor stored.
    UnusableIds {
        /// How many.
        count: usize,
    },
    /// The feed's token was rejected: everything is listed once from a new one.
    Resync,
    /// The vendor refuses the stream.
    StreamPaused,
    /// More ids are in quarantine than a stream may have.
    QuarantineFull {
        /// How many.
        count: usize,
    },
    /// The source was left alone after failures.
    BreakerOpened,
    /// The vendor rejected the credential, also after it was read anew.
    CredentialRejected,
}

impl Notice {
    /// Whether a person has to look at it.
    pub fn needs_attention(&self) -> bool {
        match self {
            Self::ClockDoubt { .. }
            | Self::ZoneDoubt { .. }
            | Self::StampsMissing { .. }
            | Self::FutureStamp { .. }
            | Self::TombstonesWithheld { .. }
            | Self::ChunkLost
            | Self::ListMoving
            | Self::UnusableIds { .. }
            | Self::Resync
            | Self::StreamPaused
            | Self::CredentialRejected
            | Self::QuarantineFull { .. } => true,
            // Quarantine and staleness have metrics of their own; the others are news, not trouble.
            Self::FirstImport | Self::Quarantined { .. } | Self::DateMissing | Self::BreakerOpened => false,
        }
    }
}

/// What a tick did.
#[derive(Debug, PartialEq, Eq)]
pub struct PollReport {
    /// How it ended.
    pub outcome: PollOutcome,
    /// The run it worked on, if any.
    pub run_id: Option<String>,
    /// Vendor calls made.
    pub calls_count: u32,
    /// Changes listed.
    pub listed_count: usize,
    /// Listed changes left alone, because what is stored is as new.
    pub unchanged_count: usize,
    /// Ids accepted into the ledger.
    pub accepted_count: usize,
    /// Messages sent, first or again.
    pub sent_count: usize,
    /// Ids still pending in the run.
    pub pending_count: u64,
    /// Where the checkpoint was moved to, if it was.
    pub committed: Option<Position>,
    /// What it noticed.
    pub notices: Vec<Notice>,
}

impl PollReport {
    fn new(outcome: PollOutcome) -> Self {
        Self {
            outcome,
            run_id: None,
            calls_count: 0,
            listed_count: 0,
            unchanged_count: 0,
            accepted_count: 0,
            sent_count: 0,
            pending_count: 0,
            committed: None,
            notices: Vec::new(),
        }
    }
}

/// A tick that could not do its work. Nothing is lost: checkpoint and ledger are as the last write left them.
#[derive(Debug, Error)]
pub enum PollError {
    /// There is no such stream.
    #[error("source {source_name} has no stream {stream}; it has {known}. Correct the schedule's input")]
    UnknownStream {
        /// The source.
        source_name: &'static str,
        /// What was asked for.
        stream: StreamName,
        /// What there is.
        known: String,
    },
    /// A table or the queue failed.
    #[error("stream {stream}: {failure}")]
    Store {
        /// The stream.
        stream: StreamKey,
        /// The failure.
        #[source]
        failure: StoreFailure,
    },
}

impl<P: PollerPorts> Poller<P> {
    /// Does one tick of a stream; `owner` names the invocation and must be unique to it.
    ///
    /// # Errors
    /// [`PollError`] for an unknown stream or when our own tables or queue fail. A vendor's failure is an outcome.
    pub async fn poll(&self, stream: &StreamName, owner: &str) -> Result<PollReport, PollError> {
        let traits = self.traits_of(stream)?;
        if !self.settings.streams.contains(stream) {
            return Ok(PollReport::new(PollOutcome::TurnedOff));
        }
        let key = StreamKey { source: self.ports.source().kind(), name: stream.clone() };
        let failed = |failure| PollError::Store { stream: key.clone(), failure };
        self.tick(&key, traits, owner).await.map_err(failed)
    }

    fn traits_of(&self, stream: &StreamName) -> Result<&StreamTraits, PollError> {
        let source = self.ports.source();
        source.streams().iter().find(|traits| traits.name == *stream).ok_or_else(|| PollError::UnknownStream {
            source_name: source.kind().as_str(),
            stream: stream.clone(),
            known: source.streams().iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    async fn tick(&self, key: &StreamKey, traits: &StreamTraits, owner: &str) -> Result<PollReport, StoreFailure> {
        let started_at = self.ports.clock().now();
        let state = self.ports.ledger().source_state(key.source).await?;
        if let BreakerState::Open(until) = state.breaker.state(started_at) {
            return Ok(PollReport::new(PollOutcome::BreakerOpen(until)));
        }
        if let Some(pause) = state.paused(&key.name, started_at) {
            return Ok(PollReport::new(PollOutcome::Paused(pause.until)));
        }
        let Some((checkpoint, is_first)) = self.acquire(key, traits, owner).await? else {
            return Ok(PollReport::new(PollOutcome::LeaseBusy));
        };
        let mut tick = Tick::new(self, traits, state, checkpoint, started_at);
        if is_first {
            tick.report.notices.push(Notice::FirstImport);
        }
        match tick.work().await {
            Ok(outcome) => tick.report.outcome = outcome,
            Err(Halt::Fenced) => tick.report.outcome = PollOutcome::Fenced,
            Err(Halt::Aborted) => tick.report.outcome = PollOutcome::Aborted,
            Err(Halt::Source { failure, tries }) => {
                tick.note_source_failure(&failure, tries).await?;
                tick.release().await?;
                tick.report.outcome =
                    PollOutcome::SourceFailed { class: failure.class, cause: describe(&failure, key) };
            }
            Err(Halt::Store(failure)) => return Err(failure),
        }
        Ok(tick.report)
    }

    /// Takes the lease, creating the stream's state if there is none (E0, E1). None when another poller owns it.
    async fn acquire(
        &self,
        key: &StreamKey,
        traits: &StreamTraits,
        owner: &str,
    ) -> Result<Option<(crate::checkpoint::Checkpoint, bool)>, StoreFailure> {
        let checkpoints = self.ports.checkpoints();
        let mut is_first = false;
        // At most twice: after E0 the state is there, whoever created it.
        for _ in 0..2 {
            let now = self.ports.clock().now();
            match checkpoints.acquire(key, owner, now, now.plus(LEASE)).await? {
                Acquired::Held(checkpoint) => return Ok(Some((*checkpoint, is_first))),
                Acquired::Busy(_) => return Ok(None),
                Acquired::Missing => {
                    is_first = checkpoints.create(key, &traits.first).await? == Written::Applied;
                }
            }
        }
        Ok(None)
    }
}

/// The failure for a person: source, stream, cause with its causes, next step.
pub(crate) fn describe(failure: &crate::failure::SourceFailure, key: &StreamKey) -> String {
    struct Chain<'a>(&'a (dyn Error + 'static));
    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)?;
            let mut below = self.0.source();
            while let Some(error) = below {
                write!(f, ": {error}")?;
                below = error.source();
            }
            Ok(())
        }
    }
    let next_step = disposition(failure.class).next_step;
    format!("source {}, stream {}: {}; next: {next_step}", key.source, key.name, Chain(failure))
}
