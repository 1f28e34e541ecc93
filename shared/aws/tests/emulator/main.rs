//! The contract suites on the local AWS emulator and on dynalite, and what only a real table can show: the items' shape.
//!
//! The emulator's address comes from `TIDEMARK_LOCAL_ENDPOINT`, which `make test` sets; without it every test here fails
//! and says so. dynalite's comes from `TIDEMARK_DYNALITE_URL`; without it, its tests are skipped and say so. Each test has
//! its own table or queue, so that all run at once.

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod cloud;
#[cfg(test)]
mod dynalite;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod others;
#[cfg(test)]
mod records;
