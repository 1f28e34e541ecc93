use std::collections::BTreeMap;
use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::health::Pause;
use tidemark_engine::position::Position;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, SourceKind};
use tidemark_runtime::kept::Kept;
use tidemark_sources::probe::Check;
use tidemark_sources::registry::BadSource;
use tidemark_testkit::memory::{Fault, MemorySource, Operation, VendorSettings};
use tidemark_tests::stage::{Stage, World};

use super::*;

/// Probes ask the vendor in memory, which has no settings.
struct MemoryBench(MemorySource);

impl Bench for MemoryBench {
    type Source = MemorySource;

    fn kind(&self) -> SourceKind {
        self.0.kind()
    }

    fn settings(&self) -> &'static str {
        "{}"
    }

    fn build(&self, _settings: &str) -> Result<MemorySource, BadSource> {
        Ok(self.0.clone())
    }

    fn alternatives(&self, _stream: &StreamName, _check: Check) -> Vec<Value> {
        Vec::new()
    }

    fn adopted(&self, _source: &MemorySource) -> Option<Value> {
        None
    }

    fn parts(&self) -> Vec<(StreamName, String)> {
        Vec::new()
    }
}

/// A function over a vendor in memory, and what it writes.
struct Function {
    stage: Stage,
    handler: Handler<World, Kept, MemoryBench>,
    kept: Kept,
}

impl Function {
    /// The poller of a source whose one stream is `stream`.
    fn of(stream: &'static str) -> Self {
        Self::shaped(stream, ListShape::Whole)
    }

    fn shaped(stream: &'static str, shape: ListShape) -> Self {
        let mut vendor = VendorSettings::new(shape);
        vendor.stream.name = StreamName::known(stream);
        let stage = Stage::with(vendor);
        let kept = Kept::default();
        let poller = Poller { ports: stage.world.clone(), settings: stage.settings.borrow().clone() };
        let bench = MemoryBench(stage.world.source.clone());
        let handler = Handler { poller, attention: Attention::new("tidemark", kept.clone()), bench };
        Self { stage, handler, kept }
    }

    async fn invoke(&self, payload: Value) -> Result<Answer, InvocationError> {
        let mut context = Context::default();
        context.request_id = "8f5f9c1e-0000-4000-8000-000000000001".to_owned();
        let _log = self.kept.log();
        self.handler.handle(LambdaEvent::new(payload, context)).await
    }

    /// The outcome that the invocation answers.
    async fn outcome(&self, payload: Value) -> &'static str {
        self.invoke(payload).await.expect("the invocation succeeds").outcome
    }

    /// The line of the last invocation.
    fn line(&self) -> Value {
        let mut lines = self.kept.lines().into_iter().filter(|line| line.get("took_ms").is_some());
        lines.next_back().expect("an invocation logs a line")
    }

    /// The metrics written so far: notice and figure.
    fn attention(&self) -> Vec<(String, u64)> {
        let metrics = self.kept.lines().into_iter().filter(|line| line.get("_aws").is_some());
        metrics
            .map(|line| (line["notice"].as_str().unwrap().to_owned(), line["AttentionCount"].as_u64().unwrap()))
            .collect()
    }
}

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/poller-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_tick_logs_one_line_with_stream_outcome_and_counts() {
    let function = Function::of("customers");
    function.stage.edit(["683136", "683137"]);
    assert_eq!(function.outcome(event("customers")).await, "owing");
    let line = function.line();
    assert_eq!(line["level"], "INFO");
    assert_eq!((&line["source"], &line["stream"]), (&json!("fieldmotion"), &json!("customers")));
    assert_eq!((&line["listed_count"], &line["unchanged_count"]), (&json!(2), &json!(0)));
    assert_eq!((&line["owed_count"], &line["sent_count"]), (&json!(2), &json!(1)));
    assert_eq!((&line["outcome"], &line["notices"]), (&json!("owing"), &json!("first_import")));
    assert!(line["took_ms"].is_number() && line["calls_count"].is_number(), "{line}");
    assert_eq!(
        function.kept.lines().iter().filter(|line| line["level"] != "TRACE").count(),
        1,
        "{}",
        function.kept.text()
    );
}

#[tokio::test]
async fn an_invocation_answers_its_outcome_as_json() {
    let function = Function::of("customers");
    let answer = function.invoke(event("customers")).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), json!({"outcome": "quiet"}));
}

#[tokio::test]
async fn a_tick_without_news_is_logged_for_debugging_alone() {
    let function = Function::of("customers");
    for level in ["INFO", "DEBUG"] {
        assert_eq!(function.outcome(event("customers")).await, "quiet");
        assert_eq!(function.line()["level"], level, "the first one reports the first import");
    }
    function.stage.edit(["683136"]);
    assert_eq!(function.outcome(event("customers")).await, "owing");
    assert_eq!(function.line()["level"], "INFO");
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
async fn a_malformed_event_is_answered_with_what_was_expected() {
    let function = Function::of("customers");
    let odd = [
        event("malformed"),
        json!(null),
        json!("customers"),
        json!([]),
        json!({"stream": "customers", "version": "0"}),
        json!({"stream": "customers", "account": true}),
        json!({"stream": "customers", "rewind_to": "yesterday"}),
    ];
    for payload in odd {
        let error = function.invoke(payload.clone()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::MalformedEvent, "{payload}");
        let expected = "source fieldmotion takes {\"stream\":\"<name>\"} with one of customers";
        assert!(error.message.contains(expected), "{payload}: {error}");
        assert_eq!(function.line()["error_type"], "MalformedEvent");
    }
    assert!(function.stage.tables(|tables| tables.checkpoints.is_empty()));
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
async fn a_vendor_failure_is_an_outcome_and_a_warning() {
    let function = Function::of("customers");
    function.stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Unauthorized));
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
async fn what_needs_attention_rings_once_beside_the_line() {
    let function = Function::of("customers");
    function.stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Forbidden));
    function.invoke(event("customers")).await.unwrap();
    assert_eq!(function.attention(), [("stream_paused".to_owned(), 1)], "{}", function.kept.text());
    assert_eq!(
        (&function.line()["notices"], &function.line()["level"]),
        (&json!("first_import, stream_paused"), &json!("WARN"))
    );
    function.stage.wait(16 * 60);
    function.invoke(event("customers")).await.unwrap();
    function.stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Unauthorized));
    function.stage.wait(16 * 60);
    function.invoke(event("customers")).await.unwrap();
    let rung = [("stream_paused", 1), ("stream_paused", 0), ("credential_rejected", 1)];
    assert_eq!(function.attention(), rung.map(|(notice, count)| (notice.to_owned(), count)));
}

/// A function whose stream has a record in its copy and was asked for under another account since.
async fn moved() -> Function {
    let function = Function::of("customers");
    function.stage.edit(["a"]);
    function.stage.settle().await;
    function.stage.vendor(|vendor| vendor.settings.account_mark = "another".to_owned());
    assert_eq!(function.outcome(event("customers")).await, "account_changed");
    function
}

#[tokio::test]
async fn another_account_stands_still_until_an_operator_keeps_the_copy() {
    let function = moved().await;
    assert_eq!(function.line()["level"], "WARN");
    assert_eq!(function.attention(), [("account_changed".to_owned(), 1)]);
    let before = function.stage.checkpoint();
    assert_eq!(function.outcome(event("keep-account")).await, "done");
    let line = function.line();
    assert_eq!((&line["level"], &line["act"], &line["stream"]), (&json!("INFO"), &json!("keep"), &json!("customers")));
    let after = function.stage.checkpoint();
    assert_eq!((after.scanned, after.account_mark.as_str()), (before.scanned, "another"));
    function.stage.edit(["b"]);
    assert_eq!(function.outcome(event("customers")).await, "owing", "it lists on");
}

#[tokio::test]
async fn an_operator_starts_again_with_another_account() {
    let function = moved().await;
    assert_eq!(function.outcome(event("start-again")).await, "done");
    assert_eq!(function.line()["act"], "start_again");
    let Checkpoint { scanned, committed, account_mark, .. } = function.stage.checkpoint();
    let first = Position::At(StampMillis::new(0));
    assert_eq!((scanned, committed, account_mark.as_str()), (first.clone(), first, "another"));
}

#[tokio::test]
async fn an_operator_rewinds_to_an_instant_read_as_the_vendor_stamps_it() {
    let function = Function::of("customers");
    function.stage.vendor(|vendor| vendor.settings.zone = 3_600_000);
    function.stage.edit(["a"]);
    function.stage.settle().await;
    function.stage.vendor(|vendor| vendor.settings.account_mark = "another".to_owned());
    assert_eq!(function.outcome(event("rewind")).await, "done");
    let Checkpoint { scanned, committed, account_mark, .. } = function.stage.checkpoint();
    let position = Position::At(StampMillis::new(1_771_927_200_000 + 3_600_000));
    assert_eq!((&scanned, &committed), (&position, &position));
    assert_eq!(account_mark, "account", "a rewind accepts no account");
    let message = function.line()["message"].to_string();
    assert!(message.contains("2026-02-24T11:00:00Z"), "{message}");
    assert_eq!(function.outcome(event("rewind")).await, "nothing_to_do");
    assert_eq!(function.stage.checkpoint().scanned, position);
}

#[tokio::test]
async fn a_rewind_goes_no_lower_than_the_first_import() {
    let function = Function::of("customers");
    function.stage.settle().await;
    let long_ago = json!({"stream": "customers", "rewind_to": "1960-01-01T00:00:00Z"});
    assert_eq!(function.outcome(long_ago).await, "done");
    assert_eq!(function.stage.checkpoint().scanned, Position::At(StampMillis::new(0)));
}

#[tokio::test]
async fn a_feed_has_no_instants_to_go_back_to() {
    let function = Function::shaped("changes", ListShape::Feed);
    function.invoke(event("fieldaware-changes")).await.unwrap();
    let before = function.stage.checkpoint();
    let rewind = json!({"stream": "changes", "rewind_to": "2026-02-24T10:00:00Z"});
    let error = function.invoke(rewind).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::MalformedEvent);
    assert!(
        error.message.contains("fieldmotion#changes is a feed") && error.message.contains("start_again"),
        "{error}"
    );
    assert_eq!(function.stage.checkpoint(), before);
}

#[tokio::test]
async fn an_act_on_nothing_says_so() {
    let function = Function::of("customers");
    for act in ["keep-account", "start-again", "rewind"] {
        assert_eq!(function.outcome(event(act)).await, "missing", "{act}");
        assert_eq!(function.line()["level"], "WARN");
    }
    let other = json!({"stream": "invoices", "account": "keep"});
    assert_eq!(function.invoke(other).await.unwrap_err().kind, ErrorKind::UnknownStream);
}

#[tokio::test]
async fn an_act_that_cannot_be_done_changes_nothing() {
    let function = moved().await;
    let before = function.stage.checkpoint();
    function.stage.world.source.faults().push(Operation::AccountMark, Fault::Reject);
    assert_eq!(function.outcome(event("keep-account")).await, "source_failed");
    function.stage.world.tables.faults().push(Operation::Load, Fault::Reject);
    assert_eq!(function.invoke(event("keep-account")).await.unwrap_err().kind, ErrorKind::StoreUnavailable);
    assert_eq!(function.stage.checkpoint(), before);
}

#[tokio::test]
async fn no_body_and_no_id_is_logged() {
    let function = Function::of("customers");
    let id = RecordId::parse("canary-id").unwrap();
    function.stage.edit([id.as_str()]);
    function.invoke(event("customers")).await.unwrap();
    function.stage.drain().await;
    function.invoke(event("customers")).await.unwrap();
    assert!(!function.kept.text().contains("canary") && !function.kept.text().contains("\\\"version\\\":2"));
}

/// What a probe of the stream found: each check and its verdict.
async fn probed(function: &Function) -> BTreeMap<String, String> {
    let answer = serde_json::to_value(function.invoke(event("probe-stream")).await.unwrap()).unwrap();
    assert_eq!(answer["outcome"], "probed", "{answer}");
    let findings = answer["probe"]["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(&finding["check"]), text(&finding["verdict"]))).collect()
}

#[tokio::test]
async fn a_probe_says_what_works_and_stores_nothing() {
    let function = Function::of("customers");
    function.stage.edit(["683136", "683137"]);
    function.stage.wait(60);
    let found = probed(&function).await;
    for check in ["reach", "credential", "list", "filter", "fetch", "clock", "zone"] {
        assert_eq!(found.get(check).map(String::as_str), Some("ok"), "{check}: {found:?}");
    }
    assert!(function.stage.tables(|tables| tables.checkpoints.is_empty() && tables.chunks.is_empty()));
    let line = function.line();
    assert_eq!((&line["act"], &line["outcome"], &line["failed_count"]), (&json!("probe"), &json!("probed"), &json!(0)));
}

#[tokio::test]
async fn a_probe_of_a_record_answers_its_version_and_no_body() {
    let function = Function::of("customers");
    function.stage.edit(["683136"]);
    function.stage.wait(60);
    let answer = serde_json::to_value(function.invoke(event("probe-record")).await.unwrap()).unwrap();
    assert_eq!((&answer["outcome"], &answer["probe"]["state"]), (&json!("probed"), &json!("there")), "{answer}");
    assert_eq!(answer["probe"]["hash"].as_str().map(str::len), Some(32), "{answer}");
    let members: Vec<&String> = answer["probe"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["hash", "stamp", "stamped_at", "state"]);
    let unknown = json!({"stream": "customers", "probe": {"record": "5"}});
    let answer = serde_json::to_value(function.invoke(unknown).await.unwrap()).unwrap();
    assert_eq!(answer["probe"], json!({"state": "gone"}));
    assert!(!function.kept.text().contains("683136"));
}

#[tokio::test]
async fn a_probe_asks_a_vendor_that_rejects_and_spares_one_that_throttles() {
    let function = Function::of("customers");
    function.stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Unauthorized));
    function.invoke(event("customers")).await.unwrap();
    assert_eq!(function.outcome(event("customers")).await, "breaker_open");
    assert_eq!(probed(&function).await, BTreeMap::from([("credential".to_owned(), "failure".to_owned())]));

    let function = Function::of("customers");
    let retry_after = Some(Duration::from_mins(5));
    function.stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Throttled { retry_after }));
    function.invoke(event("customers")).await.unwrap();
    function.stage.world.source.faults().take_calls();
    assert_eq!(function.outcome(event("probe-stream")).await, "breaker_open");
    assert!(function.stage.world.source.faults().take_calls().is_empty());
}

#[tokio::test]
async fn a_probe_respects_a_persons_pause() {
    let function = Function::of("customers");
    let since = function.stage.world.clock.now();
    let pause = Pause { since, until: None, by: "anna".to_owned(), why: "their move".to_owned() };
    function.stage.tables(|tables| {
        tables.sources.entry(SourceKind::FieldMotion).or_default().state.pause = Some(pause.clone());
    });
    assert_eq!(function.outcome(event("probe-stream")).await, "paused_by_operator");
}

#[tokio::test]
async fn a_backfill_is_estimated_begun_and_cancelled() {
    let function = Function::of("customers");
    assert_eq!(function.outcome(event("backfill")).await, "missing", "it was never polled");
    function.stage.edit(["683136", "683137"]);
    function.stage.wait(60);
    function.invoke(event("customers")).await.unwrap();
    function.stage.drain().await;
    let range = json!({"from": "2026-02-01T00:00:00Z"});
    let estimate = json!({"stream": "customers", "backfill": {"from": range["from"], "estimate": true}});
    let answer = serde_json::to_value(function.invoke(estimate).await.unwrap()).unwrap();
    assert_eq!((&answer["outcome"], &answer["estimate"]), (&json!("done"), &json!({"records": 2, "calls": 3})));
    assert_eq!(function.outcome(event("backfill-cancel")).await, "nothing_to_do");
    assert_eq!(function.outcome(event("backfill")).await, "done");
    let line = function.kept.lines().into_iter().find(|line| line["listed"] == 2).expect("it ends at once");
    assert_eq!(line["owed_count"], 2, "{line}");
    assert_eq!(function.outcome(event("backfill-cancel")).await, "nothing_to_do");
    let until = json!({"stream": "customers", "backfill": {"from": range["from"], "to": "2026-02-02T00:00:00Z"}});
    let error = function.invoke(until).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::MalformedEvent);
    assert!(error.to_string().contains("leave the upper bound out"), "{error}");
    let feed = Function::shaped("changes", ListShape::Feed);
    let error = feed.invoke(json!({"stream": "changes", "backfill": range})).await.unwrap_err();
    assert!(error.to_string().contains("tidemark fetch"), "{error}");
}
