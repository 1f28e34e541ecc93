//! One invocation of the watcher: look at every stream, publish, and log each stream in one line.

use lambda_runtime::LambdaEvent;
use serde::de::IgnoredAny;
use tidemark_engine::clock::millis_of;
use tidemark_engine::ports::Clock;
use tidemark_runtime::failure::InvocationError;
use tidemark_watch::{Watcher, WatcherPorts};

use crate::log;

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
        let took = clock.now().since(started_at);
        match watched {
            Ok(reports) => {
                reports.iter().for_each(log::stream);
                log::published(&reports, took);
                Ok(())
            }
            Err(error) => {
                tracing::error!(error_type = error.kind.as_str(), took_ms = millis_of(took), "{error}");
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
