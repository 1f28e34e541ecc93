//! Resolving one id: from its row, or by asking the vendor for it.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::backoff::{TRIES, backoff};
use crate::breaker::GAP_MAX;
use crate::change::{Detail, Found};
use crate::failure::{Afterwards, FailureClass, SourceFailure, StoreFailure, disposition};
use crate::message::Message;
use crate::places::Places;
use crate::ports::{Clock, Ledger, Records, Source, Stored};
use crate::record::{DeletedBecause, Record, RecordId, RecordKey, Tombstone};
use crate::rule::Rule;
use crate::stamp::{Stamp, UtcMillis, millis_of};

use super::FetcherPorts;
use super::trouble::Trouble;

/// How long to wait before a record that seems gone is asked for once more.
const GONE_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What became of one id.
#[derive(Debug)]
pub(super) enum Resolved {
    /// This version, or a newer one, is stored.
    Stored { outcome: Stored, fetched_at: UtcMillis, stamp: Option<UtcMillis>, gap_ms: Option<i64> },
    /// It is marked deleted, as the vendor announced.
    Deleted { fetched_at: UtcMillis },
    /// It is listed, but twice not there when asked for.
    Vanished(Tombstone),
    /// It cannot be stored.
    Poisoned(String),
    /// It is left for later.
    Left,
    /// Our own table refused it.
    Refused(StoreFailure),
}

/// What resolving needs, the same for all ids of a message.
pub(super) struct Resolver<'a, P> {
    pub(super) ports: &'a P,
    pub(super) call_interval: Duration,
    /// Places on the shared schedule that were taken for the ids.
    pub(super) places: Mutex<Places>,
    pub(super) message: &'a Message,
    pub(super) trouble: &'a Trouble,
    pub(super) stop_at: UtcMillis,
}

impl<P: FetcherPorts> Resolver<'_, P> {
    /// Resolves one id; never later than `stop_at`.
    pub(super) async fn resolve(&self, id: &RecordId) -> Resolved {
        let source = self.ports.source();
        let (stream, record_id) = match source.record_of(&self.message.stream, id) {
            Ok(record) => record,
            Err(failure) => return Resolved::Poisoned(failure.to_string()),
        };
        let key = RecordKey { source: source.kind(), stream, id: record_id };
        let listed_at = self.message.listed_at;
        if let Some(row) = self.message.rows.get(id) {
            // Dated by the start of the page's call: the processing time would let an old row overwrite a newer fetch.
            let stamp = row.stamp.clone();
            let fetched_at = if Rule::RowDate.is_left_out() { self.ports.clock().now() } else { listed_at };
            return self.store(Record { key, body: row.body.clone(), stamp, fetched_at, event: None }, None).await;
        }
        if self.message.announces_deletion(id) {
            let event = self.message.events.get(id).cloned();
            let because = DeletedBecause::Announced;
            let tombstone = Tombstone { key, fetched_at: listed_at, because, event };
            return match self.ports.records().tombstone(&tombstone).await {
                Ok(_) => Resolved::Deleted { fetched_at: listed_at },
                Err(failure) => unstored(failure),
            };
        }
        self.ask(id, key).await
    }

    /// Asks the vendor, up to three times, a vanished record twice.
    async fn ask(&self, id: &RecordId, key: RecordKey) -> Resolved {
        let clock = self.ports.clock();
        let mut tries = 0;
        let mut gone = false;
        loop {
            if self.trouble.is_stopped() || !self.wait_for_place().await || self.trouble.is_stopped() {
                return Resolved::Left;
            }
            let fetched_at = clock.now();
            tries += 1;
            self.trouble.call();
            let call = self.ports.source().fetch(&self.message.stream, id);
            let Some(answer) = self.in_time(call).await else {
                return Resolved::Left;
            };
            let wait = match answer.and_then(|detail| about(&key, detail)) {
                Ok(Detail { found: Found::Record { body, stamp, .. }, date }) => {
                    self.trouble.answered();
                    let event = self.message.events.get(id).cloned();
                    let record = Record { key, body, stamp, fetched_at, event };
                    return self.store(record, date).await;
                }
                Ok(Detail { found: Found::Gone, .. }) if gone => {
                    self.trouble.answered();
                    let because = DeletedBecause::Vanished;
                    return Resolved::Vanished(Tombstone { key, fetched_at, because, event: None });
                }
                Ok(Detail { found: Found::Gone, .. }) => {
                    self.trouble.answered();
                    gone = true;
                    GONE_AGAIN_AFTER
                }
                Err(failure) => {
                    let policy = disposition(failure.class);
                    if failure.class == FailureClass::Record {
                        self.trouble.answered();
                    } else {
                        self.trouble.failed(&failure);
                    }
                    if !policy.tried_again || tries >= TRIES {
                        return match policy.afterwards {
                            Afterwards::Quarantine => Resolved::Poisoned(failure.to_string()),
                            Afterwards::Park | Afterwards::PauseStream | Afterwards::Resync => Resolved::Left,
                        };
                    }
                    backoff(self.ports.random(), tries)
                }
            };
            if self.in_time(clock.sleep(wait)).await.is_none() {
                return Resolved::Left;
            }
        }
    }

    /// Waits for the next place that was taken for the ids, or for a new one where there is none any more: the rate is
    /// slow, an id is asked for once more, or earlier answers took so long that the time of its place is over. Whether
    /// there was time.
    async fn wait_for_place(&self) -> bool {
        let clock = self.ports.clock();
        let (now, interval) = (clock.now(), self.call_interval);
        let mut turn = self.places.lock().unwrap_or_else(PoisonError::into_inner).take(now, interval);
        if turn.is_none() {
            let reserved = self.ports.ledger().reserve(self.message.source, 1, interval, now, self.stop_at).await;
            turn = reserved.unwrap_or(None);
        }
        let Some(turn) = turn else { return false };
        let wait = turn.since(clock.now());
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

    /// Stores a version. A stamp further in the future than any zone explains is no stamp: kept, it would refuse every
    /// later version until that day.
    async fn store(&self, mut record: Record, date: Option<UtcMillis>) -> Resolved {
        let gap_of = |stamp: &Stamp| stamp.at.millis_since(date.unwrap_or(record.fetched_at));
        let gap_ms = record.stamp.as_ref().map(gap_of);
        if gap_ms.is_some_and(|gap| gap > millis_of(GAP_MAX)) {
            record.stamp = None;
        }
        let stamp = record.stamp.as_ref().map(|stamp| stamp.at);
        match self.ports.records().upsert(&record).await {
            Ok(outcome) => Resolved::Stored { outcome, fetched_at: record.fetched_at, stamp, gap_ms },
            Err(failure) => unstored(failure),
        }
    }
}

/// An answer about another record than asked for is stored under neither key.
fn about(key: &RecordKey, detail: Detail) -> Result<Detail, SourceFailure> {
    match &detail.found {
        Found::Record { id, .. } if *id != key.id => {
            Err(SourceFailure::new(FailureClass::Record, "the answer is about another record than asked for"))
        }
        Found::Record { .. } | Found::Gone => Ok(detail),
    }
}

fn unstored(failure: StoreFailure) -> Resolved {
    match failure {
        StoreFailure::Large { .. } => Resolved::Poisoned(failure.to_string()),
        StoreFailure::Unavailable { .. } => Resolved::Left,
        StoreFailure::Denied { .. } | StoreFailure::Malformed { .. } => Resolved::Refused(failure),
    }
}
