//! Faults 1 to 14: the schedule and the poller.

use std::pin::pin;
use std::time::Duration;

use tidemark_engine::notice::Notice;
use tidemark_engine::poll::{PollOutcome, PollReport};
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::Lane;
use tidemark_testkit::memory::{Fault, Hold, Operation, Order, Redelivery, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

use super::{NOTHING, left, tick_that_dies_at};

/// After how long a chunk that was sent is sent again.
const PATIENCE: u64 = 2 * 720;

/// A stage whose vendor has just edited three chunks of ids.
async fn three_chunks(shape: ListShape) -> Stage {
    let stage = Stage::new(shape).known().await;
    stage.edit(ids(120));
    stage
}

#[tokio::test]
async fn an_invocation_repeated_hours_later_is_a_tick_like_any_other() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b"]);
    stage.tick().await;
    // WHEN it comes again hours later, while something is owed
    stage.wait(3 * 3_600);
    let again = stage.tick().await;
    // THEN it lists again, and sends what seems lost
    assert_eq!((again.outcome, again.owed_count, again.sent_count), (PollOutcome::Owing, 2, 2));
    stage.drain().await;
    assert_eq!(stage.details(), 2, "of three messages two find nothing left to do");
    // and when all is stored, it finds nothing new
    stage.settle().await;
    stage.wait(3 * 3_600);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_poller_that_dies_after_its_chunks_were_put_has_them_worked_off_and_the_next_lists_again() {
    let stage = three_chunks(ListShape::Whole).await;
    let scanned = stage.checkpoint().scanned;
    tick_that_dies_at(&stage, stage.world.tables.faults().hold_after(Operation::PutChunks)).await;
    assert_eq!((stage.checkpoint().scanned, stage.owed_count(Lane::Fresh)), (scanned, 120));
    let report = stage.tick().await;
    assert_eq!((report.owed_count, report.sent_count), (120, 3));
    stage.drain().await;
    // The dead poller's chunks are sent when their patience is over, and are paid for.
    stage.wait(PATIENCE);
    stage.settle().await;
    assert_eq!((left(&stage), stage.details(), stage.owed_count(Lane::Fresh)), (NOTHING, 120, 0));
}

#[tokio::test]
async fn chunks_that_were_put_and_not_sent_are_sent_when_their_patience_is_over() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = three_chunks(shape).await;
        let hold = stage.world.queue.faults().hold_before(Operation::Send);
        tick_that_dies_at(&stage, hold).await;
        assert_eq!(stage.world.queue.queued_count(), 0);
        stage.play(12).await;
        assert_eq!((left(&stage), stage.owed_count(Lane::Fresh)), (NOTHING, 0), "{shape:?}");
    }
}

#[tokio::test]
async fn a_poller_that_dies_after_sending_sends_again_and_nothing_is_fetched_twice() {
    let stage = three_chunks(ListShape::Whole).await;
    tick_that_dies_at(&stage, stage.world.queue.faults().hold_after(Operation::Send)).await;
    stage.tick().await;
    assert_eq!(stage.world.queue.queued_count(), 6, "each id twice");
    stage.drain().await;
    stage.settle().await;
    assert_eq!((left(&stage), stage.details()), (NOTHING, 120));
}

#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_read_back_and_kept() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.world.tables.faults().push(Operation::Store, Fault::LoseAnswer);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
}

#[tokio::test]
async fn a_lease_that_nobody_knows_of_delays_the_stream_by_that_lease_and_no_more() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.checkpoint();
    stage.world.tables.faults().push(Operation::Store, Fault::LoseAnswer);
    for fault in [Fault::Pass, Fault::Reject] {
        stage.world.tables.faults().push(Operation::Load, fault);
    }
    stage.try_tick().await.unwrap_err();
    assert_eq!(stage.tick().await.outcome, PollOutcome::LeaseBusy);
    stage.wait(181);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
    assert!(stage.checkpoint().committed.order() >= before.committed.order());
}

/// A tick whose vendor takes 25 seconds for each list call.
async fn slow_tick(stage: &Stage) -> PollReport {
    let faults = stage.world.source.faults();
    let holds: Vec<Hold> = (0..200).map(|_| faults.hold_before(Operation::List)).collect();
    let slowly = async {
        for hold in holds {
            hold.reached().await;
            stage.wait(25);
            hold.release();
        }
    };
    let mut slowly = pin!(slowly);
    let report = tokio::select! {
        biased;
        () = &mut slowly => unreachable!("no listing needs two hundred calls"),
        report = stage.tick() => report,
    };
    faults.clear();
    report
}

/// Slow ticks, an interval apart and not more than so many, until nothing is listed any more: how many calls each made.
async fn listed_slowly(stage: &Stage, ticks_max: usize) -> Vec<u32> {
    let mut calls = Vec::new();
    loop {
        let next_at = stage.now().plus(Duration::from_mins(5));
        let report = slow_tick(stage).await;
        calls.push(report.calls_count);
        // Half an interval, and the call under way.
        assert!(report.calls_count <= 7, "{calls:?}");
        stage.fetch_until(next_at).await;
        assert!(stage.standing().staleness < Duration::from_mins(15), "{:?}", stage.standing());
        if calls.len() > 1 && stage.checkpoint().backlog.is_empty() && report.owed_count == 0 {
            return calls;
        }
        assert!(calls.len() < ticks_max, "the listing does not end: {calls:?}");
    }
}

#[tokio::test]
async fn a_listing_longer_than_a_tick_goes_on_beside_the_fresh_ones() {
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(120));
    stage.wait(30 * 3_600);
    // Twelve pages, walked three times: what another tick was shown cannot be compared.
    let calls = listed_slowly(&stage, 20).await;
    assert!(calls.iter().sum::<u32>() <= 60, "{calls:?}");
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn it_ends_although_its_rows_bear_no_stamp() {
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(120));
    stage.vendor(|vendor| vendor.unstamped.extend(ids(120).iter().map(|text| id(text))));
    stage.wait(30 * 3_600);
    let mut ticks = 0;
    while ticks < 3 || !stage.checkpoint().backlog.is_empty() {
        slow_tick(&stage).await;
        stage.fetch_until(stage.now().plus(Duration::from_mins(3))).await;
        ticks += 1;
        assert!(ticks < 20, "the listing does not end");
    }
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_scan_longer_than_a_tick_goes_on_at_its_page_though_it_meets_nothing_new() {
    // GIVEN twelve pages of a list without a lower bound, of which everything is stored
    let mut settings = VendorSettings { page_rows: 10, order: Order::Id, ..VendorSettings::new(ListShape::Pages) };
    settings.stream.filtered = false;
    let stage = Stage::with(settings);
    stage.edit(ids(120));
    stage.settle().await;
    // WHEN the one edit is on the last page
    stage.wait(3_600);
    stage.edit(["00119"]);
    stage.wait(60);
    for _ in 0..12 {
        slow_tick(&stage).await;
        stage.fetch_until(stage.now().plus(Duration::from_mins(5))).await;
    }
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn pages_that_were_read_before_a_failure_are_not_read_again() {
    // GIVEN an import of thirty pages, and a vendor that fails after every seven of them
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(300));
    stage.wait(30 * 3_600);
    stage.play(1).await;
    let mut ticks = 0;
    while !stage.checkpoint().backlog.is_empty() {
        let faults = stage.world.source.faults();
        faults.push_times(Operation::List, &Fault::Pass, 8);
        faults.push_times(Operation::List, &Fault::Reject, 3);
        let next_at = stage.now().plus(Duration::from_mins(15));
        stage.tick().await;
        faults.clear();
        stage.fetch_until(next_at).await;
        ticks += 1;
        assert!(ticks < 20, "the listing does not end: {:?}", stage.checkpoint().backlog);
    }
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_stream_whose_checkpoint_was_deleted_is_imported_again() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    stage.tables(|tables| tables.checkpoints.clear());
    stage.wait(300);
    let report = stage.tick().await;
    assert!(report.notices.contains(&Notice::FirstImport));
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_message_from_before_the_checkpoint_was_deleted_is_not_taken_for_one_of_its_successor() {
    // GIVEN a first import whose only message comes very late, and a checkpoint that was deleted meanwhile
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a"]);
    stage.world.queue.fate(Redelivery::Late(Duration::from_hours(40)));
    stage.tick().await;
    stage.tables(|tables| tables.checkpoints.clear());
    stage.wait(120);
    stage.edit(["a"]);
    stage.wait(30 * 3_600);
    // WHEN the next first import's own message is lost
    stage.world.queue.fate(Redelivery::Lost);
    stage.tick().await;
    stage.wait(11 * 3_600);
    stage.drain().await;
    // THEN the row of then is not stored as if it had been listed now
    stage.play(8).await;
    assert_eq!(left(&stage), NOTHING);
}

/// Fault 14, by the runbook: checkpoints go back to the older instant, the ledger's marks are deleted.
#[tokio::test]
async fn after_tables_were_restored_by_the_runbook_everything_is_stored_again() {
    for with_records in [true, false] {
        // GIVEN a copy of the tables, made while something was owed
        let stage = Stage::new(ListShape::Whole).known().await;
        let all = ids(40);
        stage.edit(&all);
        stage.settle().await;
        stage.wait(300);
        stage.edit(all.iter().take(5));
        stage.tick().await;
        let copy = stage.tables(|tables| tables.clone());
        // WHEN it is put back a day later
        stage.drain().await;
        stage.wait(86_400);
        stage.edit(all.iter().skip(3).take(20));
        stage.edit(["new"]);
        stage.settle().await;
        stage.tables(|tables| {
            tables.checkpoints = copy.checkpoints;
            tables.streams.clear();
            if with_records {
                tables.records = copy.records;
            }
        });
        // THEN the checkpoint alone is enough, and nothing newer that was there is lost
        if !with_records {
            assert_eq!(left(&stage), NOTHING);
        }
        stage.wait(300);
        assert!(stage.tick().await.notices.contains(&Notice::LedgerLost));
        stage.settle().await;
        assert_eq!(left(&stage), NOTHING, "records restored: {with_records}");
    }
}
