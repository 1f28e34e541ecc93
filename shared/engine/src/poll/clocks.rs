//! The position rules: where `scanned` moves to after a listing. Section 4 of `docs/protocol.md`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{Clocks, LocalMillis, NO_DATE, Notice, OFFSET_MAX, Raise, Rule, StampMillis, VendorMillis, millis_of};

/// A smaller step back of the vendor's clock is within the tolerance of the overlap.
const STEP_MIN_MS: i64 = 10_000;
/// How far a stamp may lie ahead of the vendor's clock before a person hears of it.
const AHEAD_MAX: Duration = Duration::from_mins(5);

/// What one answer shows of the vendor's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) start: LocalMillis,
    pub(super) end: LocalMillis,
    pub(super) date: Option<VendorMillis>,
}

/// Vendor's clock less local clock, in milliseconds: at least `low`, at most `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    low: i64,
    high: i64,
}

impl Reading {
    /// In UTC. A cached answer has an old Date, which errs on the safe side.
    fn gap(&self) -> Gap {
        let Some(date) = self.date else {
            let margin = if Rule::DateMargin.is_left_out() { 0 } else { millis_of(NO_DATE) };
            return Gap { low: -margin, high: margin };
        };
        let low = if Rule::HorizonAtStart.is_left_out() { self.start } else { self.end };
        Gap { low: date.get() - low.get(), high: date.get() + 1_000 - self.start.get() }
    }

    /// Whether the vendor's clock was further ahead at the last listing.
    pub(super) fn is_after_step(&self, before: &Clocks, zone: Zone) -> bool {
        let low = in_stamps(zone, self.gap().low, self.end);
        before.gap_ms.is_some_and(|kept_ms| in_stamps(zone, kept_ms, before.listed_at) - low > STEP_MIN_MS)
    }

    pub(super) fn notice(&self) -> Option<Notice> {
        if self.date.is_none() {
            return Some(Notice::DateMissing);
        }
        let offset_ms = self.gap().low;
        (offset_ms.saturating_abs() > millis_of(OFFSET_MAX)).then_some(Notice::ClockDoubt(offset_ms))
    }

    /// What the stamps' clock had reached at most when the answer was there.
    pub(super) fn latest(&self, zone: Zone) -> StampMillis {
        zone(VendorMillis::new(self.end.get() + self.gap().high))
    }
}

/// The stamps that edits made at instants of the vendor's clock would have.
pub(super) type Zone<'a> = &'a dyn Fn(VendorMillis) -> StampMillis;

/// A gap in UTC, as it was at `at`, in the reading of stamps.
fn in_stamps(zone: Zone, gap_ms: i64, at: LocalMillis) -> i64 {
    zone(VendorMillis::new(at.get().saturating_add(gap_ms))).get().saturating_sub(at.get())
}

impl Clocks {
    /// When a look began, in the reading of stamps; none before the vendor's clock is known.
    pub(super) fn stamp_of(&self, at: LocalMillis, zone: Zone) -> Option<StampMillis> {
        let gap = in_stamps(zone, self.gap_ms?, self.listed_at);
        Some(StampMillis::new(at.get().saturating_add(gap)))
    }

    /// The same, but no later than it was: a look may be from before a step forward.
    pub(super) fn earliest_stamp_of(&self, at: LocalMillis, zone: Zone) -> Option<StampMillis> {
        Self { gap_ms: self.gap_ms.min(self.held_gap_ms), ..*self }.stamp_of(at, zone)
    }

    /// `behind` falls to the shortest distance of a look that counts.
    pub(super) fn learn(&mut self, evidence: &[Evidence]) {
        let since = if Rule::Evidence.is_left_out() { LocalMillis::new(i64::MIN) } else { self.evidence_from };
        let counts =
            |seen: &&Evidence| seen.looked_at >= since && (seen.distance_ms >= 0 || Rule::FutureStamps.is_left_out());
        let shortest = evidence.iter().filter(counts).map(|seen| seen.distance_ms.max(0)).min();
        let shortest = shortest.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        self.behind = shortest.map_or(self.behind, |shortest| self.behind.min(shortest));
    }
}

/// A look and a stamp in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) looked_at: LocalMillis,
    /// How far the stamp was behind the most that the stamps' clock had reached, in milliseconds; negative when ahead.
    pub(super) distance_ms: i64,
}

/// The rules 1 to 5: where `scanned` moves to. `first` is the listing's first answer, `evidence` what its looks showed.
pub(super) fn moved(
    clocks: &mut Clocks,
    scanned: StampMillis,
    first: &Reading,
    evidence: &[Evidence],
    overlap: Duration,
    zone: Zone,
    notices: &mut BTreeSet<Notice>,
) -> StampMillis {
    let before = *clocks;
    let gap = first.gap();
    let is_first = before.gap_ms.is_none();
    let low = in_stamps(zone, gap.low, first.end);
    let kept = before.gap_ms.map_or(low, |kept_ms| {
        // Mixed up with the zone of its own listing, a corrected zone would hide a step, or feign one.
        if Rule::GapInUtc.is_left_out() { kept_ms } else { in_stamps(zone, kept_ms, before.listed_at) }
    });
    let step_ms = kept - low;
    let is_step = step_ms > STEP_MIN_MS;

    // A step just before the first listing, or inside it, would not be seen.
    if is_first && !Rule::FirstEvidence.is_left_out() {
        clocks.evidence_from = clocks.evidence_from.max(first.end.plus(NO_DATE));
    }
    if !is_step {
        clocks.learn(evidence);
    }
    let ahead_ms = evidence.iter().map(|seen| -seen.distance_ms).max().unwrap_or(0);
    if ahead_ms > millis_of(AHEAD_MAX) {
        notices.insert(Notice::FutureStamp(ahead_ms));
    }

    if is_first || is_step {
        (clocks.held_gap_ms, clocks.raise) = (Some(gap.low), None);
    }
    hold_gap(clocks, gap.low, first, overlap);
    let held_ms = clocks.held_gap_ms.filter(|held_ms| *held_ms != gap.low);
    let held = held_ms.map_or(low, |held_ms| in_stamps(zone, held_ms, before.listed_at));
    let smaller = if Rule::SmallerGap.is_left_out() { low } else { low.min(kept).min(held) };
    let horizon = StampMillis::new(first.start.get().saturating_add(smaller));
    let behind = if Rule::Behind.is_left_out() { Duration::ZERO } else { clocks.behind };
    let mut target = horizon.minus(behind);
    if is_step && !Rule::Step.is_left_out() {
        target = scanned.shifted(-step_ms);
        clocks.evidence_from = clocks.evidence_from.max(first.end.plus(NO_DATE).shifted(step_ms));
        if first.date.is_some() {
            notices.insert(Notice::ClockStep(step_ms));
        }
    }

    if is_first || is_step || first.start >= before.gap_at.plus(overlap) {
        (clocks.gap_ms, clocks.gap_at) = (Some(gap.low), first.start);
    } else {
        clocks.gap_ms = before.gap_ms.map(|kept_ms| kept_ms.min(gap.low));
    }
    clocks.listed_at = clocks.listed_at.max(first.start);
    target
}

/// Keeps the gap that the horizon goes by: rule 1.
fn hold_gap(clocks: &mut Clocks, low: i64, first: &Reading, overlap: Duration) {
    let held_ms = clocks.held_gap_ms.unwrap_or(low);
    if low <= held_ms || Rule::RaiseLasts.is_left_out() {
        (clocks.held_gap_ms, clocks.raise) = (Some(low), None);
        return;
    }
    let known = clocks.raise.unwrap_or(Raise { gap_ms: low, seen_at: first.end });
    let raise = Raise { gap_ms: known.gap_ms.min(low), ..known };
    if first.start >= raise.seen_at.plus(overlap) {
        (clocks.held_gap_ms, clocks.raise) = (Some(raise.gap_ms), None);
    } else {
        clocks.raise = Some(raise);
    }
}

// What the rules are for is tested in `tests/tests/rules/positions.rs`; here are their figures.
#[cfg(test)]
mod tests {
    use super::*;

    const T: LocalMillis = LocalMillis::new(1_800_000_000_000);
    const OVERLAP: Duration = Duration::from_mins(2);

    fn utc(at: VendorMillis) -> StampMillis {
        StampMillis::new(at.get())
    }

    /// A listing at `T + at_ms` that took a second, of a vendor whose clock is `ahead_ms` ahead.
    fn reading(at_ms: i64, ahead_ms: i64) -> Reading {
        let start = T.shifted(at_ms);
        Reading { start, end: start.shifted(1_000), date: Some(VendorMillis::new(start.get() + 1_000 + ahead_ms)) }
    }

    fn known(gap_ms: i64, behind: Duration) -> Clocks {
        let gap_ms = Some(gap_ms);
        Clocks { gap_ms, gap_at: T, held_gap_ms: gap_ms, behind, listed_at: T, ..Clocks::default() }
    }

    /// Where `scanned` moves to from `T`, in milliseconds from there; what is known of the clocks then; and notices.
    fn after(before: &Clocks, first: &Reading, evidence: &[Evidence]) -> (i64, Clocks, BTreeSet<Notice>) {
        let (mut clocks, mut notices) = (*before, BTreeSet::new());
        let from = StampMillis::new(T.get());
        let to = moved(&mut clocks, from, first, evidence, OVERLAP, &utc, &mut notices);
        (to.millis_since(from), clocks, notices)
    }

    #[test]
    fn scanned_is_the_start_of_the_call_on_the_vendors_clock_less_behind() {
        let (scanned, clocks, _) = after(&known(60_000, Duration::from_secs(5)), &reading(300_000, 60_000), &[]);
        assert_eq!((scanned, clocks.gap_ms), (300_000 + 60_000 - 5_000, Some(60_000)));
    }

    #[test]
    fn behind_falls_to_the_shortest_distance_that_counts() {
        let before = Clocks { evidence_from: T, ..known(0, Duration::from_hours(26)) };
        let seen = |at_ms, distance_ms| Evidence { looked_at: T.shifted(at_ms), distance_ms };
        let evidence = [seen(-1, 5), seen(0, 7_000), seen(1, 9_000), seen(2, -3_000)];
        assert_eq!(after(&before, &reading(300_000, 0), &evidence).1.behind, Duration::from_secs(7));
    }

    #[test]
    fn a_larger_gap_counts_once_it_has_lasted_an_overlap() {
        let (_, raised, _) = after(&known(0, Duration::ZERO), &reading(300_000, 240_000), &[]);
        let raise = Raise { gap_ms: 240_000, seen_at: T.shifted(301_000) };
        assert_eq!((raised.gap_ms, raised.held_gap_ms, raised.raise), (Some(240_000), Some(0), Some(raise)));
        let (scanned, soon, _) = after(&raised, &reading(315_000, 240_000), &[]);
        assert_eq!((scanned, soon.held_gap_ms, soon.raise), (315_000, Some(0), Some(raise)));
        let (scanned, later, _) = after(&soon, &reading(421_000, 240_000), &[]);
        assert_eq!((scanned, later.held_gap_ms, later.raise), (421_000 + 240_000, Some(240_000), None));
    }

    #[test]
    fn a_smaller_gap_counts_at_once() {
        let (scanned, clocks, _) = after(&known(3_000, Duration::ZERO), &reading(60_000, 0), &[]);
        assert_eq!((scanned, clocks.held_gap_ms, clocks.raise), (60_000, Some(0), None));
    }

    #[test]
    fn a_look_from_before_a_step_forward_is_read_by_the_clock_of_its_time() {
        let clocks = Clocks { gap_ms: Some(90_000), held_gap_ms: Some(2_000), listed_at: T, ..Clocks::default() };
        let read = |at: Option<StampMillis>| at.map(|at| at.get() - T.get());
        let zone = |at: VendorMillis| StampMillis::new(at.get());
        assert_eq!(read(clocks.stamp_of(T, &zone)), Some(90_000));
        assert_eq!(read(clocks.earliest_stamp_of(T, &zone)), Some(2_000));
    }
}
