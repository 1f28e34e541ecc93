//! Everything a fake vendor knows, and what can be done to it in one step.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    clock::VendorClock,
    commands::{Action, Add, Change, Hook, Moment, Seed},
    faults::{Effect, Faults},
    holds::Holds,
    log::RequestLog,
    row::Row,
    store::{Store, Version},
    vendor::{Call, Vendor},
};

/// 2020-01-01 00:00:00 UTC.
const FIRST_SEEDED_STAMP: i64 = 1_577_836_800;
const SEEDED_EVERY_SECONDS: i64 = 61;

/// Why a control call was refused. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no such stream.
    #[error("unknown stream {stream:?}; the streams are {known}")]
    UnknownStream {
        /// What was asked for.
        stream: String,
        /// What there is.
        known: String,
    },
    /// There is no such record.
    #[error("stream {stream} has no record {id:?}")]
    UnknownRecord {
        /// The stream.
        stream: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The id is taken.
    #[error("stream {stream} already has a record {id:?}")]
    IdTaken {
        /// The stream.
        stream: &'static str,
        /// What was asked for.
        id: String,
    },
    /// Rows of the stream have no such field, or it cannot be set like this.
    #[error("field {field:?} cannot be set in stream {stream}; id and stamp have calls of their own")]
    UnknownField {
        /// The stream.
        stream: &'static str,
        /// What was asked for.
        field: String,
    },
    /// The text is not a time as the vendor writes it.
    #[error("{text:?} is not a time as this vendor writes it")]
    BadStamp {
        /// What was given.
        text: String,
    },
    /// No record was named.
    #[error("no record named: give id, ids, first or all")]
    NothingNamed,
    /// Whatever is wrong with the vendor's settings or credentials, or with a control call's form.
    #[error("{0}")]
    Malformed(String),
    /// Nothing was held in time.
    #[error("no such request was held within {waited_ms} ms")]
    NothingHeld {
        /// How long it was waited.
        waited_ms: u64,
    },
}

/// A record as it truly is.
#[expect(clippy::struct_excessive_bools, reason = "four facts that do not depend on each other, read by name")]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TruthRecord {
    /// The row that a detail answer would show now, all fields, or those asked for; the last one if deleted.
    pub row: Row,
    /// The same as the vendor writes it.
    pub body: String,
    /// The true stamp, as the vendor writes it.
    pub last_edited: String,
    /// The true stamp, Unix milliseconds.
    pub last_edited_ms: i64,
    /// Gone for lists and details.
    pub deleted: bool,
    /// Shown in lists.
    pub active: bool,
    /// Its detail answers wrongly.
    pub poisoned: bool,
    /// A change of it is not seen by all readers yet.
    pub pending: bool,
    /// How often it was made or changed.
    pub versions: usize,
}

/// What an action did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The records concerned.
    pub ids: Vec<String>,
    /// The stamp they got, as the vendor writes it.
    pub stamp: String,
}

pub(crate) struct World {
    pub(crate) vendor: Arc<dyn Vendor>,
    pub(crate) clock: VendorClock,
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) holds: Holds,
    pub(crate) poisons: BTreeMap<(&'static str, String), Effect>,
    pub(crate) log: RequestLog,
}

/// What an action does to one record's state, beside its stamp.
#[derive(Clone, Copy)]
enum Turn {
    Edit,
    Deleted(bool),
    Active(bool),
}

impl World {
    pub(crate) fn new(vendor: Arc<dyn Vendor>, seed: u64) -> Self {
        Self {
            clock: VendorClock::new(),
            store: Store::new(seed, vendor.streams()),
            faults: Faults::default(),
            hooks: Vec::new(),
            holds: Holds::default(),
            poisons: BTreeMap::new(),
            log: RequestLog::default(),
            vendor,
        }
    }

    pub(crate) fn stream(&self, name: &str) -> Result<&'static str, ControlError> {
        self.store.stream_named(name).ok_or_else(|| ControlError::UnknownStream {
            stream: name.to_owned(),
            known: self.store.stream_names().collect::<Vec<_>>().join(", "),
        })
    }

    pub(crate) fn seed(&mut self, seed: &Seed) -> Result<Vec<String>, ControlError> {
        let stream = self.stream(&seed.stream)?;
        let first = seed.first_stamp.as_deref().map_or(Ok(FIRST_SEEDED_STAMP), |text| self.parse_stamp(text))?;
        let every = seed.every_seconds.unwrap_or(SEEDED_EVERY_SECONDS);
        let mut stamp = first;
        let mut ids = Vec::with_capacity(seed.count);
        for _ in 0..seed.count {
            let version = self.store.first_version(stamp);
            let id = self.new_id(stream);
            ids.extend(self.store.add(stream, Some(id), version));
            stamp = stamp.saturating_add(every);
        }
        Ok(ids)
    }

    /// Refuses what [`Self::act`] would refuse, so that a hook cannot fail when its time comes.
    pub(crate) fn check(&self, action: &Action) -> Result<(), ControlError> {
        match action {
            Action::Add(add) => {
                let stream = self.stream(&add.stream)?;
                match &add.id {
                    Some(id) if self.store.record(stream, id).is_some() || add.count != 1 => {
                        Err(ControlError::IdTaken { stream, id: id.clone() })
                    }
                    _ => self.stamp(add.stamp.as_deref()).map(drop),
                }
            }
            Action::Edit(change)
            | Action::Delete(change)
            | Action::Undelete(change)
            | Action::Deactivate(change)
            | Action::Activate(change) => {
                let stream = self.stream(&change.stream)?;
                self.targets(stream, change)?;
                self.stamp(change.stamp.as_deref()).map(drop)
            }
        }
    }

    pub(crate) fn act(&mut self, action: &Action) -> Result<Done, ControlError> {
        self.check(action)?;
        match action {
            Action::Add(add) => self.add(add),
            Action::Edit(change) => self.turn(change, Turn::Edit),
            Action::Delete(change) => self.turn(change, Turn::Deleted(true)),
            Action::Undelete(change) => self.turn(change, Turn::Deleted(false)),
            Action::Deactivate(change) => self.turn(change, Turn::Active(false)),
            Action::Activate(change) => self.turn(change, Turn::Active(true)),
        }
    }

    fn new_id(&self, stream: &'static str) -> String {
        self.vendor.new_id(self.store.seed(), stream, self.store.next_number(stream))
    }

    fn add(&mut self, add: &Add) -> Result<Done, ControlError> {
        let stream = self.stream(&add.stream)?;
        let stamp = self.stamp(add.stamp.as_deref())?;
        let now_ms = self.clock.now_ms();
        let visible_from_ms = now_ms.saturating_add(add.visible_after_ms);
        let mut ids = Vec::with_capacity(add.count);
        for _ in 0..add.count {
            let mut version = self.store.first_version(stamp);
            version.listed_from_ms = visible_from_ms;
            version.detailed_from_ms = if add.detail_at_once { now_ms } else { visible_from_ms };
            if !add.set.is_empty() {
                version.changes = Arc::new(add.set.clone());
            }
            let id = add.id.clone().unwrap_or_else(|| self.new_id(stream));
            let added = self.store.add(stream, Some(id.clone()), version);
            ids.push(added.ok_or(ControlError::IdTaken { stream, id })?);
        }
        Ok(Done { ids, stamp: self.vendor.stamp(stamp) })
    }

    fn turn(&mut self, change: &Change, turn: Turn) -> Result<Done, ControlError> {
        let stream = self.stream(&change.stream)?;
        let ids = self.targets(stream, change)?;
        let stamp = self.stamp(change.stamp.as_deref())?;
        let now_ms = self.clock.now_ms();
        let visible_from_ms = now_ms.saturating_add(change.visible_after_ms);
        let next = ids
            .iter()
            .map(|id| {
                let mut version = self.turned(stream, id, change, turn)?;
                version.stamp = stamp;
                version.listed_from_ms = visible_from_ms;
                version.detailed_from_ms = if change.detail_at_once { now_ms } else { visible_from_ms };
                Ok(version)
            })
            .collect::<Result<Vec<_>, ControlError>>()?;
        for (id, version) in ids.iter().zip(next) {
            self.store.push(stream, id, version);
        }
        Ok(Done { ids, stamp: self.vendor.stamp(stamp) })
    }

    fn turned(&self, stream: &'static str, id: &str, change: &Change, turn: Turn) -> Result<Version, ControlError> {
        let unknown = || ControlError::UnknownRecord { stream, id: id.to_owned() };
        let record = self.store.record(stream, id).ok_or_else(unknown)?;
        let mut version = record.versions.last().ok_or_else(unknown)?.clone();
        match turn {
            Turn::Deleted(deleted) => version.deleted = deleted,
            Turn::Active(active) => version.active = active,
            Turn::Edit => {
                let row = self.vendor.row(&self.store, stream, record, &version);
                let changes = Arc::make_mut(&mut version.changes);
                if change.set.is_empty() {
                    let (field, value) = self.vendor.touch(stream, &row, record.versions.len());
                    changes.insert(field, value);
                }
                for (field, value) in &change.set {
                    if matches!(field.as_str(), "id" | "last_edited") || row.get(field).is_none() {
                        return Err(ControlError::UnknownField { stream, field: field.clone() });
                    }
                    changes.insert(field.clone(), value.clone());
                }
            }
        }
        Ok(version)
    }

    /// The records a change is about, each known.
    fn targets(&self, stream: &'static str, change: &Change) -> Result<Vec<String>, ControlError> {
        let live = |count| {
            self.store
                .records(stream)
                .iter()
                .filter(|record| record.versions.last().is_some_and(|version| !version.deleted))
                .take(count)
                .map(|record| record.id.clone())
        };
        let ids: Vec<String> = match change.first {
            _ if change.all => live(usize::MAX).collect(),
            Some(count) => live(count).collect(),
            None => change.ids.iter().chain(&change.id).cloned().collect(),
        };
        if ids.is_empty() && !change.all {
            return Err(ControlError::NothingNamed);
        }
        match ids.iter().find(|id| self.store.record(stream, id).is_none()) {
            Some(id) => Err(ControlError::UnknownRecord { stream, id: id.clone() }),
            None => Ok(ids),
        }
    }

    fn stamp(&self, text: Option<&str>) -> Result<i64, ControlError> {
        text.map_or_else(|| Ok(self.clock.now_ms().div_euclid(1000)), |text| self.parse_stamp(text))
    }

    fn parse_stamp(&self, text: &str) -> Result<i64, ControlError> {
        self.vendor.parse_stamp(text).ok_or_else(|| ControlError::BadStamp { text: text.to_owned() })
    }

    pub(crate) fn truth(
        &self,
        stream: &str,
        fields: Option<&[String]>,
    ) -> Result<BTreeMap<String, TruthRecord>, ControlError> {
        let stream = self.stream(stream)?;
        let now_ms = self.clock.now_ms();
        let truth = self.store.records(stream).iter().filter_map(|record| {
            let version = record.detailed(now_ms)?;
            let row = self.vendor.row(&self.store, stream, record, version);
            let row = fields.map_or(row.clone(), |fields| row.only(fields));
            let truth = TruthRecord {
                body: self.vendor.written(&row),
                row,
                last_edited: self.vendor.stamp(version.stamp),
                last_edited_ms: version.stamp.saturating_mul(1000),
                deleted: version.deleted,
                active: version.active,
                poisoned: self.poisons.contains_key(&(stream, record.id.clone())),
                pending: record
                    .versions
                    .last()
                    .is_some_and(|last| last.listed_from_ms.max(last.detailed_from_ms) > now_ms),
                versions: record.versions.len(),
            };
            Some((record.id.clone(), truth))
        });
        Ok(truth.collect())
    }

    /// Performs the actions that wait for this call.
    pub(crate) fn fire_hooks(&mut self, call: &Call, moment: Moment) {
        let mut due = Vec::new();
        for hook in &mut self.hooks {
            let concerned = hook.when == moment
                && hook.on == call.kind
                && (hook.stream.is_none() || hook.stream.as_deref() == call.stream)
                && (hook.id.is_none() || hook.id == call.id);
            if concerned {
                hook.times = hook.times.saturating_sub(1);
                due.push(hook.action.clone());
            }
        }
        self.hooks.retain(|hook| hook.times > 0);
        for action in due {
            // Checked when the hook was set; an id taken since then leaves nothing to be done.
            drop(self.act(&action));
        }
    }

    pub(crate) fn poison_of(&self, call: &Call) -> Option<Effect> {
        self.poisons.get(&(call.stream?, call.id.clone()?)).cloned()
    }
}

impl Version {
    /// Writes what edits have changed over a row as it was first made.
    pub(crate) fn apply_to(&self, row: &mut Row) {
        for (field, value) in self.changes.iter() {
            row.set(field, Value::clone(value));
        }
    }
}
