//! The fetcher with a real source, in a process of its own: throughput, CPU and memory, of records that are fetched by id
//! (FieldMotion) and of rows that a message carries (FSM Navigator).

use std::error::Error;
use std::time::Duration;

use tidemark_aws::clock::SystemClock;
use tidemark_engine::change::{Change, ListRequest};
use tidemark_engine::clock::StampMillis;
use tidemark_engine::fetch::Fetcher;
use tidemark_engine::message::{Message, Row as TravellingRow};
use tidemark_engine::ports::{Clock, Ports, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{ChunkKey, Lane};
use tidemark_fakes::fieldmotion::FakeFieldMotion;
use tidemark_fakes::fsmnavigator::FakeFsmNavigator;
use tidemark_fakes::{Effect, Fault};

use crate::process::{cpu_ms, figures, peak_memory_mb};
use crate::row::{Row, at_least, at_most};
use crate::stub::Bare;

const CUSTOMERS: StreamName = StreamName::known("customers");
/// Older than every record of a fake vendor.
const LONG_AGO: StampMillis = StampMillis::new(946_684_800_000);
/// The vendor's latency in the throughput row.
const LATENCY_MS: u64 = 20;
/// The time that is enough for any message here.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let fast = fetched(None, 10_000).await?;
    let slow = fetched(Some(LATENCY_MS), 2_500).await?;
    let row_cpu = taken_from_rows(10_000).await?;
    let [_, cpu, memory] = fast.as_slice() else { return Err("the child printed something else".into()) };
    let [rate, _, _] = slow.as_slice() else { return Err("the child printed something else".into()) };
    Ok(vec![
        at_most(
            "fetcher memory while storing 10,000 records",
            *memory,
            25.0,
            " MB",
            "own process, engine and source, peak resident set",
        ),
        at_most(
            "CPU per record fetched by id",
            *cpu,
            0.05,
            " ms",
            "own process, engine and source over loopback HTTP, without the SDK's writes",
        ),
        at_most(
            "CPU per record taken from a row",
            row_cpu,
            0.01,
            " ms",
            "own process, engine and source, without the SDK's writes; FSM Navigator's customers, 50 to a message",
        ),
        at_least(
            "records per second at 20 ms vendor latency, 10 in flight",
            *rate,
            475.0,
            "own process, no rate limit, 2,500 records; 500 are possible",
        ),
    ])
}

/// Records a second, CPU a record in ms and peak memory in MB of a fetcher that fetches `count` records by id.
async fn fetched(delay_ms: Option<u64>, count: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let vendor = FakeFieldMotion::start().await?;
    vendor.seed_count("customers", count)?;
    if let Some(ms) = delay_ms {
        vendor.fault(Fault::new(Effect::Delay { ms }))?;
    }
    figures(&["fetch", vendor.url(), &count.to_string()]).await
}

/// CPU a record in ms of a fetcher that stores `count` rows.
async fn taken_from_rows(count: usize) -> Result<f64, Box<dyn Error>> {
    let vendor = FakeFsmNavigator::start().await?;
    vendor.seed_count("customers", count)?;
    let printed = figures(&["rows", vendor.url(), &count.to_string()]).await?;
    printed.first().copied().ok_or_else(|| "the child printed nothing".into())
}

/// The child of [`fetched`]: fetches `count` records, fifty a message, and prints the three figures.
pub(crate) async fn ids(url: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let kind = SourceKind::FieldMotion;
    let listing = Bare::new(kind, url, Vec::new())?;
    let page = listing.source().list(&CUSTOMERS, ListRequest::Changed(LONG_AGO)).await?;
    let changes: Vec<Change> = page.changes.into_iter().take(count).collect();
    let (fetcher, messages) = work(kind, url, &changes).await?;
    let (started_at, cpu_before) = (SystemClock.now(), cpu_ms()?);
    store(&fetcher, &messages, count).await?;
    let seconds = SystemClock.now().since(started_at).as_secs_f64();
    let records = f64::from(u32::try_from(count)?);
    println!("{} {} {}", records / seconds, (cpu_ms()? - cpu_before) / records, peak_memory_mb()?);
    Ok(())
}

/// The child of [`taken_from_rows`]: lists `count` rows, then stores them from messages of fifty; prints the figure.
pub(crate) async fn rows(url: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let kind = SourceKind::FsmNavigator;
    let listing = Bare::new(kind, url, Vec::new())?;
    let mut changes = Vec::new();
    for page in 1.. {
        let asked = ListRequest::Page(LONG_AGO, page);
        let answer = listing.source().list(&CUSTOMERS, asked).await?;
        changes.extend(answer.changes);
        if answer.pages_total.is_none_or(|total| page >= total) {
            break;
        }
    }
    changes.truncate(count);
    let (fetcher, messages) = work(kind, url, &changes).await?;
    let cpu_before = cpu_ms()?;
    store(&fetcher, &messages, count).await?;
    println!("{}", (cpu_ms()? - cpu_before) / f64::from(u32::try_from(count)?));
    Ok(())
}

/// A fetcher, and the messages of these changes as the queue holds them.
async fn work(kind: SourceKind, url: &str, changes: &[Change]) -> Result<(Fetcher<Bare>, Vec<String>), Box<dyn Error>> {
    let ids: Vec<RecordId> = changes.iter().map(|change| change.id.clone()).collect();
    let ports = Bare::new(kind, url, ids)?;
    let mark = ports.source().account_mark().await?;
    let stream = StreamKey { source: kind, name: CUSTOMERS };
    let message = |(seq, chunk): (u32, &[Change])| {
        let row = |change: &Change| {
            let row = TravellingRow { body: change.row()?.clone(), stamp: change.stamp().cloned() };
            Some((change.id.clone(), row))
        };
        let key = ChunkKey::new(stream.clone(), Lane::Fresh, None, 1, seq);
        let ids = chunk.iter().map(|change| change.id.clone()).collect();
        serde_json::to_string(&Message::of_chunk(&key, ids, chunk.iter().filter_map(row).collect(), mark.as_str()))
    };
    let messages = (0..).zip(changes.chunks(50)).map(message).collect::<Result<_, _>>()?;
    Ok((Fetcher { ports, call_interval: Duration::ZERO }, messages))
}

/// Has every message read and stored.
async fn store(fetcher: &Fetcher<Bare>, messages: &[String], count: usize) -> Result<(), Box<dyn Error>> {
    let mut written = 0;
    for text in messages {
        let stop_at = SystemClock.now().plus(PATIENCE);
        written += fetcher.fetch(&Message::parse(text)?, 1, stop_at).await?.written_count;
    }
    if written != count {
        return Err(format!("{written} of {count} records were stored").into());
    }
    Ok(())
}
