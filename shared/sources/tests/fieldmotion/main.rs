//! FieldMotion from end to end: the source as it is deployed, against a fake vendor that verifies every signature with
//! an implementation of its own. What every source has to do is in the contract suite beside this.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test program: what surprises it should end it")]

mod account;
mod calls;
mod copy;
mod details;
mod failures;
mod lists;
#[path = "../support/log.rs"]
mod log;
#[path = "../support/ports.rs"]
mod ports;
mod rows;
#[path = "../support/mod.rs"]
mod support;
