//! Staleness and lag: how old what is stored may be.

use std::time::Duration;

use crate::{Checkpoint, LocalMillis, StreamState};

/// Since when a stream that was never listed counts as stale: for ever.
const NEVER: LocalMillis = LocalMillis::new(0);

/// How a stream stands at an instant of the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How long the list was not read, or, where something is owed, how long nothing of it was stored or listed further:
    /// the longer of the two.
    pub staleness: Duration,
    /// How long the oldest work that holds the checkpoint has waited; zero when nothing does.
    pub lag: Duration,
    /// Ids put into the bulk lane since it was last empty.
    pub import_count: u64,
}

/// How a stream stands at `now`. Waiting is no progress: a stream whose fetchers are dead goes stale although its list is
/// read at every tick. A missing checkpoint counts as stale since 1970.
pub fn standing(checkpoint: Option<&Checkpoint>, state: &StreamState, now: LocalMillis) -> Standing {
    let Some(checkpoint) = checkpoint else {
        return Standing { staleness: now.since(NEVER), lag: Duration::ZERO, import_count: 0 };
    };
    let unlisted = now.since(checkpoint.last_success_at.unwrap_or(NEVER));
    let moved_at = checkpoint.owed_since.max(checkpoint.last_progress_at).max(state.last_stored_at);
    let unmoved = checkpoint.owed_since.and(moved_at).map_or(Duration::ZERO, |at| now.since(at));
    Standing {
        staleness: unlisted.max(unmoved),
        lag: checkpoint.held_since.map_or(Duration::ZERO, |since| now.since(since)),
        import_count: checkpoint.import_count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ListShape, Position, SourceKind, StreamKey, StreamName, StreamTraits};

    const NOW: LocalMillis = LocalMillis::new(1_800_000_000_000);

    fn ago(minutes: u64) -> LocalMillis {
        NOW.minus(Duration::from_mins(minutes))
    }

    fn checkpoint() -> Checkpoint {
        let name = StreamName::known("customers");
        let first = Position::At(crate::clock::StampMillis::new(0));
        let traits = StreamTraits { name: name.clone(), shape: ListShape::Whole, stamped: true, filtered: true, first };
        let stream = StreamKey { source: SourceKind::FieldMotion, name };
        Checkpoint { last_success_at: Some(ago(2)), ..Checkpoint::first(stream, &traits, String::new()) }
    }

    fn staleness(checkpoint: &Checkpoint, last_stored_at: Option<LocalMillis>) -> u64 {
        let state = StreamState { last_stored_at, ..StreamState::default() };
        standing(Some(checkpoint), &state, NOW).staleness.as_secs() / 60
    }

    #[test]
    fn a_stream_that_owes_nothing_is_as_stale_as_its_last_listing_is_old() {
        assert_eq!(staleness(&checkpoint(), Some(ago(500))), 2);
    }

    #[test]
    fn a_stream_whose_fetchers_are_dead_goes_stale_although_it_is_listed() {
        let owing = Checkpoint { owed_since: Some(ago(90)), ..checkpoint() };
        assert_eq!(staleness(&owing, None), 90);
        assert_eq!(staleness(&owing, Some(ago(40))), 40);
        assert_eq!(staleness(&Checkpoint { last_progress_at: Some(ago(7)), ..owing }, Some(ago(40))), 7);
    }

    #[test]
    fn a_stream_that_cannot_be_listed_goes_stale_although_an_import_moves() {
        let importing = Checkpoint { last_success_at: Some(ago(60)), owed_since: Some(ago(70)), ..checkpoint() };
        assert_eq!(staleness(&importing, Some(ago(1))), 60);
    }

    #[test]
    fn a_missing_checkpoint_is_stale() {
        assert!(standing(None, &StreamState::default(), NOW).staleness > Duration::from_hours(365 * 24));
    }

    #[test]
    fn what_holds_the_checkpoint_is_the_lag() {
        let held = Checkpoint { held_since: Some(ago(15)), ..checkpoint() };
        assert_eq!(standing(Some(&held), &StreamState::default(), NOW).lag, Duration::from_mins(15));
        assert_eq!(standing(Some(&checkpoint()), &StreamState::default(), NOW).lag, Duration::ZERO);
    }
}
