//! The watcher's metrics on CloudWatch.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::measurement::{Measurement, MeasurementName};
use tidemark_engine::ports::Measurements;

use crate::client::Sdk;
use crate::errors::AwsError;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Tidemark";

/// The only dimension: with one per stream the cost would grow with the streams.
const DIMENSION: &str = "Source";

/// The most values in one call.
///
/// Source: Amazon CloudWatch API Reference, `PutMetricData` (read 2026-11-21).
const BATCH_FIGURES: usize = 1_000;

/// Metrics in the namespace [`NAMESPACE`].
///
/// | metric | unit | dimension |
/// |---|---|---|
/// | `StalenessSeconds`, `LagSeconds` | seconds | `Source` |
/// | `BacklogCount`, `QuarantineCount` | count | `Source` |
/// | `Heartbeat` | count | none |
///
/// A value that arrives twice counts twice in sums; alarms use maxima.
#[derive(Clone, Debug)]
pub struct MetricSink {
    client: Client,
}

impl MetricSink {
    /// The metrics of the account and region that `sdk` speaks to.
    pub fn new(sdk: &Sdk) -> Self {
        Self { client: sdk.cloudwatch() }
    }
}

impl Measurements for MetricSink {
    async fn publish(&self, measurements: &[Measurement]) -> Result<(), StoreFailure> {
        for batch in measurements.chunks(BATCH_FIGURES) {
            let figures = batch.iter().map(datum).collect();
            let sent = self.client.put_metric_data().namespace(NAMESPACE).set_metric_data(Some(figures)).send().await;
            sent.map_err(|error| AwsError::of(error).store_failure("publish the figures"))?;
        }
        Ok(())
    }
}

fn datum(measurement: &Measurement) -> MetricDatum {
    let (name, unit) = name_and_unit(measurement.name);
    let source = measurement.source.map(|source| Dimension::builder().name(DIMENSION).value(source.as_str()).build());
    MetricDatum::builder()
        .metric_name(name)
        .unit(unit)
        .value(measurement.value)
        .set_dimensions(source.map(|source| vec![source]))
        .build()
}

fn name_and_unit(name: MeasurementName) -> (&'static str, StandardUnit) {
    match name {
        MeasurementName::Staleness => ("StalenessSeconds", StandardUnit::Seconds),
        MeasurementName::Lag => ("LagSeconds", StandardUnit::Seconds),
        MeasurementName::Backlog => ("BacklogCount", StandardUnit::Count),
        MeasurementName::Quarantine => ("QuarantineCount", StandardUnit::Count),
        MeasurementName::Heartbeat => ("Heartbeat", StandardUnit::Count),
    }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::stream::SourceKind;

    use super::*;

    #[test]
    fn figures_carry_their_source_and_nothing_else() {
        let source = Some(SourceKind::FieldMotion);
        let lag = datum(&Measurement { name: MeasurementName::Lag, source, value: 12.5 });
        assert_eq!(
            (lag.metric_name(), lag.value(), lag.unit()),
            (Some("LagSeconds"), Some(12.5), Some(&StandardUnit::Seconds))
        );
        let dimensions: Vec<_> = lag.dimensions().iter().map(|one| (one.name(), one.value())).collect();
        assert_eq!(dimensions, [(Some("Source"), Some("fieldmotion"))]);

        let heartbeat = datum(&Measurement { name: MeasurementName::Heartbeat, source: None, value: 1.0 });
        assert!(heartbeat.dimensions().is_empty());
    }
}
