//! Who hears of alarms.

use tidemark_engine::failure::StoreFailure;

use crate::client::Sdk;
use crate::errors::AwsError;

/// The subscriptions of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscribers {
    /// Those that hear of what is published.
    pub confirmed_count: usize,
    /// Those that have not answered the mail that asks them.
    pub pending_count: usize,
}

/// Counts the subscriptions of a topic.
///
/// # Errors
/// [`StoreFailure`] when SNS refuses the call or cannot be reached.
pub async fn subscribers(sdk: &Sdk, topic: &str) -> Result<Subscribers, StoreFailure> {
    let mut pages = sdk.sns().list_subscriptions_by_topic().topic_arn(topic).into_paginator().items().send();
    let mut found = Subscribers::default();
    while let Some(subscription) = pages.next().await {
        let listed = subscription.map_err(|error| AwsError::of(error).store_failure("list who is subscribed"))?;
        // One that is not confirmed has a word in place of its ARN.
        if listed.subscription_arn.is_some_and(|arn| arn.starts_with("arn:")) {
            found.confirmed_count += 1;
        } else {
            found.pending_count += 1;
        }
    }
    Ok(found)
}
