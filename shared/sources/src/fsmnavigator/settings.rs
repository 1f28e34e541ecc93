//! What FSM Navigator's documentation leaves open, as settings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::stream::StreamName;

use super::error_codes::ErrorCodes;
use super::streams::{OBJECT_TYPES, ObjectType, of_stream};
use super::time;
use crate::account::Account;
use crate::probe::Check;
use crate::settings::{BadSettings, Settings};

/// The vendor refuses more.
const PER_PAGE_MAX: u64 = 100;
/// A good balance, as the guide has it.
const PER_PAGE: u64 = 50;
/// No wait is longer, even if the vendor asks for it.
const RETRY_AFTER_SECONDS_MAX: u64 = 900;
/// Where a first import starts unless the settings say otherwise.
const FIRST_CHECKPOINT: &str = "2000-01-01T00:00:00Z";
/// The parameters of our own calls; the lower bound's must be another one.
const PARAMETERS: [&str; 3] = ["page", "per_page", "id"];

/// How one record is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DetailStyle {
    /// `GET /jobs?id=1`
    #[default]
    Query,
    /// `GET /jobs/1`
    Path,
}

/// Which of the vendor's two contradicting descriptions an answer follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Either: each answer shows it.
    #[default]
    Auto,
    /// The best-practices guide: `{"success":true,"jobs":[..],"total_pages":5}`.
    Guide,
    /// The reference pages: `{"data":[..],"pagination":{"total_pages":5}}`.
    Reference,
}

impl Dialect {
    /// The word for it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Guide => "guide",
            Self::Reference => "reference",
        }
    }
}

/// Which member of a row is its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum IdField {
    /// `job_id` if the row has it, else `id`.
    #[default]
    Auto,
    /// `id`
    Plain,
    /// `job_id`
    Named,
}

impl IdField {
    /// The word for it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Plain => "id",
            Self::Named => "named",
        }
    }
}

/// The settings of an FSM Navigator source: a JSON object, every key optional, unknown keys refused.
///
/// | key | default | meaning | source of the default |
/// |---|---|---|---|
/// | `per_page` | `50` | rows a page, 1 to 100 | the guide |
/// | `detail_style` | `"query"` | how one record is asked for: `"query"` (`/jobs?id=1`) or `"path"` (`/jobs/1`) | the reference pages |
/// | `dialect` | `"auto"` | the shape of answers: `"auto"` (each answer shows it), `"guide"` (`jobs`, `total_pages`) or `"reference"` (`data`, `pagination`) | guide and reference contradict each other |
/// | `id_field` | `"auto"` | the row's id: `"auto"` (`job_id` if it is there, else `id`), `"id"` or `"named"` (`job_id`, `customer_id`, ..) | guide and reference contradict each other |
/// | `id_fields` | `{}` | stream -> the row's id, instead of `id_field` | of service records no row is documented |
/// | `queries` | `{}` | stream -> further parameters of its list, such as `{"status":"Active"}`; for `customer_locations` and `service_records` of the list of their customers or assets | the reference pages |
/// | `incremental` | jobs `"server"`, others `"client_scan"` | stream -> `"server"` (the list takes a lower bound) or `"client_scan"` (all rows are listed and compared) | documented for jobs alone |
/// | `filter_parameter` | `"updated_since"` | the parameter for the lower bound | the guide |
/// | `updated_field` | `"updated_at"` | the row's stamp | the reference pages |
/// | `unstamped` | `[]` | streams whose rows have no stamp | own choice |
/// | `first_checkpoint` | `"2000-01-01T00:00:00Z"` | where a first import starts; up to the default everything is imported, rows without a stamp included | own choice |
/// | `retry_after_max_seconds` | `900` | the longest wait that is taken over from the vendor, 1 to 900 | own choice |
/// | `rate_headers` | `"follow"` | whether `X-RateLimit-Remaining` and `-Reset` slow the calls down: `"follow"` or `"ignore"` | the reference pages |
/// | `throttled_error_codes` | `rate_limit_exceeded` | values of `error` that mean too many calls | the reference pages |
/// | `auth_error_codes` | `unauthorized`, `unauthenticated`, `authentication_required`, `invalid_api_key`, `missing_api_key` | .. a rejected key | own choice |
/// | `forbidden_error_codes` | `forbidden`, `insufficient_scope`, `missing_scope`, `insufficient_permissions`, `ip_not_allowed` | .. a missing right | own choice |
/// | `gone_error_codes` | `not_found`, `resource_not_found`, `record_not_found` | .. that the record is not there; read in details alone | own choice |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsmNavigatorSettings {
    pub(super) per_page: u64,
    pub(super) detail_style: DetailStyle,
    pub(super) dialect: Dialect,
    pub(super) id_field: IdField,
    pub(super) filter_parameter: String,
    pub(super) updated_field: String,
    pub(super) first_checkpoint: StampMillis,
    pub(super) retry_after_max: Duration,
    pub(super) ignores_rate_headers: bool,
    pub(super) error_codes: ErrorCodes,
    filtered: BTreeSet<&'static str>,
    unstamped: BTreeSet<&'static str>,
    id_fields: BTreeMap<&'static str, String>,
    queries: BTreeMap<&'static str, Vec<(String, String)>>,
}

impl FsmNavigatorSettings {
    /// Reads settings; nothing at all is the same as `{}`.
    ///
    /// # Errors
    /// [`BadSettings`], naming all problems together.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let mut settings = Settings::open(text);
        let parsed = Self {
            per_page: settings.take("per_page", "a whole number from 1 to 100", PER_PAGE, |value| {
                value.as_u64().filter(|count| (1..=PER_PAGE_MAX).contains(count))
            }),
            detail_style: settings.choose("detail_style", [("query", DetailStyle::Query), ("path", DetailStyle::Path)]),
            dialect: settings.choose(
                "dialect",
                [Dialect::Auto, Dialect::Guide, Dialect::Reference].map(|dialect| (dialect.as_str(), dialect)),
            ),
            id_field: settings.choose(
                "id_field",
                [IdField::Auto, IdField::Plain, IdField::Named].map(|field| (field.as_str(), field)),
            ),
            id_fields: take_by_stream(&mut settings, "id_fields", NAME_WANTED, name),
            queries: take_by_stream(&mut settings, "queries", "an object of parameter -> text", query),
            filtered: take_incremental(&mut settings),
            filter_parameter: take_name(&mut settings, "filter_parameter", "updated_since"),
            updated_field: take_name(&mut settings, "updated_field", "updated_at"),
            unstamped: settings.take("unstamped", "a list of streams", BTreeSet::new(), |value| {
                value.as_array()?.iter().map(|name| stream_named(name.as_str()?)).collect()
            }),
            first_checkpoint: take_first_checkpoint(&mut settings),
            retry_after_max: Duration::from_secs(settings.take(
                "retry_after_max_seconds",
                "a whole number from 1 to 900",
                RETRY_AFTER_SECONDS_MAX,
                |value| value.as_u64().filter(|seconds| (1..=RETRY_AFTER_SECONDS_MAX).contains(seconds)),
            )),
            ignores_rate_headers: settings.choose("rate_headers", [("follow", false), ("ignore", true)]),
            error_codes: ErrorCodes::take(&mut settings),
        };
        if PARAMETERS.contains(&parsed.filter_parameter.as_str()) {
            settings.problem(format!(r#""filter_parameter" must not be one of {}"#, PARAMETERS.join(", ")));
        }
        let mut asked =
            parsed.queries.iter().flat_map(|(stream, query)| query.iter().map(move |(name, _)| (stream, name)));
        if let Some((stream, name)) =
            asked.find(|(_, name)| PARAMETERS.contains(&name.as_str()) || **name == parsed.filter_parameter)
        {
            settings.problem(format!(r#"the list of {stream} would have the parameter "{name}" twice"#));
        }
        let problems = settings.close();
        if problems.is_empty() { Ok(parsed) } else { Err(BadSettings(problems)) }
    }

    /// Settings that may be right where a check of a probe fails: what the vendor's two descriptions and other such APIs
    /// have.
    pub(crate) fn alternatives(&self, stream: &StreamName, check: Check) -> Vec<Value> {
        let Some(object_type) = of_stream(stream).filter(|object_type| object_type.parent.is_none()) else {
            return Vec::new();
        };
        let name = stream.as_str();
        match check {
            Check::List | Check::Filter if self.is_filtered(object_type) => {
                let names = ["updated_since", "updated_after", "modified_since"];
                let others = names.into_iter().filter(|name| *name != self.filter_parameter);
                let others = others.map(|other| json!({ "filter_parameter": other }));
                others.chain([json!({ "incremental": { name: "client_scan" } })]).collect()
            }
            Check::Filter => vec![json!({ "incremental": { name: "server" } })],
            Check::Fetch => {
                let style = if self.detail_style == DetailStyle::Query { "path" } else { "query" };
                vec![json!({ "detail_style": style })]
            }
            Check::List | Check::Reach | Check::Credential | Check::Clock | Check::Zone | Check::Settings => Vec::new(),
        }
    }

    /// Adds what changes lists or the reading of stamps.
    pub(super) fn tell_of_lists(&self, account: Account) -> Account {
        let names = |streams: &BTreeSet<&'static str>| streams.iter().copied().collect::<Value>();
        let account = account
            .with("dialect", self.dialect.as_str())
            .with("id_field", self.id_field.as_str())
            .with("filtered", names(&self.filtered))
            .with("filter_parameter", self.filter_parameter.as_str())
            .with("updated_field", self.updated_field.as_str())
            .with("unstamped", names(&self.unstamped));
        let id_fields = self.id_fields.iter().map(|(stream, field)| json!([stream, field]));
        let queries = self.queries.iter().filter(|(_, query)| !query.is_empty());
        let queries = queries.map(|(stream, query)| json!([stream, query]));
        [("id_fields", id_fields.collect::<Vec<_>>()), ("queries", queries.collect())]
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .fold(account, |account, (name, values)| account.with(name, values))
    }

    /// Whether the list of this type takes a lower bound.
    pub(super) fn is_filtered(&self, object_type: &ObjectType) -> bool {
        self.filtered.contains(object_type.stream.as_str())
    }

    /// Whether a first import means everything there is, whatever its stamps.
    pub(super) fn imports_all(&self) -> bool {
        self.first_checkpoint <= first_checkpoint()
    }

    /// The member that is the id of rows of this type, where the settings name it.
    pub(super) fn own_id_field(&self, object_type: &ObjectType) -> Option<&str> {
        self.id_fields.get(object_type.stream.as_str()).map(String::as_str)
    }

    /// Further parameters of the list of this type.
    pub(super) fn query(&self, object_type: &ObjectType) -> impl Iterator<Item = (&str, &str)> {
        let query = self.queries.get(object_type.stream.as_str()).into_iter().flatten();
        query.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether rows of this type have a stamp.
    pub(super) fn is_stamped(&self, object_type: &ObjectType) -> bool {
        !self.unstamped.contains(object_type.stream.as_str())
    }
}

fn known(name: &str) -> Option<&'static ObjectType> {
    OBJECT_TYPES.iter().find(|object_type| object_type.stream.as_str() == name)
}

fn stream_named(name: &str) -> Option<&'static str> {
    known(name).map(|object_type| object_type.stream.as_str())
}

/// The streams whose lists take a lower bound; those that are not named keep their default.
fn take_incremental(settings: &mut Settings) -> BTreeSet<&'static str> {
    let usual: BTreeSet<&str> =
        OBJECT_TYPES.iter().filter(|known| known.is_filtered).map(|filtered| filtered.stream.as_str()).collect();
    let wanted = r#"an object of streams, each "server" or "client_scan" (what is listed a parent: "client_scan")"#;
    settings.take("incremental", wanted, usual.clone(), |value| {
        let mut filtered = usual;
        for (name, mode) in value.as_object()? {
            let object_type = known(name)?;
            let stream = object_type.stream.as_str();
            match mode.as_str()? {
                "server" if object_type.parent.is_none() => filtered.insert(stream),
                "client_scan" => filtered.remove(stream),
                _ => return None,
            };
        }
        Some(filtered)
    })
}

const NAME_WANTED: &str = "a name of 1 to 64 letters, digits, _, - and brackets";

fn name(value: &Value) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'[' | b']');
    let name = value.as_str().filter(|name| (1..=64).contains(&name.len()) && name.bytes().all(is_plain))?;
    Some(name.to_owned())
}

fn take_name(settings: &mut Settings, key: &'static str, usual: &str) -> String {
    settings.take(key, NAME_WANTED, usual.to_owned(), name)
}

fn query(value: &Value) -> Option<Vec<(String, String)>> {
    let parameters = value.as_object()?.iter();
    parameters.map(|(key, value)| Some((name(&Value::from(key.as_str()))?, value.as_str()?.to_owned()))).collect()
}

/// Takes an object of stream -> something.
fn take_by_stream<T>(
    settings: &mut Settings,
    key: &'static str,
    wanted: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> BTreeMap<&'static str, T> {
    settings.take(key, &format!("an object of stream -> {wanted}"), BTreeMap::new(), |value| {
        let by_stream = value.as_object()?.iter();
        by_stream.map(|(stream, value)| Some((stream_named(stream)?, read(value)?))).collect()
    })
}

fn first_checkpoint() -> StampMillis {
    time::stamp(FIRST_CHECKPOINT).map(|stamp| stamp.at).unwrap_or_default()
}

fn take_first_checkpoint(settings: &mut Settings) -> StampMillis {
    let wanted = format!(r#"a time of the form "{FIRST_CHECKPOINT}", from 1970 on"#);
    let read = |text: &str| time::stamp(text).map(|stamp| stamp.at);
    settings
        .take("first_checkpoint", &wanted, first_checkpoint(), |value| read(value.as_str()?).filter(|at| at.get() >= 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        FsmNavigatorSettings::parse(text).unwrap_err().0
    }

    fn filtered(text: &str) -> Vec<&'static str> {
        FsmNavigatorSettings::parse(text).unwrap().filtered.into_iter().collect()
    }

    #[test]
    fn the_defaults_are_those_of_the_guides() {
        let settings = FsmNavigatorSettings::parse("").unwrap();
        assert_eq!(settings, FsmNavigatorSettings::parse("{}").unwrap());
        assert_eq!((settings.per_page, settings.detail_style), (50, DetailStyle::Query));
        assert_eq!((settings.dialect, settings.id_field), (Dialect::Auto, IdField::Auto));
        assert_eq!(
            (settings.filter_parameter.as_str(), settings.updated_field.as_str()),
            ("updated_since", "updated_at")
        );
        assert_eq!(settings.first_checkpoint, StampMillis::new(946_684_800_000));
        assert_eq!(settings.retry_after_max, Duration::from_mins(15));
        assert!(!settings.ignores_rate_headers);
        assert!(OBJECT_TYPES.iter().all(|object_type| settings.is_stamped(object_type)));
        assert_eq!(filtered(""), ["jobs"]);
    }

    #[test]
    fn more_than_a_hundred_rows_a_page_are_refused_at_the_start() {
        assert_eq!(FsmNavigatorSettings::parse(r#"{"per_page":100}"#).unwrap().per_page, 100);
        for count in ["101", "0", "-1", "1.5", "\"50\""] {
            let found = problems(&format!(r#"{{"per_page":{count}}}"#));
            assert_eq!(found, [r#""per_page" must be a whole number from 1 to 100"#], "{count}");
        }
    }

    #[test]
    fn how_a_stream_is_listed_is_a_setting_of_its_own() {
        assert_eq!(filtered(r#"{"incremental":{"customers":"server"}}"#), ["customers", "jobs"]);
        assert_eq!(filtered(r#"{"incremental":{"jobs":"client_scan"}}"#), [""; 0]);
        for wrong in
            [r#"{"tasks":"server"}"#, r#"{"jobs":"maybe"}"#, r#"["jobs"]"#, r#"{"customer_locations":"server"}"#]
        {
            assert_eq!(problems(&format!(r#"{{"incremental":{wrong}}}"#)).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn filters_and_ids_are_settings_of_each_stream() {
        let settings = FsmNavigatorSettings::parse(
            r#"{"queries":{"assets":{"status":"Active"}},"id_fields":{"service_records":"history_id"}}"#,
        )
        .unwrap();
        let object_type = |name| known(name).unwrap();
        assert_eq!(settings.query(object_type("assets")).collect::<Vec<_>>(), [("status", "Active")]);
        assert_eq!(settings.query(object_type("jobs")).count(), 0);
        assert_eq!(settings.own_id_field(object_type("service_records")), Some("history_id"));
        for (wrong, named) in [
            (r#"{"queries":{"jobs":{"page":"1"}}}"#, "\"page\" twice"),
            (r#"{"queries":{"jobs":{"updated_since":"x"}}}"#, "\"updated_since\" twice"),
            (r#"{"queries":{"tasks":{"a":"b"}}}"#, "queries"),
            (r#"{"queries":{"jobs":{"a":1}}}"#, "queries"),
            (r#"{"id_fields":{"jobs":""}}"#, "id_fields"),
        ] {
            let found = problems(wrong);
            assert!(found.len() == 1 && found[0].contains(named), "{wrong}: {found:?}");
        }
    }

    #[test]
    fn only_a_first_checkpoint_of_ones_own_limits_the_first_import() {
        for (text, imports_all) in [
            ("{}", true),
            (r#"{"first_checkpoint":"1999-01-01T00:00:00Z"}"#, true),
            (r#"{"first_checkpoint":"2026-01-01T00:00:00Z"}"#, false),
        ] {
            assert_eq!(FsmNavigatorSettings::parse(text).unwrap().imports_all(), imports_all, "{text}");
        }
    }

    #[test]
    fn all_problems_come_together() {
        let found = problems(
            r#"{"per_page":101,"detail_style":"rpc","dialect":"guides","id_field":"job_id","unstamped":["tasks"],
                "filter_parameter":"page","updated_field":"","first_checkpoint":"2000-01-01","rate_headers":true,
                "retry_after_max_seconds":901,"auth_error_codes":[""],"incremental":{"jobs":1},"perpage":1}"#,
        );
        assert_eq!(found.len(), 13, "{found:#?}");
    }
}
