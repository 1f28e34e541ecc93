//! List prices of us-east-1, in dollars, without any free tier. Pages read 2026-11-27.

/// A write request unit. `aws.amazon.com/dynamodb/pricing/on-demand`.
pub const WRITE: f64 = 0.625e-6;
/// A read request unit. The same page.
pub const READ: f64 = 0.125e-6;
/// A request of a standard queue. `aws.amazon.com/sqs/pricing`.
pub const QUEUE: f64 = 0.40e-6;
/// A GB-second of an arm64 function. `aws.amazon.com/lambda/pricing`.
pub const COMPUTE: f64 = 13.333_4e-6;
/// An invocation of a function. The same page.
pub const INVOCATION: f64 = 0.20e-6;
/// An invocation by a schedule. `aws.amazon.com/eventbridge/pricing`.
pub const SCHEDULE: f64 = 1.00e-6;
/// A call of Secrets Manager. `aws.amazon.com/secrets-manager/pricing`.
pub const SECRET_CALL: f64 = 5.0e-6;
/// A secret a month. The same page.
pub const SECRET: f64 = 0.40;
/// A byte of log lines taken in. `aws.amazon.com/cloudwatch/pricing`.
pub const LOG: f64 = 0.50e-9;
/// A custom metric a month. The same page.
pub const METRIC: f64 = 0.30;
/// A standard alarm a month. The same page.
pub const ALARM: f64 = 0.10;
/// A dashboard a month. The same page.
pub const DASHBOARD: f64 = 3.00;
/// A call of `PutMetricData`. The same page.
pub const PUBLISH: f64 = 10.0e-6;
/// A byte that a table keeps for a month. `aws.amazon.com/dynamodb/pricing/on-demand`.
pub const STORAGE: f64 = 0.25 / GB;
/// A byte of a table with point-in-time recovery, a month. The same page.
pub const RECOVERY: f64 = 0.20 / GB;
/// As `DynamoDB` counts: 1 KB is 1,024 bytes.
const GB: f64 = 1_024.0 * 1_024.0 * 1_024.0;

/// What a table adds to the bytes of each item that it keeps.
///
/// Source: Amazon `DynamoDB` Developer Guide, "`DynamoDB` item sizes and formats" (read 2026-11-28).
pub const ITEM_BYTES: f64 = 100.0;
/// Memory of the poller, in GB. The tests of the template hold what follows to it.
pub const POLLER_GB: f64 = 0.25;
/// Memory of the fetcher, in GB.
pub const FETCHER_GB: f64 = 0.125;
/// Memory of the watcher, in GB.
pub const WATCHER_GB: f64 = 0.125;
/// Metrics of a source, and those that all share.
pub const METRICS: (f64, f64) = (6.0, 1.0);
/// Alarms of a source, and those that all share.
pub const ALARMS: (f64, f64) = (12.0, 4.0);
/// Dashboards of a source, and those that all share.
pub const DASHBOARDS: (f64, f64) = (1.0, 1.0);
