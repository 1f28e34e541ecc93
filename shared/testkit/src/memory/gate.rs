//! What may happen to a call on its way: the place of every scripted fault.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tokio::sync::Semaphore;

use super::tables::Tables;

/// A port's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the method of its name in the engine's ports")]
pub enum Operation {
    Load,
    Create,
    Store,
    PutChunks,
    Head,
    Owed,
    Chunk,
    MarkSent,
    Finish,
    DeleteChunk,
    RetryEntries,
    RetryEntry,
    SetAside,
    Reschedule,
    Resolve,
    StreamState,
    WriteMark,
    NoteStored,
    AddFailures,
    PauseStream,
    ResumeStream,
    SourceState,
    PauseSource,
    ResumeSource,
    NoteBulk,
    Reserve,
    /// `Records::store`; `Store` is that of the checkpoints.
    StoreLooks,
    Versions,
    Slice,
    LoadSweep,
    StoreSweep,
    Keep,
    Kept,
    Send,
    AccountMark,
    List,
    Fetch,
}

/// How much of a call on several things takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// The first few; the call then fails, or for a queue says how many it took.
    First(usize),
}

impl Extent {
    /// How many of `count` things take effect.
    pub fn of(self, count: usize) -> usize {
        match self {
            Self::Whole => count,
            Self::First(few) => few.min(count),
        }
    }
}

/// What a call passes before and after its effect.
#[expect(async_fn_in_trait, reason = "static dispatch only, on one thread")]
pub trait Gate {
    /// Passed before the effect; a failure prevents it.
    ///
    /// # Errors
    /// Whatever the call is to fail with.
    async fn before(&self, operation: Operation) -> Result<Extent, StoreFailure>;

    /// Passed after the effect, nothing having run in between; a failure is an answer that got lost.
    ///
    /// # Errors
    /// Whatever the call is to fail with, although it took effect.
    async fn after(&self, operation: Operation) -> Result<(), StoreFailure>;

    /// Whether an eventually consistent read lags behind, and how far: of records that were looked at since then it shows
    /// what was there before the last write.
    fn reads_stale(&self) -> Option<LocalMillis> {
        None
    }

    /// Offered the effect of each write, that it may land later: once more when it has `landed`, else for the first time.
    fn offer(&self, _operation: Operation, _landed: bool, _effect: impl FnOnce() -> Effect) {}
}

/// What a write does to the tables: a request that a network may deliver minutes after its sender gave up on it.
pub struct Effect(Box<dyn FnOnce(&mut Tables) + Send>);

impl Effect {
    pub(super) fn new(effect: impl FnOnce(&mut Tables) + Send + 'static) -> Self {
        Self(Box::new(effect))
    }

    /// Lands.
    pub fn land(self, tables: &mut Tables) {
        (self.0)(tables);
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effect")
    }
}

/// What happens to one call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// It fails before it takes effect.
    Reject,
    /// It takes effect, then its answer is lost.
    LoseAnswer,
    /// It waits before its effect until it is let go.
    HoldBefore(Hold),
    /// It takes effect, then waits until it is let go.
    HoldAfter(Hold),
    /// Only the first few of its things take effect.
    Partly(usize),
    /// Its read shows what was there before the last write.
    Stale,
    /// It takes effect, and its effect is kept to land once more.
    LandTwice,
    /// It fails, and its effect is kept to land later.
    LandLate,
}

/// A call that was made to wait.
#[derive(Clone, Debug)]
pub struct Hold(Arc<Gates>);

#[derive(Debug)]
struct Gates {
    reached: Semaphore,
    released: Semaphore,
}

impl Default for Hold {
    fn default() -> Self {
        Self(Arc::new(Gates { reached: Semaphore::new(0), released: Semaphore::new(0) }))
    }
}

impl Hold {
    /// Comes back once the call has arrived.
    pub async fn reached(&self) {
        // The semaphore is never closed, so there is always a permit in the end.
        if let Ok(permit) = self.0.reached.acquire().await {
            permit.forget();
        }
    }

    /// Lets the call go.
    pub fn release(&self) {
        self.0.released.add_permits(1);
    }

    async fn wait(&self) {
        self.0.reached.add_permits(1);
        if let Ok(permit) = self.0.released.acquire().await {
            permit.forget();
        }
    }
}

/// A gate with a script: for every operation a queue of faults, one for each call, first in, first out.
///
/// An operation whose queue is empty passes. Clones share the script.
#[derive(Clone, Debug, Default)]
pub struct ScriptedFaults {
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    queued: BTreeMap<Operation, VecDeque<Fault>>,
    underway: BTreeMap<Operation, Fault>,
    calls: BTreeMap<Operation, usize>,
    kept: Vec<Effect>,
    stale: bool,
}

impl ScriptedFaults {
    /// Adds a fault for the next call of `operation` that has none yet.
    pub fn push(&self, operation: Operation, fault: Fault) {
        self.lock().queued.entry(operation).or_default().push_back(fault);
    }

    /// Adds the same fault for several calls in a row.
    pub fn push_times(&self, operation: Operation, fault: &Fault, times: usize) {
        for _ in 0..times {
            self.push(operation, fault.clone());
        }
    }

    /// Makes the next call of `operation` wait before its effect.
    pub fn hold_before(&self, operation: Operation) -> Hold {
        let hold = Hold::default();
        self.push(operation, Fault::HoldBefore(hold.clone()));
        hold
    }

    /// Makes the next call of `operation` wait after its effect.
    pub fn hold_after(&self, operation: Operation) -> Hold {
        let hold = Hold::default();
        self.push(operation, Fault::HoldAfter(hold.clone()));
        hold
    }

    /// Forgets what is still queued.
    pub fn clear(&self) {
        self.lock().queued.clear();
    }

    /// The effects kept by [`Fault::LandTwice`] and [`Fault::LandLate`], in the order of their calls.
    pub fn take_kept(&self) -> Vec<Effect> {
        std::mem::take(&mut self.lock().kept)
    }

    /// Faults that no call has met yet.
    pub fn left_count(&self) -> usize {
        self.lock().queued.values().map(VecDeque::len).sum()
    }

    /// How often `operation` was called.
    pub fn calls(&self, operation: Operation) -> usize {
        self.lock().calls.get(&operation).copied().unwrap_or(0)
    }

    /// How often each operation was called since the last time this was asked.
    pub fn take_calls(&self) -> BTreeMap<Operation, usize> {
        std::mem::take(&mut self.lock().calls)
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for ScriptedFaults {
    async fn before(&self, operation: Operation) -> Result<Extent, StoreFailure> {
        let fault = {
            let mut script = self.lock();
            *script.calls.entry(operation).or_default() += 1;
            script.queued.get_mut(&operation).and_then(VecDeque::pop_front).unwrap_or(Fault::Pass)
        };
        match fault {
            Fault::Pass => Ok(Extent::Whole),
            Fault::Reject => Err(unavailable(operation)),
            Fault::Partly(few) => Ok(Extent::First(few)),
            Fault::Stale => {
                self.lock().stale = true;
                Ok(Extent::Whole)
            }
            Fault::HoldBefore(hold) => {
                hold.wait().await;
                Ok(Extent::Whole)
            }
            Fault::LandLate => {
                self.lock().underway.insert(operation, Fault::LandLate);
                Err(unavailable(operation))
            }
            later @ (Fault::LoseAnswer | Fault::HoldAfter(_) | Fault::LandTwice) => {
                self.lock().underway.insert(operation, later);
                Ok(Extent::Whole)
            }
        }
    }

    async fn after(&self, operation: Operation) -> Result<(), StoreFailure> {
        let fault = self.lock().underway.remove(&operation);
        match fault {
            Some(Fault::LoseAnswer) => Err(unavailable(operation)),
            Some(Fault::HoldAfter(hold)) => {
                hold.wait().await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn reads_stale(&self) -> Option<LocalMillis> {
        std::mem::take(&mut self.lock().stale).then_some(LocalMillis::default())
    }

    fn offer(&self, operation: Operation, _landed: bool, effect: impl FnOnce() -> Effect) {
        let mut script = self.lock();
        if let Some(Fault::LandTwice | Fault::LandLate) = script.underway.get(&operation) {
            script.underway.remove(&operation);
            script.kept.push(effect());
        }
    }
}

/// A fault that was asked for.
#[derive(Debug, Error)]
#[error("a scripted fault of {0:?}")]
struct Scripted(Operation);

/// The failure of a call whose outcome is unknown.
pub fn unavailable(operation: Operation) -> StoreFailure {
    StoreFailure::Unavailable(operation.name(), Box::new(Scripted(operation)))
}

impl Operation {
    /// Its name in a failure.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Create => "create",
            Self::Store => "store",
            Self::PutChunks => "put_chunks",
            Self::Head => "head",
            Self::Owed => "owed",
            Self::Chunk => "chunk",
            Self::MarkSent => "mark_sent",
            Self::Finish => "finish",
            Self::DeleteChunk => "delete_chunk",
            Self::RetryEntries => "retry_entries",
            Self::RetryEntry => "retry_entry",
            Self::SetAside => "set_aside",
            Self::Reschedule => "reschedule",
            Self::Resolve => "resolve",
            Self::StreamState => "stream_state",
            Self::WriteMark => "write_mark",
            Self::NoteStored => "note_stored",
            Self::AddFailures => "add_failures",
            Self::PauseStream => "pause_stream",
            Self::ResumeStream => "resume_stream",
            Self::SourceState => "source_state",
            Self::PauseSource => "pause_source",
            Self::ResumeSource => "resume_source",
            Self::NoteBulk => "note_bulk",
            Self::Reserve => "reserve",
            Self::StoreLooks => "store_looks",
            Self::Versions => "versions",
            Self::Slice => "slice",
            Self::LoadSweep => "load_sweep",
            Self::StoreSweep => "store_sweep",
            Self::Keep => "keep",
            Self::Kept => "kept",
            Self::Send => "send",
            Self::AccountMark => "account_mark",
            Self::List => "list",
            Self::Fetch => "fetch",
        }
    }
}
