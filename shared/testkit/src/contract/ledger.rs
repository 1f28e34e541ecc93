//! Contract of the ledger's chunks: E3, E6, E7, and the notes that go with them.

use std::collections::{BTreeMap, BTreeSet};

use tidemark_engine::chunk::{Chunk, ChunkKey, Finish};
use tidemark_engine::ports::{Ledger, Written};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::StreamKey;

use super::{AWKWARD, at, good, id, position, there};

/// Holds an implementation to the chunks of [`Ledger`]. The ledger of `stream` must be empty.
pub async fn ledger(port: &impl Ledger, stream: &StreamKey) {
    chunks_are_put_and_read(port, stream).await;
    sending_is_noted(port, stream).await;
    finishing_only_shrinks(port, stream).await;
    finishing_commutes(port, stream).await;
    poison_moves_one_id(port, stream).await;
    absent_chunks_are_refused(port, stream).await;
}

fn key(stream: &StreamKey, run: &str, seq: u32, epoch: i64) -> ChunkKey {
    ChunkKey { stream: stream.clone(), run: run.to_owned(), seq, epoch }
}

fn ids(texts: &[&str]) -> BTreeSet<RecordId> {
    texts.iter().map(|text| id(text)).collect()
}

fn chunk(key: ChunkKey, pending: &[&str]) -> Chunk {
    Chunk::new(key, at(5), at(1), position(-500), ids(pending))
}

async fn put(port: &impl Ledger, chunk: &Chunk) {
    good(port.put_chunks(std::slice::from_ref(chunk)).await);
}

async fn stored(port: &impl Ledger, key: &ChunkKey) -> Chunk {
    there(good(port.chunk(key).await), "the chunk")
}

async fn chunks_are_put_and_read(port: &impl Ledger, stream: &StreamKey) {
    assert_eq!(good(port.chunks(stream, "r1", 0, 100).await), [], "the suite needs a stream without chunks");
    good(port.put_chunks(&[]).await);

    // More than one batch of writes takes, and two epochs for one number.
    let mut all: Vec<Chunk> = (0..60).map(|seq| chunk(key(stream, "r1", seq, 5), &AWKWARD)).collect();
    all.push(chunk(key(stream, "r1", 7, 6), &["x"]));
    all.push(Chunk { has_rows: true, ..chunk(key(stream, "r2", 0, 5), &["y"]) });
    good(port.put_chunks(&all).await);
    good(port.put_chunks(&all).await);

    let read = good(port.chunks(stream, "r1", 0, 1_000).await);
    assert_eq!(read.len(), 61, "every epoch's chunks of the run are read, and no other run's");
    assert!(read.iter().map(|chunk| chunk.key.seq).is_sorted(), "chunks come by number");
    assert!(all.iter().take(61).all(|chunk| read.contains(chunk)), "every attribute of a chunk survives");
    let few: Vec<u32> = good(port.chunks(stream, "r1", 7, 9).await).iter().map(|chunk| chunk.key.seq).collect();
    assert_eq!(few, [7, 7, 8], "the first is included, the end is not");
    assert_eq!(good(port.chunks(stream, "r1", 9, 9).await), []);
    assert_eq!(good(port.chunk(&key(stream, "r1", 7, 6)).await).map(|chunk| chunk.pending), Some(ids(&["x"])));
    assert_eq!(good(port.chunk(&key(stream, "r1", 8, 6)).await), None, "another epoch's chunk is another chunk");
    assert!(stored(port, &key(stream, "r2", 0, 5)).await.has_rows);

    let longest = "x".repeat(tidemark_engine::record::ID_BYTES_MAX);
    let texts: Vec<String> = (0..50).map(|n| longest.replacen("xx", &format!("{n:02}"), 1)).collect();
    let big = chunk(key(stream, "r3", 0, 5), &texts.iter().map(String::as_str).collect::<Vec<_>>());
    put(port, &big).await;
    assert_eq!(stored(port, &big.key).await, big, "fifty of the longest ids fit");
}

async fn sending_is_noted(port: &impl Ledger, stream: &StreamKey) {
    let parked = Chunk { parked: true, ..chunk(key(stream, "sent", 0, 5), &["1", "2"]) };
    put(port, &parked).await;
    assert_eq!(good(port.mark_sent(&parked.key, at(7)).await), Written::Applied);
    let expected = Chunk { sent_at: Some(at(7)), send_count: 1, parked: false, ..parked.clone() };
    assert_eq!(stored(port, &parked.key).await, expected, "a chunk that was sent is no longer parked");
    assert_eq!(good(port.mark_sent(&parked.key, at(9)).await), Written::Applied);
    let again = stored(port, &parked.key).await;
    assert_eq!((again.sent_at, again.send_count), (Some(at(9)), 2));

    assert_eq!(good(port.mark_trying(&parked.key, &id("2"), 2).await), Written::Applied);
    assert_eq!(good(port.mark_trying(&parked.key, &id("2"), 3).await), Written::Applied);
    let tried = stored(port, &parked.key).await;
    assert_eq!((tried.trying, tried.receives), (Some(id("2")), 3));
    assert_eq!(tried.pending, ids(&["1", "2"]));
}

async fn finishing_only_shrinks(port: &impl Ledger, stream: &StreamKey) {
    let fresh = chunk(key(stream, "done", 0, 5), &AWKWARD);
    put(port, &fresh).await;
    let finish = Finish { done: ids(&["a#b", "🦆", "not here"]), stamp: Some(at(3)), ..Finish::default() };
    for _ in 0..2 {
        assert_eq!(good(port.finish(&fresh.key, &finish).await), Written::Applied);
        let left = stored(port, &fresh.key).await;
        assert_eq!(left.pending.len(), AWKWARD.len() - 2, "E6 takes out what is done, once and again");
        assert!(!left.pending.contains(&id("🦆")) && left.pending.contains(&id("07")));
        assert_eq!(left.stamps, BTreeSet::from([at(3)]), "E6 adds the stamp, once and again");
        assert!(!left.parked && left.withheld_count == 0 && left.poisoned.is_empty());
    }
    let nothing = Finish::default();
    let before = stored(port, &fresh.key).await;
    assert_eq!(good(port.finish(&fresh.key, &nothing).await), Written::Applied, "nothing done is no error");
    assert_eq!(stored(port, &fresh.key).await, before);

    let rest = Finish { done: ids(&AWKWARD), stamp: Some(at(-4)), ..Finish::default() };
    assert_eq!(good(port.finish(&fresh.key, &rest).await), Written::Applied);
    let done = stored(port, &fresh.key).await;
    assert!(done.is_done() && done.stamps == BTreeSet::from([at(-4), at(3)]));
    assert_eq!(good(port.finish(&fresh.key, &rest).await), Written::Applied, "a chunk that is done stays there");
    assert!(stored(port, &fresh.key).await.is_done());
}

async fn finishing_commutes(port: &impl Ledger, stream: &StreamKey) {
    let one = Finish { done: ids(&["1", "2"]), stamp: Some(at(1)), parked: true, withheld_count: 6 };
    let other = Finish { done: ids(&["2", "3"]), stamp: Some(at(2)), withheld_count: 4, ..Finish::default() };
    let fresh = |seq| chunk(key(stream, "order", seq, 5), &["1", "2", "3", "4"]);
    let mut ends = Vec::new();
    for (seq, order) in [(0, [&one, &other, &other]), (1, [&other, &one, &one]), (2, [&one, &other, &one])] {
        let chunk = fresh(seq);
        put(port, &chunk).await;
        for finish in order {
            assert_eq!(good(port.finish(&chunk.key, finish).await), Written::Applied);
        }
        let end = stored(port, &chunk.key).await;
        ends.push((end.pending, end.stamps, end.parked, end.withheld_count));
    }
    let expected = (ids(&["4"]), BTreeSet::from([at(1), at(2)]), true, 6);
    assert!(ends.iter().all(|end| *end == expected), "E6 is idempotent and commutative, got {ends:?}");
}

async fn poison_moves_one_id(port: &impl Ledger, stream: &StreamKey) {
    let fresh = chunk(key(stream, "poison", 0, 5), &["1", "a#b", "3"]);
    put(port, &fresh).await;
    let reason = "the body is \"malformed\"";
    assert_eq!(good(port.poison(&fresh.key, &id("a#b"), reason).await), Written::Applied, "E7 moves a pending id");
    assert_eq!(good(port.poison(&fresh.key, &id("a#b"), "again").await), Written::Refused, "E7 moves it once");
    assert_eq!(good(port.poison(&fresh.key, &id("9"), reason).await), Written::Refused, "E7 is about pending ids");
    let moved = stored(port, &fresh.key).await;
    assert_eq!(moved.pending, ids(&["1", "3"]));
    assert_eq!(moved.poisoned, BTreeMap::from([(id("a#b"), reason.to_owned())]), "the first reason is kept");

    assert_eq!(good(port.poison(&fresh.key, &id("1"), "other").await), Written::Applied);
    assert_eq!(good(port.poison(&fresh.key, &id("3"), "other").await), Written::Applied);
    let whole = stored(port, &fresh.key).await;
    assert!(whole.is_done() && whole.poisoned.len() == 3, "a chunk with nothing but poison is done");

    let healed = Finish { done: ids(&["a#b", "1", "3"]), ..Finish::default() };
    assert_eq!(good(port.finish(&fresh.key, &healed).await), Written::Applied);
    assert!(stored(port, &fresh.key).await.poisoned.is_empty(), "E6 takes ids out of the poisoned, too");
    assert_eq!(good(port.poison(&fresh.key, &id("1"), "late").await), Written::Refused, "what is done is not poisoned");
}

async fn absent_chunks_are_refused(port: &impl Ledger, stream: &StreamKey) {
    let absent = key(stream, "absent", 0, 5);
    let finish = Finish { done: ids(&["1"]), stamp: Some(at(1)), parked: true, withheld_count: 0 };
    assert_eq!(good(port.finish(&absent, &finish).await), Written::Refused);
    assert_eq!(good(port.mark_sent(&absent, at(1)).await), Written::Refused);
    assert_eq!(good(port.poison(&absent, &id("1"), "x").await), Written::Refused);
    assert_eq!(good(port.mark_trying(&absent, &id("1"), 2).await), Written::Refused);
    assert_eq!(good(port.chunk(&absent).await), None, "no write creates a chunk");
}
