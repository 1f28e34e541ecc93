//! Knows every source: builds it from its configuration, and names its streams without building it.
//!
//! A new vendor is one variant of [`AnySource`], one arm in [`build`], and one in each of the two macros below it.

use serde_json::Value;
use thiserror::Error;
use tidemark_engine::change::{Detail, Later, ListRequest, Page};
use tidemark_engine::clock::{Stamp, StampMillis, VendorMillis};
use tidemark_engine::failure::SourceFailure;
use tidemark_engine::ports::{Clock, Credentials, Source};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{SourceKind, StreamName, StreamTraits};
use tidemark_sweep::ports::Shown;
use tidemark_sweep::state::Absence;

use crate::fieldaware::{self, FieldAware, FieldAwareSettings};
use crate::fieldly::{Fieldly, FieldlySettings};
use crate::fieldmotion::{FieldMotion, FieldMotionSettings};
use crate::fsmnavigator::{FsmNavigator, FsmNavigatorSettings};
use crate::http::{BaseUrl, RequestsPerSecond};
use crate::probe::Check;
use crate::settings::BadSettings;

/// What a deployment says of a source, as text: the values of `<Source>BaseUrl`, `<Source>Settings` and
/// `<Source>RequestsPerSecond`.
#[derive(Clone, Copy, Debug)]
pub struct SourceConfig<'a> {
    /// The vendor.
    pub kind: SourceKind,
    /// Where its API is.
    pub base_url: &'a str,
    /// Its settings, JSON; `{}` or nothing for the defaults.
    pub settings: &'a str,
    /// How many requests a second it allows.
    pub requests_per_second: &'a str,
}

/// A configuration that no source can be built from, with everything that is wrong with it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{kind}: {}", problems.join("; "))]
pub struct BadSource {
    /// The vendor.
    pub kind: SourceKind,
    /// What is wrong, each in words for a person.
    pub problems: Vec<String>,
}

/// A source of any kind.
pub enum AnySource<C, K> {
    /// FieldMotion.
    FieldMotion(FieldMotion<C, K>),
    /// FieldAware.
    FieldAware(FieldAware<C, K>),
    /// FSM Navigator.
    FsmNavigator(FsmNavigator<C, K>),
    /// Fieldly.
    Fieldly(Fieldly<C, K>),
}

/// Builds a source. Makes no call: a wrong credential or an unreachable address shows with the first one.
///
/// # Errors
/// [`BadSource`], naming all problems together.
pub fn build<C: Clock, K: Credentials>(
    config: SourceConfig<'_>,
    credentials: K,
    clock: C,
) -> Result<AnySource<C, K>, BadSource> {
    match config.kind {
        SourceKind::FieldMotion => {
            let (base, rate, settings) = parts(config, FieldMotionSettings::parse)?;
            Ok(AnySource::FieldMotion(FieldMotion::new(base, settings, rate, credentials, clock)))
        }
        SourceKind::FieldAware => {
            let (base, rate, settings) = parts(config, FieldAwareSettings::parse)?;
            Ok(AnySource::FieldAware(FieldAware::new(base, settings, rate, credentials, clock)))
        }
        SourceKind::FsmNavigator => {
            let (base, rate, settings) = parts(config, FsmNavigatorSettings::parse)?;
            Ok(AnySource::FsmNavigator(FsmNavigator::new(base, settings, rate, credentials, clock)))
        }
        SourceKind::Fieldly => {
            let (base, rate, settings) = parts(config, FieldlySettings::parse)?;
            Ok(AnySource::Fieldly(Fieldly::new(base, settings, rate, credentials, clock)))
        }
    }
}

/// What is known of a kind of source: the module of its vendor is called `$vendor` in `$known`.
macro_rules! of {
    ($kind:expr, $vendor:ident => $known:expr) => {
        match $kind {
            SourceKind::FieldMotion => {
                use crate::fieldmotion as $vendor;
                $known
            }
            SourceKind::FieldAware => {
                use crate::fieldaware as $vendor;
                $known
            }
            SourceKind::FsmNavigator => {
                use crate::fsmnavigator as $vendor;
                $known
            }
            SourceKind::Fieldly => {
                use crate::fieldly as $vendor;
                $known
            }
        }
    };
}

/// The same call of whichever source it is.
macro_rules! on {
    ($any:expr, $source:ident => $call:expr) => {
        match $any {
            AnySource::FieldMotion($source) => $call,
            AnySource::FieldAware($source) => $call,
            AnySource::FsmNavigator($source) => $call,
            AnySource::Fieldly($source) => $call,
        }
    };
}

/// The parts that every source is built from.
fn parts<S>(
    config: SourceConfig<'_>,
    parse: fn(&str) -> Result<S, BadSettings>,
) -> Result<(BaseUrl, RequestsPerSecond, S), BadSource> {
    let mut problems = Vec::new();
    let base = BaseUrl::parse(config.base_url).map_err(|bad| problems.push(bad.to_string())).ok();
    let rate = RequestsPerSecond::parse(config.requests_per_second).map_err(|bad| problems.push(bad.to_string())).ok();
    let settings = parse(config.settings)
        .map_err(|bad| problems.extend(bad.0.into_iter().map(|problem| format!("settings: {problem}"))))
        .ok();
    match (base, rate, settings) {
        (Some(base), Some(rate), Some(settings)) => Ok((base, rate, settings)),
        _ => Err(BadSource { kind: config.kind, problems }),
    }
}

/// The streams of a source under these settings, whether turned on or not. Needs no network and no credential.
///
/// # Errors
/// [`BadSource`] when the settings are refused.
pub fn streams_of(kind: SourceKind, settings: &str) -> Result<Vec<StreamTraits>, BadSource> {
    let streams =
        of!(kind, vendor => vendor::Settings::parse(settings).map(|settings| vendor::streams::traits(&settings)));
    streams.map_err(|bad| BadSource { kind, problems: bad.0 })
}

/// Whether a stream is copied where a deployment says `all`. The others cost more than they are worth to most, and are
/// named where they are wanted.
pub fn is_on_by_default(kind: SourceKind, stream: &StreamName) -> bool {
    of!(kind, vendor => vendor::streams::is_on_by_default(stream))
}

/// Whether a stream's schedule is `ScanRate`, because its list takes no lower bound.
///
/// The template's schedules do not depend on a source's settings: whether a stream is scanned is its default. Streams that
/// the settings name have schedules of their own.
pub fn is_scanned(kind: SourceKind, settings: &str, stream: &StreamName) -> bool {
    let by_default = streams_of(kind, "{}").unwrap_or_default();
    let added = streams_of(kind, settings).unwrap_or_default();
    by_default.iter().chain(&added).find(|known| known.name == *stream).is_some_and(|known| !known.filtered)
}

/// What the names of a source's parameters and outputs begin with.
pub fn parameter_prefix(kind: SourceKind) -> &'static str {
    of!(kind, vendor => vendor::PREFIX)
}

/// What the secret of a source holds: the members of its JSON object.
pub fn credential_members(kind: SourceKind) -> &'static [&'static str] {
    of!(kind, vendor => &vendor::SECRET)
}

/// Settings that may be right where a check of a probe fails, the likeliest first; none for settings that are refused.
pub fn alternatives(kind: SourceKind, settings: &str, stream: &StreamName, check: Check) -> Vec<Value> {
    let found = of!(kind, vendor => vendor::Settings::parse(settings).map(|known| known.alternatives(stream, check)));
    found.unwrap_or_default()
}

/// The parts of a feed's first import that may be refused one by one: the record stream, and where its list begins.
pub fn feed_parts(kind: SourceKind, settings: &str) -> Vec<(StreamName, String)> {
    match kind {
        SourceKind::FieldAware => FieldAwareSettings::parse(settings)
            .map(|settings| fieldaware::snapshot::parts(&settings))
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The names of a source's streams, whether turned on or not. `settings` may name further ones; those that are refused add
/// none.
pub fn stream_names(kind: SourceKind, settings: &str) -> Vec<StreamName> {
    let streams = streams_of(kind, settings).or_else(|_| streams_of(kind, "{}")).unwrap_or_default();
    streams.into_iter().map(|stream| stream.name).collect()
}

/// The streams that a source's records are kept under: those that are polled, but for a feed, which names several.
pub fn record_streams(kind: SourceKind, settings: &str) -> Vec<StreamName> {
    match kind {
        SourceKind::FieldAware => fieldaware::streams::record_streams(),
        _ => stream_names(kind, settings),
    }
}

/// The record that an id owed by a polled stream stands for: itself, but for a feed, whose ids are locators. None for
/// what is no locator.
pub fn record_of(kind: SourceKind, polled: &StreamName, id: &RecordId) -> Option<(StreamName, RecordId)> {
    match kind {
        SourceKind::FieldAware => fieldaware::locator::record_of(id),
        _ => Some((polled.clone(), id.clone())),
    }
}

/// Where a fetch of a record is owed: the polled stream, and the id under which it lists the record.
///
/// None for a FieldAware record whose path is not known without its user; its locator is taken as an id too.
pub fn owed_as(kind: SourceKind, records: &StreamName, id: &RecordId) -> Option<(StreamName, RecordId)> {
    match kind {
        SourceKind::FieldAware => Some((fieldaware::streams::feed(), fieldaware::locator::listed_id(records, id)?)),
        _ => Some((records.clone(), id.clone())),
    }
}

/// A list of streams that is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadStreams {
    /// It names nothing.
    #[error("no stream is named; write all, or some of {}", known.join(", "))]
    Empty {
        /// What may be named.
        known: Vec<String>,
    },
    /// It names what the source does not have.
    #[error("there is no stream {}; write all, or some of {}", unknown.join(", "), known.join(", "))]
    Unknown {
        /// What was named; control characters escaped.
        unknown: Vec<String>,
        /// What may be named.
        known: Vec<String>,
    },
}

/// Reads the value of `<Source>Streams`: stream names with commas between, `all` for every one that is on by default.
///
/// Answers them in the source's order, each once. `settings` may name further streams; those that are refused add none.
///
/// # Errors
/// [`BadStreams`], naming all unknown streams and those that there are.
pub fn parse_streams(kind: SourceKind, settings: &str, text: &str) -> Result<Vec<StreamName>, BadStreams> {
    let known = stream_names(kind, settings);
    let listed: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let known_texts = || known.iter().map(|name| name.as_str().to_owned()).collect();
    if listed.is_empty() {
        return Err(BadStreams::Empty { known: known_texts() });
    }
    let unknown: Vec<String> = listed
        .iter()
        .filter(|listed| **listed != ALL && known.iter().all(|name| name.as_str() != **listed))
        .map(|listed| listed.chars().take(64).flat_map(char::escape_debug).collect())
        .collect();
    if !unknown.is_empty() {
        return Err(BadStreams::Unknown { unknown, known: known_texts() });
    }
    let is_wanted =
        |name: &StreamName| listed.contains(&name.as_str()) || (listed.contains(&ALL) && is_on_by_default(kind, name));
    Ok(known.into_iter().filter(is_wanted).collect())
}

/// Every stream that is on by default.
const ALL: &str = "all";

impl<C, K> AnySource<C, K> {
    /// A setting that the source has replaced by itself, because the vendor takes another value.
    pub fn adopted(&self) -> Option<Value> {
        match self {
            Self::FieldMotion(source) => source.adopted(),
            _ => None,
        }
    }
}

impl<C: Clock, K: Credentials> Source for AnySource<C, K> {
    fn kind(&self) -> SourceKind {
        on!(self, source => source.kind())
    }

    fn streams(&self) -> &[StreamTraits] {
        on!(self, source => source.streams())
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        on!(self, source => source.list(stream, request).await)
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        on!(self, source => source.fetch(stream, id).await)
    }

    async fn account_mark(&self) -> Result<String, SourceFailure> {
        on!(self, source => source.account_mark().await)
    }

    fn reading(&self, at: VendorMillis) -> StampMillis {
        on!(self, source => source.reading(at))
    }

    fn stamp(&self, stream: &StreamName, text: &str) -> Option<Stamp> {
        on!(self, source => source.stamp(stream, text))
    }

    fn record_of(&self, stream: &StreamName, id: &RecordId) -> Result<(StreamName, RecordId), SourceFailure> {
        on!(self, source => source.record_of(stream, id))
    }

    fn apart(&self, cursor: Option<&str>) -> Option<(Later, Option<String>)> {
        on!(self, source => source.apart(cursor))
    }

    fn joined_event(&self, earlier: &Body, later: &Body) -> Body {
        on!(self, source => source.joined_event(earlier, later))
    }
}

impl<C: Clock, K: Credentials> Shown for AnySource<C, K> {
    fn swept(&self, stream: &StreamName) -> Vec<(StreamName, Absence)> {
        on!(self, source => source.swept(stream))
    }

    fn listed_id(&self, records: &StreamName, id: &RecordId) -> Option<RecordId> {
        on!(self, source => source.listed_id(records, id))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use secrecy::SecretString;
    use serde_json::json;
    use tidemark_engine::clock::LocalMillis;
    use tidemark_engine::stream::ListShape;

    use super::*;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> LocalMillis {
            LocalMillis::new(1_767_225_600_000)
        }

        async fn sleep(&self, _span: Duration) {}
    }

    struct NoSecret;

    impl Credentials for NoSecret {
        async fn secret(&self) -> Result<SecretString, SourceFailure> {
            Ok("{}".into())
        }

        async fn fresh_secret(&self) -> Result<SecretString, SourceFailure> {
            Ok("{}".into())
        }
    }

    const KIND: SourceKind = SourceKind::FieldMotion;
    const NAMES: [&str; 9] =
        ["customers", "jobs", "assets", "asset_types", "tasks", "users", "vehicles", "departments", "stock_containers"];

    fn texts(names: &[StreamName]) -> Vec<&str> {
        names.iter().map(StreamName::as_str).collect()
    }

    #[test]
    fn a_source_is_built_from_text() {
        let config =
            SourceConfig { kind: KIND, base_url: "http://127.0.0.1:9", settings: "{}", requests_per_second: "2" };
        let source = build(config, NoSecret, Stopped).unwrap();
        assert_eq!(source.kind(), KIND);
        let names: Vec<StreamName> = source.streams().iter().map(|stream| stream.name.clone()).collect();
        assert_eq!(texts(&names), NAMES);
    }

    #[test]
    fn all_problems_of_a_configuration_come_together() {
        let config = SourceConfig {
            kind: KIND,
            base_url: "http://user:s3cret@host",
            settings: r#"{"x":1,"timezone":7}"#,
            requests_per_second: "fast",
        };
        let error = build(config, NoSecret, Stopped).err().unwrap();
        assert_eq!(error.problems.len(), 4, "{error}");
        assert!(error.to_string().starts_with("fieldmotion: "));
        assert!(!error.to_string().contains("s3cret"));
    }

    #[test]
    fn every_source_has_streams_that_need_no_network() {
        for kind in SourceKind::ALL {
            let streams = streams_of(*kind, "{}").unwrap();
            let names: Vec<StreamName> = streams.iter().map(|stream| stream.name.clone()).collect();
            assert!(!names.is_empty());
        }
        assert!(streams_of(KIND, "[]").is_err());
    }

    /// What template, local cloud and their tests know of a source. Its title and its demo are theirs alone.
    #[test]
    fn the_registry_that_others_read_says_what_the_code_says() {
        let of_code = |kind: &SourceKind| {
            let streams = streams_of(*kind, "{}").unwrap();
            let of = |stream: &StreamTraits| {
                let (name, is_on) = (stream.name.as_str(), is_on_by_default(*kind, &stream.name));
                json!({"name": name, "on_by_default": is_on, "filtered": stream.filtered})
            };
            let mut known = json!({
                "prefix": parameter_prefix(*kind),
                "secret": credential_members(*kind),
                "lists_rows": streams.iter().all(|stream| stream.shape == ListShape::Pages),
                "streams": streams.iter().map(of).collect::<Vec<_>>(),
            });
            let source = built(*kind, "{}");
            let kept = streams.iter().flat_map(|stream| source.swept(&stream.name)).map(|(records, _)| records);
            let kept: Vec<StreamName> = kept.collect();
            if kept.iter().ne(streams.iter().map(|stream| &stream.name)) {
                known["record_streams"] = json!(texts(&kept));
            }
            (kind.as_str(), known)
        };
        let listed: BTreeMap<&str, Value> = SourceKind::ALL.iter().map(of_code).collect();
        let mut written: BTreeMap<&str, Value> = serde_json::from_str(include_str!("../sources.json")).unwrap();
        for known in written.values_mut().filter_map(Value::as_object_mut) {
            known.retain(|name, _| !["title", "on_locally", "demo"].contains(&name.as_str()));
        }
        assert_eq!(written, listed, "sources.json should say: {}", serde_json::to_string_pretty(&listed).unwrap());
    }

    #[test]
    fn stock_containers_alone_bear_no_stamp() {
        for stream in streams_of(KIND, "").unwrap() {
            assert_eq!(stream.stamped, stream.name.as_str() != "stock_containers", "{}", stream.name);
        }
    }

    fn built(kind: SourceKind, settings: &str) -> AnySource<Stopped, NoSecret> {
        let config = SourceConfig { kind, base_url: "http://127.0.0.1:9", settings, requests_per_second: "2" };
        build(config, NoSecret, Stopped).unwrap()
    }

    #[test]
    fn the_vendors_clock_is_read_as_its_stamps_are_written() {
        let at = VendorMillis::new(1_782_900_000_000);
        for kind in SourceKind::ALL {
            assert_eq!(built(*kind, "{}").reading(at).get(), at.get(), "{kind}");
        }
        let berlin = built(KIND, r#"{"timezone":"Europe/Berlin"}"#);
        assert_eq!(berlin.reading(at), berlin.stamp(&StreamName::known("jobs"), "2026-07-01 12:00:00").unwrap().at);
    }

    #[test]
    fn a_stamp_is_read_again_where_the_records_of_the_stream_bear_one() {
        let text = "2026-07-01T10:00:00Z";
        for (kind, settings, stream, is_read) in [
            (SourceKind::FieldMotion, "{}", "jobs", true),
            (SourceKind::FieldMotion, "{}", "stock_containers", false),
            (SourceKind::FieldMotion, "{}", "users", true),
            (SourceKind::FieldMotion, "{}", "ships", false),
            (SourceKind::FieldAware, "{}", "changes", true),
            (SourceKind::FsmNavigator, "{}", "jobs", true),
            (SourceKind::FsmNavigator, r#"{"unstamped":["jobs"]}"#, "jobs", false),
            (SourceKind::FsmNavigator, "{}", "ships", false),
            (SourceKind::Fieldly, "{}", "clients", true),
            (SourceKind::Fieldly, r#"{"updated_fields":{"clients":null}}"#, "clients", false),
            (SourceKind::Fieldly, "{}", "ships", false),
        ] {
            let (source, stream) = (built(kind, settings), StreamName::known(stream));
            let at = source.stamp(&stream, text).map(|stamp| stamp.at.get());
            assert_eq!(at, is_read.then_some(1_782_900_000_000), "{kind} {settings} {stream}");
            assert_eq!(source.stamp(&stream, "soon"), None);
        }
    }

    #[test]
    fn a_record_is_owed_as_it_is_listed_and_back() {
        let id = |text: &str| RecordId::parse(text).unwrap();
        for (kind, records, given, polled, owed) in [
            (SourceKind::FieldMotion, "jobs", "7", "jobs", Some("7")),
            (SourceKind::FieldAware, "jobs", "7cc5", "changes", Some("jobs/job/7cc5")),
            (SourceKind::FieldAware, "jobs", "jobs/job/7cc5", "changes", Some("jobs/job/7cc5")),
            (SourceKind::FieldAware, "unavailable_times", "2", "changes", None),
            (
                SourceKind::FieldAware,
                "unavailable_times",
                "unavailable_times/user/1/unavailability/2",
                "changes",
                Some("unavailable_times/user/1/unavailability/2"),
            ),
            (SourceKind::FieldAware, "jobs", "customers/customer/1", "changes", None),
        ] {
            let records = StreamName::known(records);
            let found = owed_as(kind, &records, &id(given));
            let expected = owed.map(|owed| (StreamName::known(polled), id(owed)));
            assert_eq!(found, expected, "{kind} {records} {given}");
            if let Some((polled, owed)) = found {
                assert_eq!(record_of(kind, &polled, &owed).unwrap().0, records);
                assert!(record_streams(kind, "{}").contains(&records) && stream_names(kind, "{}").contains(&polled));
            }
        }
        assert_eq!(record_of(SourceKind::FieldAware, &StreamName::known("changes"), &id("ships/1")), None);
    }

    #[test]
    fn stream_lists_are_read_in_the_sources_order() {
        for (text, expected) in [
            ("all", &NAMES[..8]),
            (" all ", &NAMES[..8]),
            ("stock_containers,all", &NAMES[..]),
            ("jobs,customers", &["customers", "jobs"]),
            (" tasks , tasks,", &["tasks"]),
        ] {
            assert_eq!(texts(&parse_streams(KIND, "{}", text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn unknown_streams_are_named_beside_the_known_ones() {
        let error = parse_streams(KIND, "{}", "jobs,job,all,Customers").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no stream job, Customers; write all, or some of customers, jobs, \
             assets, asset_types, tasks, users, vehicles, departments, stock_containers"
        );
        for text in ["", " ", ",,"] {
            assert!(matches!(parse_streams(KIND, "{}", text), Err(BadStreams::Empty { .. })), "{text}");
        }
    }
}
