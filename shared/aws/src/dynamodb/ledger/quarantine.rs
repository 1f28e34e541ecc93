//! Quarantined ids in the ledger.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `partition`, `item` | S, key | `quarantine#source#stream`, the id |
//! | `reason` | S | |
//! | `since`, `next_at` | N ms | |
//! | `held_checkpoint` | M | a position |
//! | `attempts` | N | |
//!
//! They never expire: under the policy `advance` they are the only memory of what is owed.

use tidemark_engine::quarantine::Quarantined;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::StreamKey;

use super::super::item::{BadShape, Item, Reader, instant, item, number, text};
use super::{ITEM, key, position};

pub(super) const RESCHEDULE: &str = "SET #attempts = :attempts, #next_at = :next_at";

/// E11. False for an item that is not there.
pub(super) const WENT_IN_BEFORE: &str = "#since < :fetched_at";

pub(super) fn partition_of(stream: &StreamKey) -> String {
    format!("quarantine#{stream}")
}

pub(super) fn key_of(stream: &StreamKey, id: &RecordId) -> Item {
    key(partition_of(stream), id.as_str())
}

/// E10.
pub(super) fn item_of(entry: &Quarantined) -> Item {
    let mut found = key_of(&entry.stream, &entry.id);
    found.extend(item([
        ("reason", text(&entry.reason)),
        ("since", instant(entry.since)),
        ("held_checkpoint", position::to_value(&entry.held_checkpoint)),
        ("attempts", number(entry.attempts)),
        ("next_at", instant(entry.next_at)),
    ]));
    found
}

pub(super) fn entry_of(stream: &StreamKey, item: &Item) -> Result<Quarantined, BadShape> {
    let entry = Reader::of(item);
    Ok(Quarantined {
        stream: stream.clone(),
        id: entry.parsed(ITEM, |id| RecordId::parse(id).ok())?,
        reason: entry.text("reason")?.to_owned(),
        since: entry.instant("since")?,
        held_checkpoint: position::read(entry, "held_checkpoint")?,
        attempts: entry.number("attempts")?,
        next_at: entry.instant("next_at")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemark_engine::stream::{SourceKind, StreamName};

    use super::super::super::samples;
    use super::*;

    prop_compose! {
        fn entries()(
            id in samples::ids(),
            reason in ".{0,40}",
            since in samples::instants(),
            held_checkpoint in samples::positions(),
            attempts: u32,
            next_at in samples::instants(),
        ) -> Quarantined {
            let stream = StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") };
            Quarantined { stream, id, reason, since, held_checkpoint, attempts, next_at }
        }
    }

    proptest! {
        #[test]
        fn an_entry_survives_its_item(entry in entries()) {
            prop_assert_eq!(entry_of(&entry.stream, &item_of(&entry)), Ok(entry));
        }
    }
}
