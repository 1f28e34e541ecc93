//! Reads Fieldly's answers: pages of rows, single records, and refusals.
//!
//! How one could get it wrong: end a list by counting the members of its envelope, as the guide's own sample does (it
//! stops after page 1); take `total` for the grand total (it is this page's count); take an object without rows for an
//! empty page.

use tidemark_engine::change::Found;
use tidemark_engine::clock::Stamp;
use tidemark_engine::record::{Body, RecordId};

use super::settings::Resource;
use crate::json::{Malformed, Object, entries};
use crate::rows::{self, Counts, Rows, Sent, Shows};
use crate::time;

/// The members that may describe the pages, unless the settings name one.
const METADATA_KEYS: [&str; 3] = ["metadata", "meta", "pagination"];
/// What the guide says of a 404.
const NOT_FOUND: &str = "the requested resource could not be found";
/// Members of errors that others than the vendor write, and of rows that are no error.
const FOREIGN_KEYS: [&str; 5] = ["timestamp", "path", "statusCode", "success", "id"];

/// Whether an answer is an error of the vendor's own shape: `{"errors":{..}}`, as the guide shows it, or `{"error":".."}`
/// with a text, as OAuth and the frameworks that such an API is built with have it.
pub(super) fn is_own_error(json: &str) -> bool {
    let Some(body) = Object::of(json) else { return false };
    let has_errors = body.get("errors").is_some_and(|errors| !rows::is_nothing(errors));
    let has_error = body.text("error").is_some_and(|error| !error.trim().is_empty());
    (has_errors || has_error) && FOREIGN_KEYS.iter().all(|key| body.get(key).is_none())
}

/// Whether a "not found" is in words that the guide documents: errors by name with the id among them,
/// `{"errors":{"id":["is missing"]}}`, or the text that it has beside this status. `{"error":"Not Found"}` and its like
/// are what frameworks write, of an address as of a record, and errors of anything else say nothing of the record.
pub(super) fn says_gone(body: &[u8]) -> bool {
    let Some(body) = str::from_utf8(body).ok().and_then(Object::of) else { return false };
    let is_text = |entry: &&str| entry.starts_with('"');
    let are_texts = |errors: &str| entries(errors).is_some_and(|texts| !texts.is_empty() && texts.iter().all(is_text));
    let by_name = body.object("errors").unwrap_or_default();
    let names_id = by_name.get("id").is_some() && by_name.members().all(|(_, errors)| are_texts(errors));
    let text = body.text("error").unwrap_or_default();
    names_id || text.trim().trim_end_matches('.').eq_ignore_ascii_case(NOT_FOUND)
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// From where.
    pub(super) resource: &'a Resource,
    /// Which page, from 1.
    pub(super) page: u32,
    /// The member that describes the pages, when it is known.
    pub(super) metadata_key: Option<&'a str>,
}

/// Reads a page.
pub(super) fn rows(sent: &Sent, asked: Asked<'_>) -> Result<Rows, Malformed> {
    let json = sent.json().trim_ascii();
    let (rows, counts) = match Object::of(json) {
        Some(envelope) => of_envelope(&envelope, asked)?,
        // A list without an envelope says nothing of pages.
        None => (entries(json).filter(|_| asked.resource.rows_key.is_none()), Counts::default()),
    };
    let rows = rows.ok_or(Malformed::Shape("without an array of rows"))?;
    let pages_total = counts.pages_total(asked.page, rows.len())?;
    let speaks_of_more = counts.speak_of_more(asked.page, rows.len());
    let judged = rows::judged(sent, &rows, |row| id_and_stamp(row, asked.resource))?;
    Ok(Rows { pages_total, speaks_of_more, ..judged })
}

fn of_envelope<'a>(envelope: &Object<'a>, asked: Asked<'_>) -> Result<(Option<Vec<&'a str>>, Counts), Malformed> {
    let metadata = match asked.metadata_key {
        Some(key) => envelope.object(key),
        None => METADATA_KEYS.iter().find_map(|key| envelope.object(key)),
    };
    let count = |name: &str| metadata.as_ref()?.count(name);
    let counts = Counts {
        page: count("page"),
        per_page: count("per_page"),
        pages: count("total_pages"),
        total: count("total_count"),
        names_next: rows::names_next(envelope) || metadata.as_ref().is_some_and(rows::names_next),
    };
    // `total` counts the rows of this answer.
    let is_none_counted = counts.is_nothing() || count("total") == Some(0);
    let rows = rows_of(envelope, asked.resource, is_none_counted, metadata.is_some());
    let shows = Shows::of(rows.as_deref(), is_none_counted || counts.are_there());
    rows::without_errors(envelope, shows)?;
    Ok((rows, counts))
}

/// The rows: under the key of the settings, else under the last part of the path, else in the only array there is.
fn rows_of<'a>(
    envelope: &Object<'a>,
    resource: &Resource,
    is_none_counted: bool,
    is_counted: bool,
) -> Option<Vec<&'a str>> {
    if let Some(key) = &resource.rows_key {
        return rows::held(envelope.get(key)?, is_none_counted);
    }
    let named = resource.path.last().map(String::as_str).into_iter().chain(["data"]);
    let named: Vec<&str> = named.filter_map(|key| envelope.get(key)).collect();
    if !named.is_empty() {
        return rows::first_held(named.into_iter(), is_none_counted);
    }
    let mut arrays = envelope
        .members()
        .filter(|(name, value)| !rows::names_failure(name) && value.starts_with('['))
        .map(|(_, value)| value);
    let only = arrays.next().and_then(entries)?;
    // Without a row or a count in it nothing says that it is the list.
    if arrays.next().is_some() || (only.is_empty() && !is_counted) { None } else { Some(only) }
}

/// Reads a detail answer: the record itself, or under its singular name, or under `data`. `null` there shows no record,
/// which is less than the vendor's word that there is none.
pub(super) fn detail(json: &str, resource: &Resource) -> Result<Found, Malformed> {
    let json = json.trim_ascii();
    let envelope = Object::of(json).ok_or(Malformed::Shape("not a record"))?;
    if let Some(found) = record(json, resource) {
        return Ok(found);
    }
    let singular = resource.path.last().map(|name| singular(name)).unwrap_or_default();
    let inner = rows::first_that_shows([singular.as_str(), "data"].into_iter().filter_map(|name| envelope.get(name)));
    if inner == Some("null") {
        rows::without_errors(&envelope, Shows::Nothing)?;
        return Ok(Found::Missing);
    }
    inner.and_then(|inner| record(inner, resource)).ok_or(Malformed::Shape("an object without a record that has an id"))
}

fn singular(plural: &str) -> String {
    match plural.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    }
}

fn record(row: &str, resource: &Resource) -> Option<Found> {
    let (id, stamp) = id_and_stamp(row, resource)?;
    Some(Found::Record { id, body: Body::new(row), stamp })
}

/// Of a row, if it is an object with a usable id. Its serial number is no id: a work order and a project may share one.
fn id_and_stamp(row: &str, resource: &Resource) -> Option<(RecordId, Option<Stamp>)> {
    let members = Object::of(row)?;
    let id = members.id(&resource.id_field)?;
    let stamp = resource.updated_field.as_ref().and_then(|field| stamp(&members.text(field)?));
    Some((id, stamp))
}

/// A stamp: ISO 8601, in UTC where it does not say. A date alone is none, for it says nothing of the day's order.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    let instant = time::instant(text).filter(|_| text.contains(':'))?;
    Some(time::stamp(text, instant))
}

/// Of the parameters that were sent, those that a refusal (422) names: `{"errors":{"updated_at":["is invalid"]}}`. What
/// else it says stays unsaid, for it may quote values.
pub(super) fn refused_parameters<'a>(body: &[u8], sent: &[(&'a str, &str)]) -> Vec<&'a str> {
    let errors = str::from_utf8(body).ok().and_then(|text| Object::of(text)?.object("errors")).unwrap_or_default();
    sent.iter().map(|(name, _)| *name).filter(|name| errors.get(name).is_some()).collect()
}

#[cfg(test)]
mod tests;
