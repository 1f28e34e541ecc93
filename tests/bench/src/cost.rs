//! What counted calls cost in AWS: list prices of us-east-1, in dollars.
//!
//! Source: the pricing pages of the services (read 2026-08-22).

/// A million write request units of DynamoDB on demand.
const WRITES: f64 = 0.625;
/// A million read request units.
const READS: f64 = 0.125;
/// A million SQS requests.
const QUEUE: f64 = 0.40;
/// A GB-second of an arm64 function.
const COMPUTE: f64 = 0.000_013_333_4;
/// A million invocations.
const INVOCATIONS: f64 = 0.20;
/// A custom metric a month.
const METRIC: f64 = 0.30;
/// An alarm a month.
const ALARM: f64 = 0.10;
/// A secret a month.
const SECRET: f64 = 0.40;
/// A million schedule invocations.
const SCHEDULES: f64 = 1.00;
/// A million `PutMetricData` calls.
const PUBLISHES: f64 = 10.00;

const MINUTES_A_MONTH: f64 = 30.0 * 24.0 * 60.0;
/// The watcher's schedule, in minutes.
const WATCHED_EVERY: f64 = 5.0;
const MILLION: f64 = 1e6;

/// Request units of DynamoDB.
#[derive(Clone, Copy)]
pub(crate) struct Units {
    pub(crate) writes: f64,
    pub(crate) reads: f64,
}

impl Units {
    fn cost(self) -> f64 {
        (self.writes * WRITES + self.reads * READS) / MILLION
    }
}

/// Streams that are polled alike.
#[derive(Clone, Copy)]
pub(crate) struct Polled {
    pub(crate) streams: f64,
    pub(crate) every_minutes: f64,
    pub(crate) idle_tick: Units,
}

/// A month of a stack in which nothing changes.
pub(crate) struct Month {
    polling: f64,
    queues: f64,
    watching: f64,
    fixed: f64,
}

impl Month {
    /// A month of so many sources, whose streams are polled so.
    pub(crate) fn of(sources: f64, streams: &[Polled]) -> Self {
        let tick = |units: Units| {
            // A quarter of a GB for 200 ms: a few round trips to the tables and one or two calls of the vendor.
            units.cost() + (INVOCATIONS + SCHEDULES) / MILLION + 0.25 * 0.2 * COMPUTE
        };
        let polling =
            streams.iter().map(|each| each.streams * MINUTES_A_MONTH / each.every_minutes * tick(each.idle_tick)).sum();
        let watch = (INVOCATIONS + SCHEDULES + PUBLISHES) / MILLION + 0.125 * 0.2 * COMPUTE;
        Self {
            polling,
            // Lambda asks an idle queue with five connections, 20 s each.
            queues: sources * 5.0 * 3.0 * MINUTES_A_MONTH * QUEUE / MILLION,
            watching: MINUTES_A_MONTH / WATCHED_EVERY * watch,
            // Five metrics of each source and the heartbeat; eight alarms of each and two shared ones.
            fixed: sources * (5.0 * METRIC + 8.0 * ALARM + SECRET) + METRIC + 2.0 * ALARM,
        }
    }

    /// The sum and its parts, for a person.
    pub(crate) fn told(&self) -> String {
        let Self { polling, queues, watching, fixed } = self;
        format!(
            "${:.2}: polling {polling:.2}, queues {queues:.2}, watching {watching:.2}, metrics, alarms and secrets \
             {fixed:.2}",
            polling + queues + watching + fixed
        )
    }
}

/// What a record costs, without and with the time that the fetcher waits for the vendor.
///
/// Chunks become visible at the vendor's pace, so that one fetcher of 128 MB is busy at a time, for as long as the rate
/// makes it take.
pub(crate) struct PerRecord {
    without_waiting: f64,
}

impl PerRecord {
    const FETCHER: f64 = 0.125 * COMPUTE;

    /// Of `records` that took these units and so many messages. A message is sent among ten, received and deleted alone.
    pub(crate) fn of(records: f64, units: Units, messages: f64) -> Self {
        let queue = messages * 2.1 * QUEUE / MILLION;
        Self { without_waiting: (units.cost() + queue + messages * INVOCATIONS / MILLION) / records }
    }

    /// A million records at so many requests a second.
    pub(crate) fn a_million(&self, rate: f64) -> f64 {
        (self.without_waiting + Self::FETCHER / rate) * MILLION
    }

    /// The rate from which on a million records cost no more than this.
    pub(crate) fn rate_for(&self, a_million: f64) -> f64 {
        Self::FETCHER / (a_million / MILLION - self.without_waiting)
    }
}
