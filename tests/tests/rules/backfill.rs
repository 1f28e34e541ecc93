//! Section 9: backfills. A range is listed again, and what it shows is fetched; nothing else is touched.

use std::time::Duration;

use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::poll::Poller;
use tidemark_engine::stream::{ListShape, StreamTraits};
use tidemark_engine::work::Lane;
use tidemark_sweep::state::{Backfill, Phase, Range};
use tidemark_sweep::{Asked, Estimate, Estimated, SweepReport, ask_for_range, cancel, estimate, refusal};
use tidemark_testkit::memory::{Fault, Operation, VendorSettings};
use tidemark_tests::stage::{Stage, ids};

use super::sweep::{copied, copied_from, remove, request, settle, silently, state, swept};

const SHAPES: [ListShape; 2] = [ListShape::Whole, ListShape::Pages];

/// A copy of early records and, a day later, of late ones, and an instant between the two.
async fn in_two_parts(shape: ListShape, early: usize, late: &[&str]) -> (Stage, VendorMillis) {
    let stage = copied(shape, early).await;
    stage.wait(43_200);
    let between = VendorMillis::new(stage.now().get());
    stage.wait(43_200);
    stage.edit(late);
    stage.wait(1);
    settle(&stage).await;
    stage.details();
    (stage, between)
}

#[expect(clippy::expect_used, reason = "a test's own expectation")]
async fn asked(stage: &Stage, range: Range) -> Asked {
    ask_for_range(&stage.world, &stage.stream(), range).await.expect("the tables answer")
}

/// Asks for a backfill, and plays until what it owes is done.
#[expect(clippy::expect_used, reason = "a test's own expectation")]
async fn backfilled(stage: &Stage, from: VendorMillis, to: Option<VendorMillis>) -> Backfill {
    assert_eq!(asked(stage, Range { from, to }).await, Asked::Noted);
    let before = stage.checkpoint();
    let report = stage.sweep_on().await;
    assert_eq!(stage.checkpoint(), before, "the checkpoint stays where it is");
    assert_eq!((report.proof, report.problem), (None, None), "it proves nothing");
    settle(stage).await;
    assert_eq!(report.backfill, state(stage).backfill, "its record is kept");
    report.backfill.expect("it ends at once")
}

#[tokio::test]
async fn a_backfill_brings_back_what_is_missing_of_its_range_and_leaves_the_rest_alone() {
    for shape in SHAPES {
        // GIVEN a copy that has lost records of both parts, and whose vendor has deleted one silently
        let (stage, between) = in_two_parts(shape, 30, &["x1", "x2", "x3", "x4"]).await;
        let proof = swept(&stage).await;
        remove(&stage, &["00001", "x1", "x2"]);
        silently(&stage, |stage| stage.delete(["x4"]));
        // WHEN the later part is listed again
        let backfill = backfilled(&stage, between, None).await;
        // THEN it is whole, and nothing is known of the rest
        assert!(stage.version("x1").is_some() && stage.version("x2").is_some(), "{shape:?}");
        assert!(stage.version("00001").is_none() && stage.version("x4").is_some(), "{shape:?}");
        let owed = if shape == ListShape::Pages { 2 } else { 3 };
        assert_eq!((backfill.listed, backfill.owed, backfill.is_cancelled), (3, owed, false), "{shape:?}");
        assert!(backfill.begun_at.is_some() && backfill.ended_at.is_some() && backfill.problem.is_none());
        assert_eq!(stage.retries().len(), 0, "{shape:?}");
        let after = state(&stage);
        assert_eq!((after.last, after.good, after.problem), (Some(proof.clone()), Some(proof), None), "{shape:?}");
        assert_eq!(stage.sweep_on().await, SweepReport::default(), "it is done once: {shape:?}");
    }
}

#[tokio::test]
async fn a_backfill_of_ids_fetches_silent_edits_that_a_sweep_only_samples() {
    let (stage, between) = in_two_parts(ListShape::Whole, 30, &["x1", "x2"]).await;
    silently(&stage, |stage| stage.edit(ids(30)));
    // The list of changes does not show them; their stamps do not either.
    let backfill = backfilled(&stage, between.minus(Duration::from_hours(48)), None).await;
    assert_eq!((backfill.listed, backfill.owed), (33, 33));
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn rows_outside_the_range_are_left_out() {
    for filtered in [true, false] {
        let mut vendor = VendorSettings::new(ListShape::Pages);
        vendor.stream.filtered = filtered;
        let stage = copied_from(vendor, 30).await;
        let mut marks = Vec::new();
        for name in ["x1", "x2", "x3"] {
            stage.wait(43_200);
            marks.push(VendorMillis::new(stage.now().get()));
            stage.wait(43_200);
            stage.edit([name]);
            stage.wait(1);
            settle(&stage).await;
        }
        remove(&stage, &["00001", "x1", "x2", "x3"]);
        let backfill = backfilled(&stage, marks[1], Some(marks[2])).await;
        assert_eq!((backfill.listed, backfill.owed), (1, 1), "{filtered}");
        let stored = ["00001", "x1", "x2", "x3"].map(|text| stage.version(text).is_some());
        // A stream that is scanned gets all of them back by its scan.
        assert_eq!(stored, [!filtered, !filtered, true, !filtered], "{filtered}");
    }
}

/// A stage whose rate lets a backfill of ids owe a hundred at once.
async fn slow(count: usize) -> (Stage, VendorMillis) {
    let stage = copied(ListShape::Whole, count).await;
    stage.settings.borrow_mut().call_interval = Duration::from_secs(12);
    (stage, VendorMillis::new(0))
}

#[tokio::test]
async fn a_long_list_is_owed_bit_by_bit_while_the_bulk_lane_is_empty() {
    let (stage, from) = slow(249).await;
    assert_eq!(asked(&stage, Range { from, to: None }).await, Asked::Noted);
    let mut owed = Vec::new();
    while state(&stage).open_backfill().is_some() {
        stage.sweep_on().await;
        owed.push(stage.owed_count(Lane::Bulk));
        assert_eq!(stage.sweep_on().await, SweepReport::default(), "it waits until they are fetched");
        stage.fetch_until(stage.now().plus(Duration::from_hours(1))).await;
        for _ in 0..8 {
            stage.wait(300);
            stage.settle().await;
        }
        assert!(owed.len() < 9, "it ends: {owed:?}");
    }
    assert_eq!(owed, [100, 100, 50]);
    assert_eq!(stage.details(), 250);
}

#[tokio::test]
async fn a_cancelled_backfill_owes_nothing_more() {
    let (stage, from) = slow(249).await;
    assert_eq!(cancel(&stage.world, &stage.stream()).await.unwrap(), Asked::Nothing);
    assert_eq!(asked(&stage, Range { from, to: None }).await, Asked::Noted);
    stage.sweep_on().await;
    assert_eq!(asked(&stage, Range { from, to: None }).await, Asked::UnderWay, "one after the other");
    assert_eq!(cancel(&stage.world, &stage.stream()).await.unwrap(), Asked::Noted);
    assert_eq!(cancel(&stage.world, &stage.stream()).await.unwrap(), Asked::Nothing);
    let backfill = state(&stage).backfill.unwrap();
    assert_eq!((backfill.is_cancelled, backfill.listed, backfill.owed), (true, 250, 100));
    stage.settings.borrow_mut().call_interval = Duration::from_millis(1);
    settle(&stage).await;
    stage.sweep_on().await;
    settle(&stage).await;
    assert_eq!((stage.details(), state(&stage).under_way), (100, None), "what was put is fetched");
}

#[tokio::test]
async fn a_backfill_goes_on_after_a_crash() {
    for shape in SHAPES {
        let (stage, between) = in_two_parts(shape, 30, &["x1", "x2", "x3"]).await;
        remove(&stage, &["x1", "x2", "x3"]);
        assert_eq!(asked(&stage, Range { from: between, to: None }).await, Asked::Noted);
        // WHEN the poller that goes on with it dies after it has put its chunks, and before it notes so
        stage.world.tables.faults().push(Operation::PutChunks, Fault::LoseAnswer);
        let poller = Poller { ports: stage.world.clone(), settings: stage.settings.borrow().clone() };
        let until = tidemark_sweep::stop_at(&poller, stage.now());
        let name = stage.stream().name;
        assert!(tidemark_sweep::go_on(&poller, &name, until).await.is_err(), "{shape:?}");
        assert_eq!(stage.sweep_on().await.calls_count, 0, "its lease runs on: {shape:?}");
        settle(&stage).await;
        let backfill = stage.sweep_on().await.backfill.unwrap();
        assert_eq!((backfill.listed, backfill.problem), (3, None), "{shape:?}");
        settle(&stage).await;
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
    }
}

#[tokio::test]
async fn a_backfill_begins_again_with_its_range_after_a_restore() {
    let (stage, from) = slow(149).await;
    let range = Range { from, to: None };
    assert_eq!(asked(&stage, range).await, Asked::Noted);
    stage.sweep_on().await;
    stage.settings.borrow_mut().call_interval = Duration::from_millis(1);
    settle(&stage).await;
    stage.tables(|tables| tables.streams.values_mut().for_each(|stream| stream.mark = None));
    settle(&stage).await;
    stage.details();
    let report = stage.sweep_on().await;
    let backfill = report.backfill.unwrap();
    assert!(report.began_again);
    assert_eq!((backfill.range, backfill.listed, backfill.owed), (range, 150, 150));
}

#[tokio::test]
async fn a_backfill_waits_for_an_import_and_for_a_sweep() {
    let stage = copied(ListShape::Whole, 95).await;
    let range = Range { from: VendorMillis::new(0), to: None };
    // GIVEN a sweep under way
    stage.settings.borrow_mut().poll_interval = Duration::from_millis(12);
    request(&stage).await;
    stage.sweep_on().await;
    assert!(state(&stage).under_way.is_some());
    assert_eq!(asked(&stage, range).await, Asked::Noted);
    let words = state(&stage).progress().unwrap();
    assert!(words.contains("a sweep is under way; a backfill since") && words.contains("waits until"), "{words}");
    let proof = loop {
        let report = stage.sweep_on().await;
        assert_eq!((report.backfill, stage.owed_count(Lane::Bulk)), (None, 0));
        if let Some(proof) = report.proof {
            break proof;
        }
    };
    assert_eq!(proof.listed, 96);
    // WHEN an import is open, THEN it waits for that, too
    stage.settings.borrow_mut().poll_interval = Duration::from_mins(5);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(2);
    stage.edit((0..600).map(|n| format!("y{n:04}")));
    stage.tick().await;
    assert_eq!((stage.sweep_on().await.backfill, state(&stage).under_way), (None, None));
    // AND a sweep that is asked for meanwhile waits for the backfill
    request(&stage).await;
    stage.settings.borrow_mut().call_interval = Duration::from_millis(1);
    settle(&stage).await;
    let report = stage.sweep_on().await;
    assert_eq!((report.proof, report.backfill.map(|backfill| backfill.listed)), (None, Some(696)));
    settle(&stage).await;
    assert_eq!(stage.sweep_on().await.proof.unwrap().listed, 696);
}

#[tokio::test]
async fn a_backfill_that_the_vendor_refuses_says_so_and_leaves_the_sweeps_result_alone() {
    for shape in SHAPES {
        let (stage, between) = in_two_parts(shape, 30, &["x1"]).await;
        let proof = swept(&stage).await;
        assert_eq!(asked(&stage, Range { from: between, to: None }).await, Asked::Noted);
        stage.vendor(|vendor| vendor.failures.push_back(FailureClass::Forbidden));
        let backfill = stage.sweep_on().await.backfill.unwrap();
        assert!(backfill.problem.unwrap().next_step.contains("API user"), "{shape:?}");
        assert_eq!((state(&stage).problem, state(&stage).last), (None, Some(proof)), "{shape:?}");
        assert_eq!(stage.stream_state().breaker.open_until, None, "{shape:?}");
    }
}

#[tokio::test]
async fn a_backfill_whose_ids_are_kept_no_longer_says_so() {
    let (stage, from) = slow(249).await;
    assert_eq!(asked(&stage, Range { from, to: None }).await, Asked::Noted);
    stage.sweep_on().await;
    assert!(matches!(state(&stage).under_way.unwrap().phase, Phase::Owing(Some(_))));
    stage.wait(31 * 86_400);
    let backfill = stage.sweep_on().await.backfill.unwrap();
    assert!(backfill.problem.unwrap().cause.contains("within 30 days"));
}

#[tokio::test]
async fn an_estimate_asks_once_and_stores_nothing() {
    for (shape, expected) in SHAPES
        .into_iter()
        .zip([Estimate { records: Some(4), calls: Some(5) }, Estimate { records: Some(4), calls: Some(1) }])
    {
        let (stage, between) = in_two_parts(shape, 30, &["x1", "x2", "x3", "x4"]).await;
        stage.vendor(|vendor| vendor.settings.tells_total = true);
        let poller = Poller { ports: stage.world.clone(), settings: stage.settings.borrow().clone() };
        let range = Range { from: between, to: None };
        let traits = traits(shape);
        let estimated = estimate(&poller, &stage.stream(), &traits, &range).await.unwrap();
        let Estimated::Made(made) = estimated else { panic!("{estimated:?}") };
        assert_eq!((made, state(&stage).backfill), (expected, None), "{shape:?}");
        stage.vendor(|vendor| vendor.failures.push_back(FailureClass::Forbidden));
        let estimated = estimate(&poller, &stage.stream(), &traits, &range).await.unwrap();
        assert!(matches!(estimated, Estimated::Failed(_)), "{estimated:?}");
        stage.tables(|tables| {
            let until = stage.now().plus(Duration::from_mins(5));
            tables.sources.entry(stage.stream().source).or_default().state.breaker.open_until = Some(until);
        });
        let estimated = estimate(&poller, &stage.stream(), &traits, &range).await.unwrap();
        assert!(matches!(estimated, Estimated::Paused), "{estimated:?}");
    }
}

fn traits(shape: ListShape) -> StreamTraits {
    VendorSettings::new(shape).stream
}

#[test]
fn a_range_that_cannot_be_listed_is_refused_with_what_can_be_done() {
    let stream = Stage::new(ListShape::Whole).stream();
    let (from, to) = (VendorMillis::new(1_000), Some(VendorMillis::new(2_000)));
    let why = |traits: StreamTraits, range| refusal(&stream, &traits, &range).map(|why| why.to_string());
    for (traits, range, expected) in [
        (traits(ListShape::Whole), Range { from, to: None }, None),
        (traits(ListShape::Pages), Range { from, to }, None),
        (traits(ListShape::Feed), Range { from, to: None }, Some("`tidemark fetch` fetches records by their ids")),
        (traits(ListShape::Whole), Range { from, to }, Some("leave the upper bound out")),
        (StreamTraits { stamped: false, ..traits(ListShape::Pages) }, Range { from, to }, Some("shows no stamps")),
        (
            StreamTraits { stamped: false, filtered: false, ..traits(ListShape::Pages) },
            Range { from, to: None },
            Some("takes no bound"),
        ),
        (traits(ListShape::Pages), Range { from, to: Some(VendorMillis::new(999)) }, Some("ends before it begins")),
    ] {
        let why = why(traits, range);
        let is_so = why.as_deref().zip(expected).is_some_and(|(why, expected)| why.contains(expected));
        assert!(is_so || (why.is_none() && expected.is_none()), "{why:?}, not {expected:?}");
    }
}
