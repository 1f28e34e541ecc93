//! Records in memory: the order of looks, tombstones, and reads that lag behind.

use std::collections::BTreeMap;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Records, Stored, StoredVersions};
use tidemark_engine::record::{Body, Look, RecordKey, Seen, StoredVersion};

use super::gate::{Gate, Operation};
use super::tables::{Flaw, MemoryTables, StoredRecord, Tables};

/// Longer texts do not fit. An item may have 400 KB after compression; this stands for that.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

impl<G: Gate> Records for MemoryTables<G> {
    async fn store(&self, looks: &[Look]) -> Result<Vec<Stored>, StoreFailure> {
        self.write_all(Operation::StoreLooks, looks, |tables, looks| {
            looks.iter().map(|look| store(tables, look)).collect()
        })
        .await
    }
}

impl<G: Gate> StoredVersions for MemoryTables<G> {
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        self.read(Operation::Versions, |tables| {
            let seen = seen(self.gate().reads_stale());
            let found = keys.iter().filter_map(|key| Some((key.clone(), tables.records.get(key).and_then(&seen)?)));
            found.collect()
        })
        .await
    }
}

/// What a read of a record shows, one that lags behind or not.
pub(super) fn seen(lags: Option<LocalMillis>) -> impl Fn(&StoredRecord) -> Option<StoredVersion> {
    move |record| match &record.before {
        before if lags.is_some_and(|since| record.looked_at >= since) => before.as_deref().map(StoredRecord::version),
        _ => Some(record.version()),
    }
}

fn store(tables: &mut Tables, look: &Look) -> Stored {
    let bytes = texts_of(look).map(|text| text.text().len()).sum();
    if bytes > TEXT_BYTES_MAX {
        return Stored::TooLarge(bytes);
    }
    let stored = tables.records.get(&look.key);
    if !stored.is_none_or(|stored| replaces(look, stored, tables.flaw)) {
        return Stored::Superseded;
    }
    let (body, stamp, seen_at, deleted) = match &look.seen {
        Seen::Record { body, stamp, seen_at } => (Some(body.clone()), stamp.clone(), *seen_at, None),
        Seen::Gone(because) => {
            let (body, stamp) = stored.map(|stored| (stored.body.clone(), stored.stamp.clone())).unwrap_or_default();
            (body, stamp, None, Some(*because))
        }
    };
    let next = StoredRecord {
        body,
        stamp,
        looked_at: look.looked_at,
        seen_at,
        deleted,
        event: look.event.clone().or_else(|| stored?.event.clone()),
        before: stored.map(|stored| Box::new(StoredRecord { before: None, ..stored.clone() })),
    };
    tables.records.insert(look.key.clone(), next);
    Stored::Written
}

fn texts_of(look: &Look) -> impl Iterator<Item = &Body> {
    let body = match &look.seen {
        Seen::Record { body, .. } => Some(body),
        Seen::Gone(_) => None,
    };
    body.into_iter().chain(look.event.as_ref())
}

/// The condition of R1 on an item that exists.
fn replaces(look: &Look, stored: &StoredRecord, flaw: Option<Flaw>) -> bool {
    let is_later = stored.looked_at < look.looked_at;
    let stamp = match &look.seen {
        Seen::Record { stamp, .. } => stamp.as_ref(),
        Seen::Gone(_) => None,
    };
    match (flaw, stamp, &stored.stamp) {
        (Some(Flaw::LastWriteWins), _, _) => true,
        (Some(Flaw::StampsFirst), Some(new), Some(old)) if new.at != old.at => new.at > old.at,
        _ => is_later,
    }
}
