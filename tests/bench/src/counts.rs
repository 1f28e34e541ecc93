//! Calls and writes, counted by the engine's real use cases over memory ports, and the costs that follow from them.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stamp::millis_of;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::Operation;
use tidemark_tests::stage::{Stage, id, ids};

use crate::row::{Row, at_most, printed};

/// Prices of us-east-1, in dollars.
mod price {
    /// A million write request units of DynamoDB on demand.
    pub(super) const WRITES: f64 = 0.625;
    /// A million read request units.
    pub(super) const READS: f64 = 0.125;
    /// A million SQS requests.
    pub(super) const QUEUE: f64 = 0.40;
    /// A GB-second of an arm64 function, and a million invocations.
    pub(super) const COMPUTE: f64 = 0.000_013_333_4;
    pub(super) const INVOCATIONS: f64 = 0.20;
    /// A custom metric a month, an alarm a month, a secret a month.
    pub(super) const METRIC: f64 = 0.30;
    pub(super) const ALARM: f64 = 0.10;
    pub(super) const SECRET: f64 = 0.40;
    /// A million schedule invocations.
    pub(super) const SCHEDULES: f64 = 1.00;
    /// A million `PutMetricData` calls.
    pub(super) const PUBLISHES: f64 = 10.00;
}

type Calls = BTreeMap<Operation, usize>;

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = idle_tick().await;
    rows.extend(changed_records().await?);
    rows.push(killed_import().await);
    Ok(rows)
}

fn figure(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Writes to DynamoDB among the calls. A put of chunks is counted by chunk, not by call.
fn writes(calls: &Calls, chunks: usize) -> usize {
    let is_single = |operation: &Operation| {
        matches!(
            operation,
            Operation::Create
                | Operation::Acquire
                | Operation::Store
                | Operation::MarkSent
                | Operation::Finish
                | Operation::Poison
                | Operation::MarkTrying
                | Operation::Quarantine
                | Operation::Reschedule
                | Operation::Resolve
                | Operation::AddFailures
                | Operation::OpenBreaker
                | Operation::CloseBreaker
                | Operation::NoteStampGap
                | Operation::Reserve
                | Operation::Upsert
                | Operation::Tombstone
        )
    };
    calls.iter().filter(|(operation, _)| is_single(operation)).map(|(_, count)| count).sum::<usize>() + chunks
}

/// Single reads among the calls.
fn reads(calls: &Calls) -> usize {
    let is_read = |operation: &Operation| {
        matches!(
            operation,
            Operation::Load | Operation::Chunks | Operation::Chunk | Operation::Quarantined | Operation::SourceState
        )
    };
    calls.iter().filter(|(operation, _)| is_read(operation)).map(|(_, count)| count).sum()
}

/// A stage in use: records that were edited one after the other and imported, and one edit that was just fetched, so that
/// it is known how stamps and clock agree.
async fn settled(count: usize) -> Stage {
    let stage = Stage::new(ListShape::Whole);
    edit_in_turn(&stage, &ids(count));
    stage.settle().await;
    stage.edit(["00000"]);
    stage.settle().await;
    forget(&stage);
    stage
}

/// Edits records ten seconds apart.
fn edit_in_turn(stage: &Stage, all: &[String]) {
    for id in all {
        stage.edit([id.as_str()]);
        stage.wait(10);
    }
}

fn forget(stage: &Stage) -> (Calls, Calls) {
    (stage.world.tables.faults().take_calls(), stage.world.source.faults().take_calls())
}

async fn idle_tick() -> Vec<Row> {
    let stage = settled(100).await;
    stage.wait(300);
    let report = stage.tick().await;
    let (tables, vendor) = forget(&stage);
    let count = |operation| vendor.get(&operation).copied().unwrap_or(0);
    let quiet = if report.outcome == PollOutcome::Quiet { "a tick without news" } else { "NOT an idle tick" };
    let lists = at_most("idle tick: vendor calls", figure(count(Operation::List)), 2.0, "", quiet);
    let details = at_most("idle tick: detail calls", figure(count(Operation::Fetch)), 0.0, "", quiet);
    let written = at_most("idle tick: DynamoDB writes", figure(writes(&tables, 0)), 3.0, "", quiet);
    let ticks_a_month = 30.0 * 24.0 * 12.0;
    let streams = 6.0;
    let per_tick = (figure(writes(&tables, 0)) * price::WRITES + figure(reads(&tables)) * price::READS) / 1e6
        + (price::INVOCATIONS + price::SCHEDULES) / 1e6
        // A quarter of a GB for 200 ms: two table round trips and one vendor call.
        + 0.25 * 0.2 * price::COMPUTE;
    let polling = ticks_a_month * streams * per_tick;
    // Lambda asks an idle queue with five connections, 20 s each.
    let queue = 5.0 * 30.0 * 24.0 * 180.0 * price::QUEUE / 1e6;
    let watching = ticks_a_month
        * ((price::INVOCATIONS + price::SCHEDULES + price::PUBLISHES) / 1e6 + 0.125 * 0.2 * price::COMPUTE);
    // Five metrics of the source and the heartbeat; eight alarms of the source and two shared ones.
    let fixed = 6.0 * price::METRIC + 10.0 * price::ALARM + price::SECRET;
    let month = printed(
        "AWS cost of an idle stack with FieldMotion alone, a month",
        format!(
            "${:.2}: polling ${polling:.2}, queue ${queue:.2}, watching ${watching:.2}, metrics, alarms and secret ${fixed:.2}",
            polling + queue + watching + fixed
        ),
        "computed from the idle tick's counts, six streams every 5 minutes, list prices",
    );
    vec![lists, details, written, month]
}

/// Edits records evenly over the last `days`, as a vendor's users do; how many of them lie within the overlap, whose ids
/// have to be looked at once more.
fn edit_over(days: usize, stage: &Stage, count: usize) -> usize {
    let span_ms = days * 24 * 3_600 * 1_000;
    let now = stage.now();
    let overlap_ms = millis_of(stage.settings.borrow().overlap);
    let mut overlapped = 0;
    stage.world.source.with(|vendor| {
        for (nth, text) in ids(count).iter().enumerate() {
            let before_ms = i64::try_from(span_ms - span_ms * nth / count).unwrap_or(i64::MAX);
            vendor.edit(&id(text), now.shifted(-before_ms), Duration::ZERO);
            overlapped += usize::from(before_ms <= overlap_ms + i64::try_from(span_ms / count).unwrap_or(0) + 1_000);
        }
    });
    overlapped
}

async fn changed_records() -> Result<Vec<Row>, Box<dyn Error>> {
    const CHANGED: usize = 5_000;
    let stage = settled(CHANGED).await;
    stage.wait(24 * 3_600);
    let overlapped = edit_over(1, &stage, CHANGED);
    stage.world.tables.with(|tables| tables.chunks.clear());
    forget(&stage);
    let sent_before = stage.world.queue.queued_count();
    let mut messages = 0;
    for _ in 0..50 {
        let report = stage.tick().await;
        messages += report.sent_count;
        if report.outcome == PollOutcome::Quiet {
            break;
        }
        stage.drain().await;
        stage.wait(300);
    }
    let differences = stage.differences().len();
    if differences > 0 || sent_before > 0 {
        return Err(format!("{differences} records differ").into());
    }
    let chunks = stage.world.tables.with(|tables| tables.chunks.len());
    let (tables, vendor) = forget(&stage);
    let count = |operation| vendor.get(&operation).copied().unwrap_or(0);
    let how = "5,000 records changed over a day, listed, fetched and committed";
    let per_record = figure(writes(&tables, chunks)) / figure(CHANGED);
    let again = count(Operation::Fetch).saturating_sub(CHANGED);
    let million = |rate: f64| cost_of_a_million(&tables, chunks, messages, CHANGED, rate);
    Ok(vec![
        at_most(
            "n changed records: detail calls beyond one each",
            figure(again),
            figure(overlapped),
            "",
            "5,000 records changed over a day; the budget is those within the overlap, looked at once more on purpose",
        ),
        at_most("n changed records: list calls", figure(count(Operation::List)), 6.0, "", how),
        at_most("DynamoDB writes per new 1 KB record", per_record, 1.10, "", how),
        at_most(
            "AWS cost per million new 1 KB records at 5 requests a second",
            million(5.0),
            1.0,
            " $",
            "computed from these counts, list prices, one fetcher busy",
        ),
        at_most("AWS cost per million new 1 KB records at 10 requests a second", million(10.0), 1.0, " $", "the same"),
    ])
}

/// Dollars for a million records, from the counts of `records`. Chunks become visible at the vendor's pace, so that one
/// fetcher of 128 MB is busy at a time, for as long as the vendor's rate makes it take.
fn cost_of_a_million(tables: &Calls, chunks: usize, messages: usize, records: usize, rate: f64) -> f64 {
    let scale = 1.0 / figure(records);
    let tables_cost = figure(writes(tables, chunks)) * price::WRITES + figure(reads(tables)) * price::READS;
    // Sent ten at a time; received and deleted one by one.
    let queue_cost = figure(messages) * 2.1 * price::QUEUE;
    let seconds = figure(records) / rate;
    let compute_cost = seconds * 0.125 * price::COMPUTE * 1e6 + figure(messages) * price::INVOCATIONS;
    (tables_cost + queue_cost + compute_cost) * scale
}

async fn killed_import() -> Row {
    let stage = Stage::new(ListShape::Whole);
    edit_over(365, &stage, 1_000);
    stage.tick().await;
    // Half of the chunks are done when everything dies, one fetcher in the midst of its own.
    for delivery in stage.world.queue.receive(10) {
        if stage.fetch(&delivery).await.is_err() {
            break;
        }
    }
    let killed = stage.world.source.faults().hold_before(Operation::Fetch);
    for delivery in stage.world.queue.receive(1) {
        let dies = async {
            killed.reached().await;
            // The others of its chunk are stored meanwhile.
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = stage.fetch(&delivery) => {}
            () = dies => {}
        }
    }
    stage.world.queue.purge();
    forget(&stage);
    // The poller finds out after three visibility timeouts what is missing.
    for _ in 0..20 {
        stage.wait(300);
        if stage.tick().await.outcome == PollOutcome::Quiet {
            break;
        }
        stage.drain().await;
    }
    let (_, vendor) = forget(&stage);
    let calls: usize = vendor.values().sum();
    let is_whole = stage.differences().is_empty();
    let how = if is_whole { "half-way the queue is lost and a fetcher dies" } else { "NOT everything was stored" };
    at_most("a killed first import of 1,000 records, calls of the rerun", figure(calls), 520.0, "", how)
}
