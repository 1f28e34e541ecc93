//! What the vendor's documentation leaves open, as settings of the fake.

use serde::{Deserialize, Serialize};

/// How this FieldAware behaves where its documentation is silent or contradicts itself.
#[expect(clippy::struct_excessive_bools, reason = "quirks that do not depend on each other, read by name")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The start of every address that the vendor writes.
    pub address_base: String,
    /// How `next` is written on pages of the feed.
    pub next_form: NextForm,
    /// How tokens are written.
    pub token_form: TokenForm,
    /// Whether the event that a token was given behind is listed again.
    pub inclusive: bool,
    /// Tokens of another epoch are refused.
    pub token_epoch: u64,
    /// The status that refuses a token.
    pub rejected_token_status: u16,
    /// The feed's page size when none is asked for; a page is always smaller than its size.
    pub page_size: usize,
    /// Whether each event is listed twice.
    pub repeat_events: bool,
    /// Whether events have an address.
    pub event_urls: bool,
    /// Whether the addresses of quotes lead to the endpoint of jobs, which serves them, too.
    pub quotes_as_jobs: bool,
    /// Whether deletions make no event, past ones included.
    pub silent_deletes: bool,
    /// Streams whose feature is off: no events, and status 403 for lists and details.
    pub features_off: Vec<String>,
    /// Streams that the key's user may not read: status 403 for lists and details, events all the same.
    pub forbidden: Vec<String>,
    /// The lists' page size when none is asked for.
    pub list_page_size: usize,
    /// The largest page size of lists; larger ones are cut to it.
    pub list_page_size_max: usize,
    /// Whether lists have `count`.
    pub list_count: bool,
    /// Whether lists have a `Link` header.
    pub list_links: bool,
    /// The shape of a list.
    pub list_envelope: ListEnvelope,
    /// Whether the list of jobs holds quotes, too, each with its class.
    pub quotes_among_jobs: bool,
    /// Whether `start` and `end` are required where a list takes them.
    pub windows_required: bool,
    /// Whether lists show their first page whatever page is asked for.
    pub ignores_page: bool,
    /// How many pages of a list may be asked for; later ones are refused.
    pub list_pages_max: Option<usize>,
    /// Whether pages behind which there is no event have a `next`.
    pub last_next: bool,
    /// How many places of the feed a page covers at most, so that pages without events may lead on.
    pub places_a_page: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address_base: "https://api.fieldaware.net".to_owned(),
            next_form: NextForm::Vendor,
            token_form: TokenForm::Number,
            inclusive: false,
            token_epoch: 0,
            rejected_token_status: 404,
            page_size: 101,
            repeat_events: false,
            event_urls: true,
            quotes_as_jobs: false,
            silent_deletes: false,
            features_off: Vec::new(),
            forbidden: Vec::new(),
            list_page_size: 20,
            list_page_size_max: 100,
            list_count: true,
            list_links: true,
            list_envelope: ListEnvelope::Items,
            quotes_among_jobs: false,
            windows_required: false,
            ignores_page: false,
            list_pages_max: None,
            last_next: true,
            places_a_page: None,
        }
    }
}

/// How `next` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextForm {
    /// As in the guide's samples: an address behind events, a bare token behind none.
    Vendor,
    /// Always `https://host/changes/63252980/`.
    Address,
    /// Always `/changes/63252980/`.
    Relative,
    /// Always the token: a number, or a text where the token is no number.
    Token,
    /// Always the token, as a text.
    Text,
}

/// How tokens are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenForm {
    /// `63252980`
    Number,
    /// `dcae3c525b4eac94`: a text that nothing can be computed from. Bare ones are addresses in either case.
    Opaque,
}

/// The shape of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListEnvelope {
    /// `{"count":..,"items":[..],..}`
    Items,
    /// `[..]`
    Bare,
}
