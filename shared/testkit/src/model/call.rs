//! The calls of a list: each a write of one port, with few different values, so that they meet.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis};
use tidemark_engine::failure::{FailureClass, StoreFailure};
use tidemark_engine::health::Why;
use tidemark_engine::lateness::Lateness;
use tidemark_engine::ports::{Checkpoints, Ledger, Records, Stored, Written};
use tidemark_engine::record::{Body, DeletedBecause, Look, RecordId, Seen};
use tidemark_engine::stream::{ListShape, SourceKind, StreamTraits};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Next, Reason, RetryEntry, Told, Trying};

use super::{at, id, key, position, stream, vendor_at};

/// A set of small numbers of ids.
pub(super) type Numbers = BTreeSet<u8>;

/// A write. Times are seconds, ids are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the method of its name in the engine's ports")]
pub enum Call {
    Create,
    Store {
        version: i64,
        scanned: i64,
    },
    Put {
        chunk: u8,
        ids: BTreeSet<u8>,
    },
    MarkSent {
        chunk: u8,
        next: i64,
    },
    Finish {
        chunk: u8,
        gone: BTreeSet<u8>,
        next: i64,
    },
    MarkTrying {
        chunk: u8,
        gone: BTreeSet<u8>,
        id: u8,
        times: u32,
    },
    DeleteChunk {
        chunk: u8,
    },
    SetAside {
        id: u8,
        listed: i64,
        holds: Option<i64>,
        reason: u8,
    },
    Reschedule {
        id: u8,
        attempts: u32,
        next: i64,
    },
    Resolve {
        id: u8,
        looked: i64,
    },
    WriteMark {
        mark: u8,
    },
    NoteStored {
        at: i64,
    },
    AddFailures {
        count: u32,
    },
    PauseStream {
        until: i64,
        why: u8,
    },
    ResumeStream,
    PauseSource {
        until: i64,
        why: u8,
    },
    ResumeSource,
    NoteBulk {
        at: i64,
    },
    Reserve {
        calls: u32,
        earliest: i64,
        latest: i64,
    },
    Looks(Vec<Glance>),
    /// The call so many places before comes again.
    Again(usize),
}

/// A look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// At which record.
    pub id: u8,
    /// When it was begun.
    pub looked: i64,
    /// Its body and stamp; none when it is gone.
    pub body: Option<(u8, Option<i64>)>,
    /// The hint, right or wrong.
    pub is_stored: bool,
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what the port's method returns")]
pub enum Answer {
    Done,
    Written(Written),
    Count(u32),
    Slot(Option<LocalMillis>),
    Stored(Vec<Stored>),
}

/// How long each call takes on the schedule.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);

pub(super) fn first() -> Checkpoint {
    let traits = StreamTraits {
        name: stream().name,
        shape: ListShape::Whole,
        stamped: true,
        filtered: true,
        first: position(0),
    };
    Checkpoint::first(stream(), &traits, "account".to_owned())
}

pub(super) fn state(version: i64, scanned: i64) -> Checkpoint {
    Checkpoint { version, scanned: position(scanned), ..first() }
}

/// Two chunks in each lane.
pub(super) fn chunk_key(chunk: u8) -> ChunkKey {
    let lane = if chunk.is_multiple_of(2) { Lane::Fresh } else { Lane::Bulk };
    ChunkKey::new(stream(), lane, Some(&position(-i64::from(chunk))), 1, 0)
}

pub(super) fn ids(numbers: &Numbers) -> BTreeSet<RecordId> {
    numbers.iter().copied().map(id).collect()
}

pub(super) fn chunk(chunk: u8, numbers: &Numbers) -> Chunk {
    Chunk {
        key: chunk_key(chunk),
        holds: Some(position(-i64::from(chunk))),
        ids: ids(numbers),
        listed_at: at(1),
        next_at: at(0),
        told: Told::Ids,
        trying: None,
    }
}

pub(super) fn reason(number: u8) -> Reason {
    Reason::ALL.into_iter().nth(usize::from(number)).unwrap_or(Reason::Record)
}

pub(super) fn entry(number: u8, listed: i64, holds: Option<i64>, why: u8) -> RetryEntry {
    RetryEntry {
        stream: stream(),
        id: id(number),
        reason: reason(why),
        cause: format!("failure {why}"),
        since: at(listed),
        holds: holds.map(position),
        listed_at: at(listed),
        attempts: 0,
        next_at: at(listed.saturating_add(60)),
    }
}

pub(super) fn why(number: u8) -> Why {
    Why { class: FailureClass::Transient, cause: format!("cause {number}") }
}

pub(super) fn body(number: u8) -> Body {
    Body::new(format!("{{\"v\":{number}}}"))
}

pub(super) fn stamp(seconds: i64) -> Stamp {
    Stamp { text: format!("stamp {seconds}"), at: StampMillis::new(seconds), utc: vendor_at(seconds) }
}

fn look(glance: &Glance) -> Look {
    let seen = match &glance.body {
        None => Seen::Gone(DeletedBecause::Vanished),
        Some((number, stamped)) => {
            Seen::Record { body: body(*number), stamp: stamped.map(stamp), seen_at: Some(vendor_at(glance.looked)) }
        }
    };
    let (key, looked_at) = (key(glance.id), at(glance.looked));
    Look { key, looked_at, seen, event: None, is_stored: glance.is_stored }
}

impl Call {
    /// Makes the call.
    pub(super) async fn make(
        &self,
        checkpoints: &impl Checkpoints,
        ledger: &impl Ledger,
        records: &impl Records,
    ) -> Result<Answer, StoreFailure> {
        let (stream, source) = (stream(), SourceKind::FieldMotion);
        let written = match self {
            Self::Create => checkpoints.create(&first()).await?,
            Self::Store { version, scanned } => checkpoints.store(&state(*version, *scanned)).await?,
            Self::MarkSent { chunk, next } => ledger.mark_sent(&chunk_key(*chunk), at(*next)).await?,
            Self::Finish { chunk, gone, next } => {
                ledger.finish(&chunk_key(*chunk), &ids(gone), &Next::SentAt(at(*next))).await?
            }
            Self::MarkTrying { chunk, gone, id, times } => {
                let trying = Trying { id: super::id(*id), times: *times };
                ledger.finish(&chunk_key(*chunk), &ids(gone), &Next::Tried(trying)).await?
            }
            Self::Reschedule { id, attempts, next } => {
                ledger.reschedule(&stream, &super::id(*id), *attempts, at(*next)).await?
            }
            Self::Resolve { id, looked } => ledger.resolve(&stream, &super::id(*id), at(*looked)).await?,
            Self::PauseStream { until, why: number } => ledger.pause_stream(&stream, at(*until), &why(*number)).await?,
            Self::PauseSource { until, why: number } => {
                let open_for = Duration::from_secs(u64::from(*number));
                ledger.pause_source(source, at(*until), open_for, &why(*number)).await?
            }
            Self::AddFailures { count } => return Ok(Answer::Count(ledger.add_failures(&stream, *count).await?)),
            Self::Reserve { calls, earliest, latest } => {
                let slot = ledger.reserve(source, *calls, INTERVAL, at(*earliest), at(*latest)).await?;
                return Ok(Answer::Slot(slot));
            }
            Self::Looks(glances) => {
                let looks: Vec<Look> = glances.iter().map(look).collect();
                return Ok(Answer::Stored(records.store(&looks).await?));
            }
            other => {
                other.note(ledger).await?;
                return Ok(Answer::Done);
            }
        };
        Ok(Answer::Written(written))
    }

    /// Makes a call that answers nothing.
    async fn note(&self, ledger: &impl Ledger) -> Result<(), StoreFailure> {
        let (stream, source) = (stream(), SourceKind::FieldMotion);
        match self {
            Self::Put { chunk: number, ids } => ledger.put_chunks(&[chunk(*number, ids)]).await,
            Self::DeleteChunk { chunk } => ledger.delete_chunk(&chunk_key(*chunk)).await,
            Self::SetAside { id, listed, holds, reason } => {
                ledger.set_aside(&entry(*id, *listed, *holds, *reason)).await
            }
            Self::WriteMark { mark } => ledger.write_mark(&stream, &format!("mark {mark}")).await,
            Self::NoteStored { at: seconds } => ledger.note_stored(&stream, at(*seconds), &Lateness::default()).await,
            Self::ResumeStream => ledger.resume_stream(&stream).await,
            Self::ResumeSource => ledger.resume_source(source).await,
            Self::NoteBulk { at: seconds } => ledger.note_bulk(&stream, at(*seconds)).await,
            _ => Ok(()),
        }
    }
}

/// Any call, of few different values.
pub(super) fn any_call() -> impl Strategy<Value = Call> {
    let number = || 0..3_u8;
    let chunk = || 0..4_u8;
    let when = || 0..8_i64;
    let numbers = || proptest::collection::btree_set(0..4_u8, 0..4);
    let ledger = prop_oneof![
        4 => (chunk(), proptest::collection::btree_set(0..4_u8, 1..5)).prop_map(|(chunk, ids)| Call::Put { chunk, ids }),
        1 => (chunk(), when()).prop_map(|(chunk, next)| Call::MarkSent { chunk, next }),
        3 => (chunk(), numbers(), when()).prop_map(|(chunk, gone, next)| Call::Finish { chunk, gone, next }),
        2 => (chunk(), numbers(), number(), 1..4_u32)
            .prop_map(|(chunk, gone, id, times)| Call::MarkTrying { chunk, gone, id, times }),
        2 => chunk().prop_map(|chunk| Call::DeleteChunk { chunk }),
        6 => (number(), when(), proptest::option::of(when()), 0..5_u8)
            .prop_map(|(id, listed, holds, reason)| Call::SetAside { id, listed, holds, reason }),
        2 => (number(), 0..5_u32, when()).prop_map(|(id, attempts, next)| Call::Reschedule { id, attempts, next }),
        3 => (number(), when()).prop_map(|(id, looked)| Call::Resolve { id, looked }),
    ];
    let shared = prop_oneof![
        number().prop_map(|mark| Call::WriteMark { mark }),
        when().prop_map(|at| Call::NoteStored { at }),
        (0..3_u32).prop_map(|count| Call::AddFailures { count }),
        (when(), number()).prop_map(|(until, why)| Call::PauseStream { until, why }),
        Just(Call::ResumeStream),
        (when(), number()).prop_map(|(until, why)| Call::PauseSource { until, why }),
        Just(Call::ResumeSource),
        when().prop_map(|at| Call::NoteBulk { at }),
        (1..3_u32, 0..30_i64, 0..40_i64).prop_map(|(calls, earliest, latest)| Call::Reserve {
            calls,
            earliest,
            latest
        }),
    ];
    let body = proptest::option::weighted(0.7, (number(), proptest::option::of(when())));
    let glance = (number(), when(), body, any::<bool>()).prop_map(|(id, looked, body, is_stored)| Glance {
        id,
        looked,
        body,
        is_stored,
    });
    let looks = proptest::collection::vec(glance, 1..4).prop_map(|mut glances| {
        // No two looks of a call are about one record.
        glances.sort_by_key(|glance| glance.id);
        glances.dedup_by_key(|glance| glance.id);
        Call::Looks(glances)
    });
    prop_oneof![
        1 => Just(Call::Create),
        4 => (0..6_i64, when()).prop_map(|(version, scanned)| Call::Store { version, scanned }),
        8 => ledger,
        4 => shared,
        5 => looks,
        3 => (1..12_usize).prop_map(Call::Again),
    ]
}
