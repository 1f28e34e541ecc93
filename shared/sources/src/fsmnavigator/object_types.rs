//! FSM Navigator's object types: their streams, addresses and words.

use tidemark_engine::stream::StreamName;

/// One object type.
#[derive(Debug)]
pub(super) struct ObjectType {
    /// Its stream.
    pub(super) stream: StreamName,
    /// Its address below the base URL, and the member of a list answer that holds its rows.
    pub(super) resource: &'static str,
    /// The member of a detail answer that holds its row.
    pub(super) singular: &'static str,
    /// Its id in the reference pages' dialect.
    pub(super) named_id: &'static str,
    /// Whether its list takes a lower bound, unless the settings say otherwise.
    pub(super) is_filtered: bool,
}

/// Every object type, in the order in which reports list them.
///
/// Source: the best-practices guide and the reference pages of the vendor. The lower bound is documented for jobs alone;
/// the reference's parameter tables of assets and technicians, which are complete, have none.
pub(super) static OBJECT_TYPES: [ObjectType; 4] = [
    ObjectType {
        stream: StreamName::known("jobs"),
        resource: "jobs",
        singular: "job",
        named_id: "job_id",
        is_filtered: true,
    },
    ObjectType {
        stream: StreamName::known("customers"),
        resource: "customers",
        singular: "customer",
        named_id: "customer_id",
        is_filtered: false,
    },
    ObjectType {
        stream: StreamName::known("assets"),
        resource: "assets",
        singular: "asset",
        named_id: "asset_id",
        is_filtered: false,
    },
    ObjectType {
        stream: StreamName::known("technicians"),
        resource: "technicians",
        singular: "technician",
        named_id: "technician_id",
        is_filtered: false,
    },
];

/// The object type of a stream.
pub(super) fn of_stream(stream: &StreamName) -> Option<&'static ObjectType> {
    OBJECT_TYPES.iter().find(|object_type| object_type.stream == *stream)
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
        assert!(of_stream(&StreamName::known("inventory")).is_none());
    }
}
