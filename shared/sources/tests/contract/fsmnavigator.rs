//! FSM Navigator in the suite's terms: jobs, and the inventory, which is read where it is named. What belongs to a
//! parent has tests of its own, since a page of it is a page of parents.

use std::ops::Deref;

use serde_json::json;
use tidemark_engine::stream::SourceKind;
use tidemark_fakes::Fake;
use tidemark_fakes::fsmnavigator::{FakeFsmNavigator, FsmNavigatorOptions, ListOrder, Settings};

use crate::Vendor;

/// The account, with the stream that the suite looks at.
macro_rules! vendor {
    ($name:ident, $stream:literal, $personal:literal, $plural:literal) => {
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
                Self(FakeFsmNavigator::start_with(options).await.unwrap())
            }

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
