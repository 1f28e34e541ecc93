//! One call, and what its answer is worth.
//!
//! A status of success may hold a failure, and a status of failure may be that of something before the vendor: an answer
//! is data only when neither says otherwise, and a refusal only in the vendor's own words.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};

use super::error_codes::{ErrorCodes, Meaning, Reported};
use super::streams::ObjectType;
use super::{Credential, FsmNavigator};
use crate::http::{Answer, Problem, Purpose, Request, Terms, Words};
use crate::json::{self, Malformed, Object};
use crate::rows::{self, Sent};

/// The header that carries the key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// What a person can do about a list that the vendor refuses as it is asked for.
const LIST_STEP: &str = "the vendor refuses how this list is asked for: compare filter_parameter, queries and per_page with its \
                         documentation, or set incremental of the stream to client_scan if its list takes no lower bound";

/// One call.
pub(super) struct Call<'a> {
    pub(super) object_type: &'static ObjectType,
    /// Its address as a pattern, for logs and errors.
    pub(super) name: String,
    pub(super) segments: Vec<&'a str>,
    pub(super) query: Vec<(&'a str, &'a str)>,
    pub(super) terms: Terms,
    /// Which page of a list it asks for.
    pub(super) page: Option<u32>,
}

/// An answer without an error in it.
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) date: Option<VendorMillis>,
}

/// What an answer is worth.
pub(super) enum Outcome {
    /// JSON that is worth reading.
    Json(Sent),
    /// Nothing, with a status that says so.
    Nothing,
    /// The vendor has no such record, as it says itself.
    Gone,
    /// A "not found" that says no more than that.
    Missing,
    /// The vendor has no such page, which is not the first.
    PageRefused,
}

impl Call<'_> {
    /// Tells data from errors. Whatever the status, an answer that says that it failed is a failure; whatever the body,
    /// a status other than success is one.
    pub(super) fn judge(
        &self,
        answer: Answer,
        codes: &ErrorCodes,
        credential: &Credential,
    ) -> Result<Judged, SourceFailure> {
        let (date, status, words, by_header) = (answer.date, answer.status, answer.words, answer.retry_after);
        let problem = answer.problem();
        if status == StatusCode::NO_CONTENT {
            return Ok(Judged { outcome: Outcome::Nothing, date });
        }
        let sent = self.read(answer.body);
        let body = sent.as_ref().ok().and_then(|sent| Object::of(sent.json()));
        let reported = body.as_ref().and_then(Reported::of);
        let meaning = reported.as_ref().map_or(Meaning::Unknown, |found| codes.meaning(found, self.terms.purpose));
        let is_error = problem.is_some() || reported.is_some();
        let is_unknown = !matches!(meaning, Meaning::Failed(_));
        if is_error && is_unknown && rows::is_beyond_the_end(self.page, status, words, body.as_ref()) {
            return Ok(Judged { outcome: Outcome::PageRefused, date });
        }
        if let Some(outcome) = self.not_there(problem.as_ref(), status, words, meaning) {
            return Ok(Judged { outcome, date });
        }
        let class = match (meaning, &problem) {
            (Meaning::Failed(class), _) => class,
            (Meaning::Unknown | Meaning::Gone, Some(problem)) => self.class_of_status(problem, status, words),
            (Meaning::Unknown | Meaning::Gone, None) if reported.is_some() => self.class_of_refusal(),
            (Meaning::Unknown | Meaning::Gone, None) => {
                let sent = sent.map_err(|malformed| malformed.into_failure(&self.name, self.terms.purpose))?;
                return Ok(Judged { outcome: Outcome::Json(sent), date });
            }
        };
        let by_body = reported.as_ref().and_then(|reported| reported.retry_after_seconds);
        let by_body = by_body.map(|seconds| Duration::from_secs(seconds.max(1)));
        let class = match class {
            FailureClass::Throttled { .. } => FailureClass::Throttled { retry_after: by_header.or(by_body) },
            other => other,
        };
        Err(self.failure(class, problem, status, reported.as_ref(), credential))
    }

    fn read(&self, body: Vec<u8>) -> Result<Sent, Malformed> {
        // What belongs to a parent comes in pages, too.
        match self.page {
            Some(_) => Sent::of(body),
            None => json::checked(body).map(Sent::whole),
        }
    }

    /// That a record is not there, if the answer says so. In the vendor's own words it is gone; an HTML page, or
    /// somebody else's words, say nothing about it.
    fn not_there(
        &self,
        problem: Option<&Problem>,
        status: StatusCode,
        words: Words,
        meaning: Meaning,
    ) -> Option<Outcome> {
        let is_status = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        match (self.terms.purpose, meaning, words) {
            (_, Meaning::Gone, _) if problem.is_none() => Some(Outcome::Gone),
            (Purpose::Detail, Meaning::Gone, Words::Vendors) if is_status => Some(Outcome::Gone),
            (Purpose::Detail, Meaning::Unknown, Words::Vendors | Words::Nobodys) if is_status => Some(Outcome::Missing),
            _ => None,
        }
    }

    /// What a status means: as for every vendor, but that no request which the vendor itself refuses is an outage.
    fn class_of_status(&self, problem: &Problem, status: StatusCode, words: Words) -> FailureClass {
        let is_refusal = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT && words == Words::Vendors;
        match (problem.class(self.terms.purpose), self.terms.purpose) {
            (FailureClass::Transient, Purpose::Detail) if is_refusal => FailureClass::Record,
            // An address of one record that is not there says nothing of the lists.
            (FailureClass::Forbidden, Purpose::Detail)
                if !matches!(status, StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN) =>
            {
                FailureClass::Record
            }
            (class, _) => class,
        }
    }

    /// What an unknown error beside a status of success means.
    fn class_of_refusal(&self) -> FailureClass {
        match self.terms.purpose {
            Purpose::List => FailureClass::Transient,
            Purpose::Detail => FailureClass::Record,
        }
    }

    fn failure(
        &self,
        class: FailureClass,
        problem: Option<Problem>,
        status: StatusCode,
        reported: Option<&Reported>,
        credential: &Credential,
    ) -> SourceFailure {
        let mut failure = match problem {
            Some(problem) => problem.into_failure(&self.name, self.terms.purpose),
            None => SourceFailure::new(class, format!("{}: the vendor answered with status {status}", self.name)),
        };
        if let Some(reported) = reported {
            failure.cause = format!("{} and the error \"{}\"", failure.cause, reported.shown(credential));
        }
        let by_status = failure.next_step.filter(|_| class == FailureClass::Transient);
        let by_class = match class {
            FailureClass::Forbidden if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) => {
                Some(LIST_STEP)
            }
            FailureClass::Forbidden => failure.next_step.or(Some(self.object_type.scope_step)),
            _ => by_status,
        };
        let next_step = reported.and_then(Reported::next_step).or(by_class);
        SourceFailure { class, next_step, ..failure }
    }
}

impl<C: Clock, K: Credentials> FsmNavigator<C, K> {
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Judged, SourceFailure> {
        let judged = self.credential.with(&call.name, async |credential| self.attempt(call, credential).await).await;
        judged.map_err(|failure| self.with_bounded_wait(failure))
    }

    async fn attempt(&self, call: &Call<'_>, credential: &Credential) -> Result<Judged, SourceFailure> {
        let [key] = credential.texts();
        let key = HeaderValue::from_str(key).map_err(|_| {
            let cause = format!("{}: the secret's \"api_key\" has characters that a header cannot have", call.name);
            SourceFailure::new(FailureClass::Unauthorized, cause)
        })?;
        let failed = |problem: Problem| problem.into_failure(&call.name, call.terms.purpose);
        let turn = self.http.steered_turn().await.map_err(failed)?;
        let request = Request {
            call: &call.name,
            segments: &call.segments,
            query: &call.query,
            credential: Some((API_KEY, key)),
            form: None,
            terms: call.terms,
        };
        let answer = self.http.send(turn, request).await.map_err(failed)?;
        if !self.settings.ignores_rate_headers {
            self.http.respect(&answer);
        }
        call.judge(answer, &self.settings.error_codes, credential)
    }

    /// Never waits for longer than the settings allow.
    fn with_bounded_wait(&self, mut failure: SourceFailure) -> SourceFailure {
        if let FailureClass::Throttled { retry_after: Some(wait) } = &mut failure.class {
            *wait = (*wait).min(self.settings.retry_after_max);
        }
        failure
    }

    /// A page of a list. A refusal may be the end, so it is asked once more: one may be a slip.
    pub(super) async fn page_call(&self, call: &Call<'_>) -> Result<Judged, SourceFailure> {
        let judged = self.call(call).await?;
        if matches!(judged.outcome, Outcome::PageRefused) { self.call(call).await } else { Ok(judged) }
    }
}
