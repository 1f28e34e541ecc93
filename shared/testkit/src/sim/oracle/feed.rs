//! P1 and P2 of a feed, whose positions are tokens.

use std::collections::BTreeMap;

use tidemark_engine::checkpoint::{Checkpoint, Cursor, Scope};
use tidemark_engine::position::Position;
use tidemark_engine::record::RecordId;
use tidemark_engine::work::PoisonPolicy;

use super::positions::{is_stored, shown};
use super::{Verdict, Watched, broken, token_index};
use crate::memory::{Tables, Vendor, Version};
use crate::sim::world::{FEED_RECORDS, World};

/// The id under which a feed owes a record.
pub(super) fn locator(id: &RecordId) -> Option<RecordId> {
    RecordId::parse(format!("{FEED_RECORDS}/{}", id.as_str())).ok()
}

impl Watched {
    /// What the events before a token name is stored, or owed, or behind the cursor of a snapshot.
    pub(super) fn check_tokens(
        &self,
        world: &World,
        tables: &Tables,
        vendor: &Vendor,
        checkpoint: &Checkpoint,
        policy: PoisonPolicy,
    ) -> Verdict {
        let now = world.now();
        let is_lost = self.is_lost(tables, checkpoint);
        let owed = self.owed(tables);
        let index_of = |position: &Position| token_index(position).unwrap_or(0);
        for (id, version) in self.newest_before(vendor, index_of(&checkpoint.scanned), now) {
            let stored = tables.records.get(&self.record_key(id));
            if is_lost || self.hidden.contains(id) || is_stored(vendor.history(id), version, stored, now) {
                continue;
            }
            let is_owed = locator(id).is_some_and(|locator| owed.contains(&locator));
            let is_to_come = checkpoint.backlog.iter().any(|listing| match (&listing.scope, &listing.cursor) {
                (Scope::Snapshot, Cursor::Source(last)) => id.as_str() > last.as_str(),
                (Scope::Snapshot, _) => true,
                (Scope::Changes(_), _) => false,
            });
            if !is_owed && !is_to_come {
                return broken("P1 no change is lost", || {
                    format!(
                        "{} record {id}: {version:?}, stored {:?}, {checkpoint:?}",
                        self.key.name,
                        stored.map(shown)
                    )
                });
            }
        }
        for (id, version) in self.newest_before(vendor, index_of(&checkpoint.committed), now) {
            let stored = tables.records.get(&self.record_key(id));
            let is_remembered =
                || policy == PoisonPolicy::Advance && locator(id).is_some_and(|locator| self.retries(tables, &locator));
            if !self.hidden.contains(id) && !is_stored(vendor.history(id), version, stored, now) && !is_remembered() {
                return broken("P2 committed passes no change", || {
                    format!(
                        "{} record {id}: {version:?}, stored {:?}, {checkpoint:?}",
                        self.key.name,
                        stored.map(shown)
                    )
                });
            }
        }
        Ok(())
    }

    /// The newest version of each record that the first `told` events name, unless a later event names a newer one.
    fn newest_before<'v>(
        &self,
        vendor: &'v Vendor,
        told: usize,
        now: tidemark_engine::clock::LocalMillis,
    ) -> Vec<(&'v RecordId, &'v Version)> {
        let mut newest: BTreeMap<&RecordId, u64> = BTreeMap::new();
        for (index, event) in vendor.events().iter().enumerate().take(told) {
            if event.deletes && index < self.passed_over {
                newest.remove(&event.id);
            } else {
                newest.insert(&event.id, event.number);
            }
        }
        let newest = newest.into_iter().filter_map(|(id, number)| Some((id, number, vendor.seen(id, now)?)));
        newest.filter(|(_, number, version)| version.number == *number).map(|(id, _, version)| (id, version)).collect()
    }
}
