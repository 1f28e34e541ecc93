//! The checkpoints table: one item a stream.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `stream_key` | S, key | `source#stream` |
//! | `version` | N | raised by every write |
//! | `scanned`, `committed` | M | positions `{kind: at\|token, order: N, text: S}` |
//! | `lease_until`, `lease_owner` | N ms, S | |
//! | `gap_ms` | N | absent before the first listing |
//! | `held_gap_ms` | N ms | absent before the first listing |
//! | `raise` | M | `{gap_ms, seen_at}`, absent unless a larger gap waits to count |
//! | `gap_at`, `listed_at`, `evidence_from` | N ms | |
//! | `behind_ms` | N | |
//! | `backlog`, `later` | L of M | see [`listings`] |
//! | `ledger_mark` | S | absent until there is one |
//! | `account_mark` | S | |
//! | `last_success_at`, `last_progress_at`, `owed_since`, `held_since` | N ms | absent when there is none |
//! | `import_count` | N | |
//! | `schema_version` | N | 2 |
//!
//! A state is written by an update that names its attributes, not by a put: an attribute that this program does not know
//! stays as it is. An item of another `schema_version` is not touched at all, its lease included: what a program does not
//! know, it cannot carry on. This is the case after a deployment was rolled back.

pub mod listings;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use tidemark_engine::checkpoint::{Checkpoint, Clocks, Raise};
use tidemark_engine::clock::millis_of;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Written};
use tidemark_engine::stream::StreamKey;

use super::SCHEMA_VERSION;
use super::item::{BadShape, Item, Reader, instant, item, number, size_of_item, text};
use super::position;
use super::table::{Table, Update, malformed};
use crate::client::Sdk;

const KEY: &str = "stream_key";

/// C1, C2. False for an item that is not there.
const UNCHANGED: &str = "#version = :known_version AND #schema_version = :schema_version";

/// The checkpoints, in DynamoDB.
#[derive(Clone, Debug)]
pub struct CheckpointTable {
    table: Table,
}

impl CheckpointTable {
    /// The table called `name`.
    pub fn new(sdk: &Sdk, name: impl Into<String>) -> Self {
        Self { table: Table::new(sdk, name) }
    }
}

impl Checkpoints for CheckpointTable {
    async fn load(&self, stream: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure> {
        let operation = "load the checkpoint";
        let Some(item) = self.table.get(operation, key_of(stream)).await? else {
            return Ok(None);
        };
        checkpoint_of(stream, &item).map(Some).map_err(|fault| malformed(operation, stream, &fault))
    }

    async fn create(&self, first: &Checkpoint) -> Result<Written, StoreFailure> {
        self.table.put_new("create the checkpoint", KEY, item_of(first)).await
    }

    async fn store(&self, next: &Checkpoint) -> Result<Written, StoreFailure> {
        let (expression, values) = replacement(next);
        let update = Update {
            operation: "store the checkpoint",
            key: key_of(&next.stream),
            expression: &expression,
            condition: UNCHANGED,
            values,
        };
        self.table.update(update).await
    }
}

fn key_of(stream: &StreamKey) -> Item {
    item([(KEY, text(stream.to_string()))])
}

fn item_of(first: &Checkpoint) -> Item {
    let given = attributes(first).into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    key_of(&first.stream).into_iter().chain(given).collect()
}

/// How large DynamoDB reckons the item of a state to be.
pub fn size_of(state: &Checkpoint) -> usize {
    size_of_item(&item_of(state))
}

/// The update that makes an item this state, and the values of the update and of [`UNCHANGED`].
fn replacement(next: &Checkpoint) -> (String, Item) {
    let mut values = item([(":known_version", number(next.version.saturating_sub(1)))]);
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    for (name, value) in attributes(next) {
        match value {
            Some(value) => {
                set.push(format!("#{name} = :{name}"));
                values.insert(format!(":{name}"), value);
            }
            None => remove.push(format!("#{name}")),
        }
    }
    let mut update = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        update = format!("{update} REMOVE {}", remove.join(", "));
    }
    (update, values)
}

/// Each attribute but the key, and its value if it has one.
fn attributes(state: &Checkpoint) -> [(&'static str, Option<AttributeValue>); 22] {
    let Clocks { gap_ms, gap_at, held_gap_ms, raise, behind, listed_at, evidence_from } = state.clocks;
    let raise = raise.map(|raise| item([("gap_ms", number(raise.gap_ms)), ("seen_at", instant(raise.seen_at))]));
    [
        ("version", Some(number(state.version))),
        ("scanned", Some(position::to_value(&state.scanned))),
        ("committed", Some(position::to_value(&state.committed))),
        ("lease_until", Some(instant(state.lease_until))),
        ("lease_owner", Some(text(&state.lease_owner))),
        ("gap_ms", gap_ms.map(number)),
        ("gap_at", Some(instant(gap_at))),
        ("held_gap_ms", held_gap_ms.map(number)),
        ("raise", raise.map(AttributeValue::M)),
        ("behind_ms", Some(number(millis_of(behind)))),
        ("listed_at", Some(instant(listed_at))),
        ("evidence_from", Some(instant(evidence_from))),
        ("backlog", Some(AttributeValue::L(state.backlog.iter().map(listings::to_value).collect()))),
        ("later", Some(AttributeValue::L(state.later.iter().map(listings::to_value).collect()))),
        ("ledger_mark", state.ledger_mark.as_ref().map(text)),
        ("account_mark", Some(text(&state.account_mark))),
        ("last_success_at", state.last_success_at.map(instant)),
        ("last_progress_at", state.last_progress_at.map(instant)),
        ("owed_since", state.owed_since.map(instant)),
        ("held_since", state.held_since.map(instant)),
        ("import_count", Some(number(state.import_count))),
        ("schema_version", Some(number(SCHEMA_VERSION))),
    ]
}

fn checkpoint_of(stream: &StreamKey, item: &Item) -> Result<Checkpoint, BadShape> {
    let state = Reader::of(item);
    let version: i64 = state.number("schema_version")?;
    if version != SCHEMA_VERSION {
        return Err(BadShape(format!("schema_version is {version}, this program knows {SCHEMA_VERSION}")));
    }
    Ok(Checkpoint {
        stream: stream.clone(),
        version: state.number("version")?,
        scanned: position::read(state, "scanned")?,
        committed: position::read(state, "committed")?,
        lease_until: state.instant("lease_until")?,
        lease_owner: state.text("lease_owner")?.to_owned(),
        clocks: Clocks {
            gap_ms: state.number_if_any("gap_ms")?,
            gap_at: state.instant("gap_at")?,
            held_gap_ms: state.number_if_any("held_gap_ms")?,
            raise: state.map_if_any("raise")?.map(raise_of).transpose()?,
            behind: Duration::from_millis(state.number("behind_ms")?),
            listed_at: state.instant("listed_at")?,
            evidence_from: state.instant("evidence_from")?,
        },
        backlog: state.maps("backlog")?.into_iter().map(listings::read).collect::<Result<_, _>>()?,
        later: state.maps("later")?.into_iter().map(listings::read).collect::<Result<_, _>>()?,
        ledger_mark: state.text_if_any("ledger_mark")?.map(str::to_owned),
        account_mark: state.text("account_mark")?.to_owned(),
        last_success_at: state.instant_if_any("last_success_at")?,
        last_progress_at: state.instant_if_any("last_progress_at")?,
        owed_since: state.instant_if_any("owed_since")?,
        held_since: state.instant_if_any("held_since")?,
        import_count: state.number("import_count")?,
    })
}

fn raise_of(item: &Item) -> Result<Raise, BadShape> {
    let raise = Reader::within(item, "raise");
    Ok(Raise { gap_ms: raise.number("gap_ms")?, seen_at: raise.instant("seen_at")? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemark_engine::clock::StampMillis;
    use tidemark_engine::position::Position;
    use tidemark_engine::stream::{ListShape, StreamTraits};

    use super::super::samples::{self, stream};
    use super::*;

    prop_compose! {
        fn clocks()(
            gap_ms in proptest::option::of(any::<i64>()),
            at in (samples::instants(), samples::instants(), samples::instants()),
            behind in samples::durations(),
        ) -> Clocks {
            let raise = gap_ms.map(|gap_ms| Raise { gap_ms, seen_at: at.2 });
            Clocks { gap_ms, gap_at: at.0, held_gap_ms: gap_ms, raise, behind, listed_at: at.1, evidence_from: at.2 }
        }
    }

    prop_compose! {
        fn checkpoints()(
            version in any::<i64>(),
            positions in (samples::positions(), samples::positions()),
            lease in (samples::instants(), ".{0,10}"),
            clocks in clocks(),
            (backlog, later) in (
                proptest::collection::vec(listings::samples(), 0..5),
                proptest::collection::vec(listings::samples(), 0..3),
            ),
            marks in (proptest::option::of(".{0,10}"), ".{0,10}"),
            since in proptest::array::uniform4(proptest::option::of(samples::instants())),
            import_count in any::<u64>(),
        ) -> Checkpoint {
            let [last_success_at, last_progress_at, owed_since, held_since] = since;
            Checkpoint {
                stream: stream(),
                version,
                scanned: positions.0,
                committed: positions.1,
                lease_until: lease.0,
                lease_owner: lease.1,
                clocks,
                backlog,
                later,
                ledger_mark: marks.0,
                account_mark: marks.1,
                last_success_at,
                last_progress_at,
                owed_since,
                held_since,
                import_count,
            }
        }
    }

    proptest! {
        #[test]
        fn a_state_survives_its_item(state in checkpoints()) {
            prop_assert_eq!(checkpoint_of(&stream(), &item_of(&state)), Ok(state));
        }

        #[test]
        fn names_and_values_of_a_replacement_match(state in checkpoints()) {
            let (update, values) = replacement(&state);
            samples::assert_consistent(&[&update, UNCHANGED], &values);
        }
    }

    fn first() -> Checkpoint {
        let first = Position::At(StampMillis::new(0));
        let traits =
            StreamTraits { name: stream().name, shape: ListShape::Whole, stamped: true, filtered: true, first };
        Checkpoint::first(stream(), &traits, "account".to_owned())
    }

    #[test]
    fn what_a_state_lacks_is_removed() {
        let (update, values) = replacement(&Checkpoint { version: 8, ..first() });
        let (_, removed) = update.split_once(" REMOVE ").expect("something is removed");
        assert_eq!(
            removed,
            "#gap_ms, #held_gap_ms, #raise, #ledger_mark, #last_success_at, #last_progress_at, #owed_since, #held_since"
        );
        assert_eq!((&values[":known_version"], &values[":version"]), (&number(7), &number(8)));
    }

    #[test]
    fn a_state_of_another_version_is_not_read() {
        let mut item = item_of(&first());
        for version in [1, 3] {
            item.insert("schema_version".to_owned(), number(version));
            let fault = BadShape(format!("schema_version is {version}, this program knows 2"));
            assert_eq!(checkpoint_of(&stream(), &item), Err(fault));
        }
    }
}
