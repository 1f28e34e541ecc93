//! Sections 3 and 5.1: the lease, conditional writes that are read back, and the account mark.

use tidemark_engine::notice::Notice;
use tidemark_engine::operate::{Act, Acted};
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::ports::{Checkpoints, Written};
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{Fault, Operation, VendorSettings};
use tidemark_tests::stage::{Stage, ids};

#[tokio::test]
async fn of_two_ticks_at_once_one_works_and_the_other_leaves() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    let hold = stage.world.source.faults().hold_before(Operation::List);
    let second = async {
        hold.reached().await;
        let report = stage.tick().await;
        hold.release();
        report
    };
    let (first, second) = tokio::join!(stage.tick(), second);
    assert_eq!((first.outcome, second.outcome), (PollOutcome::Owing, PollOutcome::LeaseBusy));
}

#[tokio::test]
async fn a_poller_that_froze_and_lost_its_lease_changes_nothing() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(ids(100));
    let hold = stage.world.source.faults().hold_after(Operation::List);
    let meanwhile = async {
        hold.reached().await;
        stage.wait(600);
        stage.sync().await;
        let checkpoint = stage.checkpoint();
        hold.release();
        checkpoint
    };
    let (zombie, after) = tokio::join!(stage.tick(), meanwhile);
    assert_eq!(zombie.outcome, PollOutcome::Fenced);
    assert_eq!(stage.checkpoint(), after);
    // What it put into the ledger is work done twice and no more.
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_tick_that_ends_frees_the_stream_and_one_that_dies_holds_it_for_three_minutes() {
    let stage = Stage::new(ListShape::Whole);
    stage.tick().await;
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
    let hold = stage.world.source.faults().hold_before(Operation::List);
    tokio::select! {
        biased;
        () = hold.reached() => {}
        report = stage.tick() => unreachable!("it was held: {report:?}"),
    }
    stage.wait(179);
    assert_eq!(stage.tick().await.outcome, PollOutcome::LeaseBusy);
    stage.wait(2);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
}

#[tokio::test]
async fn a_tick_whose_list_has_slow_pages_keeps_the_stream_to_itself() {
    let stage = Stage::with(VendorSettings { page_rows: 10, ..VendorSettings::new(ListShape::Pages) });
    stage.edit(ids(30));
    let faults = stage.world.source.faults();
    let (first, second) = (faults.hold_after(Operation::List), faults.hold_after(Operation::List));
    let another = async {
        for page in [first, second] {
            page.reached().await;
            stage.wait(100);
            page.release();
        }
        tokio::task::yield_now().await;
        stage.tick().await.outcome
    };
    let (slow, another) = tokio::join!(stage.tick(), another);
    assert_eq!((slow.outcome, another), (PollOutcome::Importing, PollOutcome::LeaseBusy));
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_counts_when_it_is_found() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.world.tables.faults().push_times(Operation::Store, &Fault::LoseAnswer, 3);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Owing);
    stage.drain().await;
    stage.world.tables.faults().push_times(Operation::Store, &Fault::LoseAnswer, 2);
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_write_that_lands_again_minutes_later_changes_nothing() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.world.tables.faults().push_times(Operation::Store, &Fault::LandTwice, 3);
    stage.sync().await;
    let before = stage.checkpoint();
    stage.world.tables.land_kept();
    assert_eq!(stage.checkpoint(), before);
}

#[tokio::test]
async fn a_write_that_does_not_know_the_newest_version_is_refused() {
    let stage = Stage::new(ListShape::Whole);
    stage.tick().await;
    let read = stage.checkpoint();
    stage.tick().await;
    let mut late = read.clone();
    late.version += 1;
    assert_eq!(stage.world.tables.store(&late).await.unwrap(), Written::Refused);
}

#[tokio::test]
async fn an_operators_act_and_a_tick_do_not_overwrite_each_other() {
    let stage = Stage::new(ListShape::Whole);
    let hold = stage.world.source.faults().hold_before(Operation::List);
    let acting = async {
        hold.reached().await;
        let acted = stage.act(Act::KeepCopy).await;
        hold.release();
        acted
    };
    let (report, acted) = tokio::join!(stage.tick(), acting);
    assert_eq!((report.outcome, acted), (PollOutcome::Fenced, Acted::Done));
}

fn of_another_account(stage: &Stage) {
    stage.vendor(|vendor| "another".clone_into(&mut vendor.settings.account_mark));
}

#[tokio::test]
async fn the_poller_stops_at_another_account_until_a_person_decides() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.checkpoint();
    stage.edit(["a"]);
    of_another_account(&stage);
    for _ in 0..3 {
        let report = stage.tick().await;
        assert_eq!((&report.outcome, report.calls_count), (&PollOutcome::AccountChanged, 0));
        assert!(report.notices.contains(&Notice::AccountChanged) && Notice::AccountChanged.needs_attention());
        stage.wait(300);
    }
    assert_eq!(stage.checkpoint(), before);
}

#[tokio::test]
async fn an_account_that_changes_in_the_midst_of_a_tick_stops_it_before_anything_is_owed() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    let hold = stage.world.source.faults().hold_before(Operation::List);
    let changing = async {
        hold.reached().await;
        of_another_account(&stage);
        hold.release();
    };
    let (report, ()) = tokio::join!(stage.tick(), changing);
    assert_eq!((report.outcome, report.owed_count), (PollOutcome::AccountChanged, 0));
}

#[tokio::test]
async fn a_person_may_keep_the_copy_and_then_everything_of_the_last_day_is_read_again() {
    // GIVEN a corrected time zone: until now stamps were read as if they were an hour ahead of what they are
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.vendor(|vendor| vendor.settings.zone_shift = 3_600_000);
    of_another_account(&stage);
    assert_eq!(stage.tick().await.outcome, PollOutcome::AccountChanged);
    // WHEN it is accepted
    assert_eq!(stage.act(Act::KeepCopy).await, Acted::Done);
    for name in ["a", "b", "c"] {
        stage.edit([name]);
        stage.play(2).await;
    }
    // THEN what was measured under the old one is forgotten
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn or_start_again_and_then_everything_is_imported() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.wait(30 * 86_400);
    stage.settle().await;
    of_another_account(&stage);
    stage.details();
    assert_eq!(stage.act(Act::StartAgain).await, Acted::Done);
    let checkpoint = stage.checkpoint();
    assert_eq!(checkpoint.scanned, stage.vendor(|vendor| vendor.settings.stream.first.clone()));
    stage.tick().await;
    stage.drain().await;
    assert_eq!(stage.details(), 1);
}

#[tokio::test]
async fn putting_the_old_settings_back_is_enough() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let account = stage.vendor(|vendor| vendor.settings.account_mark.clone());
    of_another_account(&stage);
    stage.tick().await;
    stage.vendor(|vendor| vendor.settings.account_mark = account);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
}
