//! Following a feed of events behind an opaque token: section 5 of `docs/protocol.md`, "a feed".

use std::collections::HashMap;

use super::{Halt, Listed, OwedWork, PollerPorts, Reading, Tick};
use crate::{
    Body, Change, Cursor, FailureClass, ListRequest, Listing, LocalMillis, Notice, Position, RecordId, Scope, Source,
    SourceFailure, Told,
};

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn list_feed(&mut self, owed: &OwedWork, sends: bool) -> Result<Listed, Halt> {
        self.take_up_later();
        let scanned = self.checkpoint.scanned.clone();
        let Some(token) = scanned.token() else {
            let (token, reading) = self.newest_token().await?;
            return Ok(self.begin_snapshot(token, &reading));
        };
        match self.follow(token, owed, sends).await {
            Err(Halt::Source(failure)) if failure.class == FailureClass::TokenRejected => self.resync().await,
            followed => followed,
        }
    }

    /// Reads the events behind `scanned`, up to an interval's calls, and owes their records.
    async fn follow(&mut self, token: &str, owed: &OwedWork, sends: bool) -> Result<Listed, Halt> {
        let room = self.poller.settings.calls_in(self.poller.settings.poll_interval);
        let mut newest: HashMap<RecordId, (usize, Change)> = HashMap::new();
        let events_owed = events_owed(owed);
        let mut order = 0;
        let mut token = token.to_owned();
        let mut read: Option<(LocalMillis, LocalMillis, bool)> = None;
        loop {
            let (page, reading) = match self.call(ListRequest::Events(&token), 1).await {
                // What was read before the failure is owed: the next tick goes on behind it.
                Err(Halt::Source(_)) if read.is_some() => break,
                answered => answered?,
            };
            let begun_at = read.map_or(reading.start, |(begun_at, ..)| begun_at);
            read = Some((begun_at, reading.end, page.is_end));
            // A token that does not move has nothing behind it: some feeds show the event at the token once more.
            let is_repeat = page.next.as_ref() == Some(&token);
            for change in page.changes.into_iter().filter(|_| !is_repeat) {
                order += 1;
                let earlier = newest.get(&change.id).and_then(|(_, earlier)| earlier.event());
                let earlier = earlier.or_else(|| events_owed.get(&change.id).copied());
                let change = self.joined(earlier, change);
                newest.insert(change.id.clone(), (order, change));
            }
            token = page.next.unwrap_or(token);
            self.renew().await?;
            if page.is_end || newest.len() >= room || self.now() >= self.stop_at() {
                break;
            }
        }
        let (begun_at, ended_at, is_whole) = read.unwrap_or_default();
        let mut told: Vec<(usize, Change)> = newest.into_values().collect();
        told.sort_unstable_by_key(|(order, _)| *order);
        // Dated by the last answer: it reports what happened until then, and a deletion dated earlier could lose against a
        // fetch that had not seen it.
        let mut debt = self.fresh_debt(owed, ended_at, sends);
        self.owe(&mut debt, &mut told.into_iter().map(|(_, change)| change).peekable(), usize::MAX).await?;
        Ok(Listed { scanned: Some(self.position_of(token)), is_whole, ..Listed::nothing(begun_at) })
    }

    /// A change with the event that stands for its own and an earlier one.
    fn joined(&self, earlier: Option<&Body>, mut change: Change) -> Change {
        if let (Some(earlier), Some(listed)) = (earlier, &mut change.listed)
            && let Some(later) = &listed.event
        {
            listed.event = Some(self.poller.ports.source().joined_event(earlier, later));
        }
        change
    }

    /// A token as a position: the one the stream stands at, or one behind it.
    fn position_of(&self, token: String) -> Position {
        let scanned = &self.checkpoint.scanned;
        if scanned.token() == Some(&token) {
            return scanned.clone();
        }
        Position::Token { text: token, sequence: scanned.order().saturating_add(1) }
    }

    /// Begins again because a token was rejected. Not where a new one is rejected, too: then something else is wrong
    /// with the call, and everything would be listed at every tick.
    async fn resync(&mut self) -> Result<Listed, Halt> {
        let (token, reading) = self.newest_token().await?;
        match self.call(ListRequest::Events(&token), 1).await {
            Err(Halt::Source(failure)) if failure.class == FailureClass::TokenRejected => {
                let cause =
                    "the feed rejects a new token, too: compare the source's settings with what the vendor takes";
                return Err(Halt::Source(SourceFailure::caused(FailureClass::Forbidden, cause, failure)));
            }
            answered => drop(answered?),
        }
        self.report.notices.insert(Notice::Resync);
        Ok(self.begin_snapshot(token, &reading))
    }

    async fn newest_token(&mut self) -> Result<(String, Reading), Halt> {
        let (page, reading) = self.call(ListRequest::NewestToken, 1).await?;
        Ok((page.next.unwrap_or_default(), reading))
    }

    /// Moves to a token that was just taken, and hands over the listing of everything there is.
    fn begin_snapshot(&mut self, token: String, reading: &Reading) -> Listed {
        let scanned = self.position_of(token);
        let holds = Some(self.checkpoint.scanned.clone());
        // The token is of any time within its call: what waits for it counts from the end.
        let begun_at = reading.end;
        self.checkpoint.later.clear();
        self.checkpoint.hand_over(Listing { scope: Scope::Snapshot, holds, cursor: Cursor::Start, begun_at });
        Listed { scanned: Some(scanned), ..Listed::nothing(begun_at) }
    }

    /// Lists a part again that was left out, when it is time and nothing else is under way.
    fn take_up_later(&mut self) {
        let now = self.now();
        let due = self.checkpoint.later.iter().position(|part| part.begun_at <= now);
        if let Some(due) = due.filter(|_| self.checkpoint.backlog.is_empty()) {
            let part = self.checkpoint.later.remove(due);
            self.checkpoint.hand_over(Listing { begun_at: now, ..part });
        }
    }
}

/// The newest event of each record that is owed with one.
fn events_owed(owed: &OwedWork) -> HashMap<&RecordId, &Body> {
    let events = owed.fresh.iter().filter_map(|chunk| match &chunk.told {
        Told::Events(events) => Some(events),
        Told::Ids | Told::Rows => None,
    });
    events.flatten().filter_map(|(id, event)| Some((id, event.body.as_ref()?))).collect()
}
