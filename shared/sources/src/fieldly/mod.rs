//! Fieldly: numbered pages of whole rows, behind OAuth 2.0 client credentials.
//!
//! Each object type is a stream, those that the settings name among them. A list answers up to 50 whole rows of those
//! changed since a bound, in an order that nobody wrote down, so the engine walks the pages forth and back; a record is
//! fetched alone only when its row could not be stored. Each row has its stamp. Deletions are not listed, and a record
//! that is gone is answered with a 404 in the vendor's own words.
//!
//! A first import sends no bound, so that rows without a stamp are imported, too; then it compares once what a bound shows
//! (`rows/probe.rs`).
//!
//! Relations are partial copies: a client inside a work item says nothing about the client's own record, and a change of
//! the client need not touch the work item. Money stays in cents, time in seconds, distance in metres, instants in UTC.
//!
//! How one could get it wrong: end a list as the guide's own sample does (see `answer.rs`), take a record's serial number
//! for its id, let every call ask for a token of its own (see `token.rs`), or believe that the filter was applied.
//!
//! Source: the "Fieldly Public API" guide; what it leaves open is in [`FieldlySettings`].

mod answer;
mod basic;
mod call;
mod settings;
pub(crate) mod streams;
mod token;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use reqwest::StatusCode;
use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;

use self::answer::Asked;
use self::call::{Call, FILTER_STEP};
pub use self::settings::FieldlySettings;
pub(crate) use self::settings::FieldlySettings as Settings;
use self::settings::{FilterFormat, Resource};
use self::token::Tokens;
use crate::account::Account;
use crate::credential::{self, Keeper};
use crate::http::{
    Answer, BaseUrl, DETAIL_BYTES_MAX, HttpClient, PAGE_BYTES_MAX, Purpose, RequestsPerSecond, Terms, Words,
};
use crate::json::{self, Object};
use crate::rows::{self, Honoured, Listed, Rows, Sent, Told, tell_of_odd};
use crate::time;

/// How far below the bound a row may be stamped without a doubt about the filter: stamps may lack their milliseconds.
const FILTER_TOLERANCE: Duration = Duration::from_secs(1);
/// What a person can do about a bound that is not applied.
const BOUND_STEP: &str = "set updated_filters of this stream to the vendor's name of the filter for changes, or to null (the list \
                          is then read whole each time), or filter_formats to date; nothing is imported before";

/// What the names of its parameters and outputs begin with.
pub(crate) const PREFIX: &str = "Fieldly";
/// What the secret holds.
pub(crate) const SECRET: [&str; 2] = ["client_id", "client_secret"];

/// A Fieldly account.
pub struct Fieldly<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 2>,
    tokens: Tokens,
    settings: FieldlySettings,
    streams: Vec<StreamTraits>,
    honoured: Honoured,
    told: Told,
    /// Streams of which it was said that their filter is not applied.
    unfiltered: Mutex<BTreeSet<StreamName>>,
}

/// A client's id and secret.
type Credential = credential::Credential<2>;

impl<C: Clock, K: Credentials> Fieldly<C, K> {
    /// A source for the account at `base`: `https://api.fieldly.com`, with or without the `/api/public/v1` below which
    /// the resources are.
    pub fn new(base: BaseUrl, settings: FieldlySettings, rate: RequestsPerSecond, credentials: K, clock: C) -> Self {
        let http = HttpClient::new(base.or_path("/api/public/v1"), rate, answer::is_own_error, clock);
        let tokens = Tokens::new(settings.token_path.clone(), settings.token_renew_margin);
        let streams = streams::traits(&settings);
        let credential = Keeper::new(SECRET, credentials);
        let (honoured, told, unfiltered) = (Honoured::default(), Told::default(), Mutex::default());
        Self { http, credential, tokens, settings, streams, honoured, told, unfiltered }
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
        let ListRequest::Page(from, page) = request else {
            let path = resource.path.join("/");
            let cause = format!("GET /{path}: Fieldly lists pages, neither everything at once nor events");
            return Err(SourceFailure::new(FailureClass::Forbidden, cause));
        };
        let is_filtered = resource.updated_filter.is_some();
        let is_first_import = from <= self.settings.first_checkpoint;
        let bound = Some(from).filter(|_| is_filtered && !(is_first_import && self.settings.imports_all()));
        let mut listed = self.rows(resource, page, bound).await?;
        if let Listed::Rows(rows, _) = &mut listed {
            let corrected = self.told.correct(stream, from, page, bound.is_some(), rows);
            let call = || format!("GET /{}?page={page}", resource.path.join("/"));
            corrected.map_err(|malformed| malformed.into_failure(&call(), Purpose::List))?;
            if is_first_import && page == 1 {
                self.check_applied(resource, bound, rows).await?;
            }
        }
        Ok(listed.into_page())
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let resource = self.resource(stream)?;
        let call = Call {
            name: format!("GET /{}/..", resource.path.join("/")),
            segments: resource.path.iter().map(String::as_str).chain([id.as_str()]).collect(),
            query: Vec::new(),
            terms: Terms { purpose: Purpose::Detail, bytes_max: DETAIL_BYTES_MAX },
            page: None,
        };
        let answer = self.call(&call).await?;
        let (date, status, words) = (answer.date, answer.status, answer.words);
        if status == StatusCode::NO_CONTENT {
            return Ok(Detail { found: Found::Missing, date });
        }
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            // In the vendor's documented words it is gone; nobody's words, or a framework's, may be about the address.
            match words {
                Words::Vendors if answer::says_gone(&answer.body) => return Ok(Detail { found: Found::Gone, date }),
                Words::Vendors | Words::Nobodys => return Ok(Detail { found: Found::Missing, date }),
                Words::Page | Words::Text | Words::OtherJson => {}
            }
        }
        if let Some(problem) = answer.problem() {
            return Err(call.refused(problem, status, &answer.body, None));
        }
        let found = json::checked(answer.body).and_then(|json| answer::detail(&json, resource));
        let found = found.map_err(|malformed| malformed.into_failure(&call.name, Purpose::Detail))?;
        Ok(Detail { found, date })
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        let account = Account::of(self.kind(), self.http.base()).with("client_id", self.credential.key_id().await?);
        Ok(self.settings.tell_of_lists(account).mark())
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        time::reading(at)
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        let is_stamped = self.resource(stream).is_ok_and(|resource| resource.updated_field.is_some());
        is_stamped.then(|| answer::stamp(text))?
    }
}

impl<C, K> Shown for Fieldly<C, K> {}

impl<C: Clock, K: Credentials> Fieldly<C, K> {
    fn resource(&self, stream: &StreamName) -> Result<&Resource, SourceFailure> {
        let known = self.settings.resources.iter().find(|resource| resource.stream == *stream);
        known.ok_or_else(|| SourceFailure::new(FailureClass::Forbidden, format!("Fieldly has no stream {stream}")))
    }

    /// Says once of each stream that its filter is not applied: it is then listed whole each time, which costs calls and
    /// loses nothing.
    fn doubt_filter(&self, resource: &Resource, rows: &Rows, bound: StampMillis) {
        let older_count = rows.count_before(bound.minus(FILTER_TOLERANCE));
        let Some(filter) = resource.updated_filter.as_deref().filter(|_| older_count > 0) else { return };
        let mut told = self.unfiltered.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(resource.stream.clone()) {
            tracing::warn!(
                stream = %resource.stream,
                filter,
                older_count,
                "the vendor lists rows older than asked for: it does not apply this filter, see updated_filters in \
                 FieldlySettings; every poll now lists everything"
            );
        }
    }

    /// One page of a list, of what changed after `bound` if there is one.
    async fn rows(&self, resource: &Resource, page: u32, bound: Option<StampMillis>) -> Result<Listed, SourceFailure> {
        let (page_text, per_page) = (page.to_string(), self.settings.per_page.to_string());
        let bound = bound.map(|from| Bound::of(from, resource.filter_format));
        let filter = resource.updated_filter.as_deref();
        let mut query = vec![("page", page_text.as_str()), ("per_page", per_page.as_str())];
        query.extend(bound.as_ref().and_then(|bound| Some((filter?, bound.text.as_str()))));
        query.extend(resource.query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let call = Call {
            name: format!("GET /{}?page={page}", resource.path.join("/")),
            segments: resource.path.iter().map(String::as_str).collect(),
            query,
            terms: Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX },
            page: Some(page),
        };
        let mut answer = self.call(&call).await?;
        let is_refused = |answer: &Answer| {
            let error = str::from_utf8(&answer.body).ok().and_then(Object::of);
            answer.problem().is_some()
                && rows::is_beyond_the_end(call.page, answer.status, answer.words, error.as_ref())
        };
        if is_refused(&answer) {
            // It may be the end, so it is asked once more: one refusal may be a slip.
            answer = self.call(&call).await?;
        }
        let (date, status) = (answer.date, answer.status);
        if status == StatusCode::NO_CONTENT {
            return Ok(Listed::Rows(Rows::default(), date));
        }
        if let Some(problem) = answer.problem() {
            let failure = call.refused(problem, status, &answer.body, filter);
            let is_the_filters = failure.next_step == Some(FILTER_STEP);
            return if is_refused(&answer) && !is_the_filters { Ok(Listed::Refused(date)) } else { Err(failure) };
        }
        let asked = Asked { resource, page, metadata_key: self.settings.metadata_key.as_deref() };
        let rows = Sent::of(answer.body).and_then(|sent| answer::rows(&sent, asked));
        let rows = rows.map_err(|malformed| malformed.into_failure(&call.name, Purpose::List))?;
        tell_of_odd(&resource.stream, page, &rows);
        if let Some(bound) = bound {
            self.doubt_filter(resource, &rows, bound.at);
        }
        Ok(Listed::Rows(rows, date))
    }

    /// On a first import: refuses a list whose bound is not applied.
    async fn check_applied(
        &self,
        resource: &Resource,
        bound: Option<StampMillis>,
        rows: &Rows,
    ) -> Result<(), SourceFailure> {
        let Some(filter) = &resource.updated_filter else { return Ok(()) };
        let first_page = async |bound| Ok(self.rows(resource, 1, bound).await?.into_rows());
        if self.honoured.is_applied(&resource.stream, bound, rows, first_page).await? {
            return Ok(());
        }
        let cause = format!(
            "GET /{}: with {filter} the list does not show what it shows without, so that changes would never be seen",
            resource.path.join("/")
        );
        Err(SourceFailure::new(FailureClass::Forbidden, cause).with_next_step(BOUND_STEP))
    }
}

/// The lower bound of a list as it is sent, and the instant that this means.
struct Bound {
    text: String,
    at: StampMillis,
}

impl Bound {
    fn of(from: StampMillis, format: FilterFormat) -> Self {
        let bound = time::bound(from);
        match format {
            FilterFormat::Datetime => Self { text: bound.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(), at: from },
            FilterFormat::Date => {
                let date = bound.to_zoned(TimeZone::UTC).date();
                let day = date.yesterday().unwrap_or(date);
                let starts_at = day
                    .to_zoned(TimeZone::UTC)
                    .map_or(from, |start| StampMillis::new(start.timestamp().as_millisecond()));
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
            let at: jiff::Timestamp = text.parse().unwrap();
            let bound = Bound::of(StampMillis::new(at.as_millisecond()), format);
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
