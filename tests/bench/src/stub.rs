//! Tables and a queue that keep nothing but a checkpoint, so that only the function itself is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tidemark_aws::clock::{SystemClock, SystemRandom};
use tidemark_engine::breaker::{Pause, SourceState, StampGap};
use tidemark_engine::checkpoint::{Checkpoint, Position, Transition};
use tidemark_engine::chunk::{Chunk, ChunkKey, Finish};
use tidemark_engine::failure::{FailureClass, SourceFailure, StoreFailure};
use tidemark_engine::fetch::FetcherPorts;
use tidemark_engine::poll::PollerPorts;
use tidemark_engine::ports::{
    Acquired, ChangeQueue, Checkpoints, Clock, Credentials, Ledger, Outgoing, Records, Stored, StoredVersions, Written,
};
use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::{Record, RecordId, RecordKey, StoredVersion, Tombstone};
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{SourceKind, StreamKey};
use tidemark_sources::registry::{AnySource, SourceConfig, build};

/// The credential that a fake vendor accepts by default.
pub(crate) struct FakeCredential(SourceKind);

impl Credentials for FakeCredential {
    async fn secret(&self) -> Result<SecretString, SourceFailure> {
        let secret = match self.0 {
            SourceKind::FieldMotion => r#"{"api_id":"123","api_key":"0123456789abcdef0123456789abcdef"}"#,
            SourceKind::FsmNavigator => r#"{"api_key":"fsm_test_0123456789abcdef"}"#,
            SourceKind::FieldAware | SourceKind::Fieldly => {
                return Err(SourceFailure::new(FailureClass::Unauthorized, "this source is not measured"));
            }
        };
        Ok(secret.into())
    }

    async fn fresh_secret(&self) -> Result<SecretString, SourceFailure> {
        self.secret().await
    }
}

/// A real source, and tables that keep nothing.
pub(crate) struct Bare {
    source: AnySource<SystemClock, FakeCredential>,
    ids: Vec<RecordId>,
    checkpoint: Mutex<Option<Checkpoint>>,
}

impl Bare {
    /// Asks the vendor at `url`, without a rate limit; its chunks hold `ids`, fifty each.
    pub(crate) fn new(kind: SourceKind, url: &str, ids: Vec<RecordId>) -> Result<Self, Box<dyn std::error::Error>> {
        let config = SourceConfig { kind, base_url: url, settings: "{}", requests_per_second: "1000000" };
        Ok(Self { source: build(config, FakeCredential(kind), SystemClock)?, ids, checkpoint: Mutex::new(None) })
    }

    /// The ids of chunk `seq`.
    pub(crate) fn ids_of(&self, seq: u32) -> BTreeSet<RecordId> {
        let first = usize::try_from(seq).unwrap_or(0) * 50;
        self.ids.iter().skip(first).take(50).cloned().collect()
    }

    fn checkpoint(&self) -> std::sync::MutexGuard<'_, Option<Checkpoint>> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checkpoints for Bare {
    async fn load(&self, _: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure> {
        Ok(self.checkpoint().clone())
    }

    async fn create(&self, stream: &StreamKey, start: &Position) -> Result<Written, StoreFailure> {
        *self.checkpoint() = Some(Checkpoint::first(stream.clone(), start.clone()));
        Ok(Written::Applied)
    }

    async fn acquire(&self, _: &StreamKey, _: &str, _: UtcMillis, _: UtcMillis) -> Result<Acquired, StoreFailure> {
        Ok(self.checkpoint().clone().map_or(Acquired::Missing, |held| Acquired::Held(Box::new(held))))
    }

    async fn store(&self, transition: &Transition) -> Result<Written, StoreFailure> {
        *self.checkpoint() = Some(transition.next.clone());
        Ok(Written::Applied)
    }
}

impl Ledger for Bare {
    async fn put_chunks(&self, _: &[Chunk]) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn chunks(&self, _: &StreamKey, _: &str, _: u32, _: u32) -> Result<Vec<Chunk>, StoreFailure> {
        Ok(Vec::new())
    }

    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure> {
        Ok(Some(Chunk::new(
            key.clone(),
            SystemClock.now(),
            SystemClock.now(),
            Position::At(UtcMillis::default()),
            self.ids_of(key.seq),
        )))
    }

    async fn mark_sent(&self, _: &ChunkKey, _: UtcMillis) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn finish(&self, _: &ChunkKey, _: &Finish) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn poison(&self, _: &ChunkKey, _: &RecordId, _: &str) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn mark_trying(&self, _: &ChunkKey, _: &RecordId, _: u32) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn quarantined(&self, _: &StreamKey) -> Result<Vec<Quarantined>, StoreFailure> {
        Ok(Vec::new())
    }

    async fn quarantine(&self, _: &Quarantined) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn reschedule(&self, _: &StreamKey, _: &RecordId, _: u32, _: UtcMillis) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn resolve(&self, _: &StreamKey, _: &RecordId, _: UtcMillis) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn source_state(&self, _: SourceKind) -> Result<SourceState, StoreFailure> {
        Ok(SourceState::default())
    }

    async fn add_failures(&self, _: SourceKind, count: u32) -> Result<u32, StoreFailure> {
        Ok(count)
    }

    async fn open_breaker(&self, _: SourceKind, _: UtcMillis, _: Duration, _: &str) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn close_breaker(&self, _: SourceKind) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn pause_stream(&self, _: &StreamKey, _: &Pause) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn resume_stream(&self, _: &StreamKey) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn note_stamp_gap(&self, _: SourceKind, _: StampGap) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn reserve(
        &self,
        _: SourceKind,
        _: u32,
        _: Duration,
        now: UtcMillis,
        _: UtcMillis,
    ) -> Result<Option<UtcMillis>, StoreFailure> {
        Ok(Some(now))
    }
}

impl Records for Bare {
    async fn upsert(&self, record: &Record) -> Result<Stored, StoreFailure> {
        // What the DynamoDB adapter computes of every record, too.
        std::hint::black_box(record.body.fingerprint());
        Ok(Stored::Written)
    }

    async fn tombstone(&self, _: &Tombstone) -> Result<Stored, StoreFailure> {
        Ok(Stored::Written)
    }
}

impl StoredVersions for Bare {
    async fn versions(&self, _: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        Ok(BTreeMap::new())
    }
}

impl ChangeQueue for Bare {
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure> {
        Ok(messages.len())
    }
}

impl FetcherPorts for Bare {
    type Source = AnySource<SystemClock, FakeCredential>;
    type Ledger = Self;
    type Records = Self;
    type Clock = SystemClock;
    type Random = SystemRandom;

    fn source(&self) -> &Self::Source {
        &self.source
    }

    fn ledger(&self) -> &Self {
        self
    }

    fn records(&self) -> &Self {
        self
    }

    fn clock(&self) -> &SystemClock {
        &SystemClock
    }

    fn random(&self) -> &SystemRandom {
        &SystemRandom
    }
}

impl PollerPorts for Bare {
    type Source = AnySource<SystemClock, FakeCredential>;
    type Checkpoints = Self;
    type Ledger = Self;
    type Versions = Self;
    type Queue = Self;
    type Clock = SystemClock;
    type Random = SystemRandom;

    fn source(&self) -> &Self::Source {
        &self.source
    }

    fn checkpoints(&self) -> &Self {
        self
    }

    fn ledger(&self) -> &Self {
        self
    }

    fn versions(&self) -> &Self {
        self
    }

    fn queue(&self) -> &Self {
        self
    }

    fn clock(&self) -> &SystemClock {
        &SystemClock
    }

    fn random(&self) -> &SystemRandom {
        &SystemRandom
    }
}
