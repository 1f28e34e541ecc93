//! Turning listed changes into chunks of the ledger, and having them accepted into the run.

use std::collections::BTreeMap;
use std::iter::Peekable;

use crate::change::Change;
use crate::checkpoint::{Checkpoint, Guard};
use crate::chunk::{CHUNK_ROW_BYTES, Chunk, ChunkKey, ROW_BYTES_MAX};
use crate::message::{MESSAGE_VERSION, Message, Row};
use crate::ports::{Ledger, Outgoing};
use crate::run::Run;
use crate::stamp::UtcMillis;
use crate::stream::ListShape;

use super::dispatch::Window;
use super::tick::{Halt, Tick};
use super::{Notice, PollerPorts};

/// How many chunks are accepted by one write of the checkpoint.
const CHUNKS_A_WRITE: usize = 10;

impl<P: PollerPorts> Tick<'_, P> {
    /// Writes chunks to the ledger (E3), then has the run accept them (E4): the other way round an accepted chunk could
    /// be missing. Chunks with rows are sent at once, because nothing but this message holds the rows; the others when
    /// the window has room for them.
    pub(super) async fn accept(&mut self, changes: Vec<Change>, listed_at: UtcMillis) -> Result<(), Halt> {
        let chunk_ids = usize::try_from(self.poller.settings.chunk_ids).unwrap_or(1).max(1);
        let wanted = u32::try_from(changes.len().div_ceil(chunk_ids)).unwrap_or(u32::MAX);
        let window = self.window(wanted).await?;
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some() {
            let Some(mut run) = self.checkpoint.run.clone() else {
                return Ok(());
            };
            let mut chunks = Vec::new();
            let mut messages = Vec::new();
            while chunks.len() < CHUNKS_A_WRITE && changes.peek().is_some() {
                let draft = take_chunk(&mut changes, chunk_ids);
                let seq = run.accepted.saturating_add(u32::try_from(chunks.len()).unwrap_or(u32::MAX));
                let delay = if draft.has_rows() { std::time::Duration::ZERO } else { self.delay_of(seq, &run, window) };
                let is_sent_now = draft.has_rows() || self.is_next_to_send(seq, messages.len(), &run, window);
                let key = self.chunk_key(&run, seq);
                run.listed_count = run.listed_count.saturating_add(u64::try_from(draft.ids.len()).unwrap_or(0));
                self.report.accepted_count += draft.ids.len();
                if self.traits.shape == ListShape::Whole {
                    run.cursor = draft.ids.last().map(|id| id.as_str().to_owned());
                }
                let sent_at = is_sent_now.then(|| self.now().plus(delay));
                chunks.push(draft.chunk(key.clone(), &run, listed_at, sent_at));
                if is_sent_now {
                    messages.push(Outgoing { message: draft.message(key, listed_at), delay });
                }
            }
            self.put_and_accept(&chunks, run).await?;
            if chunks.iter().any(|chunk| chunk.has_rows) {
                self.send_rows(&messages).await?;
            } else {
                self.unsent.extend(messages);
            }
        }
        Ok(())
    }

    /// Whether the window has room for chunk `seq`, and all before it are sent or about to be.
    fn is_next_to_send(&self, seq: u32, messages: usize, run: &Run, window: Window) -> bool {
        let about_to_be = u32::try_from(self.unsent.len() + messages).unwrap_or(u32::MAX);
        seq == run.sent.saturating_add(about_to_be) && seq < run.frontier.saturating_add(window.chunk_count)
    }

    fn chunk_key(&self, run: &Run, seq: u32) -> ChunkKey {
        ChunkKey { stream: self.checkpoint.stream.clone(), run: run.run_id.clone(), seq, epoch: self.checkpoint.epoch }
    }

    async fn put_and_accept(&mut self, chunks: &[Chunk], mut run: Run) -> Result<(), Halt> {
        self.poller.ports.ledger().put_chunks(chunks).await?;
        let guard = Guard::Run { run_id: run.run_id.clone(), accepted: run.accepted };
        run.accept(self.checkpoint.epoch, u32::try_from(chunks.len()).unwrap_or(u32::MAX));
        let next = Checkpoint { run: Some(run), last_progress_at: Some(self.now()), ..self.checkpoint.clone() };
        self.store(guard, next).await
    }

    /// Sends chunks that carry rows. A row that could not be sent is listed again, since nothing else holds it.
    async fn send_rows(&mut self, messages: &[Outgoing]) -> Result<(), Halt> {
        let sent = self.send(messages).await?;
        if sent < messages.len() {
            self.abort(Notice::ChunkLost).await?;
            return Err(Halt::Aborted);
        }
        if let Some(run) = &mut self.checkpoint.run {
            run.sent = run.accepted;
        }
        Ok(())
    }
}

/// The changes of one chunk.
struct Draft {
    ids: Vec<crate::record::RecordId>,
    rows: BTreeMap<crate::record::RecordId, Row>,
    events: BTreeMap<crate::record::RecordId, crate::record::Body>,
}

impl Draft {
    fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    fn chunk(&self, key: ChunkKey, run: &Run, listed_at: UtcMillis, sent_at: Option<UtcMillis>) -> Chunk {
        let pending = self.ids.iter().cloned().collect();
        let chunk = Chunk::new(key, run.horizon, listed_at, run.held_checkpoint.clone(), pending);
        Chunk { has_rows: self.has_rows(), ..chunk.sent(sent_at) }
    }

    fn message(self, key: ChunkKey, listed_at: UtcMillis) -> Message {
        Message {
            version: MESSAGE_VERSION,
            source: key.stream.source,
            stream: key.stream.name,
            run: key.run,
            seq: key.seq,
            epoch: key.epoch,
            ids: self.ids,
            listed_at,
            rows: self.rows,
            events: self.events,
        }
    }
}

/// Takes the next chunk off the changes: up to `chunk_ids` ids, and rows up to what a message can carry. Changes with rows and
/// changes without never share a chunk; a row that is too long for a message travels as its id.
fn take_chunk(changes: &mut Peekable<impl Iterator<Item = Change>>, chunk_ids: usize) -> Draft {
    let mut draft = Draft { ids: Vec::new(), rows: BTreeMap::new(), events: BTreeMap::new() };
    let mut row_bytes = 0;
    while let Some(change) = changes.peek() {
        let bytes = travelling_row_bytes(change);
        let is_other_kind = !draft.ids.is_empty() && draft.has_rows() != bytes.is_some();
        row_bytes += bytes.unwrap_or(0);
        if draft.ids.len() == chunk_ids || is_other_kind || (!draft.ids.is_empty() && row_bytes > CHUNK_ROW_BYTES) {
            break;
        }
        let Some(change) = changes.next() else { break };
        if let Some(listed) = change.listed {
            if let Some(body) = listed.row.filter(|_| bytes.is_some()) {
                draft.rows.insert(change.id.clone(), Row { body, stamp: listed.stamp });
            }
            if let Some(event) = listed.event {
                draft.events.insert(change.id.clone(), event);
            }
        }
        draft.ids.push(change.id);
    }
    draft
}

fn travelling_row_bytes(change: &Change) -> Option<usize> {
    let bytes = change.row()?.text().len();
    (bytes <= ROW_BYTES_MAX).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Listed;
    use crate::record::{Body, RecordId};

    fn id(n: usize) -> RecordId {
        RecordId::parse(format!("{n}")).unwrap()
    }

    fn row(n: usize, bytes: usize) -> Change {
        let body = Body::new(format!("\"{}\"", "x".repeat(bytes - 2)));
        Change { id: id(n), listed: Some(Box::new(Listed { row: Some(body), ..Listed::default() })) }
    }

    fn cut(changes: Vec<Change>) -> Vec<Draft> {
        let mut changes = changes.into_iter().peekable();
        let mut drafts = Vec::new();
        while changes.peek().is_some() {
            drafts.push(take_chunk(&mut changes, 50));
        }
        drafts
    }

    #[test]
    fn a_chunk_closes_at_fifty_ids() {
        let sizes: Vec<usize> =
            cut((0..120).map(|n| Change::of(id(n))).collect()).iter().map(|d| d.ids.len()).collect();
        assert_eq!(sizes, [50, 50, 20]);
    }

    #[test]
    fn rows_close_a_chunk_before_they_outgrow_a_message() {
        let drafts = cut((0..4).map(|n| row(n, 100 * 1024)).collect());
        assert_eq!(drafts.iter().map(|d| d.rows.len()).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn a_row_too_long_for_a_message_travels_as_its_id() {
        let drafts = cut(vec![row(1, 10), row(2, ROW_BYTES_MAX + 1), row(3, 10)]);
        let shape: Vec<_> = drafts.iter().map(|d| (d.ids.len(), d.rows.len())).collect();
        assert_eq!(shape, [(1, 1), (1, 0), (1, 1)]);
    }
}
