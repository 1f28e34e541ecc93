//! Fieldly's tokens, its pages of rows and its records.
#![no_main]

use http::Response;
use libfuzzer_sys::fuzz_target;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::SourceKind;
use tidemark_fuzz::{Call, Input, Outcome, Setup, again, laws, play};
use tidemark_sources::fuzzing::Reply;
use tidemark_sources::registry;

const SETTINGS: [&str; 3] = [
    "{}",
    r#"{"streams":["invoices"],"paths":{"invoices":"economy/invoices"},"rows_keys":{"invoices":"rows"},"metadata_key":"paging"}"#,
    r#"{"updated_filters":{"clients":null},"filter_formats":{"work_items":"date"},"updated_fields":{"clients":null}}"#,
];

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let settings = input.pick(&SETTINGS);
    let setup = Setup { settings, ..Setup::of(SourceKind::Fieldly) };
    let streams = registry::streams_of(setup.kind, settings).expect("these settings are good");
    let stream = &streams[input.choose(streams.len())].name;
    let from = input.pick(&[StampMillis::new(0), StampMillis::new(1_767_000_000_000)]);
    let id = RecordId::parse("7").expect("a good id");
    let call = match u32::try_from(input.choose(4)) {
        Ok(page @ 1..) => Call::List(stream, ListRequest::Page(from, page)),
        _ => Call::Fetch(stream, &id),
    };
    let given = input.replies();
    // Most runs need a token that is good; one in four plays the answer for it, too.
    let mut replies = given.clone();
    if input.choose(4) != 1 {
        replies.insert(0, token());
    }
    let Some(played) = play(setup, &replies, call) else { return };
    let header = |at: usize| played.asked.get(at)?.credential.as_deref();
    assert!(header(0).is_none_or(|header| header.starts_with(b"Basic ")), "the first call asks for a token");
    for asked in played.asked.iter().filter(|asked| asked.form.is_none()) {
        let header = asked.credential.as_deref().expect("every call bears a token");
        assert!(header.starts_with(b"Bearer ") && header[7..].iter().all(u8::is_ascii_graphic));
    }
    if let (Outcome::Page(page), [_, only]) = (&played.outcome, replies.as_slice()) {
        laws::end_is_proved(page, call, only);
        laws::total_is_counted(page, only);
    }
    if let Outcome::Page(page) = &played.outcome
        && settings == "{}"
    {
        again(setup, &[token()], [r#"{"data":["#, "]}"], call, page);
    }
});

fn token() -> Reply {
    Response::new(br#"{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}"#.to_vec())
}
