//! The emulator, and tables and queues of a test's own.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use tidemark_aws::Sdk;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

/// A stored item as it is.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The way to the emulator.
pub(crate) async fn emulator() -> Sdk {
    #[expect(clippy::disallowed_methods, reason = "where the emulator is, is said by whoever started it")]
    let endpoint = std::env::var("TIDEMARK_LOCAL_ENDPOINT");
    let endpoint = endpoint.unwrap_or_else(|_| {
        panic!("TIDEMARK_LOCAL_ENDPOINT is not set: this test needs the local AWS emulator; run it through `make test`")
    });
    Sdk::local(&endpoint).await
}

/// A name that no other test and no other run uses.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{:016x}", fastrand::u64(..))
}

pub(crate) fn stream(name: &'static str) -> StreamKey {
    StreamKey { source: SourceKind::FieldMotion, name: StreamName::known(name) }
}

/// A table that lives as long as a test.
pub(crate) struct OwnTable {
    pub(crate) name: String,
    pub(crate) client: aws_sdk_dynamodb::Client,
}

impl OwnTable {
    pub(crate) async fn new(sdk: &Sdk, name: &str, hash: &str, range: Option<&str>) -> Self {
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
        create.send().await.expect("the emulator makes tables");
        table
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
