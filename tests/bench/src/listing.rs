//! The poller with the real FieldMotion source, in a process of its own: memory while a million ids are listed.

use std::error::Error;
use std::time::Duration;

use tidemark_engine::poll::{PollSettings, Poller};
use tidemark_engine::quarantine::PoisonPolicy;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_testkit::fake::fieldmotion::FakeFieldMotion;

use crate::process::{figures, peak_memory_mb};
use crate::row::{Row, at_most};
use crate::stub::Bare;

const CUSTOMERS: StreamName = StreamName::known("customers");
const IDS: usize = 1_000_000;

pub(crate) async fn measure() -> Result<Vec<Row>, Box<dyn Error>> {
    let vendor = FakeFieldMotion::start().await?;
    vendor.seed_count("customers", IDS)?;
    let figures = figures(&["list", vendor.url()]).await?;
    let [memory] = figures.as_slice() else { return Err("the child printed something else".into()) };
    let what = "poller memory while listing 1,000,000 ids";
    Ok(vec![at_most(what, *memory, 200.0, " MB", "own process, peak resident set")])
}

/// The child: one tick of a first import; prints its peak memory in MB.
pub(crate) async fn child(url: &str) -> Result<(), Box<dyn Error>> {
    let settings = PollSettings {
        overlap: Duration::from_mins(2),
        poison_policy: PoisonPolicy::Block,
        call_interval: Duration::from_millis(500),
        visibility_timeout: Duration::from_mins(12),
        streams: vec![CUSTOMERS],
        chunk_ids: tidemark_engine::chunk::CHUNK_IDS,
    };
    let poller = Poller { ports: Bare::new(SourceKind::FieldMotion, url, Vec::new())?, settings };
    let report = poller.poll(&CUSTOMERS, "bench").await?;
    if report.accepted_count != IDS {
        return Err(format!("{} of {IDS} ids were accepted: {report:?}", report.accepted_count).into());
    }
    println!("{}", peak_memory_mb()?);
    Ok(())
}
