//! Messages of refusal beside an empty list.
//!
//! A message says anything: `OK`, `No records found`, a greeting. So beside rows it is not read, and beside none it is
//! one of refusal only in words that speak of the request or the service, not of records: "No failed jobs found" and "No
//! maintenance due" are honest.

use crate::json::Object;

/// Members that hold messages, in small letters without `_`.
const MESSAGES: [&str; 11] = [
    "message",
    "messages",
    "msg",
    "detail",
    "details",
    "description",
    "reason",
    "info",
    "notice",
    "statusmessage",
    "statustext",
];

/// What refusals say, in lower case.
const REFUSALS: [&str; 30] = [
    "rate limit",
    "limit exceeded",
    "limit reached",
    "quota exceeded",
    "too many requests",
    "throttl",
    "slow down",
    "try again",
    "timed out",
    "time-out",
    "request timeout",
    "gateway timeout",
    "under maintenance",
    "for maintenance",
    "maintenance mode",
    "service unavailable",
    "temporarily unavailable",
    "is unavailable",
    "unauthori",
    "unauthenticated",
    "not authori",
    "access denied",
    "permission denied",
    "no permission",
    "forbidden",
    "token expired",
    "has expired",
    "error occurred",
    "went wrong",
    "request failed",
];

/// Whether an object has a message that refuses.
pub(super) fn refuses(envelope: &Object<'_>) -> bool {
    envelope.members().any(|(name, value)| {
        let text = value.to_ascii_lowercase().replace('_', " ");
        MESSAGES.contains(&super::plain(name).as_str()) && REFUSALS.iter().any(|refusal| text.contains(refusal))
    })
}
