//! The watcher's Lambda function: how every stream stands, published and logged.

mod config;
mod handler;

use std::process::ExitCode;

use tidemark_aws::Sdk;

use config::Config;
use handler::Handler;

fn main() -> ExitCode {
    tidemark_runtime::start(Config::read, async |config| {
        let handler = Handler { watcher: config.build(&Sdk::load().await) };
        tidemark_runtime::serve(|event| handler.handle(event)).await
    })
}
