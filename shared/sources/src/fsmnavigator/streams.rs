//! FSM Navigator's object types: their streams, addresses and words.

use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamName, StreamTraits};

use super::settings::FsmNavigatorSettings;

/// One object type.
#[derive(Debug)]
pub(super) struct ObjectType {
    /// Its stream.
    pub(super) stream: StreamName,
    /// The address of its list below the base URL; of what belongs to a parent, the last part of it.
    pub(super) resource: &'static str,
    /// The members of a list answer that may hold its rows, in the guide's dialect.
    pub(super) plural: &'static [&'static str],
    /// The member of a detail answer that holds its row.
    pub(super) singular: &'static str,
    /// Its id in the reference pages' dialect.
    pub(super) named_id: &'static str,
    /// Whether its list takes a lower bound, unless the settings say otherwise.
    pub(super) is_filtered: bool,
    /// What a person can do when the key lacks the right to read it.
    pub(super) scope_step: &'static str,
    /// What its records belong to, where they are listed by one call a parent.
    pub(super) parent: Option<Parent>,
}

/// What the records of a type belong to.
#[derive(Debug)]
pub(super) struct Parent {
    /// The parent's stream.
    pub(super) stream: StreamName,
    /// The parameter that asks for what belongs to a parent, in the reference pages' style.
    pub(super) query: (&'static str, &'static str),
}

/// Every object type, in the order in which reports list them.
///
/// Source: the best-practices guide and the reference pages of the vendor. The lower bound is documented for jobs alone;
/// the reference's parameter tables of assets and technicians, which are complete, have none. Of service records the
/// guide shows the address alone, the reference calls them the service history.
pub(super) static OBJECT_TYPES: [ObjectType; 7] = [
    ObjectType {
        stream: StreamName::known("jobs"),
        resource: "jobs",
        plural: &["jobs"],
        singular: "job",
        named_id: "job_id",
        is_filtered: true,
        scope_step: "give the API key the scope jobs:read, or turn the stream off",
        parent: None,
    },
    ObjectType {
        stream: StreamName::known("customers"),
        resource: "customers",
        plural: &["customers"],
        singular: "customer",
        named_id: "customer_id",
        is_filtered: false,
        scope_step: CUSTOMERS_STEP,
        parent: None,
    },
    ObjectType {
        stream: StreamName::known("assets"),
        resource: "assets",
        plural: &["assets"],
        singular: "asset",
        named_id: "asset_id",
        is_filtered: false,
        scope_step: ASSETS_STEP,
        parent: None,
    },
    ObjectType {
        stream: StreamName::known("technicians"),
        resource: "technicians",
        plural: &["technicians"],
        singular: "technician",
        named_id: "technician_id",
        is_filtered: false,
        scope_step: "give the API key the scope technicians:read, or turn the stream off",
        parent: None,
    },
    ObjectType {
        stream: StreamName::known("inventory"),
        resource: "inventory",
        plural: &["inventory", "items"],
        singular: "item",
        named_id: "id",
        is_filtered: false,
        scope_step: "give the API key the scope inventory:read, or turn the stream off",
        parent: None,
    },
    ObjectType {
        stream: StreamName::known("customer_locations"),
        resource: "locations",
        plural: &["locations"],
        singular: "location",
        named_id: "location_id",
        is_filtered: false,
        scope_step: CUSTOMERS_STEP,
        parent: Some(Parent { stream: StreamName::known("customers"), query: ("locations", "1") }),
    },
    ObjectType {
        stream: StreamName::known("service_records"),
        resource: "service-records",
        plural: &["service_records", "service_history"],
        singular: "service_record",
        named_id: "service_record_id",
        is_filtered: false,
        scope_step: ASSETS_STEP,
        parent: Some(Parent { stream: StreamName::known("assets"), query: ("sub", "service_history") }),
    },
];

const CUSTOMERS_STEP: &str = "give the API key the scope customers:read, or turn the stream off";
const ASSETS_STEP: &str = "give the API key the scope assets:read, or turn the stream off";

/// The streams that are read only when they are named: few need them, and two of them cost a call a parent.
const OPT_IN: [&str; 3] = ["inventory", "customer_locations", "service_records"];

/// The object type of a stream.
pub(super) fn of_stream(stream: &StreamName) -> Option<&'static ObjectType> {
    OBJECT_TYPES.iter().find(|object_type| object_type.stream == *stream)
}

/// Whether a stream is read only when it is named.
pub(super) fn is_opt_in(stream: &StreamName) -> bool {
    OPT_IN.contains(&stream.as_str())
}

/// The streams of every FSM Navigator account under these settings.
pub(crate) fn traits(settings: &FsmNavigatorSettings) -> Vec<StreamTraits> {
    OBJECT_TYPES
        .iter()
        .map(|object_type| StreamTraits {
            name: object_type.stream.clone(),
            shape: ListShape::Pages,
            stamped: settings.is_stamped(object_type),
            filtered: settings.is_filtered(object_type),
            first: Position::At(settings.first_checkpoint),
        })
        .collect()
}

/// Whether a stream is read without being named.
pub(crate) fn is_on_by_default(stream: &StreamName) -> bool {
    !is_opt_in(stream)
}

pub(super) fn known(stream: &StreamName) -> Result<&'static ObjectType, SourceFailure> {
    of_stream(stream)
        .ok_or_else(|| SourceFailure::new(FailureClass::Forbidden, format!("FSM Navigator has no stream {stream}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jobs_have_a_documented_lower_bound() {
        for object_type in &OBJECT_TYPES {
            assert_eq!(object_type.is_filtered, object_type.stream.as_str() == "jobs");
        }
    }

    #[test]
    fn a_stream_is_found_by_its_name() {
        assert_eq!(of_stream(&StreamName::known("assets")).map(|found| found.named_id), Some("asset_id"));
        assert!(of_stream(&StreamName::known("invoices")).is_none());
    }

    #[test]
    fn what_belongs_to_a_parent_is_read_only_when_it_is_named() {
        for object_type in OBJECT_TYPES.iter().filter(|object_type| object_type.parent.is_some()) {
            let parent = object_type.parent.as_ref().unwrap();
            assert!(is_opt_in(&object_type.stream) && !is_opt_in(&parent.stream));
            assert!(of_stream(&parent.stream).is_some_and(|parent| parent.parent.is_none()));
        }
        assert!(is_opt_in(&StreamName::known("inventory")) && !is_opt_in(&StreamName::known("jobs")));
    }
}
