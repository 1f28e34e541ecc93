//! The fetcher with the real FieldMotion source, in a process of its own: throughput, CPU and memory.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tidemark_aws::clock::SystemClock;
use tidemark_engine::change::ListRequest;
use tidemark_engine::fetch::{Fetcher, FetcherPorts};
use tidemark_engine::message::{MESSAGE_VERSION, Message};
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_testkit::fake::fieldmotion::FakeFieldMotion;
use tidemark_testkit::fake::{Effect, Fault};

use crate::process::{cpu_ms, figures, peak_memory_mb};
use crate::row::{Row, at_most};
use crate::stub::Bare;

const CUSTOMERS: StreamName = StreamName::known("customers");
/// The vendor's latency in the throughput row.
const LATENCY_MS: u64 = 20;

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let fast = figures_against(None, 10_000).await?;
    let slow = figures_against(Some(LATENCY_MS), 2_500).await?;
    let [_, cpu, memory, _] = fast.as_slice() else { return Err("the child printed something else".into()) };
    let [rate, _, _, latency] = slow.as_slice() else { return Err("the child printed something else".into()) };
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
            0.2,
            " ms",
            "own process, engine and source over loopback HTTP, without the SDK's writes",
        ),
        throughput(*rate, *latency),
    ])
}

/// Ten calls in flight can do no more than ten records per latency; that is the latency of a single call as the source
/// sees it, because a delay of 20 ms takes a little longer than that on any machine.
fn throughput(rate: f64, latency_ms: f64) -> Row {
    let possible = 10.0 * 1_000.0 / latency_ms;
    Row {
        what: "records per second at 20 ms vendor latency, 10 in flight",
        measured: format!("{rate:.0}"),
        budget: format!(
            ">= {:.0}, 95 % of the possible {possible:.0} at the measured {latency_ms:.1} ms",
            0.95 * possible
        ),
        is_missed: rate < 0.95 * possible,
        how: "own process, no rate limit, 2,500 records",
        has_budget: true,
        group: "",
    }
}

/// Records a second, CPU a record in ms, peak memory in MB, and a single call's latency in ms, of a fetcher that fetches
/// `count` records.
async fn figures_against(delay_ms: Option<u64>, count: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let vendor = FakeFieldMotion::start().await?;
    vendor.seed_count("customers", count)?;
    if let Some(ms) = delay_ms {
        vendor.fault(Fault::new(Effect::Delay { ms }))?;
    }
    figures(&["fetch", vendor.url(), &count.to_string()]).await
}

/// The child: fetches `count` records, fifty a message, and prints the four figures.
pub(crate) async fn child(url: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let ids = first_ids(url, count).await?;
    let chunks = u32::try_from(ids.len().div_ceil(50))?;
    let fetcher = Fetcher { ports: Bare::new(url, ids)?, call_interval: Duration::ZERO };
    let latency_ms = latency_ms(&fetcher.ports).await?;
    let (started_at, cpu_before) = (SystemClock.now(), cpu_ms()?);
    let mut written = 0;
    for seq in 0..chunks {
        let message = Message {
            version: MESSAGE_VERSION,
            source: SourceKind::FieldMotion,
            stream: CUSTOMERS,
            run: "bench".to_owned(),
            seq,
            epoch: 1,
            ids: fetcher.ports.ids_of(seq).into_iter().collect(),
            listed_at: started_at,
            rows: BTreeMap::new(),
            events: BTreeMap::new(),
        };
        let stop_at = SystemClock.now().plus(Duration::from_mins(1));
        written += fetcher.fetch(&message, 1, stop_at).await?.written_count;
    }
    if written != count {
        return Err(format!("{written} of {count} records were stored").into());
    }
    let records = f64::from(u32::try_from(count)?);
    let seconds = SystemClock.now().since(started_at).as_secs_f64();
    let cpu = (cpu_ms()? - cpu_before) / records;
    println!("{} {cpu} {} {latency_ms}", records / seconds, peak_memory_mb()?);
    Ok(())
}

/// How long one call takes that is made alone.
async fn latency_ms(bare: &Bare) -> Result<f64, Box<dyn Error>> {
    const CALLS: u32 = 50;
    let started_at = SystemClock.now();
    for id in bare.ids_of(0) {
        FetcherPorts::source(bare).fetch(&CUSTOMERS, &id).await?;
    }
    Ok(SystemClock.now().since(started_at).as_secs_f64() * 1_000.0 / f64::from(CALLS))
}

/// The ids that the vendor lists.
async fn first_ids(url: &str, count: usize) -> Result<Vec<RecordId>, Box<dyn Error>> {
    let bare = Bare::new(url, Vec::new())?;
    let from = UtcMillis::new(946_684_800_000);
    let page = FetcherPorts::source(&bare).list(&CUSTOMERS, ListRequest::Changed { from }).await?;
    Ok(page.changes.into_iter().map(|change| change.id).take(count).collect())
}
