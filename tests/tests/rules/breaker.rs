//! Section 6.6: pauses of a stream after failures in a row, and of the source after a 429 or a rejected credential.

use std::time::Duration;

use tidemark_engine::failure::FailureClass;
use tidemark_engine::health::{ACCOUNT_CHANGED, Breaker, Pause};
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::Lane;
use tidemark_testkit::memory::Operation;
use tidemark_tests::stage::{Stage, id, ids};

fn fail_details(stage: &Stage, ids: &[String], class: FailureClass, seconds: u64) {
    let until = stage.now().plus(Duration::from_secs(seconds));
    stage.vendor(|vendor| ids.iter().for_each(|text| vendor.fail(&id(text), class, until)));
}

#[tokio::test]
async fn five_failures_in_a_row_pause_the_stream_and_the_rest_stays_owed() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let all = ids(100);
    stage.edit(&all);
    fail_details(&stage, &all, FailureClass::Transient, 1_800);
    stage.tick().await;
    let reports = stage.drain().await;
    assert!(reports[0].notices.contains(&Notice::BreakerOpened), "{reports:?}");
    let until = stage.stream_state().breaker.open(stage.now());
    assert!(until.is_some_and(|until| until.since(stage.now()) <= Duration::from_mins(1)));
    // Those in flight failed; the others were not asked for, and are sent again when the pause is over.
    let retried = stage.retries().len();
    assert!((5..=20).contains(&retried) && stage.owed_count(Lane::Fresh) == 100 - retried, "{retried}");
    stage.details();
    stage.wait(30);
    let report = stage.tick().await;
    assert_eq!((report.listed_count, report.sent_count, stage.details()), (100, 0, 0), "it is listed all the same");
    // WHEN the outage ends, all of it drains by itself
    stage.play(20).await;
    assert_eq!((stage.differences().len(), stage.retries().len(), stage.world.queue.dead_count()), (0, 0, 0));
    assert!(!stage.stream_state().breaker.is_disturbed());
}

#[tokio::test]
async fn failures_before_a_success_do_not_count_with_those_after_it() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let all = ids(7);
    // Three fail, one succeeds, and three others fail.
    for (edited, fails) in [(&all[..3], true), (&all[3..4], false), (&all[4..], true)] {
        stage.edit(edited);
        if fails {
            fail_details(&stage, edited, FailureClass::Transient, 36_000);
        }
        stage.tick().await;
        stage.drain().await;
        stage.vendor(|vendor| vendor.failing.clear());
        stage.wait(1);
        assert_eq!(stage.stream_state().breaker.failure_count, if fails { 3 } else { 0 });
    }
    assert_eq!(stage.stream_state().breaker.open(stage.now()), None);
}

#[tokio::test]
async fn each_further_failure_doubles_the_pause_up_to_a_quarter_of_an_hour() {
    let stage = Stage::patient(ListShape::Whole).known().await;
    let all = ids(60);
    stage.edit(&all);
    // Not tried again in the call, as time stands still.
    fail_details(&stage, &all, FailureClass::Forbidden, 360_000);
    stage.settings.borrow_mut().chunk_ids = 1;
    stage.tick().await;
    let mut pauses = Vec::new();
    for queued in stage.messages() {
        stage.fetcher().fetch(&queued, 1, stage.stop_at()).await.unwrap();
        let until = stage.stream_state().breaker.open(stage.now());
        if let Some(until) = until {
            pauses.push(until.since(stage.now()).as_secs());
            stage.wait(901);
        }
    }
    assert_eq!(pauses[..6], [60, 120, 240, 480, 900, 900]);
}

#[tokio::test]
async fn failures_of_ids_that_are_in_the_retry_lane_are_no_news() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let bad = ids(8);
    fail_details(&stage, &bad, FailureClass::Transient, 86_400);
    // They come one at a time, others succeed between.
    for text in &bad {
        stage.edit([text.as_str(), "good"]);
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
    }
    assert_eq!(stage.retries().len(), 8);
    stage.tables(|tables| tables.streams.values_mut().for_each(|state| state.breaker = Breaker::default()));
    // All of them are tried again at once, with nothing between.
    stage.wait(4 * 3_600);
    stage.tick().await;
    stage.drain().await;
    assert!(stage.retries().iter().all(|entry| entry.attempts >= 1));
    assert!(!stage.stream_state().breaker.is_disturbed(), "{:?}", stage.stream_state());
}

#[tokio::test]
async fn a_list_that_fails_pauses_nobody() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Transient));
    for _ in 0..6 {
        let report = stage.tick().await;
        assert_eq!(report.calls_count, 3, "tried three times");
        assert!(matches!(report.outcome, PollOutcome::SourceFailed(FailureClass::Transient, _)));
        stage.wait(300);
    }
    stage.vendor(|vendor| vendor.unwell = None);
    stage.sync().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn an_outage_burns_no_receives_and_fills_no_dead_letters() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(200));
    stage.tick().await;
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Transient));
    stage.play(72).await;
    // A handful of ids moved to the retry lane, the others wait in their chunks.
    assert!(stage.retries().len() <= 100, "{}", stage.retries().len());
    stage.vendor(|vendor| vendor.unwell = None);
    stage.wait(4 * 3_600);
    stage.play(30).await;
    let left = (stage.differences().len(), stage.retries().len(), stage.world.queue.dead_count());
    assert_eq!(left, (0, 0, 0));
}

#[tokio::test]
async fn a_short_retry_after_is_waited_out_in_place() {
    let throttled = FailureClass::Throttled { retry_after: Some(Duration::from_secs(7)) };
    // By a list,
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "b"]);
    stage.vendor(|vendor| vendor.failures.push_back(throttled));
    let before = stage.now();
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.calls_count), (PollOutcome::Owing, 2));
    assert!(stage.now().since(before) >= Duration::from_secs(7));
    // and by a fetcher.
    stage.vendor(|vendor| vendor.failures.push_back(throttled));
    let before = stage.now();
    stage.drain().await;
    assert!((7..9).contains(&stage.now().since(before).as_secs()));
    assert_eq!((stage.differences().len(), stage.retries().len()), (0, 0));
    assert!(!stage.source_breaker().is_disturbed());
}

#[tokio::test]
async fn a_record_that_always_asks_for_a_short_pause_does_not_stay_in_its_chunk() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    let asks = FailureClass::Throttled { retry_after: Some(Duration::from_secs(1)) };
    fail_details(&stage, &["a".to_owned()], asks, 36_000);
    stage.tick().await;
    stage.drain().await;
    assert_eq!((stage.retried(), stage.chunks(Lane::Fresh).len()), (vec!["a".to_owned()], 0));
}

#[tokio::test]
async fn a_list_that_always_asks_for_a_short_pause_is_not_called_all_the_time_that_there_is() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Throttled { retry_after: Some(Duration::from_secs(1)) }));
    assert_eq!(stage.tick().await.calls_count, 30);
    stage.vendor(|vendor| vendor.unwell = None);
    stage.edit(["a"]);
    stage.play(2).await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn a_long_one_pauses_the_source_for_as_long_as_it_asks() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(30));
    stage.tick().await;
    let retry_after = Some(Duration::from_secs(200));
    stage.vendor(|vendor| vendor.failures.push_back(FailureClass::Throttled { retry_after }));
    stage.drain().await;
    let open_for = stage.source_breaker().open_until.map(|until| until.since(stage.now()).as_secs());
    assert!(open_for.is_some_and(|seconds| (190..=200).contains(&seconds)), "{open_for:?}");
    // Nobody calls, then the list is the probe.
    assert!(matches!(stage.tick().await.outcome, PollOutcome::BreakerOpen(_)));
    stage.wait(201);
    stage.sync().await;
    assert!(!stage.source_breaker().is_disturbed());
    stage.play(3).await;
    assert_eq!((stage.differences().len(), stage.retries().len()), (0, 0));
}

#[tokio::test]
async fn however_long_a_vendor_asks_for_it_is_called_again_after_a_quarter_of_an_hour() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let retry_after = Some(Duration::from_secs(1_000_000_000));
    stage.vendor(|vendor| vendor.failures.push_back(FailureClass::Throttled { retry_after }));
    stage.tick().await;
    let until = stage.source_breaker().open(stage.now());
    assert!(until.is_some_and(|until| until.since(stage.now()) <= Duration::from_mins(15)));
    stage.wait(901);
    assert_eq!(stage.tick().await.outcome, PollOutcome::Quiet);
}

#[tokio::test]
async fn rows_cost_no_call_and_pass_a_pause() {
    let stage = Stage::new(ListShape::Pages);
    stage.edit(["a", "b"]);
    stage.tick().await;
    let until = stage.now().plus(Duration::from_mins(10));
    let source = stage.stream().source;
    stage.tables(|tables| tables.sources.entry(source).or_default().state.breaker.open_until = Some(until));
    stage.drain().await;
    assert_eq!((stage.differences().len(), stage.details()), (0, 0));
}

#[tokio::test]
async fn a_403_of_a_list_pauses_the_stream_and_leaves_the_source_alone() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Forbidden));
    let report = stage.tick().await;
    assert!(report.notices.contains(&Notice::StreamPaused) && Notice::StreamPaused.needs_attention());
    let paused = stage.tick().await;
    assert!(matches!(paused.outcome, PollOutcome::Paused(_)) && paused.calls_count == 0);
    assert!(!stage.source_breaker().is_disturbed());
    stage.vendor(|vendor| vendor.unwell = None);
    stage.wait(901);
    stage.sync().await;
    assert_eq!((stage.differences().len(), stage.stream_state().breaker.is_disturbed()), (0, false));
}

#[tokio::test]
async fn a_rejected_credential_pauses_the_source_at_once_and_loses_nothing() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(ids(30));
    stage.tick().await;
    stage.vendor(|vendor| vendor.unwell = Some(FailureClass::Unauthorized));
    let reports = stage.drain().await;
    assert!(reports[0].notices.contains(&Notice::CredentialRejected) && Notice::CredentialRejected.needs_attention());
    assert!(stage.details() <= 10, "no call is begun once the credential was rejected");
    let hold = stage.world.source.faults().calls(Operation::List);
    assert!(matches!(stage.tick().await.outcome, PollOutcome::BreakerOpen(_)));
    assert_eq!(stage.world.source.faults().calls(Operation::List), hold);
    stage.vendor(|vendor| vendor.unwell = None);
    stage.wait(901);
    stage.play(4).await;
    assert_eq!((stage.differences().len(), stage.retries().len()), (0, 0));
}

/// Of one record a vendor may say for good what it says of a rejected credential.
#[tokio::test]
async fn a_record_that_alone_is_answered_with_a_rejected_credential_pauses_the_source_once() {
    let stage = Stage::new(ListShape::Whole).known().await;
    fail_details(&stage, &["bad".to_owned()], FailureClass::Unauthorized, 864_000);
    stage.edit(["bad"]);
    stage.tick().await;
    stage.drain().await;
    assert!(stage.source_breaker().is_disturbed(), "nobody can tell it apart from all others");
    stage.wait(901);
    stage.sync().await;
    for _ in 0..3 {
        // Tried again, and listed again among others.
        stage.wait(4 * 3_600);
        stage.edit(["bad", "good"]);
        stage.tick().await;
        let reports = stage.drain().await;
        assert!(reports.iter().all(|report| !report.notices.contains(&Notice::CredentialRejected)), "{reports:?}");
        assert!(!stage.source_breaker().is_disturbed(), "{:?}", stage.source_breaker());
    }
    assert!(stage.retries().iter().all(|entry| entry.attempts >= 1) && stage.retries().len() == 1);
    assert_eq!(stage.differences().len(), 1, "all others are stored");
}

fn pause(stage: &Stage) -> Pause {
    Pause { since: stage.now(), until: None, by: "anna".to_owned(), why: "their move".to_owned() }
}

#[tokio::test]
async fn an_operators_pause_stops_all_calls_of_a_stream_until_it_is_ended() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "b"]);
    stage.tick().await;
    let details_before = stage.details();
    stage.tables(|tables| tables.streams.entry(stage.stream()).or_default().pause = Some(pause(&stage)));
    stage.drain().await;
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.calls_count, report.sent_count), (PollOutcome::PausedByOperator, 0, 0));
    stage.wait(3_600);
    stage.drain().await;
    assert_eq!(stage.details(), details_before, "nobody calls, however long it lasts");

    stage.tables(|tables| tables.streams.entry(stage.stream()).or_default().pause = None);
    stage.wait(61);
    stage.sync().await;
    assert_eq!(stage.differences().len(), 0);
}

#[tokio::test]
async fn an_operators_pause_of_the_source_is_over_at_its_time() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    let until = stage.now().plus(Duration::from_mins(10));
    let paused = Some(Pause { until: Some(until), ..pause(&stage) });
    let source = stage.stream().source;
    stage.tables(|tables| tables.sources.entry(source).or_default().state.pause = paused);
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.calls_count), (PollOutcome::PausedByOperator, 0));
    stage.wait(601);
    stage.sync().await;
    assert_eq!(stage.differences().len(), 0);
}

#[tokio::test]
async fn an_account_that_changed_shows_in_the_ledger_until_it_is_settled() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.vendor(|vendor| std::mem::replace(&mut vendor.settings.account_mark, "another".to_owned()));
    assert_eq!(stage.tick().await.outcome, PollOutcome::AccountChanged);
    let why = stage.stream_state().breaker.why;
    assert_eq!(why.map(|why| why.cause), Some(ACCOUNT_CHANGED.to_owned()));
    stage.vendor(|vendor| vendor.settings.account_mark = before);
    stage.sync().await;
    assert!(!stage.stream_state().breaker.is_disturbed());
}

#[tokio::test]
async fn details_that_are_refused_pause_their_stream_for_longer_each_time_though_its_list_is_allowed() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let all = ids(300);
    fail_details(&stage, &all, FailureClass::Forbidden, 864_000);
    stage.edit(&all);
    stage.play(30).await;
    // Five at each pause: at most 15 minutes apart they are ten pauses in the two and a half hours.
    assert!(stage.retries().len() <= 60, "{}", stage.retries().len());
}
