//! Use case 2, the fetcher: resolve the ids of one message, and take what is stored out of their chunk.
//!
//! The chunk in the ledger says what there is to do; the message is a hint. So a message that comes twice, late or
//! forged does no harm. Whatever becomes of the single ids, the chunk is written once (E6), and the message is
//! acknowledged: what was left over is sent again by the poller, so that an outage burns no receives and fills no
//! dead-letter queue. Only a crash brings a message back by itself; from the second delivery on the ids are taken one
//! by one, and one that is alone at three crashes in a row is set aside.

mod resolve;
mod trouble;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};

use crate::breaker::{BreakerState, PAUSE, Pause, SourceState};
use crate::chunk::{Chunk, Finish, RETRY_RUN};
use crate::failure::StoreFailure;
use crate::message::Message;
use crate::places::Places;
use crate::poll::Notice;
use crate::ports::{Clock, Ledger, Random, Records, Source, Stored, Written};
use crate::quarantine::Quarantined;
use crate::record::{RecordId, Tombstone};
use crate::rule::Rule;
use crate::source_health;
use crate::stamp::{UtcMillis, millis_of};
use resolve::{Resolved, Resolver};
use trouble::Trouble;

/// How many ids are fetched at once.
const IN_FLIGHT: usize = 10;
/// From this delivery on, ids are taken one by one.
const RECEIVES_TO_ISOLATE: u32 = 2;
/// How often in a row an id must have been alone at a crash before it is set aside.
const CRASHES_TO_POISON: u32 = 3;
/// So many of a chunk's records may vanish without a doubt about the vendor's answers...
const VANISHED_MAX: usize = 5;
/// ...or this part of them, in percent.
const VANISHED_PERCENT_MAX: usize = 20;
/// How much of the shared schedule a message takes in one write: a chunk's calls at the default rate. At a slower one
/// the calls behind them take their places singly, or one message would keep all others waiting.
const PLACES_SPAN: Duration = Duration::from_secs(25);
/// How far a stamp may lie ahead of the vendor's clock.
const AHEAD_MAX: Duration = Duration::from_mins(5);

/// The world of a fetcher.
pub trait FetcherPorts {
    /// The vendor.
    type Source: Source;
    /// The ledger.
    type Ledger: Ledger;
    /// The records.
    type Records: Records;
    /// The clock.
    type Clock: Clock;
    /// Chance.
    type Random: Random;

    /// The vendor.
    fn source(&self) -> &Self::Source;
    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;
    /// The records.
    fn records(&self) -> &Self::Records;
    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// Chance.
    fn random(&self) -> &Self::Random;
}

/// The fetcher of one source.
pub struct Fetcher<P> {
    /// Its world.
    pub ports: P,
    /// The time between two calls that the vendor is asked for.
    pub call_interval: Duration,
}

/// What a fetch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Whether the message is done with; otherwise the queue delivers it again.
    pub acknowledged: bool,
    /// Vendor calls made.
    pub calls_count: u32,
    /// Records written.
    pub written_count: usize,
    /// Records of which a newer version was there already.
    pub superseded_count: usize,
    /// Records marked deleted.
    pub deleted_count: usize,
    /// Ids set aside, with the reason.
    pub poisoned: Vec<(RecordId, String)>,
    /// Ids left for later.
    pub left_count: usize,
    /// The vendor's last failure, for a person.
    pub failure: Option<String>,
    /// What it noticed.
    pub notices: Vec<Notice>,
}

impl<P: FetcherPorts> Fetcher<P> {
    /// Resolves one message, which was delivered `receive_count` times, and stops at `stop_at` on the local clock.
    ///
    /// # Errors
    /// [`StoreFailure`] when our own tables fail in a way that trying again does not heal; the message comes back.
    pub async fn fetch(
        &self,
        message: &Message,
        receive_count: u32,
        stop_at: UtcMillis,
    ) -> Result<FetchReport, StoreFailure> {
        let ledger = self.ports.ledger();
        let key = message.chunk_key();
        let done = FetchReport { acknowledged: true, ..FetchReport::default() };
        let Some(chunk) = ledger.chunk(&key).await? else {
            return Ok(done);
        };
        let asked: BTreeSet<&RecordId> = message.ids.iter().collect();
        let todo: Vec<RecordId> = chunk.pending.iter().filter(|id| asked.contains(id)).cloned().collect();
        if todo.is_empty() {
            return Ok(done);
        }
        let state = ledger.source_state(key.stream.source).await?;
        let needs_call = |id: &RecordId| !message.rows.contains_key(id) && !message.announces_deletion(id);
        let (to_ask, mut begun): (Vec<RecordId>, Vec<RecordId>) = todo.iter().cloned().partition(needs_call);
        let mut places = Places::default();
        if !to_ask.is_empty() {
            let fit = self.calls_within(stop_at.since(self.ports.clock().now()));
            places = self.places(&state, message, to_ask.len(), stop_at).await?;
            begun.extend(to_ask.into_iter().take(if places.left() > 0 { fit } else { 0 }));
        }
        let trouble = Trouble::default();
        let work = Work { fetcher: self, message, chunk: &chunk, state: &state, trouble: &trouble, stop_at };
        let resolved = work.resolve_all(&begun, places, receive_count).await?;
        work.conclude(resolved, todo.len()).await
    }

    /// The first places on the source's shared schedule for `calls` calls; none when none may be made until `stop_at`.
    async fn places(
        &self,
        state: &SourceState,
        message: &Message,
        calls: usize,
        stop_at: UtcMillis,
    ) -> Result<Places, StoreFailure> {
        let now = self.ports.clock().now();
        let is_open = state.breaker.state(now) != BreakerState::Closed;
        if is_open || state.paused(&message.stream, now).is_some() || now >= stop_at {
            return Ok(Places::default());
        }
        let wanted = u32::try_from(calls.min(self.calls_within(PLACES_SPAN))).unwrap_or(u32::MAX);
        let latest = stop_at.minus(self.call_interval);
        let first_at = self.ports.ledger().reserve(message.source, wanted, self.call_interval, now, latest).await?;
        Ok(first_at.map_or_else(Places::default, |first_at| Places::new(first_at, wanted)))
    }

    /// How many calls have room in `span`, one at least.
    fn calls_within(&self, span: Duration) -> usize {
        usize::try_from(millis_of(span) / millis_of(self.call_interval).max(1)).unwrap_or(0).max(1)
    }
}

/// One message under way.
struct Work<'a, P> {
    fetcher: &'a Fetcher<P>,
    message: &'a Message,
    chunk: &'a Chunk,
    state: &'a SourceState,
    trouble: &'a Trouble,
    stop_at: UtcMillis,
}

impl<P: FetcherPorts> Work<'_, P> {
    /// Resolves the ids: several at once at the first delivery, one by one later.
    async fn resolve_all(
        &self,
        begun: &[RecordId],
        places: Places,
        receive_count: u32,
    ) -> Result<Vec<(RecordId, Resolved)>, StoreFailure> {
        let resolver = Resolver {
            ports: &self.fetcher.ports,
            call_interval: self.fetcher.call_interval,
            places: Mutex::new(places),
            message: self.message,
            trouble: self.trouble,
            stop_at: self.stop_at,
        };
        if receive_count < RECEIVES_TO_ISOLATE {
            let one = |id: &RecordId| {
                let (id, resolver) = (id.clone(), &resolver);
                async move {
                    let outcome = caught(resolver.resolve(&id)).await;
                    (id, outcome)
                }
            };
            let in_flight = IN_FLIGHT.min(self.fetcher.calls_within(PLACES_SPAN));
            return Ok(stream::iter(begun.iter().map(one)).buffer_unordered(in_flight).collect().await);
        }
        // The suspect comes first, or every delivery would begin with those before it, and its count anew.
        let suspect = self.chunk.trying.as_ref();
        let (first, others): (Vec<&RecordId>, Vec<&RecordId>) = begun.iter().partition(|id| Some(*id) == suspect);
        let mut all = Vec::new();
        for id in first.into_iter().chain(others) {
            let crashes = if Some(id) == suspect { self.chunk.receives } else { 0 };
            if crashes >= CRASHES_TO_POISON {
                let reason = format!("the fetcher crashed {crashes} times in a row while it was alone with this id");
                all.push((id.clone(), Resolved::Poisoned(reason)));
                continue;
            }
            self.fetcher.ports.ledger().mark_trying(&self.chunk.key, id, crashes + 1).await?;
            all.push((id.clone(), caught(resolver.resolve(id)).await));
        }
        Ok(all)
    }

    /// Writes what became of the ids: tombstones, quarantine, and the chunk.
    async fn conclude(
        &self,
        resolved: Vec<(RecordId, Resolved)>,
        todo_count: usize,
    ) -> Result<FetchReport, StoreFailure> {
        let mut report = FetchReport { calls_count: self.trouble.calls(), ..FetchReport::default() };
        let mut finish = Finish::default();
        let mut stored: Vec<(RecordId, UtcMillis)> = Vec::new();
        let mut stamps: Vec<UtcMillis> = Vec::new();
        let mut gap: Option<i64> = None;
        let mut vanished: Vec<(RecordId, Tombstone)> = Vec::new();
        let mut denied: Option<StoreFailure> = None;
        for (id, outcome) in resolved {
            match outcome {
                Resolved::Stored { outcome, fetched_at, stamp, gap_ms } => {
                    match outcome {
                        Stored::Written => report.written_count += 1,
                        Stored::Superseded => report.superseded_count += 1,
                    }
                    stamps.extend(stamp);
                    gap = gap.max(gap_ms);
                    stored.push((id, fetched_at));
                }
                Resolved::Deleted { fetched_at } => {
                    report.deleted_count += 1;
                    stored.push((id, fetched_at));
                }
                Resolved::Vanished(tombstone) => vanished.push((id, tombstone)),
                Resolved::Poisoned(reason) => report.poisoned.push((id, reason)),
                Resolved::Left => {}
                Resolved::Refused(failure) => denied = Some(failure),
            }
        }
        self.conclude_vanished(vanished, todo_count, &mut stored, &mut report, &mut finish).await?;
        self.leave_quarantine(&stored).await?;
        self.note_stamps(&stamps, gap, &mut report).await?;
        self.conclude_trouble(&mut report).await?;
        self.poison(&report).await?;
        finish.stamp = newest_within(&stamps, self.chunk.horizon);
        finish.done = stored.into_iter().map(|(id, _)| id).collect();
        report.left_count = todo_count - finish.done.len().min(todo_count) - report.poisoned.len().min(todo_count);
        finish.parked = report.left_count > 0 && !self.chunk.has_rows && !Rule::Park.is_left_out();
        let ledger = self.fetcher.ports.ledger();
        ledger.finish(&self.chunk.key, &finish).await?;
        report.acknowledged = report.left_count == 0 || finish.parked;
        denied.map_or(Ok(report), Err)
    }

    /// Marks vanished records deleted, unless so many seem gone that the vendor's answers are more likely wrong.
    async fn conclude_vanished(
        &self,
        vanished: Vec<(RecordId, Tombstone)>,
        todo_count: usize,
        stored: &mut Vec<(RecordId, UtcMillis)>,
        report: &mut FetchReport,
        finish: &mut Finish,
    ) -> Result<(), StoreFailure> {
        let count = vanished.len();
        let is_doubtful = count > VANISHED_MAX && count * 100 > todo_count * VANISHED_PERCENT_MAX;
        if is_doubtful && !Rule::FalseDeletes.is_left_out() {
            finish.withheld_count = u32::try_from(count).unwrap_or(u32::MAX);
            report.notices.push(Notice::TombstonesWithheld { count: finish.withheld_count });
            return Ok(());
        }
        let doubted = if self.message.run == RETRY_RUN && count > 0 { self.doubted().await? } else { HashSet::new() };
        for (id, tombstone) in vanished.into_iter().filter(|(id, _)| !doubted.contains(id)) {
            self.fetcher.ports.records().tombstone(&tombstone).await?;
            report.deleted_count += 1;
            stored.push((id, tombstone.fetched_at));
        }
        Ok(())
    }

    /// Quarantined ids that must not be marked deleted yet.
    async fn doubted(&self) -> Result<HashSet<RecordId>, StoreFailure> {
        let quarantined = self.fetcher.ports.ledger().quarantined(&self.chunk.key.stream).await?;
        Ok(quarantined.into_iter().filter(Quarantined::is_doubted).map(|entry| entry.id).collect())
    }

    /// Takes ids of records that are stored now out of quarantine (E11). The same record may be there under a locator that
    /// announces its deletion, or under one that does not.
    async fn leave_quarantine(&self, stored: &[(RecordId, UtcMillis)]) -> Result<(), StoreFailure> {
        if stored.is_empty() {
            return Ok(());
        }
        let ledger = self.fetcher.ports.ledger();
        let stream = &self.chunk.key.stream;
        let source = self.fetcher.ports.source();
        let record = |id: &RecordId| source.record_of(&self.message.stream, id).ok();
        let fetched: HashMap<_, UtcMillis> =
            stored.iter().filter_map(|(id, fetched_at)| Some((record(id)?, *fetched_at))).collect();
        for entry in ledger.quarantined(stream).await? {
            if let Some(fetched_at) = record(&entry.id).and_then(|record| fetched.get(&record)) {
                ledger.resolve(stream, &entry.id, *fetched_at).await?;
            }
        }
        Ok(())
    }

    async fn poison(&self, report: &FetchReport) -> Result<(), StoreFailure> {
        for (id, reason) in &report.poisoned {
            // Refused when another delivery has stored it meanwhile, which is better.
            let (Written::Applied | Written::Refused) =
                self.fetcher.ports.ledger().poison(&self.chunk.key, id, reason).await?;
        }
        Ok(())
    }

    /// Notes how stamps and the vendor's clock agree, and whether there were any.
    async fn note_stamps(
        &self,
        stamps: &[UtcMillis],
        gap: Option<i64>,
        report: &mut FetchReport,
    ) -> Result<(), StoreFailure> {
        let source = self.fetcher.ports.source();
        let is_stamped = source.streams().iter().any(|traits| traits.name == self.message.stream && traits.stamped);
        let stored_count = report.written_count + report.superseded_count;
        if is_stamped && stamps.is_empty() && stored_count > 0 {
            report.notices.push(Notice::StampsMissing { count: stored_count });
        }
        let Some(gap) = gap else { return Ok(()) };
        if gap > millis_of(AHEAD_MAX) {
            report.notices.push(Notice::FutureStamp { ahead_ms: gap });
        }
        let now = self.fetcher.ports.clock().now();
        if let Some(wider) = self.state.wider_gap(gap, now) {
            self.fetcher.ports.ledger().note_stamp_gap(source.kind(), wider).await?;
        }
        Ok(())
    }

    /// Lets failures and successes have their effect on what all functions of the source share.
    async fn conclude_trouble(&self, report: &mut FetchReport) -> Result<(), StoreFailure> {
        let ledger = self.fetcher.ports.ledger();
        let stream = &self.chunk.key.stream;
        let now = self.fetcher.ports.clock().now();
        let Some((failure, in_a_row)) = self.trouble.last() else {
            let is_closed = self.state.breaker.state(now) == BreakerState::Closed;
            if self.trouble.calls() > 0 && is_closed && self.state.breaker.is_disturbed() {
                ledger.close_breaker(stream.source).await?;
            }
            return Ok(());
        };
        if source_health::note_failure(ledger, stream, self.state, &failure, in_a_row, now).await? {
            report.notices.push(Notice::BreakerOpened);
        }
        if source_health::pauses_stream(&failure) {
            ledger.pause_stream(stream, &Pause { until: now.plus(PAUSE), why: failure.cause.clone() }).await?;
        }
        report.notices.extend(source_health::notice_of(&failure));
        report.failure = Some(crate::poll::describe(&failure, stream));
        Ok(())
    }
}

/// A panic in one record is that record's own failure.
async fn caught(resolving: impl Future<Output = Resolved>) -> Resolved {
    let caught = AssertUnwindSafe(resolving).catch_unwind().await;
    caught.unwrap_or_else(|_| Resolved::Poisoned("the fetcher panicked at this record".to_owned()))
}

/// The newest stamp at or before the horizon; the horizon itself when all are newer, so that a record which is edited
/// every second cannot stall the checkpoint.
fn newest_within(stamps: &[UtcMillis], horizon: UtcMillis) -> Option<UtcMillis> {
    if Rule::Horizon.is_left_out() {
        return stamps.iter().copied().max();
    }
    let newest = stamps.iter().copied().filter(|stamp| *stamp <= horizon).max();
    newest.or((!stamps.is_empty()).then_some(horizon))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_above_the_horizon_never_counts_for_more_than_the_horizon() {
        let at = UtcMillis::new;
        assert_eq!(newest_within(&[at(5), at(30)], at(10)), Some(at(5)));
        assert_eq!(newest_within(&[at(20), at(30)], at(10)), Some(at(10)));
        assert_eq!(newest_within(&[], at(10)), None);
    }
}
