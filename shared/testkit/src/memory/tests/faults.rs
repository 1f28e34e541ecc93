use tidemark_engine::checkpoint::Position;
use tidemark_engine::ports::{Checkpoints, Written};
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

use crate::memory::{Fault, MemoryTables, Operation};

fn stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("things") }
}

const START: Position = Position::At(UtcMillis::new(0));

#[tokio::test]
async fn a_rejected_call_has_no_effect_and_a_lost_answer_has() {
    let tables = MemoryTables::new();
    tables.faults().push(Operation::Create, Fault::Reject);
    tables.faults().push(Operation::Create, Fault::LoseAnswer);

    tables.create(&stream(), &START).await.expect_err("rejected");
    assert_eq!(tables.load(&stream()).await.expect("a read"), None);
    tables.create(&stream(), &START).await.expect_err("lost");
    assert!(tables.load(&stream()).await.expect("a read").is_some());
    assert_eq!(tables.create(&stream(), &START).await.expect("no fault is left"), Written::Refused);
    assert_eq!(tables.faults().calls(Operation::Create), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn a_held_call_waits_before_or_after_its_effect() {
    let tables = MemoryTables::new();
    for (hold, is_there) in
        [(tables.faults().hold_before(Operation::Create), false), (tables.faults().hold_after(Operation::Create), true)]
    {
        tables.with(|items| items.checkpoints.clear());
        let other = tables.clone();
        let creating = tokio::spawn(async move { other.create(&stream(), &START).await });
        hold.reached().await;
        assert_eq!(tables.load(&stream()).await.expect("a read").is_some(), is_there);
        hold.release();
        let outcome = creating.await.expect("it comes back").expect("no fault");
        assert_eq!(outcome, Written::Applied);
    }
}
