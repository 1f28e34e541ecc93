//! Fieldly: numbered pages of whole rows, behind OAuth 2.0 client credentials.
//!
//! Four object types, each a stream. A list answers up to 50 whole rows of those changed since a bound, in an order that
//! nobody wrote down, so the engine walks the pages forth and back; a record is fetched alone only when its row could not
//! be stored. Each row bears its stamp. Deletions are not listed, and a record that is gone is answered with a 404.
//!
//! Relations are partial copies: a client inside a work item says nothing about the client's own record, and a change of
//! the client need not touch the work item. Money stays in cents, time in seconds, distance in metres, instants in UTC.
//!
//! How one could get it wrong: end a list as the guide's own sample does (see `answer.rs`), take a record's serial number
//! for its id, let every call ask for a token of its own (see `token.rs`), or believe that the filter was heeded.
//!
//! Source: the "Fieldly Public API" guide; what it leaves open is in [`FieldlySettings`].

mod answer;
mod basic;
mod object_types;
mod settings;
mod token;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::StatusCode;
use tidemark_engine::change::{Change, Detail, Found, ListRequest, Page};
use tidemark_engine::checkpoint::Position;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{ListShape, SourceKind, StreamName, StreamTraits};

use self::answer::Asked;
use self::object_types::OBJECT_TYPES;
pub use self::settings::FieldlySettings;
use self::settings::{FilterFormat, Resource};
use self::token::{Token, Tokens};
use crate::credential::{self, Keeper};
use crate::http::{
    Answer, BaseUrl, DETAIL_BYTES_MAX, HttpClient, PAGE_BYTES_MAX, Problem, Purpose, Request, RequestsPerSecond, Terms,
};
use crate::json::{self, Malformed};

/// How far below the bound a row may be stamped without a doubt about the filter: stamps may lack their milliseconds.
const FILTER_TOLERANCE: Duration = Duration::from_secs(1);

/// A Fieldly account.
pub struct Fieldly<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 2>,
    tokens: Tokens,
    settings: FieldlySettings,
    streams: Vec<StreamTraits>,
    /// Streams of which it was said that their filter is not heeded.
    unfiltered: Mutex<BTreeSet<StreamName>>,
}

/// A client's id and secret.
type Credential = credential::Credential<2>;

/// One call, without the token that it is made with.
struct Call<'a> {
    /// Names it in errors and logs.
    name: String,
    segments: Vec<&'a str>,
    query: Vec<(&'a str, &'a str)>,
    terms: Terms,
}

/// The streams of every Fieldly account under these settings.
pub(crate) fn streams(settings: &FieldlySettings) -> Vec<StreamTraits> {
    settings
        .resources
        .iter()
        .map(|resource| StreamTraits {
            name: resource.stream.clone(),
            shape: ListShape::Pages,
            stamped: resource.updated_field.is_some(),
            filtered: resource.updated_filter.is_some(),
            first: Position::At(settings.first_checkpoint),
        })
        .collect()
}

/// The names of the streams alone.
pub(crate) fn stream_names() -> Vec<StreamName> {
    OBJECT_TYPES.iter().map(|object_type| object_type.stream.clone()).collect()
}

impl<C: Clock, K: Credentials> Fieldly<C, K> {
    /// A source for the account at `base`: `https://api.fieldly.com`, with or without the `/api/public/v1` below which
    /// the resources are.
    pub fn new(base: BaseUrl, settings: FieldlySettings, rate: RequestsPerSecond, credentials: K, clock: C) -> Self {
        let http = HttpClient::new(base.or_path("/api/public/v1"), rate, clock);
        let tokens = Tokens::new(settings.token_path.clone(), settings.token_renew_margin);
        let streams = streams(&settings);
        let credential = Keeper::new(["client_id", "client_secret"], credentials);
        Self { http, credential, tokens, settings, streams, unfiltered: Mutex::default() }
    }

    fn resource(&self, stream: &StreamName) -> Result<&Resource, SourceFailure> {
        let known = self.settings.resources.iter().find(|resource| resource.stream == *stream);
        known.ok_or_else(|| SourceFailure::new(FailureClass::Forbidden, format!("Fieldly has no stream {stream}")))
    }

    /// Makes a call, with another token if the first is rejected, and with another credential if that does not help.
    async fn call(&self, call: &Call<'_>) -> Result<Answer, SourceFailure> {
        self.credential
            .with(&call.name, async |credential| {
                let token = self.tokens.token(&self.http, credential, None).await?;
                let answer = self.send(call, &token).await?;
                if answer.status != StatusCode::UNAUTHORIZED {
                    return Ok(answer);
                }
                tracing::info!(call = call.name, "the access token was rejected; asking for another one");
                let token = self.tokens.token(&self.http, credential, Some(&token)).await?;
                let answer = self.send(call, &token).await?;
                match answer.problem() {
                    Some(problem) if answer.status == StatusCode::UNAUTHORIZED => Err(call.failure(problem)),
                    Some(_) | None => Ok(answer),
                }
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

    /// Says once of each stream that its filter is not heeded: it is then listed whole each time, which costs calls and
    /// loses nothing.
    fn doubt_filter(&self, resource: &Resource, changes: &[Change], bound: UtcMillis) {
        let oldest = bound.minus(FILTER_TOLERANCE);
        let older_count = changes.iter().filter(|change| change.stamp().is_some_and(|stamp| stamp.at < oldest)).count();
        let Some(filter) = resource.updated_filter.as_deref().filter(|_| older_count > 0) else { return };
        let mut told = self.unfiltered.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(resource.stream.clone()) {
            tracing::warn!(
                stream = %resource.stream,
                filter,
                older_count,
                "the vendor lists rows older than asked for: it does not heed this filter, see updated_filters in \
                 FieldlySettings; every poll now lists everything"
            );
        }
    }
}

impl Call<'_> {
    fn failure(&self, problem: Problem) -> SourceFailure {
        problem.into_failure(&self.name, self.terms.purpose)
    }

    /// A list's failure is never one record's, and neither is one of an answer that cannot be read at all.
    fn malformed(&self, malformed: Malformed) -> SourceFailure {
        let is_the_records = self.terms.purpose == Purpose::Detail && !malformed.is_unreadable();
        let class = if is_the_records { FailureClass::Record } else { FailureClass::Transient };
        SourceFailure::new(class, format!("{}: {malformed}", self.name))
    }

    /// The body of a successful answer.
    fn json(&self, answer: Answer) -> Result<String, SourceFailure> {
        let Some(problem) = answer.problem() else {
            return json::checked(answer.body).map_err(|malformed| self.malformed(malformed));
        };
        let refused = if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            answer::refused_parameters(&answer.body, &self.query)
        } else {
            Vec::new()
        };
        let mut failure = self.failure(problem);
        if !refused.is_empty() {
            failure.cause = format!("{}, which refuses {}", failure.cause, refused.join(", "));
        }
        Err(failure)
    }
}

impl<C: Clock, K: Credentials> Source for Fieldly<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::Fieldly
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let resource = self.resource(stream)?;
        let name = format!("GET /{}?page=..", resource.path.join("/"));
        let ListRequest::Page { from, page } = request else {
            let cause = format!("{name}: Fieldly lists pages, neither everything at once nor events");
            return Err(SourceFailure::new(FailureClass::Forbidden, cause));
        };
        let per_page = self.settings.per_page;
        let (page_text, per_page_text) = (page.to_string(), per_page.to_string());
        let bound = Bound::of(from, resource.filter_format);
        let mut query = vec![("page", page_text.as_str()), ("per_page", per_page_text.as_str())];
        query.extend(resource.updated_filter.as_deref().map(|filter| (filter, bound.text.as_str())));
        query.extend(resource.query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let segments = resource.path.iter().map(String::as_str).collect();
        let terms = Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX };
        let call = Call { name, segments, query, terms };

        let answer = self.call(&call).await?;
        let date = answer.date;
        let json = call.json(answer)?;
        let asked = Asked { resource, page, per_page, metadata_key: self.settings.metadata_key.as_deref() };
        let rows = answer::rows(&json, asked).map_err(|malformed| call.malformed(malformed))?;
        self.doubt_filter(resource, &rows.changes, bound.at);
        let answer::Rows { changes, unusable_count, pages_total } = rows;
        Ok(Page { changes, pages_total, date, unusable_count, ..Page::default() })
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let resource = self.resource(stream)?;
        let name = format!("GET /{}/..", resource.path.join("/"));
        if matches!(id.as_str(), "." | "..") {
            // As part of an address these would name another one.
            return Err(SourceFailure::new(FailureClass::Record, format!("{name}: an id that no address can hold")));
        }
        let segments = resource.path.iter().map(String::as_str).chain([id.as_str()]).collect();
        let terms = Terms { purpose: Purpose::Detail, bytes_max: DETAIL_BYTES_MAX };
        let call = Call { name, segments, query: Vec::new(), terms };

        let answer = self.call(&call).await?;
        let date = answer.date;
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            // A page for people is no word of the vendor's about a record.
            return match json::checked(answer.body) {
                Err(Malformed::Html) => Err(call.malformed(Malformed::Html)),
                Ok(_) | Err(_) => Ok(Detail { found: Found::Gone, date }),
            };
        }
        let json = call.json(answer)?;
        let answer::Found { id, body, stamp } =
            answer::detail(&json, resource).map_err(|malformed| call.malformed(malformed))?;
        Ok(Detail { found: Found::Record { id, body, stamp }, date })
    }
}

/// The lower bound of a list as it is sent, and the instant that this means.
struct Bound {
    text: String,
    at: UtcMillis,
}

impl Bound {
    fn of(from: UtcMillis, format: FilterFormat) -> Self {
        let instant = Timestamp::from_millisecond(from.get()).unwrap_or(Timestamp::MIN).to_zoned(TimeZone::UTC);
        match format {
            FilterFormat::Datetime => Self { text: instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(), at: from },
            FilterFormat::Date => {
                let day = instant.date().yesterday().unwrap_or(instant.date());
                let starts_at = day
                    .to_zoned(TimeZone::UTC)
                    .map_or(from, |start| UtcMillis::new(start.timestamp().as_millisecond()));
                Self { text: day.to_string(), at: starts_at }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_of_days_starts_a_whole_day_early() {
        let bound = |text: &str, format| {
            let at: Timestamp = text.parse().unwrap();
            let bound = Bound::of(UtcMillis::new(at.as_millisecond()), format);
            (bound.text, bound.at.to_string())
        };
        for (from, text, at) in [
            ("2026-01-15T10:00:00Z", "2026-01-14", "2026-01-14T00:00:00Z"),
            ("2026-01-15T00:00:00Z", "2026-01-14", "2026-01-14T00:00:00Z"),
            ("2026-03-01T23:59:59.999Z", "2026-02-28", "2026-02-28T00:00:00Z"),
        ] {
            assert_eq!(bound(from, FilterFormat::Date), (text.to_owned(), at.to_owned()));
        }
        let (text, at) = bound("2026-01-15T10:00:00.05Z", FilterFormat::Datetime);
        assert_eq!((text.as_str(), at.as_str()), ("2026-01-15T10:00:00.050Z", "2026-01-15T10:00:00.05Z"));
    }
}
