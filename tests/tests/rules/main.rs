//! The rules of the commit protocol, each with a test that fails on the naive version. The names are those of
//! `docs/reliability.md`.

mod breaker;
mod commit;
mod fetching;
mod lease;
mod listing;
mod missed;
mod records;
