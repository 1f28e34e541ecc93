//! The records table: one item a record.
//!
//! | attribute | type | |
//! |---|---|---|
//! | `partition`, `id` | S, key | `source#stream`, the id as the vendor wrote it |
//! | `body` or `body_zstd` | S, B | the vendor's JSON as received; over 300 KB compressed with zstd |
//! | `last_edited`, `last_edited_ms` | S, N | the stamp as text and in UTC; absent when the record has none |
//! | `fetched_at_ms` | N | when the look that is stored was started |
//! | `seen_at_ms` | N | what the vendor's clock had reached when it ended; absent when it does not say |
//! | `hash` | B | the first 16 bytes of the body's SHA-256; absent for a tombstone of an unseen record |
//! | `event` | S | the newest event, for feeds |
//! | `deleted`, `deleted_because` | BOOL, S | absent unless the record is gone |
//! | `expires_at` | N s | of a tombstone, when DynamoDB deletes it; absent where tombstones stay |
//! | `schema_version` | N | 2 |
//!
//! A look is written by naming its attributes, not by replacing the item, so that a tombstone keeps the body. Looks go out
//! in batches of statements, each of which is a guess whether the record is stored; where the guess was wrong, and where
//! a table knows no statements, the look is written by an update of its own.

#[cfg(feature = "operator")]
mod copy;
#[cfg(feature = "operator")]
mod log;
mod version;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::{BatchStatementErrorCodeEnum as Code, BatchStatementRequest, BatchStatementResponse};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Clock, Records, Stored, Written};
use tidemark_engine::record::{Look, Seen};

#[cfg(feature = "operator")]
pub use self::copy::{CopyTable, Kept, StoredRecord};
#[cfg(feature = "operator")]
pub use self::log::{LoggedAs, LoggedWrite, RecordLog, Since};
use self::version::Version;
pub use self::versions::VersionTable;
use super::table::{Table, Update};
use crate::backoff::{self, Leftovers};
use crate::client::Sdk;
use crate::errors::AwsError;

/// Partition and sort key.
const PARTITION: &str = "partition";
const ID: &str = "id";

/// The most bytes of an item.
///
/// Source: Amazon DynamoDB Developer Guide, "Constraints in Amazon DynamoDB" (read 2026-11-21).
const ITEM_BYTES_MAX: usize = 400 * 1024;
/// The most statements of one call.
///
/// Source: Amazon DynamoDB API Reference, `BatchExecuteStatement` (read 2026-11-27).
const BATCH_STATEMENTS: usize = 25;
/// The most bytes of bodies and events of one call, to keep memory small; one look alone may be longer.
const BATCH_BYTES: usize = 1024 * 1024;

const OPERATION: &str = "store records";

/// The records, in DynamoDB, for the fetcher, which writes them.
#[derive(Clone, Debug)]
pub struct RecordTable<C> {
    table: Table,
    clock: C,
    /// How long tombstones stay, counted from when they are written; for ever without it.
    deleted_retention: Option<Duration>,
    /// Whether the table was found not to know `BatchExecuteStatement`.
    knows_no_statements: Arc<AtomicBool>,
}

impl<C: Clock> RecordTable<C> {
    /// The table called `name`, where tombstones stay for ever; `clock` times pauses between tries.
    pub fn new(sdk: &Sdk, name: impl Into<String>, clock: C) -> Self {
        Self { table: Table::new(sdk, name), clock, deleted_retention: None, knows_no_statements: Arc::default() }
    }

    /// The same, where DynamoDB deletes tombstones so long after they were written.
    ///
    /// It is [`TOMBSTONE_AGE_MIN`](tidemark_engine::record::TOMBSTONE_AGE_MIN) at least, or an older look could bring the
    /// record back.
    #[must_use]
    pub fn with_deleted_retention(self, deleted_retention: Option<Duration>) -> Self {
        Self { deleted_retention, ..self }
    }

    /// Writes looks in one call, and what was throttled or refused after it; the outcome of each, in their order.
    async fn store_batch(&self, looks: &[Look]) -> Result<Vec<Stored>, StoreFailure> {
        let mut stored = vec![None; looks.len()];
        let mut left = Vec::with_capacity(looks.len());
        let expires_at = self.deleted_retention.map(|retention| self.clock.now().plus(retention));
        for (look, answer) in looks.iter().zip(&mut stored) {
            let version = Version::of(look, expires_at).map_err(|fault| unavailable(Box::new(fault)))?;
            if version.bytes() > ITEM_BYTES_MAX {
                *answer = Some(Stored::TooLarge(version.bytes()));
            } else {
                left.push((version, answer));
            }
        }
        let mut try_count = 0;
        while !left.is_empty() {
            if left.len() == 1 || self.knows_no_statements.load(Ordering::Relaxed) {
                for (version, answer) in left.drain(..) {
                    *answer = Some(self.store_one(&version).await?);
                }
                break;
            }
            let before = left.len();
            let Some(outcomes) = self.execute(left.iter().map(|(version, _)| version)).await? else {
                self.knows_no_statements.store(true, Ordering::Relaxed);
                continue;
            };
            let mut again = Vec::new();
            for ((version, answer), outcome) in left.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Written => *answer = Some(Stored::Written),
                    Outcome::Refused => *answer = Some(self.store_one(&version).await?),
                    Outcome::Throttled => again.push((version, answer)),
                }
            }
            left = again;
            try_count = if left.len() < before { 1 } else { try_count + 1 };
            if try_count > backoff::TRIES {
                return Err(unavailable(Box::new(Leftovers { count: left.len() })));
            }
            if !left.is_empty() {
                self.clock.sleep(backoff::pause(try_count)).await;
            }
        }
        Ok(stored.into_iter().map(|answer| answer.unwrap_or(Stored::Superseded)).collect())
    }

    /// The outcome of each statement; none when the table knows no statements.
    async fn execute(
        &self,
        versions: impl ExactSizeIterator<Item = &Version>,
    ) -> Result<Option<Vec<Outcome>>, StoreFailure> {
        let count = versions.len();
        let statements: Result<Vec<BatchStatementRequest>, _> =
            versions.map(|version| version.statement(&self.table.name)).collect();
        let statements = statements.map_err(|fault| unavailable(Box::new(fault)))?;
        match self.table.client.batch_execute_statement().set_statements(Some(statements)).send().await {
            Ok(answer) => {
                let mut outcomes =
                    answer.responses().iter().map(outcome_of).collect::<Result<Vec<_>, StoreFailure>>()?;
                // What was not answered is asked again.
                outcomes.resize(count, Outcome::Throttled);
                Ok(Some(outcomes))
            }
            Err(error) => match AwsError::of(error) {
                error if error.is_unknown_operation() => Ok(None),
                error => Err(error.store_failure(OPERATION)),
            },
        }
    }

    /// R1, decided by the table alone.
    async fn store_one(&self, version: &Version) -> Result<Stored, StoreFailure> {
        let (expression, values) = version.update();
        let update = Update {
            operation: OPERATION,
            key: version.key(),
            expression: &expression,
            condition: version::IS_LATER,
            values,
        };
        match self.table.try_update(update).await {
            Ok(Written::Applied) => Ok(Stored::Written),
            Ok(Written::Refused) => Ok(Stored::Superseded),
            Err(error) if error.is_large() => Ok(Stored::TooLarge(version.bytes())),
            Err(error) => Err(error.store_failure(OPERATION)),
        }
    }
}

impl<C: Clock> Records for RecordTable<C> {
    async fn store(&self, looks: &[Look]) -> Result<Vec<Stored>, StoreFailure> {
        let mut stored = Vec::with_capacity(looks.len());
        let mut left = looks;
        while !left.is_empty() {
            let (batch, behind) = left.split_at(batch_len(left));
            stored.extend(self.store_batch(batch).await?);
            left = behind;
        }
        Ok(stored)
    }
}

/// How large DynamoDB reckons the item that a look makes to be; nothing for one that cannot be compressed.
pub fn size_of(look: &Look) -> usize {
    Version::of(look, None).map_or(0, |version| version.bytes())
}

/// How many looks from the front go into one call; at least one.
fn batch_len(looks: &[Look]) -> usize {
    let mut bytes = 0_usize;
    let fits = |look: &&Look| {
        bytes = bytes.saturating_add(bytes_of(look));
        bytes <= BATCH_BYTES
    };
    looks.iter().take(BATCH_STATEMENTS).take_while(fits).count().max(1)
}

fn bytes_of(look: &Look) -> usize {
    let body_bytes = match &look.seen {
        Seen::Record { body, .. } => body.text().len(),
        Seen::Gone(_) => 0,
    };
    body_bytes + look.event.as_ref().map_or(0, |event| event.text().len())
}

/// The outcome of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Written,
    /// The guess was wrong or a later look is stored, or the table refuses the statement: an update decides.
    Refused,
    /// The same statement may be accepted later.
    Throttled,
}

fn outcome_of(response: &BatchStatementResponse) -> Result<Outcome, StoreFailure> {
    let Some(error) = response.error() else {
        return Ok(Outcome::Written);
    };
    match error.code() {
        Some(
            Code::InternalServerError
            | Code::ProvisionedThroughputExceeded
            | Code::RequestLimitExceeded
            | Code::ThrottlingError
            | Code::TransactionConflict,
        ) => Ok(Outcome::Throttled),
        Some(code @ (Code::AccessDenied | Code::ResourceNotFound)) => {
            Err(AwsError::of_statement(code.as_str(), error.message()).denied(OPERATION))
        }
        Some(Code::ConditionalCheckFailed | Code::DuplicateItem) => Ok(Outcome::Refused),
        code => {
            tracing::warn!(
                code = code.map(Code::as_str),
                "the table does not take a statement: an update is made instead"
            );
            Ok(Outcome::Refused)
        }
    }
}

fn unavailable(source: Box<dyn std::error::Error + Send + Sync>) -> StoreFailure {
    StoreFailure::Unavailable(OPERATION, source)
}
