//! Contract of what the functions of a stream share: mark, failures, pause, and when something was stored.

use futures_util::future::join_all;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::health::{Breaker, StreamState, Why};
use tidemark_engine::lateness::Lateness;
use tidemark_engine::ports::{Ledger, Written};
use tidemark_engine::stream::{StreamKey, StreamName};

use super::{at, good};

/// Holds an implementation to the stream's state of [`Ledger`]. `stream` must have none.
pub async fn stream_state(port: &impl Ledger, stream: &StreamKey) {
    let state = async || good(port.stream_state(stream).await);
    assert_eq!(state().await, StreamState::default(), "the suite needs a stream without state");

    for mark in ["mark#1 🦆", "mark-2"] {
        good(port.write_mark(stream, mark).await);
        assert_eq!(state().await, StreamState { mark: Some(mark.to_owned()), ..StreamState::default() });
    }
    for (noted, newest, times) in [(5, 5, 1), (60, 60, 2), (60, 60, 2), (7, 60, 2)] {
        good(port.note_stored(stream, at(noted), &Lateness([7, 0, 0, 0, 0, 1, 0, 2])).await);
        let StreamState { last_stored_at, lateness, .. } = state().await;
        assert_eq!(last_stored_at, Some(at(newest)), "what was stored last is noted");
        assert_eq!(
            lateness,
            Lateness([7 * times, 0, 0, 0, 0, times, 0, 2 * times]),
            "and with it how late changes showed"
        );
    }
    let plain = state().await;
    assert_eq!(plain.mark.as_deref(), Some("mark-2"), "and the mark stays");

    assert_eq!(good(port.add_failures(stream, 1).await), 1);
    assert_eq!(good(port.add_failures(stream, 3).await), 4, "failures in a row add up");
    for answer in join_all((0..5).map(|_| port.add_failures(stream, 2))).await {
        good(answer);
    }
    assert_eq!(state().await.breaker.failure_count, 14, "also when several add at once");
    pauses(port, stream).await;
    assert_eq!(state().await, plain, "mark and time stay when a pause ends");

    let name = good(StreamName::parse("never_shared"));
    let other = StreamKey { name, ..stream.clone() };
    assert_eq!(good(port.stream_state(&other).await), StreamState::default(), "a stream sees its own state alone");
}

async fn pauses(port: &impl Ledger, stream: &StreamKey) {
    let breaker = async || good(port.stream_state(stream).await).breaker;
    let why = |class, cause: &str| Why { class, cause: cause.to_owned() };
    let transient = why(FailureClass::Transient, "503 \"unavailable\" 🦆");
    assert_eq!(good(port.pause_stream(stream, at(60), &transient).await), Written::Applied);
    let paused = breaker().await;
    assert_eq!((paused.open_until, paused.why.as_ref()), (Some(at(60)), Some(&transient)));
    assert_eq!(paused.failure_count, 14, "a pause leaves the count of failures alone");

    let refusal = why(FailureClass::Forbidden, "403");
    assert_eq!(good(port.pause_stream(stream, at(30), &refusal).await), Written::Refused);
    assert_eq!(breaker().await, paused, "what is paused for longer stays so");
    for class in [
        FailureClass::Forbidden,
        FailureClass::Unauthorized,
        FailureClass::SecretLocked,
        FailureClass::TokenRejected,
        FailureClass::Record,
        FailureClass::Throttled { retry_after: None },
    ] {
        let why = why(class, "another");
        assert_eq!(good(port.pause_stream(stream, at(900), &why).await), Written::Applied, "a longer pause counts");
        let longer = breaker().await;
        assert_eq!(longer.open_until, Some(at(900)));
        assert_eq!(longer.why, Some(why), "every class is kept");
    }
    for _ in 0..2 {
        good(port.resume_stream(stream).await);
        assert_eq!(breaker().await, Breaker::default(), "its end forgets the failures, too");
    }
    assert_eq!(good(port.add_failures(stream, 1).await), 1, "failures are counted anew");
    good(port.resume_stream(stream).await);
}
