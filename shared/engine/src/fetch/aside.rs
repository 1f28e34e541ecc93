//! Putting ids into the retry lane, and records that seem gone.

use super::{Failed, FetcherPorts, Looker, Origin, Sight, Work};
use crate::{
    Clock, DeletedBecause, GONE_BELIEVED_AFTER, Ledger, Notice, Reason, RetryEntry, Rule, Seen, StoreFailure,
    retry_after,
};

const MANY: &str = "it seems gone, along with many others of its chunk";
const UNCLEAR: &str = "it seems gone, but the vendor's answer does not say so in its own words";
/// So many of a chunk's records may vanish without a doubt about the vendor's answers...
const VANISHED_MAX: usize = 5;
/// ...or this part of them, in percent.
const VANISHED_PERCENT_MAX: usize = 20;

impl<P: FetcherPorts> Work<'_, P> {
    /// Puts an id into the retry lane, then counts it as finished: the other way round a crash would lose it.
    pub(super) async fn set_aside(&mut self, failed: Failed) -> Result<(), StoreFailure> {
        let Looker { fetcher, task, .. } = &self.looker;
        let Failed { id, reason, cause, looked_at } = failed;
        let now = fetcher.ports.clock().now();
        // A doubt stays until it is settled, whatever happens to a try in between.
        let reason = match &task.origin {
            Origin::Retry(entry) if entry.reason == Reason::SeemsGone => Reason::SeemsGone,
            Origin::Retry(_) | Origin::Chunk(_) => reason,
        };
        let entry = RetryEntry {
            stream: task.stream.clone(),
            id: id.clone(),
            reason,
            cause: cause.clone(),
            since: now,
            holds: task.holds.clone(),
            listed_at: looked_at,
            attempts: 0,
            next_at: now.plus(retry_after(0)),
        };
        if Rule::FailingLeaves.is_left_out() && reason == Reason::Outage {
            return Ok(());
        }
        fetcher.ports.ledger().set_aside(&entry).await?;
        if task.is_chunk() {
            self.report.notices.insert(Notice::Quarantined(1));
        }
        self.report.set_aside.push((id.clone(), reason, cause));
        self.finished.insert(id);
        Ok(())
    }

    /// Keeps vanished records in the retry lane until they are believed: so many of one chunk seem gone that the
    /// vendor's answers are more likely wrong, or an answer is unclear.
    pub(super) async fn withhold(&mut self) -> Result<(), StoreFailure> {
        let vanished = std::mem::take(&mut self.vanished);
        let count = vanished.len();
        let Looker { fetcher, task, stored, .. } = &self.looker;
        let now = fetcher.ports.clock().now();
        let (are_many, is_early) = match &task.origin {
            Origin::Chunk(_) => (count > VANISHED_MAX && count * 100 > task.ids.len() * VANISHED_PERCENT_MAX, true),
            Origin::Retry(entry) => (entry.reason == Reason::SeemsGone, now.since(entry.since) < GONE_BELIEVED_AFTER),
        };
        let (doubted, believed): (Vec<Sight>, Vec<Sight>) = vanished.into_iter().partition(|gone| {
            // Of a record that is stored as gone there is nothing to lose.
            let is_stored_as_gone = stored.get(&gone.id).is_some_and(|stored| stored.deleted);
            let is_doubtful = (are_many || gone.look.seen == Seen::Gone(DeletedBecause::Missing)) && !is_stored_as_gone;
            is_doubtful && is_early && !Rule::FalseDeletes.is_left_out()
        });
        self.vanished = believed;
        if task.is_chunk() && !doubted.is_empty() {
            self.report.notices.insert(Notice::TombstonesWithheld(doubted.len()));
        }
        for gone in doubted {
            let cause = (if are_many { MANY } else { UNCLEAR }).to_owned();
            let (id, reason, looked_at) = (gone.id, Reason::SeemsGone, gone.look.looked_at);
            self.set_aside(Failed { id, reason, cause, looked_at }).await?;
        }
        Ok(())
    }
}
