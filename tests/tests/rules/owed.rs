//! Sections 5.4 to 5.7: chunks, what is sent when, windows, shares, patience.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidemark_engine::change::Change;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::message::{Message, Work};
use tidemark_engine::poll::Draft;
use tidemark_engine::ports::Ledger;
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamName};
use tidemark_engine::work::{ChunkKey, Lane, Next};
use tidemark_testkit::memory::{Fault, Operation, Redelivery, Tables, VendorSettings};
use tidemark_tests::stage::{Stage, id, ids};

/// How long a chunk that was sent is waited for.
const PATIENCE: u64 = 2 * 720;

fn at_one_a_second(count: usize) -> Stage {
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(count));
    stage.wait(30 * 3_600);
    stage
}

/// How many ids of a lane are in the queue; without a lane, of the retry lane.
fn sent(stage: &Stage, lane: Option<Lane>) -> usize {
    let lane_of = |message: &Message| match message.work() {
        Some(Work::Chunk(key)) => Some(key.lane),
        Some(Work::Retry) | None => None,
    };
    let of_lane = |message: &&Arc<Message>| lane_of(message) == lane;
    stage.messages().iter().filter(of_lane).map(|message| message.ids.len()).sum()
}

#[tokio::test]
async fn chunks_are_put_before_scanned_moves() {
    let stage = Stage::new(ListShape::Whole).known().await;
    let before = stage.checkpoint().scanned;
    stage.edit(ids(120));
    stage.wait(300);
    stage.world.tables.faults().push(Operation::PutChunks, Fault::Partly(1));
    stage.try_tick().await.unwrap_err();
    assert_eq!((stage.checkpoint().scanned, stage.chunks(Lane::Fresh).len()), (before, 1));
    // What was put is owed all the same; the rest is listed again.
    stage.wait(300);
    stage.settle().await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn two_pollers_never_write_the_same_chunk() {
    // GIVEN a poller that froze before its chunk was put, and another that listed a later edit from the same position
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    let hold = stage.world.tables.faults().hold_before(Operation::PutChunks);
    let meanwhile = async {
        hold.reached().await;
        stage.wait(1);
        stage.edit(["b"]);
        stage.wait(299);
        stage.tick().await;
        hold.release();
    };
    tokio::join!(stage.tick(), meanwhile);
    assert_eq!(stage.chunks(Lane::Fresh).len(), 2);
    // THEN its chunk does not replace the other's
    stage.play(3).await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_sent_and_got_lost_is_sent_again_when_its_patience_is_over() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape).known().await;
        stage.edit(ids(150));
        for fate in [Redelivery::Once, Redelivery::Lost, Redelivery::Once] {
            stage.world.queue.fate(fate);
        }
        stage.tick().await;
        stage.drain().await;
        assert_eq!(stage.differences().len(), 50, "{shape:?}");
        stage.wait(600);
        stage.tick().await;
        stage.drain().await;
        stage.wait(PATIENCE - 600 + 1);
        // Rows were in the lost message alone: their ids are fetched.
        assert_eq!(stage.tick().await.sent_count, 1, "{shape:?}");
        stage.drain().await;
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
    }
}

#[tokio::test]
async fn what_the_queue_did_not_take_is_owed_until_it_is_done() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape);
        stage.edit(ids(150));
        stage.world.queue.faults().push_times(Operation::Send, &Fault::Partly(0), 3);
        assert_eq!((stage.tick().await.sent_count, stage.owed_count(Lane::Fresh)), (0, 150));
        stage.wait(PATIENCE + 1);
        stage.tick().await;
        stage.settle().await;
        assert_eq!(stage.differences(), Vec::<String>::new(), "{shape:?}");
    }
}

#[tokio::test]
async fn a_chunk_that_is_finished_while_it_is_sent_again_stays_gone() {
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a"]);
    stage.tick().await;
    let chunk = stage.chunks(Lane::Fresh).remove(0);
    stage.wait(PATIENCE + 1);
    let hold = stage.world.tables.faults().hold_before(Operation::MarkSent);
    let meanwhile = async {
        hold.reached().await;
        stage.drain().await;
        hold.release();
    };
    tokio::join!(stage.tick(), meanwhile);
    assert!(stage.chunks(Lane::Fresh).iter().all(|it| it.key != chunk.key));
    stage.drain().await;
    assert_eq!(stage.settle().await.outcome, tidemark_engine::poll::PollOutcome::Quiet);
}

#[tokio::test]
async fn a_chunk_that_two_fetchers_emptied_together_holds_nothing_for_ever() {
    // GIVEN two deliveries, each of which finished a part
    let stage = Stage::new(ListShape::Whole).known().await;
    stage.edit(["a", "b"]);
    stage.tick().await;
    let key = stage.chunks(Lane::Fresh).remove(0).key;
    for text in ["a", "b"] {
        let next = Next::SentAt(stage.now());
        stage.world.tables.finish(&key, &BTreeSet::from([id(text)]), &next).await.unwrap();
    }
    stage.world.queue.purge();
    // THEN the chunk goes, and the commit follows
    stage.play(10).await;
    assert!(stage.chunks(Lane::Fresh).iter().all(|chunk| chunk.key != key));
    assert!(stage.checkpoint().committed.order() > key.holds_order);
}

#[tokio::test]
async fn bulk_work_in_flight_is_at_most_an_intervals_calls() {
    let stage = at_one_a_second(2_000);
    stage.tick().await;
    assert_eq!((sent(&stage, Some(Lane::Fresh)), sent(&stage, Some(Lane::Bulk))), (150, 150));
    for _ in 0..20 {
        stage.play(1).await;
        assert!(sent(&stage, Some(Lane::Bulk)) <= 300);
    }
    stage.settle().await;
    assert_eq!(stage.differences().len(), 0);
}

#[tokio::test]
async fn of_two_streams_that_begin_an_import_at_once_one_leaves_room_for_the_other() {
    let stage = at_one_a_second(2_000);
    stage.settings.borrow_mut().chunk_ids = 10;
    let source = stage.stream().source;
    // GIVEN another stream that notes its bulk work while this one's tick is under way
    let hold = stage.world.tables.faults().hold_before(Operation::PutChunks);
    let noting = async {
        hold.reached().await;
        let now = stage.now();
        let note = |tables: &mut Tables| {
            tables.sources.entry(source).or_default().state.bulk.insert(StreamName::known("other"), now)
        };
        stage.tables(note);
        hold.release();
    };
    tokio::join!(stage.tick(), noting);
    // THEN this one takes half of the interval's calls, its fresh work included: one chunk goes always
    assert_eq!((sent(&stage, Some(Lane::Fresh)), sent(&stage, Some(Lane::Bulk))), (150, 10));
}

#[tokio::test]
async fn bulk_work_that_is_sent_again_is_in_flight() {
    // GIVEN an import of rows whose fetchers are dead
    let stage = Stage::with(VendorSettings { page_rows: 5, ..VendorSettings::new(ListShape::Pages) });
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    stage.edit(ids(2_000));
    stage.wait(30 * 3_600);
    stage.tick().await;
    let first = stage.owed_count(Lane::Bulk);
    for _ in 0..12 {
        stage.tick().await;
        stage.wait(300);
        assert_eq!(stage.owed_count(Lane::Bulk), first);
    }
}

#[tokio::test]
async fn bulk_work_leaves_room_for_what_is_fresh() {
    let stage = at_one_a_second(2_000);
    stage.tick().await;
    // Nothing was fetched yet: of the next interval's calls 150 are the fresh chunks'.
    stage.world.queue.purge();
    let now = stage.now();
    stage.tables(|tables| {
        tables.chunks.values_mut().filter(|it| it.key.lane == Lane::Bulk).for_each(|it| it.next_at = now);
    });
    stage.tick().await;
    assert_eq!(sent(&stage, Some(Lane::Bulk)), 150);
}

#[tokio::test]
async fn streams_with_bulk_work_share_the_rate_for_it() {
    let stage = at_one_a_second(2_000);
    let now = stage.now();
    let source = stage.stream().source;
    stage.tables(|tables| {
        let bulk = &mut tables.sources.entry(source).or_default().state.bulk;
        bulk.insert(StreamName::known("others"), now.minus(Duration::from_mins(9)));
        bulk.insert(StreamName::known("done"), now.minus(Duration::from_mins(11)));
    });
    stage.tick().await;
    // Its fresh chunks take all of its half; one chunk goes always.
    assert_eq!((sent(&stage, Some(Lane::Fresh)), sent(&stage, Some(Lane::Bulk))), (150, 50));
}

#[tokio::test]
async fn fresh_work_is_sent_up_to_the_calls_of_a_visibility_timeout_at_the_vendors_pace() {
    let stage = at_one_a_second(1);
    stage.settings.borrow_mut().poll_interval = Duration::from_hours(1);
    stage.edit(ids(1_000));
    stage.tick().await;
    // 720 calls, in whole chunks; invisible until the rate has room for them, so that no fetcher waits for its slot.
    assert_eq!(sent(&stage, Some(Lane::Fresh)), 750);
    let now = stage.now();
    let visible: Vec<i64> =
        stage.world.queue.queued().iter().map(|it| it.visible_at.millis_since(now) / 1_000).collect();
    assert_eq!(visible, (0..15).map(|n| n * 50).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_a_full_retry_lane_a_tenth_of_the_window_is_tried_the_longest_due_first() {
    let stage = at_one_a_second(0);
    let all = ids(200);
    stage.edit(&all);
    let heals_at = stage.now().plus(Duration::from_hours(1_000));
    stage.vendor(|vendor| all.iter().for_each(|text| vendor.poison(&id(text), heals_at)));
    stage.play(2).await;
    assert_eq!(stage.retries().len(), 200);
    stage.world.queue.purge();
    stage.wait(86_400);
    stage.tick().await;
    assert_eq!(sent(&stage, None), 72);
    let (tried, waiting): (Vec<_>, Vec<_>) = stage.retries().into_iter().partition(|it| it.next_at > stage.now());
    let newest_tried = tried.iter().map(|entry| entry.attempts).max();
    assert!(tried.len() == 72 && newest_tried >= Some(1) && waiting.len() == 128);
}

#[tokio::test]
async fn each_lane_may_always_send_one() {
    // GIVEN a rate of one call in a quarter of an hour
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_mins(15);
    stage.edit(ids(60));
    stage.wait(30 * 3_600);
    stage.tick().await;
    stage.wait(PATIENCE + 1);
    stage.world.queue.purge();
    stage.tick().await;
    assert_eq!((sent(&stage, Some(Lane::Fresh)), sent(&stage, Some(Lane::Bulk))), (50, 10));
    // Rows, too.
    let stage = Stage::new(ListShape::Pages);
    stage.settings.borrow_mut().call_interval = Duration::from_mins(15);
    stage.edit(ids(60));
    stage.wait(30 * 3_600);
    stage.play(4).await;
    assert_eq!(stage.differences(), Vec::<String>::new());
}

// That rows and events close a chunk by their bytes is tested in `faults/holes/reading.rs`.
#[test]
fn a_chunk_closes_at_fifty_ids() {
    let mut changes = ids(120).into_iter().map(|text| Change::of(id(&text))).peekable();
    let sizes = [(); 4].map(|()| Draft::take(&mut changes, 50).ids.len());
    assert_eq!(sizes, [50, 50, 20, 0]);
}

#[test]
fn a_lane_is_sorted_by_what_its_chunks_hold() {
    let stream = Stage::new(ListShape::Whole).stream();
    let key = |holds: Option<i64>, version, seq| {
        let holds = holds.map(|at| Position::At(StampMillis::new(at)));
        ChunkKey::new(stream.clone(), Lane::Bulk, holds.as_ref(), version, seq)
    };
    let keys = [key(Some(-5), 9, 0), key(Some(7), 2, 3), key(Some(7), 2, 10), key(Some(7), 10, 0), key(None, 1, 0)];
    let texts: Vec<String> = keys.iter().map(ChunkKey::sort_key).collect();
    assert!(texts.is_sorted(), "{texts:?}");
    for (key, text) in keys.iter().zip(&texts) {
        assert_eq!(ChunkKey::parse(stream.clone(), text).as_ref(), Some(key));
    }
}

#[test]
fn what_is_no_key_of_a_chunk_is_not_read_as_one() {
    let stream = Stage::new(ListShape::Whole).stream();
    for text in ["", "retry#5", "fresh#1#2", "fresh#1#2#3", "fresh#x#y#z"] {
        assert_eq!(ChunkKey::parse(stream.clone(), text), None, "{text}");
    }
}
