//! FieldAware in the suite's terms.
//!
//! A list is a page of the first import here, the only listing that names all records; a stream that comes to rest
//! has followed the feed as well.

use serde_json::json;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::failure::FailureClass::{self, Record};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::SourceKind;
use tidemark_fakes::TruthRecord;
pub(crate) use tidemark_fakes::fieldaware::FakeFieldAware;
use tidemark_fakes::fieldaware::FieldAwareOptions;

use crate::Vendor;

impl Vendor for FakeFieldAware {
    const KIND: SourceKind = SourceKind::FieldAware;
    const STREAM: &'static str = "changes";
    const RECORDS: &'static str = "customers";
    const PERSONAL_FIELD: &'static str = "email";
    const SETTINGS: &'static str = r#"{"record_streams":["customers"],"page_size":4,"list_page_size":3}"#;
    const PAGE_ROWS: usize = 3;

    /// No edit moves a row of its lists; deletions do.
    async fn start(text: &str) -> Self {
        let options = FieldAwareOptions { token: text.to_owned(), ..FieldAwareOptions::default() };
        Self::start_with(options).await.unwrap()
    }

    fn url(&self) -> &str {
        self.url()
    }

    fn secret(text: &str) -> String {
        json!({"token": text}).to_string()
    }

    fn rotate(&self, text: &str) {
        self.rotate(text, false);
    }

    fn own_error() -> &'static str {
        r#"{"error":{"name":"OddError","message":"odd"}}"#
    }

    fn list_answer(entries: &[Option<&str>]) -> String {
        let rows: Vec<_> = entries.iter().map(|id| json!({"uuid": id, "name": "13"})).collect();
        json!({"count": rows.len(), "items": rows, "page": 0, "pageSize": 3, "sortedBy": []}).to_string()
    }

    fn listed_id(record: &str) -> RecordId {
        RecordId::parse(format!("customers/customer/{record}")).unwrap()
    }

    /// Its details have no stamp.
    fn stamp_of(_record: &TruthRecord) -> Option<StampMillis> {
        None
    }

    /// One class that cannot be read stops no other: its list is left out, its record is quarantined.
    fn refused(_status: u16) -> [Option<FailureClass>; 2] {
        [None, Some(Record)]
    }
}
