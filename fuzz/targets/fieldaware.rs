//! FieldAware's feed, its tokens and addresses, its lists and its records.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tidemark_engine::change::{ListRequest, Page};
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fuzz::world::Time;
use tidemark_fuzz::{Call, Input, Outcome, Setup, play};
use tidemark_sources::fuzzing::Reply;

/// The token that the feed is asked from.
const TOKEN: &str = "63182001";
const STREAM: StreamName = StreamName::known("changes");
const SETTINGS: [&str; 2] = ["{}", r#"{"page_size":50,"entity_class":"Job"}"#];

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let settings = input.pick(&SETTINGS);
    let setup = Setup { settings, ..Setup::of(SourceKind::FieldAware) };
    let asks = input.choose(5);
    let replies = input.replies();
    // A stored text, a locator, a token or a cursor, is whatever stands in a header of the first answer: it is ours, and
    // may be of an earlier version.
    let stored = replies[0].headers().get("x-stored").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match asks {
        0 | 1 => {
            let request = if asks == 0 { ListRequest::NewestToken } else { ListRequest::Events("63182001") };
            let Some(played) = play(setup, &replies, Call::List(&STREAM, request)) else { return };
            if let Outcome::Page(page) = &played.outcome {
                is_token(page.next.as_deref().expect("a feed always says where to go on"));
                assert!(asks == 1 || !page.is_end);
                assert!(!page.is_end || replies.iter().any(leads_nowhere), "the end of a feed that leads on");
            }
            for asked in &played.asked {
                let path = asked.url.split('?').next().unwrap_or_default();
                let token = path.strip_prefix("https://vendor.example/base/changes/").expect("only the feed is asked");
                is_token(token.strip_suffix('/').unwrap_or(token));
            }
        }
        2 => {
            let token = input.text();
            let cut = token.lines().next().unwrap_or_default();
            play(setup, &replies, Call::List(&STREAM, ListRequest::Events(cut)));
        }
        3 => {
            let cursor = Some(stored).filter(|stored| !stored.is_empty());
            let request = ListRequest::Snapshot(cursor);
            let Some(played) = play(setup, &replies, Call::List(&STREAM, request)) else { return };
            if let Outcome::Page(page) = &played.outcome {
                list_ends_by_proof(cursor, page, &replies[0]);
            }
            if let Outcome::Page(page) = &played.outcome
                && let Some(later) = page.later.as_ref().and_then(|later| later.cursor.as_deref())
            {
                play(setup, &replies, Call::List(&STREAM, ListRequest::Snapshot(Some(later))));
            }
            let source = setup.build(Time::default()).expect("these settings are good");
            if let Some((part, others)) = source.apart(cursor) {
                assert_ne!(others.as_deref(), cursor, "what follows a part is somewhere else");
                assert!(source.apart(part.cursor.as_deref()).is_some(), "a part is one by itself");
                play(setup, &replies, Call::List(&STREAM, ListRequest::Snapshot(part.cursor.as_deref())));
            }
            if let Outcome::Page(page) = &played.outcome
                && let Some(next) = &page.next
            {
                // Where to go on is somewhere else, so that the walk ends.
                assert_ne!(Some(next.as_str()), cursor, "the walk stands still");
                play(setup, &replies, Call::List(&STREAM, ListRequest::Snapshot(Some(next))));
            }
        }
        _ => {
            let Ok(id) = RecordId::parse(stored) else { return };
            let source = setup.build(Time::default()).expect("these settings are good");
            let record = source.record_of(&STREAM, &id);
            let Some(played) = play(setup, &replies, Call::Fetch(&STREAM, &id)) else { return };
            assert!(record.is_ok() || played.asked.is_empty(), "asked for what is no record");
            for asked in &played.asked {
                let (_, path) = stored.split_once('/').expect("a locator has a path");
                let url = asked.url.strip_prefix("https://vendor.example/base/").expect("below the base path");
                assert_eq!(url, path, "another address than the locator's");
            }
        }
    }
});

/// Whether an answer may be the end of the feed: it names no next page, or the one that was asked for.
fn leads_nowhere(reply: &Reply) -> bool {
    match serde_json::from_slice::<Value>(reply.body()) {
        Ok(page) => page.get("next").is_none_or(|next| next.is_null() || next.to_string().contains(TOKEN)),
        // Read in spite of odd values.
        Err(_) => true,
    }
}

/// The walk leaves a list in its first direction only where the answer says that it ends, or to come back later.
fn list_ends_by_proof(cursor: Option<&str>, page: &Page, reply: &Reply) {
    let next = page.next.as_deref();
    let parts: Vec<&str> = cursor.unwrap_or_default().split('/').collect();
    let [class @ ("customers" | "items" | "assets" | "invoices"), number, "forward", collected, "-", "-"] = parts[..]
    else {
        return;
    };
    if number.parse::<u32>().is_err() || page.later.is_some() {
        return;
    }
    let goes_on = next.is_some_and(|next| next.starts_with(class) && next.contains("/forward/"));
    let (Ok(collected), Ok(answer)) = (collected.parse::<u64>(), serde_json::from_slice::<Value>(reply.body())) else {
        return;
    };
    if goes_on || !reply.status().is_success() || reply.headers().contains_key("link") {
        return;
    }
    let rows = answer.get("items").unwrap_or(&answer).as_array().map_or(0, Vec::len);
    let count = answer.get("count").and_then(|count| count.to_string().trim_matches('"').parse::<u64>().ok());
    let is_counted = count.is_some_and(|count| count <= collected.saturating_add(rows as u64));
    assert!(rows == 0 || is_counted, "a list of {count:?} ends after {collected} and {rows} rows");
}

fn is_token(text: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    assert!(!text.is_empty() && text.len() <= 200 && text.bytes().all(is_plain), "no token: {text}");
}
