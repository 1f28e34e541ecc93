//! Faults and what comes of them, one test each: the page `docs/faults.md` says which is where. Besides them, holes that
//! were found by attack, and odd cases.

mod altered;
mod cases;
mod holes;
mod poison;
mod queue;
mod schedule;
mod store;
mod vendor;

use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_testkit::memory::Hold;
use tidemark_tests::stage::{Stage, id};

const NOTHING: (usize, usize, usize) = (0, 0, 0);

/// The records that are not stored as the vendor shows them, the ids in the retry lane, and the dead letters: how many.
fn left(stage: &Stage) -> (usize, usize, usize) {
    (stage.differences().len(), stage.retries().len(), stage.world.queue.dead_count())
}

/// A tick whose process dies at a held call. Its lease runs out, then the next tick comes.
async fn tick_that_dies_at(stage: &Stage, hold: Hold) {
    tokio::select! {
        biased;
        () = hold.reached() => {}
        report = stage.tick() => unreachable!("it was held: {report:?}"),
    }
    stage.wait(300);
}

/// The details of these records fail for so many hours.
fn fail<I: AsRef<str>>(stage: &Stage, ids: impl IntoIterator<Item = I>, class: FailureClass, hours: u64) {
    let until = stage.now().plus(Duration::from_hours(hours));
    for text in ids {
        stage.vendor(|vendor| vendor.fail(&id(text.as_ref()), class, until));
    }
}
