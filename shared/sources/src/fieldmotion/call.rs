//! One call, and telling its data from its errors.

use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};

use super::answer;
use super::error_text::Meaning;
use super::settings::FieldMotionSettings;
use super::signature::Parameters;
use crate::http::{Answer, Problem, Purpose, Terms, Words};
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

const TIME_STEP: &str = "compare the clock of this system, then api_now_format and timezone in FieldMotionSettings, with what the vendor \
     expects of _api_now";
const LOGIN_STEP: &str = "nothing if it passes; else compare api_id and api_key in the source's secret, and the base URL: the answer speaks of \
     a login, though not as the vendor's errors do";
