//! The vendor's functions: which there are, and what each answers.

use serde_json::Value;

use super::{
    php,
    php::Form,
    rows::scrambled,
    settings::{DetailShape, ListOrder, ListShape, Settings, Vanished},
};
use crate::fake::{
    clock::parse_naive,
    row::Row,
    store::{Record, ShownStamp, Store, Version},
    vendor::CallKind,
};

/// Object types, their streams, and whether a single one can be fetched.
const OBJECT_TYPES: [(&str, &str, bool); 6] = [
    ("Customers", "customers", true),
    ("Jobs", "jobs", true),
    ("Assets", "assets", true),
    ("AssetTypes", "asset_types", true),
    ("Tasks", "tasks", true),
    ("StockContainers", "stock_containers", false),
];

/// What a function of this name does, and in which stream.
pub(super) fn function_named(name: &str) -> (CallKind, Option<&'static str>) {
    OBJECT_TYPES
        .iter()
        .find_map(|&(object_type, stream, has_detail)| match name.strip_prefix(object_type)? {
            "_listByLastEdited" => Some((CallKind::List, Some(stream))),
            "_getById" if has_detail => Some((CallKind::Detail, Some(stream))),
            _ => None,
        })
        .unwrap_or((CallKind::Other, None))
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
    let mut listed: Vec<(i64, &Record)> = store
        .records(stream)
        .iter()
        .filter_map(|record| {
            let version = record.listed(now_ms).filter(|version| version.active && !version.deleted)?;
            let stamp = filtered_stamp(record, version, settings);
            let after = stamp > from || (settings.inclusive && stamp == from);
            let of_form = form_id.is_none() || form_id_of(record, version).as_deref() == form_id;
            (after && of_form).then_some((stamp, record))
        })
        .collect();
    match settings.list_order {
        ListOrder::ById => {}
        ListOrder::NewestFirst => listed.sort_by_key(|(stamp, _)| std::cmp::Reverse(*stamp)),
        ListOrder::Shuffled => listed.sort_by_key(|(_, record)| scrambled(store.seed(), record.number)),
    }
    Ok(listed.into_iter().map(|(_, record)| record.id().to_owned()).collect())
}

fn filtered_stamp(record: &Record, version: &Version, settings: &Settings) -> i64 {
    match &record.shown {
        ShownStamp::Text(text) => parse_naive(text, settings.zone_offset_seconds).unwrap_or(version.stamp),
        ShownStamp::Real | ShownStamp::Missing => version.stamp,
    }
}

/// A list answer.
pub(super) fn list_written(ids: &[String], shape: ListShape) -> String {
    let mut json = String::new();
    let gaps = shape == ListShape::Gaps && !ids.is_empty();
    json.push(if gaps { '{' } else { '[' });
    for (at, id) in ids.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        match shape {
            ListShape::Numbers if id.parse::<u64>().is_ok_and(|number| number.to_string() == *id) => json.push_str(id),
            ListShape::Strings | ListShape::Numbers => php::encode_text(&mut json, id),
            ListShape::Rows => {
                json.push_str("{\"id\":");
                php::encode_text(&mut json, id);
                json.push('}');
            }
            ListShape::Gaps => {
                let key = if at == 0 { 0 } else { at + 1 };
                php::encode_text(&mut json, &key.to_string());
                json.push(':');
                php::encode_text(&mut json, id);
            }
        }
    }
    json.push(if gaps { '}' } else { ']' });
    json
}

/// The fields that a detail request asks for; `None` if it does not say, or the vendor's error text.
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
