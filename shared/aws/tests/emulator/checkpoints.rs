use aws_sdk_dynamodb::types::AttributeValue;
use tidemark_aws::dynamodb::CheckpointTable;
use tidemark_engine::checkpoint::Checkpoint;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Written};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{ListShape, StreamTraits};
use tidemark_testkit::contract;

use crate::cloud::{OwnTable, checkpoints, emulator, names, stream, text};

fn first() -> Checkpoint {
    let stream = stream("customers");
    let first = Position::At(StampMillis::new(0));
    let traits =
        StreamTraits { name: stream.name.clone(), shape: ListShape::Whole, stamped: true, filtered: true, first };
    Checkpoint::first(stream, &traits, "account".to_owned())
}

fn second() -> Checkpoint {
    Checkpoint { version: 1, lease_owner: "me".to_owned(), ..first() }
}

async fn created(name: &str) -> (OwnTable, CheckpointTable) {
    let (table, port) = checkpoints(&emulator().await, name).await;
    assert_eq!(port.create(&first()).await.expect("an answer"), Written::Applied);
    (table, port)
}

#[tokio::test]
async fn the_contract_of_checkpoints_holds() {
    let (table, port) = checkpoints(&emulator().await, "checkpoints").await;
    contract::checkpoints(&port, &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn a_state_is_kept_as_the_design_says() {
    let (table, port) = created("shape").await;
    let always = [
        "account_mark",
        "backlog",
        "behind_ms",
        "committed",
        "evidence_from",
        "gap_at",
        "import_count",
        "later",
        "lease_owner",
        "lease_until",
        "listed_at",
        "scanned",
        "schema_version",
        "stream_key",
        "version",
    ];
    let item = table.item().await;
    assert_eq!(names(&item), always);
    assert_eq!(text(&item, "stream_key"), "fieldmotion#customers");

    let mut next = second();
    next.clocks.gap_ms = Some(-7);
    next.ledger_mark = Some("m".to_owned());
    assert_eq!(port.store(&next).await.expect("an answer"), Written::Applied);
    assert_eq!(table.item().await.len(), always.len() + 2);
    let empty = Checkpoint { version: 2, ..first() };
    assert_eq!(port.store(&empty).await.expect("an answer"), Written::Applied);
    assert_eq!(names(&table.item().await), always, "what a state lacks is removed");
    table.gone().await;
}

#[tokio::test]
async fn attributes_of_others_stay() {
    let (table, port) = created("foreign").await;
    let mut item = table.item().await;
    item.insert("note".to_owned(), AttributeValue::Bool(true));
    table.put(item).await;

    assert_eq!(port.store(&second()).await.expect("an answer"), Written::Applied);
    assert_eq!(table.item().await.get("note"), Some(&AttributeValue::Bool(true)));
    table.gone().await;
}

#[tokio::test]
async fn an_item_of_another_shape_is_malformed() {
    let (table, port) = created("malformed").await;
    let good = table.item().await;
    let spoilt = [
        ("schema_version", AttributeValue::N("1".to_owned()), "schema_version is 1, this program knows 2"),
        ("committed", AttributeValue::S("now".to_owned()), "committed is not a map"),
        ("backlog", AttributeValue::L(vec![AttributeValue::M([].into())]), "backlog.scope is missing"),
    ];
    for (name, value, expected) in spoilt {
        let mut item = good.clone();
        item.insert(name.to_owned(), value);
        table.put(item).await;
        match port.load(&stream("customers")).await {
            Err(StoreFailure::Malformed { key, cause, .. }) => {
                assert_eq!((key.as_str(), cause.as_str()), ("fieldmotion#customers", expected));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    table.gone().await;
}

#[tokio::test]
async fn an_item_of_another_version_is_never_written() {
    // GIVEN a state that this program held, until a newer one rewrote it and was rolled back
    let (table, port) = created("newer").await;
    let mut newer = table.item().await;
    newer.insert("schema_version".to_owned(), AttributeValue::N("3".to_owned()));
    newer.insert("backlog".to_owned(), AttributeValue::S("of a shape nobody knows yet".to_owned()));
    table.put(newer.clone()).await;
    // WHEN it is asked for again, and the old holder writes
    let failure = port.load(&stream("customers")).await.expect_err("the item is foreign");
    let written = [port.store(&second()).await, port.create(&first()).await].map(|answer| answer.expect("an answer"));
    // THEN the item stays as it is, and the failure names it and what to do
    assert_eq!((written, table.item().await == newer), ([Written::Refused; 2], true));
    let text = failure.to_string();
    for told in ["fieldmotion#customers", "schema_version is 3, this program knows 2", "deploy"] {
        assert!(text.contains(told), "{text}");
    }
    table.gone().await;
}

#[tokio::test]
async fn a_table_that_is_not_there_is_denied() {
    let port = CheckpointTable::new(&emulator().await, "no-such-table");
    let failure = port.load(&stream("customers")).await.expect_err("there is no table");
    assert!(matches!(failure, StoreFailure::Denied(..)), "{failure:?}");
}
