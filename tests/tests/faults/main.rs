//! Faults and what comes of them, one test each: the page `docs/faults.md` says which is where.

mod poison;
mod queue;
mod schedule;
mod store;
mod vendor;

use tidemark_testkit::memory::Hold;
use tidemark_tests::stage::Stage;

/// The records that are not stored as the vendor shows them, and the ids in quarantine, and the dead letters: how many.
fn left(stage: &Stage) -> (usize, usize, usize) {
    (stage.differences().len(), stage.quarantined().len(), stage.world.queue.dead_count())
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
