//! The source port over vendors in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure, StoreFailure};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;
use tidemark_sweep::state::Absence;

use super::answers::FEED_RECORDS;
use super::clock::ManualClock;
use super::gate::{Gate, Operation, ScriptedFaults};
use super::settings::Dated;
use super::vendor::Vendor;

/// A source that asks vendors, each for one stream. Clones ask the same ones.
#[derive(Clone, Debug)]
pub struct MemorySource<C = ManualClock, G = ScriptedFaults> {
    vendors: Arc<Mutex<BTreeMap<StreamName, Vendor>>>,
    streams: Arc<[StreamTraits]>,
    kind: SourceKind,
    kept: Option<Configured>,
    clock: C,
    gate: G,
}

/// What a process reads of the vendor's settings when it starts.
#[derive(Clone, Debug)]
struct Configured {
    account_mark: String,
    zone_shift: i64,
}

/// One call: when it arrived, and what it was asked with.
struct Asked {
    arrived_at: LocalMillis,
    now: LocalMillis,
    zone_shift: i64,
}

impl<C: Clock> MemorySource<C> {
    /// A source over `vendor`, whose clock is `clock`.
    pub fn new(vendor: Vendor, clock: C) -> Self {
        let (kind, streams) = (vendor.settings.kind, [vendor.settings.stream.clone()]);
        let vendors = BTreeMap::from([(vendor.settings.stream.name.clone(), vendor)]);
        Self {
            vendors: Arc::new(Mutex::new(vendors)),
            streams: Arc::from(streams),
            kind,
            kept: None,
            clock,
            gate: ScriptedFaults::default(),
        }
    }

    /// The same source with one more stream, that of `vendor`. Account and time zone are those of the first vendor.
    #[must_use]
    pub fn and(self, vendor: Vendor) -> Self {
        let traits = vendor.settings.stream.clone();
        let streams = self.streams.iter().cloned().chain([traits.clone()]).collect();
        self.lock().insert(traits.name, vendor);
        Self { streams, ..self }
    }

    /// The script of faults: a rejected call or a lost answer is a transient failure.
    pub fn faults(&self) -> &ScriptedFaults {
        &self.gate
    }
}

impl<C, G> MemorySource<C, G> {
    /// The same vendors behind another gate.
    pub fn behind<H>(&self, gate: H) -> MemorySource<C, H>
    where
        C: Clone,
    {
        MemorySource {
            vendors: Arc::clone(&self.vendors),
            streams: Arc::clone(&self.streams),
            kind: self.kind,
            kept: self.kept.clone(),
            clock: self.clock.clone(),
            gate,
        }
    }

    /// The same source as a process sees it that has read account and time zone now and keeps them.
    #[must_use]
    pub fn configured(self) -> Self {
        let kept = Some(self.configuration());
        Self { kept, ..self }
    }

    /// Looks at the vendor of the first stream, or changes it.
    ///
    /// # Panics
    /// When there is none, which cannot be.
    pub fn with<T>(&self, look: impl FnOnce(&mut Vendor) -> T) -> T {
        let first = self.streams.first().map(|traits| traits.name.clone());
        self.with_stream(&first.unwrap_or(StreamName::known("none")), look)
    }

    /// Looks at the vendor of a stream, or changes it.
    ///
    /// # Panics
    /// When there is no such stream.
    #[expect(clippy::panic, reason = "a test that asks for a stream it has not made is wrong")]
    pub fn with_stream<T>(&self, stream: &StreamName, look: impl FnOnce(&mut Vendor) -> T) -> T {
        match self.lock().get_mut(stream) {
            Some(vendor) => look(vendor),
            None => panic!("there is no stream {stream}"),
        }
    }

    fn is_feed(&self, stream: &StreamName) -> bool {
        self.streams.iter().any(|traits| traits.name == *stream && matches!(traits.shape, ListShape::Feed))
    }

    fn configuration(&self) -> Configured {
        self.kept.clone().unwrap_or_else(|| {
            self.with(|vendor| Configured {
                account_mark: vendor.settings.account_mark.clone(),
                zone_shift: vendor.settings.zone_shift,
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamName, Vendor>> {
        self.vendors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock, G: Gate> MemorySource<C, G> {
    /// One call and the `Date` of its answer.
    async fn call<T>(
        &self,
        operation: Operation,
        stream: &StreamName,
        answer: impl FnOnce(&mut Vendor, &Asked) -> Result<T, SourceFailure>,
    ) -> Result<(T, Option<VendorMillis>), SourceFailure> {
        let arrived_at = self.clock.now();
        self.gate.before(operation).await.map_err(cut)?;
        let asked = Asked { arrived_at, now: self.clock.now(), zone_shift: self.configuration().zone_shift };
        let answered = match self.lock().get_mut(stream) {
            None => Err(SourceFailure::new(FailureClass::Forbidden, "there is no such stream")),
            Some(vendor) => match vendor.next_failure() {
                Some(class) => Err(SourceFailure::new(class, "a scripted failure")),
                None => answer(vendor, &asked),
            },
        };
        self.gate.after(operation).await.map_err(cut)?;
        let answer = answered?;
        Ok((answer, self.with_stream(stream, |vendor| date(vendor, &asked, self.clock.now()))))
    }
}

fn date(vendor: &mut Vendor, asked: &Asked, now: LocalMillis) -> Option<VendorMillis> {
    let at = match (vendor.settings.dated, vendor.draw(3)) {
        (Dated::AtStart, _) | (Dated::Anywhen, 0) => asked.arrived_at,
        (Dated::AtAnswer, _) | (Dated::Anywhen, 1) => asked.now,
        (Dated::AtEnd | Dated::Anywhen, _) => now,
    };
    vendor.date(at)
}

fn cut(fault: StoreFailure) -> SourceFailure {
    SourceFailure::caused(FailureClass::Transient, "the connection was cut", fault)
}

impl<C: Clock, G: Gate> Source for MemorySource<C, G> {
    fn kind(&self) -> SourceKind {
        self.kind
    }

    fn streams(&self) -> &[StreamTraits] {
        &self.streams
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let answer = |vendor: &mut Vendor, asked: &Asked| vendor.list(request, asked.now, asked.zone_shift);
        let (page, date) = self.call(Operation::List, stream, answer).await?;
        Ok(Page { date, ..page })
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let (_, id) = self.record_of(stream, id)?;
        let answer = |vendor: &mut Vendor, asked: &Asked| vendor.detail(&id, asked.now, asked.zone_shift);
        let (found, date) = self.call(Operation::Fetch, stream, answer).await?;
        Ok(Detail { found, date })
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        self.gate.before(Operation::AccountMark).await.map_err(cut)?;
        let mark = self.configuration().account_mark;
        self.gate.after(Operation::AccountMark).await.map_err(cut)?;
        Ok(mark)
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        let zone_shift = self.configuration().zone_shift;
        self.with(|vendor| vendor.settings.reading(at, zone_shift))
    }

    fn stamp(&self, _stream: &StreamName, text: &str) -> Option<Stamp> {
        let at = StampMillis::new(text.parse().ok()?);
        let zone_shift = self.configuration().zone_shift;
        Some(self.with(|vendor| vendor.settings.read(at, zone_shift)))
    }

    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        if !self.is_feed(stream) {
            return Ok((stream.clone(), id.clone()));
        }
        let not_ours = || SourceFailure::new(FailureClass::Record, "the locator is not one of ours");
        let (_, id) = id.as_str().split_once('/').ok_or_else(not_ours)?;
        Ok((FEED_RECORDS, RecordId::parse(id).map_err(|_| not_ours())?))
    }
}

impl<C: Clock, G: Gate> Shown for MemorySource<C, G> {
    fn swept(&self, stream: &StreamName) -> Vec<(StreamName, Absence)> {
        let records = if self.is_feed(stream) { FEED_RECORDS } else { stream.clone() };
        vec![(records, Absence::Fetched)]
    }

    fn listed_id(&self, records: &StreamName, id: &RecordId) -> Option<RecordId> {
        if self.streams.iter().any(|traits| traits.name == *records) {
            return Some(id.clone());
        }
        RecordId::parse(format!("{records}/{}", id.as_str())).ok()
    }
}
