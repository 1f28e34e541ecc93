//! A tick that finds nothing new, of each shape of list, and a month of such ticks.

use std::error::Error;

use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::VendorSettings;

use super::{Calls, figure, settled};
use crate::cost::{Month, Polled};
use crate::row::{Row, at_most, printed};

/// What streams hold that are listed whole at every scan.
const SCANNED: usize = 100;

pub(super) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let ids = tick(VendorSettings::new(ListShape::Whole)).await?;
    let pages = tick(VendorSettings::new(ListShape::Pages)).await?;
    let feed = tick(VendorSettings::new(ListShape::Feed)).await?;
    let mut unfiltered = VendorSettings::new(ListShape::Pages);
    unfiltered.stream.filtered = false;
    let scan = tick(unfiltered).await?;

    let each = [&ids, &pages, &feed];
    let most = |figures: [f64; 3]| figures.into_iter().fold(0.0, f64::max);
    let how = "a tick without news: the most of a list of ids, pages since a time, and a feed";
    let polled = |streams, every_minutes, calls: &Calls| Polled { streams, every_minutes, idle_tick: calls.units(0) };
    let fieldmotion = polled(6.0, 5.0, &ids);
    // FSM Navigator filters one of its streams, Fieldly all four.
    let all = [fieldmotion, polled(1.0, 5.0, &feed), polled(1.0 + 4.0, 5.0, &pages), polled(3.0, 60.0, &scan)];
    Ok(vec![
        at_most("idle tick: vendor calls", most(each.map(|calls| figure(calls.lists()))), 2.0, "", how),
        at_most("idle tick: detail calls", most(each.map(|calls| figure(calls.details()))), 0.0, "", how),
        at_most("idle tick: DynamoDB writes", most(each.map(|calls| calls.units(0).writes)), 3.0, "", how),
        printed(
            "AWS cost of an idle stack with FieldMotion alone, a month",
            Month::of(1.0, &[fieldmotion]).told(),
            "computed from these counts, six streams every 5 minutes, list prices",
        ),
        printed(
            "AWS cost of an idle stack with all four sources, a month",
            Month::of(4.0, &all).told(),
            "computed from these counts, 12 streams every 5 minutes and three scans of 100 rows an hour, list prices",
        ),
    ])
}

/// The calls of one tick without news.
async fn tick(vendor: VendorSettings) -> Result<Calls, Box<dyn Error>> {
    let stage = settled(vendor, SCANNED).await;
    stage.wait(300);
    match stage.tick().await.outcome {
        PollOutcome::Quiet => Ok(Calls::take(&stage)),
        other => Err(format!("a tick without news ended as {other:?}").into()),
    }
}
