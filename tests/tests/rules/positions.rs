//! Section 4: where `scanned` moves to, as seen through whole ticks. Each test loses an edit where its rule is left out.

use std::time::Duration;

use tidemark_engine::clock::{StampMillis, VendorMillis};
use tidemark_engine::notice::Notice;
use tidemark_engine::operate::Act;
use tidemark_engine::poll::PollReport;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{DateHeader, Dated, Operation, Step, VendorSettings};
use tidemark_tests::stage::{START, Stage, id};

const HOUR_MS: i64 = 3_600_000;

/// A stage that reads the vendor's stamps as if they were an hour behind its clock.
fn hour_behind(shape: ListShape) -> Stage {
    Stage::with(VendorSettings { zone_shift: HOUR_MS, ..VendorSettings::new(shape) })
}

/// The vendor's clock jumps so many seconds from now.
fn step_in(stage: &Stage, seconds: i64, by_seconds: i64) {
    let at = stage.now().shifted(seconds * 1_000);
    stage.vendor(|vendor| vendor.settings.clock_step = Some(Step { at, by: by_seconds * 1_000 }));
}

/// An edit made now that shows so much later.
fn edit_late(stage: &Stage, text: &str, lag_seconds: u64) {
    let now = stage.now();
    stage.vendor(|vendor| vendor.edit(&id(text), now, Duration::from_secs(lag_seconds)));
}

/// Nothing is lost, however long one waits.
async fn loses_nothing(stage: &Stage) {
    stage.play(4).await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

fn steps(report: &PollReport) -> bool {
    report.notices.iter().any(|notice| matches!(notice, Notice::ClockStep(_)))
}

#[tokio::test]
async fn an_edit_that_shows_late_is_listed_within_the_overlap() {
    for inclusive in [false, true] {
        let vendor = VendorSettings { inclusive, ..VendorSettings::new(ListShape::Whole) };
        let stage = Stage::with(vendor).known().await;
        edit_late(&stage, "a", 90);
        stage.wait(60);
        stage.tick().await;
        stage.wait(300);
        loses_nothing(&stage).await;
    }
}

#[tokio::test]
async fn stamps_that_lag_the_vendors_clock_are_measured_before_they_are_believed() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = hour_behind(shape);
        for name in ["a", "b", "c", "d", "e", "f"] {
            stage.edit([name]);
            stage.play(1).await;
        }
        loses_nothing(&stage).await;
        let behind = stage.checkpoint().clocks.behind.as_secs();
        assert!((3_600..3_610).contains(&behind), "{shape:?}: {behind}");
    }
}

#[tokio::test]
async fn stamps_in_the_future_say_nothing_of_how_far_stamps_lag() {
    let stage = hour_behind(ListShape::Pages);
    stage.edit(["a"]);
    stage.play(2).await;
    let stamp = stage.vendor(|vendor| vendor.stamp_clock(stage.now())).shifted(2 * HOUR_MS);
    let now = stage.now();
    stage.vendor(|vendor| vendor.edit_stamped(&id("future"), now, stamp));
    let report = stage.play(1).await.unwrap();
    let ahead = report.notices.iter().find(|notice| matches!(notice, Notice::FutureStamp(_)));
    assert!(ahead.is_some_and(Notice::needs_attention), "{report:?}");
    for name in ["b", "c"] {
        stage.edit([name]);
        stage.play(1).await;
    }
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn rows_from_before_a_step_back_are_no_evidence() {
    let stage = hour_behind(ListShape::Pages).known().await;
    stage.edit(["a"]);
    step_in(&stage, 10, -300);
    stage.wait(20);
    assert!(steps(&stage.tick().await));
    // a looks five minutes younger than it is.
    stage.wait(80);
    stage.tick().await;
    stage.edit(["b"]);
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn the_first_listing_is_no_evidence() {
    let stage = hour_behind(ListShape::Pages);
    stage.edit(["a"]);
    // Nothing before it could show this step.
    step_in(&stage, 5, -300);
    stage.wait(10);
    stage.tick().await;
    stage.wait(1);
    stage.edit(["b"]);
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn rows_listed_right_after_new_settings_were_accepted_are_no_evidence() {
    // GIVEN a step that no two Dates show, then an acceptance
    let stage = hour_behind(ListShape::Pages).known().await;
    stage.vendor(|vendor| vendor.settings.date = DateHeader::Absent);
    stage.play(4).await;
    stage.edit(["a"]);
    step_in(&stage, 10, -300);
    stage.wait(15);
    stage.act(Act::KeepCopy).await;
    stage.vendor(|vendor| vendor.settings.date = DateHeader::True);
    stage.wait(5);
    assert!(!steps(&stage.tick().await));
    stage.wait(1);
    stage.edit(["b"]);
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn the_time_zone_of_stamps_feigns_no_step() {
    let stage = Stage::with(VendorSettings { zone: -HOUR_MS, ..VendorSettings::new(ListShape::Whole) }).known().await;
    let before = stage.checkpoint().scanned.order();
    for _ in 0..3 {
        stage.wait(300);
        assert!(!steps(&stage.tick().await));
    }
    assert!(stage.checkpoint().scanned.order() >= before + 900_000);
}

#[tokio::test]
async fn a_corrected_time_zone_is_no_step_either() {
    let stage = hour_behind(ListShape::Whole).known().await;
    stage.vendor(|vendor| vendor.settings.zone_shift = 0);
    stage.wait(300);
    assert!(!steps(&stage.tick().await));
    stage.edit(["a"]);
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn after_a_step_forward_edits_in_flight_still_carry_the_old_clock() {
    let stage = Stage::new(ListShape::Whole).known().await;
    edit_late(&stage, "a", 60);
    step_in(&stage, 1, 300);
    stage.wait(10);
    stage.tick().await;
    stage.wait(290);
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn ticks_that_follow_each_other_closely_do_not_wear_the_old_clock_out() {
    let stage = Stage::new(ListShape::Whole).known().await;
    edit_late(&stage, "a", 60);
    step_in(&stage, 1, 300);
    for _ in 0..5 {
        stage.wait(10);
        stage.tick().await;
    }
    stage.wait(300);
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn a_step_forward_counts_once_it_was_seen_for_an_overlap() {
    for seconds_between in [1, 15, 60, 110] {
        let stage = Stage::new(ListShape::Whole).known().await;
        stage.wait(300);
        edit_late(&stage, "a", 33);
        step_in(&stage, 1, 240);
        stage.wait(3);
        stage.tick().await;
        stage.wait(seconds_between);
        stage.tick().await;
        stage.wait(300);
        stage.play(4).await;
        assert_eq!(stage.differences(), Vec::<String>::new(), "{seconds_between} s between two listings");
    }
}

#[tokio::test]
async fn after_a_step_back_the_list_starts_earlier_by_the_step() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape).known().await;
        step_in(&stage, 1, -300);
        stage.wait(2);
        stage.edit(["a"]);
        stage.wait(298);
        assert!(steps(&stage.tick().await));
        stage.wait(300);
        loses_nothing(&stage).await;
    }
}

#[tokio::test]
async fn no_edit_of_the_hour_that_repeats_at_the_end_of_summer_time_is_lost() {
    let stage = Stage::with(VendorSettings { zone: HOUR_MS, ..VendorSettings::new(ListShape::Whole) }).known().await;
    let at = VendorMillis::new(stage.now().get() + 1_000);
    stage.vendor(|vendor| vendor.settings.zone_step = Some(Step { at, by: -HOUR_MS }));
    stage.wait(2);
    stage.edit(["a"]);
    stage.wait(298);
    stage.tick().await;
    stage.wait(300);
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn without_a_date_the_local_clock_is_not_believed() {
    let vendor = VendorSettings { clock_offset: -200_000, ..VendorSettings::new(ListShape::Whole) };
    let stage = Stage::with(vendor).known().await;
    stage.vendor(|vendor| vendor.settings.date = DateHeader::Absent);
    stage.wait(300);
    assert!(stage.tick().await.notices.contains(&Notice::DateMissing));
    stage.wait(300);
    stage.tick().await;
    stage.wait(1);
    stage.edit(["a"]);
    stage.wait(299);
    loses_nothing(&stage).await;
}

/// A tick whose list is answered after some minutes, and an edit right after that answer was worked out.
async fn slow_tick(stage: &Stage, edited: Option<&str>) {
    let hold = stage.world.source.faults().hold_after(Operation::List);
    let slowly = async {
        hold.reached().await;
        stage.wait(1);
        stage.edit(edited);
        stage.wait(169);
        hold.release();
    };
    tokio::join!(stage.tick(), slowly);
}

#[tokio::test]
async fn what_is_edited_while_a_list_is_answered_belongs_to_the_next() {
    let vendor = VendorSettings { dated: Dated::AtEnd, ..VendorSettings::new(ListShape::Whole) };
    let stage = Stage::with(vendor).known().await;
    stage.wait(300);
    for edited in [None, Some("a"), None] {
        slow_tick(&stage, edited).await;
        stage.wait(130);
    }
    loses_nothing(&stage).await;
}

#[tokio::test]
async fn a_vendor_clock_more_than_five_minutes_off_asks_for_attention_and_loses_nothing() {
    for clock_offset in [-600_000, 600_000, 86_400_000] {
        let stage = Stage::with(VendorSettings { clock_offset, ..VendorSettings::new(ListShape::Whole) });
        for name in ["a", "b", "c"] {
            stage.edit([name]);
            let report = stage.play(1).await.unwrap();
            let doubt = report.notices.iter().find(|notice| matches!(notice, Notice::ClockDoubt(_)));
            assert!(doubt.is_some_and(Notice::needs_attention), "{report:?}");
        }
        loses_nothing(&stage).await;
    }
}

#[tokio::test]
async fn a_stream_without_stamps_is_listed_five_minutes_below_the_horizon() {
    let mut vendor = VendorSettings::new(ListShape::Whole);
    vendor.stream.stamped = false;
    let stage = Stage::with(vendor);
    stage.edit(["a"]);
    stage.wait(60);
    stage.tick().await;
    let scanned = stage.checkpoint().scanned.at();
    assert_eq!(scanned, Some(StampMillis::new(START.get() + 60_000 - 300_000)));
}

#[tokio::test]
async fn a_quiet_account_raises_no_doubt_about_its_zone() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.wait(3 * 86_400);
    for _ in 0..6 {
        let report = stage.play(1).await.unwrap();
        assert!(report.notices.iter().all(|notice| !notice.needs_attention()), "{report:?}");
    }
    stage.edit(["b"]);
    let report = stage.play(1).await.unwrap();
    assert!(report.notices.iter().all(|notice| !notice.needs_attention()), "{report:?}");
}

#[tokio::test]
async fn a_second_step_back_does_not_cut_short_the_wait_of_the_first() {
    let stage = Stage::new(ListShape::Pages).known().await;
    step_in(&stage, 1, -3_600);
    stage.wait(20);
    assert!(steps(&stage.tick().await));
    let from = stage.checkpoint().clocks.evidence_from;
    step_in(&stage, 1, -3_620);
    stage.wait(300);
    assert!(steps(&stage.tick().await));
    assert!(stage.checkpoint().clocks.evidence_from >= from);
}
