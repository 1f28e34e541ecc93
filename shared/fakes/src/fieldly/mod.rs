//! Fieldly: pages of whole rows and single records, behind OAuth 2.0 client credentials.
//!
//! `POST /api/public/v1/oauth/token` with HTTP Basic gives a token; with it, `GET /api/public/v1/<stream>` lists
//! `work_items`, `clients`, `time_reports` or `travel_reports`, and `GET /api/public/v1/<stream>/<id>` shows one. The
//! function of a request, in faults and in the log, is `POST /oauth/token`, `GET /<stream>` or `GET /<stream>/{id}`.
//!
//! What the vendor's documentation leaves open is in [`Settings`]. Control API:
//!
//! | call | body | does |
//! |---|---|---|
//! | `POST /credentials` | `{"client_id","client_secret","keep_old"?}` | another client, in place of the old ones, whose tokens end, or beside them |
//! | `POST /settings` | any of [`Settings`] | `metadata` (`metadata`, `meta`, `none`), `rows_key`, `filter_name`, `filter` (`datetime`, `date_only`, `ignored`), `inclusive`, `refuse_unknown_parameters`, `order` (`by_id`, `newest_first`, `oldest_first`), `per_page_max`, `bound_means_equal`, `ignores_page`, `pages_max`, `updated_field`, `detail_shape` (`keyed`, `data`, `bare`), `token_seconds`, `reuse_tokens`, `token_refusal_status` |
//! | `POST /settings` | `{"revoke_tokens":true}` | ends all tokens, once; the clients stay |

mod lists;
mod rows;
mod settings;
#[cfg(test)]
mod tests;
mod tokens;

use std::io;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::settings::{DetailShape, Filter, Metadata, Order, Settings};
use self::{
    lists::Asked,
    tokens::{Client, Tokens},
};
use super::{
    row::Row,
    server::{Ports, Running, Started},
    state::State,
    store::{Record, ShownStamp, Store, Version},
    vendor::{Call, CallKind, Vendor},
    wire::{Reply, Request},
};

/// The streams and the numbers of their first ids.
const STREAMS: [(&str, u64); 4] =
    [("work_items", 1_001), ("clients", 501), ("time_reports", 9_001), ("travel_reports", 3_001)];
const BASE: &str = "/api/public/v1/";
const TOKEN: &str = "POST /oauth/token";

/// A fake Fieldly that listens.
pub type FakeFieldly = Running<Fieldly>;

/// What a fake Fieldly starts with.
#[derive(Debug, Clone)]
pub struct FieldlyOptions {
    /// Where it listens; by default on a free port, without a control port.
    pub ports: Ports,
    /// What all generated values are made from; 1 by default.
    pub seed: u64,
    /// The id of the accepted client; `client_id` by default.
    pub client_id: String,
    /// Its secret; `client_secret` by default.
    pub client_secret: String,
    /// How it behaves.
    pub settings: Settings,
}

impl Default for FieldlyOptions {
    fn default() -> Self {
        Self {
            ports: Ports::default(),
            seed: 1,
            client_id: "client_id".to_owned(),
            client_secret: "client_secret".to_owned(),
            settings: Settings::default(),
        }
    }
}

impl FakeFieldly {
    /// Starts with everything at its default.
    ///
    /// # Errors
    /// When no port can be taken.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(FieldlyOptions::default()).await
    }

    /// Starts.
    ///
    /// # Errors
    /// When a port cannot be taken.
    pub async fn start_with(options: FieldlyOptions) -> io::Result<Self> {
        let client = Client { id: options.client_id, secret: options.client_secret };
        let state = State::new(options.settings, client);
        Self::listen(Fieldly { state }, options.seed, options.ports).await
    }

    /// Changes settings.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.vendor().state.lock().settings);
    }

    /// Accepts another client, beside the old ones or in their place; in the latter case their tokens end.
    pub fn rotate(&self, client_id: &str, client_secret: &str, keep_old: bool) {
        let client = Client { id: client_id.to_owned(), secret: client_secret.to_owned() };
        self.vendor().accept(client, keep_old);
    }

    /// Ends all tokens.
    pub fn revoke_tokens(&self) {
        self.vendor().state.lock().kept.revoke();
    }

    /// How often a token was handed out.
    pub fn tokens_handed_out(&self) -> usize {
        self.vendor().state.lock().kept.handed_out
    }
}

/// Starts one as the program does, with all else at its default.
pub(crate) async fn start(ports: Ports, seed: u64) -> io::Result<Started> {
    let options = FieldlyOptions { ports, seed, ..FieldlyOptions::default() };
    let secret = json!({"client_id": options.client_id, "client_secret": options.client_secret});
    Ok(Started::new(FakeFieldly::start_with(options).await?, secret))
}

/// The vendor's own side.
#[derive(Debug)]
pub struct Fieldly {
    state: State<Settings, Client, Tokens>,
}

impl Fieldly {
    fn accept(&self, client: Client, keep_old: bool) {
        self.state.accept(client, keep_old);
        // Afterwards, so that no old client gets one in between.
        if !keep_old {
            self.state.lock().kept.revoke();
        }
    }

    fn list(&self, stream: &'static str, request: &Request, store: &Store, now_ms: i64) -> Reply {
        let settings = self.state.settings();
        let asked = match Asked::read(&parameters(request), stream, &settings) {
            Ok(asked) => asked,
            Err(errors) => return lists::refused(errors),
        };
        let kind_of = |record: &Record, version: &Version| {
            self.row(store, stream, record, version).text("type").map(str::to_owned)
        };
        let page = lists::page(&asked, stream, store, &settings, now_ms, kind_of);
        if page.is_beyond && settings.refuses_end {
            return Reply::json(400, r#"{"error":"expected :page in the list"}"#);
        }
        let rows: Vec<String> = page
            .shown
            .iter()
            .map(|(record, version)| self.written(&self.row(store, stream, record, version)))
            .collect();
        page.written(&rows, stream, &settings)
    }

    fn detail(&self, stream: &'static str, call: &Call, store: &Store, now_ms: i64) -> Reply {
        let shown = call.id.as_deref().and_then(|id| store.record(stream, id)).and_then(|record| {
            let version = record.detailed(now_ms).filter(|version| !version.deleted)?;
            Some(self.row(store, stream, record, version))
        });
        let Some(mut row) = shown else {
            return not_found();
        };
        if let Some(other) = &call.shown_id {
            row.set("id", rows::id_value(other));
        }
        let written = self.written(&row);
        let singular = stream.strip_suffix('s').unwrap_or(stream);
        Reply::json(
            200,
            match self.state.settings().detail_shape {
                DetailShape::Keyed => format!("{{\"{singular}\":{written}}}"),
                DetailShape::Data => format!("{{\"data\":{written}}}"),
                DetailShape::Bare => written,
            },
        )
    }
}

fn not_found() -> Reply {
    Reply::json(404, r#"{"error":"The requested resource could not be found"}"#)
}

/// The parameters of a query, decoded.
fn parameters(request: &Request) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// Writes a stamp as in the vendor's sample.
fn stamp_written(seconds: i64) -> String {
    let instant = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    client_id: String,
    client_secret: String,
    #[serde(default)]
    keep_old: bool,
}

impl Vendor for Fieldly {
    fn name(&self) -> &'static str {
        "fieldly"
    }

    fn streams(&self) -> &'static [(&'static str, u64)] {
        &STREAMS
    }

    fn identify(&self, request: &Request) -> Call {
        let path = request.path.strip_prefix(BASE).unwrap_or(&request.path);
        let parameters = parameters(request);
        let (resource, id) = path.split_once('/').map_or((path, None), |(resource, id)| (resource, Some(id)));
        let stream = STREAMS.iter().map(|(name, _)| *name).find(|name| *name == resource);
        let id = id.filter(|id| stream.is_some() && !id.contains('/'));
        let (kind, function) = match (stream, id) {
            (Some(stream), Some(_)) => (CallKind::Detail, format!("{} /{stream}/{{id}}", request.method)),
            (Some(stream), None) if path == stream => (CallKind::List, format!("{} /{stream}", request.method)),
            _ => (CallKind::Other, format!("{} /{path}", request.method)),
        };
        let filter_name = self.state.settings().filter_name;
        Call {
            function,
            kind,
            stream,
            id: id.map(|id| percent_decode_str(id).decode_utf8_lossy().into_owned()),
            from: parameters.iter().find(|(name, _)| *name == filter_name).map(|(_, value)| value.clone()),
            parameters: parameters.into_iter().map(|(name, _)| name).collect(),
            shown_id: None,
        }
    }

    fn authorize(&self, request: &Request, now_ms: i64) -> Result<(), String> {
        let state = self.state.lock();
        if is_for_token(request) {
            tokens::verify_client(request, &state.accepted)
        } else {
            state.kept.verify(request, now_ms)
        }
    }

    fn refuse(&self) -> Reply {
        Reply::json(401, r#"{"error":"The access token is invalid"}"#)
    }

    fn refuse_call(&self, call: &Call) -> Reply {
        if call.function == TOKEN {
            let status = self.state.settings().token_refusal_status;
            let description = "Client authentication failed";
            return Reply::json(
                status,
                json!({"error": "invalid_client", "error_description": description}).to_string(),
            );
        }
        self.refuse()
    }

    fn answer(&self, call: &Call, request: &Request, store: &Store, now_ms: i64) -> Reply {
        if !request.path.starts_with(BASE) {
            return Reply::new(404, "text/html", "<html><body><h1>Not Found</h1></body></html>");
        }
        if is_for_token(request) {
            let state = &mut *self.state.lock();
            return state.kept.grant(request, &state.settings, store.seed(), now_ms);
        }
        match (call.kind, call.stream) {
            (CallKind::List, Some(stream)) if request.method == "GET" => self.list(stream, request, store, now_ms),
            (CallKind::Detail, Some(stream)) if request.method == "GET" => self.detail(stream, call, store, now_ms),
            (CallKind::List | CallKind::Detail | CallKind::Other, _) => not_found(),
        }
    }

    fn error(&self, text: &str) -> Reply {
        Reply::json(422, json!({ "errors": { "base": [text] } }).to_string())
    }

    fn wrong_shape(&self) -> Reply {
        Reply::json(200, r#"{"ok":1,"unexpected":[[1],[2,null]]}"#)
    }

    fn row(&self, store: &Store, stream: &'static str, record: &Record, version: &Version) -> Row {
        let mut row = rows::first_row(store.seed(), stream, record.number, record.id());
        version.apply_to(&mut row);
        if let Some(field) = self.state.settings().updated_field {
            match &record.shown {
                ShownStamp::Real => row.set(&field, stamp_written(version.stamp).into()),
                ShownStamp::Missing => row.remove(&field),
                ShownStamp::Text(text) => row.set(&field, text.as_str().into()),
            }
        }
        row
    }

    fn written(&self, row: &Row) -> String {
        serde_json::to_string(row).unwrap_or_default()
    }

    fn touch(&self, stream: &'static str, row: &Row, revision: usize) -> (String, Value) {
        let field = if matches!(stream, "work_items" | "clients") { "title" } else { "comment" };
        row.edited(field, revision)
    }

    fn stamp(&self, seconds: i64) -> String {
        stamp_written(seconds)
    }

    fn parse_stamp(&self, text: &str) -> Option<i64> {
        let instant: Timestamp = text.parse().ok()?;
        (stamp_written(instant.as_second()) == text).then(|| instant.as_second())
    }

    fn configure(&self, settings: Value) -> Result<(), String> {
        let mut settings = settings;
        let revoke = settings.as_object_mut().and_then(|settings| settings.remove("revoke_tokens"));
        let is_revoked = match revoke {
            None => false,
            Some(revoke) => revoke.as_bool().ok_or("revoke_tokens is true or false")?,
        };
        self.state.change(settings)?;
        if is_revoked {
            self.state.lock().kept.revoke();
        }
        Ok(())
    }

    fn rotate(&self, credentials: Value) -> Result<(), String> {
        let rotation: Rotation = serde_json::from_value(credentials).map_err(|error| error.to_string())?;
        let client = Client { id: rotation.client_id, secret: rotation.client_secret };
        self.accept(client, rotation.keep_old);
        Ok(())
    }
}

fn is_for_token(request: &Request) -> bool {
    request.path.strip_prefix(BASE) == Some("oauth/token")
}
