use aws_sdk_dynamodb::types::AttributeValue;
use tidemark_aws::dynamodb::CheckpointTable;
use tidemark_engine::checkpoint::{Checkpoint, Guard, Position, Transition};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Acquired, Checkpoints, Written};
use tidemark_engine::stamp::UtcMillis;
use tidemark_testkit::contract;

use crate::cloud::{OwnTable, emulator, names, stream};

const KEY: &str = "stream_key";

async fn owned(port: &CheckpointTable, at: i64) -> Checkpoint {
    let now = UtcMillis::new(at);
    match port.acquire(&stream("customers"), "me", now, now.shifted(180_000)).await {
        Ok(Acquired::Held(state)) => *state,
        other => panic!("not held: {other:?}"),
    }
}

#[tokio::test]
async fn the_contract_of_checkpoints_holds() {
    let sdk = emulator().await;
    let table = OwnTable::new(&sdk, "checkpoints", KEY, None).await;
    contract::checkpoints(&CheckpointTable::new(&sdk, &table.name), &stream("customers")).await;
    table.gone().await;
}

#[tokio::test]
async fn a_new_state_has_no_epoch_and_no_lease() {
    let sdk = emulator().await;
    let table = OwnTable::new(&sdk, "first", KEY, None).await;
    let port = CheckpointTable::new(&sdk, &table.name);
    let start = Position::At(UtcMillis::new(0));
    assert_eq!(port.create(&stream("customers"), &start).await.expect("it is made"), Written::Applied);

    let item = table.item().await;
    assert_eq!(names(&item), ["committed", "scanned", "schema_version", "stream_key", "tokens"]);
    assert_eq!(item.get(KEY), Some(&AttributeValue::S("fieldmotion#customers".to_owned())));
    table.gone().await;
}

#[tokio::test]
async fn a_created_item_never_reuses_an_epoch() {
    let sdk = emulator().await;
    let table = OwnTable::new(&sdk, "recreated", KEY, None).await;
    let port = CheckpointTable::new(&sdk, &table.name);
    let (stream, start) = (stream("customers"), Position::At(UtcMillis::new(0)));
    port.create(&stream, &start).await.expect("it is made");
    let before = owned(&port, 1_000_000).await;

    let key = [(KEY.to_owned(), AttributeValue::S(stream.to_string()))].into();
    table.client.delete_item().table_name(&table.name).set_key(Some(key)).send().await.expect("it is deleted");
    port.create(&stream, &start).await.expect("it is made again");
    let after = owned(&port, 1_000_500).await;
    assert!(after.epoch > before.epoch, "{} after {}", after.epoch, before.epoch);

    let zombie = Transition { guard: Guard::NoRun, next: before };
    assert_eq!(port.store(&zombie).await.expect("an answer"), Written::Refused);
    table.gone().await;
}

#[tokio::test]
async fn attributes_of_others_stay() {
    let sdk = emulator().await;
    let table = OwnTable::new(&sdk, "foreign", KEY, None).await;
    let port = CheckpointTable::new(&sdk, &table.name);
    port.create(&stream("customers"), &Position::At(UtcMillis::new(0))).await.expect("it is made");
    let mut item = table.item().await;
    item.insert("paused".to_owned(), AttributeValue::Bool(true));
    table.put(item).await;

    let next = owned(&port, 1_000_000).await;
    let written = port.store(&Transition { guard: Guard::NoRun, next }).await.expect("an answer");
    assert_eq!(written, Written::Applied);
    assert_eq!(table.item().await.get("paused"), Some(&AttributeValue::Bool(true)));
    table.gone().await;
}

#[tokio::test]
async fn another_versions_item_is_malformed() {
    let sdk = emulator().await;
    let table = OwnTable::new(&sdk, "malformed", KEY, None).await;
    let port = CheckpointTable::new(&sdk, &table.name);
    port.create(&stream("customers"), &Position::At(UtcMillis::new(0))).await.expect("it is made");
    let good = table.item().await;
    let spoilt = [
        ("schema_version", AttributeValue::N("2".to_owned()), "schema_version is 2, this program knows 1"),
        ("committed", AttributeValue::S("now".to_owned()), "committed is not a map"),
        ("run", AttributeValue::M([].into()), "run.run_id is missing"),
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
async fn an_item_of_a_newer_version_is_neither_leased_nor_written() {
    // GIVEN a state that this program held, until a newer one rewrote it and was rolled back
    let sdk = emulator().await;
    let table = OwnTable::new(&sdk, "newer", KEY, None).await;
    let port = CheckpointTable::new(&sdk, &table.name);
    port.create(&stream("customers"), &Position::At(UtcMillis::new(0))).await.expect("it is made");
    let next = owned(&port, 1_000_000).await;
    let mut newer = table.item().await;
    newer.insert("schema_version".to_owned(), AttributeValue::N("2".to_owned()));
    newer.insert("run".to_owned(), AttributeValue::S("of a shape nobody knows yet".to_owned()));
    table.put(newer.clone()).await;
    // WHEN it is asked for again, long after the lease, and the old holder writes
    let now = UtcMillis::new(9_000_000);
    let failure = port.acquire(&stream("customers"), "other", now, now.shifted(180_000)).await.expect_err("not ours");
    let written = port.store(&Transition { guard: Guard::NoRun, next }).await.expect("an answer");
    // THEN the item stays as it is, and the failure names it and what to do
    assert_eq!((written, table.item().await == newer), (Written::Refused, true));
    let text = failure.to_string();
    for told in ["fieldmotion#customers", "schema_version is 2, this program knows 1", "deploy"] {
        assert!(text.contains(told), "{text}");
    }
    table.gone().await;
}

#[tokio::test]
async fn a_table_that_is_not_there_is_denied() {
    let sdk = emulator().await;
    let port = CheckpointTable::new(&sdk, "no-such-table");
    let failure = port.load(&stream("customers")).await.expect_err("there is no table");
    assert!(matches!(failure, StoreFailure::Denied { .. }), "{failure:?}");
}
