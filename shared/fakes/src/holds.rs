//! Barriers: requests that arrive and stay unanswered until released.

use serde::{Deserialize, Serialize};

use super::vendor::{Call, CallKind};

/// Which requests are held. Every field left out matches everything, except `call`, which then means details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The kind of call.
    #[serde(default = "detail")]
    pub call: CallKind,
    /// The stream.
    #[serde(default)]
    pub stream: Option<String>,
    /// The record asked for.
    #[serde(default)]
    pub id: Option<String>,
    /// Holds so many requests; without it, all until released.
    #[serde(default)]
    pub times: Option<u32>,
    /// Computes the answer on arrival rather than on release, so that what is released is old by then.
    #[serde(default)]
    pub stale: bool,
}

fn detail() -> CallKind {
    CallKind::Detail
}

impl Hold {
    /// Holds requests for one record's detail.
    pub fn detail(stream: &str, id: &str) -> Self {
        Self {
            call: CallKind::Detail,
            stream: Some(stream.to_owned()),
            id: Some(id.to_owned()),
            times: None,
            stale: false,
        }
    }

    /// Holds lists of a stream.
    pub fn list(stream: &str) -> Self {
        Self { call: CallKind::List, stream: Some(stream.to_owned()), id: None, times: None, stale: false }
    }
}

/// Names the holds that a release or a question is about. Fields left out match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldFilter {
    /// The stream.
    #[serde(default)]
    pub stream: Option<String>,
    /// The record.
    #[serde(default)]
    pub id: Option<String>,
}

impl HoldFilter {
    /// All of one record.
    pub fn of(stream: &str, id: &str) -> Self {
        Self { stream: Some(stream.to_owned()), id: Some(id.to_owned()) }
    }

    fn covers(&self, stream: Option<&str>, id: Option<&str>) -> bool {
        (self.stream.is_none() || self.stream.as_deref() == stream) && (self.id.is_none() || self.id.as_deref() == id)
    }
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRequest {
    /// Its number in the request log.
    pub number: u64,
    /// The function asked for.
    pub function: String,
    /// The stream.
    pub stream: Option<String>,
    /// The record asked for.
    pub id: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Holds {
    placed: Vec<(u64, Hold)>,
    held: Vec<(u64, HeldRequest)>,
    last_key: u64,
}

impl Holds {
    pub(crate) fn place(&mut self, hold: Hold) {
        self.last_key += 1;
        self.placed.push((self.last_key, hold));
    }

    /// Takes a request in; answers the hold's key and whether its answer is to be computed at once.
    pub(crate) fn catch(&mut self, number: u64, call: &Call) -> Option<(u64, bool)> {
        let (key, hold) = self.placed.iter_mut().find(|(_, hold)| {
            hold.times != Some(0)
                && hold.call == call.kind
                && (hold.stream.is_none() || hold.stream.as_deref() == call.stream)
                && (hold.id.is_none() || hold.id == call.id)
        })?;
        if let Some(times) = &mut hold.times {
            *times -= 1;
        }
        let request = HeldRequest {
            number,
            function: call.function.clone(),
            stream: call.stream.map(str::to_owned),
            id: call.id.clone(),
        };
        self.held.push((*key, request));
        Some((*key, hold.stale))
    }

    pub(crate) fn is_placed(&self, key: u64) -> bool {
        self.placed.iter().any(|(placed, _)| *placed == key)
    }

    /// The request was released, or its client went away.
    pub(crate) fn let_go(&mut self, number: u64) {
        self.held.retain(|(_, request)| request.number != number);
    }

    /// Ends the holds that the filter covers, by what they hold or by what they were placed on.
    pub(crate) fn release(&mut self, filter: &HoldFilter) {
        let held = &self.held;
        self.placed.retain(|(key, hold)| {
            let holding =
                held.iter().any(|(by, held)| by == key && filter.covers(held.stream.as_deref(), held.id.as_deref()));
            !holding && !filter.covers(hold.stream.as_deref(), hold.id.as_deref())
        });
    }

    pub(crate) fn held(&self, filter: &HoldFilter) -> Vec<HeldRequest> {
        self.held
            .iter()
            .map(|(_, request)| request)
            .filter(|request| filter.covers(request.stream.as_deref(), request.id.as_deref()))
            .cloned()
            .collect()
    }
}
