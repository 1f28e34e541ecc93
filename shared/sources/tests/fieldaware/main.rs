//! FieldAware from end to end: the source as it is deployed, against a fake vendor that checks every credential itself.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test file: what surprises it should end it")]

mod account;
mod credentials;
mod details;
mod engine;
mod failures;
mod feed;
mod safety;
mod snapshot;
