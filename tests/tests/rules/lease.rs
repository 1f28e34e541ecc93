//! Rule 8 (lease and epoch) and rule U (a refused write is read back).

use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{Fault, Operation};
use tidemark_tests::stage::{Stage, ids};

#[tokio::test]
async fn of_two_ticks_at_once_one_works_and_the_other_leaves() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    let hold = stage.world.source.faults().hold_before(Operation::List);
    let second = async {
        hold.reached().await;
        let report = stage.tick().await;
        hold.release();
        report
    };
    let (first, second) = tokio::join!(stage.tick(), second);
    assert_eq!((first.outcome, second.outcome), (PollOutcome::Waiting, PollOutcome::LeaseBusy));
}

#[tokio::test]
async fn a_poller_that_froze_and_lost_its_lease_changes_nothing() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(100);
    stage.edit(all.iter().map(String::as_str));
    let hold = stage.world.source.faults().hold_after(Operation::List);
    let meanwhile = async {
        hold.reached().await;
        stage.wait(600);
        stage.sync().await;
        let checkpoint = stage.checkpoint();
        hold.release();
        checkpoint
    };
    let (zombie, after) = tokio::join!(stage.tick(), meanwhile);
    assert_eq!(zombie.outcome, PollOutcome::Fenced);
    assert_eq!(stage.checkpoint(), after);
}

#[tokio::test]
async fn a_frozen_pollers_chunks_are_ignored() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(100);
    stage.edit(all.iter().map(String::as_str));
    // It freezes after its chunks are in the ledger and before they are accepted.
    let hold = stage.world.tables.faults().hold_after(Operation::PutChunks);
    let meanwhile = async {
        hold.reached().await;
        stage.wait(600);
        stage.settle().await;
        hold.release();
    };
    let (zombie, ()) = tokio::join!(stage.tick(), meanwhile);
    assert_eq!(zombie.outcome, PollOutcome::Fenced);
    let checkpoint = stage.checkpoint();
    assert_eq!((checkpoint.run, stage.differences().len()), (None, 0));
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_counts_when_it_is_found() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.world.tables.faults().push_times(Operation::Store, &Fault::LoseAnswer, 3);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Waiting);
    stage.drain().await;
    stage.world.tables.faults().push_times(Operation::Store, &Fault::LoseAnswer, 2);
    let report = stage.tick().await;
    assert!(report.committed.is_some());
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn an_item_created_anew_never_reuses_an_epoch() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.sync().await;
    let before = stage.checkpoint().epoch;
    stage.world.tables.with(|tables| tables.checkpoints.clear());
    stage.wait(300);
    let report = stage.tick().await;
    assert!(report.notices.contains(&tidemark_engine::poll::Notice::FirstImport));
    assert!(stage.checkpoint().epoch > before);
}

#[tokio::test]
async fn with_ledger_queue_and_quarantine_gone_the_checkpoint_alone_suffices() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(120);
    stage.edit(all.iter().map(String::as_str));
    stage.sync().await;
    stage.wait(300);
    stage.edit(["00001", "00002"]);
    stage.tick().await;
    stage.world.tables.with(|tables| {
        tables.chunks.clear();
        tables.quarantine.clear();
    });
    stage.world.queue.purge();
    for _ in 0..3 {
        stage.wait(300);
        stage.sync().await;
    }
    assert_eq!(stage.differences(), Vec::<String>::new());
}
