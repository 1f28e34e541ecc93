//! Fetching records again.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tidemark_aws::clock::SystemClock;
use tidemark_aws::sqs::SqsQueue;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::message::Message;
use tidemark_engine::ports::{ChangeQueue, Checkpoints, Ledger, Outgoing};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{StreamKey, StreamName};
use tidemark_engine::work::{Reason, RetryEntry, retry_after};
use tidemark_sources::registry::owed_as;

use crate::Ended;
use crate::args::{Consent, StreamOf};
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::names;
use crate::page;

/// How many ids are written and sent before the bar moves.
const BATCH: usize = 50;

pub(super) async fn run(
    context: &mut Context<'_>,
    of: &StreamOf,
    ids: Vec<RecordId>,
    file: Option<&Path>,
    consent: &Consent,
) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let name = stack.of_records(of.source, &of.stream)?;
    let ids = match file {
        Some(file) => read(context, file, consent)?,
        None => ids,
    };
    let (polled, ids) = owed(of, &name, &ids)?;
    let source = stack.source(of.source)?;
    let key = source.keys(Some(&polled))?.remove(0);
    let Some(checkpoint) = stack.checkpoints.load(&key).await? else { return Err(never_polled(&key)) };
    let count = page::plural(ids.len(), "record");
    let plan = Plan {
        command: "fetch",
        subject: format!("{}/{name}", of.source),
        what: format!("fetch {count} again now"),
        effects: vec![
            format!("{} at the vendor, within its rate", page::plural(ids.len(), "call")),
            "an id that is in quarantine already is tried at once".to_owned(),
        ],
    };
    if agree(context, &stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let queue = SqsQueue::new(context.sdk().await?, source.queue_url.as_str(), SystemClock);
    let bar = page::bar(context.terminal, ids.len());
    for batch in ids.chunks(BATCH) {
        owe(&stack.ledger, &key, batch, context.now).await?;
        let message = |id: &RecordId| Message::of_retry(&key, id.clone(), &checkpoint.account_mark);
        let outgoing = |id| Outgoing { message: message(id), delay: Duration::ZERO };
        queue.send(&batch.iter().map(outgoing).collect::<Vec<_>>()).await?;
        bar.inc(u64::try_from(batch.len()).unwrap_or_default());
    }
    bar.finish_and_clear();
    let next = ids.first().map(|id| format!("; tidemark explain {} {name} '{id}' shows what became of it", of.source));
    finish(context, &plan, "done", &format!("{count} sent to the fetchers{}", next.unwrap_or_default()))
}

/// The polled stream, and the ids under which it owes the records; each once.
fn owed(of: &StreamOf, name: &StreamName, ids: &[RecordId]) -> Result<(StreamName, Vec<RecordId>), Failure> {
    let mut owed = BTreeSet::new();
    let mut polled = None;
    for id in ids {
        let Some((stream, id)) = owed_as(of.source, name, id) else {
            let what = format!("the address of {name} {id} is not known from its uuid");
            let next = "give its locator, as `tidemark quarantine list` shows it, such as \
                        unavailable_times/user/<uuid>/unavailability/<uuid>";
            return Err(Failure::Usage(format!("{what}\nnext: {next}")));
        };
        polled = Some(stream);
        owed.insert(id);
    }
    match polled {
        Some(polled) if !owed.is_empty() => Ok((polled, owed.into_iter().collect())),
        _ => Err(Failure::Usage("no id is given\nnext: name at least one".to_owned())),
    }
}

/// Owes a fetch of these ids in the retry lane, and notes that they are sent. An id that is there already keeps what is
/// known of its failures. What is not sent after all is sent by a later poll.
async fn owe(ledger: &impl Ledger, stream: &StreamKey, ids: &[RecordId], now: LocalMillis) -> Result<(), StoreFailure> {
    for id in ids {
        let known = ledger.retry_entry(stream, id).await?;
        let attempts = known.as_ref().map_or(0, |entry| entry.attempts);
        if known.is_none() {
            let asked = RetryEntry {
                stream: stream.clone(),
                id: id.clone(),
                reason: Reason::Asked,
                cause: "an operator asked for it".to_owned(),
                since: now,
                holds: None,
                listed_at: now,
                attempts,
                next_at: now,
            };
            ledger.set_aside(&asked).await?;
        }
        // As a poll does it: before it is sent, because an entry that resolves at once must not be written again.
        ledger.reschedule(stream, id, attempts + 1, now.plus(retry_after(attempts))).await?;
    }
    Ok(())
}

fn read(context: &mut Context<'_>, file: &Path, consent: &Consent) -> Result<Vec<RecordId>, Failure> {
    let mut text = String::new();
    if file == Path::new("-") {
        if !consent.yes && !consent.dry_run {
            let what = "the ids come from standard input, so nobody can be asked";
            return Err(Failure::Usage(format!("{what}\nnext: say --yes, or --dry-run to see the plan alone")));
        }
        context.answers.read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))
            .map_err(|what| Failure::Usage(format!("{what}\nnext: name a file with one id a line")))?;
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at, line.trim())).filter(|(_, line)| !line.is_empty());
    lines
        .map(|(at, line)| names::parse_id(line).map_err(|bad| Failure::Usage(format!("line {}: {bad}", at + 1))))
        .collect()
}

pub(super) fn never_polled(key: &StreamKey) -> Failure {
    let what = format!("{}/{} was never polled", key.source, key.name);
    Failure::NotDone(format!("{what}\nnext: wait for its first poll, or find out with tidemark doctor {}", key.source))
}
