//! FieldAware's entity classes: the record streams that the feed's events spread into, and where each class is found.

use std::collections::BTreeSet;
use std::fmt;

use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamName, StreamTraits};

use super::settings::FieldAwareSettings;

/// The one stream that is polled.
pub(super) struct Polled {
    /// Its name.
    pub(super) stream: StreamName,
}

/// The change feed, over all classes.
pub(super) const CHANGES: Polled = Polled { stream: StreamName::known("changes") };

/// One class of entities.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// What events call it.
    pub(super) entity: &'static str,
    /// The stream that its records are kept under.
    pub(super) records: StreamName,
    /// Where its records are listed.
    pub(super) list: List,
    /// Whether the feed can be filtered by it.
    pub(super) is_filterable: bool,
    /// Whether the feed has events of it.
    pub(super) is_told: bool,
    /// Whether its list takes `archived`.
    pub(super) has_archive: bool,
}

/// Where the records of a class are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Under one address, and each record below `detail`.
    At {
        /// The list's path.
        list: &'static str,
        /// The path of a record, its uuid at the place of [`UUID`].
        detail: &'static str,
        /// Whether the list takes `start` and `end`.
        is_windowed: bool,
    },
    /// Below each user, as `/user/{uuid}/<segment>`. The path of a record is not known without its user.
    BelowUsers {
        /// The last segment of the list's path.
        segment: &'static str,
        /// Whether the list takes `start` and `end`.
        is_windowed: bool,
    },
}

impl List {
    /// Whether the list takes `start` and `end`.
    pub(super) fn is_windowed(self) -> bool {
        match self {
            Self::At { is_windowed, .. } | Self::BelowUsers { is_windowed, .. } => is_windowed,
        }
    }
}

/// What stands for a record's uuid in a path.
pub(super) const UUID: &str = "{uuid}";

/// The path of the list of users.
pub(super) const USERS: &str = "/user/";

const fn at(list: &'static str, detail: &'static str) -> List {
    List::At { list, detail, is_windowed: false }
}

const fn at_windowed(list: &'static str, detail: &'static str) -> List {
    List::At { list, detail, is_windowed: true }
}

const fn class(entity: &'static str, records: &'static str, list: List) -> Class {
    Class { entity, records: StreamName::known(records), list, is_filterable: true, is_told: true, has_archive: false }
}

const fn class_with_archive(entity: &'static str, records: &'static str, list: List) -> Class {
    Class { entity, records: StreamName::known(records), list, is_filterable: true, is_told: true, has_archive: true }
}

/// What is declared of custom fields. The `entityClass` of its rows is the class that a field is declared for.
pub(super) const CUSTOM_FIELDS: &str = "custom_fields";

/// Every class, in the order in which reports list them and a first import walks them.
///
/// Source: the "Change Tracking" guide for the classes and most paths, the reference pages for the lists. The paths of
/// field quotes are written nowhere and are made by analogy.
pub(super) static CLASSES: [Class; 15] = [
    class("Job", "jobs", at_windowed("/job/", "/job/{uuid}")),
    class("WebQuote", "web_quotes", at_windowed("/webquote/", "/webquote/{uuid}")),
    class("FieldQuote", "field_quotes", at("/fieldquote/", "/fieldquote/{uuid}")),
    class_with_archive("Item", "items", at("/item/", "/item/{uuid}")),
    class("Task", "tasks", at("/task/", "/task/{uuid}")),
    class("Customer", "customers", at("/customer/", "/customer/{uuid}")),
    class("Location", "locations", at("/location/", "/location/{uuid}")),
    class("Contact", "contacts", at("/contact/", "/contact/{uuid}")),
    class("Asset", "assets", at("/asset/", "/asset/{uuid}")),
    class("Invoice", "invoices", at("/invoice/", "/invoice/{uuid}")),
    class_with_archive("User", "users", at(USERS, "/user/{uuid}")),
    class("UnavailableTime", "unavailable_times", List::BelowUsers { segment: "unavailability", is_windowed: false }),
    class_with_archive(
        "UnavailableTimeType",
        "unavailable_time_types",
        at("/unavailability/types", "/unavailability/types/{uuid}"),
    ),
    Class {
        entity: "WorkingHoursException",
        records: StreamName::known("working_hours_exceptions"),
        list: List::BelowUsers { segment: "exception", is_windowed: true },
        is_filterable: false,
        is_told: true,
        has_archive: false,
    },
    Class {
        entity: "CustomField",
        records: StreamName::known(CUSTOM_FIELDS),
        list: at("/settings/customfields/", "/settings/customfields/{uuid}"),
        is_filterable: false,
        is_told: false,
        has_archive: false,
    },
];

/// The class that events call this, in small or capital letters.
pub(super) fn of_entity(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.entity.eq_ignore_ascii_case(name) && class.is_told)
}

/// The class of quotes whose records stand below this segment.
pub(super) fn quote_at(segment: &str) -> Option<&'static Class> {
    let entity = match segment {
        "webquote" => "WebQuote",
        "fieldquote" => "FieldQuote",
        _ => return None,
    };
    of_entity(entity)
}

/// The class whose records are kept under this stream.
pub(super) fn of_records(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.records.as_str() == name)
}

/// The streams of every FieldAware account under these settings.
pub(crate) fn traits(_settings: &FieldAwareSettings) -> Vec<StreamTraits> {
    vec![StreamTraits {
        name: CHANGES.stream,
        shape: ListShape::Feed,
        // Details have none: what orders two versions of a record is when each was fetched.
        stamped: false,
        filtered: true,
        first: Position::Token { text: String::new(), sequence: 0 },
    }]
}

/// Whether a stream is read without being named: the feed is the only one, of everything.
pub(crate) fn is_on_by_default(stream: &StreamName) -> bool {
    *stream == CHANGES.stream
}

/// The one stream that is polled.
pub(crate) fn feed() -> StreamName {
    CHANGES.stream
}

/// The streams that its records are kept under.
pub(crate) fn record_streams() -> Vec<StreamName> {
    CLASSES.iter().map(|class| class.records.clone()).collect()
}

pub(super) fn known(stream: &StreamName) -> Result<(), SourceFailure> {
    if *stream == CHANGES.stream {
        return Ok(());
    }
    Err(SourceFailure::new(FailureClass::Forbidden, format!("FieldAware has no stream {stream} that can be polled")))
}

/// How much of the name of an unknown class is shown.
const NAME_CHARS_SHOWN: usize = 60;
/// How many names of unknown classes are shown.
const NAMES_SHOWN: usize = 5;

/// The classes of an answer that this program does not know, some of them by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UnknownClasses(BTreeSet<String>);

impl UnknownClasses {
    /// Notes a name, if it may be shown: one word of letters, so that it is no sentence, id or key.
    pub(super) fn note(&mut self, name: &str) {
        let is_letters = name.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_plain = (1..=NAME_CHARS_SHOWN).contains(&name.len()) && is_letters;
        if self.0.len() < NAMES_SHOWN {
            self.0.insert(if is_plain { name.to_owned() } else { "(not shown)".to_owned() });
        }
    }

    /// Whether there was none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for UnknownClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &[&str]) -> String {
        let mut unknown = UnknownClasses::default();
        for name in names {
            unknown.note(name);
        }
        unknown.to_string()
    }

    #[test]
    fn of_many_unknown_classes_a_few_are_named_and_briefly() {
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&["Ship", "JobTask", "Ship"]), "JobTask, Ship");
        assert_eq!(shown(&["a", "b", "c", "d", "e", "f"]), "a, b, c, d, e");
        // What is not a plain word may be anything, a key that the vendor repeats among it.
        for name in ["9dcae3660ec84eac", "a key", "A\nB", "\u{e000}", "", &"x".repeat(61)] {
            assert_eq!(shown(&[name]), "(not shown)", "{name}");
        }
    }

    #[test]
    fn a_class_is_known_in_small_letters_too() {
        assert_eq!(of_entity("webquote").map(|class| class.entity), Some("WebQuote"));
        assert_eq!(of_entity("JobTask"), None);
        assert_eq!(of_entity("CustomField"), None, "no event has it");
    }
}
