//! What FieldMotion's documentation leaves open, as settings.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::stream::StreamName;

use super::error_text::{ErrorWords, Names};
use super::streams::{FIELDS_NEEDED, OBJECT_TYPES, ObjectType, of_stream};
use super::zone::Zone;
use crate::account::Account;
use crate::probe::Check;
use crate::settings::{BadSettings, Settings, texts};

/// PHP reads no more than 1,000 form values by default; this leaves room for the others.
const FIELDS_MAX: usize = 200;

/// How `_api_now`, the time of a call, is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ApiNowFormat {
    /// `1767225600`
    #[default]
    Unix,
    /// `2026-01-01 00:00:00`, in the configured zone.
    Datetime,
    /// `@1767225600`
    AtUnix,
}

impl ApiNowFormat {
    /// Every form.
    pub(super) const ALL: [Self; 3] = [Self::Unix, Self::Datetime, Self::AtUnix];

    /// The word for it in the settings.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Datetime => "datetime",
            Self::AtUnix => "at_unix",
        }
    }
}

/// How the list of fields is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FieldsEncoding {
    /// As one text that holds a JSON array.
    #[default]
    Json,
    /// As a form list, `fields[0]=..&fields[1]=..`.
    List,
}

/// The settings of a FieldMotion source: a JSON object, every key optional, unknown keys refused.
///
/// | key | default | meaning | source of the default |
/// |---|---|---|---|
/// | `api_now_format` | `"unix"` | how `_api_now` is written: `"unix"` (`1767225600`), `"datetime"` (`2026-01-01 00:00:00` in `timezone`), `"at_unix"` (`@1767225600`) | the "Short Polling" guide; "Getting Started" says otherwise |
/// | `timezone` | `"UTC"` | IANA name of the zone that the vendor's naive times are in | inferred from two of the vendor's samples |
/// | `first_checkpoint` | `"2000-01-01 00:00:00"` | where a first import starts, as the vendor writes its times | the guide |
/// | `list_parameter` | `"from"` | the list functions' parameter for the lower bound | the guide |
/// | `id_parameter` | `"id"` | the detail functions' parameter for the id | a sibling function, `Job_activityGet` |
/// | `fields_parameter` | `"fields"` | the detail functions' parameter for the fields | sibling functions, `Customers_list` |
/// | `rows_parameter` | `"last_edited"` | the parameter for the lower bound of the functions that list rows | `Customers_list` |
/// | `row_lists` | `[]` | streams of `customers`, `jobs` and `tasks` that are listed as rows instead of ids: fewer calls, larger answers (16 MiB at most), and whatever rows the function lists | the guide: "some list endpoints also return records directly" |
/// | `fields_encoding` | `"json"` | how the fields are sent: `"json"`, one text that holds a JSON array, or `"list"`, a form list | sibling functions, `Customers_list` |
/// | `fields` | `{}` | stream -> list of fields to ask for instead of the default ones; `id` and `last_edited` are added, an empty list asks for none and lets the vendor choose | - |
/// | `jobs_form_id` | none | lists jobs of this form alone | the guide: "accepts optional form_id" |
/// | `empty_object` | `"failure"` | what an answer `{}` is: `"failure"`, or `"empty"` if the vendor writes empty arrays so | PHP writes `[]` |
/// | `broken_detail` | `"source"` | whose failure a detail answer is that is HTML or no JSON: `"source"` (parked, counted by the breaker) or `"record"` (quarantined). An empty one is neither: the record may be gone, and is believed to be once that has lasted | own choice |
/// | `program_error_words` | `undefined array key`, `undefined index`, `null given`, `uncaught`, `duplicate entry` and others of PHP and MySQL | words or phrases of an error text that mean that the vendor's program failed: over the record in a detail, altogether in a list | PHP, MySQL |
/// | `auth_error_words` | `logged in`, `log in`, `login`, `md5`, `api key`, `invalid key` and the like, `auth`, `signature`, `credential(s)`, and the forms of authenticate, authorise and unauthorised | .. a rejected credential | not documented; from the few error texts that are |
/// | `address_error_words` | `ip address`, `your ip`, `whitelist(ed)`, `allowlist(ed)` and the like | .. that calls from this address are not allowed | own choice |
/// | `throttled_error_words` | `too many requests`, `rate limit`, `rate limited`, `throttled` | .. too many calls | own choice |
/// | `unknown_function_error_words` | `unknown function`, `invalid function`, `undefined function`, `no such function`, `function not found`, `function does not exist` | .. a function that does not exist | own choice |
/// | `unknown_field_error_words` | `unknown field(s)`, `invalid field(s)`, `no such field`, `field list`, `unknown column`, `invalid column` | .. a field that is asked for and does not exist | own choice, MySQL |
/// | `forbidden_error_words` | `permission(s)`, `not permitted`, `not allowed`, `forbidden`, `access denied` | .. a missing right; read in lists alone | own choice |
/// | `source_error_words` | `database`, `deadlock`, `lock wait`, `gone away`, `too many connections`, `connection refused`, `timeout`, `timed out`, `try again`, `busy`, `maintenance`, `unavailable`, `overloaded`, `internal error`, `server error` | .. that a detail's failure is the vendor's, not the record's | own choice |
/// | `gone_error_words` | `[]` | .. that the record is not there; read in details alone | the vendor answers `null`, `false` or `[]` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldMotionSettings {
    pub(super) api_now_format: ApiNowFormat,
    pub(super) zone: Zone,
    pub(super) first_checkpoint: StampMillis,
    pub(super) list_parameter: String,
    pub(super) id_parameter: String,
    pub(super) fields_parameter: String,
    pub(super) rows_parameter: String,
    pub(super) fields_encoding: FieldsEncoding,
    pub(super) jobs_form_id: Option<String>,
    pub(super) empty_object_is_empty: bool,
    pub(super) broken_detail_is_the_records: bool,
    pub(super) error_words: ErrorWords,
    fields: BTreeMap<String, Vec<String>>,
    row_lists: Vec<String>,
}

impl FieldMotionSettings {
    /// Reads settings; nothing at all is the same as `{}`.
    ///
    /// # Errors
    /// [`BadSettings`], naming all problems together.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let mut settings = Settings::open(text);
        let zone = settings.take(
            "timezone",
            r#"the IANA name of a time zone, such as "Europe/London""#,
            Zone::utc(),
            |value| Zone::named(value.as_str()?),
        );
        let parsed = Self {
            api_now_format: settings
                .choose("api_now_format", ApiNowFormat::ALL.map(|format| (format.as_str(), format))),
            first_checkpoint: take_first_checkpoint(&mut settings, &zone),
            list_parameter: take_name(&mut settings, "list_parameter", "from"),
            id_parameter: take_name(&mut settings, "id_parameter", "id"),
            fields_parameter: take_name(&mut settings, "fields_parameter", "fields"),
            rows_parameter: take_name(&mut settings, "rows_parameter", "last_edited"),
            row_lists: take_row_lists(&mut settings),
            fields_encoding: settings
                .choose("fields_encoding", [("json", FieldsEncoding::Json), ("list", FieldsEncoding::List)]),
            fields: take_fields(&mut settings),
            jobs_form_id: settings.take("jobs_form_id", "the id of a form, a text or a number", None, |value| {
                Some(Some(form_id(value)?))
            }),
            empty_object_is_empty: settings.choose("empty_object", [("failure", false), ("empty", true)]),
            broken_detail_is_the_records: settings.choose("broken_detail", [("source", false), ("record", true)]),
            error_words: take_words(&mut settings),
            zone,
        };
        if parsed.id_parameter == parsed.fields_parameter {
            settings.problem(r#""id_parameter" and "fields_parameter" must differ"#.to_owned());
        }
        if parsed.rows_parameter == parsed.fields_parameter {
            settings.problem(r#""rows_parameter" and "fields_parameter" must differ"#.to_owned());
        }
        if parsed.list_parameter == FORM_ID {
            settings.problem(format!(r#""list_parameter" must not be "{FORM_ID}""#));
        }
        let problems = settings.close();
        if problems.is_empty() { Ok(parsed) } else { Err(BadSettings(problems)) }
    }

    /// Adds what changes lists or the reading of stamps.
    pub(super) fn tell_of_lists(&self, account: Account) -> Account {
        let account = account
            .with("timezone", self.zone.name())
            .with("list_parameter", self.list_parameter.as_str())
            .with("jobs_form_id", self.jobs_form_id.clone());
        if self.row_lists.is_empty() { account } else { account.with("row_lists", self.row_lists.clone()) }
    }

    /// The function that lists a type's rows, where its rows are listed.
    pub(super) fn row_list(&self, object_type: &ObjectType) -> Option<&'static str> {
        let is_asked_for = self.row_lists.iter().any(|stream| stream == object_type.stream.as_str());
        object_type.rows.filter(|_| object_type.ids.is_none() || is_asked_for)
    }

    /// Settings that may be right where a check of a probe fails: parameter names that the vendor's functions have
    /// elsewhere, and other ways to send the fields.
    pub(crate) fn alternatives(&self, stream: &StreamName, check: Check) -> Vec<Value> {
        let Some(object_type) = of_stream(stream) else { return Vec::new() };
        let named = |key: &str, used: &str, names: &[&str]| -> Vec<Value> {
            names.iter().filter(|name| **name != used).map(|name| json!({ key: name })).collect()
        };
        match check {
            Check::List | Check::Filter if self.row_list(object_type).is_some() => {
                named("rows_parameter", &self.rows_parameter, &["last_edited", "from", "since"])
            }
            Check::List | Check::Filter => {
                let mut others = named("list_parameter", &self.list_parameter, &["from", "last_edited", "since"]);
                others.extend(has_both_lists(object_type).then(|| json!({ "row_lists": [stream.as_str()] })));
                others
            }
            Check::Fetch if object_type.detail.is_some() => {
                let encoding = if self.fields_encoding == FieldsEncoding::Json { "list" } else { "json" };
                let by_type = format!("{}_id", stream.as_str().trim_end_matches('s'));
                let mut others = named("id_parameter", &self.id_parameter, &["id", &by_type]);
                others.push(json!({ "fields_encoding": encoding }));
                others.extend(named("fields_parameter", &self.fields_parameter, &["fields"]));
                others.push(json!({ "fields": { stream.as_str(): [] } }));
                others
            }
            Check::Fetch | Check::Reach | Check::Credential | Check::Clock | Check::Zone | Check::Settings => {
                Vec::new()
            }
        }
    }

    /// The parameters of all calls.
    pub(super) fn with_names<T>(&self, read: impl FnOnce(Names<'_>) -> T) -> T {
        let others = [self.list_parameter.as_str(), self.rows_parameter.as_str(), FORM_ID];
        read(Names { id: &self.id_parameter, fields: &self.fields_parameter, others: &others })
    }

    /// The fields to ask for; none at all leaves the choice to the vendor.
    pub(super) fn fields(&self, object_type: &ObjectType) -> Vec<String> {
        match self.fields.get(object_type.stream.as_str()) {
            Some(fields) => fields.clone(),
            None => object_type.fields.iter().map(|field| (*field).to_owned()).collect(),
        }
    }
}

/// The parameter that lists the jobs of one form.
pub(super) const FORM_ID: &str = "form_id";

/// Where a first import starts unless the settings say otherwise.
const FIRST_CHECKPOINT: &str = "2000-01-01 00:00:00";

fn take_first_checkpoint(settings: &mut Settings, zone: &Zone) -> StampMillis {
    let wanted = format!(r#"a time of the form "{FIRST_CHECKPOINT}", from 1970 on"#);
    let read = |text: &str| zone.stamp(text).map(|stamp| stamp.at);
    let usual = read(FIRST_CHECKPOINT).unwrap_or_default();
    settings.take("first_checkpoint", &wanted, usual, |value| read(value.as_str()?).filter(|at| at.get() >= 0))
}

/// A parameter name that PHP's form parser leaves as it is, and that is none of the signature's own.
fn take_name(settings: &mut Settings, key: &'static str, usual: &str) -> String {
    let wanted = "a parameter name of letters, digits and _ that starts with a letter";
    settings.take(key, wanted, usual.to_owned(), |value| {
        let name = value.as_str()?;
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
        (starts_well && is_plain(name)).then(|| name.to_owned())
    })
}

fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The streams of these types, as a message names them.
fn streams_that(are: impl Fn(&ObjectType) -> bool) -> String {
    let streams = OBJECT_TYPES.iter().filter(|object_type| are(object_type));
    streams.map(|object_type| object_type.stream.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether a type's changes can be listed either way.
fn has_both_lists(object_type: &ObjectType) -> bool {
    object_type.ids.is_some() && object_type.rows.is_some()
}

fn take_row_lists(settings: &mut Settings) -> Vec<String> {
    let wanted = format!("a list of streams, some of {}", streams_that(has_both_lists));
    settings.take("row_lists", &wanted, Vec::new(), |value| {
        let mut streams = if value.as_array()?.is_empty() { Vec::new() } else { texts(value)? };
        streams.sort();
        streams.dedup();
        let is_known =
            |stream: &String| OBJECT_TYPES.iter().any(|known| has_both_lists(known) && known.stream.as_str() == stream);
        streams.iter().all(is_known).then_some(streams)
    })
}

fn form_id(value: &Value) -> Option<String> {
    let number = || value.as_u64().map(|number| number.to_string());
    let text = value.as_str().map(str::to_owned).or_else(number);
    text.filter(|text| !text.trim().is_empty())
}

fn take_words(settings: &mut Settings) -> ErrorWords {
    let usual = ErrorWords::default();
    let mut words = |key, usual| settings.take(key, "a list of words or phrases", usual, texts);
    ErrorWords {
        program: words("program_error_words", usual.program),
        address: words("address_error_words", usual.address),
        unknown_field: words("unknown_field_error_words", usual.unknown_field),
        auth: words("auth_error_words", usual.auth),
        throttled: words("throttled_error_words", usual.throttled),
        unknown_function: words("unknown_function_error_words", usual.unknown_function),
        forbidden: words("forbidden_error_words", usual.forbidden),
        source: words("source_error_words", usual.source),
        gone: words("gone_error_words", usual.gone),
    }
}

fn take_fields(settings: &mut Settings) -> BTreeMap<String, Vec<String>> {
    let wanted = format!(
        "an object of stream -> list of at most {FIELDS_MAX} field names; the streams are {}",
        streams_that(ObjectType::has_rows)
    );
    settings.take("fields", &wanted, BTreeMap::new(), fields_by_stream)
}

fn fields_by_stream(value: &Value) -> Option<BTreeMap<String, Vec<String>>> {
    let mut by_stream = BTreeMap::new();
    for (stream, fields) in value.as_object()? {
        let known = OBJECT_TYPES.iter().any(|known| known.has_rows() && known.stream.as_str() == stream);
        let mut fields = if fields.as_array()?.is_empty() { Vec::new() } else { texts(fields)? };
        if !known || fields.len() > FIELDS_MAX || !fields.iter().all(|field| is_plain(field)) {
            return None;
        }
        if !fields.is_empty() {
            for needed in FIELDS_NEEDED {
                if !fields.iter().any(|field| field == needed) {
                    fields.push(needed.to_owned());
                }
            }
        }
        by_stream.insert(stream.clone(), fields);
    }
    Some(by_stream)
}

#[cfg(test)]
mod tests {
    use super::super::streams::of_stream;
    use super::*;
    use tidemark_engine::stream::StreamName;

    fn parsed(text: &str) -> FieldMotionSettings {
        FieldMotionSettings::parse(text).unwrap()
    }

    fn fields(settings: &FieldMotionSettings, stream: &'static str) -> Vec<String> {
        settings.fields(of_stream(&StreamName::known(stream)).unwrap())
    }

    #[test]
    fn the_defaults_are_those_of_the_guide() {
        let settings = parsed("{}");
        assert_eq!(settings, parsed(""));
        assert_eq!(settings.api_now_format, ApiNowFormat::Unix);
        assert_eq!(settings.zone, Zone::named("UTC").unwrap());
        assert_eq!(settings.first_checkpoint, StampMillis::new(946_684_800_000));
        assert_eq!(settings.list_parameter, "from");
        assert_eq!(settings.id_parameter, "id");
        assert_eq!(settings.fields_parameter, "fields");
        assert_eq!(settings.rows_parameter, "last_edited");
        assert_eq!(settings.row_lists, [""; 0]);
        assert_eq!(settings.fields_encoding, FieldsEncoding::Json);
        assert_eq!(settings.jobs_form_id, None);
        assert!(!settings.empty_object_is_empty);
        assert!(!settings.broken_detail_is_the_records);
        assert_eq!(settings.error_words, ErrorWords::default());
        assert_eq!(fields(&settings, "departments"), ["id", "name", "users", "assets", "last_edited"]);
        assert_eq!(fields(&settings, "customers").len(), 47);
        assert_eq!(fields(&settings, "jobs").len(), 17);
    }

    #[test]
    fn every_key_is_read() {
        let settings = parsed(
            r#"{"api_now_format":"at_unix","timezone":"Europe/London","first_checkpoint":"2020-07-01 00:00:00",
                "list_parameter":"since","id_parameter":"record","fields_parameter":"columns","fields_encoding":"list",
                "rows_parameter":"changed","row_lists":["tasks","customers","tasks"],
                "program_error_words":["g"],"address_error_words":["h"],"unknown_field_error_words":["i"],
                "fields":{"jobs":["job_ref"],"tasks":[],"assets":["id","last_edited","x"]},"jobs_form_id":610424,
                "empty_object":"empty","broken_detail":"record","auth_error_words":["a"],"throttled_error_words":["b"],
                "unknown_function_error_words":["c"],"forbidden_error_words":["d"],"source_error_words":["e"],
                "gone_error_words":["f"]}"#,
        );
        assert_eq!(settings.api_now_format, ApiNowFormat::AtUnix);
        assert_eq!(settings.zone, Zone::named("Europe/London").unwrap());
        assert_eq!(settings.first_checkpoint, StampMillis::new(1_593_561_600_000), "as it is written");
        assert_eq!(settings.list_parameter, "since");
        assert_eq!(settings.id_parameter, "record");
        assert_eq!(settings.fields_parameter, "columns");
        assert_eq!(settings.fields_encoding, FieldsEncoding::List);
        assert_eq!(fields(&settings, "jobs"), ["job_ref", "id", "last_edited"]);
        assert_eq!(fields(&settings, "tasks"), [""; 0]);
        assert_eq!(fields(&settings, "assets"), ["id", "last_edited", "x"]);
        assert_eq!(settings.jobs_form_id.as_deref(), Some("610424"));
        assert!(settings.empty_object_is_empty);
        assert!(settings.broken_detail_is_the_records);
        let word = |word: &str| vec![word.to_owned()];
        assert_eq!(settings.rows_parameter, "changed");
        assert_eq!(settings.row_lists, ["customers", "tasks"]);
        let row_list = |stream| settings.row_list(of_stream(&StreamName::known(stream)).unwrap());
        assert_eq!(
            (row_list("customers"), row_list("jobs"), row_list("users"), row_list("assets")),
            (Some("Customers_list"), None, Some("Users_list"), None)
        );
        let words = ErrorWords {
            program: word("g"),
            address: word("h"),
            unknown_field: word("i"),
            auth: word("a"),
            throttled: word("b"),
            unknown_function: word("c"),
            forbidden: word("d"),
            source: word("e"),
            gone: word("f"),
        };
        assert_eq!(settings.error_words, words);
    }

    #[test]
    fn each_bad_value_is_named() {
        for (text, key) in [
            (r#"{"api_now_format":"iso"}"#, "api_now_format"),
            (r#"{"timezone":"Mars/Olympus"}"#, "timezone"),
            (r#"{"timezone":1}"#, "timezone"),
            (r#"{"first_checkpoint":"2000-01-01"}"#, "first_checkpoint"),
            (r#"{"first_checkpoint":"1960-01-01 00:00:00"}"#, "first_checkpoint"),
            (r#"{"list_parameter":"_api_now"}"#, "list_parameter"),
            (r#"{"list_parameter":"form_id"}"#, "list_parameter"),
            (r#"{"list_parameter":"a.b"}"#, "list_parameter"),
            (r#"{"id_parameter":"0"}"#, "id_parameter"),
            (r#"{"id_parameter":"fields"}"#, "id_parameter"),
            (r#"{"fields_parameter":""}"#, "fields_parameter"),
            (r#"{"fields_encoding":"csv"}"#, "fields_encoding"),
            (r#"{"fields":{"stock_containers":["id"]}}"#, "fields"),
            (r#"{"fields":{"jobs":["a b"]}}"#, "fields"),
            (r#"{"fields":{"jobs":"id"}}"#, "fields"),
            (r#"{"jobs_form_id":""}"#, "jobs_form_id"),
            (r#"{"rows_parameter":"fields"}"#, "rows_parameter"),
            (r#"{"row_lists":["assets"]}"#, "row_lists"),
            (r#"{"row_lists":["users"]}"#, "row_lists"),
            (r#"{"row_lists":"jobs"}"#, "row_lists"),
            (r#"{"empty_object":true}"#, "empty_object"),
            (r#"{"broken_detail":"vendor"}"#, "broken_detail"),
            (r#"{"auth_error_words":"key"}"#, "auth_error_words"),
            (r#"{"auth_error_words":[" "]}"#, "auth_error_words"),
            (r#"{"time_zone":"UTC"}"#, "time_zone"),
        ] {
            let problems = FieldMotionSettings::parse(text).unwrap_err().0;
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains(&format!("\"{key}\"")), "{text}: {problems:?}");
        }
    }

    #[test]
    fn all_problems_come_together() {
        let text = r#"{"timezone":"X","api_now_format":1,"nonsense":1,"fields":[]}"#;
        let error = FieldMotionSettings::parse(text).unwrap_err();
        assert_eq!(error.0.len(), 4, "{error}");
        assert!(error.to_string().contains("; "));
    }
}
