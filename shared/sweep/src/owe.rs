//! Owing what a sweep found. It goes to the bulk lane and holds nothing: it is no debt of the list of changes.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use tidemark_engine::change::Change;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::message::Message;
use tidemark_engine::poll::{CHUNKS_AT_ONCE, Draft};
use tidemark_engine::ports::{ChangeQueue, Clock, Ledger, Outgoing};
use tidemark_engine::record::RecordId;
use tidemark_engine::rule::Rule;
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Told, VANISHED_MAX};

use super::compare::count;
use super::list::digest;
use super::ports::{SweepPorts, Sweeps};
use super::state::{CANDIDATES, Kept, Phase};
use super::{Halt, Run, Went};

/// What the keys of a sweep's chunks say that they hold: no poller writes such a key.
const ORDER: i64 = i64::MAX - 1;
/// Of many records that are known not to be listed, one in so many is fetched again.
const UNLISTED_ONE_IN: u64 = 7;
/// How many candidates are owed before the place is written.
const EXTRA_AT_ONCE: usize = 500;
/// Of what a backfill has listed, so many polls' worth of calls is owed at once...
const POLLS_A_SLICE: u32 = 4;
/// ...and at most so many.
const SLICE_MAX: usize = 10_000;

impl<P: SweepPorts> Run<'_, P> {
    /// Owes a fetch for each candidate: the fetch decides whether it is deleted. So few of them make a chunk that the
    /// fetcher does not doubt it when all are gone: the list said the same.
    pub(super) async fn owe_extra(&mut self, after: Option<RecordId>) -> Result<Went, Halt> {
        let (sweeps, begun_at) = (self.poller.ports.sweeps(), self.sweep.proof.begun_at);
        let mut extra: BTreeSet<RecordId> = sweeps.kept(&self.key, begun_at, Kept::Extra).await?.into_iter().collect();
        let mut unlisted = sweeps.kept(&self.key, begun_at, Kept::Unlisted).await?;
        if self.sweep.proof.unlisted > CANDIDATES {
            unlisted.retain(|id| digest(id, begun_at.get()).is_multiple_of(UNLISTED_ONE_IN));
        }
        extra.append(&mut unlisted.into_iter().collect());
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest: Vec<RecordId> = extra.range((behind, Bound::Unbounded)).cloned().collect();
        let later = rest.split_off(rest.len().min(EXTRA_AT_ONCE));
        let last = rest.last().cloned();
        let deleted = Rule::SweepLooks.is_left_out();
        let changes = rest.into_iter().map(|id| Change { deleted, ..Change::of(id) }).collect();
        self.owe_in(changes, self.now(), VANISHED_MAX).await?;
        self.sweep.proof.withheld = 0;
        self.sweep.phase = Phase::Owing(last);
        Ok(if later.is_empty() { Went::Over } else { Went::On })
    }

    /// Owes a fetch for some of what a backfill has listed. The rest waits until these are fetched: what is put is fetched
    /// even where a person cancels.
    pub(super) async fn owe_listed(&mut self, after: Option<RecordId>) -> Result<Went, Halt> {
        let sweeps = self.poller.ports.sweeps();
        let listed: BTreeSet<RecordId> =
            sweeps.kept(&self.key, self.sweep.proof.begun_at, Kept::Listed).await?.into_iter().collect();
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = listed.range((behind, Bound::Unbounded)).cloned();
        let slice: Vec<RecordId> = rest.by_ref().take(self.slice_max()).collect();
        let last = slice.last().cloned();
        self.owe(slice.into_iter().map(Change::of).collect(), self.now()).await?;
        self.sweep.phase = Phase::Owing(last);
        Ok(if rest.next().is_some() { Went::Waits } else { Went::Over })
    }

    /// How many records are fetched in some polls, so that the next slice is put before too long a rest.
    fn slice_max(&self) -> usize {
        let settings = &self.poller.settings;
        let interval = settings.call_interval.max(Duration::from_millis(1));
        let calls = (settings.poll_interval * POLLS_A_SLICE).as_millis() / interval.as_millis();
        usize::try_from(calls).unwrap_or(usize::MAX).clamp(settings.chunk_ids, SLICE_MAX)
    }

    /// Owes changes that were listed at this time.
    pub(super) async fn owe(&mut self, changes: Vec<Change>, listed_at: LocalMillis) -> Result<(), Halt> {
        self.owe_in(changes, listed_at, self.poller.settings.chunk_ids).await
    }

    async fn owe_in(&mut self, changes: Vec<Change>, listed_at: LocalMillis, chunk_ids: usize) -> Result<(), Halt> {
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some() {
            let (mut chunks, mut outgoing) = (Vec::new(), Vec::new());
            while chunks.len() < CHUNKS_AT_ONCE && changes.peek().is_some() {
                let Draft { ids, told, rows } = Draft::take(&mut changes, chunk_ids);
                let lane = if Rule::SweepBulk.is_left_out() { Lane::Fresh } else { Lane::Bulk };
                let (version, seq) = (self.lease_version, self.seq);
                let key = ChunkKey { stream: self.key.clone(), lane, holds_order: ORDER, version, seq };
                self.seq += 1;
                self.report.owed_count += ids.len();
                self.sweep.owed += count(ids.len());
                let mut next_at = LocalMillis::default();
                if told == Told::Rows {
                    // Nothing but their message holds rows. What only has an id is sent by the next poll.
                    next_at = self.poller.ports.clock().now().plus(self.poller.settings.patience());
                    let listed = ids.iter().cloned().collect();
                    let message = Message::of_chunk(&key, listed, rows, &self.sweep.ground.account_mark);
                    outgoing.push(Outgoing { message, delay: Duration::ZERO });
                }
                chunks.push(Chunk { key, holds: None, ids, listed_at, next_at, told, trying: None });
            }
            self.poller.ports.ledger().put_chunks(&chunks).await?;
            if !outgoing.is_empty() {
                self.poller.ports.queue().send(&outgoing).await?;
            }
        }
        Ok(())
    }
}
