//! What an operator reads and writes in the ledger beyond what functions do.
//!
//! | attribute of an act | type | |
//! |---|---|---|
//! | `partition`, `item` | S, key | `audit`, the instant in milliseconds, padded, and some chance |
//! | `at` | N ms | on the operator's clock |
//! | `by` | S | the ARN that STS names |
//! | `command`, `subject` | S | such as `checkpoint rewind`, `fieldmotion/jobs` |
//! | `what`, `why` | S | what was done; the reason given, absent when none was |
//! | `expires_at` | N s | a year later |

use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::health::Pause;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_engine::work::{Chunk, Lane};

use super::super::item::{BadShape, Item, Reader, bytes, instant, item, number, text};
use super::super::table::{Query, Update, malformed};
use super::{BEGINS_WITH, ITEM, LedgerTable, all_of, chunks, key, state, work_from};

const AUDIT: &str = "audit";
const IN_PARTITION: &str = "#partition = :partition";
const HOLDS_ID: &str = "contains(#owed, :owed)";
/// How long an act is remembered.
const REMEMBERED: Duration = Duration::from_hours(366 * 24);

/// What an operator did, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, on the operator's clock.
    pub at: LocalMillis,
    /// Who, by the ARN of the credentials.
    pub by: String,
    /// The command, such as `checkpoint rewind`.
    pub command: String,
    /// What it was about, such as `fieldmotion/jobs`.
    pub subject: String,
    /// What was done, in words.
    pub what: String,
    /// The reason given.
    pub why: Option<String>,
}

impl LedgerTable {
    /// The open chunks that owe an id. Reads the lanes of the stream whole.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn chunks_with(&self, stream: &StreamKey, id: &RecordId) -> Result<Vec<Chunk>, StoreFailure> {
        let operation = "look for an id in the chunks";
        let mut found = Vec::new();
        for lane in [Lane::Fresh, Lane::Bulk] {
            let mut values = work_from(stream, chunks::prefix_of(lane));
            values.insert(":owed".to_owned(), bytes(chunks::short(id)));
            let query = Query { filter: HOLDS_ID, ..Query::new(operation, BEGINS_WITH, values) };
            found.extend(all_of(operation, stream, &self.table.query(query).await?, chunks::chunk_of)?);
        }
        Ok(found)
    }

    /// Begins an operator's pause of a stream; one that is on is replaced.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn begin_stream_pause(&self, stream: &StreamKey, pause: &Pause) -> Result<(), StoreFailure> {
        self.set_pause(state::stream_key_of(stream), Some(pause)).await
    }

    /// Ends an operator's pause of a stream.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn end_stream_pause(&self, stream: &StreamKey) -> Result<(), StoreFailure> {
        self.set_pause(state::stream_key_of(stream), None).await
    }

    /// Begins an operator's pause of a source; one that is on is replaced.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn begin_source_pause(&self, source: SourceKind, pause: &Pause) -> Result<(), StoreFailure> {
        self.set_pause(state::source_key_of(source), Some(pause)).await
    }

    /// Ends an operator's pause of a source.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn end_source_pause(&self, source: SourceKind) -> Result<(), StoreFailure> {
        self.set_pause(state::source_key_of(source), None).await
    }

    async fn set_pause(&self, key: Item, pause: Option<&Pause>) -> Result<(), StoreFailure> {
        let (operation, expression, values) = match pause {
            Some(pause) => ("begin a pause", state::BEGIN_PAUSE, state::begin_pause(pause)),
            None => ("end a pause", state::END_PAUSE, Item::new()),
        };
        self.table.update(Update { operation, key, expression, condition: "", values }).await.map(|_| ())
    }

    /// Remembers an act for a year.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn note_act(&self, act: &AuditEntry) -> Result<(), StoreFailure> {
        self.table.put_new("note an act in the audit", ITEM, item_of(act, fastrand::u32(..))).await.map(|_| ())
    }

    /// The newest acts, newest first.
    ///
    /// # Errors
    /// Any [`StoreFailure`].
    pub async fn acts(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreFailure> {
        let operation = "read the audit";
        let values = item([(":partition", text(AUDIT))]);
        let query = Query { limit, is_backward: true, ..Query::new(operation, IN_PARTITION, values) };
        let items = self.table.query(query).await?;
        items.iter().map(|item| act_of(item).map_err(|fault| malformed(operation, &AUDIT, &fault))).collect()
    }
}

fn item_of(act: &AuditEntry, chance: u32) -> Item {
    let mut found = key(AUDIT.to_owned(), format!("{:015}#{chance:08x}", act.at.get()));
    found.extend(item([
        ("at", instant(act.at)),
        ("by", text(&act.by)),
        ("command", text(&act.command)),
        ("subject", text(&act.subject)),
        ("what", text(&act.what)),
        ("expires_at", number(act.at.plus(REMEMBERED).get() / 1_000)),
    ]));
    found.extend(act.why.as_ref().map(|why| ("why".to_owned(), text(why))));
    found
}

fn act_of(item: &Item) -> Result<AuditEntry, BadShape> {
    let act = Reader::of(item);
    Ok(AuditEntry {
        at: act.instant("at")?,
        by: act.text("by")?.to_owned(),
        command: act.text("command")?.to_owned(),
        subject: act.text("subject")?.to_owned(),
        what: act.text("what")?.to_owned(),
        why: act.text_if_any("why")?.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::super::PARTITION;
    use super::*;

    #[test]
    fn an_act_survives_its_item_and_expires_after_a_year() {
        let act = AuditEntry {
            at: LocalMillis::new(1_800_000_000_123),
            by: "arn:aws:iam::1:user/anna".to_owned(),
            command: "pause".to_owned(),
            subject: "fieldmotion/jobs".to_owned(),
            what: "no calls for 2 h".to_owned(),
            why: Some("their move".to_owned()),
        };
        for act in [act.clone(), AuditEntry { why: None, ..act }] {
            let item = item_of(&act, 7);
            assert_eq!(act_of(&item), Ok(act));
            assert_eq!(item["expires_at"], number(1_831_622_400), "in seconds, as DynamoDB wants it");
            assert_eq!(item[ITEM], text("001800000000123#00000007"));
            assert!(item.contains_key(PARTITION));
        }
    }

    #[test]
    fn names_and_values_match() {
        let pause = Pause { since: LocalMillis::new(1), until: None, by: "a".to_owned(), why: "b".to_owned() };
        samples::assert_consistent(&[state::BEGIN_PAUSE], &state::begin_pause(&pause));
        samples::assert_consistent(&[IN_PARTITION], &item([(":partition", text(AUDIT))]));
    }
}
