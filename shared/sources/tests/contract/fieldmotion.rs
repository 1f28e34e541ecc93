//! FieldMotion in the suite's terms: customers, which are listed by their ids, and users, which are listed as rows and
//! have no detail: the suite runs in part.

use std::ops::Deref;

use tidemark_engine::stream::SourceKind;
use tidemark_fakes::Fake;
pub(crate) use tidemark_fakes::fieldmotion::FakeFieldMotion;
use tidemark_fakes::fieldmotion::{FieldMotionOptions, ListOrder, Settings};

use crate::Vendor;

fn credential(text: &str) -> (String, String) {
    (format!("{text}-id"), format!("{text}-key"))
}

impl Vendor for FakeFieldMotion {
    const KIND: SourceKind = SourceKind::FieldMotion;
    const STREAM: &'static str = "customers";
    const PERSONAL_FIELD: &'static str = "email";
    const SETTINGS: &'static str = "{}";
    /// Its lists have no pages.
    const PAGE_ROWS: usize = 3;
    /// The other two forms of `_api_now`.
    const FURTHER_TRIES: usize = 2;

    async fn start(text: &str) -> Self {
        let (api_id, api_key) = credential(text);
        let settings = Settings { list_order: ListOrder::NewestFirst, ..Settings::default() };
        Self::start_with(FieldMotionOptions { api_id, api_key, settings, ..FieldMotionOptions::default() })
            .await
            .unwrap()
    }

    fn url(&self) -> &str {
        self.url()
    }

    fn secret(text: &str) -> String {
        let (api_id, api_key) = credential(text);
        serde_json::json!({"api_id": api_id, "api_key": api_key}).to_string()
    }

    fn rotate(&self, text: &str) {
        let (api_id, api_key) = credential(text);
        self.rotate(&api_id, &api_key, false);
    }

    fn own_error() -> &'static str {
        r#"{"error":"oops"}"#
    }

    fn list_answer(entries: &[Option<&str>]) -> String {
        serde_json::json!(entries).to_string()
    }
}

pub(crate) struct Users(FakeFieldMotion);

impl Deref for Users {
    type Target = Fake;

    fn deref(&self) -> &Fake {
        &self.0
    }
}

impl Vendor for Users {
    const KIND: SourceKind = FakeFieldMotion::KIND;
    const STREAM: &'static str = "users";
    const PERSONAL_FIELD: &'static str = FakeFieldMotion::PERSONAL_FIELD;
    const SETTINGS: &'static str = FakeFieldMotion::SETTINGS;
    const PAGE_ROWS: usize = FakeFieldMotion::PAGE_ROWS;
    const FURTHER_TRIES: usize = FakeFieldMotion::FURTHER_TRIES;

    async fn start(text: &str) -> Self {
        Self(<FakeFieldMotion as Vendor>::start(text).await)
    }

    fn url(&self) -> &str {
        self.0.url()
    }

    fn secret(text: &str) -> String {
        <FakeFieldMotion as Vendor>::secret(text)
    }

    fn rotate(&self, text: &str) {
        Vendor::rotate(&self.0, text);
    }

    fn own_error() -> &'static str {
        FakeFieldMotion::own_error()
    }

    fn list_answer(entries: &[Option<&str>]) -> String {
        let rows: Vec<_> = entries.iter().map(|id| serde_json::json!({"id": id, "name": "13"})).collect();
        serde_json::json!(rows).to_string()
    }
}
