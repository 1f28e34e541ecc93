use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use tidemark_engine::chunk::CHUNK_IDS;
use tidemark_engine::poll::PollSettings;
use tidemark_engine::quarantine::PoisonPolicy;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::ListShape;
use tidemark_runtime::kept::Kept;
use tidemark_testkit::memory::{Fault, Operation, VendorSettings};
use tidemark_tests::stage::{Stage, World};

use super::*;

/// A function over a vendor in memory, and what it writes.
struct Function {
    stage: Stage,
    handler: Handler<World, Kept>,
    kept: Kept,
}

impl Function {
    /// The poller of a source whose one stream is `stream`.
    fn of(stream: &'static str) -> Self {
        let mut vendor = VendorSettings::new(ListShape::Whole);
        vendor.stream.name = StreamName::known(stream);
        let stage = Stage::with(vendor);
        let settings = PollSettings {
            overlap: Duration::from_mins(2),
            poison_policy: PoisonPolicy::Block,
            call_interval: Duration::from_millis(1),
            visibility_timeout: Duration::from_mins(12),
            streams: vec![StreamName::known(stream)],
            chunk_ids: CHUNK_IDS,
        };
        let kept = Kept::default();
        let poller = Poller { ports: stage.world.clone(), settings };
        let handler = Handler { poller, attention: Attention::new(kept.clone()) };
        Self { stage, handler, kept }
    }

    async fn invoke(&self, payload: Value) -> Result<(), InvocationError> {
        let mut context = Context::default();
        context.request_id = "8f5f9c1e-0000-4000-8000-000000000001".to_owned();
        let _log = self.kept.log();
        self.handler.handle(LambdaEvent::new(payload, context)).await
    }

    /// The line of the last tick.
    fn line(&self) -> Value {
        let mut ticks = self.kept.lines().into_iter().filter(|line| line.get("took_ms").is_some());
        ticks.next_back().expect("an invocation logs a line")
    }
}

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/poller-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_tick_logs_one_line_with_stream_run_outcome_and_counts() {
    let function = Function::of("customers");
    function.stage.edit(["683136", "683137"]);
    function.invoke(event("customers")).await.unwrap();
    let line = function.line();
    assert_eq!(line["level"], "INFO");
    assert_eq!((&line["source"], &line["stream"]), (&json!("fieldmotion"), &json!("customers")));
    assert_eq!((&line["listed_count"], &line["sent_count"]), (&json!(2), &json!(1)));
    assert_eq!((&line["outcome"], &line["notices"]), (&json!("waiting"), &json!("first_import")));
    assert!(line["run"].is_string() && line["took_ms"].is_number(), "{line}");
    assert_eq!(
        function.kept.lines().iter().filter(|line| line["level"] != "TRACE").count(),
        1,
        "{}",
        function.kept.text()
    );
}

#[tokio::test]
async fn the_invocation_owns_the_lease() {
    let function = Function::of("jobs");
    function.invoke(event("jobs")).await.unwrap();
    function.invoke(event("jobs")).await.unwrap();
    assert_eq!(function.line()["outcome"], "quiet");
    assert_eq!(function.stage.checkpoint().lease_owner, "8f5f9c1e-0000-4000-8000-000000000001");
}

#[tokio::test]
async fn a_malformed_event_is_told_what_was_expected() {
    let function = Function::of("customers");
    let odd =
        [event("malformed"), json!(null), json!("customers"), json!(7), json!([]), json!({"stream": "Cust omers"})];
    for payload in odd.into_iter().chain([json!({"stream": 3}), json!("{\"stream\":\"\"}")]) {
        let error = function.invoke(payload.clone()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::MalformedEvent, "{payload}");
        let expected = "source fieldmotion takes {\"stream\":\"<name>\"} with one of customers";
        assert!(error.message.contains(expected), "{payload}: {error}");
        assert_eq!(function.line()["error_type"], "MalformedEvent");
    }
}

#[tokio::test]
async fn an_unknown_stream_is_named_beside_the_known_ones() {
    let function = Function::of("customers");
    let error = function.invoke(event("unknown-stream")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnknownStream);
    assert!(error.message.contains("no stream invoices; it has customers"), "{error}");
    assert_eq!((&function.line()["stream"], &function.line()["level"]), (&json!("invoices"), &json!("ERROR")));
}

#[tokio::test]
async fn an_escaped_input_and_further_keys_are_taken() {
    let function = Function::of("customers");
    function.invoke(json!("{\"stream\":\"customers\"}")).await.unwrap();
    function.invoke(json!({"stream": "customers", "version": "0", "detail": {}})).await.unwrap();
    assert_eq!(function.line()["outcome"], "quiet");
}

#[tokio::test]
async fn a_vendor_failure_is_an_outcome_and_a_warning() {
    let function = Function::of("customers");
    function.stage.world.source.with(|vendor| vendor.unwell = Some(FailureClass::Unauthorized));
    function.invoke(event("customers")).await.unwrap();
    let line = function.line();
    assert_eq!((&line["level"], &line["outcome"]), (&json!("WARN"), &json!("source_failed")));
    assert_eq!(line["class"], "unauthorized");
    let message = line["message"].as_str().unwrap();
    assert!(
        message.contains("source fieldmotion, stream customers") && message.contains("next: put a valid"),
        "{message}"
    );
    function.invoke(event("customers")).await.unwrap();
    assert_eq!(function.line()["outcome"], "breaker_open");
    assert!(function.line()["until"].is_string());
}

#[tokio::test]
async fn a_table_that_fails_fails_the_invocation_with_its_kind() {
    let function = Function::of("customers");
    function.stage.world.tables.faults().push(Operation::SourceState, Fault::Reject);
    let error = function.invoke(event("customers")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::StoreUnavailable);
    assert!(error.message.contains("stream fieldmotion#customers: source_state did not succeed"), "{error}");
    assert_eq!(function.line()["error_type"], "StoreUnavailable");
}

#[tokio::test]
async fn what_needs_attention_is_counted_once_beside_the_line() {
    let function = Function::of("customers");
    function.stage.world.source.with(|vendor| vendor.unwell = Some(FailureClass::Forbidden));
    function.invoke(event("customers")).await.unwrap();
    let metrics: Vec<Value> = function.kept.lines().into_iter().filter(|line| line.get("_aws").is_some()).collect();
    assert_eq!(metrics.len(), 1, "{}", function.kept.text());
    assert_eq!((&metrics[0]["AttentionCount"], &metrics[0]["Source"]), (&json!(1), &json!("fieldmotion")));
    assert_eq!((&metrics[0]["notice"], &metrics[0]["stream"]), (&json!("stream_paused"), &json!("customers")));
    assert_eq!(
        (&function.line()["notices"], &function.line()["level"]),
        (&json!("first_import, stream_paused"), &json!("WARN"))
    );
}

#[tokio::test]
async fn no_body_and_no_id_is_logged() {
    let function = Function::of("customers");
    let id = RecordId::parse("canary-id").unwrap();
    function.stage.edit([id.as_str()]);
    function.invoke(event("customers")).await.unwrap();
    function.stage.drain().await;
    function.invoke(event("customers")).await.unwrap();
    assert!(!function.kept.text().contains("canary") && !function.kept.text().contains("\\\"version\\\":1"));
}
