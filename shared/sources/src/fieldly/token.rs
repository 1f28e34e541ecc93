//! Access tokens: OAuth 2.0 client credentials, one token for all calls of a process.
//!
//! A token is asked for when a call needs it, kept until a margin before its end, and asked for again when a call finds it
//! rejected. A call that needs one while it is being asked for waits for that one request, and shares what becomes of it,
//! failure included: no crowd of calls ever becomes a crowd of token requests.
//!
//! Some vendors end a client's earlier token when they grant another one, so that processes end each other's. A token that
//! was granted a moment ago and is refused says nothing about the client: the call fails as in an outage, and the engine's
//! growing waits, of different lengths in each process, let the others finish what they do.
//!
//! Tokens are not shared between processes: a token is valid for an hour even if others have one, so a process costs one
//! request an hour, and a store of tokens would be one more place to keep a secret in.
//!
//! Source: the "Fieldly Public API" guide, 1.1; RFC 6749 sections 4.4 and 5. What a refusal looks like is undocumented,
//! so RFC 6749's is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::Clock;
use tokio::sync::Mutex;

use super::Credential;
use super::basic;
use crate::http::{Answer, HttpClient, Purpose, Request, Terms};
use crate::json::{self, Malformed, Object};

/// How long a token is valid when the answer does not say, or says nothing that can be true.
const LIFETIME: Duration = Duration::from_hours(1);
/// No token is used for longer, whatever the answer says.
const LIFETIME_MAX: Duration = Duration::from_hours(24);
/// How large the token endpoint's answer may be.
const BYTES_MAX: usize = 64 << 10;
/// A token is no record's, so its failure is never one either.
const TERMS: Terms = Terms { purpose: Purpose::List, bytes_max: BYTES_MAX };
/// Errors of RFC 6749 (5.2) that a corrected secret would cure.
const REJECTIONS: [&str; 2] = ["invalid_client", "unauthorized_client"];

/// What a person can do about a request for a token that is refused: it is no list, and has no filters.
const REFUSED_STEP: &str = "compare token_path in FieldlySettings and the base URL with Fieldly's documentation, then ask its support whether \
                            the API is activated for this client";

/// An access token, and how long it is used. It cannot be printed, and is wiped when dropped.
pub(super) struct Token {
    text: SecretString,
    asked_at: LocalMillis,
    /// From when on another one is asked for; on the local clock, like `asked_at`.
    renew_at: LocalMillis,
}

impl Token {
    /// The header that carries it.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let value = HeaderValue::from_str(&format!("Bearer {}", self.text.expose_secret())).ok()?;
        Some((AUTHORIZATION, value))
    }

    /// Whether it is young enough; a clock that was set back says nothing about that.
    fn is_usable(&self, now: LocalMillis) -> bool {
        self.asked_at <= now && now < self.renew_at
    }
}

/// The token of a process.
pub(super) struct Tokens {
    /// Below the base URL.
    path: Vec<String>,
    /// Names the call.
    call: String,
    margin: Duration,
    /// How many requests have ended.
    ended: AtomicU64,
    latest: Mutex<Option<Latest>>,
}

/// The last request for a token.
struct Latest {
    /// Counts the requests that ended, this one included.
    number: u64,
    /// Whose token was asked for.
    credential: Credential,
    outcome: Outcome,
}

/// What became of it.
enum Outcome {
    Token(Arc<Token>),
    Failed { class: FailureClass, cause: String, next_step: Option<&'static str> },
}

fn is_same(token: &Arc<Token>, rejected: Option<&Arc<Token>>) -> bool {
    rejected.is_some_and(|rejected| Arc::ptr_eq(rejected, token))
}

impl Tokens {
    /// No token yet; each will be renewed `margin` before its end.
    pub(super) fn new(path: Vec<String>, margin: Duration) -> Self {
        let call = format!("POST /{}", path.join("/"));
        Self { path, call, margin, ended: AtomicU64::new(0), latest: Mutex::new(None) }
    }

    /// The token to make a call with, other than `rejected`.
    ///
    /// # Errors
    /// `Unauthorized` when the credential is rejected, else what the endpoint's failure means for any list.
    pub(super) async fn token<C: Clock>(
        &self,
        http: &HttpClient<C>,
        credential: &Credential,
        rejected: Option<&Arc<Token>>,
    ) -> Result<Arc<Token>, SourceFailure> {
        let ended = self.ended.load(Ordering::Acquire);
        let mut latest = self.latest.lock().await;
        if let Some(Latest { number, outcome, .. }) = latest.as_ref().filter(|last| last.credential.is(credential)) {
            // What ended while this call waited for it is its own outcome, too.
            let is_shared = *number > ended;
            match outcome {
                Outcome::Token(token) if !is_same(token, rejected) && (is_shared || token.is_usable(http.now())) => {
                    return Ok(Arc::clone(token));
                }
                Outcome::Failed { class, cause, next_step } if is_shared => {
                    return Err(SourceFailure { next_step: *next_step, ..SourceFailure::new(*class, cause.clone()) });
                }
                Outcome::Token(_) | Outcome::Failed { .. } => {}
            }
        }
        let answered = self.request(http, credential).await.map(Arc::new);
        let number = self.ended.fetch_add(1, Ordering::AcqRel) + 1;
        let outcome = match &answered {
            Ok(token) => Outcome::Token(Arc::clone(token)),
            Err(SourceFailure { class, cause, next_step, .. }) => {
                Outcome::Failed { class: *class, cause: cause.clone(), next_step: *next_step }
            }
        };
        *latest = Some(Latest { number, credential: credential.clone(), outcome });
        answered
    }

    async fn request<C: Clock>(&self, http: &HttpClient<C>, credential: &Credential) -> Result<Token, SourceFailure> {
        let [id, secret] = credential.texts();
        let header = basic::authorization(id, secret).ok_or_else(|| {
            let cause = "the secret's client_id holds a colon, or one of its texts a control character";
            SourceFailure::new(FailureClass::Unauthorized, format!("{}: {cause}", self.call))
        })?;
        let segments: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let turn = http.turn().await;
        let asked_at = http.now();
        let request = Request {
            call: &self.call,
            segments: &segments,
            query: &[],
            credential: Some((AUTHORIZATION, header)),
            form: Some("grant_type=client_credentials".to_owned()),
            terms: TERMS,
        };
        let answer =
            http.send(turn, request).await.map_err(|problem| problem.into_failure(&self.call, TERMS.purpose))?;
        self.read(answer, asked_at)
    }

    fn read(&self, answer: Answer, asked_at: LocalMillis) -> Result<Token, SourceFailure> {
        let problem = answer.problem();
        let status = answer.status;
        let may_reject = status.is_success() || status == StatusCode::BAD_REQUEST;
        let json = json::checked(answer.body);
        if let Some(error) = json.as_deref().ok().filter(|_| may_reject).and_then(rejection) {
            let cause = format!("{}: the vendor rejects the client's credential ({error})", self.call);
            return Err(SourceFailure::new(FailureClass::Unauthorized, cause));
        }
        if let Some(problem) = problem {
            let failure = problem.into_failure(&self.call, TERMS.purpose);
            let is_as_of_a_list =
                matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY);
            let is_unnamed = is_as_of_a_list || failure.next_step.is_none();
            let is_refused = failure.class == FailureClass::Forbidden && is_unnamed;
            return Err(if is_refused { failure.with_next_step(REFUSED_STEP) } else { failure });
        }
        let read = json.and_then(|json| self.granted(&json, asked_at));
        read.map_err(|malformed| SourceFailure::new(FailureClass::Transient, format!("{}: {malformed}", self.call)))
    }

    fn granted(&self, json: &str, asked_at: LocalMillis) -> Result<Token, Malformed> {
        let members = Object::of(json).ok_or(Malformed::Shape("not an object with a token"))?;
        let text = members
            .text("access_token")
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or(Malformed::Shape("an object without a usable access_token"))?;
        let text = SecretString::from(text);
        let is_bearer = members.get("token_type").is_none_or(|kind| kind == "null")
            || members.text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !is_bearer {
            return Err(Malformed::Shape("a token that is not a bearer token"));
        }
        let lifetime = members.get("expires_in").and_then(lifetime).unwrap_or(LIFETIME);
        Ok(Token { text, asked_at, renew_at: asked_at.plus(self.used_for(lifetime)) })
    }

    /// How long a token is used. One with less than twice the margin left is an earlier one that the endpoint handed out
    /// again: it is used for half of what is left, so that its last minute costs a few requests and not one a call.
    fn used_for(&self, lifetime: Duration) -> Duration {
        lifetime.saturating_sub(self.margin).max(lifetime / 2)
    }
}

/// How long a token is valid, by a number of seconds or a text of one; none when that is no span of time.
fn lifetime(expires_in: &str) -> Option<Duration> {
    let seconds: f64 = expires_in.trim_matches('"').trim().parse().ok()?;
    // None at all would make every call ask for a token of its own: some write it for a token that does not end.
    let seconds = Some(seconds).filter(|seconds| *seconds > 0.0)?;
    Duration::try_from_secs_f64(seconds.min(LIFETIME_MAX.as_secs_f64())).ok()
}

/// The error of an answer that rejects the credential.
fn rejection(json: &str) -> Option<&'static str> {
    let error = Object::of(json)?.text("error")?;
    REJECTIONS.into_iter().find(|rejection| *rejection == error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(json: &str) -> Result<(String, i64), Malformed> {
        let tokens = Tokens::new(vec!["oauth".to_owned(), "token".to_owned()], Duration::from_mins(1));
        let token = tokens.granted(json, LocalMillis::new(1_000_000))?;
        Ok((token.text.expose_secret().to_owned(), (token.renew_at.get() - 1_000_000) / 1000))
    }

    #[test]
    fn a_token_is_used_until_a_margin_before_its_end() {
        for (expires_in, seconds) in [
            (r#","expires_in":3600"#, 3540),
            (r#","expires_in":"3600""#, 3540),
            ("", 3540),
            (r#","expires_in":null"#, 3540),
            (r#","expires_in":100"#, 50),
            (r#","expires_in":10"#, 5),
            (r#","expires_in":3600.0"#, 3540),
            (r#","expires_in":"3600.5""#, 3540),
            (r#","expires_in":3.6e3"#, 3540),
            (r#","expires_in":1e300"#, 24 * 3600 - 60),
            // Nothing that can be true: as if it were not there.
            (r#","expires_in":-1"#, 3540),
            (r#","expires_in":0"#, 3540),
            (r#","expires_in":"""#, 3540),
            (r#","expires_in":"soon""#, 3540),
            (r#","expires_in":"NaN""#, 3540),
            (r#","expires_in":[]"#, 3540),
            (r#","expires_in":{}"#, 3540),
            (r#","expires_in":true"#, 3540),
        ] {
            let json = format!(r#"{{"access_token":"t0k3n","token_type":"Bearer","scope":"public"{expires_in}}}"#);
            assert_eq!(granted(&json), Ok(("t0k3n".to_owned(), seconds)), "{json}");
        }
        assert!(granted(r#"{"access_token":"t","token_type":"bearer"}"#).is_ok());
        assert!(granted(r#"{"access_token":"t"}"#).is_ok());
        assert!(granted(r#"{"access_token":"t","token_type":null}"#).is_ok());
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        for json in [
            "[]",
            "{}",
            r#"{"token":"t"}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":null}"#,
            r#"{"access_token":"a b"}"#,
            r#"{"access_token":"a\r\nX: y"}"#,
            r#"{"access_token":"t","token_type":"mac"}"#,
        ] {
            assert!(matches!(granted(json), Err(Malformed::Shape(_))), "{json}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_ends_a_tokens_use() {
        let at = LocalMillis::new;
        let token = Token { text: "t".into(), asked_at: at(1000), renew_at: at(2000) };
        assert_eq!([999, 1000, 1999, 2000].map(|now| token.is_usable(at(now))), [false, true, true, false]);
    }

    #[test]
    fn only_words_of_the_standard_reject_the_credential() {
        assert_eq!(rejection(r#"{"error":"invalid_client","error_description":"x"}"#), Some("invalid_client"));
        for json in [r#"{"error":"invalid_scope"}"#, r#"{"error":["invalid_client"]}"#, "{}", "[]"] {
            assert_eq!(rejection(json), None, "{json}");
        }
    }
}
