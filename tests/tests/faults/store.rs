//! Faults 26 to 31: our own tables.

use std::collections::BTreeSet;

use tidemark_engine::message::Message;
use tidemark_engine::poll::Notice;
use tidemark_engine::ports::Records;
use tidemark_engine::record::{Body, Record, RecordKey};
use tidemark_engine::stamp::Stamp;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::{Fault, Operation, version_of};
use tidemark_tests::stage::{Stage, id, ids};

use super::left;

const NOTHING: (usize, usize, usize) = (0, 0, 0);

#[tokio::test]
async fn what_a_throttled_table_refused_is_parked_and_stored_later_and_nothing_is_quarantined() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(ids(10).iter().map(String::as_str));
    stage.tick().await;
    stage.world.tables.faults().push_times(Operation::Upsert, &Fault::Reject, 3);
    let reports = stage.drain().await;
    let report = &reports[0];
    assert_eq!((report.written_count, report.left_count, report.poisoned.len()), (7, 3, 0));
    assert!(report.acknowledged, "the ledger knows what is left: no receive is spent on it");
    assert_eq!(stage.tick().await.sent_count, 1);
    stage.drain().await;
    assert!(stage.tick().await.committed.is_some());
    assert_eq!((left(&stage), stage.details()), (NOTHING, 13));
}

#[tokio::test]
async fn a_version_that_finds_a_newer_one_counts_as_stored() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.tick().await;
    let stream = stage.stream();
    let at = stage.now().shifted(10_000);
    let newer = Record {
        key: RecordKey { source: stream.source, stream: stream.name, id: id("a") },
        body: Body::new("{\"version\":99,\"id\":\"a\"}"),
        stamp: Some(Stamp { text: "later".to_owned(), at }),
        fetched_at: at,
        event: None,
    };
    stage.world.tables.upsert(&newer).await.unwrap();
    let reports = stage.drain().await;
    assert_eq!((reports[0].superseded_count, reports[0].left_count, reports[0].acknowledged), (1, 0, true));
    assert!(stage.tick().await.committed.is_some());
    assert_eq!(stage.record("a").and_then(|record| version_of(&record.body?)), Some(99));
}

#[tokio::test]
async fn a_record_too_large_to_store_is_quarantined_and_its_neighbours_are_stored() {
    let stage = Stage::new(ListShape::Whole);
    let now = stage.now();
    let body = Body::new(format!("{{\"version\":1,\"notes\":\"{}\"}}", "x".repeat(2 * 1024 * 1024)));
    stage.world.source.with(|vendor| vendor.edit_to(&id("large"), now, body));
    stage.edit(["small"]);
    stage.tick().await;
    let reports = stage.drain().await;
    let [(set_aside, reason)] = &reports[0].poisoned[..] else { panic!("one is set aside: {reports:?}") };
    assert_eq!((set_aside, reason.contains("too large")), (&id("large"), true), "{reason}");
    let report = stage.tick().await;
    assert!(report.notices.contains(&Notice::Quarantined { count: 1 }), "{report:?}");
    assert_eq!((stage.quarantined(), stage.differences()), (vec!["large".to_owned()], vec!["large".to_owned()]));
    assert_eq!(stage.world.queue.dead_count(), 0);
}

#[tokio::test]
async fn odd_ids_are_stored_each_under_a_key_of_its_own() {
    let long = "x".repeat(1_024);
    let odd = ["a#b", "a%23b", " ", "🦆", "../../x", "a/b?c=d&e", "007", "7", "\u{202e}", &long];
    let stage = Stage::new(ListShape::Whole);
    stage.edit(odd);
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
    let keys: BTreeSet<String> =
        stage.world.tables.with(|tables| tables.records.keys().map(ToString::to_string).collect());
    assert_eq!(keys.len(), odd.len());
    assert!(keys.iter().all(|key| key.matches('#').count() == 2 && key.is_ascii()), "{keys:?}");
}

#[tokio::test]
async fn entries_without_a_usable_id_ask_for_attention_and_the_others_are_stored() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.world.source.with(|vendor| vendor.unusable_count = 3);
    let report = stage.tick().await;
    let notice = Notice::UnusableIds { count: 3 };
    assert_eq!((notice.needs_attention(), report.notices.contains(&notice)), (true, true), "{report:?}");
    stage.settle().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn odd_json_is_stored_byte_for_byte_fetched_or_listed() {
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let odd = [&deep, "{\"n\":1e400}", "{\"a\":1,\"a\":2}", "{\"x\":\"\\ud800\"}", "{ \"price\":1.10 ,\"n\":-0}"];
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape);
        let now = stage.now();
        for (n, body) in odd.iter().enumerate() {
            stage.world.source.with(|vendor| vendor.edit_to(&id(&n.to_string()), now, Body::new(*body)));
        }
        stage.tick().await;
        for queued in stage.world.queue.queued() {
            let text = serde_json::to_string(&*queued.message).expect("it can be written");
            assert_eq!(Message::parse(&text).expect("it can be read"), *queued.message);
        }
        stage.drain().await;
        for (n, body) in odd.iter().enumerate() {
            let stored = stage.record(&n.to_string()).and_then(|record| record.body);
            assert_eq!(stored.as_ref().map(Body::text), Some(*body), "{shape:?}");
        }
    }
}

#[tokio::test]
async fn an_import_writes_to_its_streams_partition_twice_a_chunk_and_not_once_a_record() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(ids(2_000).iter().map(String::as_str));
    stage.tick().await;
    stage.wait(60);
    stage.drain().await;
    assert_eq!(left(&stage), NOTHING);
    let calls = stage.world.tables.faults().take_calls();
    let of = |operation| calls.get(&operation).copied().unwrap_or(0);
    let chunks = stage.world.tables.with(|tables| tables.chunks.len());
    assert_eq!((chunks, of(Operation::Finish), of(Operation::Upsert)), (40, 40, 2_000));
    let single = [Operation::MarkSent, Operation::Poison, Operation::MarkTrying].map(of);
    assert_eq!(single, [0, 0, 0]);
    assert_eq!(of(Operation::Store), 1 + 4 + 1, "the run begun, ten chunks accepted at a time, sealed");
}
