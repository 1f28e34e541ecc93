//! Going on with a listing that was too big for one tick: chunks are put into the bulk lane, then the cursor is
//! written. Step 8 of section 5 of `docs/protocol.md`.

use std::collections::HashSet;
use std::iter::Peekable;
use std::time::Duration;

use super::{
    CHUNKS_AT_ONCE, Debt, Halt, INTERVALS_AHEAD, InHand, OwedWork, PollerPorts, Tick, Walk, Went, in_id_order,
};
use crate::{
    BACKLOG_MAX, Change, Chunk, Cursor, FailureClass, Lane, ListRequest, ListShape, Listing, LocalMillis, PageWalk,
    RecordId, Rule, Scope, Source, StampMillis,
};

/// How far clocks of the hosts that list and fetch may be apart.
const HOST_CLOCKS_MAX: Duration = Duration::from_mins(5);
/// Of the overlap what a snapshot need not wait: details' lag, resolution, and tolerance of clocks.
const WAITS_LESS: Duration = Duration::from_secs(33);

/// How much bulk work this tick may put.
struct Room<'a> {
    owed: &'a OwedWork,
    /// Ids that may be sent.
    sends: usize,
    /// Ids that may be put ahead of what is fetched.
    ahead: usize,
    /// What this tick met of a snapshot.
    met: HashSet<RecordId>,
}

impl<P: PollerPorts> Tick<'_, P> {
    /// Goes on with the oldest listing of the backlog while there are time and room; `sends` ids may be sent.
    pub(super) async fn go_on(&mut self, owed: &OwedWork, sends: usize) -> Result<(), Halt> {
        let settings = &self.poller.settings;
        let ids = |chunks: &[Chunk]| chunks.iter().map(|chunk| chunk.ids.len()).sum::<usize>();
        let ahead = settings.calls_in(settings.poll_interval.saturating_mul(INTERVALS_AHEAD));
        let ahead = if owed.bulk_is_whole { ahead.saturating_sub(ids(&owed.bulk)) } else { 0 };
        let mut room = Room { owed, sends, ahead, met: HashSet::new() };
        while let Some(listing) = self.checkpoint.backlog.first().cloned() {
            if self.now() >= self.stop_at() {
                break;
            }
            let went = match (&listing.scope, self.traits.shape) {
                (Scope::Changes(from), ListShape::Pages) => self.go_on_rows(*from, &listing, &mut room).await?,
                (Scope::Changes(from), _) => self.go_on_ids(*from, &listing, &mut room).await?,
                (Scope::Snapshot, _) => self.go_on_snapshot(&listing, &mut room).await?,
            };
            if !self.keep_place(went).await? {
                break;
            }
            if self.checkpoint.backlog.first().map(|next| &next.begun_at) != Some(&listing.begun_at) {
                self.in_hand = InHand::Nothing;
                room.met.clear();
            }
        }
        Ok(())
    }

    /// Writes where the listing stands; whether there is more to do now.
    async fn keep_place(&mut self, went: Went) -> Result<bool, Halt> {
        let mut next = self.checkpoint.clone();
        let Some(listing) = next.backlog.first_mut() else { return Ok(false) };
        let goes_on = !matches!(went, Went::Waits(_));
        match went {
            Went::Whole => drop(next.backlog.remove(0)),
            Went::From(from) => (listing.scope, listing.cursor) = (Scope::Changes(from), Cursor::Start),
            Went::On(cursor) | Went::Waits(cursor) if listing.cursor == cursor => return Ok(goes_on),
            Went::On(cursor) | Went::Waits(cursor) => listing.cursor = cursor,
        }
        next.last_progress_at = Some(self.now());
        if !self.traits.filtered {
            // The scan that goes on is the only listing there is.
            next.last_success_at = next.last_progress_at;
        }
        self.store(next).await?;
        Ok(goes_on)
    }

    async fn go_on_ids(&mut self, from: StampMillis, listing: &Listing, room: &mut Room<'_>) -> Result<Went, Halt> {
        let (rest, listed_at) = match std::mem::take(&mut self.in_hand) {
            InHand::Ids(rest, listed_at) => (rest, listed_at),
            InHand::Nothing | InHand::Walk(_) => {
                let (page, reading) = self.call(ListRequest::Changed(from), 1).await?;
                let mut changes = in_id_order(page.changes);
                if let Cursor::Id(last) = &listing.cursor {
                    changes.retain(|change| change.id > *last);
                }
                (changes, reading.start)
            }
        };
        let mut rest = rest.into_iter().peekable();
        while rest.peek().is_some() {
            let last = self.owe_bulk(listing, listed_at, &mut rest, room).await?;
            let Some(last) = last.filter(|_| rest.peek().is_some()) else { break };
            if self.now() >= self.stop_at() {
                return Ok(Went::On(Cursor::Id(last)));
            }
            // The whole list is in hand: it need not be called again for each write.
            self.keep_place(Went::On(Cursor::Id(last))).await?;
        }
        Ok(Went::Whole)
    }

    async fn go_on_rows(&mut self, from: StampMillis, listing: &Listing, room: &mut Room<'_>) -> Result<Went, Halt> {
        // A chunk of rows takes one call, that of its page. Of a lane too long to be read nothing more can be put.
        let chunk_max = if room.owed.bulk_is_whole { room.sends.min(CHUNKS_AT_ONCE) } else { 0 };
        if chunk_max == 0 {
            return Ok(Went::Waits(listing.cursor.clone()));
        }
        let place = if let Cursor::Pages(place) = listing.cursor { place } else { PageWalk::default() };
        let mut walk = match std::mem::take(&mut self.in_hand) {
            InHand::Walk(walk) => *walk,
            InHand::Nothing | InHand::Ids(..) => Walk::new(from, place, Some(listing.begun_at)),
        };
        let mut debt = bulk_debt(listing, self.started_at, 0);
        let put_before = self.put_count;
        let walked = self.walk(&mut walk, &mut debt, room.owed, chunk_max).await;
        if self.traits.stamped {
            self.checkpoint.clocks.learn(&walk.evidence);
        }
        let chunks = usize::try_from(self.put_count - put_before).unwrap_or(usize::MAX);
        room.sends = room.sends.saturating_sub(chunks);
        let went = match walked {
            Ok(went) => went,
            Err(halt) => {
                // The place is kept, or a list of which one page often fails would never be read to its end.
                self.keep_place(Went::Waits(Cursor::Pages(walk.place))).await?;
                return Err(halt);
            }
        };
        if let Went::From(from) = went {
            walk = Walk::new(from, PageWalk::default(), Some(listing.begun_at));
        }
        self.in_hand = InHand::Walk(Box::new(walk));
        Ok(went)
    }

    /// One page of everything there is, less what this tick has met, and what was fetched well after `begun_at`.
    async fn go_on_snapshot(&mut self, listing: &Listing, room: &mut Room<'_>) -> Result<Went, Halt> {
        let cursor = if let Cursor::Source(text) = &listing.cursor { Some(text.as_str()) } else { None };
        // What happened just before the token was taken shows a little later, and no event reports it again.
        let shows_at = listing.begun_at.plus(self.poller.settings.overlap.saturating_sub(WAITS_LESS));
        if room.ahead == 0 || self.now() < shows_at {
            return Ok(Went::Waits(listing.cursor.clone()));
        }
        let answered = self.call(ListRequest::Snapshot(cursor), 1).await;
        self.set_apart(listing, cursor, answered.as_ref().err()).await?;
        let (page, reading) = answered?;
        let mut changes = page.changes;
        changes.retain(|change| room.met.insert(change.id.clone()));
        let margin = if Rule::SnapshotMargin.is_left_out() { Duration::ZERO } else { HOST_CLOCKS_MAX };
        let fetched_from = listing.begun_at.plus(margin);
        let ids = changes.iter().map(|change| &change.id);
        let versions = self.poller.ports.versions_of(&self.traits.name, ids).await?;
        changes.retain(|change| {
            !versions.get(&change.id).is_some_and(|stored| !stored.deleted && stored.looked_at >= fetched_from)
        });
        let mut rest = changes.into_iter().peekable();
        while rest.peek().is_some() {
            self.owe_bulk(listing, reading.start, &mut rest, room).await?;
        }
        Ok(page.next.map_or(Went::Whole, |next| Went::On(Cursor::Source(next))))
    }

    /// Lets the part of a snapshot that cannot be read wait behind the others.
    async fn set_apart(&mut self, here: &Listing, cursor: Option<&str>, halt: Option<&Halt>) -> Result<(), Halt> {
        let fails = matches!(halt, Some(Halt::Source(failure)) if failure.class == FailureClass::Transient);
        let Some((part, others)) = self.poller.ports.source().apart(cursor).filter(|_| fails) else { return Ok(()) };
        let mut next = self.checkpoint.clone();
        let others = others.filter(|_| next.backlog.len() < BACKLOG_MAX).map(Cursor::Source);
        if let Some(((others, first), alone)) = others.zip(next.backlog.first_mut()).zip(part.cursor) {
            first.cursor = others;
            next.backlog.push(Listing { cursor: Cursor::Source(alone), ..here.clone() });
        } else {
            next.backlog.rotate_left(1);
        }
        self.store(next).await
    }

    /// Puts up to one write's chunks into the bulk lane; returns the last id put.
    async fn owe_bulk(
        &mut self,
        listing: &Listing,
        listed_at: LocalMillis,
        rest: &mut Peekable<impl Iterator<Item = Change>>,
        room: &mut Room<'_>,
    ) -> Result<Option<RecordId>, Halt> {
        let owed_before = self.report.owed_count;
        let mut debt = bulk_debt(listing, listed_at, room.sends);
        self.owe(&mut debt, rest, CHUNKS_AT_ONCE).await?;
        room.sends = debt.room;
        room.ahead = room.ahead.saturating_sub(self.report.owed_count - owed_before);
        Ok(debt.last)
    }
}

/// Where the changes of a listing of the backlog go.
fn bulk_debt(listing: &Listing, listed_at: LocalMillis, room: usize) -> Debt {
    Debt { lane: Lane::Bulk, holds: listing.holds.clone(), listed_at, room, last: None }
}
