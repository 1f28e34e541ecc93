//! The source port over a vendor in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemark_engine::change::{Change, Detail, Found, ListRequest, Listed, Page, announces_deletion};
use tidemark_engine::failure::{FailureClass, SourceFailure, StoreFailure};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stamp::{UtcMillis, millis_of};
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};

use super::clock::ManualClock;
use super::gate::{Gate, Operation, ScriptedFaults};
use super::vendor::{DateHeader, Order, Vendor, Version};

/// The records of a feed belong to this stream.
const FEED_RECORDS: StreamName = StreamName::known("widgets");

/// A source that asks a [`Vendor`]. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct MemorySource<C = ManualClock, G = ScriptedFaults> {
    vendor: Arc<Mutex<Vendor>>,
    streams: Arc<[StreamTraits]>,
    kind: SourceKind,
    clock: C,
    gate: G,
}

impl<C: Clock> MemorySource<C> {
    /// A source over `vendor`, whose clock is `clock`.
    pub fn new(vendor: Vendor, clock: C) -> Self {
        Self {
            streams: Arc::from([vendor.settings.stream.clone()]),
            kind: vendor.settings.kind,
            vendor: Arc::new(Mutex::new(vendor)),
            clock,
            gate: ScriptedFaults::default(),
        }
    }

    /// The script of faults: a rejected call or a lost answer is a transient failure.
    pub fn faults(&self) -> &ScriptedFaults {
        &self.gate
    }
}

impl<C, G> MemorySource<C, G> {
    /// The same vendor behind another gate.
    pub fn behind<H>(&self, gate: H) -> MemorySource<C, H>
    where
        C: Clone,
    {
        MemorySource {
            vendor: Arc::clone(&self.vendor),
            streams: Arc::clone(&self.streams),
            kind: self.kind,
            clock: self.clock.clone(),
            gate,
        }
    }

    /// Looks at the vendor, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Vendor) -> T) -> T {
        look(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vendor> {
        self.vendor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock, G: Gate> MemorySource<C, G> {
    async fn call<T>(
        &self,
        operation: Operation,
        answer: impl FnOnce(&Vendor, UtcMillis) -> Result<T, SourceFailure>,
    ) -> Result<T, SourceFailure> {
        self.gate.before(operation).await.map_err(cut)?;
        let answered = {
            let mut vendor = self.lock();
            match vendor.next_failure() {
                Some(class) => Err(SourceFailure::new(class, "a scripted failure")),
                None => answer(&vendor, self.clock.now()),
            }
        };
        self.gate.after(operation).await.map_err(cut)?;
        answered
    }
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

    async fn list(&self, _stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        self.call(Operation::List, |vendor, now| {
            let page = match request {
                ListRequest::Changed { from } => vendor.changed(from, now),
                ListRequest::Page { from, page } => vendor.page(from, page, now),
                ListRequest::Events { token } => vendor.told(token, now)?,
                ListRequest::NewestToken => Page { next: Some(token(vendor.told_count(now))), ..Page::default() },
                ListRequest::Snapshot { cursor } => vendor.snapshot(cursor, now),
            };
            let mut page = Page { date: vendor.date(now), unusable_count: vendor.unusable_count, ..page };
            if vendor.repeats {
                page.changes.extend(page.changes.clone());
            }
            Ok(page)
        })
        .await
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        let (_, id) = self.record_of(stream, id)?;
        self.call(Operation::Fetch, |vendor, now| {
            let id = vendor.answers_with.get(&id).unwrap_or(&id);
            let found = vendor.detail(id, now)?;
            Ok(Detail { found, date: vendor.date(now) })
        })
        .await
    }

    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        if !self.streams.iter().any(|traits| matches!(traits.shape, tidemark_engine::stream::ListShape::Feed)) {
            return Ok((stream.clone(), id.clone()));
        }
        let not_ours = || SourceFailure::new(FailureClass::Record, "the locator is not one of ours");
        let text = id.as_str();
        let path = if announces_deletion(id) { text.strip_prefix('-').unwrap_or(text) } else { text };
        let (_, id) = path.split_once('/').ok_or_else(not_ours)?;
        Ok((FEED_RECORDS, RecordId::parse(id).map_err(|_| not_ours())?))
    }
}

fn token(sequence: usize) -> String {
    format!("t{sequence}")
}

/// The locator under which a feed tells of a record.
fn locator(id: &RecordId, deletes: bool) -> Option<RecordId> {
    let mark = if deletes { "-" } else { "" };
    RecordId::parse(format!("{mark}{FEED_RECORDS}/{}", id.as_str())).ok()
}

impl Vendor {
    fn date(&self, now: UtcMillis) -> Option<UtcMillis> {
        let whole = |at: UtcMillis| UtcMillis::new(at.get().div_euclid(1_000).saturating_mul(1_000));
        match self.settings.date {
            DateHeader::True => Some(whole(now)),
            DateHeader::Skewed(by) => Some(whole(now.shifted(by))),
            DateHeader::Absent => None,
        }
    }

    fn changed(&self, from: UtcMillis, now: UtcMillis) -> Page {
        let mut changes: Vec<Change> = self
            .present(now)
            .filter(|(_, version)| self.lists(version, from))
            .map(|(id, _)| Change::of(id.clone()))
            .collect();
        // No order is promised, so none is kept.
        if !changes.is_empty() {
            let by = usize::try_from(now.get().div_euclid(7).rem_euclid(1 << 20)).unwrap_or(0) % changes.len();
            changes.rotate_left(by);
        }
        Page { changes, ..Page::default() }
    }

    fn page(&self, from: UtcMillis, page: u32, now: UtcMillis) -> Page {
        let mut rows: Vec<_> = self.present(now).filter(|(_, version)| self.lists(version, from)).collect();
        match self.settings.order {
            Order::Oldest => rows.sort_by_key(|(_, version)| (version.stamp, version.number)),
            Order::Newest => rows.sort_by_key(|(_, version)| std::cmp::Reverse((version.stamp, version.number))),
            Order::Id => {}
        }
        let size = self.settings.page_rows;
        let pages_total = u32::try_from(rows.len().div_ceil(size)).ok().filter(|_| self.settings.tells_total);
        let page = if self.settings.repeats_page { 1 } else { page };
        let skipped = usize::try_from(page.saturating_sub(1)).unwrap_or(usize::MAX).saturating_mul(size);
        let changes = rows.into_iter().skip(skipped).take(size).map(|(id, version)| Change {
            id: id.clone(),
            listed: Some(Box::new(Listed { stamp: self.stamp(version), row: version.body.clone(), event: None })),
        });
        Page { changes: changes.collect(), pages_total, ..Page::default() }
    }

    fn told(&self, after: &str, now: UtcMillis) -> Result<Page, SourceFailure> {
        let rejected = || SourceFailure::new(FailureClass::TokenRejected, "the token is unknown or expired");
        let sequence: usize = after.strip_prefix('t').and_then(|text| text.parse().ok()).ok_or_else(rejected)?;
        let told = self.events().get(..self.told_count(now)).unwrap_or_default();
        let expires = now.shifted(-millis_of(self.settings.token_life));
        if self.rejects_tokens
            || sequence > told.len()
            || told.get(sequence).is_some_and(|event| event.visible_at < expires)
        {
            return Err(rejected());
        }
        let end = sequence.saturating_add(self.settings.page_rows).min(told.len());
        // Some feeds tell the last event before the token once more.
        let first = if self.settings.inclusive { sequence.saturating_sub(1) } else { sequence };
        let events = told.get(first..end).unwrap_or_default();
        let changes = events.iter().filter_map(|event| {
            let status = if event.deletes { "DELETED" } else { "UPDATED" };
            let text = format!("{{\"version\":{},\"status\":\"{status}\"}}", event.number);
            let listed = Listed { stamp: Some(self.read(event.stamp)), row: None, event: Some(Body::new(text)) };
            Some(Change { id: locator(&event.id, event.deletes)?, listed: Some(Box::new(listed)) })
        });
        let changes: Vec<Change> = changes.collect();
        let is_end = changes.is_empty() || end == sequence;
        Ok(Page { changes, next: Some(token(end)), is_end, ..Page::default() })
    }

    fn snapshot(&self, cursor: Option<&str>, now: UtcMillis) -> Page {
        let size = self.settings.page_rows;
        let behind = |(id, _): &(&RecordId, &Version)| cursor.is_none_or(|cursor| id.as_str() > cursor);
        let page: Vec<_> = self.present(now).filter(behind).take(size).collect();
        let next = page.last().filter(|_| page.len() == size).map(|(id, _)| id.as_str().to_owned());
        let changes = page.iter().filter_map(|(id, _)| Some(Change::of(locator(id, false)?)));
        Page { changes: changes.collect(), next, ..Page::default() }
    }

    fn detail(&self, id: &RecordId, now: UtcMillis) -> Result<Found, SourceFailure> {
        if self.poison.get(id).is_some_and(|heals_at| *heals_at > now) {
            return Err(SourceFailure::new(FailureClass::Record, "the detail is malformed"));
        }
        if let Some(class) = self.broken.get(id) {
            return Err(SourceFailure::new(*class, "the vendor fails for this record"));
        }
        let Some(version) = self.seen(id, now).filter(|_| !self.hidden.contains(id)) else {
            return Ok(Found::Gone);
        };
        let Some(body) = &version.body else {
            return Ok(Found::Gone);
        };
        Ok(Found::Record { id: id.clone(), body: body.clone(), stamp: self.stamp(version) })
    }
}
