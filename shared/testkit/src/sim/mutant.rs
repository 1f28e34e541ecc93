//! Wrong variants that can be had without touching the engine: its ports misbehave as if the rule had been forgotten.
//!
//! A simulation that does not notice them would prove nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tidemark_engine::chunk::ChunkKey;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Clock, Records, Stored, StoredVersions};
use tidemark_engine::record::{Body, Record, RecordKey, StoredVersion, Tombstone};

use super::gate::SimGate;
use super::ports::LocalClock;
use crate::memory::{Flaw, MemoryTables};

/// How far off an uncorrected clock is taken to be, in milliseconds.
const CLOCK_OFF_MILLIS: i64 = 600_000;

/// A rule left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Checkpoints are not fenced by the epoch.
    NoFence,
    /// A run is finished when a counter was counted down.
    Counter,
    /// A run is finished when the queue looks empty.
    QueueLooksEmpty,
    /// Two versions of one second are taken for the same.
    DedupeByStamp,
    /// A lost message is never sent again.
    NoResend,
    /// Quarantine is written after the commit.
    LateQuarantine,
    /// Rows are dated by the time at which they are processed.
    RowStampedWhenProcessed,
    /// A listed row is left alone when its stamp alone is stored.
    RowSkippedByStamp,
    /// The settled rule compares clocks that are apart.
    UncorrectedClock,
    /// A record stored without a stamp refuses every later version.
    StamplessRefuses,
}

impl Mutant {
    /// Every one of them.
    pub const ALL: [Self; 10] = [
        Self::NoFence,
        Self::Counter,
        Self::QueueLooksEmpty,
        Self::DedupeByStamp,
        Self::NoResend,
        Self::LateQuarantine,
        Self::RowStampedWhenProcessed,
        Self::RowSkippedByStamp,
        Self::UncorrectedClock,
        Self::StamplessRefuses,
    ];

    /// What the tables get wrong all the time, if it is they.
    pub(super) fn flaw(self) -> Option<Flaw> {
        match self {
            Self::NoFence => Some(Flaw::NoFence),
            Self::Counter => Some(Flaw::CountsDown),
            Self::DedupeByStamp => Some(Flaw::RefusesEqualStamps),
            Self::LateQuarantine => Some(Flaw::QuarantinesLate),
            Self::StamplessRefuses => Some(Flaw::RefusesMissingStamps),
            Self::QueueLooksEmpty
            | Self::NoResend
            | Self::RowStampedWhenProcessed
            | Self::RowSkippedByStamp
            | Self::UncorrectedClock => None,
        }
    }
}

/// Which chunks were sent, for the mutant that sends each only once.
#[derive(Debug, Default)]
pub(super) struct SentOnce(Mutex<BTreeSet<ChunkKey>>);

impl SentOnce {
    /// Whether this is the first time.
    pub(super) fn is_first(&self, key: ChunkKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key)
    }
}

/// Records that may be dated wrongly.
pub(super) struct SimRecords {
    pub(super) tables: MemoryTables<SimGate>,
    pub(super) gate: SimGate,
    pub(super) clock: LocalClock,
}

impl Records for SimRecords {
    async fn upsert(&self, record: &Record) -> Result<Stored, StoreFailure> {
        if self.gate.world.mutant == Some(Mutant::RowStampedWhenProcessed) {
            let fetched_at = self.clock.now();
            return self.tables.upsert(&Record { fetched_at, ..record.clone() }).await;
        }
        self.tables.upsert(record).await
    }

    async fn tombstone(&self, tombstone: &Tombstone) -> Result<Stored, StoreFailure> {
        self.tables.tombstone(tombstone).await
    }
}

/// Stored versions that may be shown wrongly.
pub(super) struct SimVersions {
    pub(super) tables: MemoryTables<SimGate>,
    pub(super) gate: SimGate,
}

impl StoredVersions for SimVersions {
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        let mut versions = self.tables.versions(keys).await?;
        let world = &self.gate.world;
        match world.mutant {
            Some(Mutant::UncorrectedClock) => {
                for version in versions.values_mut() {
                    version.fetched_at = version.fetched_at.shifted(CLOCK_OFF_MILLIS);
                }
            }
            Some(Mutant::RowSkippedByStamp) => world.source.with(|vendor| {
                for (key, version) in &mut versions {
                    let listed = vendor.seen(&key.id, world.now()).and_then(|seen| seen.body.as_ref());
                    version.fingerprint = listed.map(Body::fingerprint).or(version.fingerprint);
                }
            }),
            _ => {}
        }
        Ok(versions)
    }
}
