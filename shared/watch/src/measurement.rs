//! Figures that are published.

use tidemark_engine::failure::StoreFailure;
use tidemark_engine::stream::SourceKind;

/// What is measured, by source alone: so the cost stays the same whatever the number of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MeasurementName {
    /// The stalest stream's staleness, in seconds; of a stream that is scanned, the time since its scan was due.
    Staleness,
    /// The largest lag, in seconds.
    Lag,
    /// Ids owed a fetch, of all streams.
    Backlog,
    /// Ids in quarantine that a person should hear of, of all streams.
    Quarantine,
    /// Streams whose quarantine asks for a person once more.
    Attention,
    /// Streams whose last sweep needs a person.
    SweepProblems,
    /// 1 for every time the watcher ran; its absence is an alarm.
    Heartbeat,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What it is.
    pub name: MeasurementName,
    /// Of which source; none for the heartbeat.
    pub source: Option<SourceKind>,
    /// The figure.
    pub value: f64,
}

/// Where the watcher's figures go.
pub trait Measurements {
    /// Publishes the figures, all of them or an error.
    ///
    /// # Errors
    /// Any [`StoreFailure`]; some figures may have been published.
    async fn publish(&self, measurements: &[Measurement]) -> Result<(), StoreFailure>;
}
