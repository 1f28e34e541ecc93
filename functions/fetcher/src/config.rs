//! The fetcher's configuration.

use std::time::Duration;

use tidemark_aws::Sdk;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::dynamodb::{LedgerTable, RecordTable, VersionTable};
use tidemark_engine::fetch::Fetcher;
use tidemark_engine::record::TOMBSTONE_AGE_MIN;
use tidemark_runtime::StartError;
use tidemark_runtime::environment::Environment;
use tidemark_runtime::vendor::VendorConfig;
use tidemark_runtime::worlds::FetcherWorld;

/// What a deployment says of its fetcher, checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// The source.
    pub(crate) vendor: VendorConfig,
    ledger_table: String,
    records_table: String,
    /// How long tombstones stay; for ever without it.
    deleted_retention: Option<Duration>,
    /// How long an invocation may take.
    pub(crate) timeout: Duration,
}

impl Config {
    /// Reads the variables; what is wrong with them is noted in `environment`.
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let vendor = VendorConfig::read(environment);
        let ledger_table = environment.text("TIDEMARK_LEDGER_TABLE", "the ledger table's name");
        let records_table = environment.text("TIDEMARK_RECORDS_TABLE", "the records table's name");
        let deleted_retention = environment.read(
            "TIDEMARK_DELETED_RETENTION_DAYS",
            "the days that a deleted record stays in the copy (DeletedRetentionDays): 15 or more, or 0 for ever",
            deleted_retention,
        );
        let timeout = environment.seconds(
            "TIDEMARK_FETCHER_TIMEOUT_SECONDS",
            Duration::from_secs(1),
            "the function's timeout (FetcherTimeoutSeconds), such as 120",
        );
        Some(Self {
            vendor: vendor?,
            ledger_table: ledger_table?,
            records_table: records_table?,
            deleted_retention: deleted_retention?,
            timeout: timeout?,
        })
    }

    /// Builds the fetcher on AWS.
    ///
    /// The list of enabled streams is only validated here: what is in the queue when a stream is turned off is
    /// still fetched, because it was listed.
    pub(crate) fn build(self, sdk: &Sdk) -> Result<Fetcher<FetcherWorld>, StartError> {
        let ports = FetcherWorld {
            source: self.vendor.build(sdk)?,
            ledger: LedgerTable::new(sdk, self.ledger_table),
            records: RecordTable::new(sdk, self.records_table.as_str(), SystemClock)
                .with_deleted_retention(self.deleted_retention),
            versions: VersionTable::new(sdk, self.records_table, SystemClock),
        };
        Ok(Fetcher { ports, call_interval: self.vendor.call_interval })
    }
}

fn deleted_retention(text: &str) -> Result<Option<Duration>, String> {
    let days: u16 = text.parse().map_err(|_| "it is not a whole number of days".to_owned())?;
    let retention = Duration::from_hours(u64::from(days) * 24);
    if days > 0 && retention < TOMBSTONE_AGE_MIN {
        return Err(format!(
            "with {days} days a message that waits as long as SQS keeps it could bring the record back"
        ));
    }
    Ok((days > 0).then_some(retention))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_records_stay_for_ever_or_longer_than_any_message() {
        let days = |count: u64| Some(Duration::from_hours(count * 24));
        assert_eq!(deleted_retention("0"), Ok(None));
        assert_eq!((deleted_retention("15"), deleted_retention("3650")), (Ok(days(15)), Ok(days(3650))));
        for wrong in ["1", "14", "-1", "70000", "30 days", "1.5"] {
            assert!(deleted_retention(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_set_is_one_error_that_names_every_variable() {
        let mut environment = Environment::default();
        let config = Config::read(&mut environment);
        let error = environment.finish(config).unwrap_err().to_string();
        for name in [
            "STACK",
            "SOURCE",
            "BASE_URL",
            "SECRET_ARN",
            "REQUESTS_PER_SECOND",
            "LEDGER_TABLE",
            "RECORDS_TABLE",
            "DELETED_RETENTION_DAYS",
            "FETCHER_TIMEOUT_SECONDS",
        ] {
            assert!(error.contains(&format!("TIDEMARK_{name} is not set; set it to")), "{name}: {error}");
        }
    }
}
