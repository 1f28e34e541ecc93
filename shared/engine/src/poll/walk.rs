//! Walking the open run's chunks from its frontier: what is stored, what is poisoned, what must be sent again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use crate::change::{Change, ListRequest};
use crate::checkpoint::Position;
use crate::chunk::{Chunk, Finish};
use crate::ports::{Ledger, Written};
use crate::quarantine::{QUARANTINE_MAX, Quarantined, SEEMS_GONE, retry_after};
use crate::record::RecordId;
use crate::rule::Rule;
use crate::run::Run;
use crate::stamp::UtcMillis;
use crate::stream::ListShape;

use super::dispatch::is_accepted;
use super::tick::{Halt, Tick};
use super::{Notice, PollerPorts};

/// After so many sendings in vain, the few last ids of a run are set aside.
const SENDS_TO_POISON: u32 = 6;
/// How many ids are a few.
const FAILING_IDS_MAX: u64 = 5;

/// How the walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walked {
    /// The listing is not whole yet.
    Listing,
    /// Ids are still pending.
    Waiting,
    /// All is stored, and committed.
    Committed,
    /// The run was given up.
    Aborted,
}

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn walk(&mut self) -> Result<Walked, Halt> {
        let Some(run) = self.checkpoint.run.clone() else {
            return Ok(Walked::Listing);
        };
        self.report.run_id = Some(run.run_id.clone());
        let mut chunks = self.sent_chunks(&run).await?;
        if let Some(notice) = self.why_abort(&run, &chunks) {
            self.abort(notice).await?;
            return Ok(Walked::Aborted);
        }
        self.settle_doubtful(&run, &mut chunks).await?;
        self.quarantine_poisoned(&chunks).await?;
        self.advance_frontier(&chunks);
        let is_finished = |run: &Run| {
            run.frontier == run.accepted || (Rule::CommitWhenStored.is_left_out() && run.sent == run.accepted)
        };
        if run.sealed && self.checkpoint.run.as_ref().is_some_and(is_finished) {
            self.commit().await?;
            return Ok(Walked::Committed);
        }
        if self.quarantined.len() > QUARANTINE_MAX {
            self.report.notices.push(Notice::QuarantineFull { count: self.quarantined.len() });
            return Ok(Walked::Waiting);
        }
        self.set_aside_failing(&chunks).await?;
        self.send_left_over(&chunks).await?;
        self.dispatch().await?;
        Ok(if run.sealed { Walked::Waiting } else { Walked::Listing })
    }

    /// The accepted chunks between the frontier and the last one sent, by number.
    async fn sent_chunks(&self, run: &Run) -> Result<BTreeMap<u32, Chunk>, Halt> {
        if run.frontier >= run.sent {
            return Ok(BTreeMap::new());
        }
        let ledger = self.poller.ports.ledger();
        let stored = ledger.chunks(&self.checkpoint.stream, &run.run_id, run.frontier, run.sent).await?;
        let accepted = stored.into_iter().filter(|chunk| is_accepted(run, chunk));
        Ok(accepted.map(|chunk| (chunk.key.seq, chunk)).collect())
    }

    /// Why the run cannot be finished: a chunk or its rows are lost, or deletions of records that pages list were withheld.
    /// Listing again heals all.
    fn why_abort(&self, run: &Run, chunks: &BTreeMap<u32, Chunk>) -> Option<Notice> {
        let withheld: u32 = chunks.values().map(|chunk| chunk.withheld_count).sum();
        if withheld > 0 && self.traits.shape == ListShape::Pages {
            return Some(Notice::TombstonesWithheld { count: withheld });
        }
        let is_missing = (run.frontier..run.sent).any(|seq| !chunks.contains_key(&seq));
        let rows_lost = chunks.values().any(|chunk| chunk.has_rows && self.is_overdue(chunk));
        (is_missing || rows_lost).then_some(Notice::ChunkLost)
    }

    /// Finishes the ids of whose deletion there is doubt. Those that are not listed any more really vanished, and are left
    /// as they are, as are those that are marked deleted already; the others count as poisoned: out of quarantine each is
    /// asked for by itself, for more than a day before it is believed to be gone. A feed cannot be asked again: it tells
    /// the same events for ever.
    async fn settle_doubtful(&mut self, run: &Run, chunks: &mut BTreeMap<u32, Chunk>) -> Result<(), Halt> {
        let is_doubtful = |chunk: &Chunk| chunk.withheld_count > 0 && !chunk.is_done();
        let count = chunks.values().filter(|chunk| is_doubtful(chunk)).map(|chunk| chunk.withheld_count).sum();
        if count == 0 {
            return Ok(());
        }
        self.report.notices.push(Notice::TombstonesWithheld { count });
        let mut listed: Option<HashSet<RecordId>> = None;
        if self.traits.shape == ListShape::Whole {
            self.reserve(1).await?;
            let from = run.from.at().unwrap_or_default();
            let (page, _) = self.call(ListRequest::Changed { from }).await?;
            listed = Some(page.changes.into_iter().map(|change| change.id).collect());
        }
        for chunk in chunks.values_mut().filter(|chunk| is_doubtful(chunk)) {
            let asked: Vec<Change> = chunk.pending.iter().cloned().map(Change::of).collect();
            let versions = self.versions_of(&asked.iter().collect::<Vec<_>>()).await?;
            let is_news = |id: &RecordId| {
                let is_listed = listed.as_ref().is_none_or(|listed| listed.contains(id));
                is_listed && versions.get(id).is_none_or(|version| !version.deleted)
            };
            let (doubtful, vanished) = std::mem::take(&mut chunk.pending).into_iter().partition(is_news);
            let doubtful: BTreeSet<RecordId> = doubtful;
            chunk.poisoned.extend(doubtful.into_iter().map(|id| (id, SEEMS_GONE.to_owned())));
            let finish = Finish { done: vanished, ..Finish::default() };
            self.poller.ports.ledger().finish(&chunk.key, &finish).await?;
        }
        Ok(())
    }

    /// Poisons the last ids of a run for which the vendor failed at every sending while it answered all others: they would
    /// keep the stream standing. A few only; more are the source's trouble, not the records'.
    async fn set_aside_failing(&mut self, chunks: &BTreeMap<u32, Chunk>) -> Result<(), Halt> {
        let is_failing = |chunk: &Chunk| chunk.parked && chunk.send_count >= SENDS_TO_POISON;
        let waiting: Vec<&Chunk> = chunks.values().filter(|chunk| !chunk.is_done()).collect();
        if self.report.pending_count > FAILING_IDS_MAX || !waiting.iter().all(|chunk| is_failing(chunk)) {
            return Ok(());
        }
        for chunk in waiting {
            for id in &chunk.pending {
                let reason = format!("the vendor failed for it at each of {} sendings", chunk.send_count);
                // Refused when a fetcher has stored it meanwhile, which is better.
                let (Written::Applied | Written::Refused) =
                    self.poller.ports.ledger().poison(&chunk.key, id, &reason).await?;
            }
        }
        Ok(())
    }

    /// Puts poisoned ids into quarantine (E10) before the frontier can pass their chunk, then takes them out of the
    /// chunk, so that one that leaves the quarantine meanwhile does not come back.
    async fn quarantine_poisoned(&mut self, chunks: &BTreeMap<u32, Chunk>) -> Result<(), Halt> {
        let mut count = 0;
        for chunk in chunks.values().filter(|chunk| !chunk.poisoned.is_empty()) {
            for (id, reason) in &chunk.poisoned {
                let now = self.now();
                let entry = Quarantined {
                    stream: self.checkpoint.stream.clone(),
                    id: id.clone(),
                    reason: reason.clone(),
                    since: now,
                    held_checkpoint: chunk.held_checkpoint.clone(),
                    attempts: 0,
                    next_at: now.plus(retry_after(0)),
                };
                if self.poller.ports.ledger().quarantine(&entry).await? == Written::Applied {
                    self.quarantined.push(entry);
                    count += 1;
                } else {
                    self.note_tried(id).await?;
                }
            }
            let finish = Finish { done: chunk.poisoned.keys().cloned().collect(), ..Finish::default() };
            self.poller.ports.ledger().finish(&chunk.key, &finish).await?;
        }
        if count > 0 {
            self.report.notices.push(Notice::Quarantined { count });
        }
        Ok(())
    }

    /// A quarantined id that showed up as news was tried once more, in vain: its ladder starts this step anew.
    async fn note_tried(&self, id: &RecordId) -> Result<(), Halt> {
        if let Some(entry) = self.quarantined.iter().find(|entry| entry.id == *id) {
            let next_at = self.now().plus(retry_after(entry.attempts));
            self.poller.ports.ledger().reschedule(&entry.stream, id, entry.attempts, next_at).await?;
        }
        Ok(())
    }

    /// Moves the frontier past finished chunks, folds their stamps, and notes whether less is pending than before.
    fn advance_frontier(&mut self, chunks: &BTreeMap<u32, Chunk>) {
        let now = self.now();
        let is_feed = matches!(self.checkpoint.scanned, Position::Token { .. });
        let Some(run) = &mut self.checkpoint.run else { return };
        while let Some(chunk) = chunks.get(&run.frontier).filter(|chunk| chunk.is_done()) {
            let newest = chunk.stamps.last().copied().filter(|_| !is_feed);
            run.newest = match (run.newest.take(), newest.map(Position::At)) {
                (Some(known), Some(found)) => Some(known.max(found)),
                (known, found) => known.or(found),
            };
            run.advance();
        }
        let waiting = chunks.values().filter(|chunk| !chunk.is_done());
        self.outstanding = u32::try_from(waiting.clone().count()).unwrap_or(u32::MAX);
        let sent: usize = waiting.map(|chunk| chunk.pending.len()).sum();
        let unsent = u64::from(run.accepted - run.sent.min(run.accepted));
        let full = u64::from(self.poller.settings.chunk_ids);
        let pending = u64::try_from(sent).unwrap_or(u64::MAX).saturating_add(unsent.saturating_mul(full));
        if pending < run.pending_count {
            self.checkpoint.last_progress_at = Some(now);
        }
        run.pending_count = pending;
        self.report.pending_count = pending;
    }

    /// Sends again what a fetcher parked and what was not finished long after it was sent. Each chunk by its own time:
    /// a frontier that stands still says nothing of the chunks behind it.
    async fn send_left_over(&mut self, chunks: &BTreeMap<u32, Chunk>) -> Result<(), Halt> {
        let left_over: Vec<&Chunk> = chunks
            .values()
            .filter(|chunk| !chunk.is_done() && !chunk.has_rows && (chunk.parked || self.is_overdue(chunk)))
            .collect();
        self.send_again(&left_over).await
    }

    /// Whether a chunk was not finished three visibility timeouts after it became visible.
    fn is_overdue(&self, chunk: &Chunk) -> bool {
        let patience: Duration = self.poller.settings.visibility_timeout.saturating_mul(3);
        let visible_at: Option<UtcMillis> = chunk.sent_at;
        let is_late = visible_at.is_none_or(|at| at.plus(patience) < self.now());
        !chunk.is_done() && is_late && !Rule::Resend.is_left_out()
    }
}
