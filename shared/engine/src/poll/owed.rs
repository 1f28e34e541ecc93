//! What is owed, and what it keeps `committed` at.

use super::{Halt, PollerPorts, Tick};
use crate::{
    Checkpoint, Chunk, Lane, Ledger, LocalMillis, Notice, Position, Random, RetryEntry, Rule, Scope, StreamState,
};

/// How many intervals' worth of calls a snapshot may be ahead of what is fetched.
pub(super) const INTERVALS_AHEAD: u32 = 4;

/// The ledger's lanes as one tick found them.
pub(super) struct OwedWork {
    pub(super) fresh: Vec<Chunk>,
    pub(super) bulk: Vec<Chunk>,
    /// Whether `bulk` is the whole lane.
    pub(super) bulk_is_whole: bool,
    pub(super) retries: Vec<RetryEntry>,
    pub(super) state: StreamState,
    /// What `committed` may move to, unless the new `scanned` is lower.
    pub(super) committable: Position,
    /// Start of the listing of the oldest chunk.
    pub(super) lanes_since: Option<LocalMillis>,
    /// Since when the oldest retry entry that holds the checkpoint is one.
    pub(super) retries_since: Option<LocalMillis>,
}

/// Ids of chunks that were sent and are not due again.
pub(super) fn in_flight(chunks: &[Chunk], now: LocalMillis) -> usize {
    chunks.iter().filter(|chunk| chunk.next_at > now).map(|chunk| chunk.ids.len()).sum()
}

impl<P: PollerPorts> Tick<'_, P> {
    /// Reads the lanes, then the retry lane, then the mark: an id in motion is seen at least once, and a mark that is
    /// still there proves that what was read before was read before any loss.
    pub(super) async fn read_owed(&mut self) -> Result<OwedWork, Halt> {
        let ledger = self.poller.ports.ledger();
        let settings = &self.poller.settings;
        let stream = self.checkpoint.stream.clone();
        let early_state = if Rule::MarkLast.is_left_out() { Some(ledger.stream_state(&stream).await?) } else { None };
        let early_retries =
            if Rule::RetryLast.is_left_out() { Some(ledger.retry_entries(&stream).await?) } else { None };
        // As many as may be sent in one tick, and one more.
        let chunks_in = |span| settings.calls_in(span) / settings.chunk_ids + 2;
        let fresh_limit = chunks_in(settings.visibility_timeout);
        let fresh = ledger.head(&stream, Lane::Fresh, fresh_limit).await?;
        let has_snapshot = self.checkpoint.backlog.iter().any(|listing| listing.scope == Scope::Snapshot);
        let intervals = if has_snapshot { INTERVALS_AHEAD } else { 1 };
        let bulk_limit = chunks_in(settings.poll_interval.saturating_mul(intervals));
        let bulk = ledger.head(&stream, Lane::Bulk, bulk_limit).await?;
        let retries = if let Some(early) = early_retries { early } else { ledger.retry_entries(&stream).await? };
        let state = if let Some(early) = early_state { early } else { ledger.stream_state(&stream).await? };
        self.check_mark(&state).await?;
        // Rule 6: `committed` never passes `scanned` as it was when this tick began, nor what any open work holds.
        let (checkpoint, policy) = (&self.checkpoint, settings.poison_policy);
        let blocking = || retries.iter().filter(|entry| entry.blocks(policy));
        let heads = fresh.first().into_iter().chain(bulk.first()).map(|chunk| &chunk.holds);
        let heads = heads.filter(|_| !Rule::CommittedHeads.is_left_out());
        let listings = checkpoint.backlog.iter().map(|listing| &listing.holds);
        let listings = listings.filter(|_| !Rule::CommittedBacklog.is_left_out());
        let entries = blocking().map(|entry| &entry.holds).filter(|_| !Rule::CommittedRetry.is_left_out());
        let held = heads.chain(listings).chain(entries).flatten();
        let committable = held.fold(&checkpoint.scanned, Ord::min).clone();
        let bulk_is_whole = bulk.len() < bulk_limit;
        // What a rewind puts first may hide older work that is still owed.
        let hidden_since = if fresh.len() < fresh_limit && bulk_is_whole { None } else { checkpoint.owed_since };
        // After a step back of the vendor's clock a newer chunk may come first.
        let lanes_since = fresh.iter().chain(&bulk).map(|chunk| chunk.listed_at).chain(hidden_since).min();
        let retries_since = blocking().map(|entry| entry.since).min();
        Ok(OwedWork { fresh, bulk, bulk_is_whole, retries, state, committable, lanes_since, retries_since })
    }

    /// A ledger that does not have the checkpoint's mark was lost: everything is listed again from the last commit.
    async fn check_mark(&mut self, state: &StreamState) -> Result<(), Halt> {
        let known = &self.checkpoint.ledger_mark;
        if known.is_some() && (*known == state.mark || Rule::LedgerMark.is_left_out()) {
            return Ok(());
        }
        if known.is_some() {
            self.report.notices.insert(Notice::LedgerLost);
        }
        let mark = format!("{:016x}", self.poller.ports.random().below(u64::MAX));
        self.poller.ports.ledger().write_mark(&self.checkpoint.stream, &mark).await?;
        let mut next = Checkpoint { ledger_mark: Some(mark), ..self.checkpoint.clone() };
        next.scanned = next.committed.clone();
        // Parts of a snapshot hold nothing: only their own listing shows them again.
        next.later.extend(next.backlog.drain(..).filter(|part| part.holds.is_none()));
        self.store(next).await
    }
}
