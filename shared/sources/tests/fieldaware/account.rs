//! What the tests share: a fake vendor, the source that reads it, and the secret that the source reads.

use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fakes::fieldaware::{FakeFieldAware, FieldAwareOptions, Settings};
use tidemark_fakes::{Change, Fake};
use tidemark_sources::registry::{self, AnySource, SourceConfig};

use crate::log::collect_log;
use crate::support::{SharedKeys, VendorTime, shown};

pub(crate) const TOKEN: &str = "9dcae3660ec84eac94bb506e09a9af40";
pub(crate) const CHANGES: StreamName = StreamName::known("changes");
pub(crate) const RECORD_STREAMS: [&str; 14] = [
    "jobs",
    "web_quotes",
    "field_quotes",
    "items",
    "tasks",
    "customers",
    "locations",
    "contacts",
    "assets",
    "invoices",
    "users",
    "unavailable_times",
    "unavailable_time_types",
    "working_hours_exceptions",
];

pub(crate) fn secret(token: &str) -> String {
    format!("{{\"token\":\"{token}\"}}\n")
}

pub(crate) type FieldAware = AnySource<VendorTime, SharedKeys>;

pub(crate) struct Account {
    pub(crate) vendor: FakeFieldAware,
    pub(crate) source: FieldAware,
    pub(crate) keys: SharedKeys,
}

/// An account at a vendor with these quirks.
pub(crate) async fn account_at(quirks: impl FnOnce(&mut Settings), settings: &str) -> Account {
    collect_log();
    let mut options = FieldAwareOptions { token: TOKEN.to_owned(), ..FieldAwareOptions::default() };
    quirks(&mut options.settings);
    let vendor = FakeFieldAware::start_with(options).await.unwrap();
    vendor.freeze_clock();
    let keys = SharedKeys::new(&secret(TOKEN));
    let source = source_at(vendor.url(), &vendor, settings, &keys);
    Account { vendor, source, keys }
}

pub(crate) async fn account(settings: &str) -> Account {
    account_at(|_| {}, settings).await
}

pub(crate) fn source_at(url: &str, clock: &Fake, settings: &str, keys: &SharedKeys) -> FieldAware {
    let config = SourceConfig { kind: SourceKind::FieldAware, base_url: url, settings, requests_per_second: "100000" };
    registry::build(config, keys.clone(), VendorTime(clock.clone())).unwrap()
}

pub(crate) fn id(text: &str) -> RecordId {
    RecordId::parse(text).unwrap()
}

pub(crate) fn ids(page: &Page) -> Vec<&str> {
    page.changes.iter().map(|change| change.id.as_str()).collect()
}

impl Account {
    pub(crate) async fn list(&self, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        self.source.list(&CHANGES, request).await
    }

    pub(crate) async fn newest_token(&self) -> String {
        self.list(ListRequest::NewestToken).await.unwrap().next.unwrap()
    }

    pub(crate) async fn try_events(&self, token: &str) -> Result<Page, SourceFailure> {
        self.list(ListRequest::Events(token)).await
    }

    pub(crate) async fn events(&self, token: &str) -> Page {
        self.try_events(token).await.unwrap()
    }

    /// The locators of all events from a token to the feed's end, and the token there. Ends as the engine does.
    pub(crate) async fn followed(&self, token: &str) -> (Vec<String>, String) {
        let (mut all, mut token) = (Vec::new(), token.to_owned());
        for _ in 0..1000 {
            let page = self.events(&token).await;
            all.extend(ids(&page).into_iter().map(str::to_owned));
            let next = page.next.clone().unwrap();
            if page.is_end {
                return (all, next);
            }
            token = next;
        }
        panic!("the feed does not end");
    }

    pub(crate) async fn try_fetch(&self, locator: &str) -> Result<Detail, SourceFailure> {
        self.source.fetch(&CHANGES, &id(locator)).await
    }

    /// The id and body of a record.
    pub(crate) async fn fetched(&self, locator: &str) -> (String, String) {
        match self.try_fetch(locator).await.unwrap().found {
            Found::Record { id, body, stamp } => {
                assert_eq!(stamp, None);
                (id.as_str().to_owned(), body.text().to_owned())
            }
            Found::Gone | Found::Missing => panic!("{locator} is gone"),
        }
    }

    /// Every page of a snapshot's locators, in order.
    pub(crate) async fn snapshot(&self) -> Vec<Vec<String>> {
        let (mut pages, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = self.list(ListRequest::Snapshot(cursor.as_deref())).await.unwrap();
            assert_eq!(page.unusable_count, 0);
            pages.push(ids(&page).into_iter().map(str::to_owned).collect());
            match page.next {
                Some(next) => cursor = Some(next),
                None => return pages,
            }
        }
    }

    /// The records of a snapshot as (stream, id), each once, sorted.
    pub(crate) async fn imported(&self) -> Vec<(String, String)> {
        let mut records: Vec<(String, String)> =
            self.snapshot().await.concat().iter().map(|locator| self.record_of(locator)).collect();
        records.sort();
        records.dedup();
        records
    }

    pub(crate) fn record_of(&self, locator: &str) -> (String, String) {
        let (stream, id) = self.source.record_of(&CHANGES, &id(locator)).unwrap();
        (stream.as_str().to_owned(), id.as_str().to_owned())
    }

    /// The vendor's records as (stream, id), sorted.
    pub(crate) fn truth(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for stream in RECORD_STREAMS {
            let truth = self.vendor.truth(stream).unwrap().into_iter().filter(|(_, record)| !record.deleted);
            all.extend(truth.map(|(id, _)| (stream.to_owned(), id)));
        }
        all.sort();
        all
    }

    pub(crate) fn edit(&self, stream: &str, id: &str) {
        self.vendor.edit(Change::of(stream, id)).unwrap();
    }

    /// The functions asked for since the last reset, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.vendor.requests().into_iter().map(|request| request.function).collect()
    }
}

/// No failure shows a credential, an id or an address.
pub(crate) fn assert_harmless(failure: &SourceFailure) {
    let shown = shown(failure);
    for secret in [TOKEN, "127.0.0.1", "jane@example.com", "7cc5e2d8879a43829dcc07655f5ca606", "63182001"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
