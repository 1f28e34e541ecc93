//! Looking at the ids of a message, and storing what was seen while others are looked at.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Failed, FetcherPorts, Looked, Looker, Sight, Work};
use crate::{LocalMillis, Notice, Reason, RecordId, Records, Rule, Seen, Source, Stamp, StoreFailure, Stored};

const BATCH_LOOKS: usize = 25;
/// How many batches may be under way: one is stored while the next is filled.
const BATCHES: usize = 2;

#[derive(Default)]
struct Outcome {
    stored: Vec<StoredLook>,
    others: Vec<Looked>,
    notices: BTreeSet<Notice>,
}

/// A look that was stored, without its body.
struct StoredLook {
    id: RecordId,
    looked_at: LocalMillis,
    outcome: Stored,
    is_gone: bool,
    stamp: Option<Stamp>,
}

impl<P: FetcherPorts> Work<'_, P> {
    /// Looks at the ids, several at once, and stores what was seen as it comes.
    pub(super) async fn all(&mut self, owed: &[RecordId]) -> Result<(), StoreFailure> {
        let looker = &self.looker;
        let wanted = owed.iter().filter(|id| looker.task.needs_call(looker.message, id)).count();
        let in_flight = looker.calls.reserve(looker.fetcher, wanted, looker.stop_at).await?;
        let outcomes: Vec<Outcome> = stream::iter(owed)
            .map(|id| looker.look(id))
            .buffer_unordered(in_flight)
            .chunks(BATCH_LOOKS)
            .map(|looked| looker.store(looked))
            .buffered(BATCHES)
            .try_collect()
            .await?;
        for outcome in outcomes {
            self.take(outcome).await?;
        }
        Ok(())
    }

    pub(super) async fn one(&mut self, id: &RecordId) -> Result<(), StoreFailure> {
        let looked = self.looker.look(id).await;
        let outcome = self.looker.store(vec![looked]).await?;
        self.take(outcome).await
    }

    pub(super) async fn bury(&mut self) -> Result<(), StoreFailure> {
        let gone = std::mem::take(&mut self.vanished);
        let outcome = self.looker.store(gone.into_iter().map(Looked::Seen).collect()).await?;
        self.take(outcome).await
    }

    /// Counts what became of ids. One is finished even if a later look was stored already.
    async fn take(&mut self, outcome: Outcome) -> Result<(), StoreFailure> {
        self.report.notices.extend(outcome.notices);
        for looked in outcome.others {
            match looked {
                Looked::Gone(gone) => self.vanished.push(gone),
                Looked::Failed(failed) => self.set_aside(failed).await?,
                Looked::Seen(_) | Looked::Left => {}
            }
        }
        for StoredLook { id, looked_at, outcome, is_gone, stamp } in outcome.stored {
            let known = self.looker.stored.get(&id);
            match outcome {
                Stored::TooLarge(bytes) => {
                    let cause = format!("the record has {bytes} bytes, more than an item of the table holds");
                    self.set_aside(Failed { id, reason: Reason::Unstorable, cause, looked_at }).await?;
                    continue;
                }
                Stored::Superseded => self.report.superseded_count += 1,
                Stored::Written if is_gone => self.report.deleted_count += 1,
                Stored::Written => {
                    self.report.written_count += 1;
                    self.lateness.note(stamp.as_ref().and_then(|stamp| self.looker.task.late_ms(stamp, known)));
                }
            }
            self.seen_count += usize::from(!is_gone);
            self.stamped_count += usize::from(stamp.is_some());
            self.looked_at = self.looked_at.max(Some(looked_at));
            self.finished.insert(id);
        }
        Ok(())
    }
}

impl<P: FetcherPorts> Looker<'_, P> {
    /// Stores what was seen; what became of each id.
    async fn store(&self, looked: Vec<Looked>) -> Result<Outcome, StoreFailure> {
        let mut outcome = Outcome::default();
        let mut waiting: Vec<Sight> = Vec::new();
        for one in looked {
            match one {
                Looked::Seen(sight) => waiting.push(sight),
                other @ (Looked::Gone(_) | Looked::Failed(_) | Looked::Left) => outcome.others.push(other),
            }
        }
        if waiting.is_empty() {
            return Ok(outcome);
        }
        let mark = self.fetcher.ports.source().account_mark().await;
        if mark.as_ref().ok() != Some(&self.message.account_mark) && !Rule::AccountFetcher.is_left_out() {
            // What was seen may be of either account.
            outcome.notices.insert(Notice::AccountChanged);
            return Ok(outcome);
        }
        while !waiting.is_empty() {
            // Two ids of a feed may stand for one record.
            let mut keys = BTreeSet::new();
            let (batch, again): (Vec<Sight>, Vec<Sight>) =
                waiting.into_iter().partition(|sight| keys.insert(sight.look.key.clone()));
            waiting = again;
            outcome.notices.extend(batch.iter().filter_map(|sight| sight.notice.clone()));
            let (looks, ids): (Vec<_>, Vec<_>) = batch.into_iter().map(|sight| (sight.look, sight.id)).unzip();
            let stored = self.fetcher.ports.records().store(&looks).await?;
            for ((look, id), became) in looks.into_iter().zip(ids).zip(stored) {
                let (is_gone, stamp) = match look.seen {
                    Seen::Record { stamp, .. } => (false, stamp),
                    Seen::Gone(_) => (true, None),
                };
                outcome.stored.push(StoredLook { id, looked_at: look.looked_at, outcome: became, is_gone, stamp });
            }
        }
        Ok(outcome)
    }
}
