//! Acme's object types: their streams, and where each is asked for.

use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamName, StreamTraits};

use super::settings::AcmeSettings;

/// One object type.
#[derive(Debug)]
pub(super) struct ObjectType {
    /// Its stream.
    pub(super) stream: StreamName,
    /// The path of its list, below the base URL.
    pub(super) path: &'static str,
}

/// Every object type, in the order in which reports list them.
///
/// Source: not written yet, see docs/add-a-source.md, section 3.
pub(super) static OBJECT_TYPES: [ObjectType; 1] = [ObjectType { stream: StreamName::known("jobs"), path: "jobs" }];

/// The streams of every Acme account under these settings.
pub(crate) fn traits(settings: &AcmeSettings) -> Vec<StreamTraits> {
    let of = |object_type: &ObjectType| StreamTraits {
        name: object_type.stream.clone(),
        shape: ListShape::Pages,
        stamped: true,
        filtered: true,
        first: Position::At(settings.first_checkpoint),
    };
    OBJECT_TYPES.iter().map(of).collect()
}

/// Whether a stream is read without being named.
pub(crate) fn is_on_by_default(stream: &StreamName) -> bool {
    known(stream).is_ok()
}

/// The object type of a stream.
pub(super) fn known(stream: &StreamName) -> Result<&'static ObjectType, SourceFailure> {
    let known = OBJECT_TYPES.iter().find(|object_type| object_type.stream == *stream);
    known.ok_or_else(|| SourceFailure::new(FailureClass::Forbidden, format!("Acme has no stream {stream}")))
}
