//! Acme: pages of whole rows and single records, behind an API key.
//!
//! `GET /jobs?page=&per_page=[&updated_since=]` lists, `GET /jobs/<id>` shows one. The function of a request, in faults and
//! in the log, is `GET /<stream>` or `GET /<stream>/{id}`. `POST /credentials` of the control API takes `{"api_key"}`.
//!
//! From the vendor's documentation: not written yet, see docs/add-a-source.md, section 2.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    row::Row,
    server::{Ports, Running, Started},
    state::State,
    store::{Record, ShownStamp, Store, Version},
    vendor::{Call, CallKind, Vendor},
    wire::{Reply, Request},
};

/// The streams and the numbers of their first ids.
const STREAMS: [(&str, u64); 1] = [("jobs", 1_001)];
const PER_PAGE_MAX: usize = 100;

/// A fake Acme that listens.
pub type FakeAcme = Running<Acme>;

/// What a fake Acme starts with.
#[derive(Debug, Clone)]
pub struct AcmeOptions {
    /// Where it listens; by default on a free port, without a control port.
    pub ports: Ports,
    /// What all generated values are made from; 1 by default.
    pub seed: u64,
    /// The accepted key; `api_key` by default.
    pub api_key: String,
}

impl Default for AcmeOptions {
    fn default() -> Self {
        Self { ports: Ports::default(), seed: 1, api_key: "api_key".to_owned() }
    }
}

impl FakeAcme {
    /// Starts.
    ///
    /// # Errors
    /// When a port cannot be taken.
    pub async fn start_with(options: AcmeOptions) -> io::Result<Self> {
        let state = State::new(Settings::default(), options.api_key);
        Self::listen(Acme { state }, options.seed, options.ports).await
    }

    /// Accepts another key in place of the old one.
    pub fn rotate(&self, api_key: &str) {
        self.vendor().state.accept(api_key.to_owned(), false);
    }
}

/// Starts one as the program does, with all else at its default.
pub(crate) async fn start(ports: Ports, seed: u64) -> io::Result<Started> {
    let options = AcmeOptions { ports, seed, ..AcmeOptions::default() };
    let secret = json!({"api_key": options.api_key});
    Ok(Started::new(FakeAcme::start_with(options).await?, secret))
}

/// How it behaves where the documentation is silent: nothing to choose yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    api_key: String,
}

/// The vendor's own side.
#[derive(Debug)]
pub struct Acme {
    state: State<Settings, String>,
}

impl Acme {
    fn list(&self, stream: &'static str, call: &Call, request: &Request, store: &Store, now_ms: i64) -> Reply {
        let number = |name: &str, usual: usize| parameter(request, name).map_or(Some(usual), |text| text.parse().ok());
        let (Some(page @ 1..), Some(per_page @ 1..)) = (number("page", 1), number("per_page", PER_PAGE_MAX)) else {
            return self.error("page and per_page are numbers from 1 on");
        };
        let from: Option<Timestamp> = match &call.from {
            None => None,
            Some(text) => match text.parse() {
                Ok(from) => Some(from),
                Err(_) => return self.error("updated_since is a time"),
            },
        };
        let mut listed: Vec<(&Record, &Version)> = store
            .records(stream)
            .iter()
            .filter_map(|record| Some((record, record.listed(now_ms)?)))
            .filter(|(_, version)| version.active && !version.deleted)
            .filter(|(_, version)| from.is_none_or(|from| version.stamp >= from.as_second()))
            .collect();
        listed.sort_by_key(|(_, version)| version.stamp);
        let per_page = per_page.min(PER_PAGE_MAX);
        let pages = listed.len().div_ceil(per_page);
        let shown = listed.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page);
        let rows: Vec<String> =
            shown.map(|(record, version)| self.written(&self.row(store, stream, record, version))).collect();
        Reply::json(200, format!("{{\"data\":[{}],\"page\":{page},\"total_pages\":{pages}}}", rows.join(",")))
    }

    fn detail(&self, stream: &'static str, call: &Call, store: &Store, now_ms: i64) -> Reply {
        let shown = call.id.as_deref().and_then(|id| store.record(stream, id)).and_then(|record| {
            let version = record.detailed(now_ms).filter(|version| !version.deleted)?;
            Some(self.row(store, stream, record, version))
        });
        let Some(mut row) = shown else {
            return Reply::json(404, r#"{"error":{"code":"record_not_found"}}"#);
        };
        if let Some(other) = &call.shown_id {
            row.set("id", other.as_str().into());
        }
        Reply::json(200, format!("{{\"data\":{}}}", self.written(&row)))
    }
}

fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn stamp_written(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Vendor for Acme {
    fn name(&self) -> &'static str {
        "acme"
    }

    fn streams(&self) -> &'static [(&'static str, u64)] {
        &STREAMS
    }

    fn identify(&self, request: &Request) -> Call {
        let path = request.path.trim_start_matches('/');
        let (resource, id) = path.split_once('/').map_or((path, None), |(resource, id)| (resource, Some(id)));
        let stream = STREAMS.iter().map(|(name, _)| *name).find(|name| *name == resource);
        let (kind, function) = match (stream, id) {
            (Some(stream), Some(_)) => (CallKind::Detail, format!("{} /{stream}/{{id}}", request.method)),
            (Some(stream), None) => (CallKind::List, format!("{} /{stream}", request.method)),
            (None, _) => (CallKind::Other, format!("{} /{path}", request.method)),
        };
        let names = request.query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
        let from = parameter(request, "updated_since").map(|from| from.replace("%3A", ":"));
        Call { function, kind, stream, id: id.map(str::to_owned), from, parameters: names.collect(), shown_id: None }
    }

    fn authorize(&self, request: &Request, _now_ms: i64) -> Result<(), String> {
        let key = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let is_known = key.is_some_and(|key| self.state.lock().accepted.iter().any(|accepted| accepted == key));
        if is_known { Ok(()) } else { Err("the key is not known".to_owned()) }
    }

    fn refuse(&self) -> Reply {
        Reply::json(401, r#"{"error":{"code":"unauthorized"}}"#)
    }

    fn answer(&self, call: &Call, request: &Request, store: &Store, now_ms: i64) -> Reply {
        match (call.kind, call.stream) {
            (CallKind::List, Some(stream)) => self.list(stream, call, request, store, now_ms),
            (CallKind::Detail, Some(stream)) => self.detail(stream, call, store, now_ms),
            _ => Reply::new(404, "text/html", "<html><body><h1>Not Found</h1></body></html>"),
        }
    }

    fn error(&self, text: &str) -> Reply {
        Reply::json(422, json!({"error": {"code": "invalid", "message": text}}).to_string())
    }

    fn wrong_shape(&self) -> Reply {
        Reply::json(200, r#"{"ok":1,"unexpected":[[1],[2,null]]}"#)
    }

    fn row(&self, _store: &Store, _stream: &'static str, record: &Record, version: &Version) -> Row {
        // The fields of a row: not written yet, see docs/add-a-source.md, section 2.
        let fields: [(&str, Value); 4] = [
            ("id", record.id().into()),
            ("title", format!("Job {}", record.id()).into()),
            ("email", format!("tenant{}@example.com", record.id()).into()),
            ("updated_at", stamp_written(version.stamp).into()),
        ];
        let mut row: Row = fields.into_iter().collect();
        version.apply_to(&mut row);
        match &record.shown {
            ShownStamp::Real => row.set("updated_at", stamp_written(version.stamp).into()),
            ShownStamp::Missing => row.remove("updated_at"),
            ShownStamp::Text(text) => row.set("updated_at", text.as_str().into()),
        }
        row
    }

    fn written(&self, row: &Row) -> String {
        serde_json::to_string(row).unwrap_or_default()
    }

    fn touch(&self, _stream: &'static str, row: &Row, revision: usize) -> (String, Value) {
        row.edited("title", revision)
    }

    fn stamp(&self, seconds: i64) -> String {
        stamp_written(seconds)
    }

    fn parse_stamp(&self, text: &str) -> Option<i64> {
        let instant: Timestamp = text.parse().ok()?;
        (stamp_written(instant.as_second()) == text).then(|| instant.as_second())
    }

    fn configure(&self, settings: Value) -> Result<(), String> {
        self.state.change(settings)
    }

    fn rotate(&self, credentials: Value) -> Result<(), String> {
        let rotation: Rotation = serde_json::from_value(credentials).map_err(|error| error.to_string())?;
        self.state.accept(rotation.api_key, false);
        Ok(())
    }
}
