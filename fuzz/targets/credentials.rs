//! Secrets: whatever is in one, and whatever the vendor says of it, none of it is shown.
#![no_main]

use http::{Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::{SourceFailure, describe};
use tidemark_engine::ports::Source;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_fuzz::world::{Time, finished};
use tidemark_fuzz::{CANARY, Call, Input, Setup, play};
use tidemark_sources::fuzzing::Reply;

const FROM: StampMillis = StampMillis::new(1_767_000_000_000);

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let (kind, stream, request) = input.pick(&[
        (SourceKind::FieldMotion, "customers", ListRequest::Changed(FROM)),
        (SourceKind::FieldAware, "changes", ListRequest::NewestToken),
        (SourceKind::FsmNavigator, "jobs", ListRequest::Page(FROM, 2)),
        (SourceKind::Fieldly, "clients", ListRequest::Page(FROM, 2)),
    ]);
    let status = input.pick(&[200_u16, 400, 401, 403, 404, 422, 429, 500]);
    let shape = input.choose(6);
    let secret = input.text();
    let setup = Setup { secret: Some(&secret), ..Setup::of(kind) };
    let stream = StreamName::known(stream);
    let replies = [echo(status, shape, &secret)];
    play(setup, &replies, Call::List(&stream, request)).expect("these settings are good");
    // The mark of the account is made of what is in a secret, too.
    let source = setup.build(Time::default()).expect("these settings are good");
    match finished(source.account_mark()) {
        Ok(mark) => {
            assert!(mark.len() <= 64 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()), "no digest: {mark}");
        }
        Err(failure) => is_silent(&failure, kind, stream),
    }
});

fn is_silent(failure: &SourceFailure, source: SourceKind, name: StreamName) {
    let shown = format!("{} {failure:?}", describe(failure, &StreamKey { source, name }));
    assert!(!shown.contains(CANARY) && !shown.contains("\\u{e000}"), "a secret is shown: {shown}");
}

/// An answer that repeats the secret, as careless vendors do.
fn echo(status: u16, shape: usize, secret: &str) -> Reply {
    let members: serde_json::Value = serde_json::from_str(secret.trim()).unwrap_or_default();
    let names = ["api_key", "token", "client_secret"];
    let text = names.iter().find_map(|name| members.get(name)?.as_str()).unwrap_or(secret);
    let body = match shape {
        0 => serde_json::json!({ "error": text }),
        1 => serde_json::json!({ "error": { "name": text, "message": text } }),
        2 => serde_json::json!({ "success": false, "error": text, "message": text }),
        3 => serde_json::json!({ "errors": { text: [text] } }),
        4 => serde_json::json!({ "access_token": text, "token_type": text, text: text }),
        _ => serde_json::Value::String(text.to_owned()),
    };
    let mut reply = Response::new(body.to_string().into_bytes());
    *reply.status_mut() = StatusCode::from_u16(status).expect("a status");
    reply
}
