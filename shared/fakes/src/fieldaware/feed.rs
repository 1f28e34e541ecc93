//! The change feed: an event for each version of each record, in the order in which readers could first see them.
//!
//! Every version has its place in the feed, told or not, so that neither a filter nor a setting moves a token. Seeded
//! records are older than the feed.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    classes::{CLASSES, Class, Place, detail_path, of_stream},
    rows::{user_of, uuid},
    settings::{NextForm, Settings, TokenForm},
    written_stamp,
};
use crate::{
    row::Row,
    store::{Record, Store, Version},
};

/// The place before the first event, as tokens write it: the guide's first sample.
const FIRST_TOKEN: u64 = 63_182_001;
/// How far tokens of two epochs are apart.
const EPOCH: u64 = 1_000_000_000;
/// What an opaque token starts and ends with, as in the guide.
const OPAQUE: (&str, &str) = ("dcae", "eac94");

/// What a client asks of the feed.
#[derive(Debug, Default)]
pub(super) struct Filter<'query> {
    pub(super) page_size: Option<usize>,
    pub(super) entity_class: Option<&'query str>,
    pub(super) entity_uuid: Option<&'query str>,
    pub(super) status: Option<&'query str>,
}

/// A page of events.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    items: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Value>,
}

/// One version of a record, as the feed shows it.
struct Event<'store> {
    class: &'static Class,
    record: &'store Record,
    version: &'store Version,
    status: &'static str,
    is_told: bool,
}

/// All that readers may know of by now, in order.
fn events<'store>(store: &'store Store, settings: &Settings, now_ms: i64) -> Vec<Event<'store>> {
    let mut events = Vec::new();
    for class in CLASSES.iter().filter(|class| class.place != Place::CustomFields) {
        for record in store.records(class.stream) {
            let mut before: Option<&Version> = None;
            for version in &record.versions {
                if (i64::MIN + 1..=now_ms).contains(&version.listed_from_ms) {
                    let status = status(before, version);
                    let is_told = !(settings.features_off.iter().any(|off| off == class.stream)
                        || (settings.silent_deletes && status == "DELETED")
                        || before.is_some_and(|before| differ_in_custom_fields_alone(before, version)));
                    events.push(Event { class, record, version, status, is_told });
                }
                before = Some(version);
            }
        }
    }
    events.sort_by_key(|event| (event.version.listed_from_ms, event.version.serial));
    events
}

fn status(before: Option<&Version>, version: &Version) -> &'static str {
    match (before.is_none_or(|before| before.deleted), version.deleted) {
        (_, true) => "DELETED",
        (true, false) => "CREATED",
        (false, false) => "UPDATED",
    }
}

/// The vendor's documented gap: such edits make no event.
fn differ_in_custom_fields_alone(before: &Version, version: &Version) -> bool {
    let is_same = |field: &str| before.changes.get(field) == version.changes.get(field);
    let fields = before.changes.keys().chain(version.changes.keys());
    let is_rest_same = fields.filter(|field| *field != "customFields").all(|field| is_same(field));
    !is_same("customFields") && is_rest_same && before.deleted == version.deleted && before.active == version.active
}

/// The newest token, and its address.
pub(super) fn newest(store: &Store, settings: &Settings, now_ms: i64) -> Value {
    let token = token_at(behind(events(store, settings, now_ms).len(), settings), settings);
    json!({"url": address(&token, settings), "sinceToken": bare(&token)})
}

/// A page of events; none when the token is not known.
pub(super) fn page(token: &str, filter: &Filter<'_>, store: &Store, settings: &Settings, now_ms: i64) -> Option<Page> {
    let events = events(store, settings, now_ms);
    let start = place_of(token, settings).filter(|start| *start <= events.len())?;
    // Strictly smaller than the size; a page of one could not get past an event that is listed again.
    let room = filter.page_size.unwrap_or(settings.page_size).saturating_sub(1);
    let room = if settings.inclusive { room.max(2) } else { room };
    let places = settings.places_a_page.unwrap_or(usize::MAX);
    let told =
        events.iter().enumerate().skip(start).take(places).filter(|(_, event)| event.is_told && filter.takes(event));
    let told: Vec<(usize, &Event<'_>)> = told.take(room).collect();
    let times = if settings.repeat_events { 2 } else { 1 };
    let items: Vec<Row> = told
        .iter()
        .flat_map(|(place, event)| std::iter::repeat_n(event.written(*place, store.seed(), settings), times))
        .collect();
    let end = match told.last() {
        Some((place, _)) => place + 1,
        None if room == 0 => start,
        None => events.len().min(start.saturating_add(places)),
    };
    let is_last = end == events.len();
    let next = token_at(behind(end, settings), settings);
    let next = (settings.last_next || !is_last).then(|| next_written(&next, items.is_empty(), settings));
    Some(Page { items, next })
}

impl Filter<'_> {
    fn takes(&self, event: &Event<'_>) -> bool {
        self.entity_class.is_none_or(|class| class == event.class.entity)
            && self.entity_uuid.is_none_or(|uuid| uuid == event.record.id())
            && self.status.is_none_or(|status| status == event.status)
    }
}

impl Event<'_> {
    fn written(&self, place: usize, seed: u64, settings: &Settings) -> Row {
        let (stream, id) = (self.class.stream, self.record.id());
        let is_quote = matches!(stream, "web_quotes" | "field_quotes");
        let path = if settings.quotes_as_jobs && is_quote {
            detail_path("jobs", "", id)
        } else {
            detail_path(stream, &user_of(seed, self.record.number), id)
        };
        let base = if is_quote { settings.address_base.replace(".net", ".com") } else { settings.address_base.clone() };
        let url = format!("{base}{path}");
        let is_reassigned = (is_quote || stream == "jobs") && self.status == "UPDATED";
        let task = uuid(seed, "job_tasks", self.record.number);
        let action = json!({"entityClass": "JobTask", "status": "REASSIGNED", "uuid": task, "url": format!("{url}/task/{task}")});
        let mut event: Row = [
            ("status", self.status.into()),
            ("changedBy", json!({"uuid": user_of(seed, 0)})),
            ("entityClass", self.class.entity.into()),
            ("changedOn", written_stamp(self.version.stamp).into()),
            ("url", url.into()),
            ("entity", json!({"uuid": id})),
            ("actions", if is_reassigned { json!([action]) } else { json!([]) }),
            ("id", FIRST_TOKEN.saturating_add(wide(place)).into()),
        ]
        .into_iter()
        .collect();
        if !settings.event_urls {
            event.remove("url");
        }
        event
    }
}

/// The place that a token behind `end` events stands for.
fn behind(end: usize, settings: &Settings) -> usize {
    if settings.inclusive { end.saturating_sub(1) } else { end }
}

fn wide(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

fn token_at(place: usize, settings: &Settings) -> String {
    let number = FIRST_TOKEN + wide(place) + settings.token_epoch * EPOCH;
    match settings.token_form {
        TokenForm::Number => number.to_string(),
        TokenForm::Opaque => format!("{}{number:x}{}", OPAQUE.0, OPAQUE.1),
    }
}

fn place_of(token: &str, settings: &Settings) -> Option<usize> {
    let number = match settings.token_form {
        TokenForm::Number => token.parse::<u64>().ok()?,
        TokenForm::Opaque => u64::from_str_radix(token.strip_prefix(OPAQUE.0)?.strip_suffix(OPAQUE.1)?, 16).ok()?,
    };
    usize::try_from(number.checked_sub(FIRST_TOKEN + settings.token_epoch * EPOCH)?).ok()
}

fn address(token: &str, settings: &Settings) -> String {
    format!("{}/changes/{token}/", settings.address_base)
}

fn bare(token: &str) -> Value {
    token.parse::<u64>().map_or_else(|_| token.into(), Value::from)
}

fn next_written(token: &str, is_empty: bool, settings: &Settings) -> Value {
    let is_number = settings.token_form == TokenForm::Number;
    match settings.next_form {
        NextForm::Vendor if is_empty && is_number => bare(token),
        NextForm::Token if is_number => bare(token),
        NextForm::Text if is_number => token.into(),
        NextForm::Vendor | NextForm::Address | NextForm::Token | NextForm::Text => address(token, settings).into(),
        NextForm::Relative => format!("/changes/{token}/").into(),
    }
}

/// Whether the feed can be filtered by this class.
pub(super) fn is_filterable(entity: &str) -> bool {
    let exceptions = of_stream("working_hours_exceptions").map(|class| class.entity);
    CLASSES.iter().any(|class| class.entity == entity) && Some(entity) != exceptions
}
