use std::time::Duration;

use serde_json::{Value, json};
use tidemark_aws::dynamodb::RecordTable;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Records, Stored};
use tidemark_engine::record::{Body, Look, RecordId, RecordKey, Seen};
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_testkit::memory::ManualClock;

use crate::server::{Answer, Server, ok, refusal};

use Stored::{Superseded, Written};

fn clock() -> ManualClock {
    ManualClock::hasty(LocalMillis::new(0))
}

/// Looks at records `0`, `1`, ...; each third of them is thought to be stored.
fn looks(count: usize) -> Vec<Look> {
    (0..count).map(|number| look(number, "{}")).collect()
}

fn look(number: usize, body: &str) -> Look {
    let id = RecordId::parse(number.to_string()).expect("it is an id");
    Look {
        key: RecordKey { source: SourceKind::FieldMotion, stream: StreamName::known("jobs"), id },
        looked_at: LocalMillis::new(7),
        seen: Seen::Record { body: Body::new(body), stamp: None, seen_at: None },
        event: None,
        is_stored: number.is_multiple_of(3),
    }
}

/// The ids of a call: those of its statements, or of its update.
fn asked(request: &Value) -> Vec<String> {
    let Some(statements) = request["Statements"].as_array() else {
        return vec![request["Key"]["id"]["S"].as_str().expect("it is one item's").to_owned()];
    };
    let id = |statement: &Value| {
        let texts: Vec<&str> = statement["Parameters"]
            .as_array()
            .expect("they have values")
            .iter()
            .filter_map(|v| v["S"].as_str())
            .collect();
        let place = texts.iter().position(|text| *text == "fieldmotion#jobs").expect("it names its partition");
        texts[place + 1].to_owned()
    };
    statements.iter().map(id).collect()
}

/// Answers each statement with what `code` says of its id; none is a success.
fn each(code: impl Fn(&str) -> Option<&'static str> + Send + 'static) -> Answer {
    ok(move |request| {
        let answer = |id: &String| match code(id) {
            None => json!({ "TableName": "records" }),
            Some(code) => json!({ "Error": { "Code": code, "Message": "no" } }),
        };
        json!({ "Responses": asked(request).iter().map(answer).collect::<Vec<_>>() })
    })
}

fn all() -> Answer {
    each(|_| None)
}

fn update() -> Answer {
    ok(|_| json!({}))
}

async fn store(server: &Server, looks: &[Look]) -> Result<Vec<Stored>, StoreFailure> {
    RecordTable::new(&server.sdk().await, "records", clock()).store(looks).await
}

#[tokio::test]
async fn looks_go_in_calls_of_25_statements() {
    let server = Server::answering([all(), all(), update()]);
    assert_eq!(store(&server, &looks(51)).await.expect("an answer"), [Written; 51]);
    let requests = server.requests();
    assert_eq!(requests.iter().map(|request| asked(request).len()).collect::<Vec<_>>(), [25, 25, 1]);
    let statement = |index: usize| requests[0]["Statements"][index]["Statement"].as_str().expect("it is a text");
    assert!(statement(0).starts_with("UPDATE \"records\" SET"), "{}", statement(0));
    assert!(statement(1).starts_with("INSERT INTO \"records\" VALUE"), "{}", statement(1));
}

#[tokio::test]
async fn a_call_has_a_megabyte_at_most() {
    let server = Server::answering([all(), all()]);
    let long = "x".repeat(250 * 1_024);
    let looks: Vec<Look> = (0..6).map(|number| look(number, &long)).collect();
    assert_eq!(store(&server, &looks).await.expect("an answer"), [Written; 6]);
    assert_eq!(server.requests().iter().map(|request| asked(request).len()).collect::<Vec<_>>(), [4, 2]);
}

#[tokio::test]
async fn a_wrong_guess_is_put_right_by_an_update_of_its_own() {
    let refused = refusal(400, "ConditionalCheckFailedException", "a later look is stored");
    let guesses = each(|id| match id {
        "1" => Some("DuplicateItem"),
        "3" => Some("ConditionalCheckFailed"),
        "4" => Some("ValidationError"),
        _ => None,
    });
    let server = Server::answering([guesses, update(), refused, update()]);
    let stored = store(&server, &looks(6)).await.expect("an answer");
    assert_eq!(stored, [Written, Written, Written, Superseded, Written, Written]);
    let requests = server.requests();
    assert_eq!(requests.iter().skip(1).flat_map(asked).collect::<Vec<_>>(), ["1", "3", "4"]);
    for request in requests.iter().skip(1) {
        let condition = "attribute_not_exists(#id) OR #fetched_at_ms < :fetched_at_ms";
        assert_eq!(request["ConditionExpression"], condition, "the table decides, whatever the hint");
    }
}

#[tokio::test]
async fn throttled_statements_are_sent_again_and_no_others() {
    let throttled = |ids: &'static [&'static str], code| each(move |id| ids.contains(&id).then_some(code));
    let server = Server::answering([
        throttled(&["1", "2", "4"], "ThrottlingError"),
        throttled(&["2", "4"], "ProvisionedThroughputExceeded"),
        all(),
    ]);
    let clock = clock();
    let port = RecordTable::new(&server.sdk().await, "records", clock.clone());
    assert_eq!(port.store(&looks(5)).await.expect("an answer"), [Written; 5]);
    let asked: Vec<Vec<String>> = server.requests().iter().map(asked).collect();
    assert_eq!(asked, [vec!["0", "1", "2", "3", "4"], vec!["1", "2", "4"], vec!["2", "4"]]);
    assert!(clock.slept() >= Duration::from_millis(50), "not at once: {:?}", clock.slept());
}

#[tokio::test]
async fn statements_that_are_not_answered_are_sent_again() {
    let first_only = ok(|_| json!({ "Responses": [{ "TableName": "records" }] }));
    let server = Server::answering([first_only, all()]);
    assert_eq!(store(&server, &looks(3)).await.expect("an answer"), [Written; 3]);
    assert_eq!(asked(&server.requests()[1]), ["1", "2"]);
}

#[tokio::test]
async fn a_table_that_takes_nothing_is_unavailable() {
    let server = Server::answering((0..20).map(|_| each(|_| Some("InternalServerError"))));
    let answer = store(&server, &looks(2)).await;
    assert!(matches!(answer, Err(StoreFailure::Unavailable("store records", _))), "{answer:?}");
    assert_eq!(server.requests().len(), 9, "once and eight times again");
}

#[tokio::test]
async fn a_right_that_is_missing_is_denied() {
    for denied in [each(|_| Some("AccessDenied")), refusal(400, "AccessDeniedException", "dynamodb:PartiQLInsert")] {
        let server = Server::answering([denied]);
        let answer = store(&server, &looks(2)).await;
        assert!(matches!(answer, Err(StoreFailure::Denied(..))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_table_without_statements_is_asked_for_them_once() {
    let unknown = refusal(400, "com.amazon.coral.service#UnknownOperationException", "");
    let server = Server::answering(std::iter::once(unknown).chain((0..6).map(|_| update())));
    let port = RecordTable::new(&server.sdk().await, "records", clock());
    for _ in 0..2 {
        assert_eq!(port.store(&looks(3)).await.expect("an answer"), [Written; 3]);
    }
    let asked: Vec<usize> = server.requests().iter().map(|request| asked(request).len()).collect();
    assert_eq!(asked, [3, 1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let server = Server::answering([all()]);
    let mut noise = 1_u64;
    let mut next = || {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{noise:016x}")
    };
    let large: String = (0..60_000).map(|_| next()).collect();
    let looks = [look(0, "{}"), look(1, &large), look(2, "{}")];
    let stored = store(&server, &looks).await.expect("an answer");
    assert!(matches!(stored.as_slice(), [Written, Stored::TooLarge(409_601..), Written]), "{stored:?}");
    assert_eq!(server.requests().iter().map(asked).collect::<Vec<_>>(), [["0", "2"]]);
}
