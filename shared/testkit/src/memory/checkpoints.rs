//! Checkpoints in memory: E0, E1 and every conditional transition.

use tidemark_engine::checkpoint::{Checkpoint, Guard, Position, Transition};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Acquired, Checkpoints, Written};
use tidemark_engine::run::Run;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::StreamKey;

use super::gate::{Gate, Operation};
use super::tables::{Flaw, MemoryTables, StoredCheckpoint, Tables};

impl<G: Gate> Checkpoints for MemoryTables<G> {
    async fn load(&self, stream: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure> {
        self.call(Operation::Load, |tables| tables.checkpoints.get(stream).map(|stored| stored.state.clone())).await
    }

    async fn create(&self, stream: &StreamKey, start: &Position) -> Result<Written, StoreFailure> {
        self.call(Operation::Create, |tables| {
            if tables.checkpoints.contains_key(stream) {
                return Written::Refused;
            }
            let state = Checkpoint::first(stream.clone(), start.clone());
            tables.checkpoints.insert(stream.clone(), StoredCheckpoint { state, has_epoch: false });
            Written::Applied
        })
        .await
    }

    async fn acquire(
        &self,
        stream: &StreamKey,
        owner: &str,
        now: UtcMillis,
        until: UtcMillis,
    ) -> Result<Acquired, StoreFailure> {
        self.call(Operation::Acquire, |tables| {
            let Some(stored) = tables.checkpoints.get_mut(stream) else {
                return Acquired::Missing;
            };
            let state = &mut stored.state;
            if state.lease_until >= now && state.lease_owner != owner {
                return Acquired::Busy(state.lease_until);
            }
            let last = if stored.has_epoch { state.epoch } else { now.get() };
            stored.has_epoch = true;
            state.epoch = last.saturating_add(1);
            state.lease_until = until;
            owner.clone_into(&mut state.lease_owner);
            Acquired::Held(Box::new(state.clone()))
        })
        .await
    }

    async fn store(&self, transition: &Transition) -> Result<Written, StoreFailure> {
        self.call(Operation::Store, |tables| store(tables, transition)).await
    }
}

fn store(tables: &mut Tables, transition: &Transition) -> Written {
    let next = &transition.next;
    let Some(stored) = tables.checkpoints.get_mut(&next.stream) else {
        return Written::Refused;
    };
    let state = &mut stored.state;
    let is_own = stored.has_epoch && state.epoch == next.epoch;
    if tables.flaw == Some(Flaw::NoFence) {
        let epoch = state.epoch;
        state.clone_from(next);
        state.epoch = epoch;
        return Written::Applied;
    }
    let goes_back = next.committed.order() < state.committed.order() || next.scanned.order() < state.scanned.order();
    if !is_own || goes_back || !holds(&transition.guard, state.run.as_ref()) {
        return Written::Refused;
    }
    state.clone_from(next);
    if state.run.is_none() {
        for entry in std::mem::take(&mut tables.held_back) {
            tables.quarantine.insert((entry.stream.clone(), entry.id.clone()), entry);
        }
    }
    Written::Applied
}

fn holds(guard: &Guard, run: Option<&Run>) -> bool {
    match guard {
        Guard::NoRun => run.is_none(),
        Guard::Run { run_id, accepted } => run.is_some_and(|run| run.run_id == *run_id && run.accepted == *accepted),
        Guard::Sealed { run_id } => run.is_some_and(|run| run.run_id == *run_id && run.sealed),
        Guard::Abort { run_id } => run.is_some_and(|run| run.run_id == *run_id),
    }
}
