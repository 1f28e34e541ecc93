//! One invocation of the watcher: look at every stream, publish, and log each stream in one line.

use lambda_runtime::LambdaEvent;
use serde::de::IgnoredAny;
use tidemark_engine::clock::millis_of;
use tidemark_engine::ports::Clock;
use tidemark_engine::stream::StreamKey;
use tidemark_runtime::failure::InvocationError;
use tidemark_watch::state::StreamReport;
use tidemark_watch::{Watcher, WatcherPorts};

/// Serves the watcher's invocations.
pub(crate) struct Handler<P> {
    pub(crate) watcher: Watcher<P>,
}

impl<P: WatcherPorts> Handler<P> {
    /// Reports on all streams, whatever the event holds.
    ///
    /// # Errors
    /// [`InvocationError`] when a table cannot be read or the metrics cannot be published: then there is no heartbeat.
    pub(crate) async fn handle(&self, _event: LambdaEvent<IgnoredAny>) -> Result<(), InvocationError> {
        let clock = self.watcher.ports.clock();
        let started_at = clock.now();
        let watched = self.watcher.watch().await.map_err(InvocationError::from);
        let took_ms = millis_of(clock.now().since(started_at));
        match watched {
            Ok(reports) => {
                reports.iter().for_each(log);
                let stale_count = reports.iter().filter(|report| report.is_stale).count();
                let streams_count = reports.len();
                tracing::info!(streams_count, stale_count, took_ms, "figures and heartbeat published");
                Ok(())
            }
            Err(error) => {
                tracing::error!(error_type = error.kind.as_str(), took_ms, "{error}");
                Err(error)
            }
        }
    }
}

/// Logs how a stream stands, as a warning when it is stale, held back, or has ids in quarantine that count
/// for the alarm.
fn log(report: &StreamReport) {
    let standing = &report.standing;
    let state = report.state;
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = %report.stream.source,
                stream = %report.stream.name,
                staleness_seconds = standing.staleness.as_secs(),
                lag_seconds = standing.lag.as_secs(),
                owed_fresh = report.owed.fresh_count,
                owed_bulk = report.owed.bulk_count,
                import_count = standing.import_count,
                quarantine_count = report.quarantine_count,
                troubled_count = report.troubled_count,
                is_stale = report.is_stale,
                held_back = report.held_back,
                "{state}"
            )
        };
    }
    if report.is_stale || report.held_back.is_some() || report.troubled_count > 0 {
        line!(warn);
    } else {
        line!(info);
    }
    if report.reminds {
        let StreamKey { source, name } = &report.stream;
        tracing::warn!(
            %source,
            stream = %name,
            "attention: ids in quarantine wait for a person; next: tidemark quarantine list {source} {name}"
        );
    }
}

#[cfg(test)]
mod tests;
