//! What the watcher logs: one line a stream, and one that the figures are published.

use std::time::Duration;

use tidemark_engine::clock::millis_of;
use tidemark_engine::stream::StreamKey;
use tidemark_watch::state::StreamReport;

/// Logs how a stream stands, as a warning when it is stale, held back, or has ids in quarantine that count
/// for the alarm.
pub fn stream(report: &StreamReport) {
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

/// Logs that the figures of these streams, and the heartbeat, are published.
pub fn published(reports: &[StreamReport], took: Duration) {
    let stale_count = reports.iter().filter(|report| report.is_stale).count();
    tracing::info!(
        streams_count = reports.len(),
        stale_count,
        took_ms = millis_of(took),
        "figures and heartbeat published"
    );
}
