//! Looking at the ids of a message, and storing what was seen while others are looked at.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{FetchReport, FetcherPorts, Gone, Looked, SLOTS_SPAN, Work};
use crate::{LocalMillis, Look, Message, Notice, Reason, RecordId, Records, Rule, Seen, Source, StoreFailure, Stored};

/// How many ids are looked at at once.
const IN_FLIGHT: usize = 10;
/// How many looks are stored in one call.
const BATCH_LOOKS: usize = 25;
/// How many batches may be under way: one is stored while the next is filled.
const BATCHES: usize = 2;

/// What became of one id.
enum Outcome {
    Stored(StoredLook),
    Gone(Gone),
    Failed {
        id: RecordId,
        reason: Reason,
        cause: String,
        looked_at: LocalMillis,
    },
    Left,
    /// The credential is another account's meanwhile: what was seen may be of either.
    OtherAccount,
}

/// A look that was stored, without its body.
struct StoredLook {
    id: RecordId,
    looked_at: LocalMillis,
    outcome: Stored,
    is_gone: bool,
    is_stamped: bool,
    notice: Option<Notice>,
}

/// A look that waits to be stored.
struct Waiting {
    id: RecordId,
    look: Look,
    notice: Option<Notice>,
}

impl<P: FetcherPorts> Work<'_, P> {
    /// Looks at the ids, several at once, and stores what was seen as it comes.
    pub(super) async fn all(&mut self, owed: &[RecordId], report: &mut FetchReport) -> Result<(), StoreFailure> {
        let calls = owed.iter().filter(|id| self.task.needs_call(self.message, id)).count();
        self.pace.reserve(self.fetcher, &self.trouble, self.message.source(), calls, self.stop_at).await?;
        let in_flight = IN_FLIGHT.min(self.fetcher.calls_within(SLOTS_SPAN));
        let looker = self.looker();
        let (ports, message) = (&self.fetcher.ports, self.message);
        let outcomes: Vec<Vec<Outcome>> = stream::iter(owed)
            .map(|id| looker.look(id))
            .buffer_unordered(in_flight)
            .chunks(BATCH_LOOKS)
            .map(|looked| store_all(ports, message, looked))
            .buffered(BATCHES)
            .try_collect()
            .await?;
        for outcome in outcomes.into_iter().flatten() {
            self.take(outcome, report).await?;
        }
        Ok(())
    }

    /// Looks at one id and stores what was seen.
    pub(super) async fn one(&mut self, id: &RecordId, report: &mut FetchReport) -> Result<(), StoreFailure> {
        let looked = self.looker().look(id).await;
        self.store_looked(vec![looked], report).await
    }

    /// Marks vanished records deleted.
    pub(super) async fn bury(&mut self, report: &mut FetchReport) -> Result<(), StoreFailure> {
        let gone = std::mem::take(&mut self.vanished);
        let looked = gone.into_iter().map(|gone| Looked::Seen(gone.id, gone.look, None)).collect();
        self.store_looked(looked, report).await
    }

    async fn store_looked(&mut self, looked: Vec<Looked>, report: &mut FetchReport) -> Result<(), StoreFailure> {
        for outcome in store_all(&self.fetcher.ports, self.message, looked).await? {
            self.take(outcome, report).await?;
        }
        Ok(())
    }

    /// Counts what became of one id. It is finished even if a later look was stored already.
    async fn take(&mut self, outcome: Outcome, report: &mut FetchReport) -> Result<(), StoreFailure> {
        let stored = match outcome {
            Outcome::Stored(stored) => stored,
            Outcome::Gone(gone) => {
                self.vanished.push(gone);
                return Ok(());
            }
            Outcome::Failed { id, reason, cause, looked_at } => {
                return self.set_aside(id, reason, cause, looked_at, report).await;
            }
            Outcome::Left => return Ok(()),
            Outcome::OtherAccount => {
                report.notice(Notice::AccountChanged);
                return Ok(());
            }
        };
        match stored.outcome {
            Stored::TooLarge { bytes } => {
                let cause = format!("the record has {bytes} bytes, more than an item of the table holds");
                return self.set_aside(stored.id, Reason::Unstorable, cause, stored.looked_at, report).await;
            }
            Stored::Superseded => report.superseded_count += 1,
            Stored::Written if stored.is_gone => report.deleted_count += 1,
            Stored::Written => report.written_count += 1,
        }
        stored.notice.into_iter().for_each(|notice| report.notice(notice));
        self.seen_count += usize::from(!stored.is_gone);
        self.stamped_count += usize::from(stored.is_stamped);
        self.looked_at = self.looked_at.max(Some(stored.looked_at));
        self.finished.insert(stored.id);
        Ok(())
    }
}

/// Stores what was seen; what became of each id.
async fn store_all<P: FetcherPorts>(
    ports: &P,
    message: &Message,
    looked: Vec<Looked>,
) -> Result<Vec<Outcome>, StoreFailure> {
    let mut outcomes = Vec::with_capacity(looked.len());
    let mut waiting: Vec<Waiting> = Vec::new();
    for one in looked {
        match one {
            Looked::Seen(id, look, notice) => waiting.push(Waiting { id, look, notice }),
            Looked::Gone(gone) => outcomes.push(Outcome::Gone(gone)),
            Looked::Failed { id, reason, cause, looked_at } => {
                outcomes.push(Outcome::Failed { id, reason, cause, looked_at });
            }
            Looked::Left => outcomes.push(Outcome::Left),
        }
    }
    if waiting.is_empty() {
        return Ok(outcomes);
    }
    let mark = ports.source().account_mark().await;
    if mark.as_ref().ok() != Some(&message.account_mark) && !Rule::AccountFetcher.is_left_out() {
        outcomes.push(Outcome::OtherAccount);
        return Ok(outcomes);
    }
    while !waiting.is_empty() {
        // Two ids of a feed may stand for one record.
        let mut keys = BTreeSet::new();
        let (batch, again): (Vec<Waiting>, Vec<Waiting>) =
            waiting.into_iter().partition(|waiting| keys.insert(waiting.look.key.clone()));
        waiting = again;
        outcomes.extend(store_batch(ports, batch).await?);
    }
    Ok(outcomes)
}

async fn store_batch<P: FetcherPorts>(ports: &P, batch: Vec<Waiting>) -> Result<Vec<Outcome>, StoreFailure> {
    let mut looks = Vec::with_capacity(batch.len());
    let mut others = Vec::with_capacity(batch.len());
    for Waiting { id, look, notice } in batch {
        looks.push(look);
        others.push((id, notice));
    }
    let stored = ports.records().store(&looks).await?;
    let outcomes = looks.into_iter().zip(others).zip(stored).map(|((look, (id, notice)), outcome)| {
        let (is_gone, is_stamped) = match &look.seen {
            Seen::Record { stamp, .. } => (false, stamp.is_some()),
            Seen::Gone(_) => (true, false),
        };
        Outcome::Stored(StoredLook { id, looked_at: look.looked_at, outcome, is_gone, is_stamped, notice })
    });
    Ok(outcomes.collect())
}
