//! Sending chunks: never more of them than the vendor's rate can finish within a visibility timeout.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chunk::Chunk;
use crate::message::{MESSAGE_VERSION, Message};
use crate::ports::{ChangeQueue, Checkpoints, Ledger, Outgoing};
use crate::record::{Body, RecordId};
use crate::rule::Rule;
use crate::run::Run;
use crate::stamp::millis_of;
use crate::stream::StreamKey;

use super::tick::{Halt, Tick};
use super::{Notice, PollSettings, PollerPorts};

/// The longest a message can be kept invisible when it is sent (SQS).
const DELAY_MAX: Duration = Duration::from_mins(15);

/// The window where its rule is left out: as if every vendor were fast.
const WINDOW_UNRULED: i64 = 256;

/// How many chunks may be out, and with how many runs the source's rate is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) chunk_count: u32,
    pub(super) run_count: u32,
}

/// `max(1, rate x visibility timeout / 50)` chunks, shared among the source's open runs. A window of fixed size lets
/// messages of a slow vendor time out, and healthy ids end in quarantine.
fn window_of(settings: &PollSettings, run_count: u32) -> Window {
    let chunk_millis = millis_of(settings.call_interval.saturating_mul(settings.chunk_ids)).max(1);
    let whole = millis_of(settings.visibility_timeout) / chunk_millis;
    let share = if Rule::Window.is_left_out() { WINDOW_UNRULED } else { whole / i64::from(run_count.max(1)) };
    Window { chunk_count: u32::try_from(share.max(1)).unwrap_or(u32::MAX), run_count: run_count.max(1) }
}

impl<P: PollerPorts> Tick<'_, P> {
    /// The window of this tick. The source's other streams are looked at only when it matters how many are open.
    pub(super) async fn window(&mut self, wanted: u32) -> Result<Window, Halt> {
        let settings = &self.poller.settings;
        let of = |run_count| window_of(settings, run_count);
        let all = u32::try_from(settings.streams.len()).unwrap_or(u32::MAX);
        if wanted <= of(all).chunk_count {
            return Ok(Window { run_count: 1, ..of(all) });
        }
        if let Some(run_count) = self.open_runs {
            return Ok(of(run_count));
        }
        let mut run_count = 1;
        for name in settings.streams.iter().filter(|name| **name != self.traits.name) {
            let key = StreamKey { source: self.checkpoint.stream.source, name: name.clone() };
            let other = self.poller.ports.checkpoints().load(&key).await?;
            run_count += u32::from(other.is_some_and(|checkpoint| checkpoint.run.is_some()));
        }
        self.open_runs = Some(run_count);
        Ok(of(run_count))
    }

    /// How long chunk `seq` stays invisible: until the vendor's rate has room for it. So fetchers do not wait, and pay,
    /// for their turn.
    pub(super) fn delay_of(&self, seq: u32, run: &Run, window: Window) -> Duration {
        let ahead = self.outstanding.saturating_add(seq.saturating_sub(run.sent));
        self.delay_behind(ahead, window)
    }

    fn delay_behind(&self, ahead: u32, window: Window) -> Duration {
        let settings = &self.poller.settings;
        let chunk = settings.call_interval.saturating_mul(settings.chunk_ids);
        let delay = chunk.saturating_mul(ahead).saturating_mul(window.run_count);
        Duration::from_secs(delay.min(DELAY_MAX).as_secs())
    }

    /// Sends what the window has room for: first what was just accepted, then, from the ledger, what an earlier tick left.
    pub(super) async fn dispatch(&mut self) -> Result<(), Halt> {
        let messages = std::mem::take(&mut self.unsent);
        if !messages.is_empty() {
            let sent = self.send(&messages).await?;
            self.note_sent(sent);
            return Ok(());
        }
        let Some(run) = self.checkpoint.run.clone() else {
            return Ok(());
        };
        let window = self.window(run.accepted.saturating_sub(run.frontier)).await?;
        let end = run.accepted.min(run.frontier.saturating_add(window.chunk_count));
        if run.sent >= end {
            return Ok(());
        }
        let stored = self.poller.ports.ledger().chunks(&self.checkpoint.stream, &run.run_id, run.sent, end).await?;
        let chunks: Vec<&Chunk> = stored.iter().filter(|chunk| is_accepted(&run, chunk)).collect();
        if chunks.iter().any(|chunk| chunk.has_rows) {
            // Accepted, but whether its rows were sent nobody knows, and the ledger does not hold them.
            self.abort(Notice::ChunkLost).await?;
            return Err(Halt::Aborted);
        }
        let due = chunks.into_iter().map(|chunk| (chunk, self.delay_of(chunk.key.seq, &run, window))).collect();
        let sent = self.send_chunks(due).await?;
        self.note_sent(sent);
        Ok(())
    }

    fn note_sent(&mut self, sent: usize) {
        if let Some(run) = &mut self.checkpoint.run {
            run.sent = run.sent.saturating_add(u32::try_from(sent).unwrap_or(u32::MAX)).min(run.accepted);
        }
    }

    /// Sends chunks once more: those parked, and those whose message seems lost.
    pub(super) async fn send_again(&mut self, chunks: &[&Chunk]) -> Result<(), Halt> {
        let window = self.window(u32::try_from(chunks.len()).unwrap_or(u32::MAX)).await?;
        let delayed = (0..).zip(chunks).map(|(ahead, chunk)| (*chunk, self.delay_behind(ahead, window)));
        self.send_chunks(delayed.collect()).await.map(drop)
    }

    /// Sends chunks as the ledger knows them, each after its delay; returns how many from the front were accepted.
    async fn send_chunks(&mut self, chunks: Vec<(&Chunk, Duration)>) -> Result<usize, Halt> {
        let mut events = self.events_of(&chunks).await?;
        let mut outgoing = Vec::with_capacity(chunks.len());
        for (chunk, delay) in &chunks {
            let told = chunk.pending.iter().filter_map(|id| events.remove_entry(id)).collect();
            outgoing.push(Outgoing { message: again(chunk, told), delay: *delay });
        }
        let sent = self.send(&outgoing).await?;
        for (chunk, delay) in chunks.iter().take(sent) {
            let sent_at = self.now().plus(*delay);
            self.poller.ports.ledger().mark_sent(&chunk.key, sent_at).await?;
        }
        Ok(sent)
    }

    /// Sends messages and returns how many from the front were accepted.
    pub(super) async fn send(&mut self, messages: &[Outgoing]) -> Result<usize, Halt> {
        if messages.is_empty() {
            return Ok(0);
        }
        let sent = self.poller.ports.queue().send(messages).await?;
        self.report.sent_count += sent;
        Ok(sent)
    }
}

/// Whether the run accepted this chunk; one that a fenced poller wrote is ignored.
pub(super) fn is_accepted(run: &Run, chunk: &Chunk) -> bool {
    chunk.key.seq < run.accepted && run.epoch_of(chunk.key.seq) == Some(chunk.key.epoch)
}

/// The message of a chunk as the ledger knows it: without rows, with what is still pending. It bears the time of the list
/// call, on the local clock, as the first one did: an announced deletion is compared with fetches by it.
pub(super) fn again(chunk: &Chunk, events: BTreeMap<RecordId, Body>) -> Message {
    Message {
        version: MESSAGE_VERSION,
        source: chunk.key.stream.source,
        stream: chunk.key.stream.name.clone(),
        run: chunk.key.run.clone(),
        seq: chunk.key.seq,
        epoch: chunk.key.epoch,
        ids: chunk.pending.iter().cloned().collect(),
        listed_at: chunk.listed_at,
        rows: BTreeMap::new(),
        events,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::CHUNK_IDS;
    use crate::quarantine::PoisonPolicy;

    #[test]
    fn the_window_follows_rate_and_visibility_timeout() {
        let of = |interval_ms, runs| {
            let settings = PollSettings {
                overlap: Duration::from_mins(2),
                poison_policy: PoisonPolicy::Block,
                call_interval: Duration::from_millis(interval_ms),
                visibility_timeout: Duration::from_mins(12),
                streams: Vec::new(),
                chunk_ids: CHUNK_IDS,
            };
            window_of(&settings, runs).chunk_count
        };
        assert_eq!(of(500, 1), 28);
        assert_eq!(of(500, 6), 4);
        assert_eq!(of(100_000, 1), 1);
        assert_eq!(of(0, 1), 720_000);
    }
}
