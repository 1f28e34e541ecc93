//! What a test logs.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::LazyLock;

/// One subscriber for all tests, at every level: one of a test's own would miss what another thread was the first to log.
static SUBSCRIBER: LazyLock<()> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Log).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
});

thread_local! {
    /// What was logged on this thread. A test, its source and its connections have one thread, which no other has.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Starts to collect what is logged from here on.
pub(crate) fn collect_log() {
    LazyLock::force(&SUBSCRIBER);
    LOG.with_borrow_mut(Vec::clear);
}

/// What was logged so far.
pub(crate) fn logged() -> String {
    LOG.with_borrow(|log| String::from_utf8_lossy(log).into_owned())
}

/// Collects what would be logged.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
