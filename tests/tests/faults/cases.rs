//! Odd inputs that once lost a record, deleted one, or stopped a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::message::Row;
use tidemark_engine::notice::Notice;
use tidemark_engine::record::Body;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::Lane;
use tidemark_tests::stage::{Stage, id, ids};

use super::{NOTHING, fail, left};

/// A first import of so many records of long ago, at so many calls a second.
fn import(count: usize, calls_a_second: u32) -> Stage {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1) / calls_a_second;
    stage.edit(ids(count));
    stage.wait(30 * 3_600);
    stage
}

#[tokio::test]
async fn ids_that_begin_with_a_minus_are_ids_like_any_other() {
    for shape in [ListShape::Whole, ListShape::Pages, ListShape::Feed] {
        let stage = Stage::new(shape);
        stage.edit(["-5", "-0", "-", "--widgets/1"]);
        stage.settle().await;
        assert_eq!(left(&stage), NOTHING, "{shape:?}");
        assert!(stage.tables(|tables| tables.records.values().all(|record| record.deleted.is_none())));
    }
}

#[tokio::test]
async fn an_edit_and_a_new_record_are_stored_within_two_polls_of_an_import() {
    let stage = import(3_000, 2);
    stage.tick().await;
    stage.fetch_until(stage.now().plus(Duration::from_secs(16))).await;
    stage.edit(["00001", "new"]);
    let edited_at = stage.now();
    stage.fetch_until(edited_at.plus(Duration::from_secs(284))).await;
    stage.tick().await;
    // Two polls, less the time of one chunk.
    stage.fetch_until(edited_at.plus(Duration::from_secs(570))).await;
    assert!(stage.differences().iter().all(|id| id != "00001" && id != "new"));
    assert!(stage.owed_count(Lane::Bulk) > 0, "the import runs on");
    stage.play(6).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_healthy_vendor_that_lists_only_old_records_raises_no_doubt() {
    let stage = import(300, 20);
    for _ in 0..6 {
        let reports = stage.tick().await;
        assert!(reports.notices.iter().all(|notice| !notice.needs_attention()), "{reports:?}");
        let reports = stage.drain().await;
        assert!(reports.iter().all(|report| report.notices.is_empty()), "{reports:?}");
        stage.wait(300);
    }
}

#[tokio::test]
async fn an_edit_whose_stamp_is_older_than_the_look_before_it_raises_doubt_about_the_zone() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.settle().await;
    stage.wait(600);
    // Stamps are an hour behind what they are read as.
    let stamp = stage.vendor(|vendor| vendor.stamp_clock(stage.now())).shifted(-3_600_000);
    let now = stage.now();
    stage.vendor(|vendor| vendor.edit_stamped(&id("a"), now, stamp));
    stage.act(tidemark_engine::operate::Act::Rewind(tidemark_engine::position::Position::At(stamp))).await;
    stage.tick().await;
    let reports = stage.drain().await;
    let doubt = reports.iter().flat_map(|report| &report.notices).find(|it| matches!(it, Notice::ZoneDoubt(_)));
    assert!(doubt.is_some_and(Notice::needs_attention), "{reports:?}");
}

#[tokio::test]
async fn one_detail_that_always_fails_among_many_stops_none_of_the_others() {
    let stage = import(1_500, 20);
    fail(&stage, ["00700"], FailureClass::Transient, 1_000);
    stage.play(2).await;
    assert_eq!((left(&stage), stage.retried()), ((1, 1, 0), vec!["00700".to_owned()]));
}

#[tokio::test]
async fn five_others_that_fail_in_the_meantime_stop_nobody_either() {
    let stage = import(1_500, 20);
    fail(&stage, ["00700"], FailureClass::Transient, 1_000);
    fail(&stage, ["00100", "00101", "00102", "00900", "01400"], FailureClass::Transient, 1);
    stage.play(3).await;
    assert_eq!(left(&stage), (6, 6, 0));
    stage.play(30).await;
    assert_eq!((left(&stage), stage.retried()), ((1, 1, 0), vec!["00700".to_owned()]));
}

#[tokio::test]
async fn invented_rows_of_a_pending_id_are_ignored_and_the_record_is_fetched() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    let at = StampMillis::new(4_102_444_800_000);
    let stamp = Some(Stamp { text: "2100-01-01".to_owned(), at, utc: VendorMillis::new(at.get()) });
    let row = Row { body: Body::new("{\"version\":99,\"id\":\"a\"}"), stamp };
    let mut forged = (*stage.receive().message).clone();
    forged.rows = BTreeMap::from([(id("a"), row)]);
    stage.fetcher().fetch(&forged, 1, stage.stop_at()).await.unwrap();
    assert_eq!((left(&stage), stage.details()), (NOTHING, 1));
    stage.wait(300);
    stage.edit(["a"]);
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}
