//! The records themselves.

use std::io::Write;

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::value::RawValue;
use tidemark_aws::dynamodb::StoredRecord;
use tidemark_engine::clock::LocalMillis;
use tidemark_engine::record::{RecordId, RecordKey};
use tidemark_engine::stream::StreamKey;

use crate::Ended;
use crate::args::{Format, StreamOf};
use crate::context::Context;
use crate::failure::Failure;
use crate::page;
use crate::stack::Stack;
use crate::time;

/// How many records are asked for at once.
const AT_ONCE: usize = 16;
/// The columns of a table.
const HEAD: &str = "id,last_edited,fetched_at,deleted_because,body";

/// Which records, and how.
pub(super) struct Wanted {
    /// Only those fetched since.
    pub(super) since: Option<LocalMillis>,
    /// Those that are gone, instead of those that are there.
    pub(super) deleted: bool,
    pub(super) format: Format,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    last_edited: Option<&'a str>,
    fetched_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_because: Option<&'a str>,
    body: Option<Box<RawValue>>,
}

pub(super) async fn run(
    context: &mut Context<'_>,
    of: &StreamOf,
    ids: &[RecordId],
    wanted: &Wanted,
) -> Result<Ended, Failure> {
    let stack = context.stack().await?;
    let name = stack.of_records(of.source, &of.stream)?;
    let stream = StreamKey { source: of.source, name };
    if wanted.format == Format::Csv {
        writeln!(context.out, "{HEAD}")?;
    }
    if ids.is_empty() {
        all(context, &stack, &stream, wanted).await
    } else {
        some(context, &stack, &stream, ids, wanted).await
    }
}

async fn all(context: &mut Context<'_>, stack: &Stack, stream: &StreamKey, wanted: &Wanted) -> Result<Ended, Failure> {
    // Hidden where notes do not go to a screen, and where the records themselves show how it goes on.
    let progress = page::counter(context.terminal, "records");
    let mut after = None;
    loop {
        let (records, next) = stack.copy.page(stream, after.as_ref()).await?;
        for record in records.iter().filter(|record| wanted.is(record)) {
            write(context.out, record, wanted.format)?;
            progress.inc(1);
        }
        after = next;
        if after.is_none() {
            progress.finish_and_clear();
            return Ok(Ended::Well);
        }
    }
}

async fn some(
    context: &mut Context<'_>,
    stack: &Stack,
    stream: &StreamKey,
    ids: &[RecordId],
    wanted: &Wanted,
) -> Result<Ended, Failure> {
    let mut missing = Vec::new();
    for batch in ids.chunks(AT_ONCE) {
        let key = |id: &RecordId| RecordKey { source: stream.source, stream: stream.name.clone(), id: id.clone() };
        let keys: Vec<RecordKey> = batch.iter().map(key).collect();
        for (key, record) in keys.iter().zip(try_join_all(keys.iter().map(|key| stack.copy.get(key))).await?) {
            match record {
                Some(record) if wanted.is(&record) => write(context.out, &record, wanted.format)?,
                Some(_) => {}
                None => missing.push(key.id.clone()),
            }
        }
    }
    let Some(first) = missing.first() else { return Ok(Ended::Well) };
    let texts: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let near = stack.copy.ids_from(stream, first, 3).await?;
    let near: Vec<String> = near.iter().map(ToString::to_string).collect();
    context.out.flush()?;
    let near = if near.is_empty() { String::new() } else { format!("; nearest ids: {}", near.join(", ")) };
    writeln!(context.notes, "not stored: {}{near}", texts.join(", "))?;
    writeln!(context.notes, "next: tidemark explain {} {} '{first}'", stream.source, stream.name)?;
    Ok(Ended::WithAttention)
}

impl Wanted {
    fn is(&self, record: &StoredRecord) -> bool {
        record.deleted_because.is_some() == self.deleted && self.since.is_none_or(|since| record.looked_at >= since)
    }
}

fn write(out: &mut dyn Write, record: &StoredRecord, format: Format) -> Result<(), Failure> {
    let body = record.body.as_ref().map(tidemark_engine::record::Body::text);
    match format {
        Format::Jsonl => {
            let line = Line {
                id: record.id.as_str(),
                last_edited: record.stamp.as_deref(),
                fetched_at: time::rfc3339(record.looked_at),
                deleted_because: record.deleted_because.as_deref(),
                body: body
                    .map(|body| RawValue::from_string(body.to_owned()))
                    .transpose()
                    .map_err(std::io::Error::other)?,
            };
            // A vendor's line breaks between fields would break the line; JSON means nothing by them.
            let json = serde_json::to_string(&line).map_err(std::io::Error::other)?;
            Ok(writeln!(out, "{}", json.replace(['\n', '\r'], " "))?)
        }
        Format::Csv => {
            let fetched_at = time::rfc3339(record.looked_at);
            let because = record.deleted_because.as_deref().unwrap_or_default();
            let stamp = record.stamp.as_deref().unwrap_or_default();
            let fields = [record.id.as_str(), stamp, &fetched_at, because, body.unwrap_or_default()];
            Ok(writeln!(out, "{}", fields.map(quoted).join(","))?)
        }
    }
}

/// A field of RFC 4180.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::record::Body;

    use super::*;

    fn written(body: &str, format: Format) -> String {
        let record = StoredRecord {
            id: RecordId::parse("a,b").unwrap(),
            body: Some(Body::new(body)),
            stamp: Some("2026-02-24 10:00:00".to_owned()),
            stamped_at: None,
            looked_at: LocalMillis::new(1_771_929_108_000),
            hash: None,
            event: None,
            deleted_because: None,
        };
        let mut out = Vec::new();
        write(&mut out, &record, format).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_body_is_written_as_it_was_received_on_one_line() {
        let line = written("{\"n\": 1.10,\r\n \"t\":\"a\\nb\"}", Format::Jsonl);
        assert!(line.ends_with("\"body\":{\"n\": 1.10,   \"t\":\"a\\nb\"}}\n"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_field_with_a_comma_or_a_quote_is_quoted() {
        let line = written("{\"n\":1}", Format::Csv);
        assert_eq!(line, "\"a,b\",2026-02-24 10:00:00,2026-02-24T10:31:48Z,,\"{\"\"n\"\":1}\"\n");
    }
}
