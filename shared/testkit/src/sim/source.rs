//! The vendor as one process sees it: with the account and the settings that were there when the process began.

use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;
use tidemark_sweep::state::Absence;

use super::clock::TrueClock;
use super::gate::SimGate;
use crate::memory::MemorySource;

/// The source of one process.
pub(super) struct SimSource {
    asked: MemorySource<TrueClock, SimGate>,
    gate: SimGate,
}

impl SimSource {
    pub(super) fn new(gate: &SimGate) -> Self {
        let world = &gate.world;
        let account = if world.is_swapped.get() { &world.foreign } else { &world.source };
        Self { asked: account.behind(gate.clone()).configured(), gate: gate.clone() }
    }
}

impl Source for SimSource {
    fn kind(&self) -> SourceKind {
        self.asked.kind()
    }

    fn streams(&self) -> &[StreamTraits] {
        self.asked.streams()
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let started_at = self.gate.world.now();
        let answer = self.asked.list(stream, request).await;
        let listed_at = &self.gate.process.listed_at;
        if answer.is_ok() && listed_at.get().is_none() {
            listed_at.set(Some(started_at));
        }
        answer
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        self.asked.fetch(stream, id).await
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        self.asked.account_mark().await
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        self.asked.reading(at)
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        self.asked.stamp(stream, text)
    }

    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        self.asked.record_of(stream, id)
    }
}

impl Shown for SimSource {
    fn swept(&self, stream: &StreamName) -> Vec<(StreamName, Absence)> {
        self.asked.swept(stream)
    }

    fn listed_id(&self, records: &StreamName, id: &RecordId) -> Option<RecordId> {
        self.asked.listed_id(records, id)
    }
}
