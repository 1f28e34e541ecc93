//! Records in memory: the order of versions, tombstones, and reads that lag behind.

use std::collections::BTreeMap;

use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Records, Stored, StoredVersions};
use tidemark_engine::record::{Record, RecordKey, StoredVersion, Tombstone};

use super::gate::{Gate, Operation};
use super::tables::{Flaw, MemoryTables, StoredRecord, Tables};

/// A longer body does not fit. An item may have 400 KB after compression; this stands for that.
const BODY_BYTES_MAX: usize = 1024 * 1024;

impl<G: Gate> Records for MemoryTables<G> {
    async fn upsert(&self, record: &Record) -> Result<Stored, StoreFailure> {
        let bytes = record.body.text().len();
        if bytes > BODY_BYTES_MAX {
            return Err(StoreFailure::Large { operation: Operation::Upsert.name(), bytes });
        }
        self.call(Operation::Upsert, |tables| upsert(tables, record)).await
    }

    async fn tombstone(&self, tombstone: &Tombstone) -> Result<Stored, StoreFailure> {
        self.call(Operation::Tombstone, |tables| bury(tables, tombstone)).await
    }
}

impl<G: Gate> StoredVersions for MemoryTables<G> {
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        self.call(Operation::Versions, |tables| {
            let lags = self.gate().reads_stale();
            let seen = |record: &StoredRecord| match &record.before {
                _ if !lags => Some(record.version()),
                before => before.as_deref().map(StoredRecord::version),
            };
            let found = keys.iter().filter_map(|key| Some((key.clone(), tables.records.get(key).and_then(seen)?)));
            found.collect()
        })
        .await
    }
}

fn upsert(tables: &mut Tables, record: &Record) -> Stored {
    let stored = tables.records.get(&record.key);
    if !stored.is_none_or(|stored| is_newer(record, stored, tables.flaw)) {
        return Stored::Superseded;
    }
    let next = StoredRecord {
        body: Some(record.body.clone()),
        stamp: record.stamp.clone().or_else(|| stored?.stamp.clone()),
        fetched_at: record.fetched_at,
        deleted: None,
        event: record.event.clone().or_else(|| stored?.event.clone()),
        before: stored.map(before).map(Box::new),
    };
    tables.records.insert(record.key.clone(), next);
    Stored::Written
}

/// The condition of E8 on an item that exists.
fn is_newer(record: &Record, stored: &StoredRecord, flaw: Option<Flaw>) -> bool {
    let is_later = stored.fetched_at < record.fetched_at;
    if flaw == Some(Flaw::RefusesMissingStamps) && stored.stamp.is_none() {
        return record.stamp.is_none() && is_later;
    }
    if stored.deleted.is_some() {
        return is_later;
    }
    match (&record.stamp, &stored.stamp) {
        (Some(new), Some(old)) if flaw == Some(Flaw::RefusesEqualStamps) => old.at < new.at,
        (Some(new), Some(old)) => old.at < new.at || (old.at == new.at && is_later),
        (Some(_), None) | (None, _) => is_later,
    }
}

fn before(stored: &StoredRecord) -> StoredRecord {
    StoredRecord { before: None, ..stored.clone() }
}

fn bury(tables: &mut Tables, tombstone: &Tombstone) -> Stored {
    let stored = tables.records.get(&tombstone.key);
    if stored.is_some_and(|stored| stored.fetched_at >= tombstone.fetched_at) {
        return Stored::Superseded;
    }
    let next = StoredRecord {
        body: stored.and_then(|stored| stored.body.clone()),
        stamp: stored.and_then(|stored| stored.stamp.clone()),
        fetched_at: tombstone.fetched_at,
        deleted: Some(tombstone.because),
        event: tombstone.event.clone().or_else(|| stored?.event.clone()),
        before: stored.map(before).map(Box::new),
    };
    tables.records.insert(tombstone.key.clone(), next);
    Stored::Written
}
