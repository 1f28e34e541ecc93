//! A first import that is killed half-way: what its rerun asks of the vendor.

use std::error::Error;

use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::ListShape;
use tidemark_testkit::memory::Operation;
use tidemark_tests::stage::Stage;

use super::{Calls, edit_over, figure};
use crate::row::{Row, at_most};

pub(super) async fn measure() -> Result<Row, Box<dyn Error>> {
    let stage = Stage::new(ListShape::Whole);
    edit_over(365, &stage, 1_000);
    stage.tick().await;
    // Half of the chunks are done when everything dies, one fetcher in the midst of its own.
    for delivery in stage.world.queue.receive(10) {
        if stage.fetch(&delivery).await.is_err() {
            break;
        }
    }
    let killed = stage.world.source.faults().hold_before(Operation::Fetch);
    for delivery in stage.world.queue.receive(1) {
        let dies = async {
            killed.reached().await;
            // The others of its chunk are stored meanwhile.
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = stage.fetch(&delivery) => {}
            () = dies => {}
        }
    }
    stage.world.queue.purge();
    Calls::take(&stage);
    // The poller finds out after three visibility timeouts what is missing.
    for _ in 0..20 {
        stage.wait(300);
        if stage.tick().await.outcome == PollOutcome::Quiet {
            break;
        }
        stage.drain().await;
    }
    let differences = stage.differences().len();
    if differences > 0 {
        return Err(format!("{differences} records differ after a killed import").into());
    }
    let calls = Calls::take(&stage);
    Ok(at_most(
        "a killed first import of 1,000 records, calls of the rerun",
        figure(calls.lists() + calls.details()),
        520.0,
        "",
        "half-way the queue is lost and a fetcher dies",
    ))
}
