//! The rules of the protocol, each with a test that fails where it is left out; section by section of
//! `docs/protocol.md`.

mod backfill;
mod breaker;
mod committed;
mod fetching;
mod handover;
mod lateness;
mod lease;
mod listing;
mod missed;
mod owed;
mod positions;
mod retry;
mod staleness;
mod sweep;
