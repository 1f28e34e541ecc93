//! FSM Navigator: numbered pages of whole rows, behind an API key.
//!
//! Four object types, each a stream. A list answers pages of whole rows, so a record needs no call of its own; one is
//! fetched by its id only to try a quarantined one again, or when its row is too long for a message. Lists of jobs take a
//! lower bound; the others are listed whole, and the engine leaves out what is stored already.
//!
//! The vendor describes its answers in two ways that contradict each other (`answer.rs`); both are read. A status 200
//! may bear `"success":false`, so no answer is taken for data before it was looked at for one
//! (`FsmNavigator::judge`). Every answer says how many calls are left: they slow the calls down before the vendor
//! refuses them.
//!
//! **A bound that is ignored** shows in rows that are older than it. They are kept and a warning is logged once: the
//! engine compares every row with what is stored, so they cost time and nothing else. Leaving them out here could hide
//! a change that became visible late, and would make pages look empty, which is how a list without a total ends.
//!
//! How one could get it wrong: believe a status 200, ask for more rows a page than the vendor allows and take the
//! shorter page for the last one, log a message of the vendor (it may name a customer), or try a refused request again:
//! the guide forbids it for every status from 400 on but 429 and 5xx.
//!
//! Source: the vendor's best-practices guide and the reference pages below `fsmnavigator.com/docs/api`; what they leave
//! open is in [`FsmNavigatorSettings`].

mod answer;
mod error_codes;
mod object_types;
mod settings;
mod time;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::checkpoint::Position;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{ListShape, SourceKind, StreamName, StreamTraits};

use self::answer::{Reader, Rows};
use self::error_codes::{Meaning, Reported};
use self::object_types::{OBJECT_TYPES, ObjectType};
use self::settings::DetailStyle;
pub use self::settings::FsmNavigatorSettings;
use crate::credential::{self, Keeper};
use crate::http::{
    Answer, BaseUrl, DETAIL_BYTES_MAX, HttpClient, PAGE_BYTES_MAX, Problem, Purpose, Request, RequestsPerSecond, Terms,
};
use crate::json::{self, Malformed, Object};

/// The header that bears the key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Where the functions are below the vendor's host.
const BASE_PATH: &str = "/api/v1";
/// How far a row's stamp may lie below the bound before the bound counts as ignored: a second, and another because the
/// bound is sent cut to the second.
const BOUND_TOLERANCE: Duration = Duration::from_secs(2);

/// An FSM Navigator account.
pub struct FsmNavigator<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 1>,
    settings: FsmNavigatorSettings,
    streams: Vec<StreamTraits>,
    ignored_bound_is_told: AtomicBool,
}

/// A key.
type Credential = credential::Credential<1>;

/// One call.
struct Call<'a> {
    /// Its address as a pattern, for logs and errors.
    pattern: String,
    segments: Vec<&'a str>,
    query: Vec<(&'a str, &'a str)>,
    terms: Terms,
}

/// An answer without an error in it.
struct Judged {
    outcome: Outcome,
    date: Option<UtcMillis>,
}

enum Outcome {
    /// JSON that is worth reading.
    Json(String),
    /// The vendor has no such record.
    Gone,
}

/// The streams of every FSM Navigator account under these settings.
pub(crate) fn streams(settings: &FsmNavigatorSettings) -> Vec<StreamTraits> {
    OBJECT_TYPES
        .iter()
        .map(|object_type| StreamTraits {
            name: object_type.stream.clone(),
            shape: ListShape::Pages,
            stamped: settings.is_stamped(object_type),
            filtered: settings.is_filtered(object_type),
            first: Position::At(settings.first_checkpoint),
        })
        .collect()
}

/// The names of the streams alone.
pub(crate) fn stream_names() -> Vec<StreamName> {
    OBJECT_TYPES.iter().map(|object_type| object_type.stream.clone()).collect()
}

impl<C: Clock, K: Credentials> FsmNavigator<C, K> {
    /// A source for the account at `base`: `https://fsmnavigator.com`, with or without the `/api/v1` below which the
    /// addresses are.
    pub fn new(
        base: BaseUrl,
        settings: FsmNavigatorSettings,
        rate: RequestsPerSecond,
        credentials: K,
        clock: C,
    ) -> Self {
        let http = HttpClient::new(base.or_path(BASE_PATH), rate, clock).reading_throttled();
        let streams = streams(&settings);
        let credential = Keeper::new(["api_key"], credentials);
        Self { http, credential, settings, streams, ignored_bound_is_told: AtomicBool::new(false) }
    }

    async fn call(&self, call: &Call<'_>) -> Result<Judged, SourceFailure> {
        let judged = self.credential.with(&call.pattern, async |credential| self.attempt(call, credential).await).await;
        judged.map_err(|failure| self.with_bounded_wait(failure))
    }

    async fn attempt(&self, call: &Call<'_>, credential: &Credential) -> Result<Judged, SourceFailure> {
        let [key] = credential.texts();
        let key = HeaderValue::from_str(key).map_err(|_| {
            let cause = format!("{}: the secret's \"api_key\" holds characters that no header can bear", call.pattern);
            SourceFailure::new(FailureClass::Unauthorized, cause)
        })?;
        let failed = |problem: Problem| problem.into_failure(&call.pattern, call.terms.purpose);
        let turn = self.http.steered_turn().await.map_err(failed)?;
        let request = Request {
            call: &call.pattern,
            segments: &call.segments,
            query: &call.query,
            credential: Some((API_KEY, key)),
            form: None,
            terms: call.terms,
        };
        let answer = self.http.send(turn, request).await.map_err(failed)?;
        if !self.settings.ignores_rate_headers {
            self.http.heed(&answer);
        }
        self.judge(call, answer, credential)
    }

    /// Tells data from errors. Whatever the status, an answer that says that it failed is a failure; whatever the body,
    /// a status other than success is one.
    fn judge(&self, call: &Call<'_>, answer: Answer, credential: &Credential) -> Result<Judged, SourceFailure> {
        let (date, status, by_header) = (answer.date, answer.status, answer.retry_after);
        let by_status = answer.problem();
        let json = json::checked(answer.body);
        let body = json.as_ref().ok().and_then(|json| Object::of(json));
        let reported = body.as_ref().and_then(Reported::of);
        let by_body = reported.as_ref().and_then(|reported| reported.retry_after_seconds).map(Duration::from_secs);
        let retry_after = by_header.or(by_body);
        let meaning = match &reported {
            Some(reported) => self.settings.error_codes.meaning(reported, call.terms.purpose),
            None => Meaning::Unknown,
        };
        // A page for people tells of an address that does not exist: perhaps records are asked for in the other style.
        let is_no_record = call.is_no_record(status) && !matches!(json, Err(Malformed::Html));
        let is_gone = match meaning {
            Meaning::Gone => by_status.is_none() || is_no_record,
            Meaning::Unknown => is_no_record,
            Meaning::Failed(_) => false,
        };
        if is_gone {
            return Ok(Judged { outcome: Outcome::Gone, date });
        }
        let class = match (meaning, &by_status) {
            (Meaning::Failed(class), _) => class,
            (Meaning::Unknown | Meaning::Gone, Some(problem)) => class_of_status(problem, status, call.terms.purpose),
            (Meaning::Unknown | Meaning::Gone, None) if reported.is_some() => call.class_of_refusal(),
            (Meaning::Unknown | Meaning::Gone, None) => {
                let json = json.map_err(|malformed| call.malformed(malformed))?;
                return Ok(Judged { outcome: Outcome::Json(json), date });
            }
        };
        let class = match class {
            FailureClass::Throttled { .. } => FailureClass::Throttled { retry_after },
            other => other,
        };
        let code = reported.as_ref().map(|reported| reported.shown(credential));
        let code = code.map(|code| format!(" and the error \"{code}\"")).unwrap_or_default();
        Err(SourceFailure::new(class, format!("{}: the vendor answered with status {status}{code}", call.pattern)))
    }

    /// Never waits for longer than the settings allow.
    fn with_bounded_wait(&self, mut failure: SourceFailure) -> SourceFailure {
        if let FailureClass::Throttled { retry_after: Some(wait) } = &mut failure.class {
            *wait = (*wait).min(self.settings.retry_after_max);
        }
        failure
    }

    fn reader(&self, object_type: &'static ObjectType) -> Reader<'_> {
        Reader { object_type, settings: &self.settings }
    }

    /// Says once that the vendor lists rows from before the bound.
    fn check_bound(&self, object_type: &ObjectType, from: UtcMillis, rows: &Rows) {
        let row_count = rows.count_before(from.minus(BOUND_TOLERANCE));
        if row_count > 0 && !self.ignored_bound_is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                stream = %object_type.stream,
                row_count,
                "the list shows rows from before the time that was asked for; if it always does, set this stream to client_scan"
            );
        }
    }
}

impl Call<'_> {
    fn malformed(&self, malformed: Malformed) -> SourceFailure {
        // What cannot be read at all is the source's; what is something else than a row is the record's own.
        let class = match self.terms.purpose {
            Purpose::Detail if !malformed.is_unreadable() => FailureClass::Record,
            Purpose::Detail | Purpose::List => FailureClass::Transient,
        };
        SourceFailure::new(class, format!("{}: {malformed}", self.pattern))
    }

    /// Whether a status says that the record asked for is not there. Of a list it says that there is no such function.
    fn is_no_record(&self, status: StatusCode) -> bool {
        self.terms.purpose == Purpose::Detail && matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
    }

    /// What an unknown error beside a status of success means.
    fn class_of_refusal(&self) -> FailureClass {
        match self.terms.purpose {
            Purpose::List => FailureClass::Transient,
            Purpose::Detail => FailureClass::Record,
        }
    }
}

/// What a status means: as for every vendor, but that no request which the vendor refuses is taken for an outage.
fn class_of_status(problem: &Problem, status: StatusCode, purpose: Purpose) -> FailureClass {
    let is_refusal = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
    match (problem.class(purpose), purpose) {
        (FailureClass::Transient, Purpose::Detail) if is_refusal => FailureClass::Record,
        // An address of one record that is not there says nothing of the lists.
        (FailureClass::Forbidden, Purpose::Detail) if status != StatusCode::FORBIDDEN => FailureClass::Record,
        (class, _) => class,
    }
}

impl<C: Clock, K: Credentials> Source for FsmNavigator<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::FsmNavigator
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let object_type = known(stream)?;
        let pattern = format!("GET /{}", object_type.resource);
        let ListRequest::Page { from, page } = request else {
            let cause = format!("{pattern}: FSM Navigator lists pages, no ids alone and no events");
            return Err(SourceFailure::new(FailureClass::Forbidden, cause));
        };
        let (page_text, per_page) = (page.to_string(), self.settings.per_page.to_string());
        let bound = self.settings.is_filtered(object_type).then(|| time::written(from));
        let mut query = vec![("page", page_text.as_str()), ("per_page", per_page.as_str())];
        query.extend(bound.as_deref().map(|bound| (self.settings.filter_parameter.as_str(), bound)));
        let terms = Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX };
        let call = Call { pattern, segments: vec![object_type.resource], query, terms };
        let Judged { outcome, date } = self.call(&call).await?;
        let rows = match &outcome {
            Outcome::Json(json) => match Object::of(json) {
                Some(body) => self.reader(object_type).page(&body, page),
                None => Err(Malformed::Shape("not an object")),
            },
            Outcome::Gone => Err(Malformed::Shape("not a list")),
        };
        let rows = rows.map_err(|malformed| call.malformed(malformed))?;
        if bound.is_some() {
            self.check_bound(object_type, from, &rows);
        }
        let Rows { changes, unusable_count, pages_total } = rows;
        Ok(Page { changes, pages_total, date, unusable_count, ..Page::default() })
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let object_type = known(stream)?;
        let resource = object_type.resource;
        let terms = Terms { purpose: Purpose::Detail, bytes_max: DETAIL_BYTES_MAX };
        let call = match self.settings.detail_style {
            DetailStyle::Query => Call {
                pattern: format!("GET /{resource}?id=.."),
                segments: vec![resource],
                query: vec![("id", id.as_str())],
                terms,
            },
            DetailStyle::Path => {
                let pattern = format!("GET /{resource}/{{id}}");
                if matches!(id.as_str(), "." | "..") {
                    // As a part of a path they mean another address.
                    let cause = format!("{pattern}: an id of dots alone cannot be asked for");
                    return Err(SourceFailure::new(FailureClass::Record, cause));
                }
                Call { pattern, segments: vec![resource, id.as_str()], query: Vec::new(), terms }
            }
        };
        let Judged { outcome, date } = self.call(&call).await?;
        let found = match &outcome {
            Outcome::Json(json) => match Object::of(json) {
                Some(body) => self.reader(object_type).record(json, &body),
                None => Err(Malformed::Shape("not an object")),
            },
            Outcome::Gone => Ok(Found::Gone),
        };
        Ok(Detail { found: found.map_err(|malformed| call.malformed(malformed))?, date })
    }
}

fn known(stream: &StreamName) -> Result<&'static ObjectType, SourceFailure> {
    object_types::of_stream(stream)
        .ok_or_else(|| SourceFailure::new(FailureClass::Forbidden, format!("FSM Navigator has no stream {stream}")))
}
