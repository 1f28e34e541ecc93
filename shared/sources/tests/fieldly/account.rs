//! An account with the vendor, and the source that reads it.

use std::time::Duration;

use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fakes::fieldly::{FakeFieldly, FieldlyOptions};
use tidemark_fakes::{Fake, LoggedRequest};
use tidemark_sources::registry::{self, AnySource, SourceConfig};

use crate::log::collect_log;
use crate::support::{SharedKeys, VendorTime};

pub(crate) const STREAMS: [&str; 4] = ["work_items", "clients", "time_reports", "travel_reports"];
pub(crate) const TOKEN: &str = "POST /oauth/token";
/// Before everything, yet not a first import.
pub(crate) const BEGINNING: StampMillis = StampMillis::new(946_684_801_000);

/// A fake vendor, the source that reads it, and the secret that the source reads.
pub(crate) struct Account {
    pub(crate) vendor: FakeFieldly,
    pub(crate) source: AnySource<VendorTime, SharedKeys>,
    pub(crate) keys: SharedKeys,
}

pub(crate) fn secret(client_id: &str, client_secret: &str) -> String {
    format!("{{\"client_id\":\"{client_id}\",\"client_secret\":\"{client_secret}\"}}\n")
}

pub(crate) async fn account(settings: &str) -> Account {
    account_of(settings, "client_id", "client_secret").await
}

pub(crate) async fn account_of(settings: &str, client_id: &str, client_secret: &str) -> Account {
    collect_log();
    let options = FieldlyOptions {
        client_id: client_id.to_owned(),
        client_secret: client_secret.to_owned(),
        ..FieldlyOptions::default()
    };
    let vendor = FakeFieldly::start_with(options).await.unwrap();
    vendor.freeze_clock();
    let keys = SharedKeys::new(&secret(client_id, client_secret));
    let source = source_at(vendor.url(), &vendor, settings, &keys, "100000");
    Account { vendor, source, keys }
}

pub(crate) fn source_at(
    base_url: &str,
    clock: &Fake,
    settings: &str,
    keys: &SharedKeys,
    requests_per_second: &str,
) -> AnySource<VendorTime, SharedKeys> {
    let config = SourceConfig { kind: SourceKind::Fieldly, base_url, settings, requests_per_second };
    registry::build(config, keys.clone(), VendorTime(clock.clone())).unwrap()
}

pub(crate) fn ids(page: &Page) -> Vec<&str> {
    page.changes.iter().map(|change| change.id.as_str()).collect()
}

impl Account {
    pub(crate) async fn page(&self, stream: &'static str, from: StampMillis, page: u32) -> Result<Page, SourceFailure> {
        self.source.list(&StreamName::known(stream), ListRequest::Page(from, page)).await
    }

    pub(crate) async fn list(&self, stream: &'static str) -> Result<Page, SourceFailure> {
        self.page(stream, BEGINNING, 1).await
    }

    pub(crate) async fn fetch(&self, stream: &'static str, id: &str) -> Result<Detail, SourceFailure> {
        self.source.fetch(&StreamName::known(stream), &RecordId::parse(id).unwrap()).await
    }

    /// Id, body and stamp of a record that is there.
    pub(crate) async fn fetched(&self, stream: &'static str, id: &str) -> (String, String, Option<StampMillis>) {
        match self.fetch(stream, id).await.unwrap().found {
            Found::Record { id, body, stamp } => {
                (id.as_str().to_owned(), body.text().to_owned(), stamp.map(|stamp| stamp.at))
            }
            Found::Gone | Found::Missing => panic!("{stream} {id} is gone"),
        }
    }

    pub(crate) fn now(&self) -> StampMillis {
        StampMillis::new(self.vendor.now_ms())
    }

    pub(crate) fn ago(&self, span: Duration) -> StampMillis {
        self.now().minus(span)
    }

    /// The requests so far, but those for tokens.
    pub(crate) fn calls(&self) -> Vec<LoggedRequest> {
        self.vendor.requests().into_iter().filter(|request| request.function != TOKEN).collect()
    }

    /// How often a token was asked for.
    pub(crate) fn token_requests(&self) -> usize {
        self.vendor.request_counts().by_function.get(TOKEN).copied().unwrap_or(0)
    }
}
