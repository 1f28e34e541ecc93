//! One call, in another form of its time where the first is rejected, and telling its data from its errors.

use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};

use super::error_text::Meaning;
use super::settings::{ApiNowFormat, FieldMotionSettings};
use super::signature::Parameters;
use super::{Credential, FieldMotion, answer, zone};
use crate::http::{Answer, Problem, Purpose, Request, Terms, Words};
use crate::json::{self, Malformed};
use crate::rows::Sent;

/// One call: everything but the time, the signature and the credential, which are made again for every attempt.
pub(super) struct Call<'a> {
    pub(super) function: &'a str,
    pub(super) parameters: Parameters,
    pub(super) terms: Terms,
    /// Whether the answer is read entry by entry and nothing of it is stored as it is: odd entries are passed by.
    pub(super) is_of_ids: bool,
}

/// An answer without an error in it.
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) date: Option<VendorMillis>,
}

/// What an answer says.
pub(super) enum Outcome {
    /// JSON that is worth reading.
    Json(Sent),
    /// Nothing: there is no body.
    Nothing,
    /// The vendor said, in words, that the record is not there.
    Gone,
    /// The vendor refused the time of the call, or how it is written.
    TimeRefused(SourceFailure),
}

impl Call<'_> {
    /// Tells data from errors. Whatever the status, an object with `error` is a failure; whatever the text, a status
    /// other than success is one. A refusal counts in the vendor's own words alone.
    pub(super) fn judge(&self, answer: Answer, settings: &FieldMotionSettings) -> Result<Judged, SourceFailure> {
        let date = answer.date;
        let judged = |outcome| Ok(Judged { outcome, date });
        if let Some(problem) = answer.problem() {
            if answer.status_is_final() || answer.words != Words::Vendors {
                return Err(problem.into_failure(self.function, self.terms.purpose));
            }
            let text = str::from_utf8(&answer.body).ok().and_then(answer::error_text).unwrap_or_default();
            return self.said(&text, Some(problem), settings).map(|outcome| Judged { outcome, date });
        }
        if answer.body.trim_ascii().is_empty() {
            // A status 204 says that there is nothing. Beside any other, a list lacks what it should have.
            let is_meant = answer.status.as_u16() == 204 || self.terms.purpose == Purpose::Detail;
            return if is_meant { judged(Outcome::Nothing) } else { Err(self.malformed(Malformed::Empty, settings)) };
        }
        let is_php_message = answer::is_php_message(&answer.body);
        let hints_at_login = str::from_utf8(answer.body.get(..200).unwrap_or(&answer.body))
            .is_ok_and(|text| settings.error_words.is_auth(text));
        let sent = match self.terms.purpose {
            Purpose::Detail => json::checked(answer.body).map(Sent::whole),
            Purpose::List if self.is_of_ids => json::tolerated_up_to(usize::MAX, answer.body).map(Sent::whole),
            Purpose::List => Sent::of(answer.body),
        };
        match sent {
            Ok(sent) => match answer::error_text(sent.json()) {
                Some(text) => self.said(&text, None, settings).map(|outcome| Judged { outcome, date }),
                None => judged(Outcome::Json(sent)),
            },
            Err(_) if is_php_message => Err(self.of_php()),
            Err(malformed) => {
                let failure = self.malformed(malformed, settings);
                Err(if malformed == Malformed::NotJson && hints_at_login {
                    failure.with_next_step(LOGIN_STEP)
                } else {
                    failure
                })
            }
        }
    }

    /// What an error text of the vendor's own means, beside a status other than success if there is one.
    fn said(
        &self,
        text: &str,
        by_status: Option<Problem>,
        settings: &FieldMotionSettings,
    ) -> Result<Outcome, SourceFailure> {
        let purpose = self.terms.purpose;
        let words = &settings.error_words;
        let shown = settings.with_names(|names| words.shown(text, names));
        let answered = match &by_status {
            Some(problem) => format!("{problem} and"),
            None => "the vendor answered with".to_owned(),
        };
        let cause = format!("{}: {answered} the error \"{shown}\" ({} bytes)", self.function, text.len());
        let failure = |class, next_step| SourceFailure { next_step, ..SourceFailure::new(class, cause.clone()) };
        match settings.with_names(|names| words.meaning(text, purpose, names)) {
            Meaning::Gone => Ok(Outcome::Gone),
            Meaning::TimeRefused => Ok(Outcome::TimeRefused(failure(FailureClass::Transient, Some(TIME_STEP)))),
            Meaning::Failed { class, next_step } => Err(failure(class, next_step)),
            Meaning::Unknown => Err(match (by_status, purpose) {
                (Some(problem), _) => failure(problem.class(purpose), problem.next_step(purpose)),
                (None, Purpose::List) => failure(FailureClass::Transient, None),
                (None, Purpose::Detail) => failure(FailureClass::Record, None),
            }),
        }
    }

    /// The failure of an answer that is not what was asked for.
    pub(super) fn malformed(&self, malformed: Malformed, settings: &FieldMotionSettings) -> SourceFailure {
        let failure = malformed.into_failure(self.function, self.terms.purpose);
        if settings.broken_detail_is_the_records && self.terms.purpose == Purpose::Detail {
            return SourceFailure { class: FailureClass::Record, ..failure };
        }
        failure
    }

    /// The failure of an answer that begins with what PHP says when a program fails.
    fn of_php(&self) -> SourceFailure {
        let class = match self.terms.purpose {
            Purpose::List => FailureClass::Transient,
            Purpose::Detail => FailureClass::Record,
        };
        let cause =
            format!("{}: the answer begins with an error message of PHP, the vendor's program fails", self.function);
        SourceFailure::new(class, cause)
            .with_next_step("report it to the vendor if it lasts; the credential is not in doubt")
    }
}

impl<C: Clock, K: Credentials> FieldMotion<C, K> {
    /// Makes a call; where it is the first one and rejected, once more in each other form of its time.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Judged, SourceFailure> {
        let used = self.api_now.format();
        let answered =
            self.credential.with(call.function, async |credential| self.attempt(call, credential, used).await).await;
        let rejected = match answered {
            Ok(Judged { outcome: Outcome::TimeRefused(failure), .. }) => failure,
            Err(failure) if failure.class == FailureClass::Unauthorized => failure,
            Ok(judged) => {
                self.api_now.prove();
                return Ok(judged);
            }
            Err(failure) => return Err(failure),
        };
        let Ok(credential) = self.credential.remembered(call.function).await else { return Err(rejected) };
        for other in self.api_now.others() {
            match self.attempt(call, &credential, other).await {
                Ok(Judged { outcome: Outcome::TimeRefused(_), .. }) => {}
                Ok(judged) => {
                    self.api_now.adopt(other);
                    return Ok(judged);
                }
                Err(failure) if failure.class == FailureClass::Unauthorized => {}
                Err(failure) => {
                    self.api_now.put_off();
                    return Err(failure);
                }
            }
        }
        Err(rejected)
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        credential: &Credential,
        format: ApiNowFormat,
    ) -> Result<Judged, SourceFailure> {
        let turn = self.http.turn().await;
        // Signed after waiting for the turn, so that the time in the form is the time of sending.
        let form = call.parameters.signed_form(&self.api_now(format), credential);
        let request = Request {
            call: call.function,
            segments: &[call.function],
            query: &[],
            credential: None,
            form: Some(form),
            terms: call.terms,
        };
        let answer = self.http.send(turn, request).await;
        let answer = answer.map_err(|problem| problem.into_failure(call.function, call.terms.purpose))?;
        call.judge(answer, &self.settings)
    }

    fn api_now(&self, format: ApiNowFormat) -> String {
        let now = self.http.now();
        let seconds = now.get().div_euclid(1000);
        match format {
            ApiNowFormat::Unix => seconds.to_string(),
            ApiNowFormat::AtUnix => format!("@{seconds}"),
            // The local clock, taken for the vendor's: the form is valid for minutes.
            ApiNowFormat::Datetime => zone::naive(self.settings.zone.reading(VendorMillis::new(now.get()))),
        }
    }
}

const TIME_STEP: &str = "compare the clock of this system, then api_now_format and timezone in FieldMotionSettings, with what the vendor \
     expects of _api_now";
const LOGIN_STEP: &str = "nothing if it passes; else compare api_id and api_key in the source's secret, and the base URL: the answer speaks of \
     a login, though not as the vendor's errors do";
