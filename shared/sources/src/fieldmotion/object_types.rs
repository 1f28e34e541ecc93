//! FieldMotion's object types: their streams, their functions, and the fields that are asked for.

use tidemark_engine::stream::StreamName;

/// One object type.
#[derive(Debug)]
pub(super) struct ObjectType {
    /// Its stream.
    pub(super) stream: StreamName,
    /// The function that lists changed ids.
    pub(super) list: &'static str,
    /// The function that fetches one record; stock containers have none.
    pub(super) detail: Option<&'static str>,
    /// The fields that are asked for unless the settings say otherwise.
    pub(super) fields: &'static [&'static str],
}

/// The settings' field lists always hold these two: without them an answer can be neither checked nor ordered.
pub(super) const FIELDS_NEEDED: [&str; 2] = ["id", "last_edited"];

const FIELDS_KNOWN_OF_ANY: &[&str] = &["id", "name", "last_edited"];

/// Every object type, in the order in which reports list them.
///
/// Source: the "Short Polling" guide for the functions; `Customers_list` for the fields of customers, and the row of
/// `Appointments_getSome` for those of jobs: the fields of the detail functions are written nowhere, so the settings
/// can replace each list.
pub(super) static OBJECT_TYPES: [ObjectType; 6] = [
    ObjectType {
        stream: StreamName::known("customers"),
        list: "Customers_listByLastEdited",
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
        ],
    },
    ObjectType {
        stream: StreamName::known("jobs"),
        list: "Jobs_listByLastEdited",
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
    },
    ObjectType {
        stream: StreamName::known("assets"),
        list: "Assets_listByLastEdited",
        detail: Some("Assets_getById"),
        fields: FIELDS_KNOWN_OF_ANY,
    },
    ObjectType {
        stream: StreamName::known("asset_types"),
        list: "AssetTypes_listByLastEdited",
        detail: Some("AssetTypes_getById"),
        fields: FIELDS_KNOWN_OF_ANY,
    },
    ObjectType {
        stream: StreamName::known("tasks"),
        list: "Tasks_listByLastEdited",
        detail: Some("Tasks_getById"),
        fields: FIELDS_KNOWN_OF_ANY,
    },
    ObjectType {
        stream: StreamName::known("stock_containers"),
        list: "StockContainers_listByLastEdited",
        detail: None,
        fields: &[],
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
    fn every_detail_asks_for_the_fields_that_are_needed() {
        for object_type in OBJECT_TYPES.iter().filter(|object_type| object_type.detail.is_some()) {
            for field in FIELDS_NEEDED {
                assert!(object_type.fields.contains(&field), "{} lacks {field}", object_type.stream);
            }
        }
    }
}
