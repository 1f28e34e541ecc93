//! The lists: numbered pages over records that may move meanwhile, in nearly as many variants as there are classes.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    classes::{CLASSES, Class, detail_path, list_path},
    rows::{user_of, written},
    settings::{ListEnvelope, Settings},
};
use crate::{
    row::Row,
    store::{Record, Store, Version},
    wire::Reply,
};

/// Lists that take `start` and `end`, and the field that these bound.
const WINDOWED: [(&str, &str); 3] =
    [("jobs", "scheduledOn"), ("web_quotes", "scheduledOn"), ("working_hours_exceptions", "start")];

/// What a client asks of a list.
#[derive(Debug, Default)]
pub(super) struct Question<'query> {
    pub(super) user: Option<&'query str>,
    pub(super) page: Option<&'query str>,
    pub(super) page_size: Option<&'query str>,
    pub(super) start: Option<&'query str>,
    pub(super) end: Option<&'query str>,
    pub(super) archived: Option<&'query str>,
}

/// A page of a list, or the name of the vendor's error.
pub(super) fn page(
    stream: &'static str,
    question: &Question<'_>,
    store: &Store,
    settings: &Settings,
    now_ms: i64,
    row_of: impl Fn(&'static str, &Record, &Version) -> Row,
) -> Result<Reply, &'static str> {
    let asked: usize = question.page.map_or(Some(0), |text| text.parse().ok()).ok_or("BadRequest")?;
    let size = question.page_size.map_or(Some(settings.list_page_size), |text| text.parse().ok());
    let size = size.filter(|size| *size > 0).ok_or("BadRequest")?.min(settings.list_page_size_max);
    if settings.list_pages_max.is_some_and(|pages_max| asked >= pages_max) {
        return Err("BadRequest");
    }
    let page = if settings.ignores_page { 0 } else { asked };
    let bounds = bounds(stream, question, settings)?;
    let is_listed =
        |class: &Class| class.stream == stream || (stream == "jobs" && settings.quotes_among_jobs && is_quote(class));
    let mut rows = Vec::new();
    for class in CLASSES.iter().filter(|class| is_listed(class)) {
        for record in store.records(class.stream) {
            let is_wanted = |version: &&Version| version.active == (question.archived != Some("true"));
            let version = record.listed(now_ms).filter(|version| is_wanted(version) && !version.deleted);
            let of_user = question.user.is_none_or(|user| user == user_of(store.seed(), record.number));
            let Some(version) = version.filter(|_| of_user) else { continue };
            let row = row_of(class.stream, record, version);
            if bounds.as_ref().is_none_or(|bounds| bounds.hold(&row)) {
                rows.push((class, record, row));
            }
        }
    }
    let count = rows.len();
    let shown: Vec<Value> = rows
        .into_iter()
        .skip(page.saturating_mul(size))
        .take(size)
        .map(|(class, record, row)| item(stream, class, record, &row, store.seed(), settings))
        .collect();
    let body = match settings.list_envelope {
        ListEnvelope::Items => envelope(stream, shown, page, size, settings.list_count.then_some(count)),
        ListEnvelope::Bare => shown.into(),
    };
    let mut reply = Reply::json(200, written(&body));
    if settings.list_links {
        let base = format!("{}{}", settings.address_base, list_path(stream, question.user.unwrap_or_default()));
        reply.headers.push(("Link".to_owned(), links(&base, page, size, count)));
    }
    Ok(reply)
}

fn is_quote(class: &Class) -> bool {
    matches!(class.stream, "web_quotes" | "field_quotes")
}

/// A field of a row that must lie within two times.
struct Bounds {
    field: &'static str,
    start: Timestamp,
    end: Timestamp,
}

impl Bounds {
    fn hold(&self, row: &Row) -> bool {
        let at: Option<Timestamp> = row.text(self.field).and_then(|text| text.parse().ok());
        at.is_some_and(|at| (self.start..self.end).contains(&at))
    }
}

fn bounds(stream: &str, question: &Question<'_>, settings: &Settings) -> Result<Option<Bounds>, &'static str> {
    let Some((_, field)) = WINDOWED.iter().find(|(windowed, _)| *windowed == stream) else {
        return Ok(None);
    };
    match (question.start, question.end) {
        (None, None) if !settings.windows_required => Ok(None),
        (Some(start), Some(end)) => {
            let time = |text: &str| text.parse().map_err(|_| "APIValidationError");
            Ok(Some(Bounds { field, start: time(start)?, end: time(end)? }))
        }
        _ => Err("APIValidationError"),
    }
}

fn item(stream: &str, class: &Class, record: &Record, row: &Row, seed: u64, settings: &Settings) -> Value {
    let path = detail_path(class.stream, &user_of(seed, record.number), record.id());
    let address = format!("{}{path}", settings.address_base);
    let name = row.get("name").or_else(|| row.get("description")).or_else(|| row.get("lastName"));
    let address_name = match stream {
        "assets" => "href",
        "invoices" => "link",
        _ => "url",
    };
    let mut item = Map::new();
    item.insert("uuid".to_owned(), record.id().into());
    item.insert("name".to_owned(), name.cloned().unwrap_or_default());
    if class.stream != stream {
        item.insert("entityClass".to_owned(), class.entity.into());
    }
    if stream == "custom_fields" {
        // What it is declared for; these rows have no address.
        item.insert("entityClass".to_owned(), "Job".into());
        return item.into();
    }
    item.insert("link".to_owned(), json!({"rel": "detail", address_name: address}));
    item.into()
}

fn envelope(stream: &str, items: Vec<Value>, page: usize, size: usize, count: Option<usize>) -> Value {
    let mut body = Map::new();
    if let Some(count) = count {
        body.insert("count".to_owned(), count.into());
    }
    body.insert("items".to_owned(), items.into());
    if stream == "assets" {
        body.insert("pageStartIndex".to_owned(), page.saturating_mul(size).into());
    } else {
        body.insert("page".to_owned(), page.into());
    }
    body.insert("pageSize".to_owned(), size.into());
    body.insert("sortedBy".to_owned(), json!([]));
    body.into()
}

/// The `Link` header. Its last page may be one past the end, as in a sample of the vendor's.
fn links(base: &str, page: usize, size: usize, count: usize) -> String {
    let link = |page: usize, rel: &str| format!("<{base}?page={page}&pageSize={size}>; rel=\"{rel}\"");
    let mut links = vec![link(0, "first"), link(count / size, "last")];
    if page > 0 {
        links.push(link(page - 1, "prev"));
    }
    if (page + 1).saturating_mul(size) < count {
        links.push(link(page + 1, "next"));
    }
    links.join(", ")
}
