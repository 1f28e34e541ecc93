//! What belongs to a parent, under the real poller and fetcher: it is read to its end, and a parent that cannot be read
//! waits and stops no other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidemark_engine::failure::FailureClass::{Forbidden, Transient};
use tidemark_engine::notice::Notice;
use tidemark_engine::ports::Clock as _;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};

use crate::answers::{NOT_FOUND, copied, failed, list, row};
use crate::log::logged;
use crate::script::reply;

/// What a customer has is listed by one call a customer, in both styles, and found again by its id.
#[tokio::test]
async fn locations_and_service_records_are_copied_by_one_call_a_parent() {
    for (settings, stream, parents, children) in [
        ("{}", "customer_locations", "customers", "locations"),
        (r#"{"detail_style":"path"}"#, "customer_locations", "customers", "locations"),
        ("{}", "service_records", "assets", "service_history"),
        (r#"{"detail_style":"path"}"#, "service_records", "assets", "service_records"),
    ] {
        let (_clock, copied) = copied(settings, move |asked| {
            let segments: Vec<&str> = asked.path.split('/').filter(|part| !part.is_empty()).collect();
            let parent = match segments.as_slice() {
                ["api", "v1", _] => asked.parameter("id").map(str::to_owned),
                ["api", "v1", _, id, _] => Some((*id).to_owned()),
                other => panic!("{other:?}"),
            };
            let Some(parent) = parent else {
                return list(parents, &(1..=23).map(row).collect::<Vec<_>>(), asked);
            };
            // Some have nothing, a whole page of them among them; one was deleted in the meantime.
            match parent.parse::<usize>().unwrap() {
                7 => reply(404, NOT_FOUND),
                // More than a page, and nothing says so.
                23 => {
                    let rows = (0..25).map(|number| row(230 + number)).skip((asked.page() - 1) * 10).take(10);
                    reply(200, format!(r#"{{"success":true,"{children}":[{}]}}"#, rows.collect::<Vec<_>>().join(",")))
                }
                1..=10 | 22 => reply(200, format!(r#"{{"success":true,"{children}":[]}}"#)),
                id => reply(200, format!(r#"{{"success":true,"{children}":[{},{}]}}"#, row(id * 10), row(id * 10 + 1))),
            }
        })
        .await;
        copied.settle(stream).await;
        let stored = copied.stored(stream);
        assert_eq!(stored.len(), 47, "{stream} {settings}: {stored:?}");
        assert_eq!(stored["12/121"], row(121));
        let calls = copied.script.asked();
        assert!(calls.iter().all(|asked| asked.parameter("updated_since").is_none()));
        let id = tidemark_engine::record::RecordId::parse("12/121").unwrap();
        let name = StreamName::known(stream);
        let detail = tidemark_engine::ports::Source::fetch(&*copied.ports.source, &name, &id).await.unwrap();
        let tidemark_engine::change::Found::Record { id: found, body, .. } = detail.found else { panic!("{stream}") };
        assert_eq!((found, body.text()), (id, row(121).as_str()));
    }
}

/// Kinds: the end of a list, and one odd thing. What is named or counted behind a short page is read, and neither a row
/// that is no JSON nor a parent that is refused stops what the others have.
#[tokio::test]
async fn what_belongs_to_a_parent_is_read_to_its_end_and_one_parent_stops_no_other() {
    let (_clock, copied) = copied("{}", |asked| {
        let Some(parent) = asked.parameter("id").map(|id| id.parse::<usize>().unwrap()) else {
            return list("customers", &(1..=12).map(row).collect::<Vec<_>>(), asked);
        };
        let page = asked.page();
        let of_page =
            |size: usize| (0..size).map(|at| row(parent * 100 + page * 10 + at)).collect::<Vec<_>>().join(",");
        reply(
            200,
            match parent {
                1 if page < 3 => format!(r#"{{"data":[{}],"next":"/customers?page={}"}}"#, of_page(5), page + 1),
                1 => format!(r#"{{"data":[{}],"next":null}}"#, of_page(if page == 3 { 5 } else { 0 })),
                2 if page <= 3 => format!(r#"{{"locations":[{}],"per_page":100,"total":12}}"#, of_page(4)),
                2 => r#"{"locations":[],"per_page":100,"total":12}"#.to_owned(),
                3 => format!(r#"{{"locations":[{{"id":31,"latitude":NaN}},{}]}}"#, row(32)),
                4 => return reply(422, r#"{"success":false,"error":"invalid_customer","message":"x"}"#),
                _ => format!(r#"{{"locations":[{}]}}"#, row(parent)),
            },
        )
    })
    .await;
    for _ in 0..3 {
        copied.sync("customer_locations").await;
    }
    let stored = copied.stored("customer_locations");
    let of = |parent: &str| stored.keys().filter(|id| id.starts_with(&format!("{parent}/"))).count();
    assert_eq!((["1", "2", "3", "4"].map(of), stored.len()), ([15, 12, 1, 0], 36), "{stored:?}");
    assert!(logged().contains("parents that cannot be read are passed by"));
}

/// Kinds: absence, and one odd thing. Whatever a few parents answer for good, they wait and everything else goes on.
#[tokio::test]
async fn a_parent_that_cannot_be_read_waits_and_is_read_once_it_can_be() {
    for (status, body) in [
        (500, "{}"),
        (502, "<html>Bad Gateway</html>"),
        (404, ""),
        (410, ""),
        (404, "404 page not found"),
        (404, r#"{"error":"Not Found"}"#),
        (404, r#"{"success":false,"error":"no_such_route"}"#),
        (200, ""),
        (200, "[1"),
        (200, r#"{"success":true}"#),
        (422, r#"{"success":false,"error":"invalid_customer","message":"x"}"#),
    ] {
        let is_healed = Arc::new(AtomicUsize::new(0));
        let healed = Arc::clone(&is_healed);
        let (_clock, copied) = copied("{}", move |asked| {
            let Some(parent) = asked.parameter("id").map(|id| id.parse::<usize>().unwrap()) else {
                return list("customers", &(1..=23).map(row).collect::<Vec<_>>(), asked);
            };
            match parent {
                // The first one, more in a row than are taken for an outage, and all of the last page.
                1 | 12..=16 | 21..=23 if healed.load(Ordering::Relaxed) == 0 => reply(status, body),
                _ => reply(200, format!(r#"{{"success":true,"locations":[{}]}}"#, row(parent * 100))),
            }
        })
        .await;
        let mut notices = Vec::new();
        for _ in 0..4 {
            notices.extend(copied.sync("customer_locations").await.notices);
        }
        let left_out = Notice::LeftOut(StreamName::known("customer_locations"));
        assert!(notices.contains(&left_out) && left_out.needs_attention(), "{status} {body}: {notices:?}");
        assert_eq!(copied.stored("customer_locations").len(), 14, "{status} {body}");
        is_healed.store(1, Ordering::Relaxed);
        for _ in 0..2 {
            notices = copied.sync("customer_locations").await.notices.into_iter().collect();
        }
        assert_eq!(copied.stored("customer_locations").len(), 23, "{status} {body}");
        assert!(!notices.contains(&left_out), "{status} {body}: {notices:?}");
    }
}

/// An outage is one, whichever calls it hits, and a try that heals leaves nothing out.
#[tokio::test]
async fn a_parent_is_not_left_out_for_an_outage() {
    let (calls, is_down) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let down = Arc::clone(&is_down);
    let mut odd_once = BTreeSet::new();
    let (_clock, copied) = copied("{}", move |asked| {
        let Some(parent) = asked.parameter("id").map(|id| id.parse::<usize>().unwrap()) else {
            return match down.load(Ordering::Relaxed) {
                // The list of parents fails, too, from its second call of a page on.
                1 if calls.fetch_add(1, Ordering::Relaxed) > 0 => reply(503, ""),
                _ => list("customers", &(1..=23).map(row).collect::<Vec<_>>(), asked),
            };
        };
        match down.load(Ordering::Relaxed) {
            1 => reply(503, ""),
            _ if parent % 10 == 5 && odd_once.insert(parent) => reply(502, ""),
            _ => reply(200, format!(r#"{{"success":true,"locations":[{}]}}"#, row(parent * 100))),
        }
    })
    .await;
    is_down.store(1, Ordering::Relaxed);
    for _ in 0..3 {
        let report = copied.sync("customer_locations").await;
        assert_eq!(failed(&report.outcome).0, Transient);
        assert!(report.notices.iter().all(|notice| !matches!(notice, Notice::LeftOut(_))), "{report:?}");
    }
    is_down.store(0, Ordering::Relaxed);
    let notices: Vec<Notice> =
        copied.settle("customer_locations").await.into_iter().flat_map(|report| report.notices).collect();
    assert!(notices.iter().all(|notice| !matches!(notice, Notice::LeftOut(_))), "{notices:?}");
    assert_eq!(copied.stored("customer_locations").len(), 23);
}

/// A page that repeats another is no end where more rows are counted.
#[tokio::test]
async fn a_parents_page_that_repeats_is_told_of_and_commits_nothing() {
    let (_clock, copied) = copied("{}", |asked| {
        if asked.parameter("id").is_none() {
            return list("customers", &[row(1)], asked);
        }
        let rows = (1..=10).map(row).collect::<Vec<_>>().join(",");
        reply(200, format!(r#"{{"locations":[{rows}],"per_page":10,"total":25}}"#))
    })
    .await;
    let report = copied.sync("customer_locations").await;
    assert_eq!(failed(&report.outcome).0, Transient, "{report:?}");
}

/// Kind: the end of a list. Pages of one parent that are counted and not shown are waited for.
#[tokio::test]
async fn a_parents_page_that_is_counted_and_not_shown_is_no_end() {
    for (status, body) in [(404, NOT_FOUND), (204, ""), (200, r#"{"locations":[],"total_pages":3}"#)] {
        let is_healed = Arc::new(AtomicUsize::new(0));
        let healed = Arc::clone(&is_healed);
        let (_clock, copied) = copied("{}", move |asked| match (asked.parameter("id"), asked.page()) {
            (None, _) => list("customers", &[row(1), row(2)], asked),
            (Some("1"), 2) if healed.load(Ordering::Relaxed) == 0 => reply(status, body),
            (Some("1"), page) => reply(200, format!(r#"{{"locations":[{}],"total_pages":3}}"#, row(page))),
            _ => reply(200, format!(r#"{{"locations":[{}],"total_pages":1}}"#, row(9))),
        })
        .await;
        let mut notices = Vec::new();
        for _ in 0..4 {
            notices.extend(copied.sync("customer_locations").await.notices);
        }
        assert!(notices.contains(&Notice::LeftOut(StreamName::known("customer_locations"))), "{status} {body}");
        is_healed.store(1, Ordering::Relaxed);
        copied.sync("customer_locations").await;
        assert_eq!(copied.stored("customer_locations").len(), 4, "{status} {body}");
    }
}

/// A vendor that shows the same parents whatever page is asked for is reported, though they have nothing.
#[tokio::test]
async fn a_page_of_parents_that_repeats_is_told_of_though_they_have_nothing() {
    let (_clock, copied) = copied("{}", |asked| match asked.parameter("id") {
        None => {
            let rows = (1..=10).map(row).collect::<Vec<_>>().join(",");
            reply(200, format!(r#"{{"success":true,"customers":[{rows}]}}"#))
        }
        Some(_) => reply(200, r#"{"locations":[],"total_pages":1}"#),
    })
    .await;
    let report = copied.sync("customer_locations").await;
    assert_eq!(failed(&report.outcome).0, Transient, "{report:?}");
    assert!(failed(&report.outcome).1.contains("the same parents"), "{report:?}");
}

/// Kind: one odd thing. A parent that the key may not read is left out with attention; where none may be read, the right is
/// missing, and it is said so.
#[tokio::test]
async fn a_parent_that_is_forbidden_stops_no_other_and_all_are_a_missing_right() {
    for (status, code, step) in
        [(403, "forbidden", "customers:read"), (402, "plan_limit", "the vendor asks to be paid")]
    {
        let body = format!(r#"{{"success":false,"error":"{code}","message":"x"}}"#);
        let are_all = Arc::new(AtomicUsize::new(0));
        let (all, refusal) = (Arc::clone(&are_all), body.clone());
        let (_clock, copied) = copied("{}", move |asked| match asked.parameter("id") {
            None => list("customers", &(1..=23).map(row).collect::<Vec<_>>(), asked),
            Some(id) if id == "1" || all.load(Ordering::Relaxed) == 1 => reply(status, refusal.clone()),
            Some(id) => reply(200, format!(r#"{{"locations":[{}]}}"#, row(id.parse::<usize>().unwrap() * 100))),
        })
        .await;
        let mut notices = Vec::new();
        for _ in 0..2 {
            notices.extend(copied.sync("customer_locations").await.notices);
        }
        assert!(notices.contains(&Notice::LeftOut(StreamName::known("customer_locations"))), "{status}: {notices:?}");
        assert_eq!(copied.stored("customer_locations").len(), 22, "{status}");
        are_all.store(1, Ordering::Relaxed);
        let name = StreamName::known("customer_locations");
        let request = tidemark_engine::change::ListRequest::Page(tidemark_engine::clock::StampMillis::default(), 1);
        let failure = tidemark_engine::ports::Source::list(&*copied.ports.source, &name, request).await.unwrap_err();
        assert_eq!(failure.class, Forbidden, "{status}");
        assert!(failure.next_step.is_some_and(|next| next.contains(step)), "{status}: {:?}", failure.next_step);
    }
}

/// Kind: absence. That each of the parents which it has just listed is gone says nothing about what they have.
#[tokio::test]
async fn listed_parents_that_are_all_gone_are_never_up_to_date() {
    let (_clock, copied) = copied("{}", |asked| match asked.parameter("id") {
        None => list("customers", &[row(1), row(2)], asked),
        Some(_) => reply(404, r#"{"success":false,"error":"not_found","message":"Resource not found."}"#),
    })
    .await;
    let name = StreamName::known("customer_locations");
    let request = tidemark_engine::change::ListRequest::Page(tidemark_engine::clock::StampMillis::default(), 1);
    let failure = tidemark_engine::ports::Source::list(&*copied.ports.source, &name, request).await.unwrap_err();
    assert_eq!(failure.class, Transient);
    assert!(failure.next_step.is_some_and(|next| next.contains("detail_style")), "{failure}");
}

/// Kind: the end of a list. What a parent has is counted and not shown, or its page is refused once.
#[tokio::test]
async fn rows_of_a_parent_that_are_counted_are_waited_for() {
    for counts in [r#""total":5"#, r#""total":5,"total_pages":1"#, r#""next":"/customers?page=2""#] {
        let is_healed = Arc::new(AtomicUsize::new(0));
        let healed = Arc::clone(&is_healed);
        let (_clock, copied) = copied("{}", move |asked| match asked.parameter("id") {
            None => list("customers", &[row(1), row(2)], asked),
            Some("1") if healed.load(Ordering::Relaxed) == 0 => reply(200, format!(r#"{{"locations":[],{counts}}}"#)),
            Some(id) => reply(200, format!(r#"{{"locations":[{}]}}"#, row(id.parse::<usize>().unwrap()))),
        })
        .await;
        let mut notices = Vec::new();
        for _ in 0..2 {
            notices.extend(copied.sync("customer_locations").await.notices);
        }
        assert!(notices.contains(&Notice::LeftOut(StreamName::known("customer_locations"))), "{counts}: {notices:?}");
        is_healed.store(1, Ordering::Relaxed);
        copied.sync("customer_locations").await;
        assert_eq!(copied.stored("customer_locations").len(), 2, "{counts}");
    }
    let mut are_refused = BTreeSet::new();
    let (_clock, copied) = copied("{}", move |asked| {
        let (id, page) = (asked.parameter("id").map(str::to_owned), asked.page());
        if page == 2 && are_refused.insert(id.clone()) {
            return reply(404, NOT_FOUND);
        }
        let rows = |count: usize| (0..count).map(|at| row(page * 100 + at)).collect::<Vec<_>>().join(",");
        match id {
            None if page == 1 => reply(200, format!(r#"{{"customers":[{}]}}"#, row(1))),
            None => reply(200, format!(r#"{{"customers":[{}]}}"#, if page == 2 { row(2) } else { String::new() })),
            Some(_) => reply(200, format!(r#"{{"locations":[{}]}}"#, rows(if page == 1 { 10 } else { 3 }))),
        }
    })
    .await;
    copied.settle("customer_locations").await;
    assert_eq!(copied.stored("customer_locations").len(), 26, "a refusal that comes once is a slip");
}

/// A vendor that overlooks whose rows are asked for shows those of all; each is kept under its own parent alone.
#[tokio::test]
async fn rows_that_name_another_parent_are_not_filed_under_this_one() {
    let (_clock, copied) = copied("{}", |asked| {
        if asked.parameter("id").is_none() {
            return list("customers", &(1..=3).map(row).collect::<Vec<_>>(), asked);
        }
        let rows = (1..=3).map(|id| format!(r#"{{"id":{id}0,"customer_id":"{id}"}}"#));
        reply(200, format!(r#"{{"locations":[{}]}}"#, rows.collect::<Vec<_>>().join(",")))
    })
    .await;
    let reports = copied.settle("customer_locations").await;
    assert_eq!(copied.stored("customer_locations").into_keys().collect::<Vec<_>>(), ["1/10", "2/20", "3/30"]);
    let told = reports.iter().flat_map(|report| &report.notices);
    assert!(told.clone().any(|notice| matches!(notice, Notice::UnusableIds(..))), "{:?}", told.collect::<Vec<_>>());
}

/// Kind: the end of a list, of a sweep. Parents that have nothing, page after page, hide none behind them.
#[tokio::test]
async fn a_sweep_reads_on_behind_parents_that_have_nothing() {
    let (_clock, copied) = copied("{}", |asked| match asked.parameter("id").map(|id| id.parse::<usize>().unwrap()) {
        None => list("customers", &(1..=45).map(row).collect::<Vec<_>>(), asked),
        Some(id @ (1..=5 | 36..)) => reply(200, format!(r#"{{"locations":[{}]}}"#, row(id * 10))),
        Some(_) => reply(200, r#"{"locations":[],"total":0}"#),
    })
    .await;
    copied.settle("customer_locations").await;
    let name = StreamName::known("customer_locations");
    let key = StreamKey { source: SourceKind::FsmNavigator, name: name.clone() };
    tidemark_sweep::ask(&copied.ports, &key, None).await.unwrap();
    let until = copied.ports.clock.now().plus(Duration::from_mins(10));
    let report = tidemark_sweep::go_on(&copied.ports.poller(&name), &name, until).await.unwrap();
    let proof = report.proof.unwrap_or_else(|| panic!("it does not end: {:?}", report.problem));
    assert_eq!((proof.listed, proof.stored, proof.extra), (15, 15, 0));
}
