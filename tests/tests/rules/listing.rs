//! Rule 4 (settled and unchanged), rule 5 (paging), rule 6 (window, rows).

use std::time::Duration;

use tidemark_engine::poll::{Notice, PollOutcome};
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{DateHeader, Fault, Operation, Order, Redelivery, VendorSettings};
use tidemark_tests::stage::{Stage, ids};

#[tokio::test]
async fn an_id_in_a_quiet_overlap_zone_is_not_fetched_at_every_tick() {
    for inclusive in [false, true] {
        let stage = Stage::with(VendorSettings { inclusive, ..VendorSettings::new(ListShape::Whole) });
        stage.edit(["a", "b", "c"]);
        stage.sync().await;
        // Each record is fetched once more after its zone has settled, then never again.
        for _ in 0..3 {
            stage.wait(300);
            stage.sync().await;
        }
        stage.details();
        stage.wait(300);
        let report = stage.sync().await;
        assert_eq!((report.outcome, stage.details()), (PollOutcome::Quiet, 0), "inclusive: {inclusive}");
    }
}

#[tokio::test]
async fn an_edit_that_shows_late_is_not_taken_for_settled() {
    for inclusive in [false, true] {
        let stage = Stage::with(VendorSettings { inclusive, ..VendorSettings::new(ListShape::Whole) });
        stage.edit(["a", "b"]);
        stage.settle().await;
        // a's edit is stamped before b's but becomes visible only after both were fetched
        let at = stage.now();
        stage.world.source.with(|vendor| vendor.edit(&tidemark_tests::stage::id("a"), at, Duration::from_secs(90)));
        stage.wait(1);
        stage.edit(["b"]);
        stage.sync().await;
        stage.wait(90);
        stage.settle().await;
        assert_eq!(stage.differences(), Vec::<String>::new(), "inclusive: {inclusive}");
    }
}

#[tokio::test]
async fn without_the_vendors_date_nothing_counts_as_settled() {
    let stage = Stage::with(VendorSettings { date: DateHeader::Absent, ..VendorSettings::new(ListShape::Whole) });
    stage.edit(["a"]);
    stage.sync().await;
    for _ in 0..3 {
        stage.wait(300);
        stage.details();
        stage.sync().await;
        assert_eq!(stage.details(), 1);
    }
}

#[tokio::test]
async fn a_local_clock_ten_minutes_ahead_does_not_make_ids_settled() {
    let stage =
        Stage::with(VendorSettings { date: DateHeader::Skewed(-600_000), ..VendorSettings::new(ListShape::Whole) });
    stage.edit(["a"]);
    for _ in 0..3 {
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
    }
    stage.details();
    let report = stage.tick().await;
    stage.drain().await;
    assert!(stage.details() > 0);
    assert!(report.notices.iter().any(|notice| matches!(notice, Notice::ClockDoubt { .. })));
}

#[tokio::test]
async fn a_listed_row_with_the_stored_stamp_but_another_body_is_stored() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a"]);
    stage.sync().await;
    // a second edit within the same second
    stage.edit(["a"]);
    stage.wait(30);
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
    // and a row that has not changed costs nothing
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.unchanged_count), (PollOutcome::Quiet, 1));
}

#[tokio::test]
async fn a_walk_over_pages_takes_its_places_on_the_schedule_ten_at_a_time() {
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(400).iter().map(String::as_str));
    let report = stage.tick().await;
    // One write before the number of pages is known, four for the other 39, four for the 40 of the way back.
    let writes = stage.world.tables.faults().calls(Operation::Reserve);
    assert_eq!((report.calls_count, writes), (80, 9));
}

#[tokio::test]
async fn rows_that_move_while_pages_are_read_are_not_lost() {
    // GIVEN three pages in the order of edits
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    let all = ids(30);
    stage.edit(all.iter().map(String::as_str));
    stage.wait(10);
    // WHEN rows of the first page are edited while it is answered, every other row moves up
    let hold = stage.world.source.faults().hold_after(Operation::List);
    let edits = async {
        hold.reached().await;
        stage.wait(1);
        stage.edit(["00000", "00001", "00002"]);
        hold.release();
    };
    let (report, ()) = tokio::join!(stage.tick(), edits);
    assert_eq!(report.outcome, PollOutcome::Waiting);
    stage.drain().await;
    // THEN the rows that nobody edited are all there, after this one listing
    let lost: Vec<String> = stage.differences().into_iter().filter(|id| id.as_str() > "00002").collect();
    assert_eq!(lost, Vec::<String>::new());
}

#[tokio::test]
async fn a_row_that_slips_past_a_pass_in_each_direction_is_met_by_a_third() {
    // GIVEN three pages, the newest edits first: 6 5 | 4 3 | 2 1
    let vendor = VendorSettings { page_rows: 2, order: Order::Newest, ..VendorSettings::new(ListShape::Pages) };
    let stage = Stage::with(vendor);
    for number in 1..=6 {
        stage.edit([format!("{number}").as_str()]);
        stage.wait(1);
    }
    let faults = stage.world.source.faults();
    let after_first = faults.hold_after(Operation::List);
    faults.push_times(Operation::List, &Fault::Pass, 3);
    let after_fifth = faults.hold_after(Operation::List);
    let moves = async {
        // WHEN a deletion moves 4 to the page that was just read
        after_first.reached().await;
        stage.delete(["6"]);
        after_first.release();
        // and an edit moves it to the page that was just read on the way back
        after_fifth.reached().await;
        stage.wait(30);
        stage.edit(["1"]);
        after_fifth.release();
    };
    let (report, ()) = tokio::join!(stage.tick(), moves);
    assert_eq!(report.outcome, PollOutcome::Waiting);
    stage.drain().await;
    // THEN it is there, after this one listing
    assert!(stage.record("4").is_some());
}

#[tokio::test]
async fn a_listing_that_was_interrupted_goes_on_behind_the_last_accepted_id() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(1_000);
    stage.edit(all.iter().map(String::as_str));
    // The second acceptance fails for good: half of the ids are in.
    let tables = stage.world.tables.faults();
    for fault in [Fault::Pass, Fault::Pass, Fault::Reject] {
        tables.push(Operation::Store, fault);
    }
    stage.try_tick().await.unwrap_err();
    assert_eq!(stage.checkpoint().run.map(|run| run.accepted), Some(10));
    stage.wait(300);
    let report = stage.tick().await;
    assert_eq!(report.accepted_count, 500);
    stage.drain().await;
    stage.tick().await;
    assert_eq!((stage.differences().len(), stage.details()), (0, 1_000));
}

#[tokio::test]
async fn what_was_created_below_the_cursor_of_an_interrupted_listing_is_found_by_the_next_run() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["old"]);
    stage.settle().await;
    stage.wait(600);
    let all = ids(1_000);
    stage.edit(all.iter().map(String::as_str));
    let tables = stage.world.tables.faults();
    for fault in [Fault::Pass, Fault::Pass, Fault::Reject] {
        tables.push(Operation::Store, fault);
    }
    stage.try_tick().await.unwrap_err();
    // WHEN a record is created below the cursor, and one above it is edited long after
    stage.wait(300);
    stage.edit(["00000x"]);
    stage.wait(600);
    stage.edit(["00999"]);
    stage.tick().await;
    stage.drain().await;
    // THEN the run commits no further than its first list reached
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn no_more_chunks_are_out_than_the_rate_can_finish_in_a_visibility_timeout() {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(2);
    let all = ids(1_000);
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    assert_eq!(stage.world.queue.queued_count(), 7); // 720 s / (50 x 2 s)
    // They become visible at the pace of the vendor, so no fetcher waits for its turn.
    let visible: Vec<i64> =
        stage.world.queue.queued().iter().map(|queued| queued.visible_at.millis_since(stage.now()) / 1_000).collect();
    assert_eq!(visible, [0, 100, 200, 300, 400, 500, 600]);
}

#[tokio::test]
async fn a_slow_import_quarantines_no_healthy_id() {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(5);
    let all = ids(400);
    stage.edit(all.iter().map(String::as_str));
    for _ in 0..200 {
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
    }
    assert_eq!((stage.differences().len(), stage.quarantined().len(), stage.world.queue.dead_count()), (0, 0, 0));
}

#[tokio::test]
async fn a_lost_message_is_sent_again_by_its_own_time_though_the_frontier_moved() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(150);
    stage.edit(all.iter().map(String::as_str));
    stage.world.queue.fate(Redelivery::Once);
    stage.world.queue.fate(Redelivery::Lost);
    stage.tick().await;
    stage.drain().await;
    stage.wait(300);
    assert_eq!(stage.tick().await.sent_count, 0);
    stage.wait(3 * 720);
    assert_eq!(stage.tick().await.sent_count, 1);
    stage.drain().await;
    stage.tick().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_message_with_rows_is_healed_by_listing_again() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a", "b"]);
    stage.world.queue.fate(Redelivery::Lost);
    stage.tick().await;
    stage.wait(3 * 720 + 1);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Aborted);
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn rows_cost_no_call_and_pass_an_open_breaker() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a", "b"]);
    stage.tick().await;
    let until = stage.now().plus(Duration::from_mins(10));
    stage.world.tables.with(|tables| {
        let source = tables.sources.entry(stage.stream().source).or_default();
        source.state.breaker.open_until = Some(until);
    });
    stage.details();
    stage.drain().await;
    assert_eq!((stage.differences().len(), stage.details()), (0, 0));
}
