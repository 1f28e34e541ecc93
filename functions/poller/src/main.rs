//! The poller's Lambda function: one tick of one stream an invocation.

mod act;
mod config;
mod event;
mod handler;
mod log;

use std::process::ExitCode;

use tidemark_aws::Sdk;
use tidemark_runtime::attention::Attention;

use config::Config;
use handler::Handler;

fn main() -> ExitCode {
    tidemark_runtime::start(Config::read, async |config| {
        let attention = Attention::new(config.vendor.stack.as_str(), std::io::stdout());
        let poller = config.build(&Sdk::load().await)?;
        let handler = Handler { poller, attention };
        tidemark_runtime::serve(|event| handler.handle(event)).await
    })
}
