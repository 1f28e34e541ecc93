//! Faults 32 to 55, as far as the engine decides them: what a vendor lists and answers.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Lane, Reason};
use tidemark_testkit::memory::{DateHeader, Operation, Order, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

use super::{NOTHING, left};

#[tokio::test]
async fn a_record_edited_between_list_and_fetch_is_stored_as_it_is_and_nothing_beside_it_is_lost() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "c"]);
    stage.settle().await;
    stage.wait(600);
    stage.edit(["a"]);
    stage.tick().await;
    // WHEN c is edited after the list, and a again long after, before a is fetched
    stage.wait(60);
    stage.edit(["c"]);
    stage.wait(1_140);
    stage.edit(["a"]);
    stage.wait(60);
    stage.drain().await;
    // THEN c is found
    stage.play(3).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn an_edit_in_the_second_in_which_its_record_is_fetched_is_found_by_the_next_poll() {
    let stage = Stage::patient(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    // The answer is made, and the record edited in the same second, before it is stored.
    let hold = stage.world.source.faults().hold_after(Operation::Fetch);
    let edit = async {
        hold.reached().await;
        stage.world.clock.advance(Duration::from_millis(100));
        stage.edit(["a"]);
        hold.release();
    };
    tokio::join!(stage.drain(), edit);
    assert_eq!(stage.differences(), ["a"]);
    stage.wait(300);
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn records_that_lost_their_stamps_are_stored_and_ask_for_attention() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.vendor(|vendor| vendor.unstamped.insert(id("b")));
    stage.edit(["b"]);
    stage.tick().await;
    let reports = stage.drain().await;
    let notice = Notice::StampsMissing(1);
    assert_eq!((notice.needs_attention(), reports[0].notices.contains(&notice)), (true, true), "{reports:?}");
    assert_eq!((left(&stage), stage.record("b").and_then(|record| record.stamp)), (NOTHING, None));
    // One among others that have theirs is not worth a notice.
    stage.wait(600);
    stage.edit(["a", "b"]);
    stage.tick().await;
    let reports = stage.drain().await;
    assert!(reports.iter().all(|report| report.notices.is_empty()), "{reports:?}");
}

#[tokio::test]
async fn a_record_whose_stamp_goes_back_is_stored_all_the_same() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.settle().await;
    // WHEN the vendor restores an older copy, whose stamp is an hour older, and the list shows it
    stage.wait(10);
    let stamp = stage.vendor(|vendor| vendor.stamp_clock(stage.now())).shifted(-100_000);
    let now = stage.now();
    stage.vendor(|vendor| vendor.edit_stamped(&id("a"), now, stamp));
    stage.tick().await;
    stage.drain().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_list_that_is_suddenly_empty_deletes_nothing() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape).known().await;
        let all = ids(200);
        stage.edit(&all);
        stage.settle().await;
        let before = stage.checkpoint();
        stage.delete(&all);
        stage.wait(300);
        let report = stage.tick().await;
        assert_eq!((report.outcome, report.listed_count), (PollOutcome::Quiet, 0), "{shape:?}");
        assert!(stage.checkpoint().last_success_at > before.last_success_at);
        assert!(all.iter().all(|id| stage.record(id).is_some_and(|record| record.deleted.is_none())));
    }
}

#[tokio::test]
async fn more_rows_of_one_second_than_a_page_holds_are_all_stored() {
    for order in [Order::Oldest, Order::Newest, Order::Id] {
        for tells_total in [true, false] {
            let vendor = VendorSettings { page_rows: 10, order, tells_total, ..VendorSettings::new(ListShape::Pages) };
            let stage = Stage::with(vendor);
            stage.edit(ids(45));
            stage.wait(30);
            stage.sync().await;
            stage.drain().await;
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
    let shapes = [ListShape::Whole, ListShape::Pages, ListShape::Feed];
    for (shape, failing) in shapes.into_iter().flat_map(|shape| classes.map(|class| (shape, class))) {
        let stage = Stage::new(shape).known().await;
        let before = stage.checkpoint();
        stage.edit(["b"]);
        stage.vendor(|vendor| vendor.unwell = Some(failing));
        let report = stage.tick().await;
        let after = stage.checkpoint();
        assert!(matches!(report.outcome, PollOutcome::SourceFailed(class, _) if class == failing), "{report:?}");
        assert_eq!((after.committed, after.scanned), (before.committed, before.scanned));
        assert_eq!(after.last_success_at, before.last_success_at, "the stream grows stale");
        stage.vendor(|vendor| vendor.unwell = None);
        stage.wait(901);
        stage.settle().await;
        assert_eq!(left(&stage), NOTHING, "{shape:?}, {failing:?}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_costs_its_own_id_alone() {
    let stage = Stage::patient(ListShape::Whole).known().await;
    stage.edit(ids(5));
    stage.tick().await;
    let delivery = stage.receive();
    let hold = stage.world.source.faults().hold_before(Operation::Fetch);
    let time_passes = async {
        hold.reached().await;
        stage.wait(121);
    };
    let (report, ()) = tokio::join!(stage.fetch(&delivery), time_passes);
    let report = report.expect("the fetch works");
    assert_eq!((report.written_count, report.left_count, stage.owed_count(Lane::Fresh)), (4, 1, 1));
    stage.tick().await;
    stage.drain().await;
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn an_answer_about_another_record_is_stored_under_neither_id() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "b"]);
    stage.vendor(|vendor| vendor.answers_with.insert(id("a"), id("b")));
    stage.tick().await;
    stage.drain().await;
    assert_eq!((stage.record("a"), stage.retried(), stage.differences()), (None, vec!["a".into()], vec!["a".into()]));
    assert_eq!(stage.retries()[0].reason, Reason::Record);
}

#[tokio::test]
async fn a_vendors_date_that_is_missing_or_a_day_off_is_told_and_loses_nothing() {
    let day_ms = 86_400_000;
    for (date, is_fast) in [
        (DateHeader::Absent, false),
        (DateHeader::Sometimes { missing_per_million: 500_000 }, false),
        (DateHeader::Skewed(day_ms), true),
        (DateHeader::Skewed(-day_ms), false),
    ] {
        for shape in [ListShape::Whole, ListShape::Pages] {
            let stage = Stage::with(VendorSettings { date, ..VendorSettings::new(shape) });
            let mut told = false;
            for name in ["a", "b", "c", "d", "e"] {
                stage.edit([name]);
                let report = stage.play(1).await.unwrap();
                told |= report.notices.iter().any(|n| matches!(n, Notice::DateMissing | Notice::ClockDoubt(_)));
            }
            stage.play(3).await;
            // A day is less than the 26 hours by which stamps may lag at first.
            assert_eq!((told, left(&stage)), (true, NOTHING), "{date:?}, {shape:?}, fast: {is_fast}");
        }
    }
}

#[tokio::test]
async fn a_credential_that_nobody_can_read_for_ten_minutes_quarantines_a_handful_and_heals() {
    // What a denied key of KMS is to the engine: the secret cannot be read, so every call fails before it is made.
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(60));
    stage.tick().await;
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Transient));
    stage.play(2).await;
    stage.vendor(|vendor| vendor.unwell = None);
    stage.play(8).await;
    assert_eq!(left(&stage), NOTHING);
    assert!(stage.world.clock.slept() < Duration::from_hours(1), "nobody waits for it inside an invocation");
}

#[tokio::test]
async fn a_feed_that_rejects_new_tokens_too_is_left_alone_and_not_listed_at_every_tick() {
    let stage = Stage::new(ListShape::Feed).known().await;
    // WHEN it rejects every token, as it would for a page size that it does not take
    stage.vendor(|vendor| vendor.rejects_tokens = true);
    stage.edit(["b"]);
    let report = stage.tick().await;
    // THEN it was asked with the old token, for a new one and with that, and it asks for attention
    assert_eq!((report.calls_count, &report.notices), (3, &BTreeSet::from([Notice::StreamPaused])));
    let PollOutcome::SourceFailed(FailureClass::Forbidden, cause) = report.outcome else {
        panic!("{:?}", report.outcome);
    };
    assert!(cause.contains("the feed rejects a new token, too") && cause.contains("settings"), "{cause}");
    stage.wait(300);
    assert_eq!(stage.tick().await.calls_count, 0);
    // and once that is corrected it goes on where it was
    stage.vendor(|vendor| vendor.rejects_tokens = false);
    stage.wait(900);
    assert!(!stage.settle().await.notices.contains(&Notice::Resync));
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_feed_is_read_in_listings_of_an_intervals_calls() {
    let vendor = VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Feed) };
    let stage = Stage::with(vendor).known().await;
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(1_000));
    stage.wait(600);
    let report = stage.play(1).await.unwrap();
    assert_eq!((report.outcome, report.listed_count), (PollOutcome::Importing, 300));
    stage.play(12).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_snapshot_waits_for_the_fetchers_when_it_is_far_ahead() {
    // GIVEN 6,000 records at one call a second
    let stage = Stage::new(ListShape::Feed);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(6_000));
    let mut ticks = 0;
    while ticks < 2 || !stage.checkpoint().backlog.is_empty() {
        stage.play(1).await;
        assert!(stage.owed_count(Lane::Bulk) <= 4 * 300 + 50, "{}", stage.owed_count(Lane::Bulk));
        ticks += 1;
        assert!(ticks < 40, "it does not come to an end");
    }
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}
