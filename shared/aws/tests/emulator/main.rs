//! The contract suites on the local AWS emulator, and what only a real table can show: the items' shape.
//!
//! The emulator's address comes from `TIDEMARK_LOCAL_ENDPOINT`, which `make test` sets; without it every test here fails
//! and says so. Each test has its own table or queue, so that all run at once.

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod cloud;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod model;
#[cfg(test)]
mod others;
#[cfg(test)]
mod records;
