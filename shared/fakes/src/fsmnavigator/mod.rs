//! FSM Navigator: pages of whole rows behind an API key, in two dialects that contradict each other.
//!
//! `GET /api/v1/<resource>?page=&per_page=[&updated_since=]` lists, `GET /api/v1/<resource>?id=` and
//! `GET /api/v1/<resource>/<id>` answer one row; the resources are `jobs`, `customers`, `assets`, `technicians` and
//! `inventory`. `GET /api/v1/customers?id=&locations=1` and `GET /api/v1/customers/<id>/locations` list the locations of a
//! customer, `GET /api/v1/assets?id=&sub=service_history` and `GET /api/v1/assets/<id>/service-records` the service records
//! of an asset; the first three customers and assets share them.
//! Stamps are written as `2026-02-23T00:00:00Z`. Every authorized answer has the `X-RateLimit` headers; only an
//! answer that a fault puts in its place does not.
//!
//! The key is looked up by an implementation of its own: a missing or unknown one is answered with 401, one without the
//! scope `<resource>:read` with 403.
//!
//! # Control API
//!
//! `POST /credentials` takes `{"api_key","scopes"?,"keep_old"?}`; without `scopes` the key may read everything.
//! `POST /settings` takes any of these:
//!
//! | key | values, the default first | meaning |
//! |---|---|---|
//! | `dialect` | `guide`, `reference` | [`Dialect`]: the shape of all answers, and the name of the rows' id |
//! | `details` | `both`, `query`, `path` | [`Details`]: how one record can be asked for |
//! | `detail_shape` | `object`, `array`, `bare` | [`DetailShape`] |
//! | `vanished` | `not_found`, `refused`, `empty` | [`Vanished`]: the detail of a record that is gone |
//! | `updated_since` | `jobs`, `all`, `ignored` | [`UpdatedSince`]: which lists take a lower bound |
//! | `inclusive` | `true`, `false` | whether the bound itself is listed |
//! | `list_order` | `oldest_first`, `newest_first`, `id` | [`ListOrder`]: of what the pages are cut; by stamp, rows move when they are edited |
//! | `paging` | `totals`, `no_totals`, `nothing` | [`Paging`]: what a list says about its pages |
//! | `empty_total_pages` | `0` | `total_pages` of a list without rows |
//! | `per_page_max` | `100` | more rows a page are never answered |
//! | `bound_means_equal` | `false` | whether `updated_since` means "equal to" |
//! | `signed_urls` | `false` | whether rows in lists have a signed address that differs at every reading |
//! | `ignores_page` | `false` | whether lists show their first page whatever page is asked for |
//! | `pages_max` | none | how many pages of a list may be asked for; later ones are refused |
//! | `error_status` | `200` | the status of a fault `{"error":"code"}` |
//! | `limit_calls`, `limit_seconds` | `100000`, `60` | so many calls a key within a window that rolls along; more are answered with 429 |
//! | `retry_after` | `both`, `header`, `body`, `nowhere` | [`RetryAfterIn`]: where such an answer says how long to wait |

mod address;
mod answers;
mod limit;
mod rows;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::settings::{
    DetailShape, Details, Dialect, ListOrder, Paging, RetryAfterIn, Settings, UpdatedSince, Vanished,
};
use self::{address::Address, answers::Window, limit::Calls};
use super::{
    row::Row,
    server::{Ports, Running, Started},
    state::State,
    store::{Record, ShownStamp, Store, Version},
    vendor::{Call, CallKind, Vendor},
    wire::{Reply, Request},
};

/// The streams and the numbers of their first ids.
const STREAMS: [(&str, u64); 7] = [
    ("jobs", 789),
    ("customers", FIRST_CUSTOMER),
    ("assets", FIRST_ASSET),
    ("technicians", 6),
    ("inventory", 31),
    ("customer_locations", 456),
    ("service_records", 9_001),
];
const FIRST_CUSTOMER: u64 = 123;
const FIRST_ASSET: u64 = 1_001;
/// So many customers have all locations, and so many assets all service records.
const PARENTS: u64 = 3;

/// The scopes of a key that may read everything.
const ALL_SCOPES: [&str; 5] = ["jobs:read", "customers:read", "assets:read", "technicians:read", "inventory:read"];

/// What the vendor keeps.
#[derive(Debug, PartialEq, Eq)]
struct Resource {
    /// Its stream, and its address unless it has a parent.
    name: &'static str,
    /// The member of a list that holds its rows.
    plural: &'static str,
    singular: &'static str,
    named_id: &'static str,
    scope: &'static str,
    /// What its records belong to, where they are listed by one call a parent.
    parent: Option<Parent>,
}

/// What records belong to.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    resource: &'static str,
    first_number: u64,
    /// The parameter that asks for what belongs to a parent.
    query: (&'static str, &'static str),
    /// The last part of the path that does.
    segment: &'static str,
}

const fn resource(name: &'static str, singular: &'static str, named_id: &'static str, scope: &'static str) -> Resource {
    Resource { name, plural: name, singular, named_id, scope, parent: None }
}

static RESOURCES: [Resource; 7] = [
    resource("jobs", "job", "job_id", "jobs:read"),
    resource("customers", "customer", "customer_id", "customers:read"),
    resource("assets", "asset", "asset_id", "assets:read"),
    resource("technicians", "technician", "technician_id", "technicians:read"),
    resource("inventory", "item", "id", "inventory:read"),
    Resource {
        plural: "locations",
        parent: Some(Parent {
            resource: "customers",
            first_number: FIRST_CUSTOMER,
            query: ("locations", "1"),
            segment: "locations",
        }),
        ..resource("customer_locations", "location", "location_id", "customers:read")
    },
    Resource {
        plural: "service_history",
        parent: Some(Parent {
            resource: "assets",
            first_number: FIRST_ASSET,
            query: ("sub", "service_history"),
            segment: "service-records",
        }),
        ..resource("service_records", "service_record", "service_record_id", "assets:read")
    },
];

impl Resource {
    /// The resource of a stream.
    fn named(name: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|resource| resource.name == name)
    }

    /// The resource with an address of its own.
    fn at(name: &str) -> Option<&'static Self> {
        Self::named(name).filter(|resource| resource.parent.is_none())
    }

    /// What belongs to a parent of this resource and is asked for so.
    fn children(&self, is_meant: impl Fn(&Parent) -> bool) -> Option<&'static Self> {
        RESOURCES
            .iter()
            .find(|child| child.parent.as_ref().is_some_and(|parent| parent.resource == self.name && is_meant(parent)))
    }
}

impl Parent {
    /// The parent of the record with this number.
    fn id_of(&self, number: u64) -> String {
        (self.first_number + number % PARENTS).to_string()
    }
}

/// A fake FSM Navigator that listens.
pub type FakeFsmNavigator = Running<FsmNavigator>;

/// What a fake FSM Navigator starts with.
#[derive(Debug, Clone)]
pub struct FsmNavigatorOptions {
    /// Where it listens; by default on a free port, without a control port.
    pub ports: Ports,
    /// What all generated values are made from; 1 by default.
    pub seed: u64,
    /// The accepted key; `fsm_test_0123456789abcdef` by default.
    pub api_key: String,
    /// What the key may do; reading everything by default.
    pub scopes: Vec<String>,
    /// How it behaves.
    pub settings: Settings,
}

impl Default for FsmNavigatorOptions {
    fn default() -> Self {
        Self {
            ports: Ports::default(),
            seed: 1,
            api_key: "fsm_test_0123456789abcdef".to_owned(),
            scopes: all_scopes(),
            settings: Settings::default(),
        }
    }
}

fn all_scopes() -> Vec<String> {
    ALL_SCOPES.map(str::to_owned).to_vec()
}

impl FakeFsmNavigator {
    /// Starts with everything at its default.
    ///
    /// # Errors
    /// When no port can be taken.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(FsmNavigatorOptions::default()).await
    }

    /// Starts.
    ///
    /// # Errors
    /// When a port cannot be taken.
    pub async fn start_with(options: FsmNavigatorOptions) -> io::Result<Self> {
        let key = Key { api_key: options.api_key, scopes: options.scopes };
        let state = State::new(options.settings, key);
        Self::listen(FsmNavigator { state, readings: AtomicU64::new(0) }, options.seed, options.ports).await
    }

    /// Changes settings.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.vendor().state.lock().settings);
    }

    /// Accepts another key that may read everything, beside the old ones or in their place.
    pub fn rotate(&self, api_key: &str, keep_old: bool) {
        self.vendor().state.accept(Key { api_key: api_key.to_owned(), scopes: all_scopes() }, keep_old);
    }

    /// Accepts this key with these scopes alone.
    pub fn grant(&self, api_key: &str, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.vendor().state.accept(Key { api_key: api_key.to_owned(), scopes }, false);
    }
}

/// Starts one as the program does, with all else at its default.
pub(crate) async fn start(ports: Ports, seed: u64) -> io::Result<Started> {
    let options = FsmNavigatorOptions { ports, seed, ..FsmNavigatorOptions::default() };
    let secret = json!({"api_key": options.api_key});
    Ok(Started::new(FakeFsmNavigator::start_with(options).await?, secret))
}

/// The vendor's own side.
#[derive(Debug)]
pub struct FsmNavigator {
    state: State<Settings, Key, Calls>,
    /// How many signed addresses were made, and lists turned.
    readings: AtomicU64,
}

/// A key, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    api_key: String,
    scopes: Vec<String>,
}

impl FsmNavigator {
    /// The accepted key of a request, or why there is none.
    fn key(&self, request: &Request) -> Result<Key, String> {
        let given = request.header("x-api-key").ok_or("X-API-Key is missing")?;
        let state = self.state.lock();
        let key = state.accepted.iter().find(|key| key.api_key == given);
        key.cloned().ok_or_else(|| "X-API-Key is not known".to_owned())
    }

    fn answer_within_limit(&self, key: &Key, call: &Call, request: &Request, store: &Store, now_ms: i64) -> Reply {
        let address = Address::of(request);
        let Some(resource) = address.resource.filter(|_| address.kind != CallKind::Other) else {
            return answers::error(404, "not_found");
        };
        if request.method != "GET" {
            return answers::error(405, "method_not_allowed");
        }
        if !key.scopes.iter().any(|scope| scope == resource.scope) {
            return answers::error(403, "insufficient_scope");
        }
        if let Some(parent) = &resource.parent {
            return self.children(resource, parent, &address, store, now_ms);
        }
        match address.kind {
            CallKind::List => self.list(resource, &address, store, now_ms),
            CallKind::Detail | CallKind::Other => self.detail(resource, &address, call, store, now_ms),
        }
    }

    fn list(&self, resource: &'static Resource, address: &Address, store: &Store, now_ms: i64) -> Reply {
        let settings = self.state.settings();
        let Ok(window) = Window::of(address, &settings) else {
            return answers::error(400, "validation_error");
        };
        let is_filtered = match settings.updated_since {
            UpdatedSince::Jobs => resource.name == "jobs",
            UpdatedSince::All => true,
            UpdatedSince::Ignored => false,
        };
        let bound = match address.parameter("updated_since").filter(|_| is_filtered).map(read_stamp) {
            None => i64::MIN,
            Some(Some(since)) if settings.inclusive => since,
            Some(Some(since)) => since.saturating_add(1),
            Some(None) => return answers::error(400, "validation_error"),
        };
        let is_bounded = bound > i64::MIN;
        let mut listed: Vec<(i64, &Record, &Version)> = store
            .records(resource.name)
            .iter()
            .filter_map(|record| {
                let version = record.listed(now_ms).filter(|version| version.active && !version.deleted)?;
                let stamp = shown_stamp(record, version);
                let is_listed = if settings.bound_means_equal && is_bounded { stamp == bound } else { stamp >= bound };
                is_listed.then_some((stamp, record, version))
            })
            .collect();
        match settings.list_order {
            ListOrder::OldestFirst => listed.sort_by_key(|(stamp, ..)| *stamp),
            ListOrder::NewestFirst => listed.sort_by_key(|(stamp, ..)| std::cmp::Reverse(*stamp)),
            ListOrder::Id => {}
            ListOrder::Turning if listed.is_empty() => {}
            ListOrder::Turning => {
                let reading = usize::try_from(self.readings.fetch_add(1, Ordering::Relaxed)).unwrap_or(0);
                let by = reading.wrapping_mul(7) % listed.len();
                listed.rotate_left(by);
            }
        }
        let row = |(_, record, version): &(i64, &Record, &Version)| {
            let mut row = self.row(store, resource.name, record, version);
            if settings.signed_urls {
                let reading = self.readings.fetch_add(1, Ordering::Relaxed);
                row.set("photo_url", format!("https://files.example.com/1?signature={reading}").into());
            }
            self.written(&row)
        };
        if settings.pages_max.is_some_and(|pages_max| window.page() > pages_max) {
            return answers::error(400, "page_out_of_range");
        }
        let shown = if settings.ignores_page { Window::first(window) } else { window };
        let cut = shown.cut(&listed);
        if settings.refuses_end && window.page() > 1 && cut.is_empty() {
            return answers::error(404, "not_found");
        }
        let is_hidden = |record: &Record| settings.hidden.iter().any(|id| id == record.id());
        let rows: Vec<String> = cut.iter().filter(|(_, record, _)| !is_hidden(record)).map(row).collect();
        answers::page(resource, &rows, window, listed.len(), &settings)
    }

    /// What belongs to one parent.
    fn children(
        &self,
        resource: &'static Resource,
        parent: &Parent,
        address: &Address,
        store: &Store,
        now_ms: i64,
    ) -> Reply {
        let settings = self.state.settings();
        let Ok(window) = Window::of(address, &settings) else {
            return answers::error(400, "validation_error");
        };
        let is_there = |id: &str| {
            let record = store.record(parent.resource, id).and_then(|record| record.detailed(now_ms));
            record.is_some_and(|version| !version.deleted)
        };
        let Some(parent_id) = address.id.as_deref().filter(|id| is_there(id)) else {
            return answers::error(404, "not_found");
        };
        let own = store.records(resource.name).iter().filter(|record| parent.id_of(record.number) == parent_id);
        let rows: Vec<String> = own
            .filter_map(|record| {
                let version = record.detailed(now_ms).filter(|version| version.active && !version.deleted)?;
                Some(self.written(&self.row(store, resource.name, record, version)))
            })
            .collect();
        answers::page(resource, window.cut(&rows), window, rows.len(), &settings)
    }

    fn detail(&self, resource: &'static Resource, address: &Address, call: &Call, store: &Store, now_ms: i64) -> Reply {
        let settings = self.state.settings();
        let is_known = match settings.details {
            Details::Both => true,
            Details::Query => !address.is_by_path,
            Details::Path => address.is_by_path,
        };
        if !is_known {
            return answers::error(404, "not_found");
        }
        let shown = call.id.as_deref().and_then(|id| store.record(resource.name, id)).and_then(|record| {
            let version = record.detailed(now_ms).filter(|version| !version.deleted)?;
            Some(self.row(store, resource.name, record, version))
        });
        let Some(mut row) = shown else {
            return answers::gone(resource, &settings);
        };
        if let Some(other) = &call.shown_id {
            let id_field = row.fields().next().map(|(name, _)| name.to_owned()).unwrap_or_default();
            row.set(&id_field, rows::shown_id(other));
        }
        answers::record(resource, &self.written(&row), &settings)
    }
}

/// The stamp that lists filter and sort by.
fn shown_stamp(record: &Record, version: &Version) -> i64 {
    match &record.shown {
        ShownStamp::Text(text) => read_stamp(text).unwrap_or(version.stamp),
        ShownStamp::Real | ShownStamp::Missing => version.stamp,
    }
}

fn written_stamp(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

fn read_stamp(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    api_key: String,
    #[serde(default = "all_scopes")]
    scopes: Vec<String>,
    #[serde(default)]
    keep_old: bool,
}

impl Vendor for FsmNavigator {
    fn name(&self) -> &'static str {
        "fsmnavigator"
    }

    fn streams(&self) -> &'static [(&'static str, u64)] {
        &STREAMS
    }

    fn identify(&self, request: &Request) -> Call {
        let address = Address::of(request);
        Call {
            kind: address.kind,
            stream: address.resource.map(|resource| resource.name),
            from: address.parameter("updated_since").map(str::to_owned),
            parameters: address.parameters(),
            id: address.id,
            function: address.pattern,
            shown_id: None,
        }
    }

    fn authorize(&self, request: &Request, _now_ms: i64) -> Result<(), String> {
        self.key(request).map(drop)
    }

    fn refuse(&self) -> Reply {
        answers::error(401, "unauthorized")
    }

    fn answer(&self, call: &Call, request: &Request, store: &Store, now_ms: i64) -> Reply {
        let Ok(key) = self.key(request) else {
            return self.refuse();
        };
        let (verdict, told_in) = {
            let state = &mut *self.state.lock();
            (state.kept.count(&key.api_key, &state.settings, now_ms), state.settings.retry_after)
        };
        let reply = if verdict.is_allowed {
            self.answer_within_limit(&key, call, request, store, now_ms)
        } else {
            answers::too_many(verdict, told_in)
        };
        answers::with_limit(reply, verdict)
    }

    fn error(&self, text: &str) -> Reply {
        answers::error(self.state.settings().error_status, text)
    }

    fn wrong_shape(&self) -> Reply {
        Reply::json(200, r#"{"ok":1,"unexpected":[[1],[2,null]]}"#)
    }

    fn row(&self, store: &Store, stream: &'static str, record: &Record, version: &Version) -> Row {
        let Some(resource) = Resource::named(stream) else {
            return Row::default();
        };
        let dialect = self.state.settings().dialect;
        let mut row = rows::first_row(store.seed(), resource, record.number, record.id(), dialect);
        version.apply_to(&mut row);
        if !version.active && stream == "technicians" {
            row.set("status", "Inactive".into());
        }
        match &record.shown {
            ShownStamp::Real => row.set("updated_at", written_stamp(version.stamp).into()),
            ShownStamp::Missing => row.remove("updated_at"),
            ShownStamp::Text(text) => row.set("updated_at", text.as_str().into()),
        }
        row
    }

    fn written(&self, row: &Row) -> String {
        serde_json::to_string(row).unwrap_or_default()
    }

    fn touch(&self, stream: &'static str, row: &Row, revision: usize) -> (String, Value) {
        let field = match stream {
            "jobs" => "job_title",
            "customers" => "customer_name",
            "assets" => "asset_name",
            "inventory" => "item_name",
            "customer_locations" => "location_name",
            "service_records" => "notes",
            _ => "last_name",
        };
        row.edited(field, revision)
    }

    fn stamp(&self, seconds: i64) -> String {
        written_stamp(seconds)
    }

    fn parse_stamp(&self, text: &str) -> Option<i64> {
        read_stamp(text).filter(|seconds| written_stamp(*seconds) == text)
    }

    fn configure(&self, settings: Value) -> Result<(), String> {
        self.state.change(settings)
    }

    fn rotate(&self, credentials: Value) -> Result<(), String> {
        let rotation: Rotation = serde_json::from_value(credentials).map_err(|error| error.to_string())?;
        self.state.accept(Key { api_key: rotation.api_key, scopes: rotation.scopes }, rotation.keep_old);
        Ok(())
    }
}
