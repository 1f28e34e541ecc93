//! Faults 20 and 57: records that break the program, and more of them than a stream may have.

use std::time::Duration;

use tidemark_engine::change::{Detail, ListRequest, Page};
use tidemark_engine::failure::{FailureClass, SourceFailure};
use tidemark_engine::fetch::{Fetcher, FetcherPorts};
use tidemark_engine::poll::{Notice, PollOutcome};
use tidemark_engine::ports::Source;
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, SourceKind, StreamName, StreamTraits};
use tidemark_testkit::memory::{ManualClock, MemorySource, MemoryTables, SeededRandom, VendorSettings};
use tidemark_tests::stage::{Stage, World, id, ids};

use super::left;

/// A source whose program has a defect that one record brings out.
struct Defective(MemorySource);

impl Source for Defective {
    fn kind(&self) -> SourceKind {
        self.0.kind()
    }

    fn streams(&self) -> &[StreamTraits] {
        self.0.streams()
    }

    async fn list(&self, stream: &StreamName, request: ListRequest<'_>) -> Result<Page, SourceFailure> {
        self.0.list(stream, request).await
    }

    async fn fetch(&self, stream: &StreamName, id: &RecordId) -> Result<Detail, SourceFailure> {
        assert_ne!(id.as_str(), "trap", "a defect");
        self.0.fetch(stream, id).await
    }
}

/// The world with that source.
struct WithDefect {
    world: World,
    source: Defective,
}

impl FetcherPorts for WithDefect {
    type Source = Defective;
    type Ledger = MemoryTables;
    type Records = MemoryTables;
    type Clock = ManualClock;
    type Random = SeededRandom;

    fn source(&self) -> &Defective {
        &self.source
    }

    fn ledger(&self) -> &MemoryTables {
        FetcherPorts::ledger(&self.world)
    }

    fn records(&self) -> &MemoryTables {
        self.world.records()
    }

    fn clock(&self) -> &ManualClock {
        FetcherPorts::clock(&self.world)
    }

    fn random(&self) -> &SeededRandom {
        FetcherPorts::random(&self.world)
    }
}

#[tokio::test]
async fn a_record_that_makes_the_program_panic_is_set_aside_alone() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "trap", "z"]);
    stage.tick().await;
    let delivery = stage.world.queue.receive(1).pop().expect("it is there");
    let ports = WithDefect { world: stage.world.clone(), source: Defective(stage.world.source.clone()) };
    let fetcher = Fetcher { ports, call_interval: Duration::from_millis(1) };
    let stop_at = stage.now().plus(Duration::from_mins(2));
    let report = fetcher.fetch(&delivery.message, 1, stop_at).await.expect("the fetch works");
    assert_eq!(report.poisoned.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&id("trap")]);
    assert_eq!((report.acknowledged, report.written_count), (true, 2));
    stage.world.queue.delete(&delivery);
    stage.tick().await;
    assert_eq!((stage.quarantined(), stage.differences()), (vec!["trap".to_owned()], vec!["trap".to_owned()]));
}

#[tokio::test]
async fn more_than_a_thousand_poison_records_freeze_their_stream_and_nothing_is_lost() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(1_001);
    stage.edit(all.iter().map(String::as_str));
    let heals_at = stage.now().plus(Duration::from_hours(48));
    stage.world.source.with(|vendor| all.iter().for_each(|text| vendor.poison(&id(text), heals_at)));
    let frozen = loop {
        assert!(stage.now() < heals_at, "it never froze: {} in quarantine", stage.quarantined().len());
        let report = stage.tick().await;
        if report.outcome == PollOutcome::Frozen {
            break report;
        }
        stage.drain().await;
        stage.wait(60);
    };
    let notice = Notice::QuarantineFull { count: 1_001 };
    assert_eq!((notice.needs_attention(), frozen.notices.contains(&notice)), (true, true), "{frozen:?}");
    // WHILE it is frozen nothing new is listed, and nothing is committed past what is missing
    let before = stage.checkpoint();
    stage.edit(["fresh"]);
    let report = stage.tick().await;
    assert_eq!((report.outcome, report.listed_count), (PollOutcome::Frozen, 0));
    assert_eq!(stage.checkpoint().committed, before.committed);
    // WHEN the records heal, they drain by themselves, and what came meanwhile is found
    stage.wait(48 * 3_600);
    for _ in 0..40 {
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
    }
    assert_eq!(left(&stage), (0, 0, 0));
    let drained = stage.checkpoint();
    assert_eq!(drained.committed, drained.scanned);
}

#[tokio::test]
async fn a_run_goes_no_further_than_a_full_quarantine_and_goes_on_when_it_drains() {
    // GIVEN a first import of which no record can be stored
    let stage = Stage::new(ListShape::Whole);
    stage.settings.borrow_mut().call_interval = Duration::from_secs(1);
    let all = ids(3_000);
    stage.edit(all.iter().map(String::as_str));
    let heals_at = stage.now().plus(Duration::from_hours(48));
    stage.world.source.with(|vendor| all.iter().for_each(|text| vendor.poison(&id(text), heals_at)));
    let mut is_told = false;
    for _ in 0..60 {
        is_told |= stage.tick().await.notices.iter().any(|notice| matches!(notice, Notice::QuarantineFull { .. }));
        stage.drain().await;
        stage.wait(300);
    }
    // THEN it stops within a window of the limit
    let count = stage.quarantined().len();
    assert!(is_told && (1_001..=1_001 + 15 * 50).contains(&count), "{count}");
    // and once the records are mended everything arrives
    stage.wait(48 * 3_600);
    for _ in 0..400 {
        stage.tick().await;
        stage.drain().await;
        stage.wait(1_800);
    }
    assert_eq!(left(&stage), (0, 0, 0));
}

#[tokio::test]
async fn a_record_for_which_the_vendor_always_fails_is_set_aside_and_the_stream_goes_on() {
    let stage = Stage::new(ListShape::Whole);
    stage.edit(["a", "b", "broken"]);
    stage.world.source.with(|vendor| vendor.broken.insert(id("broken"), FailureClass::Transient));
    for _ in 0..10 {
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
    }
    assert_eq!(stage.quarantined(), ["broken"]);
    // WHEN another is edited, it arrives
    stage.edit(["a"]);
    for _ in 0..4 {
        stage.sync().await;
        stage.wait(300);
    }
    assert_eq!(stage.differences(), ["broken"]);
    // and so does that one, once the vendor is mended
    stage.world.source.with(|vendor| vendor.broken.clear());
    stage.wait(24 * 3_600);
    stage.sync().await;
    assert_eq!(left(&stage), (0, 0, 0));
}

#[tokio::test]
async fn an_outage_of_details_alone_sets_nothing_aside() {
    let stage = Stage::new(ListShape::Whole);
    let all = ids(40);
    stage.edit(all.iter().map(String::as_str));
    let fails = |text: &String| (id(text), FailureClass::Transient);
    stage.world.source.with(|vendor| vendor.broken = all.iter().map(fails).collect());
    for _ in 0..30 {
        stage.tick().await;
        stage.drain().await;
        stage.wait(300);
    }
    assert_eq!(stage.quarantined(), Vec::<String>::new());
    stage.world.source.with(|vendor| vendor.broken.clear());
    stage.wait(1_800);
    stage.settle().await;
    assert_eq!(left(&stage), (0, 0, 0));
}

#[tokio::test]
async fn records_that_vanish_behind_a_feed_are_set_aside_and_the_feed_goes_on() {
    let stage = Stage::with(VendorSettings { page_rows: 100, ..VendorSettings::new(ListShape::Feed) });
    stage.edit(["first"]);
    stage.settle().await;
    // GIVEN twelve records that were deleted after their events, which the feed tells of by the next run
    let all = ids(12);
    stage.edit(all.iter().map(String::as_str));
    stage.tick().await;
    stage.delete(all.iter().map(String::as_str));
    stage.drain().await;
    let report = stage.tick().await;
    assert!(report.committed.is_some(), "{report:?}");
    assert_eq!(stage.quarantined().len(), 12);
    // THEN other records go on, and so do these, once the feed tells of their deletions
    stage.edit(["first"]);
    for _ in 0..8 {
        stage.wait(300);
        stage.sync().await;
    }
    let (gone, kept) = stage.world.tables.with(|tables| {
        let gone = tables.records.values().filter(|record| record.deleted.is_some()).count();
        (gone, tables.records.len() - gone)
    });
    assert_eq!((gone, kept, stage.quarantined().len()), (12, 1, 0));
}
