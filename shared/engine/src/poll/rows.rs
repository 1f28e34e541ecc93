//! Listing numbered pages of rows that move while they are read: section 5 of `docs/protocol.md`, "numbered pages of
//! rows". Passes are compared by ids and stamps, never by bodies, which may differ each time.

use super::{Debt, Evidence, Halt, InHand, Listed, OwedWork, PollerPorts, Reading, Tick, Walk, Went, version_of};
use crate::{Change, Cursor, ListRequest, Notice, Page, PageWalk, RecordId, Rule, StampMillis};

/// How many pages a list may have: five million rows of fifty to a page.
const PAGES_MAX: u32 = 100_000;
/// How many passes are tried before the list counts as moving too much.
const PASSES_MAX: u32 = 6;

impl<P: PollerPorts> Tick<'_, P> {
    pub(super) async fn list_rows(&mut self, owed: &OwedWork) -> Result<Listed, Halt> {
        let from = self.overlap_below(self.scanned_stamp());
        let mut debt = self.fresh_debt(owed, self.started_at, false);
        let mut walk = Walk::new(from, PageWalk::default(), None);
        let went = self.walk(&mut walk, &mut debt, owed, self.poller.settings.fresh_chunks()).await?;
        let Some(first) = walk.first else { return Ok(Listed::nothing(self.started_at)) };
        let evidence = std::mem::take(&mut walk.evidence);
        let (from, rest) = match went {
            Went::Waits(_) => return Ok(Listed::nothing(first.start)),
            Went::From(from) => (from, Some((Cursor::Start, InHand::Nothing))),
            Went::On(cursor) => (from, Some((cursor, InHand::Walk(Box::new(walk))))),
            Went::Whole => (from, None),
        };
        Ok(self.listed(from, &first, &evidence, rest))
    }

    /// Walks on until the list is read whole, enough chunks are put, or this tick has to stop.
    pub(super) async fn walk(
        &mut self,
        walk: &mut Walk,
        debt: &mut Debt,
        owed: &OwedWork,
        chunk_max: usize,
    ) -> Result<Went, Halt> {
        let mut put = 0;
        loop {
            if put >= chunk_max || self.now() >= self.stop_at() {
                return Ok(Went::On(Cursor::Pages(walk.place)));
            }
            let request = ListRequest::Page(walk.from, walk.place.page());
            let (page, reading) = self.call(request, walk.place.pages.saturating_sub(walk.place.step)).await?;
            if page.is_refused && walk.begin_again() {
                continue;
            }
            if page.is_refused && self.may_seal(walk) {
                walk.place.is_capped = true;
            } else if page.is_refused && walk.is_capped() {
                return Ok(self.moving());
            }
            let is_again = walk.note(&page);
            let row_count = page.changes.len();
            // A vendor may show its last, short page again behind the end. A full page that comes again is no end: the
            // vendor does not turn pages.
            let is_end = row_count == 0 || (is_again && row_count < walk.rows_max && page.pages_total.is_none());
            if walk.place.step >= PAGES_MAX || (is_again && !is_end) {
                return Ok(self.moving());
            }
            walk.rows_max = walk.rows_max.max(row_count);
            let told = page.pages_total;
            put += self.take_page(walk, debt, owed, page, &reading).await?;
            self.renew().await?;
            let is_over = walk.place.step(told, is_end);
            // One answer that says it is all there is cannot have moved.
            let is_single =
                walk.place.pass == 0 && walk.place.step == 1 && walk.place.pages == 1 && (told.is_some() || is_end);
            if !is_over && !is_single {
                continue;
            }
            let has_moved = !walk.end_pass();
            let is_confirmed = !has_moved || walk.place.barren > 0 || Rule::BarrenTwice.is_left_out();
            let is_stable = walk.place.pass > 0 && !walk.place.added && is_confirmed;
            if is_single || is_stable || Rule::Passes.is_left_out() {
                let rest = walk.place.newest.filter(|_| walk.place.is_capped);
                return Ok(rest.map_or(Went::Whole, |newest| Went::From(self.overlap_below(newest))));
            }
            walk.place = walk.place.next_pass();
            if walk.place.pass >= PASSES_MAX {
                return Ok(self.moving());
            }
        }
    }

    /// The list moves too much to be read whole: it begins again.
    fn moving(&mut self) -> Went {
        self.report.notices.insert(Notice::ListMoving);
        Went::Waits(Cursor::Start)
    }

    /// Whether a page that is refused can be the end of what the vendor shows, so that the list goes on from the newest
    /// stamp that was read: the rows come in the order of their stamps, and that leads further than this list did.
    fn may_seal(&self, walk: &Walk) -> bool {
        let leads_on = |newest| self.overlap_below(newest) > walk.from;
        self.traits.filtered && walk.place.is_forward() && walk.place.newest.is_some_and(leads_on)
    }

    /// Owes the rows of a page that were not met before and are not settled; returns how many chunks they made.
    async fn take_page(
        &mut self,
        walk: &mut Walk,
        debt: &mut Debt,
        owed: &OwedWork,
        page: Page,
        reading: &Reading,
    ) -> Result<usize, Halt> {
        let first = *walk.first.get_or_insert(*reading);
        let latest = reading.latest(&self.zone());
        let looked_at = reading.start;
        let of_stamp = |at: StampMillis| Evidence { looked_at, distance_ms: latest.millis_since(at) };
        let shortest = page.changes.iter().filter_map(Change::stamp).map(|stamp| of_stamp(stamp.at));
        // A page read after a step back shows stamps of the clock before it.
        if !reading.is_after_step(&self.checkpoint.clocks, &self.zone()) {
            walk.evidence.extend(nearest(shortest));
        }
        let new: Vec<Change> = page.changes.into_iter().filter(|change| walk.met.insert(version_of(change))).collect();
        let begun_at = walk.begun_at.unwrap_or(first.start);
        let (unsettled, met) = self.without_settled(new, begun_at, owed).await?;
        let latest = first.latest(&self.zone());
        let horizon = self.checkpoint.clocks.stamp_of(begun_at, &self.zone()).unwrap_or(latest);
        let is_in_time = |change: &Change| change.stamp().is_none_or(|stamp| stamp.at <= horizon);
        let is_known = |id: &RecordId| met.contains(id) || owed.retries.iter().any(|entry| entry.id == *id);
        walk.place.added |= unsettled.iter().any(|change| is_in_time(change) && !is_known(&change.id));
        debt.listed_at = reading.start;
        self.owe(debt, &mut unsettled.into_iter().peekable(), usize::MAX).await
    }
}

/// Of one page's evidence what the rules need: the shortest distance, and the stamp furthest ahead.
fn nearest(evidence: impl Iterator<Item = Evidence>) -> Vec<Evidence> {
    let all: Vec<Evidence> = evidence.collect();
    let past = all.iter().filter(|seen| seen.distance_ms >= 0).min_by_key(|seen| seen.distance_ms);
    let ahead = all.iter().filter(|seen| seen.distance_ms < 0).min_by_key(|seen| seen.distance_ms);
    past.into_iter().chain(ahead).copied().collect()
}
