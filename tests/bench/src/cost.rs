//! What counted calls cost in AWS: list prices of us-east-1, in dollars, without any free tier.

use crate::play::bill::Bill;

/// The list prices. Pages read 2026-11-27.
mod price {
    /// A write request unit. `aws.amazon.com/dynamodb/pricing/on-demand`.
    pub(super) const WRITE: f64 = 0.625e-6;
    /// A read request unit. The same page.
    pub(super) const READ: f64 = 0.125e-6;
    /// A request of a standard queue. `aws.amazon.com/sqs/pricing`.
    pub(super) const QUEUE: f64 = 0.40e-6;
    /// A GB-second of an arm64 function. `aws.amazon.com/lambda/pricing`.
    pub(super) const COMPUTE: f64 = 13.333_4e-6;
    /// An invocation of a function. The same page.
    pub(super) const INVOCATION: f64 = 0.20e-6;
    /// An invocation by a schedule. `aws.amazon.com/eventbridge/pricing`.
    pub(super) const SCHEDULE: f64 = 1.00e-6;
    /// A call of Secrets Manager. `aws.amazon.com/secrets-manager/pricing`.
    pub(super) const SECRET_CALL: f64 = 5.0e-6;
    /// A secret a month. The same page.
    pub(super) const SECRET: f64 = 0.40;
    /// A GB of log lines taken in. `aws.amazon.com/cloudwatch/pricing`.
    pub(super) const LOG_GB: f64 = 0.50;
    /// A custom metric a month. The same page.
    pub(super) const METRIC: f64 = 0.30;
    /// A standard alarm a month. The same page.
    pub(super) const ALARM: f64 = 0.10;
    /// A composite alarm a month; each source has one. The same page.
    pub(super) const COMPOSITE: f64 = 0.50;
    /// A call of `PutMetricData`. The same page.
    pub(super) const PUBLISH: f64 = 10.0e-6;
}

/// Memory of the functions, in GB, as the template has it.
const POLLER_GB: f64 = 0.25;
const FETCHER_GB: f64 = 0.125;
const WATCHER_GB: f64 = 0.125;
/// How long a request to a table or a queue takes, in seconds: an assumption.
const REQUEST: f64 = 0.01;
/// How long a vendor's answer takes, in seconds: an assumption.
const ANSWER: f64 = 0.2;
/// What an invocation writes to the log, its START, END and REPORT lines included, in GB: an assumption.
const LOG_LINES: f64 = 1e-6;
/// How long a secret is remembered, in seconds.
const REMEMBERED: f64 = 3_600.0;

const SECONDS_A_MONTH: f64 = 30.0 * 24.0 * 3_600.0;
/// The watcher's schedule, in seconds.
const WATCHED_EVERY: f64 = 300.0;
/// Lambda asks an idle queue with five connections, 20 s each.
const IDLE_RECEIVES: f64 = 5.0 / 20.0;
/// Metrics and alarms of a source, and those that all share.
const METRICS: (f64, f64) = (5.0, 1.0);
const ALARMS: (f64, f64) = (11.0, 4.0);

/// A cost and its parts, in dollars.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    records: f64,
    ledger: f64,
    versions: f64,
    queues: f64,
    lambda: f64,
    secrets: f64,
    logs: f64,
    metrics: f64,
    alarms: f64,
}

impl Cost {
    /// The sum and its parts, for a person.
    pub(crate) fn told(&self) -> String {
        let parts = [
            ("the records' own writes", self.records),
            ("ledger and checkpoint", self.ledger),
            ("reads of stored versions", self.versions),
            ("queues", self.queues),
            ("Lambda and schedules", self.lambda),
            ("Secrets Manager", self.secrets),
            ("logs", self.logs),
            ("metrics", self.metrics),
            ("alarms", self.alarms),
        ];
        let sum: f64 = parts.iter().map(|(_, cost)| cost).sum();
        let parts: Vec<String> =
            parts.iter().filter(|(_, cost)| *cost >= 0.005).map(|(what, cost)| format!("{what} {cost:.2}")).collect();
        format!("${sum:.2}: {}", parts.join(", "))
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            records: self.records + other.records,
            ledger: self.ledger + other.ledger,
            versions: self.versions + other.versions,
            queues: self.queues + other.queues,
            lambda: self.lambda + other.lambda,
            secrets: self.secrets + other.secrets,
            logs: self.logs + other.logs,
            metrics: self.metrics + other.metrics,
            alarms: self.alarms + other.alarms,
        }
    }

    /// What a bill costs, when the poller worked for `poller_seconds` and the fetcher for `fetcher_seconds` and secrets
    /// were read so often.
    fn of(bill: &Bill, poller_seconds: f64, fetcher_seconds: f64, secret_calls: f64) -> Self {
        let invocations = bill.ticks + bill.messages;
        Self {
            records: bill.own_writes * price::WRITE,
            ledger: (bill.ledger_writes + bill.again_writes) * price::WRITE + bill.ledger_reads * price::READ,
            versions: bill.version_reads * price::READ,
            queues: bill.queue_requests * price::QUEUE,
            lambda: (poller_seconds * POLLER_GB + fetcher_seconds * FETCHER_GB) * price::COMPUTE
                + invocations * price::INVOCATION
                + bill.ticks * price::SCHEDULE,
            secrets: secret_calls * price::SECRET_CALL,
            logs: invocations * LOG_LINES * price::LOG_GB,
            ..Self::default()
        }
    }
}

/// What work costs that goes on at the vendor's pace of `rate` calls a second: each call takes its slot's time, which the
/// function that makes it waits for.
pub(crate) fn of_work(bill: &Bill, rate: f64) -> Cost {
    let call = ANSWER.max(1.0 / rate);
    let poller = bill.lists * call + bill.poller_requests * REQUEST;
    let fetcher = bill.details * call + bill.fetcher_requests * REQUEST;
    // Each function reads it again once it has forgotten it, and whenever it has just started.
    let secret_calls = bill.ticks + (fetcher / REMEMBERED).max(1.0);
    Cost::of(bill, poller, fetcher, secret_calls)
}

/// Streams of one source that are polled alike.
pub(crate) struct Polled {
    pub(crate) streams: f64,
    pub(crate) every_seconds: f64,
    pub(crate) idle_tick: Bill,
}

/// What a month without changes costs, of sources with these streams, one entry a source. The ticks of a source begin
/// together and wait for each other's slot; `look` is what the watcher uses for one stream.
pub(crate) fn of_month(sources: &[Vec<Polled>], look: &Bill, rate: f64) -> Cost {
    let mut sum = Cost::default();
    for polled in sources {
        let beside: f64 = polled.iter().map(|each| each.streams).sum();
        for each in polled {
            let ticks = each.streams * SECONDS_A_MONTH / each.every_seconds;
            let bill = each.idle_tick.times(ticks);
            let waited = ticks * (beside - 1.0) / 2.0 / rate;
            let poller = bill.lists * ANSWER + bill.poller_requests * REQUEST + waited;
            sum = sum.plus(&Cost::of(&bill, poller, 0.0, ticks));
        }
        let looks = look.times(beside * SECONDS_A_MONTH / WATCHED_EVERY);
        let watcher = looks.poller_requests * REQUEST * WATCHER_GB / POLLER_GB;
        sum = sum.plus(&Cost::of(&Bill { ticks: 0.0, ..looks }, watcher, 0.0, 0.0)).plus(&Cost {
            queues: IDLE_RECEIVES * SECONDS_A_MONTH * price::QUEUE,
            secrets: price::SECRET,
            metrics: METRICS.0 * price::METRIC,
            alarms: ALARMS.0 * price::ALARM + price::COMPOSITE,
            ..Cost::default()
        });
    }
    let looks = SECONDS_A_MONTH / WATCHED_EVERY;
    sum.plus(&Cost {
        lambda: looks * (price::INVOCATION + price::SCHEDULE),
        logs: looks * LOG_LINES * price::LOG_GB,
        metrics: METRICS.1 * price::METRIC + looks * price::PUBLISH,
        alarms: ALARMS.1 * price::ALARM,
        ..Cost::default()
    })
}
