//! What could not be fetched or stored: the retry lane.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use serde::Serialize;
use tidemark_engine::ports::Ledger;
use tidemark_engine::stream::SourceKind;
use tidemark_engine::work::{Reason, RetryEntry};
use tidemark_watch::advice;

use crate::Ended;
use crate::args::{Consent, Entries, Listed, Quarantine, SourceAndStream};
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::page;
use crate::stack::Stack;
use crate::time;

/// How many entries a page shows.
const SHOWN: usize = 50;

#[derive(Serialize)]
struct Line<'a> {
    source: &'static str,
    stream: &'a str,
    id: &'a str,
    reason: &'static str,
    cause: &'a str,
    attempts: u32,
    since: String,
    next_at: String,
    needs_attention: bool,
}

pub(super) async fn run(context: &mut Context<'_>, act: Quarantine) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    match act {
        Quarantine::List(Listed { source, stream, ids, reason }) => {
            let wanted = stack.one_or_all(source).into_iter().map(|source| Entries {
                of: SourceAndStream { source, stream: stream.clone() },
                ids: ids.clone(),
                reason,
            });
            let wanted: Vec<Entries> = wanted.collect();
            let entries = try_join_all(wanted.iter().map(|wanted| find(&stack, wanted))).await?.concat();
            let lines: Vec<Line<'_>> = entries.iter().map(Line::of).collect();
            context.show(&lines, |_, context| show(context, source, &entries))?;
            let is_well = !entries.iter().any(RetryEntry::needs_attention);
            Ok(if is_well { Ended::Well } else { Ended::WithAttention })
        }
        Quarantine::Retry { entries, consent } => retry(context, &stack, &entries, &consent).await,
        Quarantine::Drop { entries, consent } => give_up(context, &stack, &entries, &consent).await,
    }
}

/// The entries that are meant.
async fn find(stack: &Stack, wanted: &Entries) -> Result<Vec<RetryEntry>, Failure> {
    let source = stack.source(wanted.of.source)?;
    let name = wanted.of.stream.as_ref().map(|stream| stack.polled(wanted.of.source, stream)).transpose()?;
    let keys = source.keys(name.as_ref())?;
    let found = try_join_all(keys.iter().map(|key| stack.ledger.retry_entries(key))).await?;
    let is_wanted = |entry: &RetryEntry| {
        (wanted.ids.is_empty() || wanted.ids.contains(&entry.id))
            && wanted.reason.is_none_or(|reason| entry.reason == reason)
    };
    let entries: Vec<RetryEntry> = found.into_iter().flatten().filter(is_wanted).collect();
    let missing = wanted.ids.iter().filter(|id| entries.iter().all(|entry| entry.id != **id));
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    if missing.is_empty() {
        return Ok(entries);
    }
    let next = format!("tidemark quarantine list {} shows what is", wanted.of.source);
    Err(Failure::NotDone(format!("not in quarantine: {}\nnext: {next}", missing.join(", "))))
}

impl<'a> Line<'a> {
    fn of(entry: &'a RetryEntry) -> Self {
        Self {
            source: entry.stream.source.as_str(),
            stream: entry.stream.name.as_str(),
            id: entry.id.as_str(),
            reason: entry.reason.as_str(),
            cause: &entry.cause,
            attempts: entry.attempts,
            since: time::rfc3339(entry.since),
            next_at: time::rfc3339(entry.next_at),
            needs_attention: entry.needs_attention(),
        }
    }
}

fn by_reason(entries: &[RetryEntry]) -> BTreeMap<&'static str, (Reason, usize)> {
    let mut counts = BTreeMap::new();
    for entry in entries {
        counts.entry(entry.reason.as_str()).or_insert((entry.reason, 0)).1 += 1;
    }
    counts
}

/// Shows the entries of a source, or of all.
fn show(context: &mut Context<'_>, of: Option<SourceKind>, entries: &[RetryEntry]) -> Result<(), Failure> {
    let now = context.now;
    if entries.is_empty() {
        return Ok(writeln!(context.out, "Nothing is in quarantine.")?);
    }
    for (name, (reason, count)) in by_reason(entries) {
        let advice = advice::of_reason(reason);
        writeln!(context.out, "{count:>6}  {name}: {}", advice.meaning)?;
        writeln!(context.out, "        next: {}", advice.next)?;
    }
    writeln!(context.out)?;
    let mut table = page::table(context.terminal, ["STREAM", "ID", "REASON", "SINCE", "RETRIES", "NEXT"]);
    for entry in entries.iter().take(SHOWN) {
        table.add_row(vec![
            match of {
                Some(_) => entry.stream.name.to_string(),
                None => format!("{}/{}", entry.stream.source, entry.stream.name),
            }
            .into(),
            entry.id.to_string().into(),
            entry.reason.as_str().into(),
            time::relative(entry.since, now).into(),
            page::count(entry.attempts),
            time::relative(entry.next_at, now).into(),
        ]);
    }
    context.out.write_all(page::lines(&table).as_bytes())?;
    if let Some(more) = entries.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        writeln!(context.out, "... and {more} more; --json lists them all")?;
    }
    let causes: BTreeMap<&str, usize> = entries.iter().fold(BTreeMap::new(), |mut counts, entry| {
        *counts.entry(entry.cause.as_str()).or_default() += 1;
        counts
    });
    writeln!(context.out, "\nCauses:")?;
    for (cause, count) in causes.into_iter().take(10) {
        writeln!(context.out, "{count:>6}  {cause}")?;
    }
    let source = of.map_or("SOURCE", SourceKind::as_str);
    Ok(writeln!(context.out, "\nnext: tidemark quarantine retry {source}, when the cause is fixed")?)
}

fn plan(command: &'static str, wanted: &Entries, entries: &[RetryEntry], what: String) -> Plan {
    let subject = match &wanted.of.stream {
        Some(stream) => format!("{}/{stream}", wanted.of.source),
        None => wanted.of.source.to_string(),
    };
    let effects = by_reason(entries).into_iter().map(|(name, (_, count))| format!("{count} for the reason {name}"));
    Plan { command, subject, what, effects: effects.collect() }
}

async fn retry(
    context: &mut Context<'_>,
    stack: &Stack,
    wanted: &Entries,
    consent: &Consent,
) -> Result<Ended, Failure> {
    let entries = find(stack, wanted).await?;
    let count = page::plural(entries.len(), "id");
    let mut plan = plan("quarantine retry", wanted, &entries, format!("try {count} again at the next poll"));
    if entries.is_empty() {
        return finish(context, &plan, "nothing_to_do", "nothing is in quarantine");
    }
    plan.effects
        .push("a poll sends a tenth of the calls of one visibility timeout at most; the rest follows".to_owned());
    if agree(context, stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let bar = page::bar(context.terminal, entries.len());
    for entry in &entries {
        // What was settled meanwhile is not written again.
        stack.ledger.reschedule(&entry.stream, &entry.id, entry.attempts, context.now).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    finish(context, &plan, "done", &format!("{count} will be tried at the next poll"))
}

async fn give_up(
    context: &mut Context<'_>,
    stack: &Stack,
    wanted: &Entries,
    consent: &Consent,
) -> Result<Ended, Failure> {
    let entries = find(stack, wanted).await?;
    let count = page::plural(entries.len(), "id");
    let mut plan = plan("quarantine drop", wanted, &entries, format!("give {count} up"));
    if entries.is_empty() {
        return finish(context, &plan, "nothing_to_do", "nothing is in quarantine");
    }
    plan.effects
        .push("what of them is not stored stays missing from the copy until it is edited at the vendor".to_owned());
    plan.effects.push("the checkpoint no longer waits for them".to_owned());
    if consent.why.is_none() && !consent.dry_run {
        return Err(Failure::Usage("say why with --why: records are given up\nnext: add --why TEXT".to_owned()));
    }
    if agree(context, stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let bar = page::bar(context.terminal, entries.len());
    let mut kept_count = 0;
    for entry in &entries {
        // What failed again meanwhile is another failure, which nobody has seen.
        let gone = stack.ledger.resolve(&entry.stream, &entry.id, entry.listed_at.shifted(1)).await?;
        kept_count += usize::from(gone == tidemark_engine::ports::Written::Refused);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let kept =
        if kept_count == 0 { String::new() } else { format!("; {kept_count} failed again or were settled meanwhile") };
    finish(context, &plan, "done", &format!("{} given up{kept}", page::plural(entries.len() - kept_count, "id")))
}
