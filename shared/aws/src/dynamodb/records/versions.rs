//! The records for functions that may only know which versions are stored.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Clock, StoredVersions};
use tidemark_engine::record::{Fingerprint, RecordId, RecordKey, StoredVersion};
use tidemark_engine::stream::StreamKey;
use tidemark_sweep::ports::{Slice, StoredSlices};

use super::super::item::{BadShape, Item, Reader, item, text};
use super::super::table::{Query, Table, malformed, names};
use super::{ID, PARTITION};
use crate::backoff::{self, Leftovers};
use crate::client::Sdk;
use crate::errors::AwsError;

/// The most items that one batch call reads.
///
/// Source: Amazon DynamoDB API Reference, `BatchGetItem` (read 2026-11-21).
const BATCH_ITEMS: usize = 100;

/// All that a reader of versions may see.
const VERSION_ATTRIBUTES: &str = "#partition, #id, #last_edited, #fetched_at_ms, #seen_at_ms, #hash, #deleted";

const IN_PARTITION: &str = "#partition = :partition";

const OPERATION: &str = "read stored versions";

/// The records, in DynamoDB, for functions that may only know which versions are stored.
#[derive(Clone, Debug)]
pub struct VersionTable<C> {
    table: Table,
    clock: C,
}

impl<C: Clock> VersionTable<C> {
    /// The table called `name`; `clock` times pauses between tries.
    pub fn new(sdk: &Sdk, name: impl Into<String>, clock: C) -> Self {
        Self { table: Table::new(sdk, name), clock }
    }

    /// Reads up to [`BATCH_ITEMS`] items, and what was left over again until nothing is.
    async fn read(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreFailure> {
        let mut found = Vec::with_capacity(keys.len());
        let wanted = request(keys).map_err(|fault| StoreFailure::Unavailable(OPERATION, Box::new(fault)));
        let mut left = Some(wanted?);
        let mut try_count = 0;
        while let Some(wanted) = left {
            let before = wanted.keys().len();
            let requests = HashMap::from([(self.table.name.clone(), wanted)]);
            let sent = self.table.client.batch_get_item().set_request_items(Some(requests)).send().await;
            let answer = sent.map_err(|error| AwsError::of(error).store_failure(OPERATION))?;
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let mut unprocessed = answer.unprocessed_keys.unwrap_or_default().into_values();
            left = unprocessed.next().filter(|wanted| !wanted.keys().is_empty());
            let Some(left) = &left else { break };
            let count = left.keys().len();
            try_count = if count < before { 1 } else { try_count + 1 };
            if try_count > backoff::TRIES {
                return Err(StoreFailure::Unavailable(OPERATION, Box::new(Leftovers { count })));
            }
            self.clock.sleep(backoff::pause(try_count)).await;
        }
        Ok(found)
    }
}

impl<C: Clock> StoredVersions for VersionTable<C> {
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        // A key given twice would fail the whole call.
        let by_place: BTreeMap<(String, String), &RecordKey> =
            keys.iter().map(|key| ((key.partition().to_string(), key.id.as_str().to_owned()), key)).collect();
        let places: Vec<&(String, String)> = by_place.keys().collect();
        let mut found = BTreeMap::new();
        for batch in places.chunks(BATCH_ITEMS) {
            let wanted = batch.iter().map(|(partition, id)| item([(PARTITION, text(partition)), (ID, text(id))]));
            for item in self.read(wanted.collect()).await? {
                let place = place_of(&item).map_err(|fault| malformed(OPERATION, &"of a record", &fault))?;
                if let Some(key) = by_place.get(&place) {
                    let version = version_of(&item).map_err(|fault| malformed(OPERATION, key, &fault))?;
                    found.insert((*key).clone(), version);
                }
            }
        }
        Ok(found)
    }
}

impl<C: Clock> StoredSlices for VersionTable<C> {
    async fn slice(&self, records: &StreamKey, after: Option<&RecordId>) -> Result<Slice, StoreFailure> {
        let partition = || text(records.to_string());
        let query = Query {
            projection: VERSION_ATTRIBUTES,
            is_consistent: false,
            ..Query::new(OPERATION, IN_PARTITION, item([(":partition", partition())]))
        };
        let from = after.map(|after| item([(PARTITION, partition()), (ID, text(after.as_str()))]));
        let (items, next) = self.table.query_page(&query, None, from).await?;
        let read = |item: &Item| Ok((Reader::of(item).id(ID)?, version_of(item)?));
        let found: Result<Vec<_>, BadShape> = items.iter().map(read).collect();
        let found = found.map_err(|fault| malformed(OPERATION, records, &fault))?;
        Ok(Slice { found, more: next.is_some() })
    }
}

fn request(keys: Vec<Item>) -> Result<KeysAndAttributes, BuildError> {
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression(VERSION_ATTRIBUTES)
        .set_expression_attribute_names(Some(names(&[VERSION_ATTRIBUTES])))
        .build()
}

fn place_of(item: &Item) -> Result<(String, String), BadShape> {
    let place = Reader::of(item);
    Ok((place.text(PARTITION)?.to_owned(), place.text(ID)?.to_owned()))
}

fn version_of(item: &Item) -> Result<StoredVersion, BadShape> {
    let version = Reader::of(item);
    let fingerprint = version.bytes_if_any("hash")?.map(|hash| {
        let hash = <[u8; 16]>::try_from(hash).map_err(|_| BadShape("hash has not 16 bytes".to_owned()))?;
        Ok(Fingerprint(hash))
    });
    Ok(StoredVersion {
        stamp: version.text_if_any("last_edited")?.map(str::to_owned),
        looked_at: version.instant("fetched_at_ms")?,
        seen_at: version.instant_if_any("seen_at_ms")?,
        fingerprint: fingerprint.transpose()?,
        deleted: version.flag("deleted")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::item::{bytes, number};
    use super::*;

    #[test]
    fn a_hash_of_another_length_is_malformed() {
        let item = item([("fetched_at_ms", number(1)), ("hash", bytes([1, 2]))]);
        assert_eq!(version_of(&item), Err(BadShape("hash has not 16 bytes".to_owned())));
    }
}
