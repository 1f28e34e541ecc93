//! The engine's ports on AWS: one file a service.
//!
//! | port | adapter | service |
//! |---|---|---|
//! | `Checkpoints` | [`dynamodb::CheckpointTable`] | DynamoDB |
//! | `Ledger` | [`dynamodb::LedgerTable`] | DynamoDB |
//! | `Records` | [`dynamodb::RecordTable`] | DynamoDB |
//! | `StoredVersions` | [`dynamodb::VersionTable`] | DynamoDB |
//! | `ChangeQueue` | [`sqs::SqsQueue`] | SQS |
//! | `Credentials` | [`secrets::SourceSecret`] | Secrets Manager |
//! | `Measurements` | [`cloudwatch::MetricSink`] | CloudWatch |
//! | operator's reads and acts | [`stack`], [`lambda`], [`scheduler`], [`sns`], [`cloudwatch::alarms`], [`secrets::keep`], [`identity`], [`dynamodb::CopyTable`], [`sqs::DeadLetters`] | with the feature `operator` |
//! | `Clock`, `Random` | [`clock::SystemClock`], [`clock::SystemRandom`] | the machine |
//!
//! What holds for all of them:
//!
//! - **Every write may arrive twice.** The SDK retries a call whose answer was lost although it took effect, so each
//!   write is idempotent; where it cannot be, its comment says what a second arrival does.
//! - **Errors are mapped where the call is made**, by operation and code. An error keeps what AWS said and never the raw
//!   response, in which a secret or a body could stand.
//! - **Whatever needs fencing is decided by a condition**, never by a read that came before.
//!
//! How one could get it wrong: by writing an attribute name into an expression. Several are reserved words (`hash`,
//! `order`, `partition`), and an expression with one fails only when it is run; therefore every attribute has an alias
//! with a `#`, and the names are taken from the expression itself.

mod backoff;
pub mod client;
pub mod clock;
pub mod cloudwatch;
pub mod dynamodb;
mod errors;
#[cfg(feature = "operator")]
pub mod identity;
#[cfg(feature = "operator")]
pub mod lambda;
pub mod prices;
pub mod rate;
#[cfg(feature = "operator")]
pub mod scheduler;
pub mod secrets;
#[cfg(feature = "operator")]
pub mod sns;
pub mod sqs;
#[cfg(feature = "operator")]
pub mod stack;

pub use client::Sdk;
