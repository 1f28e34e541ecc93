//! Comparing what was listed with what is stored, both in the order of their ids.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use tidemark_engine::change::{Change, Found};
use tidemark_engine::failure::Stops;
use tidemark_engine::ports::Source;
use tidemark_engine::record::{RecordId, StoredVersion};
use tidemark_engine::rule::Rule;
use tidemark_engine::stream::{ListShape, StreamKey, StreamName};

use super::list::digest;
use super::ports::{Shown, Slice, StoredSlices, SweepPorts, Sweeps};
use super::state::{Absence, Kept, Phase, Sweep};
use super::{Halt, Run, Went};

/// Ids that lists show of one stream of records, each with the id under which it is listed where that is another one.
type Ids = Vec<(RecordId, Option<RecordId>)>;

/// What one slice of stored records came to.
#[derive(Default)]
struct Compared {
    missing: Vec<RecordId>,
    extra: Vec<(RecordId, StoredVersion)>,
    sample: Vec<(RecordId, StoredVersion)>,
    stored: u64,
    deleted: u64,
}

impl<P: SweepPorts> Run<'_, P> {
    /// Goes through what is stored, from a place on.
    pub(super) async fn compare(&mut self, at: Option<StreamName>, mut after: Option<RecordId>) -> Result<Went, Halt> {
        let mut listed = self.listed().await?;
        self.sweep.proof.listed = listed.values().map(|ids| count(ids.len())).sum();
        let known = self.known().await?;
        let mut absences: BTreeMap<StreamName, Absence> =
            listed.keys().map(|records| (records.clone(), Absence::Unproved)).collect();
        absences.extend(self.poller.ports.shown().swept(&self.traits.name));
        for (records, absence) in absences {
            if at.as_ref().is_some_and(|at| records < *at) {
                continue;
            }
            let absence = if self.sweep.proof.unproved.contains(&records) { Absence::Unproved } else { absence };
            let ids = listed.remove(&records).unwrap_or_default();
            let after = after.take().filter(|_| at.as_ref() == Some(&records));
            if !self.compare_stream(records, after, absence, ids, &known).await? {
                return Ok(Went::On);
            }
        }
        if self.sweep.proof.withholds() {
            self.sweep.proof.withheld = self.sweep.proof.extra;
            return Ok(Went::Over);
        }
        self.sweep.phase = Phase::Owing(None);
        Ok(Went::On)
    }

    /// What the sweep has listed, by the streams that the records are kept under, in the order of their ids.
    async fn listed(&self) -> Result<BTreeMap<StreamName, Ids>, Halt> {
        let source = self.poller.ports.source();
        let mut listed: BTreeMap<StreamName, Ids> = BTreeMap::new();
        for id in self.poller.ports.sweeps().kept(&self.key, self.sweep.proof.begun_at, Kept::Listed).await? {
            // The fetcher says what is wrong with a locator that names no record.
            let Ok((records, record)) = source.record_of(&self.traits.name, &id) else { continue };
            let as_listed = Some(id).filter(|id| *id != record);
            listed.entry(records).or_default().push((record, as_listed));
        }
        for ids in listed.values_mut() {
            ids.sort_unstable();
            ids.dedup_by(|a, b| a.0 == b.0);
        }
        Ok(listed)
    }

    /// Records that the sweep before did not find listed: its candidates, and those that were known already.
    async fn known(&self) -> Result<[BTreeSet<RecordId>; 2], Halt> {
        let mut known = [BTreeSet::new(), BTreeSet::new()];
        let Some(previous) = self.sweep.previous else { return Ok(known) };
        for (ids, kept) in known.iter_mut().zip([Kept::Extra, Kept::Unlisted]) {
            ids.extend(self.poller.ports.sweeps().kept(&self.key, previous, kept).await?);
        }
        Ok(known)
    }

    /// Goes through what is stored of one stream of records; whether to its end.
    async fn compare_stream(
        &mut self,
        records: StreamName,
        mut after: Option<RecordId>,
        absence: Absence,
        ids: Ids,
        known: &[BTreeSet<RecordId>; 2],
    ) -> Result<bool, Halt> {
        let key = StreamKey { source: self.key.source, name: records.clone() };
        if Rule::SweepCursor.is_left_out() && after.is_some() {
            let place = usize::try_from(self.sweep.proof.stored).unwrap_or_default();
            after = ids.get(place).map(|(id, _)| id.clone());
        }
        let begins = after.as_ref().map_or(0, |after| ids.partition_point(|(id, _)| id <= after));
        let mut ids = ids.into_iter().skip(begins).peekable();
        loop {
            let Slice { found, more } = self.poller.ports.slices().slice(&key, after.as_ref()).await?;
            after = found.last().map(|(id, _)| id.clone());
            let compared = compared(found, &mut ids, more, &self.sweep);
            self.settle(&records, absence, compared, known).await?;
            if !more {
                return Ok(true);
            }
            self.sweep.phase = Phase::Comparing(Some(records.clone()), after.clone());
            if self.is_late() {
                return Ok(false);
            }
            self.save().await?;
        }
    }

    /// Owes or keeps what one slice came to.
    async fn settle(
        &mut self,
        records: &StreamName,
        absence: Absence,
        compared: Compared,
        known: &[BTreeSet<RecordId>; 2],
    ) -> Result<(), Halt> {
        let Compared { missing, extra, sample, stored, deleted } = compared;
        self.sweep.proof.stored += stored;
        self.sweep.proof.deleted += deleted;
        // The rows of pages were compared when they were met.
        if self.traits.shape != ListShape::Pages {
            self.sweep.proof.missing += count(missing.len());
            self.owe(missing.into_iter().map(Change::of).collect(), self.now()).await?;
            if absence != Absence::Reported {
                self.compare_sample(sample).await?;
            }
        }
        let (mut candidates, mut unlisted) = (Vec::new(), Vec::new());
        for (id, stored) in extra {
            let listed_id = self.poller.ports.shown().listed_id(records, &id);
            match (absence, listed_id) {
                (Absence::Unproved, _) => {}
                (Absence::Reported, _) | (Absence::Fetched, None) => self.sweep.proof.reported += 1,
                (Absence::Fetched, Some(id)) if self.is_known(&id, &stored, known) => unlisted.push(id),
                (Absence::Fetched, Some(id)) => candidates.push(id),
            }
        }
        self.sweep.proof.extra += count(candidates.len());
        self.sweep.proof.unlisted += count(unlisted.len());
        self.keep(Kept::Extra, &candidates).await?;
        self.keep(Kept::Unlisted, &unlisted).await
    }

    /// Whether a record is there although it is not listed, as far as a fetch since the sweep before has shown.
    fn is_known(&self, id: &RecordId, stored: &StoredVersion, known: &[BTreeSet<RecordId>; 2]) -> bool {
        let [candidates, unlisted] = known;
        let is_found = self.sweep.previous.is_some_and(|previous| stored.looked_at >= previous);
        unlisted.contains(id) || (is_found && candidates.contains(id))
    }

    /// Fetches records that are listed and stored, and compares them: an id list does not show what was edited.
    async fn compare_sample(&mut self, sample: Vec<(RecordId, StoredVersion)>) -> Result<(), Halt> {
        for (id, known) in sample {
            if self.is_late() {
                return Ok(());
            }
            self.wait_for_slot(self.now()).await?;
            let found = match self.poller.ports.source().fetch(&self.traits.name, &id).await {
                Ok(detail) => detail.found,
                Err(failure) if failure.class.stops() == Stops::Record => continue,
                Err(failure) => {
                    // A sample need not be whole, but what fails now is not to be asked on and on.
                    self.note_failure(&failure).await?;
                    self.until = self.now();
                    return Ok(());
                }
            };
            let Found::Record { body, .. } = found else { continue };
            self.sweep.proof.sampled += 1;
            if known.fingerprint == Some(body.fingerprint()) {
                continue;
            }
            let stored = self.poller.ports.versions_of(&self.traits.name, std::iter::once(&id)).await?;
            if stored.get(&id) == Some(&known) {
                self.sweep.proof.sample_different += 1;
                self.owe(vec![Change::of(id)], self.now()).await?;
            }
        }
        Ok(())
    }
}

/// Compares a slice of what is stored with the listed ids in its range.
fn compared(
    found: Vec<(RecordId, StoredVersion)>,
    ids: &mut Peekable<impl Iterator<Item = (RecordId, Option<RecordId>)>>,
    more: bool,
    Sweep { proof, sample, .. }: &Sweep,
) -> Compared {
    let mut out = Compared::default();
    let one_in = (proof.listed / sample.max(&1)).max(1);
    // What was looked at since the sweep began is newer than the list.
    let is_earlier = |stored: &StoredVersion| stored.looked_at < proof.begun_at || Rule::SweepSince.is_left_out();
    let is_chosen = |id: &RecordId| digest(id, proof.begun_at.get()).is_multiple_of(one_in);
    for (id, stored) in found {
        while let Some((listed, as_listed)) = ids.next_if(|(listed, _)| *listed < id) {
            out.missing.push(as_listed.unwrap_or(listed));
        }
        let listed = ids.next_if(|(listed, _)| *listed == id).map(|(listed, as_listed)| as_listed.unwrap_or(listed));
        out.deleted += u64::from(stored.deleted);
        out.stored += u64::from(!stored.deleted);
        match (listed, stored.deleted) {
            (Some(listed), true) if is_earlier(&stored) => out.missing.push(listed),
            (Some(listed), false) if is_earlier(&stored) && is_chosen(&id) => out.sample.push((listed, stored)),
            (None, false) if is_earlier(&stored) => out.extra.push((id, stored)),
            (Some(_) | None, _) => {}
        }
    }
    if !more {
        out.missing.extend(ids.map(|(listed, as_listed)| as_listed.unwrap_or(listed)));
    }
    out
}

pub(super) fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
