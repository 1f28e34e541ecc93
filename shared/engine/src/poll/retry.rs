//! Trying quarantined ids again, each on its own ladder, as chunks of one id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::chunk::{Chunk, ChunkKey, RETRY_RUN};
use crate::ports::{Ledger, Outgoing};
use crate::quarantine::{Quarantined, retry_after};
use crate::stamp::UtcMillis;

use super::PollerPorts;
use super::dispatch::again;
use super::tick::{Halt, Tick};

/// How many ids are tried again in one tick.
const RETRIES_A_TICK: usize = 50;

impl<P: PollerPorts> Tick<'_, P> {
    /// Sends the quarantined ids whose time has come. Success takes an id out of quarantine (E11), by the fetcher.
    pub(super) async fn retry_quarantined(&mut self) -> Result<(), Halt> {
        let now = self.now();
        let due: Vec<Quarantined> =
            self.quarantined.iter().filter(|entry| entry.next_at <= now).take(RETRIES_A_TICK).cloned().collect();
        if due.is_empty() {
            return Ok(());
        }
        let chunks: Vec<Chunk> = (0..).zip(&due).map(|(seq, entry)| self.retry_chunk(seq, entry, now)).collect();
        let ledger = self.poller.ports.ledger();
        ledger.put_chunks(&chunks).await?;
        let outgoing: Vec<Outgoing> = chunks
            .iter()
            .map(|chunk| Outgoing { message: again(chunk, BTreeMap::new()), delay: Duration::ZERO })
            .collect();
        let sent = self.send(&outgoing).await?;
        for entry in due.iter().take(sent) {
            let attempts = entry.attempts.saturating_add(1);
            ledger.reschedule(&entry.stream, &entry.id, attempts, now.plus(retry_after(attempts))).await?;
        }
        Ok(())
    }

    fn retry_chunk(&self, seq: u32, entry: &Quarantined, now: UtcMillis) -> Chunk {
        let key = ChunkKey {
            stream: self.checkpoint.stream.clone(),
            run: RETRY_RUN.to_owned(),
            seq,
            epoch: self.checkpoint.epoch,
        };
        Chunk::new(key, now, now, entry.held_checkpoint.clone(), BTreeSet::from([entry.id.clone()])).sent(Some(now))
    }
}
