//! What is stored, as the model has it, and the same read from an implementation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use tidemark_engine::breaker::SourceState;
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::chunk::{Chunk, ChunkKey};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Ledger, Written};
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::StreamKey;

use super::arm::Arm;
use super::call::{Answer, Call, Part};

/// All items of one stream and its source, and what each call does to them.
#[derive(Clone, Debug)]
pub struct Items {
    /// Whose items.
    pub stream: StreamKey,
    /// The stream item.
    pub checkpoint: Option<Checkpoint>,
    /// Whether it was ever leased: before, it has no epoch.
    pub leased: bool,
    /// The chunks.
    pub chunks: BTreeMap<ChunkKey, Chunk>,
    /// The quarantine.
    pub quarantine: BTreeMap<RecordId, Quarantined>,
    /// What the functions of the source share.
    pub shared: SourceState,
    /// The end of what is reserved of the source's schedule.
    pub reserved_until: UtcMillis,
}

impl Items {
    /// No items.
    pub(super) fn none(stream: StreamKey) -> Self {
        Self {
            stream,
            checkpoint: None,
            leased: false,
            chunks: BTreeMap::new(),
            quarantine: BTreeMap::new(),
            shared: SourceState::default(),
            reserved_until: UtcMillis::default(),
        }
    }

    /// What the call answers, having changed what it changes.
    pub(super) fn answer(&mut self, call: &Call) -> (Answer, Option<Arm>) {
        match call {
            Call::Create { start } => written(self.create(start)),
            Call::Acquire { owner, now, until } => {
                let (acquired, arm) = self.acquire(owner, *now, *until);
                (Answer::Acquired(acquired), Some(arm))
            }
            Call::Store(transition) => written(self.store(transition)),
            Call::PutChunks(chunks) => {
                self.chunks.extend(chunks.iter().map(|chunk| (chunk.key.clone(), chunk.clone())));
                (Answer::Done, None)
            }
            Call::MarkSent { key, sent_at } => written(self.mark_sent(key, *sent_at)),
            Call::Finish { key, finish } => written(self.finish(key, finish)),
            Call::Poison { key, id, reason } => written(self.poison(key, id, reason)),
            Call::MarkTrying { key, id, receives } => written(self.mark_trying(key, id, *receives)),
            Call::Quarantine(entry) => written(self.put_in_quarantine(entry)),
            Call::Reschedule { id, attempts, next_at } => written(self.reschedule(id, *attempts, *next_at)),
            Call::Resolve { id, fetched_at } => written(self.resolve(id, *fetched_at)),
            Call::AddFailures { count } => (Answer::Failures(self.add_failures(*count)), None),
            Call::OpenBreaker { until, open_for, why } => written(self.open_breaker(*until, *open_for, why)),
            Call::CloseBreaker => {
                self.shared.breaker = tidemark_engine::breaker::Breaker::default();
                (Answer::Done, None)
            }
            Call::PauseStream(pause) => {
                self.shared.pauses.insert(self.stream.name.clone(), pause.clone());
                (Answer::Done, None)
            }
            Call::ResumeStream => {
                self.shared.pauses.remove(&self.stream.name);
                (Answer::Done, None)
            }
            Call::NoteStampGap(gap) => {
                self.shared.stamp_gap = Some(*gap);
                (Answer::Done, None)
            }
            Call::Reserve { calls, interval, now, latest } => {
                let (start, arm) = self.reserve(*calls, *interval, *now, *latest);
                (Answer::Reserved(start), Some(arm))
            }
        }
    }

    /// How this part of an implementation's items differs, in words; none when it does not.
    pub(super) async fn difference(
        &self,
        part: Part,
        checkpoints: &impl Checkpoints,
        ledger: &impl Ledger,
    ) -> Result<Option<String>, StoreFailure> {
        Ok(match part {
            Part::Stream => unequal(&checkpoints.load(&self.stream).await?, &self.checkpoint),
            Part::Chunks => {
                let runs: BTreeSet<&str> = self.chunks.keys().map(|key| key.run.as_str()).collect();
                let mut found = Vec::new();
                for run in runs {
                    found.extend(ledger.chunks(&self.stream, run, 0, u32::MAX).await?);
                }
                found.sort_by(|one, other| one.key.cmp(&other.key));
                unequal(&found, &self.chunks.values().cloned().collect())
            }
            Part::Quarantine => {
                unequal(&ledger.quarantined(&self.stream).await?, &self.quarantine.values().cloned().collect())
            }
            Part::Source => unequal(&ledger.source_state(self.stream.source).await?, &self.shared),
        })
    }
}

fn unequal<T: PartialEq + Debug>(found: &T, expected: &T) -> Option<String> {
    (found != expected).then(|| format!("there is {found:#?}\nin the model {expected:#?}"))
}

fn written((written, arm): (Written, Arm)) -> (Answer, Option<Arm>) {
    (Answer::Written(written), Some(arm))
}
