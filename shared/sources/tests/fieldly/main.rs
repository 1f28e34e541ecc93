//! Fieldly from end to end: the source as it is deployed, against a fake vendor that checks every credential and token
//! with an implementation of its own. What every source has to do is in the contract suite beside this.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program: what surprises it should end it")]

mod account;
mod answers;
#[path = "../support/copied.rs"]
mod copied;
mod details;
mod failures;
mod lists;
#[path = "../support/log.rs"]
mod log;
mod paging;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/script.rs"]
mod script;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
