//! What is known of a stream's sweeps, and the proof that each one leaves.

use std::collections::BTreeSet;
use std::time::Duration;

use derive_more::Display;
use serde::{Deserialize, Serialize};
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::{LocalMillis, VendorMillis};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::StreamName;

/// The most bytes of ids that are kept in one piece: an item of the ledger holds as many, however badly they compress.
pub const PIECE_BYTES: usize = 300 * 1024;
/// How long kept ids are of use.
pub const KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// So many candidates for deletion are always fetched...
pub(crate) const CANDIDATES: u64 = 20;
/// ...or this part of what is stored, in percent.
const CANDIDATES_PERCENT: u64 = 5;

/// The state of a stream's sweeps: one item beside the checkpoint, which a sweep never writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepState {
    /// Raised by one with every write.
    pub version: i64,
    /// Until when somebody goes on with the sweep, on that one's clock.
    pub lease_until: LocalMillis,
    /// When a sweep was asked for that has not begun.
    pub asked_at: Option<LocalMillis>,
    /// How many records that one is to sample, where a person has said so.
    pub sample: Option<u64>,
    /// The sweep under way.
    pub under_way: Option<Sweep>,
    /// What the last sweep found that came to its end.
    pub last: Option<Proof>,
    /// The last one after which the copy was whole.
    pub good: Option<Proof>,
    /// Why the last sweep needs a person.
    pub problem: Option<Problem>,
    /// The newest backfill.
    pub backfill: Option<Backfill>,
}

impl SweepState {
    /// The newest backfill, if it has not come to its end.
    pub fn open_backfill(&self) -> Option<&Backfill> {
        self.backfill.as_ref().filter(|backfill| backfill.ended_at.is_none())
    }

    /// Ends the backfill that waits or is under way, if there is one. Who goes on with it is refused at the next write.
    pub fn cancel_backfill(&mut self, now: LocalMillis) -> bool {
        let Some(backfill) = self.backfill.as_mut().filter(|backfill| backfill.ended_at.is_none()) else {
            return false;
        };
        (backfill.ended_at, backfill.is_cancelled) = (Some(now), true);
        if self.under_way.as_ref().is_some_and(|sweep| sweep.range.is_some()) {
            (self.under_way, self.lease_until) = (None, LocalMillis::default());
        }
        true
    }

    /// What is under way, or waits, in words for a person.
    pub fn progress(&self) -> Option<String> {
        let is_sweeping = self.under_way.as_ref().is_some_and(|sweep| sweep.range.is_none());
        let sweep = is_sweeping.then(|| "a sweep is under way".to_owned());
        let backfill = self.open_backfill().map(|backfill| {
            let Backfill { range, begun_at, listed, owed, .. } = backfill;
            match begun_at {
                Some(_) => format!("a backfill {range}: {listed} listed, {owed} owed so far"),
                None => format!("a backfill {range} waits until the bulk lane is empty and no sweep is under way"),
            }
        });
        sweep.into_iter().chain(backfill).reduce(|sweep, backfill| format!("{sweep}; {backfill}"))
    }
}

/// What a backfill lists again, on the vendor's clock.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Serialize, Deserialize)]
#[display("since {from}{}", to.map(|to| format!(" until {to}")).unwrap_or_default())]
pub struct Range {
    /// What was edited at or after this...
    pub from: VendorMillis,
    /// ...and not after this, where there is an upper bound.
    pub to: Option<VendorMillis>,
}

/// A backfill: what was asked for, and what came of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// What it lists again.
    pub range: Range,
    /// When it was asked for.
    pub asked_at: LocalMillis,
    /// When it was begun.
    pub begun_at: Option<LocalMillis>,
    /// When it came to its end, or was cancelled.
    pub ended_at: Option<LocalMillis>,
    /// Records that the vendor lists in the range.
    pub listed: u64,
    /// Of these, those that were put into the bulk lane. A row that is stored as it is listed is left out.
    pub owed: u64,
    /// Calls of its list.
    pub calls: u64,
    /// Whether a person has cancelled it. What it had put into the bulk lane is fetched.
    pub is_cancelled: bool,
    /// Why it did not list the range to its end.
    pub problem: Option<Problem>,
}

impl Backfill {
    /// One that was asked for and has not begun.
    pub fn asked(range: Range, asked_at: LocalMillis) -> Self {
        let (begun_at, ended_at, problem) = (None, None, None);
        Self { range, asked_at, begun_at, ended_at, listed: 0, owed: 0, calls: 0, is_cancelled: false, problem }
    }
}

/// Why a sweep needs a person.
#[derive(Clone, Debug, Display, PartialEq, Eq, Serialize, Deserialize)]
#[display("{cause}; next: {next_step}")]
pub struct Problem {
    /// What happened.
    pub cause: String,
    /// What a person can do.
    pub next_step: String,
}

impl Problem {
    pub(crate) fn new(cause: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { cause: cause.into(), next_step: next_step.into() }
    }
}

/// A sweep under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// What is to be done next.
    pub phase: Phase,
    /// What it was begun on.
    pub ground: Ground,
    /// The sweep before, whose unlisted records are known.
    pub previous: Option<LocalMillis>,
    /// The last call that failed, for a person.
    pub failure: Option<String>,
    /// How often the call of this place of the list has failed, though the list of changes was read.
    pub failed_count: u32,
    /// What is known so far.
    pub proof: Proof,
    /// What it lists, if it is no sweep but a backfill. That one compares nothing and proves nothing.
    pub range: Option<Range>,
    /// How many records it has put into the bulk lane.
    pub owed: u64,
    /// How many records it fetches and compares, about, where lists give ids alone.
    pub sample: u64,
}

/// What a sweep is begun on. On another ground nothing that it has compared so far proves anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// The account and its settings.
    pub account_mark: String,
    /// The mark of the ledger.
    pub ledger_mark: Option<String>,
    /// The order of `committed`.
    pub committed: i64,
}

impl Ground {
    /// That of a stream as its checkpoint is.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { account_mark, ledger_mark, committed, .. } = checkpoint;
        Self { account_mark: account_mark.clone(), ledger_mark: ledger_mark.clone(), committed: committed.order() }
    }
}

impl Sweep {
    /// Whether it can go on: on the same account, after no loss or restore of the ledger, and no rewind, which follows where
    /// records were restored. What a person has approved is fetched in any case but another account's.
    pub(crate) fn can_go_on(&self, checkpoint: &Checkpoint) -> bool {
        let (now, then) = (Ground::of(checkpoint), &self.ground);
        let is_approved = self.proof.ended_at.is_some();
        let is_same = now.ledger_mark == then.ledger_mark && now.committed >= then.committed;
        now.account_mark == then.account_mark && (is_approved || is_same)
    }
}

/// What a sweep does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It lists, from here on.
    Pages(Place),
    /// It lists, from where the source says; a list that has no pages is asked for at once.
    Listing(Option<String>),
    /// It compares what is stored under this stream, behind this id; without a stream, from the beginning.
    Comparing(Option<StreamName>, Option<RecordId>),
    /// It owes a fetch for the candidates for deletion behind this id; a backfill for what it has listed.
    Owing(Option<RecordId>),
}

/// Where a sweep stands in numbered pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The page that is read next; none before the first.
    pub page: u32,
    /// How many times all pages were read before.
    pub pass: u32,
    /// Whether this pass met an id that none before had met.
    pub added: bool,
    /// The most entries that a page had.
    pub page_rows: usize,
    /// Entries of this pass without a usable id.
    pub unusable_count: usize,
}

/// What a sweep has found. Counts are of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proof {
    /// When it was begun, on the local clock: its name. What was looked at since is no candidate.
    pub begun_at: LocalMillis,
    /// The same on the vendor's clock.
    pub started_at: VendorMillis,
    /// When it ended, on the vendor's clock.
    pub ended_at: Option<VendorMillis>,
    /// Shown by the vendor's list.
    pub listed: u64,
    /// Stored and not deleted.
    pub stored: u64,
    /// Marked deleted in the copy.
    pub deleted: u64,
    /// Listed and not stored; fetched.
    pub missing: u64,
    /// Listed as another row than the stored one; stored.
    pub different: u64,
    /// Stored and not listed: candidates for deletion.
    pub extra: u64,
    /// Stored and not listed, as in the sweep before, and there when they were fetched since: inactive, as a rule.
    pub unlisted: u64,
    /// Stored and not listed, where no call fetches a single record: only counted.
    pub reported: u64,
    /// Candidates that wait for a person.
    pub withheld: u64,
    /// Fetched and compared, where lists give ids alone.
    pub sampled: u64,
    /// Of these, how many differed; fetched again and stored.
    pub sample_different: u64,
    /// Calls of the vendor.
    pub calls: u64,
    /// Streams of records whose list was not read whole: what it leaves out is no candidate.
    pub unproved: BTreeSet<StreamName>,
}

impl Proof {
    /// Whether the copy agreed with the vendor, but for what has been put right since.
    pub fn is_good(&self) -> bool {
        self.problem().is_none()
    }

    /// Why it needs a person.
    pub(crate) fn problem(&self) -> Option<Problem> {
        let Self { withheld, listed, stored, unproved, .. } = self;
        let cause = match (withheld, listed) {
            (0, _) if unproved.is_empty() => return None,
            (0, _) => {
                let names: Vec<&str> = unproved.iter().map(StreamName::as_str).collect();
                let names = names.join(", ");
                let cause = format!(
                    "the vendor did not show all of {names}: a list, or a part of it, is refused, fails or moves"
                );
                let next_step = "nothing if it is rare; else give the vendor's API user the right to list them, or turn \
                                 them off";
                return Some(Problem::new(cause, next_step));
            }
            (_, 0) => format!("the vendor lists nothing, though {stored} records are stored"),
            _ => format!("{withheld} of {stored} stored records are not listed"),
        };
        let next_step = "look at the vendor: if they are gone, approve it (`tidemark sweep approve`); else give the API user \
                         the rights that it has lost";
        Some(Problem::new(cause, next_step))
    }

    /// Whether there are so many candidates for deletion that a person is asked first.
    pub(crate) fn withholds(&self) -> bool {
        self.extra > CANDIDATES.max(self.stored.saturating_mul(CANDIDATES_PERCENT) / 100)
    }
}

/// Ids of a sweep that are kept between ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// The vendor lists them.
    Listed,
    /// Candidates for deletion.
    Extra,
    /// Known not to be listed, and there.
    Unlisted,
}

impl Kept {
    /// The name used in keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Extra => "extra",
            Self::Unlisted => "unlisted",
        }
    }
}

/// Where a piece of a sweep's ids is kept: no two are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PieceKey {
    /// The sweep.
    pub sweep: LocalMillis,
    /// What they are.
    pub kept: Kept,
    /// The version that the state had when somebody went on with the sweep.
    pub version: i64,
    /// The piece's number since then.
    pub seq: u32,
}

/// What it means that a list of everything leaves a stored record out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It is deleted or inactive: a fetch says which.
    Fetched,
    /// The same, but no call fetches a single record: it is only counted.
    Reported,
    /// Nothing: the key's user may not see it.
    Unproved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_twenty_candidates_or_a_twentieth_are_fetched_unasked() {
        for (stored, extra, withholds) in
            [(0, 20, false), (0, 21, true), (400, 20, false), (400, 21, true), (1_000, 50, false), (1_000, 51, true)]
        {
            let proof = Proof { stored, extra, ..Proof::default() };
            assert_eq!(proof.withholds(), withholds, "{extra} of {stored}");
        }
    }
}
