//! Faults: which requests go wrong, how often and how.

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};

use super::{
    clock::http_date,
    vendor::{Call, CallKind, Vendor},
    wire::{Delivery, Reply},
};

/// Something that happens instead of, or to, the true answer. JSON: `"empty_body"` or `{"error":"text"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Waits before the request is looked at; other faults still apply.
    Delay {
        /// For so long.
        ms: u64,
    },
    /// Answers exactly this.
    Answer(FixedAnswer),
    /// Answers `status` with a `Retry-After`.
    Throttled {
        /// 429 or 503, usually.
        status: u16,
        /// What the header says.
        retry_after: RetryAfter,
    },
    /// Status 200 and the vendor's error object around this text.
    Error(String),
    /// The vendor's answer to a bad signature.
    NotLoggedIn,
    /// Status 200 and an HTML page.
    MaintenancePage,
    /// Status 200 and nothing.
    EmptyBody,
    /// Status 200 and JSON that is neither list, row nor error.
    WrongShape,
    /// Status 200 and arrays in arrays.
    DeepJson {
        /// How many.
        depth: usize,
    },
    /// Status 200 and a body of no announced length that goes on up to this bound.
    EndlessBody {
        /// The bound.
        bytes: usize,
    },
    /// The row that was asked for, but carrying another id.
    OtherId {
        /// The other id.
        id: String,
    },
    /// Sends the client elsewhere.
    Redirect {
        /// 301, 302, 307 or 308.
        status: u16,
        /// The `Location`.
        to: String,
    },
    /// Reads the request, then closes the connection.
    CutBeforeAnswer,
    /// Closes the connection within the status line or headers of the true answer.
    CutHead {
        /// After so many bytes.
        after_bytes: usize,
    },
    /// Closes the connection within the true answer's body, which was announced longer.
    CutBody {
        /// After so many bytes of the body.
        after_bytes: usize,
        /// With a reset instead of an orderly close.
        #[serde(default)]
        reset: bool,
    },
    /// The true answer's body shortened, and announced as short as it is.
    Truncate {
        /// To so many bytes.
        bytes: usize,
    },
    /// The true answer with a text in it replaced wherever it occurs: an odd row, count, lifetime or next page.
    Replace {
        /// The text.
        text: String,
        /// What stands in its place.
        by: String,
    },
    /// Status 200 and the vendor's error object around a text of so many bytes, as gzip.
    Inflating {
        /// How many.
        bytes: usize,
    },
    /// The true answer, dribbling.
    SlowBody {
        /// So many bytes at a time.
        bytes: usize,
        /// With such a pause after each.
        every_ms: u64,
    },
}

/// An answer given word for word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body, empty if left out.
    #[serde(default)]
    pub body: String,
    /// JSON if left out.
    #[serde(default = "json_type")]
    pub content_type: String,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn json_type() -> String {
    "application/json".to_owned()
}

/// The three ways in which `Retry-After` comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date so many seconds from the vendor's now.
    DateInSeconds(i64),
    /// Any text, junk included.
    Text(String),
}

/// Which requests an effect concerns. Fields left out match everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The function's name, exactly.
    #[serde(default)]
    pub function: Option<String>,
    /// The kind of call.
    #[serde(default)]
    pub call: Option<CallKind>,
    /// The stream.
    #[serde(default)]
    pub stream: Option<String>,
    /// The record asked for.
    #[serde(default)]
    pub id: Option<String>,
    /// Lets so many matching requests through first.
    #[serde(default)]
    pub skip: u32,
    /// Concerns so many requests; without it, all until cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

impl Fault {
    /// An effect on every request until cleared.
    pub fn new(effect: Effect) -> Self {
        Self { function: None, call: None, stream: None, id: None, skip: 0, times: None, effect }
    }

    /// Only on this function.
    #[must_use]
    pub fn on_function(self, function: &str) -> Self {
        Self { function: Some(function.to_owned()), ..self }
    }

    /// Only on this kind of call.
    #[must_use]
    pub fn on_call(self, call: CallKind) -> Self {
        Self { call: Some(call), ..self }
    }

    /// Only on this stream.
    #[must_use]
    pub fn on_stream(self, stream: &str) -> Self {
        Self { stream: Some(stream.to_owned()), ..self }
    }

    /// Only on requests for this record.
    #[must_use]
    pub fn on_id(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    /// Only from the request after the next `count` on.
    #[must_use]
    pub fn after(self, count: u32) -> Self {
        Self { skip: count, ..self }
    }

    /// Only so often.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { times: Some(count), ..self }
    }

    fn concerns(&self, call: &Call) -> bool {
        matches(self.function.as_deref(), Some(&call.function))
            && self.call.is_none_or(|kind| kind == call.kind)
            && matches(self.stream.as_deref(), call.stream)
            && matches(self.id.as_deref(), call.id.as_deref())
    }
}

fn matches(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none() || wanted == found
}

/// The faults in force, in the order they were set.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

/// What the faults in force do to one request.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<Effect>,
}

impl Faults {
    pub(crate) fn set(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a request in: all delays that concern it add up, of the other effects the first one holds.
    pub(crate) fn strike(&mut self, call: &Call) -> Struck {
        let mut struck = Struck::default();
        for fault in self.0.iter_mut().filter(|fault| fault.concerns(call)) {
            let is_delay = matches!(fault.effect, Effect::Delay { .. });
            if !is_delay && struck.effect.is_some() {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            match &mut fault.times {
                Some(0) => continue,
                Some(times) => *times -= 1,
                None => {}
            }
            if let Effect::Delay { ms } = fault.effect {
                struck.delay += Duration::from_millis(ms);
            } else {
                struck.effect = Some(fault.effect.clone());
            }
        }
        self.0.retain(|fault| fault.times != Some(0));
        struck
    }
}

impl Effect {
    /// The name in the control API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delay { .. } => "delay",
            Self::Answer(_) => "answer",
            Self::Throttled { .. } => "throttled",
            Self::Error(_) => "error",
            Self::NotLoggedIn => "not_logged_in",
            Self::MaintenancePage => "maintenance_page",
            Self::EmptyBody => "empty_body",
            Self::WrongShape => "wrong_shape",
            Self::DeepJson { .. } => "deep_json",
            Self::EndlessBody { .. } => "endless_body",
            Self::OtherId { .. } => "other_id",
            Self::Redirect { .. } => "redirect",
            Self::CutBeforeAnswer => "cut_before_answer",
            Self::CutHead { .. } => "cut_head",
            Self::CutBody { .. } => "cut_body",
            Self::Truncate { .. } => "truncate",
            Self::Replace { .. } => "replace",
            Self::Inflating { .. } => "inflating",
            Self::SlowBody { .. } => "slow_body",
        }
    }

    /// The answer that replaces the true one, for effects that need none.
    pub(crate) fn instead(&self, vendor: &dyn Vendor, now_ms: i64) -> Option<Reply> {
        let reply = match self {
            Self::Answer(fixed) => {
                let mut reply = Reply::new(fixed.status, &fixed.content_type, fixed.body.as_str());
                reply.headers = fixed.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                reply
            }
            Self::Throttled { status, retry_after } => {
                let mut reply = Reply::new(*status, "text/html", "<html><body>Please slow down.</body></html>");
                let value = match retry_after {
                    RetryAfter::Seconds(seconds) => seconds.to_string(),
                    RetryAfter::DateInSeconds(ahead) => http_date(now_ms.div_euclid(1000).saturating_add(*ahead)),
                    RetryAfter::Text(text) => text.clone(),
                };
                reply.headers.push(("Retry-After".to_owned(), value));
                reply
            }
            Self::Error(text) => vendor.error(text),
            Self::NotLoggedIn => vendor.refuse(),
            Self::MaintenancePage => {
                Reply::new(200, "text/html", "<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>")
            }
            Self::EmptyBody => Reply::json(200, ""),
            Self::WrongShape => vendor.wrong_shape(),
            Self::DeepJson { depth } => Reply::json(200, "[".repeat(*depth) + &"]".repeat(*depth)),
            Self::EndlessBody { bytes } => {
                Reply { delivery: Delivery::Endless { bytes: *bytes }, ..Reply::json(200, "") }
            }
            Self::Redirect { status, to } => {
                let mut reply = Reply::new(*status, "text/html", "<html><body>Moved.</body></html>");
                reply.headers.push(("Location".to_owned(), to.clone()));
                reply
            }
            Self::Inflating { bytes } => {
                let mut reply = vendor.error(&"x".repeat(*bytes));
                reply.body = gzip(&reply.body);
                reply.headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
                reply
            }
            Self::CutBeforeAnswer => Reply { delivery: Delivery::Nothing, ..Reply::json(200, "") },
            Self::Delay { .. }
            | Self::OtherId { .. }
            | Self::CutHead { .. }
            | Self::CutBody { .. }
            | Self::Truncate { .. }
            | Self::Replace { .. }
            | Self::SlowBody { .. } => return None,
        };
        Some(reply)
    }

    /// What becomes of the true answer, for effects that keep it.
    pub(crate) fn upon(&self, mut reply: Reply) -> Reply {
        match *self {
            Self::CutHead { after_bytes } => reply.delivery = Delivery::CutHead { after_bytes },
            Self::CutBody { after_bytes, reset } => reply.delivery = Delivery::CutBody { after_bytes, reset },
            Self::Truncate { bytes } => reply.body.truncate(bytes),
            Self::Replace { ref text, ref by } => {
                reply.body = String::from_utf8_lossy(&reply.body).replace(text, by).into_bytes();
            }
            Self::SlowBody { bytes, every_ms } => {
                reply.delivery = Delivery::Slow { bytes, every: Duration::from_millis(every_ms) };
            }
            _ => {}
        }
        reply
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}
