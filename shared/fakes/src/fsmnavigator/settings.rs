//! What the vendor's documentation leaves open, as settings of the fake.

use serde::{Deserialize, Serialize};

/// How this FSM Navigator behaves where its documentation is silent, or contradicts itself.
#[expect(clippy::struct_excessive_bools, reason = "quirks that do not depend on each other, read by name")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which of the two descriptions its answers follow.
    pub dialect: Dialect,
    /// In which styles it answers details.
    pub details: Details,
    /// The shape of a detail answer.
    pub detail_shape: DetailShape,
    /// The detail answer for a record that is gone.
    pub vanished: Vanished,
    /// Which lists take `updated_since`; the others ignore it.
    pub updated_since: UpdatedSince,
    /// Whether `updated_since` itself is listed.
    pub inclusive: bool,
    /// The order of the rows.
    pub list_order: ListOrder,
    /// What a list answer says about its pages.
    pub paging: Paging,
    /// The `total_pages` of a list without rows.
    pub empty_total_pages: u64,
    /// More rows a page are not answered, whatever is asked for.
    pub per_page_max: usize,
    /// Whether `updated_since` means "equal to" instead of "from ... on".
    pub bound_means_equal: bool,
    /// Whether rows have a signed address that differs at every reading.
    pub signed_urls: bool,
    /// Whether lists show their first page whatever page is asked for.
    pub ignores_page: bool,
    /// Whether a page behind the last one is refused; else it is empty.
    pub refuses_end: bool,
    /// Records that are left out of the page that they are on, which is so much shorter.
    pub hidden: Vec<String>,
    /// How many pages of a list may be asked for; later ones are refused.
    pub pages_max: Option<usize>,
    /// The status of an error object that a fault asks for.
    pub error_status: u16,
    /// How many calls it answers within `limit_seconds`, for each key.
    pub limit_calls: u64,
    /// How long a call counts.
    pub limit_seconds: i64,
    /// Where a refused call finds how long to wait.
    pub retry_after: RetryAfterIn,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dialect: Dialect::Guide,
            details: Details::Both,
            detail_shape: DetailShape::Object,
            vanished: Vanished::NotFound,
            updated_since: UpdatedSince::Jobs,
            inclusive: true,
            list_order: ListOrder::OldestFirst,
            paging: Paging::Totals,
            empty_total_pages: 0,
            per_page_max: 100,
            bound_means_equal: false,
            signed_urls: false,
            ignores_page: false,
            refuses_end: false,
            hidden: Vec::new(),
            pages_max: None,
            error_status: 200,
            limit_calls: 100_000,
            limit_seconds: 60,
            retry_after: RetryAfterIn::Both,
        }
    }
}

/// Which of the vendor's descriptions its answers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `{"success":true,"jobs":[{"id":1}],"page":1,"per_page":50,"total":1,"total_pages":1}`
    Guide,
    /// `{"data":[{"job_id":1}],"pagination":{..},"request_id":"a1b2c3d4e5f6"}`
    Reference,
}

/// In which styles details are answered; in the others there is no such function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Details {
    /// In both.
    Both,
    /// `/jobs?id=1` alone.
    Query,
    /// `/jobs/1` alone.
    Path,
}

/// The shape of a detail answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetailShape {
    /// `{"success":true,"job":{..}}` or `{"data":{..}}`, by the dialect.
    Object,
    /// `{"success":true,"jobs":[{..}]}` or `{"data":[{..}]}`, by the dialect.
    Array,
    /// The row alone.
    Bare,
}

/// The detail answer for a record that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vanished {
    /// Status 404 and an error object.
    NotFound,
    /// Status 200, `success` false and the error `not_found`.
    Refused,
    /// Status 200 and no row.
    Empty,
}

/// Which lists take `updated_since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdatedSince {
    /// That of jobs.
    Jobs,
    /// All.
    All,
    /// None.
    Ignored,
}

/// The order of the rows; all but `id` move when a record is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// By stamp: an edited row goes to the end, and those behind it move to the front.
    OldestFirst,
    /// By stamp: an edited row comes to the front, and those before it move to the end.
    NewestFirst,
    /// As the records were made.
    Id,
    /// In another order at every reading.
    Turning,
}

/// What a list answer says about its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// All.
    Totals,
    /// Which page it is and how long pages are, but not how many there are.
    NoTotals,
    /// Nothing.
    Nothing,
}

/// Where a refused call finds how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfterIn {
    /// In the header and in the body.
    Both,
    /// In the header.
    Header,
    /// In the body.
    Body,
    /// Nowhere.
    Nowhere,
}
