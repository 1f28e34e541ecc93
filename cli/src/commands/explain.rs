//! The life of one record.

use serde::Serialize;
use serde_json::json;
use tidemark_aws::dynamodb::StoredRecord;
use tidemark_engine::failure::StoreFailure;
use tidemark_engine::ports::{Checkpoints, Ledger};
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::{ListShape, StreamKey, StreamName};
use tidemark_engine::work::{Chunk, RetryEntry};
use tidemark_sources::probe::RecordProbe;
use tidemark_sources::registry;

use crate::Ended;
use crate::args::StreamOf;
use crate::context::Context;
use crate::failure::Failure;
use crate::probe::{Asked, UNKNOWN_ANSWER, probe};
use crate::stack::Stack;
use crate::time;

#[derive(Serialize)]
struct Life {
    source: &'static str,
    stream: String,
    id: String,
    stored: Option<Stored>,
    owed: Vec<Owed>,
    quarantine: Option<Entry>,
    /// Whether a copy of the record is there and nothing about it failed.
    is_well: bool,
    verdict: String,
    /// What the vendor answers now, where it was asked.
    vendor: Option<RecordProbe>,
    /// Ids that are stored near this one, when this one is unknown.
    nearest: Vec<String>,
}

#[derive(Serialize)]
struct Stored {
    stamp: Option<String>,
    stamped_at: Option<String>,
    fetched_at: String,
    hash: Option<String>,
    body_bytes: usize,
    has_event: bool,
    deleted_because: Option<String>,
}

#[derive(Serialize)]
struct Owed {
    id: String,
    lane: &'static str,
    listed_at: String,
    is_sent: bool,
    next_at: String,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    reason: &'static str,
    cause: String,
    attempts: u32,
    since: String,
    next_at: String,
}

/// What was read.
struct Found {
    record: Option<StoredRecord>,
    chunks: Vec<Chunk>,
    entry: Option<RetryEntry>,
    is_polled: bool,
    /// Whether rows of lists are stored, which details may write in another way.
    has_rows: bool,
    vendor: Option<RecordProbe>,
}

pub(super) async fn run(context: &mut Context<'_>, of: &StreamOf, id: &RecordId, asks: bool) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let name = stack.of_records(of.source, &of.stream)?;
    stack.source(of.source)?;
    let record = RecordKey { source: of.source, stream: name, id: id.clone() };
    let mut found = find(&stack, &record).await?;
    if asks {
        found.vendor = Some(ask(context, &stack, &record).await?);
    }
    let nearest = if found.is_unknown() { stack.copy.ids_from(&record.partition(), id, 3).await? } else { Vec::new() };
    let life = found.life(&record, &nearest);
    context.show(&life, |life, context| show(life, &found, context))?;
    Ok(if life.is_well { Ended::Well } else { Ended::WithAttention })
}

/// Asks the vendor for the record, through its source's poller.
async fn ask(context: &mut Context<'_>, stack: &Stack, record: &RecordKey) -> Result<RecordProbe, Failure> {
    let Some((polled, listed)) = registry::owed_as(record.source, &record.stream, &record.id) else {
        let what = format!("the path of a record of {} is not known without its user", record.stream);
        let next = "give the id as the feed lists it, which begins with the stream and a slash";
        return Err(Failure::Usage(format!("{what}\nnext: {next}")));
    };
    let event = json!({ "stream": polled, "probe": { "record": listed } });
    let key = StreamKey { source: record.source, name: polled };
    match probe(context.sdk().await?, stack, &key, &event).await? {
        Asked::Found(found) => serde_json::from_value(found).map_err(|_| Failure::NotDone(UNKNOWN_ANSWER.to_owned())),
        Asked::Paused { what, next } => Ok(RecordProbe::Failed { cause: what.to_owned(), next }),
    }
}

async fn find(stack: &Stack, record: &RecordKey) -> Result<Found, StoreFailure> {
    // A feed owes records under ids of its own. Where the path of one is not known, its chunks cannot be asked.
    let owed_as = registry::owed_as(record.source, &record.stream, &record.id);
    let polled = owed_as.as_ref().map_or(&record.stream, |(polled, _)| polled);
    let stream = StreamKey { source: record.source, name: polled.clone() };
    let owed = async {
        let Some((_, id)) = &owed_as else { return Ok((Vec::new(), None)) };
        futures_util::try_join!(stack.ledger.chunks_with(&stream, id), stack.ledger.retry_entry(&stream, id))
    };
    let (record, (chunks, entry), checkpoint) =
        futures_util::try_join!(stack.copy.get(record), owed, stack.checkpoints.load(&stream))?;
    let streams = registry::streams_of(stream.source, stack.settings(stream.source)).unwrap_or_default();
    let has_rows = streams.iter().any(|known| known.name == stream.name && known.shape == ListShape::Pages);
    Ok(Found { record, chunks, entry, is_polled: checkpoint.is_some(), has_rows, vendor: None })
}

impl Found {
    fn is_unknown(&self) -> bool {
        self.record.is_none() && self.chunks.is_empty() && self.entry.is_none()
    }

    fn life(&self, key: &RecordKey, nearest: &[RecordId]) -> Life {
        let stored = self.record.as_ref().map(|record| Stored {
            stamp: record.stamp.clone(),
            stamped_at: record.stamped_at.map(time::rfc3339),
            fetched_at: time::rfc3339(record.looked_at),
            hash: record.hash.clone(),
            body_bytes: record.body.as_ref().map_or(0, |body| body.text().len()),
            has_event: record.event.is_some(),
            deleted_because: record.deleted_because.clone(),
        });
        let owed = self.chunks.iter().map(|chunk| Owed {
            id: key.id.as_str().to_owned(),
            lane: chunk.key.lane.as_str(),
            listed_at: time::rfc3339(chunk.listed_at),
            is_sent: chunk.next_at.get() > 0,
            next_at: time::rfc3339(chunk.next_at),
        });
        let quarantine = self.entry.as_ref().map(|entry| Entry {
            id: entry.id.as_str().to_owned(),
            reason: entry.reason.as_str(),
            cause: entry.cause.clone(),
            attempts: entry.attempts,
            since: time::rfc3339(entry.since),
            next_at: time::rfc3339(entry.next_at),
        });
        Life {
            source: key.source.as_str(),
            stream: key.stream.to_string(),
            id: key.id.as_str().to_owned(),
            stored,
            owed: owed.collect(),
            quarantine,
            is_well: self.is_well(),
            verdict: self.vendor.as_ref().map_or_else(|| self.verdict(&key.stream), |vendor| self.compared(vendor)),
            vendor: self.vendor.clone(),
            nearest: nearest.iter().map(|id| id.as_str().to_owned()).collect(),
        }
    }

    /// Whether the copy is what it should be, as far as is known.
    fn is_well(&self) -> bool {
        let is_deleted = self.record.as_ref().is_some_and(|record| record.deleted_because.is_some());
        self.entry.is_none()
            && match (&self.record, &self.vendor) {
                (None, vendor) => matches!(vendor, Some(RecordProbe::Gone)),
                (Some(_), None) => true,
                (Some(record), Some(RecordProbe::There { stamp, hash, .. })) => {
                    !is_deleted && self.is_same(record, stamp.as_deref(), hash)
                }
                (Some(_), Some(RecordProbe::Gone | RecordProbe::Missing)) => is_deleted,
                (Some(_), Some(RecordProbe::Failed { .. })) => false,
            }
    }

    /// Whether a stored record is this version.
    fn is_same(&self, record: &StoredRecord, stamp: Option<&str>, hash: &str) -> bool {
        let is_same_stamp = stamp.is_some() && record.stamp.as_deref() == stamp;
        record.hash.as_deref() == Some(hash) || (self.has_rows && is_same_stamp)
    }

    /// What the vendor's answer says of the copy, in a sentence.
    fn compared(&self, vendor: &RecordProbe) -> String {
        let is_owed = !self.chunks.is_empty() || self.entry.is_some();
        let later = if is_owed { "it is owed a fetch" } else { "if the next poll does not list it, fetch it" };
        let is_deleted = |record: &StoredRecord| record.deleted_because.is_some();
        match (vendor, &self.record) {
            (RecordProbe::Failed { cause, .. }, _) => format!("the vendor could not be asked: {cause}"),
            (RecordProbe::There { .. }, None) => format!("the vendor has it, and the copy does not: {later}"),
            (RecordProbe::There { .. }, Some(record)) if is_deleted(record) => {
                format!("the vendor has it, and in the copy it is gone: {later}")
            }
            (RecordProbe::There { stamp, hash, .. }, Some(record)) => {
                if self.is_same(record, stamp.as_deref(), hash) {
                    "the copy is what the vendor has now".to_owned()
                } else {
                    format!("the vendor has another version than the copy: {later}")
                }
            }
            (RecordProbe::Gone, None) => "the vendor does not have it, and neither does the copy".to_owned(),
            (RecordProbe::Gone, Some(record)) if is_deleted(record) => {
                "it is gone at the vendor, and marked so in the copy".to_owned()
            }
            (RecordProbe::Gone, Some(_)) => {
                "it is gone at the vendor, and the copy does not know yet: a fetch marks it".to_owned()
            }
            (RecordProbe::Missing, _) => {
                "the vendor's answer is empty: it may be gone, which is believed once it has lasted".to_owned()
            }
        }
    }

    /// What is known of it without the vendor, in a sentence.
    fn verdict(&self, stream: &StreamName) -> String {
        let is_owed = !self.chunks.is_empty();
        match (&self.record, &self.entry) {
            (_, Some(entry)) => {
                let copy = match &self.record {
                    Some(_) => "an older version is stored",
                    None => "no version is stored",
                };
                format!(
                    "it could not be fetched or stored ({}); {copy}; it is tried again automatically",
                    entry.reason.as_str()
                )
            }
            (Some(record), None) if record.deleted_because.is_some() && !is_owed => {
                "it is gone at the vendor, as far as is known; its last version is kept until it expires".to_owned()
            }
            (Some(_), None) if is_owed => {
                "it is stored, and it is owed another fetch because it was listed again".to_owned()
            }
            (Some(_), None) => "it is stored, and nothing newer has been listed".to_owned(),
            (None, None) if is_owed => "it was listed and is not stored yet".to_owned(),
            (None, None) if !self.is_polled => format!("nothing is known about it, and {stream} was never polled"),
            (None, None) => "nothing is known about it: it was never listed under this id".to_owned(),
        }
    }
}

fn show(life: &Life, found: &Found, context: &mut Context<'_>) -> Result<(), Failure> {
    let now = context.now;
    let out = &mut context.out;
    writeln!(out, "{}/{} {}", life.source, life.stream, life.id)?;
    if let (Some(record), Some(stored)) = (&found.record, &life.stored) {
        writeln!(out, "  fetched     {}", time::shown(record.looked_at, now))?;
        if let (Some(stamp), Some(at)) = (&record.stamp, record.stamped_at) {
            writeln!(out, "  last edited {} (the vendor writes {stamp:?})", time::shown(at, now))?;
        }
        let hash = record.hash.as_deref().unwrap_or("none");
        writeln!(out, "  body        {} bytes, hash {hash}", stored.body_bytes)?;
        if let Some(because) = &record.deleted_because {
            writeln!(out, "  deleted     {because}")?;
        }
        if stored.has_event {
            writeln!(out, "  event       the newest event is stored with it")?;
        }
    }
    for chunk in &found.chunks {
        let listed = time::shown(chunk.listed_at, now);
        let lane = chunk.key.lane.as_str();
        let next =
            if chunk.next_at.get() > 0 { time::relative(chunk.next_at, now) } else { "at the next poll".to_owned() };
        writeln!(out, "  owed        in the {lane} lane, listed {listed}; sent again {next}")?;
    }
    if let Some(entry) = &found.entry {
        let reason = entry.reason.as_str();
        writeln!(out, "  quarantine  {reason}: {}", entry.cause)?;
        let since = time::shown(entry.since, now);
        let next = time::relative(entry.next_at, now);
        writeln!(out, "              since {since}; tried again {} times, next {next}", entry.attempts)?;
    }
    match &life.vendor {
        Some(RecordProbe::There { stamp, hash, .. }) => {
            let stamp = stamp.as_ref().map_or_else(String::new, |stamp| format!("last edited {stamp:?}, "));
            writeln!(out, "  vendor      {stamp}hash {hash}")?;
        }
        Some(RecordProbe::Gone) => writeln!(out, "  vendor      it is not there")?,
        Some(RecordProbe::Missing) => writeln!(out, "  vendor      an empty answer")?,
        Some(RecordProbe::Failed { .. }) | None => {}
    }
    writeln!(out, "  verdict     {}", life.verdict)?;
    if !life.nearest.is_empty() {
        writeln!(out, "  nearest     {}", life.nearest.join(", "))?;
    }
    let (source, stream, id) = (life.source, &life.stream, &life.id);
    if let Some(RecordProbe::Failed { next, .. }) = &life.vendor {
        writeln!(out, "next: {next}")?;
    } else if !life.is_well && !found.is_polled {
        writeln!(out, "next: wait for its first poll, or find out with tidemark doctor {source}")?;
    } else if !life.is_well && (found.entry.is_some() || life.vendor.is_some()) {
        writeln!(out, "next: tidemark fetch {source} {stream} '{id}'  fetches it again now")?;
    }
    Ok(())
}
