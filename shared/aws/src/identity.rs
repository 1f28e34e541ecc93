//! Who calls, as STS knows it.

use tidemark_engine::failure::StoreFailure;

use crate::client::Sdk;
use crate::errors::AwsError;

/// The ARN of the caller, by its credentials. Needs no permission.
///
/// # Errors
/// [`StoreFailure`] when the credentials are missing, expired or not valid.
pub async fn caller(sdk: &Sdk) -> Result<String, StoreFailure> {
    let operation = "ask STS who calls";
    let sent = sdk.sts().get_caller_identity().send().await;
    let answer = sent.map_err(|error| AwsError::of(error).store_failure(operation))?;
    Ok(answer.arn.unwrap_or_else(|| "unknown".to_owned()))
}
