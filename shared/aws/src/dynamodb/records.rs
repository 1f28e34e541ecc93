//! The records table: one item a record.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `record_key` | S, key | `source#stream#id`, the id percent-encoded |
//! | `source`, `stream`, `id` | S | |
//! | `body` or `body_zstd` | S, B | the vendor's JSON as received; over 300 KB compressed with zstd |
//! | `last_edited`, `last_edited_ms` | S, N | absent when the record bears no stamp |
//! | `fetched_at_ms` | N | |
//! | `hash` | B | the first 16 bytes of the body's SHA-256; absent for a tombstone of an unseen record |
//! | `event` | S | the newest event, for feeds |
//! | `deleted`, `deleted_because` | BOOL, S | absent unless the record is gone |
//! | `schema_version` | N | 1 |
//!
//! Versions are written by updates, not by puts, so that one without a stamp keeps the stored one and a tombstone keeps
//! the body.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Clock, Records, Stored, StoredVersions, Written};
use tidemark_engine::record::{Body, Fingerprint, Record, RecordKey, StoredVersion, Tombstone};

use super::SCHEMA_VERSION;
use super::item::{BadShape, Item, Reader, bytes, instant, item, number, size_of, text};
use super::ledger::Leftovers;
use super::table::{Table, Update, malformed, names};
use crate::backoff;
use crate::client::Sdk;
use crate::errors::AwsError;

const KEY: &str = "record_key";

/// The most bytes of a key.
///
/// Source: Amazon DynamoDB Developer Guide, "Constraints in Amazon DynamoDB" (read 2026-11-21).
const KEY_BYTES_MAX: usize = 2_048;
/// The most bytes of an item. Source: as above.
const ITEM_BYTES_MAX: usize = 400 * 1024;
/// A longer body is compressed.
const PLAIN_BYTES_MAX: usize = 300 * 1024;
/// Compression: zstd's own default.
const ZSTD_LEVEL: i32 = 3;
/// The most items that one batch call reads.
///
/// Source: Amazon DynamoDB API Reference, `BatchGetItem` (read 2026-11-21).
const BATCH_ITEMS: usize = 100;

/// E8 for a version with a stamp. A comparison with a missing attribute is false, hence the last arm.
const NEWER_BY_STAMP: &str = "attribute_not_exists(#record_key) \
    OR (attribute_not_exists(#deleted) AND #last_edited_ms < :last_edited_ms) \
    OR (#fetched_at_ms < :fetched_at_ms AND (attribute_exists(#deleted) \
    OR attribute_not_exists(#last_edited_ms) OR #last_edited_ms = :last_edited_ms))";

/// E8 for a version without a stamp, and E9.
const NEWER_BY_FETCH: &str = "attribute_not_exists(#record_key) OR #fetched_at_ms < :fetched_at_ms";

/// All that a reader of versions may see.
const VERSION_ATTRIBUTES: &str = "#record_key, #last_edited_ms, #fetched_at_ms, #hash, #deleted";

/// The records, in DynamoDB, for the one who writes them.
#[derive(Clone, Debug)]
pub struct RecordTable {
    table: Table,
}

impl RecordTable {
    /// The table called `name`.
    pub fn new(sdk: &Sdk, name: impl Into<String>) -> Self {
        Self { table: Table::new(sdk, name) }
    }

    async fn write(&self, operation: &'static str, key: &RecordKey, version: Version) -> Result<Stored, StoreFailure> {
        let record_key = storable_key(operation, key)?;
        let item_bytes = KEY.len() + record_key.len() + size_of(&version.values);
        if item_bytes > ITEM_BYTES_MAX {
            return Err(StoreFailure::Large { operation, bytes: item_bytes });
        }
        let update = version.update();
        let update = Update {
            operation,
            key: item([(KEY, text(record_key))]),
            expression: &update,
            condition: version.condition,
            values: version.values,
            ..Update::default()
        };
        match self.table.update(update).await? {
            Written::Applied => Ok(Stored::Written),
            Written::Refused => Ok(Stored::Superseded),
        }
    }
}

impl Records for RecordTable {
    async fn upsert(&self, record: &Record) -> Result<Stored, StoreFailure> {
        let operation = "store a record";
        self.write(operation, &record.key, Version::of_record(operation, record)?).await
    }

    async fn tombstone(&self, tombstone: &Tombstone) -> Result<Stored, StoreFailure> {
        self.write("mark a record as gone", &tombstone.key, Version::of_tombstone(tombstone)).await
    }
}

/// A key as DynamoDB can keep it. Escaping may make a long id longer than that.
fn storable_key(operation: &'static str, key: &RecordKey) -> Result<String, StoreFailure> {
    let text = key.to_string();
    if text.len() > KEY_BYTES_MAX {
        return Err(StoreFailure::Large { operation, bytes: text.len() });
    }
    Ok(text)
}

/// A version as the update that writes it.
struct Version {
    /// The names of the attributes that `values` holds, each under the placeholder of its name.
    set: Vec<&'static str>,
    remove: &'static [&'static str],
    condition: &'static str,
    values: Item,
}

impl Version {
    fn of_record(operation: &'static str, record: &Record) -> Result<Self, StoreFailure> {
        let mut version = Self::about(&record.key);
        version.put("fetched_at_ms", instant(record.fetched_at));
        version.put("hash", bytes(record.body.fingerprint().0));
        match stored_body(operation, &record.body)? {
            StoredBody::Plain(body) => {
                version.put("body", body);
                version.remove = &["body_zstd", "deleted", "deleted_because"];
            }
            StoredBody::Compressed(body) => {
                version.put("body_zstd", body);
                version.remove = &["body", "deleted", "deleted_because"];
            }
        }
        if let Some(stamp) = &record.stamp {
            version.put("last_edited", text(&stamp.text));
            version.put("last_edited_ms", instant(stamp.at));
            version.condition = NEWER_BY_STAMP;
        }
        version.put_event(record.event.as_ref());
        Ok(version)
    }

    fn of_tombstone(tombstone: &Tombstone) -> Self {
        let mut version = Self::about(&tombstone.key);
        version.put("fetched_at_ms", instant(tombstone.fetched_at));
        version.put("deleted", AttributeValue::Bool(true));
        version.put("deleted_because", text(tombstone.because.as_str()));
        version.put_event(tombstone.event.as_ref());
        version
    }

    fn about(key: &RecordKey) -> Self {
        let mut version = Self { set: Vec::new(), remove: &[], condition: NEWER_BY_FETCH, values: Item::new() };
        version.put("source", text(key.source.as_str()));
        version.put("stream", text(key.stream.as_str()));
        version.put("id", text(key.id.as_str()));
        version.put("schema_version", number(SCHEMA_VERSION));
        version
    }

    fn put(&mut self, name: &'static str, value: AttributeValue) {
        self.set.push(name);
        self.values.insert(format!(":{name}"), value);
    }

    fn put_event(&mut self, event: Option<&Body>) {
        if let Some(event) = event {
            self.put("event", text(event.text()));
        }
    }

    fn update(&self) -> String {
        let set: Vec<String> = self.set.iter().map(|name| format!("#{name} = :{name}")).collect();
        let remove: Vec<String> = self.remove.iter().map(|name| format!("#{name}")).collect();
        if remove.is_empty() {
            return format!("SET {}", set.join(", "));
        }
        format!("SET {} REMOVE {}", set.join(", "), remove.join(", "))
    }
}

enum StoredBody {
    Plain(AttributeValue),
    Compressed(AttributeValue),
}

fn stored_body(operation: &'static str, body: &Body) -> Result<StoredBody, StoreFailure> {
    let json = body.text();
    if json.len() <= PLAIN_BYTES_MAX {
        return Ok(StoredBody::Plain(text(json)));
    }
    match zstd::bulk::compress(json.as_bytes(), ZSTD_LEVEL) {
        Ok(compressed) => Ok(StoredBody::Compressed(bytes(compressed))),
        Err(error) => Err(StoreFailure::Unavailable { operation, source: Box::new(error) }),
    }
}

/// The records, in DynamoDB, for the one who may only know which versions are stored.
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
    async fn read(&self, operation: &'static str, keys: Vec<Item>) -> Result<Vec<Item>, StoreFailure> {
        let mut found = Vec::with_capacity(keys.len());
        let unbuildable = |error: BuildError| StoreFailure::Unavailable { operation, source: Box::new(error) };
        let mut left = Some(request(keys).map_err(unbuildable)?);
        let mut try_count = 0;
        while let Some(wanted) = left {
            let before = wanted.keys().len();
            let requests = HashMap::from([(self.table.name.clone(), wanted)]);
            let sent = self.table.client.batch_get_item().set_request_items(Some(requests)).send().await;
            let answer = sent.map_err(|error| AwsError::of(error).store_failure(operation, 0))?;
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let mut unprocessed = answer.unprocessed_keys.unwrap_or_default().into_values();
            left = unprocessed.next().filter(|wanted| !wanted.keys().is_empty());
            let Some(left) = &left else { break };
            let count = left.keys().len();
            try_count = if count < before { 1 } else { try_count + 1 };
            if try_count > backoff::TRIES {
                return Err(StoreFailure::Unavailable { operation, source: Box::new(Leftovers { count }) });
            }
            self.clock.sleep(backoff::pause(try_count)).await;
        }
        Ok(found)
    }
}

impl<C: Clock> StoredVersions for VersionTable<C> {
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        let operation = "read stored versions";
        // Neither a key given twice nor one too long for any item may spoil the whole call.
        let keys: BTreeSet<&RecordKey> = keys.iter().collect();
        let by_text: BTreeMap<String, &RecordKey> = keys
            .into_iter()
            .map(|key| (key.to_string(), key))
            .filter(|(text, _)| text.len() <= KEY_BYTES_MAX)
            .collect();
        let texts: Vec<&String> = by_text.keys().collect();
        let mut found = BTreeMap::new();
        for batch in texts.chunks(BATCH_ITEMS) {
            let wanted = batch.iter().map(|record_key| item([(KEY, text(*record_key))])).collect();
            for item in self.read(operation, wanted).await? {
                let record_key = Reader::of(&item).text(KEY).map_err(|fault| malformed(operation, &KEY, &fault))?;
                let version = version_of(&item).map_err(|fault| malformed(operation, &record_key, &fault))?;
                if let Some(key) = by_text.get(record_key) {
                    found.insert((*key).clone(), version);
                }
            }
        }
        Ok(found)
    }
}

fn request(keys: Vec<Item>) -> Result<KeysAndAttributes, BuildError> {
    KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .projection_expression(VERSION_ATTRIBUTES)
        .set_expression_attribute_names(Some(names(&[VERSION_ATTRIBUTES])))
        .build()
}

fn version_of(item: &Item) -> Result<StoredVersion, BadShape> {
    let version = Reader::of(item);
    let fingerprint = version.bytes_if_any("hash")?.map(|hash| {
        let hash = <[u8; 16]>::try_from(hash).map_err(|_| BadShape("hash has not 16 bytes".to_owned()))?;
        Ok(Fingerprint(hash))
    });
    Ok(StoredVersion {
        last_edited_at: version.instant_if_any("last_edited_ms")?,
        fetched_at: version.instant("fetched_at_ms")?,
        fingerprint: fingerprint.transpose()?,
        deleted: version.flag("deleted")?,
    })
}

#[cfg(test)]
mod tests {
    use tidemark_engine::record::{DeletedBecause, RecordId};
    use tidemark_engine::stamp::{Stamp, UtcMillis};
    use tidemark_engine::stream::{SourceKind, StreamName};

    use super::super::samples;
    use super::*;

    fn record(body: &str, stamp: Option<i64>) -> Record {
        let id = RecordId::parse("a#b").expect("it is an id");
        Record {
            key: RecordKey { source: SourceKind::FieldMotion, stream: StreamName::known("jobs"), id },
            body: Body::new(body),
            stamp: stamp.map(|at| Stamp { text: "then".to_owned(), at: UtcMillis::new(at) }),
            fetched_at: UtcMillis::new(9),
            event: None,
        }
    }

    fn written(record: &Record) -> Version {
        let version = Version::of_record("store", record).expect("it can be compressed");
        samples::assert_consistent(&[&version.update(), version.condition], &version.values);
        version
    }

    #[test]
    fn a_version_with_a_stamp_is_compared_by_it() {
        let version = written(&record("{}", Some(5)));
        assert_eq!(
            version.update(),
            "SET #source = :source, #stream = :stream, #id = :id, #schema_version = :schema_version, \
             #fetched_at_ms = :fetched_at_ms, #hash = :hash, #body = :body, #last_edited = :last_edited, \
             #last_edited_ms = :last_edited_ms REMOVE #body_zstd, #deleted, #deleted_because"
        );
        assert_eq!(version.condition, NEWER_BY_STAMP);
    }

    #[test]
    fn a_version_without_a_stamp_keeps_the_stored_one() {
        let version = written(&record("{}", None));
        assert!(!version.update().contains("last_edited"), "{}", version.update());
        assert_eq!(version.condition, NEWER_BY_FETCH);
    }

    #[test]
    fn a_long_body_is_compressed_and_replaces_a_plain_one() {
        for (bytes, written_as, removed) in
            [(PLAIN_BYTES_MAX, "#body =", "#body_zstd"), (PLAIN_BYTES_MAX + 1, "#body_zstd =", "#body")]
        {
            let update = written(&record(&"x".repeat(bytes), Some(5))).update();
            let (set, remove) = update.split_once(" REMOVE ").expect("something is removed");
            assert!(set.contains(written_as), "{update}");
            assert_eq!(remove, format!("{removed}, #deleted, #deleted_because"));
        }
    }

    #[test]
    fn a_tombstone_touches_neither_body_nor_stamp() {
        let key = record("{}", None).key;
        let because = DeletedBecause::Vanished;
        let tombstone = Tombstone { key, fetched_at: UtcMillis::new(9), because, event: Some(Body::new("{}")) };
        let version = Version::of_tombstone(&tombstone);
        samples::assert_consistent(&[&version.update(), version.condition], &version.values);
        assert_eq!(
            version.update(),
            "SET #source = :source, #stream = :stream, #id = :id, #schema_version = :schema_version, \
             #fetched_at_ms = :fetched_at_ms, #deleted = :deleted, #deleted_because = :deleted_because, #event = :event"
        );
        assert_eq!(version.condition, NEWER_BY_FETCH);
    }

    #[test]
    fn a_hash_of_another_length_is_malformed() {
        let item = item([("fetched_at_ms", number(1)), ("hash", bytes([1, 2]))]);
        assert_eq!(version_of(&item), Err(BadShape("hash has not 16 bytes".to_owned())));
    }
}
