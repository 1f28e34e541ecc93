//! FieldAware: a feed of events behind a token, and one detail call for each record that an event names.
//!
//! One stream is polled, `changes`. Its events tell which record was created, updated or deleted, never how; they spread
//! into a record stream for each class of entities (see `streams.rs`). A listed id is a locator, the record stream and
//! the path of the record (see `locator.rs`). Details have no time of their last edit; an event has one.
//!
//! Addresses in answers are never requested, only their paths are, at the configured host (see `path.rs`).
//!
//! A first import takes a token, lists everything there is (see `snapshot.rs`), and goes on from the token.
//!
//! How one could get it wrong: take a page that holds no event of a copied class for the end of the feed; compute a token from the
//! ids of events; take a short page for the last one (pages are always smaller than asked for); tell a quote from a job by
//! its address; forget the filters on a follow-up, which the vendor's addresses do.
//!
//! Source: FieldAware's "Change Tracking" guide, and `api.fieldaware.net/doc`; what they leave open is in
//! [`FieldAwareSettings`].

mod actions;
mod answer;
mod call;
mod circle;
mod cursor;
mod events;
pub(crate) mod locator;
mod path;
mod settings;
pub(crate) mod snapshot;
pub(crate) mod streams;

use reqwest::StatusCode;
use tidemark_engine::change::{Detail, Found, Later, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;
use tidemark_sweep::state::Absence;

use self::call::{Call, Got, Outcome};
use self::circle::Circle;
use self::events::EventPage;
use self::locator::Locator;
use self::path::{Path, is_token};
pub use self::settings::FieldAwareSettings;
pub(crate) use self::settings::FieldAwareSettings as Settings;
use self::streams::{Class, List};
use crate::account::Account;
use crate::credential::Keeper;
use crate::http::{BaseUrl, DETAIL_BYTES_MAX, HttpClient, PAGE_BYTES_MAX, Purpose, RequestsPerSecond, Terms, Words};
use crate::time::reading;

const LIST: Terms = Terms { purpose: Purpose::List, bytes_max: PAGE_BYTES_MAX };
const DETAIL: Terms = Terms { purpose: Purpose::Detail, bytes_max: DETAIL_BYTES_MAX };

/// The address of a page of events.
const EVENTS: &str = "/changes/{token}/";

/// What a person can do about a feed that goes in circles.
const CIRCLE_STEP: &str = "ask the vendor why its change feed leads back; if it has begun another one, run `tidemark \
     account start-again fieldaware`";

/// What the names of its parameters and outputs begin with.
pub(crate) const PREFIX: &str = "FieldAware";
/// What the secret holds.
pub(crate) const SECRET: [&str; 1] = ["token"];

/// A FieldAware account.
pub struct FieldAware<C, K> {
    http: HttpClient<C>,
    credential: Keeper<K, 1>,
    settings: FieldAwareSettings,
    streams: Vec<StreamTraits>,
    circle: Circle,
}

impl<C: Clock, K: Credentials> FieldAware<C, K> {
    /// A source for the account at `base`, `https://api.fieldaware.net`.
    pub fn new(base: BaseUrl, settings: FieldAwareSettings, rate: RequestsPerSecond, credentials: K, clock: C) -> Self {
        let http = HttpClient::new(base, rate, answer::is_own_error, clock);
        let streams = streams::traits(&settings);
        Self { http, credential: Keeper::new(SECRET, credentials), settings, streams, circle: Circle::default() }
    }
}

impl<C: Clock, K: Credentials> Source for FieldAware<C, K> {
    fn kind(&self) -> SourceKind {
        SourceKind::FieldAware
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        streams::known(stream)?;
        match request {
            ListRequest::NewestToken => self.newest_token().await,
            ListRequest::Events(token) => self.events(token).await,
            ListRequest::Snapshot(cursor) => self.snapshot(cursor).await,
            ListRequest::Changed(_) | ListRequest::Page(..) => {
                let cause = "FieldAware lists events behind a token, neither ids since a time nor pages";
                Err(SourceFailure::new(FailureClass::Forbidden, cause))
            }
        }
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        streams::known(stream)?;
        let locator = Locator::parse(id).ok_or_else(not_ours)?;
        let segments = below(self.http.base(), &locator.path);
        let pattern = pattern(locator.class);
        let call = Call { pattern: &pattern, segments: &segments, query: &[], terms: DETAIL };
        match self.get(&call).await? {
            Outcome::Got(Got { json, date, .. }) => {
                let found = json.map_or(Ok(Found::Missing), |json| answer::record(&json));
                Ok(Detail { found: found.map_err(|malformed| call.malformed(malformed))?, date })
            }
            Outcome::Refused {
                status: StatusCode::NOT_FOUND | StatusCode::GONE,
                words,
                is_not_found,
                date,
                failure,
                ..
            } => match words {
                Words::Vendors if is_not_found => Ok(Detail { found: Found::Gone, date }),
                Words::Vendors | Words::Nobodys | Words::Text | Words::OtherJson => {
                    Ok(Detail { found: Found::Missing, date })
                }
                Words::Page => Err(failure),
            },
            Outcome::Refused { failure, .. } => Err(failure),
        }
    }

    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        streams::known(stream)?;
        Locator::parse(id).and_then(|locator| locator.record()).ok_or_else(not_ours)
    }

    fn apart(&self, cursor: Option<&str>) -> Option<(Later, Option<String>)> {
        self.snapshot_apart(cursor)
    }

    fn joined_event(&self, earlier: &Body, later: &Body) -> Body {
        actions::joined(earlier, later)
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        Ok(self.settings.tell_of_lists(Account::of(self.kind(), self.http.base())).mark())
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        reading(at)
    }

    fn stamp(&self, _stream: &StreamName, text: &str) -> Option<Stamp> {
        events::stamp(text)
    }
}

impl<C: Clock, K: Credentials> Shown for FieldAware<C, K> {
    fn swept(&self, _: &StreamName) -> Vec<(StreamName, Absence)> {
        let kept = streams::CLASSES.iter().filter(|class| self.settings.keeps(class));
        kept.map(|class| {
            let is_all = self.settings.lists_all(class);
            (class.records.clone(), if is_all { Absence::Fetched } else { Absence::Unproved })
        })
        .collect()
    }

    fn listed_id(&self, records: &StreamName, id: &RecordId) -> Option<RecordId> {
        locator::listed_id(records, id)
    }
}

impl<C: Clock, K: Credentials> FieldAware<C, K> {
    async fn newest_token(&self) -> Result<Page, SourceFailure> {
        let call = Call { pattern: "/changes/token", segments: &["changes", "token"], query: &[], terms: LIST };
        let Got { json, date, .. } = self.get(&call).await?.got()?;
        let token = events::newest_token(&json.unwrap_or_default()).map_err(|malformed| call.malformed(malformed))?;
        Ok(Page { next: Some(token), date, ..Page::default() })
    }

    /// One page of the events behind a token. The feed ends with a page that leads nowhere else; an empty one that leads
    /// on is passed over by the vendor's filters.
    async fn events(&self, token: &str) -> Result<Page, SourceFailure> {
        let (mut page, mut date) = self.events_page(token).await?;
        let mut end = token.to_owned();
        let leads_nowhere = |page: &EventPage| page.next.as_deref().is_none_or(|next| next == token);
        if leads_nowhere(&page) && !page.is_empty && !page.is_repeat {
            // Nothing leads behind its events. A token that is taken before they are read once more does: none of them lies
            // behind it unread.
            end = self.newest_token().await?.next.unwrap_or(end);
            (page, date) = self.events_page(token).await?;
        }
        if !page.unknown.is_empty() {
            tracing::info!(classes = %page.unknown, "the feed names classes that are not known here; they are skipped");
        }
        let is_end = leads_nowhere(&page);
        let EventPage { changes, next, unusable_count, .. } = page;
        let next = next.filter(|_| !is_end).unwrap_or(end);
        if self.circle.closes(token, &next) {
            let cause = format!("{EVENTS}: the change feed goes in circles: it leads back to where it has led from");
            return Err(SourceFailure::new(FailureClass::Transient, cause).with_next_step(CIRCLE_STEP));
        }
        Ok(Page { changes, next: Some(next), is_end, date, unusable_count, ..Page::default() })
    }

    async fn events_page(&self, token: &str) -> Result<(EventPage, Option<VendorMillis>), SourceFailure> {
        if !is_token(token) {
            return Err(SourceFailure::new(FailureClass::TokenRejected, format!("{EVENTS}: the token is not one")));
        }
        let page_size = self.settings.page_size.map(|size| size.to_string());
        // Sent with every page: the vendor's addresses of next pages have none of it.
        let filters = [
            ("pageSize", page_size.as_deref()),
            ("entityClass", self.settings.entity_class),
            ("status", self.settings.status),
        ];
        let query: Vec<(&str, &str)> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let call = Call { pattern: EVENTS, segments: &["changes", token, ""], query: &query, terms: LIST };
        match self.get(&call).await? {
            Outcome::Got(got) => {
                let page = match &got.json {
                    Some(json) => events::page(json, &self.settings).map_err(|malformed| call.malformed(malformed))?,
                    None => EventPage { is_empty: true, ..EventPage::default() },
                };
                Ok((page, got.date))
            }
            Outcome::Refused { status, words, is_of_call, mut failure, .. } => {
                let may_reject_token = matches!(
                    status,
                    StatusCode::BAD_REQUEST
                        | StatusCode::NOT_FOUND
                        | StatusCode::GONE
                        | StatusCode::UNPROCESSABLE_ENTITY
                );
                // What happens behind a token is lost with it, deletions for good.
                if words == Words::Vendors && may_reject_token && !is_of_call {
                    failure.class = FailureClass::TokenRejected;
                }
                Err(failure)
            }
        }
    }
}

fn not_ours() -> SourceFailure {
    SourceFailure::new(FailureClass::Record, "the id is not the locator of a FieldAware record")
}

/// The segments of a path below the base URL. The addresses of a vendor behind a gateway may begin with its base path.
fn below<'a>(base: &BaseUrl, path: &'a Path) -> Vec<&'a str> {
    let (base, mut segments): (Vec<&str>, Vec<&str>) = (base.segments().collect(), path.segments().collect());
    // A record has a class and an id below the base.
    if segments.starts_with(&base) && segments.len() >= base.len() + 2 {
        segments.drain(..base.len());
    }
    segments
}

/// The usual address of a class's records, for logs: the real one holds ids.
fn pattern(class: &Class) -> String {
    match class.list {
        List::At { detail, .. } => detail.to_owned(),
        List::BelowUsers { segment, .. } => format!("/user/{{uuid}}/{segment}/{{uuid}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_begins_with_the_base_path_is_asked_for_below_it_once() {
        for (base, address, expected) in [
            ("https://h.example", "https://h.example/job/7", "job/7"),
            ("https://h.example/fa", "https://h.example/fa/job/7", "job/7"),
            ("https://h.example/fa/v1/", "/fa/v1/user/1/exception/2", "user/1/exception/2"),
            ("https://h.example/fa", "https://h.example/job/7", "job/7"),
            ("https://h.example/job", "https://h.example/job/7", "job/7"),
            ("https://h.example/fa/v1", "https://h.example/fa/job/7", "fa/job/7"),
        ] {
            let path = Path::of_address(address).unwrap();
            assert_eq!(below(&BaseUrl::parse(base).unwrap(), &path).join("/"), expected, "{base} {address}");
        }
    }
}
