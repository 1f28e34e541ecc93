//! Putting ids into the retry lane, and records that seem gone.

use super::{Failed, FetcherPorts, Looker, Origin, Work};
use crate::{
    Clock, DeletedBecause, GONE_BELIEVED_AFTER, Ledger, Notice, Reason, RecordId, RetryEntry, Rule, Seen, StoreFailure,
    VANISHED_MAX, retry_after,
};

const MANY: &str = "it seems gone, along with many others of its chunk";
const UNCLEAR: &str = "it seems gone, but the vendor's answer does not say so in its own words";
/// Of a chunk's records more than [`VANISHED_MAX`] may vanish where they are no more than this part of them, in percent.
const VANISHED_PERCENT_MAX: usize = 20;

impl<P: FetcherPorts> Work<'_, P> {
    /// Puts an id into the retry lane, then counts it as finished: the other way round a crash would lose it.
    pub(super) async fn set_aside(&mut self, failed: Failed) -> Result<(), StoreFailure> {
        let known = self.known(&failed.id).await?;
        self.set_aside_after(failed, known).await
    }

    /// The same, where it is known what the retry lane has of the id.
    async fn set_aside_after(&mut self, failed: Failed, known: Option<RetryEntry>) -> Result<(), StoreFailure> {
        let Failed { id, reason, cause, looked_at } = failed;
        let Looker { fetcher, task, .. } = &self.looker;
        let now = fetcher.ports.clock().now();
        // A doubt stays until it is settled, whatever happens to a try in between, and begins with the look that raised it.
        let is_doubted = known.as_ref().is_some_and(|entry| entry.reason == Reason::SeemsGone);
        let is_new_doubt = reason == Reason::SeemsGone && !is_doubted;
        let entry = RetryEntry {
            stream: task.stream.clone(),
            id: id.clone(),
            reason: if is_doubted { Reason::SeemsGone } else { reason },
            cause: cause.clone(),
            since: known.filter(|_| !is_new_doubt).map_or(now, |entry| entry.since),
            holds: task.holds.clone(),
            listed_at: looked_at,
            attempts: 0,
            next_at: now.plus(retry_after(0)),
        };
        if Rule::FailingLeaves.is_left_out() && entry.reason == Reason::Outage {
            return Ok(());
        }
        fetcher.ports.ledger().set_aside(&entry).await?;
        if task.is_chunk() {
            self.report.notices.insert(Notice::Quarantined(1));
        }
        self.report.set_aside.push((id.clone(), entry.reason, cause));
        self.finished.insert(id);
        Ok(())
    }

    /// Keeps vanished records in the retry lane until they are believed: so many of one chunk seem gone that the
    /// vendor's answers are more likely wrong, or an answer is unclear.
    pub(super) async fn withhold(&mut self) -> Result<(), StoreFailure> {
        let vanished = std::mem::take(&mut self.vanished);
        let (count, of_count) = (vanished.len(), self.looker.task.ids.len());
        let looked_count = self.finished.len() + count;
        // Where there was no time for all ids, each of several messages would see a few alone.
        let max = if looked_count < of_count { 1 } else { VANISHED_MAX };
        let is_chunk = self.looker.task.is_chunk();
        let is_large = is_chunk && of_count > VANISHED_MAX;
        let are_many = is_large && count > max && count * 100 > looked_count * VANISHED_PERCENT_MAX;
        let mut doubted_count = 0;
        for gone in vanished {
            // Of a record that is stored as gone there is nothing to lose.
            let is_stored_as_gone = self.looker.stored.get(&gone.id).is_some_and(|stored| stored.deleted);
            let known = if is_stored_as_gone { None } else { self.known(&gone.id).await? };
            let doubt = known.as_ref().filter(|entry| entry.reason == Reason::SeemsGone);
            let is_unclear = gone.look.seen == Seen::Gone(DeletedBecause::Missing);
            let is_doubtful = (are_many || is_unclear || doubt.is_some()) && !is_stored_as_gone;
            let now = self.looker.fetcher.ports.clock().now();
            let is_early = doubt.is_none_or(|entry| now.since(entry.since) < GONE_BELIEVED_AFTER);
            if !is_doubtful || !is_early || Rule::FalseDeletes.is_left_out() {
                self.vanished.push(gone);
                continue;
            }
            doubted_count += 1;
            let cause = (if is_unclear { UNCLEAR } else { MANY }).to_owned();
            let (id, reason, looked_at) = (gone.id, Reason::SeemsGone, gone.look.looked_at);
            self.set_aside_after(Failed { id, reason, cause, looked_at }, known).await?;
        }
        if is_chunk && doubted_count > 0 {
            self.report.notices.insert(Notice::TombstonesWithheld(doubted_count));
        }
        Ok(())
    }

    /// The entry of the retry lane about an id, if there is one.
    async fn known(&self, id: &RecordId) -> Result<Option<RetryEntry>, StoreFailure> {
        let Looker { fetcher, task, .. } = &self.looker;
        match &task.origin {
            Origin::Retry(entry) => Ok(Some(RetryEntry::clone(entry))),
            Origin::Chunk(_) => fetcher.ports.ledger().retry_entry(&task.stream, id).await,
        }
    }
}
