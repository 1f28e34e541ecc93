use std::cell::RefCell;
use std::time::Duration;

use lambda_runtime::Context;
use serde_json::{Value, json};
use tidemark_engine::failure::{FailureClass, StoreFailure};
use tidemark_engine::health::{Pause, Why};
use tidemark_engine::ports::{Checkpoints, Ledger};
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Lane, Reason, TRIES_TO_ADVANCE};
use tidemark_runtime::failure::ErrorKind;
use tidemark_runtime::kept::Kept;
use tidemark_sweep::ports::Sweeps;
use tidemark_testkit::memory::{Fault, ManualClock, MemoryTables, Operation};
use tidemark_tests::stage::{Stage, ids};
use tidemark_watch::WatchedStream;
use tidemark_watch::measurement::{Measurement, MeasurementName, Measurements};

use super::*;

/// The tables of a stage, and a place for figures.
struct World {
    tables: MemoryTables,
    clock: ManualClock,
    published: Published,
}

#[derive(Default)]
struct Published(RefCell<Vec<Measurement>>);

impl Measurements for Published {
    async fn publish(&self, measurements: &[Measurement]) -> Result<(), StoreFailure> {
        self.0.borrow_mut().extend_from_slice(measurements);
        Ok(())
    }
}

impl WatcherPorts for World {
    fn checkpoints(&self) -> &impl Checkpoints {
        &self.tables
    }

    fn ledger(&self) -> &(impl Ledger + Sweeps) {
        &self.tables
    }

    fn measurements(&self) -> &impl Measurements {
        &self.published
    }

    fn clock(&self) -> &impl Clock {
        &self.clock
    }
}

struct Function {
    handler: Handler<World>,
    kept: Kept,
}

impl Function {
    /// A watcher of the stage's stream, which is stale after 15 minutes.
    fn over(stage: &Stage) -> Self {
        let stream = stage.stream();
        let ports = World {
            tables: stage.world.tables.clone(),
            clock: stage.world.clock.clone(),
            published: Published::default(),
        };
        let streams = vec![(stream.source, vec![WatchedStream { name: stream.name, rests_for: Duration::ZERO }])];
        let watcher = Watcher { ports, watched: streams, stale_after: Duration::from_mins(15) };
        Self { handler: Handler { watcher }, kept: Kept::default() }
    }

    async fn invoke(&self) -> Result<(), InvocationError> {
        let path = format!("{}/../../events/watcher-scheduled.json", env!("CARGO_MANIFEST_DIR"));
        let payload = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let _log = self.kept.log();
        self.handler.handle(LambdaEvent::new(payload, Context::default())).await
    }

    /// The line of the stream.
    fn line(&self) -> Value {
        let mut lines = self.kept.lines().into_iter().filter(|line| line.get("staleness_seconds").is_some());
        lines.next_back().expect("every stream has a line")
    }

    fn figure(&self, name: MeasurementName) -> Option<f64> {
        let published = self.handler.watcher.ports.published.0.borrow();
        published.iter().find(|measurement| measurement.name == name).map(|measurement| measurement.value)
    }
}

#[tokio::test]
async fn a_stream_in_order_is_logged_and_published() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.settle().await;
    stage.wait(100);
    let function = Function::over(&stage);
    function.invoke().await.unwrap();
    let line = function.line();
    assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("fresh")));
    assert_eq!((&line["source"], &line["stream"]), (&json!("fieldmotion"), &json!("things")));
    assert_eq!((&line["is_stale"], &line["import_count"]), (&json!(false), &json!(0)));
    assert_eq!((&line["owed_fresh"], &line["owed_bulk"]), (&json!(0), &json!(0)));
    assert!(line["staleness_seconds"].as_u64().unwrap() >= 60);
    assert_eq!(function.figure(MeasurementName::Heartbeat), Some(1.0));
    let last = function.kept.lines().pop().unwrap();
    assert_eq!((&last["message"], &last["streams_count"]), (&json!("figures and heartbeat published"), &json!(1)));
}

#[tokio::test]
async fn an_import_says_how_far_it_got() {
    let stage = Stage::new(ListShape::Whole);
    // Room for 50 calls in half an interval, so that the rest of the list is bulk work.
    stage.settings.borrow_mut().call_interval = Duration::from_secs(3);
    stage.edit(ids(170));
    stage.tick().await;
    assert_eq!((stage.owed_count(Lane::Fresh), stage.owed_count(Lane::Bulk)), (50, 120));
    let function = Function::over(&stage);
    function.invoke().await.unwrap();
    let line = function.line();
    assert_eq!(line["message"], "importing 0 %");
    assert_eq!(
        (&line["owed_fresh"], &line["owed_bulk"], &line["import_count"]),
        (&json!(50), &json!(120), &json!(120))
    );
    assert_eq!(function.figure(MeasurementName::Backlog), Some(170.0));
}

#[tokio::test]
async fn quarantine_is_a_warning_once_a_person_should_hear_of_it() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    let heals_at = stage.now().plus(Duration::from_hours(100));
    let a = tidemark_tests::stage::id("a");
    stage.vendor(|vendor| vendor.fail(&a, FailureClass::Transient, heals_at));
    stage.tick().await;
    stage.drain().await;
    let function = Function::over(&stage);
    function.invoke().await.unwrap();
    assert_eq!((&function.line()["quarantine_count"], &function.line()["troubled_count"]), (&json!(1), &json!(0)));
    assert_eq!(function.line()["level"], "INFO");
    stage.tables(|tables| tables.retries.values_mut().for_each(|entry| entry.attempts = TRIES_TO_ADVANCE));
    function.invoke().await.unwrap();
    assert_eq!((&function.line()["level"], &function.line()["troubled_count"]), (&json!("WARN"), &json!(1)));
}

#[tokio::test]
async fn the_quarantine_asks_for_a_person_daily_and_at_once_for_another_reason() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b"]);
    let heals_at = stage.now().plus(Duration::from_hours(100));
    let all = ["a", "b"].map(tidemark_tests::stage::id);
    stage.vendor(|vendor| all.iter().for_each(|id| vendor.fail(id, FailureClass::Transient, heals_at)));
    stage.tick().await;
    stage.drain().await;
    let start = stage.now();
    // How many streams ask for a person so long after the start, when two ids came in then and for these reasons.
    let asking = async |at: u64, entries: [(Reason, u64); 2]| {
        stage.tables(|tables| {
            for (entry, (reason, since)) in tables.retries.values_mut().zip(entries) {
                (entry.reason, entry.attempts) = (reason, TRIES_TO_ADVANCE);
                entry.since = start.plus(Duration::from_secs(since));
            }
        });
        stage.world.clock.set(start.plus(Duration::from_secs(at)));
        let function = Function::over(&stage);
        function.invoke().await.unwrap();
        let count = function.figure(MeasurementName::Attention);
        let is_told = function.kept.text().contains("attention: ids in quarantine wait for a person");
        assert_eq!(is_told, count > Some(0.0));
        count
    };
    assert_eq!(asking(60, [(Reason::Record, 0), (Reason::Record, 30)]).await, Some(0.0), "its own alarm rings");
    assert_eq!(
        asking(5_060, [(Reason::Record, 0), (Reason::Record, 5_000)]).await,
        Some(0.0),
        "a reason that is known"
    );
    assert_eq!(asking(5_060, [(Reason::Record, 0), (Reason::Crash, 5_000)]).await, Some(1.0), "another reason");
    assert_eq!(asking(6_060, [(Reason::Record, 0), (Reason::Crash, 5_000)]).await, Some(0.0), "for some minutes");
    assert_eq!(asking(86_460, [(Reason::Record, 0), (Reason::Record, 30)]).await, Some(1.0), "a day later");
}

#[tokio::test]
async fn a_stale_and_held_back_stream_is_a_warning_with_the_cause() {
    let stage = Stage::new(ListShape::Whole);
    stage.sync().await;
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Forbidden));
    stage.wait(1_000);
    stage.tick().await;
    let function = Function::over(&stage);
    function.invoke().await.unwrap();
    let line = function.line();
    assert_eq!((&line["level"], &line["is_stale"]), (&json!("WARN"), &json!(true)));
    assert!(line["held_back"].as_str().unwrap().contains("the stream pauses until"), "{line}");
    assert!(function.figure(MeasurementName::Staleness).unwrap() >= 1_000.0);
}

#[tokio::test]
async fn a_stream_that_was_never_polled_is_stale() {
    let function = Function::over(&Stage::new(ListShape::Whole));
    function.invoke().await.unwrap();
    assert_eq!(function.line()["is_stale"], true);
}

#[tokio::test]
async fn without_tables_there_is_no_heartbeat() {
    let stage = Stage::new(ListShape::Whole);
    stage.world.tables.faults().push(Operation::SourceState, Fault::Reject);
    let function = Function::over(&stage);
    let error = function.invoke().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::StoreUnavailable);
    assert_eq!(function.figure(MeasurementName::Heartbeat), None);
    assert_eq!(function.kept.lines().pop().unwrap()["error_type"], "StoreUnavailable");
}

#[tokio::test]
async fn what_a_vendor_said_cannot_forge_a_line() {
    let stage = Stage::new(ListShape::Whole);
    stage.sync().await;
    let cause = "no\n{\"level\":\"INFO\",\"staleness_seconds\":0}\u{2028}\u{1b}[2J".to_owned();
    let until = stage.now().plus(Duration::from_mins(5));
    let why = Why { class: FailureClass::Transient, cause };
    stage.world.tables.pause_stream(&stage.stream(), until, &why).await.unwrap();
    let function = Function::over(&stage);
    function.invoke().await.unwrap();
    let text = function.kept.text();
    assert_eq!(text.lines().count(), function.kept.lines().len(), "every line is one object: {text}");
    assert!(!text.contains(['\u{2028}', '\u{1b}']));
    assert!(function.line()["held_back"].as_str().unwrap().contains("staleness_seconds"));
}

#[tokio::test]
async fn an_operators_pause_excuses_a_standstill_for_a_day() {
    let stage = Stage::new(ListShape::Whole);
    stage.settle().await;
    let pause = Pause { since: stage.now(), until: None, by: "anna".to_owned(), why: "their move".to_owned() };
    stage.tables(|tables| tables.streams.entry(stage.stream()).or_default().pause = Some(pause));
    stage.wait(23 * 3_600);
    let function = Function::over(&stage);
    function.invoke().await.unwrap();
    let line = function.line();
    assert_eq!((&line["message"], &line["is_stale"]), (&json!("paused"), &json!(false)));
    assert_eq!(line["held_back"], "the stream was paused by anna until somebody resumes it: their move");
    assert_eq!(function.figure(MeasurementName::Staleness), Some(0.0));

    stage.wait(3_601);
    let function = Function::over(&stage);
    function.invoke().await.unwrap();
    assert_eq!(function.line()["is_stale"], true);
    assert!(function.figure(MeasurementName::Staleness).unwrap() > 86_400.0);
}
