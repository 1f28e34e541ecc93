//! FieldAware: a change feed over all classes, lists of each class, one detail call per record.
//!
//! `GET /changes/token`, `GET /changes/{token}/`, the lists (`/customer/`, ..), and the details (`/customer/{uuid}`, ..),
//! with `Authorization: Token <key>`. Unavailable times and working hours exceptions stand below the first three users.
//! The endpoint of jobs serves quotes, too. Ids are uuids of 32 hex digits, made from the seed and a running number.
//!
//! The feed shows every version that was made while the vendor ran, in the order in which readers could first see
//! them; what was seeded is older than the feed. An edit of `customFields` alone makes no event. What the vendor's
//! documentation leaves open is in [`Settings`].
//!
//! # Control API
//!
//! The streams are the record streams, from `jobs` to `custom_fields`, and `changes`, which holds no records
//! but can be named in faults, holds and hooks: calls to the feed are its list calls. Functions are named by their
//! address pattern: `/changes/token`, `/changes/{token}/`, `/customer/`, `/customer/{uuid}`,
//! `/user/{uuid}/unavailability`, `/user/{uuid}/exception/{uuid}`, `/unavailability/types`, and so on. Times are written
//! as `2014-10-15T12:16:53+00:00`. The credentials are `{"token","keep_old"?}`.
//!
//! The keys of `POST /settings`:
//!
//! | key | default | does |
//! |---|---|---|
//! | `address_base` | `https://api.fieldaware.net` | the start of every address the vendor writes |
//! | `next_form` | `vendor` | how `next` is written: `vendor` (an address, behind no events the token), `address`, `relative`, `token`, `text` |
//! | `token_form` | `number` | how tokens are written: `number` or `opaque` |
//! | `inclusive` | `false` | tells the event that a token was given behind again |
//! | `token_epoch` | 0 | another number makes all tokens given so far unknown |
//! | `rejected_token_status` | 404 | the status that refuses a token |
//! | `page_size` | 101 | the feed's page size when none is asked for; a page is always smaller than its size |
//! | `repeat_events` | `false` | lists every event twice |
//! | `event_urls` | `true` | whether events have an address |
//! | `quotes_as_jobs` | `false` | addresses of quotes lead to the endpoint of jobs |
//! | `silent_deletes` | `false` | deletions make no event, past ones included |
//! | `features_off` | `[]` | streams without events, whose lists and details answer 403 |
//! | `forbidden` | `[]` | streams whose lists and details answer 403 |
//! | `list_page_size`, `list_page_size_max` | 20, 100 | the lists' page size when none is asked for, and the largest |
//! | `list_count`, `list_links` | `true` | whether lists have `count`, and a `Link` header |
//! | `list_envelope` | `items` | `items`: an object; `bare`: an array |
//! | `quotes_among_jobs` | `false` | the list of jobs holds quotes, too, each with its `entityClass` |
//! | `windows_required` | `false` | lists that take `start` and `end` refuse to go without |
//! | `ignores_page` | `false` | lists show their first page whatever page is asked for |
//! | `list_pages_max` | none | so many pages of a list may be asked for; later ones are refused |
//! | `last_next` | `true` | whether pages behind which there is no event have a `next` |
//! | `places_a_page` | none | so many places of the feed a page covers at most, so that pages without events may lead on |

mod classes;
mod feed;
mod lists;
mod query;
mod rows;
mod settings;
#[cfg(test)]
mod tests;

use std::io;

use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::settings::{ListEnvelope, NextForm, Settings, TokenForm};
use self::{
    classes::Route,
    feed::Filter,
    lists::Question,
    query::Query,
    rows::{user_of, written},
};
use super::{
    row::Row,
    server::{Ports, Running, Started},
    state::State,
    store::{Record, Store, Version},
    vendor::{Call, Vendor},
    wire::{Reply, Request},
};

/// The feed, as a stream.
const FEED: &str = "changes";

/// The streams and the numbers of their first records.
static STREAMS: [(&str, u64); 16] = [
    (FEED, 0),
    ("jobs", 1),
    ("web_quotes", 1_000_001),
    ("field_quotes", 2_000_001),
    ("items", 3_000_001),
    ("tasks", 4_000_001),
    ("customers", 5_000_001),
    ("locations", 6_000_001),
    ("contacts", 7_000_001),
    ("assets", 8_000_001),
    ("invoices", 9_000_001),
    ("users", 10_000_001),
    ("unavailable_times", 11_000_001),
    ("unavailable_time_types", 12_000_001),
    ("working_hours_exceptions", 13_000_001),
    ("custom_fields", 14_000_001),
];

/// A fake FieldAware that listens.
pub type FakeFieldAware = Running<FieldAware>;

/// What a fake FieldAware starts with.
#[derive(Debug, Clone)]
pub struct FieldAwareOptions {
    /// Where it listens; by default on a free port, without a control port.
    pub ports: Ports,
    /// What all generated values are made from; 1 by default.
    pub seed: u64,
    /// The accepted key; `9dcae3660ec84eac94bb506e09a9af40` by default.
    pub token: String,
    /// How it behaves.
    pub settings: Settings,
}

impl Default for FieldAwareOptions {
    fn default() -> Self {
        Self {
            ports: Ports::default(),
            seed: 1,
            token: "9dcae3660ec84eac94bb506e09a9af40".to_owned(),
            settings: Settings::default(),
        }
    }
}

impl FakeFieldAware {
    /// Starts with everything at its default.
    ///
    /// # Errors
    /// When no port can be taken.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(FieldAwareOptions::default()).await
    }

    /// Starts.
    ///
    /// # Errors
    /// When a port cannot be taken.
    pub async fn start_with(options: FieldAwareOptions) -> io::Result<Self> {
        let state = State::new(options.settings, options.token);
        Self::listen(FieldAware { state }, options.seed, options.ports).await
    }

    /// Changes settings.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.vendor().state.lock().settings);
    }

    /// Accepts another key, beside the old ones or in their place.
    pub fn rotate(&self, token: &str, keep_old: bool) {
        self.vendor().state.accept(token.to_owned(), keep_old);
    }
}

/// Starts one as the program does, with all else at its default.
pub(crate) async fn start(ports: Ports, seed: u64) -> io::Result<Started> {
    let options = FieldAwareOptions { ports, seed, ..FieldAwareOptions::default() };
    let secret = json!({"token": options.token});
    Ok(Started::new(FakeFieldAware::start_with(options).await?, secret))
}

/// The vendor's own side.
#[derive(Debug)]
pub struct FieldAware {
    state: State<Settings, String>,
}

impl FieldAware {
    fn events(&self, token: &str, query: &Query, store: &Store, now_ms: i64) -> Reply {
        let settings = self.state.settings();
        let page_size = query.get("pageSize").map(str::parse);
        let filter = Filter {
            page_size: page_size.clone().and_then(Result::ok),
            entity_class: query.get("entityClass"),
            entity_uuid: query.get("entityUuid"),
            status: query.get("status"),
        };
        let is_known = filter.entity_class.is_none_or(feed::is_filterable)
            && filter.status.is_none_or(|status| ["CREATED", "UPDATED", "DELETED"].contains(&status));
        if page_size.is_some_and(|size| size.is_err()) || !is_known {
            return refusal(422, "APIValidationError", "a filter is not valid");
        }
        match feed::page(token, &filter, store, &settings, now_ms) {
            Some(page) => Reply::json(200, written(&page)),
            None => refusal(settings.rejected_token_status, "NotFoundError", "no such token"),
        }
    }

    fn list(&self, stream: &'static str, user: Option<&str>, query: &Query, store: &Store, now_ms: i64) -> Reply {
        let is_there = |user: &str| {
            let user = store.record("users", user).and_then(|record| record.listed(now_ms));
            user.is_some_and(|version| !version.deleted)
        };
        if user.is_some_and(|user| !is_there(user)) {
            return refusal(404, "NotFoundError", "no such user");
        }
        let question = Question {
            user,
            page: query.get("page"),
            page_size: query.get("pageSize"),
            start: query.get("start"),
            end: query.get("end"),
            archived: query.get("archived"),
        };
        let row_of = |stream, record: &Record, version: &Version| self.row(store, stream, record, version);
        match lists::page(stream, &question, store, &self.state.settings(), now_ms, row_of) {
            Ok(reply) => reply,
            Err(name) => refusal(if name == "BadRequest" { 400 } else { 422 }, name, "a parameter is not valid"),
        }
    }

    fn detail(
        &self,
        stream: &'static str,
        user: Option<&str>,
        uuid: &str,
        call: &Call,
        store: &Store,
        now: i64,
    ) -> Reply {
        let streams: &[&'static str] =
            if stream == "jobs" { &["jobs", "web_quotes", "field_quotes"] } else { &[stream] };
        let row = streams.iter().find_map(|stream| {
            let record = store.record(stream, uuid)?;
            let version = record.detailed(now).filter(|version| !version.deleted)?;
            let is_below = user.is_none_or(|user| user == user_of(store.seed(), record.number));
            is_below.then(|| self.row(store, stream, record, version))
        });
        let Some(mut row) = row else {
            return refusal(404, "NotFoundError", &format!("no {stream} {uuid}"));
        };
        if let Some(other) = &call.shown_id {
            row.set("uuid", other.as_str().into());
        }
        Reply::json(200, written(&row))
    }

    fn is_refused(&self, stream: &str) -> bool {
        let state = self.state.lock();
        state.settings.features_off.iter().chain(&state.settings.forbidden).any(|refused| refused == stream)
    }
}

/// An error in the vendor's shape.
fn refusal(status: u16, name: &str, message: &str) -> Reply {
    Reply::json(status, written(&json!({"error": {"name": name, "message": message}})))
}

/// Writes an instant as the vendor does.
fn written_stamp(seconds: i64) -> String {
    let instant = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    token: String,
    #[serde(default)]
    keep_old: bool,
}

impl Vendor for FieldAware {
    fn name(&self) -> &'static str {
        "fieldaware"
    }

    fn streams(&self) -> &'static [(&'static str, u64)] {
        &STREAMS
    }

    fn new_id(&self, seed: u64, stream: &'static str, number: u64) -> String {
        rows::uuid(seed, stream, number)
    }

    fn identify(&self, request: &Request) -> Call {
        let route = Route::of(&request.path);
        let (id, from) = match route {
            Route::Detail { uuid, .. } => (Some(uuid.to_owned()), None),
            Route::Events { token } => (None, Some(token.to_owned())),
            // Of a list below a user, that user.
            Route::List { user, .. } => (user.map(str::to_owned), None),
            Route::NewestToken | Route::Unknown => (None, None),
        };
        Call {
            function: route.pattern(&request.path),
            kind: route.kind(),
            stream: route.stream(),
            id,
            from,
            parameters: Query::of(request).0.into_iter().map(|(name, _)| name).collect(),
            shown_id: None,
        }
    }

    fn authorize(&self, request: &Request, _now_ms: i64) -> Result<(), String> {
        if request.method != "GET" {
            return Err(format!("{} instead of GET", request.method));
        }
        if Query::of(request).get("api_key").is_some() {
            return Err("the key is in the address".to_owned());
        }
        let header = request.header("authorization").ok_or("there is no Authorization header")?;
        let token = header.strip_prefix("Token ").ok_or("the scheme is not Token")?;
        let is_known = self.state.lock().accepted.iter().any(|known| known == token);
        is_known.then_some(()).ok_or_else(|| "the key is not known".to_owned())
    }

    fn refuse(&self) -> Reply {
        refusal(401, "AuthenticationError", "Invalid token")
    }

    fn answer(&self, call: &Call, request: &Request, store: &Store, now_ms: i64) -> Reply {
        if request.header("accept") != Some("application/json") {
            return Reply::new(406, "text/html", "<html><body>Not Acceptable</body></html>");
        }
        if call.stream.is_some_and(|stream| self.is_refused(stream)) {
            return refusal(403, "AuthorizationError", "this is not available for this user");
        }
        let query = Query::of(request);
        match Route::of(&request.path) {
            Route::NewestToken => Reply::json(200, written(&feed::newest(store, &self.state.settings(), now_ms))),
            Route::Events { token } => self.events(token, &query, store, now_ms),
            Route::List { stream, user } => self.list(stream, user, &query, store, now_ms),
            Route::Detail { stream, user, uuid } => self.detail(stream, user, uuid, call, store, now_ms),
            Route::Unknown => refusal(404, "NotFoundError", "no such address"),
        }
    }

    fn error(&self, text: &str) -> Reply {
        refusal(200, "InternalError", text)
    }

    fn wrong_shape(&self) -> Reply {
        Reply::json(200, r#"{"ok": 1, "unexpected": [[1], [2, null]]}"#)
    }

    fn row(&self, store: &Store, stream: &'static str, record: &Record, version: &Version) -> Row {
        let mut row = rows::first_row(store.seed(), stream, record.number, record.id());
        version.apply_to(&mut row);
        if row.get("archived").is_some() {
            row.set("archived", (!version.active).into());
        }
        row
    }

    fn written(&self, row: &Row) -> String {
        written(row)
    }

    fn touch(&self, _stream: &'static str, row: &Row, revision: usize) -> (String, Value) {
        let field = ["name", "description", "lastName"].into_iter().find(|field| row.get(field).is_some());
        let field = field.unwrap_or("name");
        row.edited(field, revision)
    }

    fn stamp(&self, seconds: i64) -> String {
        written_stamp(seconds)
    }

    fn parse_stamp(&self, text: &str) -> Option<i64> {
        text.parse::<Timestamp>().ok().map(Timestamp::as_second)
    }

    fn configure(&self, settings: Value) -> Result<(), String> {
        self.state.change(settings)
    }

    fn rotate(&self, credentials: Value) -> Result<(), String> {
        let rotation: Rotation = serde_json::from_value(credentials).map_err(|error| error.to_string())?;
        self.state.accept(rotation.token, rotation.keep_old);
        Ok(())
    }
}
