//! What the vendor's documentation leaves open, as settings.

use serde_json::Value;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::stream::StreamName;

use super::answer;
use crate::account::Account;
use crate::probe::Check;
use crate::settings::{BadSettings, Settings};

const FIRST_CHECKPOINT: &str = "2000-01-01T00:00:00Z";
const PER_PAGE: u64 = 50;
const PER_PAGE_MAX: u64 = 100;

/// The settings of an Acme source: a JSON object, every key optional, unknown keys refused.
///
/// | key | default | meaning | source of the default |
/// |---|---|---|---|
/// | `per_page` | `50` | rows a page, 1 to 100 | own choice |
/// | `first_checkpoint` | `"2000-01-01T00:00:00Z"` | where a first import starts; up to the default everything is imported | own choice |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    pub(super) per_page: u64,
    pub(super) first_checkpoint: StampMillis,
}

impl AcmeSettings {
    /// Reads settings; nothing at all is the same as `{}`.
    ///
    /// # Errors
    /// [`BadSettings`], naming all problems together.
    pub fn parse(text: &str) -> Result<Self, BadSettings> {
        let mut settings = Settings::open(text);
        let first = |text: &str| answer::stamp(text).map(|stamp| stamp.at);
        let parsed = Self {
            per_page: settings.take("per_page", "a whole number from 1 to 100", PER_PAGE, |value| {
                value.as_u64().filter(|count| (1..=PER_PAGE_MAX).contains(count))
            }),
            first_checkpoint: settings.take(
                "first_checkpoint",
                "a time of the form \"2000-01-01T00:00:00Z\", from 1970 on",
                first(FIRST_CHECKPOINT).unwrap_or_default(),
                |value| first(value.as_str()?).filter(|at| at.get() >= 0),
            ),
        };
        let problems = settings.close();
        if problems.is_empty() { Ok(parsed) } else { Err(BadSettings(problems)) }
    }

    /// Settings that may be right where a check of a probe fails: none while there is nothing to choose.
    #[expect(clippy::unused_self, reason = "every source is asked in this way")]
    pub(crate) fn alternatives(&self, _stream: &StreamName, _check: Check) -> Vec<Value> {
        Vec::new()
    }

    /// Adds what changes lists or the reading of stamps: nothing yet.
    #[expect(clippy::unused_self, reason = "every source is asked in this way")]
    pub(super) fn tell_of_lists(&self, account: Account) -> Account {
        account
    }
}
