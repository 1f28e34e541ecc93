//! Pollers: what each knows, and what it writes by what it knows.

use tidemark_engine::checkpoint::{Checkpoint, Guard, Position, SeenToken, Transition};
use tidemark_engine::chunk::ChunkKey;
use tidemark_engine::run::Run;
use tidemark_engine::stamp::UtcMillis;

use super::items::Items;
use super::{at, moved};

/// Who polls: three invocations, any of which may be the one that froze.
pub(super) const OWNERS: [&str; 3] = ["a", "b", "c"];

/// What a poller wants to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// E2.
    Start,
    /// E4, of all chunks that it put since it last accepted.
    Accept,
    /// E5.
    Seal,
    /// Everything else that is noted of a run.
    Progress,
    /// E12 of a run whose ids are all stored or quarantined.
    Commit {
        /// How far `scanned` moves.
        by: i64,
        /// Whether `committed` stays, as the quarantine may have it.
        held: bool,
    },
    /// E12 of a run that is not sealed, which no poller of ours does.
    CommitEarly,
    /// E13.
    Abort,
    /// A poll without news, after which `committed` has caught up.
    NoNews,
    /// The lease is given back.
    Release,
}

impl Change {
    /// Every one of them.
    pub(super) const ALL: [Self; 12] = [
        Self::Start,
        Self::Accept,
        Self::Seal,
        Self::Progress,
        Self::Commit { by: 0, held: false },
        Self::Commit { by: 0, held: true },
        Self::Commit { by: 2, held: false },
        Self::Commit { by: 2, held: true },
        Self::CommitEarly,
        Self::Abort,
        Self::NoNews,
        Self::Release,
    ];
}

/// What is wrong with a write, and nothing else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    /// The epoch is the one before.
    EpochBefore,
    /// The epoch is one that nobody ever had.
    EpochToCome,
    /// `committed` goes back.
    Committed,
    /// `scanned` goes back.
    Scanned,
    /// The run required is another.
    OtherRun,
    /// A run is required where there is none, and none where there is one.
    OtherGuard,
    /// One more chunk is required to be accepted.
    MoreAccepted,
    /// One less is.
    LessAccepted,
}

impl Spoilt {
    /// Every one of them.
    pub(super) const ALL: [Self; 8] = [
        Self::EpochBefore,
        Self::EpochToCome,
        Self::Committed,
        Self::Scanned,
        Self::OtherRun,
        Self::OtherGuard,
        Self::MoreAccepted,
        Self::LessAccepted,
    ];

    /// Spoils what a poller that knows `view` was about to write.
    pub(super) fn spoil(self, view: &Checkpoint, right: Transition) -> Transition {
        let Transition { mut guard, mut next } = right;
        let run = view.run.as_ref();
        let (run_id, accepted) = run.map_or(("none", 0), |run| (run.run_id.as_str(), run.accepted));
        let run_id = run_id.to_owned();
        match self {
            Self::EpochBefore => next.epoch -= 1,
            Self::EpochToCome => next.epoch += 1_000,
            Self::Committed => next.committed = moved(&view.committed, -1),
            Self::Scanned => next.scanned = moved(&view.scanned, -1),
            Self::OtherRun => match &mut guard {
                Guard::NoRun => guard = Guard::Abort { run_id },
                Guard::Run { run_id, .. } | Guard::Sealed { run_id } | Guard::Abort { run_id } => run_id.push('x'),
            },
            Self::OtherGuard => guard = if run.is_some() { Guard::NoRun } else { Guard::Sealed { run_id } },
            Self::MoreAccepted => guard = Guard::Run { run_id, accepted: accepted + 1 },
            Self::LessAccepted => guard = Guard::Run { run_id, accepted: accepted.checked_sub(1).unwrap_or(1) },
        }
        Transition { guard, next }
    }
}

/// A poller and what it knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Poller {
    /// The state as it last read or wrote it; none before its first lease.
    pub(super) view: Option<Checkpoint>,
    /// How many chunks it put behind the accepted ones.
    pub(super) put: u32,
}

impl Poller {
    /// The run that it may put chunks into.
    pub(super) fn listing(&self) -> Option<(&Checkpoint, &Run)> {
        let view = self.view.as_ref()?;
        view.run.as_ref().filter(|run| !run.sealed).map(|run| (view, run))
    }

    /// The write that makes the change, if it is one that a poller makes in the state that it knows. `fresh_run` is a
    /// number that no run was called by; the ledger is read as it is now.
    pub(super) fn transition(&self, change: Change, fresh_run: u32, ledger: &Items) -> Option<Transition> {
        let view = self.view.as_ref()?;
        let unchanged = match &view.run {
            None => Guard::NoRun,
            Some(run) => Guard::Run { run_id: run.run_id.clone(), accepted: run.accepted },
        };
        let mut next = view.clone();
        let guard = match (change, &view.run) {
            (Change::Start, None) => {
                next.run = Some(started(view, fresh_run));
                unchanged
            }
            (Change::Accept, Some(run)) if self.put > 0 && !run.sealed => {
                let mut run = run.clone();
                run.accept(view.epoch, self.put);
                run.listed_count += u64::from(self.put);
                run.cursor = Some("a#b 🦆".to_owned());
                next.run = Some(run);
                unchanged
            }
            (Change::Seal, Some(run)) if !run.sealed => {
                next.run = Some(Run { sealed: true, ..run.clone() });
                next.last_progress_at = Some(at(7));
                unchanged
            }
            (Change::Progress, Some(run)) => {
                next.run = Some(advanced(run));
                next.lease_until = next.lease_until.shifted(60_000);
                unchanged
            }
            (Change::Commit { by, held }, Some(run)) if run.sealed && is_closable(view, run, ledger) => {
                next = committed(view, by, held);
                Guard::Sealed { run_id: run.run_id.clone() }
            }
            (Change::CommitEarly, Some(run)) if !run.sealed => {
                next = committed(view, 1, false);
                Guard::Sealed { run_id: run.run_id.clone() }
            }
            (Change::Abort, Some(run)) => {
                next.run = None;
                Guard::Abort { run_id: run.run_id.clone() }
            }
            (Change::NoNews, None) => {
                next.committed = next.scanned.clone();
                next.last_success_at = Some(at(9));
                next.lease_until = next.lease_until.shifted(60_000);
                unchanged
            }
            (Change::Release, _) => {
                next.lease_until = UtcMillis::default();
                unchanged
            }
            _ => return None,
        };
        Some(Transition { guard, next })
    }
}

fn started(view: &Checkpoint, fresh_run: u32) -> Run {
    let run_id = format!("{fresh_run}-{}", view.epoch);
    Run::new(run_id, moved(&view.scanned, -1), at(5), at(6), view.scanned.clone())
}

fn advanced(run: &Run) -> Run {
    Run {
        sent: run.accepted,
        frontier: run.accepted,
        newest: Some(moved(&run.from, 1)),
        pending_count: run.pending_count + 1,
        known: Some(at(3)),
        cursor: None,
        ..run.clone()
    }
}

fn committed(view: &Checkpoint, by: i64, held: bool) -> Checkpoint {
    let scanned = moved(&view.scanned, by);
    let token = matches!(scanned, Position::Token { .. });
    Checkpoint {
        committed: if held { view.committed.clone() } else { scanned.clone() },
        run: None,
        last_success_at: Some(at(10)),
        last_progress_at: Some(at(11)),
        listed_at: Some(at(12)),
        complete_at: Some(at(13)),
        tokens: if token { vec![SeenToken { position: scanned.clone(), seen_at: at(14) }] } else { Vec::new() },
        scanned,
        ..view.clone()
    }
}

/// Whether every accepted chunk has nothing pending and every poisoned id is in quarantine.
pub(super) fn is_closable(view: &Checkpoint, run: &Run, ledger: &Items) -> bool {
    (0..run.accepted).all(|seq| {
        let epoch = run.epoch_of(seq).unwrap_or_default();
        let key = ChunkKey { stream: view.stream.clone(), run: run.run_id.clone(), seq, epoch };
        ledger.chunks.get(&key).is_some_and(|chunk| {
            chunk.pending.is_empty() && chunk.poisoned.keys().all(|id| ledger.quarantine.contains_key(id))
        })
    })
}
