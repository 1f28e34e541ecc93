//! Generated rows in the shapes of the vendor's samples: everything is text, and nested values are JSON within text. Only a
//! department without users has `null` there.

use serde_json::{Value, json};

use crate::{clock::naive, dice::Dice, row::Row};

/// 2023-12-10 12:46:32 UTC, the creation time in the vendor's sample.
const CREATED: i64 = 1_702_212_392;
/// 2015-11-02 16:18:00 UTC, the meeting time in the vendor's sample.
const MEETING: i64 = 1_446_481_080;
const DAY: i64 = 86_400;

const NAMES: [&str; 10] = [
    "A Test Customer",
    "Café Lumière",
    "O'Brien & Söhne GmbH",
    "AC/DC Electrical",
    "The \"Quoted\" Company",
    "Pumps 🚰 & Pipes",
    "Ægir <Marine> Ltd",
    "東京 Cooling",
    "Back\\slash Repairs",
    "Zażółć Gęślą Jaźń",
];
const TOWNS: [&str; 6] = ["Derry/Londonderry", "Besançon", "Łódź", "Reykjavík", "St. John's", "Kraków"];
const CONTACTS: [&str; 5] = ["Zoë O'Neill", "Jürgen Groß", "Ana \"Nita\" Peña", "Li Wei 李伟", "Pat 🙂 Doe"];

/// A number that orders ids without meaning.
pub(super) fn scrambled(seed: u64, number: u64) -> u64 {
    Dice::of(seed, "order", number).roll()
}

/// The row of a record as it was first made; the stamp is filled in by the caller.
pub(super) fn first_row(seed: u64, stream: &str, number: u64, id: &str, zone_offset_seconds: i64) -> Row {
    let mut dice = Dice::of(seed, stream, number);
    let name = format!("{} {number}", dice.one_of(&NAMES));
    let days = i64::try_from(number % 700).unwrap_or(0);
    let created = naive(CREATED.saturating_add(days * DAY / 7), zone_offset_seconds);
    let fields = match stream {
        "customers" => customer(&mut dice, id, &name, &created),
        "jobs" => job(&mut dice, id, number, zone_offset_seconds),
        "stock_containers" => text_row(&[("id", id), ("name", &name), ("last_edited", "")]),
        "users" => text_row(&[
            ("id", id),
            ("name", &format!("{} {number}", dice.one_of(&CONTACTS))),
            ("email", &format!("user+{id}@example.com")),
            ("is_active", "1"),
            ("last_edited", ""),
        ]),
        "vehicles" => text_row(&[
            ("id", id),
            ("name", &format!("Van {number} / {}", dice.one_of(&TOWNS))),
            ("is_active", "1"),
            ("last_edited", ""),
        ]),
        "departments" => department(&mut dice, id, &name),
        _ => text_row(&[
            ("id", id),
            ("name", &name),
            ("is_active", "1"),
            ("cdate", &created),
            ("customer_id", &dice.number(683_136, 500).to_string()),
            ("notes", "line one\nline two"),
            ("meta", &json!({"serial": dice.number(100_000, 900_000).to_string()}).to_string()),
            ("last_edited", ""),
        ]),
    };
    fields.into_iter().collect()
}

fn text_row(fields: &[(&'static str, &str)]) -> Vec<(&'static str, Value)> {
    fields.iter().map(|&(name, text)| (name, text.into())).collect()
}

/// Every valid field of `Customers_list`.
fn customer(dice: &mut Dice, id: &str, name: &str, created: &str) -> Vec<(&'static str, Value)> {
    let contact = dice.one_of(&CONTACTS);
    let contacts = json!([{"name": contact, "mobile": dice.number(447_700_900_000, 1000).to_string()}]);
    let values = json!({"12": "yes/no", "13": dice.number(1, 99).to_string()});
    let account = dice.number(10_000, 90_000).to_string();
    text_row(&[
        ("id", id),
        ("name", name),
        ("email", &format!("office+{id}@example.com")),
        ("notes", "rings twice\nmind the dog"),
        ("last_edited", ""),
        ("last_edited_all", ""),
        ("cdate", created),
        ("street_address1", &format!("{} Main Street", dice.number(1, 200))),
        ("street_address2", ""),
        ("town", dice.one_of(&TOWNS)),
        ("county", ""),
        ("city", ""),
        ("state", ""),
        ("country", "IE"),
        ("postcode", &format!("BT{} {}AA", dice.number(1, 90), dice.number(1, 9))),
        ("landline", ""),
        ("mobile", &format!("+{}", dice.number(447_700_900_000, 1000))),
        ("contact_name", contact),
        ("account_number", &account),
        ("parent_id", "0"),
        ("latitude", &format!("54.{}", dice.number(100_000, 900_000))),
        ("longitude", &format!("-7.{}", dice.number(100_000, 900_000))),
        ("is_active", "1"),
        ("custom_values", &values.to_string()),
        ("meta", &json!({"source": "web/form", "account": account}).to_string()),
        ("files", "[]"),
        ("contacts", &contacts.to_string()),
        ("department_id", "427100"),
        ("area_id", "0"),
        ("type", "0"),
        ("price_band", "0"),
        ("credit_terms", "30"),
        ("industry", "Cooling"),
        ("changes", "[]"),
        ("edited_uuid", ""),
        ("appId", ""),
        ("appointments_open", "1"),
        ("appointments_closed", "3"),
        ("callback", "0"),
        ("callback_notes", ""),
        ("account_manager", "0"),
        ("lead_acc", "0"),
        ("created_by", "58300"),
        ("is_flagged", "0"),
        ("has_invoices", "1"),
        ("accounts_name", ""),
        ("accounts_number", ""),
    ])
}

/// The row of the vendor's `Departments_list` sample.
fn department(dice: &mut Dice, id: &str, name: &str) -> Vec<(&'static str, Value)> {
    let users = if dice.below(2) == 0 { Value::Null } else { dice.number(58_300, 50).to_string().into() };
    vec![
        ("id", id.into()),
        ("name", name.into()),
        ("users", users),
        ("assets", dice.number(556_200, 100).to_string().into()),
        ("last_edited", "".into()),
    ]
}

/// The job row of the vendor's `Appointments_getSome` sample.
fn job(dice: &mut Dice, id: &str, number: u64, zone_offset_seconds: i64) -> Vec<(&'static str, Value)> {
    let days = i64::try_from(dice.below(3000)).unwrap_or(0);
    let meeting = MEETING.saturating_add(days * DAY);
    let meeting_time = naive(meeting, zone_offset_seconds);
    let due_date = meeting_time.split(' ').next().unwrap_or_default();
    let form_values = if number.is_multiple_of(3) {
        json!({"1": "done/checked", "2": ["é", "ß"]}).to_string()
    } else {
        "null".to_owned()
    };
    text_row(&[
        ("id", id),
        ("form_id", &dice.number(610_424, 3).to_string()),
        ("user_id", "0"),
        ("customer_id", &dice.number(683_136, 500).to_string()),
        ("customer_type", "0"),
        ("meeting_time", &meeting_time),
        ("form_values", &form_values),
        ("is_complete", &dice.below(6).to_string()),
        ("last_edited", ""),
        ("last_edited_e", "0"),
        ("meeting_time_e", &meeting.to_string()),
        ("job_ref", &format!("test create/complete {number}")),
        ("due_date", due_date),
        ("price", "0"),
        ("deleted", "0"),
        ("ddate", "0"),
        ("meta", &json!({"recurrence_no": dice.below(9)}).to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_depends_on_seed_stream_and_number_alone() {
        let row = |seed, stream, number| first_row(seed, stream, number, "1", 0);
        assert_eq!(row(1, "customers", 5), row(1, "customers", 5));
        assert_ne!(row(1, "customers", 5), row(2, "customers", 5));
        assert_ne!(row(1, "assets", 5).get("meta"), row(1, "tasks", 5).get("meta"));
    }

    #[test]
    fn every_value_is_text() {
        for stream in ["customers", "jobs", "assets", "asset_types", "tasks", "stock_containers", "users", "vehicles"] {
            assert!(first_row(1, stream, 6, "6", 0).fields().all(|(_, value)| value.is_string()), "{stream}");
        }
    }

    #[test]
    fn a_department_has_users_or_null() {
        let users = |number| first_row(1, "departments", number, "1", 0).get("users").unwrap().clone();
        let (without, with): (Vec<_>, Vec<_>) = (0..20).map(users).partition(Value::is_null);
        assert!(!without.is_empty() && !with.is_empty() && with.iter().all(Value::is_string));
    }

    #[test]
    fn the_meeting_time_and_its_epoch_agree() {
        let row = first_row(1, "jobs", 4, "4", 3600);
        let epoch: i64 = row.text("meeting_time_e").unwrap().parse().unwrap();
        assert_eq!(row.text("meeting_time"), Some(naive(epoch, 3600).as_str()));
    }

    #[test]
    fn names_that_are_hard_to_encode_all_turn_up() {
        let all: String =
            (0..200).map(|number| first_row(1, "customers", number, "1", 0).text("name").unwrap().to_owned()).collect();
        for hard in ["é", "/", "\"", "\\", "🚰", "'", "<", "東"] {
            assert!(all.contains(hard), "{hard}");
        }
    }
}
