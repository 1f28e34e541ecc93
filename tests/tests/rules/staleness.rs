//! When a stream is stale: its list was not read, or what it owes does not move. Waiting is no progress.

use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_engine::operate::Act;
use tidemark_engine::position::Position;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::VendorSettings;
use tidemark_tests::stage::{START, Stage, id, ids};

/// When a person hears of it.
const STALE: Duration = Duration::from_mins(15);

#[tokio::test]
async fn a_quiet_stream_is_as_stale_as_its_last_listing_is_old() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.play(12).await;
    assert!(stage.standing().staleness < Duration::from_secs(301));
    stage.wait(3_600);
    assert!(stage.standing().staleness >= Duration::from_hours(1));
}

#[tokio::test]
async fn a_rewind_hides_nothing_of_how_long_older_work_is_owed() {
    // GIVEN fetchers that are dead, and more chunks than a tick reads of a lane
    let stage = Stage::new(ListShape::Whole).known().await;
    {
        let mut settings = stage.settings.borrow_mut();
        (settings.chunk_ids, settings.call_interval) = (1, Duration::from_secs(10));
        settings.visibility_timeout = Duration::from_secs(30);
    }
    stage.edit(ids(15));
    stage.tick().await;
    let owed_since = stage.checkpoint().owed_since;
    // WHEN a rewind puts other chunks before them
    stage.wait(600);
    let from = stage.checkpoint().scanned.at().map(|at| at.minus(Duration::from_hours(1)));
    stage.act(Act::Rewind(Position::At(from.unwrap()))).await;
    for _ in 0..3 {
        stage.tick().await;
        stage.wait(300);
    }
    // THEN the stream stands as long as before
    assert!(owed_since.is_some());
    assert_eq!(stage.checkpoint().owed_since, owed_since);
}

#[tokio::test]
async fn a_list_that_fails_grows_stale() {
    for class in [FailureClass::Transient, FailureClass::Unauthorized, FailureClass::Forbidden] {
        let stage = Stage::new(ListShape::Whole).known().await;
        stage.vendor(|vendor| vendor.unwell = Some(class));
        stage.play(4).await;
        assert!(stage.standing().staleness > STALE, "{class:?}");
    }
}

#[tokio::test]
async fn a_stream_whose_fetchers_are_dead_grows_stale_although_it_is_listed() {
    for shape in [ListShape::Whole, ListShape::Pages, ListShape::Feed] {
        let stage = Stage::new(shape).known().await;
        stage.edit(["a"]);
        for _ in 0..5 {
            stage.tick().await;
            stage.wait(300);
        }
        assert!(stage.standing().staleness > STALE, "{shape:?}");
        stage.fetch_until(stage.now().plus(Duration::from_mins(1))).await;
        stage.settle().await;
        assert!(stage.standing().staleness < STALE, "{shape:?}");
    }
}

#[tokio::test]
async fn an_import_is_not_stale_while_it_moves_and_stale_when_it_stands() {
    for shape in [ListShape::Whole, ListShape::Pages, ListShape::Feed] {
        let (page_rows, rows) = if shape == ListShape::Pages { (5, 9_000) } else { (50, 3_000) };
        let stage = Stage::with(VendorSettings { page_rows, ..VendorSettings::new(shape) });
        stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
        stage.edit(ids(rows));
        stage.wait(30 * 3_600);
        for _ in 0..6 {
            stage.play(1).await;
            assert!(stage.standing().staleness < STALE, "{shape:?}: {:?}", stage.standing());
        }
        // WHEN the fetchers die
        for _ in 0..12 {
            stage.tick().await;
            stage.wait(300);
        }
        assert!(stage.standing().staleness > STALE, "{shape:?}: {:?}", stage.standing());
    }
}

#[tokio::test]
async fn a_record_that_always_fails_is_a_lag_and_no_staleness() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["bad"]);
    stage.vendor(|vendor| vendor.poison(&id("bad"), START.plus(Duration::from_hours(1_000))));
    let since = stage.now();
    stage.play(24).await;
    let standing = stage.standing();
    assert!(standing.staleness < STALE, "{standing:?}");
    let lag = stage.now().since(since);
    assert!(standing.lag + Duration::from_mins(10) > lag && standing.lag <= lag, "{standing:?}");
}

#[tokio::test]
async fn a_fetch_that_stores_nothing_moves_nothing() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.stream_state().last_stored_at;
    stage.edit(["bad"]);
    stage.vendor(|vendor| vendor.poison(&id("bad"), START.plus(Duration::from_hours(1_000))));
    stage.tick().await;
    assert_eq!(stage.drain().await.len(), 1);
    assert_eq!((before.is_some(), stage.stream_state().last_stored_at), (true, before));
}

#[tokio::test]
async fn a_record_that_is_found_gone_is_progress_too() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.stream_state().last_stored_at;
    stage.edit(["a"]);
    stage.tick().await;
    stage.delete(["a"]);
    assert_eq!(stage.drain().await[0].deleted_count, 1);
    assert!(stage.stream_state().last_stored_at > before);
}

#[tokio::test]
async fn a_first_import_lags_since_it_began() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    let begun_at = stage.now();
    stage.tick().await;
    stage.wait(600);
    assert_eq!(stage.standing().lag, stage.now().since(begun_at));
}

#[tokio::test]
async fn an_import_counts_what_it_has_owed() {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(1_000));
    stage.wait(30 * 3_600);
    stage.tick().await;
    assert_eq!(stage.standing().import_count, 850);
    stage.play(10).await;
    assert_eq!(stage.standing().import_count, 0);
}
