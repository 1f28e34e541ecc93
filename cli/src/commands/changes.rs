//! What was written to the records lately.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tidemark_aws::clock::SystemClock;
use tidemark_aws::dynamodb::{LoggedAs, LoggedWrite, RecordLog, Since};
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::ports::Clock;
use tidemark_sources::probe::{Entry, ListProbe};

use crate::Ended;
use crate::args::SourceAndStream;
use crate::context::Context;
use crate::failure::Failure;
use crate::page;
use crate::probe::{Asked, UNKNOWN_ANSWER, probe};
use crate::time;

/// How often what is new is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// Which writes.
pub(super) struct Wanted {
    /// Only those made since.
    pub(super) since: Option<LocalMillis>,
    /// Only so many of the newest.
    pub(super) limit: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    stream: &'a str,
    id: &'a str,
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_because: Option<&'a str>,
    last_edited: Option<&'a str>,
}

/// Shows the newest writes that there are, the newest first.
pub(super) async fn once(context: &mut Context<'_>, of: &SourceAndStream, wanted: &Wanted) -> Result<Ended, Failure> {
    let (mut log, filter) = open(context, of, Since::Oldest).await?;
    let progress = page::counter(context.terminal, "writes");
    let mut found = Vec::new();
    let until = SystemClock.now();
    while !log.is_at_end(until) {
        let writes = log.read().await?;
        progress.inc(u64::try_from(writes.len()).unwrap_or_default());
        let is_wanted = |write: &LoggedWrite| wanted.since.is_none_or(|since| write.at >= since) && filter.has(write);
        found.extend(writes.into_iter().filter(is_wanted));
        // Shards are read side by side, so the newest of all are known at the end only. Those of a record stay in order.
        found.sort_by_key(|write| write.at);
        found.drain(..found.len().saturating_sub(wanted.limit));
    }
    progress.finish_and_clear();
    for write in found.iter().rev() {
        show(context, &filter, write)?;
    }
    if found.is_empty() && !context.global.json {
        writeln!(context.out, "Nothing was written; the table's stream keeps a day.")?;
    }
    Ok(Ended::Well)
}

/// Shows what is written from now on, as it comes, until the reader has seen enough.
pub(super) async fn follow(context: &mut Context<'_>, of: &SourceAndStream) -> Result<Ended, Failure> {
    let (mut log, filter) = open(context, of, Since::Now).await?;
    loop {
        let mut writes = log.read().await?;
        writes.retain(|write| filter.has(write));
        writes.sort_by_key(|write| write.at);
        for write in &writes {
            show(context, &filter, write)?;
        }
        context.out.flush()?;
        SystemClock.sleep(EVERY).await;
    }
}

/// Shows what the vendor lists from where the stream is listed up to.
pub(super) async fn ask(context: &mut Context<'_>, of: &SourceAndStream, limit: usize) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let key = stack.key(of.source, of.stream.as_deref().unwrap_or_default())?;
    let event = json!({ "stream": key.name, "probe": "list" });
    let found = match probe(context.sdk().await?, &stack, &key, &event).await? {
        Asked::Found(found) => {
            serde_json::from_value(found).map_err(|_| Failure::NotDone(UNKNOWN_ANSWER.to_owned()))?
        }
        Asked::Paused { what, next } => ListProbe::Failed { cause: what.to_owned(), next },
    };
    let shown = match found {
        ListProbe::Failed { cause, next } => {
            return Err(Failure::NotDone(format!("{}/{}: {cause}\nnext: {next}", key.source, key.name)));
        }
        ListProbe::Shown { entries, count } => Listed { count, entries: entries.into_iter().take(limit).collect() },
    };
    context.show(&shown, |shown, context| {
        for Entry { id, stamp, is_deleted } in &shown.entries {
            let deleted = if *is_deleted { ", deleted" } else { "" };
            writeln!(context.out, "{id}: edited {}{deleted}", stamp.as_deref().unwrap_or("-"))?;
        }
        let shown_count = shown.entries.len();
        let first = if shown_count < shown.count { format!("the first {shown_count} of ") } else { String::new() };
        Ok(writeln!(context.out, "{first}{} listed at once", page::plural(shown.count, "change"))?)
    })?;
    Ok(Ended::Well)
}

/// What a vendor's list shows.
#[derive(Serialize)]
struct Listed {
    count: usize,
    entries: Vec<Entry>,
}

/// What is shown: one partition, or all of a source.
struct Filter {
    prefix: String,
    partition: Option<String>,
}

impl Filter {
    fn has(&self, write: &LoggedWrite) -> bool {
        match &self.partition {
            Some(partition) => write.partition == *partition,
            None => write.partition.starts_with(&self.prefix),
        }
    }
}

async fn open(context: &mut Context<'_>, of: &SourceAndStream, since: Since) -> Result<(RecordLog, Filter), Failure> {
    let stack = context.stack().await?;
    let prefix = format!("{}#", stack.source(of.source)?.source);
    let stream = of.stream.as_ref().map(|stream| stack.of_records(of.source, stream)).transpose()?;
    let partition = stream.map(|stream| format!("{prefix}{stream}"));
    let log = RecordLog::open(context.sdk().await?, stack.output("RecordsStreamArn")?, since).await?;
    Ok((log, Filter { prefix, partition }))
}

fn show(context: &mut Context<'_>, filter: &Filter, write: &LoggedWrite) -> Result<(), Failure> {
    let stream = write.partition.strip_prefix(&filter.prefix).unwrap_or(&write.partition);
    let (what, because) = match &write.what {
        LoggedAs::New => ("new", None),
        LoggedAs::Changed => ("changed", None),
        LoggedAs::Same => ("same", None),
        LoggedAs::Deleted(because) => ("deleted", Some(because.as_str())),
        LoggedAs::Removed => ("removed", None),
    };
    let LoggedWrite { at, id, stamp, .. } = write;
    if context.global.json {
        let (at, last_edited) = (time::rfc3339(*at), stamp.as_deref());
        let line = Line { at, stream, id, what, deleted_because: because, last_edited };
        let line = serde_json::to_string(&line).map_err(std::io::Error::other)?;
        return Ok(writeln!(context.out, "{line}")?);
    }
    let because = because.map(|because| format!(": {because}")).unwrap_or_default();
    let edited = stamp.as_ref().map(|stamp| format!(", edited {stamp}")).unwrap_or_default();
    Ok(writeln!(context.out, "{}  {stream} {id}: {what}{because}{edited}", time::absolute(*at))?)
}
