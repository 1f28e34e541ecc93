//! A fake vendor, and the bench on which its source is tried out.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::stream::{ListShape, SourceKind, StreamName};
use tidemark_fakes::program::{self, Started};
use tidemark_fakes::{Effect, Fake, Fault};
use tidemark_sources::probe::{self, Bench, Check, ListProbe, StreamProbe, Verdict};
use tidemark_sources::registry::{self, AnySource, BadSource, SourceConfig};

use crate::support::{SharedKeys, VendorTime};

/// The vendors, a stream of each, and how each says that a right is missing.
pub(crate) const VENDORS: [(SourceKind, &str, &str); 4] = [
    (SourceKind::FieldMotion, "customers", r#"{"error":"permission denied"}"#),
    (SourceKind::FieldAware, "changes", r#"{"error":{"name":"Forbidden","message":"no"}}"#),
    (SourceKind::FsmNavigator, "jobs", r#"{"success":false,"error":"insufficient_scope","message":"no"}"#),
    (SourceKind::Fieldly, "clients", r#"{"errors":{"base":["no"]}}"#),
];

/// An account at a fake vendor.
pub(crate) struct Account {
    kind: SourceKind,
    settings: String,
    base_url: String,
    pub(crate) fake: Fake,
    keys: SharedKeys,
    /// The running fake, which stops when this is dropped.
    _running: Started,
}

pub(crate) fn secret(kind: SourceKind, text: &str) -> String {
    let members = registry::credential_members(kind).iter().map(|name| ((*name).to_owned(), text.into()));
    Value::Object(members.collect()).to_string()
}

pub(crate) fn stream(name: &'static str) -> StreamName {
    StreamName::known(name)
}

/// An account whose source has these settings, its clock standing still except when somebody sleeps.
pub(crate) async fn account(kind: SourceKind, settings: &str) -> Account {
    let running = program::start(kind.as_str()).await.unwrap();
    running.freeze_clock();
    let (fake, base_url) = (Fake::clone(&running), running.url().to_owned());
    let keys = SharedKeys::new(&running.secret().to_string());
    Account { kind, settings: settings.to_owned(), base_url, fake, keys, _running: running }
}

/// The vendor's clock, and ours so far ahead of it.
pub(crate) struct Ahead(VendorTime, Duration);

impl Clock for Ahead {
    fn now(&self) -> LocalMillis {
        self.0.now().plus(self.1)
    }

    async fn sleep(&self, span: Duration) {
        self.0.sleep(span).await;
    }
}

impl Account {
    /// The same account below another path.
    pub(crate) fn at(self, path: &str) -> Self {
        let base_url = format!("{}{path}", self.base_url);
        Self { base_url, ..self }
    }

    /// The same account at another address.
    pub(crate) fn at_address(self, address: &str) -> Self {
        Self { base_url: address.to_owned(), ..self }
    }

    /// The same account with another secret than the one that is accepted.
    pub(crate) fn with_secret(self, secret: &str) -> Self {
        Self { keys: SharedKeys::new(secret), ..self }
    }

    /// The same account with other settings of the source.
    pub(crate) fn with(self, settings: &str) -> Self {
        Self { settings: settings.to_owned(), ..self }
    }

    /// Gives the vendor records that were edited long ago; a feed is given customers.
    pub(crate) fn seed(&self, stream: &str, count: usize) {
        let records = if stream == "changes" { "customers" } else { stream };
        self.fake.seed_count(records, count).unwrap();
    }

    /// Tells the vendor how to behave.
    pub(crate) fn set(&self, settings: &str) {
        self.fake.set(serde_json::from_str(settings).unwrap()).unwrap();
    }

    /// Lets every call go wrong.
    pub(crate) fn fault(&self, effect: Effect) {
        self.fake.fault(Fault::new(effect)).unwrap();
    }

    pub(crate) fn clock(&self) -> VendorTime {
        VendorTime(self.fake.clone())
    }

    pub(crate) fn source(&self) -> AnySource<VendorTime, SharedKeys> {
        self.build(&self.settings).unwrap()
    }

    pub(crate) async fn probe(&self, name: &'static str) -> StreamProbe {
        self.probe_by(Duration::ZERO, name).await
    }

    /// A probe by a clock that is so far ahead of the vendor's.
    pub(crate) async fn probe_by(&self, ahead: Duration, name: &'static str) -> StreamProbe {
        let clock = Ahead(self.clock(), ahead);
        probe::stream(self, &clock, async || Ok::<(), Infallible>(()), &stream(name)).await.unwrap()
    }

    /// What the probe of its list shows, from the first import's beginning on.
    pub(crate) async fn list(&self, name: &'static str) -> ListProbe {
        let source = self.source();
        let traits = source.streams().iter().find(|traits| traits.name.as_str() == name).unwrap();
        let from = traits.first.at().unwrap_or_default();
        let request = match traits.shape {
            ListShape::Feed => ListRequest::NewestToken,
            ListShape::Pages => ListRequest::Page(from, 1),
            ListShape::Whole => ListRequest::Changed(from),
        };
        probe::list(&source, async || Ok::<(), Infallible>(()), &stream(name), request).await.unwrap()
    }

    /// What the probe says of the one check that fails, and the next step.
    pub(crate) async fn failure(&self, name: &'static str, check: Check) -> (String, String) {
        self.finding(name, check, Verdict::Failure).await
    }

    pub(crate) async fn finding(&self, name: &'static str, check: Check, verdict: Verdict) -> (String, String) {
        let found = self.probe(name).await;
        let one = found.findings.iter().find(|finding| finding.check == check && finding.verdict == verdict);
        let one = one.unwrap_or_else(|| panic!("{}: no {verdict:?} of {check:?} in {found:?}", self.kind));
        (one.what.clone(), one.next.clone().unwrap_or_default())
    }
}

impl Bench for Account {
    type Source = AnySource<VendorTime, SharedKeys>;

    fn kind(&self) -> SourceKind {
        self.kind
    }

    fn settings(&self) -> &str {
        &self.settings
    }

    fn build(&self, settings: &str) -> Result<Self::Source, BadSource> {
        let config =
            SourceConfig { kind: self.kind, base_url: &self.base_url, settings, requests_per_second: "100000" };
        registry::build(config, self.keys.clone(), self.clock())
    }

    fn alternatives(&self, stream: &StreamName, check: Check) -> Vec<Value> {
        registry::alternatives(self.kind, &self.settings, stream, check)
    }

    fn adopted(&self, source: &Self::Source) -> Option<Value> {
        source.adopted()
    }

    fn parts(&self) -> Vec<(StreamName, String)> {
        registry::feed_parts(self.kind, &self.settings)
    }
}
