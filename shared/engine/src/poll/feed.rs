//! Following a feed of events behind an opaque token.
//!
//! A run reads up to 50 pages, or as many records as the window has room for, and commits the token behind them: so all
//! its messages are sent at once, with their events. The events of one record are coalesced: the newest counts. There is
//! no overlap in time; a run starts at the newest remembered token that is older than the overlap.
//! Without a token, or when it is rejected and a new one is not, everything is listed once behind a token that was taken
//! before, and then the token is committed: what changes meanwhile comes through the feed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::change::{Change, ListRequest};
use crate::checkpoint::{Checkpoint, Guard, Position};
use crate::chunk::Chunk;
use crate::failure::{Afterwards, FailureClass, SourceFailure, disposition};
use crate::record::{Body, RecordId};
use crate::run::{ORDERED_PAGES_MAX, SEGMENTS_MAX};

use super::clocks::Reading;
use super::commit::note_token;
use super::tick::{Halt, Tick};
use super::{Notice, PollOutcome, PollerPorts};

/// How many pages are read in search of the token that an earlier run got to. It may not be met: where it stood behind a
/// page that was not full then, the page leads past it now. The next run starts at it.
const OVERLAP_PAGES_MAX: u32 = 2 * ORDERED_PAGES_MAX;

/// How many windows of chunks a snapshot may be ahead of what is fetched.
const WINDOWS_AHEAD: u32 = 4;

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn list_feed(&mut self) -> Result<PollOutcome, Halt> {
        if let Some(run) = &self.checkpoint.run {
            if run.newest.is_some() && run.segments.len() < SEGMENTS_MAX {
                let cursor = run.cursor.clone();
                return self.go_on_with_snapshot(cursor).await;
            }
            if run.newest.is_some() {
                self.report.notices.push(Notice::ChunkLost);
            }
            // Interrupted between events: read them again, they are in order.
            let guard = Guard::Abort { run_id: run.run_id.clone() };
            let next = Checkpoint { run: None, ..self.checkpoint.clone() };
            self.store(guard, next).await?;
        }
        let start = self.position_to_start_from();
        let Some(token) = start.token() else {
            let (token, reading) = self.newest_token().await?;
            return self.begin_snapshot(token, &reading).await;
        };
        match self.follow(&start, token).await {
            Err(Halt::Source { failure, .. }) if is_rejection(&failure) => self.resync().await,
            followed => followed,
        }
    }

    /// The newest token that was seen an overlap ago; else the oldest there is.
    fn position_to_start_from(&self) -> Position {
        let settled = self.now().minus(self.poller.settings.overlap);
        let tokens = &self.checkpoint.tokens;
        let seen = tokens.iter().rev().find(|token| token.seen_at <= settled).or_else(|| tokens.first());
        seen.map_or(&self.checkpoint.scanned, |token| &token.position).clone()
    }

    /// Reads events from a position on.
    async fn follow(&mut self, start: &Position, token: &str) -> Result<PollOutcome, Halt> {
        let scanned = self.checkpoint.scanned.token().map(str::to_owned);
        let mut token = token.to_owned();
        let mut newest: HashMap<String, Told> = HashMap::new();
        let mut readings: Option<(Reading, Reading)> = None;
        let mut is_past = false;
        let mut is_at_end = false;
        let mut order = 0;
        let (mut pages, mut pages_before) = (0, 0);
        let room = self.window(u32::MAX).await?.chunk_count.saturating_mul(self.poller.settings.chunk_ids);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let is_full = |newest: &HashMap<String, Told>| newest.values().filter(|told| told.is_news).count() >= room;
        while !is_at_end
            && (pages < ORDERED_PAGES_MAX || newest.is_empty())
            && pages_before < OVERLAP_PAGES_MAX
            && !(is_past && is_full(&newest))
            && self.now() < self.stop_at
        {
            if scanned.as_deref() == Some(&token) {
                // All that was told until here was read by an earlier run.
                is_past = true;
                for told in newest.values_mut() {
                    told.is_news = false;
                }
            }
            pages += u32::from(is_past);
            pages_before += u32::from(!is_past);
            self.reserve(1).await?;
            let (page, reading) = self.call(ListRequest::Events { token: &token }).await?;
            readings = Some((readings.map_or_else(|| reading.clone(), |(first, _)| first), reading));
            is_at_end = page.is_end;
            // A token that does not move has nothing behind it: some feeds tell the event at the token once more.
            let is_news = !(page.next.as_ref() == Some(&token) && scanned.as_deref() == Some(&token));
            for change in page.changes {
                order += 1;
                newest.insert(record_in(&change.id).to_owned(), Told { order, is_news, change });
            }
            token = page.next.unwrap_or(token);
            self.renew().await?;
        }
        let Some((first, last)) = readings else {
            self.rest().await?;
            return Ok(PollOutcome::Listing);
        };
        // Events before `scanned` were read by an earlier run; whether this one got past it is sure only where the token
        // was met, or the feed ended.
        let reached = if is_past || is_at_end { self.position_of(token) } else { self.checkpoint.scanned.clone() };
        let changes = self.without_seen_events(in_feed_order(newest), &first).await?;
        if changes.is_empty() {
            return self.rest_at(reached, &first, is_at_end).await;
        }
        self.start(start.clone(), &first).await?;
        // Dated by the last call: a deletion dated earlier could lose against a fetch that had not seen it.
        self.accept(changes, last.called_at).await?;
        if let Some(run) = &mut self.checkpoint.run {
            run.newest = Some(reached);
        }
        self.dispatch().await?;
        self.seal().await
    }

    /// A token as a position: the one we stand at, or one behind it.
    fn position_of(&self, token: String) -> Position {
        let scanned = &self.checkpoint.scanned;
        if scanned.token() == Some(&token) {
            return scanned.clone();
        }
        Position::Token { text: token, sequence: scanned.order().saturating_add(1) }
    }

    /// Ends a listing without news at its newest token; the next tick goes on there when the feed has more to tell.
    async fn rest_at(&mut self, reached: Position, reading: &Reading, is_end: bool) -> Result<PollOutcome, Halt> {
        let now = self.now();
        let committed = self.committable(reached.clone());
        let mut next = Checkpoint { scanned: reached, committed, ..self.checkpoint.clone() };
        if is_end {
            next.last_success_at = Some(now);
            self.note_listed(&mut next, reading.horizon);
        } else {
            next.last_progress_at = Some(now);
        }
        note_token(&mut next, now);
        self.store_last(Guard::NoRun, next).await?;
        Ok(if is_end { PollOutcome::Quiet } else { PollOutcome::Listing })
    }

    /// Begins anew because a token was rejected. Not where a new one is rejected, too: then something else is wrong with
    /// the call, and everything would be listed at every tick.
    async fn resync(&mut self) -> Result<PollOutcome, Halt> {
        let (token, reading) = self.newest_token().await?;
        self.reserve(1).await?;
        match self.call(ListRequest::Events { token: &token }).await {
            Err(Halt::Source { failure, tries }) if is_rejection(&failure) => {
                let cause =
                    "the feed rejects a new token, too: compare the source's settings with what the vendor takes";
                let failure = SourceFailure::caused(FailureClass::Forbidden, cause, failure);
                return Err(Halt::Source { failure, tries });
            }
            answered => drop(answered?),
        }
        self.report.notices.push(Notice::Resync);
        self.begin_snapshot(token, &reading).await
    }

    /// The feed's newest token, and when it was asked for.
    async fn newest_token(&mut self) -> Result<(String, Reading), Halt> {
        self.reserve(1).await?;
        let (page, reading) = self.call(ListRequest::NewestToken).await?;
        Ok((page.next.unwrap_or_default(), reading))
    }

    /// Begins to list everything, and commits to a token that was taken before.
    async fn begin_snapshot(&mut self, token: String, reading: &Reading) -> Result<PollOutcome, Halt> {
        let reached = Position::Token { text: token, sequence: self.checkpoint.scanned.order().saturating_add(1) };
        // From no token at all: there are no events to this run.
        let from = Position::Token { text: String::new(), sequence: self.checkpoint.scanned.order() };
        // A token that was rejected is nothing to start from again.
        self.checkpoint.tokens.clear();
        self.start_with(from, reading, Some(reached)).await?;
        self.go_on_with_snapshot(None).await
    }

    /// Lists everything, page by page; each page is accepted before the next is asked for. A list that moves is told
    /// more than once by its source: what was told before is left out.
    async fn go_on_with_snapshot(&mut self, mut cursor: Option<String>) -> Result<PollOutcome, Halt> {
        let is_resumed = cursor.is_some();
        let mut told: HashSet<RecordId> = HashSet::new();
        loop {
            if self.now() >= self.stop_at || self.is_far_ahead().await? {
                self.dispatch().await?;
                self.checkpoint.last_progress_at = Some(self.now());
                self.rest().await?;
                return Ok(PollOutcome::Listing);
            }
            self.reserve(1).await?;
            let (page, reading) = self.call(ListRequest::Snapshot { cursor: cursor.as_deref() }).await?;
            let mut changes = page.changes;
            changes.retain(|change| told.insert(change.id.clone()));
            if is_resumed {
                changes = self.without_fetched_by_this_run(changes).await?;
            }
            self.accept(changes, reading.called_at).await?;
            cursor = page.next;
            if let Some(run) = &mut self.checkpoint.run {
                run.cursor.clone_from(&cursor);
            }
            if cursor.is_none() {
                break;
            }
            self.renew().await?;
        }
        self.dispatch().await?;
        self.seal().await
    }
}

impl<P: PollerPorts> Tick<'_, P> {
    /// Whether so much is listed and not fetched yet that listing on would only take places from the fetchers.
    async fn is_far_ahead(&mut self) -> Result<bool, Halt> {
        let window = self.window(u32::MAX).await?.chunk_count;
        let open = self.checkpoint.run.as_ref().map_or(0, |run| run.accepted - run.frontier);
        Ok(open > window.saturating_mul(WINDOWS_AHEAD))
    }

    /// The newest events of the ids that these chunks still hold, read from the feed once more: the ledger does not keep
    /// them, and they travelled with the first message alone. None where the run read no events, and what was found so
    /// far where the vendor has forgotten the token meanwhile: then the records keep the events they have.
    pub(super) async fn events_of(&mut self, chunks: &[(&Chunk, Duration)]) -> Result<HashMap<RecordId, Body>, Halt> {
        let mut events = HashMap::new();
        let run = self.checkpoint.run.as_ref().filter(|_| !chunks.is_empty());
        // Only a run that read events starts at a token: no list of ids or rows does, and no snapshot.
        let Some((mut token, end)) = run.and_then(|run| {
            let from = run.from.token()?.to_owned();
            Some((Some(from), run.newest.as_ref().and_then(Position::token).map(str::to_owned)))
        }) else {
            return Ok(events);
        };
        let wanted: HashSet<&RecordId> = chunks.iter().flat_map(|(chunk, _)| &chunk.pending).collect();
        // Bounded, or the chunks would not be sent in this tick: what is not found keeps the event it has.
        for _ in 0..OVERLAP_PAGES_MAX {
            let Some(from) = token.take().filter(|token| end.as_ref() != Some(token)) else { break };
            self.reserve(1).await?;
            let page = match self.call(ListRequest::Events { token: &from }).await {
                Ok((page, _)) => page,
                Err(Halt::Source { failure, .. }) if is_rejection(&failure) => break,
                Err(halt) => return Err(halt),
            };
            token = page.next.filter(|_| !page.is_end);
            for change in page.changes {
                if let Some(event) = change.event().filter(|_| wanted.contains(&change.id)) {
                    events.insert(change.id.clone(), event.clone());
                }
            }
            self.renew().await?;
        }
        Ok(events)
    }
}

/// Whether the feed rejected the token.
fn is_rejection(failure: &SourceFailure) -> bool {
    disposition(failure.class).afterwards == Afterwards::Resync
}

/// The record that a locator names, whatever it announces.
fn record_in(locator: &RecordId) -> &str {
    locator.as_str().trim_start_matches('-')
}

/// The newest event of a record, and whether no earlier run has read it.
struct Told {
    order: usize,
    is_news: bool,
    change: Change,
}

/// The changes in the order of their events, each with whether it is news.
fn in_feed_order(newest: HashMap<String, Told>) -> Vec<(Change, bool)> {
    let mut told: Vec<Told> = newest.into_values().collect();
    told.sort_unstable_by_key(|told| told.order);
    told.into_iter().map(|told| (told.change, told.is_news)).collect()
}
