//! What an event asks the poller to do.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tidemark_engine::clock::VendorMillis;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::StreamName;
use tidemark_sweep::SAMPLE_MAX;
use tidemark_sweep::state::Range;

/// One event: `{"stream":"customers"}` from a schedule; with one more key it is an operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The stream; none for `{"sweep":true}`, which is for every stream that is turned on.
    pub(crate) stream: Option<StreamName>,
    /// What to do with it.
    pub(crate) asked: Asked,
}

/// What to do with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// One tick.
    Poll,
    /// `"account":"keep"`: accept the account and the settings as they are now, and keep the copy.
    KeepCopy,
    /// `"account":"start_again"`: accept them, and import everything.
    StartAgain,
    /// `"rewind_to":"2026-02-24T10:00:00Z"`: list everything since this instant again.
    Rewind(VendorMillis),
    /// `"probe":"stream"`: try the stream out at the vendor.
    ProbeStream,
    /// `"probe":"list"`: ask the vendor for what the next poll would list.
    ProbeList,
    /// `"probe":{"record":"683136"}`: ask the vendor for the present version of a listed id.
    ProbeRecord(RecordId),
    /// `"sweep":true`: compare the copy with everything that the vendor lists; `"sweep":{"sample":200}` also says how many
    /// records are fetched and compared where lists give ids alone.
    Sweep(Option<u64>),
    /// `"sweep":"approve"`: fetch what the last sweep withheld.
    ApproveSweep,
    /// `"backfill":{"from":"2026-02-01T00:00:00Z","to":"2026-02-24T00:00:00Z"}`: list a range again, and fetch it.
    Backfill(Range),
    /// The same with `"estimate":true`: see how much that is.
    EstimateBackfill(Range),
    /// `"backfill":"cancel"`: end the backfill that waits or is under way.
    CancelBackfill,
}

/// Why an event is refused. It repeats nothing of the event but the name of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadEvent {
    /// It is not an object.
    Shape(&'static str),
    /// It names no stream.
    NoStream,
    /// The stream's name is not a valid one.
    StreamName,
    /// It has an unknown key.
    UnknownKey(String),
    /// `account` is neither of its two values.
    Account,
    /// `rewind_to` is not an instant.
    RewindTo,
    /// `probe` is neither of its two values.
    Probe,
    /// `sweep` is neither of its two values.
    Sweep,
    /// `backfill` is neither a range nor `cancel`.
    Backfill,
    /// Several acts together.
    Several,
}

impl fmt::Display for BadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(shape) => f.write_str(shape),
            Self::NoStream => f.write_str("an object without \"stream\""),
            Self::StreamName => f.write_str("an object whose \"stream\" is not a stream name"),
            Self::UnknownKey(key) => write!(f, "an object with the unknown key {key:?}"),
            Self::Account => f.write_str("an object whose \"account\" is neither \"keep\" nor \"start_again\""),
            Self::RewindTo => {
                f.write_str("an object whose \"rewind_to\" is not an instant such as \"2026-02-24T10:00:00Z\"")
            }
            Self::Probe => f.write_str("an object whose \"probe\" is neither \"stream\", \"list\" nor {\"record\":\"<id>\"}"),
            Self::Sweep => f.write_str("an object whose \"sweep\" is neither true, {\"sample\":<1 to 1000>} nor \"approve\""),
            Self::Backfill => f.write_str(
                "an object whose \"backfill\" is neither \"cancel\" nor {\"from\":\"<instant>\"} with or without \"to\" and \
                 \"estimate\":true",
            ),
            Self::Several => {
                write!(f, "an object with several of {}; ask for one after the other", ACTS.join(", "))
            }
        }
    }
}

impl Event {
    /// Reads an event; also one that is the text of a JSON string, as a schedule with an escaped input sends it.
    pub(crate) fn read(payload: &Value) -> Result<Self, BadEvent> {
        let unwrapped: Option<Value> = payload.as_str().and_then(|text| serde_json::from_str(text).ok());
        let members = match unwrapped.as_ref().unwrap_or(payload) {
            Value::Object(members) => members,
            Value::Null => return Err(BadEvent::Shape("empty")),
            Value::Bool(_) | Value::Number(_) => return Err(BadEvent::Shape("a bare value")),
            Value::String(_) => return Err(BadEvent::Shape("a text that is not a JSON object")),
            Value::Array(_) => return Err(BadEvent::Shape("a list")),
        };
        let parse = |name: &Value| StreamName::parse(name.as_str()?).ok();
        let stream = members.get("stream").map(|name| parse(name).ok_or(BadEvent::StreamName)).transpose()?;
        let asked = asked(members)?;
        if stream.is_none() && !matches!(asked, Asked::Sweep(_)) {
            return Err(BadEvent::NoStream);
        }
        Ok(Self { stream, asked })
    }
}

/// The keys beside `stream`.
const ACTS: [&str; 5] = ["account", "rewind_to", "probe", "sweep", "backfill"];

fn asked(members: &Map<String, Value>) -> Result<Asked, BadEvent> {
    if let Some(unknown) = members.keys().find(|key| *key != "stream" && !ACTS.contains(&key.as_str())) {
        return Err(BadEvent::UnknownKey(unknown.chars().take(40).collect()));
    }
    let mut given = members.iter().filter(|(key, _)| ACTS.contains(&key.as_str()));
    let Some((act, value)) = given.next() else { return Ok(Asked::Poll) };
    if given.next().is_some() {
        return Err(BadEvent::Several);
    }
    match act.as_str() {
        "account" => match value.as_str() {
            Some("keep") => Ok(Asked::KeepCopy),
            Some("start_again") => Ok(Asked::StartAgain),
            _ => Err(BadEvent::Account),
        },
        "rewind_to" => instant(value).map(Asked::Rewind).ok_or(BadEvent::RewindTo),
        "sweep" => match (value.as_bool(), value.as_str()) {
            (Some(true), _) => Ok(Asked::Sweep(None)),
            (_, Some("approve")) => Ok(Asked::ApproveSweep),
            _ => sample(value).map(|sample| Asked::Sweep(Some(sample))).ok_or(BadEvent::Sweep),
        },
        "backfill" => backfill(value).ok_or(BadEvent::Backfill),
        _ => probe(value).ok_or(BadEvent::Probe),
    }
}

fn instant(value: &Value) -> Option<VendorMillis> {
    let instant: Timestamp = value.as_str()?.parse().ok()?;
    Some(VendorMillis::new(instant.as_millisecond()))
}

fn sample(value: &Value) -> Option<u64> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.get("sample")?.as_u64().filter(|sample| (1..=SAMPLE_MAX).contains(sample))
}

fn backfill(value: &Value) -> Option<Asked> {
    if value.as_str() == Some("cancel") {
        return Some(Asked::CancelBackfill);
    }
    let members = value.as_object()?;
    if members.keys().any(|key| !["from", "to", "estimate"].contains(&key.as_str())) {
        return None;
    }
    let to = match members.get("to") {
        None => None,
        Some(to) => Some(instant(to)?),
    };
    let range = Range { from: instant(members.get("from")?)?, to };
    match members.get("estimate").map(Value::as_bool) {
        None => Some(Asked::Backfill(range)),
        Some(Some(true)) => Some(Asked::EstimateBackfill(range)),
        Some(_) => None,
    }
}

fn probe(value: &Value) -> Option<Asked> {
    match value.as_str() {
        Some("stream") => return Some(Asked::ProbeStream),
        Some("list") => return Some(Asked::ProbeList),
        _ => {}
    }
    let members = value.as_object().filter(|members| members.len() == 1)?;
    RecordId::parse(members.get("record")?.as_str()?).ok().map(Asked::ProbeRecord)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schedule_polls_and_an_operator_acts() {
        for (payload, asked) in [
            (json!({"stream": "customers"}), Asked::Poll),
            (json!("{\"stream\":\"customers\"}"), Asked::Poll),
            (json!({"stream": "customers", "account": "keep"}), Asked::KeepCopy),
            (json!({"stream": "customers", "account": "start_again"}), Asked::StartAgain),
            (
                json!({"stream": "customers", "rewind_to": "2026-02-24T10:00:00Z"}),
                Asked::Rewind(VendorMillis::new(1_771_927_200_000)),
            ),
            (
                json!({"stream": "customers", "rewind_to": "2026-02-24T11:00:00.5+01:00"}),
                Asked::Rewind(VendorMillis::new(1_771_927_200_500)),
            ),
            (json!({"stream": "customers", "sweep": true}), Asked::Sweep(None)),
            (json!({"stream": "customers", "sweep": {"sample": 200}}), Asked::Sweep(Some(200))),
            (json!({"stream": "customers", "sweep": "approve"}), Asked::ApproveSweep),
            (
                json!({"stream": "customers", "backfill": {"from": "2026-02-24T10:00:00Z"}}),
                Asked::Backfill(Range { from: VendorMillis::new(1_771_927_200_000), to: None }),
            ),
            (
                json!({"stream": "customers", "backfill": {
                    "from": "2026-02-24T10:00:00Z", "to": "2026-02-24T10:00:01Z", "estimate": true,
                }}),
                Asked::EstimateBackfill(Range {
                    from: VendorMillis::new(1_771_927_200_000),
                    to: Some(VendorMillis::new(1_771_927_201_000)),
                }),
            ),
            (json!({"stream": "customers", "backfill": "cancel"}), Asked::CancelBackfill),
            (json!({"stream": "customers", "probe": "stream"}), Asked::ProbeStream),
            (json!({"stream": "customers", "probe": "list"}), Asked::ProbeList),
            (
                json!({"stream": "customers", "probe": {"record": "683136"}}),
                Asked::ProbeRecord(RecordId::parse("683136").unwrap()),
            ),
        ] {
            let event = Event { stream: Some(StreamName::known("customers")), asked };
            assert_eq!(Event::read(&payload), Ok(event), "{payload}");
        }
        let all = Event { stream: None, asked: Asked::Sweep(None) };
        assert_eq!(Event::read(&json!({"sweep": true})), Ok(all));
    }

    #[test]
    fn what_an_event_should_not_be_is_named() {
        for (payload, bad) in [
            (json!(null), "empty"),
            (json!(7), "a bare value"),
            (json!("customers"), "a text that is not a JSON object"),
            (json!([]), "a list"),
            (json!({}), "an object without \"stream\""),
            (json!({"stream": 3}), "an object whose \"stream\" is not a stream name"),
            (json!({"stream": "Cust omers"}), "an object whose \"stream\" is not a stream name"),
            (json!({"stream": "customers", "sweeps\n": true}), "an object with the unknown key \"sweeps\\n\""),
            (json!({"stream": "customers", "account": "new"}), "neither \"keep\" nor \"start_again\""),
            (json!({"stream": "customers", "account": null}), "neither \"keep\" nor \"start_again\""),
            (json!({"stream": "customers", "rewind_to": "2026-02-24"}), "not an instant such as"),
            (json!({"stream": "customers", "rewind_to": "2026-02-24T10:00:00"}), "not an instant such as"),
            (json!({"stream": "customers", "rewind_to": 5}), "not an instant such as"),
            (json!({"stream": "customers", "probe": true}), "neither \"stream\", \"list\" nor"),
            (json!({"stream": "customers", "probe": {"record": ""}}), "neither \"stream\", \"list\" nor"),
            (
                json!({"stream": "customers", "probe": {"record": "1", "body": true}}),
                "neither \"stream\", \"list\" nor",
            ),
            (json!({"stream": "a", "account": "keep", "rewind_to": "2026-02-24T10:00:00Z"}), "one after the other"),
            (json!({"sweep": "approve"}), "an object without \"stream\""),
            (json!({"stream": "customers", "sweep": {"sample": 0}}), "neither true"),
            (json!({"stream": "customers", "sweep": {"sample": 1001}}), "neither true"),
            (json!({"stream": "customers", "sweep": {"sample": 9, "now": 1}}), "neither true"),
            (json!({"stream": "customers", "sweep": false}), "neither true, {\"sample\":<1 to 1000>} nor \"approve\""),
            (json!({"stream": "a", "account": "keep", "sweep": true}), "one after the other"),
            (json!({"stream": "a", "account": "keep", "probe": "stream"}), "one after the other"),
            (json!({"backfill": "cancel"}), "an object without \"stream\""),
            (json!({"stream": "a", "backfill": true}), "neither \"cancel\" nor"),
            (json!({"stream": "a", "backfill": {}}), "neither \"cancel\" nor"),
            (json!({"stream": "a", "backfill": {"from": "2026-02-24"}}), "neither \"cancel\" nor"),
            (
                json!({"stream": "a", "backfill": {"from": "2026-02-24T10:00:00Z", "to": null}}),
                "neither \"cancel\" nor",
            ),
            (json!({"stream": "a", "backfill": {"from": "2026-02-24T10:00:00Z", "estimate": 1}}), "neither \"cancel\""),
            (
                json!({"stream": "a", "backfill": {"from": "2026-02-24T10:00:00Z", "until": ""}}),
                "neither \"cancel\" nor",
            ),
        ] {
            let error = Event::read(&payload).unwrap_err().to_string();
            assert!(error.contains(bad), "{payload}: {error}");
        }
    }
}
