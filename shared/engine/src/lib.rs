//! The rules of a change's way from list to commit.
//!
//! Two use cases, each a Lambda function: [`poll`] lists changes, writes them to the ledger, sends them and commits what
//! is finished; [`fetch`] resolves one message. They speak to the world through [`ports`] alone: no AWS, no HTTP, no
//! environment, no system clock, so that a simulation can own all of it.
//!
//! The queue is a hint, the ledger is the truth. The poller alone moves a checkpoint, the fetcher alone writes records.
#![expect(async_fn_in_trait, reason = "static dispatch only: whether a future is Send is known where it is run")]
#![warn(clippy::wildcard_enum_match_arm)]
#![cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the modules know each other by name alone"))]

pub mod backoff;
pub mod change;
pub mod checkpoint;
pub mod clock;
mod commit;
pub mod failure;
pub mod fetch;
pub mod health;
pub mod lateness;
pub mod message;
pub mod notice;
pub mod operate;
pub mod poll;
pub mod ports;
pub mod position;
pub mod record;
pub mod rule;
pub mod slots;
pub mod stream;
pub mod work;

use {
    backoff::*, change::*, checkpoint::*, clock::*, failure::*, health::*, lateness::*, message::*, notice::*,
    ports::*, position::*, record::*, rule::*, slots::*, stream::*, work::*,
};
