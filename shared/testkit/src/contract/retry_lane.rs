//! Contract of the retry lane: L5, L6, L7 and its notes of sending.

use futures_util::future::join_all;
use tidemark_engine::ports::{Ledger, Owed, Written};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{StreamKey, StreamName};
use tidemark_engine::work::{Lane, Reason, RetryEntry};

use super::{AWKWARD, at, good, id, longest_id, position, there};

/// Holds an implementation to the retry lane of [`Ledger`]. The ledger of `stream` must be empty.
pub async fn retry_lane(port: &impl Ledger, stream: &StreamKey) {
    assert_eq!(good(port.retry_entries(stream).await), [], "the suite needs an empty retry lane");
    every_attribute_survives(port, stream).await;
    time_rises_and_holds_fall(port, stream).await;
    order_makes_no_difference(port, stream).await;
    what_held_nothing_can_hold(port, stream).await;
    retries_move_their_time(port, stream).await;
    a_later_look_resolves(port, stream).await;
    many_are_read(port, stream).await;
}

fn entry(stream: &StreamKey, text: &str) -> RetryEntry {
    RetryEntry {
        stream: stream.clone(),
        id: id(text),
        reason: Reason::Record,
        cause: "the detail is \"malformed\" 🦆".to_owned(),
        since: at(10),
        holds: Some(position(-500)),
        listed_at: at(10),
        attempts: 0,
        next_at: at(70),
    }
}

async fn stored(port: &impl Ledger, stream: &StreamKey, text: &str) -> RetryEntry {
    there(good(port.retry_entry(stream, &id(text)).await), "the entry")
}

async fn gone(port: &impl Ledger, stream: &StreamKey, text: &str) {
    assert_eq!(good(port.resolve(stream, &id(text), at(1_000_000)).await), Written::Applied);
    assert_eq!(good(port.retry_entry(stream, &id(text)).await), None);
}

async fn every_attribute_survives(port: &impl Ledger, stream: &StreamKey) {
    let longest = longest_id(0);
    let texts: Vec<&str> = AWKWARD.iter().copied().chain([longest.as_str()]).collect();
    for text in &texts {
        assert_eq!(good(port.retry_entry(stream, &id(text)).await), None);
        good(port.set_aside(&entry(stream, text)).await);
        assert_eq!(stored(port, stream, text).await, entry(stream, text), "an entry is kept as it was put: {text}");
    }
    let listed = good(port.retry_entries(stream).await);
    let mut all: Vec<RetryEntry> = texts.iter().map(|text| entry(stream, text)).collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(listed, all, "the lane is read whole, by id");

    let name = good(StreamName::parse("never_set_aside"));
    let other = StreamKey { name, ..stream.clone() };
    assert_eq!(good(port.retry_entries(&other).await), [], "a stream sees its own lane alone");
    for lane in [Lane::Fresh, Lane::Bulk] {
        assert_eq!(good(port.head(stream, lane, 10).await), [], "an entry is no chunk");
    }
    assert_eq!(good(port.owed(stream).await), Owed::default(), "nor counted as one");
    for text in &texts {
        gone(port, stream, text).await;
    }

    let token = Position::Token { text: "t#9 🦆".to_owned(), sequence: 9 };
    for reason in Reason::ALL {
        let full = RetryEntry { reason, attempts: 4, next_at: at(0), ..entry(stream, "full") };
        for holds in [None, Some(token.clone()), Some(Position::Token { text: String::new(), sequence: 0 })] {
            let full = RetryEntry { holds, ..full.clone() };
            good(port.set_aside(&full).await);
            assert_eq!(stored(port, stream, "full").await, full);
            gone(port, stream, "full").await;
        }
    }
}

async fn time_rises_and_holds_fall(port: &impl Ledger, stream: &StreamKey) {
    let first = entry(stream, "a#b");
    good(port.set_aside(&first).await);
    let again = |reason, listed: i64, holds: i64| RetryEntry {
        reason,
        cause: format!("failure of {listed}"),
        since: at(99),
        holds: Some(position(holds)),
        listed_at: at(listed),
        attempts: 7,
        next_at: at(9_999),
        ..first.clone()
    };

    // A newer failure that holds less: only time, reason and cause.
    let newer = again(Reason::Outage, 20, -400);
    good(port.set_aside(&newer).await);
    let raised = RetryEntry { holds: first.holds.clone(), attempts: 0, next_at: first.next_at, ..newer };
    assert_eq!(stored(port, stream, "a#b").await, raised, "L5: times, reason and cause rise to the newer failure");

    // An older failure that holds more: only what it holds.
    good(port.set_aside(&again(Reason::Crash, 15, -900)).await);
    let fallen = RetryEntry { holds: Some(position(-900)), ..raised };
    assert_eq!(stored(port, stream, "a#b").await, fallen, "L6: what it holds falls, whatever the time");

    // Neither newer nor lower.
    good(port.set_aside(&again(Reason::Crash, 20, -900)).await);
    good(port.set_aside(&again(Reason::Crash, 19, -899)).await);
    let nothing = RetryEntry { holds: None, ..again(Reason::Crash, 20, 0) };
    good(port.set_aside(&nothing).await);
    assert_eq!(stored(port, stream, "a#b").await, fallen, "what is neither newer nor lower changes nothing");

    // Both.
    let both = again(Reason::Unstorable, 30, -1_000);
    good(port.set_aside(&both).await);
    let expected = RetryEntry { attempts: 0, next_at: first.next_at, ..both.clone() };
    assert_eq!(stored(port, stream, "a#b").await, expected);
    for late in [&first, &both] {
        good(port.set_aside(late).await);
        assert_eq!(stored(port, stream, "a#b").await, expected, "a late repeat changes nothing");
    }
    gone(port, stream, "a#b").await;
}

async fn order_makes_no_difference(port: &impl Ledger, stream: &StreamKey) {
    let failures: Vec<RetryEntry> = [(10, -500), (40, -300), (20, -900), (30, -100)]
        .into_iter()
        .map(|(listed, holds)| RetryEntry {
            listed_at: at(listed),
            holds: Some(position(holds)),
            cause: format!("failure of {listed}"),
            ..entry(stream, "both")
        })
        .collect();
    for answer in join_all(failures.iter().map(|failure| port.set_aside(failure))).await {
        good(answer);
    }
    let end = stored(port, stream, "both").await;
    assert_eq!((end.listed_at, end.cause.as_str()), (at(40), "failure of 40"), "of several at once the newest counts");
    assert_eq!(end.holds, Some(position(-900)), "and the lowest");
    gone(port, stream, "both").await;
}

async fn what_held_nothing_can_hold(port: &impl Ledger, stream: &StreamKey) {
    let free = RetryEntry { holds: None, ..entry(stream, "free") };
    good(port.set_aside(&free).await);
    good(port.set_aside(&RetryEntry { holds: Some(position(3)), ..free.clone() }).await);
    let held = stored(port, stream, "free").await;
    assert_eq!(held, RetryEntry { holds: Some(position(3)), ..free.clone() }, "anything is lower than nothing");
    good(port.set_aside(&RetryEntry { listed_at: at(50), ..free }).await);
    let held = stored(port, stream, "free").await;
    assert_eq!((held.listed_at, held.holds), (at(50), Some(position(3))), "and nothing is never lower");
    gone(port, stream, "free").await;
}

async fn retries_move_their_time(port: &impl Ledger, stream: &StreamKey) {
    good(port.set_aside(&entry(stream, "🦆")).await);
    assert_eq!(good(port.reschedule(stream, &id("🦆"), 1, at(3_600)).await), Written::Applied);
    let moved = RetryEntry { attempts: 1, next_at: at(3_600), ..entry(stream, "🦆") };
    assert_eq!(stored(port, stream, "🦆").await, moved, "a retry moves its time and nothing else");
    assert_eq!(good(port.reschedule(stream, &id("🦆"), 1, at(0)).await), Written::Applied, "also back");
    assert_eq!(good(port.reschedule(stream, &id("missing"), 1, at(3_600)).await), Written::Refused);
    assert_eq!(good(port.retry_entry(stream, &id("missing")).await), None, "a retry creates no entry");
    gone(port, stream, "🦆").await;
}

async fn a_later_look_resolves(port: &impl Ledger, stream: &StreamKey) {
    let text = "-5";
    let this = id(text);
    good(port.set_aside(&entry(stream, text)).await);
    good(port.set_aside(&entry(stream, "5")).await);
    for early in [at(9), at(10)] {
        assert_eq!(good(port.resolve(stream, &this, early).await), Written::Refused, "L7 needs a later look");
    }
    good(port.set_aside(&RetryEntry { listed_at: at(20), ..entry(stream, text) }).await);
    assert_eq!(good(port.resolve(stream, &this, at(15)).await), Written::Refused, "later than the newest failure");
    assert_eq!(stored(port, stream, text).await.listed_at, at(20), "a refused write changes nothing");
    assert_eq!(good(port.resolve(stream, &this, at(21)).await), Written::Applied, "L7 takes it out");
    assert_eq!(good(port.resolve(stream, &this, at(21)).await), Written::Refused, "once");
    assert_eq!(good(port.reschedule(stream, &this, 2, at(99)).await), Written::Refused, "and no retry revives it");
    let left: Vec<RetryEntry> = good(port.retry_entries(stream).await);
    assert_eq!(left, [entry(stream, "5")], "and no other");

    good(port.set_aside(&entry(stream, text)).await);
    assert_eq!(stored(port, stream, text).await, entry(stream, text), "what fails again comes in again");
    gone(port, stream, text).await;
    gone(port, stream, "5").await;
}

async fn many_are_read(port: &impl Ledger, stream: &StreamKey) {
    // More than one page of a read holds.
    let cause = "x".repeat(8_000);
    for number in 0..150 {
        let text = format!("many-{number}");
        good(port.set_aside(&RetryEntry { cause: cause.clone(), ..entry(stream, &text) }).await);
    }
    let read = good(port.retry_entries(stream).await);
    assert_eq!(read.len(), 150, "all of the lane is read");
    assert!(read.is_sorted_by(|one, other| one.id < other.id), "by id");
    for number in 0..150 {
        gone(port, stream, &format!("many-{number}")).await;
    }
}
