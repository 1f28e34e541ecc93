//! Invoking a function and waiting for its answer.

use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;
use serde_json::Value;
use tidemark_engine::failure::StoreFailure;

use crate::client::Sdk;
use crate::errors::AwsError;

/// What a function answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What it returned.
    Returned(Value),
    /// It failed, and says how.
    Failed {
        /// The name of the kind of failure.
        kind: String,
        /// What happened, and the next step.
        message: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Failure {
    error_type: String,
    error_message: String,
}

/// Invokes a function by name or ARN and waits for its answer. Not tried again: an act may have taken effect.
///
/// # Errors
/// [`StoreFailure`] when Lambda refuses the call or cannot be reached.
pub async fn invoke(sdk: &Sdk, function: &str, event: &Value) -> Result<Answer, StoreFailure> {
    let payload = Blob::new(event.to_string());
    let sent = sdk.lambda().invoke().function_name(function).payload(payload).send().await;
    let answer = sent.map_err(|error| AwsError::of(error).store_failure("invoke the function"))?;
    let payload = answer.payload.unwrap_or_else(|| Blob::new([])).into_inner();
    if answer.function_error.is_some() {
        let failure: Failure = serde_json::from_slice(&payload).unwrap_or_default();
        return Ok(Answer::Failed { kind: failure.error_type, message: failure.error_message });
    }
    Ok(Answer::Returned(serde_json::from_slice(&payload).unwrap_or(Value::Null)))
}
