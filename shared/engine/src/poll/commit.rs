//! Committing a finished run: the only way in which a checkpoint moves.

use std::time::Duration;

use crate::checkpoint::{Checkpoint, Guard, Position, SeenToken, TOKENS_KEPT};
use crate::ports::Ledger;
use crate::quarantine::{PoisonPolicy, Quarantined};
use crate::rule::Rule;
use crate::run::{Run, STAMPLESS_MARGIN};
use crate::stamp::UtcMillis;
use crate::stream::ListShape;

use super::clocks::{ZoneEvidence, clip};
use super::tick::{Halt, Tick};
use super::{Notice, PollerPorts};

impl<P: PollerPorts> Tick<'_, P> {
    /// Commits the run in hand (E12), whose ids are all stored or quarantined.
    pub(super) async fn commit(&mut self) -> Result<(), Halt> {
        let Some(run) = self.checkpoint.run.clone() else {
            return Ok(());
        };
        let (reached, doubt) = self.reached(&run);
        self.report.notices.extend(doubt);
        let scanned = self.checkpoint.scanned.clone().max(reached);
        let committed = self.committable(scanned.clone());
        let now = self.now();
        let mut next = Checkpoint {
            committed,
            scanned,
            run: None,
            last_success_at: Some(now),
            last_progress_at: Some(now),
            ..self.checkpoint.clone()
        };
        self.note_listed(&mut next, run.horizon);
        note_token(&mut next, now);
        self.report.committed = Some(next.committed.clone());
        self.report.pending_count = 0;
        self.store(Guard::Sealed { run_id: run.run_id }, next).await
    }

    /// How far the run got: the newest stamp stored, clipped to the horizon; a feed's token; or, where records bear no
    /// stamps, the horizon less a margin and less what the source's other streams showed of a wrong zone.
    fn reached(&self, run: &Run) -> (Position, Option<Notice>) {
        let newest = run.newest.clone();
        if self.traits.shape == ListShape::Feed {
            return (newest.unwrap_or_else(|| self.checkpoint.scanned.clone()), None);
        }
        if !self.traits.stamped {
            let margin = if Rule::StamplessMargin.is_left_out() { Duration::ZERO } else { STAMPLESS_MARGIN };
            return (Position::At(run.horizon.minus(margin).shifted(-self.stamps_behind_ms())), None);
        }
        let Some(newest) = newest.and_then(|position| position.at()) else {
            return (self.checkpoint.scanned.clone(), None);
        };
        let (bound, doubt) = clip(&ZoneEvidence {
            newest,
            horizon: run.horizon,
            previous_horizon: self.checkpoint.listed_at,
            known: run.known.max(self.checkpoint.scanned.at()).unwrap_or_default(),
            now: run.horizon.plus(self.now().since(run.listed_at)),
        });
        if Rule::Horizon.is_left_out() {
            return (Position::At(newest), None);
        }
        if Rule::ZoneGuard.is_left_out() {
            return (Position::At(newest.min(run.horizon)), None);
        }
        (Position::At(newest.min(run.horizon).min(bound)), doubt)
    }

    /// How far `committed` may follow `scanned`: under `block` not past what any quarantined id holds it at.
    pub(super) fn committable(&self, scanned: Position) -> Position {
        let holds = self.quarantined.iter().map(|entry| entry.held_checkpoint.clone());
        let target = match self.poller.settings.poison_policy {
            PoisonPolicy::Advance => scanned,
            PoisonPolicy::Block => holds.fold(scanned, Position::min),
        };
        self.checkpoint.committed.clone().max(target)
    }

    /// Notes that a listing of this horizon has nothing outstanding. The first one does not count as a listing that
    /// news can be compared with: it may have been clipped, and then the next one tells of old records again.
    pub(super) fn note_listed(&self, next: &mut Checkpoint, horizon: UtcMillis) {
        if !self.is_first_import() {
            next.listed_at = next.listed_at.max(Some(horizon));
        }
        if self.quarantined.is_empty() {
            next.complete_at = next.complete_at.max(Some(horizon));
        }
    }

    pub(super) async fn read_quarantine(&self) -> Result<Vec<Quarantined>, Halt> {
        Ok(self.poller.ports.ledger().quarantined(&self.checkpoint.stream).await?)
    }
}

/// Remembers a feed's token, so that a later run can start at one that is older than the overlap.
pub(super) fn note_token(next: &mut Checkpoint, now: UtcMillis) {
    let is_new = next.tokens.last().is_none_or(|last| last.position != next.scanned);
    if matches!(next.scanned, Position::Token { .. }) && is_new {
        next.tokens.push(SeenToken { position: next.scanned.clone(), seen_at: now });
        let surplus = next.tokens.len().saturating_sub(TOKENS_KEPT);
        next.tokens.drain(..surplus);
    }
}
