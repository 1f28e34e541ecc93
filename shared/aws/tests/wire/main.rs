//! What the adapters make of the answers that no emulator gives on demand: leftovers, refusals of single messages, lost
//! answers, answers that cannot be read. AWS is played by a server on loopback that answers from a script.

#[cfg(test)]
mod batches;
#[cfg(all(test, feature = "operator"))]
mod changes;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod server;
#[cfg(test)]
mod statements;
