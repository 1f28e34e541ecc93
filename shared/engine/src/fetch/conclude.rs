//! What becomes of a message: tombstones, its chunk or retry entry, and what others share.

use super::{FetchReport, FetcherPorts, Origin, Work};
use crate::{Clock, Finish, Ledger, LocalMillis, Notice, Rule, StoreFailure};

impl<P: FetcherPorts> Work<'_, P> {
    /// Writes what became of the ids: tombstones, the chunk, and what others share.
    pub(super) async fn conclude(mut self, report: &mut FetchReport) -> Result<(), StoreFailure> {
        self.withhold(report).await?;
        self.bury(report).await?;
        if self.task.is_stamped(self.fetcher.ports.source()) && self.seen_count > 0 && self.stamped_count == 0 {
            report.notice(Notice::StampsMissing { count: self.seen_count });
        }
        report.calls_count = self.trouble.calls();
        report.left_count = self.task.ids.len() - self.finished.len().min(self.task.ids.len());
        let ledger = self.fetcher.ports.ledger();
        self.trouble.conclude(&self.fetcher.ports, report).await?;
        let now = self.fetcher.ports.clock().now();
        match &self.task.origin {
            Origin::Chunk(chunk) if chunk.ids.is_subset(&self.finished) => ledger.delete_chunk(&chunk.key).await?,
            Origin::Chunk(chunk) => {
                let next_at = self.trouble.paused_until().unwrap_or(now);
                let finish = Finish { gone: std::mem::take(&mut self.finished), next_at };
                ledger.finish(&chunk.key, &finish).await?;
            }
            Origin::Retry(entry) => {
                let paid_at = self.stored.get(&entry.id).map(|stored| stored.looked_at);
                let looked_at = self.looked_at.max(paid_at.filter(|_| report.paid_count > 0));
                if let Some(mut looked_at) = looked_at {
                    if Rule::ResolveLater.is_left_out() {
                        looked_at = LocalMillis::new(i64::MAX);
                    }
                    ledger.resolve(&self.task.stream, &entry.id, looked_at).await?;
                }
            }
        }
        if report.paid_count + report.written_count + report.superseded_count + report.deleted_count > 0 {
            ledger.note_stored(&self.task.stream, now).await?;
        }
        Ok(())
    }
}
