//! Use case 2, the fetcher: look at the ids of one message, store what the looks showed, and finish their chunk.
//!
//! The chunk in the ledger says what is owed; the message is a hint. So a message that comes twice, late or forged does
//! no harm. In the order of section 6 of `docs/protocol.md`:
//!
//! 1. read the chunk, or the entry of the retry lane (`task`);
//! 2. read what is stored: a look that began after the id was listed has paid for it;
//! 3. look at each other id: its row, its announced deletion, or a call (`look`), and store it (`store`);
//! 4. what failed goes to the retry lane, entry first (`aside`);
//! 5. take the finished ids out of the chunk, and acknowledge whatever became of them: what is left is sent again by the
//!    poller, so that an outage burns no receives and fills no dead-letter queue.
//!
//! Only a crash brings a message back by itself; from the second delivery on the ids are taken one by one, and the one
//! under way is written down before it is tried (`crash`).

mod aside;
mod conclude;
mod crash;
mod look;
mod pace;
mod ports;
mod report;
mod state;
mod store;
mod task;
mod trouble;

use std::time::Duration;

use crate::{
    Clock, Finish, HOST_CLOCKS_APART, Ledger, LocalMillis, Message, Notice, RecordId, Rule, Source, StoreFailure, Told,
};
#[cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "the steps of a fetch know each other by name alone")
)]
use {look::*, pace::*, state::*, task::*, trouble::*};

pub use ports::{Fetcher, FetcherPorts};
pub use report::FetchReport;

/// From this delivery on, ids are taken one by one.
const RECEIVES_TO_ISOLATE: u32 = 2;
/// How long a chunk of another account waits before it is sent again.
const OTHER_ACCOUNT_WAIT: Duration = Duration::from_mins(1);

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
        let Some(task) = self.task(message).await? else {
            return Ok(report);
        };
        match self.ports.source().account_mark().await {
            Ok(mark) if mark == message.account_mark || Rule::AccountFetcher.is_left_out() => {}
            Ok(_) => {
                self.send_again(&task, OTHER_ACCOUNT_WAIT).await?;
                report.notice(Notice::AccountChanged);
                return Ok(report);
            }
            Err(failure) => {
                self.send_again(&task, OTHER_ACCOUNT_WAIT).await?;
                report.failure = Some(failure.to_string());
                return Ok(report);
            }
        }
        if let Origin::Chunk(chunk) = &task.origin
            && chunk.told != Told::Rows
        {
            // The clock of the host that listed may be ahead of this one.
            let early = chunk.pays_from().since(self.ports.clock().now());
            if early > HOST_CLOCKS_APART {
                self.send_again(&task, early).await?;
                return Ok(report);
            }
            self.ports.clock().sleep(early).await;
        }
        let stored = self.stored_versions(&task).await?;
        let (paid, owed): (Vec<RecordId>, Vec<RecordId>) =
            task.ids.iter().cloned().partition(|id| task.is_paid(stored.get(id)));
        report.paid_count = paid.len();
        let mut work = Work::new(self, message, task, stored, stop_at).await?;
        work.finished.extend(paid);
        if receive_count >= RECEIVES_TO_ISOLATE && work.task.is_chunk() && !Rule::CrashCount.is_left_out() {
            work.one_by_one(&owed, &mut report).await?;
        } else {
            work.all(&owed, &mut report).await?;
        }
        work.conclude(&mut report).await?;
        Ok(report)
    }

    async fn send_again(&self, task: &Task, wait: Duration) -> Result<(), StoreFailure> {
        if let Origin::Chunk(chunk) = &task.origin {
            let finish = Finish { next_at: self.ports.clock().now().plus(wait), ..Finish::default() };
            self.ports.ledger().finish(&chunk.key, &finish).await?;
        }
        Ok(())
    }
}
