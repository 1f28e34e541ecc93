//! Owing what a sweep found. It goes to the bulk lane and holds nothing: it is no debt of the list of changes.

use std::collections::BTreeSet;
use std::ops::Bound;

use tidemark_engine::change::Change;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::message::Message;
use tidemark_engine::poll::{CHUNKS_AT_ONCE, Draft};
use tidemark_engine::ports::{ChangeQueue, Clock, Ledger, Outgoing};
use tidemark_engine::record::RecordId;
use tidemark_engine::rule::Rule;
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Told, VANISHED_MAX};

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
                let mut next_at = LocalMillis::default();
                if told == Told::Rows {
                    // Nothing but their message holds rows. What only has an id is sent by the next poll.
                    next_at = self.poller.ports.clock().now().plus(self.poller.settings.patience());
                    let listed = ids.iter().cloned().collect();
                    let message = Message::of_chunk(&key, listed, rows, &self.sweep.ground.account_mark);
                    outgoing.push(Outgoing { message, delay: std::time::Duration::ZERO });
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
