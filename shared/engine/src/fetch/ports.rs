//! A fetcher: its ports and its settings.

use std::time::Duration;

use crate::{Ports, Records, calls_in};

/// The ports that a fetcher needs.
pub trait FetcherPorts: Ports {
    /// The records.
    fn records(&self) -> &impl Records;
}

/// The fetcher of one source.
pub struct Fetcher<P> {
    /// Its ports.
    pub ports: P,
    /// The time between two calls that the vendor is asked for.
    pub call_interval: Duration,
}

impl<P: FetcherPorts> Fetcher<P> {
    /// How many calls have room in `span`, one at least.
    pub(super) fn calls_within(&self, span: Duration) -> usize {
        calls_in(span, self.call_interval)
    }
}
