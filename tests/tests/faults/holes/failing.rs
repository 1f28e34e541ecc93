//! Records that always fail, or that cannot be stored.

use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::record::Body;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Lane, Reason};
use tidemark_testkit::memory::{Operation, Tables, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

use crate::altered::Altered;
use crate::{NOTHING, fail, left};

#[tokio::test]
async fn one_failing_record_among_three_thousand_at_two_calls_a_second_stops_nothing() {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_millis(500);
    stage.edit(ids(3_000));
    stage.wait(30 * 3_600);
    fail(&stage, ["01399"], FailureClass::Transient, 1_000);
    stage.play(8).await;
    assert_eq!((left(&stage), stage.retried()), ((1, 1, 0), vec!["01399".to_owned()]));
    assert_eq!((stage.owed_count(Lane::Fresh), stage.owed_count(Lane::Bulk)), (0, 0));
}

#[tokio::test]
async fn six_records_without_details_hold_only_themselves() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(20));
    fail(&stage, ids(6), FailureClass::Record, 1_000);
    stage.play(2).await;
    assert_eq!(left(&stage), (6, 6, 0));
    stage.edit(["00010"]);
    stage.play(1).await;
    assert_eq!(left(&stage), (6, 6, 0));
}

#[tokio::test]
async fn an_outage_of_details_alone_leaves_no_healthy_id_behind() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(3));
    fail(&stage, ids(3), FailureClass::Transient, 1);
    stage.play(24).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_ledger_lost_while_the_retry_lane_holds_something_loses_nothing() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["bad"]);
    fail(&stage, ["bad"], FailureClass::Record, 10);
    // Long after its edit has left the overlap.
    stage.play(24).await;
    assert_eq!(stage.retried(), ["bad"]);
    stage.tables(Tables::lose_ledger);
    stage.world.queue.purge();
    let report = stage.play(1).await.unwrap();
    assert!(report.notices.contains(&Notice::LedgerLost));
    stage.play(2).await;
    assert_eq!(stage.retried(), ["bad"], "it is owed again");
    stage.wait(10 * 3_600);
    stage.play(12).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_row_whose_body_differs_at_every_reading_does_not_hold_a_page_listing() {
    // GIVEN rows over several pages, each with a signed address that is another one at every reading
    for tells_total in [true, false] {
        let vendor = VendorSettings { page_rows: 10, tells_total, ..VendorSettings::new(ListShape::Pages) };
        let stage = Stage::with(vendor).known().await;
        stage.edit(ids(45));
        stage.wait(200);
        let readings = std::sync::atomic::AtomicU64::new(0);
        let source = Altered::new(&stage.world.source).listing(move |mut page| {
            for row in page.changes.iter_mut().filter_map(|change| change.listed.as_mut()?.row.as_mut()) {
                let reading = readings.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                *row = Body::new(row.text().replace('}', &format!(",\"url\":\"signature={reading}\"}}")));
            }
            page
        });
        // THEN the listing ends, and the commit follows
        let before = stage.checkpoint();
        let mut calls = Vec::new();
        for _ in 0..4 {
            let report = stage.try_tick_in(stage.world.behind(source.clone())).await.unwrap();
            assert!(!report.notices.contains(&Notice::ListMoving), "{report:?}");
            calls.push(report.calls_count);
            stage.fetch_until(stage.now().plus(Duration::from_mins(5))).await;
        }
        assert!(calls.iter().all(|calls| *calls <= 18), "{calls:?}");
        assert!(stage.checkpoint().committed.order() > before.committed.order() + 600_000);
        assert_eq!(left(&stage), NOTHING, "total told: {tells_total}");
    }
}

#[tokio::test]
async fn a_row_that_nobody_can_store_does_not_hold_a_page_listing() {
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) }).known().await;
    let now = stage.now();
    let large = Body::new(format!("{{\"version\":1,\"notes\":\"{}\"}}", "x".repeat(2 * 1024 * 1024)));
    stage.vendor(|vendor| vendor.edit_to(&id("large"), now, large));
    stage.edit(ids(45));
    stage.play(6).await;
    assert_eq!((left(&stage), stage.retries()[0].reason), ((1, 1, 0), Reason::Unstorable));
    let report = stage.tick().await;
    assert_eq!((report.listed_count, report.owed_count), (0, 0));
    assert!(stage.standing().staleness < Duration::from_mins(15));
}

#[tokio::test]
async fn a_fetch_from_before_an_edit_does_not_resolve_its_retry_entry() {
    // GIVEN a retry that stored its look and died before the entry was resolved
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    fail(&stage, ["a"], FailureClass::Record, 1);
    for _ in 0..2 {
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
    }
    stage.vendor(|vendor| vendor.failing.clear());
    let now = stage.now();
    stage.tables(|tables| tables.retries.values_mut().for_each(|entry| entry.next_at = now));
    stage.tick().await;
    let delivery = stage.receive();
    let hold = stage.world.tables.faults().hold_before(Operation::Resolve);
    tokio::select! {
        biased;
        () = hold.reached() => {}
        _ = stage.fetch(&delivery) => unreachable!("it was held"),
    }
    // WHEN the record is edited and fails again, and the retry comes back
    stage.wait(60);
    stage.edit(["a"]);
    fail(&stage, ["a"], FailureClass::Record, 1);
    stage.tick().await;
    stage.drain().await;
    stage.wait(721);
    stage.drain().await;
    // THEN the look of then does not pay for the edit
    assert_eq!(stage.retried(), ["a"]);
    stage.wait(3_600);
    stage.play(6).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_row_that_kills_its_fetcher_is_set_aside_after_three_crashes_and_its_neighbours_are_stored() {
    let stage = Stage::new(ListShape::Pages).known().await;
    stage.edit(["a", "killer", "z"]);
    stage.tick().await;
    // One death in company, three alone: a is stored on the way.
    for stores_before in [0, 1, 0, 0] {
        let delivery = stage.receive();
        let faults = stage.world.tables.faults();
        faults.push_times(Operation::StoreLooks, &tidemark_testkit::memory::Fault::Pass, stores_before);
        let hold = faults.hold_before(Operation::StoreLooks);
        tokio::select! {
            biased;
            () = hold.reached() => {}
            report = stage.fetch(&delivery) => unreachable!("it came to an end: {report:?}"),
        }
        faults.clear();
        stage.wait(721);
        // The poller goes on meanwhile, and lists nothing of it again.
    }
    stage.drain().await;
    assert_eq!((stage.retried(), stage.retries()[0].reason), (vec!["killer".to_owned()], Reason::Crash));
    assert_eq!(stage.differences(), ["killer"]);
}
