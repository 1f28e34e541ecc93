//! Listing a stream whose list gives numbered pages of rows while it moves.
//!
//! An edit moves a row to another page, and every row behind it shifts: a single walk through the pages skips rows that
//! nobody edited. So the pages are walked forward, then backward, until a pass adds no row that was stamped at or before
//! the horizon, and either shows the same pages as the pass before, or follows another that added none: a row that slips
//! past a forward pass by a deletion may slip past the next by an edit. Rows that move because they were edited are
//! stamped later, and belong to the next run.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::change::{Change, ListRequest};
use crate::checkpoint::Position;
use crate::record::{Fingerprint, RecordId};
use crate::rule::Rule;
use crate::run::{PASSES_MAX, SEGMENTS_MAX};
use crate::stamp::UtcMillis;

use super::clocks::Reading;
use super::tick::{Halt, Tick};
use super::{Notice, PollOutcome, PollerPorts};

/// How many pages a list may have: five million rows of fifty to a page.
const PAGES_MAX: u32 = 100_000;

/// Where the walk over the pages stands; kept in the run when a tick's time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PageCursor {
    /// Passes finished; after an odd number the next one goes backward.
    pass: u32,
    /// Steps done of this pass.
    step: u32,
    /// Whether this pass added a row.
    added: bool,
    /// How many pages the last forward pass met; what a backward pass counts down from.
    pages: u32,
    /// How many passes before this one, in a row, added no row.
    barren: u32,
}

impl PageCursor {
    const START: Self = Self { pass: 0, step: 0, added: false, pages: 1, barren: 0 };

    fn to_text(self) -> String {
        format!("{}/{}/{}/{}/{}", self.pass, self.step, u8::from(self.added), self.pages, self.barren)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '/').map(|part| part.parse::<u32>().ok());
        let mut next = || parts.next().flatten();
        Some(Self { pass: next()?, step: next()?, added: next()? > 0, pages: next()?, barren: next()? })
    }

    fn is_forward(self) -> bool {
        self.pass.is_multiple_of(2)
    }

    fn page(self) -> u32 {
        if self.is_forward() { self.step + 1 } else { self.pages.saturating_sub(self.step).max(1) }
    }

    /// Notes an answer; returns whether the pass is over. Only a forward pass learns how many pages there are: from what
    /// the vendor tells, else from the first empty one.
    fn step(&mut self, told: Option<u32>, is_empty: bool) -> bool {
        self.step += 1;
        if !self.is_forward() {
            return self.step >= self.pages;
        }
        self.pages = match told {
            Some(total) => total.max(1),
            None if is_empty => (self.step - 1).max(1),
            None => self.step,
        };
        if told.is_some() { self.step >= self.pages } else { is_empty }
    }

    fn next_pass(self) -> Self {
        let barren = if self.added { 0 } else { self.barren + 1 };
        Self { pass: self.pass + 1, step: 0, added: false, pages: self.pages, barren }
    }
}

/// The ids on each page as the pass before showed them, and whether this pass shows the same.
#[derive(Default)]
struct Shown {
    before: HashMap<u32, u64>,
    now: HashMap<u32, u64>,
    last: Option<u64>,
}

impl Shown {
    /// Notes a page; returns whether it shows rows, and the same as the page just read in this pass.
    fn note(&mut self, page: u32, changes: &[Change]) -> bool {
        let mut hasher = DefaultHasher::new();
        for change in changes {
            change.id.hash(&mut hasher);
        }
        let ids = hasher.finish();
        self.now.insert(page, ids);
        self.last.replace(ids) == Some(ids) && !changes.is_empty()
    }

    /// Whether the pass that ends showed every page as the one before did.
    fn end_pass(&mut self) -> bool {
        // Behind the end there may be an empty page that only forward passes meet.
        let is_same = self.now.iter().all(|(page, ids)| self.before.get(page) == Some(ids));
        *self = Self { before: std::mem::take(&mut self.now), ..Self::default() };
        is_same
    }
}

/// The version of a row as this tick saw it.
type Seen = HashMap<RecordId, (Option<UtcMillis>, Option<Fingerprint>)>;

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn list_pages(&mut self) -> Result<PollOutcome, Halt> {
        let resumed = self.checkpoint.run.clone();
        if resumed.as_ref().is_some_and(|run| run.sent < run.accepted || run.segments.len() >= SEGMENTS_MAX) {
            // Accepted, but whether their rows were sent nobody knows.
            self.abort(Notice::ChunkLost).await?;
            return Ok(PollOutcome::Aborted);
        }
        let from = match &resumed {
            Some(run) => run.from.at().unwrap_or_default(),
            None => self.start_of_list(),
        };
        let mut cursor = resumed.and_then(|run| PageCursor::parse(&run.cursor?)).unwrap_or(PageCursor::START);
        let mut seen = Seen::new();
        let mut shown = Shown::default();
        let mut first_reading: Option<Reading> = None;
        loop {
            let is_in_time =
                self.now() < self.stop_at && self.reserve_next_of(cursor.pages.saturating_sub(cursor.step)).await?;
            if !is_in_time {
                self.keep_place(cursor, from, first_reading.as_ref()).await?;
                self.rest().await?;
                return Ok(PollOutcome::Listing);
            }
            let (page, reading) = match self.call(ListRequest::Page { from, page: cursor.page() }).await {
                Ok(answer) => answer,
                Err(halt) => {
                    self.keep_place(cursor, from, first_reading.as_ref()).await?;
                    return Err(halt);
                }
            };
            // A vendor may show its last page again behind the end; one that tells how many there are, and yet shows
            // the same page twice in a pass, has no pages to walk.
            let is_again = shown.note(cursor.page(), &page.changes);
            if cursor.step >= PAGES_MAX || (is_again && page.pages_total.is_some()) {
                return self.give_up_pages().await;
            }
            let (told, is_empty) = (page.pages_total, page.changes.is_empty() || is_again);
            let first = first_reading.get_or_insert_with(|| reading.clone()).clone();
            cursor.added |= self.take_page(page.changes, from, &first, &reading, &mut seen).await?;
            self.renew().await?;
            let is_over = cursor.step(told, is_empty);
            // One answer that says it is all there is cannot have moved.
            let is_single = cursor.pass == 0 && cursor.step == 1 && cursor.pages == 1 && (told.is_some() || is_empty);
            if !is_over && !is_single {
                continue;
            }
            let has_moved = !shown.end_pass();
            let is_stable = cursor.pass > 0 && !cursor.added && (!has_moved || cursor.barren > 0);
            if is_single || is_stable || Rule::Passes.is_left_out() {
                return self.end_pages(&first).await;
            }
            cursor = cursor.next_pass();
            if cursor.pass >= PASSES_MAX {
                return self.give_up_pages().await;
            }
        }
    }

    /// Accepts the rows of a page that are news; returns whether any of them was stamped within the horizon.
    async fn take_page(
        &mut self,
        changes: Vec<Change>,
        from: UtcMillis,
        first: &Reading,
        reading: &Reading,
        seen: &mut Seen,
    ) -> Result<bool, Halt> {
        let mut fresh: Vec<Change> = Vec::new();
        for change in changes {
            let version = (change.stamp().map(|stamp| stamp.at), change.row().map(crate::record::Body::fingerprint));
            if seen.insert(change.id.clone(), version) != Some(version) {
                fresh.push(change);
            }
        }
        let now = self.now();
        let lately =
            |change: &Change| self.quarantined.iter().any(|entry| entry.id == change.id && entry.was_tried_lately(now));
        fresh.retain(|change| !lately(change));
        let fresh = self.without_unchanged(fresh).await?;
        if fresh.is_empty() {
            return Ok(false);
        }
        if self.checkpoint.run.is_none() {
            self.start(Position::At(from), first).await?;
        }
        if let Some(run) = &mut self.checkpoint.run {
            run.known = run.known.max(self.known);
        }
        let horizon = self.checkpoint.run.as_ref().map_or(first.horizon, |run| run.horizon);
        let added = fresh.iter().any(|change| change.stamp().is_none_or(|stamp| stamp.at <= horizon));
        self.accept(fresh, reading.called_at).await?;
        Ok(added)
    }

    /// Leaves the rest of the pages to the next tick, in the state in hand. A run keeps the place, also where nothing new
    /// was met so far: from the first page on again, a long list would never be read to its end.
    async fn keep_place(&mut self, cursor: PageCursor, from: UtcMillis, first: Option<&Reading>) -> Result<(), Halt> {
        let Some(first) = first else { return Ok(()) };
        if self.checkpoint.run.is_none() {
            self.start(Position::At(from), first).await?;
        }
        let now = self.now();
        if let Some(run) = &mut self.checkpoint.run {
            run.cursor = Some(cursor.to_text());
            self.checkpoint.last_progress_at = Some(now);
        }
        Ok(())
    }

    async fn end_pages(&mut self, first: &Reading) -> Result<PollOutcome, Halt> {
        if self.checkpoint.run.is_none() {
            return self.rest_quiet(first).await;
        }
        self.dispatch().await?;
        self.seal().await
    }

    async fn give_up_pages(&mut self) -> Result<PollOutcome, Halt> {
        if self.checkpoint.run.is_some() {
            self.abort(Notice::ListMoving).await?;
        } else {
            self.report.notices.push(Notice::ListMoving);
            self.rest().await?;
        }
        Ok(PollOutcome::Aborted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_alternate_their_direction() {
        let at = |pass, step| PageCursor { pass, step, added: false, pages: 3, barren: 0 }.page();
        assert_eq!([at(0, 0), at(0, 2), at(1, 0), at(1, 2), at(2, 0)], [1, 3, 3, 1, 1]);
    }

    #[test]
    fn a_vendor_that_tells_no_total_is_walked_to_its_first_empty_page_and_back() {
        let mut cursor = PageCursor::START;
        assert_eq!(
            [(None, false), (None, false), (None, true)].map(|(told, empty)| cursor.step(told, empty)),
            [false, false, true]
        );
        cursor = cursor.next_pass();
        let mut pages = Vec::new();
        loop {
            pages.push(cursor.page());
            if cursor.step(None, false) {
                break;
            }
        }
        assert_eq!(pages, [2, 1]);
    }

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = PageCursor { pass: 2, step: 17, added: true, pages: 40, barren: 1 };
        assert_eq!(PageCursor::parse(&cursor.to_text()), Some(cursor));
        assert_eq!(PageCursor::parse("nonsense"), None);
    }
}
