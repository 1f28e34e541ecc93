//! The mark of an account: what tells one vendor account, and one way of listing it, from another.
//!
//! It is made of everything that changes which records a list names, under which ids, and how stamps are read. What
//! changes the pace, the number of rows in a page, the fields of a record or the meaning of an error is left out: it may be
//! changed at any time. So is whatever is secret, so that a rotated key changes nothing; the id of a key, where a vendor
//! gives one, is no secret.
//!
//! A setting goes in as it is after defaults were filled in: writing a default down changes no mark. One that the program
//! learns later goes in only where it differs from its default, else the marks of all that is deployed would change.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tidemark_engine::stream::SourceKind;

use crate::http::BaseUrl;

/// How many bytes of the digest a mark shows.
const MARK_BYTES: usize = 16;

/// What a mark is made of, in order. Lists and texts alone, so that one account has one text.
pub(crate) struct Account(Vec<Value>);

impl Account {
    /// The account at `base`.
    pub(crate) fn of(kind: SourceKind, base: &BaseUrl) -> Self {
        Self(vec![kind.as_str().into(), base.to_string().into()])
    }

    /// The same with the value of a setting, or the id of its key.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push(Value::Array(vec![name.into(), value.into()]));
        self
    }

    /// The first 32 hex digits of the SHA-256 of it all.
    pub(crate) fn mark(self) -> String {
        let digest = Sha256::digest(Value::Array(self.0).to_string().as_bytes());
        digest.iter().take(MARK_BYTES).fold(String::with_capacity(2 * MARK_BYTES), |mut hex, byte| {
            let _written = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests;
