//! Fieldly's object types: their streams, and where each is asked for unless the settings say otherwise.

use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamName, StreamTraits};

use super::settings::FieldlySettings;

/// One object type.
#[derive(Debug)]
pub(super) struct ObjectType {
    /// Its stream.
    pub(super) stream: StreamName,
    /// The path of its list, below the base URL.
    pub(super) path: &'static str,
    /// Whether it is read only when it is named: its path is a guess.
    pub(super) is_opt_in: bool,
}

/// Every object type that is known without the settings, in the order in which reports list them.
///
/// Source: the "Fieldly Public API" guide names `/work_items`, `/time_reports` and `/clients/{id}`; `/travel_reports` is
/// by analogy. The settings can replace each path, and name further streams.
pub(super) static OBJECT_TYPES: [ObjectType; 4] = [
    ObjectType { stream: StreamName::known("work_items"), path: "work_items", is_opt_in: false },
    ObjectType { stream: StreamName::known("clients"), path: "clients", is_opt_in: false },
    ObjectType { stream: StreamName::known("time_reports"), path: "time_reports", is_opt_in: false },
    ObjectType { stream: StreamName::known("travel_reports"), path: "travel_reports", is_opt_in: true },
];

/// The streams of every Fieldly account under these settings.
pub(crate) fn traits(settings: &FieldlySettings) -> Vec<StreamTraits> {
    settings
        .resources
        .iter()
        .map(|resource| StreamTraits {
            name: resource.stream.clone(),
            shape: ListShape::Pages,
            stamped: resource.updated_field.is_some(),
            filtered: resource.updated_filter.is_some(),
            first: Position::At(settings.first_checkpoint),
        })
        .collect()
}

/// Whether a stream is read without being named.
pub(crate) fn is_on_by_default(stream: &StreamName) -> bool {
    OBJECT_TYPES.iter().all(|object_type| !object_type.is_opt_in || object_type.stream != *stream)
}
