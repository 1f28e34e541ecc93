//! One call, and telling its data from its errors.

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};

use super::{Acme, answer};
use crate::credential::Credential;
use crate::http::{Answer, Problem, Purpose, Request, Terms, Words};
use crate::json::{self, Object};
use crate::rows::{self, Sent};

/// One call, without the credential.
pub(super) struct Call<'a> {
    /// Names it in errors and logs.
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

impl<C: Clock, K: Credentials> Acme<C, K> {
    /// Makes a call, and once more if the credential was rejected and has been changed since it was read.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Judged, SourceFailure> {
        self.credential.with(&call.name, async |credential| self.attempt(call, credential).await).await
    }

    async fn attempt(&self, call: &Call<'_>, credential: &Credential<1>) -> Result<Judged, SourceFailure> {
        let [key] = credential.texts();
        // How the vendor takes its key: not written yet, see docs/add-a-source.md, section 3.
        let mut header = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
            let cause = format!("{}: the secret's \"api_key\" has characters that a header cannot have", call.name);
            SourceFailure::new(FailureClass::Unauthorized, cause)
        })?;
        header.set_sensitive(true);
        let turn = self.http.turn().await;
        let request = Request {
            call: &call.name,
            segments: &call.segments,
            query: &call.query,
            credential: Some((AUTHORIZATION, header)),
            form: None,
            terms: call.terms,
        };
        let answer = self.http.send(turn, request).await.map_err(|problem| call.failure(problem))?;
        call.judge(answer)
    }
}

impl Call<'_> {
    fn failure(&self, problem: Problem) -> SourceFailure {
        problem.into_failure(&self.name, self.terms.purpose)
    }

    /// Tells data from errors. "Gone" is believed only in the vendor's own words.
    fn judge(&self, answer: Answer) -> Result<Judged, SourceFailure> {
        let (date, status, words) = (answer.date, answer.status, answer.words);
        let judged = |outcome| Ok(Judged { outcome, date });
        if status == StatusCode::NO_CONTENT {
            return judged(Outcome::Nothing);
        }
        if let Some(problem) = answer.problem() {
            let error = str::from_utf8(&answer.body).ok().and_then(Object::of);
            if rows::is_beyond_the_end(self.page, status, words, error.as_ref()) {
                return judged(Outcome::PageRefused);
            }
            let is_not_found = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
            return match words {
                _ if !is_not_found || self.terms.purpose == Purpose::List => Err(self.failure(problem)),
                Words::Vendors if answer::says_gone(&answer.body) => judged(Outcome::Gone),
                Words::Vendors | Words::Nobodys => judged(Outcome::Missing),
                Words::Page | Words::Text | Words::OtherJson => Err(self.failure(problem)),
            };
        }
        let sent = match self.terms.purpose {
            Purpose::List => Sent::of(answer.body),
            Purpose::Detail => json::checked(answer.body).map(Sent::whole),
        };
        judged(Outcome::Json(sent.map_err(|malformed| malformed.into_failure(&self.name, self.terms.purpose))?))
    }
}
