//! A deployed stack: its parameters and outputs, from CloudFormation.

use std::collections::BTreeMap;

use tidemark_engine::failure::StoreFailure;

use crate::client::Sdk;
use crate::errors::AwsError;

/// What CloudFormation says of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployed {
    /// Its status, such as `UPDATE_COMPLETE`.
    pub status: String,
    /// The values of its outputs, by name.
    pub outputs: BTreeMap<String, String>,
    /// The values of its parameters, by name.
    pub parameters: BTreeMap<String, String>,
}

/// Describes a stack; nothing when there is none with this name.
///
/// # Errors
/// [`StoreFailure`] when CloudFormation refuses the call or cannot be reached.
pub async fn describe(sdk: &Sdk, name: &str) -> Result<Option<Deployed>, StoreFailure> {
    let sent = sdk.cloudformation().describe_stacks().stack_name(name).send().await;
    let answer = match sent.map_err(AwsError::of) {
        Ok(answer) => answer,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error.store_failure("describe the stack")),
    };
    let Some(stack) = answer.stacks.unwrap_or_default().into_iter().next() else { return Ok(None) };
    let status = stack.stack_status.map(|status| status.as_str().to_owned()).unwrap_or_default();
    let outputs = stack.outputs.unwrap_or_default().into_iter();
    let parameters = stack.parameters.unwrap_or_default().into_iter();
    Ok(Some(Deployed {
        status,
        outputs: outputs.filter_map(|output| output.output_key.zip(output.output_value)).collect(),
        parameters: parameters.filter_map(|given| given.parameter_key.zip(given.parameter_value)).collect(),
    }))
}

/// CloudFormation has no code of its own for it.
fn is_missing(error: &AwsError) -> bool {
    error.code() == Some("ValidationError") && error.message().contains("does not exist")
}
