//! Contract of what the functions of a source share: breaker, pauses, gap of stamps, and the schedule of calls.

use std::time::Duration;

use futures_util::future::join_all;
use tidemark_engine::breaker::{Breaker, Pause, StampGap};
use tidemark_engine::ports::{Ledger, Written};
use tidemark_engine::stream::{SourceKind, StreamKey};

use super::{at, good, seconds};

/// Holds an implementation to the shared state of [`Ledger`]. Nobody else may use the source meanwhile; what an earlier
/// run of this suite left is tidied away first.
pub async fn source_state(port: &impl Ledger, stream: &StreamKey) {
    let source = stream.source;
    good(port.close_breaker(source).await);
    good(port.resume_stream(stream).await);
    breaker(port, source).await;
    pauses(port, stream).await;

    for millis in [-3_600_000, 18_000_000] {
        let gap = StampGap { millis, seen_at: at(50) };
        good(port.note_stamp_gap(source, gap).await);
        assert_eq!(good(port.source_state(source).await).stamp_gap, Some(gap), "a gap replaces the one before");
    }
    reservations(port, source, 0).await;
    let state = good(port.source_state(source).await);
    assert_eq!(state.stamp_gap.map(|gap| gap.millis), Some(18_000_000), "a reservation leaves the rest alone");
}

async fn breaker(port: &impl Ledger, source: SourceKind) {
    assert_eq!(good(port.source_state(source).await).breaker, Breaker::default());
    assert_eq!(good(port.add_failures(source, 1).await), 1);
    assert_eq!(good(port.add_failures(source, 3).await), 4, "failures in a row add up");
    assert_eq!(good(port.source_state(source).await).breaker.failure_count, 4);

    assert_eq!(good(port.open_breaker(source, at(60), seconds(60), "5xx").await), Written::Applied);
    let open = good(port.source_state(source).await).breaker;
    assert_eq!(open.open_until, Some(at(60)));
    assert_eq!((open.open_for, open.why.as_deref()), (Some(seconds(60)), Some("5xx")));

    assert_eq!(good(port.open_breaker(source, at(30), seconds(30), "429").await), Written::Refused);
    assert_eq!(good(port.source_state(source).await).breaker, open, "a breaker that is open for longer stays so");
    assert_eq!(good(port.open_breaker(source, at(180), seconds(120), "429").await), Written::Applied);
    let longer = good(port.source_state(source).await).breaker;
    assert_eq!((longer.open_until, longer.open_for), (Some(at(180)), Some(seconds(120))));

    for _ in 0..2 {
        good(port.close_breaker(source).await);
        assert_eq!(good(port.source_state(source).await).breaker, Breaker::default(), "closing forgets it all");
    }
    assert_eq!(good(port.add_failures(source, 1).await), 1, "failures are counted anew");
    good(port.close_breaker(source).await);
}

async fn pauses(port: &impl Ledger, stream: &StreamKey) {
    let paused = async || good(port.source_state(stream.source).await).pauses.remove(&stream.name);
    assert_eq!(paused().await, None);
    let first = Pause { until: at(900), why: "403: not allowed".to_owned() };
    let second = Pause { until: at(1_800), why: "403: still not allowed".to_owned() };
    for pause in [&first, &second] {
        good(port.pause_stream(stream, pause).await);
        assert_eq!(paused().await.as_ref(), Some(pause), "a pause replaces the one before");
    }
    assert_eq!(good(port.source_state(stream.source).await).breaker, Breaker::default(), "a pause is not the source's");
    for _ in 0..2 {
        good(port.resume_stream(stream).await);
        assert_eq!(paused().await, None);
    }
}

/// Holds an implementation to [`Ledger::reserve`]. `offset` is how many seconds after the suite's start the schedule of
/// `source` is known to be free.
pub async fn reservations(port: &impl Ledger, source: SourceKind, offset: i64) {
    let now = at(offset.saturating_add(100_000));
    let late = now.plus(seconds(3_600));
    let taken = join_all((0..8).map(|_| port.reserve(source, 3, seconds(2), now, late))).await;
    let mut starts: Vec<i64> = taken.into_iter().filter_map(good).map(|start| start.millis_since(now)).collect();
    starts.sort_unstable();
    assert_eq!(starts.len(), 8, "there was room for all of them");
    assert_eq!(starts.first(), Some(&0), "a free schedule begins at once");
    let apart = starts.iter().zip(starts.iter().skip(1)).all(|(one, next)| next - one >= 6_000);
    assert!(apart, "reservations never overlap, got {starts:?}");

    let free_at = now.plus(seconds(8 * 6));
    assert_eq!(good(port.reserve(source, 1, seconds(2), now, free_at.shifted(-1)).await), None, "too late is refused");
    let next = good(port.reserve(source, 1, seconds(2), now, free_at).await);
    assert_eq!(next, Some(free_at), "what is refused reserves nothing");

    let much_later = now.plus(seconds(1_000));
    let next = good(port.reserve(source, 1, seconds(2), much_later, much_later).await);
    assert_eq!(next, Some(much_later), "idle time is not saved up");
    let next = good(port.reserve(source, 1, seconds(2), much_later, late).await);
    assert_eq!(next, Some(much_later.plus(seconds(2))));

    // The schedule has whole milliseconds.
    let idle = now.plus(seconds(2_000));
    let third = Duration::from_micros(333_333);
    for expected in [0, 334, 668] {
        let next = good(port.reserve(source, 1, third, idle, late).await);
        assert_eq!(next, Some(idle.shifted(expected)), "a part of a millisecond is not shared");
    }
}
