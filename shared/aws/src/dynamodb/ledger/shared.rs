//! What the functions of a source share, in the ledger.
//!
//! | item | attributes |
//! |---|---|
//! | `breaker#source` / `-` | `failure_count` N, `open_until` N ms, `open_for_ms` N, `why` S, `stamp_gap_ms` N, `stamp_gap_seen_at` N ms, `next_free_at` N ms |
//! | `breaker#source` / stream | `paused_until` N ms, `why` S |
//!
//! `next_free_at` is the shared schedule of vendor calls: everything before it is reserved. A reservation is one write
//! where the state of the schedule is guessed right, and a refused one tells the state:
//!
//! | schedule | write | first call |
//! |---|---|---|
//! | reserved to some instant from now on, not after `latest` | `next_free_at = next_free_at + span` | the old `next_free_at` |
//! | free | `next_free_at = now + span` | now |
//! | reserved beyond `latest` | none | none |

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;
use tidemark_engine::breaker::{Breaker, Pause, SourceState, StampGap};
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

use super::super::item::{BadShape, Item, Reader, instant, item, number};
use super::{ITEM, key};

/// The sort key of the item that holds all but the pauses; no stream is called so.
const SOURCE_ITEM: &str = "-";

/// How often a reservation is tried while others change the schedule.
pub(super) const RESERVE_TRIES: u32 = 10;

pub(super) const ADD_FAILURES: &str = "ADD #failure_count :count";
pub(super) const OPEN_BREAKER: &str = "SET #open_until = :until, #open_for_ms = :open_for_ms, #why = :why";
pub(super) const NOT_OPEN_FOR_LONGER: &str = "attribute_not_exists(#open_until) OR #open_until <= :until";
pub(super) const CLOSE_BREAKER: &str = "REMOVE #failure_count, #open_until, #open_for_ms, #why";
pub(super) const PAUSE: &str = "SET #paused_until = :paused_until, #why = :why";
/// An update, not a deletion: the poller, which makes it, has no right to delete.
pub(super) const RESUME: &str = "REMOVE #paused_until, #why";
pub(super) const NOTE_GAP: &str = "SET #stamp_gap_ms = :stamp_gap_ms, #stamp_gap_seen_at = :stamp_gap_seen_at";

/// Others took the schedule from under every try.
#[derive(Debug, Error)]
#[error("the schedule of calls changed under each of {RESERVE_TRIES} tries")]
pub(super) struct Contended;

pub(super) fn partition_of(source: SourceKind) -> String {
    format!("breaker#{source}")
}

pub(super) fn key_of(source: SourceKind) -> Item {
    key(partition_of(source), SOURCE_ITEM)
}

pub(super) fn pause_key_of(stream: &StreamKey) -> Item {
    key(partition_of(stream.source), stream.name.as_str())
}

pub(super) fn state_of(items: &[Item]) -> Result<SourceState, BadShape> {
    let mut state = SourceState { breaker: Breaker::default(), pauses: BTreeMap::new(), stamp_gap: None };
    for item in items {
        let found = Reader::of(item);
        if found.text(ITEM)? == SOURCE_ITEM {
            let open_for_ms: Option<u64> = found.number_if_any("open_for_ms")?;
            state.breaker = Breaker {
                failure_count: found.number_if_any("failure_count")?.unwrap_or_default(),
                open_until: found.instant_if_any("open_until")?,
                open_for: open_for_ms.map(Duration::from_millis),
                why: found.text_if_any("why")?.map(str::to_owned),
            };
            let millis = found.number_if_any("stamp_gap_ms")?;
            let seen_at = found.instant_if_any("stamp_gap_seen_at")?;
            state.stamp_gap = millis.zip(seen_at).map(|(millis, seen_at)| StampGap { millis, seen_at });
        } else {
            let stream = found.parsed(ITEM, |name| StreamName::parse(name).ok())?;
            // A pause that was ended leaves an item without it.
            if let Some(until) = found.instant_if_any("paused_until")? {
                let why = found.text("why")?.to_owned();
                state.pauses.insert(stream, Pause { until, why });
            }
        }
    }
    Ok(state)
}

/// How much of the schedule `calls` take, in whole milliseconds, rounded up so that no two calls share one.
pub(super) fn span_ms(calls: u32, interval: Duration) -> i64 {
    let nanos = interval.saturating_mul(calls).as_nanos();
    i64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// How a reservation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reservation {
    /// Behind what is reserved already.
    Behind,
    /// From now on.
    Now,
}

impl Reservation {
    /// The write that holds on this schedule; none when it is reserved beyond `latest`.
    pub(super) fn of(next_free_at: UtcMillis, now: UtcMillis, latest: UtcMillis) -> Option<Self> {
        if next_free_at < now {
            return Some(Self::Now);
        }
        (next_free_at <= latest).then_some(Self::Behind)
    }

    pub(super) fn update(self) -> &'static str {
        match self {
            Self::Behind => "SET #next_free_at = #next_free_at + :span",
            Self::Now => "SET #next_free_at = :end",
        }
    }

    pub(super) fn condition(self) -> &'static str {
        match self {
            Self::Behind => "#next_free_at >= :now AND #next_free_at <= :latest",
            Self::Now => "attribute_not_exists(#next_free_at) OR #next_free_at < :now",
        }
    }

    pub(super) fn values(self, span_ms: i64, now: UtcMillis, latest: UtcMillis) -> Item {
        match self {
            Self::Behind => item([(":span", number(span_ms)), (":now", instant(now)), (":latest", instant(latest))]),
            Self::Now => item([(":end", instant(now.shifted(span_ms))), (":now", instant(now))]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    fn ms(millis: i64) -> UtcMillis {
        UtcMillis::new(millis)
    }

    #[test]
    fn the_state_of_the_schedule_decides_the_write() {
        let (now, latest) = (ms(100), ms(200));
        let cases = [
            (99, Some(Reservation::Now)),
            (100, Some(Reservation::Behind)),
            (200, Some(Reservation::Behind)),
            (201, None),
        ];
        for (next_free_at, expected) in cases {
            assert_eq!(Reservation::of(ms(next_free_at), now, latest), expected, "{next_free_at}");
        }
        for way in [Reservation::Now, Reservation::Behind] {
            samples::assert_consistent(&[way.update(), way.condition()], &way.values(7, now, latest));
        }
    }

    #[test]
    fn a_span_is_whole_and_never_too_short() {
        let cases = [
            (0, Duration::from_secs(1), 0),
            (3, Duration::from_secs(2), 6_000),
            (1, Duration::from_micros(1), 1),
            (3, Duration::from_micros(333_333), 1_000),
            (u32::MAX, Duration::MAX, i64::MAX),
        ];
        for (calls, interval, expected) in cases {
            assert_eq!(span_ms(calls, interval), expected, "{calls} x {interval:?}");
        }
    }

    #[test]
    fn the_state_of_a_source_without_items_is_undisturbed() {
        assert_eq!(state_of(&[]), Ok(SourceState::default()));
        let mut odd = pause_key_of(&StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") });
        assert_eq!(state_of(&[odd.clone()]), Ok(SourceState::default()), "a pause that was ended");
        odd.insert("item".to_owned(), super::super::text("NOT A STREAM"));
        assert_eq!(state_of(&[odd]), Err(BadShape("item is not one that this program knows".to_owned())));
    }
}
