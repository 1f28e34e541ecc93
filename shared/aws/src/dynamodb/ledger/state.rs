//! What functions share, in the ledger.
//!
//! | item | attributes |
//! |---|---|
//! | `work#source#stream` / `state` | `mark` S, `failure_count` N, `open_until` N ms, `why` M, `last_stored_at` N ms, `late_0` to `late_7` N, `pause` M |
//! | `source#source` / `-` | `open_until` N ms, `open_for_ms` N, `why` M, `bulk` M of N ms by stream, `next_call_at` N ms, `pause` M |
//!
//! Each attribute is absent until there is something to say. `why` is `{class: S, retry_after_ms: N?, cause: S}`;
//! `pause`, an operator's, is `{since: N ms, until: N ms?, by: S, why: S}`; `next_call_at` is the schedule of calls, see [`super::schedule`].

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use tidemark_engine::clock::{LocalMillis, millis_of};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::health::{Breaker, Pause, SourceState, StreamState, Why};
use tidemark_engine::lateness::Lateness;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

use super::super::item::{BadShape, Item, Reader, instant, item, number, text};
use super::{key, work_of};

pub(super) const WRITE_MARK: &str = "SET #mark = :mark";
pub(super) const NOTE_STORED: &str = "SET #last_stored_at = :at ADD #late_0 :late_0, #late_1 :late_1, #late_2 :late_2, \
                                      #late_3 :late_3, #late_4 :late_4, #late_5 :late_5, #late_6 :late_6, #late_7 :late_7";
pub(super) const STORED_BEFORE: &str = "attribute_not_exists(#last_stored_at) OR #last_stored_at < :at";
pub(super) const ADD_FAILURES: &str = "ADD #failure_count :count";
pub(super) const PAUSE_STREAM: &str = "SET #open_until = :until, #why = :why";
pub(super) const PAUSE_SOURCE: &str = "SET #open_until = :until, #open_for_ms = :open_for_ms, #why = :why";
pub(super) const NOT_OPEN_FOR_LONGER: &str = "attribute_not_exists(#open_until) OR #open_until <= :until";
/// An update, not a deletion: the items hold more than the pause.
pub(super) const RESUME: &str = "REMOVE #failure_count, #open_until, #open_for_ms, #why";
/// The first note of a source makes the map that the others go into.
pub(super) const FIRST_BULK: &str = "SET #bulk = :bulk";
pub(super) const NO_BULK: &str = "attribute_not_exists(#bulk)";
pub(super) const SOME_BULK: &str = "attribute_exists(#bulk)";

#[cfg(feature = "operator")]
pub(super) const BEGIN_PAUSE: &str = "SET #pause = :pause";
#[cfg(feature = "operator")]
pub(super) const END_PAUSE: &str = "REMOVE #pause";

pub(super) fn stream_key_of(stream: &StreamKey) -> Item {
    key(work_of(stream), "state")
}

pub(super) fn source_key_of(source: SourceKind) -> Item {
    key(format!("source#{source}"), "-")
}

/// Notes that a stream has bulk work. A stream's name consists of characters that an alias may have.
pub(super) fn note_bulk(stream: &StreamName) -> String {
    format!("SET #bulk.#{stream} = :at")
}

pub(super) fn first_bulk(stream: &StreamName, at: LocalMillis) -> Item {
    item([(":bulk", AttributeValue::M(item([(stream.as_str(), instant(at))])))])
}

/// The values of [`NOTE_STORED`].
pub(super) fn stored(at: LocalMillis, late: &Lateness) -> Item {
    let counts = late.0.into_iter().enumerate().map(|(bin, count)| (format!(":late_{bin}"), number(count)));
    counts.chain([(":at".to_owned(), instant(at))]).collect()
}

fn lateness_of(state: Reader<'_>) -> Result<Lateness, BadShape> {
    let mut late = Lateness::default();
    for (bin, count) in late.0.iter_mut().enumerate() {
        *count = state.number_if_any(&format!("late_{bin}"))?.unwrap_or_default();
    }
    Ok(late)
}

pub(super) fn pause(until: LocalMillis, why: &Why) -> Item {
    item([(":until", instant(until)), (":why", why_value(why))])
}

pub(super) fn pause_of(until: LocalMillis, open_for: Duration, why: &Why) -> Item {
    let mut values = pause(until, why);
    values.insert(":open_for_ms".to_owned(), number(millis_of(open_for)));
    values
}

/// The values of [`BEGIN_PAUSE`].
#[cfg(feature = "operator")]
pub(super) fn begin_pause(pause: &Pause) -> Item {
    let mut found = item([("since", instant(pause.since)), ("by", text(&pause.by)), ("why", text(&pause.why))]);
    found.extend(pause.until.map(|until| ("until".to_owned(), instant(until))));
    item([(":pause", AttributeValue::M(found))])
}

fn pause_of_person(state: Reader<'_>) -> Result<Option<Pause>, BadShape> {
    let Some(found) = state.map_if_any("pause")? else { return Ok(None) };
    let pause = Reader::within(found, "pause");
    Ok(Some(Pause {
        since: pause.instant("since")?,
        until: pause.instant_if_any("until")?,
        by: pause.text("by")?.to_owned(),
        why: pause.text("why")?.to_owned(),
    }))
}

fn why_value(why: &Why) -> AttributeValue {
    let (class, retry_after) = match why.class {
        FailureClass::Transient => ("transient", None),
        FailureClass::Throttled { retry_after } => ("throttled", retry_after),
        FailureClass::Unauthorized => ("unauthorized", None),
        FailureClass::SecretLocked => ("secret_locked", None),
        FailureClass::Forbidden => ("forbidden", None),
        FailureClass::Record => ("record", None),
        FailureClass::TokenRejected => ("token_rejected", None),
    };
    let mut found = item([("class", text(class)), ("cause", text(&why.cause))]);
    found.extend(retry_after.map(|span| ("retry_after_ms".to_owned(), number(millis_of(span)))));
    AttributeValue::M(found)
}

fn why_of(item: &Item) -> Result<Why, BadShape> {
    let why = Reader::within(item, "why");
    let retry_after: Option<u64> = why.number_if_any("retry_after_ms")?;
    let class = match why.text("class")? {
        "transient" => FailureClass::Transient,
        "throttled" => FailureClass::Throttled { retry_after: retry_after.map(Duration::from_millis) },
        "unauthorized" => FailureClass::Unauthorized,
        "secret_locked" => FailureClass::SecretLocked,
        "forbidden" => FailureClass::Forbidden,
        "record" => FailureClass::Record,
        "token_rejected" => FailureClass::TokenRejected,
        _ => return Err(why.unknown("class")),
    };
    Ok(Why { class, cause: why.text("cause")?.to_owned() })
}

fn breaker_of(state: Reader<'_>) -> Result<Breaker, BadShape> {
    let open_for_ms: Option<u64> = state.number_if_any("open_for_ms")?;
    Ok(Breaker {
        failure_count: state.number_if_any("failure_count")?.unwrap_or_default(),
        open_until: state.instant_if_any("open_until")?,
        open_for: open_for_ms.map(Duration::from_millis),
        why: state.map_if_any("why")?.map(why_of).transpose()?,
    })
}

pub(super) fn stream_state_of(item: &Item) -> Result<StreamState, BadShape> {
    let state = Reader::of(item);
    Ok(StreamState {
        mark: state.text_if_any("mark")?.map(str::to_owned),
        breaker: breaker_of(state)?,
        last_stored_at: state.instant_if_any("last_stored_at")?,
        lateness: lateness_of(state)?,
        pause: pause_of_person(state)?,
    })
}

pub(super) fn source_state_of(item: &Item) -> Result<SourceState, BadShape> {
    let state = Reader::of(item);
    let mut bulk = BTreeMap::new();
    if let Some(noted) = state.map_if_any("bulk")? {
        let noted_at = Reader::within(noted, "bulk");
        for name in noted.keys() {
            let stream = StreamName::parse(name).map_err(|fault| BadShape(format!("bulk: {fault}")))?;
            bulk.insert(stream, noted_at.instant(name)?);
        }
    }
    Ok(SourceState { breaker: breaker_of(state)?, bulk, pause: pause_of_person(state)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::samples::{self, stream};
    use super::*;

    fn classes() -> impl Strategy<Value = FailureClass> {
        prop_oneof![
            Just(FailureClass::Transient),
            proptest::option::of(samples::durations()).prop_map(|retry_after| FailureClass::Throttled { retry_after }),
            Just(FailureClass::Unauthorized),
            Just(FailureClass::SecretLocked),
            Just(FailureClass::Forbidden),
            Just(FailureClass::Record),
            Just(FailureClass::TokenRejected),
        ]
    }

    /// The item that an update with these values makes where there is none.
    fn made(values: Item) -> Item {
        values.into_iter().map(|(name, value)| (name.replace(":until", "open_until").replace(':', ""), value)).collect()
    }

    proptest! {
        #[test]
        fn a_pause_survives_its_item(
            class in classes(), cause in ".{0,30}", until in samples::instants(), open_for in samples::durations(),
        ) {
            let why = Why { class, cause };
            let values = pause_of(until, open_for, &why);
            samples::assert_consistent(&[PAUSE_SOURCE, NOT_OPEN_FOR_LONGER], &values);
            samples::assert_consistent(&[PAUSE_STREAM, NOT_OPEN_FOR_LONGER], &pause(until, &why));
            let breaker =
                Breaker { failure_count: 0, open_until: Some(until), open_for: Some(open_for), why: Some(why) };
            prop_assert_eq!(source_state_of(&made(values)), Ok(SourceState { breaker, ..SourceState::default() }));
        }
    }

    #[cfg(feature = "operator")]
    proptest! {
        #[test]
        fn a_pause_of_a_person_survives_its_item(
            since in samples::instants(),
            until in proptest::option::of(samples::instants()),
            words in (".{0,30}", ".{0,30}"),
        ) {
            let pause = Pause { since, until, by: words.0, why: words.1 };
            let item = made(begin_pause(&pause));
            prop_assert_eq!(stream_state_of(&item).map(|state| state.pause), Ok(Some(pause.clone())));
            prop_assert_eq!(source_state_of(&item).map(|state| state.pause), Ok(Some(pause)));
        }
    }

    #[test]
    fn names_and_values_match() {
        let at = || item([(":at", instant(LocalMillis::new(1)))]);
        samples::assert_consistent(&[NOTE_STORED, STORED_BEFORE], &stored(LocalMillis::new(7), &Lateness::default()));
        samples::assert_consistent(&[&note_bulk(&stream().name), SOME_BULK], &at());
        samples::assert_consistent(&[FIRST_BULK, NO_BULK], &first_bulk(&stream().name, LocalMillis::new(1)));
    }

    #[test]
    fn what_has_no_item_is_undisturbed() {
        assert_eq!(source_state_of(&Item::new()), Ok(SourceState::default()));
        assert_eq!(stream_state_of(&Item::new()), Ok(StreamState::default()));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let odd = item([("why", AttributeValue::M(item([("class", text("canary"))])))]);
        assert_eq!(stream_state_of(&odd), Err(BadShape("why.class is not one that this program knows".to_owned())));
        let odd = item([("bulk", AttributeValue::M(item([("NOT A STREAM", number(1))])))]);
        assert!(source_state_of(&odd).is_err());
    }
}
