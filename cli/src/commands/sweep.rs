//! What the last sweep of a stream found, a sweep now, and approving what one withheld.

use std::io::Write;

use serde::Serialize;
use serde_json::json;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::stream::StreamKey;
use tidemark_sweep::ports::Sweeps;
use tidemark_sweep::state::{Problem, Proof, SweepState};

use crate::Ended;
use crate::args::{Consent, StreamOf, Sweep};
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::stack::Stack;
use crate::time;

#[derive(Serialize)]
struct Shown<'a> {
    source: &'static str,
    stream: &'a str,
    is_under_way: bool,
    asked_at: Option<String>,
    problem: Option<&'a Problem>,
    last: Option<&'a Proof>,
    last_good: Option<&'a Proof>,
}

pub(super) async fn run(context: &mut Context<'_>, act: Sweep) -> Result<Ended, Failure> {
    match act {
        Sweep::Show(of) => {
            let (_, key, state) = find(context, &of).await?;
            let shown = Shown {
                source: key.source.as_str(),
                stream: key.name.as_str(),
                is_under_way: state.under_way.is_some(),
                asked_at: state.asked_at.map(time::rfc3339),
                problem: state.problem.as_ref(),
                last: state.last.as_ref(),
                last_good: state.good.as_ref(),
            };
            context.show(&shown, |_, context| show(context, &key, &state))?;
            Ok(if state.problem.is_some() { Ended::WithAttention } else { Ended::Well })
        }
        Sweep::Now { of, consent } => now(context, &of, &consent).await,
        Sweep::Approve { of, consent } => approve(context, &of, &consent).await,
    }
}

async fn find(context: &mut Context<'_>, of: &StreamOf) -> Result<(Stack, StreamKey, SweepState), Failure> {
    let stack = context.stack().await?;
    let name = stack.polled(of.source, &of.stream)?;
    let key = stack.source(of.source)?.keys(Some(&name))?.remove(0);
    let state = stack.ledger.load_sweep(&key).await?.unwrap_or_default();
    Ok((stack, key, state))
}

fn show(context: &mut Context<'_>, key: &StreamKey, state: &SweepState) -> Result<(), Failure> {
    let now = context.now;
    let out = &mut context.out;
    writeln!(out, "{}/{}", key.source, key.name)?;
    match (&state.under_way, state.asked_at) {
        (Some(sweep), _) => writeln!(out, "  under way        since {}", time::shown(sweep.proof.begun_at, now))?,
        (None, Some(at)) => writeln!(out, "  asked for        {}", time::shown(at, now))?,
        (None, None) => {}
    }
    match &state.last {
        Some(last) => found(out, key, last, now)?,
        None => writeln!(out, "  last sweep       never ended")?,
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
fn found(out: &mut impl Write, key: &StreamKey, last: &Proof, now: LocalMillis) -> std::io::Result<()> {
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

async fn now(context: &mut Context<'_>, of: &StreamOf, consent: &Consent) -> Result<Ended, Failure> {
    let (stack, key, _) = find(context, of).await?;
    let plan = Plan {
        command: "sweep now",
        subject: format!("{}/{}", key.source, key.name),
        what: "compare the copy with all that the vendor lists".to_owned(),
        effects: vec![
            "it begins once nothing is owed in the bulk lane, and delays no other work".to_owned(),
            "it costs the calls of one whole list, and a read of all that is stored".to_owned(),
        ],
    };
    send(context, &stack, &key, &plan, consent, json!(true)).await
}

async fn approve(context: &mut Context<'_>, of: &StreamOf, consent: &Consent) -> Result<Ended, Failure> {
    let (stack, key, state) = find(context, of).await?;
    let place = format!("{}/{}", key.source, key.name);
    let Some(last) = state.last.as_ref().filter(|last| last.withheld > 0) else {
        return Err(Failure::NotDone(format!(
            "{place}: the last sweep withheld nothing\nnext: tidemark sweep show {} {} says what it found",
            key.source, key.name
        )));
    };
    let plan = Plan {
        command: "sweep approve",
        subject: place,
        what: format!("fetch {} records that are stored and not listed", last.withheld),
        effects: vec![
            format!("of {} stored records the vendor listed {}", last.stored, last.listed),
            "each one that the vendor says is gone becomes a tombstone; one that is there is stored".to_owned(),
        ],
    };
    send(context, &stack, &key, &plan, consent, json!("approve")).await
}

async fn send(
    context: &mut Context<'_>,
    stack: &Stack,
    key: &StreamKey,
    plan: &Plan,
    consent: &Consent,
    sweep: serde_json::Value,
) -> Result<Ended, Failure> {
    if agree(context, stack, plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let event = json!({ "stream": key.name, "sweep": sweep });
    let said = super::account::ask_poller(context, stack, key, &event).await?;
    let words = match said.outcome {
        "done" => "done; the next polls go on with it",
        _ => "there is nothing to do: a sweep is under way",
    };
    finish(context, plan, said.outcome, words)
}
