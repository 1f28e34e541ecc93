//! The fetcher's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidemark_fetcher::run()
}
