//! Leaving alone what is stored already: ids of a quiet overlap zone, and listed rows that have not changed.

use std::collections::{BTreeMap, HashSet};

use crate::breaker::GAP_MAX;
use crate::change::Change;
use crate::ports::{Source, StoredVersions};
use crate::record::{RecordId, RecordKey, StoredVersion};
use crate::rule::Rule;
use crate::stamp::{UtcMillis, millis_of};

use super::PollerPorts;
use super::clocks::{OFFSET_MAX, Reading};
use super::tick::{Halt, Tick};

impl<P: PollerPorts> Tick<'_, P> {
    /// Leaves out ids of the overlap zone that were fetched after the zone had settled, and quarantined ids that were
    /// tried a short while ago. `news` are the ids that a list without overlap told of.
    ///
    /// An edit stamped at or before `scanned` shows in lists at the latest an overlap later; a fetch after that has
    /// seen it. The fetch bears the local clock, the zone the vendor's, and stamps may run behind that.
    pub(super) async fn without_settled(
        &mut self,
        changes: Vec<Change>,
        news: &HashSet<RecordId>,
        reading: &Reading,
    ) -> Result<Vec<Change>, Halt> {
        // Read after the list was called: an id that leaves the quarantine later was fetched after this list, too.
        self.quarantined = self.read_quarantine().await?;
        let versions = self.versions_of(&changes.iter().collect::<Vec<_>>()).await?;
        self.note_known(&versions);
        let now = self.now();
        let on_ladder: HashSet<&RecordId> = self
            .quarantined
            .iter()
            .filter(|entry| !news.contains(&entry.id) || entry.was_tried_lately(now))
            .map(|entry| &entry.id)
            .collect();
        let settled_at = self.settled_at(reading);
        let is_settled = |version: &StoredVersion| {
            let is_late = settled_at.is_some_and(|at| version.fetched_at >= at);
            !version.deleted && is_late && !Rule::Settled.is_left_out()
        };
        let is_in_settled_zone =
            |change: &Change| !news.contains(&change.id) && versions.get(&change.id).is_some_and(is_settled);
        let leave: HashSet<RecordId> = changes
            .iter()
            .filter(|change| on_ladder.contains(&change.id) || is_in_settled_zone(change))
            .map(|change| change.id.clone())
            .collect();
        self.report.unchanged_count += leave.len();
        Ok(changes.into_iter().filter(|change| !leave.contains(&change.id)).collect())
    }

    /// When the overlap zone had settled, on the local clock; none when the clocks cannot be compared. Stamps may run
    /// behind the vendor's clock by what was observed, or, where nothing was, by as much as zones can differ.
    fn settled_at(&self, reading: &Reading) -> Option<UtcMillis> {
        let settled = self.news_from().plus(self.poller.settings.overlap);
        let on_vendors_clock = settled.shifted(self.stamps_behind_ms());
        if Rule::ClockOffset.is_left_out() {
            return Some(on_vendors_clock);
        }
        Some(on_vendors_clock.shifted(reading.offset?.saturating_neg()))
    }

    /// How far, in milliseconds, stamps and lower bounds may be read behind the vendor's clock: by what was observed of
    /// any stream of the source, or by as much as zones can differ. A stream without stamps has nothing of its own to
    /// notice a wrong zone by; where the others have not shown one, none is assumed.
    pub(super) fn stamps_behind_ms(&self) -> i64 {
        match self.state.stamp_gap {
            Some(gap) => gap.millis.min(0).saturating_neg(),
            None if self.traits.stamped => millis_of(GAP_MAX),
            None => 0,
        }
    }

    /// Leaves out what was fetched well after the run began: an interrupted snapshot tells some of it again.
    pub(super) async fn without_fetched_by_this_run(&mut self, changes: Vec<Change>) -> Result<Vec<Change>, Halt> {
        let Some(begun_at) = self.checkpoint.run.as_ref().map(|run| run.listed_at.plus(OFFSET_MAX)) else {
            return Ok(changes);
        };
        let versions = self.versions_of(&changes.iter().collect::<Vec<_>>()).await?;
        let is_fetched = |change: &Change| {
            versions.get(&change.id).is_some_and(|version| !version.deleted && version.fetched_at >= begun_at)
        };
        Ok(changes.into_iter().filter(|change| !is_fetched(change)).collect())
    }

    /// Leaves out rows whose stored version has the same stamp *and* the same body. The stamp alone is not enough:
    /// two edits of one second bear the same.
    pub(super) async fn without_unchanged(&mut self, changes: Vec<Change>) -> Result<Vec<Change>, Halt> {
        let versions = self.versions_of(&changes.iter().collect::<Vec<_>>()).await?;
        self.note_known(&versions);
        let is_stored = |change: &Change| {
            let (Some(row), Some(version)) = (change.row(), versions.get(&change.id)) else {
                return false;
            };
            let stamp: Option<UtcMillis> = change.stamp().map(|stamp| stamp.at);
            let is_same_body = version.fingerprint == Some(row.fingerprint()) || Rule::SameBody.is_left_out();
            !version.deleted && version.last_edited_at == stamp && is_same_body
        };
        let before = changes.len();
        let kept: Vec<Change> = changes.into_iter().filter(|change| !is_stored(change)).collect();
        self.report.unchanged_count += before - kept.len();
        Ok(kept)
    }

    /// Leaves out events that an earlier run has read, if their record was fetched, or marked deleted, well after the
    /// event. An event that no run has read is news, whatever its stamp says.
    pub(super) async fn without_seen_events(
        &mut self,
        told: Vec<(Change, bool)>,
        reading: &Reading,
    ) -> Result<Vec<Change>, Halt> {
        let overlap = millis_of(self.poller.settings.overlap);
        let known: Vec<&Change> = told.iter().filter(|(_, is_news)| !is_news).map(|(change, _)| change).collect();
        let versions = match reading.offset {
            Some(_) => self.versions_of(&known).await?,
            None => BTreeMap::new(),
        };
        let offset = reading.offset.unwrap_or(i64::MIN);
        let is_seen = |change: &Change| {
            let (Some(stamp), Some(version)) = (change.stamp(), versions.get(&change.id)) else { return false };
            version.fetched_at.shifted(offset) >= stamp.at.shifted(overlap)
        };
        let before = told.len();
        let kept: Vec<Change> = told
            .into_iter()
            .filter(|(change, is_news)| *is_news || !is_seen(change))
            .map(|(change, _)| change)
            .collect();
        self.report.unchanged_count += before - kept.len();
        Ok(kept)
    }

    fn note_known(&mut self, versions: &BTreeMap<RecordId, StoredVersion>) {
        let newest = versions.values().filter_map(|version| version.last_edited_at).max();
        self.known = self.known.max(newest);
    }

    pub(super) async fn versions_of(&self, changes: &[&Change]) -> Result<BTreeMap<RecordId, StoredVersion>, Halt> {
        let source = self.poller.ports.source();
        let mut ids = BTreeMap::new();
        for change in changes {
            // A locator that names no record is left in: the fetcher says what is wrong with it.
            if let Ok((stream, id)) = source.record_of(&self.traits.name, &change.id) {
                ids.insert(RecordKey { source: source.kind(), stream, id }, &change.id);
            }
        }
        let keys: Vec<RecordKey> = ids.keys().cloned().collect();
        let versions = self.poller.ports.versions().versions(&keys).await?;
        Ok(versions.into_iter().filter_map(|(key, version)| ids.get(&key).map(|id| ((*id).clone(), version))).collect())
    }
}
