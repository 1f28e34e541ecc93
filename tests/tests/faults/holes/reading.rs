//! What quiet ticks read, and how large a message grows.

use tidemark_engine::record::Body;
use tidemark_engine::stream::ListShape;
use tidemark_engine::work::{Lane, Told};
use tidemark_testkit::memory::VendorSettings;
use tidemark_tests::stage::{Stage, ids};

use crate::altered::Altered;
use crate::{NOTHING, left};

/// What SQS takes.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// What an item of DynamoDB holds.
const ITEM_BYTES_MAX: usize = 400 * 1024;

#[tokio::test]
async fn after_a_bulk_edit_quiet_ticks_do_not_read_it_again() {
    for shape in [ListShape::Whole, ListShape::Pages] {
        let stage = Stage::new(shape).known().await;
        stage.edit(ids(2_000));
        stage.play(3).await;
        for _ in 0..4 {
            let report = stage.play(1).await.unwrap();
            assert_eq!((report.listed_count, report.calls_count), (0, 1), "{shape:?}");
        }
        assert_eq!(left(&stage), NOTHING);
    }
}

#[tokio::test]
async fn fifty_events_of_25_kilobytes_make_several_chunks_that_fit() {
    let vendor = VendorSettings { page_rows: 100, ..VendorSettings::new(ListShape::Feed) };
    let stage = Stage::with(vendor).known().await;
    stage.edit(ids(50));
    let source = Altered::new(&stage.world.source).listing(|mut page| {
        for event in page.changes.iter_mut().filter_map(|change| change.listed.as_mut()?.event.as_mut()) {
            *event = Body::new(event.text().replace('}', &format!(",\"notes\":\"{}\"}}", "x".repeat(25 * 1024))));
        }
        page
    });
    stage.try_tick_in(stage.world.behind(source)).await.unwrap();
    let chunks = stage.chunks(Lane::Fresh);
    assert!(chunks.len() >= 6, "{}", chunks.len());
    for chunk in chunks {
        let Told::Events(events) = chunk.told else { panic!("they are events") };
        let bytes: usize = events.values().filter_map(|event| event.body.as_ref()).map(|body| body.text().len()).sum();
        assert!(bytes < ITEM_BYTES_MAX, "{bytes}");
    }
    for message in stage.messages() {
        assert!(serde_json::to_string(&*message).expect("it can be written").len() < MESSAGE_BYTES_MAX);
    }
    stage.drain().await;
    assert_eq!(left(&stage), NOTHING);
}

#[tokio::test]
async fn fifty_rows_of_25_kilobytes_make_several_messages_that_fit() {
    let stage = Stage::new(ListShape::Pages).known().await;
    let now = stage.now();
    for text in ids(50) {
        let body = Body::new(format!("{{\"version\":1,\"id\":\"{text}\",\"notes\":\"{}\"}}", "x".repeat(25 * 1024)));
        stage.vendor(|vendor| vendor.edit_to(&tidemark_tests::stage::id(&text), now, body));
    }
    stage.tick().await;
    assert!(stage.messages().len() >= 6);
    for message in stage.messages() {
        assert!(serde_json::to_string(&*message).expect("it can be written").len() < MESSAGE_BYTES_MAX);
    }
}
