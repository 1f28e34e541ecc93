//! A poller: its ports and its settings.

use super::PollSettings;
use crate::{ChangeQueue, Checkpoints, Clock, Ledger, Random, Source, StoredVersions};

/// The ports that a poller needs.
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

/// The poller of one source.
pub struct Poller<P> {
    /// Its ports.
    pub ports: P,
    /// Its settings.
    pub settings: PollSettings,
}
