//! What must hold for each stored record: P6, P13 and P15.

use tidemark_engine::clock::{LocalMillis, millis_of};
use tidemark_engine::record::{DeletedBecause, Look, RecordId, RecordKey, Seen};

use super::{Oracle, Verdict, Watched, broken};
use crate::memory::{StoredRecord, Vendor};
use crate::sim::world::World;

/// So many records of one chunk may seem gone without a doubt.
const GONE_MAX: usize = 5;

impl Watched {
    pub(super) fn record_key(&self, id: &RecordId) -> RecordKey {
        RecordKey { source: self.key.source, stream: self.records.clone(), id: id.clone() }
    }

    /// P6 and P15 of the records that a call has stored; and what is fresh now.
    pub(super) fn check_stored(&mut self, world: &World, keys: &[RecordKey]) -> Verdict {
        self.movement.moved(world.now());
        for key in keys {
            let stored = world.tables.with(|tables| tables.records.get(key).cloned());
            let Some(stored) = stored else { continue };
            self.check_record(&key.id, &stored)?;
            self.check_fresh(world, &key.id, &stored)?;
        }
        Ok(())
    }

    pub(super) fn check_all_stored(&mut self, world: &World) -> Verdict {
        let all: Vec<RecordKey> =
            world.tables.with(|tables| self.stored_records(tables).map(|(key, _)| key.clone()).collect());
        self.check_stored(world, &all)
    }

    fn check_record(&mut self, id: &RecordId, stored: &StoredRecord) -> Verdict {
        if stored.body.as_ref().is_some_and(|body| body.text().contains("foreign")) {
            return broken("P15 no other account's data", || format!("{} record {id}", self.key.name));
        }
        let last = self.looked_at.entry(id.clone()).or_insert(stored.looked_at);
        if *last > stored.looked_at {
            return broken("P6 no record goes back", || {
                format!("{} record {id} was looked at {last} and then {}", self.key.name, stored.looked_at)
            });
        }
        *last = stored.looked_at;
        Ok(())
    }
}

impl Oracle {
    /// P13: nothing is marked deleted that was not seen to be gone, nor while the vendor hides so much that it is doubtful.
    pub(in crate::sim) fn check_looks(&mut self, world: &World, looks: &[Look]) {
        let gone = |look: &&Look| matches!(look.seen, Seen::Gone(_));
        let mut verdict = Ok(());
        let mut hidden = Vec::new();
        let mut doubtful = 0;
        for look in looks.iter().filter(gone) {
            let stream = world.stream_of(&look.key);
            let is_gone = world.source.with_stream(&stream, |vendor| was_gone(vendor, look, world.now()));
            if is_gone {
                continue;
            }
            // Of a record that is stored as gone there is nothing to lose.
            let is_stored_as_gone = world
                .tables
                .with(|tables| tables.records.get(&look.key).is_some_and(|stored| stored.deleted.is_some()));
            doubtful += usize::from(!is_stored_as_gone);
            hidden.push((stream, look.key.id.clone()));
        }
        if doubtful > 0 && (!world.weather.hides || doubtful > GONE_MAX) && !world.is_swapped.get() {
            verdict = broken("P13 no tombstone without a look", || format!("{hidden:?}"));
        }
        for (stream, id) in hidden {
            if let Some(watched) = self.streams.iter_mut().find(|watched| watched.key.name == stream) {
                watched.hidden.insert(id);
            }
        }
        self.judge(world, verdict);
    }
}

/// Whether the record was gone at some instant of the look, or of the time by which its answer may lag.
fn was_gone(vendor: &Vendor, look: &Look, now: LocalMillis) -> bool {
    let lag = millis_of(vendor.settings.replica_lag) + 1_000;
    let from = match look.seen {
        Seen::Gone(DeletedBecause::Announced) => LocalMillis::new(i64::MIN),
        _ => look.looked_at.shifted(-lag),
    };
    let history = vendor.history(&look.key.id);
    let is_absent_at_first =
        history.iter().rev().find(|version| version.visible_at <= from).is_none_or(|version| version.body.is_none());
    let deletions = history.iter().filter(|version| version.body.is_none());
    let mut within = deletions.filter(|version| from <= version.visible_at && version.visible_at <= now);
    within.next().is_some() || (is_absent_at_first && !matches!(look.seen, Seen::Gone(DeletedBecause::Announced)))
}
