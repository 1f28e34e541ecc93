//! Every command on a stack in the emulator, in each state: what it prints, its exit code, its plan, what it changes.
//!
//! The emulator's address comes from `TIDEMARK_LOCAL_ENDPOINT`, which `make test` sets; without it every test here fails
//! and says so.

#[cfg(test)]
mod acts;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod init;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod status;
