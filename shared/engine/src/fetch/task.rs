//! What one message asks for, as the ledger knows it.

use std::collections::BTreeMap;

use super::{Fetcher, FetcherPorts};
use crate::{
    Chunk, Event, Ledger, LocalMillis, Message, Position, RecordId, RetryEntry, Rule, Source, StoreFailure,
    StoredVersion, StreamKey, Told, Work, stored,
};

/// Ids to look at.
pub(super) struct Task {
    pub(super) stream: StreamKey,
    pub(super) origin: Origin,
    /// Ids of the message that the ledger owes.
    pub(super) ids: Vec<RecordId>,
}

/// Where the ids are owed.
pub(super) enum Origin {
    Chunk(Box<Chunk>),
    Retry(Box<RetryEntry>),
}

impl Task {
    pub(super) fn is_chunk(&self) -> bool {
        matches!(self.origin, Origin::Chunk(_))
    }

    /// When the ids were listed: a row is dated by it, and a look begun at or after it pays for an id.
    pub(super) fn listed_at(&self) -> LocalMillis {
        match &self.origin {
            Origin::Chunk(chunk) => chunk.listed_at,
            Origin::Retry(entry) => entry.listed_at,
        }
    }

    /// From when on a look pays for the ids.
    pub(super) fn pays_from(&self) -> LocalMillis {
        match &self.origin {
            Origin::Chunk(chunk) => chunk.pays_from(),
            Origin::Retry(entry) => entry.listed_at,
        }
    }

    /// What the ids keep `committed` at.
    pub(super) fn holds(&self) -> Option<&Position> {
        match &self.origin {
            Origin::Chunk(chunk) => chunk.holds.as_ref(),
            Origin::Retry(entry) => entry.holds.as_ref(),
        }
    }

    /// Whether a stored look has paid for an id. What failed is paid for by a later look alone.
    pub(super) fn is_paid(&self, stored: Option<&StoredVersion>) -> bool {
        let Some(stored) = stored else { return false };
        if Rule::PaidByLater.is_left_out() {
            return true;
        }
        match &self.origin {
            Origin::Chunk(chunk) => stored.looked_at >= chunk.pays_from(),
            Origin::Retry(entry) => stored.looked_at > entry.listed_at,
        }
    }

    /// Whether the message's rows count: only where the chunk says that it has rows.
    pub(super) fn has_rows(&self) -> bool {
        matches!(&self.origin, Origin::Chunk(chunk) if chunk.told == Told::Rows)
    }

    /// The newest event about an id, where the chunk has one.
    pub(super) fn event(&self, id: &RecordId) -> Option<&Event> {
        match &self.origin {
            Origin::Chunk(chunk) => match &chunk.told {
                Told::Events(events) => events.get(id),
                Told::Ids | Told::Rows => None,
            },
            Origin::Retry(_) => None,
        }
    }

    /// Whether the vendor has to be asked for an id.
    pub(super) fn needs_call(&self, message: &Message, id: &RecordId) -> bool {
        let has_row = self.has_rows() && message.rows.contains_key(id);
        !has_row && !self.event(id).is_some_and(|event| event.deleted)
    }

    /// Whether records of the stream should bear stamps.
    pub(super) fn is_stamped(&self, source: &impl Source) -> bool {
        source.streams().iter().any(|traits| traits.name == self.stream.name && traits.stamped)
    }
}

impl<P: FetcherPorts> Fetcher<P> {
    /// Reads what the message asks for; none when nothing of it is owed.
    pub(super) async fn task(&self, message: &Message) -> Result<Option<Task>, StoreFailure> {
        let stream = message.stream();
        let ledger = self.ports.ledger();
        let (origin, ids) = match message.work() {
            Some(Work::Chunk(key)) => {
                let Some(chunk) = ledger.chunk(&key).await? else { return Ok(None) };
                if chunk.ids.is_empty() {
                    // Two fetchers finished a part each. The set only shrinks: nothing can be left behind.
                    ledger.delete_chunk(&key).await?;
                    return Ok(None);
                }
                let ids: Vec<RecordId> = message.ids.iter().filter(|id| chunk.ids.contains(id)).cloned().collect();
                (Origin::Chunk(Box::new(chunk)), ids)
            }
            Some(Work::Retry) => {
                let Some(id) = message.ids.first() else { return Ok(None) };
                let Some(entry) = ledger.retry_entry(&stream, id).await? else { return Ok(None) };
                (Origin::Retry(Box::new(entry)), vec![id.clone()])
            }
            None => return Ok(None),
        };
        Ok((!ids.is_empty()).then_some(Task { stream, origin, ids }))
    }

    /// What is stored of the ids, by id.
    pub(super) async fn stored_versions(&self, task: &Task) -> Result<BTreeMap<RecordId, StoredVersion>, StoreFailure> {
        let (source, versions) = (self.ports.source(), self.ports.versions());
        stored::versions_of(source, versions, &task.stream.name, task.ids.iter()).await
    }
}
