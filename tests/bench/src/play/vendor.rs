//! A vendor in memory whose records and events are as large as real ones, and a queue that counts.

use std::cell::RefCell;
use std::rc::Rc;

use tidemark_engine::change::{Change, Detail, Found, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::{SourceFailure, StoreFailure};
use tidemark_engine::ports::{ChangeQueue, Outgoing, Source};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{ListShape, SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;
use tidemark_testkit::memory::{MemoryQueue, MemorySource, version_of};

use super::bill::{figure, queue_requests};
use super::tables::Meter;
use super::time::PlayClock;

/// The most messages, and bytes, that are sent in one request.
const BATCH_MESSAGES: usize = 10;
const BATCH_BYTES: usize = 256 * 1_024;

/// The ids of so many records, each as long as those of the vendor with this list: numbers, or uuids without hyphens.
pub(crate) fn ids(shape: ListShape, count: usize) -> Vec<RecordId> {
    let text = |number: usize| match shape {
        ListShape::Whole | ListShape::Pages => format!("{}", 1_000_000 + number),
        ListShape::Feed => uuid(number),
    };
    (0..count).filter_map(|number| RecordId::parse(text(number)).ok()).collect()
}

/// The 32 digits of a uuid, without order and hardly to be compressed.
fn uuid(number: usize) -> String {
    Body::new(number.to_string()).fingerprint().to_string()
}

/// The vendor. All its bodies have the same size.
#[derive(Clone)]
pub(crate) struct PlaySource {
    pub(crate) vendor: MemorySource<PlayClock>,
    pub(crate) body_bytes: usize,
    pub(crate) meter: Rc<RefCell<Meter>>,
}

impl PlaySource {
    fn grown(&self, body: &Body) -> Body {
        let text = body.text().trim_end_matches('}');
        let room = self.body_bytes.saturating_sub(text.len() + r#","text":""}"#.len());
        Body::new(format!(r#"{text},"text":"{}"}}"#, "x".repeat(room)))
    }

    /// The event as FieldAware writes it: who changed what when, and where it is to be fetched. Twenty people work.
    fn event(change: &Change, event: &Body) -> Body {
        let status = if change.deleted { "DELETED" } else { "UPDATED" };
        let id = change.id.as_str().rsplit('/').next().unwrap_or_default();
        let number = version_of_event(event);
        let user = uuid(number % 20);
        let place = 63_182_001 + number;
        let (minutes, millis) = (number / 60 % 60, number * 7_919 % 60_000);
        let (seconds, millis) = (millis / 1_000, millis % 1_000);
        Body::new(format!(
            r#"{{"status":"{status}","changedBy":{{"uuid":"{user}"}},"entityClass":"Task","changedOn":"2026-11-27T12:{minutes:02}:{seconds:02}.{millis:03}","url":"https://api.fieldaware.net/task/{id}","entity":{{"uuid":"{id}"}},"actions":[],"id":{place}}}"#
        ))
    }
}

/// The number of the version that an event in memory shows.
fn version_of_event(event: &Body) -> usize {
    version_of(event).and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

impl Source for PlaySource {
    fn kind(&self) -> SourceKind {
        self.vendor.kind()
    }

    fn streams(&self) -> &[StreamTraits] {
        self.vendor.streams()
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        let mut page = self.vendor.list(stream, request).await?;
        {
            let bill = &mut self.meter.borrow_mut().bill;
            bill.lists += 1.0;
            bill.listed += figure(page.changes.len());
        }
        for change in &mut page.changes {
            let event = change.event().map(|event| Self::event(change, event));
            if let Some(listed) = &mut change.listed {
                listed.row = listed.row.as_ref().map(|row| self.grown(row));
                listed.event = event;
            }
        }
        Ok(page)
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        self.meter.borrow_mut().bill.details += 1.0;
        let detail = self.vendor.fetch(stream, id).await?;
        let found = match detail.found {
            Found::Record { id, body, stamp } => Found::Record { id, body: self.grown(&body), stamp },
            other => other,
        };
        Ok(Detail { found, date: detail.date })
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        self.vendor.account_mark().await
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        self.vendor.reading(at)
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        self.vendor.stamp(stream, text)
    }

    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        self.vendor.record_of(stream, id)
    }
}

impl Shown for PlaySource {}

/// The change queue. Each message counts as received and deleted alone.
#[derive(Clone)]
pub(crate) struct PlayQueue {
    pub(crate) queue: MemoryQueue<PlayClock>,
    pub(crate) meter: Rc<RefCell<Meter>>,
}

impl ChangeQueue for PlayQueue {
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure> {
        {
            let bill = &mut self.meter.borrow_mut().bill;
            let (mut count, mut batch_bytes) = (0, 0);
            for outgoing in messages {
                let bytes = serde_json::to_vec(&outgoing.message).map_or(0, |json| json.len());
                if count == BATCH_MESSAGES || (count > 0 && batch_bytes + bytes > BATCH_BYTES) {
                    bill.queue_requests += queue_requests(batch_bytes);
                    bill.poller_requests += 1.0;
                    (count, batch_bytes) = (0, 0);
                }
                (count, batch_bytes) = (count + 1, batch_bytes + bytes);
                bill.messages += 1.0;
                bill.queue_requests += queue_requests(bytes) + 1.0;
            }
            bill.queue_requests += queue_requests(batch_bytes);
            bill.poller_requests += 1.0;
        }
        self.queue.send(messages).await
    }
}
