//! Why a command ends early, and with which exit code.

use std::error::Error;
use std::io;

use thiserror::Error;
use tidemark_engine::failure::StoreFailure;

/// Why a command ended early.
#[derive(Debug, Error)]
pub enum Failure {
    /// The command line asks for something that there is not.
    #[error("{0}")]
    Usage(String),
    /// A call to AWS was refused, or had no answer.
    #[error("{0}")]
    Unreachable(String),
    /// What was asked for cannot be done now, or was not wanted after all.
    #[error("{0}")]
    NotDone(String),
    /// The result could not be written.
    #[error("the result could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit code: 1 something needs attention, 2 wrong usage, 3 not reachable or not permitted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotDone(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }

    /// Whether the reader of the output, such as `head`, has seen enough.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<StoreFailure> for Failure {
    fn from(failure: StoreFailure) -> Self {
        let (operation, below, next) = match &failure {
            StoreFailure::Malformed { .. } => return Self::Unreachable(failure.to_string()),
            StoreFailure::Denied(operation, source) => (
                operation,
                chain(source.as_ref()),
                "give the caller this permission (docs/cli.md has the policies), or use another --profile",
            ),
            StoreFailure::Unavailable(operation, source) => (
                operation,
                chain(source.as_ref()),
                "see that region (--region), credentials (--profile) and network are right",
            ),
        };
        Self::Unreachable(format!("cannot {operation}: {below}\nnext: {next}"))
    }
}

/// An error and what is below it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        below = error.source();
    }
    text
}
