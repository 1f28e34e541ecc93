//! A fetcher: its ports and its settings.

use std::time::Duration;

use crate::{Clock, Ledger, Random, Records, Source, StoredVersions, calls_in};

/// The ports that a fetcher needs.
pub trait FetcherPorts {
    /// The vendor.
    type Source: Source;
    /// The ledger.
    type Ledger: Ledger;
    /// The records.
    type Records: Records;
    /// The stored versions.
    type Versions: StoredVersions;
    /// The clock.
    type Clock: Clock;
    /// Chance.
    type Random: Random;

    /// The vendor.
    fn source(&self) -> &Self::Source;
    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;
    /// The records.
    fn records(&self) -> &Self::Records;
    /// The stored versions.
    fn versions(&self) -> &Self::Versions;
    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// Chance.
    fn random(&self) -> &Self::Random;
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
