//! Messages of refusal beside an empty list.
//!
//! A message says anything: `OK`, `No records found`, a greeting. So beside rows it is not read, and beside none it is
//! one of refusal only in words that speak of the request or the service, not of records: "No failed jobs found" and "No
//! maintenance due" are honest.
//!
//! Nobody can list the words of all refusals. So where an answer shows nothing and counts nothing, only words that are known
//! as harmless are believed: what is not understood is never "nothing".

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

/// Of these members, words that are not known are no proof of anything; others may hold a label.
const SAYINGS: [&str; 8] = ["message", "messages", "msg", "detail", "reason", "notice", "statusmessage", "statustext"];

/// What harmless words have among them, in lower case.
const HARMLESS: [&str; 19] = [
    "ok",
    "okay",
    "success",
    "successful",
    "successfully",
    "succeeded",
    "done",
    "complete",
    "completed",
    "found",
    "none",
    "nothing",
    "empty",
    "true",
    "retrieved",
    "fetched",
    "listed",
    "loaded",
    "returned",
];

/// What a caller has or calls, in lower case: that there is "no subscription", or "api key not found", says nothing about records.
const CALLERS: [&str; 27] = [
    "access",
    "api",
    "authorisation",
    "authorization",
    "account",
    "action",
    "controller",
    "credential",
    "credentials",
    "credits",
    "endpoint",
    "handler",
    "key",
    "licence",
    "license",
    "method",
    "permission",
    "permissions",
    "plan",
    "privileges",
    "rights",
    "route",
    "session",
    "subscription",
    "tenant",
    "token",
    "url",
];

/// Whether a text says that the caller lacks something: what there is none of, or what is not found, is named beside it.
fn is_of_caller(words: &[&str]) -> bool {
    let are_of_caller = |words: &[&str]| words.iter().any(|word| CALLERS.contains(word));
    let lacks = matches!(words.first(), Some(&"no" | &"0"))
        && are_of_caller(words.get(1..3.min(words.len())).unwrap_or_default());
    let not_at = words.iter().position(|word| *word == "not");
    lacks || not_at.is_some_and(|at| are_of_caller(words.get(at.saturating_sub(2)..at).unwrap_or_default()))
}

/// Whether an object says something of which it is not known whether it is a refusal.
pub(super) fn is_unclear(envelope: &Object<'_>) -> bool {
    envelope.members().any(|(name, value)| {
        let name = super::plain(name);
        let is_read = SAYINGS.contains(&name.as_str()) || super::STATUS.contains(&name.as_str());
        // An object of its own is looked into by itself.
        is_read && !value.starts_with('{') && !super::is_nothing(value) && !is_harmless(value)
    })
}

fn is_harmless(value: &str) -> bool {
    let text = value.to_ascii_lowercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if is_of_caller(&words) {
        return false;
    }
    let is_good = |number: u32| number < 2 || (200..300).contains(&number);
    if words.first().is_none_or(|first| *first == "no" || first.parse().is_ok_and(is_good)) {
        return true;
    }
    words.iter().any(|word| HARMLESS.contains(word)) && (!words.contains(&"not") || words.contains(&"found"))
}
