//! Which causes of attention raise the alarm: a new cause at once, a lasting one once a day.
//!
//! Causes are remembered in this process only. A process that has just started treats every cause as new, which raises
//! the alarm once too often and hides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::clock::LocalMillis;
use tidemark_engine::notice::Notice;
use tidemark_engine::stream::{StreamKey, StreamName};

/// How long a cause may go unreported until it counts as gone. A lasting one is reported at every tick of its stream,
/// after a pause of 15 minutes at the latest, or at every scan.
const GONE_AFTER: Duration = Duration::from_mins(90);
/// After how long a lasting cause rings again.
const AGAIN_AFTER: Duration = Duration::from_hours(24);

/// The causes that one process of a source has reported.
#[derive(Debug, Default)]
pub(crate) struct Causes(BTreeMap<Cause, Standing>);

/// A kind of notice and where it was met.
type Cause = (Option<StreamName>, &'static str);

#[derive(Debug)]
struct Standing {
    rung_at: LocalMillis,
    seen_at: LocalMillis,
}

impl Causes {
    /// Notes that a cause was met at `now`; whether it is to ring.
    pub(crate) fn rings(&mut self, stream: &StreamKey, notice: &Notice, now: LocalMillis) -> bool {
        let cause = (Some(stream.name.clone()).filter(|_| !is_of_the_source(notice)), notice.into());
        let known = self.0.get(&cause).filter(|known| now.since(known.seen_at) <= GONE_AFTER);
        let rung_at = known.map(|known| known.rung_at).filter(|rung_at| now.since(*rung_at) < AGAIN_AFTER);
        self.0.insert(cause, Standing { rung_at: rung_at.unwrap_or(now), seen_at: now });
        rung_at.is_none()
    }
}

/// Whether every stream of the source meets the same cause.
fn is_of_the_source(notice: &Notice) -> bool {
    matches!(notice, Notice::CredentialRejected | Notice::AccountChanged | Notice::ClockDoubt(_))
}

#[cfg(test)]
mod tests {
    use tidemark_engine::stream::SourceKind;

    use super::*;

    const START: LocalMillis = LocalMillis::new(1_800_000_000_000);

    fn stream(name: &'static str) -> StreamKey {
        StreamKey { source: SourceKind::FieldMotion, name: StreamName::known(name) }
    }

    #[test]
    fn a_standing_cause_rings_once_a_day() {
        let mut causes = Causes::default();
        let ticks = (0..=576).map(|tick| START.plus(Duration::from_mins(5 * tick)));
        let mut count = 0;
        let mut rings = |now: &LocalMillis| {
            count += 1;
            causes.rings(&stream("jobs"), &Notice::UnusableIds(count), *now)
        };
        let rung: Vec<LocalMillis> = ticks.filter(|now| rings(now)).collect();
        assert_eq!(rung, [0, 24, 48].map(|hours| START.plus(Duration::from_hours(hours))));
    }

    #[test]
    fn a_cause_rings_at_once_whatever_else_stands() {
        let mut causes = Causes::default();
        assert!(causes.rings(&stream("jobs"), &Notice::UnusableIds(1), START));
        assert!(causes.rings(&stream("jobs"), &Notice::CredentialRejected, START));
        assert!(causes.rings(&stream("tasks"), &Notice::UnusableIds(1), START));
        assert!(!causes.rings(&stream("tasks"), &Notice::CredentialRejected, START), "the source has one credential");
    }

    #[test]
    fn a_cause_that_was_gone_rings_when_it_comes_back() {
        let mut causes = Causes::default();
        let rings = |causes: &mut Causes, minutes| {
            causes.rings(&stream("jobs"), &Notice::StreamPaused, START.plus(Duration::from_mins(minutes)))
        };
        assert!(rings(&mut causes, 0));
        assert!(!rings(&mut causes, 90), "an hourly scan does not end it");
        assert!(rings(&mut causes, 181));
    }

    #[test]
    fn a_clock_that_goes_back_hides_nothing_for_ever() {
        let mut causes = Causes::default();
        let rings = |causes: &mut Causes, at| causes.rings(&stream("jobs"), &Notice::Resync, at);
        assert!(rings(&mut causes, START.plus(Duration::from_hours(1_000))));
        assert!(!rings(&mut causes, START));
        assert!(rings(&mut causes, START.plus(Duration::from_hours(2))));
    }
}
