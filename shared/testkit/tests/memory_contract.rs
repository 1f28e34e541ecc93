//! The memory ports keep the ports' contracts, as the real adapters do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::message::Message;
use tidemark_engine::ports::Clock;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_testkit::contract;
use tidemark_testkit::memory::{Flaw, ManualClock, MemoryQueue, MemoryTables};

const NOW: LocalMillis = LocalMillis::new(1_767_225_600_000);

fn stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("contract") }
}

#[tokio::test]
async fn checkpoints() {
    contract::checkpoints(&MemoryTables::new(), &stream()).await;
}

#[tokio::test]
async fn ledger() {
    contract::ledger(&MemoryTables::new(), &stream()).await;
}

#[tokio::test]
async fn retry_lane() {
    contract::retry_lane(&MemoryTables::new(), &stream()).await;
}

#[tokio::test]
async fn stream_state() {
    contract::stream_state(&MemoryTables::new(), &stream()).await;
}

#[tokio::test]
async fn sweeps() {
    contract::sweeps(&MemoryTables::new(), &stream()).await;
}

#[tokio::test]
async fn source_state() {
    contract::source_state(&MemoryTables::new(), &stream()).await;
}

#[tokio::test]
async fn records() {
    let tables = MemoryTables::new();
    contract::records(&tables, &tables, &stream()).await;
}

#[tokio::test]
async fn stored_versions() {
    let tables = MemoryTables::new();
    contract::stored_versions(&tables, &tables, &stream()).await;
}

struct Receiver {
    queue: MemoryQueue,
    clock: ManualClock,
}

impl contract::Receiver for Receiver {
    async fn take(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        for delivery in self.queue.receive(10) {
            self.queue.delete(&delivery);
            // A message really travels as text.
            let text = serde_json::to_string(&*delivery.message).unwrap_or_default();
            messages.extend(Message::parse(&text));
        }
        messages
    }

    async fn elapse(&self, span: Duration) {
        self.clock.advance(span);
    }
}

#[tokio::test]
async fn queue() {
    let clock = ManualClock::new(NOW);
    let queue = MemoryQueue::new(clock.clone(), Duration::from_mins(12), 8);
    let receiver = Receiver { queue: queue.clone(), clock };
    contract::queue(&queue, &receiver, &stream(), "mark").await;
    assert_eq!(queue.queued_count(), 1, "only the message with the longest delay is left");
    assert!(receiver.clock.now() > NOW);
}

#[test]
fn a_table_with_a_flaw_breaks_the_contract() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for flaw in Flaw::ALL {
        let broken = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let tables = MemoryTables::new();
                tables.with(|items| items.flaw = Some(flaw));
                contract::checkpoints(&tables, &stream()).await;
                contract::ledger(&tables, &stream()).await;
                contract::retry_lane(&tables, &stream()).await;
                contract::records(&tables, &tables, &stream()).await;
            });
        }));
        assert!(broken.is_err(), "{flaw:?} breaks no sentence of the contract");
    }
}
