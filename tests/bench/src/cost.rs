//! What counted calls cost in AWS: list prices of us-east-1, in dollars, without any free tier.

use tidemark_aws::prices as price;

use crate::play::bill::Bill;

/// What AWS gives each account free of charge in every month, for as long as it exists: at the prices above. Of log lines,
/// invocations, requests of queues and calls of `PutMetricData` it is more than an idle stack uses.
mod free {
    use tidemark_aws::prices as price;

    pub(super) const QUEUES: f64 = 1e6 * price::QUEUE;
    /// 400,000 GB-seconds, a million invocations, and 14 million by schedules.
    pub(super) const LAMBDA: f64 = 400_000.0 * price::COMPUTE + 1e6 * price::INVOCATION + 14e6 * price::SCHEDULE;
    pub(super) const LOGS: f64 = 5e9 * price::LOG;
    pub(super) const METRICS: f64 = 10.0 * price::METRIC;
    pub(super) const PUBLISHING: f64 = 1e6 * price::PUBLISH;
    pub(super) const ALARMS: f64 = 10.0 * price::ALARM;
    pub(super) const DASHBOARDS: f64 = 3.0 * price::DASHBOARD;
}

/// How long a request to a table or a queue takes, in seconds: an assumption.
const REQUEST: f64 = 0.01;
/// How long a vendor's answer takes, in seconds: an assumption.
const ANSWER: f64 = 0.2;
/// How long a packet to a vendor and back takes, in seconds: an assumption.
const ROUND_TRIP: f64 = 0.05;
/// Round trips until a connection can be used: one of TCP, one of TLS.
const ROUND_TRIPS: f64 = 2.0;
/// How long a secret is remembered, in seconds.
const REMEMBERED: f64 = 3_600.0;

const SECONDS_A_MONTH: f64 = 30.0 * 24.0 * 3_600.0;
/// The watcher's schedule, in seconds.
const WATCHED_EVERY: f64 = 300.0;
/// Lambda asks an idle queue with five connections, 20 s each.
const IDLE_RECEIVES: f64 = 5.0 / 20.0;
/// The memory for which Lambda gives one whole processor, in GB.
///
/// Source: AWS Lambda Developer Guide, "Configure Lambda function memory" (read 2026-11-27).
pub(crate) const WHOLE_PROCESSOR_GB: f64 = 1_769.0 / 1_024.0;

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
    publishing: f64,
    alarms: f64,
    dashboards: f64,
    storage: f64,
    recovery: f64,
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
            ("calls that publish them", self.publishing),
            ("alarms", self.alarms),
            ("dashboards", self.dashboards),
            ("storage", self.storage),
            ("point-in-time recovery", self.recovery),
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
            publishing: self.publishing + other.publishing,
            alarms: self.alarms + other.alarms,
            dashboards: self.dashboards + other.dashboards,
            storage: self.storage + other.storage,
            recovery: self.recovery + other.recovery,
        }
    }

    /// What is left to pay in an account that holds nothing else.
    pub(crate) fn less_free(&self) -> Self {
        let less = |cost: f64, free: f64| (cost - free).max(0.0);
        Self {
            queues: less(self.queues, free::QUEUES),
            lambda: less(self.lambda, free::LAMBDA),
            logs: less(self.logs, free::LOGS),
            metrics: less(self.metrics, free::METRICS),
            publishing: less(self.publishing, free::PUBLISHING),
            alarms: less(self.alarms, free::ALARMS),
            dashboards: less(self.dashboards, free::DASHBOARDS),
            ..self.clone()
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
            lambda: (poller_seconds * price::POLLER_GB + fetcher_seconds * price::FETCHER_GB) * price::COMPUTE
                + invocations * price::INVOCATION
                + bill.ticks * price::SCHEDULE,
            secrets: secret_calls * price::SECRET_CALL,
            logs: bill.log_bytes * price::LOG,
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

/// What keeping so many records costs for a month, which are those of a bill.
pub(crate) fn of_keeping(bill: &Bill, count: f64) -> Cost {
    let bytes = bill.record_bytes + count * price::ITEM_BYTES;
    Cost { storage: bytes * price::STORAGE, recovery: bytes * price::RECOVERY, ..Cost::default() }
}

/// What it costs that a poller opens so many connections, each of which takes so much of a processor. Processor time costs
/// the same whatever memory a function has, because its share of a processor grows with it.
pub(crate) fn of_connections(count: f64, cpu_seconds: f64) -> f64 {
    count * (cpu_seconds * WHOLE_PROCESSOR_GB + ROUND_TRIPS * ROUND_TRIP * price::POLLER_GB) * price::COMPUTE
}

/// How many ticks so many streams have in a month.
pub(crate) fn ticks_of_month(streams: f64, every_seconds: f64) -> f64 {
    streams * SECONDS_A_MONTH / every_seconds
}

/// What a look of the watcher uses: for each stream, and its own log lines.
pub(crate) struct Look {
    pub(crate) of_stream: Bill,
    pub(crate) log_bytes: f64,
}

/// Streams of one source that are polled alike.
pub(crate) struct Polled {
    pub(crate) streams: f64,
    pub(crate) every_seconds: f64,
    pub(crate) idle_tick: Bill,
}

/// What a month without changes costs, of sources with these streams, one entry a source. The ticks of a source begin
/// together and wait for each other's slot.
pub(crate) fn of_month(sources: &[Vec<Polled>], look: &Look, rate: f64) -> Cost {
    let mut sum = Cost::default();
    for polled in sources {
        let beside: f64 = polled.iter().map(|each| each.streams).sum();
        for each in polled {
            let ticks = ticks_of_month(each.streams, each.every_seconds);
            let bill = each.idle_tick.times(ticks);
            let waited = ticks * (beside - 1.0) / 2.0 / rate;
            let poller = bill.lists * ANSWER + bill.poller_requests * REQUEST + waited;
            sum = sum.plus(&Cost::of(&bill, poller, 0.0, ticks));
        }
        let looks = look.of_stream.times(beside * SECONDS_A_MONTH / WATCHED_EVERY);
        let watcher = looks.poller_requests * REQUEST * price::WATCHER_GB / price::POLLER_GB;
        sum = sum.plus(&Cost::of(&Bill { ticks: 0.0, ..looks }, watcher, 0.0, 0.0)).plus(&Cost {
            queues: IDLE_RECEIVES * SECONDS_A_MONTH * price::QUEUE,
            secrets: price::SECRET,
            metrics: price::METRICS.0 * price::METRIC,
            alarms: price::ALARMS.0 * price::ALARM,
            dashboards: price::DASHBOARDS.0 * price::DASHBOARD,
            ..Cost::default()
        });
    }
    let looks = SECONDS_A_MONTH / WATCHED_EVERY;
    sum.plus(&Cost {
        lambda: looks * (price::INVOCATION + price::SCHEDULE),
        logs: looks * look.log_bytes * price::LOG,
        metrics: price::METRICS.1 * price::METRIC,
        publishing: looks * price::PUBLISH,
        alarms: price::ALARMS.1 * price::ALARM,
        dashboards: price::DASHBOARDS.1 * price::DASHBOARD,
        ..Cost::default()
    })
}
