//! Faults 26 to 31: our own tables.

use std::collections::BTreeSet;

use tidemark_engine::message::Message;
use tidemark_engine::notice::Notice;
use tidemark_engine::ports::Records;
use tidemark_engine::record::{Body, Look, RecordKey, Seen};
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Lane, Reason};
use tidemark_testkit::memory::{Fault, Operation, version_of};
use tidemark_tests::stage::{Stage, id, ids};

use super::{NOTHING, left};

#[tokio::test]
async fn what_a_throttled_table_refused_comes_back_and_nothing_is_quarantined() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(10));
    stage.tick().await;
    stage.world.tables.faults().push(Operation::StoreLooks, Fault::Partly(7));
    stage.fetch(&stage.receive()).await.unwrap_err();
    assert_eq!((stage.differences().len(), stage.retries().len(), stage.owed_count(Lane::Fresh)), (3, 0, 10));
    // What was stored is paid for.
    stage.wait(721);
    stage.drain().await;
    assert_eq!((left(&stage), stage.details()), (NOTHING, 13));
    stage.settle().await;
    assert_eq!(stage.owed_count(Lane::Fresh), 0);
}

#[tokio::test]
async fn a_look_that_finds_a_later_one_counts_as_stored() {
    let stage = Stage::new(ListShape::Pages).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    let stream = stage.stream();
    let body = Body::new("{\"version\":99,\"id\":\"a\"}");
    let later = Look {
        key: RecordKey { source: stream.source, stream: stream.name, id: id("a") },
        looked_at: stage.now().shifted(10_000),
        seen: Seen::Record { body, stamp: None, seen_at: None },
        event: None,
        is_stored: false,
    };
    let delivery = stage.receive();
    let hold = stage.world.tables.faults().hold_before(Operation::StoreLooks);
    let overtaking = async {
        hold.reached().await;
        stage.world.tables.store(&[later]).await.unwrap();
        hold.release();
    };
    let (report, ()) = tokio::join!(stage.fetch(&delivery), overtaking);
    let report = report.unwrap();
    assert_eq!((report.superseded_count, report.left_count, stage.owed_count(Lane::Fresh)), (1, 0, 0));
    assert_eq!(stage.record("a").and_then(|record| version_of(&record.body?)), Some(99));
}

#[tokio::test]
async fn a_record_too_large_to_store_is_set_aside_and_its_neighbours_are_stored() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape).known().await;
        let now = stage.now();
        let body = Body::new(format!("{{\"version\":1,\"notes\":\"{}\"}}", "x".repeat(2 * 1024 * 1024)));
        stage.vendor(|vendor| vendor.edit_to(&id("large"), now, body));
        stage.edit(["small"]);
        stage.tick().await;
        let mut reports = stage.drain().await;
        // A row too long for a message waits as an id.
        stage.tick().await;
        reports.extend(stage.drain().await);
        let set_aside: Vec<_> = reports.iter().flat_map(|report| &report.set_aside).collect();
        let [(set_aside, reason, cause), ..] = &set_aside[..] else { panic!("one is set aside: {reports:?}") };
        assert_eq!((set_aside, *reason, cause.contains("bytes")), (&id("large"), Reason::Unstorable, true), "{cause}");
        assert_eq!((stage.retried(), stage.differences()), (vec!["large".to_owned()], vec!["large".to_owned()]));
        assert!(stage.retries()[0].needs_attention());
        stage.play(4).await;
        assert_eq!((left(&stage), stage.owed_count(Lane::Fresh)), ((1, 1, 0), 0));
    }
}

#[tokio::test]
async fn odd_ids_are_stored_each_under_a_key_of_its_own() {
    let long = "x".repeat(1_024);
    let odd = ["a#b", "a%23b", " ", "🦆", "../../x", "a/b?c=d&e", "007", "7", "\u{202e}", &long];
    for shape in [ListShape::Whole, ListShape::Pages, ListShape::Feed] {
        let stage = Stage::new(shape);
        // A feed's locator is longer than its id.
        let ids = odd.iter().filter(|text| shape != ListShape::Feed || text.len() < 1_000);
        stage.edit(ids.clone());
        stage.settle().await;
        let stored = stage.tables(|tables| tables.records.keys().map(|key| key.id.clone()).collect::<BTreeSet<_>>());
        assert_eq!((left(&stage), stored), (NOTHING, ids.map(|text| id(text)).collect()), "{shape:?}");
    }
}

#[tokio::test]
async fn entries_without_a_usable_id_ask_for_attention_and_the_others_are_stored() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.vendor(|vendor| vendor.unusable_count = 3);
    let report = stage.tick().await;
    let notice = Notice::UnusableIds(3);
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
            stage.vendor(|vendor| vendor.edit_to(&id(&n.to_string()), now, Body::new(*body)));
        }
        stage.tick().await;
        for message in stage.messages() {
            let text = serde_json::to_string(&*message).expect("it can be written");
            assert_eq!(Message::parse(&text).expect("it can be read"), *message);
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
    stage.edit(ids(2_000));
    stage.wait(30 * 3_600);
    stage.tick().await;
    stage.fetch_until(stage.now().plus(std::time::Duration::from_mins(1))).await;
    assert_eq!(left(&stage), NOTHING);
    let calls = stage.world.tables.faults().take_calls();
    let of = |operation| calls.get(&operation).copied().unwrap_or(0);
    // 40 chunks, put by 25 at most and deleted one by one; records are stored by 25 at most.
    assert_eq!([Operation::PutChunks, Operation::DeleteChunk, Operation::StoreLooks].map(of), [2, 40, 80]);
    let others = [Operation::MarkSent, Operation::Finish, Operation::SetAside].map(of);
    assert_eq!(others, [0; 3]);
    assert_eq!(of(Operation::Store), 3, "the lease, the ledger's mark, and the tick");
}
