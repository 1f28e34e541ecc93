//! What is stored already: rows that need not be stored again, and what stored looks show of the vendor's clock.

use std::collections::HashSet;

use super::{Evidence, Halt, OwedWork, PollerPorts, Tick};
use crate::{Change, LocalMillis, Notice, RecordId, Rule, Source, StoredVersion};

/// Of how many listed ids the stored looks are read in search of evidence.
const SAMPLE: usize = 100;

impl<P: PollerPorts> Tick<'_, P> {
    /// Leaves out rows that are settled: section 7 of `docs/protocol.md`. Also returns the ids whose row was stored at
    /// or after `since` as it is shown: a row that was met before.
    pub(super) async fn without_settled(
        &mut self,
        changes: Vec<Change>,
        since: LocalMillis,
        owed: &OwedWork,
    ) -> Result<(Vec<Change>, HashSet<RecordId>), Halt> {
        let ids = changes.iter().map(|change| &change.id);
        let versions = self.poller.ports.versions_of(&self.traits.name, ids).await?;
        let is_met = |change: &&Change| {
            let stamp = change.stamp().map(|stamp| &stamp.text);
            versions.get(&change.id).is_some_and(|stored| stored.looked_at >= since && stored.stamp.as_ref() == stamp)
        };
        let met = changes.iter().filter(is_met).map(|change| change.id.clone()).collect();
        let listed_count = changes.len();
        let mut volatile_count = 0;
        let is_at_rest = self.is_at_rest(owed);
        let is_unsettled = |change: &Change| {
            let same_body = versions.get(&change.id).and_then(|stored| self.settled_with(change, stored, is_at_rest));
            // A body that differs though its stamp does not differs at every reading.
            volatile_count += usize::from(same_body == Some(false) && change.stamp().is_some());
            same_body != Some(true)
        };
        let kept: Vec<Change> = changes.into_iter().filter(is_unsettled).collect();
        self.report.unchanged_count += listed_count - kept.len();
        if volatile_count > 0 {
            self.report.notices.insert(Notice::VolatileRows(volatile_count));
        }
        Ok((kept, met))
    }

    /// Whether no older look can still replace what is stored: nothing is owed, and no fetcher is at work.
    fn is_at_rest(&self, owed: &OwedWork) -> bool {
        // The fetcher that noted it may take that long until the ids leave the ledger, and another may have just read them.
        let works_for = 2 * self.poller.settings.fetcher_timeout;
        let is_over = |stored_at: LocalMillis| self.started_at.since(stored_at) > works_for;
        let is_owed = owed.lanes_since.is_some() || !owed.retries.is_empty() || self.put_count > 0;
        self.is_sole && !is_owed && owed.state.last_stored_at.is_some_and(is_over)
    }

    /// Whether a row whose stamp is settled has the body that is stored; none where the stamp is not.
    fn settled_with(&self, change: &Change, stored: &StoredVersion, is_at_rest: bool) -> Option<bool> {
        let row = change.row().filter(|_| !stored.deleted)?;
        let is_same_hash = stored.fingerprint == Some(row.fingerprint());
        let is_same_stamp = change.stamp().map(|stamp| &stamp.text) == stored.stamp.as_ref();
        if Rule::EqualHash.is_left_out() && is_same_hash || Rule::EqualStamp.is_left_out() && is_same_stamp {
            return Some(true);
        }
        let clocks = &self.checkpoint.clocks;
        let looked_at = clocks.earliest_stamp_of(stored.looked_at, &self.zone()).map(|at| at.minus(clocks.behind));
        let is_settled = change.stamp().map_or(!self.traits.filtered, |stamp| {
            let settled_at = stamp.at.plus(self.poller.settings.overlap);
            let is_late = looked_at.is_some_and(|at| at >= settled_at);
            is_late || is_same_hash && is_at_rest || Rule::EqualSettled.is_left_out()
        });
        (is_same_stamp && is_settled).then_some(is_same_hash)
    }

    /// What the stored looks of a sample of listed ids show of the stamps' clock: less keeps `behind` larger.
    pub(super) async fn evidence_of(&self, changes: &[Change]) -> Result<Vec<Evidence>, Halt> {
        if !self.traits.stamped {
            return Ok(Vec::new());
        }
        // Spread over the whole list, so that it is not the same ids that are asked for at every tick.
        let sample = changes.iter().step_by(changes.len().div_ceil(SAMPLE).max(1)).map(|change| &change.id);
        let (ports, source) = (&self.poller.ports, self.poller.ports.source());
        let versions = ports.versions_of(&self.traits.name, sample).await?;
        let zone = self.zone();
        let evidence = versions.values().filter_map(|stored| {
            let stamp = source.stamp(&self.traits.name, stored.stamp.as_ref()?)?;
            let seen_at = zone(stored.seen_at?);
            Some(Evidence { looked_at: stored.looked_at, distance_ms: seen_at.millis_since(stamp.at) })
        });
        Ok(evidence.collect())
    }
}
