//! The watcher's Lambda function: how every stream stands, published and logged.
//!
//! It is a library so that what it logs can be measured; `main.rs` is the program.

mod config;
mod handler;
pub mod log;

use std::process::ExitCode;

use tidemark_aws::Sdk;

use config::Config;
use handler::Handler;

/// Serves invocations until the environment is shut down.
pub fn run() -> ExitCode {
    tidemark_runtime::start(Config::read, async |config| {
        let handler = Handler { watcher: config.build(&Sdk::load().await) };
        tidemark_runtime::serve(|event| handler.handle(event)).await
    })
}
