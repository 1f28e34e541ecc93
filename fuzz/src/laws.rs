//! What must hold whatever a vendor answers.
//!
//! 1. No text of an answer reaches a failure or a log but in the few short words that are allowed to, and no secret ever.
//! 2. A body is kept as it was received, and travels through a message and back unchanged.
//! 3. A stamp is read again from its text as it was read at first.
//! 4. The end of a list, and that a record is gone, is proved by the answer.
//! 5. Every request goes below the configured address, and whatever is in an id stays in its segment.
//! 6. Memory and waiting are bounded.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use memchr::memmem;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use serde_json::value::RawValue;
use tidemark_engine::change::{Change, Detail, Found, ListRequest, Page};
use tidemark_engine::failure::{FailureClass, SourceFailure, describe};
use tidemark_engine::message::{Message, Row};
use tidemark_engine::ports::Source;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{ChunkKey, Lane};
use tidemark_sources::fuzzing::Reply;
use tidemark_sources::registry::AnySource;

use crate::CANARY;
use crate::vendor::{BASE_URL, Call, Outcome, Played, Setup};
use crate::world::{Keys, Time, secret};

/// How long a failure or a line of the log may be.
const SHOWN_BYTES_MAX: usize = 1_500;
/// How long an event that was made of two may be.
const JOINED_BYTES_MAX: usize = 32 << 10;
/// How long a vendor may make a call wait.
const WAIT_MAX: Duration = Duration::from_mins(15);
/// How long a call may sleep by itself.
const SLEEP_MAX: Duration = Duration::from_secs(31 * 40);
/// How many bytes each byte of the answers may cost, and how many may be used beside.
const BYTES_A_BYTE: usize = 200;
const BYTES_BESIDE: usize = 1 << 20;

/// Whose source it is.
type Vendor = AnySource<Time, Keys>;

pub(crate) fn hold(
    setup: &Setup<'_>,
    source: &Vendor,
    replies: &[Reply],
    call: Call<'_>,
    played: &Played,
    peak: usize,
) {
    let secrets: Vec<String> = match setup.secret {
        Some(json) => texts_of(json),
        None => vec![secret(setup.kind).1.to_owned()],
    };
    let stream = match call {
        Call::List(stream, _) | Call::Fetch(stream, _) => stream,
    };
    for line in &played.lines {
        shows_nothing(line, &secrets);
    }
    // An id that is the secret goes into an address like any other.
    let is_given = |secret: &str| {
        let by_id = match call {
            Call::Fetch(_, id) => id.as_str().contains(secret),
            Call::List(_, ListRequest::Events(token)) => token.contains(secret),
            Call::List(_, ListRequest::Snapshot(Some(cursor))) => cursor.contains(secret),
            Call::List(..) => false,
        };
        by_id
            || setup.base_url.to_lowercase().contains(secret)
            || replies.iter().any(|reply| String::from_utf8_lossy(reply.body()).contains(secret))
    };
    for asked in &played.asked {
        let shown = secrets.iter().find(|secret| asked.url.contains(*secret) && !is_given(secret));
        assert!(shown.is_none(), "a secret is in an address");
        if setup.base_url == BASE_URL {
            is_below(&asked.url);
        }
    }
    let sent: usize = replies.iter().map(|reply| reply.body().len()).sum();
    let allowed = sent * BYTES_A_BYTE * played.asked.len().max(1) + BYTES_BESIDE;
    assert!(peak <= allowed, "{sent} bytes took {peak}");
    assert!(played.slept <= SLEEP_MAX, "it slept for {:?}", played.slept);
    match (&played.outcome, call) {
        (Outcome::Failed(failure), _) => of_failure(setup.kind, failure, stream, &secrets),
        (Outcome::Page(page), Call::List(..)) => {
            of_page(setup.kind, source, stream, page);
            are_as_received(page.changes.iter().filter_map(Change::row), replies);
            if let [only] = replies
                && played.asked.len() == 1
            {
                end_is_proved(page, call, only);
            }
        }
        (Outcome::Detail(detail), Call::Fetch(..)) => of_detail(setup.kind, source, stream, detail, replies),
        (Outcome::Page(_), Call::Fetch(..)) | (Outcome::Detail(_), Call::List(..)) => unreachable!(),
    }
}

/// The texts of a secret that are long enough to be told from any other.
fn texts_of(json: &str) -> Vec<String> {
    let members: BTreeMap<String, Value> = serde_json::from_str(json.trim()).unwrap_or_default();
    let keys = ["api_key", "token", "client_secret"].into_iter().filter_map(|name| members.get(name)?.as_str());
    keys.map(|text| text.trim().to_owned()).filter(|text| text.len() > 40).collect()
}

fn shows_nothing(text: &str, secrets: &[String]) {
    assert!(text.len() <= SHOWN_BYTES_MAX, "{} bytes are shown: {text}", text.len());
    assert!(secrets.iter().all(|secret| !text.contains(secret)), "a secret is shown: {text}");
    assert!(!text.contains(CANARY), "the vendor's text is shown: {text}");
    assert!(!text.contains("\\u{e000}"), "the vendor's text is shown: {text}");
}

fn of_failure(kind: SourceKind, failure: &SourceFailure, stream: &StreamName, secrets: &[String]) {
    let key = StreamKey { source: kind, name: stream.clone() };
    shows_nothing(&describe(failure, &key), secrets);
    shows_nothing(&format!("{failure:?}"), secrets);
    let mut below = failure.source();
    while let Some(error) = below {
        shows_nothing(&format!("{error} {error:?}"), secrets);
        below = error.source();
    }
    if let FailureClass::Throttled { retry_after: Some(wait) } = failure.class {
        assert!(wait <= WAIT_MAX, "{wait:?} are waited");
    }
}

/// Every request goes to the vendor and below its path, which nothing in it can leave.
fn is_below(url: &str) {
    let address = url.split(['?', '#']).next().unwrap_or_default();
    let path = address.strip_prefix(BASE_URL).unwrap_or_else(|| panic!("outside of the base path: {url}"));
    assert!(!url.contains('#'), "a fragment: {url}");
    assert!(path.is_empty() || path.starts_with('/'), "outside of the base path: {url}");
    for segment in path.split('/') {
        let plain = percent_decode_str(segment).decode_utf8().expect("only UTF-8 was encoded");
        assert!(!matches!(&*plain, "." | ".."), "a segment that leads elsewhere: {url}");
        assert!(!plain.contains(char::is_control), "a control character: {url}");
    }
}

fn of_page(kind: SourceKind, source: &Vendor, stream: &StreamName, page: &Page) {
    assert!(!page.is_refused || page.changes.is_empty(), "rows of a page that is refused");
    for change in &page.changes {
        let (records, _) = source.record_of(stream, &change.id).expect("what is listed stands for a record");
        assert!(kind != SourceKind::FieldAware || records != *stream);
        if let Some(stamp) = change.stamp() {
            assert_eq!(source.stamp(stream, &stamp.text).as_ref(), Some(stamp), "a stamp read again");
        }
    }
    let mut ids: Vec<&RecordId> = page.changes.iter().map(|change| &change.id).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert!(kind == SourceKind::FieldAware || ids.len() == count, "an id is listed twice");
    travels(kind, stream, page);
    events_can_be_joined(source, page);
}

/// What is listed, sent to the fetcher and read there, is the same.
fn travels(kind: SourceKind, stream: &StreamName, page: &Page) {
    let key = ChunkKey::new(StreamKey { source: kind, name: stream.clone() }, Lane::Fresh, None, 1, 0);
    let row = |change: &Change| {
        Some((change.id.clone(), Row { body: change.row()?.clone(), stamp: change.stamp().cloned() }))
    };
    let rows: BTreeMap<RecordId, Row> = page.changes.iter().filter_map(row).collect();
    let ids = page.changes.iter().map(|change| change.id.clone()).collect();
    let message = Message::of_chunk(&key, ids, rows, "mark");
    let text = serde_json::to_string(&message).expect("every row is JSON");
    let read = Message::parse(&text);
    assert_eq!(read.expect("what is sent can be read"), message);
}

/// Two events that become one are one event still: the later, with what the earlier alone shows, and no longer than a
/// message can hold.
fn events_can_be_joined(source: &Vendor, page: &Page) {
    let events: Vec<&Body> = page.changes.iter().filter_map(Change::event).collect();
    events.iter().for_each(|event| is_json(event));
    for pair in events.windows(2) {
        let [earlier, later] = pair else { continue };
        let joined = source.joined_event(earlier, later);
        is_json(&joined);
        assert!(joined.text().len() <= later.text().len().max(JOINED_BYTES_MAX), "{} bytes", joined.text().len());
        assert_eq!(source.joined_event(later, later), **later, "a repeated event adds nothing");
    }
}

fn is_json(body: &Body) {
    assert!(serde_json::from_str::<&RawValue>(body.text()).is_ok(), "a body that is no JSON");
}

/// Each body is in an answer, most in the order of the rows.
fn are_as_received<'a>(bodies: impl Iterator<Item = &'a Body>, replies: &[Reply]) {
    let answers: Vec<&[u8]> = replies.iter().map(|reply| reply.body().as_slice()).collect();
    let mut behind = answers.first().copied().unwrap_or_default();
    for body in bodies {
        is_json(body);
        let bytes = body.text().as_bytes();
        if let Some(start) = memmem::find(behind, bytes) {
            behind = &behind[start + bytes.len()..];
        } else {
            let is_in = |answer: &&[u8]| memmem::find(answer, bytes).is_some();
            assert!(answers.iter().any(is_in), "a body that no answer holds: {}", body.text());
        }
    }
}

/// Byte order marks and lines may come before what a vendor says, in any order.
fn without_marks(text: &str) -> &str {
    text.trim_start_matches(|letter: char| letter == '\u{feff}' || letter.is_ascii_whitespace())
}

/// The end of a list is believed only where the answer says so: by a count, or by an empty list.
pub fn end_is_proved(page: &Page, call: Call<'_>, answer: &Reply) {
    let Call::List(_, ListRequest::Page(_, number)) = call else { return };
    if page.is_refused {
        assert!(number > 1, "the first page is refused as one behind the end");
        return;
    }
    assert!(answer.status().is_success(), "a page was read from status {}", answer.status());
    let text = String::from_utf8_lossy(answer.body());
    let compact: String = without_marks(&text).chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let is_nothing = page.changes.is_empty() && page.unusable_count == 0;
    let is_list = compact.starts_with(['[', '{']) || answer.status().as_u16() == 204;
    assert!(is_list, "a page was read from {compact}");
    if is_nothing && answer.status().as_u16() != 204 {
        let says_none = ["[]", "{}", "null", "false"].iter().any(|none| compact.contains(none));
        assert!(says_none, "an empty page was read from {compact}");
    }
    // What is no JSON as it stands is judged without a second opinion.
    let Ok(json) = serde_json::from_str::<Value>(without_marks(&text)) else { return };
    let objects: Vec<&serde_json::Map<String, Value>> = top_and_below(&json);
    let ends_here = page.pages_total.is_some_and(|pages| pages <= number);
    if ends_here && !is_nothing {
        let names_next = |object: &&serde_json::Map<String, Value>| {
            object.get("next").is_some_and(|next| next.is_string() && next != "")
        };
        assert!(!objects.first().is_some_and(names_next), "the end, beside a next page: {compact}");
    }
}

/// An object and the objects that it holds.
fn top_and_below(json: &Value) -> Vec<&serde_json::Map<String, Value>> {
    let Some(top) = json.as_object() else { return Vec::new() };
    std::iter::once(top).chain(top.values().filter_map(Value::as_object)).collect()
}

/// A number of pages needs a count in the answer: for vendors whose lists have several.
pub fn total_is_counted(page: &Page, answer: &Reply) {
    let Some(pages) = page.pages_total else { return };
    let text = String::from_utf8_lossy(answer.body());
    let Ok(json) = serde_json::from_str::<Value>(without_marks(&text)) else { return };
    let is_count = |value: &Value| {
        value.is_u64() || value.as_str().is_some_and(|text| text.trim_matches('"').parse::<u64>().is_ok())
    };
    let counted = top_and_below(&json)
        .iter()
        .flat_map(|object| object.iter())
        .any(|(name, value)| name.contains("total") && is_count(value));
    assert!(counted, "{pages} pages, which nothing counts: {json}");
}

fn of_detail(kind: SourceKind, source: &Vendor, stream: &StreamName, detail: &Detail, replies: &[Reply]) {
    match &detail.found {
        Found::Record { body, stamp, .. } => {
            // Of a type that has ids alone, the record is made of its id.
            if stream.as_str() != "stock_containers" {
                are_as_received(std::iter::once(body), replies);
            }
            if let Some(stamp) = stamp {
                assert_eq!(source.stamp(stream, &stamp.text).as_ref(), Some(stamp), "a stamp read again");
            }
        }
        Found::Gone => {
            let may_say_so = |reply: &Reply| {
                let status = reply.status();
                let text = String::from_utf8_lossy(reply.body());
                let says = without_marks(&text).chars().next();
                let is_words = says.is_some_and(|first| !matches!(first, '<'));
                // FieldMotion's errors are known by their text alone.
                let is_error = kind == SourceKind::FieldMotion && text.contains("error");
                is_words && (status.is_success() || matches!(status.as_u16(), 404 | 410) || is_error)
            };
            assert!(replies.iter().any(may_say_so), "{kind}: gone, though no answer says so");
        }
        Found::Missing => {
            let may = |reply: &Reply| !reply.status().is_server_error() && reply.status().as_u16() != 429;
            assert!(replies.iter().any(may), "{kind}: missing, by an outage");
        }
    }
}
