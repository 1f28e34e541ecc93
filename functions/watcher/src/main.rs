//! The watcher's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidemark_watcher::run()
}
