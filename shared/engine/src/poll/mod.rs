//! Use case 1, the poller: list what changed, owe it in the ledger, send it, and commit what is paid for.
//!
//! Section 5 of `docs/protocol.md`: take the stream (`lease`), read what is owed (`owed`), send what is due (`send`),
//! list (`ids`, `rows`, `feed`), put chunks (`owe`), move `scanned` (`clocks`) and `committed` in one write (`tick`),
//! go on with the backlog (`bulk`). A tick takes no input but the stream's name and never waits for fetching: the next
//! one is its retry.

mod bulk;
mod clocks;
mod feed;
mod ids;
mod lease;
mod list;
mod owe;
mod owed;
mod report;
mod rows;
mod send;
mod settings;
mod settled;
mod state;
mod tick;
mod walk;

use crate::{
    ChangeQueue, Checkpoints, Clock, Ledger, Notice, Ports, Slots, Source, StoreFailure, StreamKey, StreamName,
    StreamTraits, describe,
};
use {clocks::*, ids::*, owe::*, owed::*, state::*, walk::*};

pub use owe::{CHUNKS_AT_ONCE, Draft};
pub use report::{PollError, PollOutcome, PollReport};
pub use settings::{OVERLAP_MIN, PollSettings, TICK_MAX};

/// The ports that a poller needs.
pub trait PollerPorts: Ports {
    /// The checkpoints.
    fn checkpoints(&self) -> &impl Checkpoints;
    /// The change queue.
    fn queue(&self) -> &impl ChangeQueue;
}

/// The poller of one source.
pub struct Poller<P> {
    /// Its ports.
    pub ports: P,
    /// Its settings.
    pub settings: PollSettings,
}

impl<P: PollerPorts> Poller<P> {
    /// Does one tick of a stream; `owner` names the invocation and must be unique to it.
    ///
    /// # Errors
    /// [`PollError`] for an unknown stream or when the tables or the queue fail. A vendor's failure is an outcome.
    pub async fn poll(&self, stream: &StreamName, owner: &str) -> Result<PollReport, PollError> {
        let traits = self.traits_of(stream)?;
        if !self.settings.streams.contains(stream) {
            return Ok(PollReport::new(PollOutcome::TurnedOff));
        }
        let key = StreamKey { source: self.ports.source().kind(), name: stream.clone() };
        self.tick(&key, traits, owner).await.map_err(|failure| PollError::Store(key, failure))
    }

    /// The stream of this name.
    ///
    /// # Errors
    /// [`PollError::UnknownStream`].
    pub fn traits_of(&self, stream: &StreamName) -> Result<&StreamTraits, PollError> {
        let source = self.ports.source();
        source.streams().iter().find(|traits| traits.name == *stream).ok_or_else(|| {
            let known: Vec<_> = source.streams().iter().map(|traits| traits.name.as_str()).collect();
            PollError::UnknownStream(source.kind(), stream.clone(), known.join(", "))
        })
    }

    async fn tick(&self, key: &StreamKey, traits: &StreamTraits, owner: &str) -> Result<PollReport, StoreFailure> {
        let started_at = self.ports.clock().now();
        let source_state = self.ports.ledger().source_state(key.source).await?;
        if let Some(until) = source_state.breaker.open(started_at) {
            return Ok(PollReport::new(PollOutcome::BreakerOpen(until)));
        }
        if source_state.pause.as_ref().is_some_and(|pause| pause.is_on(started_at)) {
            return Ok(PollReport::new(PollOutcome::PausedByOperator));
        }
        let mut report = PollReport::new(PollOutcome::Quiet);
        let (leased, is_sole) = match self.lease(key, traits, owner, &mut report).await? {
            Ok(leased) => leased,
            Err(outcome) => return Ok(PollReport { outcome, ..report }),
        };
        let mut tick = Tick {
            poller: self,
            traits,
            lease_version: leased.version,
            checkpoint: leased,
            report,
            started_at,
            is_sole,
            put_count: 0,
            ahead_count: 0,
            slots: Slots::default(),
            in_hand: InHand::Nothing,
        };
        let outcome = match tick.work(&source_state).await {
            Ok(outcome) => outcome,
            Err(Halt::AccountChanged) => {
                tick.report.notices.insert(Notice::AccountChanged);
                PollOutcome::AccountChanged
            }
            Err(Halt::Source(failure)) => {
                tick.note_failure(&source_state, &failure).await?;
                PollOutcome::SourceFailed(failure.class, describe(&failure, key))
            }
            Err(Halt::Fenced) => return Ok(PollReport { outcome: PollOutcome::Fenced, ..tick.report }),
            Err(Halt::Store(failure)) => return Err(failure),
        };
        tick.release().await?;
        Ok(PollReport { outcome, ..tick.report })
    }
}
