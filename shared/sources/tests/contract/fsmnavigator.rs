//! FSM Navigator in the suite's terms.

use serde_json::json;
use tidemark_engine::stream::SourceKind;
pub(crate) use tidemark_fakes::fsmnavigator::FakeFsmNavigator;
use tidemark_fakes::fsmnavigator::{FsmNavigatorOptions, ListOrder, Settings};

use crate::Vendor;

impl Vendor for FakeFsmNavigator {
    const KIND: SourceKind = SourceKind::FsmNavigator;
    const STREAM: &'static str = "jobs";
    const PERSONAL_FIELD: &'static str = "job_description";
    const SETTINGS: &'static str = r#"{"per_page":3}"#;
    const PAGE_ROWS: usize = 3;

    async fn start(text: &str) -> Self {
        let settings = Settings { list_order: ListOrder::OldestFirst, ..Settings::default() };
        Self::start_with(FsmNavigatorOptions { api_key: text.to_owned(), settings, ..FsmNavigatorOptions::default() })
            .await
            .unwrap()
    }

    fn url(&self) -> &str {
        self.url()
    }

    fn secret(text: &str) -> String {
        json!({"api_key": text}).to_string()
    }

    fn rotate(&self, text: &str) {
        self.rotate(text, false);
    }

    fn own_error() -> &'static str {
        r#"{"success":false,"error":"ODD","message":"odd"}"#
    }

    fn list_answer(entries: &[Option<&str>]) -> String {
        let rows: Vec<_> = entries.iter().map(|id| json!({"id": id, "job_title": "13"})).collect();
        json!({"success": true, "jobs": rows, "page": 1, "total_pages": 1}).to_string()
    }
}
