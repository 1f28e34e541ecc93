//! Lists: parameters, filters, order, and the cut into pages.

use std::cmp::Reverse;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Map, json};

use super::settings::{Filter, Metadata, Order, Settings};
use crate::{
    store::{Record, ShownStamp, Store, Version},
    wire::Reply,
};

const DAY: i64 = 86_400;

/// A page as it is asked for.
pub(super) struct Asked {
    page: usize,
    per_page: usize,
    /// Unix milliseconds that a stamp must reach.
    from_ms: i64,
    /// The kind of work item.
    kind: Option<String>,
}

impl Asked {
    /// Reads the parameters of a list.
    ///
    /// # Errors
    /// The parameters that are wrong, with what is wrong with each.
    pub(super) fn read(parameters: &[(String, String)], stream: &str, settings: &Settings) -> Result<Self, Vec<Error>> {
        let mut asked = Self { page: 1, per_page: settings.per_page_max, from_ms: i64::MIN, kind: None };
        let mut errors = Vec::new();
        for (name, value) in parameters {
            let is_read = match name.as_str() {
                "page" => value.parse().ok().filter(|page| *page > 0).map(|page| asked.page = page),
                "per_page" => value
                    .parse()
                    .ok()
                    .filter(|rows| *rows > 0)
                    .map(|rows: usize| asked.per_page = rows.min(settings.per_page_max)),
                "type" if stream == "work_items" => {
                    asked.kind = Some(value.clone());
                    Some(())
                }
                name if name == settings.filter_name => bound(value, settings).map(|from_ms| asked.from_ms = from_ms),
                _ if settings.refuse_unknown_parameters => {
                    errors.push((name.clone(), format!("{value} is not permitted")));
                    continue;
                }
                _ => Some(()),
            };
            if is_read.is_none() {
                errors.push((name.clone(), format!("{value} is invalid")));
            }
        }
        if settings.pages_max.is_some_and(|pages_max| asked.page > pages_max) {
            errors.push(("page".to_owned(), "is out of range".to_owned()));
        }
        if settings.ignores_page {
            asked.page = 1;
        }
        if errors.is_empty() { Ok(asked) } else { Err(errors) }
    }

    /// Whether a version with this stamp, in milliseconds, is listed.
    fn includes(&self, stamp_ms: i64, settings: &Settings) -> bool {
        if settings.bound_means_equal && self.from_ms > i64::MIN {
            return stamp_ms == self.from_ms;
        }
        stamp_ms > self.from_ms || (settings.inclusive && stamp_ms == self.from_ms)
    }
}

/// A parameter's name and what is wrong with it.
pub(super) type Error = (String, String);

/// The instant after which rows are listed.
fn bound(text: &str, settings: &Settings) -> Option<i64> {
    let start_of = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second());
    let instant = || text.contains('T').then(|| text.parse::<Timestamp>().ok()).flatten();
    let date = || (!text.contains('T')).then(|| text.parse::<Date>().ok()).flatten();
    match settings.filter {
        Filter::Ignored => Some(i64::MIN),
        Filter::DateOnly => Some((start_of(date()?)? + DAY) * 1000 - 1),
        Filter::Datetime => match instant() {
            Some(instant) => Some(instant.as_millisecond()),
            None => Some(start_of(date()?)? * 1000),
        },
    }
}

/// The records of a page and what its metadata say.
pub(super) struct Page<'store> {
    /// Whether it is behind the last one.
    pub(super) is_beyond: bool,
    pub(super) shown: Vec<(&'store Record, &'store Version)>,
    metadata: serde_json::Value,
}

/// Cuts a page out of a list.
pub(super) fn page<'store>(
    asked: &Asked,
    stream: &str,
    store: &'store Store,
    settings: &Settings,
    now_ms: i64,
    kind_of: impl Fn(&Record, &Version) -> Option<String>,
) -> Page<'store> {
    let mut listed: Vec<(&Record, &Version)> = store
        .records(stream)
        .iter()
        .filter_map(|record| {
            let version = record.listed(now_ms).filter(|version| version.active && !version.deleted)?;
            let wanted = asked.kind.as_ref();
            let is_wanted = wanted
                .is_none_or(|wanted| kind_of(record, version).is_some_and(|kind| kind.eq_ignore_ascii_case(wanted)));
            (is_wanted && asked.includes(filtered_stamp_ms(record, version), settings)).then_some((record, version))
        })
        .collect();
    match settings.order {
        Order::ById => {}
        Order::NewestFirst => listed.sort_by_key(|(_, version)| Reverse(version.stamp)),
        Order::OldestFirst => listed.sort_by_key(|(_, version)| version.stamp),
    }
    let total_count = listed.len();
    let skipped = (asked.page - 1).saturating_mul(asked.per_page);
    let is_hidden = |record: &Record| settings.hidden.iter().any(|id| id == record.id());
    let cut = listed.into_iter().skip(skipped).take(asked.per_page);
    let shown: Vec<_> = cut.filter(|(record, _)| !is_hidden(record)).collect();
    let metadata = json!({
        "total": shown.len(),
        "total_count": total_count,
        "total_pages": total_count.div_ceil(asked.per_page),
        "page": asked.page,
        "per_page": asked.per_page,
    });
    Page { is_beyond: asked.page > 1 && skipped >= total_count, shown, metadata }
}

fn filtered_stamp_ms(record: &Record, version: &Version) -> i64 {
    let true_ms = version.stamp.saturating_mul(1000);
    match &record.shown {
        ShownStamp::Text(text) => text.parse::<Timestamp>().map_or(true_ms, Timestamp::as_millisecond),
        ShownStamp::Real | ShownStamp::Missing => true_ms,
    }
}

impl Page<'_> {
    /// The answer, around rows that are already written.
    pub(super) fn written(&self, rows: &[String], resource: &str, settings: &Settings) -> Reply {
        let key = settings.rows_key.as_deref().unwrap_or(resource);
        let metadata = match settings.metadata {
            Metadata::Metadata => format!(",\"metadata\":{}", self.metadata),
            Metadata::Meta => format!(",\"meta\":{}", self.metadata),
            Metadata::None => String::new(),
        };
        Reply::json(200, format!("{{\"{key}\":[{}]{metadata}}}", rows.join(",")))
    }
}

/// The answer to parameters that are wrong.
pub(super) fn refused(errors: Vec<Error>) -> Reply {
    let errors: Map<String, serde_json::Value> = errors.into_iter().map(|(name, text)| (name, json!([text]))).collect();
    Reply::json(422, json!({ "errors": errors }).to_string())
}
