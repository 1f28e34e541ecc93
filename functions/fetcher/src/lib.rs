//! The fetcher's Lambda function: a batch of queue messages an invocation.
//!
//! It is a library so that what it logs can be measured; `main.rs` is the program.

mod config;
mod handler;
pub mod log;

use std::process::ExitCode;

use tidemark_aws::Sdk;
use tidemark_runtime::attention::Attention;

use config::Config;
use handler::Handler;

/// Serves invocations until the environment is shut down.
pub fn run() -> ExitCode {
    tidemark_runtime::start(Config::read, async |config| {
        let timeout = config.timeout;
        let attention = Attention::new(config.vendor.stack.as_str(), std::io::stdout());
        let fetcher = config.build(&Sdk::load().await)?;
        let handler = Handler { fetcher, timeout, attention };
        tidemark_runtime::serve(|event| handler.handle(event)).await
    })
}
