//! A source that answers otherwise than its vendor in memory can.

use std::sync::Arc;

use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;
use tidemark_sweep::state::Absence;
use tidemark_testkit::memory::MemorySource;

/// A source whose answers pass through functions of a test.
#[derive(Clone)]
pub(crate) struct Altered {
    source: MemorySource,
    list: Arc<dyn Fn(Page) -> Page>,
    fetch: Arc<dyn Fn(&RecordId)>,
}

impl Altered {
    /// Answers pass as they are.
    pub(crate) fn new(source: &MemorySource) -> Self {
        Self { source: source.clone(), list: Arc::new(|page| page), fetch: Arc::new(|_| {}) }
    }

    /// Every list's page passes through this.
    pub(crate) fn listing(self, list: impl Fn(Page) -> Page + 'static) -> Self {
        Self { list: Arc::new(list), ..self }
    }

    /// This is called for every id that is fetched.
    pub(crate) fn fetching(self, fetch: impl Fn(&RecordId) + 'static) -> Self {
        Self { fetch: Arc::new(fetch), ..self }
    }
}

impl Source for Altered {
    fn kind(&self) -> SourceKind {
        self.source.kind()
    }

    fn streams(&self) -> &[StreamTraits] {
        self.source.streams()
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        self.source.list(stream, request).await.map(|page| (self.list)(page))
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        (self.fetch)(id);
        self.source.fetch(stream, id).await
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        self.source.account_mark().await
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        self.source.reading(at)
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        self.source.stamp(stream, text)
    }

    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        self.source.record_of(stream, id)
    }
}

impl Shown for Altered {
    fn swept(&self, stream: &StreamName) -> Vec<(StreamName, Absence)> {
        self.source.swept(stream)
    }

    fn listed_id(&self, records: &StreamName, id: &RecordId) -> Option<RecordId> {
        self.source.listed_id(records, id)
    }
}
