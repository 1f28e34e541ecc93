//! The operator's command line: every question of the person on call is one command.
//!
//! A command reads what it needs by key, from the tables and queues that the stack's outputs name; it never scans the
//! records. What it finds is a value that is written as one JSON document or as a page for a person. A command that
//! changes something prints its plan first, asks, and leaves an audit entry; what has to be done at the vendor is done by
//! the source's own poller function, which is invoked for it.
//!
//! Ways to get this wrong: a second copy of a key format (all of them are in `tidemark-aws`); a figure that is computed
//! here and by the watcher too (`tidemark_watch`); a body in anything but `records`; an act without a plan.
#![expect(clippy::large_futures, reason = "a process runs one command: how large its future is does not matter")]

pub mod args;
mod ask;
mod commands;
mod context;
mod failure;
mod names;
mod page;
mod probe;
mod stack;
mod terminal;
mod time;

use std::io::{self, BufRead, Write};

use tidemark_aws::Sdk;
use tidemark_engine::clock::LocalMillis;

use crate::args::Arguments;
use crate::context::Context;
pub use crate::failure::Failure;
pub use crate::terminal::Terminal;

/// Where and when a command runs.
#[derive(Debug)]
pub struct Setting {
    /// The terminal.
    pub terminal: Terminal,
    /// Now.
    pub now: LocalMillis,
    /// The way to AWS; found out from the command line and the environment when it is not given.
    pub sdk: Option<Sdk>,
    /// Reads a line that is not shown; without it, such lines are read from the answers.
    pub hidden: Option<ReadHidden>,
}

/// Reads a line that a person enters and that is not shown.
pub type ReadHidden = fn() -> io::Result<String>;

/// Whether all is well, or something needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is well.
    Well,
    /// Something needs attention; the command has said what.
    WithAttention,
    /// Nothing needs attention as far as could be seen, and something could not be: the command has said what.
    NotSeen,
}

/// Runs one command: results to `out`, notes and questions to `notes`, answers from `answers`.
///
/// # Errors
/// [`Failure`], which [`exit_code`] reports.
pub async fn run(
    arguments: Arguments,
    setting: Setting,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    answers: &mut dyn BufRead,
) -> Result<Ended, Failure> {
    let context = Context::new(arguments.global, setting, out, notes, answers);
    commands::run(arguments.command, context).await
}

/// The exit code of a command, after its failure was written to `notes`.
///
/// 0 all is well; 1 something needs attention; 2 wrong usage; 3 not reachable or not permitted.
pub fn exit_code(ended: &Result<Ended, Failure>, notes: &mut dyn Write) -> u8 {
    let failure = match ended {
        Ok(Ended::Well) => return 0,
        Ok(Ended::WithAttention) => return 1,
        Ok(Ended::NotSeen) => return 3,
        Err(failure) if failure.is_closed_pipe() => return 0,
        Err(failure) => failure,
    };
    // Nobody reads it where it cannot be written.
    writeln!(notes, "tidemark: {failure}").ok();
    failure.exit_code()
}
