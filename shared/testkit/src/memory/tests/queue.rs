use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::message::{Message, Work};
use tidemark_engine::ports::{ChangeQueue, Outgoing};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{ChunkKey, Lane};

use crate::memory::{Delivery, Fault, ManualClock, MemoryQueue, Operation, Redelivery};

const VISIBILITY: Duration = Duration::from_mins(1);

fn messages(count: u32) -> Vec<Outgoing> {
    let stream = StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("things") };
    let key = |seq| ChunkKey::new(stream.clone(), Lane::Fresh, None, 1, seq);
    let message = |seq| Message::of_chunk(&key(seq), Vec::new(), BTreeMap::new(), "account");
    (0..count).map(|seq| Outgoing { message: message(seq), delay: Duration::ZERO }).collect()
}

fn seqs(queue: &MemoryQueue) -> Vec<u32> {
    let seq = |delivery: &Delivery| match delivery.message.work() {
        Some(Work::Chunk(key)) => Some(key.seq),
        Some(Work::Retry) | None => None,
    };
    queue.receive(10).iter().filter_map(seq).collect()
}

fn queue() -> (MemoryQueue, ManualClock) {
    let clock = ManualClock::new(LocalMillis::new(0));
    (MemoryQueue::new(clock.clone(), VISIBILITY, 3), clock)
}

#[tokio::test]
async fn a_message_comes_back_until_it_is_deleted() {
    let (queue, clock) = queue();
    queue.send(&messages(1)).await.expect("sent");
    let first = queue.receive(10);
    assert_eq!(first.len(), 1);
    assert!(queue.receive(10).is_empty(), "it is invisible");
    clock.advance(VISIBILITY);
    let second = queue.receive(10);
    assert_eq!(second.first().map(|delivery| delivery.receive_count), Some(2));
    for delivery in &first {
        queue.delete(delivery);
    }
    assert_eq!(queue.queued_count(), 1, "an old receipt deletes nothing");
    for delivery in &second {
        queue.delete(delivery);
    }
    assert_eq!(queue.queued_count(), 0);
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letters_and_can_be_redriven() {
    let (queue, clock) = queue();
    queue.send(&messages(1)).await.expect("sent");
    for _ in 0..3 {
        assert_eq!(queue.receive(10).len(), 1);
        clock.advance(VISIBILITY);
    }
    assert!(queue.receive(10).is_empty());
    assert_eq!((queue.queued_count(), queue.dead_count()), (0, 1));
    queue.redrive();
    assert_eq!(queue.dead_count(), 0);
    assert_eq!(queue.receive(10).first().map(|delivery| delivery.receive_count), Some(1));
}

#[tokio::test]
async fn fates_befall_messages_in_the_order_they_are_sent() {
    let (queue, clock) = queue();
    queue.fate(Redelivery::Lost);
    queue.fate(Redelivery::Twice);
    queue.fate(Redelivery::Late(Duration::from_secs(5)));
    assert_eq!(queue.send(&messages(4)).await.expect("accepted"), 4);
    assert_eq!(seqs(&queue), [1, 1, 3]);
    clock.advance(Duration::from_secs(5));
    assert_eq!(seqs(&queue), [2]);
}

#[tokio::test]
async fn a_send_may_be_taken_in_part_or_be_of_unknown_outcome() {
    let (queue, _) = queue();
    queue.faults().push(Operation::Send, Fault::Partly(2));
    queue.faults().push(Operation::Send, Fault::LoseAnswer);
    assert_eq!(queue.send(&messages(3)).await.expect("some"), 2);
    queue.send(&messages(1)).await.expect_err("unknown");
    assert_eq!(queue.queued_count(), 3);
}
