//! A probe at the vendor: with the function's secret, its network and its share of the rate, and nothing stored.

use std::time::Duration;

use serde::Serialize;
use tidemark_engine::change::ListRequest;
use tidemark_engine::clock::{LocalMillis, millis_of};
use tidemark_engine::failure::{FailureClass, StoreFailure};
use tidemark_engine::poll::{Poller, PollerPorts};
use tidemark_engine::ports::{Checkpoints, Clock, Ledger};
use tidemark_engine::position::Position;
use tidemark_engine::record::RecordId;
use tidemark_engine::slots::wait_for;
use tidemark_engine::stream::{ListShape, StreamKey, StreamTraits};
use tidemark_runtime::failure::{ErrorKind, InvocationError};
use tidemark_sources::probe::{self, Bench, ListProbe, RecordProbe, StreamProbe, Verdict};

/// What became of a probe.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was made.
    Probed(Probed),
    /// No call was made: a person has paused the stream or the source.
    PausedByOperator,
    /// No call was made: the vendor has asked for none until then.
    BreakerOpen(LocalMillis),
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Probed {
    /// Of a stream.
    Stream(StreamProbe),
    /// Of one record.
    Record(RecordProbe),
    /// Of what the next poll would list.
    List(ListProbe),
}

/// What is asked of the vendor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Probe<'a> {
    /// All that polling and fetching ask for.
    Stream,
    /// One record.
    Record(&'a RecordId),
    /// What the next poll would list, or its first page.
    List,
}

/// Tries a stream out, or asks for one record or for its list. A breaker that failures have opened does not stop it: it is asked to
/// find out what is wrong.
///
/// # Errors
/// [`InvocationError`] for a stream that the source does not have, and when the ledger fails.
pub(crate) async fn probe<P: PollerPorts, B: Bench>(
    poller: &Poller<P>,
    bench: &B,
    key: &StreamKey,
    asked: Probe<'_>,
) -> Result<Outcome, InvocationError> {
    let traits = poller.traits_of(&key.name)?;
    let (ledger, clock) = (poller.ports.ledger(), poller.ports.clock());
    let (source, stream) = (ledger.source_state(key.source).await?, ledger.stream_state(key).await?);
    let now = clock.now();
    if [&source.pause, &stream.pause].into_iter().flatten().any(|pause| pause.is_on(now)) {
        return Ok(Outcome::PausedByOperator);
    }
    let is_throttled =
        source.breaker.why.as_ref().is_some_and(|why| matches!(why.class, FailureClass::Throttled { .. }));
    if let Some(until) = source.breaker.open(now).filter(|_| is_throttled) {
        return Ok(Outcome::BreakerOpen(until));
    }
    let turn = async || {
        let (interval, whenever) = (poller.settings.call_interval, LocalMillis::new(i64::MAX));
        let slot = ledger.reserve(key.source, 1, interval, clock.now(), whenever).await?;
        wait_for(clock, slot.unwrap_or(now)).await;
        Ok::<(), StoreFailure>(())
    };
    let built = || {
        let source = bench.build(bench.settings());
        source.map_err(|bad| InvocationError::new(ErrorKind::MalformedEvent, bad.to_string()))
    };
    Ok(Outcome::Probed(match asked {
        Probe::Stream => Probed::Stream(probe::stream(bench, clock, turn, &key.name).await?),
        Probe::Record(id) => Probed::Record(probe::record(&built()?, turn, &key.name, id).await?),
        Probe::List => {
            let checkpoint = poller.ports.checkpoints().load(key).await?;
            let from = checkpoint.map_or_else(|| traits.first.clone(), |checkpoint| checkpoint.scanned);
            Probed::List(probe::list(&built()?, turn, &key.name, listed_from(traits, &from)).await?)
        }
    }))
}

/// What lists everything from a position on.
fn listed_from<'a>(traits: &StreamTraits, from: &'a Position) -> ListRequest<'a> {
    let at = from.at().unwrap_or_default();
    match traits.shape {
        ListShape::Feed => from.token().map_or(ListRequest::NewestToken, ListRequest::Events),
        ListShape::Pages => ListRequest::Page(at, 1),
        ListShape::Whole => ListRequest::Changed(at),
    }
}

/// Logs a probe in one line, without what it found, and names its outcome for the answer.
pub(crate) fn log(key: &StreamKey, outcome: &Outcome, took: Duration) -> &'static str {
    let (name, until, failed_count) = match outcome {
        Outcome::Probed(Probed::Stream(found)) => {
            let failed = found.findings.iter().filter(|finding| finding.verdict == Verdict::Failure);
            ("probed", None, failed.count())
        }
        Outcome::Probed(Probed::List(found)) => {
            ("probed", None, usize::from(matches!(found, ListProbe::Failed { .. })))
        }
        Outcome::Probed(Probed::Record(found)) => {
            ("probed", None, usize::from(matches!(found, RecordProbe::Failed { .. })))
        }
        Outcome::PausedByOperator => ("paused_by_operator", None, 0),
        Outcome::BreakerOpen(until) => ("breaker_open", Some(until.to_string()), 0),
    };
    tracing::info!(
        source = %key.source,
        stream = %key.name,
        act = "probe",
        outcome = name,
        until,
        failed_count,
        took_ms = millis_of(took),
        "an operator's probe; nothing was stored"
    );
    name
}
