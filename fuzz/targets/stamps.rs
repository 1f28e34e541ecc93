//! Stamps: read, read again, and written as the lower bound of a list.
#![no_main]

use http::Response;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::Stamp;
use tidemark_engine::message::Row;
use tidemark_engine::ports::Source;
use tidemark_engine::record::Body;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fuzz::world::Time;
use tidemark_fuzz::{Call, Input, Setup, play};

/// The last second of 9998: no bound is written beyond it.
const LAST_MS: i64 = 253_370_764_799_999;
/// A bound may be written to the second, or to the day before.
const CUT_MS: i64 = 999;
const CUT_TO_DAY_MS: i64 = 2 * 24 * 60 * 60 * 1000;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let (kind, stream, settings, cut_ms) = input.pick(&[
        (SourceKind::FieldMotion, "customers", "{}", CUT_MS),
        (SourceKind::FieldMotion, "users", r#"{"timezone":"America/St_Johns"}"#, CUT_MS),
        (SourceKind::FieldMotion, "jobs", r#"{"timezone":"Pacific/Apia"}"#, CUT_MS),
        (SourceKind::FieldAware, "changes", "{}", CUT_MS),
        (SourceKind::FsmNavigator, "jobs", "{}", CUT_MS),
        (SourceKind::Fieldly, "clients", "{}", CUT_MS),
        (SourceKind::Fieldly, "clients", r#"{"filter_formats":{"clients":"date"}}"#, CUT_TO_DAY_MS),
    ]);
    let setup = Setup { settings, ..Setup::of(kind) };
    let stream = StreamName::known(stream);
    let source = setup.build(Time::default()).expect("these settings are good");
    let text = input.text();
    let Some(stamp) = source.stamp(&stream, &text) else { return };
    assert_eq!(stamp.text, text, "a stamp is kept as it was written");
    assert_eq!(source.stamp(&stream, &stamp.text).as_ref(), Some(&stamp), "a stamp read again");
    if settings == "{}" {
        assert_eq!(stamp.at.get(), stamp.utc.get(), "both readings are UTC");
    }
    let row = Row { body: Body::new("{}"), stamp: Some(stamp.clone()) };
    let travelled: Row = serde_json::from_str(&serde_json::to_string(&row).expect("JSON")).expect("a row");
    assert_eq!(travelled, row);
    if kind == SourceKind::FieldAware {
        return;
    }
    // A list from this stamp on begins at it or just before it, never after it: what lies between would be lost.
    let request = match (kind, stream.as_str()) {
        (SourceKind::FieldMotion, "customers" | "jobs") => ListRequest::Changed(stamp.at),
        _ => ListRequest::Page(stamp.at, 2),
    };
    if matches!(request, ListRequest::Page(..)) && kind == SourceKind::FieldMotion {
        return;
    }
    let token = Response::new(br#"{"access_token":"t0ken"}"#.to_vec());
    let played = play(setup, &[token], Call::List(&stream, request)).expect("these settings are good");
    let asked = played.asked.last().expect("a list is asked for");
    let query = asked.form.as_deref().filter(|form| form.contains("from=")).unwrap_or(&asked.url);
    let parameters = query.rsplit('?').next().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let is_bound = |name: &str| matches!(name, "from" | "updated_since" | "updated_at");
    let Some((_, bound)) = parameters.into_iter().find(|(name, _)| is_bound(name)) else { return };
    let bound = percent_decode_str(&bound.replace('+', " ")).decode_utf8().expect("UTF-8").into_owned();
    let full = if bound.len() == 10 { format!("{bound}T00:00:00Z") } else { bound.clone() };
    let read: Stamp = source.stamp(&stream, &full).unwrap_or_else(|| panic!("a bound that is no stamp: {bound}"));
    if (0..=LAST_MS).contains(&stamp.at.get()) && (0..=LAST_MS).contains(&stamp.at.get()) {
        let early_ms = stamp.at.millis_since(read.at);
        assert!((0..=cut_ms).contains(&early_ms), "{text} becomes {bound}, {early_ms} ms before it");
    }
});
