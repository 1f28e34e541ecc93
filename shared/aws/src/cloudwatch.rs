//! The watcher's metrics on CloudWatch.

use std::iter;

use aws_sdk_cloudwatch::Client;
#[cfg(feature = "operator")]
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
#[cfg(feature = "operator")]
use aws_sdk_cloudwatch::types::{Metric, MetricDataQuery, MetricStat};
#[cfg(feature = "operator")]
use tidemark_engine::clock::LocalMillis;
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

/// The most metrics that one call asks for.
///
/// Source: Amazon CloudWatch API Reference, `GetMetricData` (read 2026-11-28).
#[cfg(feature = "operator")]
const QUERIES_MAX: usize = 500;
#[cfg(feature = "operator")]
const DAY_SECONDS: i32 = 86_400;

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

/// A metric that AWS counts of something of the deployment.
#[cfg(feature = "operator")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The namespace, such as `AWS/Lambda`.
    pub namespace: &'static str,
    /// The metric.
    pub name: &'static str,
    /// The dimension that names what it is of, and its value.
    pub of: (&'static str, String),
}

/// The sums of metrics from `since` until `until`, in the order of the metrics; nothing of one that was never published.
/// Each metric that is asked for costs a hundred-thousandth of a dollar.
///
/// # Errors
/// [`StoreFailure`] when CloudWatch refuses the call or cannot be reached.
#[cfg(feature = "operator")]
pub async fn sums(
    sdk: &Sdk,
    metrics: &[Counted],
    since: LocalMillis,
    until: LocalMillis,
) -> Result<Vec<Option<f64>>, StoreFailure> {
    let at = |instant: LocalMillis| DateTime::from_millis(instant.get());
    let mut found = Vec::new();
    for batch in metrics.chunks(QUERIES_MAX) {
        let queries = batch.iter().enumerate().map(|(place, metric)| {
            let (name, value) = &metric.of;
            let dimension = Dimension::builder().name(*name).value(value).build();
            let named = Metric::builder().namespace(metric.namespace).metric_name(metric.name).dimensions(dimension);
            let stat = MetricStat::builder().metric(named.build()).period(DAY_SECONDS).stat("Sum").build();
            MetricDataQuery::builder().id(format!("m{place}")).metric_stat(stat).return_data(true).build()
        });
        let mut of_batch = vec![None; batch.len()];
        let asked = sdk.cloudwatch().get_metric_data().set_metric_data_queries(Some(queries.collect()));
        let mut pages = asked.start_time(at(since)).end_time(at(until)).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::of(error).store_failure("read the counts of the services"))?;
            for result in page.metric_data_results() {
                let place = result.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
                let Some(sum) = place.and_then(|place| of_batch.get_mut(place)) else { continue };
                if !result.values().is_empty() {
                    *sum = Some(sum.unwrap_or_default() + result.values().iter().sum::<f64>());
                }
            }
        }
        found.extend(of_batch);
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
