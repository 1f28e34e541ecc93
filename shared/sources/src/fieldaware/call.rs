//! One GET, and telling its data from its errors.

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LINK};
use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};

use super::FieldAware;
use super::answer::{error_name, is_about_address};
use crate::credential::Credential;
use crate::http::{Answer, Problem, Purpose, Request, Terms, Words};
use crate::json::{self, Malformed};

/// The name of the vendor's error for what is not there.
const NOT_FOUND: &str = "NotFoundError";
/// The name of its error for a call that came to it in the clear, as behind a balancer that does not say otherwise.
const IN_THE_CLEAR: &str = "InvalidProtocolError";
/// How many entries a list or object of a page may have.
const PAGE_ENTRIES_MAX: usize = 50_000;

/// One call, but for the credential.
pub(super) struct Call<'a> {
    /// The address pattern, for logs and errors.
    pub(super) pattern: &'a str,
    /// The path's segments; an empty last one makes a slash at the end.
    pub(super) segments: &'a [&'a str],
    /// The query.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// What it is for and how large the answer may be.
    pub(super) terms: Terms,
}

/// JSON that is worth reading: no error, and not nested too deeply; none where a status says that there is nothing.
pub(super) struct Got {
    pub(super) json: Option<String>,
    /// When the vendor answered, on its clock.
    pub(super) date: Option<VendorMillis>,
    /// Whether the `Link` header names a next page; none when it names no page at all.
    pub(super) has_next: Option<bool>,
}

/// An answer. Some refusals are news rather than failures, which depends on what was asked for.
pub(super) enum Outcome {
    /// Data.
    Got(Got),
    /// Another status than success.
    Refused {
        /// It.
        status: StatusCode,
        /// Whose words it comes with.
        words: Words,
        /// Whether the vendor's error is that there is no such thing.
        is_not_found: bool,
        /// Whether the vendor's error speaks of how it was called, so that it says nothing of what was asked for.
        is_of_call: bool,
        /// When the vendor answered, on its clock.
        date: Option<VendorMillis>,
        /// What it means, unless it is news.
        failure: SourceFailure,
    },
}

impl Outcome {
    /// The data, or the failure that the status means.
    pub(super) fn got(self) -> Result<Got, SourceFailure> {
        match self {
            Self::Got(got) => Ok(got),
            Self::Refused { failure, .. } => Err(failure),
        }
    }
}

impl Call<'_> {
    /// A failure of this call because of what its answer is.
    pub(super) fn malformed(&self, malformed: Malformed) -> SourceFailure {
        malformed.into_failure(self.pattern, self.terms.purpose)
    }

    /// Tells data from errors. Whatever the status, an error object is a failure; whatever the text, a status other
    /// than success is one.
    fn judge(&self, answer: Answer) -> Result<Outcome, SourceFailure> {
        let (status, words, date, has_next) = (answer.status, answer.words, answer.date, has_next(&answer.headers));
        if let Some(problem) = answer.problem() {
            let mut failure = self.refused(problem);
            let json = json::checked(answer.body).unwrap_or_default();
            let name = error_name(&json);
            let is_of_call = is_about_address(&json) || name.as_deref() == Some(IN_THE_CLEAR);
            let is_not_found = words == Words::Vendors && name.as_deref() == Some(NOT_FOUND) && !is_of_call;
            if let Some(name) = name {
                failure.cause = format!("{} ({name})", failure.cause);
            }
            return match failure.class {
                FailureClass::Unauthorized => Err(failure),
                _ => Ok(Outcome::Refused { status, words, is_not_found, is_of_call, date, failure }),
            };
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Outcome::Got(Got { json: None, date, has_next }));
        }
        let json = match self.terms.purpose {
            // One odd value in one event or row must not hold up all others; bodies of records come from details alone.
            Purpose::List => json::tolerated_up_to(PAGE_ENTRIES_MAX, answer.body),
            Purpose::Detail => json::checked(answer.body),
        };
        let json = json.map_err(|malformed| self.malformed(malformed))?;
        if let Some(name) = error_name(&json) {
            let class = match self.terms.purpose {
                _ if name == "AuthenticationError" => FailureClass::Unauthorized,
                Purpose::List => FailureClass::Transient,
                Purpose::Detail => FailureClass::Record,
            };
            let cause = format!("{}: the vendor answered with the error {name}", self.pattern);
            return Err(SourceFailure::new(class, cause));
        }
        Ok(Outcome::Got(Got { json: Some(json), date, has_next }))
    }

    /// The failure that a status means. A record that may not be read (403) is that record's own: a missing right for
    /// one class must not stop the feed of all others.
    fn refused(&self, problem: Problem) -> SourceFailure {
        let mut failure = problem.into_failure(self.pattern, self.terms.purpose);
        if self.terms.purpose == Purpose::Detail && failure.class == FailureClass::Forbidden {
            failure.class = FailureClass::Record;
        }
        failure
    }
}

impl<C: Clock, K: Credentials> FieldAware<C, K> {
    /// Makes a call, and once more if the credential was rejected and has been changed since it was read.
    pub(super) async fn get(&self, call: &Call<'_>) -> Result<Outcome, SourceFailure> {
        self.credential.with(call.pattern, async |credential| self.attempt(call, credential).await).await
    }

    async fn attempt(&self, call: &Call<'_>, credential: &Credential<1>) -> Result<Outcome, SourceFailure> {
        let header = authorization(credential).ok_or_else(|| {
            let cause = format!("{}: the secret's \"token\" has characters that a header cannot have", call.pattern);
            SourceFailure::new(FailureClass::Unauthorized, cause)
        })?;
        let turn = self.http.turn().await;
        let request = Request {
            call: call.pattern,
            segments: call.segments,
            query: call.query,
            credential: Some((AUTHORIZATION, header)),
            form: None,
            terms: call.terms,
        };
        let answer = self.http.send(turn, request).await.map_err(|problem| call.refused(problem))?;
        call.judge(answer)
    }
}

fn authorization(credential: &Credential<1>) -> Option<HeaderValue> {
    let [token] = credential.texts();
    let mut header = HeaderValue::from_str(&format!("Token {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Whether the `Link` header has a link with `rel=next`. One without any `rel`, as a sample of the feed shows, says
/// nothing.
fn has_next(headers: &HeaderMap) -> Option<bool> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let relations =
        values.flat_map(|value| value.split([',', ';'])).filter_map(|part| part.trim().strip_prefix("rel="));
    let mut relations = relations.map(|relation| relation.trim_matches(['"', '\'', ' '])).peekable();
    relations.peek()?;
    Some(relations.any(|relation| relation.split(' ').any(|one| one.eq_ignore_ascii_case("next"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(values: &[&str]) -> Option<bool> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, HeaderValue::from_str(value).unwrap());
        }
        has_next(&headers)
    }

    #[test]
    fn a_next_page_is_read_from_the_link_header() {
        let (first, next) = ("<https://h/customer/?page=0>; rel=first", "<https://h/customer/?page=3>; rel=\"next\"");
        assert_eq!(linked(&[&format!("{first}, {next}")]), Some(true));
        assert_eq!(linked(&[first, next]), Some(true));
        assert_eq!(linked(&[first]), Some(false));
        assert_eq!(linked(&["<https://h/customer/?rel=next>; rel='prev last'"]), Some(false));
        assert_eq!(linked(&["<https://h/x>; rel=\"last next\""]), Some(true));
        assert_eq!(linked(&[]), None);
        assert_eq!(linked(&["\"https://api.fieldaware.net/changes/previous/2014-10-14/\""]), None);
    }
}
