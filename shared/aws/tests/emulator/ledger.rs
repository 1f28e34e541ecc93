use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tidemark_aws::dynamodb::LedgerTable;
use tidemark_engine::clock::{LocalMillis, StampMillis};
use tidemark_engine::failure::{FailureClass, StoreFailure};
use tidemark_engine::health::Why;
use tidemark_engine::lateness::Lateness;
use tidemark_engine::ports::{Ledger, Written};
use tidemark_engine::position::Position;
use tidemark_engine::record::Body;
use tidemark_engine::stream::SourceKind;
use tidemark_engine::work::{Chunk, ChunkKey, Event, Lane, Next, Reason, RetryEntry, Told, Trying};
use tidemark_testkit::contract;

use crate::cloud::{emulator, id, ledger, names, number, stream, text};

const NOW: LocalMillis = LocalMillis::new(1_800_000_000_500);

fn chunk(ids: &[&str]) -> Chunk {
    let holds = Some(Position::At(StampMillis::new(-5)));
    Chunk {
        key: ChunkKey::new(stream("jobs"), Lane::Fresh, holds.as_ref(), 12, 7),
        holds,
        ids: ids.iter().map(|text| id(text)).collect(),
        listed_at: LocalMillis::new(5),
        next_at: LocalMillis::new(0),
        told: Told::Ids,
        trying: None,
    }
}

#[tokio::test]
async fn the_contract_of_chunks_holds() {
    let (table, port) = ledger(&emulator().await, "chunks").await;
    contract::ledger(&port, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn the_contract_of_the_retry_lane_holds() {
    let (table, port) = ledger(&emulator().await, "retry-lane").await;
    contract::retry_lane(&port, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn the_contract_of_the_shared_state_holds() {
    let (table, port) = ledger(&emulator().await, "shared").await;
    contract::stream_state(&port, &stream("customers")).await;
    contract::source_state(&port, &stream("customers")).await;
    contract::sweeps(&port, &stream("swept")).await;
    table.gone().await;
}

#[tokio::test]
async fn a_chunk_is_kept_as_the_design_says() {
    let (table, port) = ledger(&emulator().await, "chunk-shape").await;
    let event = |deleted| Event { deleted, body: Some(Body::new("{\"n\":1}")) };
    let events = BTreeMap::from([(id("1"), event(true)), (id("2"), event(false))]);
    let fresh = Chunk { told: Told::Events(events), ..chunk(&["1", "2"]) };
    port.put_chunks(std::slice::from_ref(&fresh)).await.expect("it is put");
    let item = table.item().await;
    assert_eq!(
        names(&item),
        ["holds", "item", "listed_at", "listed_zstd", "next_at", "owed", "partition", "told"],
        "and it never expires"
    );
    assert_eq!(text(&item, "partition"), "work#fieldmotion#jobs");
    assert_eq!(text(&item, "item"), "fresh#09223372036854775803#000000000000012#000007");
    // SHA-256 of "1" and "2", 8 bytes each.
    let mut owed: Vec<&[u8]> = item["owed"].as_bs().expect("it is a set").iter().map(AsRef::as_ref).collect();
    owed.sort_unstable();
    assert_eq!(owed, [b"\x6b\x86\xb2\x73\xff\x34\xfc\xe1", b"\xd4\x73\x5e\x3a\x26\x5e\x16\xee"]);
    let packed = item["listed_zstd"].as_b().expect("it is binary").as_ref();
    let json = zstd::decode_all(packed).expect("it is zstd");
    let kept = br#"{"1":{"deleted":true,"body":"{\"n\":1}"},"2":{"deleted":false,"body":"{\"n\":1}"}}"#;
    assert_eq!(json, kept);
    table.gone().await;
}

#[tokio::test]
async fn a_chunk_that_is_paid_off_has_no_ids() {
    let (table, port) = ledger(&emulator().await, "paid").await;
    let event = Event { deleted: false, body: None };
    let events = BTreeMap::from(["1", "2"].map(|text| (id(text), event.clone())));
    let fresh = Chunk { told: Told::Events(events), ..chunk(&["1", "2"]) };
    port.put_chunks(std::slice::from_ref(&fresh)).await.expect("it is put");
    let tried = Next::Tried(Trying { id: id("2"), times: 1 });
    port.finish(&fresh.key, &BTreeSet::from([id("1")]), &tried).await.expect("an answer");
    let (gone, next) = (["1", "2"].map(id).into(), Next::SentAt(LocalMillis::new(9)));
    assert_eq!(port.finish(&fresh.key, &gone, &next).await.expect("an answer"), Written::Applied);

    let item = table.item().await;
    assert!(!item.contains_key("owed") && item.contains_key("listed_zstd"), "{:?}", names(&item));
    let read = port.chunk(&fresh.key).await.expect("an answer").expect("it is there");
    assert_eq!((read.ids, read.told), (BTreeSet::new(), Told::Events(BTreeMap::new())));
    table.gone().await;
}

#[tokio::test]
async fn a_retry_entry_is_kept_as_the_design_says() {
    let (table, port) = ledger(&emulator().await, "entry-shape").await;
    let entry = RetryEntry {
        stream: stream("jobs"),
        id: id("a#b"),
        reason: Reason::SeemsGone,
        cause: "404".to_owned(),
        since: NOW,
        holds: Some(Position::At(StampMillis::new(-5))),
        listed_at: NOW,
        attempts: 0,
        next_at: NOW,
    };
    port.set_aside(&entry).await.expect("an answer");
    let item = table.item().await;
    assert_eq!(
        names(&item),
        ["attempts", "cause", "holds", "id", "item", "listed_at", "next_at", "partition", "reason", "since"]
    );
    assert_eq!((text(&item, "partition"), text(&item, "item")), ("work#fieldmotion#jobs", "retry#a#b"));
    assert_eq!(text(&item, "reason"), "seems_gone");
    table.gone().await;
}

#[tokio::test]
async fn what_is_shared_is_kept_as_the_design_says() {
    let (table, port) = ledger(&emulator().await, "state-shape").await;
    let (jobs, why) = (stream("jobs"), Why { class: FailureClass::Transient, cause: "503".to_owned() });
    port.write_mark(&jobs, "mark").await.expect("an answer");
    port.note_stored(&jobs, NOW, &Lateness::default()).await.expect("an answer");
    port.add_failures(&jobs, 5).await.expect("an answer");
    port.pause_stream(&jobs, NOW, &why).await.expect("an answer");
    let item = table.item().await;
    assert_eq!((text(&item, "partition"), text(&item, "item")), ("work#fieldmotion#jobs", "state"));
    let late = ["late_0", "late_1", "late_2", "late_3", "late_4", "late_5", "late_6", "late_7"];
    let others = ["mark", "open_until", "partition", "why"];
    assert_eq!(names(&item), [["failure_count", "item", "last_stored_at"].as_slice(), &late, &others].concat());
    port.note_stored(&jobs, NOW.shifted(-1), &Lateness::default()).await.expect("an answer");
    assert_eq!(number(&table.item().await, "last_stored_at"), NOW.get().to_string(), "the latest is kept");
    table.gone().await;

    let (table, port) = ledger(&emulator().await, "source-shape").await;
    let minute = Duration::from_mins(1);
    port.pause_source(jobs.source, NOW, minute, &why).await.expect("an answer");
    port.note_bulk(&jobs, NOW).await.expect("an answer");
    port.reserve(jobs.source, 1, minute, NOW, NOW).await.expect("an answer");
    let item = table.item().await;
    assert_eq!((text(&item, "partition"), text(&item, "item")), ("source#fieldmotion", "-"));
    assert_eq!(names(&item), ["bulk", "item", "next_call_at", "open_for_ms", "open_until", "partition", "why"]);
    table.gone().await;
}

#[tokio::test]
async fn a_schedule_that_others_took_is_seen() {
    let sdk = emulator().await;
    let (table, port) = ledger(&sdk, "schedule").await;
    let other = LedgerTable::new(&sdk, &table.name);
    let (source, span) = (SourceKind::FieldMotion, Duration::from_millis(500));
    let late = NOW.shifted(100_000);
    let mut starts = Vec::new();
    for _ in 0..4 {
        for port in [&port, &other] {
            let start = port.reserve(source, 2, span, NOW, late).await.expect("an answer").expect("there is room");
            starts.push(start.millis_since(NOW));
        }
    }
    assert_eq!(starts, [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000]);
    let full = NOW.shifted(7_999);
    assert_eq!(port.reserve(source, 1, span, NOW, full).await.expect("an answer"), None);
    assert_eq!(other.reserve(source, 1, span, NOW, NOW.shifted(-1)).await.expect("an answer"), None);

    let item = table.item().await;
    assert_eq!(names(&item), ["item", "next_call_at", "partition"]);
    assert_eq!(number(&item, "next_call_at"), NOW.shifted(8_000).get().to_string());
    table.gone().await;
}

#[tokio::test]
async fn ending_a_pause_that_never_was_makes_no_item() {
    let (table, port) = ledger(&emulator().await, "resume").await;
    port.resume_stream(&stream("jobs")).await.expect("an answer");
    port.resume_source(SourceKind::FieldMotion).await.expect("an answer");
    assert!(table.items().await.is_empty());
    table.gone().await;
}

#[tokio::test]
async fn an_item_of_another_shape_is_named() {
    let (table, port) = ledger(&emulator().await, "malformed").await;
    port.put_chunks(&[chunk(&["1"])]).await.expect("it is put");
    let mut item = table.item().await;
    item.remove("told");
    table.put(item).await;
    match port.head(&stream("jobs"), Lane::Fresh, 10).await {
        Err(StoreFailure::Malformed { key, cause, .. }) => {
            assert_eq!(cause, "told is missing");
            assert_eq!(key, "work#fieldmotion#jobs / fresh#09223372036854775803#000000000000012#000007");
        }
        other => panic!("{other:?}"),
    }
    table.gone().await;
}
