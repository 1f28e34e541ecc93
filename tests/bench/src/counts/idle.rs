//! A tick that finds nothing new, of each shape of list.

use std::error::Error;
use std::time::Duration;

use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::VendorSettings;

use super::BODY_BYTES;
use crate::cost::Look;
use crate::play::bill::Bill;
use crate::play::log::Log;
use crate::play::{Play, vendor};
use crate::row::{Row, at_most};

/// What streams hold that are listed whole at every scan.
const SCANNED: usize = 100;

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let each = [ListShape::Whole, ListShape::Pages, ListShape::Feed].map(|shape| tick(vendor(shape)));
    let each = each.into_iter().collect::<Result<Vec<Bill>, _>>()?;
    let most = |figure: fn(&Bill) -> f64| each.iter().map(figure).fold(0.0, f64::max);
    let how = "a tick without news: the most of a list of ids, pages since a time, and a feed";
    Ok(vec![
        at_most("idle tick: vendor calls", most(|bill| bill.lists), 2.0, "", how),
        at_most("idle tick: detail calls", most(|bill| bill.details), 0.0, "", how),
        at_most("idle tick: DynamoDB writes", most(|bill| bill.writes_count), 3.0, "", how),
    ])
}

/// What one tick without news uses.
pub(super) fn tick(vendor: VendorSettings) -> Result<Bill, Box<dyn Error>> {
    let play = Play::in_use(vendor, SCANNED, BODY_BYTES)?;
    play.one_tick()?;
    Ok(play.take_bill())
}

/// What one look of the watcher uses.
pub(super) fn look() -> Result<Look, Box<dyn Error>> {
    let play = Play::in_use(vendor(ListShape::Whole), SCANNED, BODY_BYTES)?;
    play.watch()?;
    let log_bytes =
        Log::new().bytes_of_invocation(|| tidemark_watcher::log::published(&[], Duration::from_millis(100)));
    Ok(Look { of_stream: play.take_bill(), log_bytes })
}
