//! The retry lane in the ledger.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `partition`, `item` | S, key | `work#source#stream`, `retry#id` or, for an id too long for that, `retry-long#hash` |
//! | `id` | S | |
//! | `reason`, `cause` | S | |
//! | `since`, `listed_at`, `next_at` | N ms | |
//! | `holds` | M | a position; absent when the entry holds nothing |
//! | `attempts` | N | |
//!
//! Entries do not expire: under the policy `advance` they are the only memory of what is owed.

use tidemark_engine::position::Position;
use tidemark_engine::record::{Body, RecordId};
use tidemark_engine::stream::StreamKey;
use tidemark_engine::work::{Reason, RetryEntry};

use super::super::item::{self, BadShape, Item, Reader, instant, item, number, size_of_item, text};
use super::super::position;
use super::{SORT_BYTES_MAX, key, work_of};

/// What all sort keys of the lane begin with.
pub(super) const PREFIX: &str = "retry";

/// L5.
pub(super) const RAISE_ALWAYS: &str = "SET #id = :id, #listed_at = :listed_at, #reason = :reason, #cause = :cause, \
    #since = :since, #attempts = if_not_exists(#attempts, :attempts), \
    #next_at = if_not_exists(#next_at, :next_at)";
pub(super) const AND_HOLDS: &str = ", #holds = if_not_exists(#holds, :holds)";
pub(super) const FAILED_BEFORE: &str = "attribute_not_exists(#listed_at) OR #listed_at < :listed_at";

/// L6.
pub(super) const LOWER: &str = "SET #holds = :holds";
pub(super) const HOLDS_LESS: &str =
    "attribute_exists(#item) AND (attribute_not_exists(#holds) OR #holds.#order > :order)";

/// L2 of the lane.
pub(super) const RESCHEDULE: &str = "SET #attempts = :attempts, #next_at = :next_at";

/// L7. False for an item that is not there.
pub(super) const FAILED_BEFORE_LOOK: &str = "#listed_at < :looked_at";

pub(super) fn key_of(stream: &StreamKey, id: &RecordId) -> Item {
    let plain = format!("{PREFIX}#{}", id.as_str());
    if plain.len() <= SORT_BYTES_MAX {
        return key(work_of(stream), plain);
    }
    key(work_of(stream), format!("{PREFIX}-long#{}", Body::new(id.as_str()).fingerprint()))
}

/// L5: the update expression and its values.
pub(super) fn raise(entry: &RetryEntry) -> (String, Item) {
    let mut values = item([
        (":id", text(entry.id.as_str())),
        (":listed_at", instant(entry.listed_at)),
        (":reason", text(entry.reason.as_str())),
        (":cause", text(&entry.cause)),
        (":since", instant(entry.since)),
        (":attempts", number(entry.attempts)),
        (":next_at", instant(entry.next_at)),
    ]);
    let Some(holds) = &entry.holds else {
        return (RAISE_ALWAYS.to_owned(), values);
    };
    values.insert(":holds".to_owned(), position::to_value(holds));
    (format!("{RAISE_ALWAYS}{AND_HOLDS}"), values)
}

/// How large DynamoDB reckons the item of an entry to be.
pub fn size_of(entry: &RetryEntry) -> usize {
    let (_, values) = raise(entry);
    let attributes = values.iter().map(|(name, value)| item::size_of(name.trim_start_matches(':'), value));
    size_of_item(&key_of(&entry.stream, &entry.id)) + attributes.sum::<usize>()
}

/// The values of L6.
pub(super) fn lower(holds: &Position) -> Item {
    item([(":holds", position::to_value(holds)), (":order", number(holds.order()))])
}

pub(super) fn entry_of(stream: &StreamKey, item: &Item) -> Result<RetryEntry, BadShape> {
    let entry = Reader::of(item);
    Ok(RetryEntry {
        stream: stream.clone(),
        id: entry.id("id")?,
        reason: entry.parsed("reason", |text| text.parse::<Reason>().ok())?,
        cause: entry.text("cause")?.to_owned(),
        since: entry.instant("since")?,
        holds: position::read_if_any(entry, "holds")?,
        listed_at: entry.instant("listed_at")?,
        attempts: entry.number("attempts")?,
        next_at: entry.instant("next_at")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::samples::{self, stream};
    use super::super::ITEM;
    use super::*;

    prop_compose! {
        fn entries()(
            id in samples::ids(),
            reason in proptest::sample::select(&Reason::ALL),
            cause in ".{0,40}",
            at in (samples::instants(), samples::instants(), samples::instants()),
            holds in proptest::option::of(samples::positions()),
            attempts: u32,
        ) -> RetryEntry {
            let (since, listed_at, next_at) = at;
            RetryEntry { stream: stream(), id, reason, cause, since, holds, listed_at, attempts, next_at }
        }
    }

    /// The item that L5 makes where there is none.
    fn made(entry: &RetryEntry) -> Item {
        let values = raise(entry).1.into_iter().map(|(name, value)| (name.trim_start_matches(':').to_owned(), value));
        key_of(&entry.stream, &entry.id).into_iter().chain(values).collect()
    }

    proptest! {
        #[test]
        fn an_entry_survives_its_item(entry in entries()) {
            prop_assert_eq!(entry_of(&entry.stream, &made(&entry)), Ok(entry));
        }

        #[test]
        fn names_and_values_match(entry in entries()) {
            let (update, values) = raise(&entry);
            samples::assert_consistent(&[&update, FAILED_BEFORE], &values);
            if let Some(holds) = &entry.holds {
                samples::assert_consistent(&[LOWER, HOLDS_LESS], &lower(holds));
            }
        }
    }

    #[test]
    fn an_id_of_any_length_has_a_key_of_its_own() {
        let sort = |id: &str| {
            let id = RecordId::parse(id).expect("it is an id");
            key_of(&stream(), &id)[ITEM].as_s().expect("it is a text").clone()
        };
        assert_eq!(sort("a#b"), "retry#a#b");
        assert_eq!(sort(&"x".repeat(1_018)).len(), 1_024);
        let long = ["x", "y"].map(|last| sort(&format!("{}{last}", "x".repeat(1_018))));
        assert!(long.iter().all(|sort| sort.len() < 50 && sort.starts_with(PREFIX)), "{long:?}");
        assert_ne!(long[0], long[1]);
    }
}
