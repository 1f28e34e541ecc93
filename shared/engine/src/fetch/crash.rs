//! Ids at which a fetcher dies: after a crash each id is tried by itself, and written down before.

use super::{Failed, FetcherPorts, Origin, Work};
use crate::{Clock, Ledger, Next, Reason, RecordId, StoreFailure, Trying};

/// How often in a row a fetcher may die at an id before the id is set aside.
const CRASHES_MAX: u32 = 3;

impl<P: FetcherPorts> Work<'_, P> {
    /// Looks at one id after the other. Before each, one write takes out what is finished and notes which id is next.
    pub(super) async fn one_by_one(&mut self, owed: &[RecordId]) -> Result<(), StoreFailure> {
        let Origin::Chunk(chunk) = &self.looker.task.origin else { return Ok(()) };
        let (key, mut trying) = (chunk.key.clone(), chunk.trying.clone());
        // The suspect goes first, or what comes before it would have its count forgotten at every delivery.
        let suspect = trying.as_ref().map(|trying| trying.id.clone());
        let mut owed: Vec<&RecordId> = owed.iter().collect();
        owed.sort_by_key(|id| Some(*id) != suspect.as_ref());
        for id in owed {
            let times = trying.filter(|trying| trying.id == *id).map_or(0, |trying| trying.times) + 1;
            if times > CRASHES_MAX {
                let cause = format!("the fetcher died {CRASHES_MAX} times in a row at this record");
                let looked_at = self.looker.fetcher.ports.clock().now();
                self.set_aside(Failed { id: id.clone(), reason: Reason::Crash, cause, looked_at }).await?;
                trying = None;
                continue;
            }
            let next = Trying { id: id.clone(), times };
            trying = Some(next.clone());
            self.looker.fetcher.ports.ledger().finish(&key, &self.finished, &Next::Tried(next)).await?;
            self.one(id).await?;
        }
        Ok(())
    }
}
