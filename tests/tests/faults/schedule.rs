//! Faults 1 to 14: the schedule and the poller.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::poll::{Notice, PollOutcome, PollReport};
use tidemark_engine::staleness::standing;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{DateHeader, Fault, Hold, Operation, Order, StoredCheckpoint, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

use super::{left, tick_that_dies_at};

const NOTHING: (usize, usize, usize) = (0, 0, 0);

/// A stage whose vendor has just edited three chunks of ids.
fn three_chunks(shape: ListShape) -> Stage {
    let stage = Stage::new(shape);
    stage.edit(ids(120).iter().map(String::as_str));
    stage
}

#[tokio::test]
async fn an_invocation_repeated_hours_later_is_a_tick_like_any_other() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b"]);
    let first = stage.tick().await;
    // WHEN it comes again hours later, while the run is open
    stage.wait(3 * 3_600);
    let again = stage.tick().await;
    // THEN it goes on with that run, and sends what seems lost
    assert_eq!((again.outcome, again.accepted_count, again.sent_count), (PollOutcome::Waiting, 0, 1));
    assert_eq!(again.run_id, first.run_id);
    stage.drain().await;
    assert_eq!(stage.details(), 2, "of two messages one finds nothing left to do");
    // and when all is stored, it finds nothing new
    stage.settle().await;
    stage.wait(3 * 3_600);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_poller_that_dies_before_its_chunks_are_accepted_leaves_orphans_that_count_for_nothing() {
    let stage = three_chunks(ListShape::Whole);
    tick_that_dies_at(&stage, stage.world.tables.faults().hold_after(Operation::PutChunks)).await;
    let dead_epoch = stage.checkpoint().epoch;
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.accepted_count, report.sent_count), (PollOutcome::Waiting, 120, 3));
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some());
    assert_eq!((left(&stage), stage.details()), (NOTHING, 120));
    let orphans = stage.world.tables.with(|tables| {
        let is_orphan = |chunk: &&tidemark_engine::chunk::Chunk| chunk.key.epoch == dead_epoch && !chunk.is_done();
        tables.chunks.values().filter(is_orphan).count()
    });
    assert_eq!(orphans, 3, "nobody worked on them");
}

#[tokio::test]
async fn chunks_that_were_accepted_and_not_sent_are_sent_by_the_next_tick() {
    let stage = three_chunks(ListShape::Whole);
    tick_that_dies_at(&stage, stage.world.queue.faults().hold_before(Operation::Send)).await;
    assert_eq!(stage.world.queue.queued_count(), 0);
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.accepted_count, report.sent_count), (PollOutcome::Waiting, 0, 3));
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some());
    assert_eq!((left(&stage), stage.details()), (NOTHING, 120));
}

#[tokio::test]
async fn rows_that_were_accepted_and_not_sent_are_listed_again() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a", "b"]);
    tick_that_dies_at(&stage, stage.world.queue.faults().hold_before(Operation::Send)).await;
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.notices), (PollOutcome::Aborted, vec![Notice::ChunkLost]));
    stage.sync().await;
    assert_eq!((left(&stage), stage.details()), (NOTHING, 0));
}

#[tokio::test]
async fn a_poller_that_dies_after_sending_sends_again_and_nothing_is_fetched_twice() {
    let stage = three_chunks(ListShape::Whole);
    tick_that_dies_at(&stage, stage.world.queue.faults().hold_after(Operation::Send)).await;
    stage.tick().await;
    assert_eq!(stage.world.queue.queued_count(), 6, "each message twice");
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some());
    assert_eq!((left(&stage), stage.details()), (NOTHING, 120));
}

#[tokio::test]
async fn a_run_that_died_between_quarantine_and_commit_is_closed_again_at_the_same_checkpoint() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.settle().await;
    let before = stage.checkpoint();
    stage.wait(600);
    stage.edit(["bad", "good"]);
    let heals_at = stage.now().plus(Duration::from_hours(100));
    stage.world.source.with(|vendor| vendor.poison(&id("bad"), heals_at));
    stage.tick().await;
    stage.drain().await;
    let entry = || stage.world.tables.with(|tables| tables.quarantine.values().next().cloned().expect("it is there"));
    tick_that_dies_at(&stage, stage.world.tables.faults().hold_after(Operation::Quarantine)).await;
    let (first, open) = (entry(), stage.checkpoint());
    assert_eq!((&open.committed, open.run.is_some()), (&before.committed, true));
    // WHEN the next tick closes the run
    let report = stage.tick().await;
    let (second, closed) = (entry(), stage.checkpoint());
    assert_eq!(report.committed, Some(before.committed));
    assert!(closed.scanned.order() > before.scanned.order());
    assert_eq!((second.since, second.held_checkpoint), (first.since, first.held_checkpoint), "the first entry counts");
    assert_eq!(stage.quarantined(), ["bad"]);
}

#[tokio::test]
async fn a_lease_whose_answer_was_lost_delays_the_stream_by_that_lease_and_no_more() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.settle().await;
    let before = stage.checkpoint();
    stage.world.tables.faults().push(Operation::Acquire, Fault::LoseAnswer);
    stage.try_tick().await.unwrap_err();
    assert_eq!(stage.tick().await.outcome, PollOutcome::LeaseBusy);
    stage.wait(181);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
    let after = stage.checkpoint();
    assert_eq!((after.epoch, after.committed), (before.epoch + 2, before.committed));
}

/// A tick whose vendor takes two minutes for each list call.
async fn slow_tick(stage: &Stage) -> PollReport {
    let faults = stage.world.source.faults();
    let holds: Vec<Hold> = (0..100).map(|_| faults.hold_before(Operation::List)).collect();
    let slowly = async {
        for hold in holds {
            hold.reached().await;
            stage.wait(120);
            hold.release();
        }
    };
    let mut slowly = pin!(slowly);
    let report = tokio::select! {
        biased;
        () = &mut slowly => unreachable!("no listing needs a hundred calls"),
        report = stage.tick() => report,
    };
    faults.clear();
    report
}

/// Slow ticks, a minute apart and not more than so many, until the listing is whole: how many calls each made, the runs
/// they worked on, and the last report.
async fn listed_slowly(stage: &Stage, ticks_max: usize) -> (Vec<u32>, BTreeSet<String>, PollReport) {
    let mut calls = Vec::new();
    let mut runs = BTreeSet::new();
    loop {
        let report = slow_tick(stage).await;
        stage.drain().await;
        calls.push(report.calls_count);
        runs.extend(report.run_id.clone().or_else(|| stage.checkpoint().run.map(|run| run.run_id)));
        if report.outcome != PollOutcome::Listing {
            return (calls, runs, report);
        }
        assert!(calls.len() < ticks_max, "the listing does not end");
        stage.wait(60);
    }
}

#[tokio::test]
async fn a_listing_longer_than_an_invocation_goes_on_at_its_page() {
    // GIVEN twelve pages at two minutes each. What another tick was shown cannot be compared, so they are walked three
    // times: 72 minutes
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(120).iter().map(String::as_str));
    let (calls, runs, last) = listed_slowly(&stage, 20).await;
    // THEN each tick stops at 13 minutes and the next goes on: no page is asked for a fourth time
    assert_eq!((last.outcome, runs.len()), (PollOutcome::Waiting, 1));
    assert_eq!(calls, [7, 7, 7, 7, 7, 1]);
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_scan_longer_than_an_invocation_goes_on_at_its_page_though_it_meets_nothing_new() {
    // GIVEN twelve pages of a list without an update filter, of which everything is stored
    let mut settings = VendorSettings { page_rows: 10, order: Order::Id, ..VendorSettings::new(ListShape::Pages) };
    settings.stream.filtered = false;
    let stage = Stage::with(settings);
    stage.edit(ids(120).iter().map(String::as_str));
    stage.settle().await;
    // WHEN a page takes two minutes, and the one edit is on the last
    stage.wait(3_600);
    stage.edit(["00119"]);
    let (_, runs, last) = listed_slowly(&stage, 20).await;
    // THEN the scan reaches it, in one run
    assert_eq!((last.outcome, runs.len()), (PollOutcome::Waiting, 1));
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_listing_of_any_number_of_ticks_comes_to_its_end() {
    // GIVEN four hundred pages with news on each, of which a tick reads seven, so that as many pollers accept them
    let stage = Stage::with(VendorSettings { page_rows: 1, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(400).iter().map(String::as_str));
    let (calls, runs, last) = listed_slowly(&stage, 200).await;
    assert_eq!((last.outcome, runs.len(), calls.len() > 50), (PollOutcome::Waiting, 1, true), "{}", calls.len());
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn pages_that_were_read_before_a_failure_are_not_read_again() {
    // GIVEN a vendor that fails after seven pages of twelve, in every tick
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(120).iter().map(String::as_str));
    let mut ticks = 0;
    let last = loop {
        let faults = stage.world.source.faults();
        faults.push_times(Operation::List, &Fault::Pass, 7);
        faults.push_times(Operation::List, &Fault::Reject, 3);
        let report = stage.tick().await;
        faults.clear();
        stage.drain().await;
        stage.wait(900);
        ticks += 1;
        assert!(ticks < 20, "the listing does not end: {report:?}");
        if !matches!(report.outcome, PollOutcome::SourceFailed { .. }) {
            break report;
        }
    };
    // THEN each goes on where the one before ended
    assert_eq!((last.outcome, ticks <= 7), (PollOutcome::Waiting, true), "{ticks}");
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_long_listing_is_progress_before_it_is_whole() {
    // GIVEN a first import, and later a scan that finds nothing new, each page of which takes five minutes
    let mut settings = VendorSettings { page_rows: 10, order: Order::Id, ..VendorSettings::new(ListShape::Pages) };
    settings.stream.filtered = false;
    let stage = Stage::with(settings);
    stage.edit(ids(60).iter().map(String::as_str));
    for _ in 0..2 {
        let holds: Vec<Hold> = (0..3).map(|_| stage.world.source.faults().hold_before(Operation::List)).collect();
        // WHEN somebody looks while the third page is asked for
        let looking = async {
            let mut looked = None;
            for hold in holds {
                hold.reached().await;
                looked = Some(standing(Some(&stage.checkpoint()), stage.now()).staleness);
                stage.wait(300);
                hold.release();
            }
            looked.unwrap()
        };
        let (_, staleness) = futures_util::future::join(stage.tick(), looking).await;
        // THEN it has moved with the page before
        assert!(staleness < Duration::from_mins(1), "{staleness:?}");
        stage.settle().await;
    }
}

#[tokio::test]
async fn a_local_clock_ten_minutes_off_loses_nothing_and_asks_for_attention() {
    for offset_ms in [-600_000, 600_000] {
        let date = DateHeader::Skewed(offset_ms);
        let stage = Stage::with(VendorSettings { date, ..VendorSettings::new(ListShape::Whole) });
        stage.edit(["a", "b", "c"]);
        for _ in 0..3 {
            stage.tick().await;
            stage.drain().await;
            stage.wait(300);
        }
        // WHEN one record is edited after the list and another long after, before it is fetched
        stage.edit(["a"]);
        let report = stage.tick().await;
        stage.wait(60);
        stage.edit(["c"]);
        stage.wait(1_140);
        stage.edit(["a"]);
        stage.drain().await;
        for _ in 0..3 {
            stage.sync().await;
        }
        assert_eq!(left(&stage), NOTHING, "{offset_ms}");
        let doubt = report.notices.iter().find(|notice| matches!(notice, Notice::ClockDoubt { .. }));
        assert!(doubt.is_some_and(Notice::needs_attention), "{offset_ms}: {report:?}");
    }
}

/// Fault 14, by the runbook: the checkpoint goes back to the older instant and loses its run.
#[tokio::test]
async fn after_tables_were_restored_by_the_runbook_everything_is_stored_again() {
    for with_records in [true, false] {
        // GIVEN a copy of the tables, made while a run was open
        let stage = Stage::new(ListShape::Whole);
        let all = ids(40);
        stage.edit(all.iter().map(String::as_str));
        stage.settle().await;
        stage.wait(300);
        stage.edit(all.iter().take(5).map(String::as_str));
        stage.tick().await;
        let (checkpoint, records) = (stage.checkpoint(), stage.world.tables.with(|tables| tables.records.clone()));
        // WHEN it is put back a day later
        stage.drain().await;
        stage.wait(86_400);
        stage.edit(all.iter().skip(3).take(20).map(String::as_str));
        stage.edit(["new"]);
        stage.settle().await;
        let restored = Checkpoint { run: None, ..checkpoint };
        stage.world.tables.with(|tables| {
            let stored = StoredCheckpoint { state: restored, has_epoch: true };
            tables.checkpoints.insert(stage.stream(), stored);
            if with_records {
                tables.records = records;
            }
        });
        // THEN the checkpoint alone is enough, and nothing newer that was there is lost
        if !with_records {
            assert_eq!(left(&stage), NOTHING);
        }
        stage.wait(300);
        stage.settle().await;
        assert_eq!(left(&stage), NOTHING, "records restored: {with_records}");
    }
}
