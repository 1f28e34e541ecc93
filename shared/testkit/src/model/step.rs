//! Steps: what is drawn at random, small and in words, so that what is left after shrinking reads like a story.

use std::time::Duration;

use tidemark_engine::breaker::{Pause, StampGap};
use tidemark_engine::checkpoint::{Checkpoint, Guard, LEASE, Transition};
use tidemark_engine::chunk::{Chunk, ChunkKey, Finish};
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::RecordId;

use super::call::Call;
use super::machine::Model;
use super::poller::{Change, Spoilt};
use super::{OWNERS, at, moved};

/// Ids that a careless key, set or expression would trip over.
pub(super) const IDS: [&str; 4] = ["7", "07", "a#b", "🦆"];

/// One step. Instants are seconds after the model's start; a chunk is one's place among those that were ever put, and the
/// place behind the last is a chunk that never was.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "fields are named as the arguments of the ports' methods")]
pub enum Step {
    /// E0, at the model's start or further on.
    Create {
        by: i64,
    },
    /// E1.
    Acquire {
        poller: usize,
        now: i64,
    },
    /// A write of one who has no lease at all.
    StoreUnleased,
    /// A write of a poller by what it knows, right but for what is spoilt.
    Store {
        poller: usize,
        change: Change,
        spoilt: Option<Spoilt>,
    },
    /// E3, of a poller that is listing: each chunk's ids.
    Put {
        poller: usize,
        chunks: Vec<Vec<&'static str>>,
        with_rows: bool,
    },
    MarkSent {
        chunk: usize,
        sent_at: i64,
    },
    /// E6.
    Finish {
        chunk: usize,
        done: Vec<&'static str>,
        stamp: Option<i64>,
        parked: bool,
        withheld: u32,
    },
    /// E7.
    Poison {
        chunk: usize,
        id: &'static str,
        reason: &'static str,
    },
    MarkTrying {
        chunk: usize,
        id: &'static str,
        receives: u32,
    },
    /// E10.
    Quarantine {
        id: &'static str,
        since: i64,
    },
    Reschedule {
        id: &'static str,
        attempts: u32,
    },
    /// E11.
    Resolve {
        id: &'static str,
        fetched_at: i64,
    },
    AddFailures {
        count: u32,
    },
    OpenBreaker {
        until: i64,
    },
    CloseBreaker,
    PauseStream {
        until: i64,
    },
    ResumeStream,
    NoteStampGap {
        millis: i64,
    },
    Reserve {
        calls: u32,
        interval_us: u64,
        now: i64,
        latest: i64,
    },
    /// The last call arrives a second time.
    Again,
}

impl Model {
    /// The call that the step makes in this state, and the poller that makes it; none when it makes none.
    pub(super) fn call(&self, step: &Step) -> Option<(Call, Option<usize>)> {
        let by_nobody = |call| Some((call, None));
        match step {
            Step::Create { by } => by_nobody(Call::Create { start: moved(&self.start, *by) }),
            Step::Acquire { poller, now } => {
                let (owner, now) = (OWNERS.get(*poller)?, at(*now));
                Some((Call::Acquire { owner, now, until: now.plus(LEASE) }, Some(*poller)))
            }
            Step::StoreUnleased => {
                let next = Checkpoint::first(self.items.stream.clone(), moved(&self.start, 9));
                by_nobody(Call::Store(Box::new(Transition { guard: Guard::NoRun, next })))
            }
            Step::Store { poller, change, spoilt } => {
                let known = self.pollers.get(*poller)?;
                let right = known.transition(*change, self.runs_begun, &self.items)?;
                let transition = match spoilt {
                    Some(spoilt) => spoilt.spoil(known.view.as_ref()?, right),
                    None => right,
                };
                Some((Call::Store(Box::new(transition)), Some(*poller)))
            }
            Step::Put { poller, chunks, with_rows } => {
                let (view, run) = self.pollers.get(*poller)?.listing()?;
                let chunks = (run.accepted..).zip(chunks).map(|(seq, ids)| {
                    let key = ChunkKey { stream: view.stream.clone(), run: run.run_id.clone(), seq, epoch: view.epoch };
                    let pending = ids.iter().copied().filter_map(id).collect();
                    let fresh = Chunk::new(key, run.horizon, run.listed_at, run.held_checkpoint.clone(), pending);
                    Chunk { has_rows: *with_rows, ..fresh.sent(with_rows.then(|| at(1))) }
                });
                Some((Call::PutChunks(chunks.collect()), Some(*poller)))
            }
            Step::MarkSent { chunk, sent_at } => {
                by_nobody(Call::MarkSent { key: self.chunk(*chunk), sent_at: at(*sent_at) })
            }
            Step::Finish { chunk, done, stamp, parked, withheld } => {
                let done = done.iter().copied().filter_map(id).collect();
                let finish = Finish { done, stamp: stamp.map(at), parked: *parked, withheld_count: *withheld };
                by_nobody(Call::Finish { key: self.chunk(*chunk), finish })
            }
            Step::Poison { chunk, id: text, reason } => {
                by_nobody(Call::Poison { key: self.chunk(*chunk), id: id(text)?, reason: (*reason).to_owned() })
            }
            Step::MarkTrying { chunk, id: text, receives } => {
                by_nobody(Call::MarkTrying { key: self.chunk(*chunk), id: id(text)?, receives: *receives })
            }
            Step::Quarantine { id: text, since } => by_nobody(Call::Quarantine(Quarantined {
                stream: self.items.stream.clone(),
                id: id(text)?,
                reason: format!("since {since}"),
                since: at(*since),
                held_checkpoint: moved(&self.start, *since),
                attempts: 0,
                next_at: at(900),
            })),
            Step::Reschedule { id: text, attempts } => {
                let next_at = at(3_600).shifted(i64::from(*attempts));
                by_nobody(Call::Reschedule { id: id(text)?, attempts: *attempts, next_at })
            }
            Step::Resolve { id: text, fetched_at } => {
                by_nobody(Call::Resolve { id: id(text)?, fetched_at: at(*fetched_at) })
            }
            Step::AddFailures { count } => by_nobody(Call::AddFailures { count: *count }),
            Step::OpenBreaker { until } => by_nobody(Call::OpenBreaker {
                until: at(*until),
                open_for: Duration::from_secs(until.unsigned_abs()),
                why: format!("until {until}"),
            }),
            Step::CloseBreaker => by_nobody(Call::CloseBreaker),
            Step::PauseStream { until } => {
                by_nobody(Call::PauseStream(Pause { until: at(*until), why: format!("403, until {until}") }))
            }
            Step::ResumeStream => by_nobody(Call::ResumeStream),
            Step::NoteStampGap { millis } => {
                by_nobody(Call::NoteStampGap(StampGap { millis: *millis, seen_at: at(*millis) }))
            }
            Step::Reserve { calls, interval_us, now, latest } => by_nobody(Call::Reserve {
                calls: *calls,
                interval: Duration::from_micros(*interval_us),
                now: at(*now),
                latest: at(*latest),
            }),
            Step::Again => self.last.as_ref().map(|last| (last.call.clone(), last.poller)),
        }
    }

    fn chunk(&self, place: usize) -> ChunkKey {
        let never_put = || ChunkKey { stream: self.items.stream.clone(), run: "never".to_owned(), seq: 0, epoch: 1 };
        self.items.chunks.keys().nth(place).cloned().unwrap_or_else(never_put)
    }
}

fn id(text: &str) -> Option<RecordId> {
    RecordId::parse(text).ok()
}
