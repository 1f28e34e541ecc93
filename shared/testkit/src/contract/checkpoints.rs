//! Contract of the checkpoints: E0, E1, and the transitions E2, E4, E5, E12, E13.

use futures_util::future::join_all;
use tidemark_engine::checkpoint::{Checkpoint, Guard, Position, SeenToken, Transition};
use tidemark_engine::ports::{Acquired, Checkpoints, Written};
use tidemark_engine::run::{Run, Segment};
use tidemark_engine::stream::StreamKey;

use super::{at, good, position, there};

/// Holds an implementation to [`Checkpoints`]. `stream` must have no state yet.
pub async fn checkpoints(port: &impl Checkpoints, stream: &StreamKey) {
    let first = created_once(port, stream).await;
    let held = leased_by_one(port, stream, &first).await;
    let held = a_run_starts_once(port, held).await;
    let held = chunks_are_accepted_once(port, held).await;
    let held = a_sealed_run_commits_once(port, held).await;
    let held = a_run_is_given_up_once(port, held).await;
    let held = positions_never_go_back(port, held).await;
    stale_epochs_change_nothing(port, held).await;
}

fn transition(guard: Guard, next: &Checkpoint) -> Transition {
    Transition { guard, next: next.clone() }
}

async fn stored(port: &impl Checkpoints, stream: &StreamKey) -> Checkpoint {
    there(good(port.load(stream).await), "the state")
}

async fn created_once(port: &impl Checkpoints, stream: &StreamKey) -> Checkpoint {
    assert_eq!(good(port.load(stream).await), None, "the suite needs a stream without state");
    assert_eq!(good(port.acquire(stream, "a", at(0), at(180)).await), Acquired::Missing);
    assert_eq!(good(port.load(stream).await), None, "an attempt to own a stream does not create it");

    assert_eq!(good(port.create(stream, &position(-500)).await), Written::Applied, "E0 creates");
    assert_eq!(good(port.create(stream, &position(-900)).await), Written::Refused, "E0 does not create twice");
    let first = stored(port, stream).await;
    assert_eq!((&first.committed, &first.scanned), (&position(-500), &position(-500)));
    assert_eq!(first, Checkpoint::first(stream.clone(), position(-500)), "a new state is empty");

    let unowned = Checkpoint { scanned: position(0), ..first.clone() };
    assert_eq!(
        good(port.store(&transition(Guard::NoRun, &unowned)).await),
        Written::Refused,
        "nobody has an epoch before the first lease"
    );
    first
}

async fn leased_by_one(port: &impl Checkpoints, stream: &StreamKey, first: &Checkpoint) -> Checkpoint {
    let owners = ["a", "b", "c", "d"];
    let taken = join_all(owners.iter().map(|owner| port.acquire(stream, owner, at(0), at(180)))).await;
    let held: Vec<Checkpoint> = taken.into_iter().filter_map(|taken| owned(good(taken))).collect();
    let [held] = held.as_slice() else {
        assert_eq!(held.len(), 1, "E1 gives a free stream to exactly one");
        return first.clone();
    };
    assert_eq!(held.epoch, at(0).get() + 1, "the first epoch is the time and one");
    assert_eq!(held.lease_until, at(180));
    assert_eq!(*held, stored(port, stream).await, "E1 answers with what is stored");
    let expected =
        Checkpoint { epoch: held.epoch, lease_until: at(180), lease_owner: held.lease_owner.clone(), ..first.clone() };
    assert_eq!(*held, expected, "E1 changes lease and epoch alone");

    let again = there(owned(good(port.acquire(stream, &held.lease_owner, at(1), at(181)).await)), "its own lease");
    assert_eq!(again.epoch, held.epoch + 1, "a lease taken twice by its owner has the later epoch");

    assert_eq!(
        good(port.acquire(stream, "late", at(100), at(280)).await),
        Acquired::Busy(at(181)),
        "a stream that is owned is busy until the lease ends"
    );
    assert_eq!(stored(port, stream).await, again, "a refused lease changes nothing");

    let over = there(owned(good(port.acquire(stream, "late", at(182), at(362)).await)), "a lease that ended");
    assert_eq!(over.epoch, again.epoch + 1, "the epoch grows with every lease, whatever the time");
    over
}

fn owned(acquired: Acquired) -> Option<Checkpoint> {
    match acquired {
        Acquired::Held(checkpoint) => Some(*checkpoint),
        Acquired::Busy(_) | Acquired::Missing => None,
    }
}

fn run(run_id: &str) -> Run {
    let run = Run::new(run_id.to_owned(), position(-620), at(5), at(5), position(-500));
    Run { known: Some(at(3)), ..run }
}

fn accepted() -> Guard {
    Guard::Run { run_id: "r1".to_owned(), accepted: 4 }
}

async fn a_run_starts_once(port: &impl Checkpoints, held: Checkpoint) -> Checkpoint {
    let state = Checkpoint { run: Some(run("r1")), ..held };
    let start = transition(Guard::NoRun, &state);
    assert_eq!(good(port.store(&start).await), Written::Applied, "E2 starts a run where there is none");
    assert_eq!(good(port.store(&start).await), Written::Refused, "E2 does not start a second run");
    assert_eq!(stored(port, &state.stream).await, state, "a write replaces the state");
    state
}

async fn chunks_are_accepted_once(port: &impl Checkpoints, held: Checkpoint) -> Checkpoint {
    let accepting = Run {
        accepted: 4,
        sent: 2,
        cursor: Some("a#b 🦆".to_owned()),
        segments: vec![Segment { epoch: held.epoch, first: 0, end: 4 }],
        newest: Some(Position::Token { text: "t-9".to_owned(), sequence: 9 }),
        listed_count: 200,
        pending_count: 150,
        ..run("r1")
    };
    let state = Checkpoint { run: Some(accepting), ..held };
    let accept = transition(Guard::Run { run_id: "r1".to_owned(), accepted: 0 }, &state);
    assert_eq!(good(port.store(&accept).await), Written::Applied, "E4 accepts chunks");
    assert_eq!(good(port.store(&accept).await), Written::Refused, "E4 accepts them once");
    assert_eq!(stored(port, &state.stream).await, state, "every attribute of a run survives");

    let other = Guard::Run { run_id: "r0".to_owned(), accepted: 4 };
    assert_eq!(good(port.store(&transition(other, &state)).await), Written::Refused, "E4 is about one run");
    state
}

async fn a_sealed_run_commits_once(port: &impl Checkpoints, held: Checkpoint) -> Checkpoint {
    let sealed = |run_id: &str| Guard::Sealed { run_id: run_id.to_owned() };
    let early = Checkpoint { run: None, committed: position(1), scanned: position(1), ..held.clone() };
    let commit = transition(sealed("r1"), &early);
    assert_eq!(good(port.store(&commit).await), Written::Refused, "E12 needs a sealed run");

    let mut state = held;
    if let Some(run) = &mut state.run {
        run.sealed = true;
    }
    assert_eq!(good(port.store(&transition(accepted(), &state)).await), Written::Applied, "E5 seals");
    let commit = transition(sealed("r2"), &early);
    assert_eq!(good(port.store(&commit).await), Written::Refused, "E12 is about one run");

    let token = Position::Token { text: "t1".to_owned(), sequence: 1 };
    let committed = Checkpoint {
        run: None,
        committed: position(-100),
        scanned: position(-50),
        last_success_at: Some(at(10)),
        last_progress_at: Some(at(11)),
        listed_at: Some(at(12)),
        complete_at: Some(at(13)),
        tokens: vec![SeenToken { position: token, seen_at: at(14) }],
        ..state
    };
    let commit = transition(sealed("r1"), &committed);
    assert_eq!(good(port.store(&commit).await), Written::Applied, "E12 commits a sealed run");
    assert_eq!(good(port.store(&commit).await), Written::Refused, "E12 commits it once");
    assert_eq!(stored(port, &committed.stream).await, committed, "every attribute of a state survives");
    committed
}

async fn a_run_is_given_up_once(port: &impl Checkpoints, held: Checkpoint) -> Checkpoint {
    let mut state = Checkpoint { run: Some(run("r2")), ..held };
    assert_eq!(good(port.store(&transition(Guard::NoRun, &state)).await), Written::Applied);
    state.run = None;
    let abort = |run_id: &str| transition(Guard::Abort { run_id: run_id.to_owned() }, &state);
    assert_eq!(good(port.store(&abort("r1")).await), Written::Refused, "E13 gives up the run it knows, no other");
    assert_eq!(good(port.store(&abort("r2")).await), Written::Applied, "E13 gives up a run in any state");
    assert_eq!(good(port.store(&abort("r2")).await), Written::Refused, "E13 needs a run");
    state
}

async fn positions_never_go_back(port: &impl Checkpoints, held: Checkpoint) -> Checkpoint {
    let stream = held.stream.clone();
    let same = transition(Guard::NoRun, &held);
    assert_eq!(good(port.store(&same).await), Written::Applied, "positions may stay");
    for back in [
        Checkpoint { committed: position(-101), ..held.clone() },
        Checkpoint { scanned: position(-51), ..held.clone() },
    ] {
        assert_eq!(good(port.store(&transition(Guard::NoRun, &back)).await), Written::Refused, "no position goes back");
    }
    assert_eq!(stored(port, &stream).await, held);
    held
}

async fn stale_epochs_change_nothing(port: &impl Checkpoints, held: Checkpoint) {
    let stream = held.stream.clone();
    let next = there(owned(good(port.acquire(&stream, "next", at(9_000), at(9_180)).await)), "the next lease");
    for epoch in [held.epoch, next.epoch + 1] {
        let stale = Checkpoint { scanned: position(500), epoch, ..held.clone() };
        let write = transition(Guard::NoRun, &stale);
        assert_eq!(good(port.store(&write).await), Written::Refused, "only the epoch's owner writes");
    }
    assert_eq!(stored(port, &stream).await, next, "a refused write changes nothing");

    let elsewhere = StreamKey { name: good(tidemark_engine::stream::StreamName::parse("never_created")), ..stream };
    let write = transition(Guard::NoRun, &Checkpoint { stream: elsewhere, ..next });
    assert_eq!(good(port.store(&write).await), Written::Refused, "a state that is not there is not written");
}
