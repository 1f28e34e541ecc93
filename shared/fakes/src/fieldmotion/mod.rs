//! FieldMotion: signed form posts, lists of changed ids, one detail call per id; some lists hold the rows themselves.
//!
//! `POST /a/<Function>` with the functions `Customers`, `Jobs`, `Assets`, `AssetTypes`, `Tasks` and `StockContainers`
//! `_listByLastEdited`, and `_getById` of all but the last; and with `Users`, `Vehicles` and `Departments` `_list`, whose
//! bound `last_edited` may be left out. Answers are what PHP's `json_encode` makes of them, so
//! slashes and letters beyond ASCII arrive escaped. What the vendor's documentation leaves open is in [`Settings`].
//!
//! The signature is checked by an implementation of its own, from the received form: sharing the client's would let
//! both be wrong together.
//!
//! # Control API
//!
//! The streams are `customers`, `jobs`, `assets`, `asset_types`, `tasks`, `stock_containers`, `users`, `vehicles` and
//! `departments`. `POST /credentials` takes `{"api_id","api_key","keep_old"?}`, `POST /settings` any of [`Settings`].

mod functions;
mod php;
mod rows;
mod settings;
mod signature;
#[cfg(test)]
mod tests;

use std::io;

use serde::Deserialize;
use serde_json::{Value, json};

pub use self::settings::{ApiNowFormat, DetailShape, ListOrder, ListShape, Settings, Vanished};
use self::{php::Form, signature::Credential};
use super::{
    clock::{naive, parse_naive},
    row::Row,
    server::{Ports, Running, Started},
    state::State,
    store::{Record, ShownStamp, Store, Version},
    vendor::{Call, CallKind, Vendor},
    wire::{Reply, Request},
};

/// The streams and the numbers of their first ids.
const STREAMS: [(&str, u64); 9] = [
    ("customers", 683_136),
    ("jobs", 622_081),
    ("assets", 556_200),
    ("asset_types", 4_100),
    ("tasks", 910_000),
    ("stock_containers", 71_000),
    ("users", 58_300),
    ("vehicles", 33_700),
    ("departments", 427_100),
];

/// What `Customers_list` answers when no fields are asked for; this fake's lists of rows and details do the same.
const FIELDS_UNASKED: [&str; 3] = ["id", "name", "is_active"];

/// A fake FieldMotion that listens.
pub type FakeFieldMotion = Running<FieldMotion>;

/// What a fake FieldMotion starts with.
#[derive(Debug, Clone)]
pub struct FieldMotionOptions {
    /// Where it listens; by default on a free port, without a control port.
    pub ports: Ports,
    /// What all generated values are made from; 1 by default.
    pub seed: u64,
    /// The id of the accepted key; `123` by default.
    pub api_id: String,
    /// The accepted key; `0123456789abcdef0123456789abcdef` by default.
    pub api_key: String,
    /// How it behaves.
    pub settings: Settings,
}

impl Default for FieldMotionOptions {
    fn default() -> Self {
        Self {
            ports: Ports::default(),
            seed: 1,
            api_id: "123".to_owned(),
            api_key: "0123456789abcdef0123456789abcdef".to_owned(),
            settings: Settings::default(),
        }
    }
}

impl FakeFieldMotion {
    /// Starts with everything at its default.
    ///
    /// # Errors
    /// When no port can be taken.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(FieldMotionOptions::default()).await
    }

    /// Starts.
    ///
    /// # Errors
    /// When a port cannot be taken.
    pub async fn start_with(options: FieldMotionOptions) -> io::Result<Self> {
        let credential = Credential { api_id: options.api_id, api_key: options.api_key };
        let state = State::new(options.settings, credential);
        Self::listen(FieldMotion { state }, options.seed, options.ports).await
    }

    /// Changes settings.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.vendor().state.lock().settings);
    }

    /// Accepts another key, beside the old ones or in their place.
    pub fn rotate(&self, api_id: &str, api_key: &str, keep_old: bool) {
        self.vendor().state.accept(Credential { api_id: api_id.to_owned(), api_key: api_key.to_owned() }, keep_old);
    }
}

/// Starts one as the program does, with all else at its default.
pub(crate) async fn start(ports: Ports, seed: u64) -> io::Result<Started> {
    let options = FieldMotionOptions { ports, seed, ..FieldMotionOptions::default() };
    let secret = json!({"api_id": options.api_id, "api_key": options.api_key});
    Ok(Started::new(FakeFieldMotion::start_with(options).await?, secret))
}

/// The vendor's own side.
#[derive(Debug)]
pub struct FieldMotion {
    state: State<Settings, Credential>,
}

impl FieldMotion {
    fn list(&self, stream: &'static str, form: &Form, store: &Store, now_ms: i64) -> Reply {
        let written = if functions::lists_rows(stream) {
            self.listed_rows(stream, form, store, now_ms)
        } else {
            self.listed_ids(stream, form, store, now_ms)
        };
        match written {
            Ok(json) => Reply::json(200, json),
            Err(error) => self.error(error),
        }
    }

    fn listed_ids(
        &self,
        stream: &'static str,
        form: &Form,
        store: &Store,
        now_ms: i64,
    ) -> Result<String, &'static str> {
        let settings = self.state.settings();
        let form_id = |record: &Record, version: &Version| {
            self.row(store, stream, record, version).text("form_id").map(str::to_owned)
        };
        let ids = functions::changed_ids(form, stream, store, &settings, now_ms, form_id)?;
        Ok(functions::ids_written(&ids, settings.list_shape))
    }

    fn listed_rows(
        &self,
        stream: &'static str,
        form: &Form,
        store: &Store,
        now_ms: i64,
    ) -> Result<String, &'static str> {
        let settings = self.state.settings();
        let fields = functions::asked_fields(form)?.unwrap_or_else(|| FIELDS_UNASKED.map(str::to_owned).to_vec());
        let listed = functions::changed_rows(form, stream, store, &settings, now_ms)?;
        let row = |(record, version): (&Record, &Version)| self.row(store, stream, record, version).only(&fields);
        let rows: Vec<Row> = listed.into_iter().map(row).collect();
        Ok(functions::rows_written(&rows, settings.list_shape))
    }

    fn detail(&self, stream: &'static str, call: &Call, form: &Form, store: &Store, now_ms: i64) -> Reply {
        let settings = self.state.settings();
        let Some(id) = call.id.as_deref().filter(|id| !id.is_empty()) else {
            return self.error("missing id parameter");
        };
        let fields = match functions::asked_fields(form) {
            Ok(fields) => fields,
            Err(error) => return self.error(error),
        };
        let shown = store.record(stream, id).and_then(|record| {
            let version = record.detailed(now_ms)?;
            let has_row = !version.deleted || (stream == "jobs" && settings.deleted_jobs_have_rows);
            has_row.then(|| self.row(store, stream, record, version))
        });
        let Some(mut row) = shown else {
            return Reply::json(200, functions::vanished_written(settings.vanished));
        };
        if let Some(other) = &call.shown_id {
            row.set("id", other.as_str().into());
        }
        let row = match fields {
            Some(fields) => row.only(&fields),
            None if stream == "jobs" => row,
            None => row.only(&FIELDS_UNASKED.map(str::to_owned)),
        };
        let key = call.shown_id.as_deref().unwrap_or(id);
        Reply::json(200, functions::detail_written(&row, key, settings.detail_shape))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    api_id: String,
    api_key: String,
    #[serde(default)]
    keep_old: bool,
}

impl Vendor for FieldMotion {
    fn name(&self) -> &'static str {
        "fieldmotion"
    }

    fn streams(&self) -> &'static [(&'static str, u64)] {
        &STREAMS
    }

    fn identify(&self, request: &Request) -> Call {
        let function = request.path.strip_prefix("/a/").unwrap_or(&request.path);
        let (kind, stream) = functions::function_named(function);
        let form = Form::parse(&request.body).unwrap_or_default();
        Call {
            function: function.to_owned(),
            kind,
            stream,
            id: form.text("id").map(str::to_owned),
            from: stream.and_then(|stream| form.text(functions::bound_parameter(stream))).map(str::to_owned),
            parameters: form.names(),
            shown_id: None,
        }
    }

    fn authorize(&self, request: &Request, now_ms: i64) -> Result<(), String> {
        if request.method != "POST" {
            return Err(format!("{} instead of POST", request.method));
        }
        let form = Form::parse(&request.body).ok_or("the form is not UTF-8")?;
        let state = self.state.lock();
        signature::verify(&form, &state.accepted, &state.settings, now_ms.div_euclid(1000))
    }

    fn refuse(&self) -> Reply {
        self.error("not logged in")
    }

    fn answer(&self, call: &Call, request: &Request, store: &Store, now_ms: i64) -> Reply {
        if !request.path.starts_with("/a/") {
            return Reply::new(404, "text/html", "<html><body><h1>Not Found</h1></body></html>");
        }
        let form = Form::parse(&request.body).unwrap_or_default();
        match (call.kind, call.stream) {
            (CallKind::List, Some(stream)) => self.list(stream, &form, store, now_ms),
            (CallKind::Detail, Some(stream)) => self.detail(stream, call, &form, store, now_ms),
            (CallKind::List | CallKind::Detail | CallKind::Other, _) => self.error("unknown function"),
        }
    }

    fn error(&self, text: &str) -> Reply {
        Reply::json(self.state.settings().error_status, functions::error_written(text))
    }

    fn wrong_shape(&self) -> Reply {
        Reply::json(200, r#"{"ok":1,"unexpected":[[1],[2,null]]}"#)
    }

    fn row(&self, store: &Store, stream: &'static str, record: &Record, version: &Version) -> Row {
        let offset = self.state.settings().zone_offset_seconds;
        let mut row = rows::first_row(store.seed(), stream, record.number, record.id(), offset);
        version.apply_to(&mut row);
        let stamp = naive(version.stamp, offset);
        if !version.active && row.get("is_active").is_some() {
            row.set("is_active", "0".into());
        }
        if version.deleted && stream == "jobs" {
            row.set("deleted", "1".into());
            row.set("ddate", version.stamp.to_string().into());
        }
        if row.get("last_edited_all").is_some() {
            row.set("last_edited_all", stamp.as_str().into());
        }
        match &record.shown {
            ShownStamp::Real => row.set("last_edited", stamp.into()),
            ShownStamp::Missing => row.remove("last_edited"),
            ShownStamp::Text(text) => row.set("last_edited", text.as_str().into()),
        }
        row
    }

    fn written(&self, row: &Row) -> String {
        functions::row_written(row)
    }

    fn touch(&self, stream: &'static str, row: &Row, revision: usize) -> (String, Value) {
        let field = if stream == "jobs" { "job_ref" } else { "name" };
        row.edited(field, revision)
    }

    fn stamp(&self, seconds: i64) -> String {
        naive(seconds, self.state.settings().zone_offset_seconds)
    }

    fn parse_stamp(&self, text: &str) -> Option<i64> {
        parse_naive(text, self.state.settings().zone_offset_seconds)
    }

    fn configure(&self, settings: Value) -> Result<(), String> {
        self.state.change(settings)
    }

    fn rotate(&self, credentials: Value) -> Result<(), String> {
        let rotation: Rotation = serde_json::from_value(credentials).map_err(|error| error.to_string())?;
        self.state.accept(Credential { api_id: rotation.api_id, api_key: rotation.api_key }, rotation.keep_old);
        Ok(())
    }
}
