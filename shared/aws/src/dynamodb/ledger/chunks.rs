//! Chunks in the ledger.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `partition`, `item` | S, key | `run#source#stream#run_id`, `chunk#{seq:08}#{epoch}` |
//! | `horizon`, `listed_at` | N ms | the vendor's clock, the poller's |
//! | `held_checkpoint` | M | a position |
//! | `pending`, `poisoned` | SS | ids; absent when empty |
//! | `reasons` | M | why each poisoned id is; may outlive the id in `poisoned` |
//! | `stamps` | NS ms | absent when empty |
//! | `has_rows`, `parked` | BOOL | |
//! | `sent_at`, `send_count` | N ms, N | `sent_at` absent before the first sending |
//! | `withheld` | NS | how many tombstones were withheld, by each attempt that withheld any |
//! | `trying`, `receives` | S, N | absent, 0 |
//! | `expires_at` | N **s** | for the table's TTL |
//!
//! Sets make E6 idempotent and commutative: taking ids out, adding a stamp or a count twice, or in another order, leads
//! to the same item. `poisoned` is a set beside the map of reasons for the same cause: E6 can take ids out of a set that
//! is not there, while removing from a map needs a path for each.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use tidemark_engine::chunk::{CHUNK_KEPT, Chunk, ChunkKey, Finish};
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::StreamKey;

use super::super::item::{BadShape, Item, Reader, instant, item, number, numbers, text, texts};
use super::{ITEM, key, position};

/// One more than the largest number that eight digits hold: beyond it the order of the keys would not be that of the
/// numbers. It stands for five billion ids in one run.
const SEQ_END: u32 = 100_000_000;

pub(super) const BETWEEN: &str = "#partition = :partition AND #item BETWEEN :lowest AND :highest";
pub(super) const MARK_SENT: &str =
    "SET #sent_at = :sent_at, #parked = :no, #expires_at = :expires_at ADD #send_count :one";
pub(super) const MARK_TRYING: &str = "SET #trying = :id, #receives = :receives";

/// E7.
pub(super) const POISON: &str = "DELETE #pending :ids ADD #poisoned :ids SET #reasons.#id = :reason";
pub(super) const IS_PENDING: &str = "contains(#pending, :id)";

pub(super) fn partition_of(stream: &StreamKey, run: &str) -> String {
    format!("run#{stream}#{run}")
}

pub(super) fn key_of(chunk: &ChunkKey) -> Item {
    let sort = format!("chunk#{:08}#{}", chunk.seq, chunk.epoch);
    key(partition_of(&chunk.stream, &chunk.run), sort)
}

/// The lowest and the highest sort key of the chunks `first` to `end`, the latter excluded. A key without an epoch is
/// below all keys of its number; `:` is above all digits.
pub(super) fn sort_range(first: u32, end: u32) -> (String, String) {
    let highest = if end < SEQ_END { format!("chunk#{end:08}") } else { "chunk#:".to_owned() };
    (format!("chunk#{first:08}"), highest)
}

/// When a chunk that was made or sent at `at` may go, in whole seconds as DynamoDB's TTL wants it.
pub(super) fn expires_at(at: UtcMillis) -> i64 {
    at.plus(CHUNK_KEPT).since(UtcMillis::default()).as_secs().try_into().unwrap_or(i64::MAX)
}

/// E3.
pub(super) fn item_of(chunk: &Chunk, expires_at: i64) -> Item {
    let ids = |ids: &mut dyn Iterator<Item = &RecordId>| texts(ids.map(RecordId::as_str));
    let reasons = chunk.poisoned.iter().map(|(id, reason)| (id.as_str().to_owned(), text(reason))).collect();
    let withheld = (chunk.withheld_count > 0).then_some(chunk.withheld_count);
    let sometimes = [
        ("pending", ids(&mut chunk.pending.iter())),
        ("poisoned", ids(&mut chunk.poisoned.keys())),
        ("stamps", numbers(chunk.stamps.iter().map(|stamp| stamp.get()))),
        ("withheld", numbers(withheld)),
        ("sent_at", chunk.sent_at.map(instant)),
        ("trying", chunk.trying.as_ref().map(|id| text(id.as_str()))),
    ];
    let mut found = key_of(&chunk.key);
    found.extend(item([
        ("horizon", instant(chunk.horizon)),
        ("listed_at", instant(chunk.listed_at)),
        ("held_checkpoint", position::to_value(&chunk.held_checkpoint)),
        ("reasons", AttributeValue::M(reasons)),
        ("has_rows", AttributeValue::Bool(chunk.has_rows)),
        ("parked", AttributeValue::Bool(chunk.parked)),
        ("send_count", number(chunk.send_count)),
        ("receives", number(chunk.receives)),
        ("expires_at", number(expires_at)),
    ]));
    found.extend(sometimes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    found
}

/// E6: the update expression and its values. The empty sets that DynamoDB refuses are left out, and when nothing else is
/// left the update changes nothing, so that its condition still tells whether the chunk is there.
pub(super) fn finish(finish: &Finish) -> (String, Item) {
    let (mut clauses, mut values) = (Vec::new(), Item::new());
    let mut value = |placeholder: &str, value| values.insert(placeholder.to_owned(), value);
    if let Some(done) = texts(finish.done.iter().map(RecordId::as_str)) {
        clauses.push("DELETE #pending :done, #poisoned :done");
        value(":done", done);
    }
    let stamp = numbers(finish.stamp.map(UtcMillis::get));
    let withheld = numbers((finish.withheld_count > 0).then_some(finish.withheld_count));
    match (&stamp, &withheld) {
        (Some(_), Some(_)) => clauses.push("ADD #stamps :stamp, #withheld :withheld"),
        (Some(_), None) => clauses.push("ADD #stamps :stamp"),
        (None, Some(_)) => clauses.push("ADD #withheld :withheld"),
        (None, None) => {}
    }
    for (placeholder, number) in [(":stamp", stamp), (":withheld", withheld)] {
        if let Some(number) = number {
            value(placeholder, number);
        }
    }
    if finish.parked {
        clauses.push("SET #parked = :yes");
        value(":yes", AttributeValue::Bool(true));
    }
    if clauses.is_empty() {
        clauses.push("SET #parked = #parked");
    }
    (clauses.join(" "), values)
}

pub(super) fn chunk_of(stream: &StreamKey, run: &str, item: &Item) -> Result<Chunk, BadShape> {
    let chunk = Reader::of(item);
    let (seq, epoch) = chunk.parsed(ITEM, |sort| {
        let (seq, epoch) = sort.strip_prefix("chunk#")?.split_once('#')?;
        Some((seq.parse().ok()?, epoch.parse().ok()?))
    })?;
    let reasons = chunk.map("reasons")?;
    let poisoned = chunk.texts("poisoned")?.iter().map(|id| {
        let reason = Reader::within(reasons, "reasons").text_if_any(id)?.unwrap_or_default();
        Ok((id_of("poisoned", id)?, reason.to_owned()))
    });
    Ok(Chunk {
        key: ChunkKey { stream: stream.clone(), run: run.to_owned(), seq, epoch },
        horizon: chunk.instant("horizon")?,
        listed_at: chunk.instant("listed_at")?,
        held_checkpoint: position::read(chunk, "held_checkpoint")?,
        pending: chunk.texts("pending")?.iter().map(|id| id_of("pending", id)).collect::<Result<_, _>>()?,
        poisoned: poisoned.collect::<Result<BTreeMap<_, _>, BadShape>>()?,
        stamps: chunk.numbers("stamps")?.into_iter().map(UtcMillis::new).collect(),
        has_rows: chunk.flag("has_rows")?,
        sent_at: chunk.instant_if_any("sent_at")?,
        send_count: chunk.number("send_count")?,
        parked: chunk.flag("parked")?,
        withheld_count: chunk.numbers("withheld")?.into_iter().max().unwrap_or_default(),
        trying: chunk.text_if_any("trying")?.map(|id| id_of("trying", id)).transpose()?,
        receives: chunk.number("receives")?,
    })
}

fn id_of(attribute: &str, id: &str) -> Result<RecordId, BadShape> {
    RecordId::parse(id).map_err(|fault| BadShape(format!("{attribute} holds an unusable id ({fault})")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use tidemark_engine::stream::{SourceKind, StreamName};

    use super::super::super::samples;
    use super::*;

    fn stream() -> StreamKey {
        StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") }
    }

    prop_compose! {
        fn chunks()(
            seq in 0..SEQ_END,
            epoch in any::<i64>(),
            horizon in samples::instants(),
            listed_at in samples::instants(),
            held_checkpoint in samples::positions(),
            pending in proptest::collection::btree_set(samples::ids(), 0..6),
            poisoned in proptest::collection::btree_map(samples::ids(), ".{0,20}", 0..6),
            stamps in proptest::collection::btree_set(samples::instants(), 0..4),
            flags in any::<(bool, bool)>(),
            sent_at in proptest::option::of(samples::instants()),
            trying in proptest::option::of(samples::ids()),
            counts in any::<(u32, u32, u32)>(),
        ) -> Chunk {
            Chunk {
                key: ChunkKey { stream: stream(), run: "1-2".to_owned(), seq, epoch },
                horizon,
                listed_at,
                held_checkpoint,
                pending,
                poisoned,
                stamps,
                has_rows: flags.0,
                sent_at,
                send_count: counts.0,
                parked: flags.1,
                withheld_count: counts.1,
                trying,
                receives: counts.2,
            }
        }
    }

    prop_compose! {
        fn finishes()(
            done in proptest::collection::btree_set(samples::ids(), 0..4),
            stamp in proptest::option::of(samples::instants()),
            parked in any::<bool>(),
            withheld_count in 0_u32..3,
        ) -> Finish {
            Finish { done, stamp, parked, withheld_count }
        }
    }

    proptest! {
        #[test]
        fn a_chunk_survives_its_item(chunk in chunks()) {
            prop_assert_eq!(chunk_of(&stream(), "1-2", &item_of(&chunk, 7)), Ok(chunk));
        }

        #[test]
        fn no_finish_sends_an_empty_set(finish in finishes()) {
            let (update, values) = super::finish(&finish);
            samples::assert_consistent(&[&update], &values);
            for value in values.values() {
                let size = value.as_ss().map(Vec::len).or_else(|_| value.as_ns().map(Vec::len)).unwrap_or(1);
                prop_assert!(size > 0);
            }
        }

        #[test]
        fn a_range_holds_its_numbers_and_no_others(seq in 0..SEQ_END, first in 0..SEQ_END, end: u32, epoch: i64) {
            let key = ChunkKey { stream: stream(), run: "1-2".to_owned(), seq, epoch };
            let sort = key_of(&key)[ITEM].as_s().cloned().unwrap_or_default();
            let (lowest, highest) = sort_range(first, end);
            prop_assert_eq!((first..end.max(first)).contains(&seq), lowest <= sort && sort <= highest);
        }
    }

    #[test]
    fn a_finish_writes_what_there_is_to_write() {
        let done = BTreeSet::from([RecordId::parse("1").expect("it is an id")]);
        let all = Finish { done, stamp: Some(UtcMillis::new(3)), parked: true, withheld_count: 6 };
        let (update, _) = finish(&all);
        assert_eq!(
            update,
            "DELETE #pending :done, #poisoned :done ADD #stamps :stamp, #withheld :withheld SET #parked = :yes"
        );
        assert_eq!(finish(&Finish::default()), ("SET #parked = #parked".to_owned(), Item::new()));
    }

    #[test]
    fn what_is_not_a_chunk_is_not_read_as_one() {
        let chunk = Chunk::new(
            ChunkKey { stream: stream(), run: "1-2".to_owned(), seq: 0, epoch: 1 },
            UtcMillis::new(0),
            UtcMillis::new(0),
            tidemark_engine::checkpoint::Position::At(UtcMillis::new(0)),
            BTreeSet::new(),
        );
        let good = item_of(&chunk, 7);
        let spoilt = [
            (ITEM, text("chunk#x#1"), "item is not one that this program knows"),
            ("reasons", text("none"), "reasons is not a map"),
            ("pending", AttributeValue::Ss(vec![String::new()]), "pending holds an unusable id (the id is empty)"),
        ];
        for (name, value, expected) in spoilt {
            let mut item = good.clone();
            item.insert(name.to_owned(), value);
            assert_eq!(chunk_of(&stream(), "1-2", &item), Err(BadShape(expected.to_owned())));
        }
    }
}
