//! Following a feed of events behind an opaque token.
//!
//! A run reads up to 50 pages and commits the token behind them. The events of one record are coalesced: the newest
//! counts. There is no overlap in time; a run starts at the newest remembered token that is older than the overlap.
//! Without a token, or when it is rejected, a new token is taken first, then everything is listed once, then the token
//! is committed: what changes meanwhile comes through the feed.

use std::collections::HashMap;

use crate::change::{Change, ListRequest, token_of};
use crate::checkpoint::{Checkpoint, Guard, Position};
use crate::failure::{Afterwards, disposition};
use crate::run::{ORDERED_PAGES_MAX, SEGMENTS_MAX};

use super::clocks::Reading;
use super::commit::note_token;
use super::tick::{Halt, Tick};
use super::{Notice, PollOutcome, PollerPorts};

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn list_feed(&mut self) -> Result<PollOutcome, Halt> {
        if let Some(run) = &self.checkpoint.run {
            if run.newest.is_some() && run.segments.len() < SEGMENTS_MAX {
                let cursor = run.cursor.clone();
                return self.go_on_with_snapshot(cursor).await;
            }
            // Interrupted between events: read them again, they are in order.
            let guard = Guard::Abort { run_id: run.run_id.clone() };
            let next = Checkpoint { run: None, ..self.checkpoint.clone() };
            self.store(guard, next).await?;
        }
        let Some(token) = self.token_to_start_from() else {
            return self.begin_snapshot().await;
        };
        match self.follow(&token).await {
            Err(Halt::Source { failure, .. }) if disposition(failure.class).afterwards == Afterwards::Resync => {
                self.report.notices.push(Notice::Resync);
                self.begin_snapshot().await
            }
            followed => followed,
        }
    }

    /// The newest token that was seen an overlap ago; else the oldest there is.
    fn token_to_start_from(&self) -> Option<String> {
        let settled = self.now().minus(self.poller.settings.overlap);
        let tokens = &self.checkpoint.tokens;
        let seen = tokens.iter().rev().find(|token| token.seen_at <= settled).or_else(|| tokens.first());
        let position = seen.map_or(&self.checkpoint.scanned, |token| &token.position);
        token_of(position).map(str::to_owned)
    }

    /// Reads events from `token` on.
    async fn follow(&mut self, start: &str) -> Result<PollOutcome, Halt> {
        let scanned = token_of(&self.checkpoint.scanned).map(str::to_owned);
        let mut token = start.to_owned();
        let mut newest: HashMap<String, Told> = HashMap::new();
        let mut readings: Option<(Reading, Reading)> = None;
        let mut is_past = false;
        let mut is_at_end = false;
        let mut order = 0;
        let mut pages = 0;
        while !is_at_end && pages < ORDERED_PAGES_MAX && self.now() < self.stop_at {
            if scanned.as_deref() == Some(&token) {
                // All that was told until here was read by an earlier run.
                is_past = true;
                for told in newest.values_mut() {
                    told.is_news = false;
                }
            }
            pages += u32::from(is_past);
            self.reserve(1).await?;
            let (page, reading) = self.call(ListRequest::Events { token: &token }).await?;
            readings = Some((readings.map_or_else(|| reading.clone(), |(first, _)| first), reading));
            is_at_end = page.changes.is_empty() || page.next.as_ref().is_none_or(|next| *next == token);
            for change in page.changes {
                order += 1;
                newest.insert(
                    change.id.as_str().trim_start_matches('-').to_owned(),
                    Told { order, is_news: true, change },
                );
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
            return self.rest_at(reached, &first).await;
        }
        self.start(self.checkpoint.scanned.clone(), &first).await?;
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
        if token_of(scanned) == Some(&token) {
            return scanned.clone();
        }
        Position::Token { text: token, sequence: scanned.order().saturating_add(1) }
    }

    /// Ends a listing without news at its newest token.
    async fn rest_at(&mut self, reached: Position, reading: &Reading) -> Result<PollOutcome, Halt> {
        let now = self.now();
        let committed = self.committable(reached.clone());
        let mut next =
            Checkpoint { scanned: reached, committed, last_success_at: Some(now), ..self.checkpoint.clone() };
        self.note_listed(&mut next, reading.horizon);
        note_token(&mut next, now);
        self.store_last(Guard::NoRun, next).await?;
        Ok(PollOutcome::Quiet)
    }

    /// Takes a new token, then begins to list everything.
    async fn begin_snapshot(&mut self) -> Result<PollOutcome, Halt> {
        self.reserve(1).await?;
        let (page, reading) = self.call(ListRequest::NewestToken).await?;
        let token = page.next.unwrap_or_default();
        let reached = Position::Token { text: token, sequence: self.checkpoint.scanned.order().saturating_add(1) };
        self.start_with(self.checkpoint.scanned.clone(), &reading, Some(reached)).await?;
        self.go_on_with_snapshot(None).await
    }

    /// Lists everything, page by page; each page is accepted before the next is asked for.
    async fn go_on_with_snapshot(&mut self, mut cursor: Option<String>) -> Result<PollOutcome, Halt> {
        loop {
            if self.now() >= self.stop_at {
                self.dispatch().await?;
                self.checkpoint.last_progress_at = Some(self.now());
                self.rest().await?;
                return Ok(PollOutcome::Listing);
            }
            self.reserve(1).await?;
            let (page, reading) = self.call(ListRequest::Snapshot { cursor: cursor.as_deref() }).await?;
            self.accept(page.changes, reading.called_at).await?;
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
