//! Contract of the checkpoints: creation, C1 and C2.

use std::time::Duration;

use futures_util::future::join_all;
use tidemark_engine::checkpoint::{Checkpoint, Clocks, Cursor, Listing, PageWalk, Raise, Scope};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::ports::{Checkpoints, Written};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamKey, StreamName, StreamTraits};

use super::{AWKWARD, at, good, id, longest_id, position, there};

/// Holds an implementation to [`Checkpoints`]. `stream` must have no state yet.
pub async fn checkpoints(port: &impl Checkpoints, stream: &StreamKey) {
    let first = created_once(port, stream).await;
    let owned = owned_by_one(port, first).await;
    let late = every_attribute_survives(port, owned).await;
    late_repeats_change_nothing(port, late).await;
    a_missing_state_is_not_written(port, stream).await;
}

async fn stored(port: &impl Checkpoints, stream: &StreamKey) -> Checkpoint {
    there(good(port.load(stream).await), "the state")
}

/// The state that follows this one.
fn next(state: &Checkpoint) -> Checkpoint {
    Checkpoint { version: state.version.saturating_add(1), ..state.clone() }
}

async fn created_once(port: &impl Checkpoints, stream: &StreamKey) -> Checkpoint {
    assert_eq!(good(port.load(stream).await), None, "the suite needs a stream without state");
    let traits = StreamTraits {
        name: stream.name.clone(),
        shape: ListShape::Whole,
        stamped: true,
        filtered: true,
        first: position(-500),
    };
    let first = Checkpoint::first(stream.clone(), &traits, "mark".to_owned());
    assert_eq!(good(port.store(&next(&first)).await), Written::Refused, "a state that is not there is not written");
    assert_eq!(good(port.load(stream).await), None, "nor does that create it");

    let other = Checkpoint { scanned: position(-900), committed: position(-900), ..first.clone() };
    assert_eq!(good(port.create(&first).await), Written::Applied, "a state is created");
    assert_eq!(good(port.create(&other).await), Written::Refused, "once");
    assert_eq!(good(port.create(&first).await), Written::Refused, "also by the same write");
    assert_eq!(stored(port, stream).await, first, "a state is stored as it was created");
    first
}

async fn owned_by_one(port: &impl Checkpoints, first: Checkpoint) -> Checkpoint {
    // Four pollers that have read the same state.
    let claims: Vec<Checkpoint> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|owner| Checkpoint { lease_owner: owner.to_owned(), lease_until: at(180), ..next(&first) })
        .collect();
    let answers = join_all(claims.iter().map(|claim| port.store(claim))).await;
    let applied: Vec<&Checkpoint> = answers
        .into_iter()
        .zip(&claims)
        .filter(|(answer, _)| matches!(answer, Ok(Written::Applied)))
        .map(|(_, claim)| claim)
        .collect();
    assert_eq!(applied.len(), 1, "of several writes after the same version exactly one is applied");
    let owned = stored(port, &first.stream).await;
    assert_eq!(applied, [&owned], "and it is the one that is stored");
    owned
}

async fn every_attribute_survives(port: &impl Checkpoints, owned: Checkpoint) -> Checkpoint {
    let mut state = owned;
    for filled in [with_backlog(&state), with_tokens(&state), with_awkward_cursors(&state), emptied(&state)] {
        let filled = Checkpoint { version: state.version.saturating_add(1), ..filled };
        assert_eq!(good(port.store(&filled).await), Written::Applied, "a write after the stored version is applied");
        assert_eq!(stored(port, &filled.stream).await, filled, "every attribute of a state survives");
        state = filled;
    }
    state
}

fn listing(scope: Scope, holds: Option<Position>, cursor: Cursor) -> Listing {
    Listing { scope, holds, cursor, begun_at: at(7) }
}

fn changes(from: i64) -> Scope {
    Scope::Changes(StampMillis::new(from))
}

fn with_backlog(state: &Checkpoint) -> Checkpoint {
    let walk = PageWalk {
        pass: 3,
        step: 17,
        added: true,
        pages: 120_000,
        barren: 1,
        newest: Some(StampMillis::new(-7)),
        is_capped: true,
        refused: Some(3),
    };
    let quiet = PageWalk::default();
    Checkpoint {
        scanned: position(-100),
        committed: position(-400),
        lease_until: at(190),
        lease_owner: "another #1 🦆".to_owned(),
        clocks: Clocks {
            gap_ms: Some(-3_600_123),
            gap_at: at(1),
            held_gap_ms: Some(-3_600_200),
            raise: Some(Raise { gap_ms: -3_600_100, seen_at: at(3) }),
            behind: Duration::from_millis(93_600_001),
            listed_at: at(2),
            evidence_from: at(402),
        },
        backlog: vec![
            listing(changes(-5), Some(position(-400)), Cursor::Start),
            listing(changes(i64::MIN), None, Cursor::Id(id("a#b 🦆"))),
            listing(changes(i64::MAX), Some(Position::At(StampMillis::new(-1))), Cursor::Pages(walk)),
            listing(changes(0), None, Cursor::Pages(quiet)),
        ],
        ledger_mark: Some("mark-1".to_owned()),
        account_mark: "account-2".to_owned(),
        last_success_at: Some(at(10)),
        last_progress_at: Some(at(11)),
        owed_since: Some(at(12)),
        held_since: Some(at(13)),
        import_count: 3_000_000_000,
        ..state.clone()
    }
}

fn with_tokens(state: &Checkpoint) -> Checkpoint {
    let token = |text: &str, sequence| Position::Token { text: text.to_owned(), sequence };
    Checkpoint {
        scanned: token("a#b \"🦆\"", 9),
        committed: token("", 0),
        clocks: Clocks { gap_ms: None, ..Clocks::unknown(false) },
        backlog: vec![
            listing(Scope::Snapshot, Some(token("t", 5)), Cursor::Start),
            listing(Scope::Snapshot, None, Cursor::Source("widgets/9#ä 🦆".to_owned())),
            listing(Scope::Snapshot, Some(token("", 0)), Cursor::Source(String::new())),
        ],
        later: vec![listing(Scope::Snapshot, None, Cursor::Source("!widgets/0".to_owned()))],
        ..state.clone()
    }
}

fn with_awkward_cursors(state: &Checkpoint) -> Checkpoint {
    let longest = longest_id(0);
    let mut texts: Vec<&str> = AWKWARD.to_vec();
    texts.push(&longest);
    let backlog = texts.into_iter().map(|text| listing(changes(1), None, Cursor::Id(id(text)))).collect();
    Checkpoint { backlog, ..state.clone() }
}

fn emptied(state: &Checkpoint) -> Checkpoint {
    Checkpoint {
        scanned: position(-500),
        committed: position(-500),
        clocks: Clocks::unknown(true),
        backlog: Vec::new(),
        later: Vec::new(),
        ledger_mark: None,
        last_success_at: None,
        last_progress_at: None,
        owed_since: None,
        held_since: None,
        import_count: 0,
        ..state.clone()
    }
}

async fn late_repeats_change_nothing(port: &impl Checkpoints, state: Checkpoint) {
    let stream = state.stream.clone();
    let once = Checkpoint { scanned: position(10), ..next(&state) };
    assert_eq!(good(port.store(&once).await), Written::Applied);
    assert_eq!(good(port.store(&once).await), Written::Refused, "the second arrival of a write is refused");
    let twice = Checkpoint { scanned: position(20), committed: position(5), ..next(&once) };
    assert_eq!(good(port.store(&twice).await), Written::Applied);
    for stale in [&once, &state] {
        assert_eq!(good(port.store(stale).await), Written::Refused, "so is a late one, after others");
    }
    let skips = Checkpoint { scanned: position(30), version: twice.version.saturating_add(2), ..twice.clone() };
    assert_eq!(good(port.store(&skips).await), Written::Refused, "no version is left out");
    let same = Checkpoint { scanned: position(30), ..twice.clone() };
    assert_eq!(good(port.store(&same).await), Written::Refused, "nor written twice");
    assert_eq!(stored(port, &stream).await, twice, "a refused write changes nothing");

    // A rewind: positions may go back, the version may not.
    let back = Checkpoint { scanned: position(-900), committed: position(-900), ..next(&twice) };
    assert_eq!(good(port.store(&back).await), Written::Applied);
    assert_eq!(stored(port, &stream).await, back);
}

async fn a_missing_state_is_not_written(port: &impl Checkpoints, stream: &StreamKey) {
    let state = stored(port, stream).await;
    let elsewhere = StreamKey { name: good(StreamName::parse("never_created")), ..stream.clone() };
    let write = Checkpoint { stream: elsewhere.clone(), ..next(&state) };
    assert_eq!(good(port.store(&write).await), Written::Refused);
    assert_eq!(good(port.load(&elsewhere).await), None, "a stream sees its own state alone");
}
