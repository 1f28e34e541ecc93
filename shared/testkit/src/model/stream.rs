//! The stream item's conditions: E0, E1, and the transitions E2, E4, E5, E12, E13.

use tidemark_engine::checkpoint::{Checkpoint, Guard, Position, Transition};
use tidemark_engine::ports::{Acquired, Written};
use tidemark_engine::run::Run;
use tidemark_engine::stamp::UtcMillis;

use super::arm::{Arm, SEVERAL_CAUSES};
use super::items::Items;

impl Items {
    /// E0.
    pub(super) fn create(&mut self, start: &Position) -> (Written, Arm) {
        if self.checkpoint.is_some() {
            return (Written::Refused, "create: there is one");
        }
        self.checkpoint = Some(Checkpoint::first(self.stream.clone(), start.clone()));
        (Written::Applied, "create: there was none")
    }

    /// E1.
    pub(super) fn acquire(&mut self, owner: &str, now: UtcMillis, until: UtcMillis) -> (Acquired, Arm) {
        let Some(stored) = &self.checkpoint else {
            return (Acquired::Missing, "acquire: there is no stream");
        };
        let arm = if !self.leased {
            "acquire: the first lease"
        } else if stored.lease_owner == owner {
            "acquire: one's own lease"
        } else if stored.lease_until < now {
            "acquire: the lease is over"
        } else if stored.lease_until == now {
            return (Acquired::Busy(stored.lease_until), "acquire: owned by another until this instant");
        } else {
            return (Acquired::Busy(stored.lease_until), "acquire: owned by another");
        };
        let before = if self.leased { stored.epoch } else { now.get() };
        let held = Checkpoint {
            epoch: before.saturating_add(1),
            lease_until: until,
            lease_owner: owner.to_owned(),
            ..stored.clone()
        };
        self.leased = true;
        self.checkpoint = Some(held.clone());
        (Acquired::Held(Box::new(held)), arm)
    }

    /// E2, E4, E5, E12, E13: every condition is asked, so that a refusal is told from one with several causes.
    pub(super) fn store(&mut self, transition: &Transition) -> (Written, Arm) {
        let Some(stored) = &self.checkpoint else {
            return (Written::Refused, "store: there is no stream");
        };
        let next = &transition.next;
        let mut causes = Vec::new();
        if !self.leased {
            causes.push("store: never leased");
        } else if next.epoch < stored.epoch {
            causes.push("store: a stale epoch");
        } else if next.epoch > stored.epoch {
            causes.push("store: an epoch that never was");
        }
        if next.committed.order() < stored.committed.order() {
            causes.push("store: committed goes back");
        }
        if next.scanned.order() < stored.scanned.order() {
            causes.push("store: scanned goes back");
        }
        let applied = match guard(&transition.guard, stored.run.as_ref()) {
            Ok(applied) => applied,
            Err(cause) => {
                causes.push(cause);
                cause
            }
        };
        match causes.as_slice() {
            [] => {
                self.checkpoint = Some(next.clone());
                (Written::Applied, applied)
            }
            [cause] => (Written::Refused, cause),
            _ => (Written::Refused, SEVERAL_CAUSES),
        }
    }
}

/// The way out when the guard holds, or the cause that it does not.
fn guard(guard: &Guard, run: Option<&Run>) -> Result<Arm, Arm> {
    match (guard, run) {
        (Guard::NoRun, None) => Ok("store without a run: applied"),
        (Guard::NoRun, Some(_)) => Err("store without a run: there is one"),

        (Guard::Run { .. }, None) => Err("store with a run: there is none"),
        (Guard::Run { run_id, .. }, Some(run)) if run.run_id != *run_id => Err("store with a run: it is another"),
        (Guard::Run { accepted, .. }, Some(run)) if run.accepted != *accepted => {
            Err("store with a run: other chunks were accepted")
        }
        (Guard::Run { .. }, Some(_)) => Ok("store with a run: applied"),

        (Guard::Sealed { .. }, None) => Err("commit: there is no run"),
        (Guard::Sealed { run_id }, Some(run)) if run.run_id != *run_id => Err("commit: the run is another"),
        (Guard::Sealed { .. }, Some(run)) if !run.sealed => Err("commit: the run is not sealed"),
        (Guard::Sealed { .. }, Some(_)) => Ok("commit: applied"),

        (Guard::Abort { .. }, None) => Err("abort: there is no run"),
        (Guard::Abort { run_id }, Some(run)) if run.run_id != *run_id => Err("abort: the run is another"),
        (Guard::Abort { .. }, Some(_)) => Ok("abort: applied"),
    }
}
