//! Faults 15 to 25: the queue and the fetcher.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tidemark_engine::message::Message;
use tidemark_engine::poll::{Notice, PollOutcome};
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{Fault, Hold, Operation};
use tidemark_tests::stage::{Stage, ids};

use super::left;

const NOTHING: (usize, usize, usize) = (0, 0, 0);

/// A stage whose only chunk, of three records, is sent; and its message.
async fn one_message() -> (Stage, Arc<Message>) {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b", "c"]);
    stage.tick().await;
    let message = stage.world.queue.queued().remove(0).message;
    (stage, message)
}

#[tokio::test]
async fn five_deliveries_at_once_store_what_one_stores() {
    let stage = Stage::patient(ListShape::Whole);
    stage.edit(["a"]);
    stage.tick().await;
    let delivery = stage.world.queue.receive(1).pop().expect("it is there");
    // All five have read the chunk and asked the vendor before the first one stores anything.
    let holds: Vec<Hold> = (0..5).map(|_| stage.world.source.faults().hold_after(Operation::Fetch)).collect();
    let together = async {
        for hold in &holds {
            hold.reached().await;
        }
        holds.iter().for_each(Hold::release);
    };
    let stop_at = stage.now().plus(Duration::from_mins(2));
    let fetcher = stage.fetcher();
    let five = join_all((0..5).map(|_| fetcher.fetch(&delivery.message, 1, stop_at)));
    let (reports, ()) = tokio::join!(five, together);
    let reports: Vec<_> = reports.into_iter().map(|report| report.expect("it works")).collect();
    assert!(reports.iter().all(|report| report.acknowledged));
    assert_eq!(reports.iter().map(|report| report.written_count).sum::<usize>(), 1);
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_purged_queue_is_filled_again_from_the_ledger() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(ids(150).iter().map(String::as_str));
    stage.tick().await;
    stage.world.queue.purge();
    stage.wait(3 * 720 + 1);
    assert_eq!(stage.tick().await.sent_count, 3);
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn what_the_queue_did_not_take_is_sent_by_the_next_tick() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(ids(150).iter().map(String::as_str));
    stage.world.queue.faults().push(Operation::Send, Fault::Partly(1));
    assert_eq!(stage.tick().await.sent_count, 1);
    assert_eq!(stage.checkpoint().run.map(|run| (run.accepted, run.sent)), Some((3, 1)));
    assert_eq!(stage.tick().await.sent_count, 2);
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some());
    assert_eq!((left(&stage), stage.details()), (NOTHING, 150));
}

#[tokio::test]
async fn rows_that_the_queue_did_not_take_are_listed_again() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a", "b"]);
    stage.world.queue.faults().push(Operation::Send, Fault::Partly(0));
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.notices.contains(&Notice::ChunkLost)), (PollOutcome::Aborted, true));
    stage.sync().await;
    assert_eq!((left(&stage), stage.details()), (NOTHING, 0));
}

#[tokio::test]
async fn a_message_redriven_after_its_run_was_closed_is_done_with_at_once() {
    let (stage, message) = one_message().await;
    stage.settle().await;
    let before = stage.checkpoint();
    stage.wait(10 * 86_400);
    stage.details();
    stage.world.queue.put(&message, stage.now());
    let reports = stage.drain().await;
    assert_eq!((reports.len(), reports[0].acknowledged, stage.details()), (1, true, 0));
    assert_eq!((stage.checkpoint(), left(&stage)), (before, NOTHING));
}

#[tokio::test]
async fn a_message_redriven_while_its_run_is_open_is_worked_on() {
    // GIVEN a message that was received eight times and never done
    let (stage, _) = one_message().await;
    for _ in 0..9 {
        stage.world.queue.receive(1);
        stage.wait(721);
    }
    assert_eq!(stage.world.queue.dead_count(), 1);
    stage.wait(5 * 86_400);
    stage.world.queue.redrive();
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some());
    assert_eq!((left(&stage), stage.details()), (NOTHING, 3));
}

#[tokio::test]
async fn a_message_whose_chunk_expired_is_done_with_and_makes_no_call() {
    let (stage, _) = one_message().await;
    stage.world.tables.with(|tables| tables.chunks.clear());
    let reports = stage.drain().await;
    assert_eq!((reports[0].acknowledged, stage.details(), stage.world.queue.queued_count()), (true, 0, 0));
    // The run that lost it is listed again.
    assert_eq!(stage.tick().await.outcome, PollOutcome::Aborted);
    stage.sync().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn deliveries_that_never_began_are_no_evidence_of_a_crash() {
    // A throttled function receives a message, starts nothing, and lets it come back.
    let (stage, _) = one_message().await;
    for _ in 0..7 {
        assert_eq!(stage.world.queue.receive(1).len(), 1);
        stage.wait(721);
    }
    let reports = stage.drain().await;
    assert_eq!((reports[0].poisoned.len(), reports[0].written_count), (0, 3));
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(left(&stage), NOTHING);
}
