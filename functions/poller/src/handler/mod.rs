//! One invocation of the poller: the event in, one tick or one act of an operator, one line in the log, its outcome out.

use std::io::Write;

use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use tidemark_engine::clock::{LocalMillis, millis_of};
use tidemark_engine::operate::Act;
use tidemark_engine::poll::Poller;
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::stream::{StreamKey, StreamName};
use tidemark_runtime::attention::Attention;
use tidemark_runtime::failure::{ErrorKind, InvocationError};
use tidemark_sources::probe::Bench;
use tidemark_sweep::Estimate;
use tidemark_sweep::ports::SweepPorts;

use crate::event::{Asked, BadEvent, Event};
use crate::probe::{Probe, Probed};
use crate::{act, log, probe};

/// Serves the poller's invocations.
pub(crate) struct Handler<P, W, B> {
    pub(crate) poller: Poller<P>,
    pub(crate) attention: Attention<W>,
    /// What probes build their sources with.
    pub(crate) bench: B,
}

/// What an invocation answers: `{"outcome":"quiet"}`, with `probe` or `estimate` beside it after one.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Answer {
    /// The outcome by the name that the log gives it.
    pub(crate) outcome: &'static str,
    /// What a probe found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probe: Option<Probed>,
    /// How much a backfill would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) estimate: Option<Estimate>,
}

impl Answer {
    fn of(outcome: &'static str) -> Self {
        Self { outcome, probe: None, estimate: None }
    }
}

impl<P: SweepPorts, W: Write, B: Bench> Handler<P, W, B> {
    /// Does what the event asks for. A vendor's failure is an outcome; the next tick is its retry.
    ///
    /// # Errors
    /// [`InvocationError`] for an event that this source cannot do, and when a table or the queue fails.
    pub(crate) async fn handle(&self, event: LambdaEvent<Value>) -> Result<Answer, InvocationError> {
        let (payload, context) = event.into_parts();
        let source = self.poller.ports.source().kind();
        let started_at = self.poller.ports.clock().now();
        let event = Event::read(&payload);
        let stream = event.as_ref().ok().and_then(|event| event.stream.clone());
        let answered = match event {
            Ok(Event { stream: Some(stream), asked }) => {
                self.answer(stream, asked, &context.request_id, started_at).await
            }
            Ok(Event { stream: None, asked: Asked::Sweep(sample) }) => self.sweep_all(sample).await,
            Ok(Event { stream: None, .. }) => Err(self.malformed(&BadEvent::NoStream)),
            Err(bad) => Err(self.malformed(&bad)),
        };
        if let Err(error) = &answered {
            let took = self.poller.ports.clock().now().since(started_at);
            tracing::error!(
                %source,
                stream = stream.as_ref().map(StreamName::as_str),
                error_type = error.kind.as_str(),
                took_ms = millis_of(took),
                "{error}"
            );
        }
        answered
    }

    /// Asks for a sweep of every stream that is turned on. Their next polls begin it.
    async fn sweep_all(&self, sample: Option<u64>) -> Result<Answer, InvocationError> {
        let ports = &self.poller.ports;
        for name in &self.poller.settings.streams {
            let key = StreamKey { source: ports.source().kind(), name: name.clone() };
            let asked_at = ports.clock().now();
            let acted = act::ask_for_sweep(ports, &key, sample).await?;
            act::log(&key, "sweep", &acted, ports.clock().now().since(asked_at));
        }
        Ok(Answer::of("asked"))
    }

    async fn answer(
        &self,
        stream: StreamName,
        asked: Asked,
        owner: &str,
        started_at: LocalMillis,
    ) -> Result<Answer, InvocationError> {
        let ports = &self.poller.ports;
        let key = StreamKey { source: ports.source().kind(), name: stream };
        let (name, acted) = match asked {
            Asked::Poll => {
                let report = self.poller.poll(&key.name, owner).await?;
                let now = ports.clock().now();
                let outcome = log::tick(&key, &report, now.since(started_at));
                self.attention.raise(&key, now, &report.notices);
                self.go_on_with_sweep(&key, started_at).await?;
                return Ok(Answer::of(outcome));
            }
            Asked::KeepCopy => {
                ("keep", act::accept(ports, &key, self.poller.traits_of(&key.name)?, &Act::KeepCopy).await?)
            }
            Asked::StartAgain => {
                ("start_again", act::accept(ports, &key, self.poller.traits_of(&key.name)?, &Act::StartAgain).await?)
            }
            Asked::Sweep(sample) => {
                self.poller.traits_of(&key.name)?;
                let acted = act::ask_for_sweep(ports, &key, sample).await?;
                self.go_on_with_sweep(&key, started_at).await?;
                ("sweep", acted)
            }
            Asked::ApproveSweep => {
                self.poller.traits_of(&key.name)?;
                ("approve_sweep", act::approve_sweep(ports, &key).await?)
            }
            Asked::Backfill(range) => {
                let traits = self.poller.traits_of(&key.name)?;
                let acted = act::ask_for_backfill(ports, &key, traits, range).await?;
                self.go_on_with_sweep(&key, started_at).await?;
                ("backfill", acted)
            }
            Asked::EstimateBackfill(range) => {
                let (acted, estimate) = act::estimate_backfill(&self.poller, &key, range).await?;
                let took = ports.clock().now().since(started_at);
                return Ok(Answer { estimate, ..Answer::of(act::log(&key, "estimate_backfill", &acted, took)) });
            }
            Asked::CancelBackfill => {
                self.poller.traits_of(&key.name)?;
                ("cancel_backfill", act::cancel_backfill(ports, &key).await?)
            }
            Asked::ProbeStream => return self.probe(&key, Probe::Stream, started_at).await,
            Asked::ProbeList => return self.probe(&key, Probe::List, started_at).await,
            Asked::ProbeRecord(id) => return self.probe(&key, Probe::Record(&id), started_at).await,
            Asked::Rewind(to) => ("rewind", act::rewind(ports, &key, self.poller.traits_of(&key.name)?, to).await?),
        };
        let took = ports.clock().now().since(started_at);
        Ok(Answer::of(act::log(&key, name, &acted, took)))
    }

    /// The last thing that a poll does: what is fresh never waits for it.
    async fn go_on_with_sweep(&self, key: &StreamKey, started_at: LocalMillis) -> Result<(), InvocationError> {
        let until = tidemark_sweep::stop_at(&self.poller, started_at);
        let report = tidemark_sweep::go_on(&self.poller, &key.name, until).await?;
        log::sweep(key, &report);
        Ok(())
    }

    async fn probe(
        &self,
        key: &StreamKey,
        asked: Probe<'_>,
        started_at: LocalMillis,
    ) -> Result<Answer, InvocationError> {
        let outcome = probe::probe(&self.poller, &self.bench, key, asked).await?;
        let name = probe::log(key, &outcome, self.poller.ports.clock().now().since(started_at));
        let probe = if let probe::Outcome::Probed(found) = outcome { Some(found) } else { None };
        Ok(Answer { probe, ..Answer::of(name) })
    }

    fn known(&self) -> String {
        let streams = self.poller.ports.source().streams();
        streams.iter().map(|traits| traits.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn malformed(&self, bad: &BadEvent) -> InvocationError {
        let source = self.poller.ports.source().kind();
        let message = format!(
            "the event is {bad}; source {source} takes {{\"stream\":\"<name>\"}} with one of {}, and from an operator one \
             of \"account\":\"keep\", \"account\":\"start_again\", \"rewind_to\":\"<instant>\", \"probe\":\"stream\", \"probe\":\"list\", \
             \"probe\":{{\"record\":\"<id>\"}}, \"sweep\":true, \"sweep\":\"approve\", \"backfill\":{{\"from\":\"<instant>\"}} and \
             \"backfill\":\"cancel\" beside it. Correct the schedule's input, or the operator's event",
            self.known(),
        );
        InvocationError::new(ErrorKind::MalformedEvent, message)
    }
}

#[cfg(test)]
mod tests;
