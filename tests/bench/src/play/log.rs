//! How much the functions log: what their own code writes, and what Lambda writes about each invocation.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidemark_runtime::environment::Environment;
use tidemark_runtime::log;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use super::bill::figure;

/// What CloudWatch counts for each event besides its text.
///
/// Source: Amazon CloudWatch Logs API Reference, `PutLogEvents` (read 2026-11-28).
const EVENT_BYTES: usize = 26;
/// What Lambda writes about an invocation.
///
/// Source: AWS Lambda Developer Guide, "Log and monitor Lambda functions" (read 2026-11-28).
const BY_LAMBDA: [&str; 3] = [
    "START RequestId: 8f507cfc-xmpl-4697-b07a-ac58fc914c95 Version: $LATEST\n",
    "END RequestId: 8f507cfc-xmpl-4697-b07a-ac58fc914c95\n",
    "REPORT RequestId: 8f507cfc-xmpl-4697-b07a-ac58fc914c95\tDuration: 1234.56 ms\tBilled Duration: 1235 ms\tMemory Size: 256 \
     MB\tMax Memory Used: 56 MB\t\n",
];

/// The log of a deployment, with the filter that it has by default.
pub(crate) struct Log {
    dispatch: Dispatch,
    written: Written,
}

impl Log {
    pub(crate) fn new() -> Self {
        let written = Written::default();
        let filter = log::filter(&mut Environment::default());
        Self { dispatch: Dispatch::new(log::subscriber(filter, written.clone())), written }
    }

    /// The bytes of the lines that `write` logs.
    pub(crate) fn bytes_of(&self, write: impl FnOnce()) -> f64 {
        tracing::dispatcher::with_default(&self.dispatch, write);
        figure(self.written.0.swap(0, Ordering::Relaxed))
    }

    /// The same, with what Lambda writes about the invocation.
    pub(crate) fn bytes_of_invocation(&self, write: impl FnOnce()) -> f64 {
        let by_lambda = BY_LAMBDA.iter().map(|line| line.len() + EVENT_BYTES).sum();
        self.bytes_of(write) + figure(by_lambda)
    }
}

/// Counts what is written, one event at a time.
#[derive(Clone, Default)]
struct Written(Arc<AtomicUsize>);

impl Write for Written {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(event.len() + EVENT_BYTES, Ordering::Relaxed);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
