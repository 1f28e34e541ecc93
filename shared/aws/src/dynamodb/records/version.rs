//! A look as what is written of it.

use std::io;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::record::{Body, Look, Seen};

use super::super::SCHEMA_VERSION;
use super::super::item::{Item, bytes, instant, item, number, size_of, text};
use super::{ID, PARTITION};

/// A longer body is compressed.
const PLAIN_BYTES_MAX: usize = 300 * 1024;
/// Compression: zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// When DynamoDB deletes the item, in seconds: the table's time to live.
const EXPIRES_AT: &str = "expires_at";

/// R1.
pub(super) const IS_LATER: &str = "attribute_not_exists(#id) OR #fetched_at_ms < :fetched_at_ms";

/// The attributes of a record that a look writes.
#[derive(Debug)]
pub(super) struct Version {
    partition: String,
    id: String,
    is_stored: bool,
    fetched_at_ms: AttributeValue,
    set: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
}

impl Version {
    /// A tombstone expires at `expires_at`, or never. Fails only where zstd does.
    pub(super) fn of(look: &Look, expires_at: Option<LocalMillis>) -> io::Result<Self> {
        let mut version = Self {
            partition: look.key.partition().to_string(),
            id: look.key.id.as_str().to_owned(),
            is_stored: look.is_stored,
            fetched_at_ms: instant(look.looked_at),
            set: vec![("fetched_at_ms", instant(look.looked_at)), ("schema_version", number(SCHEMA_VERSION))],
            remove: Vec::new(),
        };
        match &look.seen {
            Seen::Record { body, stamp, seen_at } => {
                version.put_body(body)?;
                version.set.push(("hash", bytes(body.fingerprint().0)));
                version.put("last_edited", stamp.as_ref().map(|stamp| text(&stamp.text)));
                version.put("last_edited_ms", stamp.as_ref().map(|stamp| instant(stamp.utc)));
                version.put("seen_at_ms", seen_at.map(instant));
                version.remove.extend(["deleted", "deleted_because", EXPIRES_AT]);
            }
            Seen::Gone(because) => {
                version.put("deleted", Some(AttributeValue::Bool(true)));
                version.put("deleted_because", Some(text(because.as_str())));
                version.put("seen_at_ms", None);
                version.put(EXPIRES_AT, expires_at.map(|at| number(at.get().div_euclid(1_000))));
            }
        }
        version.set.extend(look.event.as_ref().map(|event| ("event", text(event.text()))));
        Ok(version)
    }

    /// Writes an attribute, or removes it where the look has none.
    fn put(&mut self, name: &'static str, value: Option<AttributeValue>) {
        match value {
            Some(value) => self.set.push((name, value)),
            None => self.remove.push(name),
        }
    }

    fn put_body(&mut self, body: &Body) -> io::Result<()> {
        let json = body.text();
        let (plain, packed) = if json.len() <= PLAIN_BYTES_MAX {
            (Some(text(json)), None)
        } else {
            (None, Some(bytes(zstd::bulk::compress(json.as_bytes(), ZSTD_LEVEL)?)))
        };
        self.put("body", plain);
        self.put("body_zstd", packed);
        Ok(())
    }

    /// How large the item is at least, once this is written.
    pub(super) fn bytes(&self) -> usize {
        let key_bytes = PARTITION.len() + self.partition.len() + ID.len() + self.id.len();
        key_bytes + self.set.iter().map(|(name, value)| size_of(name, value)).sum::<usize>()
    }

    pub(super) fn key(&self) -> Item {
        item([(PARTITION, text(&self.partition)), (ID, text(&self.id))])
    }

    /// The update that writes it where [`IS_LATER`] holds, and the values of both.
    pub(super) fn update(&self) -> (String, Item) {
        let set: Vec<String> = self.set.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let remove: Vec<String> = self.remove.iter().map(|name| format!("#{name}")).collect();
        let mut update = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            update = format!("{update} REMOVE {}", remove.join(", "));
        }
        (update, self.set.iter().map(|(name, value)| (format!(":{name}"), value.clone())).collect())
    }

    /// The `PartiQL` statement that writes it if the guess is right whether the record is stored.
    pub(super) fn statement(&self, table: &str) -> Result<BatchStatementRequest, BuildError> {
        let (statement, parameters) = if self.is_stored { self.replace(table) } else { self.insert(table) };
        BatchStatementRequest::builder().statement(statement).set_parameters(Some(parameters)).build()
    }

    fn insert(&self, table: &str) -> (String, Vec<AttributeValue>) {
        let key = [PARTITION, ID].into_iter().zip([text(&self.partition), text(&self.id)]);
        let (names, parameters): (Vec<String>, Vec<AttributeValue>) =
            key.chain(self.set.iter().cloned()).map(|(name, value)| (format!("'{name}': ?"), value)).unzip();
        (format!("INSERT INTO \"{table}\" VALUE {{{}}}", names.join(", ")), parameters)
    }

    /// False, and no new item, where the record is not stored.
    fn replace(&self, table: &str) -> (String, Vec<AttributeValue>) {
        let set: String = self.set.iter().map(|(name, _)| [" SET \"", name, "\"=?"].concat()).collect();
        let remove: String = self.remove.iter().map(|name| [" REMOVE \"", name, "\""].concat()).collect();
        let condition = format!("\"{PARTITION}\"=? AND \"{ID}\"=? AND \"fetched_at_ms\" < ?");
        let known = [text(&self.partition), text(&self.id), self.fetched_at_ms.clone()];
        let parameters = self.set.iter().map(|(_, value)| value.clone()).chain(known).collect();
        (format!("UPDATE \"{table}\"{set}{remove} WHERE {condition}"), parameters)
    }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis, VendorMillis};
    use tidemark_engine::record::{DeletedBecause, RecordId, RecordKey};

    use super::super::super::samples::{self, stream};
    use super::*;

    fn look(seen: Seen) -> Look {
        let id = RecordId::parse("a#b").expect("it is an id");
        Look {
            key: RecordKey { source: stream().source, stream: stream().name, id },
            looked_at: LocalMillis::new(9),
            seen,
            event: None,
            is_stored: true,
        }
    }

    fn record(body: &str, is_stamped: bool) -> Look {
        let stamp = Stamp { text: "then".to_owned(), at: StampMillis::new(5), utc: VendorMillis::new(4) };
        let seen_at = is_stamped.then_some(VendorMillis::new(8));
        look(Seen::Record { body: Body::new(body), stamp: is_stamped.then_some(stamp), seen_at })
    }

    fn written(look: &Look) -> (String, Item) {
        let version = Version::of(look, None).expect("it can be compressed");
        let (update, values) = version.update();
        samples::assert_consistent(&[&update, IS_LATER], &values);
        let statement = version.statement("t").expect("it is complete");
        let asked = statement.statement().matches('?').count();
        assert_eq!(asked, statement.parameters().len(), "{}", statement.statement());
        (update, values)
    }

    #[test]
    fn a_record_is_written_with_all_it_has() {
        let (update, values) = written(&record("{}", true));
        assert_eq!(
            update,
            "SET #fetched_at_ms = :fetched_at_ms, #schema_version = :schema_version, #body = :body, #hash = :hash, \
             #last_edited = :last_edited, #last_edited_ms = :last_edited_ms, #seen_at_ms = :seen_at_ms \
             REMOVE #body_zstd, #deleted, #deleted_because, #expires_at"
        );
        assert_eq!(values[":last_edited_ms"], number(4), "in UTC");
    }

    #[test]
    fn a_record_without_a_stamp_removes_the_stored_one() {
        let (update, _) = written(&record("{}", false));
        let (set, removed) = update.split_once(" REMOVE ").expect("something is removed");
        assert!(!set.contains("last_edited") && !set.contains("seen_at"), "{set}");
        assert_eq!(
            removed,
            "#body_zstd, #last_edited, #last_edited_ms, #seen_at_ms, #deleted, #deleted_because, #expires_at"
        );
    }

    #[test]
    fn a_long_body_is_compressed_and_replaces_a_plain_one() {
        for (bytes, written_as, removed) in
            [(PLAIN_BYTES_MAX, "#body =", "#body_zstd"), (PLAIN_BYTES_MAX + 1, "#body_zstd =", "#body")]
        {
            let (update, _) = written(&record(&"x".repeat(bytes), true));
            let (set, remove) = update.split_once(" REMOVE ").expect("something is removed");
            assert!(set.contains(written_as), "{update}");
            assert_eq!(remove, format!("{removed}, #deleted, #deleted_because, #expires_at"));
        }
    }

    #[test]
    fn a_tombstone_touches_neither_body_nor_stamp() {
        let gone = Look { event: Some(Body::new("{}")), ..look(Seen::Gone(DeletedBecause::Vanished)) };
        let (update, _) = written(&gone);
        assert_eq!(
            update,
            "SET #fetched_at_ms = :fetched_at_ms, #schema_version = :schema_version, #deleted = :deleted, \
             #deleted_because = :deleted_because, #event = :event REMOVE #seen_at_ms, #expires_at"
        );
        let (update, values) =
            Version::of(&gone, Some(LocalMillis::new(1_800_000_000_999))).expect("it is short").update();
        samples::assert_consistent(&[&update, IS_LATER], &values);
        assert!(update.contains("#expires_at = :expires_at"), "{update}");
        assert_eq!(values[":expires_at"], number(1_800_000_000), "in seconds, as DynamoDB wants it");
    }

    #[test]
    fn a_statement_inserts_or_replaces_as_the_hint_says() {
        let gone = look(Seen::Gone(DeletedBecause::Announced));
        let statement = |look: &Look| {
            let version = Version::of(look, None).expect("it can be compressed");
            version.statement("t").expect("it is complete").statement().to_owned()
        };
        assert_eq!(
            statement(&gone),
            "UPDATE \"t\" SET \"fetched_at_ms\"=? SET \"schema_version\"=? SET \"deleted\"=? SET \"deleted_because\"=? \
             REMOVE \"seen_at_ms\" REMOVE \"expires_at\" WHERE \"partition\"=? AND \"id\"=? AND \"fetched_at_ms\" < ?"
        );
        assert_eq!(
            statement(&Look { is_stored: false, ..gone }),
            "INSERT INTO \"t\" VALUE {'partition': ?, 'id': ?, 'fetched_at_ms': ?, 'schema_version': ?, 'deleted': ?, \
             'deleted_because': ?}"
        );
    }
}
