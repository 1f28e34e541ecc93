//! What must hold when the storm is over: P7, P8 and P10.

use tidemark_engine::clock::millis_of;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Chunk, PoisonPolicy, Reason};

use super::feed::locator;
use super::positions::{is_stored, shown};
use super::{Oracle, Verdict, Watched, broken, token_index};
use crate::memory::{Failing, StoredRecord, Tables, Vendor, Version};
use crate::sim::actors::NEVER;
use crate::sim::world::World;

/// How old a chunk may be at the end.
const CHUNK_AGE_MAX: i64 = 600_000;
/// What is assumed of a vendor's clock without a Date, in milliseconds.
const NO_DATE_MILLIS: i64 = 400_000;

impl Oracle {
    /// What is not as it has to be in the end.
    pub(super) fn what_is_left(&self, world: &World) -> Verdict {
        let policy = self.policy;
        self.streams.iter().try_for_each(|watched| {
            world.tables.with(|tables| {
                world.source.with_stream(&watched.key.name, |vendor| {
                    watched.check_converged(world, tables, vendor)?;
                    watched.check_drained(world, tables, vendor)?;
                    watched.check_position(world, tables, vendor, policy)?;
                    watched.check_none_waits(world)
                })
            })
        })
    }

    pub(in crate::sim) fn is_all_well(&self, world: &World) -> bool {
        self.what_is_left(world).is_ok()
    }

    pub(in crate::sim) fn must_be_well(&mut self, world: &World) {
        let verdict = self.what_is_left(world);
        self.judge(world, verdict);
    }

    /// Records that were believed to be gone while the vendor hid them are edited once more: otherwise no list shows them.
    pub(in crate::sim) fn hidden(&self) -> impl Iterator<Item = (&tidemark_engine::stream::StreamName, &RecordId)> {
        self.streams.iter().flat_map(|watched| watched.hidden.iter().map(|id| (&watched.key.name, id)))
    }
}

/// The record that an owed id stands for.
fn own_id(owed: &RecordId) -> RecordId {
    let text = owed.as_str().rsplit('/').next().unwrap_or_default();
    RecordId::parse(text).unwrap_or_else(|_| owed.clone())
}

impl Watched {
    fn id_owed(&self, id: &RecordId) -> RecordId {
        let locator = if self.shape == ListShape::Feed { locator(id) } else { None };
        locator.unwrap_or_else(|| id.clone())
    }

    /// Whether a record never heals.
    pub(super) fn is_doomed(&self, world: &World, vendor: &Vendor, id: &RecordId) -> bool {
        let fails = |failing: &Failing| failing.until == NEVER;
        vendor.failing.get(id).is_some_and(fails)
            || vendor.killers.get(id).is_some_and(|until| *until == NEVER)
            || world.too_large.borrow().contains_key(&(self.key.name.clone(), id.clone()))
    }

    pub(super) fn is_deadly(&self, world: &World, vendor: &Vendor, chunk: &Chunk) -> bool {
        chunk.ids.iter().any(|id| self.is_doomed(world, vendor, &own_id(id)))
    }

    /// P7: every record is as the vendor has it. Only a feed announces deletions, and only those not passed over.
    fn check_converged(&self, world: &World, tables: &Tables, vendor: &Vendor) -> Verdict {
        let now = world.now();
        for id in vendor.ids() {
            let Some(version) = vendor.seen(id, now) else { continue };
            let stored = tables.records.get(&self.record_key(id));
            let is_so = if self.is_doomed(world, vendor, id) {
                let is_there = is_stored(vendor.history(id), version, stored, now);
                version.body.is_none() || is_there || self.retries(tables, &self.id_owed(id))
            } else {
                self.is_as(vendor, version, id, stored)
            };
            if !is_so {
                return broken("P7 all is as the vendor has it", || {
                    format!("{} record {id} is {version:?}, stored {:?}", self.key.name, stored.map(shown))
                });
            }
        }
        Ok(())
    }

    fn is_as(&self, vendor: &Vendor, version: &Version, id: &RecordId, stored: Option<&StoredRecord>) -> bool {
        match (&version.body, stored) {
            (Some(body), Some(stored)) => stored.deleted.is_none() && stored.body.as_ref() == Some(body),
            (Some(_), None) => false,
            (None, Some(stored)) => {
                let mut told = vendor.events().iter().skip(self.passed_over);
                stored.deleted.is_some() || !told.any(|event| event.id == *id && event.number == version.number)
            }
            (None, None) => true,
        }
    }

    /// P8 and P10: retry lane, chunks and backlog are empty, but for what never heals.
    fn check_drained(&self, world: &World, tables: &Tables, vendor: &Vendor) -> Verdict {
        let now = world.now();
        for ((_, owed), entry) in tables.retries.iter().filter(|((stream, _), _)| *stream == self.key) {
            let id = own_id(owed);
            let seems_gone =
                entry.reason == Reason::SeemsGone && vendor.seen(&id, now).is_none_or(|version| version.body.is_none());
            if !self.is_doomed(world, vendor, &id) && !seems_gone {
                return broken("P8 the retry lane drains", || format!("{} {entry:?}", self.key.name));
            }
        }
        let old = tables.chunks.values().filter(|chunk| chunk.key.stream == self.key);
        // It takes some deaths until a record is set aside that kills.
        let visibility = millis_of(world.weather.visibility);
        let age_max =
            |chunk: &Chunk| CHUNK_AGE_MAX + if self.is_deadly(world, vendor, chunk) { 8 * visibility } else { 0 };
        let old = old.filter(|chunk| now.millis_since(chunk.listed_at) > age_max(chunk));
        if let Some(chunk) = old.into_iter().next() {
            return broken("P10 chunks are worked off", || format!("{chunk:?}"));
        }
        match tables.checkpoints.get(&self.key) {
            None => broken("P7 all is as the vendor has it", || format!("{} has no checkpoint", self.key)),
            Some(checkpoint) if vendor.settings.stream.filtered && !checkpoint.backlog.is_empty() => {
                broken("P7 listings end", || format!("{} {:?}", self.key, checkpoint.backlog))
            }
            Some(_) => Ok(()),
        }
    }

    /// P2 and P7: positions move on unless something holds them.
    fn check_position(&self, world: &World, tables: &Tables, vendor: &Vendor, policy: PoisonPolicy) -> Verdict {
        let Some(checkpoint) = tables.checkpoints.get(&self.key) else { return Ok(()) };
        let interval = millis_of(world.weather.poll_interval);
        let is_held = policy == PoisonPolicy::Block
            && tables.retries.iter().any(|((stream, _), entry)| *stream == self.key && entry.holds.is_some())
            || tables.retries.iter().any(|((stream, _), entry)| *stream == self.key && entry.attempts < 6)
            || !checkpoint.backlog.is_empty()
            || tables.chunks.values().any(|chunk| chunk.key.stream == self.key && self.is_deadly(world, vendor, chunk));
        let behind = checkpoint.scanned.order().saturating_sub(checkpoint.committed.order());
        let (scanned, committed) = (checkpoint.scanned.at(), checkpoint.committed.at());
        let stands = match (scanned, committed) {
            (Some(scanned), Some(committed)) => scanned.millis_since(committed) > 2 * interval + 3 * NO_DATE_MILLIS,
            _ => behind > 3,
        };
        if stands && !is_held {
            return broken("P2 committed moves on", || {
                format!("{} committed {}, scanned {}", self.key, checkpoint.committed, checkpoint.scanned)
            });
        }
        let is_read = match scanned {
            Some(scanned) => {
                let lag = vendor.stamp_clock(world.now()).millis_since(scanned);
                lag <= millis_of(checkpoint.clocks.behind) + 3 * interval + 3 * NO_DATE_MILLIS + 3_600_000
            }
            None => token_index(&checkpoint.scanned) == Some(vendor.told_count(world.now())),
        };
        if !is_read {
            return broken("P7 scanned moves on", || format!("{} scanned {}", self.key, checkpoint.scanned));
        }
        Ok(())
    }
}
