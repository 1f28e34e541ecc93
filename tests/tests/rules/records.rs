//! Rule 2 (order of records) and rule 3 (a row is dated by the start of its page's call).

use std::collections::{BTreeMap, BTreeSet};

use tidemark_engine::checkpoint::Position;
use tidemark_engine::chunk::{Chunk, ChunkKey};
use tidemark_engine::message::{MESSAGE_VERSION, Message, Row};
use tidemark_engine::poll::Notice;
use tidemark_engine::ports::{Ledger, Records};
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::{Body, DeletedBecause, Record, RecordKey, Tombstone};
use tidemark_engine::stamp::{Stamp, UtcMillis};
use tidemark_engine::stream::{ListShape, StreamName};
use tidemark_testkit::memory::version_of;
use tidemark_tests::stage::{Stage, id};

#[tokio::test]
async fn of_two_edits_in_one_second_the_one_fetched_later_is_kept() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.sync().await;
    stage.wait(300);
    stage.edit(["a"]);
    stage.tick().await;
    stage.drain().await;
    // The second edit bears the same stamp as the first.
    stage.edit(["a"]);
    stage.wait(300);
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_row_that_waited_does_not_overwrite_a_newer_fetch_of_the_same_stamp() {
    // GIVEN a record fetched at 2000, and a row of the same stamp that was listed at 1000 and waited in the queue
    let stage = Stage::new(ListShape::Pages);
    let stamp = Stamp { text: "500".to_owned(), at: UtcMillis::new(500) };
    let body = |version: u64| Body::new(format!("{{\"version\":{version},\"id\":\"a\"}}"));
    let stream = stage.stream();
    let key = RecordKey { source: stream.source, stream: stream.name.clone(), id: id("a") };
    let fetched_at = UtcMillis::new(2_000);
    let newer = Record { key, body: body(2), stamp: Some(stamp.clone()), fetched_at, event: None };
    stage.world.tables.upsert(&newer).await.unwrap();
    let chunk_key = ChunkKey { stream: stream.clone(), run: "r".to_owned(), seq: 0, epoch: 1 };
    let chunk = Chunk {
        has_rows: true,
        ..Chunk::new(
            chunk_key,
            UtcMillis::new(1_000),
            UtcMillis::new(1_000),
            Position::At(UtcMillis::new(0)),
            BTreeSet::from([id("a")]),
        )
        .sent(Some(UtcMillis::new(1_000)))
    };
    stage.world.tables.put_chunks(&[chunk]).await.unwrap();
    let message = Message {
        version: MESSAGE_VERSION,
        source: stream.source,
        stream: stream.name,
        run: "r".to_owned(),
        seq: 0,
        epoch: 1,
        ids: vec![id("a")],
        listed_at: UtcMillis::new(1_000),
        rows: BTreeMap::from([(id("a"), Row { body: body(1), stamp: Some(stamp) })]),
        events: BTreeMap::new(),
    };
    // WHEN it is processed, much later
    let stop_at = stage.now().shifted(60_000);
    let report = stage.fetcher().fetch(&message, 1, stop_at).await.unwrap();
    // THEN the newer fetch stays
    assert_eq!((report.superseded_count, report.acknowledged), (1, true));
    assert_eq!(stage.record("a").and_then(|record| version_of(&record.body?)), Some(2));
}

#[tokio::test]
async fn a_tombstone_of_an_unseen_record_does_not_refuse_later_versions() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b"]);
    stage.tick().await;
    stage.delete(["a"]);
    stage.drain().await;
    assert!(stage.record("a").is_some_and(|record| record.deleted.is_some()));
    stage.wait(300);
    stage.edit(["a"]);
    stage.tick().await;
    stage.drain().await;
    stage.tick().await;
    stage.drain().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_version_without_a_stamp_keeps_the_stored_stamp_and_gives_way_to_later_ones() {
    let stage = Stage::new(ListShape::Whole);
    let stream = stage.stream();
    let record = |version: u64, fetched_at: i64, stamp: Option<i64>| Record {
        key: RecordKey { source: stream.source, stream: stream.name.clone(), id: id("a") },
        body: Body::new(format!("{{\"version\":{version},\"id\":\"a\"}}")),
        stamp: stamp.map(|at| Stamp { text: at.to_string(), at: UtcMillis::new(at) }),
        fetched_at: UtcMillis::new(fetched_at),
        event: None,
    };
    let stored = || stage.record("a").map(|r| (r.body.as_ref().and_then(version_of), r.stamp.map(|s| s.at.get())));
    for (incoming, expected) in [
        (record(1, 100, None), (Some(1), None)),
        (record(2, 200, Some(50)), (Some(2), Some(50))),
        (record(3, 300, None), (Some(3), Some(50))),
        (record(4, 250, None), (Some(3), Some(50))),
        (record(5, 400, Some(40)), (Some(3), Some(50))),
        (record(6, 400, Some(60)), (Some(6), Some(60))),
    ] {
        stage.world.tables.upsert(&incoming).await.unwrap();
        assert_eq!(stored(), Some(expected));
    }
}

#[tokio::test]
async fn a_stamp_far_in_the_future_does_not_refuse_later_versions() {
    // GIVEN a vendor that shows a record stamped in 2099, then corrects it
    let stage = Stage::new(ListShape::Whole);
    let far = stage.now().shifted(73 * 365 * 86_400_000);
    let ahead = i64::try_from(far.since(stage.now()).as_millis()).unwrap();
    stage.world.source.with(|vendor| vendor.settings.zone_shift = ahead);
    stage.edit(["a"]);
    stage.tick().await;
    let reports = stage.drain().await;
    assert!(reports[0].notices.contains(&Notice::FutureStamp { ahead_ms: ahead }), "{reports:?}");
    stage.world.source.with(|vendor| vendor.settings.zone_shift = 0);
    // WHEN it is edited again
    stage.wait(300);
    stage.edit(["a"]);
    stage.settle().await;
    // THEN the true stamp counts
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_late_store_of_an_early_fetch_does_not_undo_a_tombstone() {
    let stage = Stage::new(ListShape::Whole);
    let stream = stage.stream();
    let key = RecordKey { source: stream.source, stream: stream.name.clone(), id: id("a") };
    let record = |stamp: i64, fetched_at: i64| Record {
        key: key.clone(),
        body: Body::new("{}"),
        stamp: Some(Stamp { text: stamp.to_string(), at: UtcMillis::new(stamp) }),
        fetched_at: UtcMillis::new(fetched_at),
        event: None,
    };
    let because = DeletedBecause::Vanished;
    let tombstone = Tombstone { key: key.clone(), fetched_at: UtcMillis::new(200), because, event: None };
    stage.world.tables.upsert(&record(10, 50)).await.unwrap();
    stage.world.tables.tombstone(&tombstone).await.unwrap();
    stage.world.tables.upsert(&record(20, 100)).await.unwrap();
    assert!(stage.record("a").is_some_and(|record| record.deleted.is_some()));
    stage.world.tables.upsert(&record(20, 300)).await.unwrap();
    assert!(stage.record("a").is_some_and(|record| record.deleted.is_none()));
}

#[tokio::test]
async fn a_deletion_that_waited_in_quarantine_does_not_delete_a_record_that_came_back() {
    // GIVEN a feed's record that is there, and an announcement of its deletion in quarantine
    let stage = Stage::new(ListShape::Feed);
    stage.edit(["a"]);
    stage.settle().await;
    let stream = stage.stream();
    let entry = Quarantined {
        stream: stream.clone(),
        id: id("-widgets/a"),
        reason: "a test put it here".to_owned(),
        since: stage.now(),
        held_checkpoint: stage.checkpoint().committed,
        attempts: 0,
        next_at: stage.now(),
    };
    stage.world.tables.quarantine(&entry).await.unwrap();
    // WHEN its time comes
    stage.wait(300);
    stage.sync().await;
    // THEN the vendor was asked, and the record stays
    assert_eq!(stage.quarantined(), Vec::<String>::new());
    let key = RecordKey { source: stream.source, stream: StreamName::known("widgets"), id: id("a") };
    let stored = stage.world.tables.with(|tables| tables.records.get(&key).cloned()).unwrap();
    assert_eq!((stored.deleted, stored.body.as_ref().and_then(version_of)), (None, Some(1)));
}
