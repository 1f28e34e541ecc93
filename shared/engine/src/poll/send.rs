//! Sending what is due, each lane up to its cap, and always one: section 5 of `docs/protocol.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Halt, OwedWork, PollerPorts, Tick, in_flight};
use crate::{
    ChangeQueue, Chunk, Ledger, LocalMillis, Message, Outgoing, RecordId, RetryEntry, Row, Rule, SourceState,
    retry_after,
};

/// The longest a message can be kept invisible when it is sent (SQS).
const DELAY_MAX: Duration = Duration::from_mins(15);

impl<P: PollerPorts> Tick<'_, P> {
    /// Sends retry entries whose time has come, the longest due first.
    pub(super) async fn send_due_retries(&mut self, owed: &OwedWork) -> Result<(), Halt> {
        let settings = &self.poller.settings;
        let now = self.now();
        let mut due: Vec<&RetryEntry> = owed.retries.iter().filter(|entry| entry.next_at <= now).collect();
        due.sort_by_key(|entry| entry.next_at);
        due.truncate((settings.calls_in(settings.visibility_timeout) / 10).max(1));
        let mut outgoing = Vec::new();
        for RetryEntry { stream, id, attempts, .. } in due {
            // Before it is sent: an entry that resolves at once must not be written again.
            let next_at = now.plus(retry_after(*attempts));
            self.poller.ports.ledger().reschedule(stream, id, attempts + 1, next_at).await?;
            let message = Message::of_retry(stream, id.clone(), &self.checkpoint.account_mark);
            outgoing.push(Outgoing { message, delay: Duration::ZERO });
        }
        self.send(&outgoing).await?;
        self.ahead_count += outgoing.len();
        Ok(())
    }

    /// Sends bulk work that is due, after fresh work was sent. Returns how many more ids of it may be sent.
    pub(super) async fn send_due_bulk(&mut self, owed: &OwedWork) -> Result<usize, Halt> {
        if owed.bulk.is_empty() && self.checkpoint.backlog.is_empty() {
            return Ok(0);
        }
        let stream = &self.checkpoint.stream;
        let ledger = self.poller.ports.ledger();
        // Read after it is noted: of two streams that begin an import at once, at least one sees the other.
        ledger.note_bulk(stream, self.now()).await?;
        let source = ledger.source_state(stream.source).await?;
        let cap = self.bulk_cap(&source);
        let busy = in_flight(&owed.bulk, self.now()) + self.send_due(&owed.bulk, cap).await?;
        let at_least = if busy == 0 { self.poller.settings.chunk_ids } else { 0 };
        Ok(cap.saturating_sub(busy).max(at_least))
    }

    /// Ids of fresh work that may be in flight.
    pub(super) fn fresh_cap(&self) -> usize {
        self.poller.settings.calls_in(self.poller.settings.visibility_timeout)
    }

    /// Ids of bulk work that may be in flight: an interval's calls, shared with the source's other streams that have
    /// bulk work, less what this stream has in flight besides.
    fn bulk_cap(&self, source: &SourceState) -> usize {
        if Rule::BulkCap.is_left_out() {
            return usize::MAX;
        }
        let settings = &self.poller.settings;
        let now = self.now();
        let since = now.minus(settings.poll_interval.saturating_mul(2));
        let others = source.bulk.iter().filter(|(name, at)| **name != self.traits.name && **at > since).count();
        let share = if Rule::Share.is_left_out() { 1 } else { others + 1 };
        (settings.calls_in(settings.poll_interval) / share).saturating_sub(self.ahead_count)
    }

    /// Sends the first chunks of a lane that are due, while fewer than `cap` ids are in flight; how many ids were sent.
    pub(super) async fn send_due(&mut self, chunks: &[Chunk], cap: usize) -> Result<usize, Halt> {
        let now = self.now();
        let mut busy = in_flight(chunks, now);
        let busy_before = busy;
        self.ahead_count += busy;
        let mut due: Vec<&Chunk> = Vec::new();
        let is_sent_again = |chunk: &Chunk| chunk.next_at == LocalMillis::default() || !Rule::Resend.is_left_out();
        for chunk in chunks.iter().filter(|chunk| chunk.next_at <= now && is_sent_again(chunk)) {
            if due.is_empty() || busy < cap {
                busy += chunk.ids.len();
                due.push(chunk);
            }
        }
        let next_at = now.plus(self.poller.settings.patience());
        for chunk in &due {
            self.poller.ports.ledger().mark_sent(&chunk.key, next_at).await?;
        }
        let outgoing = due.iter().map(|chunk| self.message_of(chunk, BTreeMap::new(), Duration::ZERO)).collect();
        self.send_paced(outgoing).await?;
        Ok(busy - busy_before)
    }

    pub(super) fn message_of(&self, chunk: &Chunk, rows: BTreeMap<RecordId, Row>, delay: Duration) -> Outgoing {
        let ids = chunk.ids.iter().cloned().collect();
        Outgoing { message: Message::of_chunk(&chunk.key, ids, rows, &self.checkpoint.account_mark), delay }
    }

    /// Sends messages, each invisible until the vendor's rate has room for it: so fetchers do not pay for waiting.
    pub(super) async fn send_paced(&mut self, mut outgoing: Vec<Outgoing>) -> Result<(), Halt> {
        for one in outgoing.iter_mut().filter(|one| one.message.rows.is_empty()) {
            let ahead = u32::try_from(self.ahead_count).unwrap_or(u32::MAX);
            let delay = self.poller.settings.call_interval.saturating_mul(ahead).min(DELAY_MAX);
            one.delay = Duration::from_secs(delay.as_secs()).max(one.delay);
            self.ahead_count += one.message.ids.len();
        }
        self.send(&outgoing).await
    }

    /// Sends messages. What is not accepted stays owed, and is sent again when its patience is over.
    async fn send(&mut self, outgoing: &[Outgoing]) -> Result<(), Halt> {
        if !outgoing.is_empty() {
            self.report.sent_count += self.poller.ports.queue().send(outgoing).await?;
        }
        Ok(())
    }
}
