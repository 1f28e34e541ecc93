//! P1 and P2 of streams whose positions are stamps.

use std::collections::BTreeSet;

use tidemark_engine::checkpoint::{Checkpoint, Cursor, Scope};
use tidemark_engine::clock::{LocalMillis, StampMillis};
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::PoisonPolicy;

use super::{Verdict, Watched, broken};
use crate::memory::{StoredRecord, Tables, Vendor, Version};
use crate::sim::world::World;

impl Watched {
    /// What no later list will show is stored, or owed. `listed_at` is the start of the listing that is concluded.
    pub(super) fn check_positions(
        &self,
        world: &World,
        checkpoint: &Checkpoint,
        listed_at: LocalMillis,
        policy: PoisonPolicy,
    ) -> Verdict {
        world.tables.with(|tables| {
            world.source.with_stream(&self.key.name, |vendor| {
                if self.shape == ListShape::Feed {
                    return self.check_tokens(world, tables, vendor, checkpoint, policy);
                }
                self.check_stamps(world, tables, vendor, checkpoint, listed_at, policy)
            })
        })
    }

    fn check_stamps(
        &self,
        world: &World,
        tables: &Tables,
        vendor: &Vendor,
        checkpoint: &Checkpoint,
        listed_at: LocalMillis,
        policy: PoisonPolicy,
    ) -> Verdict {
        let now = world.now();
        let is_lost = self.is_lost(tables, checkpoint);
        let owed = self.owed(tables);
        let below = |position: Option<StampMillis>| {
            let from = position.map(|at| at.minus(world.overlap.get()));
            move |version: &Version| from.is_some_and(|from| !vendor.lists(version, from))
        };
        let (below_scanned, below_committed) = (below(checkpoint.scanned.at()), below(checkpoint.committed.at()));
        let mut stored = self.stored_records(tables).peekable();
        for id in vendor.ids() {
            while stored.next_if(|(key, _)| key.id < *id).is_some() {}
            let stored = stored.next_if(|(key, _)| key.id == *id).map(|(_, record)| record);
            let history = vendor.history(id);
            let at = |instant| history.iter().rev().find(|version: &&Version| version.visible_at <= instant);
            // A list shows the newest version of a record alone.
            let (Some(then), Some(newest)) = (at(listed_at), at(now)) else { continue };
            if then.body.is_none()
                || newest.body.is_none()
                || self.hidden.contains(id)
                || is_stored(history, then, stored, now)
            {
                continue;
            }
            let detail =
                || format!("{} record {id}: {then:?}, stored {:?}, {checkpoint:?}", self.key.name, stored.map(shown));
            let goes_on = || {
                checkpoint.backlog.iter().any(|listing| {
                    let is_above =
                        |version| matches!(listing.scope, Scope::Changes(from) if vendor.lists(version, from));
                    let is_behind = match &listing.cursor {
                        Cursor::Id(last) => id > last,
                        Cursor::Start | Cursor::Pages(_) | Cursor::Source(_) => true,
                    };
                    is_behind && (is_above(then) || is_above(newest))
                })
            };
            if !is_lost && !owed.contains(id) && below_scanned(then) && below_scanned(newest) && !goes_on() {
                return broken("P1 no change is lost", detail);
            }
            let is_remembered = policy == PoisonPolicy::Advance && self.retries(tables, id);
            if below_committed(then) && below_committed(newest) && !is_remembered {
                return broken("P2 committed passes no change", detail);
            }
        }
        Ok(())
    }

    /// Whether the ledger was lost and the poller has not noticed yet: the next tick lists from `committed`.
    pub(super) fn is_lost(&self, tables: &Tables, checkpoint: &Checkpoint) -> bool {
        let mark = tables.streams.get(&self.key).and_then(|state| state.mark.as_ref());
        mark != checkpoint.ledger_mark.as_ref()
    }

    /// Every id in a chunk or in the retry lane.
    pub(super) fn owed<'t>(&self, tables: &'t Tables) -> BTreeSet<&'t RecordId> {
        let chunks = tables.chunks.values().filter(|chunk| chunk.key.stream == self.key);
        let retries = tables.retries.keys().filter(|(stream, _)| *stream == self.key).map(|(_, id)| id);
        chunks.flat_map(|chunk| &chunk.ids).chain(retries).collect()
    }

    pub(super) fn retries(&self, tables: &Tables, id: &RecordId) -> bool {
        tables.retries.keys().any(|(stream, other)| *stream == self.key && other == id)
    }

    /// The stored records of this stream, by id.
    pub(super) fn stored_records<'t>(
        &'t self,
        tables: &'t Tables,
    ) -> impl Iterator<Item = (&'t RecordKey, &'t StoredRecord)> {
        let is_ours = |key: &RecordKey| key.source == self.key.source && key.stream == self.records;
        tables.records.iter().skip_while(move |(key, _)| !is_ours(key)).take_while(move |(key, _)| is_ours(key))
    }
}

/// Whether what is stored is this version, a later one, or a deletion since.
pub(super) fn is_stored(
    history: &[Version],
    version: &Version,
    stored: Option<&StoredRecord>,
    now: LocalMillis,
) -> bool {
    let Some(stored) = stored else { return version.body.is_none() };
    let mut later = history.iter().rev().take_while(|other| other.number >= version.number);
    if stored.deleted.is_some() {
        return later.any(|other| other.visible_at <= now && other.body.is_none());
    }
    later.any(|other| other.body.is_some() && other.body == stored.body)
}

/// A stored record in words.
pub(super) fn shown(stored: &StoredRecord) -> String {
    let body = stored.body.as_ref().map_or("nothing", |body| body.text());
    format!("{body}, looked at {}, deleted {:?}, stamp {:?}", stored.looked_at, stored.deleted, stored.stamp)
}
