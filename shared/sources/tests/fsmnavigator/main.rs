//! FSM Navigator from end to end: the source as it is deployed, against a fake vendor that checks every key with an
//! implementation of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test file: what surprises it should end it")]

mod account;
mod copy;
mod details;
mod failures;
mod limits;
mod lists;
mod secrets;
