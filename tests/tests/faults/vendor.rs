//! Faults 32 to 55, as far as the engine decides them: what a vendor lists and answers.

use std::time::Duration;

use tidemark_engine::checkpoint::Position;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::poll::{Notice, PollOutcome};
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{DateHeader, Operation, Order, VendorSettings, version_of};
use tidemark_tests::stage::{Stage, id, ids};

use super::left;

const NOTHING: (usize, usize, usize) = (0, 0, 0);

fn version(stage: &Stage, id: &str) -> Option<u64> {
    stage.record(id).and_then(|record| version_of(&record.body?))
}

#[tokio::test]
async fn an_edit_in_the_second_in_which_its_record_is_fetched_is_found_by_the_next_poll() {
    let stage = Stage::patient(ListShape::Whole);
    stage.edit(["a"]);
    stage.tick().await;
    // The answer is made, and the record edited in the same second, before it is stored.
    let hold = stage.world.source.faults().hold_after(Operation::Fetch);
    let edit = async {
        hold.reached().await;
        stage.edit(["a"]);
        hold.release();
    };
    tokio::join!(stage.drain(), edit);
    assert_eq!(version(&stage, "a"), Some(1));
    stage.wait(300);
    stage.sync().await;
    assert_eq!(version(&stage, "a"), Some(2));
}

#[tokio::test]
async fn a_stamp_in_the_future_is_stored_and_moves_no_checkpoint_past_its_list() {
    for ahead_ms in [3_600_000, 73 * 365 * 86_400_000] {
        let stage = Stage::new(ListShape::Whole);
        stage.edit(["a"]);
        stage.settle().await;
        stage.wait(600);
        stage.world.source.with(|vendor| vendor.settings.zone_shift = ahead_ms);
        stage.edit(["b"]);
        let listed_at = stage.now();
        stage.tick().await;
        let reports = stage.drain().await;
        let notice = Notice::FutureStamp { ahead_ms };
        assert_eq!((notice.needs_attention(), reports[0].notices.contains(&notice)), (true, true), "{reports:?}");
        stage.tick().await;
        let scanned = stage.checkpoint().scanned;
        assert!(scanned.order() <= listed_at.get(), "{scanned} after {listed_at}");
        assert_eq!(version(&stage, "b"), Some(2));
    }
}

#[tokio::test]
async fn records_that_lost_their_stamps_are_stored_move_no_checkpoint_and_ask_for_attention() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.settle().await;
    let before = stage.checkpoint();
    stage.wait(600);
    stage.world.source.with(|vendor| vendor.settings.stream.stamped = false);
    stage.edit(["b"]);
    stage.tick().await;
    let reports = stage.drain().await;
    let notice = Notice::StampsMissing { count: 1 };
    assert_eq!((notice.needs_attention(), reports[0].notices.contains(&notice)), (true, true), "{reports:?}");
    stage.tick().await;
    let after = stage.checkpoint();
    assert_eq!((after.committed, after.scanned), (before.committed, before.scanned));
    assert_eq!((left(&stage), stage.record("b").and_then(|record| record.stamp)), (NOTHING, None));
}

#[tokio::test]
async fn a_record_whose_stamp_goes_back_keeps_its_version_until_it_is_edited_again() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.sync().await;
    let before = stage.checkpoint();
    // WHEN the vendor restores an older copy, whose stamp is a minute older
    stage.wait(10);
    stage.edit(["a"]);
    stage.world.source.with(|vendor| vendor.settings.zone_shift = -60_000);
    stage.tick().await;
    let reports = stage.drain().await;
    assert_eq!((reports[0].superseded_count, reports[0].written_count), (1, 0));
    stage.tick().await;
    assert_eq!(version(&stage, "a"), Some(1));
    assert!(stage.checkpoint().committed.order() >= before.committed.order());
    // THEN the next edit is stored
    stage.world.source.with(|vendor| vendor.settings.zone_shift = 0);
    stage.wait(300);
    stage.edit(["a"]);
    stage.settle().await;
    assert_eq!(version(&stage, "a"), Some(3));
}

#[tokio::test]
async fn an_id_that_is_listed_twice_is_accepted_once() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape);
        stage.edit(ids(30).iter().map(String::as_str));
        stage.world.source.with(|vendor| vendor.repeats = true);
        let report = stage.tick().await;
        stage.drain().await;
        let calls = if shape == ListShape::Whole { 30 } else { 0 };
        assert_eq!((report.accepted_count, left(&stage), stage.details()), (30, NOTHING, calls), "{shape:?}");
    }
}

#[tokio::test]
async fn a_list_that_is_suddenly_empty_deletes_nothing_and_moves_nothing() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape);
        let all = ids(200);
        stage.edit(all.iter().map(String::as_str));
        stage.settle().await;
        let before = stage.checkpoint();
        stage.delete(all.iter().map(String::as_str));
        stage.wait(300);
        let report = stage.tick().await;
        let after = stage.checkpoint();
        assert_eq!((report.outcome, report.listed_count), (PollOutcome::Quiet, 0), "{shape:?}");
        assert_eq!((after.committed, after.scanned), (before.committed, before.scanned));
        assert!(after.last_success_at > before.last_success_at);
        assert!(all.iter().all(|id| stage.record(id).is_some_and(|record| record.deleted.is_none())));
    }
}

#[tokio::test]
async fn a_list_whose_pages_repeat_is_given_up_and_asks_for_attention() {
    let stage = Stage::with(VendorSettings { repeats_page: true, ..VendorSettings::new(ListShape::Pages) });
    let all = ids(120);
    stage.edit(all.iter().map(String::as_str));
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.calls_count), (PollOutcome::Aborted, 2));
    assert!(report.notices.contains(&Notice::ListMoving));
    // Nothing is committed, and when the vendor has mended its pages everything is stored.
    stage.world.source.with(|vendor| vendor.settings.repeats_page = false);
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn more_rows_of_one_second_than_a_page_holds_are_all_stored() {
    for order in [Order::Oldest, Order::Newest, Order::Id] {
        for tells_total in [true, false] {
            let vendor = VendorSettings { page_rows: 10, order, tells_total, ..VendorSettings::new(ListShape::Pages) };
            let stage = Stage::with(vendor);
            stage.edit(ids(45).iter().map(String::as_str));
            stage.wait(30);
            stage.sync().await;
            assert_eq!(left(&stage), NOTHING, "{order:?}, total told: {tells_total}");
        }
    }
}

#[tokio::test]
async fn a_list_that_fails_in_whatever_way_moves_no_checkpoint_and_loses_nothing() {
    let classes = [
        FailureClass::Transient,
        FailureClass::Throttled { retry_after: None },
        FailureClass::Unauthorized,
        FailureClass::Forbidden,
    ];
    for (shape, failing) in [ListShape::Whole, ListShape::Pages].into_iter().flat_map(|s| classes.map(|c| (s, c))) {
        let stage = Stage::new(shape);
        stage.edit(["a"]);
        stage.settle().await;
        let before = stage.checkpoint();
        stage.edit(["b"]);
        stage.world.source.with(|vendor| vendor.unwell = Some(failing));
        let report = stage.tick().await;
        let after = stage.checkpoint();
        assert!(matches!(report.outcome, PollOutcome::SourceFailed { class, .. } if class == failing), "{report:?}");
        assert_eq!((after.committed, after.scanned), (before.committed, before.scanned));
        assert_eq!(after.last_success_at, before.last_success_at, "the stream grows stale");
        stage.world.source.with(|vendor| vendor.unwell = None);
        stage.wait(901);
        stage.settle().await;
        assert_eq!(left(&stage), NOTHING, "{shape:?}, {failing:?}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_costs_its_own_id_alone() {
    let stage = Stage::patient(ListShape::Whole);
    stage.edit(ids(5).iter().map(String::as_str));
    stage.tick().await;
    let delivery = stage.world.queue.receive(1).pop().expect("it is there");
    let hold = stage.world.source.faults().hold_before(Operation::Fetch);
    let time_passes = async {
        hold.reached().await;
        stage.wait(121);
    };
    let (report, ()) = tokio::join!(stage.fetch(&delivery), time_passes);
    let report = report.expect("the fetch works");
    assert_eq!((report.written_count, report.left_count, report.acknowledged), (4, 1, true));
    assert_eq!(stage.tick().await.sent_count, 1);
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn an_answer_about_another_record_is_stored_under_neither_id() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b"]);
    stage.world.source.with(|vendor| vendor.answers_with.insert(id("a"), id("b")));
    stage.tick().await;
    let reports = stage.drain().await;
    assert_eq!(reports[0].poisoned.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&id("a")]);
    stage.tick().await;
    assert_eq!((stage.record("a"), version(&stage, "b")), (None, Some(2)));
    assert_eq!(stage.quarantined(), ["a"]);
}

#[tokio::test]
async fn a_vendors_date_that_is_missing_or_a_day_off_moves_no_checkpoint_past_the_list() {
    let day_ms = 86_400_000;
    for date in [DateHeader::Absent, DateHeader::Skewed(day_ms), DateHeader::Skewed(-day_ms)] {
        let stage = Stage::with(VendorSettings { date, ..VendorSettings::new(ListShape::Whole) });
        stage.edit(["a", "b"]);
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
        stage.edit(["a"]);
        let listed_at = stage.now();
        let report = stage.tick().await;
        // Edited once more after the list, stamped later than it.
        stage.wait(1_200);
        stage.edit(["a"]);
        stage.drain().await;
        stage.tick().await;
        let Position::At(scanned) = stage.checkpoint().scanned else { panic!("{date:?}: no instant") };
        assert!(scanned <= listed_at, "{date:?}: {scanned} after {listed_at}");
        let told = report.notices.iter().any(|n| matches!(n, Notice::DateMissing | Notice::ClockDoubt { .. }));
        assert!(told, "{date:?}: {report:?}");
        for _ in 0..3 {
            stage.wait(300);
            stage.sync().await;
        }
        assert_eq!(left(&stage), NOTHING, "{date:?}");
    }
}

#[tokio::test]
async fn a_credential_that_nobody_can_read_for_ten_minutes_quarantines_nothing() {
    // What a denied key of KMS is to the engine: the secret cannot be read, so every call fails before it is made.
    let stage = Stage::new(ListShape::Whole);
    stage.edit(ids(60).iter().map(String::as_str));
    stage.tick().await;
    stage.world.source.with(|vendor| vendor.unwell = Some(FailureClass::Transient));
    for _ in 0..2 {
        stage.drain().await;
        stage.wait(300);
        stage.tick().await;
    }
    stage.world.source.with(|vendor| vendor.unwell = None);
    for _ in 0..4 {
        stage.wait(300);
        stage.sync().await;
    }
    assert_eq!(left(&stage), NOTHING);
    assert!(stage.world.clock.slept() < Duration::from_mins(10), "nobody waits for it inside an invocation");
}

#[tokio::test]
async fn a_feed_that_rejects_new_tokens_too_is_left_alone_and_not_listed_at_every_tick() {
    let stage = Stage::new(ListShape::Feed);
    stage.edit(["a"]);
    stage.settle().await;
    // WHEN it rejects every token, as it would for a page size that it does not take
    stage.world.source.with(|vendor| vendor.rejects_tokens = true);
    stage.edit(["b"]);
    let report = stage.tick().await;
    // THEN it was asked with the old token, for a new one and with that, and a person is told
    assert_eq!((report.calls_count, &report.notices[..]), (3, &[Notice::StreamPaused][..]));
    let PollOutcome::SourceFailed { class: FailureClass::Forbidden, cause } = report.outcome else {
        panic!("{:?}", report.outcome);
    };
    assert!(cause.contains("the feed rejects a new token, too") && cause.contains("settings"), "{cause}");
    stage.wait(300);
    assert_eq!(stage.tick().await.calls_count, 0);
    // and once that is mended it goes on where it was
    stage.world.source.with(|vendor| vendor.rejects_tokens = false);
    stage.wait(900);
    assert!(!stage.settle().await.notices.contains(&Notice::Resync));
    assert_eq!(stage.world.tables.with(|tables| tables.records.len()), 2);
}

#[tokio::test]
async fn after_a_resync_everything_is_listed_once_and_the_rejected_tokens_are_forgotten() {
    let stage = Stage::new(ListShape::Feed);
    for name in ["a", "b"] {
        stage.edit([name]);
        stage.settle().await;
        stage.wait(600);
    }
    // WHEN the tokens have expired
    stage.edit(["c"]);
    stage.wait(8 * 24 * 3_600);
    stage.details();
    assert!(stage.tick().await.notices.contains(&Notice::Resync));
    stage.drain().await;
    stage.wait(300);
    // THEN the tick that commits goes on from the new one
    let report = stage.tick().await;
    assert!(report.committed.is_some() && !report.notices.contains(&Notice::Resync), "{report:?}");
    assert_eq!(stage.details(), 3);
}

#[tokio::test]
async fn a_feed_that_leads_past_the_last_token_is_read_in_runs_of_bounded_length() {
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Feed) });
    stage.edit(["first"]);
    stage.settle().await;
    stage.wait(600);
    // GIVEN a run whose token lies behind a page that was not full, and thousands of events before it is committed
    stage.edit(["x", "y", "z"]);
    stage.tick().await;
    stage.edit(ids(3_000).iter().map(String::as_str));
    stage.wait(600);
    stage.drain().await;
    // WHEN it is
    let report = stage.tick().await;
    // THEN a tick reads a bounded number of pages, and all of them together read everything
    assert!(report.committed.is_some() && report.calls_count <= 110, "{report:?}");
    for _ in 0..40 {
        stage.drain().await;
        stage.wait(300);
        assert!(stage.tick().await.calls_count <= 210);
    }
    assert_eq!(stage.world.tables.with(|tables| tables.records.len()), 3_004);
}

#[tokio::test]
async fn a_snapshot_waits_for_the_fetchers_when_it_is_far_ahead_and_ends_in_one_run() {
    // GIVEN 6,000 records at one call a second, of which fourteen chunks are sent ahead
    let stage = Stage::new(ListShape::Feed);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(6_000).iter().map(String::as_str));
    let mut runs = std::collections::BTreeSet::new();
    let mut ticks = 0;
    loop {
        let report = stage.tick().await;
        runs.extend(report.run_id);
        if report.committed.is_some() {
            break;
        }
        let pending: usize =
            stage.world.tables.with(|tables| tables.chunks.values().map(|chunk| chunk.pending.len()).sum());
        assert!(pending <= (4 * 14 + 2) * 50, "{pending}");
        stage.drain().await;
        stage.wait(60);
        ticks += 1;
        assert!(ticks < 100, "it does not come to an end");
    }
    assert_eq!((runs.len(), stage.world.tables.with(|tables| tables.records.len())), (1, 6_000));
}
