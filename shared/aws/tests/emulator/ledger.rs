use std::collections::BTreeSet;

use tidemark_aws::dynamodb::LedgerTable;
use tidemark_engine::checkpoint::Position;
use tidemark_engine::chunk::{Chunk, ChunkKey, Finish};
use tidemark_engine::ports::{Ledger, Written};
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::SourceKind;
use tidemark_testkit::contract;
use tidemark_testkit::memory::ManualClock;

use crate::cloud::{OwnTable, emulator, names, stream};

const NOW: UtcMillis = UtcMillis::new(1_800_000_000_500);
const NINETY_DAYS: i64 = 90 * 24 * 3_600;

struct Own {
    table: OwnTable,
    port: LedgerTable<ManualClock>,
}

async fn ledger(name: &str) -> Own {
    let sdk = emulator().await;
    let table = OwnTable::new(&sdk, name, "partition", Some("item")).await;
    let port = LedgerTable::new(&sdk, &table.name, ManualClock::hasty(NOW));
    Own { table, port }
}

fn id(text: &str) -> RecordId {
    RecordId::parse(text).expect("it is an id")
}

fn chunk(ids: &[&str]) -> Chunk {
    Chunk::new(
        ChunkKey { stream: stream("jobs"), run: "1-2".to_owned(), seq: 7, epoch: 1_800_000_000_001 },
        UtcMillis::new(5),
        UtcMillis::new(5),
        Position::At(UtcMillis::new(-5)),
        ids.iter().map(|text| id(text)).collect(),
    )
}

#[tokio::test]
async fn the_contract_of_chunks_holds() {
    let own = ledger("chunks").await;
    contract::ledger(&own.port, &stream("customers")).await;
    own.table.gone().await;
}

#[tokio::test]
async fn the_contract_of_the_quarantine_holds() {
    let own = ledger("quarantine").await;
    contract::quarantine(&own.port, &stream("customers")).await;
    own.table.gone().await;
}

#[tokio::test]
async fn the_contract_of_the_shared_state_holds() {
    let own = ledger("shared").await;
    contract::source_state(&own.port, &stream("customers")).await;
    own.table.gone().await;
}

#[tokio::test]
async fn a_chunk_is_kept_where_and_as_long_as_the_design_says() {
    let own = ledger("shape").await;
    let fresh = chunk(&["1", "2"]);
    own.port.put_chunks(std::slice::from_ref(&fresh)).await.expect("it is put");
    let item = own.table.item().await;
    assert_eq!(item["partition"].as_s().map(String::as_str), Ok("run#fieldmotion#jobs#1-2"));
    assert_eq!(item["item"].as_s().map(String::as_str), Ok("chunk#00000007#1800000000001"));
    assert_eq!(item["expires_at"].as_n().map(String::as_str), Ok((1_800_000_000 + NINETY_DAYS).to_string().as_str()));

    let sent_at = UtcMillis::new(1_800_000_700_000);
    assert_eq!(own.port.mark_sent(&fresh.key, sent_at).await.expect("an answer"), Written::Applied);
    let item = own.table.item().await;
    let expires_at = (1_800_000_700 + NINETY_DAYS).to_string();
    assert_eq!(item["expires_at"].as_n(), Ok(&expires_at), "in seconds, and from its sending on");
    own.table.gone().await;
}

#[tokio::test]
async fn empty_sets_vanish_from_a_chunk_that_is_done() {
    let own = ledger("done").await;
    let fresh = chunk(&["1", "2"]);
    own.port.put_chunks(std::slice::from_ref(&fresh)).await.expect("it is put");
    own.port.poison(&fresh.key, &id("2"), "malformed").await.expect("an answer");
    let done = ["1", "2"].map(id).into();
    let finish = Finish { done, stamp: Some(UtcMillis::new(3)), withheld_count: 6, ..Finish::default() };
    assert_eq!(own.port.finish(&fresh.key, &finish).await.expect("an answer"), Written::Applied);

    let item = own.table.item().await;
    assert!(!item.contains_key("pending") && !item.contains_key("poisoned"), "{:?}", names(&item));
    let read = own.port.chunk(&fresh.key).await.expect("an answer").expect("it is there");
    assert!(read.is_done() && read.poisoned.is_empty(), "a reason without its id is no poison");
    assert_eq!((read.withheld_count, read.stamps), (6, BTreeSet::from([UtcMillis::new(3)])));

    let more = Finish { withheld_count: 4, ..Finish::default() };
    assert_eq!(own.port.finish(&fresh.key, &more).await.expect("an answer"), Written::Applied);
    let read = own.port.chunk(&fresh.key).await.expect("an answer").expect("it is there");
    assert_eq!(read.withheld_count, 6, "the largest count counts, in whatever order they come");
    own.table.gone().await;
}

#[tokio::test]
async fn a_long_run_is_read_past_one_answer() {
    let own = ledger("long-run").await;
    // Some 3 MB: DynamoDB answers a query with 1 MB at most.
    let long: Vec<String> = (0..50).map(|n| format!("{n:02}{}", "x".repeat(1_000))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let all: Vec<Chunk> = (0..60)
        .map(|seq| {
            let mut chunk = chunk(&long);
            chunk.key.seq = seq;
            chunk
        })
        .collect();
    own.port.put_chunks(&all).await.expect("they are put");
    let read = own.port.chunks(&stream("jobs"), "1-2", 0, u32::MAX).await.expect("they are read");
    assert!(read == all);
    let few = own.port.chunks(&stream("jobs"), "1-2", 58, 59).await.expect("they are read");
    assert!(few.iter().map(|chunk| chunk.key.seq).eq([58]));
    own.table.gone().await;
}

#[tokio::test]
async fn a_schedule_that_others_took_is_seen() {
    let own = ledger("schedule").await;
    let sdk = emulator().await;
    let other = LedgerTable::new(&sdk, &own.table.name, ManualClock::hasty(NOW));
    let (source, span) = (SourceKind::FieldMotion, std::time::Duration::from_millis(500));
    let late = NOW.shifted(100_000);
    let mut starts = Vec::new();
    for _ in 0..4 {
        for port in [&own.port, &other] {
            let start = port.reserve(source, 2, span, NOW, late).await.expect("an answer").expect("there is room");
            starts.push(start.millis_since(NOW));
        }
    }
    assert_eq!(starts, [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000]);
    let full = NOW.shifted(7_999);
    assert_eq!(own.port.reserve(source, 1, span, NOW, full).await.expect("an answer"), None);
    assert_eq!(other.reserve(source, 1, span, NOW, NOW.shifted(-1)).await.expect("an answer"), None);

    let item = own.table.item().await;
    assert_eq!(names(&item), ["item", "next_free_at", "partition"]);
    assert_eq!(item["next_free_at"].as_n(), Ok(&NOW.shifted(8_000).get().to_string()));
    own.table.gone().await;
}

#[tokio::test]
async fn ending_a_pause_that_never_was_makes_no_item() {
    let own = ledger("resume").await;
    own.port.resume_stream(&stream("jobs")).await.expect("an answer");
    assert!(own.table.items().await.is_empty());
    own.table.gone().await;
}
