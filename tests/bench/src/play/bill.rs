//! What was used: request units, requests, calls.

/// What a stretch of play used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bill {
    /// Write units of records, each stored once.
    pub(crate) own_writes: f64,
    /// Write units of records that were stored once more.
    pub(crate) again_writes: f64,
    /// Write units of ledger and checkpoint.
    pub(crate) ledger_writes: f64,
    /// Read units of ledger and checkpoint.
    pub(crate) ledger_reads: f64,
    /// Read units of stored versions.
    pub(crate) version_reads: f64,
    /// Items written.
    pub(crate) writes_count: f64,
    /// Bytes of records, each counted once.
    pub(crate) record_bytes: f64,
    /// Bytes of log lines.
    pub(crate) log_bytes: f64,
    /// Requests to tables and queue, of the poller and of the fetcher.
    pub(crate) poller_requests: f64,
    pub(crate) fetcher_requests: f64,
    /// Messages sent, and what SQS charges for: sends, receives and deletions, each by 64 KB.
    pub(crate) messages: f64,
    pub(crate) queue_requests: f64,
    /// List calls, and what they named.
    pub(crate) lists: f64,
    pub(crate) listed: f64,
    /// Detail calls.
    pub(crate) details: f64,
    /// Ticks of the poller.
    pub(crate) ticks: f64,
}

impl Bill {
    /// Write units beyond those of each record once.
    pub(crate) fn beyond_own(&self) -> f64 {
        self.again_writes + self.ledger_writes
    }

    /// Both together.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            own_writes: self.own_writes + other.own_writes,
            again_writes: self.again_writes + other.again_writes,
            ledger_writes: self.ledger_writes + other.ledger_writes,
            ledger_reads: self.ledger_reads + other.ledger_reads,
            version_reads: self.version_reads + other.version_reads,
            writes_count: self.writes_count + other.writes_count,
            record_bytes: self.record_bytes + other.record_bytes,
            log_bytes: self.log_bytes + other.log_bytes,
            poller_requests: self.poller_requests + other.poller_requests,
            fetcher_requests: self.fetcher_requests + other.fetcher_requests,
            messages: self.messages + other.messages,
            queue_requests: self.queue_requests + other.queue_requests,
            lists: self.lists + other.lists,
            listed: self.listed + other.listed,
            details: self.details + other.details,
            ticks: self.ticks + other.ticks,
        }
    }

    /// So many times as much.
    pub(crate) fn times(&self, factor: f64) -> Self {
        Self {
            own_writes: self.own_writes * factor,
            again_writes: self.again_writes * factor,
            ledger_writes: self.ledger_writes * factor,
            ledger_reads: self.ledger_reads * factor,
            version_reads: self.version_reads * factor,
            writes_count: self.writes_count * factor,
            record_bytes: self.record_bytes * factor,
            log_bytes: self.log_bytes * factor,
            poller_requests: self.poller_requests * factor,
            fetcher_requests: self.fetcher_requests * factor,
            messages: self.messages * factor,
            queue_requests: self.queue_requests * factor,
            lists: self.lists * factor,
            listed: self.listed * factor,
            details: self.details * factor,
            ticks: self.ticks * factor,
        }
    }
}

/// A count as a figure.
pub(crate) fn figure(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Write units of an item of so many bytes.
pub(crate) fn write_units(bytes: usize) -> f64 {
    figure(bytes.div_ceil(1_024).max(1))
}

/// Read units of a strongly consistent read of so many bytes.
pub(crate) fn read_units(bytes: usize) -> f64 {
    figure(bytes.div_ceil(4_096).max(1))
}

/// What SQS takes a request with so many bytes for.
///
/// Source: Amazon SQS pricing, "API actions" (read 2026-11-27).
pub(crate) fn queue_requests(bytes: usize) -> f64 {
    figure(bytes.div_ceil(64 * 1_024).max(1))
}
