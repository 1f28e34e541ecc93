use tidemark_aws::dynamodb::{RecordTable, VersionTable};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Records, Stored, StoredVersions};
use tidemark_engine::record::{Body, DeletedBecause, Record, RecordId, RecordKey, Tombstone};
use tidemark_engine::stamp::{Stamp, UtcMillis};
use tidemark_testkit::contract;
use tidemark_testkit::memory::ManualClock;

use crate::cloud::{OwnTable, emulator, names, stream};

const KEY: &str = "record_key";

struct Own {
    table: OwnTable,
    port: RecordTable,
    versions: VersionTable<ManualClock>,
}

async fn records(name: &str) -> Own {
    let sdk = emulator().await;
    let table = OwnTable::new(&sdk, name, KEY, None).await;
    let port = RecordTable::new(&sdk, &table.name);
    let versions = VersionTable::new(&sdk, &table.name, ManualClock::hasty(UtcMillis::new(0)));
    Own { table, port, versions }
}

fn key(id: &str) -> RecordKey {
    let stream = stream("customers");
    RecordKey { source: stream.source, stream: stream.name, id: RecordId::parse(id).expect("it is an id") }
}

fn record(id: &str, fetched_at: i64, body: &str) -> Record {
    let stamp = Some(Stamp { text: "2027-01-15 08:00:00".to_owned(), at: UtcMillis::new(1_800_000_000_000) });
    Record { key: key(id), body: Body::new(body), stamp, fetched_at: UtcMillis::new(fetched_at), event: None }
}

#[tokio::test]
async fn the_contract_of_records_holds() {
    let own = records("records").await;
    contract::records(&own.port, &own.versions, &stream("customers")).await;
    own.table.gone().await;
}

#[tokio::test]
async fn the_contract_of_stored_versions_holds() {
    let own = records("versions").await;
    contract::stored_versions(&own.port, &own.versions, &stream("customers")).await;
    own.table.gone().await;
}

#[tokio::test]
async fn a_record_is_kept_as_the_design_says() {
    let own = records("shape").await;
    let body = "{\"id\":\"a#b\", \"price\":1.10}";
    let mut first = record("a#b", 1, body);
    first.event = Some(Body::new("{\"status\":\"UPDATED\"}"));
    assert_eq!(own.port.upsert(&first).await.expect("an answer"), Stored::Written);

    let item = own.table.item().await;
    let expected = [
        "body",
        "event",
        "fetched_at_ms",
        "hash",
        "id",
        "last_edited",
        "last_edited_ms",
        "record_key",
        "schema_version",
        "source",
        "stream",
    ];
    assert_eq!(names(&item), expected);
    assert_eq!(item[KEY].as_s().map(String::as_str), Ok("fieldmotion#customers#a%23b"));
    assert_eq!(item["body"].as_s().map(String::as_str), Ok(body), "byte for byte");
    assert_eq!(item["last_edited"].as_s().map(String::as_str), Ok("2027-01-15 08:00:00"));
    assert_eq!(item["hash"].as_b().map(|hash| hash.as_ref().to_vec()), Ok(first.body.fingerprint().0.to_vec()));
    own.table.gone().await;
}

#[tokio::test]
async fn a_body_is_plain_or_compressed_and_never_both() {
    let own = records("bodies").await;
    let long = format!("\"{}\"", "long ä🦆 ".repeat(40_000));
    let bodies = ["\"short\"", &long, "\"short again\""];
    for (fetched_at, body) in (1..).zip(bodies) {
        let stored = own.port.upsert(&record("1", fetched_at, body)).await.expect("an answer");
        assert_eq!(stored, Stored::Written);
        let item = own.table.item().await;
        if body.len() > 300 * 1024 {
            let compressed = item["body_zstd"].as_b().expect("it is binary").as_ref();
            let back = zstd::bulk::decompress(compressed, body.len()).expect("it is zstd");
            assert!(back == body.as_bytes() && !item.contains_key("body"));
        } else {
            assert_eq!(item["body"].as_s().map(String::as_str), Ok(body));
            assert!(!item.contains_key("body_zstd"));
        }
    }
    own.table.gone().await;
}

#[tokio::test]
async fn a_tombstone_keeps_the_body_and_a_return_removes_it() {
    let own = records("tombstones").await;
    let because = DeletedBecause::Announced;
    let event = Some(Body::new("{\"status\":\"DELETED\"}"));
    let gone = Tombstone { key: key("1"), fetched_at: UtcMillis::new(2), because, event };
    assert_eq!(own.port.tombstone(&gone).await.expect("an answer"), Stored::Written, "also of an unseen record");
    let item = own.table.item().await;
    let expected = [
        "deleted",
        "deleted_because",
        "event",
        "fetched_at_ms",
        "id",
        "record_key",
        "schema_version",
        "source",
        "stream",
    ];
    assert_eq!(names(&item), expected);
    assert_eq!(item["deleted_because"].as_s().map(String::as_str), Ok("announced"));

    assert_eq!(own.port.upsert(&record("1", 3, "[1]")).await.expect("an answer"), Stored::Written);
    let item = own.table.item().await;
    assert!(!item.contains_key("deleted") && !item.contains_key("deleted_because"));
    assert!(item.contains_key("event"), "the newest event that is known stays");

    let gone = Tombstone { fetched_at: UtcMillis::new(4), event: None, ..gone };
    assert_eq!(own.port.tombstone(&gone).await.expect("an answer"), Stored::Written);
    let item = own.table.item().await;
    assert_eq!(item["body"].as_s().map(String::as_str), Ok("[1]"));
    assert_eq!(item["last_edited_ms"].as_n().map(String::as_str), Ok("1800000000000"));
    own.table.gone().await;
}

#[tokio::test]
async fn keys_that_cannot_be_kept_spoil_nothing_else() {
    let own = records("keys").await;
    let long = "#".repeat(1_000);
    let answer = own.port.upsert(&record(&long, 1, "[1]")).await;
    assert!(matches!(answer, Err(StoreFailure::Large { .. })), "{answer:?}");

    own.port.upsert(&record("1", 1, "[1]")).await.expect("an answer");
    let found = own.versions.versions(&[key("1"), key(&long), key("1"), key("2")]).await.expect("an answer");
    assert_eq!(found.keys().collect::<Vec<_>>(), [&key("1")], "nor does a key given twice");
    own.table.gone().await;
}
