//! The poller's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidemark_poller::run()
}
