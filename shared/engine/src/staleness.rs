//! Staleness and lag: how old what is stored may be.

use std::time::Duration;

use crate::checkpoint::Checkpoint;
use crate::stamp::UtcMillis;

/// Since when a stream that has no checkpoint at all counts as stale: for ever.
const NEVER: UtcMillis = UtcMillis::new(0);

/// How a stream stands at an instant of the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Since the last successful poll, or the last progress of a run that is under way.
    pub staleness: Duration,
    /// How far behind the vendor's clock everything is known to be stored; zero when nothing is outstanding.
    pub lag: Duration,
    /// Ids that were pending when the poller last looked.
    pub backlog_count: u64,
    /// Ids listed by the run under way, of which `backlog_count` are to come.
    pub listed_count: u64,
}

/// How a stream stands at `now`. A long import moves, from its beginning on, and is therefore not stale, only lagging; an
/// abort is no progress; a missing checkpoint counts as stale since 1970.
pub fn standing(checkpoint: Option<&Checkpoint>, now: UtcMillis) -> Standing {
    let Some(checkpoint) = checkpoint else {
        return Standing { staleness: now.since(NEVER), lag: Duration::ZERO, backlog_count: 0, listed_count: 0 };
    };
    let run = checkpoint.run.as_ref();
    // A first import has begun, whatever it has come to.
    let begun_at = run.map(|run| run.listed_at);
    let moved_at = checkpoint.last_success_at.max(checkpoint.last_progress_at).or(begun_at).unwrap_or(NEVER);
    let is_outstanding = run.is_some() || checkpoint.committed != checkpoint.scanned;
    let complete_at = checkpoint.complete_at.max(checkpoint.committed.at()).unwrap_or(NEVER);
    Standing {
        staleness: now.since(moved_at),
        lag: if is_outstanding { now.since(complete_at) } else { Duration::ZERO },
        backlog_count: run.map_or(0, |run| run.pending_count),
        listed_count: run.map_or(0, |run| run.listed_count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Position;
    use crate::run::Run;
    use crate::stream::{SourceKind, StreamKey, StreamName};

    const NOW: UtcMillis = UtcMillis::new(1_800_000_000_000);

    fn checkpoint() -> Checkpoint {
        let stream = StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("customers") };
        let mut checkpoint = Checkpoint::first(stream, Position::At(NOW.shifted(-86_400_000 * 30)));
        checkpoint.last_success_at = Some(NOW.shifted(-900_000));
        checkpoint.complete_at = Some(NOW.shifted(-901_000));
        checkpoint
    }

    #[test]
    fn staleness_is_measured_from_success_or_progress_whichever_is_later() {
        let mut checkpoint = checkpoint();
        assert_eq!(standing(Some(&checkpoint), NOW).staleness, Duration::from_mins(15));
        checkpoint.last_progress_at = Some(NOW.shifted(-60_000));
        assert_eq!(standing(Some(&checkpoint), NOW).staleness, Duration::from_mins(1));
    }

    #[test]
    fn a_first_import_under_way_moves_since_it_began() {
        let begun_at = NOW.shifted(-50_000);
        let first = Checkpoint::first(checkpoint().stream, Position::At(UtcMillis::default()));
        let (from, held) = (first.scanned.clone(), first.scanned.clone());
        let run = Run::new("r".to_owned(), from, begun_at, begun_at, held);
        let under_way = Checkpoint { run: Some(run), ..first };
        assert_eq!(standing(Some(&under_way), NOW).staleness, Duration::from_secs(50));
    }

    #[test]
    fn a_missing_checkpoint_is_stale() {
        assert!(standing(None, NOW).staleness > Duration::from_hours(365 * 24));
    }

    #[test]
    fn a_quiet_stream_does_not_lag_however_old_its_newest_record_is() {
        assert_eq!(standing(Some(&checkpoint()), NOW).lag, Duration::ZERO);
    }

    #[test]
    fn a_held_checkpoint_lags_since_it_was_last_complete() {
        let mut checkpoint = checkpoint();
        checkpoint.scanned = Position::At(NOW);
        assert_eq!(standing(Some(&checkpoint), NOW).lag, Duration::from_secs(901));
    }
}
