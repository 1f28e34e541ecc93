use serde_json::{Value, json};
use tidemark_aws::dynamodb::{RecordLog, Since};
use tidemark_engine::clock::LocalMillis;

use crate::server::{Answer, Server, ok, refusal};

fn shards() -> Answer {
    ok(|_| json!({ "StreamDescription": { "StreamArn": "arn", "Shards": [{ "ShardId": "shard-1" }] } }))
}

fn iterator(name: &'static str) -> Answer {
    ok(move |_| json!({ "ShardIterator": name }))
}

/// A write of this number, made at that second.
fn write(number: u32, second: u32) -> Value {
    let keys = json!({ "partition": { "S": "fieldmotion#customers" }, "id": { "S": number.to_string() } });
    let change = json!({ "Keys": keys, "SequenceNumber": number.to_string(), "ApproximateCreationDateTime": second });
    json!({ "eventName": "INSERT", "dynamodb": change })
}

fn writes(found: Vec<Value>) -> Answer {
    ok(move |_| json!({ "Records": found, "NextShardIterator": "next" }))
}

#[tokio::test]
async fn a_reader_that_has_lost_its_place_goes_on_behind_what_it_has_read() {
    for (code, place) in [
        ("ExpiredIteratorException", json!(["AFTER_SEQUENCE_NUMBER", "7"])),
        ("TrimmedDataAccessException", json!(["TRIM_HORIZON", null])),
    ] {
        let lost = refusal(400, code, "the place is lost");
        let found = writes(vec![write(7, 10)]);
        let script = [shards(), iterator("first"), found, lost, iterator("second"), writes(vec![write(8, 11)])];
        let server = Server::answering(script);
        let mut log = RecordLog::open(&server.sdk().await, "arn", Since::Now).await.expect("it opens");
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.extend(log.read().await.expect("it is no failure").into_iter().map(|write| write.id));
        }
        assert_eq!(ids, ["7", "8"], "{code}");
        let again = &server.requests()[4];
        assert_eq!(json!([again["ShardIteratorType"], again["SequenceNumber"]]), place, "{code}");
    }
}

#[tokio::test]
async fn a_shard_that_is_written_all_the_time_is_read_to_the_time_of_the_question() {
    let answers = (1..=3).map(|number| writes(vec![write(number, number)]));
    let server = Server::answering([shards(), iterator("first")].into_iter().chain(answers));
    let mut log = RecordLog::open(&server.sdk().await, "arn", Since::Oldest).await.expect("it opens");
    let mut read_count = 0;
    while !log.is_at_end(LocalMillis::new(2_000)) {
        read_count += log.read().await.expect("it answers").len();
    }
    assert_eq!(read_count, 2);
}
