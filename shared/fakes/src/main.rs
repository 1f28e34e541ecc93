//! A fake field-service vendor as a program; see `--help`.

use std::{error::Error, io::Write, process::ExitCode};

use tidemark_fakes::program;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return ExitCode::FAILURE;
    };
    let interrupted = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    match program::run(std::env::args().skip(1), &mut std::io::stdout(), interrupted).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            // Nowhere is left to report that this could not be written.
            drop(writeln!(std::io::stderr(), "fake-vendor: {error}{cause}"));
            ExitCode::from(2)
        }
    }
}
