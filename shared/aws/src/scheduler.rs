//! The schedules of a deployment.

use tidemark_engine::failure::StoreFailure;

use crate::client::Sdk;
use crate::errors::AwsError;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub is_enabled: bool,
    /// The ARN of what it starts.
    pub target: String,
}

/// The schedules whose names begin so, those of nested stacks among them: a stack without names of its own makes them
/// begin with its name.
///
/// # Errors
/// [`StoreFailure`] when the scheduler refuses the call or cannot be reached.
pub async fn schedules(sdk: &Sdk, prefix: &str) -> Result<Vec<Schedule>, StoreFailure> {
    let mut pages = sdk.scheduler().list_schedules().name_prefix(prefix).into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(listed) = pages.next().await {
        let listed = listed.map_err(|error| AwsError::of(error).store_failure("list the schedules"))?;
        found.push(Schedule {
            is_enabled: listed.state.is_some_and(|state| state.as_str() == "ENABLED"),
            name: listed.name.unwrap_or_default(),
            target: listed.target.map(|target| target.arn).unwrap_or_default(),
        });
    }
    Ok(found)
}
