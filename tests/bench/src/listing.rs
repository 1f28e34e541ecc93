//! The poller with the real FieldMotion source, in a process of its own: memory while a million ids are listed, by a first
//! import, by a stream in use whose records were all edited, and by a sweep.

use std::error::Error;
use std::time::Duration;

use tidemark_aws::clock::SystemClock;
use tidemark_engine::clock::StampMillis;
use tidemark_engine::poll::{PollSettings, Poller};
use tidemark_engine::ports::Clock;
use tidemark_engine::position::Position;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_engine::work::{CHUNK_IDS, PoisonPolicy};
use tidemark_fakes::fieldmotion::FakeFieldMotion;

use crate::process::{figures, peak_memory_mb};
use crate::row::{Row, at_most};
use crate::stub::Bare;

const CUSTOMERS: StreamName = StreamName::known("customers");
const IDS: usize = 1_000_000;
/// Older than every record of a fake vendor.
const LONG_AGO: StampMillis = StampMillis::new(946_684_800_000);

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let vendor = FakeFieldMotion::start().await?;
    let ids = vendor.seed_count("customers", IDS)?;
    let mut rows = Vec::new();
    for (what, case) in [
        ("poller memory per id, import of 1,000,000", "import"),
        ("poller memory per id, bulk edit of 1,000,000", "edit"),
    ] {
        let figures = figures(&["list", vendor.url(), case]).await?;
        let [bytes] = figures.as_slice() else { return Err("the child printed something else".into()) };
        let how = "own process, one tick: peak resident set less that before the tick, by id";
        rows.push(at_most(what, *bytes, 200.0, " bytes", how));
    }
    let first = ids.first().ok_or("there are no ids")?;
    let figures = figures(&["sweep", vendor.url(), first]).await?;
    let [megabytes] = figures.as_slice() else { return Err("the child printed something else".into()) };
    let how = "own process, one sweep of a copy that agrees: peak resident set";
    rows.push(at_most("poller memory during a sweep of 1,000,000 ids", *megabytes, 200.0, " MB", how));
    Ok(rows)
}

/// The child: one tick that lists a million ids; prints the bytes that it took for each.
pub(crate) async fn child(url: &str, case: &str) -> Result<(), Box<dyn Error>> {
    let settings = settings();
    let ports = Bare::new(SourceKind::FieldMotion, url, Vec::new())?;
    if case == "edit" {
        ports.put_in_use(&CUSTOMERS, Position::At(LONG_AGO)).await?;
    }
    let poller = Poller { ports, settings };
    let before = peak_memory_mb()?;
    let report = poller.poll(&CUSTOMERS, "bench").await?;
    if report.owed_count != IDS {
        return Err(format!("{} of {IDS} ids were owed: {report:?}", report.owed_count).into());
    }
    println!("{}", (peak_memory_mb()? - before) * 1_048_576.0 / f64::from(u32::try_from(IDS)?));
    Ok(())
}

/// The child: one sweep of a copy that holds all that is listed, from this id on; prints the most memory that it had.
pub(crate) async fn sweep(url: &str, first: u32) -> Result<(), Box<dyn Error>> {
    let ports = Bare::new(SourceKind::FieldMotion, url, Vec::new())?.with_copy(first, u32::try_from(IDS)?)?;
    ports.put_in_use(&CUSTOMERS, Position::At(LONG_AGO)).await?;
    let poller = Poller { ports, settings: settings() };
    tidemark_sweep::ask(&poller.ports, &StreamKey { source: SourceKind::FieldMotion, name: CUSTOMERS }, None).await?;
    let until = SystemClock.now().plus(Duration::from_mins(10));
    let report = tidemark_sweep::go_on(&poller, &CUSTOMERS, until).await?;
    let found = report.proof.as_ref().map(|proof| (proof.listed, proof.missing, proof.extra));
    if found != Some((u64::try_from(IDS)?, 0, 0)) {
        return Err(format!("the sweep found something else: {report:?}").into());
    }
    println!("{}", peak_memory_mb()?);
    Ok(())
}

fn settings() -> PollSettings {
    PollSettings {
        overlap: Duration::from_mins(2),
        poison_policy: PoisonPolicy::Block,
        call_interval: Duration::from_millis(500),
        poll_interval: Duration::from_mins(5),
        fetcher_timeout: Duration::from_mins(2),
        visibility_timeout: Duration::from_mins(12),
        streams: vec![CUSTOMERS],
        chunk_ids: CHUNK_IDS,
    }
}
