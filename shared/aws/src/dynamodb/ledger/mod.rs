//! The ledger table: chunks, quarantine, and what the functions of a source share.
//!
//! | item | `partition` | `item` | shape |
//! |---|---|---|---|
//! | chunk | `run#source#stream#run_id` | `chunk#{seq:08}#{epoch}` | [`chunks`] |
//! | quarantined id | `quarantine#source#stream` | the id | [`quarantine`] |
//! | breaker and schedule | `breaker#source` | `-` | [`shared`] |
//! | pause | `breaker#source` | the stream | [`shared`] |

pub mod chunks;
pub mod quarantine;
pub mod shared;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, ReturnValue, WriteRequest};
use tidemark_engine::breaker::{Pause, SourceState, StampGap};
use tidemark_engine::chunk::{Chunk, ChunkKey, Finish};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Clock, Ledger, Written};
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::{UtcMillis, millis_of};
use tidemark_engine::stream::{SourceKind, StreamKey};

use self::shared::Reservation;
use super::item::{Item, Reader, instant, item, number, text};
use super::position;
use super::table::{Table, Update, Updated, malformed};
use crate::backoff;
use crate::client::Sdk;
use crate::errors::AwsError;

/// Partition and sort key.
const PARTITION: &str = "partition";
const ITEM: &str = "item";

/// The most items that one batch call writes.
///
/// Source: Amazon DynamoDB API Reference, `BatchWriteItem` (read 2026-11-21).
const BATCH_ITEMS: usize = 25;

const IN_PARTITION: &str = "#partition = :partition";
const EXISTS: &str = "attribute_exists(#partition)";

/// The ledger, in DynamoDB.
#[derive(Debug)]
pub struct LedgerTable<C> {
    table: Table,
    clock: C,
    /// The end of the newest reservation of each source that was seen, to guess which write of the schedule will hold.
    reserved_until: Mutex<BTreeMap<SourceKind, UtcMillis>>,
}

impl<C: Clock> LedgerTable<C> {
    /// The table called `name`; `clock` dates what expires and times pauses between tries.
    pub fn new(sdk: &Sdk, name: impl Into<String>, clock: C) -> Self {
        Self { table: Table::new(sdk, name), clock, reserved_until: Mutex::default() }
    }

    /// Puts up to [`BATCH_ITEMS`] items, and what was left over again until nothing is.
    async fn put_batch(&self, operation: &'static str, items: Vec<Item>) -> Result<(), StoreFailure> {
        let mut left = items
            .into_iter()
            .map(put_request)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| StoreFailure::Unavailable { operation, source: Box::new(error) })?;
        let mut try_count = 0;
        loop {
            let before = left.len();
            let requests = HashMap::from([(self.table.name.clone(), left)]);
            let sent = self.table.client.batch_write_item().set_request_items(Some(requests)).send().await;
            let answer = sent.map_err(|error| AwsError::of(error).store_failure(operation, 0))?;
            left = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if left.is_empty() {
                return Ok(());
            }
            try_count = if left.len() < before { 1 } else { try_count + 1 };
            if try_count > backoff::TRIES {
                let source = Box::new(Leftovers { count: left.len() });
                return Err(StoreFailure::Unavailable { operation, source });
            }
            self.clock.sleep(backoff::pause(try_count)).await;
        }
    }

    async fn update_shared(
        &self,
        operation: &'static str,
        source: SourceKind,
        expression: &str,
        condition: &str,
        values: Item,
    ) -> Result<Written, StoreFailure> {
        let key = shared::key_of(source);
        self.table.update(Update { operation, key, expression, condition, values, ..Update::default() }).await
    }

    fn believed_reserved_until(&self, source: SourceKind) -> UtcMillis {
        let known = self.reserved_until.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&source).copied().unwrap_or_default()
    }

    fn note_reserved_until(&self, source: SourceKind, until: UtcMillis) {
        self.reserved_until.lock().unwrap_or_else(PoisonError::into_inner).insert(source, until);
    }
}

/// What a batch call refused time and again.
#[derive(Debug, thiserror::Error)]
#[error("{count} items of a batch were left over time and again: the table is throttled")]
pub(super) struct Leftovers {
    pub(super) count: usize,
}

fn put_request(item: Item) -> Result<WriteRequest, aws_sdk_dynamodb::error::BuildError> {
    let put = PutRequest::builder().set_item(Some(item)).build()?;
    Ok(WriteRequest::builder().put_request(put).build())
}

/// The key of an item.
fn key(partition: String, sort: impl Into<String>) -> Item {
    item([(PARTITION, text(partition)), (ITEM, text(sort))])
}

impl<C: Clock> Ledger for LedgerTable<C> {
    async fn put_chunks(&self, chunks: &[Chunk]) -> Result<(), StoreFailure> {
        let expires_at = chunks::expires_at(self.clock.now());
        for batch in chunks.chunks(BATCH_ITEMS) {
            let items = batch.iter().map(|chunk| chunks::item_of(chunk, expires_at)).collect();
            self.put_batch("put chunks", items).await?;
        }
        Ok(())
    }

    async fn chunks(&self, stream: &StreamKey, run: &str, first: u32, end: u32) -> Result<Vec<Chunk>, StoreFailure> {
        let operation = "read chunks";
        if first >= end {
            return Ok(Vec::new());
        }
        let partition = chunks::partition_of(stream, run);
        let (lowest, highest) = chunks::sort_range(first, end);
        let values = item([(":partition", text(&partition)), (":lowest", text(lowest)), (":highest", text(highest))]);
        let items = self.table.query(operation, chunks::BETWEEN, values).await?;
        let mut found = Vec::with_capacity(items.len());
        for item in &items {
            let chunk = chunks::chunk_of(stream, run, item);
            found.push(chunk.map_err(|fault| malformed(operation, &partition, &fault))?);
        }
        found.sort_by(|left: &Chunk, right| left.key.cmp(&right.key));
        Ok(found)
    }

    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure> {
        let operation = "read a chunk";
        let Some(item) = self.table.get(operation, chunks::key_of(key)).await? else {
            return Ok(None);
        };
        let chunk = chunks::chunk_of(&key.stream, &key.run, &item);
        chunk.map(Some).map_err(|fault| malformed(operation, key, &fault))
    }

    async fn mark_sent(&self, key: &ChunkKey, sent_at: UtcMillis) -> Result<Written, StoreFailure> {
        let update = Update {
            operation: "mark a chunk as sent",
            key: chunks::key_of(key),
            expression: chunks::MARK_SENT,
            condition: EXISTS,
            values: item([
                (":sent_at", instant(sent_at)),
                (":expires_at", number(chunks::expires_at(sent_at))),
                (":no", AttributeValue::Bool(false)),
                (":one", number(1)),
            ]),
            ..Update::default()
        };
        self.table.update(update).await
    }

    async fn finish(&self, key: &ChunkKey, finish: &Finish) -> Result<Written, StoreFailure> {
        let (expression, values) = chunks::finish(finish);
        let update = Update {
            operation: "finish a chunk",
            key: chunks::key_of(key),
            expression: &expression,
            condition: EXISTS,
            values,
            ..Update::default()
        };
        self.table.update(update).await
    }

    async fn poison(&self, key: &ChunkKey, id: &RecordId, reason: &str) -> Result<Written, StoreFailure> {
        let update = Update {
            operation: "poison an id",
            key: chunks::key_of(key),
            expression: chunks::POISON,
            condition: chunks::IS_PENDING,
            values: item([
                (":id", text(id.as_str())),
                (":ids", AttributeValue::Ss(vec![id.as_str().to_owned()])),
                (":reason", text(reason)),
            ]),
            more_names: HashMap::from([("#id".to_owned(), id.as_str().to_owned())]),
        };
        self.table.update(update).await
    }

    async fn mark_trying(&self, key: &ChunkKey, id: &RecordId, receives: u32) -> Result<Written, StoreFailure> {
        let update = Update {
            operation: "mark the id being tried",
            key: chunks::key_of(key),
            expression: chunks::MARK_TRYING,
            condition: EXISTS,
            values: item([(":id", text(id.as_str())), (":receives", number(receives))]),
            ..Update::default()
        };
        self.table.update(update).await
    }

    async fn quarantined(&self, stream: &StreamKey) -> Result<Vec<Quarantined>, StoreFailure> {
        let operation = "read the quarantine";
        let partition = quarantine::partition_of(stream);
        let values = item([(":partition", text(&partition))]);
        let items = self.table.query(operation, IN_PARTITION, values).await?;
        let entries = items.iter().map(|item| quarantine::entry_of(stream, item));
        entries.collect::<Result<_, _>>().map_err(|fault| malformed(operation, &partition, &fault))
    }

    async fn quarantine(&self, entry: &Quarantined) -> Result<Written, StoreFailure> {
        self.table.put_new("quarantine an id", PARTITION, quarantine::item_of(entry)).await
    }

    async fn reschedule(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        attempts: u32,
        next_at: UtcMillis,
    ) -> Result<Written, StoreFailure> {
        let update = Update {
            operation: "reschedule a quarantined id",
            key: quarantine::key_of(stream, id),
            expression: quarantine::RESCHEDULE,
            condition: EXISTS,
            values: item([(":attempts", number(attempts)), (":next_at", instant(next_at))]),
            ..Update::default()
        };
        self.table.update(update).await
    }

    async fn resolve(&self, stream: &StreamKey, id: &RecordId, fetched_at: UtcMillis) -> Result<Written, StoreFailure> {
        let values = item([(":fetched_at", instant(fetched_at))]);
        let operation = "resolve a quarantined id";
        self.table.delete(operation, quarantine::key_of(stream, id), quarantine::WENT_IN_BEFORE, values).await
    }

    async fn source_state(&self, source: SourceKind) -> Result<SourceState, StoreFailure> {
        let operation = "read the state of the source";
        let partition = shared::partition_of(source);
        let items = self.table.query(operation, IN_PARTITION, item([(":partition", text(&partition))])).await?;
        shared::state_of(&items).map_err(|fault| malformed(operation, &partition, &fault))
    }

    async fn add_failures(&self, source: SourceKind, count: u32) -> Result<u32, StoreFailure> {
        let operation = "count failures of the source";
        let update = Update {
            operation,
            key: shared::key_of(source),
            expression: shared::ADD_FAILURES,
            values: item([(":count", number(count))]),
            ..Update::default()
        };
        let item = self.table.update_and_look(update, ReturnValue::UpdatedNew).await?.into_item();
        let total = Reader::of(&item).number("failure_count");
        total.map_err(|fault| malformed(operation, &shared::partition_of(source), &fault))
    }

    async fn open_breaker(
        &self,
        source: SourceKind,
        until: UtcMillis,
        open_for: Duration,
        why: &str,
    ) -> Result<Written, StoreFailure> {
        let values =
            item([(":until", instant(until)), (":open_for_ms", number(millis_of(open_for))), (":why", text(why))]);
        let condition = shared::NOT_OPEN_FOR_LONGER;
        self.update_shared("open the breaker", source, shared::OPEN_BREAKER, condition, values).await
    }

    async fn close_breaker(&self, source: SourceKind) -> Result<(), StoreFailure> {
        let update = shared::CLOSE_BREAKER;
        self.update_shared("close the breaker", source, update, "", Item::new()).await.map(|_| ())
    }

    async fn pause_stream(&self, stream: &StreamKey, pause: &Pause) -> Result<(), StoreFailure> {
        let update = Update {
            operation: "pause the stream",
            key: shared::pause_key_of(stream),
            expression: shared::PAUSE,
            values: item([(":paused_until", instant(pause.until)), (":why", text(&pause.why))]),
            ..Update::default()
        };
        self.table.update(update).await.map(|_| ())
    }

    async fn resume_stream(&self, stream: &StreamKey) -> Result<(), StoreFailure> {
        let update = Update {
            operation: "resume the stream",
            key: shared::pause_key_of(stream),
            expression: shared::RESUME,
            condition: EXISTS,
            ..Update::default()
        };
        self.table.update(update).await.map(|_| ())
    }

    async fn note_stamp_gap(&self, source: SourceKind, gap: StampGap) -> Result<(), StoreFailure> {
        let values = item([(":stamp_gap_ms", number(gap.millis)), (":stamp_gap_seen_at", instant(gap.seen_at))]);
        self.update_shared("note the stamp gap", source, shared::NOTE_GAP, "", values).await.map(|_| ())
    }

    async fn reserve(
        &self,
        source: SourceKind,
        calls: u32,
        interval: Duration,
        now: UtcMillis,
        latest: UtcMillis,
    ) -> Result<Option<UtcMillis>, StoreFailure> {
        let operation = "reserve calls";
        if now > latest {
            return Ok(None);
        }
        let span_ms = shared::span_ms(calls, interval);
        let mut next_free_at = self.believed_reserved_until(source);
        for _ in 0..shared::RESERVE_TRIES {
            // What is believed may be out of date, so only the table's own word turns a reservation down.
            let way = Reservation::of(next_free_at, now, latest).unwrap_or(Reservation::Behind);
            let update = Update {
                operation,
                key: shared::key_of(source),
                expression: way.update(),
                condition: way.condition(),
                values: way.values(span_ms, now, latest),
                ..Update::default()
            };
            let updated = self.table.update_and_look(update, ReturnValue::UpdatedNew).await?;
            let was_reserved = matches!(updated, Updated::Applied(_));
            let item = updated.into_item();
            let found = Reader::of(&item).instant_if_any("next_free_at");
            let found = found.map_err(|fault| malformed(operation, &shared::partition_of(source), &fault))?;
            next_free_at = found.unwrap_or_default();
            self.note_reserved_until(source, next_free_at);
            if was_reserved {
                return Ok(Some(next_free_at.shifted(span_ms.saturating_neg())));
            }
            if Reservation::of(next_free_at, now, latest).is_none() {
                return Ok(None);
            }
        }
        let source = Box::new(shared::Contended);
        Err(StoreFailure::Unavailable { operation, source })
    }
}
