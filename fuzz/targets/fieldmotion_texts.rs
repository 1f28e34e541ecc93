//! FieldMotion's forms, signed as PHP would sign what it receives, and its error texts.
#![no_main]

use std::fmt::Write;

use http::{Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fuzz::{Call, Input, Setup, play};

const SETTINGS: [&str; 3] = [
    "{}",
    r#"{"fields_encoding":"list","fields":{"jobs":["job_ref","meta"]}}"#,
    r#"{"api_now_format":"datetime","timezone":"Asia/Kathmandu","gone_error_words":["no such job"],"jobs_form_id":"9/\u2028"}"#,
];
const JOBS: StreamName = StreamName::known("jobs");

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let settings = input.pick(&SETTINGS);
    let status = input.pick(&[200_u16, 400, 401, 403, 404, 422, 429, 500, 503]);
    let is_list = input.choose(2) == 1;
    let (id, said) = input.split();
    let (Ok(id), Ok(said)) = (str::from_utf8(id), str::from_utf8(said)) else { return };
    let Ok(id) = RecordId::parse(id) else { return };
    let secret = serde_json::json!({ "api_id": "123", "api_key": KEY }).to_string();
    let setup = Setup { settings, secret: Some(&secret), ..Setup::of(SourceKind::FieldMotion) };
    let body = serde_json::json!({ "error": said }).to_string();
    let mut reply = Response::new(body.into_bytes());
    *reply.status_mut() = StatusCode::from_u16(status).expect("a status");
    let call = if is_list {
        Call::List(&JOBS, ListRequest::Changed(StampMillis::new(1_767_000_000_000)))
    } else {
        Call::Fetch(&JOBS, &id)
    };
    let played = play(setup, &[reply], call).expect("these settings are good");
    assert!(!played.asked.is_empty(), "the id is in the form, which bears any");
    for asked in &played.asked {
        let form = pairs(asked.form.as_deref().expect("every call posts a form"));
        is_signed(&form);
        let sent = form.iter().find(|(name, _)| name == "id").map(|(_, value)| value.as_str());
        assert_eq!(sent, (!is_list).then(|| id.as_str()), "the id as it was given");
    }
});

/// As long as a key has to be that a text which shows it does not do so by chance.
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// What PHP reads from a form, in its order.
fn pairs(form: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().expect("UTF-8").into_owned();
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (decoded(name), decoded(value)));
    form.split('&').map(|text| pair(text).expect("a name and a value")).collect()
}

/// The signature is that of the JSON that PHP makes of what it read.
fn is_signed(form: &[(String, String)]) {
    let [signed @ .., (now, _), (md5, given), (id, _)] = form else { panic!("no signed form: {form:?}") };
    assert_eq!((now.as_str(), md5.as_str(), id.as_str()), ("_api_now", "_api_md5", "_api_id"));
    let mut members: Vec<String> = Vec::new();
    let mut list: Option<(String, Vec<String>)> = None;
    for (name, value) in signed.iter().chain(&form[signed.len()..=signed.len()]) {
        let element = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
        if let Some((name, at)) = element {
            let (_, texts) = list.get_or_insert_with(|| (name.to_owned(), Vec::new()));
            assert_eq!(at, texts.len().to_string(), "the elements of a list in their order");
            texts.push(encoded(value));
            continue;
        }
        if let Some((name, texts)) = list.take() {
            members.push(format!("{}:[{}]", encoded(&name), texts.join(",")));
        }
        members.push(format!("{}:{}", encoded(name), encoded(value)));
    }
    let digest = Md5::digest(format!("{{{}}}|{KEY}", members.join(",")));
    let hex = digest.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes any text");
        hex
    });
    assert_eq!(*given, hex, "another signature than PHP's");
}

/// A text as PHP's `json_encode` writes it, made from what `serde_json` writes.
fn encoded(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a text").replace('/', "\\/");
    json.chars().fold(String::new(), |mut ascii, c| {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(ascii, "\\u{unit:04x}").expect("a text takes any text");
            }
        }
        ascii
    })
}
