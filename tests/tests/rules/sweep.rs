//! Section 9: sweeps. Everything that the vendor lists is compared with the copy; what does not agree is fetched, and only
//! the fetch decides what is deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemark_engine::change::{Later, WhyLater};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::operate::{Act, Acted};
use tidemark_engine::poll::Poller;
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamName};
use tidemark_engine::work::{Lane, VANISHED_MAX};
use tidemark_sweep::state::{Phase, Proof, Sweep, SweepState};
use tidemark_sweep::{Asked, SweepReport, approve, ask, go_on};
use tidemark_testkit::memory::{Fault, Operation, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

const SHAPES: [ListShape; 3] = [ListShape::Whole, ListShape::Pages, ListShape::Feed];

/// A stage on which all these records are stored.
pub(super) async fn copied(shape: ListShape, count: usize) -> Stage {
    copied_from(VendorSettings::new(shape), count).await
}

pub(super) async fn copied_from(vendor: VendorSettings, count: usize) -> Stage {
    let stage = Stage::with(vendor).known().await;
    stage.edit(ids(count));
    stage.wait(1);
    stage.settle().await;
    for _ in 0..3 {
        stage.wait(300);
        stage.settle().await;
    }
    stage.details();
    stage
}

pub(super) fn state(stage: &Stage) -> SweepState {
    stage.tables(|tables| tables.sweeps.get(&stage.stream()).cloned()).unwrap_or_default()
}

#[expect(clippy::expect_used, reason = "a test's own expectation")]
pub(super) async fn request(stage: &Stage) {
    let asked = ask(&stage.world, &stage.stream(), None).await.expect("the tables answer");
    assert_eq!(asked, Asked::Noted);
}

#[expect(clippy::expect_used, reason = "a test's own expectation")]
async fn approved(stage: &Stage) -> Asked {
    approve(&stage.world, &stage.stream()).await.expect("the tables answer")
}

/// Asks for a sweep and goes on with it.
async fn sweep(stage: &Stage) -> SweepReport {
    request(stage).await;
    stage.sweep_on().await
}

/// Asks for a sweep and plays until what it owes is done; what it found.
#[expect(clippy::expect_used, reason = "a test's own expectation")]
pub(super) async fn swept(stage: &Stage) -> Proof {
    let report = sweep(stage).await;
    settle(stage).await;
    report.proof.expect("the sweep ends at once")
}

pub(super) async fn settle(stage: &Stage) {
    for _ in 0..4 {
        stage.wait(300);
        stage.settle().await;
        stage.fetch_until(stage.now().plus(Duration::from_mins(5))).await;
    }
}

/// Does things that no list of changes shows.
pub(super) fn silently(stage: &Stage, act: impl FnOnce(&Stage)) {
    stage.vendor(|vendor| vendor.is_silent = true);
    act(stage);
    stage.vendor(|vendor| vendor.is_silent = false);
}

pub(super) fn remove(stage: &Stage, texts: &[&str]) {
    stage.tables(|tables| tables.records.retain(|key, _| !texts.contains(&key.id.as_str())));
}

#[tokio::test]
async fn a_sweep_of_a_whole_copy_owes_nothing_and_says_so() {
    for shape in SHAPES {
        let stage = copied(shape, 30).await;
        let report = sweep(&stage).await;
        let proof = report.proof.clone().unwrap();
        assert_eq!((proof.listed, proof.stored, proof.extra, proof.missing), (31, 31, 0, 0), "{shape:?}");
        assert_eq!((report.owed_count, stage.owed_count(Lane::Bulk)), (0, 0), "{shape:?}");
        assert!(proof.ended_at.unwrap() >= proof.started_at && proof.is_good());
        assert_eq!(report.problem, None);
        assert_eq!(stage.sweep_on().await, SweepReport::default(), "it is asked for once");
    }
}

#[tokio::test]
async fn silent_deletions_become_tombstones_once_the_fetch_says_so() {
    for shape in SHAPES {
        let stage = copied(shape, 300).await;
        silently(&stage, |stage| stage.delete(ids(15)));
        let report = sweep(&stage).await;
        assert_eq!(report.proof.clone().unwrap().extra, 15);
        assert!(ids(15).iter().all(|text| stage.version(text).is_some()), "a sweep marks nothing deleted");
        assert!(stage.chunks(Lane::Bulk).iter().all(|chunk| chunk.holds.is_none() && chunk.ids.len() <= VANISHED_MAX));
        settle(&stage).await;
        assert!(ids(15).iter().all(|text| stage.version(text).is_none()), "{shape:?}");
        assert_eq!((stage.retries().len(), stage.differences()), (0, Vec::new()), "{shape:?}");
        assert_eq!(swept(&stage).await.deleted, 15);
    }
}

#[tokio::test]
async fn a_record_that_a_list_leaves_out_is_fetched_and_not_deleted() {
    for shape in SHAPES {
        let stage = copied(shape, 30).await;
        stage.vendor(|vendor| vendor.omitted.extend(["00003", "00004"].map(id)));
        let proof = swept(&stage).await;
        assert_eq!(proof.extra, 2, "{shape:?}");
        assert!(stage.version("00003").is_some() && stage.version("00004").is_some(), "{shape:?}");
    }
}

#[tokio::test]
async fn what_is_missing_from_the_copy_comes_back() {
    for shape in SHAPES {
        let stage = copied(shape, 30).await;
        remove(&stage, &["00007", "00008", "00029"]);
        let proof = swept(&stage).await;
        assert_eq!((proof.missing, proof.extra), (3, 0), "{shape:?}");
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
    }
}

#[tokio::test]
async fn a_row_that_was_edited_silently_is_stored_and_costs_no_detail_call() {
    let stage = copied(ListShape::Pages, 120).await;
    silently(&stage, |stage| stage.edit(["00005", "00077"]));
    assert_eq!(stage.settle().await.owed_count, 0, "the list of changes does not show it");
    let proof = swept(&stage).await;
    assert_eq!((proof.different, proof.missing, proof.sampled), (2, 0, 0));
    assert_eq!((stage.differences(), stage.details()), (Vec::new(), 0));
}

#[tokio::test]
async fn where_lists_give_ids_alone_a_sample_shows_silent_edits() {
    for shape in [ListShape::Whole, ListShape::Feed] {
        let stage = copied(shape, 19).await;
        silently(&stage, |stage| stage.edit(ids(19)));
        let proof = swept(&stage).await;
        assert_eq!((proof.sampled, proof.sample_different), (20, 19), "of so few all are compared: {shape:?}");
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
    }
}

#[tokio::test]
async fn a_person_may_ask_for_a_larger_sample_once() {
    for shape in [ListShape::Whole, ListShape::Feed] {
        let stage = copied(shape, 99).await;
        silently(&stage, |stage| stage.edit(ids(99)));
        assert_eq!(ask(&stage.world, &stage.stream(), Some(100)).await.unwrap(), Asked::Noted);
        let proof = swept(&stage).await;
        assert_eq!((proof.sampled, proof.sample_different), (100, 99), "{shape:?}");
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
        assert!(swept(&stage).await.sampled < 60, "the next one has the usual size: {shape:?}");
    }
}

#[tokio::test]
async fn many_candidates_wait_for_a_person() {
    for shape in SHAPES {
        let stage = copied(shape, 100).await;
        silently(&stage, |stage| stage.delete(ids(21)));
        let report = sweep(&stage).await;
        let proof = report.proof.clone().unwrap();
        assert_eq!((proof.extra, proof.withheld, report.owed_count), (21, 21, 0), "{shape:?}");
        assert!(report.problem.is_some() && state(&stage).problem == report.problem);
        settle(&stage).await;
        assert!(stage.version("00020").is_some(), "nothing is fetched unasked: {shape:?}");

        assert_eq!(approved(&stage).await, Asked::Noted);
        assert_eq!(approved(&stage).await, Asked::UnderWay);
        let proof = stage.sweep_on().await.proof.unwrap();
        assert_eq!((proof.withheld, stage.owed_count(Lane::Bulk)), (0, 21), "{shape:?}");
        settle(&stage).await;
        assert!(ids(21).iter().all(|text| stage.version(text).is_none()), "{shape:?}");
        assert_eq!((state(&stage).problem, stage.retries().len()), (None, 0), "{shape:?}");
        assert_eq!(approved(&stage).await, Asked::Nothing);
    }
}

#[tokio::test]
async fn a_list_without_records_is_not_believed_and_the_last_good_proof_stays() {
    for shape in SHAPES {
        let stage = copied(shape, 30).await;
        let good = swept(&stage).await;
        let now = stage.now();
        stage.vendor(|vendor| {
            let all: Vec<_> = vendor.present(now).map(|(id, _)| id.clone()).collect();
            vendor.omitted.extend(all);
        });
        let report = sweep(&stage).await;
        settle(&stage).await;
        assert_eq!(report.owed_count, 0, "{shape:?}");
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
        let cause = report.problem.clone().unwrap().to_string();
        assert!(cause.contains("lists nothing, though 31 records are stored"), "{cause}");
        assert_eq!((state(&stage).good, report.proof.unwrap().withheld), (Some(good), 31), "{shape:?}");
    }
}

#[tokio::test]
async fn a_record_that_is_there_though_no_list_shows_it_is_a_candidate_once() {
    for shape in SHAPES {
        let stage = copied(shape, 30).await;
        stage.vendor(|vendor| vendor.omitted.extend(ids(15).iter().map(|text| id(text))));
        assert_eq!(swept(&stage).await.extra, 15, "{shape:?}");
        for _ in 0..3 {
            let proof = swept(&stage).await;
            assert_eq!((proof.extra, proof.unlisted), (0, 15), "{shape:?}");
        }
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
        // Some of them are fetched each time, so that one that is deleted later is found.
        silently(&stage, |stage| stage.delete(["00003"]));
        for _ in 0..60 {
            swept(&stage).await;
        }
        assert_eq!(stage.version("00003"), None, "{shape:?}");
    }
}

/// A copy whose vendor has deleted records silently since the last good sweep, and what that one found.
async fn copied_and_harmed(vendor: VendorSettings, count: usize) -> (Stage, Proof) {
    let stage = copied_from(vendor, count).await;
    let good = swept(&stage).await;
    silently(&stage, |stage| stage.delete(ids(5)));
    stage.wait(300);
    (stage, good)
}

/// That a sweep has proved nothing: nothing is owed or deleted, and the last good proof is still there.
async fn assert_nothing_proved(stage: &Stage, report: &SweepReport, good: Proof) {
    settle(stage).await;
    assert!(ids(5).iter().all(|text| stage.version(text).is_some()), "nothing is marked deleted");
    assert_eq!((report.owed_count, stage.retries().len()), (0, 0));
    assert_eq!((&state(stage).problem, state(stage).good), (&report.problem, Some(good)));
}

#[tokio::test]
async fn what_a_sweep_could_not_owe_is_compared_again() {
    // GIVEN a record that was edited silently, and two that were removed from the table by hand
    let vendor = VendorSettings { page_rows: 20, ..VendorSettings::new(ListShape::Pages) };
    let stage = copied_from(vendor, 60).await;
    silently(&stage, |stage| stage.edit(["00001"]));
    remove(&stage, &["00030", "00050"]);
    stage.wait(300);
    // WHEN a table fails in the midst of the sweep
    request(&stage).await;
    stage.world.tables.faults().push(Operation::PutChunks, Fault::Pass);
    stage.world.tables.faults().push(Operation::PutChunks, Fault::Reject);
    let poller = Poller { ports: stage.world.clone(), settings: stage.settings.borrow().clone() };
    go_on(&poller, &stage.stream().name, stage.stop_at()).await.unwrap_err();
    settle(&stage).await;
    let proof = stage.sweep_on().await.proof.unwrap();
    settle(&stage).await;
    // THEN the proof says all that was found, and all of it is put right
    assert_eq!((proof.missing, proof.different), (2, 1));
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_right_that_is_lost_in_the_midst_of_a_sweep_ends_it_and_does_not_pause_the_stream() {
    for (shape, filtered) in SHAPES.map(|shape| (shape, true)).into_iter().chain([(ListShape::Pages, false)]) {
        let mut vendor = VendorSettings::new(shape);
        vendor.stream.filtered = filtered;
        let (stage, good) = copied_and_harmed(vendor, 120).await;
        stage.settings.borrow_mut().poll_interval = Duration::from_millis(2);
        request(&stage).await;
        if shape != ListShape::Whole {
            assert!(stage.sweep_on().await.proof.is_none());
            assert!(state(&stage).under_way.is_some(), "it is under way: {shape:?}");
        }
        stage.settings.borrow_mut().poll_interval = Duration::from_mins(5);
        stage.vendor(|vendor| vendor.failures.push_back(FailureClass::Forbidden));
        let report = stage.sweep_on().await;
        let cause = report.problem.as_ref().unwrap().to_string();
        assert!(cause.contains("next: give the vendor's API user"), "{cause}");
        assert_eq!((&report.proof, stage.stream_state().breaker.open_until), (&None, None), "{shape:?}");
        assert_nothing_proved(&stage, &report, good).await;
        assert_eq!(swept(&stage).await.extra, 5, "the next sweep tries again: {shape:?}");
        assert_eq!(state(&stage).problem, None);
    }
}

#[tokio::test]
async fn what_a_list_names_as_left_out_is_no_candidate_and_no_good_proof() {
    for shape in SHAPES {
        let (stage, good) = copied_and_harmed(VendorSettings::new(shape), 30).await;
        let stream = if shape == ListShape::Feed { StreamName::known("widgets") } else { stage.stream().name };
        stage.vendor(|vendor| {
            vendor.later = Some(Later { stream: stream.clone(), cursor: None, why: WhyLater::Refused });
        });
        request(&stage).await;
        let report = stage.sweep_on().await;
        let cause = report.problem.as_ref().unwrap().to_string();
        assert!(cause.contains(&format!("did not show all of {stream}")), "{cause}");
        let proof = report.proof.clone().unwrap();
        assert_eq!((proof.extra, proof.unproved), (0, BTreeSet::from([stream])), "{shape:?}");
        assert_nothing_proved(&stage, &report, good).await;
        stage.vendor(|vendor| vendor.later = None);
        assert_eq!((swept(&stage).await.extra, state(&stage).problem), (5, None), "{shape:?}");
    }
}

#[tokio::test]
async fn a_vendor_that_refuses_pages_which_it_reports_proves_nothing() {
    let (stage, good) = copied_and_harmed(VendorSettings::new(ListShape::Pages), 120).await;
    stage.vendor(|vendor| vendor.settings.tells_total = true);
    stage.vendor(|vendor| vendor.page_max = Some(2));
    let report = sweep(&stage).await;
    assert!(report.problem.as_ref().unwrap().cause.contains("refuses page 3"), "{report:?}");
    assert_nothing_proved(&stage, &report, good).await;
}

#[tokio::test]
async fn a_list_that_shows_rows_twice_is_read_again_once_and_believed() {
    let (stage, _) = copied_and_harmed(VendorSettings::new(ListShape::Pages), 30).await;
    stage.vendor(|vendor| vendor.repeats = true);
    let once = swept(&stage).await;
    assert_eq!((once.listed, once.extra), (26, 5));
    stage.vendor(|vendor| vendor.repeats = false);
    assert_eq!(once.calls, 2 * swept(&stage).await.calls);
}

#[tokio::test]
async fn a_list_whose_rows_move_at_each_reading_proves_nothing() {
    // GIVEN a list that seems to have more rows than can be met, and shows others at each reading
    let (stage, good) = copied_and_harmed(VendorSettings::new(ListShape::Pages), 30).await;
    stage.vendor(|vendor| vendor.repeats = true);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    for n in 0..60 {
        let (new, now) = (id(&format!("x{n:02}")), stage.now());
        stage.vendor(|vendor| {
            vendor.unstamped.insert(new.clone());
            vendor.edit(&new, now, Duration::from_secs(n));
        });
    }
    let report = sweep(&stage).await;
    assert!(report.problem.as_ref().unwrap().cause.contains("moved between pages"), "{report:?}");
    settle(&stage).await;
    assert_eq!((state(&stage).good, report.proof), (Some(good), None));
    assert!(ids(5).iter().all(|text| stage.version(text).is_some()), "nothing is marked deleted");
}

#[tokio::test]
async fn a_vendor_that_keeps_failing_is_named_when_the_day_is_over() {
    let (stage, good) = copied_and_harmed(VendorSettings::new(ListShape::Whole), 30).await;
    request(&stage).await;
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Transient));
    let report = loop {
        let report = stage.sweep_on().await;
        if report.problem.is_some() {
            break report;
        }
        assert_eq!(report.proof, None);
        stage.wait(3_600);
    };
    let cause = report.problem.as_ref().unwrap().to_string();
    assert!(
        cause.contains("within a day") && cause.contains("the last call that failed: a scripted failure"),
        "{cause}"
    );
    stage.vendor(|vendor| vendor.unwell = None);
    assert_nothing_proved(&stage, &report, good).await;
}

#[tokio::test]
async fn a_short_pause_that_the_vendor_asks_for_is_waited_out() {
    let stage = copied(ListShape::Pages, 30).await;
    let retry_after = Some(Duration::from_secs(20));
    stage.vendor(|vendor| vendor.failures.push_back(FailureClass::Throttled { retry_after }));
    let before = stage.now();
    let report = sweep(&stage).await;
    assert!(report.proof.is_some() && stage.now() >= before.plus(Duration::from_secs(20)), "{report:?}");
    assert_eq!(stage.tables(|tables| tables.sources.values().find_map(|source| source.state.breaker.open_until)), None);
}

#[tokio::test]
async fn a_sample_that_meets_a_rejected_credential_asks_no_further() {
    for shape in [ListShape::Whole, ListShape::Feed] {
        let stage = copied(shape, 19).await;
        let until = stage.now().plus(Duration::from_hours(1));
        stage
            .vendor(|vendor| ids(20).iter().for_each(|text| vendor.fail(&id(text), FailureClass::Unauthorized, until)));
        request(&stage).await;
        assert_eq!((stage.sweep_on().await.proof, stage.details()), (None, 1), "{shape:?}");
        let open_until =
            stage.tables(|tables| tables.sources.values().find_map(|source| source.state.breaker.open_until));
        assert!(open_until.is_some(), "the source is paused: {shape:?}");
        assert_eq!(stage.sweep_on().await, SweepReport::default(), "{shape:?}");
    }
}

#[tokio::test]
async fn a_sweep_that_overlaps_a_restore_begins_again() {
    for (shape, is_rewound) in [(ListShape::Whole, true), (ListShape::Whole, false), (ListShape::Feed, false)] {
        // GIVEN a sweep that has compared a part of the copy
        let stage = copied(shape, 95).await;
        let good = swept(&stage).await;
        stage.wait(300);
        stage.settings.borrow_mut().poll_interval = Duration::from_millis(12);
        request(&stage).await;
        let is_comparing = |sweep: Sweep| matches!(sweep.phase, Phase::Comparing(_, Some(_)));
        while !state(&stage).under_way.is_some_and(is_comparing) {
            assert_eq!(stage.sweep_on().await.proof, None);
        }
        // WHEN records of that part are restored to a time before they were created, and what was changed is listed again
        remove(&stage, &["00001", "00002"]);
        if is_rewound {
            let target = Position::At(stage.checkpoint().committed.at().unwrap().minus(Duration::from_mins(1)));
            assert_eq!(stage.act(Act::Rewind(target)).await, Acted::Done);
        } else {
            stage.tables(|tables| tables.streams.values_mut().for_each(|stream| stream.mark = None));
            stage.tick().await;
        }
        stage.settings.borrow_mut().poll_interval = Duration::from_mins(5);
        // THEN nothing that was compared before counts
        let report = stage.sweep_on().await;
        assert!(report.began_again, "{shape:?}");
        assert_eq!(state(&stage).last.unwrap().begun_at, report.proof.as_ref().unwrap().begun_at);
        assert!(report.proof.as_ref().unwrap().begun_at > good.begun_at);
        assert_eq!((report.proof.unwrap().missing, report.problem), (2, None), "{shape:?}");
        settle(&stage).await;
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
    }
}

/// A stage with a sweep under way that has compared a part of the copy, before a rewind.
#[expect(clippy::expect_used, reason = "a test's own expectation")]
async fn rewound_in_a_sweep() -> Stage {
    let stage = copied(ListShape::Whole, 99).await;
    stage.settings.borrow_mut().poll_interval = Duration::from_millis(12);
    request(&stage).await;
    while !state(&stage).under_way.is_some_and(|sweep| matches!(sweep.phase, Phase::Comparing(_, Some(_)))) {
        assert_eq!(stage.sweep_on().await.proof, None);
    }
    stage.settings.borrow_mut().poll_interval = Duration::from_mins(5);
    let committed = stage.checkpoint().committed.at().expect("it is an instant");
    let target = Position::At(committed.minus(Duration::from_mins(1)));
    assert_eq!(stage.act(Act::Rewind(target)).await, Acted::Done);
    stage
}

#[tokio::test]
async fn a_sweep_that_begins_again_takes_the_sample_that_was_asked_for_meanwhile() {
    let stage = rewound_in_a_sweep().await;
    assert_eq!(ask(&stage.world, &stage.stream(), Some(100)).await.unwrap(), Asked::Noted);
    let report = stage.sweep_on().await;
    assert!(report.began_again);
    assert_eq!(report.proof.unwrap().sampled, 100);
}

#[tokio::test]
async fn a_sweep_of_yesterday_begins_again_no_sooner_than_calls_go_on() {
    let stage = rewound_in_a_sweep().await;
    stage.wait(25 * 3_600);
    stage.tables(|tables| {
        let until = stage.now().plus(Duration::from_mins(5));
        tables.sources.entry(stage.stream().source).or_default().state.breaker.open_until = Some(until);
    });
    assert_eq!(stage.sweep_on().await, SweepReport::default());
    stage.wait(600);
    assert!(stage.sweep_on().await.began_again);
}

#[tokio::test]
async fn a_sweep_waits_for_an_import_and_holds_nothing() {
    let stage = copied(ListShape::Whole, 30).await;
    stage.settings.borrow_mut().call_interval = Duration::from_secs(2);
    stage.edit((0..600).map(|n| format!("x{n:04}")));
    stage.tick().await;
    assert!(stage.owed_count(Lane::Bulk) > 0);
    assert!(sweep(&stage).await.proof.is_none(), "while an import is open no sweep begins");
    assert_eq!(state(&stage).under_way, None);
    settle(&stage).await;
    let swept = stage.sweep_on().await.proof.unwrap();
    assert_eq!((swept.listed, swept.extra, swept.missing), (631, 0, 0), "it begins when the lane is empty");
}

#[tokio::test]
async fn a_sweep_goes_on_behind_the_last_record_that_was_compared() {
    for shape in [ListShape::Whole, ListShape::Feed] {
        // GIVEN ticks so short that each ends in the midst of the copy, which is read in slices of ten
        let stage = copied(shape, 95).await;
        silently(&stage, |stage| stage.delete(["00012", "00055", "00091"]));
        remove(&stage, &["00033", "00088"]);
        stage.settings.borrow_mut().poll_interval = Duration::from_millis(12);
        request(&stage).await;
        let mut cursors = Vec::new();
        let proof = loop {
            if let Some(proof) = stage.sweep_on().await.proof {
                break proof;
            }
            cursors.extend(state(&stage).under_way.map(|sweep| sweep.phase));
            assert!(cursors.len() < 100, "it ends");
            stage.wait(300);
            stage.tick().await;
            stage.fetch_until(stage.now().plus(Duration::from_mins(1))).await;
        };
        assert!(cursors.iter().any(|phase| matches!(phase, Phase::Comparing(_, Some(_)))), "{shape:?} {cursors:?}");
        assert_eq!((proof.extra, proof.missing, proof.listed), (3, 2, 93), "{shape:?}");
    }
}

#[tokio::test]
async fn what_was_looked_at_since_the_sweep_began_is_no_candidate() {
    for shape in [ListShape::Whole, ListShape::Feed] {
        let stage = copied(shape, 95).await;
        stage.settings.borrow_mut().poll_interval = Duration::from_millis(12);
        request(&stage).await;
        stage.sweep_on().await;
        assert!(state(&stage).under_way.is_some());
        // WHEN a record is created behind what was listed, and stored before it would be compared
        stage.edit(["99999"]);
        stage.wait(60);
        stage.tick().await;
        stage.fetch_until(stage.now().plus(Duration::from_mins(1))).await;
        assert!(stage.version("99999").is_some() && state(&stage).under_way.is_some());
        let proof = loop {
            stage.wait(60);
            if let Some(proof) = stage.sweep_on().await.proof {
                break proof;
            }
        };
        // THEN it is not asked for again
        assert_eq!((proof.listed, proof.extra), (96, 0), "{shape:?}");
    }
}
