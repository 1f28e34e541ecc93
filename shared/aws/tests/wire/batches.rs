use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tidemark_aws::dynamodb::{LedgerTable, VersionTable};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Ledger, StoredVersions};
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Told};
use tidemark_testkit::memory::ManualClock;

use crate::server::{Server, ok, refusal};

fn clock() -> ManualClock {
    ManualClock::hasty(LocalMillis::new(1_800_000_000_000))
}

fn stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") }
}

fn chunk(seq: u32) -> Chunk {
    Chunk {
        key: ChunkKey::new(stream(), Lane::Bulk, None, 3, seq),
        holds: None,
        ids: BTreeSet::from([RecordId::parse("1").expect("it is an id")]),
        listed_at: LocalMillis::new(5),
        next_at: LocalMillis::new(0),
        told: Told::Ids,
        trying: None,
    }
}

/// The sort keys that a batch write was asked to put.
fn put_keys(request: &Value) -> Vec<&str> {
    let puts = request["RequestItems"]["ledger"].as_array().expect("it writes to the ledger");
    puts.iter().filter_map(|put| put["PutRequest"]["Item"]["item"]["S"].as_str()).collect()
}

fn none_left(_: &Value) -> Value {
    json!({ "UnprocessedItems": {} })
}

#[tokio::test]
async fn chunks_left_over_are_put_again_and_no_others() {
    let last_is_left = ok(|request| {
        let puts = request["RequestItems"]["ledger"].as_array().expect("it writes to the ledger");
        json!({ "UnprocessedItems": { "ledger": [puts.last()] } })
    });
    let server = Server::answering([last_is_left, ok(none_left)]);
    let clock = clock();
    let port = LedgerTable::new(&server.sdk().await, "ledger", clock.clone());
    port.put_chunks(&[chunk(0), chunk(1), chunk(2)]).await.expect("all are put in the end");

    let requests = server.requests();
    let asked: Vec<Vec<&str>> = requests.iter().map(put_keys).collect();
    let keys = [0, 1, 2].map(|seq| chunk(seq).key.sort_key());
    assert_eq!(asked, [vec![&*keys[0], &*keys[1], &*keys[2]], vec![&*keys[2]]]);
    assert!(clock.slept() >= Duration::from_millis(25), "not at once: {:?}", clock.slept());
}

#[tokio::test]
async fn a_table_that_takes_nothing_is_unavailable() {
    let script = (0..20).map(|_| ok(|request| json!({ "UnprocessedItems": request["RequestItems"] })));
    let server = Server::answering(script);
    let clock = clock();
    let port = LedgerTable::new(&server.sdk().await, "ledger", clock.clone());
    let answer = port.put_chunks(&[chunk(0)]).await;
    assert!(matches!(answer, Err(StoreFailure::Unavailable("put chunks", _))), "{answer:?}");
    assert_eq!(server.requests().len(), 9, "once and eight times again");
    assert!(clock.slept() < Duration::from_secs(10), "{:?}", clock.slept());
}

#[tokio::test]
async fn chunks_go_in_batches_of_25() {
    let server = Server::answering((0..3).map(|_| ok(none_left)));
    let port = LedgerTable::new(&server.sdk().await, "ledger", clock());
    let chunks: Vec<Chunk> = (0..60).map(chunk).collect();
    port.put_chunks(&chunks).await.expect("they are put");
    assert_eq!(server.requests().iter().map(|request| put_keys(request).len()).collect::<Vec<_>>(), [25, 25, 10]);
}

#[tokio::test]
async fn no_chunks_are_no_call() {
    let server = Server::answering([]);
    let port = LedgerTable::new(&server.sdk().await, "ledger", clock());
    port.put_chunks(&[]).await.expect("nothing to do");
    assert!(port.head(&stream(), Lane::Bulk, 0).await.expect("nothing to read").is_empty());
    assert!(server.requests().is_empty());
}

fn key(id: usize) -> RecordKey {
    let id = RecordId::parse(format!("{id:03}")).expect("it is an id");
    RecordKey { source: stream().source, stream: stream().name, id }
}

fn asked_keys(request: &Value) -> Vec<Value> {
    request["RequestItems"]["records"]["Keys"].as_array().expect("it reads the records").clone()
}

/// What a table answers that has all of `keys`.
fn stored(keys: &[Value]) -> Value {
    let item = |key: &Value| json!({ "partition": key["partition"], "id": key["id"], "fetched_at_ms": { "N": "7" } });
    keys.iter().map(item).collect()
}

#[tokio::test]
async fn keys_left_over_are_read_again_and_no_others() {
    let half = ok(|request| {
        let keys = asked_keys(request);
        let (now, later) = keys.split_at(keys.len() / 2);
        let mut left = request["RequestItems"]["records"].clone();
        left["Keys"] = later.into();
        json!({ "Responses": { "records": stored(now) }, "UnprocessedKeys": { "records": left } })
    });
    let all =
        || ok(|request| json!({ "Responses": { "records": stored(&asked_keys(request)) }, "UnprocessedKeys": {} }));
    let server = Server::answering([half, all(), all()]);
    let port = VersionTable::new(&server.sdk().await, "records", clock());
    let keys: Vec<RecordKey> = (0..130).map(key).collect();
    let found = port.versions(&keys).await.expect("they are read");
    assert_eq!(found.len(), 130);

    let requests = server.requests();
    assert_eq!(requests.iter().map(|request| asked_keys(request).len()).collect::<Vec<_>>(), [100, 50, 30]);
    for request in &requests {
        let wanted = &request["RequestItems"]["records"];
        let names = &wanted["ExpressionAttributeNames"];
        let projected = wanted["ProjectionExpression"].as_str().expect("it is a projection").split(", ");
        let projected: Vec<_> = projected.filter_map(|alias| names[alias].as_str()).collect();
        assert_eq!(projected, ["partition", "id", "last_edited", "fetched_at_ms", "seen_at_ms", "hash", "deleted"]);
        assert_eq!(names.as_object().map(serde_json::Map::len), Some(7), "and nothing else");
    }
}

#[tokio::test]
async fn a_refused_batch_read_is_denied() {
    let server = Server::answering([refusal(400, "AccessDeniedException", "not authorized")]);
    let port = VersionTable::new(&server.sdk().await, "records", clock());
    let answer = port.versions(&[key(1)]).await;
    assert!(matches!(answer, Err(StoreFailure::Denied(..))), "{answer:?}");
}
