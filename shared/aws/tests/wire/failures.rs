use std::error::Error;

use serde_json::json;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::cloudwatch::MetricSink;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable, RecordTable, VersionTable};
use tidemark_aws::secrets::SourceSecret;
use tidemark_aws::sqs::SqsQueue;
use tidemark_engine::failure::{FailureClass, StoreFailure};
use tidemark_engine::ports::{
    Acquired, ChangeQueue, Checkpoints, Credentials, Ledger, Measurements, Records, StoredVersions,
};
use tidemark_engine::record::{Body, Record, RecordId, RecordKey};
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_testkit::memory::ManualClock;

use crate::server::{Answer, Server, body, ok, refusal};

const CANARY: &str = "canary-7f3a";

fn stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") }
}

/// All that could be printed of an error.
fn everything(error: &dyn Error) -> String {
    let mut text = format!("{error:?}");
    let mut below = Some(error);
    while let Some(error) = below {
        text = format!("{text} / {error}");
        below = error.source();
    }
    text
}

async fn secret(server: &Server) -> SourceSecret<ManualClock> {
    SourceSecret::new(&server.sdk().await, "the-secret", ManualClock::hasty(UtcMillis::new(0)))
}

#[tokio::test]
async fn no_failure_to_read_a_secret_shows_any_of_it() {
    let spoilt = format!("{{\"Name\":\"the-secret\",\"SecretString\":\"{CANARY}\",\"CreatedDate\":\"{CANARY}");
    let server = Server::answering([body(200, &spoilt), body(200, &spoilt), body(200, &spoilt)]);
    let failure = secret(&server).await.secret().await.expect_err("the answer is cut short");
    assert_eq!(failure.class, FailureClass::Transient);
    let text = everything(&failure);
    assert!(text.contains("the-secret") && !text.contains(CANARY), "{text}");
}

#[tokio::test]
async fn a_readable_secret_cannot_be_printed() {
    let server = Server::answering([ok(|_| json!({ "Name": "the-secret", "SecretString": CANARY }))]);
    let value = secret(&server).await.secret().await.expect("it is read");
    assert!(!format!("{value:?}").contains(CANARY));
}

#[tokio::test]
async fn what_the_service_says_decides_the_class() {
    let cases = [
        ("ResourceNotFoundException", "can't find it", FailureClass::Unauthorized),
        (
            "AccessDeniedException",
            "not authorized to perform: secretsmanager:GetSecretValue",
            FailureClass::Unauthorized,
        ),
        ("AccessDeniedException", "Access to KMS is not allowed", FailureClass::Transient),
        ("DecryptionFailure", "can't decrypt", FailureClass::Transient),
    ];
    for (code, message, class) in cases {
        let server = Server::answering([refusal(400, code, message)]);
        let failure = secret(&server).await.secret().await.expect_err("it is refused");
        assert_eq!(failure.class, class, "{code}: {message}");
        assert!(everything(&failure).contains(code), "the cause is kept");
    }
}

#[tokio::test]
async fn a_failed_read_is_not_remembered() {
    let readable = || ok(|_| json!({ "Name": "the-secret", "SecretString": "{}" }));
    let server = Server::answering([refusal(400, "DecryptionFailure", "can't decrypt"), readable()]);
    let secret = secret(&server).await;
    secret.secret().await.expect_err("it is refused");
    secret.secret().await.expect("it is read");
    secret.secret().await.expect("it is remembered");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_taken_by_the_retry() {
    let held = ok(|request| {
        let owner = &request["ExpressionAttributeValues"][":owner"];
        let start = json!({ "M": { "kind": { "S": "at" }, "order": { "N": "0" }, "text": { "S": "" } } });
        json!({ "Attributes": {
            "stream_key": { "S": "fieldmotion#jobs" }, "committed": start, "scanned": start, "tokens": { "L": [] },
            "schema_version": { "N": "1" }, "epoch": { "N": "12" }, "lease_owner": owner, "lease_until": { "N": "99" },
        } })
    });
    let server = Server::answering([Answer::Lost, held]);
    let port = CheckpointTable::new(&server.sdk().await, "checkpoints");
    let now = UtcMillis::new(1);
    let acquired = port.acquire(&stream(), "me", now, UtcMillis::new(99)).await.expect("the second try is answered");
    assert!(matches!(&acquired, Acquired::Held(state) if state.epoch == 12), "{acquired:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1], "the same write, which its condition lets through twice");
}

#[tokio::test]
async fn a_busy_stream_is_told_from_a_missing_one_without_a_read() {
    let code = "ConditionalCheckFailedException";
    let item = json!({ "schema_version": { "N": "1" }, "lease_until": { "N": "77" } });
    let busy = json!({ "__type": code, "message": "no", "Item": item }).to_string();
    let server = Server::answering([body(400, &busy), refusal(400, code, "no")]);
    let port = CheckpointTable::new(&server.sdk().await, "checkpoints");
    let now = UtcMillis::new(1);
    let acquire = async || port.acquire(&stream(), "me", now, UtcMillis::new(99)).await.expect("an answer");
    assert_eq!(acquire().await, Acquired::Busy(UtcMillis::new(77)));
    assert_eq!(acquire().await, Acquired::Missing);
    assert!(server.requests().iter().all(|request| request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"));
}

#[tokio::test]
async fn an_item_that_dynamodb_finds_too_large_is_large() {
    let size = "Item size to update has exceeded the maximum allowed size";
    let server = Server::answering([refusal(400, "ValidationException", size)]);
    let port = RecordTable::new(&server.sdk().await, "records");
    let record = Record {
        key: RecordKey { source: SourceKind::FieldMotion, stream: stream().name, id: RecordId::parse("1").unwrap() },
        body: Body::new(format!("\"{CANARY}\"")),
        stamp: None,
        fetched_at: UtcMillis::new(1),
        event: None,
    };
    let failure = port.upsert(&record).await.expect_err("it is refused");
    assert!(matches!(failure, StoreFailure::Large { bytes, .. } if bytes > 11), "{failure:?}");
    assert!(!everything(&failure).contains(CANARY));
}

#[tokio::test]
async fn a_throttled_write_is_tried_again_before_it_is_a_failure() {
    let throttled = || refusal(400, "ProvisionedThroughputExceededException", "slow down");
    let record = Record {
        key: RecordKey { source: SourceKind::FieldMotion, stream: stream().name, id: RecordId::parse("1").unwrap() },
        body: Body::new("{}"),
        stamp: None,
        fetched_at: UtcMillis::new(1),
        event: None,
    };
    let server = Server::answering([throttled(), ok(|_| json!({}))]);
    RecordTable::new(&server.sdk().await, "records").upsert(&record).await.expect("the second try is answered");
    assert_eq!(server.requests().len(), 2);

    let server = Server::answering((0..20).map(|_| throttled()));
    let failure = RecordTable::new(&server.sdk().await, "records").upsert(&record).await.expect_err("never answered");
    assert!(matches!(failure, StoreFailure::Unavailable { .. }), "{failure:?}");
}

#[tokio::test]
async fn requests_alias_every_attribute() {
    let server = Server::answering([ok(|_| json!({}))]);
    let port = RecordTable::new(&server.sdk().await, "records");
    let record = Record {
        key: RecordKey { source: SourceKind::FieldMotion, stream: stream().name, id: RecordId::parse("1").unwrap() },
        body: Body::new("{}"),
        stamp: None,
        fetched_at: UtcMillis::new(1),
        event: None,
    };
    port.upsert(&record).await.expect("an answer");
    let request = &server.requests()[0];
    let names = request["ExpressionAttributeNames"].as_object().expect("there are names");
    assert!(
        names.iter().all(|(alias, name)| name.as_str().is_some_and(|name| *alias == format!("#{name}"))),
        "{names:?}"
    );
    let text = format!("{}{}", request["UpdateExpression"], request["ConditionExpression"]);
    for (alias, name) in names {
        let bare = format!(" {}", name.as_str().unwrap_or_default());
        assert!(text.contains(alias.as_str()) && !text.contains(&bare), "{name} stands bare in {text}");
    }
}

#[tokio::test]
async fn calls_may_move_between_threads() {
    fn assert_send(_: impl Send) {}
    let sdk = Server::answering([]).sdk().await;
    let (stream, at) = (stream(), UtcMillis::new(0));
    let ledger = LedgerTable::new(&sdk, "ledger", SystemClock);
    assert_send(CheckpointTable::new(&sdk, "checkpoints").acquire(&stream, "me", at, at));
    assert_send(ledger.put_chunks(&[]));
    assert_send(ledger.reserve(stream.source, 1, std::time::Duration::ZERO, at, at));
    assert_send(VersionTable::new(&sdk, "records", SystemClock).versions(&[]));
    assert_send(SqsQueue::new(&sdk, "queue", SystemClock).send(&[]));
    assert_send(SourceSecret::new(&sdk, "secret", SystemClock).fresh_secret());
    assert_send(MetricSink::new(&sdk).publish(&[]));
}
