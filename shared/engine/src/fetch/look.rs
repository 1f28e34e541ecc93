//! Looking at one record: its row, its announced deletion, or a call.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::{FetcherPorts, Pace, Task, Trouble};
use crate::{
    Again, Clock, DeletedBecause, Detail, FailureClass, Found, Ledger, LocalMillis, Look, Message, NO_DATE, Notice,
    Reason, RecordId, RecordKey, Rule, Seen, Source, SourceFailure, Stops, StoredVersion, VendorMillis, again,
    disposition, millis_of,
};

/// How long to wait before a record that seems gone is asked for once more.
const GONE_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How often a call is made for one id while the vendor asks for short pauses.
const TRIES_QUIET: u32 = 30;
/// How far a record's new stamp may lie below the look before it until the time zone is doubted.
const STAMP_AGE_MAX: Duration = Duration::from_mins(15);

/// What a look came to.
pub(super) enum Looked {
    /// The record, or its announced deletion.
    Seen(RecordId, Look, Option<Notice>),
    /// The record is owed a fetch, and twice not there.
    Gone(Gone),
    /// It cannot be fetched.
    Failed { id: RecordId, reason: Reason, cause: String, looked_at: LocalMillis },
    /// There was no time or leave to look; the id stays where it is.
    Left,
}

/// A record that was not there.
pub(super) struct Gone {
    pub(super) id: RecordId,
    pub(super) look: Look,
    /// Whether the vendor said so in its own words.
    pub(super) is_sure: bool,
}

/// What looking needs, the same for all ids of a message.
pub(super) struct Looker<'a, P> {
    pub(super) ports: &'a P,
    pub(super) call_interval: Duration,
    pub(super) message: &'a Message,
    pub(super) task: &'a Task,
    pub(super) stored: &'a BTreeMap<RecordId, StoredVersion>,
    pub(super) pace: &'a Pace,
    pub(super) trouble: &'a Trouble,
    pub(super) stop_at: LocalMillis,
}

impl<P: FetcherPorts> Looker<'_, P> {
    /// Looks at one id, never later than `stop_at`. A panic is the record's own failure.
    pub(super) async fn look(&self, id: &RecordId) -> Looked {
        let started_at = self.ports.clock().now();
        let looked = AssertUnwindSafe(self.look_at(id)).catch_unwind().await;
        looked.unwrap_or_else(|_| {
            failed(id, Reason::Record, "the program panicked at this record".to_owned(), started_at)
        })
    }

    async fn look_at(&self, id: &RecordId) -> Looked {
        let source = self.ports.source();
        let listed_at = self.task.listed_at();
        let (stream, record) = match source.record_of(&self.task.stream.name, id) {
            Ok(record) => record,
            Err(failure) => return failed(id, Reason::Record, failure.to_string(), self.ports.clock().now()),
        };
        let key = RecordKey { source: source.kind(), stream, id: record };
        if let Some(row) = self.message.rows.get(id).filter(|_| self.task.has_rows()) {
            // Dated by the start of the page's call: the processing time would let an old row replace a newer look.
            let looked_at = if Rule::RowDate.is_left_out() { self.ports.clock().now() } else { listed_at };
            let seen = Seen::Record { body: row.body.clone(), stamp: row.stamp.clone(), seen_at: None };
            return Looked::Seen(id.clone(), self.look_of(id, key, looked_at, seen), None);
        }
        if self.task.event(id).is_some_and(|event| event.deleted) {
            // Dated by when details cannot lag any more, or one that does would undo it.
            let seen = Seen::Gone(DeletedBecause::Announced);
            let look = self.look_of(id, key, self.task.pays_from(), seen);
            return Looked::Seen(id.clone(), look, None);
        }
        self.ask(id, key).await
    }

    fn look_of(&self, id: &RecordId, key: RecordKey, looked_at: LocalMillis, seen: Seen) -> Look {
        let event = self.task.event(id).and_then(|event| event.body.clone());
        Look { key, looked_at, seen, event, is_stored: self.stored.contains_key(id) }
    }

    /// Asks the vendor, up to three times, for a vanished record twice.
    async fn ask(&self, id: &RecordId, key: RecordKey) -> Looked {
        let clock = self.ports.clock();
        let mut tried = 0;
        let mut was_gone = false;
        let mut failed_before: Option<(SourceFailure, LocalMillis)> = None;
        let mut earliest = clock.now();
        loop {
            if self.trouble.is_stopped() {
                return Looked::Left;
            }
            if !self.wait_for_slot(earliest).await {
                return self.out_of_time(id, failed_before).await;
            }
            if self.trouble.is_stopped() {
                return Looked::Left;
            }
            let looked_at = clock.now();
            tried += 1;
            self.trouble.call();
            let Some(answer) = self.in_time(self.ports.source().fetch(&self.task.stream.name, id)).await else {
                return self.out_of_time(id, failed_before).await;
            };
            match answer.and_then(|detail| about(&key, detail)) {
                Ok(Detail { found: Found::Record { body, stamp, .. }, date }) => {
                    self.trouble.answered();
                    let notice = stamp.as_ref().and_then(|stamp| self.zone_doubt(id, stamp));
                    let seen_at = Some(seen_at(date, looked_at, clock.now())).filter(|_| stamp.is_some());
                    let seen = Seen::Record { body, stamp, seen_at };
                    return Looked::Seen(id.clone(), self.look_of(id, key, looked_at, seen), notice);
                }
                Ok(Detail { found: found @ (Found::Gone | Found::Missing), .. }) => {
                    self.trouble.answered();
                    if was_gone {
                        let is_sure = found == Found::Gone;
                        let because = if is_sure { DeletedBecause::Vanished } else { DeletedBecause::Missing };
                        let look = self.look_of(id, key, looked_at, Seen::Gone(because));
                        return Looked::Gone(Gone { id: id.clone(), look, is_sure });
                    }
                    was_gone = true;
                    earliest = clock.now().plus(GONE_AGAIN_AFTER);
                }
                Err(failure) => match again(self.ports.random(), &failure, tried) {
                    Some(Again::After(wait)) => {
                        earliest = clock.now().plus(wait);
                        failed_before = Some((failure, looked_at));
                    }
                    // A record that always asks for a pause must not stay for ever.
                    Some(Again::AfterQuiet(_)) if tried >= TRIES_QUIET => {
                        return failed(id, Reason::Outage, failure.to_string(), looked_at);
                    }
                    Some(Again::AfterQuiet(wait)) => {
                        earliest = clock.now().plus(wait);
                        self.pace.be_quiet_until(earliest);
                    }
                    None => return self.gave_up(id, &failure, looked_at).await,
                },
            }
        }
    }

    /// An id that failed before has failed: left in its chunk, it would stay there for ever where tries take longer than a
    /// message may last.
    async fn out_of_time(&self, id: &RecordId, failed_before: Option<(SourceFailure, LocalMillis)>) -> Looked {
        match failed_before {
            Some((failure, looked_at)) => self.gave_up(id, &failure, looked_at).await,
            None => Looked::Left,
        }
    }

    async fn gave_up(&self, id: &RecordId, failure: &SourceFailure, looked_at: LocalMillis) -> Looked {
        let reason = match disposition(failure.class).stops {
            Stops::Record => {
                self.trouble.answered();
                Reason::Record
            }
            Stops::StreamInARow | Stops::Stream | Stops::Source | Stops::Token => {
                // A failure that is known already says nothing about the stream.
                let is_known = match self.ports.ledger().retry_entry(&self.task.stream, id).await {
                    Ok(entry) => entry.is_some(),
                    Err(_) => false,
                };
                // Others have shown it meanwhile: of an outage a few ids are enough.
                if self.trouble.is_stopped() {
                    return Looked::Left;
                }
                self.trouble.failed(failure, is_known && !Rule::BreakerKnown.is_left_out());
                Reason::Outage
            }
        };
        failed(id, reason, failure.to_string(), looked_at)
    }

    /// Waits for a slot on the shared schedule, none before `earliest`; whether there was time.
    async fn wait_for_slot(&self, earliest: LocalMillis) -> bool {
        let clock = self.ports.clock();
        let interval = self.call_interval;
        let earliest = self.pace.quiet_until().max(earliest);
        let mut slot = self.pace.take(clock.now(), interval).filter(|slot| *slot >= earliest);
        if slot.is_none() {
            let earliest = earliest.max(clock.now());
            let ledger = self.ports.ledger();
            let reserved = ledger.reserve(self.message.source(), 1, interval, earliest, self.stop_at).await;
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
        let clock = self.ports.clock();
        let time_up = clock.sleep(self.stop_at.since(clock.now()));
        match select(pin!(work), pin!(time_up)).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }

    /// An edit made after the stored look cannot be stamped before it, unless stamps are read in another zone.
    fn zone_doubt(&self, id: &RecordId, stamp: &crate::clock::Stamp) -> Option<Notice> {
        let stored = self.stored.get(id).filter(|stored| stored.stamp.as_ref() != Some(&stamp.text))?;
        stored.stamp.as_ref()?;
        let seen_at = self.ports.source().reading(stored.seen_at?);
        let behind_ms = seen_at.millis_since(stamp.at);
        (behind_ms > millis_of(STAMP_AGE_MAX)).then_some(Notice::ZoneDoubt { behind_ms })
    }
}

fn failed(id: &RecordId, reason: Reason, cause: String, looked_at: LocalMillis) -> Looked {
    Looked::Failed { id: id.clone(), reason, cause, looked_at }
}

/// What the vendor's clock had reached at most when the answer was there.
fn seen_at(date: Option<VendorMillis>, start: LocalMillis, end: LocalMillis) -> VendorMillis {
    match date {
        Some(date) => date.shifted(1_000).plus(end.since(start)),
        None => VendorMillis::new(end.get()).plus(NO_DATE),
    }
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
