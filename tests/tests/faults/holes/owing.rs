//! Work that is owed: lost, late, or waiting for fetchers that are dead.

use std::time::Duration;

use tidemark_engine::stream::ListShape;
use tidemark_engine::work::Lane;
use tidemark_testkit::memory::VendorSettings;
use tidemark_tests::stage::{Stage, ids};

use crate::{NOTHING, left};

#[tokio::test]
async fn a_feeds_snapshot_whose_fetchers_are_dead_grows_stale() {
    let stage = Stage::with(VendorSettings { page_rows: 20, ..VendorSettings::new(ListShape::Feed) });
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(20_000));
    for _ in 0..12 {
        stage.tick().await;
        stage.wait(300);
    }
    assert!(!stage.checkpoint().backlog.is_empty(), "the snapshot waits");
    assert!(stage.standing().staleness > Duration::from_mins(30), "{:?}", stage.standing());
}

#[tokio::test]
async fn chunks_that_get_lost_are_sent_again_until_they_are_done() {
    for shape in [ListShape::Whole, ListShape::Pages, ListShape::Feed] {
        let stage = Stage::new(shape).known().await;
        stage.edit(ids(200));
        stage.tick().await;
        // The queue loses everything for half a year.
        for _ in 0..26 {
            stage.world.queue.purge();
            stage.wait(7 * 86_400);
            stage.tick().await;
        }
        assert!(stage.owed_count(Lane::Fresh) >= 200, "owed work does not expire");
        stage.play(12).await;
        stage.settle().await;
        assert_eq!((left(&stage), stage.owed_count(Lane::Fresh)), (NOTHING, 0), "{shape:?}");
    }
}

#[tokio::test]
async fn chunks_beyond_the_last_one_sent_are_sent_though_those_before_are_lost() {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_millis(500);
    stage.edit(ids(3_000));
    stage.wait(30 * 3_600);
    stage.tick().await;
    stage.world.queue.purge();
    stage.wait(300);
    stage.play(30).await;
    assert_eq!((left(&stage), stage.owed_count(Lane::Bulk)), (NOTHING, 0));
}
