//! Faults 20 and 56 to 58: records that break the program, and records that the vendor cannot show.

use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::Reason;
use tidemark_testkit::memory::VendorSettings;
use tidemark_tests::stage::{Stage, ids};

use super::altered::Altered;
use super::{NOTHING, fail, left};

#[tokio::test]
async fn a_record_that_makes_the_program_panic_is_set_aside_alone() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "trap", "z"]);
    stage.tick().await;
    let source = Altered::new(&stage.world.source).fetching(|id| assert_ne!(id.as_str(), "trap", "a defect"));
    let fetcher = stage.fetcher_in(stage.world.behind(source));
    let report = fetcher.fetch(&stage.receive().message, 1, stage.stop_at()).await.expect("the fetch works");
    let set_aside: Vec<_> = report.set_aside.iter().map(|(id, reason, _)| (id.as_str(), *reason)).collect();
    assert_eq!((set_aside, report.written_count), (vec![("trap", Reason::Record)], 2));
    assert_eq!((stage.retried(), stage.differences()), (vec!["trap".to_owned()], vec!["trap".to_owned()]));
}

#[tokio::test]
async fn a_record_for_which_the_vendor_always_fails_is_set_aside_and_the_stream_goes_on() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "b", "broken"]);
    fail(&stage, ["broken"], FailureClass::Transient, 1_000);
    stage.play(10).await;
    assert_eq!(stage.retried(), ["broken"]);
    assert!(stage.retries()[0].needs_attention());
    // WHEN another is edited, it arrives
    stage.edit(["a"]);
    stage.play(1).await;
    assert_eq!(stage.differences(), ["broken"]);
    // and so does that one, once the vendor shows it again
    stage.vendor(|vendor| vendor.failing.clear());
    stage.wait(24 * 3_600);
    stage.play(1).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn an_outage_of_details_alone_heals_by_itself() {
    for count in [3, 40, 500] {
        let stage = Stage::new(ListShape::Whole).known().await;
        let all = ids(count);
        stage.edit(&all);
        fail(&stage, &all, FailureClass::Transient, 6);
        stage.play(6 * 12).await;
        assert!(stage.retries().len() <= 100, "{count}: {}", stage.retries().len());
        stage.wait(8 * 3_600);
        stage.play(12).await;
        assert_eq!(left(&stage), NOTHING, "{count}");
    }
}

#[tokio::test]
async fn records_that_vanish_behind_a_feed_are_set_aside_and_the_feed_goes_on() {
    let vendor = VendorSettings { page_rows: 100, ..VendorSettings::new(ListShape::Feed) };
    let stage = Stage::with(vendor).known().await;
    // GIVEN twelve records that were deleted after their events, which the feed announces at the next tick
    let all = ids(12);
    stage.edit(&all);
    stage.tick().await;
    stage.delete(&all);
    stage.drain().await;
    assert_eq!(stage.retries().len(), 12);
    // THEN other records go on, and so do these, once the feed announces their deletions
    stage.edit(["old"]);
    stage.play(10).await;
    let deleted = stage.tables(|tables| tables.records.values().filter(|record| record.deleted.is_some()).count());
    assert_eq!((deleted, stage.retries().len(), stage.differences()), (12, 0, vec![]));
    assert!(stage.standing().lag < Duration::from_mins(15));
}
