//! The vendor's functions: which there are, and what each answers.

use serde_json::Value;

use super::{
    php,
    php::Form,
    rows::scrambled,
    settings::{DetailShape, ListOrder, ListShape, Settings, Vanished},
};
use crate::{
    clock::parse_naive,
    row::Row,
    store::{Record, ShownStamp, Store, Version},
    vendor::CallKind,
};

/// What can be asked of an object type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// Changed ids, and single rows.
    IdsAndDetails,
    /// Changed ids.
    Ids,
    /// Changed rows.
    Rows,
}

/// Object types, their streams, and what can be asked of them.
const OBJECT_TYPES: [(&str, &str, Offer); 9] = [
    ("Customers", "customers", Offer::IdsAndDetails),
    ("Jobs", "jobs", Offer::IdsAndDetails),
    ("Assets", "assets", Offer::IdsAndDetails),
    ("AssetTypes", "asset_types", Offer::IdsAndDetails),
    ("Tasks", "tasks", Offer::IdsAndDetails),
    ("StockContainers", "stock_containers", Offer::Ids),
    ("Users", "users", Offer::Rows),
    ("Vehicles", "vehicles", Offer::Rows),
    ("Departments", "departments", Offer::Rows),
];

/// What a function of this name does, and in which stream.
pub(super) fn function_named(name: &str) -> (CallKind, Option<&'static str>) {
    OBJECT_TYPES
        .iter()
        .find_map(|&(object_type, stream, offer)| match (name.strip_prefix(object_type)?, offer) {
            ("_listByLastEdited", Offer::IdsAndDetails | Offer::Ids) | ("_list", Offer::Rows) => {
                Some((CallKind::List, Some(stream)))
            }
            ("_getById", Offer::IdsAndDetails) => Some((CallKind::Detail, Some(stream))),
            _ => None,
        })
        .unwrap_or((CallKind::Other, None))
}

/// Whether a stream's list holds rows instead of ids.
pub(super) fn lists_rows(stream: &str) -> bool {
    OBJECT_TYPES.iter().any(|&(_, known, offer)| known == stream && offer == Offer::Rows)
}

/// The parameter for the lower bound of a stream's list.
pub(super) fn bound_parameter(stream: &str) -> &'static str {
    if lists_rows(stream) { "last_edited" } else { "from" }
}

/// The ids of a list answer, or the vendor's error text.
pub(super) fn changed_ids(
    form: &Form,
    stream: &str,
    store: &Store,
    settings: &Settings,
    now_ms: i64,
    form_id_of: impl Fn(&Record, &Version) -> Option<String>,
) -> Result<Vec<String>, &'static str> {
    let from = form
        .text("from")
        .and_then(|text| parse_naive(text, settings.zone_offset_seconds))
        .ok_or("missing or invalid parameter: from")?;
    let form_id = form.text("form_id").filter(|_| stream == "jobs");
    let listed = listed(stream, store, settings, now_ms, |record, version| {
        let of_form = form_id.is_none() || form_id_of(record, version).as_deref() == form_id;
        settings.is_after(filtered_stamp(record, version, settings), from) && of_form
    });
    Ok(listed.into_iter().map(|(record, _)| record.id().to_owned()).collect())
}

/// The records of a list answer that holds rows, or the vendor's error text. Without a bound it holds all of them; any
/// bound leaves out a row that shows no time.
pub(super) fn changed_rows<'store>(
    form: &Form,
    stream: &str,
    store: &'store Store,
    settings: &Settings,
    now_ms: i64,
) -> Result<Vec<(&'store Record, &'store Version)>, &'static str> {
    let from = form
        .text("last_edited")
        .map(|text| parse_naive(text, settings.zone_offset_seconds).ok_or("missing or invalid parameter: last_edited"))
        .transpose()?;
    Ok(listed(stream, store, settings, now_ms, |record, version| {
        from.is_none_or(|from| {
            shown_stamp(record, version, settings).is_some_and(|stamp| settings.is_after(stamp, from))
        })
    }))
}

/// The wanted ones of the records that lists show, in the order of lists.
fn listed<'store>(
    stream: &str,
    store: &'store Store,
    settings: &Settings,
    now_ms: i64,
    is_wanted: impl Fn(&Record, &Version) -> bool,
) -> Vec<(&'store Record, &'store Version)> {
    let mut listed: Vec<_> = store
        .records(stream)
        .iter()
        .filter_map(|record| {
            let version = record.listed(now_ms).filter(|version| version.active && !version.deleted)?;
            is_wanted(record, version).then_some((record, version))
        })
        .collect();
    match settings.list_order {
        ListOrder::ById => {}
        ListOrder::NewestFirst => {
            listed.sort_by_key(|(record, version)| std::cmp::Reverse(filtered_stamp(record, version, settings)));
        }
        ListOrder::Shuffled => listed.sort_by_key(|(record, _)| scrambled(store.seed(), record.number)),
    }
    listed
}

/// The time that a row shows, if it shows one.
fn shown_stamp(record: &Record, version: &Version, settings: &Settings) -> Option<i64> {
    match &record.shown {
        ShownStamp::Real => Some(version.stamp),
        ShownStamp::Missing => None,
        ShownStamp::Text(text) => parse_naive(text, settings.zone_offset_seconds),
    }
}

fn filtered_stamp(record: &Record, version: &Version, settings: &Settings) -> i64 {
    shown_stamp(record, version, settings).unwrap_or(version.stamp)
}

/// A list answer that holds ids.
pub(super) fn ids_written(ids: &[String], shape: ListShape) -> String {
    list_written(ids, shape, |json, id| match shape {
        ListShape::Numbers if id.parse::<u64>().is_ok_and(|number| number.to_string() == *id) => json.push_str(id),
        ListShape::Strings | ListShape::Numbers | ListShape::Gaps => php::encode_text(json, id),
        ListShape::Rows => {
            json.push_str("{\"id\":");
            php::encode_text(json, id);
            json.push('}');
        }
    })
}

/// A list answer that holds rows.
pub(super) fn rows_written(rows: &[Row], shape: ListShape) -> String {
    list_written(rows, shape, |json, row| php::encode_object(json, row.fields()))
}

fn list_written<Entry>(entries: &[Entry], shape: ListShape, write: impl Fn(&mut String, &Entry)) -> String {
    let mut json = String::new();
    let gaps = shape == ListShape::Gaps && !entries.is_empty();
    json.push(if gaps { '{' } else { '[' });
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        if gaps {
            let key = if at == 0 { 0 } else { at + 1 };
            php::encode_text(&mut json, &key.to_string());
            json.push(':');
        }
        write(&mut json, entry);
    }
    json.push(if gaps { '}' } else { ']' });
    json
}

/// The fields that a request for rows asks for; `None` if it does not say, or the vendor's error text.
pub(super) fn asked_fields(form: &Form) -> Result<Option<Vec<String>>, &'static str> {
    form.text("fields")
        .map(|text| serde_json::from_str(text).map_err(|_| "missing or invalid parameter: fields"))
        .transpose()
}

/// A detail answer.
pub(super) fn detail_written(row: &Row, id: &str, shape: DetailShape) -> String {
    let written = row_written(row);
    match shape {
        DetailShape::Object => written,
        DetailShape::Array => format!("[{written}]"),
        DetailShape::Keyed => {
            let mut json = String::from("{");
            php::encode_text(&mut json, id);
            json.push(':');
            json + &written + "}"
        }
    }
}

/// A row as PHP writes it.
pub(super) fn row_written(row: &Row) -> String {
    let mut json = String::new();
    php::encode_object(&mut json, row.fields());
    json
}

/// The detail answer for an id that is gone.
pub(super) fn vanished_written(vanished: Vanished) -> &'static str {
    match vanished {
        Vanished::Null => "null",
        Vanished::False => "false",
        Vanished::Empty => "[]",
    }
}

/// An error object.
pub(super) fn error_written(text: &str) -> String {
    let mut json = String::new();
    php::encode_object(&mut json, std::iter::once(("error", &Value::from(text))));
    json
}
