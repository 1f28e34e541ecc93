//! Rule 4.6: `committed` never passes what is owed.

use std::time::Duration;

use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Lane, PoisonPolicy, TRIES_TO_ADVANCE};
use tidemark_testkit::memory::Operation;
use tidemark_tests::stage::{Stage, id, ids};

fn poison(stage: &Stage, text: &str, hours: u64) {
    let heals_at = stage.now().plus(Duration::from_hours(hours));
    stage.vendor(|vendor| vendor.poison(&id(text), heals_at));
}

#[tokio::test]
async fn the_checkpoint_does_not_move_when_ids_are_merely_owed() {
    // GIVEN two chunks that are sent, of which one is stored
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(60));
    stage.tick().await;
    let before = stage.checkpoint().scanned;
    let [first, _] = &stage.world.queue.receive(2)[..] else { panic!("two messages") };
    stage.fetch(first).await.unwrap();
    // THEN nothing is committed that was listed since
    for _ in 0..3 {
        stage.wait(300);
        assert_eq!(stage.tick().await.outcome, PollOutcome::Owing);
        assert!(stage.checkpoint().committed.order() <= before.order());
    }
    // until the other one is stored, too
    stage.drain().await;
    stage.settle().await;
    assert!(stage.checkpoint().committed.order() > before.order());
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn the_checkpoint_never_reaches_what_its_own_tick_listed() {
    let stage = Stage::new(ListShape::Whole).known().await;
    for _ in 0..3 {
        stage.wait(300);
        let scanned = stage.checkpoint().scanned;
        stage.tick().await;
        assert!(stage.checkpoint().committed.order() <= scanned.order());
    }
}

#[tokio::test]
async fn under_block_a_record_that_fails_holds_the_checkpoint_while_others_flow() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let holds = stage.checkpoint().scanned;
    // WHEN one record of two is broken
    stage.edit(["bad", "fresh"]);
    poison(&stage, "bad", 1);
    stage.sync().await;
    assert_eq!((stage.retried(), stage.retries()[0].holds.as_ref()), (vec!["bad".to_owned()], Some(&holds)));
    // THEN what comes later is stored, the scan goes on, and the checkpoint waits
    stage.play(3).await;
    stage.edit(["old"]);
    stage.play(2).await;
    let held = stage.checkpoint();
    assert_eq!((held.committed, stage.differences()), (holds.clone(), vec!["bad".to_owned()]));
    assert!(held.scanned.order() > holds.order() + 1_000_000);
    // and when it heals, it drains by itself
    stage.wait(3_600);
    stage.play(20).await;
    assert_eq!((stage.retried(), stage.differences()), (vec![], vec![]));
    assert!(stage.checkpoint().committed.order() > holds.order() + 3_600_000);
}

#[tokio::test]
async fn under_advance_it_goes_on_after_five_tries_and_the_retry_lane_remembers() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.settings.borrow_mut().poison_policy = PoisonPolicy::Advance;
    stage.edit(["bad"]);
    poison(&stage, "bad", 1_000);
    let holds = stage.checkpoint().scanned;
    stage.tick().await;
    stage.drain().await;
    while stage.retries()[0].attempts < TRIES_TO_ADVANCE {
        assert!(stage.checkpoint().committed.order() <= holds.order());
        stage.play(1).await;
    }
    stage.play(2).await;
    assert!(stage.checkpoint().committed.order() > holds.order());
    assert_eq!(stage.retried(), ["bad"]);
}

#[tokio::test]
async fn an_id_on_its_way_to_the_retry_lane_is_seen() {
    // GIVEN a chunk that becomes a retry entry while a tick reads what is owed
    let stage = Stage::new(ListShape::Whole).known().await;
    let holds = stage.checkpoint().scanned;
    stage.wait(100);
    stage.edit(["bad"]);
    poison(&stage, "bad", 1);
    stage.tick().await;
    stage.wait(300);
    let hold = stage.world.tables.faults().hold_before(Operation::Head);
    let moving = async {
        hold.reached().await;
        stage.drain().await;
        assert_eq!((stage.chunks(Lane::Fresh).len(), stage.retried().len()), (0, 1));
        hold.release();
    };
    tokio::join!(stage.tick(), moving);
    assert!(stage.checkpoint().committed.order() <= holds.order());
}

#[tokio::test]
async fn a_record_edited_every_second_does_not_stall_the_checkpoint() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.checkpoint().committed;
    for _ in 0..4 {
        stage.edit(["a"]);
        stage.tick().await;
        stage.wait(5);
        stage.edit(["a"]);
        stage.drain().await;
        stage.wait(295);
    }
    stage.tick().await;
    assert!(stage.checkpoint().committed.order() >= before.order() + 600_000);
}

#[tokio::test]
async fn scanned_is_never_below_committed() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.play(2).await;
    // A step back lowers scanned, and committed with it.
    let at = stage.now();
    stage.vendor(|vendor| vendor.settings.clock_step = Some(tidemark_testkit::memory::Step { at, by: -900_000 }));
    for _ in 0..3 {
        stage.wait(300);
        stage.tick().await;
        let checkpoint = stage.checkpoint();
        assert!(checkpoint.committed.order() <= checkpoint.scanned.order());
    }
}
