//! Putting ids into the retry lane, and records that seem gone.

use super::{FetchReport, FetcherPorts, Gone, Origin, Work};
use crate::{
    Clock, GONE_BELIEVED_AFTER, Ledger, LocalMillis, Notice, Reason, RecordId, RetryEntry, Rule, StoreFailure,
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
    pub(super) async fn set_aside(
        &mut self,
        id: RecordId,
        reason: Reason,
        cause: String,
        looked_at: LocalMillis,
        report: &mut FetchReport,
    ) -> Result<(), StoreFailure> {
        let now = self.fetcher.ports.clock().now();
        // A doubt stays until it is settled, whatever happens to a try in between.
        let reason = match &self.task.origin {
            Origin::Retry(entry) if entry.reason == Reason::SeemsGone => Reason::SeemsGone,
            Origin::Retry(_) | Origin::Chunk(_) => reason,
        };
        let entry = RetryEntry {
            stream: self.task.stream.clone(),
            id: id.clone(),
            reason,
            cause: cause.clone(),
            since: now,
            holds: self.task.holds().cloned(),
            listed_at: looked_at,
            attempts: 0,
            next_at: now.plus(retry_after(0)),
        };
        if Rule::FailingLeaves.is_left_out() && reason == Reason::Outage {
            return Ok(());
        }
        self.fetcher.ports.ledger().set_aside(&entry).await?;
        if self.task.is_chunk() {
            report.notice(Notice::Quarantined { count: 1 });
        }
        report.set_aside.push((id.clone(), reason, cause));
        self.finished.insert(id);
        Ok(())
    }

    /// Takes out of the vanished records those that are not believed to be gone yet, and keeps them in the retry lane: so
    /// many of one chunk seem gone that the vendor's answers are more likely wrong, or an answer is unclear. What is tried
    /// again for such a reason is believed once that has lasted.
    pub(super) async fn withhold(&mut self, report: &mut FetchReport) -> Result<(), StoreFailure> {
        let vanished = std::mem::take(&mut self.vanished);
        let count = vanished.len();
        let now = self.fetcher.ports.clock().now();
        let (are_many, is_early) = match &self.task.origin {
            Origin::Chunk(_) => {
                (count > VANISHED_MAX && count * 100 > self.task.ids.len() * VANISHED_PERCENT_MAX, true)
            }
            Origin::Retry(entry) => (entry.reason == Reason::SeemsGone, now.since(entry.since) < GONE_BELIEVED_AFTER),
        };
        let (doubted, believed): (Vec<Gone>, Vec<Gone>) = vanished.into_iter().partition(|gone| {
            // Of a record that is stored as gone there is nothing to lose.
            let is_stored_as_gone = self.stored.get(&gone.id).is_some_and(|stored| stored.deleted);
            let is_doubtful = (are_many || !gone.is_sure) && !is_stored_as_gone;
            is_doubtful && is_early && !Rule::FalseDeletes.is_left_out()
        });
        self.vanished = believed;
        if self.task.is_chunk() && !doubted.is_empty() {
            report.notice(Notice::TombstonesWithheld { count: u32::try_from(doubted.len()).unwrap_or(u32::MAX) });
        }
        for gone in doubted {
            let cause = if are_many { MANY } else { UNCLEAR };
            self.set_aside(gone.id, Reason::SeemsGone, cause.to_owned(), gone.look.looked_at, report).await?;
        }
        Ok(())
    }
}
