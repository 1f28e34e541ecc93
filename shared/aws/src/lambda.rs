//! The functions of a deployment: invoking one and waiting for its answer, and what lets them run.

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

/// Whether a queue's messages reach a function: the state of each of its event source mappings, such as `Enabled`.
///
/// # Errors
/// [`StoreFailure`] when Lambda refuses the call or cannot be reached.
pub async fn mapping_states(sdk: &Sdk, function: &str) -> Result<Vec<String>, StoreFailure> {
    let sent = sdk.lambda().list_event_source_mappings().function_name(function).send().await;
    let answer = sent.map_err(|error| AwsError::of(error).store_failure("list the queue mappings"))?;
    Ok(answer.event_source_mappings.unwrap_or_default().into_iter().filter_map(|mapping| mapping.state).collect())
}

/// How many functions of this account and region may run at once, beside those that have a share reserved.
///
/// # Errors
/// [`StoreFailure`] when Lambda refuses the call or cannot be reached.
pub async fn concurrency(sdk: &Sdk) -> Result<Option<u64>, StoreFailure> {
    let sent = sdk.lambda().get_account_settings().send().await;
    let answer = sent.map_err(|error| AwsError::of(error).store_failure("read the account's Lambda settings"))?;
    let unreserved = answer.account_limit.and_then(|limit| limit.unreserved_concurrent_executions);
    Ok(unreserved.and_then(|count| u64::try_from(count).ok()))
}
