//! I3 to I6 and I8 of the protocol, on the model's own state. (I7 is about records, which are not part of it.)
//!
//! They hold although pollers freeze, overlap and act on what they last knew. With one condition less in the model, one
//! of them does not.

use std::collections::BTreeSet;

use tidemark_engine::checkpoint::{Checkpoint, Guard, Transition};
use tidemark_engine::chunk::{Chunk, ChunkKey};
use tidemark_engine::ports::Written;
use tidemark_engine::record::RecordId;

use super::call::{Answer, Call};
use super::machine::{Last, Model};
use super::poller::is_closable;

/// The sentence that does not hold after this step, if there is one.
pub(super) fn broken(before: &Model, after: &Model) -> Option<&'static str> {
    monotone(before, after)
        .or_else(|| one_writer(before, after))
        .or_else(|| run_integrity(before, after))
        .or_else(|| chunks_shrink(before, after))
        .or_else(|| closure(before, after))
}

fn unless(holds: bool, sentence: &'static str) -> Option<&'static str> {
    (!holds).then_some(sentence)
}

/// The write of the stream item that this step made, if it did.
fn applied(model: &Model) -> Option<&Transition> {
    match &model.last {
        Some(Last { call: Call::Store(transition), answer: Answer::Written(Written::Applied), .. }) => Some(transition),
        _ => None,
    }
}

fn monotone(before: &Model, after: &Model) -> Option<&'static str> {
    let now = after.items.checkpoint.as_ref()?;
    let ordered = unless(now.committed.order() <= now.scanned.order(), "I3: committed is at or before scanned");
    let Some(then) = &before.items.checkpoint else { return ordered };
    ordered
        .or_else(|| unless(then.committed.order() <= now.committed.order(), "I3: committed never goes back"))
        .or_else(|| unless(then.scanned.order() <= now.scanned.order(), "I3: scanned never goes back"))
        .or_else(|| unless(then.epoch <= now.epoch, "I3: the epoch never goes back"))
}

fn one_writer(before: &Model, after: &Model) -> Option<&'static str> {
    let now = after.items.checkpoint.as_ref()?;
    let then = before.items.checkpoint.as_ref();
    if let Some(transition) = applied(after) {
        let is_own = then.is_some_and(|then| then.epoch == transition.next.epoch);
        return unless(is_own && now.epoch == transition.next.epoch, "I4: a write carries the current epoch");
    }
    let knows = |view: &Checkpoint| view.epoch != now.epoch || view == now;
    let mut views = after.pollers.iter().filter_map(|poller| poller.view.as_ref());
    unless(views.all(knows), "I4: who holds the current epoch knows the state, for nobody else changes it")
}

fn run_integrity(before: &Model, after: &Model) -> Option<&'static str> {
    let stored = after.items.checkpoint.as_ref()?;
    let run = stored.run.as_ref()?;
    let mut end = run.segments.first().map_or(run.accepted, |first| first.first);
    if end > run.frontier {
        return Some("I5: segments cover what is not finished");
    }
    for segment in &run.segments {
        if segment.first != end || segment.end <= segment.first {
            return Some("I5: segments are disjoint and without a hole");
        }
        end = segment.end;
    }
    if end != run.accepted {
        return Some("I5: segments cover what was accepted");
    }
    let accepted = |chunks: &std::collections::BTreeMap<ChunkKey, Chunk>| {
        run.segments.iter().all(|segment| {
            (segment.first..segment.end).all(|seq| {
                let (stream, run) = (stored.stream.clone(), run.run_id.clone());
                chunks.contains_key(&ChunkKey { stream, run, seq, epoch: segment.epoch })
            })
        })
    };
    // A step is one write, so what is accepted now was put before.
    unless(accepted(&before.items.chunks), "I5: a chunk is put before it is accepted")
        .or_else(|| unless(accepted(&after.items.chunks), "I5: an accepted chunk stays"))
}

fn chunks_shrink(before: &Model, after: &Model) -> Option<&'static str> {
    for (key, now) in &after.items.chunks {
        let Some(then) = before.items.chunks.get(key) else { continue };
        if is_put_again(after, key) {
            if is_accepted(before, key) {
                return Some("I6: an accepted chunk is not put again");
            }
            continue;
        }
        let ids = |chunk: &Chunk| -> BTreeSet<RecordId> {
            chunk.pending.iter().chain(chunk.poisoned.keys()).cloned().collect()
        };
        if !now.pending.is_subset(&then.pending) || !ids(now).is_subset(&ids(then)) {
            return Some("I6: pending and poisoned only shrink, but for the move from one to the other");
        }
    }
    None
}

fn is_put_again(after: &Model, key: &ChunkKey) -> bool {
    match &after.last {
        Some(Last { call: Call::PutChunks(chunks), .. }) => chunks.iter().any(|chunk| chunk.key == *key),
        _ => false,
    }
}

fn is_accepted(model: &Model, key: &ChunkKey) -> bool {
    let run = model.items.checkpoint.as_ref().and_then(|stored| stored.run.as_ref());
    run.is_some_and(|run| run.run_id == key.run && run.epoch_of(key.seq) == Some(key.epoch))
}

fn closure(before: &Model, after: &Model) -> Option<&'static str> {
    let Guard::Sealed { .. } = applied(after)?.guard else { return None };
    let then = before.items.checkpoint.as_ref()?;
    let is_closed = then.run.as_ref().is_some_and(|run| run.sealed && is_closable(then, run, &before.items));
    unless(is_closed, "I8: only a run whose ids are all stored or quarantined is committed")
}
