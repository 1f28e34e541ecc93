use std::time::Duration;

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::{LocalMillis, StampMillis};
use tidemark_engine::ports::{Checkpoints, Ledger, Records, Stored, StoredVersions, Written};
use tidemark_engine::position::Position;
use tidemark_engine::record::{Body, DeletedBecause, Look, RecordId, RecordKey, Seen};
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName};

use crate::memory::{Fault, MemoryTables, Operation, VendorSettings};

fn stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("things") }
}

fn first() -> Checkpoint {
    Checkpoint::first(stream(), &VendorSettings::new(ListShape::Whole).stream, "account".to_owned())
}

fn second(scanned: i64) -> Checkpoint {
    Checkpoint { version: 1, scanned: Position::At(StampMillis::new(scanned)), ..first() }
}

fn look(text: &str, looked_at: i64) -> Look {
    let id = RecordId::parse(text).expect("an id");
    let key = RecordKey { source: SourceKind::FieldMotion, stream: StreamName::known("things"), id };
    let seen = Seen::Record { body: Body::new("[1]"), stamp: None, seen_at: None };
    let event = Some(Body::new("{}"));
    Look { key, looked_at: LocalMillis::new(looked_at), seen, event, is_stored: false }
}

async fn looked_at(tables: &MemoryTables, look: &Look) -> Option<i64> {
    let found = tables.versions(std::slice::from_ref(&look.key)).await.expect("a read");
    found.get(&look.key).map(|version| version.looked_at.get())
}

#[tokio::test]
async fn a_rejected_call_has_no_effect_and_a_lost_answer_has() {
    let tables = MemoryTables::new();
    tables.faults().push(Operation::Create, Fault::Reject);
    tables.faults().push(Operation::Create, Fault::LoseAnswer);

    tables.create(&first()).await.expect_err("rejected");
    assert_eq!(tables.load(&stream()).await.expect("a read"), None);
    tables.create(&first()).await.expect_err("lost");
    assert!(tables.load(&stream()).await.expect("a read").is_some());
    assert_eq!(tables.create(&first()).await.expect("no fault is left"), Written::Refused);
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
        let creating = tokio::spawn(async move { other.create(&first()).await });
        hold.reached().await;
        assert_eq!(tables.load(&stream()).await.expect("a read").is_some(), is_there);
        hold.release();
        let outcome = creating.await.expect("it comes back").expect("no fault");
        assert_eq!(outcome, Written::Applied);
    }
}

#[tokio::test]
async fn a_write_may_land_twice_and_changes_nothing_the_second_time() {
    let tables = MemoryTables::new();
    tables.create(&first()).await.expect("created");
    tables.faults().push(Operation::Store, Fault::LandTwice);
    assert_eq!(Checkpoints::store(&tables, &second(5)).await.expect("stored"), Written::Applied);
    let third = Checkpoint { version: 2, ..second(9) };
    assert_eq!(Checkpoints::store(&tables, &third).await.expect("stored"), Written::Applied);
    tables.land_kept();
    assert_eq!(tables.load(&stream()).await.expect("a read"), Some(third));
}

#[tokio::test]
async fn a_write_that_failed_may_land_late() {
    let tables = MemoryTables::new();
    tables.create(&first()).await.expect("created");
    tables.faults().push(Operation::Store, Fault::LandLate);
    Checkpoints::store(&tables, &second(5)).await.expect_err("of unknown outcome");
    assert_eq!(tables.load(&stream()).await.expect("a read"), Some(first()));
    tables.land_kept();
    assert_eq!(tables.load(&stream()).await.expect("a read"), Some(second(5)));

    tables.faults().push(Operation::AddFailures, Fault::LandTwice);
    assert_eq!(tables.add_failures(&stream(), 2).await.expect("counted"), 2);
    tables.land_kept();
    let state = tables.stream_state(&stream()).await.expect("a read");
    assert_eq!(state.breaker.failure_count, 4, "what is not idempotent counts twice");
}

#[tokio::test]
async fn a_batch_may_be_stored_in_part() {
    let tables = MemoryTables::new();
    tables.faults().push(Operation::StoreLooks, Fault::Partly(1));
    let looks = [look("1", 10), look("2", 10)];
    Records::store(&tables, &looks).await.expect_err("some are missing");
    assert_eq!((looked_at(&tables, &looks[0]).await, looked_at(&tables, &looks[1]).await), (Some(10), None));
    let answers = Records::store(&tables, &looks).await.expect("no fault is left");
    assert_eq!(answers, [Stored::Superseded, Stored::Written]);
}

#[tokio::test]
async fn a_read_that_lags_shows_what_was_there_before_the_last_write() {
    let tables = MemoryTables::new();
    let (early, late) = (look("1", 10), look("1", 20));
    for (look, shown) in [(&early, None), (&late, Some(10))] {
        Records::store(&tables, std::slice::from_ref(look)).await.expect("stored");
        tables.faults().push(Operation::Versions, Fault::Stale);
        assert_eq!(looked_at(&tables, look).await, shown);
    }
    assert_eq!(looked_at(&tables, &late).await, Some(20));
}

#[tokio::test]
async fn a_record_keeps_its_newest_event() {
    let tables = MemoryTables::new();
    let event = |tables: &MemoryTables| tables.with(|items| items.records.values().next()?.event.clone());
    let plain = Look { event: None, ..look("1", 20) };
    let gone = Look { seen: Seen::Gone(DeletedBecause::Vanished), event: None, ..look("1", 30) };
    let announced = Look { event: Some(Body::new("[2]")), looked_at: LocalMillis::new(40), ..gone.clone() };
    for (look, expected) in [(look("1", 10), "{}"), (plain, "{}"), (gone, "{}"), (announced, "[2]")] {
        Records::store(&tables, &[look]).await.expect("stored");
        assert_eq!(event(&tables), Some(Body::new(expected)));
    }
}

#[tokio::test]
async fn a_lost_ledger_leaves_checkpoints_and_records() {
    let tables = MemoryTables::new();
    tables.create(&first()).await.expect("created");
    Records::store(&tables, &[look("1", 10)]).await.expect("stored");
    tables.write_mark(&stream(), "mark").await.expect("written");
    let (now, late) = (LocalMillis::new(0), LocalMillis::new(60_000));
    let reserve = async || tables.reserve(SourceKind::FieldMotion, 1, Duration::from_secs(2), now, late).await;
    assert_eq!(reserve().await.expect("a slot"), Some(now));
    tables.with(crate::memory::Tables::lose_ledger);
    assert_eq!(tables.stream_state(&stream()).await.expect("a read").mark, None);
    assert_eq!(reserve().await.expect("a slot"), Some(now));
    assert_eq!(tables.load(&stream()).await.expect("a read"), Some(first()));
    assert_eq!(tables.with(|items| items.records.len()), 1);
}
