//! The query of an address.

use percent_encoding::percent_decode_str;

use crate::wire::Request;

/// The parameters of an address.
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    /// Reads them; a plus sign is a space.
    pub(super) fn of(request: &Request) -> Self {
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    /// The first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
