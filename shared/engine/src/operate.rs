//! What an operator may do: accept new settings, begin again, list again from an earlier position, fetch records again.

use std::time::Duration;

use crate::{
    ChangeQueue, Checkpoint, Checkpoints, Clocks, Ledger, LocalMillis, Message, Outgoing, Position, Reason, RecordId,
    RetryEntry, Rule, StoreFailure, StreamKey, StreamTraits, commit, retry_after,
};

/// How long after an acceptance looks say nothing about `behind`: they may have begun before it.
const EVIDENCE_WAIT: Duration = Duration::from_secs(400);

/// What an operator did, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, on the operator's clock.
    pub at: LocalMillis,
    /// Who, by the ARN of the credentials.
    pub by: String,
    /// The command, such as `checkpoint rewind`.
    pub command: String,
    /// What it was about, such as `fieldmotion/jobs`.
    pub subject: String,
    /// What was done, in words.
    pub what: String,
    /// The reason given.
    pub why: Option<String>,
}

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
            next = Checkpoint { version: next.version, ledger_mark: next.ledger_mark, ..fresh };
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

/// Owes a fetch of these ids at once, in the retry lane, and sends them. An id that is there already keeps what is known of
/// its failures and is only sent.
///
/// # Errors
/// Any [`StoreFailure`]. What was not sent is owed, and a later poll sends it.
pub async fn fetch_again<L: Ledger, Q: ChangeQueue>(
    ledger: &L,
    queue: &Q,
    stream: &StreamKey,
    account_mark: &str,
    ids: &[RecordId],
    now: LocalMillis,
) -> Result<(), StoreFailure> {
    let mut outgoing = Vec::with_capacity(ids.len());
    for id in ids {
        let known = ledger.retry_entry(stream, id).await?;
        let attempts = known.as_ref().map_or(0, |entry| entry.attempts);
        if known.is_none() {
            let asked = RetryEntry {
                stream: stream.clone(),
                id: id.clone(),
                reason: Reason::Asked,
                cause: "an operator asked for it".to_owned(),
                since: now,
                holds: None,
                listed_at: now,
                attempts,
                next_at: now,
            };
            ledger.set_aside(&asked).await?;
        }
        // As a poll does it: before it is sent, because an entry that resolves at once must not be written again.
        ledger.reschedule(stream, id, attempts + 1, now.plus(retry_after(attempts))).await?;
        let message = Message::of_retry(stream, id.clone(), account_mark);
        outgoing.push(Outgoing { message, delay: Duration::ZERO });
    }
    queue.send(&outgoing).await.map(|_| ())
}
