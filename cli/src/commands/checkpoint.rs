//! A checkpoint in words, and listing again from an earlier time.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tidemark_engine::checkpoint::{Checkpoint as State, Scope};
use tidemark_engine::clock::{LocalMillis, millis_of};
use tidemark_engine::ports::Checkpoints;
use tidemark_engine::position::Position;
use tidemark_engine::stream::StreamKey;

use super::fetch::never_polled;
use crate::Ended;
use crate::args::{Checkpoint, Consent, StreamOf};
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::stack::Stack;
use crate::time;

#[derive(Serialize)]
struct Shown {
    source: &'static str,
    stream: String,
    version: i64,
    scanned: String,
    committed: String,
    lease_until: Option<String>,
    lease_owner: Option<String>,
    last_success_at: Option<String>,
    last_progress_at: Option<String>,
    owed_since: Option<String>,
    held_since: Option<String>,
    vendor_clock_ahead_ms: Option<i64>,
    behind_ms: i64,
    backlog: Vec<Listing>,
    account_mark: String,
}

#[derive(Serialize)]
struct Listing {
    from: Option<String>,
    begun_at: String,
    holds: Option<String>,
}

pub(super) async fn run(context: &mut Context<'_>, act: Checkpoint) -> Result<Ended, Failure> {
    match act {
        Checkpoint::Show(of) => {
            let (_, key, state) = find(context, &of).await?;
            let shown = Shown::of(&key, &state, context.now);
            context.show(&shown, |_, context| show(context, &key, &state))?;
            Ok(Ended::Well)
        }
        Checkpoint::Rewind { of, to, consent } => {
            let to = to.at(context.now);
            rewind(context, &of, to, &consent).await
        }
    }
}

async fn find(context: &mut Context<'_>, of: &StreamOf) -> Result<(Stack, StreamKey, State), Failure> {
    let stack = context.stack().await?;
    let name = stack.polled(of.source, &of.stream)?;
    let key = stack.source(of.source)?.keys(Some(&name))?.remove(0);
    match stack.checkpoints.load(&key).await? {
        Some(state) => Ok((stack, key, state)),
        None => Err(never_polled(&key)),
    }
}

impl Shown {
    fn of(key: &StreamKey, state: &State, now: LocalMillis) -> Self {
        let is_leased = state.lease_until > now;
        let listing = |listing: &tidemark_engine::checkpoint::Listing| Listing {
            from: match &listing.scope {
                Scope::Changes(from) => Some(from.to_string()),
                Scope::Snapshot => None,
            },
            begun_at: time::rfc3339(listing.begun_at),
            holds: listing.holds.as_ref().map(ToString::to_string),
        };
        Self {
            source: key.source.as_str(),
            stream: key.name.to_string(),
            version: state.version,
            scanned: state.scanned.to_string(),
            committed: state.committed.to_string(),
            lease_until: is_leased.then(|| time::rfc3339(state.lease_until)),
            lease_owner: is_leased.then(|| state.lease_owner.clone()),
            last_success_at: state.last_success_at.map(time::rfc3339),
            last_progress_at: state.last_progress_at.map(time::rfc3339),
            owed_since: state.owed_since.map(time::rfc3339),
            held_since: state.held_since.map(time::rfc3339),
            vendor_clock_ahead_ms: state.clocks.gap_ms,
            behind_ms: millis_of(state.clocks.behind),
            backlog: state.backlog.iter().map(listing).collect(),
            account_mark: state.account_mark.clone(),
        }
    }
}

fn position(position: &Position, now: LocalMillis) -> String {
    position.at().map_or_else(|| position.to_string(), |at| time::shown(at, now))
}

fn show(context: &mut Context<'_>, key: &StreamKey, state: &State) -> Result<(), Failure> {
    let now = context.now;
    let when = |at: Option<LocalMillis>| at.map_or_else(|| "never".to_owned(), |at| time::shown(at, now));
    let out = &mut context.out;
    writeln!(out, "{}/{}", key.source, key.name)?;
    writeln!(out, "  listed up to     {}", position(&state.scanned, now))?;
    writeln!(out, "  committed up to  {}", position(&state.committed, now))?;
    writeln!(out, "  last success     {}", when(state.last_success_at))?;
    match state.held_since {
        Some(since) => writeln!(out, "  waits for        work that is owed since {}", time::shown(since, now))?,
        None => writeln!(out, "  waits for        nothing")?,
    }
    for listing in &state.backlog {
        let from = match &listing.scope {
            Scope::Changes(from) => format!("changes since {}", time::absolute(*from)),
            Scope::Snapshot => "everything there is".to_owned(),
        };
        writeln!(out, "  lists beside     {from}, begun {}", time::shown(listing.begun_at, now))?;
    }
    if state.lease_until > now {
        writeln!(out, "  a poller works   until {} at most", time::shown(state.lease_until, now))?;
    }
    if let Some(gap_ms) = state.clocks.gap_ms {
        let (span, side) = (
            time::span(std::time::Duration::from_millis(gap_ms.unsigned_abs())),
            if gap_ms < 0 { "behind" } else { "ahead of" },
        );
        writeln!(
            out,
            "  vendor's clock   {span} {side} ours; stamps lag it by up to {}",
            time::span(state.clocks.behind)
        )?;
    }
    Ok(writeln!(out, "  version          {}", state.version)?)
}

async fn rewind(
    context: &mut Context<'_>,
    of: &StreamOf,
    to: LocalMillis,
    consent: &Consent,
) -> Result<Ended, Failure> {
    let (stack, key, state) = find(context, of).await?;
    let now = context.now;
    let place = format!("{}/{}", key.source, key.name);
    let Some(scanned) = state.scanned.at() else {
        let what = format!("{place} is a feed: its positions are tokens, so it cannot go back to a time");
        let next = format!("tidemark account start-again {} {} lists everything again", key.source, key.name);
        return Err(Failure::Usage(format!("{what}\nnext: {next}")));
    };
    let plan = Plan {
        command: "checkpoint rewind",
        subject: place,
        what: format!("list again everything since {}", time::shown(to, now)),
        effects: vec![
            format!("it is listed up to {} now", time::shown(scanned, now)),
            "what is stored stays; ids that are listed again cost a call each where the list has no rows".to_owned(),
            "the checkpoint goes back, and forward again as the work is done".to_owned(),
        ],
    };
    if agree(context, &stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let instant = Timestamp::from_millisecond(to.get()).map_err(|bad| Failure::Usage(bad.to_string()))?;
    let event = json!({ "stream": key.name, "rewind_to": instant.to_string() });
    let words = super::account::ask_poller(context, &stack, &key, &event).await?;
    finish(context, &plan, words.outcome, &words.words)
}
