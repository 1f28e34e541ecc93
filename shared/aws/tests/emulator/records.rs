use tidemark_engine::clock::{LocalMillis, Stamp, StampMillis, VendorMillis};
use tidemark_engine::ports::{Records, Stored, StoredVersions};
use tidemark_engine::record::{Body, DeletedBecause, Look, RecordKey, Seen};
use tidemark_testkit::contract;

use crate::cloud::{emulator, id, names, number, records, stream, text};

fn key(text: &str) -> RecordKey {
    let stream = stream("customers");
    RecordKey { source: stream.source, stream: stream.name, id: id(text) }
}

fn look(text: &str, looked_at: i64, seen: Seen) -> Look {
    Look { key: key(text), looked_at: LocalMillis::new(looked_at), seen, event: None, is_stored: looked_at > 1 }
}

fn record(text: &str, looked_at: i64, body: &str) -> Look {
    let stamp = Some(Stamp {
        text: "2027-01-15 09:00:00".to_owned(),
        at: StampMillis::new(1_800_003_600_000),
        utc: VendorMillis::new(1_800_000_000_000),
    });
    let seen_at = Some(VendorMillis::new(1_800_000_000_009));
    look(text, looked_at, Seen::Record { body: Body::new(body), stamp, seen_at })
}

/// Two looks are written by statements, one alone by an update: both ways lead to the same item.
fn alone_and_together(look: &Look) -> [Vec<Look>; 2] {
    let other = Look { key: key("other"), ..look.clone() };
    [vec![look.clone()], vec![look.clone(), other]]
}

#[tokio::test]
async fn the_contract_of_records_holds() {
    let (table, port, versions) = records(&emulator().await, "records").await;
    contract::records(&port, &versions, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn the_contract_of_stored_versions_holds() {
    let (table, port, versions) = records(&emulator().await, "versions").await;
    contract::stored_versions(&port, &versions, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn a_record_is_kept_as_the_design_says() {
    let body = "{\"id\":\"a#b\", \"price\":1.10}";
    let first = Look { event: Some(Body::new("{\"status\":\"UPDATED\"}")), ..record("a#b", 1, body) };
    for looks in alone_and_together(&first) {
        let (table, port, _) = records(&emulator().await, "shape").await;
        assert!(port.store(&looks).await.expect("an answer").iter().all(|stored| *stored == Stored::Written));
        let items = table.items().await;
        let item = items.iter().find(|item| text(item, "id") == "a#b").expect("it is there");
        let expected = [
            "body",
            "event",
            "fetched_at_ms",
            "hash",
            "id",
            "last_edited",
            "last_edited_ms",
            "partition",
            "schema_version",
            "seen_at_ms",
        ];
        assert_eq!(names(item), expected);
        assert_eq!(text(item, "partition"), "fieldmotion#customers");
        assert_eq!(text(item, "body"), body, "byte for byte");
        assert_eq!(text(item, "last_edited"), "2027-01-15 09:00:00");
        assert_eq!(number(item, "last_edited_ms"), "1800000000000", "in UTC");
        assert_eq!(number(item, "seen_at_ms"), "1800000000009");
        assert_eq!(
            item["hash"].as_b().map(|hash| hash.as_ref().to_vec()),
            Ok(Body::new(body).fingerprint().0.to_vec())
        );
        table.gone().await;
    }
}

#[tokio::test]
async fn a_body_is_plain_or_compressed_and_never_both() {
    let (table, port, _) = records(&emulator().await, "bodies").await;
    let long = format!("\"{}\"", "long ä🦆 ".repeat(40_000));
    for (looked_at, body) in (1..).zip(["\"short\"", &long, "\"short again\""]) {
        let stored = port.store(&[record("1", looked_at, body)]).await.expect("an answer");
        assert_eq!(stored, [Stored::Written]);
        let item = table.item().await;
        if body.len() > 300 * 1024 {
            let compressed = item["body_zstd"].as_b().expect("it is binary").as_ref();
            let back = zstd::bulk::decompress(compressed, body.len()).expect("it is zstd");
            assert!(back == body.as_bytes() && !item.contains_key("body"));
        } else {
            assert_eq!(text(&item, "body"), body);
            assert!(!item.contains_key("body_zstd"));
        }
    }
    table.gone().await;
}

#[tokio::test]
async fn a_tombstone_keeps_the_body_and_a_return_removes_it() {
    let event = Some(Body::new("{\"status\":\"DELETED\"}"));
    let gone = Look { event, ..look("1", 1, Seen::Gone(DeletedBecause::Announced)) };
    let bare = Seen::Record { body: Body::new("[2]"), stamp: None, seen_at: None };
    let steps = [
        gone.clone(),
        record("1", 2, "[1]"),
        Look { event: None, looked_at: LocalMillis::new(3), is_stored: true, ..gone },
        look("1", 4, bare),
    ];
    let kept = ["event", "fetched_at_ms", "id", "partition", "schema_version"];
    let more: [&[&str]; 4] = [
        &["deleted", "deleted_because"],
        &["body", "hash", "last_edited", "last_edited_ms", "seen_at_ms"],
        &["body", "deleted", "deleted_because", "hash", "last_edited", "last_edited_ms"],
        &["body", "hash"],
    ];
    for way in 0..2 {
        let (table, port, _) = records(&emulator().await, "tombstones").await;
        for (step, more) in steps.iter().zip(more) {
            let looks = &alone_and_together(step)[way];
            let stored = port.store(looks).await.expect("an answer");
            assert!(stored.iter().all(|stored| *stored == Stored::Written), "{stored:?}");
            for item in table.items().await {
                let mut expected = [&kept, more].concat();
                expected.sort_unstable();
                assert_eq!(names(&item), expected, "way {way} of {step:?}");
                assert!(!item.contains_key("deleted") || text(&item, "deleted_because") == "announced");
            }
        }
        table.gone().await;
    }
}

#[tokio::test]
async fn a_key_given_twice_spoils_nothing() {
    let (table, port, versions) = records(&emulator().await, "keys").await;
    port.store(&[record("1", 1, "[1]")]).await.expect("an answer");
    let found = versions.versions(&[key("1"), key("1"), key("2")]).await.expect("an answer");
    assert_eq!(found.keys().collect::<Vec<_>>(), [&key("1")]);
    table.gone().await;
}
