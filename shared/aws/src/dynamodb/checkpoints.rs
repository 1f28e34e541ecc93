//! The checkpoints table: one item a stream.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `stream_key` | S, key | `source#stream` |
//! | `committed`, `scanned` | M | positions `{kind: at\|token, order: N, text: S}` |
//! | `epoch` | N | absent until the first lease |
//! | `lease_until`, `lease_owner` | N ms, S | absent or 0: free |
//! | `run` | M | absent between runs, see below |
//! | `last_success_at`, `last_progress_at`, `listed_at`, `complete_at` | N ms | absent until there is one |
//! | `tokens` | L | of M `{position: M, seen_at: N ms}` |
//! | `schema_version` | N | 1 |
//!
//! `run` holds `run_id` S, `from` M, `horizon` N ms, `listed_at` N ms, `held_checkpoint` M, `accepted` N, `sent` N, `frontier` N, `newest`
//! M?, `sealed` BOOL, `cursor` S?, `segments` L of M `{epoch, first, end}`, `listed_count` N, `pending_count` N,
//! `known` N ms?.
//!
//! A state is written by an update that names its attributes, not by a put: an attribute that this program does not know
//! stays as it is. An item of another `schema_version` is not touched at all, its lease included: what a program does not
//! know, it cannot carry on. This is the case after a deployment was rolled back.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use tidemark_engine::checkpoint::{Checkpoint, Guard, Position, SeenToken, Transition};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Acquired, Checkpoints, Written};
use tidemark_engine::run::{Run, Segment};
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::StreamKey;

use super::SCHEMA_VERSION;
use super::item::{BadShape, Item, Reader, instant, item, number, text};
use super::position;
use super::table::{Table, Update, Updated, malformed};
use crate::client::Sdk;

const KEY: &str = "stream_key";

/// E1. The last arm lets a repeated arrival of one's own acquisition through.
const LEASE_IS_FREE: &str = "attribute_exists(#stream_key) AND #schema_version = :schema_version \
    AND (attribute_not_exists(#lease_until) OR #lease_until < :now OR #lease_owner = :owner)";
const TAKE_LEASE: &str =
    "SET #epoch = if_not_exists(#epoch, :now) + :one, #lease_until = :until, #lease_owner = :owner";

/// What every transition requires: an item of the version that was read, the writer's epoch, and that no position goes
/// back.
const STILL_OURS: &str = "#schema_version = :schema_version AND #epoch = :epoch \
    AND #committed.#order <= :committed_order AND #scanned.#order <= :scanned_order";

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
        let found = self.table.get(operation, key_of(stream)).await?;
        found.map(|item| read(operation, stream, &item)).transpose()
    }

    async fn create(&self, stream: &StreamKey, start: &Position) -> Result<Written, StoreFailure> {
        self.table.put_new("create the checkpoint", KEY, first_item(stream, start)).await
    }

    async fn acquire(
        &self,
        stream: &StreamKey,
        owner: &str,
        now: UtcMillis,
        until: UtcMillis,
    ) -> Result<Acquired, StoreFailure> {
        let operation = "acquire the stream";
        let update = Update {
            operation,
            key: key_of(stream),
            expression: TAKE_LEASE,
            condition: LEASE_IS_FREE,
            values: item([
                (":now", instant(now)),
                (":one", number(1)),
                (":until", instant(until)),
                (":owner", text(owner)),
                (":schema_version", number(SCHEMA_VERSION)),
            ]),
            ..Update::default()
        };
        match self.table.update_and_look(update, ReturnValue::AllNew).await? {
            Updated::Applied(item) => Ok(Acquired::Held(Box::new(read(operation, stream, &item)?))),
            Updated::Refused(None) => Ok(Acquired::Missing),
            Updated::Refused(Some(item)) => {
                let busy_until = known(&item).and_then(|state| state.instant("lease_until"));
                Ok(Acquired::Busy(busy_until.map_err(|fault| malformed(operation, stream, &fault))?))
            }
        }
    }

    async fn store(&self, transition: &Transition) -> Result<Written, StoreFailure> {
        let change = Change::of(transition);
        let update = Update {
            operation: "store the checkpoint",
            key: key_of(&transition.next.stream),
            expression: &change.update,
            condition: &change.condition,
            values: change.values,
            ..Update::default()
        };
        self.table.update(update).await
    }
}

fn key_of(stream: &StreamKey) -> Item {
    item([(KEY, text(stream.to_string()))])
}

/// E0. Without an epoch, so that the first lease takes one from the time and a re-created item never reuses any.
fn first_item(stream: &StreamKey, start: &Position) -> Item {
    item([
        (KEY, text(stream.to_string())),
        ("committed", position::to_value(start)),
        ("scanned", position::to_value(start)),
        ("tokens", AttributeValue::L(Vec::new())),
        ("schema_version", number(SCHEMA_VERSION)),
    ])
}

/// A transition as the update that makes it.
struct Change {
    update: String,
    condition: String,
    values: Item,
}

impl Change {
    fn of(transition: &Transition) -> Self {
        let next = &transition.next;
        let mut values = item([
            (":epoch", number(next.epoch)),
            (":committed_order", number(next.committed.order())),
            (":scanned_order", number(next.scanned.order())),
        ]);
        let guard = match &transition.guard {
            Guard::NoRun => "attribute_not_exists(#run)",
            Guard::Run { run_id, accepted } => {
                values.insert(":run_id".to_owned(), text(run_id));
                values.insert(":accepted".to_owned(), number(accepted));
                "#run.#run_id = :run_id AND #run.#accepted = :accepted"
            }
            Guard::Sealed { run_id } => {
                values.insert(":run_id".to_owned(), text(run_id));
                values.insert(":yes".to_owned(), AttributeValue::Bool(true));
                "#run.#run_id = :run_id AND #run.#sealed = :yes"
            }
            Guard::Abort { run_id } => {
                values.insert(":run_id".to_owned(), text(run_id));
                "#run.#run_id = :run_id"
            }
        };
        let condition = format!("{STILL_OURS} AND {guard}");

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
        Self { update, condition, values }
    }
}

/// What a transition writes: each attribute's value, or none to remove it. The epoch is required, not written.
fn attributes(next: &Checkpoint) -> [(&'static str, Option<AttributeValue>); 11] {
    let tokens = next.tokens.iter().map(|seen| {
        let position = ("position", position::to_value(&seen.position));
        AttributeValue::M(item([position, ("seen_at", instant(seen.seen_at))]))
    });
    [
        ("committed", Some(position::to_value(&next.committed))),
        ("scanned", Some(position::to_value(&next.scanned))),
        ("lease_until", Some(instant(next.lease_until))),
        ("lease_owner", Some(text(&next.lease_owner))),
        ("run", next.run.as_ref().map(|run| AttributeValue::M(run_item(run)))),
        ("last_success_at", next.last_success_at.map(instant)),
        ("last_progress_at", next.last_progress_at.map(instant)),
        ("listed_at", next.listed_at.map(instant)),
        ("complete_at", next.complete_at.map(instant)),
        ("tokens", Some(AttributeValue::L(tokens.collect()))),
        ("schema_version", Some(number(SCHEMA_VERSION))),
    ]
}

fn run_item(run: &Run) -> Item {
    let segments = run.segments.iter().map(|segment| {
        let Segment { epoch, first, end } = segment;
        AttributeValue::M(item([("epoch", number(epoch)), ("first", number(first)), ("end", number(end))]))
    });
    let mut found = item([
        ("run_id", text(&run.run_id)),
        ("from", position::to_value(&run.from)),
        ("horizon", instant(run.horizon)),
        ("listed_at", instant(run.listed_at)),
        ("held_checkpoint", position::to_value(&run.held_checkpoint)),
        ("accepted", number(run.accepted)),
        ("sent", number(run.sent)),
        ("frontier", number(run.frontier)),
        ("sealed", AttributeValue::Bool(run.sealed)),
        ("segments", AttributeValue::L(segments.collect())),
        ("listed_count", number(run.listed_count)),
        ("pending_count", number(run.pending_count)),
    ]);
    found.extend(run.newest.as_ref().map(|newest| ("newest".to_owned(), position::to_value(newest))));
    found.extend(run.cursor.as_ref().map(|cursor| ("cursor".to_owned(), text(cursor))));
    found.extend(run.known.map(|known| ("known".to_owned(), instant(known))));
    found
}

fn read(operation: &'static str, stream: &StreamKey, item: &Item) -> Result<Checkpoint, StoreFailure> {
    checkpoint_of(stream, item).map_err(|fault| malformed(operation, stream, &fault))
}

/// The item, if it is of the version that this program knows.
fn known(item: &Item) -> Result<Reader<'_>, BadShape> {
    let state = Reader::of(item);
    match state.number("schema_version")? {
        SCHEMA_VERSION => Ok(state),
        version => Err(BadShape(format!("schema_version is {version}, this program knows {SCHEMA_VERSION}"))),
    }
}

fn checkpoint_of(stream: &StreamKey, item: &Item) -> Result<Checkpoint, BadShape> {
    let state = known(item)?;
    Ok(Checkpoint {
        stream: stream.clone(),
        committed: position::read(state, "committed")?,
        scanned: position::read(state, "scanned")?,
        epoch: state.number_if_any("epoch")?.unwrap_or_default(),
        lease_until: state.instant_if_any("lease_until")?.unwrap_or_default(),
        lease_owner: state.text_if_any("lease_owner")?.unwrap_or_default().to_owned(),
        run: state.map_if_any("run")?.map(run_of).transpose()?,
        last_success_at: state.instant_if_any("last_success_at")?,
        last_progress_at: state.instant_if_any("last_progress_at")?,
        listed_at: state.instant_if_any("listed_at")?,
        complete_at: state.instant_if_any("complete_at")?,
        tokens: state.maps("tokens")?.into_iter().map(token_of).collect::<Result<_, _>>()?,
    })
}

fn token_of(item: &Item) -> Result<SeenToken, BadShape> {
    let token = Reader::within(item, "tokens");
    Ok(SeenToken { position: position::read(token, "position")?, seen_at: token.instant("seen_at")? })
}

fn run_of(item: &Item) -> Result<Run, BadShape> {
    let run = Reader::within(item, "run");
    Ok(Run {
        run_id: run.text("run_id")?.to_owned(),
        from: position::read(run, "from")?,
        horizon: run.instant("horizon")?,
        listed_at: run.instant("listed_at")?,
        held_checkpoint: position::read(run, "held_checkpoint")?,
        accepted: run.number("accepted")?,
        sent: run.number("sent")?,
        frontier: run.number("frontier")?,
        newest: position::read_if_any(run, "newest")?,
        sealed: run.flag("sealed")?,
        cursor: run.text_if_any("cursor")?.map(str::to_owned),
        segments: run.maps("segments")?.into_iter().map(segment_of).collect::<Result<_, _>>()?,
        listed_count: run.number("listed_count")?,
        pending_count: run.number("pending_count")?,
        known: run.instant_if_any("known")?,
    })
}

fn segment_of(item: &Item) -> Result<Segment, BadShape> {
    let segment = Reader::within(item, "run.segments");
    Ok(Segment { epoch: segment.number("epoch")?, first: segment.number("first")?, end: segment.number("end")? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemark_engine::stream::{SourceKind, StreamName};

    use super::super::samples;
    use super::*;

    fn stream() -> StreamKey {
        StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") }
    }

    prop_compose! {
        fn runs()(
            ids in ("[0-9]{1,13}-[0-9]{1,13}", proptest::option::of(".{0,20}")),
            positions in (samples::positions(), samples::positions(), proptest::option::of(samples::positions())),
            horizon in samples::instants(),
            listed_at in samples::instants(),
            counts in any::<(u32, u32, u32, u64, u64)>(),
            sealed in any::<bool>(),
            known in proptest::option::of(samples::instants()),
            segments in proptest::collection::vec(any::<(i64, u32, u32)>(), 0..4),
        ) -> Run {
            Run {
                run_id: ids.0,
                from: positions.0,
                horizon,
                listed_at,
                held_checkpoint: positions.1,
                accepted: counts.0,
                sent: counts.1,
                frontier: counts.2,
                newest: positions.2,
                sealed,
                cursor: ids.1,
                segments: segments.into_iter().map(|(epoch, first, end)| Segment { epoch, first, end }).collect(),
                listed_count: counts.3,
                pending_count: counts.4,
                known,
            }
        }
    }

    prop_compose! {
        fn checkpoints()(
            positions in (samples::positions(), samples::positions()),
            lease in (any::<i64>(), samples::instants(), ".{0,10}"),
            run in proptest::option::of(runs()),
            since in proptest::array::uniform4(proptest::option::of(samples::instants())),
            tokens in proptest::collection::vec((samples::positions(), samples::instants()), 0..4),
        ) -> Checkpoint {
            let [last_success_at, last_progress_at, listed_at, complete_at] = since;
            Checkpoint {
                stream: stream(),
                committed: positions.0,
                scanned: positions.1,
                epoch: lease.0,
                lease_until: lease.1,
                lease_owner: lease.2,
                run,
                last_success_at,
                last_progress_at,
                listed_at,
                complete_at,
                tokens: tokens.into_iter().map(|(position, seen_at)| SeenToken { position, seen_at }).collect(),
            }
        }
    }

    /// What is stored once a transition was applied to an item that E1 gave this epoch.
    fn stored(next: &Checkpoint) -> Item {
        let written = attributes(next).into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let mut item: Item = written.collect();
        item.insert("epoch".to_owned(), number(next.epoch));
        item
    }

    proptest! {
        #[test]
        fn a_state_survives_its_item(state in checkpoints()) {
            prop_assert_eq!(checkpoint_of(&stream(), &stored(&state)), Ok(state));
        }

        #[test]
        fn a_transition_names_and_values_match(state in checkpoints()) {
            for guard in guards() {
                let change = Change::of(&Transition { guard, next: state.clone() });
                samples::assert_consistent(&[&change.update, &change.condition], &change.values);
            }
        }
    }

    fn guards() -> [Guard; 4] {
        let run_id = "1-2".to_owned();
        [
            Guard::NoRun,
            Guard::Run { run_id: run_id.clone(), accepted: 3 },
            Guard::Sealed { run_id: run_id.clone() },
            Guard::Abort { run_id },
        ]
    }

    #[test]
    fn a_new_state_reads_as_the_engines_first_one() {
        let start = Position::Token { text: String::new(), sequence: 0 };
        assert_eq!(checkpoint_of(&stream(), &first_item(&stream(), &start)), Ok(Checkpoint::first(stream(), start)));
    }

    #[test]
    fn every_guard_is_a_condition_of_its_own() {
        let next = Checkpoint::first(stream(), Position::At(UtcMillis::new(0)));
        let conditions = guards().map(|guard| Change::of(&Transition { guard, next: next.clone() }).condition);
        let ours = "#schema_version = :schema_version AND #epoch = :epoch AND #committed.#order <= :committed_order AND #scanned.#order <= :scanned_order";
        let expected = [
            "attribute_not_exists(#run)",
            "#run.#run_id = :run_id AND #run.#accepted = :accepted",
            "#run.#run_id = :run_id AND #run.#sealed = :yes",
            "#run.#run_id = :run_id",
        ];
        assert_eq!(conditions, expected.map(|guard| format!("{ours} AND {guard}")));
    }

    #[test]
    fn what_a_state_lacks_is_removed() {
        let next = Checkpoint::first(stream(), Position::At(UtcMillis::new(0)));
        let update = Change::of(&Transition { guard: Guard::NoRun, next }).update;
        assert_eq!(
            update,
            "SET #committed = :committed, #scanned = :scanned, #lease_until = :lease_until, #lease_owner = :lease_owner, \
             #tokens = :tokens, #schema_version = :schema_version \
             REMOVE #run, #last_success_at, #last_progress_at, #listed_at, #complete_at"
        );
    }
}
