//! Listing a stream whose list gives all changed ids at once. They are put in order, so that an id can be the cursor.

use super::{Debt, Halt, InHand, Listed, OwedWork, PollerPorts, Tick, in_flight};
use crate::{Change, Cursor, Lane, ListRequest, LocalMillis, Rule};

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn list_ids(&mut self, owed: &OwedWork, sends: bool) -> Result<Listed, Halt> {
        let from = self.overlap_below(self.scanned_stamp());
        let (page, reading) = self.call(ListRequest::Changed(from), 1).await?;
        let mut changes = in_id_order(page.changes);
        if Rule::ListRetried.is_left_out() {
            changes.retain(|change| !owed.retries.iter().any(|entry| entry.id == change.id));
        }
        let evidence = self.evidence_of(&changes).await?;
        let begun_at = reading.start;
        let mut rest = changes.into_iter().peekable();
        let mut debt = self.fresh_debt(owed, begun_at, sends);
        self.owe(&mut debt, &mut rest, self.poller.settings.fresh_chunks()).await?;
        let last = debt.last.filter(|_| rest.peek().is_some());
        let rest = last.map(|last| (Cursor::Id(last), InHand::Ids(rest.collect(), begun_at)));
        Ok(self.listed(from, &reading, &evidence, rest))
    }

    /// Where fresh changes go: as many as a visibility timeout has calls for are sent at once.
    pub(super) fn fresh_debt(&self, owed: &OwedWork, listed_at: LocalMillis, sends: bool) -> Debt {
        let holds = Some(self.checkpoint.scanned.clone());
        let room = self.fresh_cap().saturating_sub(in_flight(&owed.fresh, self.now()));
        Debt { lane: Lane::Fresh, holds, listed_at, room: if sends { room } else { 0 }, last: None }
    }
}

/// The changes by id, each id once.
pub(super) fn in_id_order(mut changes: Vec<Change>) -> Vec<Change> {
    if Rule::CursorOrder.is_left_out() {
        return changes;
    }
    changes.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    changes.dedup_by(|a, b| a.id == b.id);
    changes
}
