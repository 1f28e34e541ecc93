//! Use case 2, the fetcher: look at the ids of one message, store what was seen, and finish their chunk.
//!
//! Section 6 of `docs/protocol.md`: read what is owed (`task`), look at what is not paid for (`look`, `calls`), store
//! it (`store`), put what failed into the retry lane (`aside`), then take the ids out of the chunk; after a crash:
//! `crash`. The message is a hint, and is acknowledged whatever became of its ids: an outage burns no receives.

mod aside;
mod calls;
mod crash;
mod look;
mod store;
mod task;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{
    Clock, HOST_CLOCKS_APART, Lateness, Ledger, LocalMillis, Message, Next, Notice, Ports, Reason, RecordId, Records,
    Rule, Source, StoreFailure,
};
use {calls::*, look::*, task::*};

/// From this delivery on, ids are taken one by one.
const RECEIVES_TO_ISOLATE: u32 = 2;
/// How long a chunk of another account waits before it is sent again.
const OTHER_ACCOUNT_WAIT: Duration = Duration::from_mins(1);

/// The ports that a fetcher needs.
pub trait FetcherPorts: Ports {
    /// The records.
    fn records(&self) -> &impl Records;
}

/// The fetcher of one source.
pub struct Fetcher<P> {
    /// Its ports.
    pub ports: P,
    /// The time between two calls that the vendor is asked for.
    pub call_interval: Duration,
}

/// What a fetch did. The message is done with, whatever it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Vendor calls made.
    pub calls_count: u32,
    /// Ids that a later look had paid for already.
    pub paid_count: usize,
    /// Records written.
    pub written_count: usize,
    /// Records of which a later look was stored already.
    pub superseded_count: usize,
    /// Records marked deleted.
    pub deleted_count: usize,
    /// Ids put into the retry lane, or kept there, with the reason.
    pub set_aside: Vec<(RecordId, Reason, String)>,
    /// Ids left for later.
    pub left_count: usize,
    /// The vendor's last failure, for a person.
    pub failure: Option<String>,
    /// What it noticed.
    pub notices: BTreeSet<Notice>,
}

/// One message under way.
struct Work<'a, P> {
    looker: Looker<'a, P>,
    report: FetchReport,
    /// Ids that are paid for, or in the retry lane.
    finished: BTreeSet<RecordId>,
    vanished: Vec<Sight>,
    /// The newest look that was stored.
    looked_at: Option<LocalMillis>,
    /// Records looked at, and how many of them had a stamp.
    seen_count: usize,
    stamped_count: usize,
    /// How late what was stored had shown in its list.
    lateness: Lateness,
}

impl<P: FetcherPorts> Fetcher<P> {
    /// Works on one message, which was delivered `receive_count` times, and stops at `stop_at` on the local clock.
    ///
    /// # Errors
    /// [`StoreFailure`] when the tables fail; the message comes back.
    pub async fn fetch(
        &self,
        message: &Message,
        receive_count: u32,
        stop_at: LocalMillis,
    ) -> Result<FetchReport, StoreFailure> {
        let mut report = FetchReport::default();
        let Some(task) = self.task(message).await? else { return Ok(report) };
        match self.ports.source().account_mark().await {
            Ok(mark) if mark == message.account_mark || Rule::AccountFetcher.is_left_out() => {}
            answer => {
                match answer {
                    Ok(_) => drop(report.notices.insert(Notice::AccountChanged)),
                    Err(failure) => report.failure = Some(failure.to_string()),
                }
                self.send_again(&task, OTHER_ACCOUNT_WAIT).await?;
                return Ok(report);
            }
        }
        if task.is_chunk() && !task.has_rows() {
            // The clock of the host that listed may be ahead of this one.
            let early = task.pays_from.since(self.ports.clock().now());
            if early > HOST_CLOCKS_APART {
                self.send_again(&task, early).await?;
                return Ok(report);
            }
            self.ports.clock().sleep(early).await;
        }
        let stored = self.ports.versions_of(&task.stream.name, task.ids.iter()).await?;
        let is_paid = |id: &RecordId| stored.get(id).is_some_and(|stored| task.is_paid(stored));
        let (paid, owed): (Vec<RecordId>, Vec<RecordId>) = task.ids.iter().cloned().partition(is_paid);
        report.paid_count = paid.len();
        let calls = self.calls(&task).await?;
        let looker = Looker { fetcher: self, message, task, stored, calls, stop_at };
        let finished = paid.into_iter().collect();
        let (vanished, lateness) = (Vec::new(), Lateness::default());
        let mut work =
            Work { looker, report, finished, vanished, looked_at: None, seen_count: 0, stamped_count: 0, lateness };
        if receive_count >= RECEIVES_TO_ISOLATE && !Rule::CrashCount.is_left_out() && work.looker.task.is_chunk() {
            work.one_by_one(&owed).await?;
        } else {
            work.all(&owed).await?;
        }
        work.withhold().await?;
        work.bury().await?;
        work.conclude().await
    }

    async fn send_again(&self, task: &Task, wait: Duration) -> Result<(), StoreFailure> {
        if let Origin::Chunk(chunk) = &task.origin {
            let next = Next::SentAt(self.ports.clock().now().plus(wait));
            self.ports.ledger().finish(&chunk.key, &BTreeSet::new(), &next).await?;
        }
        Ok(())
    }
}

impl<P: FetcherPorts> Work<'_, P> {
    /// Writes what became of the ids: their chunk, and what others share.
    async fn conclude(self) -> Result<FetchReport, StoreFailure> {
        let Self { looker: Looker { fetcher, task, stored, calls, .. }, mut report, finished, lateness, .. } = self;
        let (ledger, source) = (fetcher.ports.ledger(), fetcher.ports.source());
        let is_stamped = source.streams().iter().any(|traits| traits.name == task.stream.name && traits.stamped);
        if is_stamped && self.seen_count > 0 && self.stamped_count == 0 {
            report.notices.insert(Notice::StampsMissing(self.seen_count));
        }
        report.left_count = task.ids.len() - finished.len().min(task.ids.len());
        let paused_until = calls.conclude(&fetcher.ports, &mut report).await?;
        let now = fetcher.ports.clock().now();
        // Before what was owed goes: who finds nothing owed knows when the last of it was stored.
        if report.paid_count + report.written_count + report.superseded_count + report.deleted_count > 0 {
            ledger.note_stored(&task.stream, now, &lateness).await?;
        }
        match &task.origin {
            Origin::Chunk(chunk) if chunk.ids.is_subset(&finished) => ledger.delete_chunk(&chunk.key).await?,
            Origin::Chunk(chunk) => {
                ledger.finish(&chunk.key, &finished, &Next::SentAt(paused_until.unwrap_or(now))).await?;
            }
            Origin::Retry(entry) => {
                let paid_at = stored.get(&entry.id).map(|stored| stored.looked_at);
                let looked_at = self.looked_at.max(paid_at.filter(|_| report.paid_count > 0));
                if let Some(mut looked_at) = looked_at {
                    if Rule::ResolveLater.is_left_out() {
                        looked_at = LocalMillis::new(i64::MAX);
                    }
                    ledger.resolve(&task.stream, &entry.id, looked_at).await?;
                }
            }
        }
        Ok(report)
    }
}
