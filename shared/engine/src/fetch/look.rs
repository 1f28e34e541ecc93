//! Looking at one record: its row, its announced deletion, or a call.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::{Calls, Fetcher, FetcherPorts, Task};
use crate::{
    Again, Clock, DeletedBecause, Detail, FailureClass, Found, Ledger, LocalMillis, Look, Message, NO_DATE, Notice,
    Reason, RecordId, RecordKey, Rule, Seen, Source, SourceFailure, Stamp, Stops, StoredVersion, VendorMillis, again,
    millis_of, short_pause,
};

/// How long to wait before a record that seems gone is asked for once more.
const GONE_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How far a record's new stamp may lie below the look before it until the time zone is doubted.
const STAMP_AGE_MAX: Duration = Duration::from_mins(15);

/// What a look came to.
pub(super) enum Looked {
    /// The record, or its announced deletion.
    Seen(Sight),
    /// The record is owed a fetch, and twice not there.
    Gone(Sight),
    Failed(Failed),
    /// There was no time or leave to look; the id stays where it is.
    Left,
}

/// A look at an id that is ready to be stored.
pub(super) struct Sight {
    pub(super) id: RecordId,
    pub(super) look: Look,
    pub(super) notice: Option<Notice>,
}

pub(super) struct Failed {
    pub(super) id: RecordId,
    pub(super) reason: Reason,
    pub(super) cause: String,
    pub(super) looked_at: LocalMillis,
}

/// What looking needs, the same for all ids of a message.
pub(super) struct Looker<'a, P> {
    pub(super) fetcher: &'a Fetcher<P>,
    pub(super) message: &'a Message,
    pub(super) task: Task,
    pub(super) stored: BTreeMap<RecordId, StoredVersion>,
    pub(super) calls: Calls,
    pub(super) stop_at: LocalMillis,
}

impl<P: FetcherPorts> Looker<'_, P> {
    /// Looks at one id, never later than `stop_at`. A panic is the record's own failure.
    pub(super) async fn look(&self, id: &RecordId) -> Looked {
        let started_at = self.fetcher.ports.clock().now();
        let looked = AssertUnwindSafe(self.look_at(id)).catch_unwind().await;
        looked.unwrap_or_else(|_| {
            failed(id, Reason::Record, "the program panicked at this record".to_owned(), started_at)
        })
    }

    async fn look_at(&self, id: &RecordId) -> Looked {
        let source = self.fetcher.ports.source();
        let (stream, record) = match source.record_of(&self.task.stream.name, id) {
            Ok(record) => record,
            Err(failure) => return failed(id, Reason::Record, failure.to_string(), self.fetcher.ports.clock().now()),
        };
        let key = RecordKey { source: source.kind(), stream, id: record };
        if let Some(row) = self.message.rows.get(id).filter(|_| self.task.has_rows()) {
            // Dated by the start of the page's call: the processing time would let an old row replace a newer look.
            let looked_at =
                if Rule::RowDate.is_left_out() { self.fetcher.ports.clock().now() } else { self.task.listed_at };
            let seen = Seen::Record { body: row.body.clone(), stamp: row.stamp.clone(), seen_at: None };
            return Looked::Seen(self.sight(id, key, looked_at, seen));
        }
        if self.task.event(id).is_some_and(|event| event.deleted) {
            // Dated by when details cannot lag any more, or one that does would undo it.
            let seen = Seen::Gone(DeletedBecause::Announced);
            return Looked::Seen(self.sight(id, key, self.task.pays_from, seen));
        }
        self.ask(id, key).await
    }

    fn sight(&self, id: &RecordId, key: RecordKey, looked_at: LocalMillis, seen: Seen) -> Sight {
        let event = self.task.event(id).and_then(|event| event.body.clone());
        let look = Look { key, looked_at, seen, event, is_stored: self.stored.contains_key(id) };
        Sight { id: id.clone(), look, notice: None }
    }

    /// Asks the vendor, up to three times, for a vanished record twice.
    async fn ask(&self, id: &RecordId, key: RecordKey) -> Looked {
        let clock = self.fetcher.ports.clock();
        let mut tried = 0;
        let mut was_gone = false;
        let mut failed_before: Option<(SourceFailure, LocalMillis)> = None;
        let mut earliest = clock.now();
        loop {
            if self.calls.state().stopped {
                return Looked::Left;
            }
            if !self.wait_for_slot(earliest).await {
                return self.out_of_time(id, failed_before).await;
            }
            if self.calls.state().stopped {
                return Looked::Left;
            }
            let looked_at = clock.now();
            tried += 1;
            self.calls.state().count += 1;
            let Some(answer) = self.in_time(self.fetcher.ports.source().fetch(&self.task.stream.name, id)).await else {
                return self.out_of_time(id, failed_before).await;
            };
            match answer.and_then(|detail| about(&key, detail)) {
                Ok(Detail { found: Found::Record { body, stamp, .. }, date }) => {
                    self.calls.answered();
                    let notice = stamp.as_ref().and_then(|stamp| self.zone_doubt(id, stamp));
                    let seen_at = Some(seen_at(date, looked_at, clock.now())).filter(|_| stamp.is_some());
                    let seen = Seen::Record { body, stamp, seen_at };
                    return Looked::Seen(Sight { notice, ..self.sight(id, key, looked_at, seen) });
                }
                Ok(Detail { found, .. }) => {
                    self.calls.answered();
                    if was_gone {
                        let is_sure = found == Found::Gone;
                        let because = if is_sure { DeletedBecause::Vanished } else { DeletedBecause::Missing };
                        return Looked::Gone(self.sight(id, key, looked_at, Seen::Gone(because)));
                    }
                    was_gone = true;
                    earliest = clock.now().plus(GONE_AGAIN_AFTER);
                }
                Err(failure) => match again(self.fetcher.ports.random(), &failure, tried) {
                    Some(Again::After(wait)) => {
                        earliest = clock.now().plus(wait);
                        failed_before = Some((failure, looked_at));
                    }
                    Some(Again::AfterQuiet(wait)) => {
                        let mut state = self.calls.state();
                        state.quiet_until = state.quiet_until.max(clock.now().plus(wait));
                    }
                    // A record that always asks for a pause must not stay for ever.
                    None if short_pause(failure.class).is_some() => {
                        return failed(id, Reason::Outage, failure.to_string(), looked_at);
                    }
                    None => return self.gave_up(id, &failure, looked_at).await,
                },
            }
        }
    }

    /// An id that failed before has failed, or it would stay where tries take longer than a message may last.
    async fn out_of_time(&self, id: &RecordId, failed_before: Option<(SourceFailure, LocalMillis)>) -> Looked {
        match failed_before {
            Some((failure, looked_at)) => self.gave_up(id, &failure, looked_at).await,
            None => Looked::Left,
        }
    }

    async fn gave_up(&self, id: &RecordId, failure: &SourceFailure, looked_at: LocalMillis) -> Looked {
        let reason = match failure.class.stops() {
            Stops::Record => {
                self.calls.answered();
                Reason::Record
            }
            Stops::StreamInARow | Stops::Stream | Stops::Source | Stops::Token => {
                // A failure that is known already says nothing about the stream.
                let known = self.fetcher.ports.ledger().retry_entry(&self.task.stream, id).await;
                let is_known = known.is_ok_and(|entry| entry.is_some());
                // Others have shown it meanwhile: of an outage a few ids are enough.
                if self.calls.state().stopped {
                    return Looked::Left;
                }
                self.calls.failed(failure, is_known && !Rule::BreakerKnown.is_left_out());
                Reason::Outage
            }
        };
        failed(id, reason, failure.to_string(), looked_at)
    }

    /// Waits for a slot on the shared schedule, none before `earliest`; whether there was time.
    async fn wait_for_slot(&self, earliest: LocalMillis) -> bool {
        let clock = self.fetcher.ports.clock();
        let interval = self.fetcher.call_interval;
        // This wait is the record's own: behind a slot that is reserved ahead, all functions of the source would wait.
        let wait = earliest.since(clock.now());
        if earliest >= self.stop_at || (!wait.is_zero() && self.in_time(clock.sleep(wait)).await.is_none()) {
            return false;
        }
        let earliest = self.calls.state().quiet_until;
        let mut slot = self.calls.state().slots.take(clock.now(), interval).filter(|slot| *slot >= earliest);
        if slot.is_none() {
            let (source, earliest) = (self.message.source(), earliest.max(clock.now()));
            let reserved = self.fetcher.ports.ledger().reserve(source, 1, interval, earliest, self.stop_at).await;
            slot = reserved.unwrap_or(None);
        }
        let Some(slot) = slot else { return false };
        let wait = slot.since(clock.now());
        // Even no time at all takes a timer a millisecond.
        let has_come = wait.is_zero() || self.in_time(clock.sleep(wait)).await.is_some();
        has_come && clock.now() < self.stop_at
    }

    /// The answer, unless time is up before.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let clock = self.fetcher.ports.clock();
        let time_up = clock.sleep(self.stop_at.since(clock.now()));
        match select(pin!(work), pin!(time_up)).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }

    /// An edit made after the stored look cannot be stamped before it, unless stamps are read in another zone.
    fn zone_doubt(&self, id: &RecordId, stamp: &Stamp) -> Option<Notice> {
        let stored = self.stored.get(id).filter(|stored| stored.stamp.as_ref() != Some(&stamp.text))?;
        stored.stamp.as_ref()?;
        let seen_at = self.fetcher.ports.source().reading(stored.seen_at?);
        let behind_ms = seen_at.millis_since(stamp.at);
        (behind_ms > millis_of(STAMP_AGE_MAX)).then_some(Notice::ZoneDoubt(behind_ms))
    }
}

fn failed(id: &RecordId, reason: Reason, cause: String, looked_at: LocalMillis) -> Looked {
    Looked::Failed(Failed { id: id.clone(), reason, cause, looked_at })
}

/// What the vendor's clock had reached at most when the answer was there.
fn seen_at(date: Option<VendorMillis>, start: LocalMillis, end: LocalMillis) -> VendorMillis {
    date.map_or(VendorMillis::new(end.get()).plus(NO_DATE), |date| date.shifted(1_000).plus(end.since(start)))
}

/// An answer about another record than asked for is stored under neither key.
fn about(key: &RecordKey, detail: Detail) -> Result<Detail, SourceFailure> {
    match &detail.found {
        Found::Record { id, .. } if *id != key.id => {
            Err(SourceFailure::new(FailureClass::Record, "the answer is about another record than asked for"))
        }
        Found::Record { .. } | Found::Gone | Found::Missing => Ok(detail),
    }
}
