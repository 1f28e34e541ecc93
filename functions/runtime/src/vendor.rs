//! The configuration of a source, which its poller and its fetcher share.

use std::time::Duration;

use serde_json::Value;
use tidemark_aws::Sdk;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::secrets::SourceSecret;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_sources::http::{BaseUrl, RequestsPerSecond};
use tidemark_sources::probe::{Bench, Check};
use tidemark_sources::registry::{self, AnySource, BadSource};
pub use tidemark_sources::registry::{is_scanned, parse_streams, streams_of};

use crate::environment::Environment;

/// The source as it is built here.
pub type VendorSource = AnySource<SystemClock, SourceSecret<SystemClock>>;

/// What a deployment says of its source, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorConfig {
    /// The deployment that the source belongs to.
    pub stack: String,
    /// The vendor.
    pub kind: SourceKind,
    /// The streams that are turned on.
    pub streams: Vec<StreamName>,
    /// The time between two calls.
    pub call_interval: Duration,
    base_url: String,
    secret_arn: String,
    settings: String,
    requests_per_second: String,
}

impl VendorConfig {
    /// Reads the variables of a source; what is wrong with them is noted in `environment`.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let stack = environment.stack();
        let kind = environment.read("TIDEMARK_SOURCE", &format!("one of {}", kinds()), |text| {
            text.parse::<SourceKind>().map_err(|_| "there is no such source")
        });
        let base_url = environment.read("TIDEMARK_BASE_URL", "the address of the vendor's API", |text| {
            BaseUrl::parse(text).map(|_| text.to_owned())
        });
        let secret_arn = environment.read("TIDEMARK_SECRET_ARN", "the ARN of the source's secret", |text| {
            let is_arn = text.starts_with("arn:") && text.contains(":secretsmanager:");
            is_arn.then(|| text.to_owned()).ok_or("it is not the ARN of a Secrets Manager secret")
        });
        let rate = environment.read("TIDEMARK_REQUESTS_PER_SECOND", "what the vendor allows, such as 2", |text| {
            RequestsPerSecond::parse(text).map(|rate| (text.to_owned(), rate.interval()))
        });
        // Settings may name streams of their own.
        let text = environment.given("TIDEMARK_SETTINGS").unwrap_or_default();
        let streams = kind.and_then(|kind| {
            let wanted = "all, or names with commas between";
            environment.read("TIDEMARK_STREAMS", wanted, |names| parse_streams(kind, &text, names))
        });
        let settings = settings(environment, kind);
        let (requests_per_second, call_interval) = rate?;
        Some(Self {
            stack: stack?,
            kind: kind?,
            streams: streams?,
            call_interval,
            base_url: base_url?,
            secret_arn: secret_arn?,
            settings: settings?,
            requests_per_second,
        })
    }

    /// Builds the source. Makes no call: the secret is read with the first one.
    ///
    /// # Errors
    /// [`BadSource`] when the system lacks what TLS needs; all else was checked by [`VendorConfig::read`].
    pub fn build(&self, sdk: &Sdk) -> Result<VendorSource, BadSource> {
        self.build_with(sdk, &self.settings)
    }

    fn build_with(&self, sdk: &Sdk, settings: &str) -> Result<VendorSource, BadSource> {
        let config = registry::SourceConfig {
            kind: self.kind,
            base_url: &self.base_url,
            settings,
            requests_per_second: &self.requests_per_second,
        };
        registry::build(config, SourceSecret::new(sdk, self.secret_arn.as_str(), SystemClock), SystemClock)
    }
}

/// Builds a source for each probe, so that nothing is remembered of the secret and of what the vendor took before.
pub struct VendorBench {
    /// The source's configuration.
    pub vendor: VendorConfig,
    /// The way to its secret.
    pub sdk: Sdk,
}

impl Bench for VendorBench {
    type Source = VendorSource;

    fn kind(&self) -> SourceKind {
        self.vendor.kind
    }

    fn settings(&self) -> &str {
        &self.vendor.settings
    }

    fn build(&self, settings: &str) -> Result<VendorSource, BadSource> {
        self.vendor.build_with(&self.sdk, settings)
    }

    fn alternatives(&self, stream: &StreamName, check: Check) -> Vec<Value> {
        registry::alternatives(self.vendor.kind, &self.vendor.settings, stream, check)
    }

    fn adopted(&self, source: &VendorSource) -> Option<Value> {
        source.adopted()
    }

    fn parts(&self) -> Vec<(StreamName, String)> {
        registry::feed_parts(self.vendor.kind, &self.vendor.settings)
    }
}

/// The settings' text; without a source nothing is known about its keys, so they are looked at only with one.
fn settings(environment: &mut Environment, kind: Option<SourceKind>) -> Option<String> {
    const VARIABLE: &str = "TIDEMARK_SETTINGS";
    let text = environment.text(VARIABLE, "{}, or a JSON object with the source's settings")?;
    // One problem each, so that the list can be worked off.
    if let Err(bad) = streams_of(kind?, &text) {
        for problem in bad.problems {
            environment.problem(VARIABLE, format!("is not right: {problem}; correct the source's Settings parameter"));
        }
        return None;
    }
    Some(text)
}

fn kinds() -> String {
    SourceKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Valid variables of a source.
    const GOOD: [(&str, &str); 7] = [
        ("TIDEMARK_STACK", "tidemark"),
        ("TIDEMARK_SOURCE", "fieldmotion"),
        ("TIDEMARK_BASE_URL", "https://cp13.fieldmotion.com"),
        ("TIDEMARK_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:000000000000:secret:fieldmotion-AbCdEf"),
        ("TIDEMARK_STREAMS", "jobs,customers"),
        ("TIDEMARK_SETTINGS", "{}"),
        ("TIDEMARK_REQUESTS_PER_SECOND", "4"),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<VendorConfig, crate::environment::BadConfig> {
        let mut environment = Environment::of(GOOD.iter().chain(changes).copied());
        let config = VendorConfig::read(&mut environment);
        environment.finish(config)
    }

    #[test]
    fn a_good_configuration_is_read() {
        let config = read(&[]).unwrap();
        assert_eq!((config.stack.as_str(), config.kind), ("tidemark", SourceKind::FieldMotion));
        assert_eq!(config.streams, [StreamName::known("customers"), StreamName::known("jobs")]);
        assert_eq!(config.call_interval, Duration::from_millis(250));
    }

    #[test]
    fn a_stream_of_the_settings_is_a_stream() {
        let fieldly = [("TIDEMARK_SOURCE", "fieldly"), ("TIDEMARK_SETTINGS", r#"{"streams":["invoices"]}"#)];
        for (streams, read_as) in [("clients,invoices", vec!["clients", "invoices"]), ("invoices", vec!["invoices"])] {
            let config = read(&[&fieldly[..], &[("TIDEMARK_STREAMS", streams)]].concat()).unwrap();
            assert_eq!(config.streams.iter().map(StreamName::as_str).collect::<Vec<_>>(), read_as);
        }
        let all = read(&[&fieldly[..], &[("TIDEMARK_STREAMS", "all")]].concat()).unwrap().streams;
        assert!(all.iter().any(|name| name.as_str() == "invoices"), "{all:?}");
        let error = read(&[&fieldly[..1], &[("TIDEMARK_STREAMS", "invoices")]].concat()).unwrap_err();
        assert!(error.to_string().contains("there is no stream invoices"), "{error}");
    }

    #[test]
    fn every_variable_that_is_wrong_is_named_and_no_password_is() {
        let error = read(&[
            ("TIDEMARK_BASE_URL", "https://user:s3cret@host"),
            ("TIDEMARK_SECRET_ARN", "{\"api_key\":\"s3cret\"}"),
            ("TIDEMARK_STREAMS", "customers,inventory"),
            ("TIDEMARK_SETTINGS", r#"{"timezone":"Mars/Olympus","s":"s3cret"}"#),
            ("TIDEMARK_REQUESTS_PER_SECOND", "0"),
        ])
        .unwrap_err();
        let named: Vec<&str> = error.0.iter().map(|problem| problem.variable.as_str()).collect();
        let expected = [
            "TIDEMARK_BASE_URL",
            "TIDEMARK_SECRET_ARN",
            "TIDEMARK_REQUESTS_PER_SECOND",
            "TIDEMARK_STREAMS",
            "TIDEMARK_SETTINGS",
            "TIDEMARK_SETTINGS",
        ];
        assert_eq!(named, expected, "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(error.to_string().contains("inventory") && error.to_string().contains("stock_containers"), "{error}");
    }

    #[test]
    fn an_unknown_source_is_named_beside_the_known_ones() {
        let error = read(&[("TIDEMARK_SOURCE", "acme")]).unwrap_err();
        assert!(error.to_string().contains("no such source; set it to one of fieldmotion"), "{error}");
    }
}
