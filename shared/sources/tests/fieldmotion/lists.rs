//! Lists of changed ids.

use std::time::Duration;

use tidemark_engine::change::Found;
use tidemark_engine::clock::{StampMillis, VendorMillis};
use tidemark_engine::ports::Source;
use tidemark_fakes::fieldmotion::{DetailShape, ListOrder, ListShape};
use tidemark_fakes::{Add, Change, ClockChange, DateHeader, Fault};
use tidemark_sweep::ports::Shown;
use tidemark_sweep::state::Absence;

use crate::account::{STREAMS, account, stream};
use crate::support::answer;

#[tokio::test]
async fn every_stream_is_listed_and_fetched_in_every_shape() {
    let account = account("{}").await;
    for name in STREAMS {
        account.vendor.seed_count(name, 12).unwrap();
    }
    let shapes = [ListShape::Strings, ListShape::Numbers, ListShape::Rows, ListShape::Gaps];
    let details = [DetailShape::Object, DetailShape::Array, DetailShape::Keyed, DetailShape::Object];
    for (list_shape, detail_shape) in shapes.into_iter().zip(details) {
        account.vendor.configure(|settings| {
            settings.list_shape = list_shape;
            settings.detail_shape = detail_shape;
            settings.list_order = ListOrder::Shuffled;
        });
        for traits in account.source.streams() {
            // The others are in rows.rs.
            let Some(name) = STREAMS.into_iter().find(|name| *name == traits.name.as_str()) else { continue };
            let truth = account.vendor.truth(name).unwrap();
            let mut ids = account.listed(name).await;
            ids.sort();
            assert_eq!(ids, truth.keys().cloned().collect::<Vec<_>>(), "{name} {list_shape:?}");
            for (text, record) in &truth {
                let (id, body, stamp) = account.fetched(name, text).await;
                assert_eq!(&id, text);
                if traits.stamped {
                    assert_eq!(stamp, Some(StampMillis::new(record.last_edited_ms)), "{name}");
                    assert!(body.contains("\"last_edited\":"), "{name}: {body}");
                } else {
                    assert_eq!((body, stamp), (format!("{{\"id\":\"{text}\"}}"), None));
                }
            }
        }
    }
    assert_eq!(account.vendor.request_counts().refused, 0);
}

#[tokio::test]
async fn only_changes_after_the_bound_are_listed() {
    let account = account("{}").await;
    account.vendor.seed_count("jobs", 3).unwrap();
    let now = StampMillis::new(account.vendor.now_ms());
    let hour = Duration::from_hours(1);
    assert!(
        account.list_from("jobs", now.minus(hour)).await.unwrap().changes.is_empty(),
        "an empty list is no failure"
    );
    account.vendor.edit(Change::of("jobs", "622082")).unwrap();
    let page = account.list_from("jobs", now.minus(hour)).await.unwrap();
    assert_eq!(page.changes.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["622082"]);
    assert_eq!(page.date.map(|date| date.get() / 1000), Some(now.get() / 1000));
}

#[tokio::test]
async fn jobs_of_one_form_can_be_asked_for() {
    let account = account(r#"{"jobs_form_id":"999"}"#).await;
    account.vendor.seed_count("jobs", 3).unwrap();
    account.vendor.edit(Change::of("jobs", "622082").set("form_id", "999")).unwrap();
    account.vendor.seed_count("customers", 1).unwrap();
    assert_eq!(account.listed("jobs").await, ["622082"]);
    assert_eq!(account.listed("customers").await.len(), 1);
    let requests = account.vendor.requests();
    assert_eq!(requests[0].parameters, ["from", "form_id", "_api_now", "_api_md5", "_api_id"]);
    assert_eq!(requests[1].parameters, ["from", "_api_now", "_api_md5", "_api_id"]);
}

#[tokio::test]
async fn naive_times_are_in_the_configured_zone() {
    let account = account(r#"{"timezone":"Africa/Lagos"}"#).await;
    account.vendor.configure(|vendor| vendor.zone_offset_seconds = 3600);
    account.vendor.seed_count("assets", 2).unwrap();
    let at = VendorMillis::new(account.vendor.now_ms());
    let now = account.source.reading(at);
    assert_eq!(now.get(), at.get() + 3_600_000);
    account.vendor.edit(Change::of("assets", "556200")).unwrap();
    let minute = Duration::from_mins(1);
    assert_eq!(account.list_from("assets", now.minus(minute)).await.unwrap().changes.len(), 1);
    assert_eq!(account.list_from("assets", now.plus(minute)).await.unwrap().changes.len(), 0);
    let (_, _, stamp) = account.fetched("assets", "556200").await;
    assert_eq!(stamp.map(|at| at.get() / 1000), Some(now.get() / 1000));
    let Found::Record { stamp: Some(stamp), .. } = account.fetch("assets", "556200").await.unwrap().found else {
        panic!("no stamp")
    };
    assert_eq!(stamp.utc.get() / 1000, at.get() / 1000);
    assert_eq!(account.source.stamp(&stream("assets"), &stamp.text), Some(stamp));
}

#[tokio::test]
async fn entries_without_an_id_are_counted_and_the_others_kept() {
    let account = account("{}").await;
    account.vendor.fault(Fault::new(answer(200, r#"["1",2,"",null,["3"],"1"]"#))).unwrap();
    let page = account.list("customers").await.unwrap();
    assert_eq!(page.unusable_count, 3);
    assert_eq!(page.changes.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    account.vendor.clear_faults();
    account.vendor.fault(Fault::new(answer(200, r#"["1",null,NaN,[],{"x":-Infinity},{"id":"2","x":NaN}]"#))).unwrap();
    let page = account.list("customers").await.unwrap();
    assert_eq!(page.unusable_count, 4);
    assert_eq!(page.changes.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn ids_that_begin_with_a_minus_are_ids_like_any_other() {
    let account = account("{}").await;
    for text in ["-5", "-0", "-"] {
        account.vendor.add(Add::with_id("customers", text)).unwrap();
    }
    assert_eq!(account.listed("customers").await, ["-5", "-0", "-"]);
    let page = account.list("customers").await.unwrap();
    assert!(page.changes.iter().all(|change| !change.deleted));
    assert_eq!(account.fetched("customers", "-0").await.0, "-0");
}

#[tokio::test]
async fn a_list_in_a_wrapper_is_read() {
    let account = account("{}").await;
    account.vendor.fault(Fault::new(answer(200, r#"{"ok":1,"ids":{"0":"1","2":"3"},"total":2}"#))).unwrap();
    assert_eq!(account.listed("customers").await, ["1", "3"]);
    account.vendor.clear_faults();
    account.vendor.fault(Fault::new(answer(200, r#"{"ids":null,"total":0}"#))).unwrap();
    assert_eq!(account.listed("customers").await, [""; 0]);
}

#[tokio::test]
async fn the_vendors_clock_comes_with_every_answer_that_has_one() {
    let account = account("{}").await;
    account.vendor.seed_count("customers", 1).unwrap();
    let now = account.vendor.now_ms().div_euclid(1000) * 1000;
    for (date, expected) in [
        (DateHeader::Present, Some(VendorMillis::new(now))),
        (DateHeader::SkewedSeconds(-86_400), Some(VendorMillis::new(now - 86_400_000))),
        (DateHeader::Absent, None),
    ] {
        account.vendor.change_clock(ClockChange { date: Some(date), ..ClockChange::default() });
        assert_eq!(account.list("customers").await.unwrap().date, expected);
        assert_eq!(account.fetch("customers", "683136").await.unwrap().date, expected);
    }
}

/// Lists show what is active, and no call tells more of a stock container than its list does.
#[tokio::test]
async fn what_a_list_leaves_out_is_fetched_where_a_call_can_tell_why() {
    let account = account("{}").await;
    for (name, absence) in
        [("customers", Absence::Fetched), ("users", Absence::Fetched), ("stock_containers", Absence::Reported)]
    {
        assert_eq!(account.source.swept(&stream(name)), [(stream(name), absence)]);
    }
}
