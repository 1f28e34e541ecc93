//! A stream of a scripted vendor, copied by the real poller and fetcher into memory.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidemark_engine::poll::{PollOutcome, PollReport};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fakes::Fake;
use tidemark_sources::registry::{self, SourceConfig};

use crate::ports::{POLL_INTERVAL, Ports};
use crate::script::{Asked, Reply, Script};
use crate::support::{SharedKeys, VendorTime};

/// A scripted vendor and what was copied of it.
pub(crate) struct Copied {
    pub(crate) script: Script,
    pub(crate) ports: Ports,
    clock: Fake,
    kind: SourceKind,
    settings: &'static str,
    keys: SharedKeys,
}

impl Copied {
    /// Nothing yet, of a vendor that answers so.
    pub(crate) async fn of(
        kind: SourceKind,
        secret: &str,
        settings: &'static str,
        clock: &Fake,
        answer: impl FnMut(&Asked) -> Reply + Send + 'static,
    ) -> Self {
        let script = Script::start(clock, answer).await;
        let keys = SharedKeys::new(secret);
        let config = SourceConfig { kind, base_url: &script.url, settings, requests_per_second: "100000" };
        let source = registry::build(config, keys.clone(), VendorTime(clock.clone())).unwrap();
        let ports = Ports::new(source, clock);
        Self { script, ports, clock: clock.clone(), kind, settings, keys }
    }

    /// What another function's process reaches: a source of its own, and the tables and the queue of all.
    pub(crate) fn process(&self) -> Ports {
        let config = SourceConfig {
            kind: self.kind,
            base_url: &self.script.url,
            settings: self.settings,
            requests_per_second: "100000",
        };
        let source = registry::build(config, self.keys.clone(), VendorTime(self.clock.clone())).unwrap();
        Ports { source: Rc::new(source), ..self.ports.clone() }
    }

    /// A tick, and the fetching of all that it sent, an interval before the next.
    pub(crate) async fn sync(&self, stream: &'static str) -> PollReport {
        let report = self.ports.poll(&StreamName::known(stream), "poller").await;
        self.ports.fetch_all().await;
        self.clock.advance(POLL_INTERVAL);
        report
    }

    /// The same until a list tells nothing new; all reports.
    pub(crate) async fn settle(&self, stream: &'static str) -> Vec<PollReport> {
        let mut reports = Vec::new();
        for _ in 0..12 {
            reports.push(self.sync(stream).await);
            if reports.last().is_some_and(|report| report.outcome == PollOutcome::Quiet) {
                return reports;
            }
        }
        panic!("{stream} does not settle: {reports:#?}");
    }

    /// The stored bodies of a stream by id.
    pub(crate) fn stored(&self, stream: &str) -> BTreeMap<String, String> {
        self.ports.tables.with(|tables| {
            let records = tables.records.iter().filter(|(key, record)| {
                key.stream.as_str() == stream && record.deleted.is_none() && record.body.is_some()
            });
            records
                .map(|(key, record)| (key.id.as_str().to_owned(), record.body.as_ref().unwrap().text().to_owned()))
                .collect()
        })
    }

    /// The ids of a stream in quarantine.
    pub(crate) fn set_aside(&self, stream: &str) -> Vec<RecordId> {
        self.ports.tables.with(|tables| {
            let entries = tables.retries.values().filter(|entry| entry.stream.name.as_str() == stream);
            entries.map(|entry| entry.id.clone()).collect()
        })
    }
}
