//! FSM Navigator in the suite's terms: jobs, the inventory, which is read where it is named, and what belongs to a
//! parent. A page of the latter is a page of parents, and no entry of it names a record: the suite runs in part.

use std::ops::Deref;

use serde_json::json;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::SourceKind;
use tidemark_fakes::Fake;
use tidemark_fakes::fsmnavigator::{FakeFsmNavigator, FsmNavigatorOptions, ListOrder, Settings};

use crate::Vendor;

/// The records of a stream of children belong to so many parents.
const PARENTS: usize = 3;

/// The account, with the stream that the suite looks at.
macro_rules! vendor {
    ($name:ident, $stream:literal, $personal:literal, $plural:literal $(, of $parents:literal from $first:literal)?) => {
        pub(crate) struct $name(FakeFsmNavigator);

        impl Deref for $name {
            type Target = Fake;

            fn deref(&self) -> &Fake {
                &self.0
            }
        }

        impl Vendor for $name {
            const KIND: SourceKind = SourceKind::FsmNavigator;
            const STREAM: &'static str = $stream;
            const PERSONAL_FIELD: &'static str = $personal;
            const SETTINGS: &'static str = r#"{"per_page":3}"#;
            const PAGE_ROWS: usize = 3;

            async fn start(text: &str) -> Self {
                let settings = Settings { list_order: ListOrder::OldestFirst, ..Settings::default() };
                let options = FsmNavigatorOptions { api_key: text.to_owned(), settings, ..FsmNavigatorOptions::default() };
                let fake = FakeFsmNavigator::start_with(options).await.unwrap();
                $(fake.seed_count($parents, PARENTS).unwrap();)?
                Self(fake)
            }

            $(
                /// As the fake spreads its records over the first parents.
                fn listed_id(record: &str) -> RecordId {
                    let number: usize = record.parse().unwrap();
                    RecordId::parse(format!("{}/{record}", $first + number % PARENTS)).unwrap()
                }

                fn stored_id(record: &str) -> RecordId {
                    Self::listed_id(record)
                }
            )?

            fn url(&self) -> &str {
                self.0.url()
            }

            fn secret(text: &str) -> String {
                json!({"api_key": text}).to_string()
            }

            fn rotate(&self, text: &str) {
                self.0.rotate(text, false);
            }

            fn own_error() -> &'static str {
                r#"{"success":false,"error":"ODD","message":"odd"}"#
            }

            fn list_answer(entries: &[Option<&str>]) -> String {
                let rows: Vec<_> = entries.iter().map(|id| json!({"id": id, "name": "13"})).collect();
                json!({"success": true, $plural: rows, "page": 1, "total_pages": 1}).to_string()
            }
        }
    };
}

vendor!(Jobs, "jobs", "job_description", "jobs");
vendor!(Inventory, "inventory", "notes", "inventory");
vendor!(Locations, "customer_locations", "location_name", "customers", of "customers" from 123);
vendor!(ServiceRecords, "service_records", "notes", "assets", of "assets" from 1_001);
