//! The vendor's classes, and what each path means.

use crate::vendor::CallKind;

/// One class of entities.
#[derive(Debug)]
pub(super) struct Class {
    /// The stream that its records are in.
    pub(super) stream: &'static str,
    /// What events call it.
    pub(super) entity: &'static str,
    /// Where it is.
    pub(super) place: Place,
}

/// Where the records of a class are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `/<segment>/` and `/<segment>/{uuid}`.
    Top(&'static str),
    /// `/unavailability/types` and `/unavailability/types/{uuid}`.
    Types,
    /// `/settings/customfields/` and `/settings/customfields/{uuid}`.
    CustomFields,
    /// `/user/{uuid}/<segment>` and `/user/{uuid}/<segment>/{uuid}`.
    BelowUser(&'static str),
}

const fn class(stream: &'static str, entity: &'static str, place: Place) -> Class {
    Class { stream, entity, place }
}

/// Every class.
pub(super) static CLASSES: [Class; 15] = [
    class("jobs", "Job", Place::Top("job")),
    class("web_quotes", "WebQuote", Place::Top("webquote")),
    class("field_quotes", "FieldQuote", Place::Top("fieldquote")),
    class("items", "Item", Place::Top("item")),
    class("tasks", "Task", Place::Top("task")),
    class("customers", "Customer", Place::Top("customer")),
    class("locations", "Location", Place::Top("location")),
    class("contacts", "Contact", Place::Top("contact")),
    class("assets", "Asset", Place::Top("asset")),
    class("invoices", "Invoice", Place::Top("invoice")),
    class("users", "User", Place::Top("user")),
    class("unavailable_times", "UnavailableTime", Place::BelowUser("unavailability")),
    class("unavailable_time_types", "UnavailableTimeType", Place::Types),
    class("working_hours_exceptions", "WorkingHoursException", Place::BelowUser("exception")),
    class("custom_fields", "CustomField", Place::CustomFields),
];

/// The class of a stream.
pub(super) fn of_stream(stream: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.stream == stream)
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route<'path> {
    /// `/changes/token`
    NewestToken,
    /// `/changes/{token}/`
    Events { token: &'path str },
    /// The list of a class, of one user where it stands below users.
    List { stream: &'static str, user: Option<&'path str> },
    /// One record.
    Detail { stream: &'static str, user: Option<&'path str>, uuid: &'path str },
    /// Anything else.
    Unknown,
}

impl<'path> Route<'path> {
    /// Reads a path; a slash at its end means nothing.
    pub(super) fn of(path: &'path str) -> Self {
        let trimmed = path.trim_matches('/');
        let segments: Vec<&str> = trimmed.split('/').collect();
        match segments[..] {
            ["changes", "token"] => Self::NewestToken,
            ["changes", token] => Self::Events { token },
            ["settings", "customfields"] => Self::List { stream: "custom_fields", user: None },
            ["settings", "customfields", uuid] => Self::Detail { stream: "custom_fields", user: None, uuid },
            ["unavailability", "types"] => Self::List { stream: "unavailable_time_types", user: None },
            ["unavailability", "types", uuid] => Self::Detail { stream: "unavailable_time_types", user: None, uuid },
            [segment] => {
                at(Place::Top(segment_of(segment))).map_or(Self::Unknown, |stream| Self::List { stream, user: None })
            }
            [segment, uuid] => at(Place::Top(segment_of(segment))).map_or(Self::Unknown, |stream| Self::Detail {
                stream,
                user: None,
                uuid,
            }),
            ["user", user, segment] => at(Place::BelowUser(segment_of(segment)))
                .map_or(Self::Unknown, |stream| Self::List { stream, user: Some(user) }),
            ["user", user, segment, uuid] => at(Place::BelowUser(segment_of(segment)))
                .map_or(Self::Unknown, |stream| Self::Detail { stream, user: Some(user), uuid }),
            _ => Self::Unknown,
        }
    }

    /// What kind of call it is.
    pub(super) fn kind(&self) -> CallKind {
        match self {
            Self::NewestToken | Self::Events { .. } | Self::List { .. } => CallKind::List,
            Self::Detail { .. } => CallKind::Detail,
            Self::Unknown => CallKind::Other,
        }
    }

    /// The stream that it concerns; the feed is one of its own.
    pub(super) fn stream(&self) -> Option<&'static str> {
        match self {
            Self::NewestToken | Self::Events { .. } => Some(super::FEED),
            Self::List { stream, .. } | Self::Detail { stream, .. } => Some(stream),
            Self::Unknown => None,
        }
    }

    /// The address pattern, as the function's name.
    pub(super) fn pattern(&self, path: &str) -> String {
        match self {
            Self::NewestToken => "/changes/token".to_owned(),
            Self::Events { .. } => "/changes/{token}/".to_owned(),
            Self::List { stream, .. } => list_path(stream, "{uuid}"),
            Self::Detail { stream, .. } => detail_path(stream, "{uuid}", "{uuid}"),
            Self::Unknown => path.to_owned(),
        }
    }
}

/// The known segment of this name; none is empty.
fn segment_of(name: &str) -> &'static str {
    let known = CLASSES.iter().filter_map(|class| match class.place {
        Place::Top(segment) | Place::BelowUser(segment) => Some(segment),
        Place::Types | Place::CustomFields => None,
    });
    known.into_iter().find(|segment| *segment == name).unwrap_or_default()
}

fn at(place: Place) -> Option<&'static str> {
    CLASSES.iter().find(|class| class.place == place).map(|class| class.stream)
}

/// The path of a class's list.
pub(super) fn list_path(stream: &str, user: &str) -> String {
    match of_stream(stream).map(|class| class.place) {
        Some(Place::Top(segment)) => format!("/{segment}/"),
        Some(Place::BelowUser(segment)) => format!("/user/{user}/{segment}"),
        Some(Place::Types) => "/unavailability/types".to_owned(),
        Some(Place::CustomFields) => "/settings/customfields/".to_owned(),
        None => "/".to_owned(),
    }
}

/// The path of a record.
pub(super) fn detail_path(stream: &str, user: &str, uuid: &str) -> String {
    format!("{}/{uuid}", list_path(stream, user).trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_back_to_its_class() {
        for class in &CLASSES {
            let user = matches!(class.place, Place::BelowUser(_)).then_some("u1");
            let list = list_path(class.stream, "u1");
            assert_eq!(Route::of(&list), Route::List { stream: class.stream, user });
            let detail = detail_path(class.stream, "u1", "r1");
            assert_eq!(Route::of(&detail), Route::Detail { stream: class.stream, user, uuid: "r1" });
        }
        assert_eq!(Route::of("/changes/token"), Route::NewestToken);
        assert_eq!(Route::of("/changes/63182001/"), Route::Events { token: "63182001" });
        for path in ["/", "/ship/", "/ship/1", "/user/1/ships", "/job/1/task/2", "/changes/previous/2014-10-14/"] {
            assert_eq!(Route::of(path), Route::Unknown, "{path}");
        }
    }
}
