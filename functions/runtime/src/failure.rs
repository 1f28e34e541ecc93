//! What an invocation answers when it could not do its work.

use std::error::Error;
use std::fmt;

use lambda_runtime::Diagnostic;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::poll::PollError;

/// A failed invocation: a kind that alarms and filters can rely on, and a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvocationError {
    /// The kind; it becomes the invocation's `errorType`.
    pub kind: ErrorKind,
    /// What happened and what to do about it, with the causes below it.
    pub message: String,
}

/// The kinds of failed invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The event does not have the shape that the function takes.
    MalformedEvent,
    /// The source has no such stream.
    UnknownStream,
    /// A table, the queue or CloudWatch failed; the next invocation tries again.
    StoreUnavailable,
    /// The function's role or a name of the stack is not as it should be.
    StoreDenied,
    /// An item has a shape that this program does not know.
    StoreMalformed,
    /// A message without an id failed, so it cannot be returned alone.
    MissingMessageId,
    /// The program has a bug; the log names the place.
    Panicked,
}

impl ErrorKind {
    /// The name that stands in `errorType` and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedEvent => "MalformedEvent",
            Self::UnknownStream => "UnknownStream",
            Self::StoreUnavailable => "StoreUnavailable",
            Self::StoreDenied => "StoreDenied",
            Self::StoreMalformed => "StoreMalformed",
            Self::MissingMessageId => "MissingMessageId",
            Self::Panicked => "Panicked",
        }
    }

    /// The kind that a failure of our own tables or queue is.
    pub fn of_store(failure: &StoreFailure) -> Self {
        match failure {
            StoreFailure::Unavailable(..) => Self::StoreUnavailable,
            StoreFailure::Denied(..) => Self::StoreDenied,
            StoreFailure::Malformed { .. } => Self::StoreMalformed,
        }
    }
}

impl InvocationError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for InvocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for InvocationError {}

impl From<PollError> for InvocationError {
    fn from(error: PollError) -> Self {
        let kind = match &error {
            PollError::UnknownStream(..) => ErrorKind::UnknownStream,
            PollError::Store(_, failure) => ErrorKind::of_store(failure),
        };
        // A store's failure stands in the text of the error that wraps it; only what is below that is new.
        let below = match &error {
            PollError::UnknownStream(..) => None,
            PollError::Store(_, failure) => failure.source(),
        };
        Self::new(kind, with_causes(&error, below))
    }
}

impl From<StoreFailure> for InvocationError {
    fn from(failure: StoreFailure) -> Self {
        Self::new(ErrorKind::of_store(&failure), chain(&failure))
    }
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        Self { error_type: error.kind.as_str().to_owned(), error_message: error.message }
    }
}

/// An error and everything below it, in one line.
pub fn chain(error: &dyn Error) -> String {
    with_causes(error, error.source())
}

fn with_causes(error: &dyn Error, mut below: Option<&dyn Error>) -> String {
    let mut text = error.to_string();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

    use super::*;

    fn denied() -> StoreFailure {
        StoreFailure::Denied("put_chunks", "AccessDeniedException: no".into())
    }

    #[test]
    fn the_kind_and_the_whole_chain_reach_the_caller() {
        let stream = StreamKey { source: SourceKind::FieldMotion, name: StreamName::known("jobs") };
        let error = InvocationError::from(PollError::Store(stream, denied()));
        let diagnostic = Diagnostic::from(error);
        assert_eq!(diagnostic.error_type, "StoreDenied");
        assert_eq!(
            diagnostic.error_message,
            "stream fieldmotion#jobs: put_chunks was refused; compare the deployed stack with its template (role, \
             table and queue names): AccessDeniedException: no"
        );
    }

    #[test]
    fn a_store_failure_keeps_its_cause() {
        let error = InvocationError::from(denied());
        assert!(error.message.ends_with(": AccessDeniedException: no"), "{error}");
    }
}
