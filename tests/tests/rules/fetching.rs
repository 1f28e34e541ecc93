//! Rule 7 (retry) and rule 10 (guard against false deletes).

use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_engine::poll::Notice;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{Fault, Operation};
use tidemark_tests::stage::{Stage, id, ids};

#[tokio::test]
async fn a_record_error_is_set_aside_on_the_first_receive_and_the_message_is_done_with() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "bad"]);
    let heals_at = stage.now().plus(Duration::from_hours(10));
    stage.world.source.with(|vendor| vendor.poison(&id("bad"), heals_at));
    stage.tick().await;
    let reports = stage.drain().await;
    assert_eq!((reports.len(), reports[0].poisoned.len(), reports[0].acknowledged), (1, 1, true));
    assert_eq!(stage.details(), 1 + 3, "the broken record is tried three times");
    assert_eq!(stage.world.queue.queued_count(), 0);
}

#[tokio::test]
async fn an_outage_burns_no_receives_and_fills_no_dead_letters() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(200);
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    stage.world.source.with(|vendor| vendor.unwell = Some(FailureClass::Transient));
    for _ in 0..30 {
        for report in stage.drain().await {
            assert!(report.acknowledged);
        }
        stage.wait(300);
        stage.tick().await;
    }
    stage.world.source.with(|vendor| vendor.unwell = None);
    for _ in 0..6 {
        stage.wait(300);
        stage.tick().await;
        stage.drain().await;
    }
    stage.tick().await;
    let left = (stage.differences().len(), stage.quarantined().len(), stage.world.queue.dead_count());
    assert_eq!(left, (0, 0, 0));
}

#[tokio::test]
async fn an_id_is_set_aside_for_crashing_only_after_three_crashes_alone() {
    let stage = Stage::patient(ListShape::Whole);
    stage.edit(["a", "killer"]);
    stage.tick().await;
    let poisoned = loop {
        let delivery = stage.world.queue.receive(1).pop().expect("the message comes back");
        let receive_count = delivery.receive_count;
        // The process dies at the killer: its call never comes back.
        if receive_count == 2 {
            stage.world.source.faults().push(Operation::Fetch, Fault::Pass);
        }
        // One crash in company and three alone: now it is set aside.
        if receive_count == 5 {
            break stage.fetch(&delivery).await.expect("the fetch works").poisoned;
        }
        let hold = stage.world.source.faults().hold_before(Operation::Fetch);
        tokio::select! {
            biased;
            () = hold.reached() => {}
            report = stage.fetch(&delivery) => unreachable!("it came to an end: {report:?}"),
        }
        stage.world.source.faults().clear();
        stage.wait(721);
    };
    assert_eq!(poisoned.len(), 1);
    assert_eq!(poisoned[0].0, id("killer"));
}

#[tokio::test]
async fn a_killed_fetcher_leaves_its_message_and_its_work_is_done_again_without_harm() {
    let stage = Stage::patient(ListShape::Whole);
    let all = ids(20);
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    let delivery = stage.world.queue.receive(1).pop().unwrap();
    let hold = stage.world.tables.faults().hold_before(Operation::Finish);
    tokio::select! {
        biased;
        () = hold.reached() => {}
        _ = stage.fetch(&delivery) => unreachable!("it was held"),
    }
    stage.world.tables.faults().clear();
    stage.wait(721);
    stage.drain().await;
    stage.settle().await;
    let left = (stage.differences().len(), stage.quarantined().len(), stage.world.queue.queued_count());
    assert_eq!(left, (0, 0, 0));
}

#[tokio::test]
async fn a_duplicate_delivery_after_success_costs_no_call() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.tick().await;
    let delivery = stage.world.queue.receive(1).pop().unwrap();
    stage.fetch(&delivery).await.unwrap();
    stage.details();
    let again = stage.fetch(&delivery).await.unwrap();
    assert_eq!((again.acknowledged, stage.details()), (true, 0));
}

#[tokio::test]
async fn a_forged_message_makes_no_call() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b"]);
    stage.tick().await;
    let delivery = stage.world.queue.receive(1).pop().unwrap();
    let mut forged = (*delivery.message).clone();
    forged.ids = vec![id("not-ours"), id("../../etc")];
    let stop_at = stage.now().plus(Duration::from_mins(2));
    stage.details();
    let report = stage.fetcher().fetch(&forged, 1, stop_at).await.unwrap();
    forged.run = "another".to_owned();
    stage.fetcher().fetch(&forged, 1, stop_at).await.unwrap();
    assert_eq!((report.acknowledged, stage.details()), (true, 0));
}

#[tokio::test]
async fn many_vanished_records_are_not_believed_and_really_vanished_ones_do_not_come_back() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(40);
    stage.edit(all.iter().map(String::as_str));
    stage.settle().await;
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    // WHEN a quarter of them is gone when they are fetched
    stage.delete(all.iter().take(10).map(String::as_str));
    let reports = stage.drain().await;
    assert!(reports[0].notices.contains(&Notice::TombstonesWithheld { count: 10 }), "{reports:?}");
    // THEN none is marked deleted; the list shows that they really vanished, and the run is finished without them
    assert!(all.iter().all(|id| stage.record(id).is_some_and(|record| record.deleted.is_none())));
    stage.details();
    assert!(stage.tick().await.committed.is_some());
    let left = (stage.details(), stage.quarantined().len(), stage.differences().len());
    assert_eq!(left, (0, 0, 0), "nothing is fetched again");
}

#[tokio::test]
async fn many_records_that_are_listed_and_not_there_are_asked_for_for_a_day_before_they_are_deleted() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(40);
    stage.edit(all.iter().map(String::as_str));
    stage.settle().await;
    // GIVEN a quarter of them that is listed and not there, and one of those that comes back
    stage.edit(all.iter().map(String::as_str));
    stage.world.source.with(|vendor| vendor.hidden = all.iter().take(10).map(|text| id(text)).collect());
    stage.tick().await;
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some(), "the stream goes on");
    let deleted = || all.iter().filter(|id| stage.record(id).is_some_and(|it| it.deleted.is_some())).count();
    assert_eq!((stage.quarantined().len(), deleted()), (10, 0));
    stage.world.source.with(|vendor| vendor.hidden.remove(&id("00000")));
    for _ in 0..28 {
        stage.wait(3_600);
        stage.sync().await;
    }
    assert_eq!((stage.quarantined().len(), deleted()), (9, 0));
    // THEN the others are believed in the end
    for _ in 0..28 {
        stage.wait(3_600);
        stage.sync().await;
    }
    assert_eq!((stage.quarantined().len(), deleted()), (0, 9));
}

#[tokio::test]
async fn a_few_vanished_records_become_tombstones_after_a_second_look() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b", "c"]);
    stage.tick().await;
    stage.delete(["b"]);
    stage.drain().await;
    assert_eq!(stage.details(), 4);
    assert!(stage.record("b").is_some_and(|record| record.deleted.is_some()));
}
