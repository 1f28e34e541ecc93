//! A tick under way: the state in hand, and the one way in which it is written.

use std::time::Duration;

use super::{PollReport, Poller, PollerPorts, TICK_MAX, Walk};
use crate::{
    Change, Checkpoint, Clock, LEASE, LocalMillis, Position, Slots, SourceFailure, StoreFailure, StreamTraits, commit,
};

/// After how much of a lease a working poller renews it.
const LEASE_RENEWAL: Duration = Duration::from_mins(1);

/// Why a tick stops early.
#[derive(Debug)]
pub(super) enum Halt {
    Fenced,
    /// The credential belongs to another account than the one that the tick began with.
    AccountChanged,
    Source(SourceFailure),
    Store(StoreFailure),
}

impl From<StoreFailure> for Halt {
    fn from(failure: StoreFailure) -> Self {
        Self::Store(failure)
    }
}

/// A tick under way. `checkpoint` is the stored state; what is changed in it is written by the next [`Tick::store`].
pub(super) struct Tick<'a, P: PollerPorts> {
    pub(super) poller: &'a Poller<P>,
    pub(super) traits: &'a StreamTraits,
    pub(super) checkpoint: Checkpoint,
    pub(super) report: PollReport,
    pub(super) started_at: LocalMillis,
    /// The version that the lease wrote, and how many chunks were put: the keys of this tick's chunks.
    pub(super) lease_version: i64,
    pub(super) put_count: u32,
    /// Ids that were sent and are not finished, as far as this tick knows: what a further message waits behind.
    pub(super) ahead_count: usize,
    /// Slots on the schedule of calls that are taken and not used yet.
    pub(super) slots: Slots,
    pub(super) in_hand: InHand,
    pub(super) renewed_at: LocalMillis,
}

/// What a listing came to.
pub(super) struct Listed {
    /// Where `scanned` moves to; nothing when the list could not be read whole.
    pub(super) scanned: Option<Position>,
    /// Local start of its first call.
    pub(super) begun_at: LocalMillis,
    /// Whether ids were put into the fresh lane.
    pub(super) found: bool,
    /// Whether all that there is was listed, or handed over.
    pub(super) is_whole: bool,
}

/// What this tick's own listing has listed and not put yet, so that it need not be listed again.
#[derive(Default)]
pub(super) enum InHand {
    #[default]
    Nothing,
    /// Ids above the cursor, in order.
    Ids {
        rest: Vec<Change>,
        listed_at: LocalMillis,
    },
    Walk(Box<Walk>),
}

impl Listed {
    pub(super) fn nothing(begun_at: LocalMillis) -> Self {
        Self { scanned: None, begun_at, found: false, is_whole: true }
    }
}

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) fn now(&self) -> LocalMillis {
        self.poller.ports.clock().now()
    }

    /// When this tick leaves the rest to the next one, which must find the lease free.
    pub(super) fn stop_at(&self) -> LocalMillis {
        self.started_at.plus((self.poller.settings.poll_interval / 2).min(TICK_MAX))
    }

    /// Writes the next state; the lease runs on.
    pub(super) async fn store(&mut self, next: Checkpoint) -> Result<(), Halt> {
        let now = self.now();
        self.write(next, now.plus(LEASE)).await?;
        self.renewed_at = now;
        Ok(())
    }

    /// Writes the last state of this tick, which frees the stream.
    pub(super) async fn store_last(&mut self, next: Checkpoint) -> Result<(), Halt> {
        self.write(next, LocalMillis::default()).await
    }

    async fn write(&mut self, mut next: Checkpoint, lease_until: LocalMillis) -> Result<(), Halt> {
        next.version = self.checkpoint.version + 1;
        next.lease_until = lease_until;
        if !commit::write(self.poller.ports.checkpoints(), &next).await? {
            return Err(Halt::Fenced);
        }
        self.checkpoint = next;
        Ok(())
    }

    /// Renews the lease, after another answer of a long listing, when a good part of it is gone.
    pub(super) async fn renew(&mut self) -> Result<(), Halt> {
        if self.now().since(self.renewed_at) < LEASE_RENEWAL {
            return Ok(());
        }
        self.store(self.checkpoint.clone()).await
    }

    /// Frees the stream, where the last write did not; that another poller took over meanwhile is no failure.
    pub(super) async fn release(&mut self) -> Result<(), StoreFailure> {
        if self.checkpoint.lease_until == LocalMillis::default() {
            return Ok(());
        }
        match self.store_last(self.checkpoint.clone()).await {
            Err(Halt::Store(failure)) => Err(failure),
            Ok(()) | Err(Halt::Fenced | Halt::AccountChanged | Halt::Source(_)) => Ok(()),
        }
    }
}
