//! Contract of the ledger's chunks: L1 to L4.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tidemark_engine::clock::{LocalMillis, StampMillis};
use tidemark_engine::ports::{Ledger, Owed, Written};
use tidemark_engine::position::Position;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{StreamKey, StreamName};
use tidemark_engine::work::{Chunk, ChunkKey, Event, Lane, Next, Told, Trying};

use super::{AWKWARD, at, good, id, ids, longest_id, position, there};

/// Holds an implementation to the chunks of [`Ledger`]. The ledger of `stream` must be empty.
pub async fn ledger(port: &impl Ledger, stream: &StreamKey) {
    chunks_are_put_and_read(port, stream).await;
    lanes_are_in_key_order(port, stream).await;
    every_attribute_survives(port, stream).await;
    sending_is_noted(port, stream).await;
    finishing_only_shrinks(port, stream).await;
    finishing_at_once_loses_nothing(port, stream).await;
    trying_is_noted(port, stream).await;
    absent_chunks_are_refused(port, stream).await;
}

fn key(stream: &StreamKey, lane: Lane, holds: Option<&Position>, version: i64, seq: u32) -> ChunkKey {
    ChunkKey::new(stream.clone(), lane, holds, version, seq)
}

fn chunk(stream: &StreamKey, lane: Lane, version: i64, seq: u32, texts: &[&str]) -> Chunk {
    let holds = position(-500);
    Chunk {
        key: key(stream, lane, Some(&holds), version, seq),
        holds: Some(holds),
        ids: ids(texts),
        listed_at: at(5),
        next_at: at(0),
        told: Told::Ids,
        trying: None,
    }
}

const AT_ONCE: Next = Next::SentAt(LocalMillis::new(0));

async fn put(port: &impl Ledger, chunk: &Chunk) {
    good(port.put_chunks(std::slice::from_ref(chunk)).await);
}

async fn stored(port: &impl Ledger, key: &ChunkKey) -> Chunk {
    there(good(port.chunk(key).await), "the chunk")
}

async fn head(port: &impl Ledger, stream: &StreamKey, lane: Lane, limit: usize) -> Vec<Chunk> {
    good(port.head(stream, lane, limit).await)
}

/// Deletes what is in both lanes.
async fn clear(port: &impl Ledger, stream: &StreamKey) {
    for lane in [Lane::Fresh, Lane::Bulk] {
        for chunk in head(port, stream, lane, 1_000).await {
            good(port.delete_chunk(&chunk.key).await);
        }
    }
}

async fn chunks_are_put_and_read(port: &impl Ledger, stream: &StreamKey) {
    for lane in [Lane::Fresh, Lane::Bulk] {
        assert_eq!(head(port, stream, lane, 100).await, [], "the suite needs a stream without chunks");
    }
    assert_eq!(good(port.owed(stream).await), Owed::default());
    good(port.put_chunks(&[]).await);

    // More than one batch of writes takes, and two pollers' chunks of one number.
    let mut all: Vec<Chunk> = (0..60).map(|seq| chunk(stream, Lane::Fresh, 5, seq, &AWKWARD)).collect();
    all.push(chunk(stream, Lane::Fresh, 6, 7, &["x"]));
    good(port.put_chunks(&all).await);
    good(port.put_chunks(&all).await);
    assert_eq!(head(port, stream, Lane::Fresh, 1_000).await, all, "all are there once, put twice or not");
    assert_eq!(good(port.chunk(&key(stream, Lane::Fresh, Some(&position(-500)), 6, 8)).await), None);
    assert_eq!(head(port, stream, Lane::Bulk, 1_000).await, [], "the other lane is another one");

    let bulk = chunk(stream, Lane::Bulk, 5, 0, &["1", "2", "3"]);
    put(port, &bulk).await;
    let fresh_count = u64::try_from(AWKWARD.len()).unwrap_or(0).saturating_mul(60).saturating_add(1);
    assert_eq!(good(port.owed(stream).await), Owed { fresh_count, bulk_count: 3 }, "ids are counted, not chunks");
    let other = StreamKey { name: good(StreamName::parse("never_owed")), ..stream.clone() };
    assert_eq!(head(port, &other, Lane::Bulk, 10).await, [], "a stream sees its own chunks alone");
    assert_eq!(good(port.owed(&other).await), Owed::default());

    // What is finished and then put again by a late repeat is there again: extra work, no harm.
    good(port.delete_chunk(&bulk.key).await);
    assert_eq!(good(port.chunk(&bulk.key).await), None);
    put(port, &bulk).await;
    assert_eq!(stored(port, &bulk.key).await, bulk);
    clear(port, stream).await;
    assert_eq!(good(port.owed(stream).await), Owed::default(), "a chunk that is deleted is owed no longer");
}

async fn lanes_are_in_key_order(port: &impl Ledger, stream: &StreamKey) {
    let holding = |holds: Option<i64>, version, seq| {
        let holds = holds.map(|at| Position::At(StampMillis::new(at)));
        let key = key(stream, Lane::Bulk, holds.as_ref(), version, seq);
        Chunk { key, holds, ..chunk(stream, Lane::Bulk, 0, 0, &["1"]) }
    };
    let ordered = [
        holding(Some(i64::MIN), 12, 0),
        holding(Some(-20), 9, 0),
        holding(Some(-3), 9, 0),
        holding(Some(0), 9, 0),
        holding(Some(7), 2, 3),
        holding(Some(7), 2, 10),
        holding(Some(7), 10, 0),
        holding(Some(1_767_225_600_000), 1, 0),
        holding(None, 1, 0),
    ];
    let mut mixed = ordered.to_vec();
    mixed.reverse();
    mixed.swap(1, 5);
    good(port.put_chunks(&mixed).await);
    assert_eq!(head(port, stream, Lane::Bulk, 100).await, ordered, "a lane is sorted by what its chunks hold");
    for limit in [1, 4, 9] {
        let few: Vec<Chunk> = ordered.iter().take(limit).cloned().collect();
        assert_eq!(head(port, stream, Lane::Bulk, limit).await, few, "the first {limit} of it");
    }
    assert_eq!(head(port, stream, Lane::Fresh, 100).await, []);
    clear(port, stream).await;

    let token = |sequence| Position::Token { text: format!("t#{sequence} 🦆"), sequence };
    let told = |sequence| {
        let holds = Some(token(sequence));
        Chunk { key: key(stream, Lane::Fresh, holds.as_ref(), 3, 0), holds, ..chunk(stream, Lane::Fresh, 0, 0, &["1"]) }
    };
    let ordered = [told(0), told(9), told(10)];
    good(port.put_chunks(&[told(10), told(0), told(9)]).await);
    assert_eq!(head(port, stream, Lane::Fresh, 100).await, ordered, "tokens are sorted by their number");
    clear(port, stream).await;

    // More than one page of a read holds.
    let texts: Vec<String> = (0..50).map(longest_id).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let big: Vec<Chunk> = (0..45).map(|seq| chunk(stream, Lane::Bulk, 4, seq, &texts)).collect();
    good(port.put_chunks(&big).await);
    assert_eq!(head(port, stream, Lane::Bulk, 44).await.len(), 44, "a head may be as long as it is asked for");
    assert_eq!(head(port, stream, Lane::Bulk, 1_000).await, big, "fifty of the longest ids fit into a chunk");
    assert_eq!(good(port.owed(stream).await), Owed { fresh_count: 0, bulk_count: 45 * 50 });
    clear(port, stream).await;
}

async fn every_attribute_survives(port: &impl Ledger, stream: &StreamKey) {
    let event = |deleted, text: Option<&str>| Event { deleted, body: text.map(Body::new) };
    let events = BTreeMap::from([
        (id("a#b"), event(true, Some("{\"status\": \"DELETED\", \"exact\":1.10, \"ä\":\"🦆\"}"))),
        (id("🦆"), event(false, Some("[]"))),
        (id("-5"), event(true, None)),
        (id("7"), event(false, None)),
    ]);
    let plain = chunk(stream, Lane::Fresh, 8, 0, &["a#b", "🦆", "-5", "7"]);
    let variants = [
        Chunk { told: Told::Events(events), ..plain.clone() },
        Chunk { told: Told::Rows, next_at: at(810), ..plain.clone() },
        Chunk { listed_at: at(-9), ..plain.clone() },
        plain.clone(),
    ];
    for chunk in variants {
        put(port, &chunk).await;
        assert_eq!(stored(port, &plain.key).await, chunk, "a chunk that is put is the whole chunk");
        assert_eq!(head(port, stream, Lane::Fresh, 10).await, [chunk], "and is listed as it is read");
    }
    let longest = longest_id(1);
    let texts: Vec<&str> = AWKWARD.iter().copied().chain([longest.as_str()]).collect();
    let awkward = chunk(stream, Lane::Fresh, 8, 1, &texts);
    put(port, &awkward).await;
    assert_eq!(stored(port, &awkward.key).await, awkward, "ids are kept as the vendor wrote them");
    clear(port, stream).await;
}

async fn sending_is_noted(port: &impl Ledger, stream: &StreamKey) {
    let fresh = chunk(stream, Lane::Fresh, 9, 0, &["1", "2"]);
    put(port, &fresh).await;
    for next_at in [at(810), at(900), at(0)] {
        assert_eq!(good(port.mark_sent(&fresh.key, next_at).await), Written::Applied, "L2 notes the next sending");
        assert_eq!(stored(port, &fresh.key).await, Chunk { next_at, ..fresh.clone() }, "and nothing else");
    }
    clear(port, stream).await;
}

async fn finishing_only_shrinks(port: &impl Ledger, stream: &StreamKey) {
    let longest = longest_id(1);
    let texts: Vec<&str> = AWKWARD.iter().copied().chain([longest.as_str()]).collect();
    let fresh = chunk(stream, Lane::Fresh, 9, 1, &texts);
    put(port, &fresh).await;
    let gone = ids(&["a#b", "🦆", "-5", &longest, "not here"]);
    let left: BTreeSet<_> = fresh.ids.difference(&gone).cloned().collect();
    for _ in 0..2 {
        assert_eq!(good(port.finish(&fresh.key, &gone, &Next::SentAt(at(60))).await), Written::Applied);
        let expected = Chunk { ids: left.clone(), next_at: at(60), ..fresh.clone() };
        assert_eq!(stored(port, &fresh.key).await, expected, "L3 takes out what is finished, once and again");
    }
    let answer = port.finish(&fresh.key, &BTreeSet::new(), &Next::SentAt(at(70))).await;
    assert_eq!(good(answer), Written::Applied, "nothing finished is no error");
    assert_eq!(stored(port, &fresh.key).await, Chunk { ids: left.clone(), next_at: at(70), ..fresh.clone() });

    // A chunk with one id left, then deleted.
    let last = there(left.first().cloned(), "an id");
    let most = left.iter().filter(|id| **id != last).cloned().collect();
    assert_eq!(good(port.finish(&fresh.key, &most, &AT_ONCE).await), Written::Applied);
    assert_eq!(stored(port, &fresh.key).await.ids, BTreeSet::from([last]));
    good(port.delete_chunk(&fresh.key).await);
    good(port.delete_chunk(&fresh.key).await);
    assert_eq!(good(port.chunk(&fresh.key).await), None, "L4 deletes, once and again");
    let late = port.finish(&fresh.key, &most, &AT_ONCE).await;
    assert_eq!(good(late), Written::Refused, "a late L3 does not bring it back");
    assert_eq!(good(port.chunk(&fresh.key).await), None);
}

async fn finishing_at_once_loses_nothing(port: &impl Ledger, stream: &StreamKey) {
    let texts: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let fresh = chunk(stream, Lane::Fresh, 9, 2, &texts);
    put(port, &fresh).await;
    let finished: Vec<BTreeSet<RecordId>> = texts.iter().take(8).map(|text| ids(&[*text])).collect();
    for answer in join_all(finished.iter().map(|gone| port.finish(&fresh.key, gone, &AT_ONCE))).await {
        assert_eq!(good(answer), Written::Applied);
    }
    let left = stored(port, &fresh.key).await.ids;
    assert_eq!(left, ids(&["8", "9", "10", "11"]), "each of several at once takes out its own");
    clear(port, stream).await;
}

async fn trying_is_noted(port: &impl Ledger, stream: &StreamKey) {
    let fresh = chunk(stream, Lane::Fresh, 9, 3, &["1", "a#b", "🦆", "4"]);
    put(port, &fresh).await;
    let first = Trying { id: id("🦆"), times: 1 };
    let next = Next::Tried(first.clone());
    assert_eq!(good(port.finish(&fresh.key, &BTreeSet::new(), &next).await), Written::Applied);
    let expected = Chunk { trying: Some(first), ..fresh.clone() };
    assert_eq!(stored(port, &fresh.key).await, expected, "an id that is tried stays, and so does the rest");

    let second = Trying { id: id("a#b"), times: 2 };
    let next = Next::Tried(second.clone());
    for _ in 0..2 {
        assert_eq!(good(port.finish(&fresh.key, &ids(&["🦆", "9"]), &next).await), Written::Applied);
        let expected = Chunk { ids: ids(&["1", "a#b", "4"]), trying: Some(second.clone()), ..fresh.clone() };
        assert_eq!(stored(port, &fresh.key).await, expected, "what is finished leaves in the same write");
    }
    assert_eq!(good(port.finish(&fresh.key, &ids(&["a#b"]), &Next::SentAt(at(60))).await), Written::Applied);
    assert_eq!(stored(port, &fresh.key).await.ids, ids(&["1", "4"]));
    clear(port, stream).await;
}

async fn absent_chunks_are_refused(port: &impl Ledger, stream: &StreamKey) {
    let absent = key(stream, Lane::Bulk, None, 99, 0);
    assert_eq!(good(port.mark_sent(&absent, at(1)).await), Written::Refused);
    for next in [AT_ONCE, Next::Tried(Trying { id: id("1"), times: 1 })] {
        for gone in [BTreeSet::new(), ids(&["1"])] {
            assert_eq!(good(port.finish(&absent, &gone, &next).await), Written::Refused);
        }
    }
    good(port.delete_chunk(&absent).await);
    assert_eq!(good(port.chunk(&absent).await), None, "no write creates a chunk");
    assert_eq!(head(port, stream, Lane::Bulk, 10).await, []);
}
