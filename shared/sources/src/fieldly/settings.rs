//! What Fieldly's documentation leaves open, as settings.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::stream::StreamName;

use super::streams::OBJECT_TYPES;
use crate::account::Account;
use crate::probe::Check;
use crate::settings::{BadSettings, Settings};

/// The most rows that Fieldly gives in one page, and what it gives when it is not told.
const PER_PAGE_MAX: u16 = 50;
/// How long before its end a token is renewed, unless the settings say otherwise.
const RENEW_MARGIN: Duration = Duration::from_mins(1);
/// The longest margin: half of a token's hour.
const RENEW_MARGIN_MAX: Duration = Duration::from_mins(30);
/// Where a first import starts unless the settings say otherwise: before there was a Fieldly.
const FIRST_CHECKPOINT: &str = "2000-01-01T00:00:00Z";
/// The field of a row that is its id, unless the settings say otherwise.
const ID_FIELD: &str = "id";
/// How many streams may be added.
const STREAMS_MAX: usize = 50;
/// The parameters of every list, which no other may replace.
const PAGING_PARAMETERS: [&str; 2] = ["page", "per_page"];

/// How the lower bound of a list is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FilterFormat {
    /// `2026-01-15T10:00:00.000Z`
    #[default]
    Datetime,
    /// `2026-01-14`: the whole day before, since "after a day" may begin at its start or at its end.
    Date,
}

/// How one object type is listed and fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Its stream.
    pub(super) stream: StreamName,
    /// The segments of its path below the base URL; at least one.
    pub(super) path: Vec<String>,
    /// The member of a list answer that holds the rows, when it is known.
    pub(super) rows_key: Option<String>,
    /// The parameter for the lower bound; none lists everything.
    pub(super) updated_filter: Option<String>,
    /// How the lower bound is written.
    pub(super) filter_format: FilterFormat,
    /// The field of a row that is its id.
    pub(super) id_field: String,
    /// The field of a row that has its stamp, if one does.
    pub(super) updated_field: Option<String>,
    /// Further parameters of its list.
    pub(super) query: Vec<(String, String)>,
}

impl FilterFormat {
    const ALL: [Self; 2] = [Self::Datetime, Self::Date];

    /// The word for it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Datetime => "datetime",
            Self::Date => "date",
        }
    }
}

impl Resource {
    /// Everything of it, for the mark of the account.
    fn told(&self) -> Value {
        let query: Vec<Value> = self.query.iter().map(|(name, value)| json!([name, value])).collect();
        let format = self.filter_format.as_str();
        let mut told = vec![
            json!(self.path),
            json!(self.rows_key),
            json!(self.updated_filter),
            json!(format),
            json!(self.updated_field),
        ];
        told.push(query.into());
        if self.id_field != ID_FIELD {
            told.push(json!(self.id_field));
        }
        told.into()
    }
}

/// The settings of a Fieldly source: a JSON object, every key optional, unknown keys refused.
///
/// | key | default | meaning | source of the default |
/// |---|---|---|---|
/// | `streams` | `[]` | names of further streams, for any list that the vendor documents, such as `"invoices"`; the keys below say how each is read | - |
/// | `paths` | the stream's name | stream -> path of its list below the base URL, such as `"work_items"` | the "Fieldly Public API" guide; `travel_reports` by analogy |
/// | `rows_keys` | by itself | stream -> member of a list answer that holds the rows; by itself it is the last part of the path, else the only array | the guide's fragment of `work_items` |
/// | `updated_filters` | `"updated_at"` | stream -> parameter for the lower bound; `null` lists everything each time | by analogy with the guide's `created_at` |
/// | `filter_formats` | `"datetime"` | stream -> how the bound is written: `"datetime"` (`2026-01-15T10:00:00.000Z`), or `"date"` (`2026-01-14`, the whole day before) | the guide: ISO 8601, in UTC; its sample filters by date |
/// | `updated_fields` | `"updated_at"` | stream -> field of a row that has its stamp; `null`: there is none | by analogy with the filter |
/// | `id_fields` | `"id"` | stream -> field of a row that is its id | the guide |
/// | `queries` | `{}` | stream -> further parameters of its list, such as `{"type":"workorder"}` | - |
/// | `metadata_key` | by itself | member of a list answer that describes its pages; by itself it is `metadata` or `meta` | the guide says "metadata" |
/// | `per_page` | 50 | rows in a page, 1 to 50 | the guide |
/// | `token_path` | `"oauth/token"` | path of the token endpoint below the base URL | the guide |
/// | `token_renew_margin_seconds` | 60 | how long before its end a token is renewed, 0 to 1800 | own choice |
/// | `first_checkpoint` | `"2000-01-01T00:00:00Z"` | where a first import starts; up to the default everything is imported, rows without a stamp included | own choice |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldlySettings {
    /// How each object type is listed and fetched, in the order in which reports list them.
    pub(super) resources: Vec<Resource>,
    pub(super) metadata_key: Option<String>,
    pub(super) per_page: u16,
    pub(super) token_path: Vec<String>,
    pub(super) token_renew_margin: Duration,
    pub(super) first_checkpoint: StampMillis,
}

impl FieldlySettings {
    /// Reads settings; nothing at all is the same as `{}`.
    ///
    /// # Errors
    /// [`BadSettings`], naming all problems together.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let mut settings = Settings::open(text);
        let resources = take_resources(&mut settings);
        let wanted = format!("a whole number from 1 to {PER_PAGE_MAX}");
        let per_page = settings.take("per_page", &wanted, PER_PAGE_MAX, |value| {
            u16::try_from(value.as_u64()?).ok().filter(|rows| (1..=PER_PAGE_MAX).contains(rows))
        });
        let wanted = format!("a whole number from 0 to {}", RENEW_MARGIN_MAX.as_secs());
        let token_renew_margin = settings.take("token_renew_margin_seconds", &wanted, RENEW_MARGIN, |value| {
            Some(Duration::from_secs(value.as_u64()?)).filter(|margin| *margin <= RENEW_MARGIN_MAX)
        });
        let parsed = Self {
            resources,
            metadata_key: settings.take("metadata_key", NAME_WANTED, None, |value| name(value).map(Some)),
            per_page,
            token_path: settings.take("token_path", PATH_WANTED, segments("oauth/token"), path),
            token_renew_margin,
            first_checkpoint: take_first_checkpoint(&mut settings),
        };
        for problem in parsed.resources.iter().filter_map(clash) {
            settings.problem(problem);
        }
        let problems = settings.close();
        if problems.is_empty() { Ok(parsed) } else { Err(BadSettings(problems)) }
    }

    /// Whether a first import means everything there is, whatever its stamps.
    pub(super) fn imports_all(&self) -> bool {
        self.first_checkpoint <= first_checkpoint()
    }

    /// Settings that may be right where a check of a probe fails: names of the lower bound that other such APIs have, and
    /// reading the list whole.
    pub(crate) fn alternatives(&self, stream: &StreamName, check: Check) -> Vec<Value> {
        let Some(resource) = self.resources.iter().find(|resource| resource.stream == *stream) else {
            return Vec::new();
        };
        let name = stream.as_str();
        let filters = || {
            let names = ["updated_at", "updated_from", "updated_since", "updated_after"];
            let others = names.into_iter().filter(|name| resource.updated_filter.as_deref() != Some(*name));
            others.map(|other| json!({ "updated_filters": { name: other } }))
        };
        match check {
            Check::List | Check::Filter if resource.updated_filter.is_some() => {
                let format = if resource.filter_format == FilterFormat::Datetime { "date" } else { "datetime" };
                let others = [json!({ "filter_formats": { name: format } })].into_iter().chain(filters());
                others.chain([json!({ "updated_filters": { name: null } })]).collect()
            }
            Check::Filter => filters().collect(),
            Check::List
            | Check::Fetch
            | Check::Reach
            | Check::Credential
            | Check::Clock
            | Check::Zone
            | Check::Settings => Vec::new(),
        }
    }

    /// Adds what changes lists or the reading of stamps.
    pub(super) fn tell_of_lists(&self, account: Account) -> Account {
        self.resources.iter().fold(account, |account, resource| account.with(resource.stream.as_str(), resource.told()))
    }
}

const NAME_WANTED: &str = "a name of letters, digits and _";
const PATH_WANTED: &str = "a path of letters, digits, _, - and ., with / between its parts";

fn take_resources(settings: &mut Settings) -> Vec<Resource> {
    let streams = take_streams(settings);
    let names: Vec<&str> = streams.iter().map(|(stream, _)| stream.as_str()).collect();
    let mut paths = take_by_stream(settings, &names, "paths", PATH_WANTED, path);
    let mut rows_keys = take_by_stream(settings, &names, "rows_keys", NAME_WANTED, name);
    let mut updated_filters = take_by_stream(settings, &names, "updated_filters", &or_null(NAME_WANTED), name_or_null);
    let formats = "\"datetime\" or \"date\"";
    let mut filter_formats = take_by_stream(settings, &names, "filter_formats", formats, filter_format);
    let mut updated_fields = take_by_stream(settings, &names, "updated_fields", &or_null(NAME_WANTED), name_or_null);
    let mut id_fields = take_by_stream(settings, &names, "id_fields", NAME_WANTED, name);
    let mut queries = take_by_stream(settings, &names, "queries", "an object of parameter -> text", query);
    let updated_at = || Some("updated_at".to_owned());
    let resource = |(name, usual_path): &(StreamName, String)| {
        let stream = name.as_str();
        Resource {
            stream: name.clone(),
            path: paths.remove(stream).unwrap_or_else(|| segments(usual_path)),
            rows_key: rows_keys.remove(stream),
            updated_filter: updated_filters.remove(stream).map_or_else(updated_at, |name| name.0),
            filter_format: filter_formats.remove(stream).unwrap_or_default(),
            id_field: id_fields.remove(stream).unwrap_or_else(|| ID_FIELD.to_owned()),
            updated_field: updated_fields.remove(stream).map_or_else(updated_at, |name| name.0),
            query: queries.remove(stream).unwrap_or_default(),
        }
    };
    streams.iter().map(resource).collect()
}

/// The streams and their usual paths: those that are known, then those of the settings.
fn take_streams(settings: &mut Settings) -> Vec<(StreamName, String)> {
    let known = OBJECT_TYPES.iter().map(|object_type| (object_type.stream.clone(), object_type.path.to_owned()));
    let mut streams: Vec<(StreamName, String)> = known.collect();
    let wanted = format!("a list of up to {STREAMS_MAX} other names, each once, of a-z, 0-9 and _");
    let added = settings.take("streams", &wanted, Vec::new(), |value| {
        let mut added: Vec<StreamName> = Vec::new();
        for name in value.as_array().filter(|names| names.len() <= STREAMS_MAX)? {
            let name = StreamName::parse(name.as_str()?).ok()?;
            if added.contains(&name) || streams.iter().any(|(known, _)| *known == name) {
                return None;
            }
            added.push(name);
        }
        Some(added)
    });
    streams.extend(added.into_iter().map(|name| (name.clone(), name.as_str().to_owned())));
    streams
}

fn or_null(wanted: &str) -> String {
    format!("{wanted}, or null")
}

/// Takes an object of stream -> something.
fn take_by_stream<T>(
    settings: &mut Settings,
    streams: &[&str],
    key: &'static str,
    wanted: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> BTreeMap<String, T> {
    let wanted = format!("an object of stream -> {wanted}; the streams are {}", streams.join(", "));
    settings.take(key, &wanted, BTreeMap::new(), |value| {
        let by_stream = value.as_object()?.iter();
        by_stream
            .map(|(stream, value)| Some((stream.clone(), read(value).filter(|_| streams.contains(&stream.as_str()))?)))
            .collect()
    })
}

fn instant(text: &str) -> Option<StampMillis> {
    let instant: Timestamp = text.parse().ok()?;
    Some(StampMillis::new(instant.as_millisecond())).filter(|at| at.get() >= 0)
}

fn first_checkpoint() -> StampMillis {
    instant(FIRST_CHECKPOINT).unwrap_or_default()
}

fn take_first_checkpoint(settings: &mut Settings) -> StampMillis {
    let wanted = format!("a time of the form \"{FIRST_CHECKPOINT}\", from 1970 on");
    settings.take("first_checkpoint", &wanted, first_checkpoint(), |value| instant(value.as_str()?))
}

/// A parameter that would be sent twice.
fn clash(resource: &Resource) -> Option<String> {
    let mut seen = PAGING_PARAMETERS.to_vec();
    let names = resource.updated_filter.iter().chain(resource.query.iter().map(|(name, _)| name));
    for name in names {
        if seen.contains(&name.as_str()) {
            return Some(format!("the list of {} would have the parameter \"{name}\" twice", resource.stream));
        }
        seen.push(name);
    }
    None
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

/// A path whose parts stay where they are: `.` and `..` would leave them.
fn path(value: &Value) -> Option<Vec<String>> {
    let segments = segments(value.as_str()?);
    let is_plain = |part: &String| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        (1..=64).contains(&part.len()) && part.bytes().all(known) && !part.bytes().all(|byte| byte == b'.')
    };
    segments.iter().all(is_plain).then_some(segments)
}

fn name(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    ((1..=64).contains(&name.len()) && is_plain).then(|| name.to_owned())
}

/// A name, or that there is none.
struct NameOrNull(Option<String>);

fn name_or_null(value: &Value) -> Option<NameOrNull> {
    if value.is_null() { Some(NameOrNull(None)) } else { name(value).map(|name| NameOrNull(Some(name))) }
}

fn filter_format(value: &Value) -> Option<FilterFormat> {
    let word = value.as_str()?;
    FilterFormat::ALL.into_iter().find(|format| format.as_str() == word)
}

fn query(value: &Value) -> Option<Vec<(String, String)>> {
    let parameters = value.as_object()?.iter();
    parameters.map(|(key, value)| Some((name(&Value::from(key.as_str()))?, value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> FieldlySettings {
        FieldlySettings::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}"))
    }

    #[test]
    fn the_defaults_are_those_of_the_guide() {
        for text in ["", " ", "{}", r#"{"per_page":null}"#] {
            let settings = parsed(text);
            assert_eq!((settings.per_page, settings.token_path.join("/")), (50, "oauth/token".to_owned()));
            assert_eq!((settings.metadata_key, settings.token_renew_margin), (None, Duration::from_mins(1)));
            assert_eq!(settings.first_checkpoint.to_string(), "2000-01-01T00:00:00Z");
            for resource in settings.resources {
                assert_eq!(resource.path, [resource.stream.as_str()]);
                assert_eq!(resource.updated_filter.as_deref(), Some("updated_at"));
                assert_eq!(resource.updated_field.as_deref(), Some("updated_at"));
                assert_eq!((resource.rows_key, resource.filter_format), (None, FilterFormat::Datetime));
                assert_eq!(resource.id_field, "id");
                assert!(resource.query.is_empty());
            }
        }
    }

    #[test]
    fn each_stream_has_settings_of_its_own() {
        let settings = parsed(
            r#"{"paths":{"clients":"v2/customers"},"rows_keys":{"clients":"rows"},"updated_filters":{"clients":null,
            "time_reports":"changed_since"},"filter_formats":{"time_reports":"date"},"updated_fields":{"clients":null},
            "queries":{"work_items":{"type":"workorder"}},"metadata_key":"info","per_page":7,
            "token_path":"token","token_renew_margin_seconds":0,"first_checkpoint":"2020-01-01T01:00:00+01:00"}"#,
        );
        let [work_items, clients, time_reports, travel_reports] = &settings.resources[..] else { panic!() };
        assert_eq!(work_items.query, [("type".to_owned(), "workorder".to_owned())]);
        assert_eq!((clients.path.join("/"), clients.rows_key.as_deref()), ("v2/customers".to_owned(), Some("rows")));
        assert_eq!((&clients.updated_filter, &clients.updated_field), (&None, &None));
        assert_eq!(time_reports.updated_filter.as_deref(), Some("changed_since"));
        assert_eq!(time_reports.filter_format, FilterFormat::Date);
        assert_eq!(travel_reports, &parsed("{}").resources[3]);
        assert_eq!((settings.per_page, settings.token_renew_margin), (7, Duration::ZERO));
        assert_eq!(settings.first_checkpoint.to_string(), "2020-01-01T00:00:00Z");
    }

    #[test]
    fn any_list_can_be_made_a_stream() {
        let settings = parsed(
            r#"{"streams":["invoices","users"],"paths":{"invoices":"v2/invoices"},"id_fields":{"users":"employee_number"},
            "updated_filters":{"users":null},"rows_keys":{"invoices":"rows"}}"#,
        );
        let [_, _, _, _, invoices, users] = &settings.resources[..] else { panic!() };
        assert_eq!((invoices.stream.as_str(), invoices.path.join("/")), ("invoices", "v2/invoices".to_owned()));
        assert_eq!((invoices.rows_key.as_deref(), invoices.id_field.as_str()), (Some("rows"), "id"));
        assert_eq!((users.path.join("/"), users.id_field.as_str()), ("users".to_owned(), "employee_number"));
        assert_eq!(users.updated_filter, None);
    }

    #[test]
    fn only_a_first_checkpoint_of_ones_own_limits_the_first_import() {
        assert!(parsed("{}").imports_all());
        assert!(!parsed(r#"{"first_checkpoint":"2026-01-01T00:00:00Z"}"#).imports_all());
    }

    #[test]
    fn every_bad_value_is_named() {
        let problems = |text: &str| FieldlySettings::parse(text).unwrap_err().0;
        for (text, named) in [
            (r#"{"paths":{"clients":"../x"}}"#, "paths"),
            (r#"{"paths":{"clients":"/x"}}"#, "paths"),
            (r#"{"paths":{"clients":"x?y"}}"#, "paths"),
            (r#"{"paths":{"jobs":"x"}}"#, "work_items, clients, time_reports, travel_reports"),
            (r#"{"paths":"x"}"#, "paths"),
            (r#"{"streams":["clients"]}"#, "streams"),
            (r#"{"streams":["a","a"]}"#, "streams"),
            (r#"{"streams":["Invoices"]}"#, "streams"),
            (r#"{"streams":"invoices"}"#, "streams"),
            (r#"{"id_fields":{"clients":""}}"#, "id_fields"),
            (r#"{"paths":{"invoices":"x"}}"#, "paths"),
            (r#"{"rows_keys":{"clients":null}}"#, "rows_keys"),
            (r#"{"updated_filters":{"clients":""}}"#, "updated_filters"),
            (r#"{"updated_filters":{"clients":"page"}}"#, "\"page\" twice"),
            (r#"{"queries":{"clients":{"updated_at":"x"}}}"#, "\"updated_at\" twice"),
            (r#"{"queries":{"clients":{"type":1}}}"#, "queries"),
            (r#"{"filter_formats":{"clients":"time"}}"#, "filter_formats"),
            (r#"{"updated_fields":{"clients":7}}"#, "updated_fields"),
            (r#"{"metadata_key":""}"#, "metadata_key"),
            (r#"{"per_page":51}"#, "per_page"),
            (r#"{"per_page":0}"#, "per_page"),
            (r#"{"token_path":"oauth/../token"}"#, "token_path"),
            (r#"{"token_renew_margin_seconds":1801}"#, "token_renew_margin_seconds"),
            (r#"{"first_checkpoint":"2000-01-01"}"#, "first_checkpoint"),
            (r#"{"first_checkpoint":"1969-01-01T00:00:00Z"}"#, "first_checkpoint"),
            (r#"{"page":1}"#, "\"page\" is unknown"),
        ] {
            let found = problems(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(named), "{text}: {found:?}");
        }
        assert_eq!(problems(r#"{"per_page":0,"paths":1,"x":1}"#).len(), 3);
    }
}
