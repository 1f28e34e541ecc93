//! What one message asks for, as the ledger knows it.

use super::{Fetcher, FetcherPorts};
use crate::{
    Chunk, Clock, Event, Lane, Ledger, LocalMillis, Message, Position, ROW_AGE_MAX, RecordId, RetryEntry, Rule, Stamp,
    StoreFailure, StoredVersion, StreamKey, Told, Work,
};

pub(super) struct Task {
    pub(super) stream: StreamKey,
    pub(super) origin: Origin,
    /// Ids of the message that the ledger owes.
    pub(super) ids: Vec<RecordId>,
    /// When the ids were listed: a row is dated by it.
    pub(super) listed_at: LocalMillis,
    pub(super) pays_from: LocalMillis,
    pub(super) holds: Option<Position>,
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

    fn told(&self) -> &Told {
        match &self.origin {
            Origin::Chunk(chunk) => &chunk.told,
            Origin::Retry(_) => &Told::Ids,
        }
    }

    pub(super) fn is_paid(&self, stored: &StoredVersion) -> bool {
        stored.looked_at >= self.pays_from || Rule::PaidByLater.is_left_out()
    }

    /// Whether the message's rows count: only where the chunk says that it has rows.
    pub(super) fn has_rows(&self) -> bool {
        *self.told() == Told::Rows
    }

    /// The newest event about an id, where the chunk has one.
    pub(super) fn event(&self, id: &RecordId) -> Option<&Event> {
        match self.told() {
            Told::Events(events) => events.get(id),
            Told::Ids | Told::Rows => None,
        }
    }

    /// How far below the start of its list, but for the overlap, a new stamp lies. Only fresh work says something of that.
    pub(super) fn late_ms(&self, stamp: &Stamp, known: Option<&StoredVersion>) -> Option<i64> {
        let Origin::Chunk(chunk) = &self.origin else { return None };
        let is_new = known.is_none_or(|known| known.stamp.as_ref() != Some(&stamp.text));
        let from = chunk.holds.as_ref().filter(|_| is_new && chunk.key.lane == Lane::Fresh)?.at()?;
        Some(from.millis_since(stamp.at))
    }

    /// Whether the vendor has to be asked for an id.
    pub(super) fn needs_call(&self, message: &Message, id: &RecordId) -> bool {
        let has_row = self.has_rows() && message.rows.contains_key(id);
        !has_row && !self.event(id).is_some_and(|event| event.deleted)
    }
}

impl<P: FetcherPorts> Fetcher<P> {
    /// Reads what the message asks for; none when nothing of it is owed.
    pub(super) async fn task(&self, message: &Message) -> Result<Option<Task>, StoreFailure> {
        let (stream, ledger) = (message.stream(), self.ports.ledger());
        let task = match message.work() {
            Some(Work::Chunk(key)) => {
                let Some(mut chunk) = ledger.chunk(&key).await? else { return Ok(None) };
                if chunk.ids.is_empty() {
                    // Two fetchers finished a part each. The set only shrinks: nothing can be left behind.
                    ledger.delete_chunk(&key).await?;
                    return Ok(None);
                }
                // A tombstone that kept an old row out may have expired meanwhile.
                let row_age = self.ports.clock().now().since(chunk.listed_at);
                if chunk.told == Told::Rows && row_age >= ROW_AGE_MAX && !Rule::RowAge.is_left_out() {
                    chunk.told = Told::Ids;
                }
                let ids = message.ids.iter().filter(|id| chunk.ids.contains(id)).cloned().collect();
                let (listed_at, pays_from, holds) = (chunk.listed_at, chunk.pays_from(), chunk.holds.clone());
                Task { stream, origin: Origin::Chunk(Box::new(chunk)), ids, listed_at, pays_from, holds }
            }
            Some(Work::Retry) => {
                let Some(id) = message.ids.first() else { return Ok(None) };
                let Some(entry) = ledger.retry_entry(&stream, id).await? else { return Ok(None) };
                // What failed is paid for by a later look alone.
                let (listed_at, pays_from, holds) = (entry.listed_at, entry.listed_at.shifted(1), entry.holds.clone());
                let ids = vec![id.clone()];
                Task { stream, origin: Origin::Retry(Box::new(entry)), ids, listed_at, pays_from, holds }
            }
            None => return Ok(None),
        };
        Ok(Some(task).filter(|task| !task.ids.is_empty()))
    }
}
