//! Chunks in the ledger.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `partition`, `item` | S, key | `work#source#stream`, `lane#holds#version#seq` |
//! | `ids` | SS | the ids still owed; absent when there are none |
//! | `holds` | M | a position; absent when the chunk holds nothing |
//! | `listed_at`, `next_at` | N ms | |
//! | `told` | S | `ids`, `rows` or `events` |
//! | `events_zstd` | B | for `events`: JSON `{id: {deleted, body}}`, the body a string, compressed with zstd |
//! | `trying`, `tries` | S, N | absent unless an id is tried by itself |
//!
//! The ids are a set so that taking them out twice, or in another order, leads to the same item. What the list gave with an id
//! stays when the id goes, and is not read any more then. A chunk does not expire: what is owed is owed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::StreamKey;
use tidemark_engine::work::{Chunk, ChunkKey, Event, Lane, Next, Told, Trying};

use super::super::item::{BadShape, Item, Reader, bytes, instant, item, number, size_of_item, text, texts};
use super::super::position;
use super::{ITEM, key, work_of};

/// Compression: zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// L2.
pub(super) const MARK_SENT: &str = "SET #next_at = :next_at";
/// What an owed-work report reads of a chunk.
pub(super) const IDS: &str = "#ids";

/// Events that cannot be written as JSON or compressed.
#[derive(Debug, Error)]
#[error("the events cannot be packed: {0}")]
pub(super) struct Unpackable(String);

/// An event as it is kept.
#[derive(Deserialize, Serialize)]
struct KeptEvent<T> {
    deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<T>,
}

pub(super) fn key_of(chunk: &ChunkKey) -> Item {
    key(work_of(&chunk.stream), chunk.sort_key())
}

/// What the sort keys of a lane begin with.
pub(super) fn prefix_of(lane: Lane) -> String {
    format!("{}#", lane.as_str())
}

/// L1.
pub(super) fn item_of(chunk: &Chunk) -> Result<Item, Unpackable> {
    let (told, events) = match &chunk.told {
        Told::Ids => ("ids", None),
        Told::Rows => ("rows", None),
        Told::Events(events) => ("events", Some(bytes(pack(events)?))),
    };
    let sometimes = [
        ("ids", texts(chunk.ids.iter().map(RecordId::as_str))),
        ("holds", chunk.holds.as_ref().map(position::to_value)),
        ("events_zstd", events),
        ("trying", chunk.trying.as_ref().map(|trying| text(trying.id.as_str()))),
        ("tries", chunk.trying.as_ref().map(|trying| number(trying.times))),
    ];
    let mut found = key_of(&chunk.key);
    found.extend(item([
        ("listed_at", instant(chunk.listed_at)),
        ("next_at", instant(chunk.next_at)),
        ("told", text(told)),
    ]));
    found.extend(sometimes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(found)
}

/// How large DynamoDB reckons the item of a chunk to be; nothing for one whose events cannot be packed.
pub fn size_of(chunk: &Chunk) -> usize {
    item_of(chunk).map_or(0, |item| size_of_item(&item))
}

/// L3: the update expression and its values. DynamoDB refuses to take none out of a set.
pub(super) fn finish(gone: &BTreeSet<RecordId>, next: &Next) -> (String, Item) {
    let (update, mut values) = match next {
        Next::SentAt(next_at) => ("SET #next_at = :next_at", item([(":next_at", instant(*next_at))])),
        Next::Tried(Trying { id, times }) => (
            "SET #trying = :trying, #tries = :tries",
            item([(":trying", text(id.as_str())), (":tries", number(*times))]),
        ),
    };
    match texts(gone.iter().map(RecordId::as_str)) {
        Some(gone) => {
            values.insert(":gone".to_owned(), gone);
            (format!("{update} DELETE #ids :gone"), values)
        }
        None => (update.to_owned(), values),
    }
}

pub(super) fn chunk_of(stream: &StreamKey, item: &Item) -> Result<Chunk, BadShape> {
    let chunk = Reader::of(item);
    let ids = chunk.ids("ids")?;
    let told = match chunk.text("told")? {
        "ids" => Told::Ids,
        "rows" => Told::Rows,
        "events" => Told::Events(events_of(chunk, &ids)?),
        _ => return Err(chunk.unknown("told")),
    };
    let trying = match chunk.text_if_any("trying")? {
        Some(_) => Some(Trying { id: chunk.id("trying")?, times: chunk.number("tries")? }),
        None => None,
    };
    Ok(Chunk {
        key: chunk.parsed(ITEM, |sort| ChunkKey::parse(stream.clone(), sort))?,
        holds: position::read_if_any(chunk, "holds")?,
        ids,
        listed_at: chunk.instant("listed_at")?,
        next_at: chunk.instant("next_at")?,
        told,
        trying,
    })
}

fn pack(events: &BTreeMap<RecordId, Event>) -> Result<Vec<u8>, Unpackable> {
    let mut kept = BTreeMap::new();
    for (id, event) in events {
        kept.insert(id.as_str(), KeptEvent { deleted: event.deleted, body: event.body.as_ref().map(Body::text) });
    }
    let json = serde_json::to_vec(&kept).map_err(|fault| Unpackable(fault.to_string()))?;
    zstd::bulk::compress(&json, ZSTD_LEVEL).map_err(|fault| Unpackable(fault.to_string()))
}

/// The events of the ids that are still owed.
fn events_of(chunk: Reader<'_>, ids: &BTreeSet<RecordId>) -> Result<BTreeMap<RecordId, Event>, BadShape> {
    let Some(packed) = chunk.bytes_if_any("events_zstd")? else {
        return Err(BadShape("events_zstd is missing".to_owned()));
    };
    let bad = |_| BadShape("events_zstd holds no events".to_owned());
    let json = zstd::decode_all(packed).map_err(|_| BadShape("events_zstd is not zstd".to_owned()))?;
    let kept: BTreeMap<RecordId, KeptEvent<String>> = serde_json::from_slice(&json).map_err(bad)?;
    let event = |kept: KeptEvent<String>| Event { deleted: kept.deleted, body: kept.body.map(Body::new) };
    Ok(kept.into_iter().filter(|(id, _)| ids.contains(id)).map(|(id, kept)| (id, event(kept))).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemark_engine::position::Position;

    use super::super::super::samples::{self, stream};
    use super::*;

    fn events() -> impl Strategy<Value = Event> {
        let body = proptest::option::of(".{0,40}".prop_map(Body::new));
        (any::<bool>(), body).prop_map(|(deleted, body)| Event { deleted, body })
    }

    fn told(ids: BTreeSet<RecordId>) -> impl Strategy<Value = Told> {
        let count = ids.len();
        let events = proptest::collection::vec(events(), count)
            .prop_map(move |events| Told::Events(ids.iter().cloned().zip(events).collect()));
        prop_oneof![Just(Told::Ids), Just(Told::Rows), events]
    }

    prop_compose! {
        fn chunks()(ids in proptest::collection::btree_set(samples::ids(), 0..6))(
            told in told(ids.clone()),
            ids in Just(ids),
            is_bulk in any::<bool>(),
            holds in proptest::option::of(samples::positions()),
            version in 0..1_000_000_000_i64,
            seq in 0..1_000_000_u32,
            listed_at in samples::instants(),
            next_at in samples::instants(),
            trying in proptest::option::of((samples::ids(), any::<u32>())),
        ) -> Chunk {
            let lane = if is_bulk { Lane::Bulk } else { Lane::Fresh };
            Chunk {
                key: ChunkKey::new(stream(), lane, holds.as_ref(), version, seq),
                holds,
                ids,
                listed_at,
                next_at,
                told,
                trying: trying.map(|(id, times)| Trying { id, times }),
            }
        }
    }

    proptest! {
        #[test]
        fn a_chunk_survives_its_item(chunk in chunks()) {
            let item = item_of(&chunk).expect("it can be packed");
            prop_assert_eq!(chunk_of(&stream(), &item), Ok(chunk));
        }

        #[test]
        fn no_update_sends_an_empty_set(
            gone in proptest::collection::btree_set(samples::ids(), 0..4),
            next_at in samples::instants(),
            id in samples::ids(),
        ) {
            for next in [Next::Tried(Trying { id, times: 2 }), Next::SentAt(next_at)] {
                let (update, values) = finish(&gone, &next);
                samples::assert_consistent(&[&update], &values);
                prop_assert!(values.values().all(|value| value.as_ss().is_ok_and(|set| !set.is_empty()) || !value.is_ss()));
                prop_assert_eq!(update.contains("DELETE"), !gone.is_empty());
            }
        }
    }

    fn id(text: &str) -> RecordId {
        RecordId::parse(text).expect("it is an id")
    }

    fn chunk(told: Told) -> Chunk {
        let holds = Some(Position::Token { text: "t".to_owned(), sequence: 4 });
        Chunk {
            key: ChunkKey::new(stream(), Lane::Fresh, holds.as_ref(), 3, 0),
            holds,
            ids: BTreeSet::from(["1", "2"].map(id)),
            listed_at: tidemark_engine::clock::LocalMillis::new(5),
            next_at: tidemark_engine::clock::LocalMillis::new(0),
            told,
            trying: None,
        }
    }

    #[test]
    fn events_of_ids_that_left_are_not_read() {
        let event = Event { deleted: true, body: Some(Body::new("{\"n\":1}")) };
        let told = Told::Events(BTreeMap::from([(id("1"), event.clone()), (id("2"), event.clone())]));
        let mut item = item_of(&chunk(told)).expect("it can be packed");
        item.insert("ids".to_owned(), texts(["2"]).expect("there is one"));
        let read = chunk_of(&stream(), &item).expect("it is a chunk");
        assert_eq!(read.told, Told::Events(BTreeMap::from([(id("2"), event)])));

        item.remove("ids");
        let read = chunk_of(&stream(), &item).expect("it is a chunk");
        assert_eq!((read.ids.len(), read.told), (0, Told::Events(BTreeMap::new())));
    }

    #[test]
    fn what_is_not_a_chunk_is_not_read_as_one() {
        let good = item_of(&chunk(Told::Ids)).expect("it can be packed");
        let spoilt = [
            (ITEM, text("fresh#x#1"), "item is not one that this program knows"),
            ("told", text("more"), "told is not one that this program knows"),
            ("told", text("events"), "events_zstd is missing"),
            ("holds", text("none"), "holds is not a map"),
            ("trying", text("1"), "tries is missing"),
            ("ids", texts([""]).expect("there is one"), "ids holds an unusable id (the id is empty)"),
        ];
        for (name, value, expected) in spoilt {
            let mut item = good.clone();
            item.insert(name.to_owned(), value);
            assert_eq!(chunk_of(&stream(), &item), Err(BadShape(expected.to_owned())));
        }
    }

    #[test]
    fn events_that_cannot_be_unpacked_are_told_without_their_text() {
        let mut item = item_of(&chunk(Told::Events(BTreeMap::new()))).expect("it can be packed");
        for (packed, expected) in [
            (b"canary".to_vec(), "events_zstd is not zstd"),
            (zstd::bulk::compress(b"\"canary\"", 1).expect("it is compressed"), "events_zstd holds no events"),
        ] {
            item.insert("events_zstd".to_owned(), bytes(packed));
            assert_eq!(chunk_of(&stream(), &item), Err(BadShape(expected.to_owned())));
        }
    }
}
