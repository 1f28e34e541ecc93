//! The poller's Lambda function: one tick of one stream an invocation.
//!
//! It is a library so that what it logs can be measured; `main.rs` is the program.

mod act;
mod config;
mod event;
mod handler;
pub mod log;
mod probe;

use std::process::ExitCode;

use tidemark_aws::Sdk;
use tidemark_runtime::attention::Attention;
use tidemark_runtime::vendor::VendorBench;

use config::Config;
use handler::Handler;

/// Serves invocations until the environment is shut down.
pub fn run() -> ExitCode {
    tidemark_runtime::start(Config::read, async |config| {
        let attention = Attention::new(config.vendor.stack.as_str(), std::io::stdout());
        let sdk = Sdk::load().await;
        let vendor = config.vendor.clone();
        let poller = config.build(&sdk)?;
        let handler = Handler { poller, attention, bench: VendorBench { vendor, sdk } };
        tidemark_runtime::serve(|event| handler.handle(event)).await
    })
}
