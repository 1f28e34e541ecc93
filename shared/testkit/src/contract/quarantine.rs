//! Contract of the quarantine: E10, E11 and the retry ladder's notes.

use tidemark_engine::ports::{Ledger, Written};
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::stream::{StreamKey, StreamName};

use super::{AWKWARD, at, good, id, position};

/// Holds an implementation to the quarantine of [`Ledger`]. The quarantine of `stream` must be empty.
pub async fn quarantine(port: &impl Ledger, stream: &StreamKey) {
    assert_eq!(good(port.quarantined(stream).await), [], "the suite needs an empty quarantine");
    the_earliest_entry_wins(port, stream).await;
    retries_move_their_time(port, stream).await;
    a_later_fetch_resolves(port, stream).await;

    for number in 0..130 {
        let many = entry(stream, &format!("many-{number}"));
        assert_eq!(good(port.quarantine(&many).await), Written::Applied);
    }
    assert_eq!(good(port.quarantined(stream).await).len(), AWKWARD.len() - 1 + 130, "all of it is read");
}

fn entry(stream: &StreamKey, text: &str) -> Quarantined {
    Quarantined {
        stream: stream.clone(),
        id: id(text),
        reason: "the detail is \"malformed\"".to_owned(),
        since: at(10),
        held_checkpoint: position(-500),
        attempts: 0,
        next_at: at(910),
    }
}

async fn the_earliest_entry_wins(port: &impl Ledger, stream: &StreamKey) {
    for text in AWKWARD {
        assert_eq!(good(port.quarantine(&entry(stream, text)).await), Written::Applied, "E10 puts {text} in");
    }
    let later = Quarantined { since: at(20), held_checkpoint: position(9), ..entry(stream, "a#b") };
    assert_eq!(good(port.quarantine(&later).await), Written::Refused, "the earliest entry wins");

    let listed = good(port.quarantined(stream).await);
    assert_eq!(listed.len(), AWKWARD.len());
    assert!(listed.iter().map(|entry| entry.id.as_str()).is_sorted(), "entries come by id");
    assert!(AWKWARD.iter().all(|text| listed.contains(&entry(stream, text))), "every attribute survives");

    let name = good(StreamName::parse("never_quarantined"));
    let other = StreamKey { name, ..stream.clone() };
    assert_eq!(good(port.quarantined(&other).await), [], "a stream sees its own quarantine alone");
}

async fn retries_move_their_time(port: &impl Ledger, stream: &StreamKey) {
    assert_eq!(good(port.reschedule(stream, &id("🦆"), 1, at(3_600)).await), Written::Applied);
    let moved = Quarantined { attempts: 1, next_at: at(3_600), ..entry(stream, "🦆") };
    assert!(good(port.quarantined(stream).await).contains(&moved), "a retry moves its time and nothing else");
    assert_eq!(good(port.reschedule(stream, &id("gone"), 1, at(3_600)).await), Written::Refused);
}

async fn a_later_fetch_resolves(port: &impl Ledger, stream: &StreamKey) {
    let duck = id("🦆");
    assert_eq!(good(port.resolve(stream, &duck, at(9)).await), Written::Refused, "E11 needs a fetch after the entry");
    assert_eq!(good(port.resolve(stream, &duck, at(10)).await), Written::Refused, "at the same instant is not after");
    assert_eq!(good(port.resolve(stream, &duck, at(11)).await), Written::Applied, "E11 takes it out");
    assert_eq!(good(port.resolve(stream, &duck, at(11)).await), Written::Refused, "E11 takes it out once");
    let revived = port.reschedule(stream, &duck, 2, at(9_999)).await;
    assert_eq!(good(revived), Written::Refused, "nor does a retry revive it");
    assert_eq!(good(port.quarantined(stream).await).len(), AWKWARD.len() - 1);
}
