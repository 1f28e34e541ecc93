use std::cell::Cell;
use std::collections::BTreeMap;

use lambda_runtime::Context;
use serde_json::{Value, json};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::message::{Row, Work};
use tidemark_engine::ports::{Ledger, Ports, Random, Records, StoredVersions};
use tidemark_engine::position::Position;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Reason, RetryEntry, Told};
use tidemark_runtime::kept::Kept;
use tidemark_testkit::memory::{Fault, Operation, VendorSettings};
use tidemark_tests::stage::{Stage, World, id};

use super::*;

const TIMEOUT: Duration = Duration::from_mins(2);

/// A function over a vendor in memory, and what it writes.
struct Function {
    stage: Stage,
    handler: Handler<World, Kept>,
    kept: Kept,
}

impl Function {
    /// The fetcher of a source whose one stream is customers.
    fn new() -> Self {
        let mut vendor = VendorSettings::new(ListShape::Whole);
        vendor.stream.name = StreamName::known("customers");
        let stage = Stage::with(vendor);
        let kept = Kept::default();
        let handler =
            Handler { fetcher: stage.fetcher(), timeout: TIMEOUT, attention: Attention::new("tidemark", kept.clone()) };
        Self { stage, handler, kept }
    }

    /// The same, with what an event's messages are about in the ledger and at the vendor.
    fn knowing(event: &Value) -> Self {
        let function = Self::new();
        for record in event["Records"].as_array().unwrap() {
            let Ok(message) = Message::parse(record["body"].as_str().unwrap_or_default()) else { continue };
            function.stage.vendor(|vendor| vendor.settings.account_mark.clone_from(&message.account_mark));
            function.stage.edit(message.ids.iter().map(RecordId::as_str));
            function.expect(&message);
        }
        function
    }

    /// Puts what a message is about into the ledger.
    fn expect(&self, message: &Message) {
        let now = self.stage.now();
        match message.work().unwrap() {
            Work::Chunk(key) => {
                let chunk = Chunk {
                    holds: Some(Position::At(StampMillis::new(key.holds_order))),
                    ids: message.ids.iter().cloned().collect(),
                    listed_at: now,
                    next_at: now,
                    told: if message.rows.is_empty() { Told::Ids } else { Told::Rows },
                    trying: None,
                    key: key.clone(),
                };
                self.stage.tables(|tables| tables.chunks.insert(key, chunk));
            }
            Work::Retry => {
                let (stream, id) = (message.stream(), message.ids[0].clone());
                let entry = RetryEntry {
                    stream: stream.clone(),
                    id: id.clone(),
                    reason: Reason::Outage,
                    cause: "500".to_owned(),
                    since: now,
                    holds: None,
                    listed_at: now.shifted(-60_000),
                    attempts: 1,
                    next_at: now,
                };
                self.stage.tables(|tables| tables.retries.insert((stream, id), entry));
            }
        }
    }

    async fn invoke(&self, event: &Value) -> Result<String, InvocationError> {
        let deadline = self.stage.now().plus(TIMEOUT);
        self.invoke_until(event, u64::try_from(deadline.get()).unwrap()).await
    }

    async fn invoke_until(&self, event: &Value, deadline: u64) -> Result<String, InvocationError> {
        let mut context = Context::default();
        context.deadline = deadline;
        let payload = RawValue::from_string(event.to_string()).unwrap();
        let _log = self.kept.log();
        let response = self.handler.handle(LambdaEvent::new(payload, context)).await?;
        Ok(serde_json::to_string(&response).unwrap())
    }

    /// The lines about messages.
    fn lines(&self) -> Vec<Value> {
        self.kept.lines().into_iter().filter(|line| line.get("outcome").is_some()).collect()
    }

    /// Ids that are owed or in the retry lane.
    fn pending(&self) -> usize {
        let owed = |tables: &mut tidemark_testkit::memory::Tables| {
            tables.chunks.values().map(|chunk| chunk.ids.len()).sum::<usize>() + tables.retries.len()
        };
        self.stage.tables(owed)
    }

    fn stored(&self) -> usize {
        self.stage.tables(|tables| tables.records.len())
    }

    /// The metrics written so far.
    fn attention(&self) -> Vec<(String, u64)> {
        let metrics = self.kept.lines().into_iter().filter(|line| line.get("_aws").is_some());
        metrics
            .map(|line| (line["notice"].as_str().unwrap().to_owned(), line["AttentionCount"].as_u64().unwrap()))
            .collect()
    }
}

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/fetcher-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// An event of these bodies; their messages are called m0, m1 and so on.
fn event_of(bodies: &[String]) -> Value {
    let record = |(at, body): (usize, &String)| json!({ "messageId": format!("m{at}"), "body": body });
    json!({ "Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>() })
}

fn key(seq: u32) -> ChunkKey {
    let stream = StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("customers") };
    ChunkKey::new(stream, Lane::Fresh, Some(&Position::At(StampMillis::new(0))), 1, seq)
}

fn message(seq: u32, ids: &[&str]) -> Message {
    Message::of_chunk(&key(seq), ids.iter().map(|text| id(text)).collect(), BTreeMap::new(), "account")
}

fn text(message: &Message) -> String {
    serde_json::to_string(message).unwrap()
}

const NONE_FAILED: &str = r#"{"batchItemFailures":[]}"#;
const FIRST_FAILED: &str = r#"{"batchItemFailures":[{"itemIdentifier":"00000000-0000-4000-8000-000000000001"}]}"#;
const SECOND_FAILED: &str = r#"{"batchItemFailures":[{"itemIdentifier":"00000000-0000-4000-8000-000000000002"}]}"#;

#[test]
fn a_part_of_the_time_is_kept_back_and_never_more_than_ten_seconds() {
    let now = LocalMillis::new(1_000_000);
    for (left_ms, kept_ms) in [(120_000, 10_000), (50_000, 10_000), (10_000, 2_000), (500, 100)] {
        let deadline = now.shifted(left_ms);
        assert_eq!(stop_at(now, deadline, TIMEOUT), deadline.shifted(-kept_ms), "{left_ms}");
    }
}

#[test]
fn a_deadline_that_is_over_at_the_start_is_not_believed() {
    let now = LocalMillis::new(1_800_000_000_000);
    for deadline in [LocalMillis::new(0), now.shifted(-1), now] {
        assert_eq!(stop_at(now, deadline, TIMEOUT), now.plus(Duration::from_secs(110)), "{deadline}");
    }
}

#[tokio::test]
async fn a_chunk_is_stored_and_logged_in_one_line() {
    let event = event("one-chunk");
    let function = Function::knowing(&event);
    assert_eq!(function.invoke(&event).await.unwrap(), NONE_FAILED);
    assert_eq!((function.stored(), function.pending()), (3, 0));
    let lines = function.lines();
    assert_eq!(lines.len(), 1, "{}", function.kept.text());
    let expected = [
        ("level", json!("INFO")),
        ("source", json!("fieldmotion")),
        ("stream", json!("customers")),
        ("chunk", json!("fresh#09223373832116875808#000000000000041#000000")),
        ("outcome", json!("resolved")),
        ("ids_count", json!(3)),
        ("calls_count", json!(3)),
        ("paid_count", json!(0)),
        ("set_aside_count", json!(0)),
        ("written_count", json!(3)),
        ("left_count", json!(0)),
        ("receive_count", json!(1)),
    ];
    for (field, value) in expected {
        assert_eq!(lines[0][field], value, "{field}");
    }
    assert!(lines[0]["took_ms"].is_number());
}

#[tokio::test]
async fn every_sample_event_does_what_its_name_says() {
    for (name, answer, stored) in [
        ("one-chunk", NONE_FAILED, 3),
        ("redelivered-chunk", NONE_FAILED, 3),
        ("bulk-chunk", NONE_FAILED, 2),
        ("retry-entry", NONE_FAILED, 1),
        ("odd-ids", NONE_FAILED, 5),
        ("empty-batch", NONE_FAILED, 0),
        ("mixed-batch", SECOND_FAILED, 4),
        ("bad-json", FIRST_FAILED, 0),
        ("foreign-message", FIRST_FAILED, 0),
        ("older-version", FIRST_FAILED, 0),
        ("newer-version", FIRST_FAILED, 0),
        ("no-chunk", FIRST_FAILED, 0),
        ("other-source", FIRST_FAILED, 0),
        ("unknown-stream", FIRST_FAILED, 0),
    ] {
        let event = event(name);
        let function = Function::knowing(&event);
        assert_eq!(function.invoke(&event).await.unwrap(), answer, "{name}");
        assert_eq!(function.stored(), stored, "{name}");
        assert!(answer != NONE_FAILED || function.pending() == 0, "{name}");
    }
}

#[test]
fn the_sample_events_of_other_sources_carry_rows_where_their_lists_do() {
    for (name, source, rows_count) in [
        ("fieldaware-locators", "fieldaware", 0),
        ("fsmnavigator-rows", "fsmnavigator", 1),
        ("fieldly-rows", "fieldly", 1),
    ] {
        let event = event(name);
        let message = Message::parse(event["Records"][0]["body"].as_str().unwrap()).unwrap();
        assert_eq!((message.source().as_str(), message.rows.len()), (source, rows_count), "{name}");
        assert!(message.rows.keys().all(|id| message.ids.contains(id)), "{name}");
    }
}

#[tokio::test]
async fn every_sample_event_is_known_to_a_test() {
    let folder = format!("{}/../../events", env!("CARGO_MANIFEST_DIR"));
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let tests = include_str!("tests.rs");
    for name in names.filter_map(|name| Some(name.strip_prefix("fetcher-")?.strip_suffix(".json")?.to_owned())) {
        assert!(tests.contains(&format!("(\"{name}\",")), "events/fetcher-{name}.json is used by no test");
    }
}

#[tokio::test]
async fn a_foreign_message_is_logged_with_the_reason_and_never_with_its_text() {
    for (name, reason) in [
        ("bad-json", "the message is not a change message: Eof error"),
        ("foreign-message", "the message is not a change message: Data error"),
        ("older-version", "the message has version 1, this program reads version 2"),
        ("newer-version", "the message has version 3, this program reads version 2"),
        ("no-chunk", "the message is not a change message: it names no chunk"),
        ("unknown-stream", "source fieldmotion has no stream invoices"),
    ] {
        let function = Function::new();
        function.invoke(&event(name)).await.unwrap();
        let line = function.lines().pop().unwrap();
        assert_eq!((&line["level"], &line["outcome"]), (&json!("ERROR"), &json!("not_ours")), "{name}");
        assert!(line["message"].as_str().unwrap().starts_with(reason), "{line}");
        assert_eq!(line["message_id"], "00000000-0000-4000-8000-000000000001");
        assert!(!function.kept.text().contains("hello"));
    }
}

#[tokio::test]
async fn a_bad_message_or_a_failing_table_harms_no_neighbour() {
    let messages = [message(0, &["a"]), message(1, &["b"]), message(2, &["c"])];
    let function = Function::new();
    function.stage.edit(["a", "b", "c"]);
    for message in &messages {
        function.expect(message);
    }
    function.stage.world.tables.faults().push(Operation::Chunk, Fault::Pass);
    function.stage.world.tables.faults().push(Operation::Chunk, Fault::Reject);
    let mut event = event_of(&messages.iter().map(text).collect::<Vec<_>>());
    event["Records"].as_array_mut().unwrap().push(json!({ "messageId": "odd", "body": 7 }));
    let answer = function.invoke(&event).await.unwrap();
    assert_eq!(answer, r#"{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"odd"}]}"#);
    assert_eq!(function.stored(), 2);
    let failed = function.lines().into_iter().find(|line| line["outcome"] == "failed").unwrap();
    assert_eq!((&failed["chunk"], &failed["error_type"]), (&json!(key(1).sort_key()), &json!("StoreUnavailable")));
}

#[tokio::test]
async fn a_message_without_an_id_is_done_or_brings_the_whole_batch_back() {
    let good = message(0, &["a"]);
    let function = Function::new();
    function.stage.edit(["a"]);
    function.expect(&good);
    for message_id in [json!(null), json!("")] {
        let done = json!({ "Records": [{ "messageId": message_id, "body": text(&good) }] });
        assert_eq!(function.invoke(&done).await.unwrap(), NONE_FAILED);
        let bad =
            json!({ "Records": [{ "messageId": message_id, "body": "?" }, { "messageId": "m", "body": text(&good) }] });
        let error = function.invoke(&bad).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::MissingMessageId);
    }
}

#[tokio::test]
async fn what_is_no_sqs_event_is_refused() {
    for event in [json!({}), json!({ "Records": 3 }), json!([]), json!("x")] {
        let function = Function::new();
        assert_eq!(function.invoke(&event).await.unwrap_err().kind, ErrorKind::MalformedEvent, "{event}");
    }
}

#[tokio::test]
async fn ids_wait_in_the_ledger_when_there_is_no_slot_in_time_and_the_message_is_done_with() {
    let message = message(0, &["a", "b"]);
    let function = Function::new();
    function.stage.edit(["a", "b"]);
    function.expect(&message);
    let full_until = function.stage.now().plus(Duration::from_hours(1));
    function
        .stage
        .tables(|tables| tables.sources.entry(SourceKind::FieldMotion).or_default().next_call_at = full_until);
    assert_eq!(function.invoke(&event_of(&[text(&message)])).await.unwrap(), NONE_FAILED);
    assert_eq!((function.stored(), function.pending()), (0, 2));
    let line = function.lines().pop().unwrap();
    assert_eq!((&line["outcome"], &line["left_count"]), (&json!("left_over"), &json!(2)));
}

#[tokio::test]
async fn an_event_with_a_deadline_in_1970_is_worked_on() {
    let event = event("one-chunk");
    let function = Function::knowing(&event);
    assert_eq!(function.invoke_until(&event, 0).await.unwrap(), NONE_FAILED);
    assert_eq!((function.stored(), function.pending()), (3, 0));
}

#[tokio::test]
async fn rows_for_which_no_time_is_left_come_again() {
    let rows = BTreeMap::from([(id("a"), Row { body: Body::new("{\"name\":\"Ada\"}"), stamp: None })]);
    let message = Message::of_chunk(&key(0), vec![id("a")], rows, "account");
    let function = Function::new();
    function.expect(&message);
    let now = function.stage.now();
    {
        let _log = function.kept.log();
        assert_eq!(function.handler.fetch(&message, &Delivery::default(), now).await, Ok(false));
    }
    assert_eq!(function.lines().pop().unwrap()["outcome"], "given_back");
    assert_eq!(function.invoke(&event_of(&[text(&message)])).await.unwrap(), NONE_FAILED);
    assert_eq!((function.stored(), function.pending()), (1, 0));
    assert!(!function.kept.text().contains("Ada"), "{}", function.kept.text());
}

#[tokio::test]
async fn an_id_that_is_set_aside_is_named_with_reason_and_cause() {
    let message = message(0, &["a", "b\nad"]);
    let function = Function::new();
    function.stage.edit(["a", "b\nad"]);
    function.expect(&message);
    let heals_at = function.stage.now().plus(Duration::from_hours(1));
    function.stage.vendor(|vendor| vendor.poison(&id("b\nad"), heals_at));
    assert_eq!(function.invoke(&event_of(&[text(&message)])).await.unwrap(), NONE_FAILED);
    let line = function.kept.lines().into_iter().find(|line| line.get("reason").is_some()).unwrap();
    assert_eq!((&line["id"], &line["reason"]), (&json!("b\\nad"), &json!("record")));
    assert!(line["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{line}");
    assert_eq!((&line["stream"], &line["chunk"]), (&json!("customers"), &json!(key(0).sort_key())));
    let line = function.lines().pop().unwrap();
    assert_eq!((&line["set_aside_count"], &line["written_count"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn what_was_paid_for_is_nothing_to_do() {
    let event = event("one-chunk");
    let function = Function::knowing(&event);
    function.invoke(&event).await.unwrap();
    assert_eq!(function.invoke(&event).await.unwrap(), NONE_FAILED);
    assert_eq!(function.lines().pop().unwrap()["outcome"], "nothing_to_do");
    let chunk = Message::parse(event["Records"][0]["body"].as_str().unwrap()).unwrap();
    function.expect(&chunk);
    function.stage.tables(|tables| tables.chunks.values_mut().for_each(|chunk| chunk.listed_at = LocalMillis::new(0)));
    function.invoke(&event).await.unwrap();
    let line = function.lines().pop().unwrap();
    assert_eq!((&line["outcome"], &line["paid_count"]), (&json!("nothing_to_do"), &json!(3)));
    assert_eq!((&line["calls_count"], function.pending()), (&json!(0), 0));
}

#[tokio::test]
async fn ids_of_another_account_wait_and_a_person_hears_of_it() {
    let event = event("one-chunk");
    let function = Function::knowing(&event);
    function.stage.vendor(|vendor| vendor.settings.account_mark = "another".to_owned());
    assert_eq!(function.invoke(&event).await.unwrap(), NONE_FAILED);
    assert_eq!((function.stored(), function.pending()), (0, 3));
    let line = function.lines().pop().unwrap();
    assert_eq!((&line["level"], &line["outcome"]), (&json!("WARN"), &json!("account_changed")));
    assert_eq!(function.attention(), [("account_changed".to_owned(), 1)]);
}

#[tokio::test]
async fn an_outage_is_a_warning_and_acknowledged() {
    let event = event("one-chunk");
    let function = Function::knowing(&event);
    function.stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Unauthorized));
    assert_eq!(function.invoke(&event).await.unwrap(), NONE_FAILED);
    assert_eq!((function.stored(), function.pending()), (0, 3));
    let line = function.lines().pop().unwrap();
    assert_eq!(line["level"], "WARN");
    assert!(line["message"].as_str().unwrap().contains("next: put a valid credential"), "{line}");
    assert_eq!(function.attention(), [("credential_rejected".to_owned(), 1)]);
}

/// A world that panics once, where it is asked for its ledger.
struct Fragile {
    world: World,
    panics: Cell<bool>,
}

impl Ports for Fragile {
    fn source(&self) -> &impl Source {
        self.world.source()
    }

    fn ledger(&self) -> &impl Ledger {
        assert!(!self.panics.take(), "of canary");
        self.world.ledger()
    }

    fn versions(&self) -> &impl StoredVersions {
        self.world.versions()
    }

    fn clock(&self) -> &impl Clock {
        self.world.clock()
    }

    fn random(&self) -> &impl Random {
        self.world.random()
    }
}

impl FetcherPorts for Fragile {
    fn records(&self) -> &impl Records {
        self.world.records()
    }
}

#[tokio::test]
async fn a_panic_fails_its_message_alone() {
    let messages = [message(0, &["a"]), message(1, &["b"])];
    let function = Function::new();
    function.stage.edit(["a", "b"]);
    for message in &messages {
        function.expect(message);
    }
    let ports = Fragile { world: function.stage.world.clone(), panics: Cell::new(true) };
    let fetcher = Fetcher { ports, call_interval: Duration::from_millis(1) };
    let handler = Handler { fetcher, timeout: TIMEOUT, attention: Attention::new("tidemark", function.kept.clone()) };
    let event = event_of(&messages.iter().map(text).collect::<Vec<_>>());
    let mut context = Context::default();
    context.deadline = u64::MAX;
    let _log = function.kept.log();
    let payload = RawValue::from_string(event.to_string()).unwrap();
    let answer = handler.handle(LambdaEvent::new(payload, context)).await.unwrap();
    assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"batchItemFailures":[{"itemIdentifier":"m0"}]}"#);
    assert_eq!(function.lines()[0]["error_type"], "Panicked");
    assert_eq!(function.stored(), 1);
}

#[tokio::test]
async fn no_body_is_logged_whatever_happens() {
    let message = message(0, &["canary-1", "canary-2"]);
    let function = Function::new();
    function.stage.edit(["canary-1", "canary-2"]);
    function.expect(&message);
    function.invoke(&event_of(&[text(&message)])).await.unwrap();
    assert_eq!(function.stored(), 2);
    assert!(!function.kept.text().contains("canary"), "{}", function.kept.text());
}

#[tokio::test]
async fn many_vanished_records_ask_for_attention() {
    let ids: Vec<String> = (0..10).map(|n| format!("gone-{n}")).collect();
    let message = message(0, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    let function = Function::new();
    function.expect(&message);
    assert_eq!(function.invoke(&event_of(&[text(&message)])).await.unwrap(), NONE_FAILED);
    assert_eq!(function.attention(), [("tombstones_withheld".to_owned(), 1)]);
    let line = function.lines().pop().unwrap();
    assert_eq!((&line["level"], &line["set_aside_count"]), (&json!("WARN"), &json!(10)));
}
