//! FieldMotion's lists of ids and rows, and its details.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::SourceKind;
use tidemark_fuzz::{Call, Input, Outcome, Setup, again, play};
use tidemark_sources::registry;

const SETTINGS: [&str; 4] = [
    "{}",
    r#"{"empty_object":"empty","timezone":"Europe/Berlin"}"#,
    r#"{"row_lists":["customers","jobs","tasks"],"timezone":"America/St_Johns"}"#,
    r#"{"broken_detail":"record","gone_error_words":["does not exist"],"fields_encoding":"list"}"#,
];

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let settings = input.pick(&SETTINGS);
    let setup = Setup { settings, ..Setup::of(SourceKind::FieldMotion) };
    let streams = registry::streams_of(setup.kind, settings).expect("these settings are good");
    let stream = &streams[input.choose(streams.len())].name;
    let from = input.pick(&[StampMillis::new(0), StampMillis::new(1_767_000_000_000), StampMillis::new(i64::MAX)]);
    let replies = input.replies();
    let id = RecordId::parse(["7", "683138"][input.choose(2)]).expect("a good id");
    let request = match input.choose(4) {
        0 => Call::List(stream, ListRequest::Changed(from)),
        1 => Call::List(stream, ListRequest::Page(from, 1)),
        2 => Call::List(stream, ListRequest::Page(from, 2)),
        _ => Call::Fetch(stream, &id),
    };
    let Some(played) = play(setup, &replies, request) else { return };
    if let Outcome::Page(page) = &played.outcome {
        again(setup, &[], ["[", "]"], request, page);
    }
});
