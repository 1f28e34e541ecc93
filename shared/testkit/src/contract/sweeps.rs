//! Contract of what sweeps keep.

use std::collections::BTreeSet;

use tidemark_engine::ports::Written;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{StreamKey, StreamName};
use tidemark_sweep::ports::Sweeps;
use tidemark_sweep::state::{
    Backfill, Ground, Kept, PIECE_BYTES, Phase, PieceKey, Place, Problem, Proof, Range, Sweep, SweepState,
};

use super::{AWKWARD, at, good, id, longest_id, vendor_at};

/// Holds an implementation to [`Sweeps`]. Of `stream` nothing may be kept.
pub async fn sweeps(port: &impl Sweeps, stream: &StreamKey) {
    let name = good(StreamName::parse("never_swept"));
    let other = StreamKey { name, ..stream.clone() };
    states(port, stream, &other).await;
    ids_are_kept(port, stream, &other).await;
}

async fn states(port: &impl Sweeps, stream: &StreamKey, other: &StreamKey) {
    assert_eq!(good(port.load_sweep(stream).await), None, "the suite needs a stream without sweeps");
    let unproved = BTreeSet::from([good(StreamName::parse("jobs"))]);
    let proof = Proof { begun_at: at(1), listed: 7, ended_at: Some(vendor_at(2)), unproved, ..Proof::default() };
    let mut state = SweepState { version: 900, asked_at: Some(at(5)), ..SweepState::default() };
    let phases = [
        Phase::Pages(Place { page: 7, pass: 1, added: true, page_rows: 50, unusable_count: 2 }),
        Phase::Listing(None),
        Phase::Listing(Some(AWKWARD.concat())),
        Phase::Comparing(None, None),
        Phase::Comparing(Some(good(StreamName::parse("jobs"))), Some(id(&longest_id(1)))),
        Phase::Owing(AWKWARD.last().map(|text| id(text))),
    ];
    for phase in phases {
        let ground = Ground { account_mark: "mark".to_owned(), ledger_mark: Some("ledger".to_owned()), committed: -7 };
        let (previous, failure) = (Some(at(3)), Some("the vendor answered 500".to_owned()));
        let range = Range { from: vendor_at(1), to: Some(vendor_at(4)) };
        let problem = Some(Problem { cause: "a \"cause\"".to_owned(), next_step: "a step".to_owned() });
        let backfill = Backfill {
            range,
            asked_at: at(3),
            begun_at: Some(at(4)),
            ended_at: Some(at(5)),
            listed: 7,
            owed: 6,
            calls: 5,
            is_cancelled: true,
            problem: problem.clone(),
        };
        let (proof_of_sweep, range) = (proof.clone(), Some(range));
        let sweep = Sweep {
            phase,
            ground,
            previous,
            failure,
            failed_count: 2,
            proof: proof_of_sweep,
            range,
            owed: 6,
            sample: 7,
        };
        state = SweepState {
            version: state.version + 1,
            lease_until: at(8),
            asked_at: None,
            sample: Some(7),
            under_way: Some(sweep),
            last: Some(proof.clone()),
            good: Some(proof.clone()),
            problem,
            backfill: Some(backfill),
        };
        assert_eq!(good(port.store_sweep(stream, &state).await), Written::Applied);
        assert_eq!(good(port.load_sweep(stream).await).as_ref(), Some(&state), "the state survives as it is");
    }
    let old = SweepState { version: state.version, ..SweepState::default() };
    let ahead = SweepState { version: state.version + 2, ..SweepState::default() };
    for refused in [old, ahead] {
        assert_eq!(
            good(port.store_sweep(stream, &refused).await),
            Written::Refused,
            "only the next version is written"
        );
    }
    assert_eq!(good(port.load_sweep(stream).await), Some(state));
    assert_eq!(good(port.load_sweep(other).await), None, "each stream has its own");
}

async fn ids_are_kept(port: &impl Sweeps, stream: &StreamKey, other: &StreamKey) {
    let kept = async |sweep, kept| good(port.kept(stream, sweep, kept).await);
    let piece = |seconds, kept, version, seq| PieceKey { sweep: at(seconds), kept, version, seq };
    assert_eq!(kept(at(1), Kept::Listed).await, []);
    let first: Vec<RecordId> = AWKWARD.iter().map(|text| id(text)).collect();
    let second: Vec<RecordId> = (0..PIECE_BYTES / 1_024).map(|number| id(&longest_id(number))).collect();
    for _ in 0..2 {
        good(port.keep(stream, &piece(1, Kept::Listed, 9, 0), &first).await);
        good(port.keep(stream, &piece(1, Kept::Listed, 9, 1), &second).await);
    }
    good(port.keep(stream, &piece(1, Kept::Listed, 10, 0), &[id("ten")]).await);
    good(port.keep(stream, &piece(1, Kept::Extra, 9, 2), &[id("extra")]).await);
    good(port.keep(stream, &piece(1, Kept::Unlisted, 9, 2), &[id("unlisted")]).await);
    good(port.keep(stream, &piece(11, Kept::Listed, 9, 3), &[id("later")]).await);
    let all: BTreeSet<RecordId> = first.into_iter().chain(second).chain([id("ten")]).collect();
    let found: BTreeSet<RecordId> = kept(at(1), Kept::Listed).await.into_iter().collect();
    assert!(found == all, "every id of every piece is there, as it is: {} of {}", found.len(), all.len());
    assert_eq!(kept(at(1), Kept::Extra).await, [id("extra")], "candidates are kept apart");
    assert_eq!(kept(at(1), Kept::Unlisted).await, [id("unlisted")], "and so are those that are known");
    assert_eq!(kept(at(11), Kept::Listed).await, [id("later")], "each sweep has its own");
    assert_eq!(good(port.kept(other, at(1), Kept::Listed).await), [], "and each stream");
}
