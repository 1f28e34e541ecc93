//! P14: the alarm for staleness sounds if and only if neither the listing nor what is owed has moved for three intervals.

use tidemark_engine::clock::{LocalMillis, millis_of};
use tidemark_watch::standing::standing;

use super::{Oracle, Verdict, Watched, broken};
use crate::sim::world::World;

/// After how many intervals the alarm sounds.
const INTERVALS: i64 = 3;

/// When a stream last moved, as the oracle saw it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Movement {
    /// When the last listing was concluded, and when its tick had begun.
    listed_at: Option<LocalMillis>,
    listed_from: Option<LocalMillis>,
    /// When anything that is owed last moved in any way.
    moved_at: LocalMillis,
    /// When a fetcher last noted that it had stored something.
    stored_at: LocalMillis,
    /// Since when something is owed without a pause, or nothing.
    owes: bool,
    since: LocalMillis,
    /// When the process had begun that owed it.
    from: LocalMillis,
    /// When the ledger was lost.
    lost_at: Option<LocalMillis>,
}

impl Movement {
    pub(super) fn moved(&mut self, now: LocalMillis) {
        self.moved_at = now;
    }

    pub(super) fn stored(&mut self, now: LocalMillis) {
        self.stored_at = now;
        self.moved_at = now;
    }

    pub(super) fn listed(&mut self, now: LocalMillis, from: LocalMillis) {
        // What was owed before the ledger was lost is owed again from here on.
        if self.lost_at > self.listed_at {
            self.moved_at = now;
        }
        self.listed_at = Some(now);
        self.listed_from = Some(from);
    }

    /// A stream that starts again counts as never listed.
    pub(super) fn never_listed(&mut self) {
        self.listed_at = None;
    }

    pub(super) fn owes(&mut self, now: LocalMillis, from: LocalMillis, owes: bool) {
        if self.owes != owes {
            (self.owes, self.since, self.from) = (owes, now, from);
        }
    }

    pub(super) fn forget(&mut self, now: LocalMillis) {
        (self.lost_at, self.moved_at) = (Some(now), now);
    }
}

impl Oracle {
    /// Compares the alarm with what the oracle saw.
    pub(super) fn watch(&mut self, world: &World) {
        let verdict = self.streams.iter().try_for_each(|watched| watched.check_standing(world));
        self.judge(world, verdict);
    }
}

impl Watched {
    fn check_standing(&self, world: &World) -> Verdict {
        let now = world.now();
        let interval = millis_of(world.weather.poll_interval);
        let movement = &self.movement;
        let (checkpoint, state, oldest) = world.tables.with(|tables| {
            let state = tables.streams.get(&self.key).cloned().unwrap_or_default();
            let owed = tables.chunks.values().filter(|chunk| chunk.key.stream == self.key);
            let oldest = owed.map(|chunk| chunk.listed_at).min();
            (tables.checkpoints.get(&self.key).cloned(), state, oldest)
        });
        let Some(listed_at) = movement.listed_at else { return Ok(()) };
        let is_alarmed = millis_of(standing(checkpoint.as_ref(), &state, now).staleness) > INTERVALS * interval;
        let stands = |at: LocalMillis, millis: i64| now.millis_since(at) > millis;
        // It takes a tick to notice that something is owed: one that began later, however long another was frozen.
        let silent_max = (INTERVALS + 2) * interval;
        let unlisted = stands(listed_at, silent_max);
        let is_unnoticed = movement.listed_from.is_some_and(|from| from < movement.since);
        let noticed_at = if is_unnoticed { movement.since.max(listed_at) } else { movement.since };
        let unmoved = movement.owes && stands(noticed_at.max(movement.moved_at), silent_max);
        if !is_alarmed && (unlisted || unmoved) {
            return broken("P14 no silence while nothing moves", || {
                format!("{}: {movement:?}, {checkpoint:?}, {state:?}", self.key.name)
            });
        }
        // A late write may bring an older time back.
        let late = if world.weather.chances.late_write > 0 { 300_000 } else { 0 };
        let lively_max = INTERVALS * interval - late - 5_000;
        let is_back = state.last_stored_at.is_none_or(|at| movement.stored_at.millis_since(at) > 5_000);
        let is_lost = is_back || movement.lost_at.is_some_and(|at| !stands(at, 3 * interval));
        let was_seen = movement.listed_from.is_some_and(|from| from > movement.since);
        // A poller that was frozen puts chunks of a listing that is long ago.
        let is_new = movement.owes && !stands(oldest.map_or(movement.from, |at| at.min(movement.from)), lively_max);
        let moves = !stands(movement.stored_at, lively_max) || (was_seen && (is_new || !movement.owes));
        let success_at = checkpoint.as_ref().and_then(|checkpoint| checkpoint.last_success_at).unwrap_or_default();
        if is_alarmed && !is_lost && !stands(success_at, lively_max) && moves {
            return broken("P14 no alarm while all moves", || {
                format!("{}: {movement:?}, {checkpoint:?}, {state:?}", self.key.name)
            });
        }
        Ok(())
    }
}

impl World {
    /// Starts what compares alarms with what moves.
    pub(in crate::sim) fn start_watcher(self: &std::rc::Rc<Self>) {
        let world = std::rc::Rc::clone(self);
        self.executor.spawn(&std::rc::Rc::default(), async move {
            loop {
                world.wait(30_000).await;
                world.oracle(Oracle::watch);
            }
        });
    }
}
