//! The vendor's clock as an answer shows it, and how far stamps may be believed.

use std::time::Duration;

use crate::poll::Notice;
use crate::stamp::{UtcMillis, millis_of};

/// How far the vendor's and the local clock may be apart before neither is believed alone.
pub(super) const OFFSET_MAX: Duration = Duration::from_mins(5);
/// What is taken off the local clock where the vendor's is not known.
const LOCAL_MARGIN: Duration = Duration::from_secs(10);
/// How far the newest stamp of news may lie below the previous horizon before the time zone is doubted.
const NEWS_AGE_MAX: Duration = Duration::from_mins(15);

/// What one answer says of the vendor's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// When the call was started, on the local clock.
    pub(super) called_at: UtcMillis,
    /// When the call was started, on the vendor's clock; never later than it was.
    pub(super) horizon: UtcMillis,
    /// Vendor's less local time in milliseconds, never more than it is; none when it cannot be trusted.
    pub(super) offset: Option<i64>,
    /// What is doubtful about it.
    pub(super) notice: Option<Notice>,
}

/// Reads the vendor's clock off an answer. A cached answer has an old `Date`, which errs on the safe side.
pub(super) fn read(called_at: UtcMillis, answered_at: UtcMillis, date: Option<UtcMillis>) -> Reading {
    let Some(date) = date else {
        let horizon = called_at.minus(LOCAL_MARGIN);
        return Reading { called_at, horizon, offset: None, notice: Some(Notice::DateMissing) };
    };
    let offset_ms = date.millis_since(answered_at);
    let by_date = called_at.shifted(offset_ms);
    if offset_ms.saturating_abs() > millis_of(OFFSET_MAX) {
        let notice = Some(Notice::ClockDoubt { offset_ms });
        return Reading { called_at, horizon: by_date.min(called_at), offset: None, notice };
    }
    Reading { called_at, horizon: by_date, offset: Some(offset_ms), notice: None }
}

/// What a finished run says of the time zone of its stamps.
pub(super) struct ZoneEvidence {
    /// The newest stamp stored by the run.
    pub(super) newest: UtcMillis,
    /// The run's horizon.
    pub(super) horizon: UtcMillis,
    /// The start of the listing before, whose findings are all stored.
    pub(super) previous_horizon: Option<UtcMillis>,
    /// Up to where stamps were stored before.
    pub(super) known: UtcMillis,
    /// Now, on the vendor's clock.
    pub(super) now: UtcMillis,
}

/// Where a commit must stop at, and what is doubtful.
///
/// Stamps that run behind the vendor's clock (a wrong time zone) would switch the clip to the horizon off, since then
/// every stamp lies below it. So where the zone is in doubt the horizon is moved by the most that stamps can be behind:
/// the newest one was written before now. In doubt it is when news is older than the listing before, which in the right
/// zone it cannot be; and, without an alarm, at a first import, which has no listing before to compare with.
pub(super) fn clip(evidence: &ZoneEvidence) -> (UtcMillis, Option<Notice>) {
    let behind_ms = evidence.now.millis_since(evidence.newest).max(0);
    let clipped = evidence.horizon.shifted(-behind_ms);
    match evidence.previous_horizon {
        _ if evidence.newest <= evidence.known => (evidence.horizon, None),
        None => (clipped, None),
        Some(previous) if evidence.newest < previous.minus(NEWS_AGE_MAX) => {
            (clipped, Some(Notice::ZoneDoubt { behind_ms }))
        }
        Some(_) => (evidence.horizon, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis::new(1_800_000_000_000);

    #[test]
    fn horizon_is_the_start_of_the_call_on_the_vendors_clock() {
        let reading = read(NOW, NOW.shifted(4_000), Some(NOW.shifted(64_000)));
        assert_eq!(reading.horizon, NOW.shifted(60_000));
        assert_eq!(reading.offset, Some(60_000));
    }

    #[test]
    fn missing_date_falls_back_below_the_local_clock_and_switches_the_correction_off() {
        let reading = read(NOW, NOW, None);
        assert_eq!((reading.horizon, reading.offset), (NOW.shifted(-10_000), None));
        assert_eq!(reading.notice, Some(Notice::DateMissing));
    }

    #[test]
    fn a_vendor_clock_a_day_off_takes_the_smaller_clock_and_alarms() {
        for offset_ms in [-86_400_000, 86_400_000] {
            let reading = read(NOW, NOW, Some(NOW.shifted(offset_ms)));
            assert_eq!(reading.horizon, NOW.shifted(offset_ms.min(0)));
            assert_eq!(reading.offset, None);
            assert_eq!(reading.notice, Some(Notice::ClockDoubt { offset_ms }));
        }
    }

    fn evidence(newest: i64, previous: Option<i64>) -> ZoneEvidence {
        ZoneEvidence {
            newest: NOW.shifted(newest),
            horizon: NOW,
            previous_horizon: previous.map(|millis| NOW.shifted(millis)),
            known: UtcMillis::default(),
            now: NOW.shifted(60_000),
        }
    }

    #[test]
    fn stamps_that_agree_with_the_clock_are_clipped_at_the_horizon_only() {
        assert_eq!(clip(&evidence(-1_000, Some(-300_000))), (NOW, None));
    }

    #[test]
    fn news_five_hours_old_moves_the_horizon_by_the_most_that_stamps_can_be_behind() {
        let five_hours = 5 * 3_600_000;
        let (bound, notice) = clip(&evidence(-five_hours, Some(-300_000)));
        assert_eq!(bound, NOW.shifted(-five_hours - 60_000));
        assert_eq!(notice, Some(Notice::ZoneDoubt { behind_ms: five_hours + 60_000 }));
    }

    #[test]
    fn a_first_import_is_clipped_without_a_doubt() {
        let five_hours = 5 * 3_600_000;
        assert_eq!(clip(&evidence(-five_hours, None)), (NOW.shifted(-five_hours - 60_000), None));
    }

    #[test]
    fn stamps_that_were_stored_before_are_no_news_however_old_they_are() {
        let old = evidence(-86_400_000, Some(-300_000));
        let known = ZoneEvidence { known: old.newest, ..old };
        assert_eq!(clip(&known), (NOW, None));
    }
}
