//! The ports of the three use cases on AWS: which adapter stands behind which port.

use tidemark_aws::clock::{SystemClock, SystemRandom};
use tidemark_aws::cloudwatch::MetricSink;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable, RecordTable, VersionTable};
use tidemark_aws::sqs::SqsQueue;
use tidemark_engine::fetch::FetcherPorts;
use tidemark_engine::poll::PollerPorts;
use tidemark_engine::watch::WatcherPorts;

use crate::vendor::VendorSource;

/// The ports that a poller needs.
pub struct PollerWorld {
    /// The vendor.
    pub source: VendorSource,
    /// The checkpoints.
    pub checkpoints: CheckpointTable,
    /// The ledger.
    pub ledger: LedgerTable<SystemClock>,
    /// Which versions of records are stored.
    pub versions: VersionTable<SystemClock>,
    /// The change queue.
    pub queue: SqsQueue<SystemClock>,
}

impl PollerPorts for PollerWorld {
    type Source = VendorSource;
    type Checkpoints = CheckpointTable;
    type Ledger = LedgerTable<SystemClock>;
    type Versions = VersionTable<SystemClock>;
    type Queue = SqsQueue<SystemClock>;
    type Clock = SystemClock;
    type Random = SystemRandom;

    fn source(&self) -> &Self::Source {
        &self.source
    }

    fn checkpoints(&self) -> &Self::Checkpoints {
        &self.checkpoints
    }

    fn ledger(&self) -> &Self::Ledger {
        &self.ledger
    }

    fn versions(&self) -> &Self::Versions {
        &self.versions
    }

    fn queue(&self) -> &Self::Queue {
        &self.queue
    }

    fn clock(&self) -> &Self::Clock {
        &SystemClock
    }

    fn random(&self) -> &Self::Random {
        &SystemRandom
    }
}

/// The ports that a fetcher needs.
pub struct FetcherWorld {
    /// The vendor.
    pub source: VendorSource,
    /// The ledger.
    pub ledger: LedgerTable<SystemClock>,
    /// The records.
    pub records: RecordTable<SystemClock>,
    /// Which versions of records are stored.
    pub versions: VersionTable<SystemClock>,
}

impl FetcherPorts for FetcherWorld {
    type Source = VendorSource;
    type Ledger = LedgerTable<SystemClock>;
    type Records = RecordTable<SystemClock>;
    type Versions = VersionTable<SystemClock>;
    type Clock = SystemClock;
    type Random = SystemRandom;

    fn source(&self) -> &Self::Source {
        &self.source
    }

    fn ledger(&self) -> &Self::Ledger {
        &self.ledger
    }

    fn records(&self) -> &Self::Records {
        &self.records
    }

    fn versions(&self) -> &Self::Versions {
        &self.versions
    }

    fn clock(&self) -> &Self::Clock {
        &SystemClock
    }

    fn random(&self) -> &Self::Random {
        &SystemRandom
    }
}

/// The ports that a watcher needs.
pub struct WatcherWorld {
    /// The checkpoints.
    pub checkpoints: CheckpointTable,
    /// The ledger.
    pub ledger: LedgerTable<SystemClock>,
    /// Where the metrics go.
    pub measurements: MetricSink,
}

impl WatcherPorts for WatcherWorld {
    type Checkpoints = CheckpointTable;
    type Ledger = LedgerTable<SystemClock>;
    type Measurements = MetricSink;
    type Clock = SystemClock;

    fn checkpoints(&self) -> &Self::Checkpoints {
        &self.checkpoints
    }

    fn ledger(&self) -> &Self::Ledger {
        &self.ledger
    }

    fn measurements(&self) -> &Self::Measurements {
        &self.measurements
    }

    fn clock(&self) -> &Self::Clock {
        &SystemClock
    }
}
