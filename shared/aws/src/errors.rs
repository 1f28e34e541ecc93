//! What an AWS error means to the engine.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use thiserror::Error;
use tidemark_engine::failure::StoreFailure;

/// A call that failed, as far as a log may show it: never the raw response, in which a secret could stand.
#[derive(Debug, Error)]
pub(crate) enum AwsError {
    /// The service refused the call.
    #[error("{code}: {message} (request {request_id})")]
    Answered {
        /// Its error code.
        code: String,
        /// What it says, cut short.
        message: String,
        /// The request id, which AWS support asks for.
        request_id: String,
    },
    /// No answer, or none that can be read.
    #[error("{what}")]
    Unanswered {
        /// How far the call got.
        what: &'static str,
        /// The error below.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

/// The codes by which the services say that the role or the stack is not as it should be.
const DENIALS: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "InvalidClientTokenId",
    "KMS.AccessDeniedException",
    "KMS.DisabledException",
    "KMS.InvalidKeyUsageException",
    "KMS.InvalidStateException",
    "KMS.NotFoundException",
    "KMS.OptInRequired",
    "KmsAccessDenied",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
];

/// The most characters of a service's message that are kept.
const MESSAGE_CHARS: usize = 300;

impl AwsError {
    /// Takes from an SDK error what may be kept of it.
    pub(crate) fn of<E, R>(error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        if let SdkError::ServiceError(answer) = &error {
            let meta = answer.err().meta();
            return Self::Answered {
                code: meta.code().unwrap_or("no code").to_owned(),
                message: meta.message().unwrap_or("no message").chars().take(MESSAGE_CHARS).collect(),
                request_id: meta.request_id().unwrap_or("unknown").to_owned(),
            };
        }
        let what = match &error {
            SdkError::ConstructionFailure(_) => "the request could not be built",
            SdkError::TimeoutError(_) => "the call timed out",
            SdkError::DispatchFailure(_) => "the service could not be reached",
            SdkError::ResponseError(_) => "the answer could not be read",
            _ => "the call failed",
        };
        Self::Unanswered { what, source: error.into_source().ok() }
    }

    /// The error code, when the service answered.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Answered { code, .. } => Some(code),
            Self::Unanswered { .. } => None,
        }
    }

    /// What the service said, when it answered.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Answered { message, .. } => message,
            Self::Unanswered { what, .. } => what,
        }
    }

    /// Whether role, name or credentials are not as the call needs them.
    pub(crate) fn is_denial(&self) -> bool {
        self.code().is_some_and(|code| DENIALS.contains(&code))
    }

    /// Whether DynamoDB found the item too large: a validation error that only its message distinguishes from others.
    pub(crate) fn is_large(&self) -> bool {
        self.code() == Some("ValidationException") && self.message().to_ascii_lowercase().contains("item size")
    }

    /// Whether the service does not know the operation at all.
    pub(crate) fn is_unknown_operation(&self) -> bool {
        self.code() == Some("UnknownOperationException")
    }

    /// What the service said of one statement of a batch.
    pub(crate) fn of_statement(code: &str, message: Option<&str>) -> Self {
        let message = message.unwrap_or("no message").chars().take(MESSAGE_CHARS).collect();
        Self::Answered { code: code.to_owned(), message, request_id: "that of a batch".to_owned() }
    }

    /// The role or the stack is not as the call needs it.
    pub(crate) fn denied(self, operation: &'static str) -> StoreFailure {
        StoreFailure::Denied(operation, Box::new(self))
    }

    /// What it means for a table or queue call.
    pub(crate) fn store_failure(self, operation: &'static str) -> StoreFailure {
        if self.is_denial() {
            return self.denied(operation);
        }
        StoreFailure::Unavailable(operation, Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: &str, message: &str) -> AwsError {
        AwsError::Answered { code: code.to_owned(), message: message.to_owned(), request_id: "r".to_owned() }
    }

    #[test]
    fn codes_decide_what_a_failure_means() {
        let cases = [
            ("AccessDeniedException", "not authorized", "denied"),
            ("ResourceNotFoundException", "no such table", "denied"),
            ("UnrecognizedClientException", "the token is invalid", "denied"),
            ("QueueDoesNotExist", "no such queue", "denied"),
            ("ValidationException", "a reserved word", "unavailable"),
            ("ProvisionedThroughputExceededException", "slow down", "unavailable"),
            ("InternalServerError", "oops", "unavailable"),
        ];
        for (code, message, meaning) in cases {
            let found = match answered(code, message).store_failure("put") {
                StoreFailure::Denied("put", _) => "denied",
                StoreFailure::Unavailable("put", _) => "unavailable",
                other => panic!("{other:?}"),
            };
            assert_eq!(found, meaning, "{code}: {message}");
        }
    }

    #[test]
    fn an_item_too_large_is_told_from_other_faults_by_its_words() {
        for size in ["Item size has exceeded the maximum allowed size", "Item size to update has exceeded the maximum"]
        {
            assert!(answered("ValidationException", size).is_large(), "{size}");
        }
        assert!(!answered("ValidationException", "a reserved word").is_large());
    }
}
