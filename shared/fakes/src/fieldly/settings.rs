//! What the vendor's documentation leaves open, as settings of the fake.

use serde::{Deserialize, Serialize};

/// How this Fieldly behaves where its documentation is silent.
#[expect(clippy::struct_excessive_bools, reason = "quirks that do not depend on each other, read by name")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The member of a list answer that describes its pages.
    pub metadata: Metadata,
    /// The member that holds the rows; the resource's name if there is none.
    pub rows_key: Option<String>,
    /// The parameter for the lower bound.
    pub filter_name: String,
    /// What the lower bound may be, and whether it is applied.
    pub filter: Filter,
    /// Whether the bound itself is listed.
    pub inclusive: bool,
    /// Whether a parameter that does not exist is refused with status 422; else it is ignored.
    pub refuse_unknown_parameters: bool,
    /// The order of a list.
    pub order: Order,
    /// The most rows in a page; more are never given, whatever is asked for.
    pub per_page_max: usize,
    /// Whether the lower bound means "equal to".
    pub bound_means_equal: bool,
    /// Whether lists show their first page whatever page is asked for.
    pub ignores_page: bool,
    /// Whether a page behind the last one is refused; else it is empty.
    pub refuses_end: bool,
    /// Records that are left out of the page that they are on, which is so much shorter.
    pub hidden: Vec<String>,
    /// How many pages of a list may be asked for; later ones are refused with status 422.
    pub pages_max: Option<usize>,
    /// The field that holds the stamp; none shows none.
    pub updated_field: Option<String>,
    /// The envelope of a detail answer.
    pub detail_shape: DetailShape,
    /// How long a token is valid, seconds.
    pub token_seconds: i64,
    /// Whether a token that is still valid is handed out again, with what is left of its time.
    pub reuse_tokens: bool,
    /// The status that refuses a client at the token endpoint.
    pub token_refusal_status: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            metadata: Metadata::Metadata,
            rows_key: None,
            filter_name: "updated_at".to_owned(),
            filter: Filter::Datetime,
            inclusive: false,
            refuse_unknown_parameters: true,
            order: Order::NewestFirst,
            per_page_max: 50,
            bound_means_equal: false,
            ignores_page: false,
            refuses_end: false,
            hidden: Vec::new(),
            pages_max: None,
            updated_field: Some("updated_at".to_owned()),
            detail_shape: DetailShape::Keyed,
            token_seconds: 3600,
            reuse_tokens: false,
            token_refusal_status: 401,
        }
    }
}

/// The member of a list answer that describes its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// `"metadata":{..}`
    Metadata,
    /// `"meta":{..}`
    Meta,
    /// There is none.
    None,
}

/// What the lower bound of a list may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// A time, or a day, which means its beginning.
    Datetime,
    /// A day, after whose end rows are listed; a time is refused with status 422.
    DateOnly,
    /// Anything: everything is listed.
    Ignored,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As the records were made: an edit moves nothing.
    ById,
    /// Last edited first: an edit moves a row to the first page, and those before it on.
    NewestFirst,
    /// Last edited last: an edit moves a row to the last page, and those behind it back.
    OldestFirst,
}

/// The envelope of a detail answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetailShape {
    /// `{"work_item":{..}}`
    Keyed,
    /// `{"data":{..}}`
    Data,
    /// The record.
    Bare,
}
