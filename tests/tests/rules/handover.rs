//! Section 5.5 and 5.8: a listing that is too big for one tick is handed over, and goes on beside the fresh ones.

use std::time::Duration;

use tidemark_engine::checkpoint::{BACKLOG_MAX, Cursor, Listing, Scope};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::operate::{Act, Acted};
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::position::Position;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::Lane;
use tidemark_testkit::memory::{Fault, Operation, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

/// A stage at one call a second: three chunks of a listing are fresh.
fn at_one_a_second(stage: Stage) -> Stage {
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage
}

/// Many records, all of them edited long ago.
fn import(count: usize) -> Stage {
    let stage = at_one_a_second(Stage::new(ListShape::Whole));
    stage.edit(ids(count));
    stage.wait(30 * 3_600);
    stage
}

#[tokio::test]
async fn a_first_import_is_a_listing_of_which_the_first_chunks_are_fresh() {
    let stage = import(1_000);
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.owed_count), (PollOutcome::Owing, 1_000));
    assert!(report.notices.contains(&Notice::FirstImport));
    assert_eq!((stage.owed_count(Lane::Fresh), stage.owed_count(Lane::Bulk)), (150, 850));
    assert_eq!((stage.checkpoint().import_count, report.calls_count), (850, 1));
    stage.settle().await;
    assert_eq!((stage.differences().len(), stage.checkpoint().import_count), (0, 0));
}

#[tokio::test]
async fn an_edit_is_stored_within_two_polls_while_an_import_runs() {
    let stage = import(3_000);
    stage.play(2).await;
    stage.wait(1);
    stage.edit(["02999", "new"]);
    stage.play(2).await;
    assert_eq!((stage.version("02999"), stage.version("new")), (Some(3_001), Some(3_002)));
    assert!(stage.owed_count(Lane::Bulk) > 500, "the import runs on");
    for _ in 0..3 {
        stage.settle().await;
    }
    assert_eq!(stage.differences().len(), 0);
}

#[tokio::test]
async fn what_is_listed_goes_on_behind_the_last_id_that_was_put() {
    // GIVEN an import whose poller dies after each second write of chunks
    let stage = import(700);
    stage.settings.borrow_mut().chunk_ids = 1;
    let mut ticks = 0;
    while ticks < 10 && (ticks == 0 || !stage.checkpoint().backlog.is_empty()) {
        for fault in [Fault::Pass, Fault::Pass, Fault::Pass, Fault::Pass, Fault::Pass, Fault::Pass, Fault::Reject] {
            stage.world.tables.faults().push(Operation::Store, fault);
        }
        let failed = stage.try_tick().await.is_err();
        stage.world.tables.faults().clear();
        if failed {
            assert!(matches!(stage.checkpoint().backlog[0].cursor, Cursor::Id(_)));
        }
        stage.wait(300);
        ticks += 1;
    }
    // THEN each goes on where the one before stood
    assert!((3..10).contains(&ticks), "{ticks}");
    for _ in 0..4 {
        stage.settle().await;
    }
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_listing_that_was_handed_over_holds_the_checkpoint_until_it_is_whole() {
    // GIVEN an import whose fresh chunks are stored, and a poller that died before it went on
    let stage = import(400);
    stage.world.tables.faults().push(Operation::PutChunks, Fault::Pass);
    stage.world.tables.faults().push(Operation::PutChunks, Fault::Reject);
    stage.try_tick().await.unwrap_err();
    let first = stage.checkpoint().committed;
    stage.wait(300);
    stage.drain().await;
    assert_eq!((stage.checkpoint().backlog.len(), stage.owed_count(Lane::Fresh)), (1, 0));
    // WHEN the next one commits
    let hold = stage.world.tables.faults().hold_before(Operation::PutChunks);
    tokio::select! {
        biased;
        () = hold.reached() => {}
        report = stage.tick() => unreachable!("it was held: {report:?}"),
    }
    assert_eq!(stage.checkpoint().committed, first);
    stage.wait(300);
    for _ in 0..3 {
        stage.settle().await;
    }
    assert!(stage.checkpoint().committed.order() > first.order());
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_fifth_listing_that_is_handed_over_merges_with_the_newest() {
    let stage = at_one_a_second(Stage::new(ListShape::Whole)).known().await;
    for turn in 0..6 {
        stage.edit((0..200).map(|n| format!("{turn}-{n:03}")));
        stage.world.tables.faults().push(Operation::PutChunks, Fault::Pass);
        stage.world.tables.faults().push(Operation::PutChunks, Fault::Reject);
        stage.try_tick().await.unwrap_err();
        stage.world.tables.faults().clear();
        assert!(stage.checkpoint().backlog.len() <= BACKLOG_MAX);
        stage.wait(600);
    }
    let backlog = stage.checkpoint().backlog;
    assert_eq!((backlog.len(), &backlog[3].cursor), (BACKLOG_MAX, &Cursor::Start));
    let holds: Vec<i64> = backlog.iter().map(|listing| listing.holds.as_ref().unwrap().order()).collect();
    assert!(holds.is_sorted(), "{holds:?}");
    for _ in 0..4 {
        stage.settle().await;
    }
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn rows_of_a_big_listing_stop_when_an_intervals_worth_is_in_flight() {
    // GIVEN pages of five rows, each a chunk, which takes one call
    let vendor = VendorSettings { page_rows: 5, ..VendorSettings::new(ListShape::Pages) };
    let stage = at_one_a_second(Stage::with(vendor));
    stage.edit(ids(2_000));
    stage.wait(30 * 3_600);
    let report = stage.tick().await;
    assert_eq!(report.outcome, PollOutcome::Importing);
    assert!((300..=1_500).contains(&stage.owed_count(Lane::Bulk)), "{}", stage.owed_count(Lane::Bulk));
    // WHEN nothing of it is fetched, nothing more is put
    let before = stage.owed_count(Lane::Bulk);
    stage.tick().await;
    assert_eq!(stage.owed_count(Lane::Bulk), before);
    let mut ticks = 0;
    while !stage.checkpoint().backlog.is_empty() {
        stage.play(1).await;
        assert!(stage.owed_count(Lane::Bulk) <= 1_500);
        ticks += 1;
        assert!(ticks < 40, "it does not come to an end");
    }
    stage.settle().await;
    assert_eq!((stage.differences().len(), stage.details()), (0, 0));
}

#[tokio::test]
async fn a_rewind_lists_again_from_there_and_takes_the_commit_along() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let from = stage.now();
    stage.edit(["a", "b"]);
    stage.settle().await;
    stage.wait(86_400);
    stage.settle().await;
    stage.tables(|tables| tables.records.clear());
    let position = Position::At(tidemark_engine::clock::StampMillis::new(from.get()));
    stage.act(Act::Rewind(position.clone())).await;
    let rewound = stage.checkpoint();
    assert_eq!((&rewound.scanned, &rewound.committed), (&position, &position));
    stage.settle().await;
    assert!(stage.record("a").is_some() && stage.record("b").is_some());
}

#[tokio::test]
async fn a_feed_cannot_be_rewound() {
    let stage = Stage::new(ListShape::Feed);
    stage.edit(["a"]);
    stage.settle().await;
    let before = stage.checkpoint();
    let position = Position::At(tidemark_engine::clock::StampMillis::new(0));
    assert_eq!((stage.act(Act::Rewind(position)).await, stage.checkpoint()), (Acted::NoPosition, before));
}

#[tokio::test]
async fn a_rewind_accepts_no_other_account() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.vendor(|vendor| "another".clone_into(&mut vendor.settings.account_mark));
    stage.act(Act::Rewind(stage.checkpoint().committed)).await;
    assert_eq!(stage.tick().await.outcome, PollOutcome::AccountChanged);
}

#[tokio::test]
async fn a_rewind_forwards_moves_nothing() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.checkpoint();
    let later = Position::At(tidemark_engine::clock::StampMillis::new(before.scanned.order() + 1_000));
    stage.act(Act::Rewind(later)).await;
    assert_eq!(stage.checkpoint().scanned, before.scanned);
}

#[tokio::test]
async fn with_ledger_queue_and_retry_lane_gone_the_checkpoint_alone_suffices() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "bad"]);
    let heals_at = stage.now().plus(Duration::from_hours(1));
    stage.vendor(|vendor| vendor.poison(&id("bad"), heals_at));
    stage.tick().await;
    stage.drain().await;
    stage.wait(1_200);
    stage.edit(["b"]);
    stage.tick().await;
    assert_eq!(stage.retried(), ["bad"]);
    // WHEN all of it is lost
    stage.tables(tidemark_testkit::memory::Tables::lose_ledger);
    stage.world.queue.purge();
    stage.wait(3_600);
    let report = stage.tick().await;
    assert!(report.notices.contains(&Notice::LedgerLost) && Notice::LedgerLost.needs_attention());
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_part_of_a_snapshot_that_is_listed_again_survives_the_loss_of_the_ledger() {
    // GIVEN a part that holds nothing, which a tick has taken up and not read to its end
    let stage = Stage::new(ListShape::Feed).known().await;
    let cursor = Cursor::Source("part".to_owned());
    let part = Listing { scope: Scope::Snapshot, holds: None, cursor, begun_at: stage.now() };
    let stream = stage.stream();
    stage.tables(|tables| tables.checkpoints.get_mut(&stream).unwrap().backlog.push(part.clone()));
    stage.tables(tidemark_testkit::memory::Tables::lose_ledger);
    // WHEN the next tick notices, and reads no more of it
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Transient));
    stage.tick().await;
    // THEN it is still to be listed
    let checkpoint = stage.checkpoint();
    let left: Vec<Cursor> = checkpoint.later.into_iter().chain(checkpoint.backlog).map(|part| part.cursor).collect();
    assert_eq!(left, [part.cursor]);
}

#[tokio::test]
async fn a_ledger_lost_while_a_tick_reads_it_is_noticed_before_anything_is_committed() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    for _ in 0..2 {
        stage.tick().await;
        stage.wait(300);
    }
    let hold = stage.world.tables.faults().hold_before(Operation::Head);
    let losing = async {
        hold.reached().await;
        stage.tables(tidemark_testkit::memory::Tables::lose_ledger);
        stage.world.queue.purge();
        hold.release();
    };
    tokio::join!(stage.tick(), losing);
    stage.wait(300);
    stage.tick().await;
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}
