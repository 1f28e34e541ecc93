//! Taking the stream: the checkpoint as it is, or why it may not be touched (C1).

use super::{PollOutcome, PollReport, Poller, PollerPorts};
use crate::{
    ACCOUNT_CHANGED, Checkpoint, Checkpoints, Clock, FailureClass, LEASE, Ledger, LocalMillis, Notice, Rule, Source,
    StoreFailure, StreamKey, StreamTraits, Why, Written, commit, describe,
};

impl<P: PollerPorts> Poller<P> {
    /// Takes the lease, creating the stream's state if there is none; also whether the last poller freed it. Else the outcome
    /// of a stream not to be touched.
    pub(super) async fn lease(
        &self,
        key: &StreamKey,
        traits: &StreamTraits,
        owner: &str,
        report: &mut PollReport,
    ) -> Result<Result<(Checkpoint, bool), PollOutcome>, StoreFailure> {
        let account_mark = match self.ports.source().account_mark().await {
            Ok(mark) => mark,
            Err(failure) => return Ok(Err(PollOutcome::SourceFailed(failure.class, describe(&failure, key)))),
        };
        let checkpoints = self.ports.checkpoints();
        let found = if let Some(found) = checkpoints.load(key).await? {
            found
        } else {
            // Versions are never used again, even if the item was deleted: they are part of chunks' keys.
            let version = self.ports.clock().now().get();
            let first = Checkpoint { version, ..Checkpoint::first(key.clone(), traits, account_mark.clone()) };
            if checkpoints.create(&first).await? == Written::Refused {
                return Ok(Err(PollOutcome::LeaseBusy));
            }
            report.notices.insert(Notice::FirstImport);
            first
        };
        let now = self.ports.clock().now();
        if found.lease_until > now {
            return Ok(Err(PollOutcome::LeaseBusy));
        }
        if found.account_mark != account_mark && !Rule::AccountPoller.is_left_out() {
            report.notices.insert(Notice::AccountChanged);
            // Over at once, so that the next poll tries again: it only lets others know why nothing is listed.
            let why = Why { class: FailureClass::Forbidden, cause: ACCOUNT_CHANGED.to_owned() };
            self.ports.ledger().pause_stream(key, now, &why).await?;
            return Ok(Err(PollOutcome::AccountChanged));
        }
        let (version, is_sole) = (found.version + 1, found.lease_until == LocalMillis::default());
        let next = Checkpoint { version, lease_until: now.plus(LEASE), lease_owner: owner.to_owned(), ..found };
        if commit::write(checkpoints, &next).await? { Ok(Ok((next, is_sole))) } else { Ok(Err(PollOutcome::LeaseBusy)) }
    }
}
