//! Rule 1 (commit), rule 3 (zone), rule 11 (streams without stamps), rule 12 (staleness).

use std::time::Duration;

use tidemark_engine::checkpoint::Position;
use tidemark_engine::poll::{Notice, PollOutcome};
use tidemark_engine::staleness::standing;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::VendorSettings;
use tidemark_tests::stage::{START, Stage, id, ids};

#[tokio::test]
async fn a_checkpoint_does_not_move_when_ids_are_merely_enqueued() {
    // GIVEN two chunks that are sent, of which one is stored
    let stage = Stage::new(ListShape::Whole);
    let all = ids(60);
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    let before = stage.checkpoint().committed;
    let [first, _] = &stage.world.queue.receive(2)[..] else { panic!("two messages") };
    assert!(stage.fetch(first).await.unwrap().acknowledged);
    // THEN nothing is committed
    assert_eq!(stage.tick().await.outcome, PollOutcome::Waiting);
    assert_eq!(stage.checkpoint().committed, before);
    // until the other one is, too
    stage.wait(800);
    stage.drain().await;
    stage.tick().await;
    assert!(stage.checkpoint().committed.order() > before.order());
}

#[tokio::test]
async fn an_edit_between_list_and_fetch_does_not_drag_the_checkpoint_past_what_nobody_listed() {
    // GIVEN a stream that was imported, and a list that told of a
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b", "c"]);
    stage.settle().await;
    stage.wait(600);
    stage.edit(["a"]);
    assert_eq!(stage.tick().await.accepted_count, 1);
    // WHEN c is edited after the list, and a again long after, before a is fetched
    stage.wait(60);
    stage.edit(["c"]);
    stage.wait(1_140);
    stage.edit(["a"]);
    stage.wait(60);
    stage.drain().await;
    // THEN the commit stops at the list's start, and c is found
    stage.tick().await;
    stage.drain().await;
    stage.tick().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_record_edited_every_second_does_not_stall_the_checkpoint() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.sync().await;
    for _ in 0..3 {
        stage.wait(300);
        stage.edit(["a"]);
        stage.tick().await;
        stage.wait(5);
        stage.edit(["a"]);
        stage.drain().await;
    }
    let before = stage.checkpoint().committed;
    stage.tick().await;
    assert!(stage.checkpoint().committed.order() > before.order());
}

#[tokio::test]
async fn stamps_in_a_wrong_zone_do_not_switch_the_clip_off() {
    // GIVEN a vendor whose stamps are read five hours too early
    let vendor = VendorSettings { zone_shift: -5 * 3_600_000, ..VendorSettings::new(ListShape::Whole) };
    let stage = Stage::with(vendor);
    stage.edit(["a", "b", "c"]);
    stage.settle().await;
    stage.edit(["b"]);
    stage.settle().await;
    // WHEN c is edited after the list that told of a, and a again before it is fetched
    stage.edit(["a"]);
    stage.tick().await;
    stage.wait(60);
    stage.edit(["c"]);
    stage.wait(1_140);
    stage.edit(["a"]);
    stage.wait(60);
    stage.drain().await;
    let report = stage.tick().await;
    // THEN the zone is doubted and c is found
    assert!(report.notices.iter().any(|notice| matches!(notice, Notice::ZoneDoubt { .. })), "{report:?}");
    stage.drain().await;
    stage.tick().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_quiet_account_raises_no_doubt_about_its_zone() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.wait(3 * 86_400);
    for _ in 0..6 {
        let report = stage.sync().await;
        assert!(report.notices.iter().all(|notice| !notice.needs_attention()), "{report:?}");
        stage.wait(300);
    }
    stage.edit(["b"]);
    let report = stage.sync().await;
    assert!(report.notices.iter().all(|notice| !notice.needs_attention()), "{report:?}");
}

#[tokio::test]
async fn a_stream_without_stamps_commits_to_its_horizon_less_five_minutes() {
    let mut vendor = VendorSettings::new(ListShape::Whole);
    vendor.stream.stamped = false;
    let stage = Stage::with(vendor);
    stage.edit(["a"]);
    stage.wait(60);
    let listed_at = stage.now();
    stage.sync().await;
    assert_eq!(stage.checkpoint().committed, Position::At(listed_at.minus(Duration::from_mins(5))));
}

#[tokio::test]
async fn a_poison_record_holds_the_checkpoint_while_fresh_records_flow() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b"]);
    stage.settle().await;
    let before = stage.checkpoint().committed;
    // WHEN one record of two is broken
    stage.edit(["bad", "fresh"]);
    let heals_at = stage.now().plus(Duration::from_hours(1));
    stage.world.source.with(|vendor| vendor.poison(&id("bad"), heals_at));
    stage.sync().await;
    let held = stage.checkpoint();
    assert_eq!(stage.quarantined(), ["bad"]);
    assert_eq!(held.committed, before);
    // THEN what comes later is stored, the scan goes on, and the checkpoint waits
    stage.settle().await;
    stage.edit(["b"]);
    stage.sync().await;
    let later = stage.checkpoint();
    assert_eq!(later.committed, held.committed);
    assert!(later.scanned.order() > held.scanned.order());
    assert_eq!(stage.differences(), ["bad"]);
    // and when it heals, it drains by itself
    for _ in 0..40 {
        stage.wait(300);
        stage.sync().await;
    }
    assert_eq!((stage.quarantined(), stage.differences()), (vec![], vec![]));
    let drained = stage.checkpoint();
    assert_eq!(drained.committed, drained.scanned);
}

#[tokio::test]
async fn under_advance_the_checkpoint_goes_on_and_the_quarantine_remembers() {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().poison_policy = tidemark_engine::quarantine::PoisonPolicy::Advance;
    stage.edit(["a", "bad"]);
    let heals_at = stage.now().plus(Duration::from_hours(100));
    stage.world.source.with(|vendor| vendor.poison(&id("bad"), heals_at));
    stage.sync().await;
    let checkpoint = stage.checkpoint();
    assert_eq!((checkpoint.committed == checkpoint.scanned, stage.quarantined()), (true, vec!["bad".to_owned()]));
}

#[tokio::test]
async fn a_long_import_is_not_stale_while_it_moves_and_an_abort_is_no_progress() {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    let all = ids(2_000);
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    for _ in 0..3 {
        stage.wait(900);
        stage.drain().await;
        stage.tick().await;
        let standing = standing(Some(&stage.checkpoint()), stage.now());
        assert!(standing.staleness < Duration::from_mins(1), "{standing:?}");
        assert!(standing.backlog_count > 0);
    }
    let progress = stage.checkpoint().last_progress_at;
    // A chunk is lost: the run is given up.
    stage.world.tables.with(|tables| tables.chunks.clear());
    stage.wait(900);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Aborted);
    assert_eq!(stage.checkpoint().last_progress_at, progress);
    assert!(stage.now() > START);
}

#[tokio::test]
async fn a_first_import_lags_since_it_began_and_not_since_its_first_checkpoint() {
    // GIVEN records of which one cannot be stored, so that the first import never gets complete
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "bad"]);
    stage.world.source.with(|vendor| vendor.poison(&id("bad"), START.plus(Duration::from_hours(1_000))));
    let begun_at = stage.now();
    let lag = || standing(Some(&stage.checkpoint()), stage.now()).lag;
    // WHEN it is under way, and when all but that one is stored
    stage.tick().await;
    stage.wait(600);
    assert_eq!(lag(), stage.now().since(begun_at));
    stage.drain().await;
    stage.tick().await;
    stage.wait(3_600);
    stage.tick().await;
    // THEN it is behind by as much as it has had the time for
    assert_eq!(stage.quarantined(), ["bad"]);
    assert_eq!(lag(), stage.now().since(begun_at));
}
