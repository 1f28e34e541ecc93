//! Whether the copy is whole: what the last sweep of each stream found, and a sweep now.

use std::io::Write;

use serde::Serialize;
use serde_json::{Value, json};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::stream::StreamKey;
use tidemark_sweep::SAMPLE;
use tidemark_sweep::ports::Sweeps;
use tidemark_sweep::state::{Problem, Proof, SweepState};

use crate::Ended;
use crate::args::{Consent, SourceAndStream};
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::page;
use crate::stack::Stack;
use crate::time;

#[derive(Serialize)]
struct Shown<'a> {
    source: &'static str,
    stream: &'a str,
    is_whole: bool,
    under_way: Option<String>,
    problem: Option<&'a Problem>,
    last: Option<Value>,
    last_good: Option<Value>,
}

/// What is known of one stream.
type Found = (StreamKey, SweepState);

pub(super) async fn run(
    context: &mut Context<'_>,
    of: &SourceAndStream,
    now: bool,
    sample: Option<u64>,
    consent: &Consent,
) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let name = of.stream.as_ref().map(|stream| stack.polled(of.source, stream)).transpose()?;
    let keys = stack.source(of.source)?.keys(name.as_ref())?;
    if now {
        return sweep(context, &stack, keys, sample, consent).await;
    }
    report(context, &look(&stack, keys).await?)
}

async fn look(stack: &Stack, keys: Vec<StreamKey>) -> Result<Vec<Found>, Failure> {
    let states = keys.into_iter().map(async |key| {
        let state = stack.ledger.load_sweep(&key).await?.unwrap_or_default();
        Ok((key, state))
    });
    futures_util::future::try_join_all(states).await
}

fn report(context: &mut Context<'_>, found: &[Found]) -> Result<Ended, Failure> {
    let shown: Vec<Shown<'_>> = found.iter().map(Shown::of).collect();
    context.show(&shown, |_, context| match found {
        [(key, state)] => show(context, key, state),
        _ => show_all(context, found),
    })?;
    Ok(if shown.iter().all(|shown| shown.is_whole) { Ended::Well } else { Ended::WithAttention })
}

/// A proof for programs: as it is stored, with its times as they are shown elsewhere.
fn told(proof: &Proof) -> Option<Value> {
    let mut told = serde_json::to_value(proof).ok()?;
    let members = told.as_object_mut()?;
    members.insert("begun_at".to_owned(), json!(time::rfc3339(proof.begun_at)));
    members.insert("started_at".to_owned(), json!(time::rfc3339(proof.started_at)));
    members.insert("ended_at".to_owned(), json!(proof.ended_at.map(time::rfc3339)));
    Some(told)
}

impl<'a> Shown<'a> {
    fn of((key, state): &'a Found) -> Self {
        Self {
            source: key.source.as_str(),
            stream: key.name.as_str(),
            is_whole: state.problem.is_none() && state.good.is_some(),
            under_way: state.progress(),
            problem: state.problem.as_ref(),
            last: state.last.as_ref().and_then(told),
            last_good: state.good.as_ref().and_then(told),
        }
    }
}

fn show_all(context: &mut Context<'_>, found: &[Found]) -> Result<(), Failure> {
    let now = context.now;
    let head = ["STREAM", "COMPARED", "LISTED", "STORED", "MISSING", "DIFFER", "EXTRA", "WITHHELD"];
    let mut table = page::table(context.terminal, head);
    page::keep_whole(&mut table, 0..head.len());
    for (key, state) in found {
        let last = state.last.clone().unwrap_or_default();
        let compared =
            state.last.as_ref().map_or_else(|| "never".to_owned(), |last| time::relative(last.begun_at, now));
        let counts = [last.listed, last.stored, last.missing, last.different, last.extra, last.withheld];
        let words = [key.name.to_string(), compared].map(comfy_table::Cell::new);
        table.add_row(words.into_iter().chain(counts.map(page::count)));
    }
    let mut page = page::lines(&table);
    for (key, state) in found {
        if let Some(Problem { cause, next_step }) = &state.problem {
            page = format!("{page}\n{}: {cause}\n  next: {next_step}\n", key.name);
        }
    }
    Ok(context.out.write_all(page.as_bytes())?)
}

fn show(context: &mut Context<'_>, key: &StreamKey, state: &SweepState) -> Result<(), Failure> {
    let now = context.now;
    let out = &mut context.out;
    writeln!(out, "{}/{}", key.source, key.name)?;
    match (state.progress(), state.asked_at) {
        (Some(words), _) => writeln!(out, "  under way        {words}")?,
        (None, Some(at)) => writeln!(out, "  asked for        {}", time::shown(at, now))?,
        (None, None) => {}
    }
    match &state.last {
        Some(last) => show_proof(out, key, last, now)?,
        None => writeln!(out, "  last sweep       never ended\n  next             wait for it, or add --now")?,
    }
    match (&state.problem, &state.good) {
        (None, None) => {}
        (None, Some(_)) => writeln!(out, "  verdict          whole, as of then")?,
        (Some(Problem { cause, next_step }), good) => {
            writeln!(out, "  needs a person   {cause}\n  next             {next_step}")?;
            let whole = good.as_ref().map_or_else(|| "never".to_owned(), |good| time::shown(good.begun_at, now));
            writeln!(out, "  last whole       {whole}")?;
        }
    }
    Ok(())
}

/// Shows what a sweep has found that came to its end.
fn show_proof(out: &mut impl Write, key: &StreamKey, last: &Proof, now: LocalMillis) -> std::io::Result<()> {
    let Proof { listed, stored, deleted, missing, different, extra, unlisted, reported, withheld, .. } = last;
    writeln!(out, "  last sweep       {}", time::shown(last.begun_at, now))?;
    writeln!(out, "  at the vendor    {listed} listed")?;
    writeln!(out, "  in the copy      {stored} stored, {deleted} marked deleted")?;
    writeln!(out, "  did not agree    {missing} missing, {different} different, {extra} extra")?;
    writeln!(out, "  only counted     {unlisted} there though not listed, {reported} that no call fetches")?;
    writeln!(out, "  sampled          {}, of which {} differed", last.sampled, last.sample_different)?;
    writeln!(out, "  vendor calls     {}", last.calls)?;
    if *withheld > 0 {
        writeln!(out, "  withheld         {withheld}: tidemark sweep approve {} {}", key.source, key.name)?;
    }
    Ok(())
}

/// Asks for sweeps, and reports what they found where they end at once.
async fn sweep(
    context: &mut Context<'_>,
    stack: &Stack,
    keys: Vec<StreamKey>,
    sample: Option<u64>,
    consent: &Consent,
) -> Result<Ended, Failure> {
    let before = look(stack, keys.clone()).await?;
    let streams: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let Some(first) = keys.first() else { return Ok(Ended::Well) };
    let is_one = keys.len() == 1;
    let plan = Plan {
        command: "verify --now",
        subject: if is_one { format!("{}/{}", first.source, first.name) } else { first.source.to_string() },
        what: format!("compare the copy of {} with all that the vendor lists", streams.join(", ")),
        effects: vec![
            "it begins once nothing is owed in the bulk lane, and delays no other work".to_owned(),
            "it costs the calls of one whole list a stream, and a read of all that is stored".to_owned(),
            format!(
                "where lists give ids alone, it fetches and compares some {} records of a stream",
                sample.unwrap_or(SAMPLE)
            ),
        ],
    };
    if agree(context, stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let sweep = sample.map_or_else(|| json!(true), |sample| json!({ "sample": sample }));
    let event = if is_one { json!({ "stream": first.name, "sweep": sweep }) } else { json!({ "sweep": sweep }) };
    let said = super::account::ask_poller(context, stack, first, &event).await?;
    let after = look(stack, keys).await?;
    let is_newer = |((_, before), (_, after)): (&Found, &Found)| before.last != after.last && after.under_way.is_none();
    if before.iter().zip(&after).all(is_newer) {
        return report(context, &after);
    }
    let words = "asked for; the next polls go on with it, and `tidemark verify` shows what it found";
    finish(context, &plan, said.outcome, words)
}
