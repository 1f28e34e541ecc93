//! Acme in the suite's terms.

use serde_json::json;
use tidemark_engine::stream::SourceKind;
use tidemark_fakes::acme::AcmeOptions;
pub(crate) use tidemark_fakes::acme::FakeAcme;

use crate::Vendor;

impl Vendor for FakeAcme {
    const KIND: SourceKind = SourceKind::Acme;
    const STREAM: &'static str = "jobs";
    const PERSONAL_FIELD: &'static str = "email";
    const SETTINGS: &'static str = r#"{"per_page":3}"#;
    const PAGE_ROWS: usize = 3;

    async fn start(text: &str) -> Self {
        Self::start_with(AcmeOptions { api_key: text.to_owned(), ..AcmeOptions::default() }).await.unwrap()
    }

    fn url(&self) -> &str {
        self.url()
    }

    fn secret(text: &str) -> String {
        json!({"api_key": text}).to_string()
    }

    fn rotate(&self, text: &str) {
        self.rotate(text);
    }

    // An error and a list in the vendor's shape: not written yet, see docs/add-a-source.md, section 5.

    fn own_error() -> &'static str {
        r#"{"error":{"code":"odd"}}"#
    }

    fn list_answer(entries: &[Option<&str>]) -> String {
        let rows: Vec<_> = entries.iter().map(|id| json!({"id": id, "number": "13"})).collect();
        json!({"data": rows, "page": 1, "total_pages": 1}).to_string()
    }
}
