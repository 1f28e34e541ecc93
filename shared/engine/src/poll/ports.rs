//! A poller: its ports and its settings.

use crate::{ChangeQueue, Checkpoints, Ports};

use super::PollSettings;

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
