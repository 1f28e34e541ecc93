//! Sections 6.4, 6.7 and 8: the retry lane. A failing id never waits in its chunk; what is in the lane is tried again by
//! itself and resolved by a later look alone.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Lane, Reason, retry_after};
use tidemark_testkit::memory::{Delivery, Fault, Operation};
use tidemark_tests::stage::{Stage, id, ids};

fn fail(stage: &Stage, text: &str, class: FailureClass, seconds: u64) {
    let until = stage.now().plus(Duration::from_secs(seconds));
    stage.vendor(|vendor| vendor.fail(&id(text), class, until));
}

/// The message of a retry entry whose cause is gone, and whose record is not listed any more.
async fn entry_of_a(stage: &Stage) -> Delivery {
    stage.edit(["a"]);
    fail(stage, "a", FailureClass::Record, 36_000);
    for _ in 0..2 {
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
    }
    stage.vendor(|vendor| vendor.failing.clear());
    let now = stage.now();
    stage.tables(|tables| tables.retries.values_mut().for_each(|entry| entry.next_at = now));
    stage.tick().await;
    stage.receive()
}

#[tokio::test]
async fn whatever_the_failure_the_id_leaves_its_chunk_for_the_retry_lane() {
    for (class, reason, calls) in [
        (FailureClass::Record, Reason::Record, 1),
        (FailureClass::Transient, Reason::Outage, 3),
        (FailureClass::Forbidden, Reason::Outage, 1),
    ] {
        let stage = Stage::new(ListShape::Whole).known().await;
        stage.edit(["a", "bad"]);
        fail(&stage, "bad", class, 36_000);
        stage.tick().await;
        let reports = stage.drain().await;
        assert_eq!((reports.len(), reports[0].set_aside.len(), reports[0].written_count), (1, 1, 1));
        assert_eq!((stage.details(), stage.chunks(Lane::Fresh).len()), (1 + calls, 0), "{class:?}");
        assert_eq!((stage.retried(), stage.retries()[0].reason), (vec!["bad".to_owned()], reason));
        assert_eq!(stage.world.queue.queued_count(), 0);
    }
}

#[tokio::test]
async fn each_further_try_within_a_call_waits_longer() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["bad"]);
    fail(&stage, "bad", FailureClass::Transient, 36_000);
    stage.tick().await;
    let slept = stage.world.clock.slept();
    stage.drain().await;
    // Half of a second to a second, then of two; the rest are slots of a millisecond.
    let waited = stage.world.clock.slept().abs_diff(slept).as_millis();
    assert!((1_500..3_100).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn an_id_whose_tries_outlast_its_message_does_not_stay_in_its_chunk() {
    // GIVEN records that always fail, of which none can be tried three times before the fetcher has to end
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.settings.borrow_mut().call_interval = Duration::from_secs(2);
    let all = ids(10);
    stage.edit(&all);
    let heals_at = stage.now().plus(Duration::from_hours(1_000));
    stage.vendor(|vendor| all.iter().for_each(|text| vendor.fail(&id(text), FailureClass::Transient, heals_at)));
    stage.tick().await;
    let delivery = stage.receive();
    let stop_at = stage.now().plus(Duration::from_secs(30));
    let report = stage.fetcher().fetch(&delivery.message, 1, stop_at).await.unwrap();
    // THEN five of them leave it, which pauses the stream; the others are tried after that
    assert_eq!((report.set_aside.len(), report.left_count, stage.retries().len()), (5, 5, 5), "{report:?}");
    assert!(report.notices.contains(&Notice::BreakerOpened));
}

#[tokio::test]
async fn the_entry_is_written_before_the_id_leaves_its_chunk() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "bad"]);
    fail(&stage, "bad", FailureClass::Record, 60);
    stage.tick().await;
    let delivery = stage.receive();
    let hold = stage.world.tables.faults().hold_before(Operation::DeleteChunk);
    tokio::select! {
        biased;
        () = hold.reached() => {}
        _ = stage.fetch(&delivery) => unreachable!("it was held"),
    }
    // A fetcher that dies here leaves both.
    assert_eq!((stage.retried(), stage.owed_count(Lane::Fresh)), (vec!["bad".to_owned()], 2));
    stage.wait(721);
    stage.play(4).await;
    assert_eq!((stage.retried(), stage.differences()), (vec![], vec![]));
}

#[tokio::test]
async fn an_entry_is_tried_after_minutes_that_double_and_rings_at_the_third_try() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["bad"]);
    fail(&stage, "bad", FailureClass::Transient, 36_000);
    stage.tick().await;
    stage.drain().await;
    let set_aside_at = stage.now();
    let mut tried = Vec::new();
    while tried.len() < 5 {
        assert_eq!(stage.retries()[0].needs_attention(), tried.len() >= 3);
        stage.wait(10);
        stage.tick().await;
        let attempts = usize::try_from(stage.retries()[0].attempts).unwrap();
        if attempts > tried.len() {
            tried.push(stage.now().since(set_aside_at).as_secs());
        }
        stage.drain().await;
    }
    let apart: Vec<u64> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (apart, minutes) in apart.iter().zip([1_u64, 2, 4, 8]) {
        assert!((minutes * 60..minutes * 60 + 40).contains(apart), "{apart} of {minutes} min");
    }
}

#[tokio::test]
async fn a_record_error_rings_at_once() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["bad"]);
    fail(&stage, "bad", FailureClass::Record, 36_000);
    stage.tick().await;
    let reports = stage.drain().await;
    assert!(stage.retries()[0].needs_attention());
    assert_eq!(reports[0].notices, BTreeSet::from([Notice::Quarantined(1)]));
    // Until no listing shows it any more.
    for _ in 0..2 {
        stage.wait(300);
        stage.tick().await;
        stage.drain().await;
    }
    let now = stage.now();
    stage.tables(|tables| tables.retries.values_mut().for_each(|entry| entry.next_at = now));
    stage.tick().await;
    let again = stage.drain().await;
    assert_eq!((again.len(), &again[0].notices), (1, &BTreeSet::new()), "one notice is enough");
}

#[tokio::test]
async fn listings_do_not_leave_out_ids_of_the_retry_lane() {
    // GIVEN an entry whose record was looked at, and edited before that look is stored
    let stage = Stage::new(ListShape::Whole).known().await;
    let delivery = entry_of_a(&stage).await;
    let hold = stage.world.tables.faults().hold_before(Operation::StoreLooks);
    let meanwhile = async {
        hold.reached().await;
        stage.wait(1);
        stage.edit(["a"]);
        for _ in 0..2 {
            stage.wait(250);
            stage.tick().await;
        }
        hold.release();
    };
    let (report, ()) = tokio::join!(stage.fetch(&delivery), meanwhile);
    // WHEN that look resolves the entry
    assert_eq!((report.unwrap().written_count, stage.retried()), (1, vec![]));
    // THEN the edit is owed by a chunk
    stage.wait(300);
    stage.play(3).await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_look_from_before_the_newest_failure_does_not_resolve_an_entry() {
    // GIVEN a look at an entry's record, which is edited and fails again before that look is stored
    let stage = Stage::new(ListShape::Whole).known().await;
    let delivery = entry_of_a(&stage).await;
    let hold = stage.world.tables.faults().hold_before(Operation::StoreLooks);
    let meanwhile = async {
        hold.reached().await;
        stage.wait(1);
        stage.edit(["a"]);
        fail(&stage, "a", FailureClass::Record, 700);
        stage.wait(250);
        stage.tick().await;
        stage.drain().await;
        hold.release();
    };
    tokio::join!(stage.fetch(&delivery), meanwhile).0.unwrap();
    // THEN the entry stays until a later look
    assert_eq!(stage.retried(), ["a"]);
    stage.play(6).await;
    assert_eq!((stage.retried(), stage.differences()), (vec![], vec![]));
}

#[tokio::test]
async fn what_an_entry_holds_falls_with_an_older_debt_whichever_failure_comes_last() {
    // GIVEN two chunks that owe the same id, of which the one that holds less fails first and is written last
    let stage = Stage::new(ListShape::Whole).known().await;
    let lower = stage.checkpoint().scanned;
    stage.wait(100);
    stage.edit(["a"]);
    fail(&stage, "a", FailureClass::Record, 36_000);
    stage.tick().await;
    let first = stage.receive();
    stage.wait(60);
    stage.edit(["a"]);
    stage.tick().await;
    let second = stage.receive();
    assert!(stage.chunks(Lane::Fresh)[1].holds.as_ref().is_some_and(|holds| holds.order() > lower.order()));
    let hold = stage.world.tables.faults().hold_before(Operation::SetAside);
    let overtaking = async {
        hold.reached().await;
        stage.wait(1);
        stage.fetch(&second).await.unwrap();
        hold.release();
    };
    tokio::join!(stage.fetch(&first), overtaking).0.unwrap();
    let entry = stage.retries().remove(0);
    // THEN it holds what the older debt held, and is dated by the newer failure
    assert_eq!(entry.holds, Some(lower));
    assert!(stage.now().since(entry.listed_at) <= Duration::from_secs(1));
}

/// Has the one visible message fetched by a process that dies where the vendor is asked for the `nth` time.
async fn dies_at(stage: &Stage, nth: usize) {
    let delivery = stage.receive();
    let faults = stage.world.source.faults();
    faults.push_times(Operation::Fetch, &Fault::Pass, nth - 1);
    let hold = faults.hold_before(Operation::Fetch);
    tokio::select! {
        biased;
        () = hold.reached() => {}
        report = stage.fetch(&delivery) => unreachable!("it came to an end: {report:?}"),
    }
    faults.clear();
    stage.wait(721);
}

#[tokio::test]
async fn an_id_at_which_the_fetcher_died_three_times_by_itself_is_set_aside() {
    let stage = Stage::patient(ListShape::Whole);
    stage.edit(["a", "killer", "z"]);
    stage.tick().await;
    // Once in company; then alone, after a was stored; then twice more.
    for nth in [2, 2, 1, 1] {
        dies_at(&stage, nth).await;
    }
    assert!(stage.record("a").is_some());
    let report = stage.fetch(&stage.receive()).await.unwrap();
    assert_eq!(
        (report.set_aside.len(), &report.set_aside[0].0, report.set_aside[0].1),
        (1, &id("killer"), Reason::Crash)
    );
    assert_eq!((report.written_count, stage.chunks(Lane::Fresh).len()), (1, 0));
    assert!(stage.retries()[0].needs_attention());
}

#[tokio::test]
async fn deaths_at_different_ids_set_nothing_aside() {
    let stage = Stage::patient(ListShape::Whole);
    stage.edit(ids(6));
    stage.tick().await;
    for nth in [1, 2, 2, 2, 2] {
        dies_at(&stage, nth).await;
    }
    stage.drain().await;
    assert_eq!((stage.retries().len(), stage.differences().len()), (0, 0));
}

#[tokio::test]
async fn a_killer_behind_a_record_that_is_gone_is_set_aside_too() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["gone", "killer"]);
    stage.tick().await;
    stage.delete(["gone"]);
    for _ in 0..7 {
        let delivery = stage.receive();
        let hold = stage.world.tables.faults().hold_before(Operation::StoreLooks);
        tokio::select! {
            biased;
            () = hold.reached() => {}
            report = stage.fetch(&delivery) => {
                report.unwrap();
                break;
            }
        }
        stage.world.tables.faults().clear();
        // Storing a tombstone does not kill the fetcher.
        if stage.retried() == ["killer"] {
            break;
        }
        stage.wait(721);
    }
    assert_eq!((stage.retried(), stage.retries()[0].reason), (vec!["killer".to_owned()], Reason::Crash));
}

/// A stage with more entries in its retry lane than it may have, which heal after so many hours.
async fn with_a_full_retry_lane(hours: u64) -> Stage {
    let stage = Stage::new(ListShape::Whole).known().await;
    let all = ids(1_001);
    stage.edit(&all);
    let heals_at = stage.now().plus(Duration::from_hours(hours));
    stage.vendor(|vendor| all.iter().for_each(|text| vendor.poison(&id(text), heals_at)));
    stage.tick().await;
    stage.fetch_until(stage.now().plus(Duration::from_mins(1))).await;
    stage
}

#[tokio::test]
async fn more_than_a_thousand_entries_freeze_their_stream_and_nothing_is_lost() {
    let stage = with_a_full_retry_lane(48).await;
    let frozen = stage.tick().await;
    assert_eq!(frozen.outcome, tidemark_engine::poll::PollOutcome::Frozen);
    let notice = Notice::QuarantineFull(1_001);
    assert!(notice.needs_attention() && frozen.notices.contains(&notice), "{frozen:?}");
    // WHILE it is frozen nothing new is listed, and nothing is committed past what is missing
    let before = stage.checkpoint();
    stage.edit(["fresh"]);
    let report = stage.play(2).await.unwrap();
    assert_eq!((report.listed_count, stage.checkpoint().committed), (0, before.committed));
    // WHEN the records heal, they drain by themselves, and what came meanwhile is found
    stage.wait(48 * 3_600);
    stage.play(400).await;
    assert_eq!((stage.retries().len(), stage.differences().len()), (0, 0));
}

#[tokio::test]
async fn a_frozen_stream_comes_out_of_a_pause_of_its_source() {
    // GIVEN a stream that lists nothing, so that no list can end the pause
    let stage = with_a_full_retry_lane(2).await;
    // WHEN the vendor asks for no calls in answer to a try
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Throttled { retry_after: None }));
    stage.play(2).await;
    assert!(stage.source_breaker().is_disturbed());
    stage.vendor(|vendor| vendor.unwell = None);
    // THEN the tries go on when the pause is over
    stage.wait(48 * 3_600);
    stage.play(400).await;
    assert_eq!((stage.retries().len(), stage.differences().len()), (0, 0));
}

#[test]
fn retries_come_after_minutes_that_double_up_to_a_day() {
    assert_eq!([0, 1, 3, 40].map(|tries| retry_after(tries).as_secs()), [60, 120, 480, 86_400]);
}
