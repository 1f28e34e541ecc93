//! Reads Fieldly's answers: pages of rows, single records, and refusals.
//!
//! How one could get it wrong: end a list by counting the members of its envelope, as the guide's own sample does (it
//! stops after page 1); take `total` for the grand total (it is this page's count); take an object without rows for an
//! empty page.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tidemark_engine::change::{Change, Listed};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stamp::{Stamp, UtcMillis};

use super::settings::Resource;
use crate::json::{Malformed, Object, entries};

/// The members that may tell of pages, unless the settings name one.
const METADATA_KEYS: [&str; 2] = ["metadata", "meta"];
/// The members of a refusal, which never hold rows.
const ERROR_KEYS: [&str; 2] = ["errors", "error"];

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// From where.
    pub(super) resource: &'a Resource,
    /// Which page, from 1.
    pub(super) page: u32,
    /// How many rows.
    pub(super) per_page: u16,
    /// The member that tells of pages, when it is known.
    pub(super) metadata_key: Option<&'a str>,
}

/// A page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// Its rows, each as it was received.
    pub(super) changes: Vec<Change>,
    /// Entries without a usable id.
    pub(super) unusable_count: usize,
    /// How many pages there are, when that is known.
    pub(super) pages_total: Option<u32>,
}

/// A single record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The id it bears.
    pub(super) id: RecordId,
    /// Its JSON text, exactly as received.
    pub(super) body: Body,
    /// Its stamp.
    pub(super) stamp: Option<Stamp>,
}

/// Reads a page.
pub(super) fn rows(json: &str, asked: Asked<'_>) -> Result<Rows, Malformed> {
    let envelope = Object::of(json).ok_or(Malformed::Shape("not an object with rows"))?;
    if ERROR_KEYS.iter().any(|key| envelope.get(key).is_some_and(|value| !is_nothing(value))) {
        return Err(Malformed::Shape("an object with errors"));
    }
    let rows = rows_of(&envelope, asked.resource).ok_or(Malformed::Shape("an object without an array of rows"))?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in &rows {
        changes.extend(record(row, asked.resource).map(listed));
    }
    let unusable_count = rows.len() - changes.len();
    if changes.is_empty() && unusable_count > 0 {
        return Err(Malformed::Shape("a page in which no row has a usable id"));
    }
    let metadata = match asked.metadata_key {
        Some(key) => envelope.object(key),
        None => METADATA_KEYS.iter().find_map(|key| envelope.object(key)),
    };
    let pages_total = pages_total(asked, rows.len(), &metadata.unwrap_or_default())?;
    Ok(Rows { changes, unusable_count, pages_total })
}

/// The array of rows: under the key of the settings, else under the last part of the path, else the only array there is.
fn rows_of<'a>(envelope: &Object<'a>, resource: &Resource) -> Option<Vec<&'a str>> {
    if let Some(key) = &resource.rows_key {
        return entries(envelope.get(key)?);
    }
    if let Some(rows) = resource.path.last().and_then(|key| envelope.get(key)) {
        return entries(rows);
    }
    let mut arrays = envelope
        .members()
        .filter(|(name, value)| !ERROR_KEYS.contains(name) && value.starts_with('['))
        .map(|(_, value)| value);
    let only = arrays.next()?;
    if arrays.next().is_some() { None } else { entries(only) }
}

/// How many pages there are: what the metadata tell, else this one when it is not full, and the one before when it is
/// empty.
fn pages_total(asked: Asked<'_>, rows_count: usize, metadata: &Object<'_>) -> Result<Option<u32>, Malformed> {
    let Some(total) = metadata.count("total_pages") else {
        // A vendor that gives fewer rows than it is asked for says so.
        let told = metadata.count("per_page").and_then(|rows| usize::try_from(rows).ok()).filter(|rows| *rows > 0);
        let full = told.unwrap_or(usize::MAX).min(asked.per_page.into());
        return Ok(match rows_count {
            0 => Some(asked.page.saturating_sub(1).max(1)),
            count if count < full => Some(asked.page),
            _ => None,
        });
    };
    let total = u32::try_from(total).map_err(|_| Malformed::Shape("a page of too many"))?;
    if total == 0 && rows_count > 0 {
        return Err(Malformed::Shape("a page with rows that says there are no pages"));
    }
    // Beyond the last page the vendor may answer with whichever it likes: the list has shrunk since it was counted.
    let is_other = metadata.count("page").is_some_and(|page| page != u64::from(asked.page));
    if is_other && asked.page <= total {
        return Err(Malformed::Shape("another page than the one asked for"));
    }
    Ok(Some(total))
}

fn listed(found: Found) -> Change {
    let listed = Listed { stamp: found.stamp, row: Some(found.body), event: None };
    Change { id: found.id, listed: Some(Box::new(listed)) }
}

/// Reads a detail answer: the record itself, or under its singular name, or under `data`.
pub(super) fn detail(json: &str, resource: &Resource) -> Result<Found, Malformed> {
    let json = json.trim_ascii();
    let envelope = Object::of(json).ok_or(Malformed::Shape("not a record"))?;
    if envelope.id("id").is_some() {
        return record(json, resource).ok_or(Malformed::Shape("not a record"));
    }
    let singular = resource.path.last().map(|name| singular(name)).unwrap_or_default();
    let inner = envelope.get(&singular).or_else(|| envelope.get("data"));
    inner.and_then(|inner| record(inner, resource)).ok_or(Malformed::Shape("an object without a record that has an id"))
}

fn singular(plural: &str) -> String {
    match plural.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    }
}

/// A row, if it is an object with a usable id. Its serial number is no id: a work order and a project may share one.
fn record(row: &str, resource: &Resource) -> Option<Found> {
    let members = Object::of(row)?;
    let id = members.id("id")?;
    let stamp = resource.updated_field.as_ref().and_then(|field| stamp(members.text(field)?));
    Some(Found { id, body: Body::new(row), stamp })
}

/// A stamp: ISO 8601, in UTC where it does not say. A date alone is none, for it says nothing of the day's order.
fn stamp(text: String) -> Option<Stamp> {
    let in_utc = |text: &str| {
        let naive: DateTime = text.parse().ok()?;
        Some(naive.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let has_time = text.contains(':');
    let instant = text.parse::<Timestamp>().ok().or_else(|| in_utc(&text)).filter(|_| has_time)?;
    Some(Stamp { at: UtcMillis::new(instant.as_millisecond()), text })
}

/// Of the parameters that were sent, those that a refusal (422) names: `{"errors":{"updated_at":["is invalid"]}}`. What
/// else it says stays unsaid, for it may quote values.
pub(super) fn refused_parameters<'a>(body: &[u8], sent: &[(&'a str, &str)]) -> Vec<&'a str> {
    let errors = str::from_utf8(body).ok().and_then(|text| Object::of(text)?.object("errors")).unwrap_or_default();
    sent.iter().map(|(name, _)| *name).filter(|name| errors.get(name).is_some()).collect()
}

/// An empty value: whoever always sends `errors` sends this when there are none.
fn is_nothing(value: &str) -> bool {
    let inner =
        [('[', ']'), ('{', '}')].iter().find_map(|(open, close)| value.strip_prefix(*open)?.strip_suffix(*close));
    matches!(value, "null" | "false" | "\"\"") || inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests;
