//! Section 4: how late changes show is counted, so that a person knows whether the overlap is wide enough.

use std::time::Duration;

use tidemark_engine::lateness::Lateness;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::VendorSettings;
use tidemark_tests::stage::{Stage, id, ids};

/// What was counted of a known stream after this edit, which shows so many seconds after its stamp.
async fn counted(shape: ListShape, lag: u64) -> Lateness {
    let stage = Stage::with(VendorSettings::new(shape)).known().await;
    let before = stage.stream_state().lateness;
    let now = stage.now();
    stage.vendor(|vendor| vendor.edit(&id("a"), now, Duration::from_secs(lag)));
    stage.wait(10);
    for _ in 0..3 {
        stage.sync().await;
        // The overlap lists it again.
        stage.wait(60);
    }
    assert!(stage.record("a").is_some());
    let after = stage.stream_state().lateness;
    let mut counted = after;
    counted.0.iter_mut().zip(before.0).for_each(|(sum, before)| *sum -= before);
    counted
}

#[tokio::test]
async fn each_change_is_counted_once_by_how_far_below_the_start_of_its_list_it_lies() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        assert_eq!(counted(shape, 0).await.0, [1, 0, 0, 0, 0, 0, 0, 0], "{shape:?}");
        assert_eq!(counted(shape, 45).await.0, [0, 0, 1, 0, 0, 0, 0, 0], "{shape:?}");
    }
}

#[tokio::test]
async fn an_import_says_nothing_of_how_late_changes_show() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(ids(2_000));
    stage.wait(3_600);
    stage.play(12).await;
    assert_eq!(stage.differences(), Vec::<String>::new());
    let late: u64 = stage.stream_state().lateness.0.iter().skip(1).sum();
    assert_eq!(late, 0);
}

#[test]
fn ninety_nine_of_a_hundred_changes_showed_within_this_time() {
    let mut lateness = Lateness::default();
    assert_eq!(lateness.p99(), None);
    [[-1; 99].as_slice(), &[301_000]].concat().into_iter().for_each(|late_ms| lateness.note(Some(late_ms)));
    assert_eq!(lateness.p99(), Some(Duration::ZERO));
    lateness.note(Some(5_000));
    lateness.note(None);
    assert_eq!((lateness, lateness.p99()), (Lateness([99, 1, 0, 0, 0, 0, 0, 1]), Some(Duration::from_secs(5))));
    lateness.note(Some(5_001));
    lateness.note(Some(300_001));
    assert_eq!(lateness.p99(), Some(Duration::MAX));
}
