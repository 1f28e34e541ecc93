//! Leaving alone what is stored already: ids of a quiet overlap zone, and listed rows that have not changed.

use std::collections::{BTreeMap, HashSet};

use crate::change::Change;
use crate::ports::{Source, StoredVersions};
use crate::record::{RecordId, RecordKey, StoredVersion};
use crate::stamp::{UtcMillis, millis_of};

use super::PollerPorts;
use super::clocks::Reading;
use super::tick::{Halt, Tick};

impl<P: PollerPorts> Tick<'_, P> {
    /// Leaves out ids of the overlap zone that were fetched after the zone had settled, or are tried again on the
    /// quarantine's own ladder. `narrow` are the ids that a list without overlap told of.
    ///
    /// An edit stamped at or before `scanned` shows in lists at the latest an overlap later; a fetch after that has
    /// seen it. The fetch bears the local clock, the zone the vendor's: without a trustworthy offset between them
    /// nothing is left out.
    pub(super) async fn without_settled(
        &mut self,
        changes: Vec<Change>,
        narrow: &HashSet<RecordId>,
        reading: &Reading,
    ) -> Result<Vec<Change>, Halt> {
        // Read after the list was called: an id that leaves the quarantine later was fetched after this list, too.
        self.quarantined = self.read_quarantine().await?;
        let on_ladder: HashSet<&RecordId> = self.quarantined.iter().map(|entry| &entry.id).collect();
        let in_doubt: Vec<&Change> = changes.iter().filter(|change| !narrow.contains(&change.id)).collect();
        let versions = match reading.offset {
            Some(_) => self.versions_of(&in_doubt).await?,
            None => BTreeMap::new(),
        };
        let settled_at = self
            .checkpoint
            .scanned
            .at()
            .unwrap_or_default()
            .plus(self.poller.settings.overlap);
        let offset = reading.offset.unwrap_or(i64::MIN);
        let is_settled = |version: &StoredVersion| !version.deleted && version.fetched_at.shifted(offset) >= settled_at;
        let leave: HashSet<RecordId> = in_doubt
            .iter()
            .filter(|change| on_ladder.contains(&change.id) || versions.get(&change.id).is_some_and(is_settled))
            .map(|change| change.id.clone())
            .collect();
        self.report.unchanged_count += leave.len();
        Ok(changes
            .into_iter()
            .filter(|change| !leave.contains(&change.id))
            .collect())
    }

    /// Leaves out rows whose stored version has the same stamp *and* the same body. The stamp alone is not enough:
    /// two edits of one second bear the same.
    pub(super) async fn without_unchanged(&mut self, changes: Vec<Change>) -> Result<Vec<Change>, Halt> {
        let versions = self.versions_of(&changes.iter().collect::<Vec<_>>()).await?;
        let is_stored = |change: &Change| {
            let (Some(row), Some(version)) = (change.row(), versions.get(&change.id)) else {
                return false;
            };
            let stamp: Option<UtcMillis> = change.stamp().map(|stamp| stamp.at);
            !version.deleted && version.last_edited_at == stamp && version.fingerprint == Some(row.fingerprint())
        };
        let before = changes.len();
        let kept: Vec<Change> = changes.into_iter().filter(|change| !is_stored(change)).collect();
        self.report.unchanged_count += before - kept.len();
        Ok(kept)
    }

    /// Leaves out events whose record was fetched, or marked deleted, well after the event.
    pub(super) async fn without_seen_events(
        &mut self,
        changes: Vec<Change>,
        reading: &Reading,
    ) -> Result<Vec<Change>, Halt> {
        let Some(offset) = reading.offset else {
            return Ok(changes);
        };
        let overlap = millis_of(self.poller.settings.overlap);
        let versions = self.versions_of(&changes.iter().collect::<Vec<_>>()).await?;
        let is_seen = |change: &Change| {
            let (Some(stamp), Some(version)) = (change.stamp(), versions.get(&change.id)) else {
                return false;
            };
            version.fetched_at.shifted(offset) >= stamp.at.shifted(overlap)
        };
        let before = changes.len();
        let kept: Vec<Change> = changes.into_iter().filter(|change| !is_seen(change)).collect();
        self.report.unchanged_count += before - kept.len();
        Ok(kept)
    }

    async fn versions_of(&self, changes: &[&Change]) -> Result<BTreeMap<RecordId, StoredVersion>, Halt> {
        let source = self.poller.ports.source();
        let mut ids = BTreeMap::new();
        for change in changes {
            // A locator that names no record is left in: the fetcher says what is wrong with it.
            if let Ok((stream, id)) = source.record_of(&self.traits.name, &change.id) {
                ids.insert(
                    RecordKey {
                        source: source.kind(),
                        stream,
                        id,
                    },
                    &change.id,
                );
            }
        }
        let keys: Vec<RecordKey> = ids.keys().cloned().collect();
        let versions = self.poller.ports.versions().versions(&keys).await?;
        Ok(versions
            .into_iter()
            .filter_map(|(key, version)| ids.get(&key).map(|id| ((*id).clone(), version)))
            .collect())
    }
}
