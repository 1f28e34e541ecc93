//! What the vendor's documentation leaves open, as settings of the fake.

use serde::{Deserialize, Serialize};

/// How this FieldMotion behaves where its documentation is silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The shape of a list answer.
    pub list_shape: ListShape,
    /// The order of a list answer.
    pub list_order: ListOrder,
    /// Whether a list's lower bound itself is listed.
    pub inclusive: bool,
    /// Whether a list's lower bound means "equal to".
    pub bound_means_equal: bool,
    /// The shape of a detail answer.
    pub detail_shape: DetailShape,
    /// The detail answer for an id that is gone.
    pub vanished: Vanished,
    /// Whether the detail of a deleted job is its row with `deleted` set.
    pub deleted_jobs_have_rows: bool,
    /// The zone of all naive times, seconds east of UTC.
    pub zone_offset_seconds: i64,
    /// How `_api_now` must be written.
    pub api_now_format: ApiNowFormat,
    /// How far `_api_now` may be from the vendor's clock.
    pub max_skew_seconds: u64,
    /// The HTTP status of error objects.
    pub error_status: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            list_shape: ListShape::Strings,
            list_order: ListOrder::ById,
            inclusive: false,
            bound_means_equal: false,
            detail_shape: DetailShape::Object,
            vanished: Vanished::Null,
            deleted_jobs_have_rows: false,
            zone_offset_seconds: 0,
            api_now_format: ApiNowFormat::Unix,
            max_skew_seconds: 300,
            error_status: 200,
        }
    }
}

impl Settings {
    /// Whether a list that starts at `from` shows what was edited at `stamp`.
    pub(super) fn is_after(&self, stamp: i64, from: i64) -> bool {
        (stamp > from && !self.bound_means_equal) || ((self.inclusive || self.bound_means_equal) && stamp == from)
    }
}

/// The shape of a list answer. A list of rows is an array of them, or the last of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListShape {
    /// `["1","2"]`
    Strings,
    /// `[1,2]`, as far as ids are numbers.
    Numbers,
    /// `[{"id":"1"},{"id":"2"}]`
    Rows,
    /// `{"0":"1","2":"2"}`: what PHP makes of an array with a gap.
    Gaps,
}

/// The order of a list answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// As the records were made.
    ById,
    /// Last edited first.
    NewestFirst,
    /// No order that means anything, though the same for the same seed and ids.
    Shuffled,
}

/// The shape of a detail answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetailShape {
    /// The row.
    Object,
    /// An array of the row.
    Array,
    /// An object of the row under its id.
    Keyed,
}

/// The detail answer for an id that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vanished {
    /// `null`
    Null,
    /// `false`
    False,
    /// `[]`
    Empty,
}

/// How `_api_now` must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiNowFormat {
    /// `1767225600`
    Unix,
    /// `2026-01-01 00:00:00` in the vendor's zone.
    Datetime,
    /// `@1767225600`
    AtUnix,
}
