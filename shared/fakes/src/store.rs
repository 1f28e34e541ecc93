//! The vendor's records, each with its history.
//!
//! A version has the second in which it was stamped and the instant from which readers see it. Between the two lies
//! the commit lag: a change may carry stamp T and show up in lists only later, as with any database whose transactions
//! take their time from their start. Row values are made from the seed when asked for; a version holds only what edits
//! changed, so a million records fit.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What edits have changed so far, field by field.
pub(crate) type Changes = Arc<BTreeMap<String, Value>>;

/// What a record's row shows as its stamp.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShownStamp {
    /// The true one.
    #[default]
    Real,
    /// The field is not there.
    Missing,
    /// This text; if it is a valid time, lists filter by it, too.
    Text(String),
}

/// One record with its history, oldest version first.
#[derive(Debug)]
pub struct Record {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) versions: Vec<Version>,
    pub(crate) shown: ShownStamp,
}

/// One state of a record.
#[derive(Debug, Clone)]
pub struct Version {
    /// Grows with every version of the vendor's, in the order in which they were made.
    pub(crate) serial: u64,
    pub(crate) stamp: i64,
    pub(crate) listed_from_ms: i64,
    pub(crate) detailed_from_ms: i64,
    pub(crate) deleted: bool,
    pub(crate) active: bool,
    pub(crate) changes: Changes,
}

impl Record {
    /// The vendor's identifier.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version that lists see.
    pub fn listed(&self, now_ms: i64) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.listed_from_ms <= now_ms)
    }

    /// The version that a detail answer shows; a deleted one counts.
    pub fn detailed(&self, now_ms: i64) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.detailed_from_ms <= now_ms)
    }
}

/// All streams of a vendor.
#[derive(Debug)]
pub struct Store {
    seed: u64,
    streams: BTreeMap<&'static str, Stream>,
    unchanged: Changes,
    last_serial: u64,
}

#[derive(Debug)]
struct Stream {
    first_number: u64,
    count: u64,
    records: Vec<Record>,
    by_id: HashMap<String, usize>,
}

impl Store {
    pub(crate) fn new(seed: u64, streams: &[(&'static str, u64)]) -> Self {
        let streams = streams
            .iter()
            .map(|&(name, first_number)| {
                (name, Stream { first_number, count: 0, records: Vec::new(), by_id: HashMap::new() })
            })
            .collect();
        Self { seed, streams, unchanged: Arc::default(), last_serial: 0 }
    }

    /// The number that all row values are made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The stream's own name, if there is such a stream.
    pub(crate) fn stream_named(&self, name: &str) -> Option<&'static str> {
        self.streams.get_key_value(name).map(|(known, _)| *known)
    }

    pub(crate) fn stream_names(&self) -> impl Iterator<Item = &'static str> {
        self.streams.keys().copied()
    }

    /// The records of a stream in the order they were made.
    pub fn records(&self, stream: &str) -> &[Record] {
        self.streams.get(stream).map_or(&[], |stream| &stream.records)
    }

    /// One record.
    pub fn record(&self, stream: &str, id: &str) -> Option<&Record> {
        let stream = self.streams.get(stream)?;
        stream.by_id.get(id).and_then(|&at| stream.records.get(at))
    }

    pub(crate) fn record_mut(&mut self, stream: &str, id: &str) -> Option<&mut Record> {
        let stream = self.streams.get_mut(stream)?;
        stream.by_id.get(id).and_then(|&at| stream.records.get_mut(at))
    }

    /// The number that the next record of a stream is made under.
    pub(crate) fn next_number(&self, stream: &str) -> u64 {
        self.streams.get(stream).map_or(0, |stream| stream.first_number + stream.count)
    }

    /// Adds a record under the next number, or under an id of its own; `None` if the id is taken.
    pub(crate) fn add(&mut self, stream: &str, id: Option<String>, mut version: Version) -> Option<String> {
        let serial = self.last_serial + 1;
        let stream = self.streams.get_mut(stream)?;
        let number = stream.first_number + stream.count;
        let id = id.unwrap_or_else(|| number.to_string());
        if stream.by_id.contains_key(&id) {
            return None;
        }
        stream.count += 1;
        version.serial = serial;
        self.last_serial = serial;
        stream.by_id.insert(id.clone(), stream.records.len());
        stream.records.push(Record { id: id.clone(), number, versions: vec![version], shown: ShownStamp::Real });
        Some(id)
    }

    /// Gives a record its next version.
    pub(crate) fn push(&mut self, stream: &str, id: &str, mut version: Version) {
        version.serial = self.last_serial + 1;
        if let Some(record) = self.record_mut(stream, id) {
            record.versions.push(version);
            self.last_serial += 1;
        }
    }

    /// A first version that is seen at once.
    pub(crate) fn first_version(&self, stamp: i64) -> Version {
        Version {
            serial: 0,
            stamp,
            listed_from_ms: i64::MIN,
            detailed_from_ms: i64::MIN,
            deleted: false,
            active: true,
            changes: Arc::clone(&self.unchanged),
        }
    }
}
