use std::collections::BTreeSet;

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

#[tokio::test]
async fn chunks_are_put_one_by_one_up_to_the_first_that_fails() {
    let server = Server::answering([ok(|_| json!({})), refusal(400, "AccessDeniedException", "not authorized")]);
    let port = LedgerTable::new(&server.sdk().await, "ledger");
    let answer = port.put_chunks(&[chunk(0), chunk(1), chunk(2)]).await;
    assert!(matches!(answer, Err(StoreFailure::Denied("put chunks", _))), "{answer:?}");
    let asked = server.requests();
    let asked: Vec<_> = asked.iter().map(|request| request["Item"]["item"]["S"].as_str().unwrap_or_default()).collect();
    assert_eq!(asked, [chunk(0).key.sort_key(), chunk(1).key.sort_key()]);
}

#[tokio::test]
async fn no_chunks_are_no_call() {
    let server = Server::answering([]);
    let port = LedgerTable::new(&server.sdk().await, "ledger");
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
