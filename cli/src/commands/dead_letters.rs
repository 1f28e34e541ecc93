//! Messages that no fetcher could work on.

use serde::Serialize;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::sqs::{DeadLetters as Queue, Letter, SqsQueue};
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::message::{Message, Work};
use tidemark_engine::ports::{ChangeQueue, Ledger, Outgoing};
use tidemark_engine::stream::SourceKind;

use crate::Ended;
use crate::args::{Consent, DeadLetters};
use crate::ask::{Plan, agree, finish};
use crate::context::Context;
use crate::failure::Failure;
use crate::page;
use crate::stack::Stack;
use crate::time;

/// How many messages are looked at, at most: they are hidden from others for a minute meanwhile.
const LOOKED_AT: usize = 500;
/// How many ids of a message a page shows.
const IDS_SHOWN: usize = 5;

/// What a dead letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Ours, and the ledger still owes some of its ids.
    Owed,
    /// Ours, and nothing of it is owed any more.
    Done,
    /// Not a message of this source's queue.
    Foreign,
}

/// A dead letter that was looked at.
struct Found {
    letter: Letter,
    kind: Kind,
    message: Option<Message>,
}

#[derive(Serialize)]
struct Line<'a> {
    source: &'static str,
    kind: Kind,
    message_id: &'a str,
    sent_at: Option<String>,
    stream: Option<String>,
    ids: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn of(source: SourceKind, found: &'a Found) -> Self {
        let message = found.message.as_ref();
        Self {
            source: source.as_str(),
            kind: found.kind,
            message_id: &found.letter.message_id,
            sent_at: found.letter.sent_at.map(time::rfc3339),
            stream: message.map(|message| message.stream().name.to_string()),
            ids: message
                .iter()
                .flat_map(|message| &message.ids)
                .map(tidemark_engine::record::RecordId::as_str)
                .collect(),
        }
    }
}

pub(super) async fn run(context: &mut Context<'_>, act: DeadLetters) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    match act {
        DeadLetters::List { source } => list(context, &stack, source).await,
        DeadLetters::Redrive { source, consent } => {
            let (queue, found) = taken(context, &stack, source).await?;
            let ended = redrive(context, &stack, &queue, source, &found, &consent).await;
            put_back(&queue, &found).await;
            ended
        }
        DeadLetters::Purge { source, consent } => {
            let (queue, found) = taken(context, &stack, source).await?;
            let ended = purge(context, &stack, &queue, source, &found, &consent).await;
            put_back(&queue, &found).await;
            ended
        }
    }
}

/// What lies in the dead-letter queue of a source. Nobody else sees it until it is put back.
async fn taken(context: &mut Context<'_>, stack: &Stack, source: SourceKind) -> Result<(Queue, Vec<Found>), Failure> {
    let url = stack.source(source)?.dead_letters_url.as_str();
    let queue = Queue::new(context.sdk().await?, url);
    let found = look(stack, &queue, source).await?;
    Ok((queue, found))
}

/// Whatever came of it: what was not deleted is seen by others again at once.
async fn put_back(queue: &Queue, found: &[Found]) {
    for each in found {
        queue.put_back(&each.letter).await.ok();
    }
}

async fn look(stack: &Stack, queue: &Queue, source: SourceKind) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for letter in queue.take(LOOKED_AT).await? {
        let message = Message::parse(&letter.body).ok().filter(|message| message.source() == source);
        let kind = match &message {
            None => Kind::Foreign,
            Some(message) if is_owed(stack, message).await? => Kind::Owed,
            Some(_) => Kind::Done,
        };
        found.push(Found { letter, kind, message });
    }
    found.sort_by_key(|each| each.kind);
    Ok(found)
}

/// Whether the ledger still owes an id of a message.
async fn is_owed(stack: &Stack, message: &Message) -> Result<bool, StoreFailure> {
    match message.work() {
        Some(Work::Chunk(key)) => {
            let chunk = stack.ledger.chunk(&key).await?;
            Ok(chunk.is_some_and(|chunk| message.ids.iter().any(|id| chunk.ids.contains(id))))
        }
        Some(Work::Retry) => {
            for id in &message.ids {
                if stack.ledger.retry_entry(&message.stream(), id).await?.is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        None => Ok(false),
    }
}

fn of_kind(found: &[Found], kind: Kind) -> impl Iterator<Item = &Found> {
    found.iter().filter(move |each| each.kind == kind)
}

/// Lists the dead letters of a source, or of all that are on.
async fn list(context: &mut Context<'_>, stack: &Stack, of: Option<SourceKind>) -> Result<Ended, Failure> {
    let mut all = Vec::new();
    for source in stack.one_or_all(of) {
        let (queue, found) = taken(context, stack, source).await?;
        put_back(&queue, &found).await;
        all.push((source, found));
    }
    all.retain(|(_, found)| !found.is_empty());
    let lines = all.iter().flat_map(|(source, found)| found.iter().map(|each| Line::of(*source, each)));
    let lines: Vec<Line<'_>> = lines.collect();
    context.show(&lines, |_, context| {
        if all.is_empty() {
            writeln!(context.out, "No dead letters.")?;
        }
        for (at, (source, found)) in all.iter().enumerate() {
            if of.is_none() {
                writeln!(context.out, "{}{source}", if at == 0 { "" } else { "\n" })?;
            }
            show(context, *source, found)?;
        }
        Ok(())
    })?;
    Ok(if all.is_empty() { Ended::Well } else { Ended::WithAttention })
}

fn show(context: &mut Context<'_>, source: SourceKind, found: &[Found]) -> Result<(), Failure> {
    let now = context.now;
    let mut nexts = Vec::new();
    for (kind, words, next) in [
        (Kind::Owed, "still owed; the poller also sends them again automatically", "redrive"),
        (Kind::Done, "from Tidemark, and nothing in them is owed any more", "purge"),
        (Kind::Foreign, "not from this source of Tidemark", "purge"),
    ] {
        let count = of_kind(found, kind).count();
        if count > 0 {
            writeln!(context.out, "{count:>6}  {words}")?;
            let next = format!("tidemark dead-letters {next} {source}");
            if !nexts.contains(&next) {
                nexts.push(next);
            }
        }
    }
    writeln!(context.out)?;
    let mut table = page::table(context.terminal, ["WHAT", "SENT", "STREAM", "IDS"]);
    for each in found.iter().take(50) {
        let what = match each.kind {
            Kind::Owed => "owed",
            Kind::Done => "done",
            Kind::Foreign => "foreign",
        };
        let sent = each.letter.sent_at.map_or_else(|| "-".to_owned(), |at| time::relative(at, now));
        let (stream, ids) = match &each.message {
            None => ("-".to_owned(), "-".to_owned()),
            Some(message) => {
                let shown: Vec<String> = message.ids.iter().take(IDS_SHOWN).map(ToString::to_string).collect();
                let more = message.ids.len().saturating_sub(IDS_SHOWN);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                (message.stream().name.to_string(), format!("{}{more}", shown.join(", ")))
            }
        };
        table.add_row(vec![what.to_owned(), sent, stream, ids]);
    }
    context.out.write_all(page::lines(&table).as_bytes())?;
    Ok(writeln!(context.out, "\nnext: {}", nexts.join("; "))?)
}

async fn redrive(
    context: &mut Context<'_>,
    stack: &Stack,
    queue: &Queue,
    source: SourceKind,
    found: &[Found],
    consent: &Consent,
) -> Result<Ended, Failure> {
    let owed: Vec<(&Letter, &Message)> =
        of_kind(found, Kind::Owed).filter_map(|each| Some((&each.letter, each.message.as_ref()?))).collect();
    let left = found.len() - owed.len();
    let count = page::plural(owed.len(), "message");
    let plan = Plan {
        command: "dead-letters redrive",
        subject: source.to_string(),
        what: format!("send {count} to the fetchers again"),
        effects: vec![format!("{} that are done or foreign stay", page::plural(left, "message"))],
    };
    if owed.is_empty() {
        return finish(context, &plan, "nothing_to_do", "nothing that lies there is owed");
    }
    if agree(context, stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    let changes = SqsQueue::new(context.sdk().await?, stack.source(source)?.queue_url.as_str(), SystemClock);
    let mut sent_count = 0;
    for (letter, message) in owed {
        let outgoing = Outgoing { message: message.clone(), delay: std::time::Duration::ZERO };
        // Deleted only once it is sent: twice is no harm, and never would be one.
        if changes.send(&[outgoing]).await? == 1 {
            queue.delete(letter).await?;
            sent_count += 1;
        }
    }
    finish(context, &plan, "done", &format!("{} sent to the fetchers", page::plural(sent_count, "message")))
}

async fn purge(
    context: &mut Context<'_>,
    stack: &Stack,
    queue: &Queue,
    source: SourceKind,
    found: &[Found],
    consent: &Consent,
) -> Result<Ended, Failure> {
    let (done, foreign) = (of_kind(found, Kind::Done).count(), of_kind(found, Kind::Foreign).count());
    let count = page::plural(done + foreign, "message");
    let plan = Plan {
        command: "dead-letters purge",
        subject: source.to_string(),
        what: format!("delete {count}"),
        effects: vec![
            format!("{done} are done: nothing in them is owed any more"),
            format!("{foreign} are not from this source of Tidemark"),
            format!("{} that are still owed stay", of_kind(found, Kind::Owed).count()),
        ],
    };
    if done + foreign == 0 {
        return finish(context, &plan, "nothing_to_do", "nothing that lies there may be deleted");
    }
    if agree(context, stack, &plan, consent).await?.is_none() {
        return Ok(Ended::Well);
    }
    for each in found.iter().filter(|each| each.kind != Kind::Owed) {
        queue.delete(&each.letter).await?;
    }
    finish(context, &plan, "done", &format!("{count} deleted"))
}
