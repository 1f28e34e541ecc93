//! Rule 9 (breaker).

use std::time::Duration;

use tidemark_engine::breaker::BreakerState;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_tests::stage::{Stage, ids};

fn breaker(stage: &Stage) -> tidemark_engine::breaker::Breaker {
    let source = stage.stream().source;
    stage.world.tables.with(|tables| tables.sources.entry(source).or_default().state.breaker.clone())
}

#[tokio::test]
async fn five_failures_in_a_row_open_the_breaker_and_a_list_closes_it() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.world.source.with(|vendor| vendor.unwell = Some(FailureClass::Transient));
    assert!(matches!(stage.tick().await.outcome, PollOutcome::SourceFailed { .. }));
    assert_eq!(breaker(&stage).state(stage.now()), BreakerState::Closed);
    stage.wait(300);
    stage.tick().await;
    assert!(matches!(breaker(&stage).state(stage.now()), BreakerState::Open(_)));
    // While it is open nobody calls; then the poller's list is the probe.
    let calls = stage.tick().await.calls_count;
    assert_eq!(calls, 0);
    stage.world.source.with(|vendor| vendor.unwell = None);
    stage.wait(61);
    assert_eq!(breaker(&stage).state(stage.now()), BreakerState::HalfOpen);
    stage.sync().await;
    assert_eq!((breaker(&stage).is_disturbed(), stage.differences().len()), (false, 0));
}

#[tokio::test]
async fn each_further_failure_doubles_the_pause_up_to_a_quarter_of_an_hour() {
    let stage = Stage::new(ListShape::Whole);
    stage.world.source.with(|vendor| vendor.unwell = Some(FailureClass::Transient));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        stage.tick().await;
        pauses.extend(breaker(&stage).open_for.map(|open| open.as_secs()));
        stage.wait(901);
    }
    assert_eq!(pauses, [60, 120, 240, 480, 900, 900, 900]);
}

#[tokio::test]
async fn a_429_opens_the_breaker_for_as_long_as_it_asks() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(30);
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    let retry_after = Some(Duration::from_secs(200));
    stage.world.source.with(|vendor| vendor.failures.push_back(FailureClass::Throttled { retry_after }));
    stage.drain().await;
    let open_for = breaker(&stage).open_until.map(|until| until.since(stage.now()).as_secs());
    assert!(open_for.is_some_and(|seconds| (190..=200).contains(&seconds)), "{open_for:?}");
    stage.wait(201);
    stage.sync().await;
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_403_pauses_the_stream_and_leaves_the_source_alone() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a"]);
    stage.world.source.with(|vendor| vendor.unwell = Some(FailureClass::Forbidden));
    stage.tick().await;
    assert!(matches!(stage.tick().await.outcome, PollOutcome::Paused(_)));
    assert!(!breaker(&stage).is_disturbed());
    stage.world.source.with(|vendor| vendor.unwell = None);
    stage.wait(901);
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
    let source = stage.stream().source;
    assert!(stage.world.tables.with(|tables| tables.sources.entry(source).or_default().state.pauses.is_empty()));
}

#[tokio::test]
async fn a_rejected_credential_opens_the_breaker_at_once_and_loses_nothing() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(30);
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    stage.world.source.with(|vendor| vendor.unwell = Some(FailureClass::Unauthorized));
    stage.details();
    stage.drain().await;
    assert!(stage.details() <= 10, "no call is begun once the credential was rejected");
    stage.world.source.with(|vendor| vendor.unwell = None);
    stage.wait(901);
    stage.sync().await;
    stage.sync().await;
    assert_eq!((stage.differences().len(), stage.quarantined().len()), (0, 0));
}
