//! What FieldAware's documentation leaves open, as settings.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidemark_engine::stream::StreamName;

use super::path::Path;
use super::streams::{self, CLASSES, Class, List, UUID};
use crate::account::Account;
use crate::probe::Check;
use crate::settings::{BadSettings, Settings, texts};

/// Pages are strictly smaller than their size, so that a size of 1 could hold nothing.
const PAGE_SIZES: std::ops::RangeInclusive<u64> = 2..=10_000;
/// A cursor holds the uuids of one page of users, and the checkpoint holds the cursor.
const LIST_PAGE_SIZES: std::ops::RangeInclusive<u64> = 1..=500;
const LIST_PAGE_SIZE: u64 = 100;
const STATUSES: [&str; 3] = ["CREATED", "UPDATED", "DELETED"];

/// The settings of a FieldAware source: a JSON object, every key optional, unknown keys refused.
///
/// | key | default | meaning | source of the default |
/// |---|---|---|---|
/// | `record_streams` | all | which record streams are kept; events of the others are passed over | - |
/// | `custom_fields` | `false` | whether the declarations of custom fields are kept, too, as the record stream `custom_fields` | they need a right of their own |
/// | `archived` | `[]` | which of the record streams `items`, `users` and `unavailable_time_types` are imported with what is archived | the reference's filter |
/// | `complete_lists` | `[]` | the record streams whose lists show the key's user everything: a sweep has what they leave out fetched | the guide says that lists show what the user may see |
/// | `page_size` | none | the feed's `pageSize`, from 2 on: pages are strictly smaller | the guide names no default and no maximum |
/// | `entity_class` | none | the feed's `entityClass`, one class; the feed then has nothing else | the guide's filter |
/// | `status` | none | the feed's `status`, one of `CREATED`, `UPDATED`, `DELETED`; the feed then has nothing else | the guide's filter |
/// | `detail_paths` | `{}` | record stream -> path such as `/job/{uuid}`, used for all its records instead of what addresses in events and lists say | the guide's `url` |
/// | `list_paths` | `{}` | record stream -> path of its list, or `null` to leave it out of a first import | the reference; `/fieldquote/` by analogy |
/// | `list_page_size` | 100 | the lists' `pageSize`, at most 500 | one sample's default is 20 |
/// | `list_windows` | 2000 to 2100 | record stream -> `[start, end]` of the lists of `jobs`, `web_quotes` and `working_hours_exceptions`, or `null` to send none | the reference names both parameters, not what happens without them |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldAwareSettings {
    pub(super) page_size: Option<u64>,
    pub(super) entity_class: Option<&'static str>,
    pub(super) status: Option<&'static str>,
    pub(super) list_page_size: u64,
    kept: Vec<&'static Class>,
    archived: Vec<&'static Class>,
    complete: Vec<&'static Class>,
    detail_paths: BTreeMap<&'static str, Path>,
    list_paths: BTreeMap<&'static str, Option<String>>,
    windows: BTreeMap<&'static str, Option<Window>>,
}

/// The `start` and `end` of a list, ISO 8601.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: String,
    pub(super) end: String,
}

impl FieldAwareSettings {
    /// Reads settings; nothing at all is the same as `{}`.
    ///
    /// # Errors
    /// [`BadSettings`], naming all problems together.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let mut settings = Settings::open(text);
        let filterable = CLASSES.iter().filter(|class| class.is_filterable).map(|class| class.entity);
        let mut parsed = Self {
            kept: settings.take(
                "record_streams",
                &format!("a list of some of {}", names(|class| class.is_told)),
                CLASSES.iter().filter(|class| class.is_told).collect(),
                |value| some_of(value, |class| class.is_told).filter(|kept| !kept.is_empty()),
            ),
            archived: settings.take(
                "archived",
                &format!("a list of some of {}", names(|class| class.has_archive)),
                Vec::new(),
                |value| some_of(value, |class| class.has_archive),
            ),
            complete: settings.take(
                "complete_lists",
                &format!("a list of some of {}", names(has_path)),
                Vec::new(),
                |value| some_of(value, has_path),
            ),
            page_size: settings
                .take("page_size", "a number from 2 to 10000", None, |value| Some(Some(within(value, &PAGE_SIZES)?))),
            entity_class: settings.take(
                "entity_class",
                &format!("one of {}", filterable.collect::<Vec<_>>().join(", ")),
                None,
                |value| Some(Some(streams::of_entity(value.as_str()?).filter(|class| class.is_filterable)?.entity)),
            ),
            status: settings.take("status", &format!("one of {}", STATUSES.join(", ")), None, |value| {
                Some(Some(STATUSES.into_iter().find(|status| value.as_str() == Some(status))?))
            }),
            detail_paths: settings.take(
                "detail_paths",
                &format!(
                    "an object of record stream -> path that ends in /{UUID}; the streams are {}",
                    names(has_path)
                ),
                BTreeMap::new(),
                |value| by_stream(value, has_path, |path| detail_path(path.as_str()?)),
            ),
            list_paths: settings.take(
                "list_paths",
                &format!("an object of record stream -> path or null; the streams are {}", names(has_path)),
                BTreeMap::new(),
                |value| by_stream(value, has_path, unless_null(list_path)),
            ),
            list_page_size: settings.take("list_page_size", "a number from 1 to 500", LIST_PAGE_SIZE, |value| {
                within(value, &LIST_PAGE_SIZES)
            }),
            windows: settings.take(
                "list_windows",
                &format!(
                    "an object of record stream -> [start, end], two times such as 2000-01-01T00:00:00+00:00, or null; \
                     the streams are {}",
                    names(has_window)
                ),
                BTreeMap::new(),
                |value| by_stream(value, has_window, unless_null(window)),
            ),
        };
        if settings.take("custom_fields", "true or false", false, Value::as_bool) {
            parsed.kept.extend(streams::of_records(streams::CUSTOM_FIELDS));
        }
        let problems = settings.close();
        if problems.is_empty() { Ok(parsed) } else { Err(BadSettings(problems)) }
    }

    /// Settings that may be right where a check fails: none, for what the documentation leaves open is not in question
    /// where a feed can be read.
    #[expect(clippy::unused_self, reason = "every source is asked in this way")]
    pub(crate) fn alternatives(&self, _stream: &StreamName, _check: Check) -> Vec<Value> {
        Vec::new()
    }

    /// Adds what changes lists.
    pub(super) fn tell_of_lists(&self, account: Account) -> Account {
        let account = account
            .with("entity_class", self.entity_class)
            .with("status", self.status)
            .with("users_path", self.users_path());
        let kept = CLASSES.iter().filter(|class| self.keeps(class));
        kept.fold(account, |account, class| account.with(class.records.as_str(), self.told(class)))
    }

    /// Where records of a class are, for the mark of the account.
    fn told(&self, class: &Class) -> Value {
        let fixed = self.detail_paths.get(class.records.as_str()).map(Path::to_string);
        let window = self.window(class).map(|window| json!([window.start, window.end]));
        let mut told = vec![json!(self.list_path(class)), json!(fixed), json!(window)];
        if self.lists_archive(class) {
            told.push("archived".into());
        }
        told.into()
    }

    /// Whether the records of a class are kept.
    pub(super) fn keeps(&self, class: &Class) -> bool {
        self.kept.contains(&class)
    }

    /// Whether a first import lists what is archived of a class, too.
    pub(super) fn lists_archive(&self, class: &Class) -> bool {
        self.archived.contains(&class)
    }

    /// Whether the list of a class shows everything.
    pub(super) fn lists_all(&self, class: &Class) -> bool {
        self.complete.contains(&class)
    }

    /// The path of a record that is to be used whatever addresses say.
    pub(super) fn fixed_path(&self, class: &Class, uuid: &str) -> Option<Path> {
        self.detail_paths.get(class.records.as_str())?.clone().join(uuid)
    }

    /// The list of a class, as its path; none when it is left out, or stands below users.
    pub(super) fn list_path(&self, class: &Class) -> Option<&str> {
        match class.list {
            List::At { list, .. } => match self.list_paths.get(class.records.as_str()) {
                Some(path) => path.as_deref(),
                None => Some(list),
            },
            List::BelowUsers { .. } => None,
        }
    }

    /// The path of the list of users.
    pub(super) fn users_path(&self) -> &str {
        streams::of_entity("User").and_then(|users| self.list_path(users)).unwrap_or(streams::USERS)
    }

    /// The window of a class's list.
    pub(super) fn window(&self, class: &Class) -> Option<Window> {
        match self.windows.get(class.records.as_str()) {
            Some(window) => window.clone(),
            None => class.list.is_windowed().then(Window::default),
        }
    }

    /// The class whose list a first import walks first, or after another one.
    pub(super) fn listed_after(&self, last: Option<&Class>) -> Option<&'static Class> {
        let behind = last.and_then(|last| CLASSES.iter().position(|class| class == last)).map_or(0, |at| at + 1);
        let is_listed = |class: &&Class| {
            let has_list = matches!(class.list, List::BelowUsers { .. }) || self.list_path(class).is_some();
            self.keeps(class) && has_list
        };
        CLASSES.iter().skip(behind).find(is_listed)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self { start: "2000-01-01T00:00:00+00:00".to_owned(), end: "2100-01-01T00:00:00+00:00".to_owned() }
    }
}

fn has_path(class: &Class) -> bool {
    matches!(class.list, List::At { .. })
}

fn has_window(class: &Class) -> bool {
    class.list.is_windowed()
}

fn names(wanted: fn(&Class) -> bool) -> String {
    let wanted = CLASSES.iter().filter(|class| wanted(class));
    wanted.map(|class| class.records.as_str()).collect::<Vec<_>>().join(", ")
}

fn within(value: &Value, range: &std::ops::RangeInclusive<u64>) -> Option<u64> {
    value.as_u64().filter(|number| range.contains(number))
}

fn some_of(value: &Value, allowed: fn(&Class) -> bool) -> Option<Vec<&'static Class>> {
    texts(value)?.iter().map(|name| streams::of_records(name).filter(|class| allowed(class))).collect()
}

fn by_stream<T>(
    value: &Value,
    allowed: fn(&Class) -> bool,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<BTreeMap<&'static str, T>> {
    let one = |(name, value): (&String, &Value)| {
        let class = streams::of_records(name).filter(|class| allowed(class))?;
        Some((class.records.as_str(), read(value)?))
    };
    value.as_object()?.iter().map(one).collect()
}

fn unless_null<T>(read: impl Fn(&Value) -> Option<T>) -> impl Fn(&Value) -> Option<Option<T>> {
    move |value| if value.is_null() { Some(None) } else { read(value).map(Some) }
}

/// The path of a class's records without the uuid at its end.
fn detail_path(text: &str) -> Option<Path> {
    Path::parse(text.strip_suffix(UUID)?.strip_suffix('/')?)
}

fn list_path(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    Path::parse(text).map(|_| text.to_owned())
}

fn window(value: &Value) -> Option<Window> {
    let [start, end] = <[String; 2]>::try_from(texts(value)?).ok()?;
    let (from, until): (Timestamp, Timestamp) = (start.parse().ok()?, end.parse().ok()?);
    (from < until).then_some(Window { start, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> FieldAwareSettings {
        FieldAwareSettings::parse(text).unwrap()
    }

    fn of(records: &str) -> &'static Class {
        streams::of_records(records).unwrap()
    }

    fn walked(settings: &FieldAwareSettings) -> Vec<&'static str> {
        let mut walked = Vec::new();
        let mut class = settings.listed_after(None);
        while let Some(listed) = class {
            walked.push(listed.records.as_str());
            class = settings.listed_after(Some(listed));
        }
        walked
    }

    #[test]
    fn the_defaults_are_those_of_the_guide() {
        let settings = parsed("{}");
        assert_eq!(settings, parsed(""));
        assert_eq!((settings.page_size, settings.entity_class, settings.status), (None, None, None));
        assert_eq!(settings.list_page_size, 100);
        let told: Vec<_> = CLASSES.iter().filter(|class| class.is_told).collect();
        assert!(CLASSES.iter().all(|class| settings.keeps(class) == class.is_told && !settings.lists_archive(class)));
        assert_eq!(walked(&settings), told.iter().map(|class| class.records.as_str()).collect::<Vec<_>>());
        assert_eq!(settings.list_path(of("field_quotes")), Some("/fieldquote/"));
        assert_eq!(settings.fixed_path(of("field_quotes"), "1"), None);
        for class in &CLASSES {
            let is_windowed = ["jobs", "web_quotes", "working_hours_exceptions"].contains(&class.records.as_str());
            assert_eq!(settings.window(class), is_windowed.then(Window::default), "{}", class.entity);
        }
    }

    #[test]
    fn every_key_is_read() {
        let settings = parsed(
            r#"{"record_streams":["customers","jobs"],"page_size":2,"entity_class":"Job","status":"DELETED",
            "detail_paths":{"field_quotes":"/job/{uuid}"},"list_paths":{"jobs":null,"users":"/people/"},
            "custom_fields":true,"archived":["users"],"list_page_size":500,"list_windows":{"jobs":null,"web_quotes":["2020-01-01T00:00:00Z","2021-01-01T00:00:00+01:00"]}}"#,
        );
        assert_eq!(
            (settings.page_size, settings.entity_class, settings.status),
            (Some(2), Some("Job"), Some("DELETED"))
        );
        assert!(settings.keeps(of("jobs")) && !settings.keeps(of("items")));
        assert_eq!(settings.fixed_path(of("field_quotes"), "7").unwrap().to_string(), "job/7");
        assert_eq!((settings.list_path(of("jobs")), settings.users_path()), (None, "/people/"));
        assert_eq!((settings.window(of("jobs")), settings.list_page_size), (None, 500));
        assert_eq!(settings.window(of("web_quotes")).unwrap().end, "2021-01-01T00:00:00+01:00");
        assert!(settings.lists_archive(of("users")) && !settings.lists_archive(of("items")));
        assert_eq!(walked(&settings), ["customers", "custom_fields"]);
    }

    #[test]
    fn bad_settings_are_refused_all_together() {
        for (text, named) in [
            (r#"{"record_streams":[]}"#, "record_streams"),
            (r#"{"record_streams":["ships"]}"#, "record_streams"),
            (r#"{"record_streams":"jobs"}"#, "record_streams"),
            (r#"{"record_streams":["custom_fields"]}"#, "record_streams"),
            (r#"{"custom_fields":"yes"}"#, "custom_fields"),
            (r#"{"archived":["jobs"]}"#, "archived"),
            (r#"{"archived":true}"#, "archived"),
            (r#"{"page_size":1}"#, "page_size"),
            (r#"{"page_size":"20"}"#, "page_size"),
            (r#"{"entity_class":"WorkingHoursException"}"#, "entity_class"),
            (r#"{"entity_class":"Job,Task"}"#, "entity_class"),
            (r#"{"status":"deleted"}"#, "status"),
            (r#"{"detail_paths":{"jobs":"/job/"}}"#, "detail_paths"),
            (r#"{"detail_paths":{"jobs":"https://evil.example/{uuid}"}}"#, "detail_paths"),
            (r#"{"detail_paths":{"unavailable_times":"/x/{uuid}"}}"#, "detail_paths"),
            (r#"{"list_paths":{"jobs":"/job/../admin/"}}"#, "list_paths"),
            (r#"{"list_paths":{"ships":null}}"#, "list_paths"),
            (r#"{"list_page_size":501}"#, "list_page_size"),
            (r#"{"list_windows":{"jobs":["2021-01-01","2022-01-01"]}}"#, "list_windows"),
            (r#"{"list_windows":{"jobs":["2022-01-01T00:00:00Z","2021-01-01T00:00:00Z"]}}"#, "list_windows"),
            (r#"{"list_windows":{"items":null}}"#, "list_windows"),
            (r#"{"pagesize":20}"#, "pagesize"),
        ] {
            let BadSettings(problems) = FieldAwareSettings::parse(text).unwrap_err();
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains(named), "{text}: {problems:?}");
        }
        let BadSettings(problems) = FieldAwareSettings::parse(r#"{"page_size":0,"x":1,"status":7}"#).unwrap_err();
        assert_eq!(problems.len(), 3);
    }
}
