//! Tables and a queue that keep nothing but a checkpoint, so that only the function itself is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tempfile::TempDir;
use tidemark_aws::clock::{SystemClock, SystemRandom};
use tidemark_engine::checkpoint::{Checkpoint, Clocks};
use tidemark_engine::clock::{LocalMillis, VendorMillis};
use tidemark_engine::failure::{FailureClass, SourceFailure, StoreFailure};
use tidemark_engine::fetch::FetcherPorts;
use tidemark_engine::health::{SourceState, StreamState, Why};
use tidemark_engine::lateness::Lateness;
use tidemark_engine::poll::PollerPorts;
use tidemark_engine::ports::{
    ChangeQueue, Checkpoints, Clock, Credentials, Ledger, Outgoing, Owed, Ports, Random, Records, Source, Stored,
    StoredVersions, Written,
};
use tidemark_engine::position::Position;
use tidemark_engine::record::{Look, RecordId, RecordKey, Seen, StoredVersion};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{Chunk, ChunkKey, Lane, Next, RetryEntry, Told};
use tidemark_sources::registry::{AnySource, SourceConfig, build};
use tidemark_sweep::ports::{Shown, Slice, StoredSlices, SweepPorts, Sweeps};
use tidemark_sweep::state::{Kept, PieceKey, SweepState};

/// The credential that the fake FieldMotion accepts by default.
pub(crate) const FIELDMOTION_SECRET: &str = r#"{"api_id":"123","api_key":"0123456789abcdef0123456789abcdef"}"#;

/// The credential that a fake vendor accepts by default.
pub(crate) struct FakeCredential(SourceKind);

impl Credentials for FakeCredential {
    async fn secret(&self) -> Result<SecretString, SourceFailure> {
        let secret = match self.0 {
            SourceKind::FieldMotion => FIELDMOTION_SECRET,
            SourceKind::FsmNavigator => r#"{"api_key":"fsm_test_0123456789abcdef"}"#,
            _ => {
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
    told: Told,
    checkpoint: Mutex<Option<Checkpoint>>,
    sweep: Mutex<Option<SweepState>>,
    copy: Option<Copy>,
}

/// A copy whose records are numbers in the order of their digits, and what a sweep of it keeps: in files, as what the
/// ledger keeps is not in this process either.
struct Copy {
    ids: Vec<u32>,
    kept: TempDir,
}

/// How many stored records are read at once.
const SLICE: usize = 3_000;

impl Bare {
    /// Asks the vendor at `url`, without a rate limit; its chunks hold `ids`, fifty each.
    pub(crate) fn new(kind: SourceKind, url: &str, ids: Vec<RecordId>) -> Result<Self, Box<dyn std::error::Error>> {
        let config = SourceConfig { kind, base_url: url, settings: "{}", requests_per_second: "1000000" };
        let source = build(config, FakeCredential(kind), SystemClock)?;
        let told = if kind == SourceKind::FsmNavigator { Told::Rows } else { Told::Ids };
        Ok(Self { source, ids, told, checkpoint: Mutex::new(None), sweep: Mutex::new(None), copy: None })
    }

    /// The same with a copy of `count` records, numbered from `first` on.
    pub(crate) fn with_copy(self, first: u32, count: u32) -> std::io::Result<Self> {
        let mut ids: Vec<u32> = (first..first + count).collect();
        // Of two numbers, the one comes first whose digits do.
        let digits = |id: &u32| (u64::from(*id) * 10_u64.pow(9 - id.ilog10()), id.ilog10());
        ids.sort_unstable_by_key(digits);
        Ok(Self { copy: Some(Copy { ids, kept: tempfile::tempdir()? }), ..self })
    }

    fn folder(&self) -> Result<&Path, StoreFailure> {
        let copy = self.copy.as_ref().ok_or_else(|| unavailable("there is no copy"))?;
        Ok(copy.kept.path())
    }

    /// The state of a stream that was listed up to `scanned` a while ago, and whose clocks are known.
    pub(crate) async fn put_in_use(
        &self,
        stream: &StreamName,
        scanned: Position,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let traits = self.source.streams().iter().find(|traits| traits.name == *stream).ok_or("no such stream")?;
        let key = StreamKey { source: self.source.kind(), name: stream.clone() };
        let first = Checkpoint::first(key, traits, self.source.account_mark().await?);
        let listed_at = SystemClock.now().minus(Duration::from_mins(5));
        let clocks = Clocks { gap_ms: Some(0), gap_at: listed_at, listed_at, behind: Duration::ZERO, ..first.clocks };
        let (committed, last_success_at) = (scanned.clone(), Some(listed_at));
        let in_use = Checkpoint { scanned, committed, last_success_at, clocks, ..first };
        *self.checkpoint() = Some(in_use);
        Ok(())
    }

    /// The ids of chunk `seq`.
    pub(crate) fn ids_of(&self, seq: u32) -> BTreeSet<RecordId> {
        let first = usize::try_from(seq).unwrap_or(0) * 50;
        self.ids.iter().skip(first).take(50).cloned().collect()
    }

    fn checkpoint(&self) -> MutexGuard<'_, Option<Checkpoint>> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checkpoints for Bare {
    async fn load(&self, _: &StreamKey) -> Result<Option<Checkpoint>, StoreFailure> {
        Ok(self.checkpoint().clone())
    }

    async fn create(&self, first: &Checkpoint) -> Result<Written, StoreFailure> {
        *self.checkpoint() = Some(first.clone());
        Ok(Written::Applied)
    }

    async fn store(&self, next: &Checkpoint) -> Result<Written, StoreFailure> {
        *self.checkpoint() = Some(next.clone());
        Ok(Written::Applied)
    }
}

impl Ledger for Bare {
    async fn put_chunks(&self, _: &[Chunk]) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn head(&self, _: &StreamKey, _: Lane, _: usize) -> Result<Vec<Chunk>, StoreFailure> {
        Ok(Vec::new())
    }

    async fn owed(&self, _: &StreamKey) -> Result<Owed, StoreFailure> {
        Ok(Owed::default())
    }

    async fn chunk(&self, key: &ChunkKey) -> Result<Option<Chunk>, StoreFailure> {
        Ok(Some(Chunk {
            key: key.clone(),
            holds: None,
            ids: self.ids_of(key.seq),
            listed_at: SystemClock.now(),
            next_at: SystemClock.now(),
            told: self.told.clone(),
            trying: None,
        }))
    }

    async fn mark_sent(&self, _: &ChunkKey, _: LocalMillis) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn finish(&self, _: &ChunkKey, _: &BTreeSet<RecordId>, _: &Next) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn delete_chunk(&self, _: &ChunkKey) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn retry_entries(&self, _: &StreamKey) -> Result<Vec<RetryEntry>, StoreFailure> {
        Ok(Vec::new())
    }

    async fn retry_entry(&self, _: &StreamKey, _: &RecordId) -> Result<Option<RetryEntry>, StoreFailure> {
        Ok(None)
    }

    async fn set_aside(&self, _: &RetryEntry) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn reschedule(&self, _: &StreamKey, _: &RecordId, _: u32, _: LocalMillis) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn resolve(&self, _: &StreamKey, _: &RecordId, _: LocalMillis) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn stream_state(&self, _: &StreamKey) -> Result<StreamState, StoreFailure> {
        let mark = self.checkpoint().as_ref().and_then(|checkpoint| checkpoint.ledger_mark.clone());
        Ok(StreamState { mark, ..StreamState::default() })
    }

    async fn write_mark(&self, _: &StreamKey, _: &str) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn note_stored(&self, _: &StreamKey, _: LocalMillis, _: &Lateness) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn add_failures(&self, _: &StreamKey, count: u32) -> Result<u32, StoreFailure> {
        Ok(count)
    }

    async fn pause_stream(&self, _: &StreamKey, _: LocalMillis, _: &Why) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn resume_stream(&self, _: &StreamKey) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn source_state(&self, _: SourceKind) -> Result<SourceState, StoreFailure> {
        Ok(SourceState::default())
    }

    async fn pause_source(&self, _: SourceKind, _: LocalMillis, _: Duration, _: &Why) -> Result<Written, StoreFailure> {
        Ok(Written::Applied)
    }

    async fn resume_source(&self, _: SourceKind) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn note_bulk(&self, _: &StreamKey, _: LocalMillis) -> Result<(), StoreFailure> {
        Ok(())
    }

    async fn reserve(
        &self,
        _: SourceKind,
        _: u32,
        _: Duration,
        earliest: LocalMillis,
        _: LocalMillis,
    ) -> Result<Option<LocalMillis>, StoreFailure> {
        Ok(Some(earliest))
    }
}

impl Records for Bare {
    async fn store(&self, looks: &[Look]) -> Result<Vec<Stored>, StoreFailure> {
        for look in looks {
            if let Seen::Record { body, .. } = &look.seen {
                // What the DynamoDB adapter computes of every record, too.
                std::hint::black_box(body.fingerprint());
            }
        }
        Ok(vec![Stored::Written; looks.len()])
    }
}

/// A poller in use finds the records that it asks for, a fetcher none.
impl StoredVersions for Bare {
    async fn versions(&self, keys: &[RecordKey]) -> Result<BTreeMap<RecordKey, StoredVersion>, StoreFailure> {
        if !self.ids.is_empty() || self.checkpoint().is_none() {
            return Ok(BTreeMap::new());
        }
        let now = SystemClock.now();
        let version = StoredVersion {
            stamp: Some("2026-01-01 00:00:00".to_owned()),
            looked_at: now,
            seen_at: Some(VendorMillis::new(now.get())),
            fingerprint: None,
            deleted: false,
        };
        Ok(keys.iter().map(|key| (key.clone(), version.clone())).collect())
    }
}

impl StoredSlices for Bare {
    async fn slice(&self, _: &StreamKey, after: Option<&RecordId>) -> Result<Slice, StoreFailure> {
        let ids = self.copy.as_ref().map(|copy| copy.ids.as_slice()).unwrap_or_default();
        let begins = after.map_or(0, |after| ids.partition_point(|id| id.to_string().as_str() <= after.as_str()));
        let rest = ids.get(begins..).unwrap_or_default();
        let version = StoredVersion {
            stamp: Some("2026-01-01 00:00:00".to_owned()),
            looked_at: LocalMillis::default(),
            seen_at: None,
            fingerprint: None,
            deleted: false,
        };
        let records = rest.iter().take(SLICE).filter_map(|id| RecordId::parse(id.to_string()).ok());
        Ok(Slice { found: records.map(|id| (id, version.clone())).collect(), more: rest.len() > SLICE })
    }
}

impl Sweeps for Bare {
    async fn load_sweep(&self, _: &StreamKey) -> Result<Option<SweepState>, StoreFailure> {
        Ok(self.sweep.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn store_sweep(&self, _: &StreamKey, next: &SweepState) -> Result<Written, StoreFailure> {
        *self.sweep.lock().unwrap_or_else(PoisonError::into_inner) = Some(next.clone());
        Ok(Written::Applied)
    }

    async fn keep(&self, _: &StreamKey, piece: &PieceKey, ids: &[RecordId]) -> Result<(), StoreFailure> {
        let path = self.folder()?.join(format!("{}-{}", piece.kept.as_str(), piece.seq));
        let json = serde_json::to_vec(ids).map_err(unavailable)?;
        std::fs::write(path, json).map_err(unavailable)
    }

    async fn kept(&self, _: &StreamKey, _: LocalMillis, kept: Kept) -> Result<Vec<RecordId>, StoreFailure> {
        let mut ids = Vec::new();
        for file in std::fs::read_dir(self.folder()?).map_err(unavailable)?.flatten() {
            if file.file_name().to_string_lossy().starts_with(kept.as_str()) {
                let json = std::fs::read(file.path()).map_err(unavailable)?;
                let piece: Vec<RecordId> = serde_json::from_slice(&json).map_err(unavailable)?;
                ids.extend(piece);
            }
        }
        Ok(ids)
    }
}

fn unavailable(fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreFailure {
    StoreFailure::Unavailable("keeping ids", fault.into())
}

impl SweepPorts for Bare {
    fn sweeps(&self) -> &impl Sweeps {
        self
    }

    fn slices(&self) -> &impl StoredSlices {
        self
    }

    fn shown(&self) -> &impl Shown {
        &self.source
    }
}

impl ChangeQueue for Bare {
    async fn send(&self, messages: &[Outgoing]) -> Result<usize, StoreFailure> {
        Ok(messages.len())
    }
}

impl Ports for Bare {
    fn source(&self) -> &impl Source {
        &self.source
    }

    fn ledger(&self) -> &impl Ledger {
        self
    }

    fn versions(&self) -> &impl StoredVersions {
        self
    }

    fn clock(&self) -> &impl Clock {
        &SystemClock
    }

    fn random(&self) -> &impl Random {
        &SystemRandom
    }
}

impl FetcherPorts for Bare {
    fn records(&self) -> &impl Records {
        self
    }
}

impl PollerPorts for Bare {
    fn checkpoints(&self) -> &impl Checkpoints {
        self
    }

    fn queue(&self) -> &impl ChangeQueue {
        self
    }
}
