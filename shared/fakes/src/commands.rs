//! What the vendor can be told about its records: the bodies of the control API, which Rust tests use as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{faults::Effect, store::ShownStamp, vendor::CallKind};

/// Makes records that have been there for long.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The stream.
    pub stream: String,
    /// How many.
    pub count: usize,
    /// Stamp of the first, as the vendor writes it; `2020-01-01 00:00:00` UTC if left out.
    #[serde(default)]
    pub first_stamp: Option<String>,
    /// Seconds from one stamp to the next; 61 if left out, 0 gives all the same.
    #[serde(default)]
    pub every_seconds: Option<i64>,
}

/// Makes records now, as a user of the vendor would.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The stream.
    pub stream: String,
    /// How many; 1 if left out.
    #[serde(default = "one")]
    pub count: usize,
    /// An id of its own choice, for one record.
    #[serde(default)]
    pub id: Option<String>,
    /// Fields that differ from the generated ones.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// The stamp, as the vendor writes it; now if left out.
    #[serde(default)]
    pub stamp: Option<String>,
    /// How long after its stamp it is seen.
    #[serde(default)]
    pub visible_after_ms: i64,
    /// Details show it at once, and only lists lag.
    #[serde(default)]
    pub detail_at_once: bool,
}

fn one() -> usize {
    1
}

impl Add {
    /// One record under the next number.
    pub fn one(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            count: 1,
            id: None,
            set: BTreeMap::new(),
            stamp: None,
            visible_after_ms: 0,
            detail_at_once: false,
        }
    }

    /// One record under this id.
    pub fn with_id(stream: &str, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..Self::one(stream) }
    }
}

/// An edit, a deletion or the like of some records. All get the same stamp.
///
/// Which ones: `id`, `ids`, the `first` so many that are not deleted, or `all` that are not deleted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The stream.
    pub stream: String,
    /// One record.
    #[serde(default)]
    pub id: Option<String>,
    /// Several.
    #[serde(default)]
    pub ids: Vec<String>,
    /// The first so many.
    #[serde(default)]
    pub first: Option<usize>,
    /// All.
    #[serde(default)]
    pub all: bool,
    /// Edits only: the fields and their new values; if empty, the name changes.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// The stamp, as the vendor writes it; now if left out.
    #[serde(default)]
    pub stamp: Option<String>,
    /// How long from now until readers see it.
    #[serde(default)]
    pub visible_after_ms: i64,
    /// Details show it at once, and only lists lag.
    #[serde(default)]
    pub detail_at_once: bool,
}

impl Change {
    /// Of one record.
    pub fn of(stream: &str, id: &str) -> Self {
        Self { stream: stream.to_owned(), id: Some(id.to_owned()), ..Self::default() }
    }

    /// Of the first so many.
    pub fn of_first(stream: &str, count: usize) -> Self {
        Self { stream: stream.to_owned(), first: Some(count), ..Self::default() }
    }

    /// Of all.
    pub fn of_all(stream: &str) -> Self {
        Self { stream: stream.to_owned(), all: true, ..Self::default() }
    }

    /// Gives a field a value.
    #[must_use]
    pub fn set(mut self, field: &str, value: &str) -> Self {
        self.set.insert(field.to_owned(), value.into());
        self
    }

    /// Gives it this stamp.
    #[must_use]
    pub fn stamped(self, stamp: &str) -> Self {
        Self { stamp: Some(stamp.to_owned()), ..self }
    }

    /// Keeps it from readers for so long.
    #[must_use]
    pub fn visible_after_ms(self, visible_after_ms: i64) -> Self {
        Self { visible_after_ms, ..self }
    }
}

/// Something that happens to records.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// New records.
    Add(Add),
    /// New values.
    Edit(Change),
    /// Gone for lists and details alike.
    Delete(Change),
    /// Back again.
    Undelete(Change),
    /// Gone for lists only.
    Deactivate(Change),
    /// Back in lists.
    Activate(Change),
}

/// An action that waits for a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The kind of call.
    pub on: CallKind,
    /// The stream of the call.
    #[serde(default)]
    pub stream: Option<String>,
    /// The record asked for.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether the answer already shows the action; `after` if left out.
    #[serde(default)]
    pub when: Moment,
    /// On so many calls; 1 if left out.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    pub action: Action,
}

fn once() -> u32 {
    1
}

/// Before or after an answer is computed. Either way it happens before the client has the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// The answer shows it.
    Before,
    /// The answer misses it.
    #[default]
    After,
}

impl Hook {
    /// An action right after the next list answer of a stream was computed.
    pub fn after_list(stream: &str, action: Action) -> Self {
        Self { on: CallKind::List, stream: Some(stream.to_owned()), id: None, when: Moment::After, times: 1, action }
    }

    /// An action right after the next detail answer of a record was computed.
    pub fn after_detail(stream: &str, id: &str, action: Action) -> Self {
        Self { on: CallKind::Detail, id: Some(id.to_owned()), ..Self::after_list(stream, action) }
    }

    /// An action right before the next detail answer of a record is computed.
    pub fn before_detail(stream: &str, id: &str, action: Action) -> Self {
        Self { when: Moment::Before, ..Self::after_detail(stream, id, action) }
    }
}

/// Makes the details of some records answer wrongly until healed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poison {
    /// The stream.
    pub stream: String,
    /// One record.
    #[serde(default)]
    pub id: Option<String>,
    /// Several.
    #[serde(default)]
    pub ids: Vec<String>,
    /// What their detail answers; the wrong shape if left out.
    #[serde(default = "wrong_shape")]
    pub effect: Effect,
}

fn wrong_shape() -> Effect {
    Effect::WrongShape
}

impl Poison {
    /// One record, with the wrong shape.
    pub fn of(stream: &str, id: &str) -> Self {
        Self { stream: stream.to_owned(), id: Some(id.to_owned()), ids: Vec::new(), effect: Effect::WrongShape }
    }
}

/// Ends poisoning. Fields left out match everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heal {
    /// The stream.
    #[serde(default)]
    pub stream: Option<String>,
    /// The record.
    #[serde(default)]
    pub id: Option<String>,
}

/// Changes what a record's row shows as its stamp.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowStamp {
    /// The stream.
    pub stream: String,
    /// The record.
    pub id: String,
    /// What it shows.
    pub shown: ShownStamp,
}
