//! Contract of what the functions of a source share: pause, bulk work, and the schedule of calls.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::health::{Breaker, Why};
use tidemark_engine::ports::{Ledger, Written};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

use super::{at, good, seconds};

/// Holds an implementation to the shared state of [`Ledger`]. Nobody else may use the source meanwhile; what an earlier
/// run of this suite left is tidied away first.
pub async fn source_state(port: &impl Ledger, stream: &StreamKey) {
    let source = stream.source;
    good(port.resume_source(source).await);
    pauses(port, source).await;

    let other = StreamKey { name: good(StreamName::parse("other_of_source")), ..stream.clone() };
    for noted in [at(50), at(70)] {
        good(port.note_bulk(stream, noted).await);
        good(port.note_bulk(&other, at(60)).await);
        let expected = BTreeMap::from([(stream.name.clone(), noted), (other.name.clone(), at(60))]);
        assert_eq!(good(port.source_state(source).await).bulk, expected, "each stream's bulk work is noted by itself");
    }
    reservations(port, source, 0).await;
    let state = good(port.source_state(source).await);
    assert_eq!(state.bulk.len(), 2, "a reservation leaves the rest alone");
    assert_eq!(state.breaker, Breaker::default());
}

async fn pauses(port: &impl Ledger, source: SourceKind) {
    let breaker = async || good(port.source_state(source).await).breaker;
    let why = |class| Why { class, cause: "429 \"slow down\" 🦆".to_owned() };
    assert_eq!(breaker().await, Breaker::default());
    let throttled = why(FailureClass::Throttled { retry_after: None });
    assert_eq!(good(port.pause_source(source, at(60), seconds(60), &throttled).await), Written::Applied);
    let open = breaker().await;
    assert_eq!(
        (open.open_until, open.open_for, open.why.as_ref()),
        (Some(at(60)), Some(seconds(60)), Some(&throttled))
    );

    let rejected = why(FailureClass::Unauthorized);
    assert_eq!(good(port.pause_source(source, at(30), seconds(30), &rejected).await), Written::Refused);
    assert_eq!(breaker().await, open, "a source that is paused for longer stays so");
    assert_eq!(good(port.pause_source(source, at(180), seconds(120), &rejected).await), Written::Applied);
    let longer = breaker().await;
    assert_eq!((longer.open_until, longer.open_for), (Some(at(180)), Some(seconds(120))));
    assert_eq!(longer.why, Some(rejected));
    for _ in 0..2 {
        good(port.resume_source(source).await);
        assert_eq!(breaker().await, Breaker::default(), "its end forgets it all");
    }
}

/// Holds an implementation to [`Ledger::reserve`]. `offset` is how many seconds after the suite's start the schedule of
/// `source` is known to be free.
pub async fn reservations(port: &impl Ledger, source: SourceKind, offset: i64) {
    let now = at(offset.saturating_add(100_000));
    let late = now.plus(seconds(3_600));
    let reserve = async |calls, interval, earliest: LocalMillis, latest| {
        good(port.reserve(source, calls, interval, earliest, latest).await)
    };
    let taken = join_all((0..8).map(|_| port.reserve(source, 3, seconds(2), now, late))).await;
    let mut starts: Vec<i64> = taken.into_iter().filter_map(good).map(|start| start.millis_since(now)).collect();
    starts.sort_unstable();
    assert_eq!(starts.len(), 8, "there was room for all of them");
    assert_eq!(starts.first(), Some(&0), "a free schedule begins at once");
    let apart = starts.iter().zip(starts.iter().skip(1)).all(|(one, next)| next - one >= 6_000);
    assert!(apart, "reservations never overlap, got {starts:?}");

    let free_at = now.plus(seconds(8 * 6));
    assert_eq!(reserve(1, seconds(2), now, free_at.shifted(-1)).await, None, "too late is refused");
    assert_eq!(reserve(1, seconds(2), now, free_at).await, Some(free_at), "what is refused reserves nothing");

    let much_later = now.plus(seconds(1_000));
    let much_too_late = much_later.shifted(-1);
    assert_eq!(reserve(1, seconds(2), much_later, much_too_late).await, None, "nor does what cannot be");
    assert_eq!(reserve(1, seconds(2), much_later, much_later).await, Some(much_later), "none is before its earliest");
    assert_eq!(reserve(1, seconds(2), now, late).await, Some(much_later.plus(seconds(2))), "idle time is not saved up");

    // The schedule has whole milliseconds.
    let idle = now.plus(seconds(2_000));
    let third = Duration::from_micros(333_333);
    for expected in [0, 334, 668] {
        assert_eq!(reserve(1, third, idle, late).await, Some(idle.shifted(expected)), "no two calls share one");
    }
}
