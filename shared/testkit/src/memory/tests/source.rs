use std::time::Duration;

use tidemark_engine::change::{Found, ListRequest, Page};
use tidemark_engine::clock::{LocalMillis, StampMillis, VendorMillis};
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::{Clock, Source};
use tidemark_engine::record::RecordId;
use tidemark_engine::stream::{ListShape, StreamName};

use crate::memory::{ManualClock, MemorySource, Vendor, VendorSettings, version_of};

const THINGS: StreamName = StreamName::known("things");
pub(super) const NOW: LocalMillis = LocalMillis::new(1_767_225_600_000);

pub(super) fn id(text: &str) -> RecordId {
    RecordId::parse(text).expect("an id")
}

/// An instant so many milliseconds after [`NOW`], as stamps of a vendor without a zone show it.
pub(super) fn stamped(millis: i64) -> StampMillis {
    StampMillis::new(NOW.get() + millis)
}

pub(super) fn dated(millis: i64) -> VendorMillis {
    VendorMillis::new(NOW.get() + millis)
}

pub(super) fn source(settings: VendorSettings, count: u32) -> (MemorySource, ManualClock) {
    let clock = ManualClock::new(NOW);
    let mut vendor = Vendor::new(settings);
    for number in 0..count {
        vendor.edit(&id(&format!("{number}")), NOW.shifted(-1_000 * i64::from(count - number)), Duration::ZERO);
    }
    (MemorySource::new(vendor, clock.clone()), clock)
}

pub(super) fn ids(page: &Page) -> Vec<&str> {
    let mut ids: Vec<&str> = page.changes.iter().map(|change| change.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

pub(super) async fn changed(source: &MemorySource, from: StampMillis) -> Page {
    source.list(&THINGS, ListRequest::Changed(from)).await.expect("a list")
}

pub(super) async fn fetched(source: &MemorySource, text: &str) -> Found {
    source.fetch(&THINGS, &id(text)).await.expect("an answer").found
}

pub(super) fn version(found: &Found) -> Option<u64> {
    match found {
        Found::Record { body, .. } => version_of(body),
        Found::Gone | Found::Missing => None,
    }
}

#[tokio::test]
async fn an_edit_shows_after_its_lag_under_the_stamp_of_its_second() {
    let (source, clock) = source(VendorSettings::new(ListShape::Whole), 2);
    source.with(|vendor| vendor.edit(&id("0"), NOW.shifted(700), Duration::from_secs(30)));
    clock.advance(Duration::from_secs(1));
    assert!(changed(&source, stamped(-1)).await.changes.is_empty());
    clock.advance(Duration::from_secs(30));
    assert_eq!(ids(&changed(&source, stamped(-1)).await), ["0"]);
    assert!(changed(&source, stamped(0)).await.changes.is_empty(), "the lower bound is excluded");

    let Found::Record { body, stamp, .. } = fetched(&source, "0").await else {
        panic!("it is there");
    };
    let stamp = stamp.expect("a stamp");
    assert_eq!((version_of(&body), stamp.at, stamp.utc), (Some(3), stamped(0), dated(0)));
    assert_eq!(source.stamp(&THINGS, &stamp.text), Some(stamp), "its text says it all");
    assert_eq!(source.stamp(&THINGS, "yesterday"), None);
}

#[tokio::test]
async fn a_deleted_record_leaves_the_list_and_may_come_back() {
    let (source, clock) = source(VendorSettings::new(ListShape::Whole), 2);
    source.with(|vendor| vendor.delete(&id("1"), clock.now(), Duration::ZERO));
    assert_eq!(ids(&changed(&source, StampMillis::new(0)).await), ["0"]);
    assert_eq!(fetched(&source, "1").await, Found::Gone);
    clock.advance(Duration::from_secs(1));
    source.with(|vendor| vendor.edit(&id("1"), clock.now(), Duration::ZERO));
    assert_eq!(ids(&changed(&source, StampMillis::new(0)).await), ["0", "1"]);
    assert_eq!(version(&fetched(&source, "1").await), Some(4));
}

#[tokio::test]
async fn pages_move_while_they_are_read() {
    let settings = VendorSettings { page_rows: 2, ..VendorSettings::new(ListShape::Pages) };
    let (source, clock) = source(settings, 4);
    let page = async |page| {
        let from = StampMillis::new(0);
        source.list(&THINGS, ListRequest::Page(from, page)).await.expect("a page")
    };
    assert_eq!(ids(&page(1).await), ["0", "1"]);
    source.with(|vendor| vendor.edit(&id("0"), clock.now(), Duration::ZERO));
    let second = page(2).await;
    assert_eq!((ids(&second), second.pages_total), (vec!["0", "3"], Some(2)), "2 moved to the first page unseen");
    assert!(second.changes.iter().all(|change| change.row().is_some() && change.stamp().is_some()));
    source.with(|vendor| vendor.unstamped.insert(id("3")));
    let unstamped = page(2).await;
    let stamps: Vec<bool> = unstamped.changes.iter().map(|change| change.stamp().is_some()).collect();
    assert_eq!(stamps, [false, true]);
}

#[tokio::test]
async fn a_feed_goes_on_from_its_token_until_that_expires() {
    let settings =
        VendorSettings { page_rows: 3, token_life: Duration::from_mins(1), ..VendorSettings::new(ListShape::Feed) };
    let (source, clock) = source(settings, 4);
    let told = async |token: &str| source.list(&THINGS, ListRequest::Events(token)).await;
    let newest = source.list(&THINGS, ListRequest::NewestToken).await.expect("a token").next.expect("a token");
    source.with(|vendor| vendor.delete(&id("2"), clock.now(), Duration::ZERO));
    let page = told(&newest).await.expect("events");
    assert_eq!((ids(&page), page.changes[0].deleted), (vec!["widgets/2"], true));
    let end = page.next.expect("the next token");
    assert!(told(&end).await.expect("no events").changes.is_empty());
    assert!(!told("t0").await.expect("events").changes[0].deleted);

    let (stream, record) = source.record_of(&THINGS, &id("widgets/2")).expect("a locator");
    assert_eq!((stream.as_str(), record.as_str()), ("widgets", "2"));
    let none = source.record_of(&THINGS, &id("2")).expect_err("no locator");
    assert_eq!(none.class, FailureClass::Record);

    let snapshot = async |cursor| source.list(&THINGS, ListRequest::Snapshot(cursor)).await.expect("a page");
    let first = snapshot(None).await;
    assert_eq!((ids(&first), first.next.as_deref()), (vec!["widgets/0", "widgets/1", "widgets/3"], Some("3")));
    assert!(snapshot(Some("3")).await.changes.is_empty());

    clock.advance(Duration::from_secs(61));
    assert_eq!(told(&newest).await.expect_err("expired").class, FailureClass::TokenRejected);
    assert!(told(&end).await.is_ok(), "the newest token stands for no event that could be purged");
}

#[tokio::test]
async fn a_source_asks_the_vendor_of_each_stream() {
    let clock = ManualClock::new(NOW);
    let vendor_of = |name, shape, text: &str| {
        let mut settings = VendorSettings::new(shape);
        settings.stream.name = StreamName::known(name);
        let mut vendor = Vendor::new(settings);
        vendor.edit(&id(text), NOW, Duration::ZERO);
        vendor
    };
    let jobs = vendor_of("jobs", ListShape::Pages, "job");
    let source = MemorySource::new(vendor_of("customers", ListShape::Whole, "customer"), clock).and(jobs);
    assert_eq!(source.streams().iter().map(|traits| traits.name.as_str()).collect::<Vec<_>>(), ["customers", "jobs"]);
    let from = StampMillis::new(0);
    let (customers, jobs) = (StreamName::known("customers"), StreamName::known("jobs"));
    let page = source.list(&jobs, ListRequest::Page(from, 1)).await.expect("a page");
    assert_eq!(ids(&page), ["job"]);
    let list = source.list(&customers, ListRequest::Changed(from)).await.expect("a list");
    assert_eq!(ids(&list), ["customer"]);
    assert_eq!(source.fetch(&customers, &id("job")).await.expect("an answer").found, Found::Gone);
    let other = source.list(&THINGS, ListRequest::Changed(from)).await.expect_err("no such stream");
    assert_eq!(other.class, FailureClass::Forbidden);
}

#[tokio::test]
async fn failures_are_as_scripted() {
    let (source, clock) = source(VendorSettings::new(ListShape::Whole), 2);
    source.with(|vendor| vendor.failures.push_back(FailureClass::Unauthorized));
    source.with(|vendor| vendor.poison(&id("0"), NOW.shifted(1_000)));
    source.with(|vendor| vendor.fail(&id("1"), FailureClass::Transient, NOW.shifted(1_000)));
    let class = async |text| source.fetch(&THINGS, &id(text)).await.map_err(|failure| failure.class).err();
    assert_eq!(class("0").await, Some(FailureClass::Unauthorized));
    assert_eq!((class("0").await, class("1").await), (Some(FailureClass::Record), Some(FailureClass::Transient)));
    clock.advance(Duration::from_secs(1));
    assert_eq!((class("0").await, class("1").await), (None, None));
    source.with(|vendor| vendor.killers.insert(id("0"), NOW.shifted(5_000)));
    assert!(source.with(|vendor| vendor.kills(&id("0"), NOW) && !vendor.kills(&id("0"), NOW.shifted(5_000))));
}
