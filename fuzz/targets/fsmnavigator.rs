//! FSM Navigator's pages of rows, its records, and what belongs to a parent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::SourceKind;
use tidemark_fuzz::{Call, Input, Outcome, Setup, again, laws, play};
use tidemark_sources::registry;

const SETTINGS: [&str; 4] = [
    "{}",
    r#"{"dialect":"guide","detail_style":"path","id_field":"id"}"#,
    r#"{"dialect":"reference","id_field":"named","unstamped":["jobs"]}"#,
    r#"{"rate_headers":"ignore","incremental":{"jobs":"client_scan"},"detail_style":"path"}"#,
];

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let settings = input.pick(&SETTINGS);
    let setup = Setup { settings, ..Setup::of(SourceKind::FsmNavigator) };
    let streams = registry::streams_of(setup.kind, settings).expect("these settings are good");
    let stream = &streams[input.choose(streams.len())].name;
    let from = input.pick(&[StampMillis::new(0), StampMillis::new(1_767_000_000_000)]);
    let replies = input.replies();
    let id = RecordId::parse(["7", "c%2F1/9"][input.choose(2)]).expect("a good id");
    let page = input.choose(4);
    let call = match u32::try_from(page) {
        Ok(page @ 1..) => Call::List(stream, ListRequest::Page(from, page)),
        _ => Call::Fetch(stream, &id),
    };
    let Some(played) = play(setup, &replies, call) else { return };
    let Outcome::Page(page) = &played.outcome else { return };
    let is_of_parents = matches!(stream.as_str(), "customer_locations" | "service_records");
    if let ([only], false) = (replies.as_slice(), is_of_parents) {
        laws::total_is_counted(page, only);
    }
    if settings == "{}" && !is_of_parents {
        again(setup, &[], [r#"{"data":["#, "]}"], call, page);
    }
});
