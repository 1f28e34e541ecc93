//! Listing everything. What is listed is kept before the place is.

use std::hash::{DefaultHasher, Hash, Hasher};

use tidemark_engine::backoff::{Again, again};
use tidemark_engine::change::{Change, ListRequest, Page, WhyLater};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::{FailureClass, SourceFailure, causes};
use tidemark_engine::ports::{Clock, Ledger, Source};
use tidemark_engine::record::{RecordId, StoredVersion};
use tidemark_engine::rule::Rule;
use tidemark_engine::slots::wait_for;
use tidemark_engine::stream::ListShape;

use super::compare::count;
use super::ports::{SweepPorts, Sweeps};
use super::state::{Kept, PIECE_BYTES, Phase, PieceKey, Place, Problem};
use super::{Halt, Run, Went};

/// How many pages are read before the place is written.
const PAGES_AT_ONCE: usize = 10;
/// After so many polls in a row at which a part of a list fails the rest is listed without it.
const FAILED_MAX: u32 = 5;
/// How often all pages are read at most.
const PASSES_MAX: u32 = 6;

impl<P: SweepPorts> Run<'_, P> {
    /// Waits for the next slot from `earliest` on, on the schedule that all functions of the source share.
    pub(super) async fn wait_for_slot(&mut self, earliest: LocalMillis) -> Result<(), Halt> {
        let (clock, interval) = (self.poller.ports.clock(), self.poller.settings.call_interval);
        let (ledger, whenever) = (self.poller.ports.ledger(), LocalMillis::new(i64::MAX));
        let earliest = earliest.max(clock.now());
        let slot = ledger.reserve(self.key.source, 1, interval, earliest, whenever).await?;
        wait_for(clock, slot.unwrap_or(earliest)).await;
        self.report.calls_count += 1;
        self.sweep.proof.calls += 1;
        Ok(())
    }

    /// One list call; the answer, and the local start of the call.
    async fn call(&mut self, request: ListRequest<'_>) -> Result<(Page, LocalMillis), Halt> {
        let ports = &self.poller.ports;
        let clock = ports.clock();
        let (mut tried, mut earliest) = (0, clock.now());
        loop {
            self.wait_for_slot(earliest).await?;
            let start = clock.now();
            tried += 1;
            let failure = match ports.source().list(&self.traits.name, request).await {
                Ok(mut page) => {
                    self.check_account().await?;
                    // A part that is refused, fails or moves was not read whole.
                    let unread = page.later.take().filter(|later| later.why != WhyLater::Untold);
                    self.sweep.proof.unproved.extend(unread.map(|later| later.stream));
                    return Ok((page, start));
                }
                Err(failure) => failure,
            };
            match again(ports.random(), &failure, tried) {
                Some(Again::After(wait)) => clock.sleep(wait).await,
                Some(Again::AfterQuiet(wait)) if clock.now().plus(wait) < self.until => {
                    earliest = clock.now().plus(wait);
                }
                Some(Again::AfterQuiet(_)) | None => return Err(Halt::Source(failure)),
            }
        }
    }

    /// A secret that is read again in the midst of a sweep may be another account's.
    async fn check_account(&self) -> Result<(), Halt> {
        let mark = self.poller.ports.source().account_mark().await.map_err(Halt::Source)?;
        if mark == self.sweep.ground.account_mark {
            return Ok(());
        }
        let cause = "the account or its settings changed in the midst of the sweep";
        let failure = SourceFailure::new(FailureClass::Forbidden, cause);
        let next = "decide about the account; the next sweep begins by itself, a backfill is to be asked for again";
        Err(Halt::Source(failure.with_next_step(next)))
    }

    /// A list without numbered pages: all ids at once, or the pages of a feed's snapshot.
    pub(super) async fn list_all(&mut self, place: Option<String>) -> Result<Went, Halt> {
        let request = match self.traits.shape {
            ListShape::Feed => ListRequest::Snapshot(place.as_deref()),
            ListShape::Whole | ListShape::Pages => ListRequest::Changed(self.from()),
        };
        let page = match self.call(request).await {
            Ok((page, _)) => page,
            Err(Halt::Source(failure)) => return self.pass_over(place.as_deref(), failure),
            Err(halt) => return Err(halt),
        };
        self.sweep.failed_count = 0;
        let ids: Vec<RecordId> = page.changes.into_iter().map(|change| change.id).collect();
        if self.sweep.range.is_some() {
            self.sweep.proof.listed += count(ids.len());
        }
        self.keep(Kept::Listed, &ids).await?;
        let is_over = page.next.is_none() || Rule::SweepWhole.is_left_out();
        self.list_on(page.next.filter(|_| !is_over));
        Ok(Went::On)
    }

    /// Goes on behind a page.
    fn list_on(&mut self, next: Option<String>) {
        self.sweep.phase = match next {
            next @ Some(_) => Phase::Listing(next),
            None if self.sweep.range.is_some() => Phase::Owing(None),
            None => Phase::Comparing(None, None),
        };
    }

    /// Goes on without a part of the list that fails poll after poll while the vendor answers other calls.
    fn pass_over(&mut self, place: Option<&str>, failure: SourceFailure) -> Result<Went, Halt> {
        let fails = self.is_answering && failure.class == FailureClass::Transient;
        let Some((part, others)) = self.poller.ports.source().apart(place).filter(|_| fails) else {
            return Err(Halt::Source(failure));
        };
        self.sweep.failed_count += 1;
        if self.sweep.failed_count < FAILED_MAX {
            return Err(Halt::Source(failure));
        }
        self.sweep.failed_count = 0;
        self.sweep.failure = Some(causes(&failure));
        self.sweep.proof.unproved.insert(part.stream);
        self.list_on(others);
        Ok(Went::On)
    }

    /// Some numbered pages. A row that moves past a pass is missed, so the entries of each pass are counted. When more must
    /// be there than were met, all pages are read again, until a pass meets nothing else.
    pub(super) async fn list_pages(&mut self, mut place: Place) -> Result<Went, Halt> {
        let from = self.from();
        if self.met.is_empty() {
            let kept = self.poller.ports.sweeps().kept(&self.key, self.sweep.proof.begun_at, Kept::Listed).await?;
            self.met = kept.iter().map(|id| digest(id, 0)).collect();
            // Rows may have moved to the page before since it was read.
            place.page = place.page.saturating_sub(1).max(1);
        }
        let (mut told, owed_before) = (None, self.report.owed_count);
        for _ in 0..PAGES_AT_ONCE {
            let number = place.page;
            let (page, listed_at) = self.call(ListRequest::Page(from, number)).await?;
            if page.is_refused && told.is_some_and(|told| told >= number) {
                let cause = format!("the vendor refuses page {number} of its list, and reports more");
                let next_step = "ask the vendor to lift the cap of its list: it cannot be compared whole";
                return Ok(Went::Failed(Problem::new(cause, next_step)));
            }
            told = page.pages_total.or(told);
            let row_count = page.changes.len() + page.unusable_count;
            let shown = (page.changes.iter().fold(0, |all, row| digest(&row.id, all).cast_signed()), row_count);
            // Where more pages are counted a page without rows hides none of them, as where parents have nothing. A vendor may
            // show its last page again behind the end.
            let is_more = told.is_some_and(|told| told > number);
            let is_beyond = if row_count == 0 { !is_more } else { self.page_before == Some(shown) };
            let is_over = is_beyond || told.is_some_and(|told| number >= told) || Rule::SweepWhole.is_left_out();
            if !is_beyond {
                place.page_rows = place.page_rows.max(row_count);
                place.unusable_count += page.unusable_count;
                let unmet = page.changes.into_iter().filter(|row| self.met.insert(digest(&row.id, 0)));
                let rows: Vec<Change> = unmet.collect();
                place.added |= self.meet(rows, listed_at).await?;
                self.page_before = Some(shown);
                place.page += 1;
            }
            self.sweep.phase = Phase::Pages(place);
            if is_over {
                return Ok(self.end_pass(place));
            }
            // What was found is counted in what is saved.
            if self.is_late() || self.report.owed_count > owed_before {
                break;
            }
        }
        Ok(Went::On)
    }

    /// Whether everything was met, or what is to be done for it.
    fn end_pass(&mut self, place: Place) -> Went {
        let full_pages = usize::try_from(place.page.saturating_sub(2)).unwrap_or(usize::MAX);
        let last_rows = self.page_before.take().map_or(0, |(_, rows)| rows);
        let row_count = full_pages.saturating_mul(place.page_rows).saturating_add(last_rows);
        let is_met = self.met.len().saturating_add(place.unusable_count) >= row_count;
        // A vendor may show rows twice, or pages that are not full.
        let is_barren = place.pass > 0 && !place.added;
        let pass = place.pass + 1;
        let is_read = is_met || is_barren || Rule::SweepWhole.is_left_out();
        self.sweep.phase = match () {
            () if is_read && self.sweep.range.is_some() => return Went::Over,
            () if is_read => Phase::Comparing(None, None),
            () if pass < PASSES_MAX => Phase::Pages(Place { page: 1, pass, added: false, unusable_count: 0, ..place }),
            () => {
                let cause =
                    "the rows of its list moved between pages while they were read, at each of several readings";
                let next_step = "nothing if it is rare; else sweep when the vendor is quiet: SweepRate takes cron(..)";
                return Went::Failed(Problem::new(cause, next_step));
            }
        };
        Went::On
    }

    /// Keeps the ids of rows, and owes those rows that are not stored so. Whether any is older than the sweep: what is
    /// younger is in the list of changes.
    async fn meet(&mut self, rows: Vec<Change>, listed_at: LocalMillis) -> Result<bool, Halt> {
        let began = self.poller.ports.source().reading(self.sweep.proof.started_at);
        let ids: Vec<RecordId> = rows.iter().map(|row| row.id.clone()).collect();
        let versions = self.poller.ports.versions_of(&self.traits.name, ids.iter()).await?;
        let is_young = |row: &Change| {
            let is_stored = versions.get(&row.id).is_some_and(|stored| stored.looked_at >= self.sweep.proof.begun_at);
            is_stored || row.stamp().is_some_and(|stamp| stamp.at > began)
        };
        let is_older = !rows.iter().all(is_young);
        // What a list tells by its id alone, only a fetch compares.
        let asks_for_all = self.sweep.range.is_some();
        let rows: Vec<Change> = rows.into_iter().filter(|row| self.is_in_range(row)).collect();
        if asks_for_all {
            self.sweep.proof.listed += count(rows.len());
        }
        let (mut missing, mut different) = (0, 0);
        let is_owed = |row: &Change| match versions.get(&row.id) {
            Some(stored) if stored.looked_at >= listed_at => false,
            None | Some(StoredVersion { deleted: true, .. }) => {
                missing += 1;
                true
            }
            Some(stored) => {
                let differs = row.row().map_or(asks_for_all, |row| stored.fingerprint != Some(row.fingerprint()));
                different += u64::from(differs);
                differs
            }
        };
        let owed: Vec<Change> = rows.into_iter().filter(is_owed).collect();
        self.sweep.proof.missing += missing;
        self.sweep.proof.different += different;
        self.owe(owed, listed_at).await?;
        // Last: what is kept is not compared again after a crash.
        self.keep(Kept::Listed, &ids).await?;
        Ok(is_older)
    }

    /// Keeps ids of the sweep, in pieces that an item can hold.
    pub(super) async fn keep(&mut self, kept: Kept, ids: &[RecordId]) -> Result<(), Halt> {
        let mut rest = ids;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |id: &&RecordId| {
                bytes += id.as_str().len() + 3;
                bytes <= PIECE_BYTES
            };
            let (piece, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            let (sweep, version) = (self.sweep.proof.begun_at, self.lease_version);
            let key = PieceKey { sweep, kept, version, seq: self.seq };
            self.seq += 1;
            self.poller.ports.sweeps().keep(&self.key, &key, piece).await?;
            rest = later;
        }
        Ok(())
    }
}

pub(super) fn digest(id: &RecordId, salt: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (id, salt).hash(&mut hasher);
    hasher.finish()
}
