use tidemark_aws::dynamodb::{CheckpointTable, LedgerTable};
use tidemark_engine::stamp::UtcMillis;
use tidemark_testkit::memory::ManualClock;
use tidemark_testkit::model::{Effort, check};

use crate::cloud::{OwnTable, emulator};

#[test]
fn the_real_tables_keep_every_condition() {
    let effort = Effort { lists: 65, steps: 60 };
    let not_taken = check(effort, async |case| {
        let sdk = emulator().await;
        let stream = OwnTable::new(&sdk, "model-stream", "stream_key", None).await;
        let items = OwnTable::new(&sdk, "model-ledger", "partition", Some("item")).await;
        let ledger = LedgerTable::new(&sdk, &items.name, ManualClock::hasty(UtcMillis::new(1_800_000_000_000)));
        let taken = Box::pin(case.play(&CheckpointTable::new(&sdk, &stream.name), &ledger)).await;
        stream.gone().await;
        items.gone().await;
        taken
    });
    assert!(not_taken.is_empty(), "each condition is to hold and not to hold at least once, but: {not_taken:?}");
}
