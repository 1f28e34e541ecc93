//! What is answered: lists, single rows and errors, in either dialect.

use super::{
    Resource,
    address::Address,
    limit::Verdict,
    settings::{DetailShape, Dialect, Paging, RetryAfterIn, Settings, Vanished},
};
use crate::wire::Reply;

/// Rows a page unless the client says otherwise.
const PER_PAGE: usize = 50;
const REQUEST_ID: &str = "a1b2c3d4e5f6";

/// Which rows a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    page: usize,
    per_page: usize,
}

impl Window {
    /// Reads `page` and `per_page`; the name of the one that is wrong.
    pub(super) fn of(address: &Address, settings: &Settings) -> Result<Self, &'static str> {
        let count = |name, usual| match address.parameter(name).map(str::parse::<usize>) {
            None => Ok(usual),
            Some(Ok(count)) if count > 0 => Ok(count),
            Some(_) => Err(name),
        };
        Ok(Self { page: count("page", 1)?, per_page: count("per_page", PER_PAGE)?.min(settings.per_page_max.max(1)) })
    }

    /// Which page.
    pub(super) fn page(self) -> usize {
        self.page
    }

    /// The first page of the same size.
    pub(super) fn first(self) -> Self {
        Self { page: 1, ..self }
    }

    /// The rows of this page.
    pub(super) fn cut<T>(self, rows: &[T]) -> &[T] {
        let start = self.page.saturating_sub(1).saturating_mul(self.per_page).min(rows.len());
        let end = start.saturating_add(self.per_page).min(rows.len());
        rows.get(start..end).unwrap_or_default()
    }

    fn members(self, total: usize, settings: &Settings) -> String {
        let Self { page, per_page } = self;
        let pages = match u64::try_from(total.div_ceil(per_page)).unwrap_or(u64::MAX) {
            0 => settings.empty_total_pages,
            pages => pages,
        };
        match settings.paging {
            Paging::Totals => {
                format!(r#""page":{page},"per_page":{per_page},"total":{total},"total_pages":{pages}"#)
            }
            Paging::NoTotals => format!(r#""page":{page},"per_page":{per_page}"#),
            Paging::Nothing => String::new(),
        }
    }
}

/// A page of a list.
pub(super) fn page(resource: &Resource, rows: &[String], window: Window, total: usize, settings: &Settings) -> Reply {
    let (rows, paging) = (rows.join(","), window.members(total, settings));
    let body = match settings.dialect {
        Dialect::Guide if paging.is_empty() => format!(r#"{{"success":true,"{}":[{rows}]}}"#, resource.plural),
        Dialect::Guide => format!(r#"{{"success":true,"{}":[{rows}],{paging}}}"#, resource.plural),
        Dialect::Reference => {
            format!(r#"{{"data":[{rows}],"pagination":{{{paging}}},"request_id":"{REQUEST_ID}"}}"#)
        }
    };
    Reply::json(200, body)
}

/// A single row.
pub(super) fn record(resource: &Resource, row: &str, settings: &Settings) -> Reply {
    Reply::json(200, detail(resource, row, settings))
}

fn detail(resource: &Resource, row: &str, settings: &Settings) -> String {
    match (settings.detail_shape, settings.dialect) {
        (DetailShape::Bare, _) => row.to_owned(),
        (DetailShape::Object, Dialect::Guide) => format!(r#"{{"success":true,"{}":{row}}}"#, resource.singular),
        (DetailShape::Array, Dialect::Guide) => format!(r#"{{"success":true,"{}":[{row}]}}"#, resource.plural),
        (DetailShape::Object, Dialect::Reference) => format!(r#"{{"data":{row},"request_id":"{REQUEST_ID}"}}"#),
        (DetailShape::Array, Dialect::Reference) => format!(r#"{{"data":[{row}],"request_id":"{REQUEST_ID}"}}"#),
    }
}

/// What is answered for a record that is gone.
pub(super) fn gone(resource: &Resource, settings: &Settings) -> Reply {
    match (settings.vanished, settings.detail_shape) {
        (Vanished::NotFound, _) => error(404, "not_found"),
        (Vanished::Refused, _) => error(200, "not_found"),
        (Vanished::Empty, DetailShape::Array) => Reply::json(200, detail(resource, "", settings)),
        (Vanished::Empty, DetailShape::Object | DetailShape::Bare) => {
            let shown = Settings { detail_shape: DetailShape::Object, ..settings.clone() };
            Reply::json(200, detail(resource, "null", &shown))
        }
    }
}

/// An error object.
pub(super) fn error(status: u16, code: &str) -> Reply {
    let code = serde_json::Value::from(code);
    Reply::json(status, format!(r#"{{"success":false,"error":{code},"message":"The request was not carried out."}}"#))
}

/// The answer to a call beyond the limit, as in the vendor's sample.
pub(super) fn too_many(verdict: Verdict, told_in: RetryAfterIn) -> Reply {
    let seconds = verdict.retry_after_seconds;
    let in_body = match told_in {
        RetryAfterIn::Both | RetryAfterIn::Body => format!(r#","retry_after":{seconds}"#),
        RetryAfterIn::Header | RetryAfterIn::Nowhere => String::new(),
    };
    let body = format!(
        r#"{{"success":false,"error":"rate_limit_exceeded","message":"Too many requests. Please try again later."{in_body}}}"#
    );
    let mut reply = Reply::json(429, body);
    if matches!(told_in, RetryAfterIn::Both | RetryAfterIn::Header) {
        reply.headers.push(("Retry-After".to_owned(), seconds.to_string()));
    }
    reply
}

/// The same answer with what is left of the limit.
pub(super) fn with_limit(mut reply: Reply, verdict: Verdict) -> Reply {
    let told = [
        ("X-RateLimit-Limit", verdict.limit.to_string()),
        ("X-RateLimit-Remaining", verdict.remaining.to_string()),
        ("X-RateLimit-Reset", verdict.reset.to_string()),
    ];
    reply.headers.extend(told.map(|(name, value)| (name.to_owned(), value)));
    reply
}
