//! One call, with another token if the first is rejected, and what a refusal means.

use reqwest::StatusCode;
use reqwest::header::WWW_AUTHENTICATE;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials};

use super::token::Token;
use super::{Fieldly, answer};
use crate::http::{Answer, Problem, Request, Terms, Words};

/// What a person can do about a bound that is refused...
pub(super) const FILTER_STEP: &str = "the vendor refuses the lower bound: set updated_filters of this stream to its name of the filter for \
                           changes, or to null (the list is then read whole each time), or filter_formats to date";
/// ...about a right that is missing...
const RIGHT_STEP: &str = "ask Fieldly's support whether this client may read this list, or turn the stream off";
/// ...and about a client whose tokens are good for nothing.
const TOKEN_STEP: &str = "nothing if it passes: another program of the same client may have ended the token; else ask Fieldly's \
                          support whether the API is activated for this account, or give each program a client of its own";

/// One call, without the token that it is made with.
pub(super) struct Call<'a> {
    /// Names it in errors and logs.
    pub(super) name: String,
    pub(super) segments: Vec<&'a str>,
    pub(super) query: Vec<(&'a str, &'a str)>,
    pub(super) terms: Terms,
    /// Which page of a list it asks for.
    pub(super) page: Option<u32>,
}

impl<C: Clock, K: Credentials> Fieldly<C, K> {
    /// Makes a call, with another token if the first is rejected.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, SourceFailure> {
        self.credential
            .with(&call.name, async |credential| {
                let token = self.tokens.token(&self.http, credential, None).await?;
                let answer = self.send(call, &token).await?;
                if !is_token_rejected(&answer) {
                    return Ok(answer);
                }
                tracing::debug!(call = call.name, "the access token was rejected; asking for another one");
                let token = self.tokens.token(&self.http, credential, Some(&token)).await?;
                let answer = self.send(call, &token).await?;
                if is_token_rejected(&answer) {
                    let cause =
                        format!("{}: the vendor rejects a token that it has just granted (status 401)", call.name);
                    return Err(SourceFailure::new(FailureClass::Transient, cause).with_next_step(TOKEN_STEP));
                }
                Ok(answer)
            })
            .await
    }

    async fn send(&self, call: &Call<'_>, token: &Token) -> Result<Answer, SourceFailure> {
        let turn = self.http.turn().await;
        let request = Request {
            call: &call.name,
            segments: &call.segments,
            query: &call.query,
            credential: token.header(),
            form: None,
            terms: call.terms,
        };
        self.http.send(turn, request).await.map_err(|problem| call.failure(problem))
    }
}

/// Whether an answer says that the token is not good (RFC 6750): in its body, or in a header alone, as frameworks do.
/// Another's 401 says nothing about a token.
fn is_token_rejected(answer: &Answer) -> bool {
    let is_bearers = || {
        let scheme = answer.headers.get(WWW_AUTHENTICATE)?.to_str().ok()?.split_ascii_whitespace().next()?;
        Some(scheme.eq_ignore_ascii_case("bearer"))
    };
    answer.status == StatusCode::UNAUTHORIZED && (answer.words == Words::Vendors || is_bearers() == Some(true))
}

impl Call<'_> {
    fn failure(&self, problem: Problem) -> SourceFailure {
        problem.into_failure(&self.name, self.terms.purpose)
    }

    /// What a refusal means, and which parameters it refuses.
    pub(super) fn refused(
        &self,
        problem: Problem,
        status: StatusCode,
        body: &[u8],
        filter: Option<&str>,
    ) -> SourceFailure {
        let is_unprocessable = status == StatusCode::UNPROCESSABLE_ENTITY;
        let refused = if is_unprocessable { answer::refused_parameters(body, &self.query) } else { Vec::new() };
        let mut failure = self.failure(problem);
        if !refused.is_empty() {
            failure.cause = format!("{}, which refuses {}", failure.cause, refused.join(", "));
        }
        if failure.class == FailureClass::Forbidden {
            if filter.is_some_and(|filter| refused.contains(&filter)) {
                return failure.with_next_step(FILTER_STEP);
            }
            if status == StatusCode::FORBIDDEN {
                return failure.with_next_step(RIGHT_STEP);
            }
        }
        failure
    }
}
