//! The deployed stack: which tables, queues and functions there are, and how it is set up.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_aws::Sdk;
use tidemark_aws::dynamodb::{CheckpointTable, CopyTable, LedgerTable};
use tidemark_aws::rate::{Rate, SCAN_CRON_INTERVAL};
use tidemark_aws::stack::{self, Deployed};
use tidemark_engine::position::Position;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_sources::registry::{is_scanned, parameter_prefix, parse_streams, stream_names, streams_of};
use tidemark_watch::Limits;

use crate::failure::Failure;
use crate::names;

/// The template's default of `StaleAfterSeconds`.
const STALE_AFTER: Duration = Duration::from_mins(15);
/// The template's default of `<Source>RequestsPerSecond`.
const REQUESTS_PER_SECOND: f64 = 2.0;

/// A deployed stack.
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) checkpoints: CheckpointTable,
    pub(crate) ledger: LedgerTable,
    pub(crate) copy: CopyTable,
    /// The sources that are on.
    pub(crate) sources: Vec<Deployment>,
    /// The settings of the sources that have some.
    settings: BTreeMap<SourceKind, String>,
    /// What CloudFormation says of it.
    pub(crate) deployed: Deployed,
    /// Whether the schedules are enabled.
    pub(crate) is_scheduled: bool,
    pub(crate) stale_after: Duration,
    scan_interval: Duration,
    /// Whether it is on the local cloud.
    is_local: bool,
}

/// A source of a stack that is on.
pub(crate) struct Deployment {
    pub(crate) source: SourceKind,
    /// The streams that are polled.
    pub(crate) streams: Vec<StreamName>,
    /// All that it has.
    all: Vec<StreamName>,
    pub(crate) poller: String,
    pub(crate) fetcher: Option<String>,
    pub(crate) queue_url: String,
    pub(crate) dead_letters_url: String,
}

impl Stack {
    /// Finds the stack by its name; none that is called so.
    pub(crate) async fn find(sdk: &Sdk, name: &str, is_local: bool) -> Result<Option<Self>, Failure> {
        let Some(deployed) = stack::describe(sdk, name).await? else { return Ok(None) };
        let table = |output| output_of(&deployed, name, output);
        let parameter = |name: &str| deployed.parameters.get(name);
        let seconds = parameter("StaleAfterSeconds").and_then(|text| text.parse().ok());
        let scan_rate = parameter("ScanRate").and_then(|text| Rate::parse(text).ok());
        let sources = SourceKind::ALL.iter().filter_map(|source| Deployment::of(&deployed, *source).transpose());
        Ok(Some(Self {
            name: name.to_owned(),
            checkpoints: CheckpointTable::new(sdk, table("CheckpointsTable")?),
            ledger: LedgerTable::new(sdk, table("LedgerTable")?),
            copy: CopyTable::new(sdk, table("RecordsTable")?),
            sources: sources.collect::<Result<_, _>>()?,
            settings: SourceKind::ALL
                .iter()
                .filter_map(|source| Some((*source, settings_of(&deployed, *source)?)))
                .collect(),
            is_scheduled: parameter("ScheduleState").is_none_or(|state| state != "DISABLED"),
            stale_after: seconds.map_or(STALE_AFTER, Duration::from_secs),
            scan_interval: scan_rate.map_or(Duration::from_hours(1), |rate| rate.interval_or(SCAN_CRON_INTERVAL)),
            is_local,
            deployed,
        }))
    }

    /// What an output says.
    pub(crate) fn output(&self, name: &str) -> Result<&str, Failure> {
        output_of(&self.deployed, &self.name, name)
    }

    /// A source, which has to be on.
    pub(crate) fn source(&self, source: SourceKind) -> Result<&Deployment, Failure> {
        self.sources.iter().find(|deployment| deployment.source == source).ok_or_else(|| {
            let on: Vec<&str> = self.sources.iter().map(|deployment| deployment.source.as_str()).collect();
            let on = if on.is_empty() { "none".to_owned() } else { on.join(", ") };
            let next = format!("set {}SecretArn in a deployment to turn it on", parameter_prefix(source));
            Failure::Usage(format!("{source} is off in the stack {}; on: {on}\nnext: {next}", self.name))
        })
    }

    /// This source, or all that are on.
    pub(crate) fn one_or_all(&self, source: Option<SourceKind>) -> Vec<SourceKind> {
        source.map_or_else(|| self.sources.iter().map(|deployment| deployment.source).collect(), |source| vec![source])
    }

    /// The value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.deployed.parameters.get(name).map(String::as_str)
    }

    /// How many requests a second a source makes at most.
    pub(crate) fn requests_per_second(&self, source: SourceKind) -> f64 {
        let given = self.parameter(&format!("{}RequestsPerSecond", parameter_prefix(source)));
        given.and_then(|text| text.parse().ok()).filter(|rate| *rate > 0.0).unwrap_or(REQUESTS_PER_SECOND)
    }

    /// A stream of a source that is polled.
    pub(crate) fn polled(&self, source: SourceKind, text: &str) -> Result<StreamName, Failure> {
        names::polled(source, self.settings(source), text)
    }

    /// The key of a stream that is polled, of a source that is on.
    pub(crate) fn key(&self, source: SourceKind, text: &str) -> Result<StreamKey, Failure> {
        let name = self.polled(source, text)?;
        Ok(self.source(source)?.keys(Some(&name))?.remove(0))
    }

    /// A stream that records of a source are kept under.
    pub(crate) fn of_records(&self, source: SourceKind, text: &str) -> Result<StreamName, Failure> {
        names::of_records(source, self.settings(source), text)
    }

    /// The settings of a source.
    pub(crate) fn settings(&self, source: SourceKind) -> &str {
        self.settings.get(&source).map_or("{}", String::as_str)
    }

    /// From when on a stream counts as stale.
    pub(crate) fn limits(&self, stream: &StreamKey) -> Limits {
        let is_scanned = is_scanned(stream.source, self.settings(stream.source), &stream.name);
        let rests_for = if is_scanned { self.scan_interval } else { Duration::ZERO };
        Limits { rests_for, stale_after: self.stale_after }
    }

    /// Where the first import of a polled stream starts.
    pub(crate) fn first(&self, stream: &StreamKey) -> Option<Position> {
        let streams = streams_of(stream.source, self.settings(stream.source)).ok()?;
        streams.into_iter().find(|traits| traits.name == stream.name).map(|traits| traits.first)
    }

    /// The command that shows a function's log.
    pub(crate) fn log(&self, source: SourceKind, role: &str) -> String {
        if self.is_local {
            return format!("make local-log FUNCTION={source}-{role}");
        }
        format!("aws logs tail /aws/lambda/{}/{source}-{role} --since 1h", self.name)
    }
}

fn output_of<'a>(deployed: &'a Deployed, stack: &str, output: &str) -> Result<&'a str, Failure> {
    deployed.outputs.get(output).map(String::as_str).ok_or_else(|| {
        let what = format!("the stack {stack} has no output {output}; its status is {}", deployed.status);
        let next = "wait until its deployment has ended, or name the stack of Tidemark with --stack";
        Failure::Unreachable(format!("{what}\nnext: {next}"))
    })
}

impl Deployment {
    /// A source of a stack, if it is on.
    fn of(deployed: &Deployed, source: SourceKind) -> Result<Option<Self>, Failure> {
        let prefix = parameter_prefix(source);
        let output = |name: &str| deployed.outputs.get(&format!("{prefix}{name}")).filter(|value| !value.is_empty());
        let outputs = (output("PollerFunction"), output("QueueUrl"), output("DeadLetterQueueUrl"));
        let (Some(poller), Some(queue_url), Some(dead_letters_url)) = outputs else { return Ok(None) };
        let named = deployed.parameters.get(&format!("{prefix}Streams")).map_or("all", String::as_str);
        let settings = settings_of(deployed, source).unwrap_or_default();
        let streams = parse_streams(source, &settings, named).map_err(|bad| {
            Failure::Unreachable(format!("the parameter {prefix}Streams of the stack is not right: {bad}"))
        })?;
        Ok(Some(Self {
            source,
            all: stream_names(source, &settings),
            streams,
            poller: poller.clone(),
            fetcher: output("FetcherFunction").cloned(),
            queue_url: queue_url.clone(),
            dead_letters_url: dead_letters_url.clone(),
        }))
    }

    /// The keys of the streams that are polled; of one of them, if one is named.
    pub(crate) fn keys(&self, stream: Option<&StreamName>) -> Result<Vec<StreamKey>, Failure> {
        let key = |name: &StreamName| StreamKey { source: self.source, name: name.clone() };
        let Some(wanted) = stream else { return Ok(self.streams.iter().map(key).collect()) };
        if self.streams.contains(wanted) {
            return Ok(vec![key(wanted)]);
        }
        let on: Vec<&str> = self.streams.iter().map(StreamName::as_str).collect();
        let next = format!("name it in {}Streams in a deployment to turn it on", parameter_prefix(self.source));
        let what = format!("the stream {}/{wanted} is off; on: {}", self.source, on.join(", "));
        Err(Failure::Usage(format!("{what}\nnext: {next}")))
    }

    /// The streams that the source has and that are not polled.
    pub(crate) fn off(&self) -> Vec<StreamName> {
        self.all.iter().filter(|stream| !self.streams.contains(stream)).cloned().collect()
    }
}

/// The settings of a source, as its parameter has them.
fn settings_of(deployed: &Deployed, source: SourceKind) -> Option<String> {
    deployed.parameters.get(&format!("{}Settings", parameter_prefix(source))).cloned()
}
