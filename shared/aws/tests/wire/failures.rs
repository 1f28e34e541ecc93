use std::error::Error;

use serde_json::json;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::cloudwatch::MetricSink;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable, RecordTable, VersionTable};
use tidemark_aws::secrets::SourceSecret;
use tidemark_aws::sqs::SqsQueue;
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::{LocalMillis, StampMillis};
use tidemark_engine::failure::{FailureClass, StoreFailure};
use tidemark_engine::ports::{ChangeQueue, Checkpoints, Credentials, Ledger, Records, Stored, StoredVersions, Written};
use tidemark_engine::position::Position;
use tidemark_engine::record::{Body, Look, RecordId, RecordKey, Seen};
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName, StreamTraits};
use tidemark_testkit::memory::ManualClock;
use tidemark_watch::measurement::Measurements;

use crate::server::{Answer, Server, body, ok, refusal};

const CANARY: &str = "canary-7f3a";

fn stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") }
}

fn clock() -> ManualClock {
    ManualClock::hasty(LocalMillis::new(0))
}

/// A look at a record that holds the canary.
fn look() -> Look {
    Look {
        key: RecordKey { source: SourceKind::FieldMotion, stream: stream().name, id: RecordId::parse("1").unwrap() },
        looked_at: LocalMillis::new(1),
        seen: Seen::Record { body: Body::new(format!("\"{CANARY}\"")), stamp: None, seen_at: None },
        event: None,
        is_stored: false,
    }
}

async fn store(server: &Server) -> Result<Vec<Stored>, StoreFailure> {
    RecordTable::new(&server.sdk().await, "records", clock()).store(&[look()]).await
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
    SourceSecret::new(&server.sdk().await, "the-secret", clock())
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
        ("AccessDeniedException", "Access to KMS is not allowed", FailureClass::SecretLocked),
        ("DecryptionFailure", "can't decrypt", FailureClass::SecretLocked),
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
async fn a_write_whose_answer_was_lost_is_sent_again_as_it_was() {
    let first = Position::At(StampMillis::new(0));
    let traits = StreamTraits { name: stream().name, shape: ListShape::Whole, stamped: true, filtered: true, first };
    let next = Checkpoint { version: 1, ..Checkpoint::first(stream(), &traits, "account".to_owned()) };
    let server = Server::answering([Answer::Lost, refusal(400, "ConditionalCheckFailedException", "no")]);
    let port = CheckpointTable::new(&server.sdk().await, "checkpoints");
    let written = port.store(&next).await.expect("the second try is answered");
    assert_eq!(written, Written::Refused, "which may mean that the first one took effect");
    let requests = server.requests();
    assert_eq!((requests.len(), &requests[0]), (2, &requests[1]));
}

#[tokio::test]
async fn a_schedule_is_read_where_a_refusal_does_not_show_it() {
    let code = "ConditionalCheckFailedException";
    let item = || json!({ "next_call_at": { "N": "77" } });
    let shown = json!({ "__type": code, "message": "no", "Item": item() }).to_string();
    let moved = || ok(|_| json!({ "Attributes": { "next_call_at": { "N": "79" } } }));
    let (second, now, late) = (std::time::Duration::from_millis(2), LocalMillis::new(1), LocalMillis::new(99));

    let server = Server::answering([body(400, &shown), moved()]);
    let port = LedgerTable::new(&server.sdk().await, "ledger");
    let slot = port.reserve(stream().source, 1, second, now, late).await.expect("an answer");
    assert_eq!((slot, server.requests().len()), (Some(LocalMillis::new(77)), 2), "a refusal that shows it is enough");

    let read = ok(move |_| json!({ "Item": item() }));
    let server = Server::answering([refusal(400, code, "no"), read, moved()]);
    let port = LedgerTable::new(&server.sdk().await, "ledger");
    let slot = port.reserve(stream().source, 1, second, now, late).await.expect("an answer");
    assert_eq!((slot, server.requests().len()), (Some(LocalMillis::new(77)), 3));
    assert!(server.requests()[1]["ConsistentRead"].as_bool().unwrap());
}

#[tokio::test]
async fn an_item_that_dynamodb_finds_too_large_is_told_as_such() {
    let size = "Item size to update has exceeded the maximum allowed size";
    let server = Server::answering([refusal(400, "ValidationException", size)]);
    let stored = store(&server).await.expect("an answer");
    assert!(matches!(stored.as_slice(), [Stored::TooLarge(bytes)] if *bytes > 11), "{stored:?}");
}

#[tokio::test]
async fn a_write_that_is_at_fault_shows_nothing_of_the_body() {
    let server = Server::answering([refusal(400, "ValidationException", "a reserved word")]);
    let failure = store(&server).await.expect_err("it is refused");
    assert!(matches!(failure, StoreFailure::Unavailable(..)), "{failure:?}");
    assert!(!everything(&failure).contains(CANARY));
}

#[tokio::test]
async fn a_throttled_write_is_tried_again_before_it_is_a_failure() {
    let throttled = || refusal(400, "ProvisionedThroughputExceededException", "slow down");
    let server = Server::answering([throttled(), ok(|_| json!({}))]);
    assert_eq!(store(&server).await.expect("the second try is answered"), [Stored::Written]);
    assert_eq!(server.requests().len(), 2);

    let server = Server::answering((0..20).map(|_| throttled()));
    let failure = store(&server).await.expect_err("never answered");
    assert!(matches!(failure, StoreFailure::Unavailable(..)), "{failure:?}");
}

#[tokio::test]
async fn requests_alias_every_attribute() {
    let server = Server::answering([ok(|_| json!({}))]);
    store(&server).await.expect("an answer");
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
    let (stream, at) = (stream(), LocalMillis::new(0));
    let ledger = LedgerTable::new(&sdk, "ledger");
    assert_send(CheckpointTable::new(&sdk, "checkpoints").load(&stream));
    assert_send(ledger.put_chunks(&[]));
    assert_send(ledger.reserve(stream.source, 1, std::time::Duration::ZERO, at, at));
    assert_send(ledger.owed(&stream));
    assert_send(RecordTable::new(&sdk, "records", SystemClock).store(&[]));
    assert_send(VersionTable::new(&sdk, "records", SystemClock).versions(&[]));
    assert_send(SqsQueue::new(&sdk, "queue", SystemClock).send(&[]));
    assert_send(SourceSecret::new(&sdk, "secret", SystemClock).fresh_secret());
    assert_send(MetricSink::new(&sdk, "tidemark").publish(&[]));
}
