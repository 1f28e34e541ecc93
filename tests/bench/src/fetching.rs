//! The fetcher with the real FieldMotion source, in a process of its own: throughput, CPU and memory.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use tidemark_aws::clock::SystemClock;
use tidemark_engine::fetch::Fetcher;
use tidemark_engine::message::{MESSAGE_VERSION, Message};
use tidemark_engine::ports::Clock;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_testkit::fake::fieldmotion::FakeFieldMotion;
use tidemark_testkit::fake::{Effect, Fault};

use crate::process::{cpu_ms, figures, peak_memory_mb};
use crate::row::{Row, at_least, at_most};
use crate::stub::Bare;

const CUSTOMERS: StreamName = StreamName::known("customers");
/// The vendor's latency in the throughput row.
const LATENCY_MS: u64 = 20;

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let fast = figures_against(None, 10_000).await?;
    let slow = figures_against(Some(LATENCY_MS), 2_500).await?;
    let [_, cpu, memory] = fast.as_slice() else { return Err("the child printed something else".into()) };
    let [rate, _, _] = slow.as_slice() else { return Err("the child printed something else".into()) };
    Ok(vec![
        at_most("fetcher memory while storing 10,000 records", *memory, 25.0, " MB", "own process, peak resident set"),
        at_most("CPU per record fetched by id", *cpu, 0.2, " ms", "own process, 10,000 records over loopback HTTP"),
        at_least(
            "records per second at 20 ms vendor latency, 10 in flight",
            *rate,
            475.0,
            "",
            "own process, no rate limit",
        ),
    ])
}

/// Records a second, CPU a record in ms, and peak memory in MB of a fetcher that fetches `count` records.
async fn figures_against(delay_ms: Option<u64>, count: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let vendor = FakeFieldMotion::start().await?;
    vendor.seed_count("customers", count)?;
    if let Some(ms) = delay_ms {
        vendor.fault(Fault::new(Effect::Delay { ms }))?;
    }
    figures(&["fetch", vendor.url(), &count.to_string()]).await
}

/// The child: fetches `count` records, fifty a message, and prints the three figures.
pub(crate) async fn child(url: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let ids = first_ids(url, count).await?;
    let chunks = u32::try_from(ids.len().div_ceil(50))?;
    let fetcher = Fetcher { ports: Bare::new(url, ids)?, call_interval: Duration::ZERO };
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
    println!("{} {} {}", records / seconds, (cpu_ms()? - cpu_before) / records, peak_memory_mb()?);
    Ok(())
}

/// The ids that the vendor lists.
async fn first_ids(url: &str, count: usize) -> Result<Vec<RecordId>, Box<dyn Error>> {
    use tidemark_engine::change::ListRequest;
    use tidemark_engine::fetch::FetcherPorts;
    use tidemark_engine::ports::Source;
    use tidemark_engine::stamp::UtcMillis;
    let bare = Bare::new(url, Vec::new())?;
    let from = UtcMillis::new(946_684_800_000);
    let page = FetcherPorts::source(&bare).list(&CUSTOMERS, ListRequest::Changed { from }).await?;
    Ok(page.changes.into_iter().map(|change| change.id).take(count).collect())
}
