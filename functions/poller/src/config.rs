//! The poller's configuration.

use std::time::Duration;

use tidemark_aws::Sdk;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable, VersionTable};
use tidemark_aws::rate::Rate;
use tidemark_aws::sqs::{SqsQueue, VISIBILITY_TIMEOUTS};
use tidemark_engine::poll::{OVERLAP_MIN, PollSettings, Poller};
use tidemark_engine::work::{CHUNK_IDS, PoisonPolicy};
use tidemark_runtime::StartError;
use tidemark_runtime::environment::Environment;
use tidemark_runtime::vendor::VendorConfig;
use tidemark_runtime::worlds::PollerWorld;

/// The assumed time between two polls when a `cron(..)` sets it. It is short, because a tick owes as much as can be
/// fetched until the next one, and too much would delay newer changes.
const CRON_INTERVAL: Duration = Duration::from_mins(5);

/// What a deployment says of its poller, checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// The source.
    pub(crate) vendor: VendorConfig,
    checkpoints_table: String,
    ledger_table: String,
    records_table: String,
    queue_url: String,
    poll_interval: Duration,
    overlap: Duration,
    poison_policy: PoisonPolicy,
    fetcher_timeout: Duration,
    visibility_timeout: Duration,
}

impl Config {
    /// Reads the variables; what is wrong with them is noted in `environment`.
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let vendor = VendorConfig::read(environment);
        let checkpoints_table = environment.text("TIDEMARK_CHECKPOINTS_TABLE", "the checkpoints table's name");
        let ledger_table = environment.text("TIDEMARK_LEDGER_TABLE", "the ledger table's name");
        let records_table = environment.text("TIDEMARK_RECORDS_TABLE", "the records table's name");
        let queue_url = environment.read("TIDEMARK_QUEUE_URL", "the URL of the source's change queue", |text| {
            let is_url = text.starts_with("https://") || text.starts_with("http://");
            is_url.then(|| text.to_owned()).ok_or("it is not a URL")
        });
        let poll_rate = environment.read("TIDEMARK_POLL_RATE", "a rate such as rate(5 minutes)", Rate::parse);
        let overlap = environment.seconds(
            "TIDEMARK_OVERLAP_SECONDS",
            OVERLAP_MIN,
            "63 or more (OverlapSeconds): an edit shows in lists up to 30 s late and in details up to 20 s late, stamps \
             have whole seconds, and clocks are up to 10 s apart; less than that loses edits",
        );
        let poison_policy = environment.read("TIDEMARK_POISON_POLICY", "block or advance", |text| match text {
            "block" => Ok(PoisonPolicy::Block),
            "advance" => Ok(PoisonPolicy::Advance),
            _ => Err("there is no such policy"),
        });
        let fetcher_timeout = environment.seconds(
            "TIDEMARK_FETCHER_TIMEOUT_SECONDS",
            Duration::from_secs(1),
            "the fetcher's timeout (FetcherTimeoutSeconds), such as 120",
        );
        let visibility_timeout = environment.seconds(
            "TIDEMARK_VISIBILITY_TIMEOUT_SECONDS",
            fetcher_timeout.unwrap_or_default().saturating_mul(VISIBILITY_TIMEOUTS),
            "six times FetcherTimeoutSeconds or more (VisibilityTimeoutSeconds): with less, a message that Lambda holds \
             while the fetcher is throttled comes again meanwhile, and ends as a dead letter",
        );
        Some(Self {
            vendor: vendor?,
            checkpoints_table: checkpoints_table?,
            ledger_table: ledger_table?,
            records_table: records_table?,
            queue_url: queue_url?,
            poll_interval: poll_rate?.interval_or(CRON_INTERVAL),
            overlap: overlap?,
            poison_policy: poison_policy?,
            fetcher_timeout: fetcher_timeout?,
            visibility_timeout: visibility_timeout?,
        })
    }

    /// Builds the poller on AWS.
    pub(crate) fn build(self, sdk: &Sdk) -> Result<Poller<PollerWorld>, StartError> {
        let source = self.vendor.build(sdk)?;
        let ports = PollerWorld {
            source,
            checkpoints: CheckpointTable::new(sdk, self.checkpoints_table),
            ledger: LedgerTable::new(sdk, self.ledger_table),
            versions: VersionTable::new(sdk, self.records_table, SystemClock),
            queue: SqsQueue::new(sdk, self.queue_url, SystemClock),
        };
        let settings = PollSettings {
            overlap: self.overlap,
            poison_policy: self.poison_policy,
            call_interval: self.vendor.call_interval,
            poll_interval: self.poll_interval,
            fetcher_timeout: self.fetcher_timeout,
            visibility_timeout: self.visibility_timeout,
            streams: self.vendor.streams,
            chunk_ids: CHUNK_IDS,
        };
        Ok(Poller { ports, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 16] = [
        ("TIDEMARK_STACK", "tidemark"),
        ("TIDEMARK_SOURCE", "fieldmotion"),
        ("TIDEMARK_BASE_URL", "http://127.0.0.1:9100"),
        ("TIDEMARK_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:000000000000:secret:fieldmotion"),
        ("TIDEMARK_STREAMS", "all"),
        ("TIDEMARK_SETTINGS", "{}"),
        ("TIDEMARK_REQUESTS_PER_SECOND", "2"),
        ("TIDEMARK_CHECKPOINTS_TABLE", "checkpoints"),
        ("TIDEMARK_LEDGER_TABLE", "ledger"),
        ("TIDEMARK_RECORDS_TABLE", "records"),
        ("TIDEMARK_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/000000000000/changes"),
        ("TIDEMARK_POLL_RATE", "rate(5 minutes)"),
        ("TIDEMARK_OVERLAP_SECONDS", "120"),
        ("TIDEMARK_POISON_POLICY", "block"),
        ("TIDEMARK_VISIBILITY_TIMEOUT_SECONDS", "720"),
        ("TIDEMARK_FETCHER_TIMEOUT_SECONDS", "120"),
    ];

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut environment = Environment::of(variables.iter().copied());
        let config = Config::read(&mut environment);
        environment.finish(config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_templates_defaults_are_good() {
        let config = read(&GOOD).unwrap();
        assert_eq!(config.poll_interval, Duration::from_mins(5));
        assert_eq!(config.overlap, Duration::from_mins(2));
        assert_eq!(config.poison_policy, PoisonPolicy::Block);
        assert_eq!(config.visibility_timeout, Duration::from_mins(12));
    }

    #[test]
    fn nothing_set_is_one_error_that_names_them_all() {
        let error = read(&[]).unwrap_err();
        // Which streams and keys are valid depends on the source, so they are checked once it is known.
        for (name, _) in GOOD.iter().filter(|(name, _)| *name != "TIDEMARK_STREAMS") {
            assert!(error.contains(&format!("{name} is not set; set it to")), "{name}: {error}");
        }
    }

    #[test]
    fn each_wrong_value_is_named_with_its_next_step() {
        for (name, value, said) in [
            (
                "TIDEMARK_POLL_RATE",
                "5 minutes",
                "neither rate(..) nor cron(..); set it to a rate such as rate(5 minutes)",
            ),
            ("TIDEMARK_OVERLAP_SECONDS", "62", "62 is less than 63; set it to 63 or more (OverlapSeconds): an edit"),
            ("TIDEMARK_POISON_POLICY", "Block", "no such policy; set it to block or advance"),
            ("TIDEMARK_QUEUE_URL", "changes", "it is not a URL; set it to the URL"),
            (
                "TIDEMARK_VISIBILITY_TIMEOUT_SECONDS",
                "719",
                "719 is less than 720; set it to six times FetcherTimeoutSeconds",
            ),
        ] {
            let changed: Vec<_> =
                GOOD.iter().map(|(good, text)| (*good, if *good == name { value } else { *text })).collect();
            let error = read(&changed).unwrap_err();
            assert!(error.contains(name) && error.contains(said), "{error}");
        }
    }
}
