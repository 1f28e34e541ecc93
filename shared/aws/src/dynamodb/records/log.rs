//! What was written to the records lately: the table's stream, which keeps a day.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, ShardIteratorType};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;

use super::super::item::BadShape;
use super::super::table::malformed;
use super::{ID, PARTITION};
use crate::client::Sdk;
use crate::errors::AwsError;

const OPERATION: &str = "read the stream of the records";
/// An open shard may answer nothing although more is behind it, so it counts as read after so many empty answers.
const EMPTY_MAX: u32 = 3;
/// An iterator lives for a quarter of an hour, so it is lost where the reader rests, as on a computer that sleeps.
const EXPIRED: &str = "ExpiredIteratorException";
/// What is a day old is taken out of the stream, also while it is read.
const TRIMMED: &str = "TrimmedDataAccessException";

/// One write to a record, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedWrite {
    /// When it was made, on DynamoDB's clock, to the second.
    pub at: LocalMillis,
    /// The source and the stream, as `source#stream`.
    pub partition: String,
    /// The record's id.
    pub id: String,
    /// What it did.
    pub what: LoggedAs,
    /// The vendor's stamp as text, when the record has one.
    pub stamp: Option<String>,
}

/// What a write did to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedAs {
    /// It was stored for the first time.
    New,
    /// Another body was stored, or a tombstone was taken back.
    Changed,
    /// It was looked at again and is as it was.
    Same,
    /// It became a tombstone, and why.
    Deleted(String),
    /// Its item was removed: a tombstone that was kept long enough, or by hand.
    Removed,
}

/// Where a reader of the stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// At the oldest write that is kept.
    Oldest,
    /// At what is written from now on.
    Now,
}

/// A reader of the stream of the records table.
#[derive(Debug)]
pub struct RecordLog {
    client: Client,
    arn: String,
    shards: HashMap<String, Shard>,
}

/// How far a shard was read.
#[derive(Debug)]
struct Shard {
    /// None once all of it was read.
    iterator: Option<String>,
    /// Where the reader began in it.
    since: Since,
    /// The last write that was read: its place, and when it was made.
    last: Option<String>,
    newest: LocalMillis,
    /// Empty answers in a row.
    empty: u32,
}

impl RecordLog {
    /// Opens the table's stream, which is called `arn`.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn open(sdk: &Sdk, arn: impl Into<String>, since: Since) -> Result<Self, StoreFailure> {
        let (client, arn) = (sdk.dynamodb_streams(), arn.into());
        let mut log = Self { client, arn, shards: HashMap::new() };
        log.find_shards(since).await?;
        Ok(log)
    }

    /// The next writes of each shard; in the order of each record's writes, but not of all.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn read(&mut self) -> Result<Vec<LoggedWrite>, StoreFailure> {
        let mut found = Vec::new();
        let mut has_ended = false;
        for (id, shard) in &mut self.shards {
            let Some(iterator) = shard.iterator.take() else { continue };
            let answer = self.client.get_records().shard_iterator(iterator).send().await;
            let answer = match answer.map_err(AwsError::of) {
                Ok(answer) => answer,
                Err(error) if error.code() == Some(EXPIRED) => {
                    let after = shard.last.as_deref();
                    shard.iterator = iterator_of(&self.client, &self.arn, id, shard.since, after).await?;
                    continue;
                }
                Err(error) if error.code() == Some(TRIMMED) => {
                    shard.iterator = iterator_of(&self.client, &self.arn, id, Since::Oldest, None).await?;
                    continue;
                }
                Err(error) => return Err(error.store_failure(OPERATION)),
            };
            let records = answer.records.unwrap_or_default();
            let last = records.last().and_then(Record::dynamodb).and_then(|change| change.sequence_number());
            shard.last = last.map(str::to_owned).or(shard.last.take());
            shard.empty = if records.is_empty() { shard.empty.saturating_add(1) } else { 0 };
            shard.iterator = answer.next_shard_iterator;
            has_ended |= shard.iterator.is_none();
            for record in &records {
                let write = logged(record)
                    .ok_or_else(|| malformed(OPERATION, &self.arn, &BadShape("an entry has no key".to_owned())))?;
                shard.newest = shard.newest.max(write.at);
                found.push(write);
            }
        }
        if has_ended {
            // What goes on in its place has only writes that were made since.
            self.find_shards(Since::Oldest).await?;
        }
        Ok(found)
    }

    /// Whether all was read that was there at this time. A shard that is written all the time never answers with nothing.
    pub fn is_at_end(&self, until: LocalMillis) -> bool {
        let is_read = |shard: &Shard| shard.iterator.is_none() || shard.empty >= EMPTY_MAX || shard.newest >= until;
        self.shards.values().all(is_read)
    }

    async fn find_shards(&mut self, since: Since) -> Result<(), StoreFailure> {
        let mut after = None;
        loop {
            let asked = self.client.describe_stream().stream_arn(&self.arn).set_exclusive_start_shard_id(after);
            let answer = asked.send().await.map_err(|error| AwsError::of(error).store_failure(OPERATION))?;
            let Some(description) = answer.stream_description else { return Ok(()) };
            for id in description.shards().iter().filter_map(|shard| shard.shard_id()) {
                if self.shards.contains_key(id) {
                    continue;
                }
                let iterator = iterator_of(&self.client, &self.arn, id, since, None).await?;
                let (last, newest, empty) = (None, LocalMillis::default(), 0);
                self.shards.insert(id.to_owned(), Shard { iterator, since, last, newest, empty });
            }
            after = description.last_evaluated_shard_id;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Where to read a shard: behind a write, or from its beginning or its end.
async fn iterator_of(
    client: &Client,
    arn: &str,
    shard: &str,
    since: Since,
    after: Option<&str>,
) -> Result<Option<String>, StoreFailure> {
    let from = match (after, since) {
        (Some(_), _) => ShardIteratorType::AfterSequenceNumber,
        (None, Since::Oldest) => ShardIteratorType::TrimHorizon,
        (None, Since::Now) => ShardIteratorType::Latest,
    };
    let asked = client.get_shard_iterator().stream_arn(arn).shard_id(shard).shard_iterator_type(from);
    let answer = asked.set_sequence_number(after.map(str::to_owned)).send().await;
    Ok(answer.map_err(|error| AwsError::of(error).store_failure(OPERATION))?.shard_iterator)
}

/// A stream's entry; none where it has no key.
fn logged(record: &Record) -> Option<LoggedWrite> {
    let change = record.dynamodb()?;
    let text = |item: &HashMap<String, AttributeValue>, name: &str| item.get(name)?.as_s().ok().cloned();
    let (old, new) = (change.old_image(), change.new_image());
    let deleted = |item: &HashMap<String, AttributeValue>| {
        let is_deleted = item.get("deleted").and_then(|value| value.as_bool().ok().copied()).unwrap_or_default();
        is_deleted.then(|| text(item, "deleted_because").unwrap_or_else(|| "unknown".to_owned()))
    };
    let what = match (old, new.map(|new| (new, deleted(new)))) {
        _ if record.event_name() == Some(&OperationType::Remove) => LoggedAs::Removed,
        (Some(old), Some((_, Some(_)))) if deleted(old).is_some() => LoggedAs::Same,
        (_, Some((_, Some(because)))) => LoggedAs::Deleted(because),
        (None, _) => LoggedAs::New,
        (Some(old), Some((new, None))) if old.get("hash") == new.get("hash") && deleted(old).is_none() => {
            LoggedAs::Same
        }
        (Some(_), _) => LoggedAs::Changed,
    };
    Some(LoggedWrite {
        at: LocalMillis::new(change.approximate_creation_date_time()?.to_millis().ok()?),
        partition: text(change.keys()?, PARTITION)?,
        id: text(change.keys()?, ID)?,
        what,
        stamp: new.or(old).and_then(|item| text(item, "last_edited")),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodbstreams::primitives::{Blob, DateTime};
    use aws_sdk_dynamodbstreams::types::StreamRecord;

    use super::*;

    type Image = Option<(&'static [u8], Option<&'static str>)>;

    fn entry(event: OperationType, old: Image, new: Image) -> Record {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let image = |image: Image| {
            image.map(|(hash, because)| {
                let mut item = HashMap::from([
                    ("hash".to_owned(), AttributeValue::B(Blob::new(hash))),
                    ("last_edited".to_owned(), text("2026-02-24 10:00:00")),
                ]);
                if let Some(because) = because {
                    item.insert("deleted".to_owned(), AttributeValue::Bool(true));
                    item.insert("deleted_because".to_owned(), text(because));
                }
                item
            })
        };
        let keys = [("partition", "fieldmotion#customers"), ("id", "a#b")];
        let change = StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_771_929_108))
            .set_keys(Some(keys.map(|(name, value)| (name.to_owned(), text(value))).into()))
            .set_old_image(image(old))
            .set_new_image(image(new));
        Record::builder().event_name(event).dynamodb(change.build()).build()
    }

    #[test]
    fn a_write_is_told_by_what_it_did_to_the_record() {
        let (one, other): (Image, Image) = (Some((b"1", None)), Some((b"2", None)));
        let gone: Image = Some((b"1", Some("vanished")));
        for (event, old, new, what) in [
            (OperationType::Insert, None, one, LoggedAs::New),
            (OperationType::Insert, None, gone, LoggedAs::Deleted("vanished".to_owned())),
            (OperationType::Modify, one, other, LoggedAs::Changed),
            (OperationType::Modify, one, one, LoggedAs::Same),
            (OperationType::Modify, one, gone, LoggedAs::Deleted("vanished".to_owned())),
            (OperationType::Modify, gone, gone, LoggedAs::Same),
            (OperationType::Modify, gone, one, LoggedAs::Changed),
            (OperationType::Remove, gone, None, LoggedAs::Removed),
        ] {
            let logged = logged(&entry(event, old, new)).unwrap();
            assert_eq!(logged.what, what);
            assert_eq!((logged.partition.as_str(), logged.id.as_str()), ("fieldmotion#customers", "a#b"));
            assert_eq!((logged.at.get(), logged.stamp.as_deref()), (1_771_929_108_000, Some("2026-02-24 10:00:00")));
        }
        assert_eq!(logged(&Record::builder().build()), None);
    }
}
