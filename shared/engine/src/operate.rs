//! What an operator may do to a checkpoint: section 9 of `docs/protocol.md`.

use std::time::Duration;

use crate::{
    Checkpoint, Checkpoints, Clocks, LocalMillis, Position, Rule, StoreFailure, StreamKey, StreamTraits, commit,
};

/// How long after an acceptance looks say nothing about `behind`: they may have begun before it.
const EVIDENCE_WAIT: Duration = Duration::from_secs(400);

/// An act of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The account is the same as before; only its address, its key or how it is read has changed.
    KeepCopy,
    /// It is another account, or everything shall be listed again: the stream is imported from its beginning.
    StartAgain,
    /// The list starts at this position again.
    Rewind(Position),
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It is done.
    Done,
    /// The stream has no checkpoint.
    Missing,
    /// A poller is at work; try again when it has ended.
    Busy,
    /// The stream is a feed: it is listed again from its beginning, or not at all.
    NoPosition,
}

/// Does an act, in one conditional write.
///
/// # Errors
/// Any [`StoreFailure`].
pub async fn act<C: Checkpoints>(
    checkpoints: &C,
    stream: &StreamKey,
    traits: &StreamTraits,
    account_mark: &str,
    now: LocalMillis,
    act: &Act,
) -> Result<Acted, StoreFailure> {
    let Some(found) = checkpoints.load(stream).await? else { return Ok(Acted::Missing) };
    let mut next = Checkpoint { version: found.version + 1, ..found };
    match act {
        Act::KeepCopy => {
            account_mark.clone_into(&mut next.account_mark);
            if !Rule::AcceptForgets.is_left_out() {
                next.clocks.behind = Clocks::unknown(traits.stamped).behind;
            }
            // Must not cut short a wait that is under way.
            let from = next.clocks.evidence_from.max(now.plus(EVIDENCE_WAIT));
            next.clocks.evidence_from = if Rule::AcceptEvidence.is_left_out() { now } else { from };
        }
        Act::StartAgain => {
            let fresh = Checkpoint::first(stream.clone(), traits, account_mark.to_owned());
            // A poller that is at work may still put what it has listed.
            let Checkpoint { version, lease_until, lease_owner, ledger_mark, .. } = next;
            next = Checkpoint { version, lease_until, lease_owner, ledger_mark, ..fresh };
        }
        Act::Rewind(_) if next.scanned.at().is_none() => return Ok(Acted::NoPosition),
        Act::Rewind(position) => {
            next.scanned = next.scanned.min(position.clone());
            if !Rule::RewindCommitted.is_left_out() {
                next.committed = next.committed.min(position.clone());
            }
        }
    }
    Ok(if commit::write(checkpoints, &next).await? { Acted::Done } else { Acted::Busy })
}
