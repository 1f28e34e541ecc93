//! Clocks and zones that are wrong and then corrected, and an account that is another one.

use tidemark_engine::notice::Notice;
use tidemark_engine::operate::Act;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{Step, VendorSettings};
use tidemark_tests::stage::{Stage, ids};

use crate::{NOTHING, left};

const HOUR_MS: i64 = 3_600_000;

/// The account or its settings are other ones from now on.
fn changed(stage: &Stage) {
    stage.vendor(|vendor| "another".clone_into(&mut vendor.settings.account_mark));
}

async fn edits(stage: &Stage) {
    for name in ["a", "b", "old", "a"] {
        stage.edit([name]);
        stage.play(1).await;
    }
}

#[tokio::test]
async fn stamps_read_an_hour_ahead_and_then_corrected_lose_no_edit() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::with(VendorSettings { zone_shift: -HOUR_MS, ..VendorSettings::new(shape) }).known().await;
        edits(&stage).await;
        stage.vendor(|vendor| vendor.settings.zone_shift = 0);
        changed(&stage);
        assert_eq!(stage.tick().await.outcome, PollOutcome::AccountChanged);
        stage.act(Act::KeepCopy).await;
        edits(&stage).await;
        stage.play(3).await;
        assert_eq!(left(&stage), NOTHING, "{shape:?}");
    }
}

#[tokio::test]
async fn a_vendor_clock_five_minutes_fast_and_then_corrected_loses_no_edit() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        for after_tick in [1, 100, 290] {
            let stage =
                Stage::with(VendorSettings { clock_offset: 300_000, ..VendorSettings::new(shape) }).known().await;
            edits(&stage).await;
            stage.tick().await;
            let at = stage.now().shifted(after_tick * 1_000);
            stage.vendor(|vendor| vendor.settings.clock_step = Some(Step { at, by: -300_000 }));
            // One edit just before the correction and one just after.
            stage.wait(u64::try_from(after_tick).unwrap() - 1);
            stage.edit(["before"]);
            stage.wait(2);
            stage.edit(["after"]);
            stage.wait(299 - u64::try_from(after_tick).unwrap());
            stage.play(4).await;
            assert_eq!(left(&stage), NOTHING, "{shape:?}, {after_tick}");
        }
    }
}

#[tokio::test]
async fn a_stream_without_stamps_loses_no_edit_west_of_utc() {
    let mut vendor = VendorSettings { zone: -8 * HOUR_MS, ..VendorSettings::new(ListShape::Whole) };
    vendor.stream.stamped = false;
    let stage = Stage::with(vendor);
    for name in ["a", "b", "c", "a"] {
        stage.edit([name]);
        stage.play(1).await;
    }
    stage.play(3).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn another_account_behind_the_same_checkpoint_stores_nothing_until_a_person_decides() {
    // GIVEN a stream that is up to date, a message under way, and then another account
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    changed(&stage);
    stage.edit(["a", "other"]);
    let before = stage.tables(|tables| tables.records.clone());
    for _ in 0..4 {
        let report = stage.play(1).await.unwrap();
        assert!(report.notices.contains(&Notice::AccountChanged), "{report:?}");
    }
    assert_eq!(stage.tables(|tables| tables.records.clone()), before);
    assert!(stage.standing().staleness.as_secs() > 900, "and the stream grows stale");
}

#[tokio::test]
async fn begun_anew_another_accounts_older_records_are_imported() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(100));
    stage.wait(30 * 86_400);
    changed(&stage);
    stage.tick().await;
    stage.act(Act::StartAgain).await;
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}
