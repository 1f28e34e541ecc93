use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tidemark_aws::sqs::{DeadLetters, SqsQueue};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::message::{Message, Row, Work};
use tidemark_engine::ports::{ChangeQueue, Outgoing};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{ChunkKey, Lane};
use tidemark_testkit::memory::ManualClock;

use crate::server::{Answer, Server, ok, refusal};

fn message(seq: u32, row_bytes: usize, delay: Duration) -> Outgoing {
    let id = RecordId::parse("1").expect("it is an id");
    let row = Row { body: Body::new(format!("\"{}\"", "x".repeat(row_bytes))), stamp: None };
    let rows = if row_bytes > 0 { BTreeMap::from([(id.clone(), row)]) } else { BTreeMap::new() };
    let stream = StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") };
    let key = ChunkKey::new(stream, Lane::Fresh, None, 3, seq);
    Outgoing { message: Message::of_chunk(&key, vec![id], rows, "account"), delay }
}

fn messages(count: u32) -> Vec<Outgoing> {
    (0..count).map(|seq| message(seq, 0, Duration::ZERO)).collect()
}

async fn queue(server: &Server) -> SqsQueue<ManualClock> {
    let url = format!("{}/000000000000/changes", server.endpoint);
    SqsQueue::new(&server.sdk().await, url, ManualClock::hasty(LocalMillis::new(0)))
}

fn entries(request: &Value) -> Vec<Value> {
    request["Entries"].as_array().expect("it has entries").clone()
}

/// The numbers of the messages that each call sent.
fn sent(server: &Server) -> Vec<Vec<u32>> {
    let seq = |entry: &Value| {
        let message = Message::parse(entry["MessageBody"].as_str().expect("a body")).expect("ours");
        match message.work() {
            Some(Work::Chunk(key)) => key.seq,
            other => panic!("not a chunk's: {other:?}"),
        }
    };
    server.requests().iter().map(|request| entries(request).iter().map(seq).collect()).collect()
}

/// Takes all messages but those at these places of the batch.
fn all_but(places: &'static [&'static str], sender_fault: bool) -> Answer {
    ok(move |request| {
        let of = |entry: &Value| entry["Id"].as_str().expect("an id").to_owned();
        let (failed, taken): (Vec<String>, Vec<String>) =
            entries(request).iter().map(of).partition(|id| places.contains(&id.as_str()));
        let taken: Value =
            taken.iter().map(|id| json!({ "Id": id, "MessageId": id, "MD5OfMessageBody": "" })).collect();
        let failed: Value =
            failed.iter().map(|id| json!({ "Id": id, "Code": "InternalError", "SenderFault": sender_fault })).collect();
        json!({ "Successful": taken, "Failed": failed })
    })
}

fn all() -> Answer {
    all_but(&[], false)
}

#[tokio::test]
async fn batches_close_at_ten_messages() {
    let server = Server::answering([all(), all(), all()]);
    assert_eq!(queue(&server).await.send(&messages(23)).await.expect("an answer"), 23);
    assert_eq!(sent(&server), [(0..10).collect::<Vec<_>>(), (10..20).collect(), (20..23).collect()]);
}

#[tokio::test]
async fn batches_close_at_256_kib() {
    let server = Server::answering((0..3).map(|_| all()));
    let large = [100, 100, 100, 200, 10].map(|kib| message(kib, usize::try_from(kib).unwrap() * 1_024, Duration::ZERO));
    assert_eq!(queue(&server).await.send(&large).await.expect("an answer"), 5);
    assert_eq!(sent(&server), [vec![100, 100], vec![100], vec![200, 10]]);
}

#[tokio::test]
async fn delays_travel_in_seconds() {
    let server = Server::answering([all()]);
    let delays = [0, 1_500, 900_000, 3_600_000].map(Duration::from_millis);
    let delayed: Vec<Outgoing> = (0..).zip(delays).map(|(seq, delay)| message(seq, 0, delay)).collect();
    queue(&server).await.send(&delayed).await.expect("an answer");
    let requests = server.requests();
    let seconds: Vec<i64> = entries(&requests[0]).iter().filter_map(|entry| entry["DelaySeconds"].as_i64()).collect();
    assert_eq!(seconds, [0, 2, 900, 900]);
}

#[tokio::test]
async fn refused_messages_are_sent_again_and_no_others() {
    let server = Server::answering([all_but(&["1", "3"], false), all_but(&["3"], false), all()]);
    assert_eq!(queue(&server).await.send(&messages(5)).await.expect("an answer"), 5);
    assert_eq!(sent(&server), [vec![0, 1, 2, 3, 4], vec![1, 3], vec![3]]);
}

#[tokio::test]
async fn what_lies_behind_a_refused_message_does_not_count() {
    let server = Server::answering((0..20).map(|_| all_but(&["2"], false)));
    assert_eq!(queue(&server).await.send(&messages(15)).await.expect("an answer"), 2);
    let sent = sent(&server);
    assert_eq!(sent.len(), 9, "once and eight times again");
    assert!(sent.iter().skip(1).all(|batch| *batch == [2]), "the next batch waits: {sent:?}");
}

#[tokio::test]
async fn a_message_at_fault_itself_is_not_sent_again() {
    let server = Server::answering([all_but(&["1"], true), all()]);
    assert_eq!(queue(&server).await.send(&messages(3)).await.expect("an answer"), 1);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_failed_call_is_an_error_only_when_nothing_is_known() {
    let denied = || refusal(400, "AccessDeniedException", "not authorized");
    let server = Server::answering([denied()]);
    let answer = queue(&server).await.send(&messages(3)).await;
    assert!(matches!(answer, Err(StoreFailure::Denied(..))), "{answer:?}");

    let server = Server::answering([all(), denied()]);
    assert_eq!(queue(&server).await.send(&messages(12)).await.expect("an answer"), 10);

    let server = Server::answering([all_but(&["0"], false), denied()]);
    assert_eq!(queue(&server).await.send(&messages(3)).await.expect("an answer"), 0, "some behind it were sent");
}

#[tokio::test]
async fn a_key_that_refuses_is_a_matter_of_the_deployment() {
    for code in ["KMS.AccessDeniedException", "KMS.DisabledException", "KMS.NotFoundException"] {
        let server = Server::answering([refusal(400, code, "the ciphertext refers to a key that is not there")]);
        let answer = queue(&server).await.send(&messages(1)).await;
        assert!(matches!(answer, Err(StoreFailure::Denied(..))), "{code}: {answer:?}");
    }
}

#[tokio::test]
async fn dead_letters_are_waited_for() {
    // Without a wait SQS asks some of its servers alone.
    let server = Server::answering([ok(|_| json!({}))]);
    let letters = DeadLetters::new(&server.sdk().await, format!("{}/000000000000/dead", server.endpoint));
    assert!(letters.take(5).await.expect("an answer").is_empty());
    assert!(server.requests()[0]["WaitTimeSeconds"].as_u64() >= Some(1));
}
