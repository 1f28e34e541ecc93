//! A tick under way: the state in hand, and the one way in which it is written.

use std::time::Duration;

use derive_more::From;

use super::{PollReport, Poller, PollerPorts, TICK_MAX, Walk};
use crate::{
    Change, Checkpoint, Clock, Cursor, LEASE, LocalMillis, Position, Slots, SourceFailure, StampMillis, StoreFailure,
    StreamTraits, commit,
};

/// How much of its lease a working poller leaves before it renews it.
const LEASE_LEFT: Duration = Duration::from_mins(2);

/// Why a tick stops early.
#[derive(Debug, From)]
pub(super) enum Halt {
    Fenced,
    /// The credential belongs to another account than the one that the tick began with.
    AccountChanged,
    #[from]
    Source(SourceFailure),
    #[from]
    Store(StoreFailure),
}

/// A tick under way. `checkpoint` is the stored state; what is changed in it is written by the next [`Tick::store`].
pub(super) struct Tick<'a, P: PollerPorts> {
    pub(super) poller: &'a Poller<P>,
    pub(super) traits: &'a StreamTraits,
    pub(super) checkpoint: Checkpoint,
    pub(super) report: PollReport,
    pub(super) started_at: LocalMillis,
    /// Whether no poller whose lease ran out can still put what it listed: the stream was found free.
    pub(super) is_sole: bool,
    /// The version that the lease wrote, and how many chunks were put: the keys of this tick's chunks.
    pub(super) lease_version: i64,
    pub(super) put_count: u32,
    /// Ids that were sent and are not finished, as far as this tick knows: what a further message waits behind.
    pub(super) ahead_count: usize,
    /// Slots on the schedule of calls that are taken and not used yet.
    pub(super) slots: Slots,
    pub(super) in_hand: InHand,
}

/// What a listing came to.
pub(super) struct Listed {
    /// Where `scanned` moves to; nothing when the list could not be read whole.
    pub(super) scanned: Option<Position>,
    /// Local start of its first call.
    pub(super) begun_at: LocalMillis,
    /// Whether all that there is was listed, or handed over.
    pub(super) is_whole: bool,
}

/// What this tick's own listing has listed and not put yet, so that it need not be listed again.
#[derive(Default)]
pub(super) enum InHand {
    #[default]
    Nothing,
    /// Ids above the cursor, in order, and when they were listed.
    Ids(Vec<Change>, LocalMillis),
    Walk(Box<Walk>),
}

/// How far a listing went.
pub(super) enum Went {
    Whole,
    /// There is more, from here on.
    On(Cursor),
    /// It goes on as a list from this stamp.
    From(StampMillis),
    /// Nothing more of it can be read or put now; it goes on here.
    Waits(Cursor),
}

impl Listed {
    pub(super) fn nothing(begun_at: LocalMillis) -> Self {
        Self { scanned: None, begun_at, is_whole: true }
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
        self.write(next, self.now().plus(LEASE)).await
    }

    /// Writes the last state of this tick, which frees the stream. A lease that is over, and not free, says that one before
    /// ran out, and that not all that it may have listed was listed again.
    pub(super) async fn store_last(&mut self, next: Checkpoint) -> Result<(), Halt> {
        let over = if self.is_sole { LocalMillis::default() } else { self.now() };
        self.write(next, over).await
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
        if self.checkpoint.lease_until.since(self.now()) > LEASE_LEFT {
            return Ok(());
        }
        self.store(self.checkpoint.clone()).await
    }

    /// Frees the stream, where the last write did not; that another poller took over meanwhile is no failure.
    pub(super) async fn release(&mut self) -> Result<(), StoreFailure> {
        if self.checkpoint.lease_until <= self.now() {
            return Ok(());
        }
        match self.store_last(self.checkpoint.clone()).await {
            Err(Halt::Store(failure)) => Err(failure),
            Ok(()) | Err(Halt::Fenced | Halt::AccountChanged | Halt::Source(_)) => Ok(()),
        }
    }
}
