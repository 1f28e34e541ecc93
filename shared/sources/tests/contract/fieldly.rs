//! Fieldly in the suite's terms.

use serde_json::json;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::stream::SourceKind;
pub(crate) use tidemark_fakes::fieldly::FakeFieldly;
use tidemark_fakes::fieldly::{FieldlyOptions, Order, Settings};

use crate::Vendor;

fn credential(text: &str) -> (String, String) {
    (format!("{text}-client"), format!("{text}-secret"))
}

impl Vendor for FakeFieldly {
    const KIND: SourceKind = SourceKind::Fieldly;
    const STREAM: &'static str = "clients";
    const PERSONAL_FIELD: &'static str = "email";
    const SETTINGS: &'static str = r#"{"per_page":3}"#;
    const PAGE_ROWS: usize = 3;
    /// The token that is rejected was granted a moment before: the secret is good.
    const REJECTED: FailureClass = FailureClass::Transient;

    async fn start(text: &str) -> Self {
        let (client_id, client_secret) = credential(text);
        let settings = Settings { order: Order::OldestFirst, ..Settings::default() };
        Self::start_with(FieldlyOptions { client_id, client_secret, settings, ..FieldlyOptions::default() })
            .await
            .unwrap()
    }

    fn url(&self) -> &str {
        self.url()
    }

    fn secret(text: &str) -> String {
        let (client_id, client_secret) = credential(text);
        json!({"client_id": client_id, "client_secret": client_secret}).to_string()
    }

    fn rotate(&self, text: &str) {
        let (client_id, client_secret) = credential(text);
        self.rotate(&client_id, &client_secret, false);
    }

    fn own_error() -> &'static str {
        r#"{"errors":{"odd":["odd"]}}"#
    }

    fn list_answer(entries: &[Option<&str>]) -> String {
        let rows: Vec<_> = entries.iter().map(|id| json!({"id": id, "serial_number": "13"})).collect();
        json!({"clients": rows, "metadata": {"total_pages": 1, "page": 1}}).to_string()
    }
}
