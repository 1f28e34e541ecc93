//! Trying a source out for a person: what its credential may do, whether its filter is applied, and which settings help.
//!
//! A probe makes the calls that polling and fetching make, through the same [`Source`], and stores nothing. What a source
//! alone can say is which of its settings may be wrong; each of them is tried by building the source again with it and
//! asking the same questions.
//!
//! Whether a filter is applied shows in what a list must not show: nothing was edited the day after tomorrow. Whether it
//! means "since" shows in what a list must show: a record whose stamp is above the bound.
//!
//! How one could get it wrong: try settings after a rejected credential (the vendor may lock the key), judge a filter by a
//! list that is empty anyway, or let a body into an answer.

mod facts;
mod trial;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::IntoStaticStr;
use tidemark_engine::change::{Change, Found, ListRequest};
use tidemark_engine::failure::{SourceFailure, causes};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};

use self::trial::Trial;
use crate::registry::BadSource;

/// What a probe builds its sources with.
pub trait Bench {
    /// What it builds.
    type Source: Source;
    /// The vendor.
    fn kind(&self) -> SourceKind;
    /// The settings of the deployment.
    fn settings(&self) -> &str;
    /// Builds the source with these settings, its credential not read yet.
    ///
    /// # Errors
    /// [`BadSource`] when the settings are refused.
    fn build(&self, settings: &str) -> Result<Self::Source, BadSource>;
    /// Settings that may be right where this check fails, the likeliest first: each an object that is laid over the
    /// settings of the deployment.
    fn alternatives(&self, stream: &StreamName, check: Check) -> Vec<Value>;
    /// A setting that the source has replaced by itself, because the vendor takes another value.
    fn adopted(&self, source: &Self::Source) -> Option<Value>;
    /// The parts of a feed's first import that may be refused one by one: the record stream, and where its list begins.
    fn parts(&self) -> Vec<(StreamName, String)>;
}

/// What a probe looks at. Its name is the same in reports and in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Check {
    /// Whether the vendor answers at all.
    Reach,
    /// Whether the credential can be read and is accepted.
    Credential,
    /// Whether the stream may be listed.
    List,
    /// Whether the list's lower bound is applied.
    Filter,
    /// Whether a record may be fetched by its id.
    Fetch,
    /// Whether the vendor's clock is right.
    Clock,
    /// Whether stamps are read in the right time zone.
    Zone,
    /// Whether a setting should be another one.
    Settings,
}

impl Check {
    /// Whether it says something of the whole source.
    pub fn is_of_source(self) -> bool {
        matches!(self, Self::Reach | Self::Credential | Self::Clock | Self::Settings)
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It works, and could be better, or there is a doubt.
    Warning,
    /// It does not work.
    Failure,
    /// It could not be seen.
    Unseen,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found, in words for a person.
    pub what: String,
    /// What that person can do.
    pub next: Option<String>,
    /// The record stream that it is about, where a polled stream has several.
    pub part: Option<StreamName>,
}

/// What the probe of a stream found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamProbe {
    /// What each check found.
    pub findings: Vec<Finding>,
    /// How many vendor calls a first import makes, where that shows.
    pub import_calls_count: Option<u64>,
}

/// What the vendor answers for one record: never its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RecordProbe {
    /// It is there.
    There {
        /// Its stamp, as the vendor writes it.
        stamp: Option<String>,
        /// The same as an instant in RFC 3339.
        stamped_at: Option<String>,
        /// The hash of its body, in hexadecimal, as `explain` shows that of the copy.
        hash: String,
    },
    /// The vendor says in its own words that it is not there.
    Gone,
    /// The answer is empty, or a "not found" that may be another's.
    Missing,
    /// The call failed.
    Failed {
        /// What happened.
        cause: String,
        /// What a person can do.
        next: String,
    },
}

/// What the vendor's list shows now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ListProbe {
    /// It can be read.
    Shown {
        /// What it shows first, in the vendor's order, at most a hundred.
        entries: Vec<Entry>,
        /// How many there are on its first page, or in all where it has no pages.
        count: usize,
    },
    /// The call failed.
    Failed {
        /// What happened.
        cause: String,
        /// What a person can do.
        next: String,
    },
}

/// One entry of a list: never its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The record's id, as the stream lists it.
    pub id: String,
    /// Its stamp, as the vendor writes it.
    pub stamp: Option<String>,
    /// Whether the vendor announces that it was deleted.
    pub is_deleted: bool,
}

/// The most entries of a list that are shown.
const ENTRIES_MAX: usize = 100;

/// Asks the vendor for a list, or its first page. `turn` waits until a call may be made.
///
/// # Errors
/// Those of waiting.
pub async fn list<S: Source, E>(
    source: &S,
    turn: impl AsyncFn() -> Result<(), E>,
    stream: &StreamName,
    request: ListRequest<'_>,
) -> Result<ListProbe, E> {
    turn().await?;
    Ok(match source.list(stream, request).await {
        Ok(page) => {
            let count = page.changes.len();
            let entry = |change: Change| Entry {
                stamp: change.stamp().map(|stamp| stamp.text.clone()),
                is_deleted: change.deleted,
                id: change.id.to_string(),
            };
            ListProbe::Shown { entries: page.changes.into_iter().take(ENTRIES_MAX).map(entry).collect(), count }
        }
        Err(failure) => ListProbe::Failed { cause: causes(&failure), next: next_step(&failure) },
    })
}

/// Asks the vendor for one record's present version. `turn` waits until a call may be made.
///
/// # Errors
/// Those of waiting.
pub async fn record<S: Source, E>(
    source: &S,
    turn: impl AsyncFn() -> Result<(), E>,
    stream: &StreamName,
    id: &RecordId,
) -> Result<RecordProbe, E> {
    turn().await?;
    Ok(match source.fetch(stream, id).await {
        Ok(detail) => match detail.found {
            Found::Record { body, stamp, .. } => RecordProbe::There {
                stamped_at: stamp.as_ref().map(|stamp| stamp.utc.to_string()),
                stamp: stamp.map(|stamp| stamp.text),
                hash: body.fingerprint().to_string(),
            },
            Found::Gone => RecordProbe::Gone,
            Found::Missing => RecordProbe::Missing,
        },
        Err(failure) => RecordProbe::Failed { cause: causes(&failure), next: next_step(&failure) },
    })
}

/// Tries a stream out. `turn` waits until a call may be made.
///
/// # Errors
/// Those of waiting.
pub async fn stream<B: Bench, E>(
    bench: &B,
    clock: &impl Clock,
    turn: impl AsyncFn() -> Result<(), E>,
    name: &StreamName,
) -> Result<StreamProbe, E> {
    Trial::new(bench, clock, turn, name).run().await
}

fn next_step(failure: &SourceFailure) -> String {
    failure.next_step.unwrap_or(failure.class.next_step()).to_owned()
}

/// Settings with others laid over them; an object within them is laid over in the same way.
fn laid_over(settings: &str, other: &Value) -> String {
    let mut laid: Map<String, Value> = serde_json::from_str(settings).unwrap_or_default();
    for (key, value) in other.as_object().into_iter().flatten() {
        match (laid.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
            (Some(inner), Some(values)) => inner.extend(values.clone()),
            _ => drop(laid.insert(key.clone(), value.clone())),
        }
    }
    Value::Object(laid).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_laid_over_others_stream_by_stream() {
        for (settings, other, laid) in [
            ("", json!({"a": 1}), json!({"a": 1})),
            (r#"{"a":1,"b":{"x":1}}"#, json!({"b": {"y": null}}), json!({"a": 1, "b": {"x": 1, "y": null}})),
            (r#"{"a":1,"b":2}"#, json!({"b": {"y": 3}}), json!({"a": 1, "b": {"y": 3}})),
            (r#"{"b":{"x":1}}"#, json!({"b": {"x": 2}}), json!({"b": {"x": 2}})),
        ] {
            let text = laid_over(settings, &other);
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), laid, "{settings} {other}");
        }
    }
}
