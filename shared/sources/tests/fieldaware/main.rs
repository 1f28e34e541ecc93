//! FieldAware from end to end: the source as it is deployed, against a fake vendor that checks every credential itself.
//! What every source has to do is in the contract suite beside this.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program: what surprises it should end it")]

mod account;
mod answers;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/copied.rs"]
mod copied;
mod credentials;
mod details;
mod engine;
mod failures;
mod feed;
#[path = "../support/log.rs"]
mod log;
#[path = "../support/ports.rs"]
mod ports;
mod safety;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/script.rs"]
mod script;
mod snapshot;
#[path = "../support/mod.rs"]
mod support;
