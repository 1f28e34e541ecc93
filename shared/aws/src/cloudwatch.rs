//! The watcher's metrics on CloudWatch.

use std::iter;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use tidemark_engine::failure::StoreFailure;
use tidemark_watch::measurement::{Measurement, MeasurementName, Measurements};

use crate::client::Sdk;
use crate::errors::AwsError;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Tidemark";

/// The dimension of every metric: the deployment it belongs to, because an account may hold several.
pub const STACK_DIMENSION: &str = "Stack";

/// The dimension of a source's metrics. There is none for a stream: the cost would grow with their number.
pub const SOURCE_DIMENSION: &str = "Source";

/// The most values in one call.
///
/// Source: Amazon CloudWatch API Reference, `PutMetricData` (read 2026-11-21).
const BATCH_FIGURES: usize = 1_000;

/// Metrics in the namespace [`NAMESPACE`].
///
/// | metric | unit | dimensions |
/// |---|---|---|
/// | `StalenessSeconds`, `LagSeconds` | seconds | `Stack`, `Source` |
/// | `BacklogCount`, `QuarantineCount`, `AttentionCount`, `SweepProblems` | count | `Stack`, `Source` |
/// | `Heartbeat` | count | `Stack` |
///
/// A value that arrives twice counts twice in sums; alarms use maxima.
#[derive(Clone, Debug)]
pub struct MetricSink {
    client: Client,
    stack: String,
}

impl MetricSink {
    /// The metrics of the deployment `stack` in the account and region that `sdk` speaks to.
    pub fn new(sdk: &Sdk, stack: impl Into<String>) -> Self {
        Self { client: sdk.cloudwatch(), stack: stack.into() }
    }
}

impl Measurements for MetricSink {
    async fn publish(&self, measurements: &[Measurement]) -> Result<(), StoreFailure> {
        for batch in measurements.chunks(BATCH_FIGURES) {
            let figures = batch.iter().map(|one| datum(&self.stack, one)).collect();
            let sent = self.client.put_metric_data().namespace(NAMESPACE).set_metric_data(Some(figures)).send().await;
            sent.map_err(|error| AwsError::of(error).store_failure("publish the figures"))?;
        }
        Ok(())
    }
}

/// An alarm of a deployment.
#[cfg(feature = "operator")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// Whether it rings.
    pub is_ringing: bool,
    /// Whether its topic gets a message then.
    pub is_on: bool,
}

/// The alarms on metrics whose names begin so. A composite one rings only along with one of these.
///
/// # Errors
/// [`StoreFailure`] when CloudWatch refuses the call or cannot be reached.
#[cfg(feature = "operator")]
pub async fn alarms(sdk: &Sdk, prefix: &str) -> Result<Vec<Alarm>, StoreFailure> {
    let mut pages = sdk.cloudwatch().describe_alarms().alarm_name_prefix(prefix).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| AwsError::of(error).store_failure("read the alarms"))?;
        let metric = page.metric_alarms.unwrap_or_default().into_iter();
        let metric = metric.map(|alarm| (alarm.alarm_name, alarm.state_value, alarm.actions_enabled));
        found.extend(metric.map(|(name, state, actions)| Alarm {
            name: name.unwrap_or_default(),
            is_ringing: state.is_some_and(|state| state.as_str() == "ALARM"),
            is_on: actions.unwrap_or_default(),
        }));
    }
    Ok(found)
}

fn datum(stack: &str, measurement: &Measurement) -> MetricDatum {
    let (name, unit) = name_and_unit(measurement.name);
    let dimension = |name, value: &str| Dimension::builder().name(name).value(value).build();
    let source = measurement.source.map(|source| dimension(SOURCE_DIMENSION, source.as_str()));
    let dimensions = iter::once(dimension(STACK_DIMENSION, stack)).chain(source);
    MetricDatum::builder()
        .metric_name(name)
        .unit(unit)
        .value(measurement.value)
        .set_dimensions(Some(dimensions.collect()))
        .build()
}

fn name_and_unit(name: MeasurementName) -> (&'static str, StandardUnit) {
    match name {
        MeasurementName::Staleness => ("StalenessSeconds", StandardUnit::Seconds),
        MeasurementName::Lag => ("LagSeconds", StandardUnit::Seconds),
        MeasurementName::Backlog => ("BacklogCount", StandardUnit::Count),
        MeasurementName::Quarantine => ("QuarantineCount", StandardUnit::Count),
        MeasurementName::Attention => ("AttentionCount", StandardUnit::Count),
        MeasurementName::SweepProblems => ("SweepProblems", StandardUnit::Count),
        MeasurementName::Heartbeat => ("Heartbeat", StandardUnit::Count),
    }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::stream::SourceKind;

    use super::*;

    #[test]
    fn figures_carry_their_stack_and_source_and_nothing_else() {
        let source = Some(SourceKind::FieldMotion);
        let lag = datum("prod", &Measurement { name: MeasurementName::Lag, source, value: 12.5 });
        assert_eq!(
            (lag.metric_name(), lag.value(), lag.unit()),
            (Some("LagSeconds"), Some(12.5), Some(&StandardUnit::Seconds))
        );
        let dimensions = |datum: &MetricDatum| -> Vec<(String, String)> {
            let texts = |one: &Dimension| Some((one.name()?.to_owned(), one.value()?.to_owned()));
            datum.dimensions().iter().filter_map(texts).collect()
        };
        let stack = ("Stack".to_owned(), "prod".to_owned());
        assert_eq!(dimensions(&lag), [stack.clone(), ("Source".to_owned(), "fieldmotion".to_owned())]);

        let heartbeat = datum("prod", &Measurement { name: MeasurementName::Heartbeat, source: None, value: 1.0 });
        assert_eq!(dimensions(&heartbeat), [stack]);
    }
}
