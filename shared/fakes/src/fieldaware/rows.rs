//! Generated rows in the shapes of the vendor's samples, and how the vendor writes JSON.

use std::io;

use serde::Serialize;
use serde_json::{Value, json, ser};

use super::classes::CLASSES;
use crate::{dice::Dice, row::Row};

const NAMES: [&str; 8] = [
    "Service Heat Cable",
    "Café Lumière",
    "O'Brien & Söhne GmbH",
    "AC/DC Electrical",
    "The \"Quoted\" Company",
    "Pumps 🚰 & Pipes",
    "Ægir <Marine> Ltd",
    "Zażółć Gęślą Jaźń",
];
/// 2014-10-15, the day of the guide's samples.
const FIRST_DAY: u64 = 16_358;
/// So many users have times of their own.
const USERS_WITH_TIMES: u64 = 3;

/// The number of the first record of a stream.
pub(super) fn first_number(stream: &str) -> u64 {
    let at = CLASSES.iter().position(|class| class.stream == stream).unwrap_or_default();
    u64::try_from(at).unwrap_or_default() * 1_000_000 + 1
}

/// The uuid of a record, as the vendor writes it: 32 hex digits.
pub(super) fn uuid(seed: u64, stream: &str, number: u64) -> String {
    let mut dice = Dice::of(seed, stream, number);
    format!("{:016x}{:016x}", dice.roll(), dice.roll())
}

/// The user that a time stands below.
pub(super) fn user_of(seed: u64, number: u64) -> String {
    uuid(seed, "users", first_number("users") + number % USERS_WITH_TIMES)
}

/// The row of a record as it was first made.
pub(super) fn first_row(seed: u64, stream: &str, number: u64, id: &str) -> Row {
    let mut dice = Dice::of(seed, stream, number);
    let name = format!("{} {number}", dice.one_of(&NAMES));
    let email = format!("office+{number}@example.com");
    let phone = format!("+4477009{:05}", dice.below(100_000));
    let mut fields = vec![("uuid", json!(id))];
    fields.extend(match stream {
        "tasks" | "items" => vec![
            ("glAccount", Value::Null),
            ("mandatory", json!(true)),
            ("name", json!(name)),
            ("markupType", json!("fixed")),
            ("taxable", json!(dice.below(2) == 0)),
            ("markupValue", json!(15.0)),
            ("unitPrice", json!(70.46)),
            ("unitCost", json!(55.46)),
            ("description", json!(format!("ask {email} or {phone}"))),
        ],
        "users" => vec![
            ("archived", json!(false)),
            ("email", json!(email)),
            ("firstName", json!("Blaise")),
            ("lastName", json!(name)),
            ("locale", json!("en_US")),
            ("phone", json!(phone)),
            ("platform", json!("ios")),
            ("role", json!("Admin")),
            ("timezone", json!("Europe/Dublin")),
        ],
        "jobs" | "web_quotes" | "field_quotes" => vec![
            ("jobId", json!(format!("J{number}"))),
            ("state", json!(["scheduled", "dispatched"])),
            ("scheduledOn", json!(day(dice.number(FIRST_DAY, 2_000)))),
            ("description", json!(name)),
            ("contact", json!({"name": name, "email": email, "phone": phone})),
            ("price", json!(f64::from(u32::try_from(dice.below(100_000)).unwrap_or_default()) / 100.0)),
        ],
        "unavailable_times" | "working_hours_exceptions" => {
            let first_day = dice.number(FIRST_DAY, 2_000);
            vec![
                ("user", json!({"uuid": user_of(seed, number), "email": email, "phone": phone})),
                ("start", json!(day(first_day))),
                ("end", json!(day(first_day + 1))),
                ("description", json!(name)),
            ]
        }
        _ => vec![
            ("archived", json!(false)),
            ("name", json!(name)),
            ("email", json!(email)),
            ("phone", json!(phone)),
            ("notes", json!("rings twice\nmind the dog")),
        ],
    });
    fields.push(("customFields", json!({})));
    fields.into_iter().collect()
}

/// Midnight of a day, counted from 1970.
fn day(number: u64) -> String {
    super::written_stamp(i64::try_from(number).unwrap_or_default() * 86_400)
}

/// JSON as Python writes it: a space behind every comma and colon. A client that rewrites bodies is found out.
pub(super) fn written(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    // Writing into memory fails for no value that this vendor has.
    drop(value.serialize(&mut ser::Serializer::with_formatter(&mut bytes, Python)));
    String::from_utf8(bytes).unwrap_or_default()
}

struct Python;

impl ser::Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_depends_on_seed_stream_and_number_alone() {
        let row = |seed, stream, number| first_row(seed, stream, number, "1");
        assert_eq!(row(1, "customers", 5), row(1, "customers", 5));
        assert_ne!(row(1, "customers", 5), row(2, "customers", 5));
        assert_ne!(uuid(1, "customers", 5), uuid(1, "assets", 5));
        assert_ne!(uuid(1, "customers", 5), uuid(1, "customers", 6));
        assert!(uuid(1, "jobs", 1).len() == 32 && uuid(1, "jobs", 1).bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn every_row_bears_personal_data() {
        for class in &CLASSES {
            let row = written(&first_row(1, class.stream, 7, "1"));
            assert!(row.contains("@example.com") && row.contains("+4477009"), "{row}");
        }
    }

    #[test]
    fn json_has_spaces() {
        assert_eq!(written(&json!({"a": [1, {"b": null}]})), r#"{"a": [1, {"b": null}]}"#);
    }
}
