//! A fake vendor, the source that reads it, and the secret that the source reads.

use tidemark_engine::change::{Detail, Found, ListRequest, Page};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fakes::fieldmotion::FakeFieldMotion;
use tidemark_fakes::{Effect, Fake, Fault};
use tidemark_sources::registry::{self, AnySource, SourceConfig};

use crate::support::{SharedKeys, VendorTime, shown};

pub(crate) const STREAMS: [&str; 6] = ["customers", "jobs", "assets", "asset_types", "tasks", "stock_containers"];
pub(crate) const API_ID: &str = "123";
pub(crate) const API_KEY: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn secret(api_id: &str, api_key: &str) -> String {
    format!("{{\"api_id\":\"{api_id}\",\"api_key\":\"{api_key}\"}}\n")
}

pub(crate) type FieldMotion = AnySource<VendorTime, SharedKeys>;

/// A fake vendor, the source that reads it, and the secret that the source reads.
pub(crate) struct Account {
    pub(crate) vendor: FakeFieldMotion,
    pub(crate) source: FieldMotion,
    pub(crate) keys: SharedKeys,
}

pub(crate) async fn account(settings: &str) -> Account {
    let vendor = FakeFieldMotion::start().await.unwrap();
    vendor.freeze_clock();
    let keys = SharedKeys::new(&secret(API_ID, API_KEY));
    let source = source_at(vendor.url(), &vendor, settings, &keys);
    Account { vendor, source, keys }
}

pub(crate) fn source_at(url: &str, clock: &Fake, settings: &str, keys: &SharedKeys) -> FieldMotion {
    let config = SourceConfig { kind: SourceKind::FieldMotion, base_url: url, settings, requests_per_second: "100000" };
    registry::build(config, keys.clone(), VendorTime(clock.clone())).unwrap()
}

pub(crate) fn stream(name: &'static str) -> StreamName {
    StreamName::known(name)
}

pub(crate) fn id(text: &str) -> RecordId {
    RecordId::parse(text).unwrap()
}

pub(crate) const BEGINNING: StampMillis = StampMillis::new(946_684_800_000);

impl Account {
    pub(crate) async fn list_from(&self, name: &'static str, from: StampMillis) -> Result<Page, SourceFailure> {
        self.source.list(&stream(name), ListRequest::Changed(from)).await
    }

    pub(crate) async fn list(&self, name: &'static str) -> Result<Page, SourceFailure> {
        self.list_from(name, BEGINNING).await
    }

    pub(crate) async fn listed(&self, name: &'static str) -> Vec<String> {
        let page = self.list(name).await.unwrap();
        assert_eq!((page.unusable_count, page.next, page.pages_total), (0, None, None));
        page.changes.iter().map(|change| change.id.as_str().to_owned()).collect()
    }

    pub(crate) async fn fetch(&self, name: &'static str, text: &str) -> Result<Detail, SourceFailure> {
        self.source.fetch(&stream(name), &id(text)).await
    }

    pub(crate) async fn fetched(&self, name: &'static str, text: &str) -> (String, String, Option<StampMillis>) {
        match self.fetch(name, text).await.unwrap().found {
            Found::Record { id, body, stamp } => {
                (id.as_str().to_owned(), body.text().to_owned(), stamp.map(|stamp| stamp.at))
            }
            Found::Gone | Found::Missing => panic!("{name} {text} is not there"),
        }
    }

    pub(crate) fn fields_of(&self, name: &str) -> Vec<String> {
        let row = self.vendor.truth(name).unwrap().into_values().next().unwrap().row;
        row.fields().map(|(field, _)| field.to_owned()).collect()
    }

    /// What listing and fetching lead to when the vendor does this.
    pub(crate) async fn classes(&self, effect: Effect) -> (FailureClass, FailureClass) {
        let one = self.vendor.truth("customers").unwrap().into_keys().next().unwrap();
        self.vendor.fault(Fault::new(effect)).unwrap();
        let listed = self.list("customers").await.unwrap_err();
        let fetched = self.fetch("customers", &one).await.unwrap_err();
        self.vendor.clear_faults();
        for failure in [&listed, &fetched] {
            assert_harmless(failure);
        }
        (listed.class, fetched.class)
    }
}

/// No failure shows a credential, an id or an address.
pub(crate) fn assert_harmless(failure: &SourceFailure) {
    let shown = shown(failure);
    for secret in [API_KEY, "_api_md5=", "683136", "127.0.0.1", "jane@example.com"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
