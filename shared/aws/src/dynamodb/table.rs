//! One table, and the few calls that are made on it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::Written;

use super::item::{BadShape, Item};
use crate::client::Sdk;
use crate::errors::AwsError;

/// A table by name.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
}

/// One conditional update of one item. Expressions name attributes as `#name`; see [`names`].
#[derive(Debug)]
pub(super) struct Update<'a> {
    pub(super) operation: &'static str,
    pub(super) key: Item,
    pub(super) expression: &'a str,
    /// Empty when there is nothing to require.
    pub(super) condition: &'a str,
    pub(super) values: Item,
}

/// The outcome of an update.
#[derive(Debug)]
pub(super) enum Updated {
    /// It was made; the attributes asked for, as they are now.
    Applied(Item),
    /// Its condition did not hold; the item as it is, where there is one and the table shows it.
    Refused(Option<Item>),
}

/// A read of the items of a partition, in the order of their sort keys.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) operation: &'static str,
    /// What the key has to be.
    pub(super) condition: &'a str,
    pub(super) values: Item,
    /// Which attributes are wanted; all when empty.
    pub(super) projection: &'a str,
    /// What items have to be beyond their key; anything when empty. What it leaves out is read and paid for.
    pub(super) filter: &'a str,
    /// Whether the items come in the reverse order of their sort keys.
    pub(super) is_backward: bool,
    /// How many items to read at most.
    pub(super) limit: usize,
    /// Whether the read is strongly consistent, at twice the price.
    pub(super) is_consistent: bool,
}

impl<'a> Query<'a> {
    /// All items that the key condition finds, whole, strongly consistent.
    pub(super) fn new(operation: &'static str, condition: &'a str, values: Item) -> Self {
        Self {
            operation,
            condition,
            values,
            projection: "",
            filter: "",
            is_backward: false,
            limit: usize::MAX,
            is_consistent: true,
        }
    }
}

impl Table {
    pub(super) fn new(sdk: &Sdk, name: impl Into<String>) -> Self {
        Self { client: sdk.dynamodb(), name: name.into() }
    }

    /// Updates an item without looking at it.
    pub(super) async fn update(&self, update: Update<'_>) -> Result<Written, StoreFailure> {
        let operation = update.operation;
        self.try_update(update).await.map_err(|error| error.store_failure(operation))
    }

    /// The same for a caller that gives the error a meaning of its own.
    pub(super) async fn try_update(&self, update: Update<'_>) -> Result<Written, AwsError> {
        match self.send(update, ReturnValue::None, ReturnValuesOnConditionCheckFailure::None).await? {
            Updated::Applied(_) => Ok(Written::Applied),
            Updated::Refused(_) => Ok(Written::Refused),
        }
    }

    /// Updates an item and returns what it changed, or on refusal the item as it is: a decision without a read.
    pub(super) async fn update_and_look(&self, update: Update<'_>) -> Result<Updated, StoreFailure> {
        let operation = update.operation;
        let sent = self.send(update, ReturnValue::UpdatedNew, ReturnValuesOnConditionCheckFailure::AllOld).await;
        sent.map_err(|error| error.store_failure(operation))
    }

    async fn send(
        &self,
        update: Update<'_>,
        wanted: ReturnValue,
        on_refusal: ReturnValuesOnConditionCheckFailure,
    ) -> Result<Updated, AwsError> {
        let sent = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(update.key))
            .update_expression(update.expression)
            .set_condition_expression(some_text(update.condition))
            .set_expression_attribute_names(Some(names(&[update.expression, update.condition])))
            .set_expression_attribute_values(some_entries(update.values))
            .return_values(wanted)
            .return_values_on_condition_check_failure(on_refusal)
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(Updated::Applied(answer.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
                    Ok(Updated::Refused(refusal.item.clone().filter(|item| !item.is_empty())))
                }
                _ => Err(AwsError::of(error)),
            },
        }
    }

    /// Puts an item in place of what is there.
    pub(super) async fn put(&self, operation: &'static str, item: Item) -> Result<(), StoreFailure> {
        let sent = self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await;
        sent.map(|_| ()).map_err(|error| AwsError::of(error).store_failure(operation))
    }

    /// Puts an item that is not there yet.
    pub(super) async fn put_new(
        &self,
        operation: &'static str,
        key: &str,
        item: Item,
    ) -> Result<Written, StoreFailure> {
        let condition = format!("attribute_not_exists(#{key})");
        let sent = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .set_expression_attribute_names(Some(names(&[&condition])))
            .condition_expression(condition)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Applied),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(Written::Refused),
                _ => Err(AwsError::of(error).store_failure(operation)),
            },
        }
    }

    /// Deletes an item if `condition` holds, or in any case when it is empty.
    pub(super) async fn delete(
        &self,
        operation: &'static str,
        key: Item,
        condition: &str,
        values: Item,
    ) -> Result<Written, StoreFailure> {
        let sent = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .set_condition_expression(some_text(condition))
            .set_expression_attribute_names(some_entries(names(&[condition])))
            .set_expression_attribute_values(some_entries(values))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Applied),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(Written::Refused),
                _ => Err(AwsError::of(error).store_failure(operation)),
            },
        }
    }

    /// Reads one item, strongly consistent.
    pub(super) async fn get(&self, operation: &'static str, key: Item) -> Result<Option<Item>, StoreFailure> {
        let sent = self.client.get_item().table_name(&self.name).set_key(Some(key)).consistent_read(true).send().await;
        let answer = sent.map_err(|error| AwsError::of(error).store_failure(operation))?;
        Ok(answer.item.filter(|item| !item.is_empty()))
    }

    /// Reads items of a partition, page after page, until there are no more or the limit is reached.
    pub(super) async fn query(&self, query: Query<'_>) -> Result<Vec<Item>, StoreFailure> {
        let mut items = Vec::new();
        let mut from = None;
        while items.len() < query.limit {
            let limit = i32::try_from(query.limit - items.len()).ok();
            let (found, next) = self.query_page(&query, limit, from).await?;
            items.extend(found);
            from = next;
            if from.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// One answer of a query, up to `limit` items behind the key `from`, and the key to go on behind.
    pub(super) async fn query_page(
        &self,
        query: &Query<'_>,
        limit: Option<i32>,
        from: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreFailure> {
        let sent = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression(query.condition)
            .set_projection_expression(some_text(query.projection))
            .set_filter_expression(some_text(query.filter))
            .set_expression_attribute_names(Some(names(&[query.condition, query.projection, query.filter])))
            .set_expression_attribute_values(Some(query.values.clone()))
            .set_limit(limit)
            .scan_index_forward(!query.is_backward)
            .consistent_read(query.is_consistent)
            .set_exclusive_start_key(from)
            .send()
            .await;
        let answer = sent.map_err(|error| AwsError::of(error).store_failure(query.operation))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.filter(|key| !key.is_empty())))
    }
}

/// An item that cannot be read.
pub(super) fn malformed(operation: &'static str, key: &impl ToString, fault: &BadShape) -> StoreFailure {
    StoreFailure::Malformed { operation, key: key.to_string(), cause: fault.to_string() }
}

/// The attribute names of expressions: every `#name` stands for `name`.
///
/// Taken from the text, so that no name is forgotten and none is superfluous, which DynamoDB refuses too.
pub(super) fn names(expressions: &[&str]) -> HashMap<String, String> {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = expressions.iter().flat_map(|expression| expression.split('#').skip(1));
    words.filter_map(|word| word.split(is_end).next()).map(|name| (format!("#{name}"), name.to_owned())).collect()
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn some_entries<V>(entries: HashMap<String, V>) -> Option<HashMap<String, V>> {
    (!entries.is_empty()).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_of_an_expression_gets_its_name() {
        let found = names(&["SET #bulk.#jobs = :r, #a1=:a REMOVE #b", "contains(#ids,:id) AND #a1 <= :x"]);
        let expected = ["bulk", "jobs", "a1", "b", "ids"];
        assert_eq!(found.len(), expected.len());
        assert!(expected.iter().all(|name| found.get(&format!("#{name}")).is_some_and(|of| of == name)), "{found:?}");
        assert!(names(&[""]).is_empty());
    }
}
