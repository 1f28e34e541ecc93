//! Reads Acme's answers: pages of rows, single records, and errors.
//!
//! What is not a well-formed list is a failure, never an empty page; "gone" is read only in the vendor's own words.

use tidemark_engine::change::Found;
use tidemark_engine::clock::Stamp;

use crate::json::Malformed;
use crate::rows::{Rows, Sent};
use crate::time;

/// Whether an answer is an error of the vendor's own shape. Errors of gateways and frameworks are none.
pub(super) fn is_own_error(_json: &str) -> bool {
    // acme: is_own_error is not written yet, see docs/add-a-source.md, section 3.
    false
}

/// Whether an error of the vendor's own shape says that the record is not there.
pub(super) fn says_gone(_body: &[u8]) -> bool {
    // acme: says_gone is not written yet, see docs/add-a-source.md, section 3.
    false
}

/// Reads a page.
pub(super) fn page(_sent: &Sent, _page: u32) -> Result<Rows, Malformed> {
    Err(Malformed::Shape("not read: acme: page is not written yet, see docs/add-a-source.md, section 3"))
}

/// Reads a single record.
pub(super) fn record(_json: &str) -> Result<Found, Malformed> {
    Err(Malformed::Shape("not read: acme: record is not written yet, see docs/add-a-source.md, section 3"))
}

/// A stamp: ISO 8601, in UTC where it does not say. A date alone is none, for it says nothing of the day's order.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    let instant = time::instant(text).filter(|_| text.contains(':'))?;
    Some(time::stamp(text, instant))
}
