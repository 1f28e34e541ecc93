//! FieldAware's entity classes: the record streams that the feed's events spread into, and where each class is found.

use tidemark_engine::stream::StreamName;

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

/// The class that events call this.
pub(super) fn of_entity(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.entity == name && class.is_told)
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
