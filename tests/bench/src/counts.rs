//! Calls and writes, counted by the engine's real use cases over memory ports, and the costs that follow from them.

mod changed;
mod idle;
mod killed;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tidemark_engine::stamp::millis_of;
use tidemark_testkit::memory::{Operation, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

use crate::cost::Units;
use crate::row::Row;

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = idle::measure().await?;
    rows.extend(changed::measure().await?);
    rows.push(killed::measure().await?);
    Ok(rows)
}

fn figure(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The calls made since they were counted last.
struct Calls {
    tables: BTreeMap<Operation, usize>,
    vendor: BTreeMap<Operation, usize>,
}

impl Calls {
    /// Counts the calls on a stage, and begins anew.
    fn take(stage: &Stage) -> Self {
        Self { tables: stage.world.tables.faults().take_calls(), vendor: stage.world.source.faults().take_calls() }
    }

    fn lists(&self) -> usize {
        self.vendor.get(&Operation::List).copied().unwrap_or(0)
    }

    fn details(&self) -> usize {
        self.vendor.get(&Operation::Fetch).copied().unwrap_or(0)
    }

    /// Request units of single calls, each of one unit, and of `chunks`, which are put many at a time.
    fn units(&self, chunks: usize) -> Units {
        let sum = |is_meant: fn(Operation) -> bool| {
            self.tables.iter().filter(|(operation, _)| is_meant(**operation)).map(|(_, count)| count).sum::<usize>()
        };
        Units { writes: figure(sum(is_write) + chunks), reads: figure(sum(is_read)) }
    }
}

fn is_write(operation: Operation) -> bool {
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
            | Operation::PauseStream
            | Operation::ResumeStream
            | Operation::NoteStampGap
            | Operation::Reserve
            | Operation::Upsert
            | Operation::Tombstone
    )
}

fn is_read(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Load | Operation::Chunks | Operation::Chunk | Operation::Quarantined | Operation::SourceState
    )
}

/// A stage in use: records that were edited one after the other and imported, and one edit that was just fetched, so that
/// it is known how stamps and clock agree.
async fn settled(vendor: VendorSettings, count: usize) -> Stage {
    let stage = Stage::with(vendor);
    for id in &ids(count) {
        stage.edit([id.as_str()]);
        stage.wait(10);
    }
    stage.settle().await;
    stage.edit(["00000"]);
    stage.settle().await;
    Calls::take(&stage);
    stage
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
