//! What a sweep asks of the world beside what a poller does. `tidemark_testkit::contract` holds every implementation to
//! it.

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::poll::PollerPorts;
use tidemark_engine::ports::Written;
use tidemark_engine::record::{RecordId, StoredVersion};
use tidemark_engine::stream::{StreamKey, StreamName};

use crate::state::{Absence, Kept, PieceKey, SweepState};

/// The ports that a sweep needs.
pub trait SweepPorts: PollerPorts {
    /// What sweeps keep.
    fn sweeps(&self) -> &impl Sweeps;
    /// The stored versions, in the order of their ids.
    fn slices(&self) -> &impl StoredSlices;
    /// What the vendor's lists show.
    fn shown(&self) -> &impl Shown;
}

/// What sweeps keep in the ledger.
pub trait Sweeps {
    /// The state of a stream's sweeps, strongly consistent; none before the first was asked for.
    async fn load_sweep(&self, stream: &StreamKey) -> Result<Option<SweepState>, StoreFailure>;
    /// Replaces the state if the stored version is `next.version - 1`, or nothing is stored.
    async fn store_sweep(&self, stream: &StreamKey, next: &SweepState) -> Result<Written, StoreFailure>;
    /// Keeps ids of a sweep, at most [`crate::state::PIECE_BYTES`] of them. Idempotent.
    async fn keep(&self, stream: &StreamKey, piece: &PieceKey, ids: &[RecordId]) -> Result<(), StoreFailure>;
    /// All kept ids of a sweep, strongly consistent, in any order, perhaps some of them twice. After
    /// [`crate::state::KEPT_FOR`] they may be gone.
    async fn kept(&self, stream: &StreamKey, sweep: LocalMillis, kept: Kept) -> Result<Vec<RecordId>, StoreFailure>;
}

/// The records, for the one who compares all that are stored.
pub trait StoredSlices {
    /// The next stored records of a stream behind this id, or the first ones; some thousands at most, and at least one
    /// while more follow. Eventually consistent.
    async fn slice(&self, records: &StreamKey, after: Option<&RecordId>) -> Result<Slice, StoreFailure>;
}

/// Some stored records of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// The records, in the order of the bytes of their ids.
    pub found: Vec<(RecordId, StoredVersion)>,
    /// Whether more may follow.
    pub more: bool,
}

/// What a vendor's lists show.
pub trait Shown {
    /// The streams of records that a list of everything shows, and what it means that it leaves a record out.
    fn swept(&self, stream: &StreamName) -> Vec<(StreamName, Absence)> {
        vec![(stream.clone(), Absence::Fetched)]
    }

    /// The id under which lists show a stored record, where it can be known: the other way round of
    /// `Source::record_of`.
    fn listed_id(&self, _records: &StreamName, id: &RecordId) -> Option<RecordId> {
        Some(id.clone())
    }
}
