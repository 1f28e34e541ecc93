//! What a fake vendor has to say for itself; everything else is shared.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    row::Row,
    store::{Record, Store, Version},
    wire::{Reply, Request},
};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// Lists changes.
    List,
    /// Fetches one record.
    Detail,
    /// Anything else, unknown functions among them.
    Other,
}

/// A request as the vendor understands it, before any credential is looked at.
#[derive(Debug, Clone)]
pub struct Call {
    /// The function or endpoint asked for.
    pub function: String,
    /// What it does.
    pub kind: CallKind,
    /// The stream it concerns.
    pub stream: Option<&'static str>,
    /// The record asked for.
    pub id: Option<String>,
    /// Where a list starts, as written by the client.
    pub from: Option<String>,
    /// Names of the parameters as they arrived.
    pub parameters: Vec<String>,
    /// Set by a fault: the id that the row of the answer carries instead of its own.
    pub shown_id: Option<String>,
}

/// One vendor's dialect: credentials, functions, rows and words.
pub trait Vendor: Send + Sync + 'static {
    /// The vendor's name, as the binary and `GET /status` spell it.
    fn name(&self) -> &'static str;

    /// The streams, and the number of the first id in each.
    fn streams(&self) -> &'static [(&'static str, u64)];

    /// The id of a record that is made without one of its own, from the stream's running number.
    fn new_id(&self, _seed: u64, _stream: &'static str, number: u64) -> String {
        number.to_string()
    }

    /// Reads a request as far as it can be understood; refuses nothing.
    fn identify(&self, request: &Request) -> Call;

    /// Checks the credential of a request.
    ///
    /// # Errors
    /// Why it is refused; for the log only, a vendor does not tell.
    fn authorize(&self, request: &Request, now_ms: i64) -> Result<(), String>;

    /// The answer to a request whose credential was refused.
    fn refuse(&self) -> Reply;

    /// The same for a vendor that refuses some calls in other words.
    fn refuse_call(&self, _call: &Call) -> Reply {
        self.refuse()
    }

    /// The answer to an authorized request.
    fn answer(&self, call: &Call, request: &Request, store: &Store, now_ms: i64) -> Reply;

    /// An error in the vendor's own words around `text`.
    fn error(&self, text: &str) -> Reply;

    /// JSON of a shape that is neither a list, nor a row, nor an error.
    fn wrong_shape(&self) -> Reply;

    /// All fields of a record at one of its versions.
    fn row(&self, store: &Store, stream: &'static str, record: &Record, version: &Version) -> Row;

    /// A row as the vendor writes it.
    fn written(&self, row: &Row) -> String;

    /// The field, and its new value, that an edit changes when it is not told what to.
    fn touch(&self, stream: &'static str, row: &Row, revision: usize) -> (String, Value);

    /// Writes a stamp as the vendor does.
    fn stamp(&self, seconds: i64) -> String;

    /// Reads a stamp; `None` if it is not one.
    fn parse_stamp(&self, text: &str) -> Option<i64>;

    /// Changes settings; keys left out stay as they are.
    ///
    /// # Errors
    /// What is wrong with them; nothing is changed then.
    fn configure(&self, settings: Value) -> Result<(), String>;

    /// Changes the accepted credentials.
    ///
    /// # Errors
    /// What is wrong with them; nothing is changed then.
    fn rotate(&self, credentials: Value) -> Result<(), String>;
}
