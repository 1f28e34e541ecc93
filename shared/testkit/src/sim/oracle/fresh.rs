//! P9: in fair weather a change is stored soon, whatever import is under way.

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::record::RecordId;

use super::{Oracle, Verdict, Watched, broken};
use crate::memory::StoredRecord;
use crate::sim::weather::StreamWeather;
use crate::sim::world::World;

/// How long two listings, their waits for the vendor, and what was sent before the change take besides two intervals.
const BESIDES_MILLIS: i64 = 120_000;
/// A listing from further back is a big one.
const BEHIND_MAX: std::time::Duration = std::time::Duration::from_mins(15);

/// An edit that has to be stored soon.
pub(super) struct Fresh {
    id: RecordId,
    number: u64,
    visible_at: LocalMillis,
}

fn max_millis(world: &World) -> i64 {
    let interval = i64::try_from(world.weather.poll_interval.as_millis()).unwrap_or(0);
    2 * interval + BESIDES_MILLIS
}

impl Oracle {
    /// The newest edit of a record has to be stored soon, once the next listing does not begin far back: it does until
    /// it is known how far stamps may lag. A list that takes no lower bound is scanned whole, which takes its time.
    pub(in crate::sim) fn expect_fresh(&mut self, world: &World, stream: &StreamWeather, id: &RecordId) {
        let Some(watched) = self.streams.iter_mut().find(|watched| watched.key.name == *stream.name()) else { return };
        let clock = world.source.with_stream(stream.name(), |vendor| vendor.stamp_clock(world.now()));
        let is_short = watched.last.as_ref().is_some_and(|last| {
            last.last_success_at.is_some() && last.scanned.at().is_none_or(|at| clock.since(at) < BEHIND_MAX)
        });
        let is_over = world.now() >= world.storm_end() && !world.is_sweeping.get();
        if !is_short || !stream.vendor.stream.filtered || is_over {
            return;
        }
        let newest = world.source.with_stream(stream.name(), |vendor| vendor.history(id).last().cloned());
        if let Some(version) = newest {
            watched.fresh.push(Fresh { id: id.clone(), number: version.number, visible_at: version.visible_at });
        }
    }
}

impl Watched {
    /// Whether what has just been stored was stored in time.
    pub(super) fn check_fresh(&mut self, world: &World, id: &RecordId, stored: &StoredRecord) -> Verdict {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let number = stored.body.as_ref().and_then(crate::memory::version_of).unwrap_or(0);
        let now = world.now();
        let is_stored = |fresh: &Fresh| fresh.id == *id && fresh.number <= number;
        let waited: Vec<i64> = self
            .fresh
            .extract_if(.., |fresh| is_stored(fresh))
            .map(|fresh| now.millis_since(fresh.visible_at))
            .collect();
        for millis in waited {
            world.count(|stats| {
                stats.fresh_changes += 1;
                stats.fresh_millis += u64::try_from(millis).unwrap_or(0);
            });
            if millis > max_millis(world) {
                return broken("P9 what is fresh is stored soon", || {
                    format!("{} record {id} version {number} waited {millis} ms", self.key.name)
                });
            }
        }
        Ok(())
    }

    /// Whether nothing waits any more.
    pub(super) fn check_none_waits(&self, world: &World) -> Verdict {
        let now = world.now();
        let late = self.fresh.iter().find(|fresh| now.millis_since(fresh.visible_at) > max_millis(world));
        match late {
            Some(fresh) => broken("P9 what is fresh is stored soon", || {
                format!("{} record {} version {} is not stored", self.key.name, fresh.id, fresh.number)
            }),
            None => Ok(()),
        }
    }
}
