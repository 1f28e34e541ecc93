//! The ledger table: what is owed, and what the functions share.
//!
//! | item | `partition` | `item` | shape |
//! |---|---|---|---|
//! | chunk | `work#source#stream` | `lane#holds#version#seq` | [`chunks`] |
//! | id of the retry lane | `work#source#stream` | `retry#id` | [`retry`] |
//! | state of the stream | `work#source#stream` | `state` | [`state`] |
//! | state and ids of sweeps | `work#source#stream` | `sweep`, `swept#..` | `sweeps` |
//! | state of the source | `source#source` | `-` | [`state`], [`schedule`] |
//! | act of an operator | `audit` | `at#chance` | `operator` |

pub mod chunks;
#[cfg(feature = "operator")]
mod operator;
mod packed;
pub mod retry;
pub mod schedule;
pub mod state;
mod sweeps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::health::{SourceState, StreamState, Why};
use tidemark_engine::lateness::Lateness;
use tidemark_engine::ports::{Ledger, Owed, Written};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Next, RetryEntry};

#[cfg(feature = "operator")]
pub use self::operator::AuditEntry;
use self::schedule::Reservation;
use super::item::{BadShape, Item, Reader, instant, item, number, text};
use super::table::{Query, Table, Update, Updated, malformed};
use crate::client::Sdk;

/// Partition and sort key.
const PARTITION: &str = "partition";
const ITEM: &str = "item";

/// The most bytes of a sort key.
///
/// Source: Amazon DynamoDB Developer Guide, "Constraints in Amazon DynamoDB" (read 2026-11-21).
const SORT_BYTES_MAX: usize = 1_024;

const BEGINS_WITH: &str = "#partition = :partition AND begins_with(#item, :prefix)";
const EXISTS: &str = "attribute_exists(#item)";

/// The ledger, in DynamoDB.
#[derive(Debug)]
pub struct LedgerTable {
    table: Table,
    /// The end of the newest reservation of each source that was seen, to guess which write of the schedule will hold.
    reserved_until: Mutex<BTreeMap<SourceKind, LocalMillis>>,
}

impl LedgerTable {
    /// The table called `name`.
    pub fn new(sdk: &Sdk, name: impl Into<String>) -> Self {
        Self { table: Table::new(sdk, name), reserved_until: Mutex::default() }
    }

    /// Updates an item that is there.
    async fn update_existing(
        &self,
        operation: &'static str,
        key: Item,
        (expression, values): (&str, Item),
    ) -> Result<Written, StoreFailure> {
        self.table.update(Update { operation, key, expression, condition: EXISTS, values }).await
    }

    fn believed_reserved_until(&self, source: SourceKind) -> LocalMillis {
        let known = self.reserved_until.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&source).copied().unwrap_or_default()
    }

    fn note_reserved_until(&self, source: SourceKind, until: LocalMillis) {
        self.reserved_until.lock().unwrap_or_else(PoisonError::into_inner).insert(source, until);
    }

    /// When the next call of the source's schedule may be made, and whether the reservation was what moved it there.
    async fn try_reserve(
        &self,
        source: SourceKind,
        way: Reservation,
        values: Item,
    ) -> Result<(LocalMillis, bool), StoreFailure> {
        let operation = "reserve calls";
        let key = state::source_key_of(source);
        let update = Update { operation, key, expression: way.update(), condition: way.condition(), values };
        let (item, was_reserved) = match self.table.update_and_look(update).await? {
            Updated::Applied(item) => (item, true),
            Updated::Refused(Some(item)) => (item, false),
            // There is none, or the table does not show what it holds.
            Updated::Refused(None) => {
                (self.table.get(operation, state::source_key_of(source)).await?.unwrap_or_default(), false)
            }
        };
        let found = Reader::of(&item).instant_if_any("next_call_at");
        let next_call_at = found.map_err(|fault| malformed(operation, &source, &fault))?.unwrap_or_default();
        Ok((next_call_at, was_reserved))
    }
}

fn unavailable(operation: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> StoreFailure {
    StoreFailure::Unavailable(operation, Box::new(source))
}

/// The key of an item.
fn key(partition: String, sort: impl Into<String>) -> Item {
    item([(PARTITION, text(partition)), (ITEM, text(sort))])
}

/// The partition of all that a stream owes.
fn work_of(stream: &StreamKey) -> String {
    format!("work#{stream}")
}

/// The values of [`BEGINS_WITH`].
fn work_from(stream: &StreamKey, prefix: impl Into<String>) -> Item {
    item([(":partition", text(work_of(stream))), (":prefix", text(prefix))])
}

/// Reads items, all of them or none.
fn all_of<T>(
    operation: &'static str,
    stream: &StreamKey,
    items: &[Item],
    read: impl Fn(&StreamKey, &Item) -> Result<T, BadShape>,
) -> Result<Vec<T>, StoreFailure> {
    let found = items.iter().map(|item| {
        let sort = Reader::of(item).text(ITEM).unwrap_or_default();
        read(stream, item).map_err(|fault| malformed(operation, &format!("{} / {sort}", work_of(stream)), &fault))
    });
    found.collect()
}

impl Ledger for LedgerTable {
    async fn put_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreFailure> {
        let operation = "put chunks";
        // One by one: who may write batches may delete in them, too.
        for chunk in chunks {
            let item = chunks::item_of(chunk).map_err(|fault| unavailable(operation, fault))?;
            self.table.put(operation, item).await?;
        }
        Ok(())
    }

    async fn head(&self, stream: &StreamKey, lane: Lane, limit: usize) -> Result<Vec<Chunk>, StoreFailure> {
        let operation = "read chunks";
        let values = work_from(stream, chunks::prefix_of(lane));
        let query = Query { limit, ..Query::new(operation, BEGINS_WITH, values) };
        all_of(operation, stream, &self.table.query(query).await?, chunks::chunk_of)
    }

    async fn owed(&self, stream: &StreamKey) -> Result<Owed, StoreFailure> {
        let operation = "count what is owed";
        let count = async |lane| {
            let values = work_from(stream, chunks::prefix_of(lane));
            let (projection, is_consistent) = (chunks::OWED, false);
            let query = Query { projection, is_consistent, ..Query::new(operation, BEGINS_WITH, values) };
            let items = self.table.query(query).await?;
            let count = items.iter().map(chunks::owed_count).sum::<usize>();
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        };
        Ok(Owed { fresh_count: count(Lane::Fresh).await?, bulk_count: count(Lane::Bulk).await? })
    }

    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure> {
        let operation = "read a chunk";
        let Some(item) = self.table.get(operation, chunks::key_of(key)).await? else {
            return Ok(None);
        };
        chunks::chunk_of(&key.stream, &item).map(Some).map_err(|fault| malformed(operation, key, &fault))
    }

    async fn mark_sent(&self, key: &ChunkKey, next_at: LocalMillis) -> Result<Written, StoreFailure> {
        let update = (chunks::MARK_SENT, item([(":next_at", instant(next_at))]));
        self.update_existing("mark a chunk as sent", chunks::key_of(key), update).await
    }

    async fn finish(&self, key: &ChunkKey, gone: &BTreeSet<RecordId>, next: &Next) -> Result<Written, StoreFailure> {
        let (expression, values) = chunks::finish(gone, next);
        self.update_existing("finish ids of a chunk", chunks::key_of(key), (&expression, values)).await
    }

    async fn delete_chunk(&self, key: &ChunkKey) -> Result<(), StoreFailure> {
        self.table.delete("delete a chunk", chunks::key_of(key), "", Item::new()).await.map(|_| ())
    }

    async fn retry_entries(&self, stream: &StreamKey) -> Result<Vec<RetryEntry>, StoreFailure> {
        let operation = "read the retry lane";
        let query = Query::new(operation, BEGINS_WITH, work_from(stream, retry::PREFIX));
        let mut entries = all_of(operation, stream, &self.table.query(query).await?, retry::entry_of)?;
        entries.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(entries)
    }

    async fn retry_entry(&self, stream: &StreamKey, id: &RecordId) -> Result<Option<RetryEntry>, StoreFailure> {
        let operation = "read an entry of the retry lane";
        let Some(item) = self.table.get(operation, retry::key_of(stream, id)).await? else {
            return Ok(None);
        };
        let entry = retry::entry_of(stream, &item);
        entry.map(Some).map_err(|fault| malformed(operation, &format!("{stream} {id}"), &fault))
    }

    async fn set_aside(&self, entry: &RetryEntry) -> Result<(), StoreFailure> {
        let operation = "put an id into the retry lane";
        let (expression, values) = retry::raise(entry);
        let key = retry::key_of(&entry.stream, &entry.id);
        let (expression, condition) = (expression.as_str(), retry::FAILED_BEFORE);
        self.table.update(Update { operation, key, expression, condition, values }).await?;
        if let Some(holds) = &entry.holds {
            let key = retry::key_of(&entry.stream, &entry.id);
            let (expression, condition, values) = (retry::LOWER, retry::HOLDS_LESS, retry::lower(holds));
            self.table.update(Update { operation, key, expression, condition, values }).await?;
        }
        Ok(())
    }

    async fn reschedule(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        attempts: u32,
        next_at: LocalMillis,
    ) -> Result<Written, StoreFailure> {
        let values = item([(":attempts", number(attempts)), (":next_at", instant(next_at))]);
        let key = retry::key_of(stream, id);
        self.update_existing("reschedule an id of the retry lane", key, (retry::RESCHEDULE, values)).await
    }

    async fn resolve(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        looked_at: LocalMillis,
    ) -> Result<Written, StoreFailure> {
        let values = item([(":looked_at", instant(looked_at))]);
        let operation = "take an id out of the retry lane";
        self.table.delete(operation, retry::key_of(stream, id), retry::FAILED_BEFORE_LOOK, values).await
    }

    async fn stream_state(&self, stream: &StreamKey) -> Result<StreamState, StoreFailure> {
        let operation = "read the state of the stream";
        let found = self.table.get(operation, state::stream_key_of(stream)).await?.unwrap_or_default();
        state::stream_state_of(&found).map_err(|fault| malformed(operation, stream, &fault))
    }

    async fn write_mark(&self, stream: &StreamKey, mark: &str) -> Result<(), StoreFailure> {
        let update = Update {
            operation: "mark the ledger",
            key: state::stream_key_of(stream),
            expression: state::WRITE_MARK,
            condition: "",
            values: item([(":mark", text(mark))]),
        };
        self.table.update(update).await.map(|_| ())
    }

    async fn note_stored(&self, stream: &StreamKey, at: LocalMillis, late: &Lateness) -> Result<(), StoreFailure> {
        let update = Update {
            operation: "note that something was stored",
            key: state::stream_key_of(stream),
            expression: state::NOTE_STORED,
            condition: state::STORED_BEFORE,
            values: state::stored(at, late),
        };
        self.table.update(update).await.map(|_| ())
    }

    async fn add_failures(&self, stream: &StreamKey, count: u32) -> Result<u32, StoreFailure> {
        let operation = "count failures of the stream";
        let update = Update {
            operation,
            key: state::stream_key_of(stream),
            expression: state::ADD_FAILURES,
            condition: "",
            values: item([(":count", number(count))]),
        };
        let item = match self.table.update_and_look(update).await? {
            Updated::Applied(item) => item,
            Updated::Refused(item) => item.unwrap_or_default(),
        };
        Reader::of(&item).number("failure_count").map_err(|fault| malformed(operation, stream, &fault))
    }

    async fn pause_stream(&self, stream: &StreamKey, until: LocalMillis, why: &Why) -> Result<Written, StoreFailure> {
        let update = Update {
            operation: "pause the stream",
            key: state::stream_key_of(stream),
            expression: state::PAUSE_STREAM,
            condition: state::NOT_OPEN_FOR_LONGER,
            values: state::pause(until, why),
        };
        self.table.update(update).await
    }

    async fn resume_stream(&self, stream: &StreamKey) -> Result<(), StoreFailure> {
        let update = (state::RESUME, Item::new());
        self.update_existing("resume the stream", state::stream_key_of(stream), update).await.map(|_| ())
    }

    async fn source_state(&self, source: SourceKind) -> Result<SourceState, StoreFailure> {
        let operation = "read the state of the source";
        let found = self.table.get(operation, state::source_key_of(source)).await?.unwrap_or_default();
        state::source_state_of(&found).map_err(|fault| malformed(operation, &source, &fault))
    }

    async fn pause_source(
        &self,
        source: SourceKind,
        until: LocalMillis,
        open_for: Duration,
        why: &Why,
    ) -> Result<Written, StoreFailure> {
        let update = Update {
            operation: "pause the source",
            key: state::source_key_of(source),
            expression: state::PAUSE_SOURCE,
            condition: state::NOT_OPEN_FOR_LONGER,
            values: state::pause_of(until, open_for, why),
        };
        self.table.update(update).await
    }

    async fn resume_source(&self, source: SourceKind) -> Result<(), StoreFailure> {
        let update = (state::RESUME, Item::new());
        self.update_existing("resume the source", state::source_key_of(source), update).await.map(|_| ())
    }

    async fn note_bulk(&self, stream: &StreamKey, at: LocalMillis) -> Result<(), StoreFailure> {
        let operation = "note bulk work of the stream";
        let key = || state::source_key_of(stream.source);
        let another = state::note_bulk(&stream.name);
        let another = || Update {
            operation,
            key: key(),
            expression: &another,
            condition: state::SOME_BULK,
            values: item([(":at", instant(at))]),
        };
        let first = || Update {
            operation,
            key: key(),
            expression: state::FIRST_BULK,
            condition: state::NO_BULK,
            values: state::first_bulk(&stream.name, at),
        };
        // The last time for a map that another function made in between.
        for update in [another(), first(), another()] {
            if self.table.update(update).await? == Written::Applied {
                break;
            }
        }
        Ok(())
    }

    async fn reserve(
        &self,
        source: SourceKind,
        calls: u32,
        interval: Duration,
        earliest: LocalMillis,
        latest: LocalMillis,
    ) -> Result<Option<LocalMillis>, StoreFailure> {
        if earliest > latest {
            return Ok(None);
        }
        let span_ms = schedule::span_ms(calls, interval);
        let mut next_call_at = self.believed_reserved_until(source);
        for _ in 0..schedule::RESERVE_TRIES {
            // The cached value may be out of date, so only the table itself refuses a reservation.
            let way = Reservation::of(next_call_at, earliest, latest).unwrap_or(Reservation::Behind);
            let values = way.values(span_ms, earliest, latest);
            let was_reserved;
            (next_call_at, was_reserved) = self.try_reserve(source, way, values).await?;
            self.note_reserved_until(source, next_call_at);
            if was_reserved {
                return Ok(Some(next_call_at.shifted(span_ms.saturating_neg())));
            }
            if Reservation::of(next_call_at, earliest, latest).is_none() {
                return Ok(None);
            }
        }
        Err(unavailable("reserve calls", schedule::Contended))
    }
}
