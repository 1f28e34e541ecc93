//! FieldMotion: signed form posts that list changed ids, and one more for each record.
//!
//! Six object types, each a stream. A list answers all changed ids at once, without stamps and without a cursor; a detail
//! answers one row, which bears its stamp. Stock containers have no detail: their record is their id.
//!
//! Every error is an object with `error`, usually with status 200, so no answer is taken for data before it was looked at
//! for one (`FieldMotion::judge`). A record that is gone is answered with no row, never with a status: the id is in the
//! form, not in the address, so a 404 speaks of the function.
//!
//! How one could get it wrong: reuse a signed form for a second attempt (it is valid for a short time only), take an
//! empty or unreadable answer for "no changes", compare ids as numbers, or order the repeated hour of autumn by its
//! naive stamps (see `zone.rs`).
//!
//! Source: FieldMotion's "Short Polling" guide and `docs.fieldmotion.com`; what they leave open is in
//! [`FieldMotionSettings`].

mod answer;
mod error_text;
mod object_types;
mod settings;
mod signature;
mod zone;

use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::checkpoint::Position;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{ListShape, SourceKind, StreamName, StreamTraits};

use self::answer::Row;
use self::error_text::{Meaning, shown};
use self::object_types::{OBJECT_TYPES, ObjectType};
pub use self::settings::FieldMotionSettings;
use self::settings::{ApiNowFormat, FORM_ID, FieldsEncoding};
use self::signature::Parameters;
use crate::credential::{self, Keeper};
use crate::http::{
    Answer, BaseUrl, DETAIL_BYTES_MAX, HttpClient, ID_LIST_BYTES_MAX, Problem, Purpose, Request, RequestsPerSecond,
    Terms,
};
use crate::json::{self, Malformed};

/// A FieldMotion account.
pub struct FieldMotion<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 2>,
    settings: FieldMotionSettings,
    streams: Vec<StreamTraits>,
}

/// A key and its id.
type Credential = credential::Credential<2>;

/// One call: everything but the time, the signature and the credential, which are made anew for every attempt.
struct Call<'a> {
    function: &'a str,
    parameters: Parameters,
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
    /// The vendor said, in words, that the record is not there.
    Gone,
}

/// The streams of every FieldMotion account under these settings.
pub(crate) fn streams(settings: &FieldMotionSettings) -> Vec<StreamTraits> {
    OBJECT_TYPES
        .iter()
        .map(|object_type| StreamTraits {
            name: object_type.stream.clone(),
            shape: ListShape::Whole,
            stamped: object_type.detail.is_some(),
            filtered: true,
            first: Position::At(settings.first_checkpoint),
        })
        .collect()
}

/// The names of the streams alone.
pub(crate) fn stream_names() -> Vec<StreamName> {
    OBJECT_TYPES.iter().map(|object_type| object_type.stream.clone()).collect()
}

impl<C: Clock, K: Credentials> FieldMotion<C, K> {
    /// A source for the account at `base`: `https://cpXX.fieldmotion.com`, with or without the `/a` below which the
    /// functions are.
    pub fn new(
        base: BaseUrl,
        settings: FieldMotionSettings,
        rate: RequestsPerSecond,
        credentials: K,
        clock: C,
    ) -> Self {
        let http = HttpClient::new(base.or_path("/a"), rate, clock);
        let streams = streams(&settings);
        Self { http, credential: Keeper::new(["api_id", "api_key"], credentials), settings, streams }
    }

    async fn call(&self, call: &Call<'_>) -> Result<Judged, SourceFailure> {
        self.credential.with(call.function, async |credential| self.attempt(call, credential).await).await
    }

    async fn attempt(&self, call: &Call<'_>, credential: &Credential) -> Result<Judged, SourceFailure> {
        let turn = self.http.turn().await;
        // Signed after waiting for the turn, so that the time in the form is the time of sending.
        let form = call.parameters.signed_form(&self.api_now(), credential);
        let answer = self
            .http
            .send(
                turn,
                Request {
                    call: call.function,
                    segments: &[call.function],
                    query: &[],
                    credential: None,
                    form: Some(form),
                    terms: call.terms,
                },
            )
            .await
            .map_err(|problem| problem.into_failure(call.function, call.terms.purpose))?;
        self.judge(call, answer, credential)
    }

    fn api_now(&self) -> String {
        let now = self.http.now();
        let seconds = now.get().div_euclid(1000);
        match self.settings.api_now_format {
            ApiNowFormat::Unix => seconds.to_string(),
            ApiNowFormat::AtUnix => format!("@{seconds}"),
            ApiNowFormat::Datetime => self.settings.zone.naive(now),
        }
    }

    /// Tells data from errors. Whatever the status, an object with `error` is a failure; whatever the text, a status
    /// other than success is one.
    fn judge(&self, call: &Call<'_>, answer: Answer, credential: &Credential) -> Result<Judged, SourceFailure> {
        let purpose = call.terms.purpose;
        let date = answer.date;
        let by_status = answer.problem();
        if answer.status_is_final()
            && let Some(problem) = by_status
        {
            return Err(problem.into_failure(call.function, purpose));
        }
        let plain_text = short_plain_text(&answer.body);
        let json = match json::checked(answer.body) {
            Ok(json) => json,
            Err(malformed) => {
                // Not every rejection needs to come as JSON; any other bare text is just a broken answer.
                if let Some(text) = plain_text.filter(|text| self.settings.error_words.is_auth(text)) {
                    return Err(said(call, FailureClass::Unauthorized, &text, credential));
                }
                return Err(match by_status {
                    Some(problem) => problem.into_failure(call.function, purpose),
                    None => self.malformed(call, malformed),
                });
            }
        };
        if let Some(text) = answer::error_text(&json) {
            return match self.settings.error_words.meaning(&text, purpose, &self.settings.id_parameter) {
                Meaning::Gone => Ok(Judged { outcome: Outcome::Gone, date }),
                Meaning::Failed(class) => Err(said(call, unless_status(class, by_status, purpose), &text, credential)),
            };
        }
        match by_status {
            Some(problem) => Err(problem.into_failure(call.function, purpose)),
            None => Ok(Judged { outcome: Outcome::Json(json), date }),
        }
    }

    fn malformed(&self, call: &Call<'_>, malformed: Malformed) -> SourceFailure {
        let is_the_records = match call.terms.purpose {
            Purpose::List => false,
            Purpose::Detail => !malformed.is_unreadable() || self.settings.broken_detail_is_the_records,
        };
        let class = if is_the_records { FailureClass::Record } else { FailureClass::Transient };
        SourceFailure::new(class, format!("{}: {malformed}", call.function))
    }

    fn list_call(&self, object_type: &'static ObjectType, from: UtcMillis) -> Call<'static> {
        let from = self.settings.zone.lower_bound(from);
        let mut parameters = Parameters::default().text(&self.settings.list_parameter, &from);
        if let Some(form_id) = self.settings.jobs_form_id.as_deref().filter(|_| object_type.stream.as_str() == "jobs") {
            parameters = parameters.text(FORM_ID, form_id);
        }
        let terms = Terms { purpose: Purpose::List, bytes_max: ID_LIST_BYTES_MAX };
        Call { function: object_type.list, parameters, terms }
    }

    fn detail_call(&self, object_type: &'static ObjectType, function: &'static str, id: &RecordId) -> Call<'static> {
        let mut parameters = Parameters::default().text(&self.settings.id_parameter, id.as_str());
        let (name, fields) = (&self.settings.fields_parameter, self.settings.fields(object_type));
        if !fields.is_empty() {
            parameters = match self.settings.fields_encoding {
                FieldsEncoding::Json => parameters.text(name, &serde_json::Value::from(fields).to_string()),
                FieldsEncoding::List => parameters.list(name, &fields),
            };
        }
        let terms = Terms { purpose: Purpose::Detail, bytes_max: DETAIL_BYTES_MAX };
        Call { function, parameters, terms }
    }
}

impl<C: Clock, K: Credentials> Source for FieldMotion<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::FieldMotion
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let object_type = known(stream)?;
        let ListRequest::Changed { from } = request else {
            return Err(SourceFailure::new(
                FailureClass::Forbidden,
                format!("{}: FieldMotion lists all changed ids at once, no pages and no events", object_type.list),
            ));
        };
        let call = self.list_call(object_type, from);
        let Judged { outcome, date } = self.call(&call).await?;
        let ids = match outcome {
            Outcome::Json(json) => answer::ids(&json, self.settings.empty_object_is_empty),
            Outcome::Gone => Err(Malformed::Shape("not a list of ids")),
        };
        let ids = ids.map_err(|malformed| self.malformed(&call, malformed))?;
        Ok(Page { changes: ids.changes, unusable_count: ids.unusable_count, date, ..Page::default() })
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let object_type = known(stream)?;
        let Some(function) = object_type.detail else {
            return Ok(Detail { found: id_alone(id), date: None });
        };
        let call = self.detail_call(object_type, function, id);
        let Judged { outcome, date } = self.call(&call).await?;
        let row = match outcome {
            Outcome::Json(json) => answer::row(&json, id, self.settings.empty_object_is_empty),
            Outcome::Gone => Ok(Row::Gone),
        };
        let found = match row.map_err(|malformed| self.malformed(&call, malformed))? {
            Row::Found { id, body, last_edited } => {
                let stamp = last_edited.and_then(|text| self.settings.zone.stamp(&text));
                Found::Record { id, body, stamp }
            }
            Row::Gone => Found::Gone,
        };
        Ok(Detail { found, date })
    }
}

fn known(stream: &StreamName) -> Result<&'static ObjectType, SourceFailure> {
    object_types::of_stream(stream)
        .ok_or_else(|| SourceFailure::new(FailureClass::Forbidden, format!("FieldMotion has no stream {stream}")))
}

/// The record of a type that has no detail: its id, listed as changed.
fn id_alone(id: &RecordId) -> Found {
    let body = serde_json::json!({ "id": id.as_str() }).to_string();
    Found::Record { id: id.clone(), body: Body::new(body), stamp: None }
}

/// The failure that an error text reports.
fn said(call: &Call<'_>, class: FailureClass, text: &str, credential: &Credential) -> SourceFailure {
    let text =
        if credential.is_shown_in(text) { "(withheld: it shows the credential)".to_owned() } else { shown(text) };
    SourceFailure::new(class, format!("{}: the vendor answered with the error \"{text}\"", call.function))
}

/// The class of an error text, unless it says nothing and the status says something: an unknown error with status 500 is
/// the source's, one with status 404 the function's.
fn unless_status(by_text: FailureClass, by_status: Option<Problem>, purpose: Purpose) -> FailureClass {
    let says_nothing = matches!(by_text, FailureClass::Record | FailureClass::Transient);
    by_status.filter(|_| says_nothing).map_or(by_text, |problem| problem.class(purpose))
}

/// A short answer that is neither HTML nor data: perhaps an error in plain words.
fn short_plain_text(body: &[u8]) -> Option<String> {
    let text = str::from_utf8(body).ok()?.trim();
    (text.len() <= 200 && !text.starts_with(['<', '[', '{'])).then(|| text.to_owned())
}
