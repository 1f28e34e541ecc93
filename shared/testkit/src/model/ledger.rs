//! The ledger's conditions: E6, E7, E10, E11, the notes that go with them, breaker and schedule.

use std::time::Duration;

use tidemark_engine::chunk::{ChunkKey, Finish};
use tidemark_engine::ports::Written;
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;

use super::arm::Arm;
use super::items::Items;

impl Items {
    pub(super) fn mark_sent(&mut self, key: &ChunkKey, sent_at: UtcMillis) -> (Written, Arm) {
        let Some(chunk) = self.chunks.get_mut(key) else {
            return (Written::Refused, "mark_sent: there is no chunk");
        };
        chunk.sent_at = Some(sent_at);
        chunk.send_count += 1;
        chunk.parked = false;
        (Written::Applied, "mark_sent: applied")
    }

    /// E6. In whatever order finishes come, the end is the same: ids go, stamps gather, the largest count counts.
    pub(super) fn finish(&mut self, key: &ChunkKey, finish: &Finish) -> (Written, Arm) {
        let Some(chunk) = self.chunks.get_mut(key) else {
            return (Written::Refused, "finish: there is no chunk");
        };
        chunk.pending.retain(|id| !finish.done.contains(id));
        chunk.poisoned.retain(|id, _| !finish.done.contains(id));
        chunk.stamps.extend(finish.stamp);
        chunk.parked = chunk.parked || finish.parked;
        chunk.withheld_count = chunk.withheld_count.max(finish.withheld_count);
        (Written::Applied, "finish: applied")
    }

    /// E7.
    pub(super) fn poison(&mut self, key: &ChunkKey, id: &RecordId, reason: &str) -> (Written, Arm) {
        let Some(chunk) = self.chunks.get_mut(key) else {
            return (Written::Refused, "poison: there is no chunk");
        };
        if !chunk.pending.contains(id) {
            return (Written::Refused, "poison: not pending");
        }
        chunk.pending.remove(id);
        chunk.poisoned.insert(id.clone(), reason.to_owned());
        (Written::Applied, "poison: applied")
    }

    pub(super) fn mark_trying(&mut self, key: &ChunkKey, id: &RecordId, receives: u32) -> (Written, Arm) {
        let Some(chunk) = self.chunks.get_mut(key) else {
            return (Written::Refused, "mark_trying: there is no chunk");
        };
        chunk.trying = Some(id.clone());
        chunk.receives = receives;
        (Written::Applied, "mark_trying: applied")
    }

    /// E10.
    pub(super) fn put_in_quarantine(&mut self, entry: &Quarantined) -> (Written, Arm) {
        if self.quarantine.contains_key(&entry.id) {
            return (Written::Refused, "quarantine: it is there");
        }
        self.quarantine.insert(entry.id.clone(), entry.clone());
        (Written::Applied, "quarantine: applied")
    }

    pub(super) fn reschedule(&mut self, id: &RecordId, attempts: u32, next_at: UtcMillis) -> (Written, Arm) {
        let Some(entry) = self.quarantine.get_mut(id) else {
            return (Written::Refused, "reschedule: it is not there");
        };
        entry.attempts = attempts;
        entry.next_at = next_at;
        (Written::Applied, "reschedule: applied")
    }

    /// E11.
    pub(super) fn resolve(&mut self, id: &RecordId, fetched_at: UtcMillis) -> (Written, Arm) {
        let Some(entry) = self.quarantine.get(id) else {
            return (Written::Refused, "resolve: it is not there");
        };
        if fetched_at <= entry.since {
            return (Written::Refused, "resolve: it went in at that instant or later");
        }
        self.quarantine.remove(id);
        (Written::Applied, "resolve: applied")
    }

    pub(super) fn add_failures(&mut self, count: u32) -> u32 {
        self.shared.breaker.failure_count += count;
        self.shared.breaker.failure_count
    }

    pub(super) fn open_breaker(&mut self, until: UtcMillis, open_for: Duration, why: &str) -> (Written, Arm) {
        let breaker = &mut self.shared.breaker;
        if breaker.open_until > Some(until) {
            return (Written::Refused, "open_breaker: it is open for longer");
        }
        breaker.open_until = Some(until);
        breaker.open_for = Some(open_for);
        breaker.why = Some(why.to_owned());
        (Written::Applied, "open_breaker: it was closed, or open for no longer")
    }

    /// The schedule has whole milliseconds; what is reserved is rounded up, or two calls would share one.
    pub(super) fn reserve(
        &mut self,
        calls: u32,
        interval: Duration,
        now: UtcMillis,
        latest: UtcMillis,
    ) -> (Option<UtcMillis>, Arm) {
        let is_idle = self.reserved_until < now;
        let start = if is_idle { now } else { self.reserved_until };
        if start > latest {
            return (None, "reserve: too late");
        }
        let whole_ms = (interval * calls).as_nanos().div_ceil(1_000_000);
        self.reserved_until = start.shifted(i64::try_from(whole_ms).unwrap_or(i64::MAX));
        (Some(start), if is_idle { "reserve: from now on" } else { "reserve: behind what is reserved" })
    }
}
