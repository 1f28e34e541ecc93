//! The ports of the use cases on AWS: which adapter stands behind which port.

use tidemark_aws::clock::{SystemClock, SystemRandom};
use tidemark_aws::cloudwatch::MetricSink;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable, RecordTable, VersionTable};
use tidemark_aws::sqs::SqsQueue;
use tidemark_engine::fetch::FetcherPorts;
use tidemark_engine::poll::PollerPorts;
use tidemark_engine::ports::{ChangeQueue, Checkpoints, Clock, Ledger, Ports, Random, Records, Source, StoredVersions};
use tidemark_sweep::ports::{Shown, StoredSlices, SweepPorts, Sweeps};
use tidemark_watch::WatcherPorts;
use tidemark_watch::measurement::Measurements;

use crate::vendor::VendorSource;

macro_rules! ports {
    ($world:ty) => {
        impl Ports for $world {
            fn source(&self) -> &impl Source {
                &self.source
            }

            fn ledger(&self) -> &impl Ledger {
                &self.ledger
            }

            fn versions(&self) -> &impl StoredVersions {
                &self.versions
            }

            fn clock(&self) -> &impl Clock {
                &SystemClock
            }

            fn random(&self) -> &impl Random {
                &SystemRandom
            }
        }
    };
}

/// The ports that a poller needs, and its sweeps.
pub struct PollerWorld {
    /// The vendor.
    pub source: VendorSource,
    /// The checkpoints.
    pub checkpoints: CheckpointTable,
    /// The ledger.
    pub ledger: LedgerTable,
    /// Which versions of records are stored.
    pub versions: VersionTable<SystemClock>,
    /// The change queue.
    pub queue: SqsQueue<SystemClock>,
}

ports!(PollerWorld);

impl PollerPorts for PollerWorld {
    fn checkpoints(&self) -> &impl Checkpoints {
        &self.checkpoints
    }

    fn queue(&self) -> &impl ChangeQueue {
        &self.queue
    }
}

impl SweepPorts for PollerWorld {
    fn sweeps(&self) -> &impl Sweeps {
        &self.ledger
    }

    fn slices(&self) -> &impl StoredSlices {
        &self.versions
    }

    fn shown(&self) -> &impl Shown {
        &self.source
    }
}

/// The ports that a fetcher needs.
pub struct FetcherWorld {
    /// The vendor.
    pub source: VendorSource,
    /// The ledger.
    pub ledger: LedgerTable,
    /// The records.
    pub records: RecordTable<SystemClock>,
    /// Which versions of records are stored.
    pub versions: VersionTable<SystemClock>,
}

ports!(FetcherWorld);

impl FetcherPorts for FetcherWorld {
    fn records(&self) -> &impl Records {
        &self.records
    }
}

/// The ports that a watcher needs.
pub struct WatcherWorld {
    /// The checkpoints.
    pub checkpoints: CheckpointTable,
    /// The ledger.
    pub ledger: LedgerTable,
    /// Where the metrics go.
    pub measurements: MetricSink,
}

impl WatcherPorts for WatcherWorld {
    fn checkpoints(&self) -> &impl Checkpoints {
        &self.checkpoints
    }

    fn ledger(&self) -> &(impl Ledger + Sweeps) {
        &self.ledger
    }

    fn measurements(&self) -> &impl Measurements {
        &self.measurements
    }

    fn clock(&self) -> &impl Clock {
        &SystemClock
    }
}
