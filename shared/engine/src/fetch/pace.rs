//! When the calls of one message are made: slots taken ahead, and pauses that the vendor asked for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Fetcher, FetcherPorts, Trouble};
use crate::{Clock, Ledger, LocalMillis, Slots, SourceKind, StoreFailure};

/// How much of the shared schedule a message takes in one write: a chunk's calls at the default rate. At a slower one
/// the calls behind them take their slots singly, or one message would keep all others waiting.
pub(super) const SLOTS_SPAN: Duration = Duration::from_secs(25);

#[derive(Clone, Copy, Default)]
struct State {
    slots: Slots,
    quiet_until: LocalMillis,
}

/// Shared by the calls in flight.
#[derive(Default)]
pub(super) struct Pace(Mutex<State>);

impl Pace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first slots for `calls` calls, as far as they may be made at all until `stop_at`.
    pub(super) async fn reserve<P: FetcherPorts>(
        &self,
        fetcher: &Fetcher<P>,
        trouble: &Trouble,
        source: SourceKind,
        calls: usize,
        stop_at: LocalMillis,
    ) -> Result<(), StoreFailure> {
        let now = fetcher.ports.clock().now();
        if calls == 0 || trouble.is_stopped() || now >= stop_at {
            return Ok(());
        }
        let wanted = calls.min(fetcher.calls_within(SLOTS_SPAN)).min(fetcher.calls_within(stop_at.since(now)));
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let latest = stop_at.minus(fetcher.call_interval);
        let first_at = fetcher.ports.ledger().reserve(source, wanted, fetcher.call_interval, now, latest).await?;
        match first_at {
            Some(first_at) => self.state().slots = Slots::new(first_at, wanted),
            None => trouble.out_of_time(),
        }
        Ok(())
    }

    /// The next slot whose time is not over.
    pub(super) fn take(&self, now: LocalMillis, interval: Duration) -> Option<LocalMillis> {
        self.state().slots.take(now, interval)
    }

    /// No call of this message before then: the vendor asked for it.
    pub(super) fn be_quiet_until(&self, until: LocalMillis) {
        let mut state = self.state();
        state.quiet_until = state.quiet_until.max(until);
    }

    pub(super) fn quiet_until(&self) -> LocalMillis {
        self.state().quiet_until
    }
}
