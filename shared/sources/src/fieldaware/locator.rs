//! Locators: the listed ids of the feed.
//!
//! `<record stream>/<path>`, whatever an event says of the record. The record is the last segment of the path, its uuid:
//! two paths to one record are still one record.

use tidemark_engine::record::RecordId;
use tidemark_engine::stream::StreamName;

use super::path::{Path, canonical, is_segment};
use super::streams::{self, Class, List, UUID};

/// A record and the path that leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Locator {
    pub(super) class: &'static Class,
    pub(super) path: Path,
}

impl Locator {
    /// Reads a listed id.
    pub(super) fn parse(id: &RecordId) -> Option<Self> {
        let (records, path) = id.as_str().split_once('/')?;
        let path = Path::parse(path).filter(|read| read.to_string() == path)?;
        Some(Self { class: streams::of_records(records)?, path })
    }

    /// The listed id; none when it is too long to be kept.
    pub(super) fn id(&self) -> Option<RecordId> {
        RecordId::parse(format!("{}/{}", self.class.records, self.path)).ok()
    }

    /// The record.
    pub(super) fn record(&self) -> Option<(StreamName, RecordId)> {
        Some((self.class.records.clone(), RecordId::parse(canonical(self.path.last())).ok()?))
    }
}

/// The record that a listed id names.
pub(crate) fn record_of(id: &RecordId) -> Option<(StreamName, RecordId)> {
    Locator::parse(id)?.record()
}

/// The listed id of a record, which may be given as one already. None where a record's path is not known from its uuid.
pub(crate) fn listed_id(records: &StreamName, id: &RecordId) -> Option<RecordId> {
    if Locator::parse(id).is_some_and(|locator| locator.class.records == *records) {
        return Some(id.clone());
    }
    let class = streams::of_records(records.as_str())?;
    match class.list {
        List::At { detail, .. } if is_segment(id.as_str()) => {
            Locator { class, path: Path::of_address(&detail.replace(UUID, id.as_str()))? }.id()
        }
        List::At { .. } | List::BelowUsers { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator(text: &str) -> Option<Locator> {
        Locator::parse(&RecordId::parse(text).unwrap())
    }

    #[test]
    fn a_locator_names_its_record() {
        for (text, stream, id) in [
            ("jobs/job/7cc5", "jobs", "7cc5"),
            ("unavailable_times/user/1/unavailability/2", "unavailable_times", "2"),
            ("items/item/7CC5E2D8-879A-4382-9DCC-07655F5CA606", "items", "7cc5e2d8879a43829dcc07655f5ca606"),
        ] {
            let (records, record) = locator(text).unwrap().record().unwrap();
            assert_eq!((records.as_str(), record.as_str()), (stream, id), "{text}");
        }
    }

    #[test]
    fn what_is_no_locator_of_ours_is_refused() {
        for text in
            ["jobs", "jobs/", "-", "-jobs/job/1", "ships/ship/1", "jobs/job/..", "jobs//1", "jobs/job/%2e", "Job/job/1"]
        {
            assert_eq!(locator(text), None, "{text}");
        }
    }

    #[test]
    fn one_path_has_one_locator() {
        let class = streams::of_records("jobs").unwrap();
        for address in ["https://a.example/job/1", "https://b.example/job/1/", "/job/1", "job/1/"] {
            let locator = Locator { class, path: Path::of_address(address).unwrap() };
            assert_eq!(locator.id().unwrap().as_str(), "jobs/job/1");
        }
    }
}
