//! What the counted calls cost in AWS.

use std::error::Error;

use tidemark_engine::stream::{ListShape, SourceKind};
use tidemark_sources::registry::{parse_streams, streams_of};

use super::changed::{import, imported};
use super::idle::{look, tick};
use crate::cost::{Polled, of_keeping, of_month, of_work};
use crate::play::bill::Bill;
use crate::play::{INTERVAL, RATE, per, vendor};
use crate::row::{Row, printed};

const MILLION: f64 = 1e6;
/// The rows that the README names, too.
pub(crate) const BY_ID: &str = "AWS cost per million new records of 1 KB, fetched by id";
pub(crate) const AS_ROWS: &str = "AWS cost per million new records of 1 KB, listed as rows";
pub(crate) const IDLE_ONE: &str = "AWS cost of an idle stack with FieldMotion alone, a month";
pub(crate) const IDLE_ALL: &str = "AWS cost of an idle stack with all four sources, a month";
pub(crate) const IDLE_ONE_FREE: &str = "the idle stack with FieldMotion alone, in an account that holds nothing else";
pub(crate) const IDLE_ALL_FREE: &str = "the idle stack with all four sources, in an account that holds nothing else";
/// How often streams are listed whole whose list has no lower bound, in seconds.
const SCANNED_EVERY: f64 = 3_600.0;

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let how = "computed from the units and log lines of an import of 5,000, and list prices; 2 requests a second";
    let mut rows = Vec::new();
    let mut kept = Vec::new();
    for (body_bytes, by_id, as_rows, keeping) in [
        (
            512,
            "AWS cost per million new records of 0.5 KB, fetched by id",
            "AWS cost per million new records of 0.5 KB, listed as rows",
            "AWS cost of keeping a million records of 0.5 KB, a month",
        ),
        (1_024, BY_ID, AS_ROWS, "AWS cost of keeping a million records of 1 KB, a month"),
        (
            5 * 1_024,
            "AWS cost per million new records of 5 KB, fetched by id",
            "AWS cost per million new records of 5 KB, listed as rows",
            "AWS cost of keeping a million records of 5 KB, a month",
        ),
    ] {
        let a_million = |shape| Ok::<_, Box<dyn Error>>(import(shape, body_bytes)?.times(per(MILLION, imported())));
        let fetched = a_million(ListShape::Whole)?;
        rows.push(printed(by_id, of_work(&fetched, RATE).told(), how));
        rows.push(printed(as_rows, of_work(&a_million(ListShape::Pages)?, RATE).told(), how));
        let how = "computed from the sizes of the items fetched by id, and list prices";
        kept.push(printed(keeping, of_keeping(&fetched, MILLION).told(), how));
    }
    rows.extend(kept);
    rows.extend(months()?);
    Ok(rows)
}

fn months() -> Result<Vec<Row>, Box<dyn Error>> {
    let look = look()?;
    let ticks = Ticks {
        ids: tick(vendor(ListShape::Whole))?,
        pages: tick(vendor(ListShape::Pages))?,
        feed: tick(vendor(ListShape::Feed))?,
        scan: {
            let mut unfiltered = vendor(ListShape::Pages);
            unfiltered.stream.filtered = false;
            tick(unfiltered)?
        },
    };
    let all = SourceKind::ALL.iter().map(|kind| ticks.of(*kind)).collect::<Result<Vec<_>, _>>()?;
    let (one, all) = (of_month(&[ticks.of(SourceKind::FieldMotion)?], &look, RATE), of_month(&all, &look, RATE));
    let how = "computed from the units and log lines of idle ticks and looks of the watcher, and list prices; streams and \
               schedules as the template has them";
    let unused = "the same, less what AWS gives each account every month";
    Ok(vec![
        printed(IDLE_ONE, one.told(), how),
        printed(IDLE_ALL, all.told(), how),
        printed(IDLE_ONE_FREE, one.less_free().told(), unused),
        printed(IDLE_ALL_FREE, all.less_free().told(), unused),
    ])
}

/// What a tick without news uses, by kind of list.
struct Ticks {
    ids: Bill,
    pages: Bill,
    feed: Bill,
    /// A list of a hundred rows without a lower bound.
    scan: Bill,
}

impl Ticks {
    /// The streams that are on by default.
    fn of(&self, kind: SourceKind) -> Result<Vec<Polled>, Box<dyn Error>> {
        let usual = parse_streams(kind, "{}", "all")?;
        let streams = streams_of(kind, "{}")?.into_iter().filter(|stream| usual.contains(&stream.name));
        let polled = streams.map(|stream| {
            let idle_tick = match stream.shape {
                ListShape::Whole => &self.ids,
                ListShape::Feed => &self.feed,
                ListShape::Pages if stream.filtered => &self.pages,
                ListShape::Pages => &self.scan,
            };
            let every_seconds = if stream.filtered { INTERVAL.as_secs_f64() } else { SCANNED_EVERY };
            Polled { streams: 1.0, every_seconds, idle_tick: idle_tick.clone() }
        });
        Ok(polled.collect())
    }
}
