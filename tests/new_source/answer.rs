//! Reads Acme's answers: pages of rows, single records, and errors.
//!
//! What is not a well-formed list is a failure, never an empty page; "gone" is read only in the vendor's own words.

use tidemark_engine::change::Found;
use tidemark_engine::clock::Stamp;
use tidemark_engine::record::{Body, RecordId};

use crate::json::{Malformed, Object};
use crate::rows::{self, Counts, Rows, Sent, Shows};
use crate::time;

/// Members of errors that others than the vendor write.
const FOREIGN_KEYS: [&str; 4] = ["status", "statusCode", "details", "stack"];

/// Whether an answer is an error of the vendor's own shape, `{"error":{"code":"record_not_found"}}`. Errors of gateways and
/// frameworks are none; some have a `code`, too, but not in small letters.
pub(super) fn is_own_error(json: &str) -> bool {
    let Some(error) = Object::of(json).and_then(|body| body.object("error")) else { return false };
    let is_small = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let is_code = |code: String| !code.is_empty() && code.bytes().all(is_small);
    error.text("code").is_some_and(is_code) && FOREIGN_KEYS.iter().all(|key| error.get(key).is_none())
}

/// Whether an error of the vendor's own shape says that the record is not there.
pub(super) fn says_gone(body: &[u8]) -> bool {
    let body = str::from_utf8(body).ok().and_then(Object::of);
    let code = body.and_then(|body| body.object("error")?.text("code"));
    code.as_deref() == Some("record_not_found")
}

/// Reads a page: `{"data":[..],"page":1,"total_pages":2}`.
pub(super) fn page(sent: &Sent, page: u32) -> Result<Rows, Malformed> {
    let no_page = Malformed::Shape("no page of a list");
    let body = Object::of(sent.json()).ok_or(no_page)?;
    let counts = Counts {
        page: body.count("page"),
        pages: body.count("total_pages"),
        names_next: rows::names_next(&body),
        ..Counts::default()
    };
    let rows = body.get("data").and_then(|data| rows::held(data, counts.is_nothing()));
    rows::without_errors(&body, Shows::of(rows.as_deref(), counts.are_there()))?;
    let rows = rows.ok_or(no_page)?;
    let pages_total = counts.pages_total(page, rows.len())?;
    let speaks_of_more = counts.speak_of_more(page, rows.len());
    Ok(Rows { pages_total, speaks_of_more, ..rows::judged(sent, &rows, row)? })
}

/// Reads a single record: `{"data":{..}}`. `null` shows none, which is less than the vendor's word that there is none.
pub(super) fn record(json: &str) -> Result<Found, Malformed> {
    let body = Object::of(json).ok_or(Malformed::Shape("no record"))?;
    let data = body.get("data").ok_or(Malformed::Shape("no record"))?;
    if data == "null" {
        rows::without_errors(&body, Shows::Nothing)?;
        return Ok(Found::Missing);
    }
    let (id, stamp) = row(data).ok_or(Malformed::Shape("a record without an id"))?;
    Ok(Found::Record { id, body: Body::new(data), stamp })
}

fn row(json: &str) -> Option<(RecordId, Option<Stamp>)> {
    let row = Object::of(json)?;
    Some((row.id("id")?, row.text("updated_at").and_then(|text| stamp(&text))))
}

/// A stamp: ISO 8601, in UTC where it does not say. A date alone is none, for it says nothing of the day's order.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    let instant = time::instant(text).filter(|_| text.contains(':'))?;
    Some(time::stamp(text, instant))
}
