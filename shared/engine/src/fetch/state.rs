//! One message under way.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fetcher, FetcherPorts, Gone, Looker, Pace, Task, Trouble};
use crate::{Clock, Ledger, LocalMillis, Message, RecordId, StoreFailure, StoredVersion};

/// One message under way.
pub(super) struct Work<'a, P> {
    pub(super) fetcher: &'a Fetcher<P>,
    pub(super) message: &'a Message,
    pub(super) task: Task,
    pub(super) stored: BTreeMap<RecordId, StoredVersion>,
    pub(super) pace: Pace,
    pub(super) trouble: Trouble,
    /// Ids that are paid for, or in the retry lane.
    pub(super) finished: BTreeSet<RecordId>,
    /// Looks that found records gone.
    pub(super) vanished: Vec<Gone>,
    pub(super) stop_at: LocalMillis,
    /// The newest look that was stored.
    pub(super) looked_at: Option<LocalMillis>,
    /// Records looked at, and how many of them bore a stamp.
    pub(super) seen_count: usize,
    pub(super) stamped_count: usize,
}

impl<'a, P: FetcherPorts> Work<'a, P> {
    pub(super) async fn new(
        fetcher: &'a Fetcher<P>,
        message: &'a Message,
        task: Task,
        stored: BTreeMap<RecordId, StoredVersion>,
        stop_at: LocalMillis,
    ) -> Result<Self, StoreFailure> {
        let ledger = fetcher.ports.ledger();
        let source = ledger.source_state(message.source()).await?;
        let stream = ledger.stream_state(&task.stream).await?;
        let trouble = Trouble::new(&task.stream, source, &stream, fetcher.ports.clock().now());
        Ok(Self {
            fetcher,
            message,
            task,
            stored,
            pace: Pace::default(),
            trouble,
            finished: BTreeSet::new(),
            vanished: Vec::new(),
            stop_at,
            looked_at: None,
            seen_count: 0,
            stamped_count: 0,
        })
    }

    pub(super) fn looker(&self) -> Looker<'_, P> {
        Looker {
            ports: &self.fetcher.ports,
            call_interval: self.fetcher.call_interval,
            message: self.message,
            task: &self.task,
            stored: &self.stored,
            pace: &self.pace,
            trouble: &self.trouble,
            stop_at: self.stop_at,
        }
    }
}
