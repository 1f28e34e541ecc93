//! Checkpoints in memory.

use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Written};
use tidemark_engine::stream::StreamKey;

use super::gate::{Gate, Operation};
use super::tables::{Flaw, MemoryTables, Tables};

impl<G: Gate> Checkpoints for MemoryTables<G> {
    async fn load(&self, stream: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure> {
        self.read(Operation::Load, |tables| tables.checkpoints.get(stream).cloned()).await
    }

    async fn create(&self, first: &Checkpoint) -> Result<Written, StoreFailure> {
        self.write(Operation::Create, first, |tables, first| {
            if tables.checkpoints.contains_key(&first.stream) {
                return Written::Refused;
            }
            tables.checkpoints.insert(first.stream.clone(), first.clone());
            Written::Applied
        })
        .await
    }

    async fn store(&self, next: &Checkpoint) -> Result<Written, StoreFailure> {
        self.write(Operation::Store, next, store).await
    }
}

fn store(tables: &mut Tables, next: &Checkpoint) -> Written {
    let flaw = tables.flaw;
    let Some(stored) = tables.checkpoints.get_mut(&next.stream) else {
        return Written::Refused;
    };
    if stored.version.checked_add(1) != Some(next.version) && flaw != Some(Flaw::NoVersion) {
        return Written::Refused;
    }
    stored.clone_from(next);
    Written::Applied
}
