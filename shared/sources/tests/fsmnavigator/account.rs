//! A fake vendor, the source that reads it, and the secret that the source reads.

use std::collections::BTreeMap;

use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fakes::fsmnavigator::{FakeFsmNavigator, FsmNavigatorOptions};
use tidemark_fakes::{Effect, Fake, Fault, FixedAnswer};
use tidemark_sources::registry::{self, AnySource, SourceConfig};

use crate::log::collect_log;
use crate::support::{SharedKeys, VendorTime, shown};

pub(crate) const STREAMS: [&str; 4] = ["jobs", "customers", "assets", "technicians"];
pub(crate) const KEY: &str = "fsm_test_0123456789abcdef";
/// Where a first import starts.
pub(crate) const FIRST: StampMillis = StampMillis::new(946_684_800_000);
/// Long before anything happened, yet not a first import.
pub(crate) const BEGINNING: StampMillis = StampMillis::new(946_684_801_000);

pub(crate) fn secret(api_key: &str) -> String {
    format!("{{\"api_key\":\"{api_key}\"}}\n")
}

pub(crate) type FsmNavigator = AnySource<VendorTime, SharedKeys>;

pub(crate) struct Account {
    pub(crate) vendor: FakeFsmNavigator,
    pub(crate) source: FsmNavigator,
    pub(crate) keys: SharedKeys,
}

pub(crate) async fn account(settings: &str) -> Account {
    account_with(settings, KEY).await
}

pub(crate) async fn account_with(settings: &str, api_key: &str) -> Account {
    collect_log();
    let options = FsmNavigatorOptions { api_key: api_key.to_owned(), ..FsmNavigatorOptions::default() };
    let vendor = FakeFsmNavigator::start_with(options).await.unwrap();
    vendor.freeze_clock();
    let keys = SharedKeys::new(&secret(api_key));
    let source = source_at(vendor.url(), &vendor, settings, &keys);
    Account { vendor, source, keys }
}

pub(crate) fn source_at(url: &str, clock: &Fake, settings: &str, keys: &SharedKeys) -> FsmNavigator {
    source_with_rate(url, clock, settings, keys, "100000")
}

pub(crate) fn source_with_rate(
    url: &str,
    clock: &Fake,
    settings: &str,
    keys: &SharedKeys,
    requests_per_second: &str,
) -> FsmNavigator {
    let config = SourceConfig { kind: SourceKind::FsmNavigator, base_url: url, settings, requests_per_second };
    registry::build(config, keys.clone(), VendorTime(clock.clone())).unwrap()
}

pub(crate) fn stream(name: &'static str) -> StreamName {
    StreamName::known(name)
}

pub(crate) fn id(text: &str) -> RecordId {
    RecordId::parse(text).unwrap()
}

pub(crate) fn ids(page: &Page) -> Vec<&str> {
    page.changes.iter().map(|change| change.id.as_str()).collect()
}

impl Account {
    pub(crate) async fn page_from(
        &self,
        name: &'static str,
        from: StampMillis,
        page: u32,
    ) -> Result<Page, SourceFailure> {
        self.source.list(&stream(name), ListRequest::Page(from, page)).await
    }

    pub(crate) async fn list(&self, name: &'static str) -> Result<Page, SourceFailure> {
        self.page_from(name, BEGINNING, 1).await
    }

    pub(crate) async fn fetch(&self, name: &'static str, text: &str) -> Result<Detail, SourceFailure> {
        self.source.fetch(&stream(name), &id(text)).await
    }

    /// Id, body and stamp of a record.
    pub(crate) async fn fetched(&self, name: &'static str, text: &str) -> (String, String, Option<StampMillis>) {
        match self.fetch(name, text).await.unwrap().found {
            Found::Record { id, body, stamp } => {
                (id.as_str().to_owned(), body.text().to_owned(), stamp.map(|stamp| stamp.at))
            }
            Found::Gone | Found::Missing => panic!("{name} {text} is gone"),
        }
    }

    /// What listing and fetching lead to when the vendor does this; nothing where the record is not there.
    pub(crate) async fn classes(&self, effect: Effect) -> (FailureClass, Option<FailureClass>) {
        let one = self.vendor.truth("jobs").unwrap().into_keys().next().unwrap();
        self.vendor.fault(Fault::new(effect)).unwrap();
        let listed = self.list("jobs").await.unwrap_err();
        let fetched = self.fetch("jobs", &one).await;
        self.vendor.clear_faults();
        assert_harmless(&listed);
        let fetched = match fetched {
            Ok(detail) => {
                assert!(matches!(detail.found, Found::Gone | Found::Missing));
                None
            }
            Err(failure) => {
                assert_harmless(&failure);
                Some(failure.class)
            }
        };
        (listed.class, fetched)
    }
}

/// No failure shows a credential, an id or an address.
pub(crate) fn assert_harmless(failure: &SourceFailure) {
    let shown = shown(failure);
    for secret in [KEY, "789", "127.0.0.1", "@example.com", "+1555"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

pub(crate) fn answer_with(status: u16, body: &str, headers: &[(&str, &str)]) -> Effect {
    let headers: BTreeMap<String, String> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let content_type = "application/json".to_owned();
    Effect::Answer(FixedAnswer { status, body: body.to_owned(), content_type, headers })
}
