//! The functions as they are shipped: artifact size.

use std::error::Error;

use crate::row::Row;

pub(crate) fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    Ok(Vec::new())
}
