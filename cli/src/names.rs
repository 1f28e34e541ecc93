//! Sources and streams by name, and what was probably meant by another one.

use std::str::FromStr;

use strsim::damerau_levenshtein;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_sources::registry::{record_streams, stream_names};

use crate::failure::Failure;

/// How far a name may be from the one that was meant, and how many of its letters must be right for each that is wrong.
const DISTANCE_MAX: usize = 3;
const LETTERS_RIGHT: usize = 2;

/// Reads the name of a source.
///
/// # Errors
/// The sources that there are, the nearest one first.
pub(crate) fn parse_source(text: &str) -> Result<SourceKind, String> {
    let known: Vec<&str> = SourceKind::ALL.iter().map(|kind| kind.as_str()).collect();
    text.parse().map_err(|_| unknown("source", text, &known))
}

/// Reads an id.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_id(text: &str) -> Result<RecordId, String> {
    RecordId::parse(text).map_err(|bad| bad.to_string())
}

/// A source, or one stream of it, as `SOURCE` or `SOURCE/STREAM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The source.
    pub source: SourceKind,
    /// The polled stream, as it was written: which ones there are depends on the stack.
    pub stream: Option<String>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, stream) = text.split_once('/').map_or((text, None), |(source, stream)| (source, Some(stream)));
        Ok(Self { source: parse_source(source)?, stream: stream.map(str::to_owned) })
    }
}

/// A stream that is polled.
///
/// # Errors
/// [`Failure::Usage`] with the source's streams, the nearest one first.
pub(crate) fn polled(source: SourceKind, settings: &str, text: &str) -> Result<StreamName, Failure> {
    let polled = stream_names(source, settings);
    let is_record = record_streams(source, settings).iter().any(|stream| stream.as_str() == text);
    if is_record && polled.iter().all(|stream| stream.as_str() != text) {
        let feed = polled.first().map_or("", StreamName::as_str);
        let why = format!("{source} is one feed: its streams are polled together, as {feed}");
        return Err(Failure::Usage(format!("{why}\nnext: name the stream {feed}")));
    }
    find(source, text, &polled).map_err(Failure::Usage)
}

/// A stream that records are kept under.
///
/// # Errors
/// [`Failure::Usage`] with the source's streams, the nearest one first.
pub(crate) fn of_records(source: SourceKind, settings: &str, text: &str) -> Result<StreamName, Failure> {
    find(source, text, &record_streams(source, settings)).map_err(Failure::Usage)
}

fn find(source: SourceKind, text: &str, known: &[StreamName]) -> Result<StreamName, String> {
    let names: Vec<&str> = known.iter().map(StreamName::as_str).collect();
    let found = known.iter().find(|stream| stream.as_str() == text).cloned();
    found.ok_or_else(|| unknown(&format!("stream of {source}"), text, &names))
}

/// Says that there is no such name, and which ones there are.
fn unknown(what: &str, text: &str, known: &[&str]) -> String {
    let text: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    let distance = |name: &&&str| damerau_levenshtein(name, &text);
    let distance_max = DISTANCE_MAX.min(text.chars().count() / (LETTERS_RIGHT + 1));
    let nearest = known.iter().filter(|name| distance(name) <= distance_max).min_by_key(distance);
    let meant = nearest.map(|name| format!(" Did you mean {name}?")).unwrap_or_default();
    format!("there is no {what} called \"{text}\".{meant}\nnext: name one of {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_answered_with_the_right_one() {
        let error = parse_source("fieldmotoin").unwrap_err();
        assert!(error.contains("Did you mean fieldmotion?"), "{error}");
        let error = polled(SourceKind::Fieldly, "{}", "work_item").unwrap_err().to_string();
        assert!(error.contains("stream of fieldly") && error.contains("Did you mean work_items?"), "{error}");
        let error = polled(SourceKind::FieldMotion, "{}", "nope").unwrap_err().to_string();
        assert!(!error.contains("Did you mean"), "{error}");
        let error = parse_source("sap\u{1b}[2J").unwrap_err();
        assert!(
            !error.contains("Did you mean") && !error.contains('\u{1b}') && error.contains("fieldaware"),
            "{error}"
        );
    }

    #[test]
    fn a_place_is_a_source_or_a_stream() {
        let jobs = Place { source: SourceKind::FieldMotion, stream: Some("jobs".to_owned()) };
        assert_eq!("fieldmotion/jobs".parse(), Ok(jobs));
        assert_eq!("fieldly".parse(), Ok(Place { source: SourceKind::Fieldly, stream: None }));
    }

    #[test]
    fn a_feed_is_polled_as_one_stream() {
        let error = polled(SourceKind::FieldAware, "{}", "jobs").unwrap_err().to_string();
        assert!(error.contains("name the stream changes"), "{error}");
        assert_eq!(of_records(SourceKind::FieldAware, "{}", "jobs").unwrap(), StreamName::known("jobs"));
    }
}
