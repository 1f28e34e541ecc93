//! Sections 5.5 and 7: lists of ids, rows by pages, a feed; and what is settled.

use std::time::Duration;

use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Chunk, Lane};
use tidemark_testkit::memory::{Fault, Operation, Order, Redelivery, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

#[tokio::test]
async fn a_quiet_stream_is_listed_and_nothing_is_fetched() {
    for (shape, inclusive) in [(ListShape::Whole, false), (ListShape::Whole, true), (ListShape::Pages, true)] {
        let stage = Stage::with(VendorSettings { inclusive, ..VendorSettings::new(shape) }).known().await;
        stage.edit(["a", "b"]);
        stage.settle().await;
        stage.details();
        for _ in 0..3 {
            let report = stage.play(1).await.unwrap();
            assert_eq!(
                (report.outcome, report.calls_count, report.owed_count),
                (PollOutcome::Quiet, 1, 0),
                "{shape:?}"
            );
        }
        assert_eq!(stage.details(), 0);
    }
}

#[tokio::test]
async fn an_id_that_is_listed_twice_is_owed_once() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape);
        stage.edit(ids(30));
        stage.vendor(|vendor| vendor.repeats = true);
        let report = stage.tick().await;
        stage.drain().await;
        let calls = if shape == ListShape::Whole { 30 } else { 0 };
        assert_eq!((report.owed_count, stage.differences().len(), stage.details()), (30, 0, calls), "{shape:?}");
    }
}

#[tokio::test]
async fn a_row_with_the_stored_stamp_but_another_body_is_stored() {
    let stage = Stage::new(ListShape::Pages).known().await;
    stage.edit(["a"]);
    stage.sync().await;
    // A second edit within the same second.
    stage.edit(["a"]);
    stage.wait(30);
    stage.sync().await;
    stage.drain().await;
    stage.wait(600);
    assert_eq!(stage.differences(), Vec::<String>::new());
}

/// A record is edited, edited again, and edited back to what it was, `apart` seconds between; the message of the second
/// edit's listing comes last.
async fn reverted(apart: u64) -> Stage {
    let stage = Stage::new(ListShape::Pages).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    stage.drain().await;
    stage.wait(apart);
    stage.edit(["a"]);
    stage.world.queue.fate(Redelivery::Late(Duration::from_secs(500)));
    stage.tick().await;
    stage.wait(apart);
    let now = stage.now();
    stage.vendor(|vendor| vendor.revert(&id("a"), now, Duration::ZERO));
    stage.wait(90);
    stage.tick().await;
    stage.drain().await;
    stage.wait(300);
    stage.play(3).await;
    stage
}

/// What the vendor shows of a record, and what is stored of it.
fn bodies(stage: &Stage, text: &str) -> [Option<String>; 2] {
    let now = stage.now();
    let shown = stage.vendor(|vendor| vendor.seen(&id(text), now).and_then(|version| version.body.clone()));
    let stored = stage.record(text).and_then(|record| record.body);
    [shown, stored].map(|body| body.map(|body| body.text().to_owned()))
}

#[tokio::test]
async fn a_row_with_the_stored_body_but_another_stamp_is_stored() {
    let [shown, stored] = bodies(&reverted(5).await, "a");
    assert_eq!(shown, stored);
}

#[tokio::test]
async fn a_row_that_equals_a_young_look_is_stored_because_an_older_look_may_be_under_way() {
    let [shown, stored] = bodies(&reverted(0).await, "a");
    assert_eq!(shown, stored);
}

/// How many rows are owed when one that was stored just after its edit is listed again, `later` seconds after.
async fn owed_again(order: Order, later: u64, disturb: impl FnOnce(&Stage, Chunk)) -> usize {
    let vendor = VendorSettings { page_rows: 1, order, ..VendorSettings::new(ListShape::Pages) };
    let stage = Stage::with(vendor).known().await;
    stage.edit(["a"]);
    assert_eq!(stage.tick().await.owed_count, 1);
    let chunk = stage.chunks(Lane::Fresh).remove(0);
    stage.drain().await;
    stage.wait(later);
    disturb(&stage, chunk);
    stage.tick().await.owed_count
}

#[tokio::test]
async fn a_row_that_equals_a_young_look_is_left_out_where_no_older_look_can_be_under_way() {
    assert_eq!(owed_again(Order::Oldest, 250, |_, _| {}).await, 0);
    // From the note that something was stored until the chunk is gone it may take the fetcher's timeout, two minutes. As
    // long may somebody work who read the chunk just before it went.
    assert_eq!(owed_again(Order::Oldest, 230, |_, _| {}).await, 1, "just stored");
    let lost = |stage: &Stage, _| stage.tables(|tables| tables.streams.clear());
    assert_eq!(owed_again(Order::Oldest, 250, lost).await, 1, "nobody knows what was stored when");
    let owed = |stage: &Stage, chunk: Chunk| {
        let other = Chunk { ids: [id("b")].into(), next_at: stage.now().plus(Duration::from_hours(1)), ..chunk };
        stage.tables(|tables| tables.chunks.insert(other.key.clone(), other));
    };
    assert_eq!(owed_again(Order::Oldest, 250, owed).await, 1, "a chunk is owed");
    let listed = |stage: &Stage, _| stage.edit(["b"]);
    assert_eq!(owed_again(Order::Oldest, 250, listed).await, 1, "listed before what this tick puts");
    assert_eq!(owed_again(Order::Newest, 250, listed).await, 2, "listed after what this tick puts");
}

#[tokio::test]
async fn a_row_without_a_stamp_is_never_settled_where_a_list_has_a_bound() {
    let stage = Stage::new(ListShape::Pages).known().await;
    stage.vendor(|vendor| vendor.unstamped.insert(id("a")));
    stage.edit(["a"]);
    for _ in 0..2 {
        assert_eq!(stage.tick().await.owed_count, 1);
        stage.drain().await;
        stage.wait(20);
    }
}

#[tokio::test]
async fn a_scan_without_a_bound_stores_only_what_changed() {
    let mut vendor = VendorSettings { page_rows: 10, order: Order::Id, ..VendorSettings::new(ListShape::Pages) };
    vendor.stream.filtered = false;
    let stage = Stage::with(vendor).known().await;
    stage.edit(ids(30));
    stage.wait(600);
    stage.settle().await;
    stage.wait(3_600);
    stage.edit(["00007"]);
    let report = stage.tick().await;
    assert_eq!((report.owed_count, report.unchanged_count), (1, 30));
    stage.drain().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_walk_over_pages_takes_its_places_on_the_schedule_ten_at_a_time() {
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(400));
    let report = stage.tick().await;
    // One write before the number of pages is known, four for the other 39, four for the 40 of the way back.
    let writes = stage.world.tables.faults().calls(Operation::Reserve);
    assert_eq!((report.calls_count, writes), (80, 9));
}

#[tokio::test]
async fn rows_that_move_while_pages_are_read_are_not_lost() {
    // GIVEN three pages in the order of edits
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(30));
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
    assert_eq!(report.outcome, PollOutcome::Owing);
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
        stage.edit([format!("{number}")]);
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
    tokio::join!(stage.tick(), moves);
    stage.drain().await;
    // THEN it is there, after this one listing
    assert!(stage.record("4").is_some());
}

#[tokio::test]
async fn a_list_whose_pages_repeat_is_given_up_and_asks_for_attention() {
    let stage = Stage::with(VendorSettings { repeats_page: true, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(120));
    let before = stage.vendor(|vendor| vendor.settings.stream.first.clone());
    let report = stage.tick().await;
    assert_eq!((&report.outcome, report.calls_count), (&PollOutcome::Unlisted, 2));
    assert!(report.notices.contains(&Notice::ListMoving) && Notice::ListMoving.needs_attention());
    assert_eq!(stage.checkpoint().scanned, before);
    // When the vendor has corrected its pages everything is stored.
    stage.vendor(|vendor| vendor.settings.repeats_page = false);
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_list_that_ends_before_its_total_goes_on_though_no_tick_reads_so_many_pages() {
    let order = Order::Oldest;
    let vendor = VendorSettings { page_rows: 1, tells_total: true, order, ..VendorSettings::new(ListShape::Pages) };
    let stage = Stage::with(vendor);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(20);
    for text in ids(60) {
        stage.edit([text]);
        stage.wait(600);
    }
    stage.vendor(|vendor| vendor.page_max = Some(40));
    stage.play(150).await;
    assert_eq!((stage.checkpoint().backlog, stage.differences()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_feed_begins_with_everything_there_is_and_goes_on_behind_its_token() {
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Feed) });
    stage.edit(ids(35));
    // The newest token first; what came just before it may not show yet.
    let report = stage.tick().await;
    assert_eq!((report.calls_count, stage.owed_count(Lane::Bulk)), (1, 0));
    stage.wait(300);
    // Then what the feed tells, and four pages of a snapshot, which is bulk work.
    let report = stage.tick().await;
    assert_eq!((report.calls_count, stage.owed_count(Lane::Bulk)), (5, 35));
    // Meanwhile the feed tells what changes.
    stage.edit(["00003", "new"]);
    stage.tick().await;
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_feed_that_fails_keeps_its_token() {
    let stage = Stage::new(ListShape::Feed).known().await;
    let before = stage.checkpoint();
    // Three tries of the same call.
    stage.vendor(|vendor| vendor.failures.extend(vec![FailureClass::Transient; 3]));
    let outcome = stage.tick().await.outcome;
    assert!(matches!(outcome, PollOutcome::SourceFailed(FailureClass::Transient, _)), "{outcome:?}");
    let after = stage.checkpoint();
    assert_eq!((after.scanned, after.backlog), (before.scanned, before.backlog));
}

#[tokio::test]
async fn of_a_feed_that_fails_in_the_midst_what_was_read_is_owed() {
    let stage = Stage::with(VendorSettings { page_rows: 2, ..VendorSettings::new(ListShape::Feed) }).known().await;
    stage.edit(["a", "b", "c"]);
    let hold = stage.world.source.faults().hold_after(Operation::List);
    let failing = async {
        hold.reached().await;
        stage.vendor(|vendor| vendor.failures.extend(vec![FailureClass::Transient; 3]));
        hold.release();
    };
    let (report, ()) = tokio::join!(stage.tick(), failing);
    assert_eq!((report.owed_count, report.outcome), (2, PollOutcome::Importing));
    assert_eq!(stage.tick().await.owed_count, 1);
}

#[tokio::test]
async fn a_rejected_token_leads_to_a_new_one_and_everything_is_listed_once() {
    let stage = Stage::new(ListShape::Feed).known().await;
    for name in ["a", "b"] {
        stage.edit([name]);
        stage.settle().await;
        stage.wait(600);
    }
    // WHEN the tokens have expired
    stage.edit(["c"]);
    stage.wait(8 * 24 * 3_600);
    stage.details();
    let report = stage.tick().await;
    assert!(report.notices.contains(&Notice::Resync) && Notice::Resync.needs_attention());
    stage.drain().await;
    stage.wait(300);
    // THEN the next tick goes on from the new one
    let report = stage.settle().await;
    assert!(!report.notices.contains(&Notice::Resync), "{report:?}");
    assert_eq!((stage.details(), stage.differences()), (4, vec![]));
}

#[tokio::test]
async fn a_snapshot_leaves_out_what_was_fetched_well_after_it_began_and_nothing_else() {
    // GIVEN a snapshot that is some pages ahead of what is fetched, and records behind its place that were stored
    // meanwhile: one by a host whose clock is two minutes fast, before the snapshot began
    let stage = Stage::with(VendorSettings { page_rows: 50, ..VendorSettings::new(ListShape::Feed) });
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(2_000));
    let begun_at = stage.now();
    stage.tick().await;
    assert!(!stage.checkpoint().backlog.is_empty());
    let stored = |text: &str, seconds: i64| {
        let body = tidemark_engine::record::Body::new("{\"version\":0,\"id\":\"x\"}");
        let key = tidemark_engine::record::RecordKey {
            source: stage.stream().source,
            stream: tidemark_engine::stream::StreamName::known("widgets"),
            id: id(text),
        };
        let seen = tidemark_engine::record::Seen::Record { body, stamp: None, seen_at: None };
        let looked_at = begun_at.shifted(seconds * 1_000);
        tidemark_engine::record::Look { key, looked_at, seen, event: None, is_stored: false }
    };
    let looks = [stored("01998", 120), stored("01999", 320)];
    tidemark_engine::ports::Records::store(&stage.world.tables, &looks).await.unwrap();
    stage.wait(400);
    for _ in 0..20 {
        stage.play(1).await;
    }
    assert_eq!((stage.checkpoint().backlog.len(), stage.differences()), (0, vec!["01999".to_owned()]));
}

#[tokio::test]
async fn a_stamp_that_reads_later_than_the_list_moves_scanned_no_further_than_its_start() {
    let stage = Stage::new(ListShape::Pages).known().await;
    for ahead_ms in [3_600_000, 73 * 365 * 86_400_000_i64] {
        let stamp = stage.vendor(|vendor| vendor.stamp_clock(stage.now())).shifted(ahead_ms);
        let now = stage.now();
        stage.vendor(|vendor| vendor.edit_stamped(&id("b"), now, stamp));
        let report = stage.tick().await;
        assert!(report.notices.iter().any(|it| matches!(it, Notice::FutureStamp(_))), "{report:?}");
        assert!(stage.checkpoint().scanned.at() <= Some(StampMillis::new(now.get() + 1_000)));
        stage.drain().await;
        assert_eq!(stage.differences(), Vec::<String>::new());
        stage.wait(300);
    }
}
