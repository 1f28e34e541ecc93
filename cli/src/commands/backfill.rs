//! Listing a range again: its plan, what became of it, and its end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tidemark_aws::lambda::{Answer, invoke};
use tidemark_engine::clock::{LocalMillis, VendorMillis};
use tidemark_engine::ports::Checkpoints;
use tidemark_engine::stream::{ListShape, SourceKind, StreamKey, StreamTraits};
use tidemark_sources::registry::streams_of;
use tidemark_sweep::ports::Sweeps;
use tidemark_sweep::state::{Backfill, Problem, Range};
use tidemark_sweep::{Estimate, refusal};

use super::fetch::never_polled;
use crate::Ended;
use crate::args::{self, BackfillAct, Consent, StreamOf};
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::page;
use crate::stack::Stack;
use crate::time::{self, When};

/// What AWS costs for a million records of 1 KB that are all stored again, in dollars: listed as rows, and fetched by id.
/// `docs/performance.md` has the parts.
const DOLLARS_A_MILLION: [f64; 2] = [1.54, 2.30];

#[derive(Serialize)]
struct Row<'a> {
    source: &'static str,
    stream: &'a str,
    state: &'static str,
    from: String,
    to: Option<String>,
    asked_at: String,
    begun_at: Option<String>,
    ended_at: Option<String>,
    listed: u64,
    owed: u64,
    calls: u64,
    problem: Option<&'a Problem>,
}

pub(super) async fn run(context: &mut Context<'_>, asked: args::Backfill) -> Result<Ended, Failure> {
    let args::Backfill { act, source, stream, from, to, consent } = asked;
    match (act, source, stream, from) {
        (Some(BackfillAct::List { source }), ..) => list(context, source).await,
        (Some(BackfillAct::Cancel { of, consent }), ..) => cancel(context, &of, &consent).await,
        (None, Some(source), Some(stream), Some(from)) => {
            ask(context, &StreamOf { source, stream }, from, to, &consent).await
        }
        (None, ..) => Err(Failure::Usage("name a source, a stream and --from, or list or cancel".to_owned())),
    }
}

async fn ask(
    context: &mut Context<'_>,
    of: &StreamOf,
    from: When,
    to: Option<When>,
    consent: &Consent,
) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let key = stack.key(of.source, &of.stream)?;
    let now = context.now;
    let instant = |at: LocalMillis| VendorMillis::new(at.get());
    let range = Range { from: instant(from.at(now)), to: to.map(|to| instant(to.at(now))) };
    let streams = streams_of(of.source, stack.settings(of.source));
    let streams = streams.map_err(|bad| Failure::Usage(bad.to_string()))?;
    let Some(traits) = streams.into_iter().find(|traits| traits.name == key.name) else {
        return Err(never_polled(&key));
    };
    if let Some(Problem { cause, next_step }) = refusal(&key, &traits, &range) {
        return Err(Failure::Usage(format!("{cause}\nnext: {next_step}")));
    }
    if range.from >= instant(now) {
        return Err(Failure::Usage("the range begins later than now".to_owned()));
    }
    if stack.checkpoints.load(&key).await?.is_none() {
        return Err(never_polled(&key));
    }
    let place = format!("{}/{}", key.source, key.name);
    let state = stack.ledger.load_sweep(&key).await?.unwrap_or_default();
    if let Some(open) = state.open_backfill() {
        let next = format!("wait for its end, or tidemark backfill cancel {} {}", key.source, key.name);
        return Err(Failure::NotDone(format!("{place}: a backfill {} is not over\nnext: {next}", open.range)));
    }
    let event = |is_estimate: bool| {
        let from = Some(("from", json!(range.from.to_string())));
        let to = range.to.map(|to| ("to", json!(to.to_string())));
        let estimate = is_estimate.then_some(("estimate", json!(true)));
        let asked: BTreeMap<_, _> = [from, to, estimate].into_iter().flatten().collect();
        json!({ "stream": key.name, "backfill": asked })
    };
    let size = match estimate(context, &stack, &key, &event(true)).await {
        Ok(estimate) => size(&estimate, &traits, stack.requests_per_second(key.source)),
        Err(why) => {
            let why = why.to_string();
            format!("how much it is, is not known: {}", why.lines().next().unwrap_or_default())
        }
    };
    let until = range.to.map(|to| format!(" until {}", time::shown(to, now)));
    let compared = match traits.shape {
        ListShape::Pages => "a row that is stored as it is listed costs nothing more",
        ListShape::Whole | ListShape::Feed => "each record of it is fetched, and stored where it differs",
    };
    let plan = Plan {
        command: "backfill",
        subject: place,
        what: format!("list again what changed since {}{}", time::shown(range.from, now), until.unwrap_or_default()),
        effects: vec![
            size,
            compared.to_owned(),
            "it waits until nothing is owed in the bulk lane, and delays no other work".to_owned(),
            "it marks nothing deleted, and the checkpoint stays where it is".to_owned(),
        ],
    };
    if agree(context, &stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let said = super::account::ask_poller(context, &stack, &key, &event(false)).await?;
    let words = match said.outcome {
        "done" => "asked for; polls work on it until it is done, and `tidemark backfill list` shows how far it is",
        _ => "there is nothing to do: another backfill is not over",
    };
    finish(context, &plan, said.outcome, words)
}

/// Has the poller ask the vendor once; why it is not known otherwise.
async fn estimate(
    context: &mut Context<'_>,
    stack: &Stack,
    key: &StreamKey,
    event: &Value,
) -> Result<Estimate, Failure> {
    let poller = &stack.source(key.source)?.poller;
    let answer = match invoke(context.sdk().await?, poller, event).await? {
        Answer::Returned(answer) => answer,
        Answer::Failed { kind, message } => {
            return Err(Failure::NotDone(format!("the poller failed ({kind}): {message}")));
        }
    };
    let estimate = answer.get("estimate").cloned().and_then(|estimate| serde_json::from_value(estimate).ok());
    estimate.ok_or_else(|| match answer.get("outcome").and_then(Value::as_str) {
        Some("nothing_to_do") => Failure::NotDone("calls to the vendor are paused".to_owned()),
        _ => Failure::NotDone("the vendor's list failed; the poller's log says why".to_owned()),
    })
}

/// How much it is, in words.
fn size(estimate: &Estimate, traits: &StreamTraits, rate: f64) -> String {
    let Estimate { records: Some(records), calls: Some(calls) } = *estimate else {
        return "how many records it is, the vendor does not say; a page of its list costs a call".to_owned();
    };
    let float = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let [of_rows, of_ids] = DOLLARS_A_MILLION;
    let dollars = float(records) / 1e6 * if traits.shape == ListShape::Pages { of_rows } else { of_ids };
    let dollars = if dollars < 0.01 { "less than $0.01".to_owned() } else { format!("up to ${dollars:.2}") };
    let takes = time::span(Duration::from_secs_f64(float(calls) / rate));
    let records = page::plural(usize::try_from(records).unwrap_or(usize::MAX), "record");
    let calls = page::plural(usize::try_from(calls).unwrap_or(usize::MAX), "vendor call");
    format!("up to {records}: {calls}, {takes} at {rate} a second, {dollars} of AWS if each is 1 KB and stored again")
}

async fn list(context: &mut Context<'_>, source: Option<SourceKind>) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let keys = stack.one_or_all(source).into_iter().map(|source| stack.source(source)?.keys(None));
    let keys = keys.collect::<Result<Vec<_>, _>>()?.concat();
    let found = keys.into_iter().map(async |key| {
        let state = stack.ledger.load_sweep(&key).await?;
        Ok::<_, Failure>(state.and_then(|state| state.backfill).map(|backfill| (key, backfill)))
    });
    let found = futures_util::future::try_join_all(found).await?;
    let found: Vec<(StreamKey, Backfill)> = found.into_iter().flatten().collect();
    let rows: Vec<Row<'_>> = found.iter().map(|(key, backfill)| Row::of(key, backfill)).collect();
    context.show(&rows, |_, context| show(context, &found))?;
    Ok(Ended::Well)
}

fn state(backfill: &Backfill) -> &'static str {
    match (backfill.begun_at, backfill.ended_at) {
        (_, Some(_)) if backfill.is_cancelled => "cancelled",
        (_, Some(_)) if backfill.problem.is_some() => "failed",
        (_, Some(_)) => "done",
        (Some(_), None) => "under way",
        (None, None) => "waits",
    }
}

impl<'a> Row<'a> {
    fn of(key: &'a StreamKey, backfill: &'a Backfill) -> Self {
        Self {
            source: key.source.as_str(),
            stream: key.name.as_str(),
            state: state(backfill),
            from: time::rfc3339(backfill.range.from),
            to: backfill.range.to.map(time::rfc3339),
            asked_at: time::rfc3339(backfill.asked_at),
            begun_at: backfill.begun_at.map(time::rfc3339),
            ended_at: backfill.ended_at.map(time::rfc3339),
            listed: backfill.listed,
            owed: backfill.owed,
            calls: backfill.calls,
            problem: backfill.problem.as_ref(),
        }
    }
}

fn show(context: &mut Context<'_>, found: &[(StreamKey, Backfill)]) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(writeln!(context.out, "No backfill was asked for.")?);
    }
    let head = ["STREAM", "RANGE", "STATE", "ASKED", "LISTED", "OWED", "CALLS"];
    let mut table = page::table(context.terminal, head);
    page::keep_whole(&mut table, [0, 2, 3]);
    for (key, backfill) in found {
        let until = backfill.range.to.map(|to| format!(" until {}", time::absolute(to)));
        let range = format!("since {}{}", time::absolute(backfill.range.from), until.unwrap_or_default());
        let asked = time::relative(backfill.asked_at, context.now);
        let place = format!("{}/{}", key.source, key.name);
        let words = [place, range, state(backfill).to_owned(), asked];
        let counts = [backfill.listed, backfill.owed, backfill.calls].map(page::count);
        table.add_row(words.map(comfy_table::Cell::new).into_iter().chain(counts));
    }
    let mut page = page::lines(&table);
    for (key, backfill) in found {
        if let Some(Problem { cause, next_step }) = &backfill.problem {
            page = format!("{page}\n{}/{}: {cause}\n  next: {next_step}\n", key.source, key.name);
        }
    }
    Ok(context.out.write_all(page.as_bytes())?)
}

async fn cancel(context: &mut Context<'_>, of: &StreamOf, consent: &Consent) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let key = stack.key(of.source, &of.stream)?;
    let place = format!("{}/{}", key.source, key.name);
    let state = stack.ledger.load_sweep(&key).await?.unwrap_or_default();
    let Some(open) = state.open_backfill() else {
        let next = format!("tidemark backfill list {} shows what became of the last one", key.source);
        return Err(Failure::NotDone(format!("{place}: no backfill waits or is under way\nnext: {next}")));
    };
    let plan = Plan {
        command: "backfill cancel",
        subject: place,
        what: format!("end the backfill {}", open.range),
        effects: vec![
            format!("it has listed {} and put {} into the bulk lane", open.listed, open.owed),
            "what is in the bulk lane is fetched; nothing more is put into it".to_owned(),
        ],
    };
    if agree(context, &stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let event = json!({ "stream": key.name, "backfill": "cancel" });
    let said = super::account::ask_poller(context, &stack, &key, &event).await?;
    let words = match said.outcome {
        "done" => "cancelled; what it has put into the bulk lane is fetched",
        _ => "there is nothing to do: it has ended meanwhile",
    };
    finish(context, &plan, said.outcome, words)
}
