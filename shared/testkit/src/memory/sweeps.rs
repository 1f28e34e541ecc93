//! What sweeps keep, in memory.

use std::ops::Bound;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::Written;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::StreamKey;
use tidemark_sweep::ports::{Slice, StoredSlices, Sweeps};
use tidemark_sweep::state::{Kept, PieceKey, SweepState};

use super::gate::{Gate, Operation};
use super::records::seen;
use super::tables::MemoryTables;

/// How many records a slice has: few, so that many are read.
const SLICE: usize = 10;

impl<G: Gate> Sweeps for MemoryTables<G> {
    async fn load_sweep(&self, stream: &StreamKey) -> Result<Option<SweepState>, StoreFailure> {
        self.read(Operation::LoadSweep, |tables| tables.sweeps.get(stream).cloned()).await
    }

    async fn store_sweep(&self, stream: &StreamKey, next: &SweepState) -> Result<Written, StoreFailure> {
        let stream = stream.clone();
        self.write(Operation::StoreSweep, next, move |tables, next| {
            if tables.sweeps.get(&stream).is_some_and(|stored| stored.version != next.version - 1) {
                return Written::Refused;
            }
            tables.sweeps.insert(stream.clone(), next.clone());
            Written::Applied
        })
        .await
    }

    async fn keep(&self, stream: &StreamKey, piece: &PieceKey, ids: &[RecordId]) -> Result<(), StoreFailure> {
        let key = (stream.clone(), piece.clone());
        self.write(Operation::Keep, ids, move |tables, ids| {
            tables.pieces.insert(key.clone(), ids.to_vec());
        })
        .await
    }

    async fn kept(&self, stream: &StreamKey, sweep: LocalMillis, kept: Kept) -> Result<Vec<RecordId>, StoreFailure> {
        self.read(Operation::Kept, |tables| {
            let is_its = |piece: &PieceKey| piece.sweep == sweep && piece.kept == kept;
            let pieces = tables.pieces.iter().filter(|((owner, piece), _)| owner == stream && is_its(piece));
            pieces.flat_map(|(_, ids)| ids.iter().cloned()).collect()
        })
        .await
    }
}

impl<G: Gate> StoredSlices for MemoryTables<G> {
    async fn slice(&self, records: &StreamKey, after: Option<&RecordId>) -> Result<Slice, StoreFailure> {
        self.read(Operation::Slice, |tables| {
            let seen = seen(self.gate().reads_stale());
            let StreamKey { source, name } = records.clone();
            let after = after.map(|after| RecordKey { source, stream: name, id: after.clone() });
            let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
            let later = tables.records.range((behind, Bound::Unbounded));
            let of_stream = later.filter(|(key, _)| key.partition() == *records);
            let few: Vec<_> = of_stream.take(SLICE + 1).collect();
            let found = few.iter().take(SLICE).filter_map(|(key, record)| Some((key.id.clone(), seen(record)?)));
            Slice { found: found.collect(), more: few.len() > SLICE }
        })
        .await
    }
}
