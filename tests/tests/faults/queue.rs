//! Faults 15 to 25: the queue and the fetcher.

use std::sync::Arc;

use futures_util::future::join_all;
use tidemark_engine::message::Message;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{Fault, Hold, Operation};
use tidemark_tests::stage::{Stage, ids};

use super::{NOTHING, left};

/// A stage whose only chunk, of three records, is sent; and its message.
async fn one_message() -> (Stage, Arc<Message>) {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "b", "c"]);
    stage.tick().await;
    let message = stage.messages().remove(0);
    (stage, message)
}

#[tokio::test]
async fn five_deliveries_at_once_store_what_one_stores() {
    let stage = Stage::patient(ListShape::Whole);
    stage.edit(["a"]);
    stage.tick().await;
    let message = stage.receive().message;
    // All five have read the chunk and asked the vendor before the first one stores anything.
    let holds: Vec<Hold> = (0..5).map(|_| stage.world.source.faults().hold_after(Operation::Fetch)).collect();
    let together = async {
        for hold in &holds {
            hold.reached().await;
        }
        holds.iter().for_each(Hold::release);
    };
    let fetcher = stage.fetcher();
    let five = join_all((0..5).map(|_| fetcher.fetch(&message, 1, stage.stop_at())));
    let (reports, ()) = tokio::join!(five, together);
    let written: usize = reports.into_iter().map(|report| report.expect("it works").written_count).sum();
    assert_eq!((written, left(&stage)), (1, NOTHING));
}

#[tokio::test]
async fn a_purged_queue_is_filled_again_from_the_ledger() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(150));
    stage.tick().await;
    stage.world.queue.purge();
    stage.wait(2 * 720 + 1);
    assert_eq!(stage.tick().await.sent_count, 6, "three chunks again, and what is listed again");
    stage.drain().await;
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_queue_that_takes_nothing_delays_and_loses_nothing() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(150));
    stage.world.queue.faults().push(Operation::Send, Fault::Reject);
    stage.try_tick().await.unwrap_err();
    stage.wait(300);
    stage.play(8).await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_message_redriven_after_its_chunk_was_finished_is_done_with_at_once() {
    let (stage, message) = one_message().await;
    stage.settle().await;
    let before = stage.checkpoint();
    stage.wait(10 * 86_400);
    stage.details();
    stage.world.queue.put(&message, stage.now());
    let reports = stage.drain().await;
    assert_eq!((reports.len(), reports[0].calls_count, stage.details()), (1, 0, 0));
    assert_eq!((stage.checkpoint(), left(&stage)), (before, NOTHING));
}

#[tokio::test]
async fn a_message_redriven_while_its_chunk_is_open_is_worked_on() {
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
    assert_eq!((left(&stage), stage.details()), (NOTHING, 3));
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn a_message_whose_chunk_is_lost_is_done_with_and_makes_no_call() {
    let (stage, _) = one_message().await;
    stage.tables(|tables| tables.chunks.clear());
    let reports = stage.drain().await;
    assert_eq!((reports[0].calls_count, stage.details(), stage.world.queue.queued_count()), (0, 0, 0));
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
    assert_eq!((reports[0].set_aside.len(), reports[0].written_count), (0, 3));
    assert_eq!(left(&stage), NOTHING);
}
