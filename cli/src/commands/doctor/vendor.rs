//! The vendor's side, asked by each source's own poller function, and what the checkpoints know of its clocks.

use std::time::Duration;

use futures_util::future::join_all;
use indicatif::ProgressBar;
use serde_json::json;
use tidemark_aws::Sdk;
use tidemark_engine::checkpoint::{BEHIND_FIRST, Checkpoint};
use tidemark_engine::ports::{Checkpoints, Ledger};
use tidemark_engine::stream::{StreamKey, StreamName};
use tidemark_sources::probe::{Check, StreamProbe, Verdict};

use super::Checked;
use crate::failure::Failure;
use crate::page;
use crate::page::plural;
use crate::probe::{Asked, UNKNOWN_ANSWER, probe};
use crate::stack::{Deployment, Stack};
use crate::terminal::Terminal;
use crate::time;

/// From when on stamps that lag the vendor's clock are a sign of a wrong time zone.
const BEHIND_DOUBTED: Duration = Duration::from_mins(25);

/// Tries every stream of every source out: the sources side by side, the streams of one after another.
pub(super) async fn of_sources(sdk: &Sdk, stack: &Stack, sources: &[&Deployment], terminal: Terminal) -> Vec<Checked> {
    let streams_count = sources.iter().map(|source| source.streams.len()).sum();
    let bar = page::bar(terminal, streams_count);
    let checks = join_all(sources.iter().map(|source| of_source(sdk, stack, source, &bar))).await;
    bar.finish_and_clear();
    checks.into_iter().flatten().collect()
}

async fn of_source(sdk: &Sdk, stack: &Stack, source: &Deployment, bar: &ProgressBar) -> Vec<Checked> {
    let mut checks: Vec<Checked> = Vec::new();
    let mut goes_on = true;
    for key in source.keys(None).unwrap_or_default() {
        let checkpoint = stack.checkpoints.load(&key).await.ok().flatten();
        if let Some(behind) = checkpoint.as_ref().and_then(behind) {
            checks.push(behind.of_stream(&key.name));
        }
        if goes_on {
            let found = of_stream(sdk, stack, &key, checkpoint.as_ref()).await;
            goes_on = add(&mut checks, found, &key.name);
        }
        bar.inc(1);
    }
    checks.into_iter().map(|checked| checked.about(source.source)).collect()
}

/// Adds what was found at one stream to what was found before, and says whether the next stream is tried. What was said of
/// the source is not said again; but what goes wrong here after it went well at another stream is the trouble of this one.
fn add(checks: &mut Vec<Checked>, found: Vec<Checked>, stream: &StreamName) -> bool {
    let mut goes_on = true;
    for checked in found {
        let is_wrong = matches!(checked.verdict, Verdict::Failure | Verdict::Unseen);
        let is_of_source = checked.stream.is_none();
        let is_said = is_of_source && checks.iter().any(|said| said.stream.is_none() && said.check == checked.check);
        // A credential that is rejected from some stream on would lock the account if it were tried at the next one.
        let stops = is_wrong && is_of_source && !(is_said && checked.check == <&str>::from(Check::Reach));
        goes_on &= !stops;
        match (is_said, is_wrong) {
            (false, _) => checks.push(checked),
            (true, true) => checks.push(checked.of_stream(stream)),
            (true, false) => {}
        }
    }
    goes_on
}

/// Stamps that lag the vendor's clock by hours.
fn behind(checkpoint: &Checkpoint) -> Option<Checked> {
    let behind = checkpoint.clocks.behind;
    (behind >= BEHIND_DOUBTED && behind < BEHIND_FIRST).then(|| {
        let what = format!("stamps lag the vendor's clock by {}", time::span(behind));
        let next = "compare the time zone in the source's settings with the vendor account's, which may be further west; \
                    nothing is lost, and lists start earlier";
        Checked::warning("zone", what, next)
    })
}

async fn of_stream(sdk: &Sdk, stack: &Stack, key: &StreamKey, checkpoint: Option<&Checkpoint>) -> Vec<Checked> {
    let event = json!({ "stream": key.name, "probe": "stream" });
    let answer = match probe(sdk, stack, key, &event).await {
        Ok(Asked::Found(found)) => found,
        Ok(Asked::Paused { what, next }) => {
            let checked = Checked::warning("vendor", what, next);
            // A pause of the whole source is said once.
            let state = stack.ledger.source_state(key.source).await.unwrap_or_default();
            let is_of_source = state.pause.is_some() || state.breaker.why.is_some();
            return vec![if is_of_source { checked } else { checked.of_stream(&key.name) }];
        }
        Err(failure @ Failure::Unreachable(_)) => return vec![Checked::unseen("vendor", failure)],
        Err(failure) => {
            // The poller itself does not work, which a person has to see to.
            return vec![Checked { verdict: Verdict::Failure, is_denied: false, ..Checked::unseen("vendor", failure) }];
        }
    };
    let Ok(probe) = serde_json::from_value::<StreamProbe>(answer) else {
        return vec![Checked::unseen("vendor", Failure::NotDone(UNKNOWN_ANSWER.to_owned()))];
    };
    let mut checks: Vec<Checked> = probe
        .findings
        .into_iter()
        .map(|finding| {
            let stream = (!finding.check.is_of_source()).then(|| finding.part.unwrap_or_else(|| key.name.clone()));
            Checked {
                source: None,
                stream,
                check: finding.check.into(),
                verdict: finding.verdict,
                what: finding.what,
                next: finding.next,
                is_denied: false,
            }
        })
        .collect();
    let is_imported = checkpoint.is_some_and(|checkpoint| checkpoint.last_success_at.is_some());
    if let Some(calls) = probe.import_calls_count.filter(|_| !is_imported) {
        checks.push(import(stack, key, calls).of_stream(&key.name));
    }
    checks
}

/// How long a first import takes.
fn import(stack: &Stack, key: &StreamKey, calls: u64) -> Checked {
    let rate: f64 = stack.requests_per_second(key.source);
    let seconds = Duration::try_from_secs_f64(f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / rate);
    let takes = time::span(seconds.unwrap_or(Duration::MAX));
    let calls = plural(usize::try_from(calls).unwrap_or(usize::MAX), "call");
    Checked::ok("import", format!("its first import makes {calls}: {takes} at {rate} requests a second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_fails_is_named_and_the_streams_after_it_are_tried() {
        let [jobs, clients] = ["jobs", "clients"].map(StreamName::known);
        let down = || Checked::failure("reach", "status 500", "look there");
        let mut checks = Vec::new();
        assert!(add(&mut checks, vec![Checked::ok("reach", "it answers"), Checked::ok("credential", "good")], &jobs));
        assert!(add(&mut checks, vec![down()], &clients));
        assert!(add(&mut checks, vec![Checked::ok("reach", "it answers")], &jobs));
        let said: Vec<_> =
            checks.iter().map(|checked| (checked.stream.clone(), checked.check, checked.verdict)).collect();
        assert_eq!(said[0], (None, "reach", Verdict::Ok));
        assert_eq!(said[2..], [(Some(clients.clone()), "reach", Verdict::Failure)]);
        assert!(!add(&mut checks, vec![Checked::failure("credential", "401", "put a valid one")], &clients));
        assert!(!add(&mut Vec::new(), vec![down()], &jobs), "a vendor that is down is called once");
    }
}
