//! Thousands of changed records, fetched by id or listed as rows, until a tick finds nothing new.

use std::error::Error;

use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::VendorSettings;

use super::{Calls, edit_over, figure, settled};
use crate::cost::PerRecord;
use crate::row::{Row, at_most, printed};

const CHANGED: usize = 5_000;
/// Rows on a page, as the vendors have them by default.
const PAGE_ROWS: usize = 50;
/// What a million records may cost, in dollars.
const MILLION_BUDGET: f64 = 1.0;

pub(super) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = by_id().await?;
    rows.extend(as_rows().await?);
    Ok(rows)
}

async fn by_id() -> Result<Vec<Row>, Box<dyn Error>> {
    let changed = Changed::copied(ListShape::Whole).await?;
    let units = changed.calls.units(changed.chunks);
    let records = figure(CHANGED);
    let cost = PerRecord::of(records, units, figure(changed.messages));
    let how = "5,000 records changed over a day, listed, fetched and committed";
    Ok(vec![
        at_most(
            "n changed records fetched by id: detail calls beyond one each",
            figure(changed.calls.details().saturating_sub(CHANGED)),
            figure(changed.overlapped),
            "",
            "5,000 records changed over a day; the budget is those within the overlap, looked at once more on purpose",
        ),
        at_most("n changed records fetched by id: list calls", figure(changed.calls.lists()), 6.0, "", how),
        at_most("DynamoDB writes per new 1 KB record, fetched by id", units.writes / records, 1.10, "", how),
        at_most(
            "AWS cost per million new 1 KB records at 5 requests a second",
            cost.a_million(5.0),
            MILLION_BUDGET,
            " $",
            "computed from these counts, list prices, one fetcher busy",
        ),
        printed(
            "rate from which on a million new 1 KB records cost $1.00 at most",
            format!("{:.1} requests a second", cost.rate_for(MILLION_BUDGET)),
            "the same",
        ),
    ])
}

async fn as_rows() -> Result<Vec<Row>, Box<dyn Error>> {
    let changed = Changed::copied(ListShape::Pages).await?;
    let units = changed.calls.units(changed.chunks);
    let walks = 2 * CHANGED / PAGE_ROWS;
    let how = "5,000 rows changed over a day, listed, stored and committed";
    Ok(vec![
        at_most("n changed records listed as rows: detail calls", figure(changed.calls.details()), 0.0, "", how),
        at_most(
            "n changed records listed as rows: list calls",
            figure(changed.calls.lists()),
            figure(walks + changed.later_ticks),
            "",
            "the budget is 100 pages, walked forward and back, and one page at each later tick",
        ),
        at_most("DynamoDB writes per new 1 KB record, listed as a row", units.writes / figure(CHANGED), 1.10, "", how),
    ])
}

/// What it took to copy the changed records.
struct Changed {
    calls: Calls,
    chunks: usize,
    messages: usize,
    overlapped: usize,
    later_ticks: usize,
}

impl Changed {
    /// Has every record of a stage in use edited, and copied.
    async fn copied(shape: ListShape) -> Result<Self, Box<dyn Error>> {
        let vendor = VendorSettings { page_rows: PAGE_ROWS, ..VendorSettings::new(shape) };
        let stage = settled(vendor, CHANGED).await;
        stage.wait(24 * 3_600);
        let overlapped = edit_over(1, &stage, CHANGED);
        stage.world.tables.with(|tables| tables.chunks.clear());
        let (mut messages, mut ticks) = (0, 0);
        loop {
            let report = stage.tick().await;
            messages += report.sent_count;
            if report.outcome == PollOutcome::Quiet {
                break;
            }
            ticks += 1;
            if ticks == 50 {
                return Err(format!("it does not come to an end: {report:?}").into());
            }
            stage.drain().await;
            stage.wait(300);
        }
        let differences = stage.differences().len();
        if differences > 0 {
            return Err(format!("{differences} records differ").into());
        }
        let chunks = stage.world.tables.with(|tables| tables.chunks.len());
        Ok(Self { calls: Calls::take(&stage), chunks, messages, overlapped, later_ticks: ticks })
    }
}
