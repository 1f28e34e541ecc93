//! Calling the vendor's list: its slot on the shared schedule, tries, and what the answer shows of the clock.

use std::time::Duration;

use super::{Evidence, Halt, InHand, Listed, PollerPorts, Reading, Tick, moved};
use crate::{
    Again, Clock, Cursor, Later, Ledger, ListRequest, Listing, LocalMillis, Notice, Page, Position, Rule, Scope, Slots,
    Source, StampMillis, VendorMillis, WhyLater, again, wait_for,
};

/// How many slots one write takes at most: few enough that others do not wait long.
const SLOTS_A_WRITE: u32 = 10;
/// After how long a part of a snapshot that was left out is listed again...
const LEFT_OUT_FOR: Duration = Duration::from_hours(1);
/// ...and one that the feed tells nothing of.
const UNTOLD_FOR: Duration = Duration::from_hours(24);

impl<'a, P: PollerPorts> Tick<'a, P> {
    /// One list call, tried up to three times; `wanted` calls will follow each other.
    pub(super) async fn call(&mut self, request: ListRequest<'_>, wanted: u32) -> Result<(Page, Reading), Halt> {
        let poller = self.poller;
        let clock = poller.ports.clock();
        let mut tried = 0;
        let mut earliest = clock.now();
        loop {
            self.wait_for_slot(wanted, earliest).await?;
            let start = clock.now();
            tried += 1;
            self.report.calls_count += 1;
            let failure = match poller.ports.source().list(&self.traits.name, request).await {
                Ok(mut page) => {
                    self.check_account().await?;
                    self.note_later(page.later.take());
                    let reading = Reading { start, end: clock.now(), date: page.date };
                    self.report.listed_count += page.changes.len();
                    if page.unusable_count > 0 {
                        self.report.notices.insert(Notice::UnusableIds(page.unusable_count));
                    }
                    self.report.notices.extend(reading.notice());
                    return Ok((page, reading));
                }
                Err(failure) => failure,
            };
            match again(poller.ports.random(), &failure, tried) {
                Some(Again::After(wait)) => clock.sleep(wait).await,
                Some(Again::AfterQuiet(wait)) if clock.now().plus(wait) < self.stop_at() => {
                    // Slots taken before lie within the time that the vendor asked for.
                    self.slots = Slots::default();
                    earliest = clock.now().plus(wait);
                }
                Some(Again::AfterQuiet(_)) | None => return Err(Halt::Source(failure)),
            }
        }
    }

    /// Notes a part that is listed again later.
    fn note_later(&mut self, later: Option<Later>) {
        let Some(Later { stream, cursor, why }) = later else { return };
        self.report.notices.extend((why == WhyLater::Moving).then_some(Notice::ListMoving));
        let wait = match why {
            WhyLater::Untold => UNTOLD_FOR,
            WhyLater::Refused | WhyLater::Moving => {
                self.report.notices.insert(Notice::LeftOut(stream));
                LEFT_OUT_FOR
            }
        };
        let Some(cursor) = cursor.map(Cursor::Source) else { return };
        let part = Listing { scope: Scope::Snapshot, holds: None, cursor, begun_at: self.now().plus(wait) };
        self.checkpoint.later.retain(|known| known.cursor != part.cursor);
        self.checkpoint.later.push(part);
    }

    /// A secret that is read again in the midst of a tick may be another account's.
    async fn check_account(&self) -> Result<(), Halt> {
        let mark = self.poller.ports.source().account_mark().await?;
        let is_same = mark == self.checkpoint.account_mark || Rule::AccountPoller.is_left_out();
        if is_same { Ok(()) } else { Err(Halt::AccountChanged) }
    }

    /// Waits for the next slot. A fetcher takes those of one chunk at most: a list waits for what is in hand, not owed.
    async fn wait_for_slot(&mut self, wanted: u32, earliest: LocalMillis) -> Result<(), Halt> {
        let (clock, interval) = (self.poller.ports.clock(), self.poller.settings.call_interval);
        let mut slot = self.slots.take(clock.now(), interval);
        if slot.is_none() {
            let (source, count) = (self.checkpoint.stream.source, wanted.clamp(1, SLOTS_A_WRITE));
            let (earliest, whenever) = (earliest.max(clock.now()), LocalMillis::new(i64::MAX));
            slot = self.poller.ports.ledger().reserve(source, count, interval, earliest, whenever).await?;
            self.slots = slot.map_or_else(Slots::default, |first| Slots::new(first.plus(interval), count - 1));
        }
        wait_for(clock, slot.unwrap_or(earliest)).await;
        Ok(())
    }

    pub(super) fn overlap_below(&self, stamp: StampMillis) -> StampMillis {
        let overlap = if Rule::Overlap.is_left_out() { Duration::ZERO } else { self.poller.settings.overlap };
        stamp.minus(overlap)
    }

    pub(super) fn scanned_stamp(&self) -> StampMillis {
        self.checkpoint.scanned.at().unwrap_or_default()
    }

    pub(super) fn zone(&self) -> impl Fn(VendorMillis) -> StampMillis + use<'a, P> {
        let source = self.poller.ports.source();
        move |at| source.reading(at)
    }

    /// What follows from a listing whose first answer was `first`. The `rest`, where it goes on and what of it is in
    /// hand, is handed over.
    pub(super) fn listed(
        &mut self,
        from: StampMillis,
        first: &Reading,
        evidence: &[Evidence],
        rest: Option<(Cursor, InHand)>,
    ) -> Listed {
        let begun_at = first.start;
        let (scanned, overlap, zone) = (self.scanned_stamp(), self.poller.settings.overlap, self.zone());
        let evidence = if self.traits.stamped { evidence } else { &[] };
        let (clocks, notices) = (&mut self.checkpoint.clocks, &mut self.report.notices);
        let scanned = moved(clocks, scanned, first, evidence, overlap, &zone, notices);
        if let Some((cursor, in_hand)) = rest {
            let holds = Some(self.checkpoint.scanned.clone());
            self.checkpoint.hand_over(Listing { scope: Scope::Changes(from), holds, cursor, begun_at });
            if self.checkpoint.backlog.len() == 1 {
                self.in_hand = in_hand;
            }
        }
        Listed { scanned: Some(Position::At(scanned)), ..Listed::nothing(begun_at) }
    }
}
