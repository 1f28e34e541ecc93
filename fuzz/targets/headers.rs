//! What stands in an answer's head: `Date`, `Retry-After`, the rate that is left, and where a redirect leads.
#![no_main]

use http::header::{DATE, HeaderValue};
use http::{Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fuzz::{Call, Input, Outcome, Setup, play};
use tidemark_sources::fuzzing::Reply;

const FROM: StampMillis = StampMillis::new(1_767_000_000_000);
const LIST: ListRequest<'static> = ListRequest::Changed(FROM);
const PAGE: ListRequest<'static> = ListRequest::Page(FROM, 1);
const NEWEST: ListRequest<'static> = ListRequest::NewestToken;
/// Two parents: three calls, the later ones as fast as the answers before them allow.
const PARENTS: &str = r#"{"data":[{"id":1},{"id":2}],"pagination":{"page":1,"total_pages":1,"total":2,"per_page":10}}"#;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let (kind, stream, request, body) = match input.choose(4) {
        0 => (SourceKind::FieldMotion, "customers", LIST, "[]"),
        1 => (SourceKind::FieldAware, "changes", NEWEST, r#"{"sinceToken":7}"#),
        2 => (SourceKind::FsmNavigator, "customer_locations", PAGE, PARENTS),
        _ => (SourceKind::Fieldly, "clients", PAGE, r#"{"access_token":"t0ken","clients":[],"errors":[]}"#),
    };
    let (setup, stream) = (Setup::of(kind), StreamName::known(stream));
    let mut replies = input.replies();
    for reply in replies.iter_mut().filter(|reply| reply.body().is_empty()) {
        *reply.body_mut() = body.as_bytes().to_vec();
    }
    let Some(played) = play(setup, &replies, Call::List(&stream, request)) else { return };
    if replies[0].status().is_redirection() && replies[0].status() != StatusCode::NOT_MODIFIED {
        let urls: Vec<&str> = played.asked.iter().map(|asked| asked.url.as_str()).collect();
        followed_is_the_same_but_for_a_slash(&urls);
    }
    if let Outcome::Page(page) = &played.outcome
        && let Some(date) = page.date
        && let Ok(instant) = jiff::Timestamp::from_millisecond(date.get())
        && (0..=9999).contains(&instant.strftime("%Y").to_string().parse::<i64>().unwrap_or(-1))
    {
        let text = instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut reply: Reply = Response::new(body.as_bytes().to_vec());
        reply.headers_mut().insert(DATE, HeaderValue::from_str(&text).expect("plain text"));
        let again = play(setup, &[reply], Call::List(&stream, request)).expect("it was built before");
        match again.outcome {
            Outcome::Page(page) => assert_eq!(page.date, Some(date), "the same date, written again"),
            outcome => panic!("no page: {outcome:?}"),
        }
    }
});

/// Each call that a redirect leads to is that before it, but for a slash at the end of its path.
fn followed_is_the_same_but_for_a_slash(urls: &[&str]) {
    let path = |url: &str| url.split('?').next().unwrap_or_default().trim_end_matches('/').to_owned();
    if let [first, second, ..] = urls {
        assert_eq!(path(first), path(second), "a redirect leads elsewhere");
    }
}
