//! Generated rows in the shapes of the vendor's sample: integers for ids and quantities, and partial copies of what a
//! record is related to.

use serde_json::{Map, Value, json};

use super::stamp_written;
use crate::{dice::Dice, row::Row};

/// 2020-11-08 23:00:00 UTC, the start of the work item in the vendor's sample.
const STARTS: i64 = 1_604_876_400;
const DAY: i64 = 86_400;

const TITLES: [&str; 6] = [
    "Test Work Item",
    "Byte av värmepump / källare",
    "O'Brien's \"roof\"",
    "Elcentral 🚰 & jord",
    "Ångström <VVS>",
    "Back\\slash repairs",
];
const FIRST_NAMES: [&str; 4] = ["John", "Zoë", "Åsa", "李伟"];
const LAST_NAMES: [&str; 4] = ["Example", "O'Neill", "Öberg", "Groß"];
const STATES: [&str; 3] = ["pending", "ongoing", "finished"];

/// The row of a record as it was first made, without its stamp.
pub(super) fn first_row(seed: u64, stream: &str, number: u64, id: &str) -> Row {
    let mut dice = Dice::of(seed, stream, number);
    let fields = match stream {
        "work_items" => work_item(&mut dice, number),
        "clients" => client(&mut dice, number),
        "time_reports" => time_report(&mut dice, number),
        _ => travel_report(&mut dice, number),
    };
    let mut row = Row::default();
    row.set("id", id_value(id));
    for (name, value) in fields {
        row.set(&name, value);
    }
    let created = STARTS + i64::try_from(number % 900).unwrap_or(0) * 3600;
    row.set("created_at", stamp_written(created).into());
    row
}

/// An id as the vendor writes it: a number where it is one.
pub(super) fn id_value(id: &str) -> Value {
    id.parse::<u64>().ok().filter(|number| number.to_string() == id).map_or_else(|| id.into(), Value::from)
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A work order or a project; a pair of them shares its serial number.
fn work_item(dice: &mut Dice, number: u64) -> Map<String, Value> {
    let starts = STARTS + i64::try_from(dice.below(2000)).unwrap_or(0) * DAY;
    fields(json!({
        "title": format!("{} {number}", dice.one_of(&TITLES)),
        "starts_at": stamp_written(starts),
        "ends_at": stamp_written(starts + DAY),
        "serial_number": (1111 + number / 2).to_string(),
        "state": dice.one_of(&STATES),
        "type": if number.is_multiple_of(2) { "Workorder" } else { "Project" },
        "total_price": dice.below(9_000_000),
        "contact_email": format!("contact+{number}@example.com"),
        "contact_phone": format!("+4670{:07}", dice.below(10_000_000)),
        "owner": person(dice),
        "client": {"id": dice.number(501, 300), "serial_number": "13", "title": "Test Client"},
    }))
}

fn client(dice: &mut Dice, number: u64) -> Map<String, Value> {
    let serial = 13 + number;
    fields(json!({
        "title": format!("{} AB {number}", dice.one_of(&TITLES)),
        "serial_number": format!("K{serial}"),
        "serial_number_prefix": "K",
        "serial_number_sequence": serial,
        "email": format!("office+{number}@example.com"),
        "phone": format!("+4670{:07}", dice.below(10_000_000)),
        "address": {"street": format!("Storgatan {}", dice.number(1, 90)), "city": "Göteborg"},
    }))
}

fn time_report(dice: &mut Dice, number: u64) -> Map<String, Value> {
    let seconds = 900 * dice.number(1, 36);
    fields(json!({
        "reported_at": day(dice),
        "internal_total_time": seconds,
        "billable_total_time": seconds,
        "internal_cost": dice.below(500_000),
        "comment": format!("line one\nline two {number}"),
        "user": person(dice),
        "work_item": {"id": dice.number(1001, 300), "serial_number": "1111", "title": "Test Work Item"},
    }))
}

fn travel_report(dice: &mut Dice, number: u64) -> Map<String, Value> {
    let metres = 50 * dice.number(1, 4000);
    fields(json!({
        "reported_at": day(dice),
        "internal_distance": metres,
        "billable_distance": metres,
        "comment": format!("to and fro {number}"),
        "user": person(dice),
        "work_item": {"id": dice.number(1001, 300), "serial_number": "1111", "title": "Test Work Item"},
    }))
}

fn day(dice: &mut Dice) -> String {
    let at = STARTS + i64::try_from(dice.below(2000)).unwrap_or(0) * DAY;
    stamp_written(at).split('T').next().unwrap_or_default().to_owned()
}

/// The couple of fields that a relation shows.
fn person(dice: &mut Dice) -> Value {
    let number = dice.number(1, 40);
    json!({
        "id": number,
        "employee_number": format!("{number:02}"),
        "firstname": dice.one_of(&FIRST_NAMES),
        "lastname": dice.one_of(&LAST_NAMES),
        "email": format!("worker{number}@example.com"),
        "phone": format!("+4673{:07}", dice.below(10_000_000)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_depends_on_seed_stream_and_number_alone() {
        let row = |seed, stream, number| first_row(seed, stream, number, "1");
        assert_eq!(row(1, "clients", 5), row(1, "clients", 5));
        assert_ne!(row(1, "clients", 5), row(2, "clients", 5));
        assert_ne!(row(1, "clients", 5), row(1, "clients", 6));
    }

    #[test]
    fn a_work_order_and_a_project_share_a_serial_number() {
        let (order, project) = (first_row(1, "work_items", 4, "4"), first_row(1, "work_items", 5, "5"));
        assert_eq!(order.get("serial_number"), project.get("serial_number"));
        assert_eq!((order.text("type"), project.text("type")), (Some("Workorder"), Some("Project")));
    }

    #[test]
    fn ids_and_quantities_are_integers_and_every_row_is_personal() {
        for stream in ["work_items", "clients", "time_reports", "travel_reports"] {
            let row = first_row(1, stream, 6, "6");
            assert_eq!(row.get("id"), Some(&json!(6)));
            let text = serde_json::to_string(&row).unwrap();
            assert!(text.contains("@example.com") && text.contains("\"+467"), "{text}");
        }
        assert_eq!(id_value("007"), json!("007"));
    }
}
