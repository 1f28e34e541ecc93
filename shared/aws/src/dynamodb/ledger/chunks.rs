//! Chunks in the ledger.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `partition`, `item` | S, key | `work#source#stream`, `lane#holds#version#seq` |
//! | `owed` | BS | of each id still owed the first 8 bytes of its SHA-256; absent when there are none |
//! | `listed_zstd` | B | JSON `{id: event or null}` of all ids, an event `{deleted, body}`, the body a string; compressed with zstd |
//! | `holds` | M | a position; absent when the chunk holds nothing |
//! | `listed_at`, `next_at` | N ms | |
//! | `told` | S | `ids`, `rows` or `events` |
//! | `trying`, `tries` | S, N | absent unless an id is tried by itself |
//!
//! What is owed is a set so that taking ids out twice, or in another order, leads to the same item. What the list gave with
//! an id stays when the id goes, and is not read any more then. A chunk is written and deleted whole, so its size is its
//! price: ids are compressed with the events that repeat them. A chunk does not expire: what is owed is owed.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::StreamKey;
use tidemark_engine::work::{Chunk, ChunkKey, Event, Lane, Next, Told, Trying};

use super::super::item::{BadShape, Item, Reader, blobs, bytes, instant, item, number, size_of_item, text};
use super::super::position;
use super::{ITEM, key, packed, work_of};

/// L2.
pub(super) const MARK_SENT: &str = "SET #next_at = :next_at";
/// What an owed-work report reads of a chunk.
pub(super) const OWED: &str = "#owed";

/// Ids and events that cannot be kept.
#[derive(Debug, Error)]
#[error("the ids of a chunk cannot be packed: {0}")]
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

/// L1. Fails where two ids cannot be told apart in `owed`: once in 10^16 chunks.
pub(super) fn item_of(chunk: &Chunk) -> Result<Item, Unpackable> {
    let told = match &chunk.told {
        Told::Ids => "ids",
        Told::Rows => "rows",
        Told::Events(_) => "events",
    };
    if chunk.ids.iter().map(short).collect::<BTreeSet<_>>().len() < chunk.ids.len() {
        return Err(Unpackable("two of them have the same short form".to_owned()));
    }
    let sometimes = [
        ("owed", blobs(chunk.ids.iter().map(short))),
        ("holds", chunk.holds.as_ref().map(position::to_value)),
        ("trying", chunk.trying.as_ref().map(|trying| text(trying.id.as_str()))),
        ("tries", chunk.trying.as_ref().map(|trying| number(trying.times))),
    ];
    let mut found = key_of(&chunk.key);
    found.extend(item([
        ("listed_at", instant(chunk.listed_at)),
        ("next_at", instant(chunk.next_at)),
        ("told", text(told)),
        ("listed_zstd", bytes(pack(chunk)?)),
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
    match blobs(gone.iter().map(short)) {
        Some(gone) => {
            values.insert(":gone".to_owned(), gone);
            (format!("{update} DELETE #owed :gone"), values)
        }
        None => (update.to_owned(), values),
    }
}

pub(super) fn chunk_of(stream: &StreamKey, item: &Item) -> Result<Chunk, BadShape> {
    let chunk = Reader::of(item);
    let owed = owed(chunk)?;
    let ids = owed.keys().cloned().collect();
    let told = match chunk.text("told")? {
        "ids" => Told::Ids,
        "rows" => Told::Rows,
        "events" => Told::Events(events_of(owed)?),
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

/// What stands for an id in `owed`.
pub(super) fn short(id: &RecordId) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(id.as_str()).into();
    *digest.first_chunk().unwrap_or(&[0; 8])
}

/// How many ids an item of [`OWED`] still owes.
pub(super) fn owed_count(item: &Item) -> usize {
    Reader::of(item).blobs("owed").map_or(0, <[Blob]>::len)
}

fn pack(chunk: &Chunk) -> Result<Vec<u8>, Unpackable> {
    let events = if let Told::Events(events) = &chunk.told { Some(events) } else { None };
    let listed = chunk.ids.iter().map(|id| {
        let event = events.and_then(|events| events.get(id));
        let kept = event.map(|event| KeptEvent { deleted: event.deleted, body: event.body.as_ref().map(Body::text) });
        (id.as_str(), kept)
    });
    let listed: BTreeMap<&str, Option<KeptEvent<&str>>> = listed.collect();
    packed::pack(&listed).map_err(|fault| Unpackable(fault.to_string()))
}

/// The ids that are still owed, with what the list said of them.
fn owed(chunk: Reader<'_>) -> Result<BTreeMap<RecordId, Option<KeptEvent<String>>>, BadShape> {
    let mut listed: BTreeMap<RecordId, _> = packed::unpack(chunk, "listed_zstd")?;
    let owed: BTreeSet<&[u8]> = chunk.blobs("owed")?.iter().map(Blob::as_ref).collect();
    listed.retain(|id, _| owed.contains(short(id).as_slice()));
    if listed.len() == owed.len() {
        Ok(listed)
    } else {
        Err(BadShape("owed names an id that was not listed".to_owned()))
    }
}

fn events_of(owed: BTreeMap<RecordId, Option<KeptEvent<String>>>) -> Result<BTreeMap<RecordId, Event>, BadShape> {
    let events = owed.into_iter().map(|(id, kept)| {
        let KeptEvent { deleted, body } = kept.ok_or_else(|| BadShape("listed_zstd lacks an event".to_owned()))?;
        Ok((id, Event { deleted, body: body.map(Body::new) }))
    });
    events.collect()
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
                prop_assert!(values.values().all(|value| value.as_bs().is_ok_and(|set| !set.is_empty()) || !value.is_bs()));
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
        item.insert("owed".to_owned(), blobs([short(&id("2"))]).expect("there is one"));
        let read = chunk_of(&stream(), &item).expect("it is a chunk");
        assert_eq!(read.told, Told::Events(BTreeMap::from([(id("2"), event)])));

        item.remove("owed");
        let read = chunk_of(&stream(), &item).expect("it is a chunk");
        assert_eq!((read.ids.len(), read.told), (0, Told::Events(BTreeMap::new())));
    }

    #[test]
    fn what_is_not_a_chunk_is_not_read_as_one() {
        let good = item_of(&chunk(Told::Ids)).expect("it can be packed");
        let spoilt = [
            (ITEM, text("fresh#x#1"), "item is not one that this program knows"),
            ("told", text("more"), "told is not one that this program knows"),
            ("told", text("events"), "listed_zstd lacks an event"),
            ("holds", text("none"), "holds is not a map"),
            ("trying", text("1"), "tries is missing"),
            ("owed", blobs([[7; 8]]).expect("there is one"), "owed names an id that was not listed"),
        ];
        for (name, value, expected) in spoilt {
            let mut item = good.clone();
            item.insert(name.to_owned(), value);
            assert_eq!(chunk_of(&stream(), &item), Err(BadShape(expected.to_owned())));
        }
    }

    #[test]
    fn ids_that_cannot_be_unpacked_are_told_without_their_text() {
        let mut item = item_of(&chunk(Told::Ids)).expect("it can be packed");
        let json = |text: &[u8]| zstd::bulk::compress(text, 1).expect("it is compressed");
        for (packed, expected) in [
            (b"canary".to_vec(), "listed_zstd is not zstd"),
            (json(b"\"canary\""), "listed_zstd holds no ids"),
            (json(b"{\"\":null}"), "listed_zstd holds no ids"),
        ] {
            item.insert("listed_zstd".to_owned(), bytes(packed));
            assert_eq!(chunk_of(&stream(), &item), Err(BadShape(expected.to_owned())));
        }
    }
}
