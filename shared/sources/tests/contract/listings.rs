//! Lists: to their end, however they move, and nothing else for a list.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemark_engine::change::Found;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::record::RecordId;
use tidemark_fakes::{Action, CallKind, Change, Effect, Fault, FixedAnswer, Hook, Seed};

use crate::Vendor;
use crate::support::{answer, shown};
use crate::world::World;

/// Rows enough for several pages, the last one not full.
fn several_pages<V: Vendor>() -> usize {
    4 * V::PAGE_ROWS + 1
}

pub(crate) async fn everything_is_read_to_the_end<V: Vendor>() {
    for count in [1, V::PAGE_ROWS, 2 * V::PAGE_ROWS, several_pages::<V>()] {
        let (world, _) = World::<V>::with_records(count).await;
        world.settle().await;
        assert_eq!((world.differences(), world.stored_count()), (Vec::new(), count));
        assert_eq!(world.vendor.request_counts().refused, 0);
    }
}

pub(crate) async fn an_empty_list_is_quiet_and_no_failure<V: Vendor>() {
    let world = World::<V>::start().await;
    let page = world.list().await.unwrap();
    assert_eq!((page.changes.len(), page.unusable_count), (0, 0));
    let report = world.settle().await;
    assert_eq!((report.outcome, world.stored_count()), (PollOutcome::Quiet, 0));
}

/// A 204 says that there is nothing, which says nothing about any record.
pub(crate) async fn no_content_is_nothing_and_never_gone<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(1).await;
    for kind in [CallKind::List, CallKind::Detail] {
        world.vendor.fault(Fault::new(answer(204, "")).on_call(kind)).unwrap();
    }
    let page = world.list().await.unwrap();
    assert_eq!((page.changes.len(), page.unusable_count), (0, 0));
    assert_eq!(world.fetch(&ids[0]).await.unwrap().found, Found::Missing);
    world.vendor.clear_faults();
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
}

pub(crate) async fn records_of_one_stamp_around_the_end_of_a_page_are_all_read<V: Vendor>() {
    let world = World::<V>::start().await;
    let count = several_pages::<V>();
    let seed = Seed { stream: V::RECORDS.to_owned(), count, first_stamp: None, every_seconds: Some(0) };
    world.vendor.seed(&seed).unwrap();
    world.settle().await;
    assert_eq!((world.differences(), world.stored_count()), (Vec::new(), count));
    // Edits of one second, twice: the second time nothing tells them from the first but their rows.
    for _ in 0..2 {
        world.vendor.edit(Change::of_first(V::RECORDS, count - 1)).unwrap();
        world.sync().await;
        world.vendor.edit(Change::of_first(V::RECORDS, count - 1)).unwrap();
        world.settle().await;
        assert_eq!(world.differences(), Vec::<String>::new());
    }
}

/// An edit moves a row to another page, so that the rows behind it shift: a walk that goes through the pages once misses
/// rows that nobody has touched.
pub(crate) async fn rows_that_are_edited_while_they_are_listed_are_not_lost<V: Vendor>() {
    let (world, _) = World::<V>::with_records(several_pages::<V>()).await;
    let edit = Action::Edit(Change::of_first(V::RECORDS, V::PAGE_ROWS - 1));
    world.vendor.hook(Hook::after_list(V::RECORDS, edit)).unwrap();
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
}

pub(crate) async fn rows_that_are_deleted_while_they_are_listed_hide_no_other<V: Vendor>() {
    let (world, _) = World::<V>::with_records(several_pages::<V>()).await;
    let delete = Action::Delete(Change::of_first(V::RECORDS, 1));
    world.vendor.hook(Hook::after_list(V::RECORDS, delete)).unwrap();
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
    assert!(world.vendor.truth(V::RECORDS).unwrap().values().any(|record| record.deleted));
}

pub(crate) async fn a_list_that_fails_halfway_loses_nothing<V: Vendor>() {
    let (world, _) = World::<V>::with_records(several_pages::<V>()).await;
    world.vendor.fault(Fault::new(Effect::Truncate { bytes: 40 }).on_call(CallKind::List).after(1)).unwrap();
    world.sync().await;
    world.sync().await;
    world.vendor.clear_faults();
    world.vendor.advance(Duration::from_mins(20));
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
}

pub(crate) async fn a_bad_entry_is_counted_and_the_others_kept<V: Vendor>() {
    let world = World::<V>::start().await;
    let body = V::list_answer(&[Some("1"), None, Some("2")]);
    world.vendor.fault(Fault::new(answer(200, &body)).on_call(CallKind::List)).unwrap();
    let page = world.list().await.unwrap();
    let records: Vec<String> =
        page.changes.iter().map(|change| world.record_of(&change.id).as_str().to_owned()).collect();
    assert_eq!((records, page.unusable_count), (vec!["1".to_owned(), "2".to_owned()], 1));
}

/// Kind: one odd thing stops no stream. Each stands where an id should.
pub(crate) async fn an_odd_id_is_counted_and_the_others_kept<V: Vendor>() {
    let long = format!("\"{}\"", "9".repeat(5_000));
    for odd in [
        "null",
        "true",
        "[]",
        "[1]",
        "{}",
        r#"{"$oid":"5"}"#,
        r#""""#,
        r#""\ud800""#,
        "NaN",
        "Infinity",
        "false",
        r#"["1"]"#,
        long.as_str(),
    ] {
        let world = World::<V>::start().await;
        let body = V::list_answer(&[Some("1"), Some("odd one"), Some("2")]).replace(r#""odd one""#, odd);
        world.vendor.fault(Fault::new(answer(200, &body)).on_call(CallKind::List)).unwrap();
        let page = world.list().await.unwrap_or_else(|failure| panic!("{odd}: {}", shown(&failure)));
        let records: Vec<String> =
            page.changes.iter().map(|change| world.record_of(&change.id).as_str().to_owned()).collect();
        assert_eq!((records, page.unusable_count), (vec!["1".to_owned(), "2".to_owned()], 1), "{odd}");
    }
}

/// Of two answers one may write an id as a number of a table with gaps.
pub(crate) async fn a_whole_number_is_one_id_however_it_is_written<V: Vendor>() {
    let world = World::<V>::start().await;
    let body = V::list_answer(&[Some("7"), Some("odd one"), Some("2")]).replace(r#""odd one""#, "7.0");
    world.vendor.fault(Fault::new(answer(200, &body)).on_call(CallKind::List)).unwrap();
    let page = world.list().await.unwrap();
    let records: BTreeSet<String> =
        page.changes.iter().map(|change| world.record_of(&change.id).as_str().to_owned()).collect();
    assert_eq!((records, page.unusable_count), (["2".to_owned(), "7".to_owned()].into(), 0));
}

pub(crate) async fn a_list_of_bad_entries_alone_is_a_failure<V: Vendor>() {
    let world = World::<V>::start().await;
    let body = V::list_answer(&[None, None]);
    world.vendor.fault(Fault::new(answer(200, &body)).on_call(CallKind::List)).unwrap();
    let failure = world.list().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "{}", shown(&failure));
}

/// Whatever comes instead of a list, a first import and later polls do not take it for "nothing has changed": they do not end
/// quietly, they commit nothing, and what changed meanwhile arrives once the vendor answers again.
pub(crate) async fn an_answer_that_was_not_understood_is_never_up_to_date<V: Vendor>() {
    for effect in [
        Effect::EmptyBody,
        Effect::MaintenancePage,
        Effect::WrongShape,
        Effect::Truncate { bytes: 5 },
        Effect::CutBody { after_bytes: 5, reset: true },
        Effect::Error("oops".to_owned()),
        answer(200, "null"),
        answer(200, "true"),
        answer(200, r#"{"ok":1}"#),
        answer(200, r#"{"error":{}}"#),
        answer(200, r#"{"message":"Endpoint request timed out"}"#),
        answer(200, "Warning: mysqli_connect(): too many connections"),
        answer(200, r#"{"data":{"data":[]}}"#),
        answer(200, r#"{"errors":["x"]}"#),
        answer(200, r#"{"success":true,"data":[],"items":[],"message":"Your trial is over"}"#),
        answer(200, r#"{"data":[],"items":[],"status":"suspended"}"#),
        answer(200, "[]]"),
        answer(200, "\u{feff}"),
        answer(202, r#"{"status":"queued"}"#),
        answer(206, "[]"),
        answer(302, ""),
        answer(304, ""),
        answer(403, "<html>Forbidden</html>"),
        answer(404, ""),
        answer(404, "404 page not found"),
        answer(418, "{}"),
        answer(500, V::own_error()),
    ] {
        for has_settled in [false, true] {
            let (world, _) = World::<V>::with_records(2).await;
            if has_settled {
                world.settle().await;
            }
            world.vendor.edit(Change::of_first(V::RECORDS, 2)).unwrap();
            world.vendor.fault(Fault::new(effect.clone()).on_call(CallKind::List)).unwrap();
            for _ in 0..3 {
                let report = world.sync().await;
                let is_up_to_date = matches!(report.outcome, PollOutcome::Quiet | PollOutcome::Owing);
                assert!(!is_up_to_date && report.committed.is_none(), "{effect:?} {has_settled}: {report:?}");
                world.vendor.advance(Duration::from_mins(16));
            }
            world.vendor.clear_faults();
            world.settle().await;
            assert_eq!(world.differences(), Vec::<String>::new(), "{effect:?} {has_settled}");
        }
    }
}

/// Kind: what was not understood is never up to date. A list without rows beside which a framework says that it failed, or
/// that it is not whole.
pub(crate) async fn an_empty_list_that_says_that_it_failed_is_a_failure<V: Vendor>() {
    let (world, _) = World::<V>::with_records(1).await;
    let empty = V::list_answer(&[]);
    let within = match empty.strip_prefix('{') {
        Some(members) => members.to_owned(),
        // Of a vendor whose lists have no object around them, in the usual one.
        None => format!(r#""total":0,"data":{empty}}}"#),
    };
    for member in [
        r#""status":"error","message":"x""#,
        r#""status":"fail""#,
        r#""status":500"#,
        r#""statusCode":"503""#,
        r#""code":401"#,
        r#""ok":false"#,
        r#""success":"false""#,
        r#""success":0"#,
        r#""failed":true"#,
        r#""errorMessage":"2026-01-01 Task timed out after 30.03 seconds","errorType":"Sandbox.Timedout""#,
        r#""errors":[{"message":"x"}]"#,
        r#""Error":{"Code":"SlowDown"}"#,
        r#""exception":"TimeoutException""#,
        r#""fault":{"faultstring":"x"}"#,
        r#""incomplete_results":true"#,
        r#""timed_out":true"#,
        r#""message":"Rate limit exceeded""#,
        r#""meta":{"status":503}"#,
    ] {
        // Of a name written twice the last one counts.
        let name = format!("{}\"", member.split("\":").next().unwrap());
        let within = within.replacen(&format!("{name}:true,"), "", 1);
        let body = format!("{{{member},{within}");
        world.vendor.fault(Fault::new(answer(200, &body)).on_call(CallKind::List)).unwrap();
        let listed = world.list().await.map(|page| page.changes.len()).map_err(|failure| failure.class);
        world.vendor.clear_faults();
        assert_eq!(listed, Err(FailureClass::Transient), "{body}");
    }
}

/// What frameworks, proxies and editors put around a right answer changes nothing in it.
pub(crate) async fn a_right_answer_in_an_odd_dress_is_read<V: Vendor>() {
    let (world, ids) = World::<V>::with_records(2).await;
    let records: Vec<String> = ids.iter().map(|id| world.record_of(id).as_str().to_owned()).collect();
    let plain = V::list_answer(&[Some(&records[0]), Some(&records[1])]);
    let twice = V::list_answer(&[Some(&records[0]), Some(&records[1]), Some(&records[0])]);
    for (body, content_type) in [
        (plain.clone(), "text/html; charset=UTF-8"),
        (plain.clone(), ""),
        (plain.clone(), "application/octet-stream"),
        (format!("\u{feff}{plain}"), "application/json; charset=utf-8"),
        (format!("\n\u{feff}\u{feff}\r\n\u{feff}{plain}"), "application/json"),
        (format!("\r\n\t {plain}\n\n"), "application/json"),
        (plain.replace("\":", "\" :\n "), "application/vnd.api+json"),
        (twice, "application/json"),
    ] {
        let headers = [("Set-Cookie", "session=1"), ("Age", "5"), ("X-Powered-By", "PHP/8.2")];
        let effect = Effect::Answer(FixedAnswer {
            status: 200,
            body: body.clone(),
            content_type: content_type.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        });
        world.vendor.fault(Fault::new(effect).on_call(CallKind::List).times(1)).unwrap();
        let page = world.list().await;
        world.vendor.clear_faults();
        let listed: BTreeSet<RecordId> = page.unwrap().changes.into_iter().map(|change| change.id).collect();
        assert_eq!(listed, ids.iter().cloned().collect(), "{content_type}: {body}");
    }
}

/// An answer that comes late is an answer all the same, and the edits made meanwhile arrive, too.
pub(crate) async fn a_right_answer_that_comes_late_is_believed<V: Vendor>() {
    let (world, _) = World::<V>::with_records(several_pages::<V>()).await;
    for kind in [CallKind::List, CallKind::Detail] {
        world.vendor.fault(Fault::new(Effect::Delay { ms: 30 }).on_call(kind).times(3)).unwrap();
        world.vendor.fault(Fault::new(Effect::SlowBody { bytes: 40, every_ms: 1 }).on_call(kind).times(3)).unwrap();
    }
    world.settle().await;
    world.vendor.edit(Change::of_all(V::RECORDS)).unwrap();
    world.settle().await;
    assert_eq!(world.differences(), Vec::<String>::new());
}
