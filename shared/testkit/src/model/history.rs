//! What is stored, and what a call answers, worked out from all the calls before it.

use std::time::Duration;

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::health::{Breaker, SourceState, StreamState};
use tidemark_engine::ports::{Stored, Written};
use tidemark_engine::record::StoredVersion;
use tidemark_engine::work::{Chunk, RetryEntry, Trying};

use super::call::{Answer, Call, Glance, INTERVAL, body, chunk, entry, first, ids, reason, stamp, state, why};
use super::{at, id, position, stream, vendor_at};

/// The calls made so far, oldest first. None is [`Call::Again`].
#[derive(Clone, Copy, Debug)]
pub(super) struct History<'a>(pub(super) &'a [Call]);

fn written(applied: bool) -> Answer {
    Answer::Written(if applied { Written::Applied } else { Written::Refused })
}

impl<'a> History<'a> {
    /// What the next call answers.
    pub(super) fn answer(self, call: &Call) -> Answer {
        match call {
            Call::Create => written(self.checkpoint().is_none()),
            Call::Store { version, .. } => {
                written(self.checkpoint().is_some_and(|stored| stored.version == version - 1))
            }
            Call::MarkSent { chunk, .. } | Call::Finish { chunk, .. } | Call::MarkTrying { chunk, .. } => {
                written(self.chunk(*chunk).is_some())
            }
            Call::Reschedule { id, .. } => written(self.entry(*id).is_some()),
            Call::Resolve { id, looked } => written(self.entry(*id).is_some_and(|entry| entry.listed_at < at(*looked))),
            Call::AddFailures { count } => Answer::Count(self.stream().breaker.failure_count + count),
            Call::PauseStream { until, .. } => written(self.stream().breaker.open_until <= Some(at(*until))),
            Call::PauseSource { until, .. } => written(self.source().breaker.open_until <= Some(at(*until))),
            Call::Reserve { earliest, latest, .. } => Answer::Slot(self.slot(*earliest, *latest)),
            Call::Looks(glances) => Answer::Stored(glances.iter().map(|glance| self.stored(glance)).collect()),
            Call::Put { .. }
            | Call::DeleteChunk { .. }
            | Call::SetAside { .. }
            | Call::WriteMark { .. }
            | Call::NoteStored { .. }
            | Call::ResumeStream
            | Call::ResumeSource
            | Call::NoteBulk { .. }
            | Call::Again(_) => Answer::Done,
        }
    }

    /// The calls behind the last one of which `ends` holds.
    fn since(self, ends: impl Fn(&Call) -> bool) -> &'a [Call] {
        let first = self.0.iter().rposition(ends).map_or(0, |last| last + 1);
        self.0.get(first..).unwrap_or_default()
    }

    /// The checkpoint: each write that is applied is the whole of it.
    pub(super) fn checkpoint(self) -> Option<Checkpoint> {
        let mut stored: Option<Checkpoint> = None;
        for call in self.0 {
            match (call, &stored) {
                (Call::Create, None) => stored = Some(first()),
                (Call::Store { version, scanned }, Some(now)) if *version == now.version + 1 => {
                    stored = Some(state(*version, *scanned));
                }
                _ => {}
            }
        }
        stored
    }

    /// A chunk: what was put last, less what was taken out since.
    pub(super) fn chunk(self, number: u8) -> Option<Chunk> {
        let since = self.since(|call| matches!(call, Call::DeleteChunk { chunk } if *chunk == number));
        let is_put = |call: &Call| matches!(call, Call::Put { chunk, .. } if *chunk == number);
        let place = since.iter().rposition(is_put)?;
        let (put, later) = since.get(place..)?.split_first()?;
        let Call::Put { ids: numbers, .. } = put else { return None };
        let mut left = chunk(number, numbers);
        for call in later {
            match call {
                Call::MarkSent { chunk, next } if *chunk == number => left.next_at = at(*next),
                Call::Finish { chunk, gone, next } if *chunk == number => {
                    left.ids = &left.ids - &ids(gone);
                    left.next_at = at(*next);
                }
                Call::MarkTrying { chunk, gone, id: tried, times } if *chunk == number => {
                    left.ids = &left.ids - &ids(gone);
                    left.trying = Some(Trying { id: id(*tried), times: *times });
                }
                _ => {}
            }
        }
        Some(left)
    }

    /// A retry entry: the newest failure and the lowest holds since it was last resolved.
    pub(super) fn entry(self, number: u8) -> Option<RetryEntry> {
        let mut failures: Vec<(i64, Option<i64>, u8)> = Vec::new();
        let mut moved = None;
        for call in self.0 {
            match call {
                Call::SetAside { id, listed, holds, reason } if *id == number => {
                    failures.push((*listed, *holds, *reason));
                }
                Call::Reschedule { id, attempts, next } if *id == number && !failures.is_empty() => {
                    moved = Some((*attempts, at(*next)));
                }
                Call::Resolve { id, looked }
                    if *id == number && failures.iter().all(|(listed, _, _)| listed < looked) =>
                {
                    failures.clear();
                    moved = None;
                }
                _ => {}
            }
        }
        let (listed, holds, why) = failures.first()?;
        let mut stored = entry(number, *listed, *holds, *why);
        // Of equal failures the first one counts.
        let (listed, _, why) = failures.iter().rev().max_by_key(|(listed, _, _)| *listed)?;
        (stored.listed_at, stored.since) = (at(*listed), at(*listed));
        stored.reason = reason(*why);
        stored.cause = format!("failure {why}");
        stored.holds = failures.iter().filter_map(|(_, holds, _)| *holds).min().map(position);
        if let Some((attempts, next_at)) = moved {
            stored.attempts = attempts;
            stored.next_at = next_at;
        }
        Some(stored)
    }

    /// What the functions of the stream share.
    pub(super) fn stream(self) -> StreamState {
        let mut shared = StreamState::default();
        for call in self.0 {
            match call {
                Call::WriteMark { mark } => shared.mark = Some(format!("mark {mark}")),
                Call::NoteStored { at: seconds } => {
                    shared.last_stored_at = shared.last_stored_at.max(Some(at(*seconds)));
                }
                _ => {}
            }
        }
        let since = self.since(|call| *call == Call::ResumeStream);
        let count = |call: &Call| if let Call::AddFailures { count } = call { *count } else { 0 };
        let pause = |call: &Call| if let Call::PauseStream { until, why } = call { Some((*until, *why)) } else { None };
        shared.breaker = paused(since.iter().filter_map(pause)).map(|(breaker, _)| breaker).unwrap_or_default();
        shared.breaker.failure_count = since.iter().map(count).sum();
        shared
    }

    /// What the functions of the source share.
    pub(super) fn source(self) -> SourceState {
        let mut shared = SourceState::default();
        for call in self.0 {
            if let Call::NoteBulk { at: seconds } = call {
                shared.bulk.insert(stream().name, at(*seconds));
            }
        }
        let since = self.since(|call| *call == Call::ResumeSource);
        let pause = |call: &Call| if let Call::PauseSource { until, why } = call { Some((*until, *why)) } else { None };
        if let Some((breaker, why)) = paused(since.iter().filter_map(pause)) {
            shared.breaker = Breaker { open_for: Some(Duration::from_secs(u64::from(why))), ..breaker };
        }
        shared
    }

    /// The slot that a reservation gets.
    fn slot(self, earliest: i64, latest: i64) -> Option<LocalMillis> {
        let mut free_at = i64::MIN;
        let step = i64::try_from(INTERVAL.as_secs()).unwrap_or(0);
        for call in self.0 {
            if let Call::Reserve { calls, earliest, latest } = call
                && free_at.max(*earliest) <= *latest
            {
                free_at = free_at.max(*earliest) + i64::from(*calls) * step;
            }
        }
        Some(free_at.max(earliest)).filter(|slot| *slot <= latest).map(at)
    }

    fn glances(self, id: u8) -> impl Iterator<Item = &'a Glance> {
        let glances =
            self.0.iter().flat_map(|call| if let Call::Looks(glances) = call { glances.as_slice() } else { &[] });
        glances.filter(move |glance| glance.id == id)
    }

    /// What becomes of a look: it is stored unless one was begun at or after it.
    fn stored(self, glance: &Glance) -> Stored {
        let is_latest = self.glances(glance.id).all(|before| before.looked < glance.looked);
        if is_latest { Stored::Written } else { Stored::Superseded }
    }

    /// The version that is stored: of the looks that were each the latest when it came, the last; its body and stamp are
    /// those of the last one that had any.
    pub(super) fn version(self, number: u8) -> Option<StoredVersion> {
        let mut latest: Vec<&Glance> = Vec::new();
        for glance in self.glances(number) {
            if latest.last().is_none_or(|last| last.looked < glance.looked) {
                latest.push(glance);
            }
        }
        let last = latest.last()?;
        let shown = latest.iter().rev().find_map(|glance| glance.body);
        Some(StoredVersion {
            stamp: shown.and_then(|(_, stamped)| stamped).map(|stamped| stamp(stamped).text),
            looked_at: at(last.looked),
            seen_at: last.body.map(|_| vendor_at(last.looked)),
            fingerprint: shown.map(|(number, _)| body(number).fingerprint()),
            deleted: last.body.is_none(),
        })
    }
}

/// The breaker after these pauses, none of which shortens one before, and the number of the cause that counts.
fn paused(pauses: impl Iterator<Item = (i64, u8)>) -> Option<(Breaker, u8)> {
    let (until, number) = pauses.max_by_key(|(until, _)| *until)?;
    let breaker = Breaker { open_until: Some(at(until)), why: Some(why(number)), ..Breaker::default() };
    Some((breaker, number))
}
