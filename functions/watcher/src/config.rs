//! The watcher's configuration.

use std::time::Duration;

use tidemark_aws::Sdk;
use tidemark_aws::cloudwatch::MetricSink;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable};
use tidemark_aws::rate::{Rate, SCAN_CRON_INTERVAL};
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_runtime::environment::Environment;
use tidemark_runtime::vendor::{self, is_scanned};
use tidemark_runtime::worlds::WatcherWorld;
use tidemark_watch::{POLLS_TO_STALE, WatchedStream, Watcher};

/// How often streams are polled.
const POLL_RATE: &str = "TIDEMARK_POLL_RATE";

/// What a deployment says of its watcher, checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    stack: String,
    checkpoints_table: String,
    ledger_table: String,
    watched: Vec<(SourceKind, Vec<WatchedStream>)>,
    stale_after: Duration,
}

impl Config {
    /// Reads the variables; what is wrong with them is noted in `environment`.
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let stack = environment.stack();
        let checkpoints_table = environment.text("TIDEMARK_CHECKPOINTS_TABLE", "the checkpoints table's name");
        let ledger_table = environment.text("TIDEMARK_LEDGER_TABLE", "the ledger table's name");
        let least = least_stale_after(environment);
        let stale_after = environment.seconds(
            "TIDEMARK_STALE_AFTER_SECONDS",
            least,
            "at least twice PollRate, such as 900 (StaleAfterSeconds): with less, one late poll is a stale stream",
        );
        let scan_rate = environment.read("TIDEMARK_SCAN_RATE", "a rate such as rate(1 hour)", Rate::parse);
        let rests_for = scan_rate.map(|rate| rate.interval_or(SCAN_CRON_INTERVAL)).unwrap_or_default();
        let watched: Vec<_> =
            SourceKind::ALL.iter().filter_map(|kind| watched(environment, *kind, rests_for)).collect();
        scan_rate?;
        Some(Self {
            stack: stack?,
            checkpoints_table: checkpoints_table?,
            ledger_table: ledger_table?,
            watched,
            stale_after: stale_after?,
        })
    }

    /// Builds the watcher on AWS.
    pub(crate) fn build(self, sdk: &Sdk) -> Watcher<WatcherWorld> {
        let ports = WatcherWorld {
            checkpoints: CheckpointTable::new(sdk, self.checkpoints_table),
            ledger: LedgerTable::new(sdk, self.ledger_table),
            measurements: MetricSink::new(sdk, self.stack),
        };
        Watcher { ports, watched: self.watched, stale_after: self.stale_after }
    }
}

/// The least that staleness can be told by: two polls. Nothing is known of a `cron(..)`, and an empty rate stands for
/// ticks without a schedule, as on the local cloud.
fn least_stale_after(environment: &mut Environment) -> Duration {
    let is_ticked_by_hand = environment.given(POLL_RATE).is_some_and(|rate| rate.is_empty());
    let rate = if is_ticked_by_hand {
        None
    } else {
        environment.read(POLL_RATE, "a rate such as rate(5 minutes)", Rate::parse)
    };
    let least = rate.map(|rate| rate.interval_or(Duration::ZERO).saturating_mul(POLLS_TO_STALE));
    least.unwrap_or_default().max(Duration::from_secs(1))
}

/// A source and its streams: none when its variable is empty, because the source is off then.
///
/// A missing variable is an error: a typo must not leave a source unwatched.
fn watched(
    environment: &mut Environment,
    kind: SourceKind,
    scan_interval: Duration,
) -> Option<(SourceKind, Vec<WatchedStream>)> {
    let variable = format!("TIDEMARK_{}_STREAMS", kind.as_str().to_ascii_uppercase());
    if environment.given(&variable).is_some_and(|text| text.is_empty()) {
        return None;
    }
    // Of a source whose settings may name streams of its own; what is wrong with them its own functions say.
    let settings = environment.given(&format!("TIDEMARK_{}_SETTINGS", kind.as_str().to_ascii_uppercase()));
    let settings = settings.unwrap_or_default();
    let wanted = "all, names with commas between, or nothing when the source is off";
    let names = environment.read(&variable, wanted, |text| vendor::parse_streams(kind, &settings, text))?;
    let rests_for = |name: &StreamName| if is_scanned(kind, &settings, name) { scan_interval } else { Duration::ZERO };
    let watched = names.into_iter().map(|name| WatchedStream { rests_for: rests_for(&name), name });
    Some((kind, watched.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(streams: Option<&str>, stale_after: &str) -> Result<Config, String> {
        read_at("rate(5 minutes)", streams, stale_after)
    }

    fn read_at(poll_rate: &str, streams: Option<&str>, stale_after: &str) -> Result<Config, String> {
        let stack = [("TIDEMARK_STACK", "tidemark"), ("TIDEMARK_POLL_RATE", poll_rate)];
        let tables = [("TIDEMARK_CHECKPOINTS_TABLE", "checkpoints"), ("TIDEMARK_LEDGER_TABLE", "ledger")];
        let streams = streams.map(|text| ("TIDEMARK_FIELDMOTION_STREAMS", text));
        let off = ["FIELDAWARE", "FSMNAVIGATOR", "FIELDLY"].map(|name| (format!("TIDEMARK_{name}_STREAMS"), ""));
        let others = [("TIDEMARK_STALE_AFTER_SECONDS", stale_after), ("TIDEMARK_SCAN_RATE", "rate(1 hour)")];
        let given = stack.into_iter().chain(tables).chain(streams).chain(others);
        let variables = given.map(|(name, value)| (name.to_owned(), value)).chain(off);
        let mut environment = Environment::of(variables);
        let config = Config::read(&mut environment);
        environment.finish(config).map_err(|error| error.to_string())
    }

    #[test]
    fn streams_are_watched_as_they_are_polled() {
        let config = read(Some("jobs,customers"), "900").unwrap();
        let stream = |name| WatchedStream { name: StreamName::known(name), rests_for: Duration::ZERO };
        assert_eq!(config.watched, [(SourceKind::FieldMotion, vec![stream("customers"), stream("jobs")])]);
        let all = &read(Some("all"), "900").unwrap().watched[0].1;
        assert!(all.contains(&stream("users")) && !all.contains(&stream("stock_containers")), "{all:?}");
    }

    #[test]
    fn an_empty_value_turns_a_source_off_and_a_missing_one_is_a_problem() {
        assert!(read(Some(""), "900").unwrap().watched.is_empty());
        let error = read(None, "soon").unwrap_err();
        assert!(error.contains("TIDEMARK_FIELDMOTION_STREAMS is not set"), "{error}");
        assert!(error.contains("TIDEMARK_STALE_AFTER_SECONDS is not right"), "{error}");
    }

    #[test]
    fn a_stream_that_is_scanned_may_rest_between_two_scans() {
        let mut environment = Environment::of([("TIDEMARK_FSMNAVIGATOR_STREAMS", "jobs,customers")]);
        let (_, streams) = watched(&mut environment, SourceKind::FsmNavigator, Duration::from_hours(1)).unwrap();
        let rests: Vec<_> = streams.iter().map(|stream| (stream.name.as_str(), stream.rests_for.as_secs())).collect();
        assert_eq!(rests, [("jobs", 0), ("customers", 3_600)]);
    }

    #[test]
    fn a_stream_of_the_settings_is_watched() {
        let mut environment = Environment::of([
            ("TIDEMARK_FIELDLY_STREAMS", "clients,invoices,users"),
            (
                "TIDEMARK_FIELDLY_SETTINGS",
                r#"{"streams":["invoices","users"],"updated_filters":{"users":null,"clients":null}}"#,
            ),
        ]);
        let (_, streams) = watched(&mut environment, SourceKind::Fieldly, Duration::from_hours(1)).unwrap();
        let rests: Vec<_> = streams.iter().map(|stream| (stream.name.as_str(), stream.rests_for.as_secs())).collect();
        assert_eq!(rests, [("clients", 0), ("invoices", 0), ("users", 3_600)]);
    }

    #[test]
    fn staleness_is_at_least_twice_the_poll_rate() {
        let at = |rate, stale_after| read_at(rate, Some("all"), stale_after).map(|config| config.stale_after.as_secs());
        assert_eq!(at("rate(5 minutes)", "600"), Ok(600));
        let error = at("rate(5 minutes)", "599").unwrap_err();
        assert!(error.contains("599 is less than 600; set it to at least twice PollRate"), "{error}");
        assert_eq!(at("cron(0 6 * * ? *)", "60"), Ok(60), "nothing is known about its times");
        assert_eq!(at("", "15"), Ok(15), "ticked by hand");
        assert!(at("often", "900").unwrap_err().contains("TIDEMARK_POLL_RATE is not right"));
    }

    #[test]
    fn an_unknown_stream_is_named() {
        let error = read(Some("customers,orders"), "900").unwrap_err();
        assert!(error.contains("there is no stream orders"), "{error}");
    }
}
