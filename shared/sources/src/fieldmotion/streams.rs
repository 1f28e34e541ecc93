//! FieldMotion's object types: their streams, their functions, and the fields that are asked for.

use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamName, StreamTraits};

use super::settings::FieldMotionSettings;

/// One object type.
#[derive(Debug)]
pub(super) struct ObjectType {
    /// Its stream.
    pub(super) stream: StreamName,
    /// The function that lists changed ids, if there is one.
    pub(super) ids: Option<&'static str>,
    /// The function that lists changed rows, if there is one.
    pub(super) rows: Option<&'static str>,
    /// The function that fetches one record, if there is one.
    pub(super) detail: Option<&'static str>,
    /// The fields that are asked for unless the settings say otherwise.
    pub(super) fields: &'static [&'static str],
    /// Whether it is copied unless a deployment says otherwise.
    pub(super) is_on_by_default: bool,
}

impl ObjectType {
    /// Whether its records are rows with fields and stamps. Stock containers are ids alone.
    pub(super) fn has_rows(&self) -> bool {
        self.detail.is_some() || self.rows.is_some()
    }
}

/// The settings' field lists always hold these two: without them an answer can be neither checked nor ordered.
pub(super) const FIELDS_NEEDED: [&str; 2] = ["id", "last_edited"];

/// Every object type, in the order in which reports list them.
///
/// Source: the "Short Polling" guide for the functions; `Customers_list` and `Departments_list` for the fields of
/// customers and departments, and the row of `Appointments_getSome` for those of jobs. Those of all others are by analogy
/// with customers, and written nowhere, so the settings can replace each list.
pub(super) static OBJECT_TYPES: [ObjectType; 9] = [
    ObjectType {
        stream: StreamName::known("customers"),
        ids: Some("Customers_listByLastEdited"),
        rows: Some("Customers_list"),
        detail: Some("Customers_getById"),
        fields: &[
            "id",
            "name",
            "email",
            "notes",
            "last_edited",
            "last_edited_all",
            "cdate",
            "street_address1",
            "street_address2",
            "town",
            "county",
            "city",
            "state",
            "country",
            "postcode",
            "landline",
            "mobile",
            "contact_name",
            "account_number",
            "parent_id",
            "latitude",
            "longitude",
            "is_active",
            "custom_values",
            "meta",
            "files",
            "contacts",
            "department_id",
            "area_id",
            "type",
            "price_band",
            "credit_terms",
            "industry",
            "changes",
            "edited_uuid",
            "appId",
            "appointments_open",
            "appointments_closed",
            "callback",
            "callback_notes",
            "account_manager",
            "lead_acc",
            "created_by",
            "is_flagged",
            "has_invoices",
            "accounts_name",
            "accounts_number",
        ],
        is_on_by_default: true,
    },
    ObjectType {
        stream: StreamName::known("jobs"),
        ids: Some("Jobs_listByLastEdited"),
        rows: Some("Jobs_list"),
        detail: Some("Jobs_getById"),
        fields: &[
            "id",
            "form_id",
            "user_id",
            "customer_id",
            "customer_type",
            "meeting_time",
            "form_values",
            "is_complete",
            "last_edited",
            "last_edited_e",
            "meeting_time_e",
            "job_ref",
            "due_date",
            "price",
            "deleted",
            "ddate",
            "meta",
        ],
        is_on_by_default: true,
    },
    ObjectType {
        stream: StreamName::known("assets"),
        ids: Some("Assets_listByLastEdited"),
        rows: None,
        detail: Some("Assets_getById"),
        fields: &["id", "name", "is_active", "cdate", "customer_id", "notes", "meta", "custom_values", "last_edited"],
        is_on_by_default: true,
    },
    ObjectType {
        stream: StreamName::known("asset_types"),
        ids: Some("AssetTypes_listByLastEdited"),
        rows: None,
        detail: Some("AssetTypes_getById"),
        fields: &["id", "name", "is_active", "cdate", "notes", "meta", "last_edited"],
        is_on_by_default: true,
    },
    ObjectType {
        stream: StreamName::known("tasks"),
        ids: Some("Tasks_listByLastEdited"),
        rows: Some("Tasks_list"),
        detail: Some("Tasks_getById"),
        fields: &["id", "name", "is_active", "cdate", "customer_id", "notes", "meta", "last_edited"],
        is_on_by_default: true,
    },
    ObjectType {
        stream: StreamName::known("users"),
        ids: None,
        rows: Some("Users_list"),
        detail: None,
        fields: &["id", "name", "email", "is_active", "last_edited"],
        is_on_by_default: true,
    },
    ObjectType {
        stream: StreamName::known("vehicles"),
        ids: None,
        rows: Some("Vehicles_list"),
        detail: None,
        fields: &["id", "name", "is_active", "last_edited"],
        is_on_by_default: true,
    },
    ObjectType {
        stream: StreamName::known("departments"),
        ids: None,
        rows: Some("Departments_list"),
        detail: None,
        fields: &["id", "name", "users", "assets", "last_edited"],
        is_on_by_default: true,
    },
    // The guide: only where a way to follow up on them is agreed with the vendor.
    ObjectType {
        stream: StreamName::known("stock_containers"),
        ids: Some("StockContainers_listByLastEdited"),
        rows: None,
        detail: None,
        fields: &[],
        is_on_by_default: false,
    },
];

/// The object type of a stream.
pub(super) fn of_stream(stream: &StreamName) -> Option<&'static ObjectType> {
    OBJECT_TYPES.iter().find(|object_type| object_type.stream == *stream)
}

/// The streams of every FieldMotion account under these settings.
pub(crate) fn traits(settings: &FieldMotionSettings) -> Vec<StreamTraits> {
    OBJECT_TYPES
        .iter()
        .map(|object_type| StreamTraits {
            name: object_type.stream.clone(),
            shape: if settings.row_list(object_type).is_some() { ListShape::Pages } else { ListShape::Whole },
            stamped: object_type.has_rows(),
            filtered: true,
            first: Position::At(settings.first_checkpoint),
        })
        .collect()
}

/// Whether a stream is copied unless a deployment says otherwise.
pub(crate) fn is_on_by_default(stream: &StreamName) -> bool {
    of_stream(stream).is_some_and(|object_type| object_type.is_on_by_default)
}

pub(super) fn known(stream: &StreamName) -> Result<&'static ObjectType, SourceFailure> {
    of_stream(stream)
        .ok_or_else(|| SourceFailure::new(FailureClass::Forbidden, format!("FieldMotion has no stream {stream}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detail_asks_for_the_fields_that_are_needed() {
        for object_type in OBJECT_TYPES.iter().filter(|object_type| object_type.has_rows()) {
            for field in FIELDS_NEEDED {
                assert!(object_type.fields.contains(&field), "{} lacks {field}", object_type.stream);
            }
        }
    }

    #[test]
    fn every_type_can_be_listed_and_stock_containers_are_opt_in() {
        for object_type in &OBJECT_TYPES {
            assert!(object_type.ids.is_some() || object_type.rows.is_some(), "{}", object_type.stream);
            assert_eq!(object_type.is_on_by_default, object_type.stream.as_str() != "stock_containers");
        }
    }
}
