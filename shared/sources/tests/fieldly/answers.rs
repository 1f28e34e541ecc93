//! What the vendor, and what stands before it, really answer: each end of a list and each refusal under the real poller
//! and fetcher.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidemark_engine::failure::FailureClass::{self, Forbidden, Transient};
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fakes::fieldly::FakeFieldly;

use crate::account::secret;
use crate::copied::Copied;
use crate::log::collect_log;
use crate::script::{Asked, Reply, reply};

/// 2026-01-01T00:00:00Z plus so many seconds, as the vendor writes it.
fn stamp(second: usize) -> String {
    format!("2026-01-01T{:02}:{:02}:{:02}.000Z", second / 3600, second / 60 % 60, second % 60)
}

fn row(id: usize) -> String {
    format!(r#"{{"id":{id},"updated_at":"{}"}}"#, stamp(id))
}

fn granted(expires_in: &str) -> Reply {
    reply(200, format!(r#"{{"access_token":"t0k3n","token_type":"Bearer","expires_in":{expires_in}}}"#))
}

async fn copied(
    settings: &'static str,
    mut answer: impl FnMut(&Asked) -> Reply + Send + 'static,
) -> (FakeFieldly, Copied) {
    with_tokens(settings, move |asked| if is_for_token(asked) { granted("3600") } else { answer(asked) }).await
}

async fn with_tokens(
    settings: &'static str,
    answer: impl FnMut(&Asked) -> Reply + Send + 'static,
) -> (FakeFieldly, Copied) {
    collect_log();
    let clock = FakeFieldly::start().await.unwrap();
    clock.freeze_clock();
    let secret = secret("client_id", "client_secret");
    let copied = Copied::of(SourceKind::Fieldly, &secret, settings, &clock, answer).await;
    (clock, copied)
}

fn is_for_token(asked: &Asked) -> bool {
    asked.path.ends_with("/oauth/token")
}

/// A page of these rows, of what was changed after the bound, without metadata.
fn page(rows: &[String], asked: &Asked, per_page: usize) -> Vec<String> {
    let bound = asked.parameter("updated_at").unwrap_or_default();
    let is_after = |row: &&String| row.split("\"updated_at\":\"").nth(1).is_some_and(|stamp| stamp >= bound);
    let rows = rows.iter().filter(|row| bound.is_empty() || is_after(row));
    rows.skip((asked.page() - 1) * per_page).take(per_page).cloned().collect()
}

fn clients(rows: &[String]) -> Reply {
    reply(200, format!(r#"{{"clients":[{}]}}"#, rows.join(",")))
}

fn failed(outcome: &PollOutcome) -> (FailureClass, &str) {
    match outcome {
        PollOutcome::SourceFailed(class, cause) => (*class, cause),
        other => panic!("{other:?}"),
    }
}

/// Without metadata, or with some under another key, a short page in mid-list is not the end.
#[tokio::test]
async fn a_list_without_metadata_is_read_to_its_first_empty_page() {
    for metadata in ["", r#","info":{"total_pages":1,"page":1}"#] {
        let settings = r#"{"per_page":10,"updated_filters":{"clients":null}}"#;
        let (_clock, copied) = copied(settings, move |asked| {
            let rows: Vec<String> = match asked.page() {
                1 => (1..=9).map(row).collect(),
                2 => (11..=20).map(row).collect(),
                3 => (21..=30).map(row).collect(),
                _ => Vec::new(),
            };
            reply(200, format!(r#"{{"clients":[{}]{metadata}}}"#, rows.join(",")))
        })
        .await;
        copied.settle("clients").await;
        assert_eq!(copied.stored("clients").len(), 29, "{metadata}");
    }
}

/// Kind: the end of a list. 25 rows, ten a page, counted in the ways of many frameworks, and wrongly.
#[tokio::test]
async fn a_list_is_read_to_its_end_however_it_is_counted() {
    for metadata in [
        r#"{"total_pages":"3","page":"{page}"}"#,
        r#"{"total_pages":3.0,"page":{page}}"#,
        r#"{"total_count":25,"per_page":10}"#,
        r#"{"total_count":25,"per_page":20,"page":{page}}"#,
        r#"{"total_count":"25","page":{page}}"#,
        r#"{"total_count":5,"total_pages":1}"#,
        r#"{"current_page":{page},"last_page":3,"total":25}"#,
        r#"{"total_pages":0,"page":{page}}"#,
        r#"{"total_pages":-1,"total_count":-1}"#,
        r#"{"total_pages":99999999999,"page":{page}}"#,
        r#"{"total_pages":{grown}}"#,
        r#"{"total_pages":null,"total_count":null}"#,
        r#"{"total_pages":1,"next_page":{next}}"#,
        r#"{"total_pages":{page},"links":{"next":{next}}}"#,
        r#"{"total_pages":"many"}"#,
        r#"[{"total_pages":1}]"#,
        "null",
        r#""1 of 3""#,
    ] {
        let settings = r#"{"per_page":10,"updated_filters":{"clients":null}}"#;
        let (_clock, copied) = copied(settings, move |asked| {
            let rows: Vec<String> = (1..=25).map(row).collect();
            let number = asked.page();
            let next = if number < 3 { (number + 1).to_string() } else { "null".to_owned() };
            let metadata = metadata.replace("{page}", &number.to_string()).replace("{next}", &next);
            let metadata = metadata.replace("{grown}", &(number + 1).min(3).to_string());
            reply(200, format!(r#"{{"clients":[{}],"metadata":{metadata}}}"#, page(&rows, asked, 10).join(",")))
        })
        .await;
        copied.sync("clients").await;
        copied.settle("clients").await;
        assert_eq!(copied.stored("clients").len(), 25, "{metadata}");
    }
}

/// A vendor that ignores `page` shows its first page again.
#[tokio::test]
async fn a_full_page_that_repeats_is_told_of_and_commits_nothing() {
    let (_clock, copied) = copied(r#"{"per_page":10}"#, |_| clients(&(1..=10).map(row).collect::<Vec<_>>())).await;
    let report = copied.sync("clients").await;
    assert_eq!((&report.outcome, report.committed.is_some()), (&PollOutcome::Unlisted, false), "{report:?}");
    assert!(report.notices.contains(&Notice::ListMoving), "{report:?}");
}

/// Exactly two full pages without metadata, and page 3 is refused.
#[tokio::test]
async fn a_refused_page_behind_the_last_one_is_the_end() {
    for (status, refusal) in [
        (400, r#"{"error":"expected :page in 1..2; got 3"}"#),
        (400, r#"{"errors":{"page":["is invalid"]}}"#),
        (404, r#"{"error":"Not found"}"#),
        (422, r#"{"errors":{"page":["is invalid"]}}"#),
    ] {
        let (_clock, copied) = copied(r#"{"per_page":10}"#, move |asked| {
            let rows: Vec<String> = (1..=20).map(row).collect();
            if asked.page() > 2 { reply(status, refusal) } else { clients(&page(&rows, asked, 10)) }
        })
        .await;
        copied.settle("clients").await;
        assert_eq!(copied.stored("clients").len(), 20, "{status} {refusal}");
    }
}

/// What is refused by somebody else is no end, and a filter that is refused is no page.
#[tokio::test]
async fn a_page_that_is_refused_for_another_reason_is_a_failure() {
    for (status, body, class) in [
        (404, "<html>Not Found</html>", Transient),
        (400, "", Transient),
        (422, r#"{"errors":{"updated_at":["is invalid"]}}"#, Forbidden),
        (403, r#"{"error":"forbidden"}"#, Forbidden),
    ] {
        let (_clock, copied) = copied(r#"{"per_page":10,"first_checkpoint":"2026-01-01T00:00:00Z"}"#, move |asked| {
            let rows: Vec<String> = (1..=20).map(row).collect();
            if asked.page() == 2 { reply(status, body) } else { clients(&page(&rows, asked, 10)) }
        })
        .await;
        let report = copied.sync("clients").await;
        let (found, cause) = failed(&report.outcome);
        assert_eq!(found, class, "{cause}");
        assert!(cause.contains("page=2"), "{cause}");
    }
}

/// After page 1 a row is deleted, so that the last page is gone for good.
#[tokio::test]
async fn a_list_that_becomes_shorter_is_walked_again_from_its_beginning() {
    let rows: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new((1..=21).map(row).collect()));
    let (_clock, copied) = copied(r#"{"per_page":10}"#, move |asked| {
        let mut rows = rows.lock().unwrap();
        let shown = page(&rows, asked, 10);
        let pages = rows.len().div_ceil(10);
        if asked.parameter("updated_at").is_none() && asked.page() > pages {
            return reply(404, r#"{"error":"Not found"}"#);
        }
        if rows.len() == 21 && asked.page() == 1 {
            rows.remove(4);
        }
        let metadata = format!(r#"{{"page":{},"total_pages":{pages}}}"#, asked.page());
        let metadata = if asked.parameter("updated_at").is_some() { "{}".to_owned() } else { metadata };
        reply(200, format!(r#"{{"clients":[{}],"metadata":{metadata}}}"#, shown.join(",")))
    })
    .await;
    copied.settle("clients").await;
    let stored = copied.stored("clients");
    assert!((1..=21).filter(|id| *id != 5).all(|id| stored.contains_key(&id.to_string())), "{stored:?}");
}

/// A vendor that refuses pages beyond a number: what was read counts, and the list goes on from its newest stamp.
#[tokio::test]
async fn a_cap_on_deep_pages_is_passed_by_the_newest_stamp() {
    let (_clock, copied) = copied(r#"{"per_page":10}"#, |asked| {
        if asked.page() > 2 {
            return reply(400, r#"{"errors":{"page":["is too deep"]}}"#);
        }
        // Ten minutes apart: a page is more than the list is asked for again.
        let row = |id: usize| format!(r#"{{"id":{id},"updated_at":"{}"}}"#, stamp(id * 600));
        let rows: Vec<String> = (1..=75).map(row).collect();
        let pages = page(&rows, &Asked { query: without_page(asked), ..asked.clone() }, usize::MAX).len().div_ceil(10);
        let (shown, number) = (page(&rows, asked, 10).join(","), asked.page());
        reply(200, format!(r#"{{"clients":[{shown}],"metadata":{{"page":{number},"total_pages":{pages}}}}}"#))
    })
    .await;
    copied.settle("clients").await;
    assert_eq!(copied.stored("clients").len(), 75);
}

fn without_page(asked: &Asked) -> BTreeMap<String, String> {
    asked.query.iter().filter(|(name, _)| *name != "page").map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A null, a 204, and other forms of nothing.
#[tokio::test]
async fn a_list_of_nothing_is_quiet_however_it_is_written() {
    for (status, body) in [
        (200, r#"{"clients":null,"metadata":{"total":0,"total_count":0,"total_pages":0}}"#),
        (200, r#"{"clients":{},"metadata":{"total_count":0}}"#),
        (200, "[]"),
        (204, ""),
    ] {
        let (_clock, copied) = copied("{}", move |_| reply(status, body)).await;
        for _ in 0..2 {
            assert_eq!(copied.sync("clients").await.outcome, PollOutcome::Quiet, "{status} {body}");
        }
    }
}

/// Lifetimes in any form.
#[tokio::test]
async fn a_token_serves_whatever_its_lifetime_is_written_as() {
    for expires_in in [
        "3600.0",
        "-1",
        r#""""#,
        "null",
        r#""3600""#,
        "[]",
        "{}",
        "true",
        "-0.5",
        "3.6e3",
        "1e400",
        "99999999999999999999",
        r#"" 3600 ""#,
        r#""3600s""#,
        r#""PT1H""#,
        r#""2026-01-01T01:00:00Z""#,
        r#""3600 seconds""#,
        r#""Infinity""#,
        r#""NaN""#,
        r#""null""#,
        "false",
        "[3600]",
        r#"{"seconds":3600}"#,
        "-0.0",
        "1e-400",
        r#""0x0e10""#,
    ] {
        let (_clock, copied) = with_tokens("{}", move |asked| {
            if is_for_token(asked) { granted(expires_in) } else { clients(&page(&[row(1)], asked, 50)) }
        })
        .await;
        copied.settle("clients").await;
        copied.sync("clients").await;
        assert_eq!(copied.stored("clients").len(), 1, "{expires_in}");
        let tokens = copied.script.asked().iter().filter(|asked| is_for_token(asked)).count();
        assert_eq!(tokens, 1, "{expires_in}");
    }
}

/// Kind: tokens. Each answer with the token is one that serves, or none.
#[tokio::test]
async fn a_token_is_found_in_whatever_holds_one_and_nothing_else_is_taken_for_one() {
    for (granted, serves) in [
        (r#"{"access_token":"t0k3n"}"#, true),
        (r#"{"access_token":"t0k3n","token_type":null}"#, true),
        (r#"{"access_token":"t0k3n","token_type":"bearer"}"#, true),
        (r#"{"access_token":"t0k3n","token_type":"BEARER","error":null}"#, true),
        ("\u{feff}{\"access_token\":\"t0k3n\"}\r\n", true),
        (r#"{"token_type":"Bearer","scope":"","created_at":null,"access_token":"t0k3n"}"#, true),
        (r#"{"access_token":"t0k3n","refresh_token":null,"expires_at":"soon"}"#, true),
        (r#"{"access_token":null,"token_type":"Bearer"}"#, false),
        (r#"{"access_token":["t0k3n"]}"#, false),
        (r#"{"access_token":{"value":"t0k3n"}}"#, false),
        (r#"{"access_token":"t0k\n3n"}"#, false),
        (r#"{"access_token":"t0k\u00003n"}"#, false),
        (r#"{"access_token":" "}"#, false),
        (r#"{"access_token":"t0k3n"#, false),
        (r#""t0k3n""#, false),
        ("access_token=t0k3n&token_type=bearer", false),
    ] {
        let (_clock, copied) = with_tokens("{}", move |asked| match asked.authorization.as_str() {
            _ if is_for_token(asked) => reply(200, granted),
            "Bearer t0k3n" => clients(&page(&[row(1)], asked, 50)),
            _ => reply(401, r#"{"error":"invalid_token"}"#),
        })
        .await;
        let report = copied.sync("clients").await;
        assert!(!report.notices.contains(&Notice::CredentialRejected), "{granted}: {report:?}");
        if serves {
            copied.settle("clients").await;
        } else {
            assert_eq!(failed(&report.outcome).0, Transient, "{granted}");
            assert!(copied.script.asked().iter().all(is_for_token), "{granted}");
        }
        assert_eq!(copied.stored("clients").len(), usize::from(serves), "{granted}");
    }
}

/// A vendor that ends a client's earlier token when it grants another one: functions that work in turn end each other's
/// token, and all of them get on.
#[tokio::test]
async fn functions_that_end_each_others_token_get_on() {
    let newest = AtomicUsize::new(0);
    let (_clock, copied) = with_tokens("{}", move |asked| {
        if is_for_token(asked) {
            let number = newest.fetch_add(1, Ordering::Relaxed) + 1;
            return reply(200, format!(r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":3600}}"#));
        }
        if asked.authorization != format!("Bearer t{}", newest.load(Ordering::Relaxed)) {
            // As the framework does it: the reason is in a header alone.
            return reply(401, "").with("WWW-Authenticate", r#"Bearer realm="Doorkeeper", error="invalid_token""#);
        }
        clients(&page(&[row(1), row(2)], asked, 50))
    })
    .await;
    let processes = [copied.process(), copied.process(), copied.process()];
    for round in 0..4 {
        for process in &processes {
            let report = process.poll(&StreamName::known("clients"), &format!("poller-{round}")).await;
            assert!(!matches!(report.outcome, PollOutcome::SourceFailed(..)), "{report:?}");
            assert!(!report.notices.contains(&Notice::CredentialRejected));
        }
        copied.ports.fetch_all().await;
    }
    assert_eq!(copied.stored("clients").len(), 2);
}

/// A row without a stamp is in no list with a bound, so the first import sends none.
#[tokio::test]
async fn a_first_import_brings_rows_without_a_stamp() {
    let (_clock, copied) =
        copied("{}", |asked| clients(&page(&[row(1), r#"{"id":2,"updated_at":null}"#.to_owned(), row(3)], asked, 50)))
            .await;
    copied.settle("clients").await;
    assert_eq!(copied.stored("clients").len(), 3);
    let lists: Vec<Asked> = copied.script.asked().into_iter().filter(|asked| !is_for_token(asked)).collect();
    assert_eq!(lists[0].parameter("updated_at"), None);
    assert!(lists.last().unwrap().parameter("updated_at").is_some(), "later lists bear the bound");
}

/// Kind: stamps. A row with an odd one is imported, and hides no later edit.
#[tokio::test]
async fn a_row_with_an_odd_stamp_is_imported_and_what_is_edited_later_arrives() {
    for odd in ODD_STAMPS {
        let edited_ms = Arc::new(AtomicI64::new(0));
        let edited = Arc::clone(&edited_ms);
        let (clock, copied) = copied("{}", move |asked| {
            let mut rows = vec![row(1), format!(r#"{{"id":2,"updated_at":{odd}}}"#)];
            rows.push(match edited.load(Ordering::Relaxed) {
                0 => row(3),
                at => {
                    let at = jiff::Timestamp::from_millisecond(at).unwrap().strftime("%Y-%m-%dT%H:%M:%S.000Z");
                    format!(r#"{{"id":3,"updated_at":"{at}","edited":true}}"#)
                }
            });
            clients(&page(&rows, asked, 50))
        })
        .await;
        copied.sync("clients").await;
        copied.sync("clients").await;
        assert_eq!(copied.stored("clients").len(), 3, "{odd}");
        edited_ms.store(clock.now_ms(), Ordering::Relaxed);
        copied.sync("clients").await;
        copied.sync("clients").await;
        assert!(copied.stored("clients")["3"].contains("edited"), "{odd}");
    }
}

const ODD_STAMPS: [&str; 14] = [
    "null",
    "0",
    "1767225600",
    "true",
    "[]",
    "{}",
    r#""""#,
    r#""yesterday""#,
    r#""2026-01-01""#,
    r#""2026-02-30T00:00:00.000Z""#,
    r#""0000-00-00T00:00:00.000Z""#,
    r#""0001-01-01T00:00:00.000Z""#,
    r#""1970-01-01T00:00:00.000Z""#,
    r#""2100-01-01T00:00:00.000Z""#,
];

/// A filter that means "equal to" lists nothing, for ever.
#[tokio::test]
async fn a_filter_that_is_not_heeded_is_noticed_on_the_first_import() {
    for settings in ["{}", r#"{"first_checkpoint":"2025-12-01T00:00:00Z"}"#] {
        let (_clock, copied) = copied(settings, |asked| {
            let rows: Vec<String> = (1..=25).map(row).collect();
            match asked.parameter("updated_at") {
                Some(bound) => clients(&rows.into_iter().filter(|row| row.contains(bound)).collect::<Vec<_>>()),
                None => clients(&page(&rows, asked, 50)),
            }
        })
        .await;
        let report = copied.sync("clients").await;
        let (class, cause) = failed(&report.outcome);
        assert_eq!(class, Forbidden, "{cause}");
        assert!(cause.contains("updated_at") && cause.contains("next: set updated_filters"), "{cause}");
        assert!(report.notices.contains(&Notice::StreamPaused), "{report:?}");
    }
}

/// Any documented list can be a stream.
#[tokio::test]
async fn a_list_that_the_settings_name_is_a_stream() {
    let settings = r#"{"streams":["invoices"],"paths":{"invoices":"v2/invoices"},"rows_keys":{"invoices":"rows"},
        "id_fields":{"invoices":"number"},"updated_fields":{"invoices":"changed_at"},
        "updated_filters":{"invoices":"changed_after"},"queries":{"invoices":{"state":"sent"}}}"#;
    let (_clock, copied) = copied(settings, |asked| {
        assert_eq!((asked.path.as_str(), asked.parameter("state")), ("/api/public/v1/v2/invoices", Some("sent")));
        let rows = if asked.page() > 1 { "" } else { r#"{"number":"F-7","changed_at":"2026-01-01T00:00:00.000Z"}"# };
        reply(200, format!(r#"{{"rows":[{rows}]}}"#))
    })
    .await;
    copied.settle("invoices").await;
    assert_eq!(copied.stored("invoices").into_keys().collect::<Vec<_>>(), ["F-7"]);
    assert!(copied.script.asked().iter().any(|asked| asked.parameter("changed_after").is_some()));
}

/// A list in another order at every reading.
#[tokio::test]
async fn rows_that_come_in_another_order_each_time_are_imported() {
    let reading = AtomicUsize::new(0);
    let (_clock, copied) = copied(r#"{"per_page":5}"#, move |asked| {
        let reading = reading.fetch_add(1, Ordering::Relaxed);
        let mut rows: Vec<String> = (1..=23).map(row).collect();
        let length = rows.len();
        (0..length).for_each(|at| rows.swap(at, (at * 7 + reading * 5) % length));
        clients(&page(&rows, asked, 5))
    })
    .await;
    let mut committed = false;
    for _ in 0..12 {
        committed |= copied.sync("clients").await.committed.is_some();
    }
    assert!(committed, "the import ends");
    assert_eq!(copied.stored("clients").len(), 23);
}

/// One odd row.
#[tokio::test]
async fn one_row_that_is_no_json_stops_no_other() {
    let (_clock, copied) = copied("{}", |asked| {
        let odd = r#"{"id":2,"price":NaN,"updated_at":"2026-01-01T00:00:02.000Z"}"#.to_owned();
        if asked.path.ends_with("/2") {
            return reply(200, format!(r#"{{"client":{odd}}}"#));
        }
        clients(&page(&[row(1), odd, row(3)], asked, 50))
    })
    .await;
    copied.sync("clients").await;
    copied.sync("clients").await;
    assert_eq!(copied.stored("clients").into_keys().collect::<Vec<_>>(), ["1", "3"]);
    assert_eq!(copied.set_aside("clients").len(), 1, "it waits in quarantine");
}

/// What a page counts may be of that page alone, or of the pages that are left; a page in mid-list may show no row.
#[tokio::test]
async fn a_list_is_read_to_its_end_whatever_one_page_says_of_it() {
    for (metadata, sizes) in [
        (r#""per_page":10,"total_count":{here}"#, &[10, 10, 5][..]),
        (r#""total_count":{here}"#, &[10, 10, 5]),
        (r#""per_page":10,"total_count":{here},"total_pages":1"#, &[10, 10, 5]),
        (r#""total_pages":{left}"#, &[10, 10, 5]),
        (r#""per_page":10,"total_count":35,"total_pages":4"#, &[10, 0, 10, 5]),
        (r#""per_page":10,"total_count":35"#, &[10, 0, 10, 5]),
        (r#""per_page":10,"total_count":35,"total_pages":4"#, &[0, 10, 10, 5]),
    ] {
        let (_clock, copied) = copied(r#"{"per_page":10,"updated_filters":{"clients":null}}"#, move |asked| {
            let number = asked.page();
            let before: usize = sizes.iter().take(number - 1).sum();
            let size = sizes.get(number - 1).copied().unwrap_or_default();
            let rows: Vec<String> = (before + 1..=before + size).map(row).collect();
            let left = sizes.len().saturating_sub(number - 1).to_string();
            let metadata = metadata.replace("{here}", &size.to_string()).replace("{left}", &left);
            reply(200, format!(r#"{{"clients":[{}],"metadata":{{"page":{number},{metadata}}}}}"#, rows.join(",")))
        })
        .await;
        copied.sync("clients").await;
        copied.settle("clients").await;
        assert_eq!(copied.stored("clients").len(), 25, "{metadata} {sizes:?}");
    }
}

/// An answer that says that it failed, whichever framework wrote it, one that is not whole, and one in which nothing says
/// that it is this list.
#[tokio::test]
async fn an_empty_answer_that_is_no_empty_list_is_never_up_to_date() {
    for body in [
        r#"{"messages":[]}"#,
        r#"{"name":"api","versions":[]}"#,
        r#"{"success":false,"clients":[]}"#,
        r#"{"status":"error","message":"x","clients":[]}"#,
        r#"{"status":500,"clients":[]}"#,
        r#"{"clients":[],"errorMessage":"Task timed out"}"#,
        r#"{"clients":[],"incomplete_results":true}"#,
        r#"{"clients":[],"metadata":{"total_count":25,"total_pages":1}}"#,
    ] {
        let (_clock, copied) = copied("{}", move |_| reply(200, body)).await;
        let report = copied.sync("clients").await;
        assert_eq!(failed(&report.outcome).0, Transient, "{body}: {report:?}");
    }
}

/// A page that is refused once may be a slip; what is refused again is the end.
#[tokio::test]
async fn a_page_that_is_refused_once_is_no_end() {
    for (status, body) in [(404, r#"{"error":"Not Found"}"#), (400, r#"{"error":"Bad Request"}"#)] {
        let refused = AtomicUsize::new(0);
        let (_clock, copied) = copied(r#"{"per_page":10}"#, move |asked| {
            let rows: Vec<String> = (1..=35).map(row).collect();
            if asked.page() == 2 && refused.fetch_add(1, Ordering::Relaxed) == 0 {
                return reply(status, body);
            }
            clients(&page(&rows, asked, 10))
        })
        .await;
        copied.sync("clients").await;
        assert_eq!(copied.stored("clients").len(), 35, "{status} {body}");
    }
}
