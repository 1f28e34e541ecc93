//! Values for property tests of what is written and read back.

use std::time::Duration;

use proptest::prelude::*;
use tidemark_engine::clock::{Instant, StampMillis};
use tidemark_engine::position::Position;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

use super::item::Item;
use super::table::names;

pub(super) fn stream() -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") }
}

pub(super) fn instants<C: Copy + std::fmt::Debug>() -> impl Strategy<Value = Instant<C>> {
    any::<i64>().prop_map(Instant::new)
}

/// Whole milliseconds, which is what is kept.
pub(super) fn durations() -> impl Strategy<Value = Duration> {
    (0..=i64::MAX.unsigned_abs()).prop_map(Duration::from_millis)
}

pub(super) fn positions() -> impl Strategy<Value = Position> {
    prop_oneof![
        instants().prop_map(|at: StampMillis| Position::At(at)),
        (".{0,20}", any::<i64>()).prop_map(|(text, sequence)| Position::Token { text, sequence }),
    ]
}

pub(super) fn ids() -> impl Strategy<Value = RecordId> {
    "\\PC{1,12}".prop_map(|text| RecordId::parse(text).expect("it is neither empty nor long"))
}

/// Asserts what DynamoDB requires of expressions: every placeholder has a value and every value is used, and no
/// attribute stands without its alias.
pub(super) fn assert_consistent(expressions: &[&str], values: &Item) {
    let text = expressions.join(" ");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut used: Vec<String> = text
        .split(':')
        .skip(1)
        .map(|rest| format!(":{}", rest.chars().take_while(|c| is_word(*c)).collect::<String>()))
        .collect();
    used.sort_unstable();
    used.dedup();
    let mut given: Vec<String> = values.keys().cloned().collect();
    given.sort_unstable();
    assert_eq!(used, given, "{text}");

    let bare: Vec<&str> = text
        .split(|c: char| !(is_word(c) || c == '#' || c == ':'))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter(|word| !["attribute_exists", "attribute_not_exists", "begins_with", "if_not_exists"].contains(word))
        .collect();
    assert!(bare.is_empty(), "{bare:?} stand without an alias in {text}");
    assert!(!names(&[&text]).is_empty(), "{text}");
}
