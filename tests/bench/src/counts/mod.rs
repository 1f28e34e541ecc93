//! Calls, units and waits, counted by the engine's real use cases in memory.

mod changed;
mod fresh;
mod idle;
mod killed;
pub(crate) mod money;
mod sweep;

use std::error::Error;

use crate::row::Row;

/// What a record's JSON has by default. With the names and the other attributes of its item it takes two write units.
const BODY_BYTES: usize = 1_024;

pub(crate) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = idle::measure()?;
    rows.extend(changed::measure()?);
    rows.extend(killed::measure()?);
    rows.push(fresh::measure()?);
    rows.push(sweep::beside()?);
    rows.extend(money::measure()?);
    rows.extend(sweep::measure()?);
    Ok(rows)
}
