//! What sweeps have to find, and what must hold after one: S1 to S3 of `docs/protocol.md`.

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, StreamName};
use tidemark_engine::work::{Lane, Reason};
use tidemark_sweep::state::Proof;

use super::{Oracle, Verdict, Watched, broken};
use crate::sim::sweeps::Expected;
use crate::sim::world::World;

/// What the next proof of a stream has to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    expected: Expected,
    /// Whether lists show everything that there is.
    honest: bool,
    /// Whether records are created and edited meanwhile.
    edits: bool,
}

impl Oracle {
    fn watched_as(&mut self, stream: &StreamName) -> Option<&mut Watched> {
        self.streams.iter_mut().find(|watched| watched.key.name == *stream)
    }

    /// What no list of changes shows is not what P1 and P2 are about.
    pub(in crate::sim) fn note_harm(&mut self, stream: &StreamName, touched: Vec<RecordId>, lost: &[RecordId]) {
        let Some(watched) = self.watched_as(stream) else { return };
        watched.looked_at.retain(|id, _| !lost.contains(id));
        watched.hidden.extend(touched);
        watched.hidden.extend(lost.iter().cloned());
    }

    /// What a sweep that begins now has to find.
    pub(in crate::sim) fn expected(&mut self, world: &World, stream: &StreamName) -> Expected {
        let Some(watched) = self.watched_as(stream) else { return Expected::default() };
        let now = world.now();
        let mut found = Expected::default();
        world.tables.with(|tables| {
            world.source.with_stream(stream, |vendor| {
                for (id, version) in vendor.present(now) {
                    let stored = tables.records.get(&watched.record_key(id)).filter(|stored| stored.deleted.is_none());
                    found.listed += 1;
                    found.missing += u64::from(stored.is_none());
                    let differs = stored.is_some_and(|stored| stored.body != version.body);
                    found.different += u64::from(differs && watched.shape == ListShape::Pages);
                }
                let is_there = |id: &RecordId| vendor.seen(id, now).is_some_and(|version| version.body.is_some());
                let live = watched.stored_records(tables).filter(|(_, stored)| stored.deleted.is_none());
                found.extra = u64::try_from(live.filter(|(key, _)| !is_there(&key.id)).count()).unwrap_or(u64::MAX);
            });
        });
        found
    }

    pub(in crate::sim) fn expect_proof(&mut self, stream: &StreamName, expected: Expected, honest: bool, edits: bool) {
        if let Some(watched) = self.watched_as(stream) {
            watched.awaited = Some(Awaited { expected, honest, edits });
        }
    }

    /// S3: an honest sweep finds what there was to be found, and nothing else.
    pub(in crate::sim) fn check_proof(&mut self, world: &World, stream: &StreamName, proof: Option<&Proof>) {
        let Some(Awaited { expected, honest, edits }) = self.watched_as(stream).and_then(|it| it.awaited.take()) else {
            return;
        };
        let verdict = match proof {
            _ if !honest => Ok(()),
            None => broken("S3 a sweep leaves a proof", || format!("of {stream} there is none")),
            Some(proof) => {
                let found = Expected {
                    listed: proof.listed,
                    missing: proof.missing,
                    different: proof.different,
                    extra: proof.extra,
                };
                let looked_at_since = |watched: &Watched| {
                    let is_since = |at: LocalMillis| at >= proof.begun_at;
                    world
                        .tables
                        .with(|tables| watched.stored_records(tables).filter(|(_, it)| is_since(it.looked_at)).count())
                };
                // A row that moves because it is edited may be passed by: the list of changes shows it.
                let young = self.watched_as(stream).map_or(0, |watched| looked_at_since(watched));
                let young = u64::try_from(young).unwrap_or(u64::MAX);
                // What is owed already may be stored meanwhile: as it is, and then it needs no sweep, or as an older row
                // shows it, and then it is different and no longer missing.
                let are_found = |found: &Expected| found.missing + found.different;
                let is_right = found.extra <= expected.extra
                    && (edits || found.missing <= expected.missing)
                    && (edits || are_found(&found) <= are_found(&expected))
                    && (if edits { found.listed + young >= expected.listed } else { found.listed == expected.listed });
                if is_right {
                    Ok(())
                } else {
                    broken("S3 a sweep finds what there is", || format!("{stream}: {expected:?}, found {proof:?}"))
                }
            }
        };
        self.judge(world, verdict);
    }

    /// S2. A record at which every fetcher dies, and which each scan lists again, keeps the bulk lane from being empty.
    pub(in crate::sim) fn sweep_never_ends(&mut self, world: &World) {
        let verdict = world.tables.with(|tables| {
            let of_bulk = || tables.chunks.values().filter(|chunk| chunk.key.lane == Lane::Bulk);
            let is_deadly = |watched: &Watched| {
                world.source.with_stream(&watched.key.name, |vendor| {
                    of_bulk().any(|chunk| chunk.key.stream == watched.key && watched.is_deadly(world, vendor, chunk))
                })
            };
            if self.streams.iter().any(is_deadly) {
                return Ok(());
            }
            broken("S2 a sweep ends", || format!("{:?}", tables.sweeps.values().collect::<Vec<_>>()))
        });
        self.judge(world, verdict);
    }

    /// S1: after a sweep everything is as the vendor has it, what it did silently included.
    fn what_is_unswept(&self, world: &World) -> Verdict {
        self.what_is_left(world)?;
        let now: LocalMillis = world.now();
        self.streams.iter().try_for_each(|watched| {
            world.tables.with(|tables| {
                world.source.with_stream(&watched.key.name, |vendor| {
                    let is_there = |id: &RecordId| vendor.seen(id, now).is_some_and(|version| version.body.is_some());
                    let mut live = watched.stored_records(tables).filter(|(_, stored)| stored.deleted.is_none());
                    let is_doubted = |id: &RecordId| {
                        let of_stream = tables.retries.values().filter(|entry| entry.stream == watched.key);
                        let mut doubts = of_stream.filter(|entry| entry.reason == Reason::SeemsGone);
                        doubts.any(|entry| entry.id.as_str().rsplit('/').next() == Some(id.as_str()))
                    };
                    let is_left = |id: &RecordId| !is_there(id) && !watched.is_doomed(world, vendor, id);
                    match live.find(|(key, _)| is_left(&key.id) && !is_doubted(&key.id)) {
                        Some((key, _)) => broken("S1 after a sweep what is gone is marked deleted", || key.to_string()),
                        None => Ok(()),
                    }
                })
            })
        })
    }

    pub(in crate::sim) fn is_swept(&self, world: &World) -> bool {
        self.what_is_unswept(world).is_ok()
    }

    pub(in crate::sim) fn must_be_swept(&mut self, world: &World) {
        let verdict = self.what_is_unswept(world);
        self.judge(world, verdict);
    }
}
