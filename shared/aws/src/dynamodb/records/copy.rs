//! The records for a reader of the copy itself, bodies included.

use tidemark_engine::clock::{LocalMillis, VendorMillis};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::record::{Body, Fingerprint, RecordId, RecordKey};
use tidemark_engine::stream::StreamKey;

use super::super::item::{BadShape, Item, Reader, item, text};
use super::super::table::{Query, Table, malformed};
use super::{ID, PARTITION};
use crate::client::Sdk;
use crate::errors::AwsError;

const OPERATION: &str = "read records";
const IN_PARTITION: &str = "#partition = :partition";
const FROM_ID: &str = "#partition = :partition AND #id >= :id";
const IDS: &str = "#id";
/// A page that is shown soon; DynamoDB answers at most 1 MB in any case.
const PAGE_ITEMS: i32 = 500;

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The vendor's identifier.
    pub id: RecordId,
    /// The vendor's JSON; none of a record that was never seen before it was deleted.
    pub body: Option<Body>,
    /// The vendor's stamp as text, when the record has one.
    pub stamp: Option<String>,
    /// The same instant in UTC.
    pub stamped_at: Option<VendorMillis>,
    /// When the look that is stored was started.
    pub looked_at: LocalMillis,
    /// The hash of the body, in hexadecimal.
    pub hash: Option<String>,
    /// The newest event, for feeds.
    pub event: Option<Body>,
    /// Why it counts as deleted, if it does.
    pub deleted_because: Option<String>,
}

/// How much a table keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kept {
    /// Items.
    pub items: f64,
    /// Their kilobytes of 1,024 bytes, as DynamoDB reckons them.
    pub kilobytes: f64,
}

/// The records, in DynamoDB, for a reader of the copy.
#[derive(Clone, Debug)]
pub struct CopyTable {
    table: Table,
}

impl CopyTable {
    /// The table called `name`.
    pub fn new(sdk: &Sdk, name: impl Into<String>) -> Self {
        Self { table: Table::new(sdk, name) }
    }

    /// How much is kept, which DynamoDB counts every six hours or so.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn kept(&self) -> Result<Kept, StoreFailure> {
        let sent = self.table.client.describe_table().table_name(&self.table.name).send().await;
        let answer = sent.map_err(|error| AwsError::of(error).store_failure("describe the table of records"))?;
        let count = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let (items, bytes) = answer.table.map(|table| (table.item_count, table.table_size_bytes)).unwrap_or_default();
        Ok(Kept { items: count(items.unwrap_or_default()), kilobytes: count(bytes.unwrap_or_default() / 1_024) })
    }

    /// One record, strongly consistent.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn get(&self, key: &RecordKey) -> Result<Option<StoredRecord>, StoreFailure> {
        let place = item([(PARTITION, text(key.partition().to_string())), (ID, text(key.id.as_str()))]);
        let Some(found) = self.table.get(OPERATION, place).await? else { return Ok(None) };
        record_of(&found).map(Some).map_err(|fault| malformed(OPERATION, key, &fault))
    }

    /// Some records of a stream behind the id `after`, in the order of their ids, and the id to go on behind.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn page(
        &self,
        stream: &StreamKey,
        after: Option<&RecordId>,
    ) -> Result<(Vec<StoredRecord>, Option<RecordId>), StoreFailure> {
        let partition = text(stream.to_string());
        let from = after.map(|id| item([(PARTITION, partition.clone()), (ID, text(id.as_str()))]));
        let query =
            Query { is_consistent: false, ..Query::new(OPERATION, IN_PARTITION, item([(":partition", partition)])) };
        let (items, next) = self.table.query_page(&query, Some(PAGE_ITEMS), from).await?;
        let bad = |fault: BadShape| malformed(OPERATION, stream, &fault);
        let records = items.iter().map(|item| record_of(item).map_err(bad)).collect::<Result<_, _>>()?;
        Ok((records, next.map(|key| Reader::of(&key).id(ID)).transpose().map_err(bad)?))
    }

    /// The ids of up to `limit` records of a stream that follow what an id begins with: what may have been meant by it.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn ids_from(
        &self,
        stream: &StreamKey,
        id: &RecordId,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreFailure> {
        let length = id.as_str().chars().count();
        let beginning: String = id.as_str().chars().take(length.saturating_sub(1).max(1)).collect();
        let values = item([(":partition", text(stream.to_string())), (":id", text(beginning))]);
        let query = Query { projection: IDS, limit, is_consistent: false, ..Query::new(OPERATION, FROM_ID, values) };
        let items = self.table.query(query).await?;
        let id = |item: &Item| Reader::of(item).id(ID).map_err(|fault| malformed(OPERATION, stream, &fault));
        items.iter().map(id).collect()
    }
}

fn record_of(item: &Item) -> Result<StoredRecord, BadShape> {
    let record = Reader::of(item);
    let hex = |hash: &[u8]| match <[u8; 16]>::try_from(hash) {
        Ok(hash) => Ok(Fingerprint(hash).to_string()),
        Err(_) => Err(BadShape("hash has not 16 bytes".to_owned())),
    };
    let is_deleted = record.flag("deleted")?;
    let because = record.text_if_any("deleted_because")?;
    Ok(StoredRecord {
        id: record.id(ID)?,
        body: body_of(record)?,
        stamp: record.text_if_any("last_edited")?.map(str::to_owned),
        stamped_at: record.instant_if_any("last_edited_ms")?,
        looked_at: record.instant("fetched_at_ms")?,
        hash: record.bytes_if_any("hash")?.map(hex).transpose()?,
        event: record.text_if_any("event")?.map(Body::new),
        deleted_because: is_deleted.then(|| because.unwrap_or("unknown").to_owned()),
    })
}

fn body_of(record: Reader<'_>) -> Result<Option<Body>, BadShape> {
    if let Some(plain) = record.text_if_any("body")? {
        return Ok(Some(Body::new(plain)));
    }
    let Some(packed) = record.bytes_if_any("body_zstd")? else { return Ok(None) };
    let json = zstd::decode_all(packed).map_err(|_| BadShape("body_zstd is not zstd".to_owned()))?;
    let json = String::from_utf8(json).map_err(|_| BadShape("body_zstd is not UTF-8".to_owned()))?;
    Ok(Some(Body::new(json)))
}

#[cfg(test)]
mod tests {
    use tidemark_engine::clock::{Stamp, StampMillis};
    use tidemark_engine::record::{DeletedBecause, Look, Seen};
    use tidemark_engine::stream::{SourceKind, StreamName};

    use super::super::version::Version;
    use super::*;

    fn read(seen: Seen) -> StoredRecord {
        let id = RecordId::parse("a#b").expect("it is an id");
        let key = RecordKey { source: SourceKind::FieldMotion, stream: StreamName::known("jobs"), id };
        let looked_at = LocalMillis::new(9);
        let version = Version::of(&Look { key, looked_at, seen, event: Some(Body::new("[]")), is_stored: false }, None);
        let version = version.expect("it can be compressed");
        let written = version.update().1.into_iter().map(|(name, value)| (name.replace(':', ""), value));
        record_of(&version.key().into_iter().chain(written).collect()).expect("it is a record")
    }

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp { text: "then".to_owned(), at: StampMillis::new(5), utc: VendorMillis::new(4) };
        for length in [2, 400_000] {
            let body = Body::new(format!("\"{}\"", "x".repeat(length)));
            let hash = body.fingerprint().to_string();
            let found = read(Seen::Record { body: body.clone(), stamp: Some(stamp.clone()), seen_at: None });
            let expected = StoredRecord {
                id: RecordId::parse("a#b").expect("it is an id"),
                body: Some(body),
                stamp: Some("then".to_owned()),
                stamped_at: Some(VendorMillis::new(4)),
                looked_at: LocalMillis::new(9),
                hash: Some(hash),
                event: Some(Body::new("[]")),
                deleted_because: None,
            };
            assert!(found == expected, "{length}");
        }
        let gone = read(Seen::Gone(DeletedBecause::Vanished));
        assert_eq!((gone.body, gone.deleted_because.as_deref()), (None, Some("vanished")));
    }
}
