//! Stopping and starting calls to a vendor.

use std::time::Duration;

use tidemark_engine::health::Pause;
use tidemark_engine::ports::Ledger;
use tidemark_engine::stream::StreamKey;

use crate::Ended;
use crate::args::Consent;
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::names::Place;
use crate::stack::Stack;
use crate::time;

pub(super) async fn pause(
    context: &mut Context<'_>,
    place: &Place,
    span: Option<Duration>,
    consent: &Consent,
) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let stream = stream_of(&stack, place)?;
    let subject = subject(place);
    let now = context.now;
    let until = span.map(|span| now.plus(span));
    let how_long = until.map_or_else(
        || format!("until `tidemark resume {subject}`"),
        |until| format!("until {}", time::shown(until, now)),
    );
    let plan = Plan {
        command: "pause",
        subject: subject.clone(),
        what: format!("make no calls {how_long}"),
        effects: vec![
            "calls that are under way end".to_owned(),
            "what changes meanwhile is listed afterwards; nothing is lost".to_owned(),
            "the stale alarm is silent for a day".to_owned(),
        ],
    };
    let Some(why) = consent.why.clone().or_else(|| consent.dry_run.then(String::new)) else {
        return Err(Failure::Usage(
            "say why with --why, for those who find it paused\nnext: add --why TEXT".to_owned(),
        ));
    };
    let Some(agreed) = agree(context, &stack, &plan, consent).await? else { return Ok(Ended::Well) };
    let pause = Pause { since: now, until, by: agreed.by, why };
    match &stream {
        Some(stream) => stack.ledger.begin_stream_pause(stream, &pause).await?,
        None => stack.ledger.begin_source_pause(place.source, &pause).await?,
    }
    finish(context, &plan, "done", &format!("{subject} is paused {how_long}"))
}

pub(super) async fn resume(context: &mut Context<'_>, place: &Place, consent: &Consent) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let stream = stream_of(&stack, place)?;
    let subject = subject(place);
    let now = context.now;
    let (pause, breaker) = if let Some(stream) = &stream {
        let state = stack.ledger.stream_state(stream).await?;
        (state.pause, state.breaker)
    } else {
        let state = stack.ledger.source_state(place.source).await?;
        (state.pause, state.breaker)
    };
    let mut effects = Vec::new();
    if let Some(pause) = &pause {
        let since = time::shown(pause.since, now);
        effects.push(format!("ends the pause of {} since {since}: {}", pause.by, pause.why));
    }
    let open = breaker.open(now);
    if let Some(until) = open {
        let cause = breaker.why.as_ref().map_or("failures", |why| why.cause.as_str());
        effects.push(format!("ends the pause after failures, which lasts until {}: {cause}", time::shown(until, now)));
    }
    let plan = Plan { command: "resume", subject: subject.clone(), what: "make calls again".to_owned(), effects };
    if pause.is_none() && open.is_none() {
        let other = match &stream {
            Some(_) => format!("; its source may be: tidemark status {}", place.source),
            None => format!("; a stream of it may be: tidemark status {}", place.source),
        };
        return finish(context, &plan, "nothing_to_do", &format!("{subject} is not paused{other}"));
    }
    if agree(context, &stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    if let Some(stream) = &stream {
        stack.ledger.end_stream_pause(stream).await?;
        if open.is_some() {
            stack.ledger.resume_stream(stream).await?;
        }
    } else {
        stack.ledger.end_source_pause(place.source).await?;
        if open.is_some() {
            stack.ledger.resume_source(place.source).await?;
        }
    }
    finish(context, &plan, "done", &format!("{subject} is called again from its next poll on"))
}

fn stream_of(stack: &Stack, place: &Place) -> Result<Option<StreamKey>, Failure> {
    let source = stack.source(place.source)?;
    let Some(name) = &place.stream else { return Ok(None) };
    Ok(source.keys(Some(&stack.polled(place.source, name)?))?.into_iter().next())
}

fn subject(place: &Place) -> String {
    match &place.stream {
        Some(stream) => format!("{}/{stream}", place.source),
        None => place.source.to_string(),
    }
}
