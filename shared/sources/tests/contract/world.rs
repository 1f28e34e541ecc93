//! A vendor, the source that reads it, and the engine over tables in memory.

use std::cell::Cell;

use tidemark_engine::change::{Detail, Page};
use tidemark_engine::clock::Stamp;
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::poll::{PollOutcome, PollReport};
use tidemark_engine::ports::Source;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::StreamName;
use tidemark_fakes::Fake;
pub(crate) use tidemark_sources::registry::AnySource;
use tidemark_sources::registry::{self, SourceConfig};
use tidemark_sweep::ports::Shown;
use tidemark_testkit::memory::StoredRecord;

use crate::Vendor;
use crate::log::collect_log;
use crate::ports::{POLL_INTERVAL, Ports};
use crate::support::{SharedKeys, VendorTime};

/// What the first credential of every test is made of.
pub(crate) const OLD: &str = "canary-old";
/// What the one after it is made of.
pub(crate) const NEW: &str = "canary-new";

/// A vendor with a source that reads it.
pub(crate) struct World<V> {
    pub(crate) vendor: V,
    pub(crate) keys: SharedKeys,
    ports: Ports,
    owners: Cell<u32>,
}

impl<V: Vendor> World<V> {
    /// A vendor without records, whose clock stands still except when somebody sleeps.
    pub(crate) async fn start() -> Self {
        Self::with_secret(&V::secret(OLD)).await
    }

    /// The same with another secret than the one that is accepted.
    pub(crate) async fn with_secret(secret: &str) -> Self {
        collect_log();
        let vendor = V::start(OLD).await;
        vendor.freeze_clock();
        let keys = SharedKeys::new(secret);
        let config = SourceConfig {
            kind: V::KIND,
            base_url: vendor.url(),
            settings: V::SETTINGS,
            requests_per_second: "100000",
        };
        let source = registry::build(config, keys.clone(), VendorTime(Fake::clone(&vendor))).unwrap();
        let ports = Ports::new(source, &vendor);
        Self { vendor, keys, ports, owners: Cell::new(0) }
    }

    /// A vendor with so many records that have been there for long, and the ids under which a list names them.
    pub(crate) async fn with_records(count: usize) -> (Self, Vec<RecordId>) {
        let world = Self::start().await;
        world.vendor.seed_count(V::RECORDS, count).unwrap();
        let ids = world.vendor.truth(V::RECORDS).unwrap().into_keys().map(|record| V::listed_id(&record)).collect();
        (world, ids)
    }

    fn stream() -> StreamName {
        StreamName::known(V::STREAM)
    }

    /// One list call.
    pub(crate) async fn list(&self) -> Result<Page, SourceFailure> {
        let source = &*self.ports.source;
        source.list(&Self::stream(), V::request(source)).await
    }

    /// One detail call.
    pub(crate) async fn fetch(&self, id: &RecordId) -> Result<Detail, SourceFailure> {
        self.ports.source.fetch(&Self::stream(), id).await
    }

    /// A stamp, read again from its text.
    pub(crate) fn stamp(&self, text: &str) -> Option<Stamp> {
        self.ports.source.stamp(&Self::stream(), text)
    }

    /// The record that a listed id stands for.
    pub(crate) fn record_of(&self, id: &RecordId) -> RecordId {
        self.ports.source.record_of(&Self::stream(), id).unwrap().1
    }

    /// Where a listed record is kept, and the id under which lists show what is kept there.
    pub(crate) fn there_and_back(&self, id: &RecordId) -> (StreamName, Option<RecordId>) {
        let source = &*self.ports.source;
        let (records, record) = source.record_of(&Self::stream(), id).unwrap();
        let listed = source.listed_id(&records, &record);
        (records, listed)
    }

    /// The streams of records that lists show.
    pub(crate) fn swept(&self) -> Vec<StreamName> {
        self.ports.source.swept(&Self::stream()).into_iter().map(|(records, _)| records).collect()
    }

    /// One tick of the poller, and the fetching of all that it sent.
    pub(crate) async fn sync(&self) -> PollReport {
        self.owners.set(self.owners.get() + 1);
        let report = self.ports.poll(&Self::stream(), &format!("poller-{}", self.owners.get())).await;
        self.ports.fetch_all().await;
        report
    }

    /// Polls every five minutes until a list tells nothing new; the last report.
    pub(crate) async fn settle(&self) -> PollReport {
        for _ in 0..20 {
            let report = self.sync().await;
            if report.outcome == PollOutcome::Quiet {
                return report;
            }
            self.vendor.advance(POLL_INTERVAL);
        }
        panic!("the stream does not come to rest");
    }

    /// How many records are stored, tombstones included.
    pub(crate) fn stored_count(&self) -> usize {
        self.ports.tables.with(|tables| tables.records.len())
    }

    /// The records that the vendor has and that are not stored exactly so.
    pub(crate) fn differences(&self) -> Vec<String> {
        let truth = self.vendor.truth(V::RECORDS).unwrap();
        let living = truth.into_iter().filter(|(_, record)| !record.deleted && record.active);
        living
            .filter(|(id, record)| self.stored(id).as_deref() != Some(V::stored_body(record)))
            .map(|(id, _)| id)
            .collect()
    }

    /// What is stored of a record that is not marked deleted.
    fn stored(&self, id: &str) -> Option<String> {
        let key = RecordKey { source: V::KIND, stream: StreamName::known(V::RECORDS), id: V::stored_id(id) };
        let stored: Option<StoredRecord> = self.ports.tables.with(|tables| tables.records.get(&key).cloned());
        let record = stored.filter(|record| record.deleted.is_none())?;
        Some(record.body?.text().to_owned())
    }
}
