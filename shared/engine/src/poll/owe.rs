//! Owing: turning listed changes into chunks of the ledger, and sending those that there is room for.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::time::Duration;

use super::{Halt, PollerPorts, Tick};
use crate::{
    CHUNK_BYTES, Change, Chunk, ChunkKey, DETAILS_LAG, Event, HOST_CLOCKS_APART, Lane, Ledger, LocalMillis, Outgoing,
    Position, ROW_BYTES_MAX, RecordId, Row, Rule, Told,
};

/// How many chunks are put before they are sent.
pub const CHUNKS_AT_ONCE: usize = 25;

/// Where the changes of a listing go.
pub(super) struct Debt {
    pub(super) lane: Lane,
    pub(super) holds: Option<Position>,
    /// Local start of the call that listed them.
    pub(super) listed_at: LocalMillis,
    /// How many more ids may be sent at once. Rows always are: nothing but their message holds them.
    pub(super) room: usize,
    pub(super) last: Option<RecordId>,
}

impl<P: PollerPorts> Tick<'_, P> {
    /// Puts at most `chunk_max` chunks of `changes`, and sends what there is room for. Returns how many were put.
    pub(super) async fn owe(
        &mut self,
        debt: &mut Debt,
        changes: &mut Peekable<impl Iterator<Item = Change>>,
        chunk_max: usize,
    ) -> Result<usize, Halt> {
        let mut put = 0;
        while put < chunk_max && changes.peek().is_some() {
            let mut chunks = Vec::new();
            let mut outgoing = Vec::new();
            while chunks.len() < CHUNKS_AT_ONCE.min(chunk_max - put) && changes.peek().is_some() {
                let draft = Draft::take(changes, self.poller.settings.chunk_ids);
                let (chunk, message) = self.chunk_of(draft, debt);
                self.report.owed_count += chunk.ids.len();
                if debt.lane == Lane::Bulk {
                    // Written with the next place that is kept.
                    self.checkpoint.import_count += u64::try_from(chunk.ids.len()).unwrap_or(u64::MAX);
                }
                chunks.push(chunk);
                outgoing.extend(message);
            }
            put += chunks.len();
            self.poller.ports.ledger().put_chunks(&chunks).await?;
            self.send_paced(outgoing).await?;
        }
        Ok(put)
    }

    fn chunk_of(&mut self, draft: Draft, debt: &mut Debt) -> (Chunk, Option<Outgoing>) {
        let lane = if Rule::TwoLanes.is_left_out() { Lane::Fresh } else { debt.lane };
        let version = if Rule::KeyVersion.is_left_out() { 0 } else { self.lease_version };
        let key = ChunkKey::new(self.checkpoint.stream.clone(), lane, debt.holds.as_ref(), version, self.put_count);
        self.put_count += 1;
        let sends = draft.told == Told::Rows || debt.room > 0;
        debt.room = debt.room.saturating_sub(draft.ids.len());
        debt.last = draft.ids.last().cloned();
        // As if sent already: one write fewer, and a poller that dies before it sends is made up for later.
        let patience = self.now().plus(self.poller.settings.patience());
        let chunk = Chunk {
            key,
            holds: debt.holds.clone(),
            ids: draft.ids,
            listed_at: debt.listed_at,
            next_at: if sends { patience } else { LocalMillis::default() },
            told: draft.told,
            trying: None,
        };
        let delay = match chunk.told {
            Told::Events(_) => DETAILS_LAG + HOST_CLOCKS_APART,
            Told::Ids | Told::Rows => Duration::ZERO,
        };
        let message = sends.then(|| self.message_of(&chunk, draft.rows, delay));
        (chunk, message)
    }
}

/// What the next chunk is made of.
pub struct Draft {
    /// Its ids.
    pub ids: BTreeSet<RecordId>,
    /// What else the list reports of them.
    pub told: Told,
    /// Rows, which travel in its message.
    pub rows: BTreeMap<RecordId, Row>,
}

/// What a change brings along: changes of different kinds never share a chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Id,
    Row,
    Event,
}

impl Draft {
    /// Takes the next chunk off the changes. A row that is too long for a message travels as its id.
    pub fn take(changes: &mut Peekable<impl Iterator<Item = Change>>, chunk_ids: usize) -> Self {
        let mut ids = BTreeSet::new();
        let mut rows = BTreeMap::new();
        let mut events = BTreeMap::new();
        let mut of_chunk = None;
        let mut bytes_sum = 0;
        while let Some(change) = changes.peek() {
            let (kind, bytes) = kind_of(change);
            let is_other_kind = of_chunk.is_some_and(|of_chunk| of_chunk != kind);
            bytes_sum += bytes + change.id.as_str().len();
            if ids.len() == chunk_ids || is_other_kind || (!ids.is_empty() && bytes_sum > CHUNK_BYTES) {
                break;
            }
            of_chunk = Some(kind);
            let Some(change) = changes.next() else { break };
            let listed = change.listed.map(|listed| *listed).unwrap_or_default();
            match (kind, listed.row) {
                (Kind::Row, Some(body)) => {
                    rows.insert(change.id.clone(), Row { body, stamp: listed.stamp });
                }
                (Kind::Event, _) => {
                    let body = listed.event.filter(|event| event.text().len() <= ROW_BYTES_MAX);
                    events.insert(change.id.clone(), Event { deleted: change.deleted, body });
                }
                (Kind::Id | Kind::Row, _) => {}
            }
            ids.insert(change.id);
        }
        let told = match of_chunk {
            Some(Kind::Row) => Told::Rows,
            Some(Kind::Event) => Told::Events(events),
            Some(Kind::Id) | None => Told::Ids,
        };
        Self { ids, told, rows }
    }
}

fn kind_of(change: &Change) -> (Kind, usize) {
    match (change.row(), change.event()) {
        (Some(row), _) if row.text().len() <= ROW_BYTES_MAX => (Kind::Row, row.text().len()),
        (None, Some(event)) => (Kind::Event, event.text().len()),
        (None, None) if change.deleted => (Kind::Event, 0),
        (Some(_) | None, _) => (Kind::Id, 0),
    }
}
