use std::time::Duration;

use tidemark_engine::change::{Found, ListRequest, Page};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stamp::UtcMillis;
use tidemark_engine::stream::{ListShape, StreamName};

use crate::memory::{DateHeader, ManualClock, MemorySource, Vendor, VendorSettings, version_of};

const THINGS: StreamName = StreamName::known("things");
const NOW: UtcMillis = UtcMillis::new(1_767_225_600_000);

fn id(text: &str) -> RecordId {
    RecordId::parse(text).expect("an id")
}

fn source(settings: VendorSettings, count: u32) -> (MemorySource, ManualClock) {
    let clock = ManualClock::new(NOW);
    let mut vendor = Vendor::new(settings);
    for number in 0..count {
        vendor.edit(&id(&format!("{number}")), NOW.shifted(-1_000 * i64::from(count - number)), Duration::ZERO);
    }
    (MemorySource::new(vendor, clock.clone()), clock)
}

fn ids(page: &Page) -> Vec<&str> {
    let mut ids: Vec<&str> = page.changes.iter().map(|change| change.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

async fn changed(source: &MemorySource, from: UtcMillis) -> Page {
    source.list(&THINGS, ListRequest::Changed { from }).await.expect("a list")
}

#[tokio::test]
async fn an_edit_shows_after_its_lag_under_the_stamp_of_its_second() {
    let (source, clock) = source(VendorSettings::new(ListShape::Whole), 2);
    source.with(|vendor| vendor.edit(&id("0"), NOW.shifted(700), Duration::from_secs(30)));
    clock.advance(Duration::from_secs(1));
    assert!(changed(&source, NOW.shifted(-1)).await.changes.is_empty());
    clock.advance(Duration::from_secs(30));
    assert_eq!(ids(&changed(&source, NOW.shifted(-1)).await), ["0"]);
    assert!(changed(&source, NOW).await.changes.is_empty(), "the lower bound is excluded");

    let Found::Record { body, stamp, .. } = source.fetch(&THINGS, &id("0")).await.expect("a detail").found else {
        panic!("it is there");
    };
    assert_eq!((version_of(&body), stamp.map(|stamp| stamp.at)), (Some(3), Some(NOW)));
}

#[tokio::test]
async fn a_deleted_record_leaves_the_list_and_is_gone() {
    let (source, clock) = source(VendorSettings::new(ListShape::Whole), 2);
    source.with(|vendor| vendor.delete(&id("1"), clock.now(), Duration::ZERO));
    assert_eq!(ids(&changed(&source, UtcMillis::new(0)).await), ["0"]);
    assert_eq!(source.fetch(&THINGS, &id("1")).await.expect("an answer").found, Found::Gone);
}

#[tokio::test]
async fn pages_move_while_they_are_read() {
    let settings = VendorSettings { page_rows: 2, ..VendorSettings::new(ListShape::Pages) };
    let (source, clock) = source(settings, 4);
    let page = async |page| {
        let from = UtcMillis::new(0);
        source.list(&THINGS, ListRequest::Page { from, page }).await.expect("a page")
    };
    assert_eq!(ids(&page(1).await), ["0", "1"]);
    source.with(|vendor| vendor.edit(&id("0"), clock.now(), Duration::ZERO));
    let second = page(2).await;
    assert_eq!((ids(&second), second.pages_total), (vec!["0", "3"], Some(2)), "2 moved to the first page unseen");
    assert!(second.changes.iter().all(|change| change.row().is_some() && change.stamp().is_some()));
}

#[tokio::test]
async fn a_feed_goes_on_from_its_token_until_that_expires() {
    let settings =
        VendorSettings { page_rows: 3, token_life: Duration::from_mins(1), ..VendorSettings::new(ListShape::Feed) };
    let (source, clock) = source(settings, 4);
    let told = async |token: &str| source.list(&THINGS, ListRequest::Events { token }).await;
    let newest = source.list(&THINGS, ListRequest::NewestToken).await.expect("a token").next.expect("a token");
    source.with(|vendor| vendor.delete(&id("2"), clock.now(), Duration::ZERO));
    let page = told(&newest).await.expect("events");
    assert_eq!(ids(&page), ["-widgets/2"]);
    let end = page.next.expect("the next token");
    assert!(told(&end).await.expect("no events").changes.is_empty());

    let (stream, record) = source.record_of(&THINGS, &id("-widgets/2")).expect("a locator");
    assert_eq!((stream.as_str(), record.as_str()), ("widgets", "2"));

    let snapshot = async |cursor| source.list(&THINGS, ListRequest::Snapshot { cursor }).await.expect("a page");
    let first = snapshot(None).await;
    assert_eq!((ids(&first), first.next.as_deref()), (vec!["widgets/0", "widgets/1", "widgets/3"], Some("3")));
    assert!(snapshot(Some("3")).await.changes.is_empty());

    clock.advance(Duration::from_secs(61));
    assert_eq!(told(&newest).await.expect_err("expired").class, FailureClass::TokenRejected);
    assert!(told(&end).await.is_ok(), "the newest token stands for no event that could be purged");
}

#[tokio::test]
async fn failures_poison_and_clocks_are_as_scripted() {
    let settings = VendorSettings {
        date: DateHeader::Skewed(-600_000),
        zone_shift: 3_600_000,
        ..VendorSettings::new(ListShape::Whole)
    };
    let (source, clock) = source(settings, 1);
    assert_eq!(changed(&source, UtcMillis::new(0)).await.date, Some(NOW.shifted(-600_000)));
    assert_eq!(ids(&changed(&source, NOW.shifted(3_598_000)).await), ["0"], "stamps and bounds are misread alike");
    assert!(changed(&source, NOW.shifted(3_599_000)).await.changes.is_empty());

    source.with(|vendor| vendor.failures.push_back(FailureClass::Unauthorized));
    source.with(|vendor| vendor.poison(&id("0"), NOW.shifted(1_000)));
    let class = async || source.fetch(&THINGS, &id("0")).await.map_err(|failure| failure.class).err();
    assert_eq!(class().await, Some(FailureClass::Unauthorized));
    assert_eq!(class().await, Some(FailureClass::Record));
    clock.advance(Duration::from_secs(1));
    assert_eq!(class().await, None);
}
