//! The emulator, dynalite, and tables and queues of a test's own.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use tidemark_aws::Sdk;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable, RecordTable, VersionTable};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_testkit::memory::ManualClock;

/// A stored item as it is.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The way to the emulator.
pub(crate) async fn emulator() -> Sdk {
    #[expect(clippy::disallowed_methods, reason = "the program that started the emulator sets its address")]
    let endpoint = std::env::var("TIDEMARK_LOCAL_ENDPOINT");
    let endpoint = endpoint.unwrap_or_else(|_| {
        panic!("TIDEMARK_LOCAL_ENDPOINT is not set: this test needs the local AWS emulator; run it through `make test`")
    });
    Sdk::local(&endpoint).await
}

/// The way to dynalite, where it runs.
pub(crate) async fn dynalite() -> Option<Sdk> {
    #[expect(clippy::disallowed_methods, reason = "the program that started dynalite sets its address")]
    let endpoint = std::env::var("TIDEMARK_DYNALITE_URL");
    let Ok(endpoint) = endpoint else {
        println!("skipped: TIDEMARK_DYNALITE_URL is not set, which `make test` does where Node.js is there");
        return None;
    };
    Some(Sdk::local(&endpoint).await)
}

/// A name that no other test and no other run uses.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{:016x}", fastrand::u64(..))
}

pub(crate) fn stream(name: &'static str) -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known(name) }
}

pub(crate) fn id(text: &str) -> RecordId {
    RecordId::parse(text).expect("it is an id")
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::hasty(LocalMillis::new(1_800_000_000_500))
}

/// The checkpoints in a table of their own.
pub(crate) async fn checkpoints(sdk: &Sdk, name: &str) -> (OwnTable, CheckpointTable) {
    let table = OwnTable::new(sdk, name, "stream_key", None).await;
    let port = CheckpointTable::new(sdk, &table.name);
    (table, port)
}

/// A ledger in a table of its own.
pub(crate) async fn ledger(sdk: &Sdk, name: &str) -> (OwnTable, LedgerTable) {
    let table = OwnTable::new(sdk, name, "partition", Some("item")).await;
    let port = LedgerTable::new(sdk, &table.name);
    (table, port)
}

/// The records in a table of their own.
pub(crate) async fn records(sdk: &Sdk, name: &str) -> (OwnTable, RecordTable<ManualClock>, VersionTable<ManualClock>) {
    let table = OwnTable::new(sdk, name, "partition", Some("id")).await;
    let port = RecordTable::new(sdk, &table.name, clock());
    let versions = VersionTable::new(sdk, &table.name, clock());
    (table, port, versions)
}

/// A table that lives as long as a test.
pub(crate) struct OwnTable {
    pub(crate) name: String,
    client: aws_sdk_dynamodb::Client,
}

impl OwnTable {
    async fn new(sdk: &Sdk, name: &str, hash: &str, range: Option<&str>) -> Self {
        let table = Self { name: unique(name), client: aws_sdk_dynamodb::Client::new(sdk.config()) };
        let keys = std::iter::once((hash, KeyType::Hash)).chain(range.map(|range| (range, KeyType::Range)));
        let mut create = table.client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
        for (name, role) in keys {
            let text = ScalarAttributeType::S;
            let defined = AttributeDefinition::builder().attribute_name(name).attribute_type(text).build();
            let keyed = KeySchemaElement::builder().attribute_name(name).key_type(role).build();
            create = create
                .attribute_definitions(defined.expect("it is complete"))
                .key_schema(keyed.expect("it is complete"));
        }
        create.send().await.expect("a table is made");
        // dynalite answers before the table can be used, as AWS does.
        while table.status().await != Some(TableStatus::Active) {
            tokio::task::yield_now().await;
        }
        table
    }

    async fn status(&self) -> Option<TableStatus> {
        let described = self.client.describe_table().table_name(&self.name).send().await;
        described.expect("the table can be described").table?.table_status
    }

    /// Every item of the table, as it is.
    pub(crate) async fn items(&self) -> Vec<Item> {
        let scanned = self.client.scan().table_name(&self.name).consistent_read(true).send().await;
        scanned.expect("the table can be read").items.unwrap_or_default()
    }

    /// The only item of the table.
    pub(crate) async fn item(&self) -> Item {
        let mut items = self.items().await;
        assert_eq!(items.len(), 1);
        items.remove(0)
    }

    pub(crate) async fn put(&self, item: Item) {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await;
        put.expect("the item is put");
    }

    pub(crate) async fn gone(self) {
        self.client.delete_table().table_name(&self.name).send().await.expect("the table goes");
    }
}

/// The names of an item's attributes, in order.
pub(crate) fn names(item: &Item) -> Vec<&str> {
    let mut names: Vec<&str> = item.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// An attribute that is a text.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_s().expect("it is a text")
}

/// An attribute that is a number.
pub(crate) fn number<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_n().expect("it is a number")
}
