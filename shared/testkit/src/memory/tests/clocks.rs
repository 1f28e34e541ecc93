use std::time::Duration;

use tidemark_engine::change::{Found, ListRequest};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::stream::{ListShape, StreamName};

use super::source::{NOW, changed, dated, fetched, id, ids, source, stamped, version};
use crate::memory::{DateHeader, Dated, Operation, Step, VendorSettings};

const HOUR: i64 = 3_600_000;
const THINGS: StreamName = StreamName::known("things");

fn whole() -> VendorSettings {
    VendorSettings::new(ListShape::Whole)
}

#[tokio::test]
async fn stamps_are_shown_in_the_vendors_zone_and_read_in_the_configured_one() {
    // GIVEN stamps two hours ahead of UTC, and a source that believes in three
    let (source, _) = source(VendorSettings { zone: 2 * HOUR, zone_shift: HOUR, ..whole() }, 1);
    // THEN bounds are in the vendor's reading, whatever is configured
    assert_eq!(ids(&changed(&source, stamped(2 * HOUR - 2_000)).await), ["0"]);
    assert!(changed(&source, stamped(2 * HOUR - 1_000)).await.changes.is_empty());
    // AND only the UTC of a stamp and the reading of a Date are wrong
    let Found::Record { stamp: Some(stamp), .. } = fetched(&source, "0").await else {
        panic!("it is there");
    };
    assert_eq!((stamp.at, stamp.utc), (stamped(2 * HOUR - 1_000), dated(-HOUR - 1_000)));
    let date = changed(&source, StampMillis::new(0)).await.date.expect("a Date");
    assert_eq!((date, source.reading(date)), (dated(0), stamped(3 * HOUR)));
}

#[tokio::test]
async fn a_process_keeps_the_settings_that_it_started_with() {
    let (source, _) = source(VendorSettings { zone_shift: HOUR, ..whole() }, 1);
    let process = source.clone().configured();
    source.with(|vendor| {
        vendor.settings.zone_shift = 0;
        vendor.settings.account_mark = "another".to_owned();
    });
    assert_eq!((source.reading(dated(0)), process.reading(dated(0))), (stamped(0), stamped(HOUR)));
    assert_eq!(source.account_mark().await.expect("a mark"), "another");
    assert_eq!(process.account_mark().await.expect("a mark"), "account");
}

#[tokio::test]
async fn the_end_of_summer_time_sets_stamps_back_and_not_the_date() {
    let step = Step { at: dated(10_000), by: -HOUR };
    let (source, clock) = source(VendorSettings { zone: 2 * HOUR, zone_step: Some(step), ..whole() }, 1);
    clock.advance(Duration::from_secs(20));
    source.with(|vendor| vendor.edit(&id("0"), clock.now(), Duration::ZERO));
    let Found::Record { stamp: Some(stamp), .. } = fetched(&source, "0").await else {
        panic!("it is there");
    };
    assert_eq!((stamp.at, stamp.utc), (stamped(HOUR + 20_000), dated(20_000 - HOUR)), "of two readings the first");
    assert_eq!(source.reading(dated(9_999)), stamped(2 * HOUR + 9_999));
    assert_eq!(source.reading(dated(20_000)), stamped(HOUR + 20_000));
    assert_eq!(changed(&source, StampMillis::new(0)).await.date, Some(dated(20_000)));
}

#[tokio::test]
async fn a_step_of_the_vendors_clock_moves_date_and_stamps() {
    let step = Step { at: NOW.shifted(1_000), by: -300_000 };
    let (source, clock) = source(VendorSettings { clock_offset: 7_000, clock_step: Some(step), ..whole() }, 1);
    assert_eq!(changed(&source, stamped(6_000)).await.date, Some(dated(7_000)));
    clock.advance(Duration::from_secs(1));
    source.with(|vendor| vendor.edit(&id("1"), clock.now(), Duration::ZERO));
    assert_eq!(changed(&source, StampMillis::new(0)).await.date, Some(dated(-292_000)));
    assert_eq!(ids(&changed(&source, stamped(-293_000)).await), ["0", "1"]);
    assert_eq!(ids(&changed(&source, stamped(-292_000)).await), ["0"], "an edit after it bears an older stamp");
}

#[tokio::test]
async fn a_date_is_of_an_instant_of_the_call_and_may_be_missing() {
    for (when, way_there, way_back) in [(Dated::AtStart, 0, 0), (Dated::AtAnswer, 10, 0), (Dated::AtEnd, 10, 10)] {
        let (source, clock) = source(VendorSettings { dated: when, ..whole() }, 1);
        let before = source.faults().hold_before(Operation::List);
        let after = source.faults().hold_after(Operation::List);
        for (hold, late) in [(before, way_there), (after, way_back)] {
            clock.set(NOW);
            let pass = async {
                hold.reached().await;
                clock.advance(Duration::from_secs(10));
                hold.release();
            };
            let (page, ()) = futures_util::future::join(changed(&source, StampMillis::new(0)), pass).await;
            assert_eq!(page.date, Some(dated(1_000 * late)), "{when:?}");
        }
    }

    let date = DateHeader::Sometimes { missing_per_million: 300_000 };
    let (source, _) = source(VendorSettings { date, dated: Dated::Anywhen, ..whole() }, 1);
    let mut missing = 0;
    for _ in 0..1_000 {
        missing += usize::from(changed(&source, StampMillis::new(0)).await.date.is_none());
    }
    assert!((200..400).contains(&missing), "{missing} of 1,000");
    source.with(|vendor| vendor.settings.date = DateHeader::Skewed(-600_000));
    assert_eq!(changed(&source, StampMillis::new(0)).await.date, Some(dated(-600_000)));
    source.with(|vendor| vendor.settings.date = DateHeader::Absent);
    assert_eq!(changed(&source, StampMillis::new(0)).await.date, None);
}

#[tokio::test]
async fn a_detail_may_lag_what_lists_show() {
    let (source, clock) = source(VendorSettings { replica_lag: Duration::from_secs(10), ..whole() }, 1);
    source.with(|vendor| vendor.edit(&id("0"), clock.now(), Duration::ZERO));
    clock.advance(Duration::from_secs(5));
    assert_eq!(ids(&changed(&source, stamped(-500)).await), ["0"]);
    let mut versions = [0; 3];
    for _ in 0..200 {
        let shown = version(&fetched(&source, "0").await).unwrap_or(0);
        versions[usize::try_from(shown).expect("small")] += 1;
    }
    assert!(versions.iter().all(|count| *count > 0), "none yet, the first and the second: {versions:?}");
    clock.advance(Duration::from_secs(6));
    assert_eq!(version(&fetched(&source, "0").await), Some(2), "no longer than it may");
}

#[tokio::test]
async fn a_record_may_bear_a_wrong_stamp_or_an_earlier_body() {
    let (source, clock) = source(VendorSettings::new(ListShape::Pages), 1);
    source.with(|vendor| {
        vendor.edit(&id("0"), clock.now(), Duration::ZERO);
        vendor.revert(&id("0"), clock.now(), Duration::ZERO);
        vendor.edit_stamped(&id("9"), clock.now(), stamped(100 * HOUR));
    });
    clock.advance(Duration::from_secs(1));
    assert_eq!(version(&fetched(&source, "0").await), Some(1), "the first body again");
    let from = stamped(99 * HOUR);
    let page = source.list(&THINGS, ListRequest::Page(from, 1)).await.expect("a page");
    assert_eq!(ids(&page), ["9"]);
}
