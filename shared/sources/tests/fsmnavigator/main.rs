//! FSM Navigator from end to end: the source as it is deployed, against a fake vendor that checks every key with an
//! implementation of its own. What every source has to do is in the contract suite beside this.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program: what surprises it should end it")]

mod account;
mod answers;
mod children;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/copied.rs"]
mod copied;
mod copy;
mod details;
mod failures;
mod limits;
mod lists;
#[path = "../support/log.rs"]
mod log;
#[path = "../support/ports.rs"]
mod ports;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/script.rs"]
mod script;
mod secrets;
#[path = "../support/mod.rs"]
mod support;
