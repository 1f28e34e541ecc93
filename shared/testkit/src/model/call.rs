//! A call of the ports as a value, so that an implementation and the model can answer the same one.

use std::time::Duration;

use tidemark_engine::breaker::{Pause, StampGap};
use tidemark_engine::checkpoint::{Position, Transition};
use tidemark_engine::chunk::{Chunk, ChunkKey, Finish};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Acquired, Checkpoints, Ledger, Written};
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::StreamKey;

/// A call of [`Checkpoints`] or [`Ledger`] that writes, with its arguments; the stream is the model's.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "variants and fields are named as the ports' methods and arguments")]
pub enum Call {
    Create { start: Position },
    Acquire { owner: &'static str, now: UtcMillis, until: UtcMillis },
    Store(Box<Transition>),
    PutChunks(Vec<Chunk>),
    MarkSent { key: ChunkKey, sent_at: UtcMillis },
    Finish { key: ChunkKey, finish: Finish },
    Poison { key: ChunkKey, id: RecordId, reason: String },
    MarkTrying { key: ChunkKey, id: RecordId, receives: u32 },
    Quarantine(Quarantined),
    Reschedule { id: RecordId, attempts: u32, next_at: UtcMillis },
    Resolve { id: RecordId, fetched_at: UtcMillis },
    AddFailures { count: u32 },
    OpenBreaker { until: UtcMillis, open_for: Duration, why: String },
    CloseBreaker,
    PauseStream(Pause),
    ResumeStream,
    NoteStampGap(StampGap),
    Reserve { calls: u32, interval: Duration, now: UtcMillis, latest: UtcMillis },
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing but that it was done.
    Done,
    /// Whether the write took effect.
    Written(Written),
    /// What became of an attempt to own the stream.
    Acquired(Acquired),
    /// How many failures there are.
    Failures(u32),
    /// When the first reserved call may be made.
    Reserved(Option<UtcMillis>),
}

/// What a call may change, and what is compared after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Stream,
    Chunks,
    Quarantine,
    Source,
}

impl Part {
    /// Everything.
    pub(super) const ALL: [Self; 4] = [Self::Stream, Self::Chunks, Self::Quarantine, Self::Source];
}

impl Call {
    /// What the call may change.
    pub(super) fn part(&self) -> Part {
        match self {
            Self::Create { .. } | Self::Acquire { .. } | Self::Store(_) => Part::Stream,
            Self::PutChunks(_)
            | Self::MarkSent { .. }
            | Self::Finish { .. }
            | Self::Poison { .. }
            | Self::MarkTrying { .. } => Part::Chunks,
            Self::Quarantine(_) | Self::Reschedule { .. } | Self::Resolve { .. } => Part::Quarantine,
            Self::AddFailures { .. }
            | Self::OpenBreaker { .. }
            | Self::CloseBreaker
            | Self::PauseStream(_)
            | Self::ResumeStream
            | Self::NoteStampGap(_)
            | Self::Reserve { .. } => Part::Source,
        }
    }

    /// Makes the call.
    pub(super) async fn make(
        &self,
        stream: &StreamKey,
        checkpoints: &impl Checkpoints,
        ledger: &impl Ledger,
    ) -> Result<Answer, StoreFailure> {
        let source = stream.source;
        Ok(match self {
            Self::Create { start } => Answer::Written(checkpoints.create(stream, start).await?),
            Self::Acquire { owner, now, until } => {
                Answer::Acquired(checkpoints.acquire(stream, owner, *now, *until).await?)
            }
            Self::Store(transition) => Answer::Written(checkpoints.store(transition).await?),
            Self::PutChunks(chunks) => done(ledger.put_chunks(chunks).await?),
            Self::MarkSent { key, sent_at } => Answer::Written(ledger.mark_sent(key, *sent_at).await?),
            Self::Finish { key, finish } => Answer::Written(ledger.finish(key, finish).await?),
            Self::Poison { key, id, reason } => Answer::Written(ledger.poison(key, id, reason).await?),
            Self::MarkTrying { key, id, receives } => Answer::Written(ledger.mark_trying(key, id, *receives).await?),
            Self::Quarantine(entry) => Answer::Written(ledger.quarantine(entry).await?),
            Self::Reschedule { id, attempts, next_at } => {
                Answer::Written(ledger.reschedule(stream, id, *attempts, *next_at).await?)
            }
            Self::Resolve { id, fetched_at } => Answer::Written(ledger.resolve(stream, id, *fetched_at).await?),
            Self::AddFailures { count } => Answer::Failures(ledger.add_failures(source, *count).await?),
            Self::OpenBreaker { until, open_for, why } => {
                Answer::Written(ledger.open_breaker(source, *until, *open_for, why).await?)
            }
            Self::CloseBreaker => done(ledger.close_breaker(source).await?),
            Self::PauseStream(pause) => done(ledger.pause_stream(stream, pause).await?),
            Self::ResumeStream => done(ledger.resume_stream(stream).await?),
            Self::NoteStampGap(gap) => done(ledger.note_stamp_gap(source, *gap).await?),
            Self::Reserve { calls, interval, now, latest } => {
                Answer::Reserved(ledger.reserve(source, *calls, *interval, *now, *latest).await?)
            }
        })
    }
}

fn done((): ()) -> Answer {
    Answer::Done
}
