//! The control port: JSON over HTTP, one handler per method of [`Fake`].

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    commands::Action,
    handle::{Fake, Mode},
    holds::HoldFilter,
    world::{ControlError, TruthRecord},
};

type Answer = Result<Json<Value>, ControlError>;

/// How long `GET /held` waits when not told.
const HELD_WAIT_MS: u64 = 30_000;

pub(crate) async fn serve(listener: TcpListener, fake: Fake) {
    let stopping = fake.clone();
    let served = axum::serve(listener, router(fake)).with_graceful_shutdown(async move { stopping.stopped().await });
    // Serving ends only by the shutdown above.
    drop(served.await);
}

fn router(fake: Fake) -> Router {
    Router::new()
        .route("/seed", post(seed))
        .route("/add", post(async |State(fake), body: Bytes| act(&fake, &body, Action::Add)))
        .route("/edit", post(async |State(fake), body: Bytes| act(&fake, &body, Action::Edit)))
        .route("/delete", post(async |State(fake), body: Bytes| act(&fake, &body, Action::Delete)))
        .route("/undelete", post(async |State(fake), body: Bytes| act(&fake, &body, Action::Undelete)))
        .route("/deactivate", post(async |State(fake), body: Bytes| act(&fake, &body, Action::Deactivate)))
        .route("/activate", post(async |State(fake), body: Bytes| act(&fake, &body, Action::Activate)))
        .route("/hook", post(async |State(fake), body: Bytes| tell(&fake, &body, Fake::hook)))
        .route("/poison", post(async |State(fake), body: Bytes| tell(&fake, &body, |fake, it| fake.poison(&it))))
        .route("/heal", post(async |State(fake), body: Bytes| order(&fake, &body, |fake, it| fake.heal(&it))))
        .route("/stamp", post(async |State(fake), body: Bytes| tell(&fake, &body, |fake, it| fake.show_stamp(&it))))
        .route("/fault", post(async |State(fake), body: Bytes| tell(&fake, &body, Fake::fault)))
        .route("/clear_faults", post(async |State(fake)| plainly(&fake, Fake::clear_faults)))
        .route("/mode", post(mode))
        .route("/credentials", post(async |State(fake), body: Bytes| tell(&fake, &body, Fake::set_credentials)))
        .route("/settings", post(async |State(fake), body: Bytes| tell(&fake, &body, Fake::set)))
        .route("/clock", post(clock))
        .route("/hold", post(async |State(fake), body: Bytes| tell(&fake, &body, Fake::hold)))
        .route("/release", post(async |State(fake), body: Bytes| order(&fake, &body, |fake, it| fake.release(&it))))
        .route("/held", get(held))
        .route("/truth", get(truth))
        .route("/requests", get(requests))
        .route("/reset_requests", post(async |State(fake)| plainly(&fake, Fake::reset_requests)))
        .route("/status", get(async |State(fake): State<Fake>| Json(status(&fake))))
        .route("/shutdown", post(async |State(fake)| plainly(&fake, Fake::shut_down)))
        .with_state(fake)
}

fn done() -> Json<Value> {
    Json(json!({"ok": true}))
}

fn plainly(fake: &Fake, method: impl FnOnce(&Fake)) -> Json<Value> {
    method(fake);
    done()
}

/// Reads a body whatever its content type, so that `curl -d` needs no header; an empty one is `{}`.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ControlError> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| ControlError::Malformed(error.to_string()))
}

fn tell<T: DeserializeOwned>(
    fake: &Fake,
    body: &Bytes,
    method: impl FnOnce(&Fake, T) -> Result<(), ControlError>,
) -> Answer {
    method(fake, read(body)?)?;
    Ok(done())
}

fn order<T: DeserializeOwned>(fake: &Fake, body: &Bytes, method: impl FnOnce(&Fake, T)) -> Answer {
    method(fake, read(body)?);
    Ok(done())
}

fn act<T: DeserializeOwned>(fake: &Fake, body: &Bytes, action: impl FnOnce(T) -> Action) -> Answer {
    let done = fake.act(&action(read(body)?))?;
    Ok(Json(json!({"ok": true, "ids": done.ids, "stamp": done.stamp})))
}

async fn seed(State(fake): State<Fake>, body: Bytes) -> Answer {
    let ids = fake.seed(&read(&body)?)?;
    Ok(Json(json!({"ok": true, "count": ids.len(), "first_id": ids.first(), "last_id": ids.last()})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModeChange {
    mode: Mode,
}

async fn mode(State(fake): State<Fake>, body: Bytes) -> Answer {
    let change: ModeChange = read(&body)?;
    fake.set_mode(change.mode);
    Ok(done())
}

async fn clock(State(fake): State<Fake>, body: Bytes) -> Answer {
    fake.change_clock(read(&body)?);
    Ok(Json(status(&fake)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldQuestion {
    stream: Option<String>,
    id: Option<String>,
    wait_ms: Option<u64>,
}

async fn held(State(fake): State<Fake>, Query(question): Query<HeldQuestion>) -> Answer {
    let filter = HoldFilter { stream: question.stream, id: question.id };
    let limit = Duration::from_millis(question.wait_ms.unwrap_or(HELD_WAIT_MS));
    Ok(Json(json!({"held": fake.wait_held(&filter, limit).await?})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TruthQuestion {
    stream: String,
    fields: Option<String>,
}

/// What `GET /truth` answers.
#[derive(Serialize)]
struct Truth {
    stream: String,
    now: String,
    now_ms: i64,
    records: BTreeMap<String, TruthRecord>,
}

async fn truth(State(fake): State<Fake>, Query(question): Query<TruthQuestion>) -> Result<Json<Truth>, ControlError> {
    let fields: Option<Vec<String>> =
        question.fields.map(|fields| fields.split(',').map(|field| field.trim().to_owned()).collect());
    let world = fake.world();
    let records = world.truth(&question.stream, fields.as_deref())?;
    let now_ms = world.clock.now_ms();
    Ok(Json(Truth { stream: question.stream, now: world.vendor.stamp(now_ms.div_euclid(1000)), now_ms, records }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestsQuestion {
    #[serde(default)]
    counts_only: bool,
}

async fn requests(State(fake): State<Fake>, Query(question): Query<RequestsQuestion>) -> Json<Value> {
    let requests = if question.counts_only { None } else { Some(fake.requests()) };
    Json(json!({"counts": fake.request_counts(), "requests": requests}))
}

fn status(fake: &Fake) -> Value {
    let mode = fake.mode();
    let world = fake.world();
    let now_ms = world.clock.now_ms();
    let streams: serde_json::Map<String, Value> = world
        .store
        .stream_names()
        .map(|stream| (stream.to_owned(), world.store.records(stream).len().into()))
        .collect();
    json!({
        "vendor": world.vendor.name(),
        "mode": mode,
        "now": world.vendor.stamp(now_ms.div_euclid(1000)),
        "now_ms": now_ms,
        "seed": world.store.seed(),
        "records": streams,
    })
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NothingHeld { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownStream { .. }
            | Self::UnknownRecord { .. }
            | Self::IdTaken { .. }
            | Self::UnknownField { .. }
            | Self::BadStamp { .. }
            | Self::NothingNamed
            | Self::Malformed(_) => StatusCode::BAD_REQUEST,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}
