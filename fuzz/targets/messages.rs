//! What comes by the queue and by events of schedules and operators.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidemark_engine::message::{Message, Work};
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::ChunkKey;
use tidemark_fuzz::{CANARY, Input};

// The poller's own, which is part of a program: no library has it.
#[path = "../../functions/poller/src/event.rs"]
mod event;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    match input.choose(3) {
        0 => message(&input.text()),
        1 => poller_event(input.rest),
        _ => key(&input.text()),
    }
});

fn message(text: &str) {
    let message = match Message::parse(text) {
        Ok(message) => message,
        Err(bad) => return is_short(&bad.to_string()),
    };
    assert!(message.work().is_some(), "a message that names no chunk");
    let written = serde_json::to_string(&message).expect("what was read can be written");
    assert_eq!(Message::parse(&written).expect("and read"), message);
    for row in message.rows.values() {
        assert!(text.contains(row.body.text()), "a body as it was received");
        assert_eq!(format!("{:?}", row.body), format!("Body({} bytes)", row.body.text().len()));
    }
    if let Some(Work::Chunk(key)) = message.work() {
        assert_eq!(ChunkKey::parse(message.stream(), &key.sort_key()), Some(key));
    }
    message.ids.iter().for_each(id_is_shown_in_one_line);
}

fn poller_event(payload: &[u8]) {
    let Ok(payload) = serde_json::from_slice(payload) else { return };
    match event::Event::read(&payload) {
        Ok(event) => assert!(event.stream.is_none_or(|stream| StreamName::parse(stream.as_str()).is_ok())),
        Err(bad) => {
            let shown = bad.to_string();
            assert!(shown.len() < 600 && !shown.contains(char::is_control), "{shown:?}");
        }
    }
}

fn key(text: &str) {
    let stream = StreamKey { source: SourceKind::Fieldly, name: StreamName::known("clients") };
    if let Some(key) = ChunkKey::parse(stream, text) {
        assert_eq!(key.sort_key(), text, "one text for one key");
    }
    if let Ok(id) = RecordId::parse(text) {
        let json = serde_json::to_string(&id).expect("JSON");
        assert_eq!(serde_json::from_str::<RecordId>(&json).expect("an id"), id);
        id_is_shown_in_one_line(&id);
    }
    if let Ok(body) = serde_json::from_str::<Body>(text) {
        assert!(text.contains(body.text()));
    }
}

fn id_is_shown_in_one_line(id: &RecordId) {
    let shown = format!("{id} {id:?}");
    assert!(!shown.contains(char::is_control) && shown.len() <= 4_100, "{shown:?}");
}

fn is_short(shown: &str) {
    assert!(shown.len() <= 200 && !shown.contains(CANARY), "{shown:?}");
}
