//! Generated rows in the shapes of the vendor's reference pages.

use serde_json::{Value, json};

use super::{Resource, settings::Dialect, written_stamp};
use crate::{dice::Dice, row::Row};

/// 2025-11-28 14:00:00 UTC, the creation time in the vendor's sample.
const CREATED: i64 = 1_764_338_400;
const DAY: i64 = 86_400;

const FIRST_NAMES: [&str; 6] = ["Mike", "Zoë", "Jürgen", "Ana \"Nita\"", "李伟", "Pat 🙂"];
const LAST_NAMES: [&str; 6] = ["Johnson", "O'Neill", "Groß", "Peña", "Ægir", "Back\\slash"];
const COMPANIES: [&str; 6] =
    ["Acme Corp", "Café Lumière", "O'Brien & Söhne GmbH", "AC/DC Electrical", "東京 Cooling", "Pumps 🚰 & Pipes"];
const PRIORITIES: [&str; 4] = ["Low", "Medium", "High", "Urgent"];
const STATUSES: [&str; 4] = ["Scheduled", "In Progress", "Completed", "Cancelled"];

/// The row of a record as it was first made; the stamp is filled in by the caller.
pub(super) fn first_row(seed: u64, resource: &Resource, number: u64, id: &str, dialect: Dialect) -> Row {
    let mut dice = Dice::of(seed, resource.name, number);
    let days = i64::try_from(number % 700).unwrap_or(0);
    let created = written_stamp(CREATED.saturating_sub(days * DAY));
    let id_field = match dialect {
        Dialect::Guide => "id",
        Dialect::Reference => resource.named_id,
    };
    let mut fields = vec![(id_field, shown_id(id))];
    fields.extend(match resource.name {
        "jobs" => job(&mut dice, number),
        "customers" => customer(&mut dice, id, number),
        "assets" => asset(&mut dice, number),
        "inventory" => item(&mut dice, number),
        "customer_locations" => location(&mut dice, number),
        "service_records" => service_record(&mut dice, number),
        _ => technician(&mut dice, id),
    });
    fields.extend([("created_at", created.into()), ("updated_at", "".into())]);
    fields.into_iter().collect()
}

/// An id as the vendor shows it: a number, if it is one.
pub(super) fn shown_id(id: &str) -> Value {
    match id.parse::<u64>() {
        Ok(number) if number.to_string() == id => number.into(),
        _ => id.into(),
    }
}

fn phone(dice: &mut Dice) -> String {
    format!("+1555{}", dice.number(1_000_000, 9_000_000))
}

fn job(dice: &mut Dice, number: u64) -> Vec<(&'static str, Value)> {
    let customer = dice.number(123, 500);
    let technician = format!("{} {}", dice.one_of(&FIRST_NAMES), dice.one_of(&LAST_NAMES));
    vec![
        ("job_title", format!("Initial HVAC inspection {number}").into()),
        ("job_description", format!("rings twice\nask for tenant{number}@example.com, {}", phone(dice)).into()),
        ("job_status", dice.one_of(&STATUSES).into()),
        ("job_priority", dice.one_of(&PRIORITIES).into()),
        ("assigned_technician_id", if number.is_multiple_of(4) { Value::Null } else { dice.number(6, 20).into() }),
        ("assigned_technician_name", technician.into()),
        ("customer_location_id", dice.number(456, 900).into()),
        ("customer_location_name", "Acme HQ".into()),
        ("customer_id", customer.into()),
        ("customer_name", format!("{} {customer}", dice.one_of(&COMPANIES)).into()),
        ("scheduled_start", "2026-02-24T08:00:00Z".into()),
        ("scheduled_end", "2026-02-24T10:00:00Z".into()),
        ("actual_start", Value::Null),
        ("actual_end", Value::Null),
        ("assets", json!([{"asset_id": dice.number(1_001, 300), "asset_name": "Carrier AC Unit 24ACC636"}])),
    ]
}

fn customer(dice: &mut Dice, id: &str, number: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("customer_name", format!("{} {number}", dice.one_of(&COMPANIES)).into()),
        ("customer_email", format!("office+{id}@example.com").into()),
        ("customer_phone", phone(dice).into()),
        ("default_sla_hours", dice.number(4, 68).into()),
        ("tax_exempt", number.is_multiple_of(9).into()),
        ("tax_exemption_reason", Value::Null),
    ]
}

fn asset(dice: &mut Dice, number: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("asset_name", format!("Carrier AC Unit {number}").into()),
        ("asset_type_id", dice.number(1, 12).into()),
        ("serial_number", format!("SN-2026-{:05}", dice.number(0, 99_999)).into()),
        ("status", "Pending Install".into()),
        ("condition", "Good".into()),
        ("location_id", dice.number(456, 900).into()),
        ("notes", format!("key with owner{number}@example.com, {}", phone(dice)).into()),
        ("purchase_price", Value::from(1_234.5)),
    ]
}

fn item(dice: &mut Dice, number: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("item_name", format!("Filter {number}").into()),
        ("sku", format!("F-{number}").into()),
        ("quantity_on_hand", dice.number(0, 40).into()),
        ("notes", format!("order from supplier{number}@example.com, {}", phone(dice)).into()),
    ]
}

fn location(dice: &mut Dice, number: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("location_name", format!("{} {number}", dice.one_of(&COMPANIES)).into()),
        ("street", format!("{} Main Street", dice.number(1, 900)).into()),
        ("city", "Springfield".into()),
        ("access_notes", format!("ask gate{number}@example.com, {}", phone(dice)).into()),
    ]
}

fn service_record(dice: &mut Dice, number: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("service_type", "Installation".into()),
        ("notes", format!("Pre-deployment inspection passed {number}").into()),
        ("service_date", "2026-02-24".into()),
        ("signed_by", format!("owner{number}@example.com, {}", phone(dice)).into()),
    ]
}

fn technician(dice: &mut Dice, id: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("first_name", dice.one_of(&FIRST_NAMES).into()),
        ("last_name", dice.one_of(&LAST_NAMES).into()),
        ("email", format!("tech+{id}@example.com").into()),
        ("phone", phone(dice).into()),
        ("status", "Active".into()),
        ("availability_status", "Available".into()),
        ("vehicle_type", "Van".into()),
        ("transport_modes", json!(["driving"])),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::RESOURCES;
    use super::*;

    #[test]
    fn a_row_depends_on_seed_stream_and_number_alone() {
        let row = |seed, resource: usize, number| first_row(seed, &RESOURCES[resource], number, "1", Dialect::Guide);
        assert_eq!(row(1, 1, 5), row(1, 1, 5));
        assert_ne!(row(1, 1, 5), row(2, 1, 5));
        assert_ne!(row(1, 1, 5), row(1, 1, 6));
    }

    #[test]
    fn every_row_bears_an_address_of_a_person() {
        for resource in &RESOURCES {
            let text = serde_json::to_string(&first_row(1, resource, 7, "7", Dialect::Reference)).unwrap();
            assert!(text.contains("@example.com") && text.contains("+1555"), "{}: {text}", resource.name);
        }
    }

    #[test]
    fn the_dialect_names_the_id() {
        let first = |dialect| first_row(1, &RESOURCES[0], 7, "7", dialect).fields().next().unwrap().0.to_owned();
        assert_eq!((first(Dialect::Guide), first(Dialect::Reference)), ("id".to_owned(), "job_id".to_owned()));
        assert_eq!([shown_id("7"), shown_id("007"), shown_id("a")], [json!(7), json!("007"), json!("a")]);
    }
}
