//! What the vendor, and what stands before it, really answer: each end of a list, each refusal and each odd row under the
//! real poller and fetcher.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tidemark_engine::failure::FailureClass::{self, Forbidden, Transient};
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::SourceKind;
use tidemark_fakes::fsmnavigator::FakeFsmNavigator;

use crate::account::{KEY, secret};
use crate::copied::Copied;
use crate::log::{collect_log, logged};
use crate::script::{Asked, Reply, reply};

/// 2026-01-01T00:00:00Z plus so many seconds, as the vendor writes it.
fn stamp(second: usize) -> String {
    format!("2026-01-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

pub(crate) fn row(id: usize) -> String {
    format!(r#"{{"id":{id},"updated_at":"{}"}}"#, stamp(id))
}

pub(crate) async fn copied(
    settings: &'static str,
    answer: impl FnMut(&Asked) -> Reply + Send + 'static,
) -> (FakeFsmNavigator, Copied) {
    collect_log();
    let clock = FakeFsmNavigator::start().await.unwrap();
    clock.freeze_clock();
    let copied = Copied::of(SourceKind::FsmNavigator, &secret(KEY), settings, &clock, answer).await;
    (clock, copied)
}

/// The rows of a page, cut from these.
fn cut(rows: &[String], asked: &Asked) -> String {
    let per_page: usize = asked.parameter("per_page").unwrap().parse().unwrap();
    let page: Vec<&str> = rows.iter().skip((asked.page() - 1) * per_page).take(per_page).map(String::as_str).collect();
    page.join(",")
}

/// A list with totals, as the guide shows it; only what was changed after the bound.
pub(crate) fn list(name: &str, rows: &[String], asked: &Asked) -> Reply {
    let bound = asked.parameter("updated_since").unwrap_or_default().to_owned();
    let is_after = |row: &&String| row.split("\"updated_at\":\"").nth(1).is_some_and(|stamp| *stamp >= *bound);
    let rows: Vec<String> = rows.iter().filter(|row| bound.is_empty() || is_after(row)).cloned().collect();
    let per_page: usize = asked.parameter("per_page").unwrap().parse().unwrap();
    let (page, total, pages) = (asked.page(), rows.len(), rows.len().div_ceil(per_page));
    let shown = cut(&rows, asked);
    reply(
        200,
        format!(
            r#"{{"success":true,"{name}":[{shown}],"page":{page},"per_page":{per_page},"total":{total},"total_pages":{pages}}}"#
        ),
    )
}

pub(crate) const NOT_FOUND: &str = r#"{"success":false,"error":"not_found","message":"Invalid page"}"#;

pub(crate) fn failed(outcome: &PollOutcome) -> (FailureClass, &str) {
    match outcome {
        PollOutcome::SourceFailed(class, cause) => (*class, cause),
        other => panic!("{other:?}"),
    }
}

/// Without a total a short page in mid-list is not the end.
#[tokio::test]
async fn a_list_without_a_total_is_read_to_its_first_empty_page() {
    let (_clock, copied) = copied(r#"{"per_page":10}"#, |asked| {
        let rows: Vec<String> = match asked.page() {
            1 => (1..=9).map(row).collect(),
            2 => (11..=20).map(row).collect(),
            3 => (21..=30).map(row).collect(),
            _ => Vec::new(),
        };
        reply(
            200,
            format!(r#"{{"success":true,"customers":[{}],"page":{},"per_page":10}}"#, rows.join(","), asked.page()),
        )
    })
    .await;
    copied.settle("customers").await;
    assert_eq!(copied.stored("customers").len(), 29);
}

/// Kind: the end of a list. 25 rows, ten a page, counted in the ways of many frameworks, and wrongly.
#[tokio::test]
async fn a_list_is_read_to_its_end_however_it_is_counted() {
    for counts in [
        r#""page":"{page}","total_pages":"3""#,
        r#""page":{page}.0,"total_pages":3.0"#,
        r#""total":25,"per_page":10"#,
        r#""total":"25","per_page":"10","page":{page}"#,
        r#""total":25,"per_page":20,"page":{page}"#,
        r#""total":0,"total_pages":0"#,
        r#""total":-1,"total_pages":-1"#,
        r#""total":5,"page":{page}"#,
        r#""total":5,"total_pages":1"#,
        r#""total":5,"total_pages":1,"hasNextPage":true"#,
        r#""total_pages":99999999999"#,
        r#""total_pages":{grown}"#,
        r#""total_pages":1,"next_page":{next}"#,
        r#""total_pages":{page},"links":{"next":{next}}"#,
        r#""total":null,"total_pages":null,"page":null"#,
        r#""total":{"value":25},"total_pages":[1]"#,
        r#""total_pages":"many""#,
        r#""pagination":"page {page}""#,
    ] {
        let (_clock, copied) = copied(r#"{"per_page":10}"#, move |asked| {
            let rows: Vec<String> = (1..=25).map(row).collect();
            let number = asked.page();
            let next = if number < 3 { (number + 1).to_string() } else { "null".to_owned() };
            let counts = counts.replace("{page}", &number.to_string()).replace("{next}", &next);
            let counts = counts.replace("{grown}", &(number + 1).min(3).to_string());
            reply(200, format!(r#"{{"success":true,"customers":[{}],{counts}}}"#, cut(&rows, asked)))
        })
        .await;
        copied.sync("customers").await;
        copied.settle("customers").await;
        assert_eq!(copied.stored("customers").len(), 25, "{counts}");
    }
}

/// A vendor that ignores `page` shows its first page again.
#[tokio::test]
async fn a_full_page_that_repeats_is_told_of_and_commits_nothing() {
    for paging in ["", r#","page":1"#] {
        let (_clock, copied) = copied(r#"{"per_page":10}"#, move |_| {
            let rows: Vec<String> = (1..=10).map(row).collect();
            reply(200, format!(r#"{{"success":true,"jobs":[{}]{paging}}}"#, rows.join(",")))
        })
        .await;
        let report = copied.sync("jobs").await;
        assert_eq!((&report.outcome, report.committed.is_some()), (&PollOutcome::Unlisted, false), "{report:?}");
        assert!(report.notices.contains(&Notice::ListMoving), "{report:?}");
    }
}

/// After page 1 a row is deleted, so that the last page is gone for good.
#[tokio::test]
async fn a_list_that_becomes_shorter_is_walked_again_from_its_beginning() {
    for refusal in [NOT_FOUND, r#"{"detail":"Invalid page."}"#] {
        let rows: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new((1..=21).map(row).collect()));
        let answered = AtomicUsize::new(0);
        let (_clock, copied) = copied(r#"{"per_page":10}"#, move |asked| {
            let mut rows = rows.lock().unwrap();
            let answer = if asked.page() > 1 && (asked.page() - 1) * 10 >= rows.len() {
                reply(404, refusal)
            } else {
                list("customers", &rows, asked)
            };
            if answered.fetch_add(1, Ordering::Relaxed) == 0 {
                rows.remove(4);
            }
            answer
        })
        .await;
        copied.settle("customers").await;
        let stored = copied.stored("customers");
        assert!((1..=21).filter(|id| *id != 5).all(|id| stored.contains_key(&id.to_string())), "{stored:?}");
    }
}

/// No total, two full pages, and the third one is refused.
#[tokio::test]
async fn a_refused_page_behind_the_last_one_is_the_end() {
    let (_clock, copied) = copied(r#"{"per_page":10}"#, |asked| {
        let rows: Vec<String> = (1..=20).map(row).collect();
        match asked.page() {
            1 | 2 => reply(200, format!(r#"{{"success":true,"customers":[{}]}}"#, cut(&rows, asked))),
            _ => reply(404, NOT_FOUND),
        }
    })
    .await;
    copied.settle("customers").await;
    assert_eq!(copied.stored("customers").len(), 20);
}

/// What is refused by somebody else is no end: nothing is committed until the page is there.
#[tokio::test]
async fn a_page_that_a_gateway_refuses_is_an_outage() {
    for (status, body) in [(404, "<html>Not Found</html>"), (404, "404 page not found"), (400, ""), (404, "{}")] {
        let is_up = Arc::new(AtomicUsize::new(0));
        let up = Arc::clone(&is_up);
        let (_clock, copied) = copied(r#"{"per_page":10}"#, move |asked| {
            let rows: Vec<String> = (1..=25).map(row).collect();
            if asked.page() == 2 && up.load(Ordering::Relaxed) == 0 {
                return reply(status, body);
            }
            list("customers", &rows, asked)
        })
        .await;
        let report = copied.sync("customers").await;
        let (class, cause) = failed(&report.outcome);
        assert_eq!(class, Transient, "{status} {body}");
        assert!(cause.contains("stream customers") && cause.contains("page=2"), "{cause}");
        is_up.store(1, Ordering::Relaxed);
        copied.settle("customers").await;
        assert_eq!(copied.stored("customers").len(), 25);
    }
}

/// The rows are `null` and the total is 0, or a 204 comes.
#[tokio::test]
async fn a_list_of_nothing_is_quiet_however_it_is_written() {
    for (status, body) in [
        (200, r#"{"success":true,"jobs":null,"page":1,"per_page":50,"total":0,"total_pages":0}"#),
        (200, r#"{"data":null,"pagination":{"page":1,"per_page":50,"total":0,"total_pages":0}}"#),
        (200, r#"{"data":{},"pagination":{"total":0}}"#),
        (200, "[]"),
        (204, ""),
    ] {
        let (_clock, copied) = copied("{}", move |_| reply(status, body)).await;
        for _ in 0..2 {
            let report = copied.sync("jobs").await;
            assert_eq!(report.outcome, PollOutcome::Quiet, "{status} {body}");
        }
    }
}

/// A 204 to a list with a bound, after an import.
#[tokio::test]
async fn no_content_is_no_changes() {
    let (_clock, copied) = copied("{}", |asked| {
        let rows = [row(1), row(2)];
        match asked.parameter("updated_since") {
            Some(bound) if *bound > *stamp(2) => reply(204, ""),
            _ => list("jobs", &rows, asked),
        }
    })
    .await;
    copied.settle("jobs").await;
    assert_eq!(copied.sync("jobs").await.outcome, PollOutcome::Quiet);
    assert_eq!(copied.stored("jobs").len(), 2);
}

/// One row with `NaN`, or in another encoding: the other rows are stored, the odd one is tried by itself, and a
/// person hears of stream and page.
#[tokio::test]
async fn one_row_that_is_no_json_stops_no_other() {
    for odd in [
        br#"{"id":2,"price":NaN}"#.to_vec(),
        b"{\"id\":2,\"name\":\"Caf\xe9\"}".to_vec(),
        b"{\"id\":2,\"name\":\"a\tb\"}".to_vec(),
    ] {
        let mended = Arc::new(AtomicUsize::new(0));
        let is_mended = Arc::clone(&mended);
        let (_clock, copied) = copied("{}", move |asked| {
            let second = if is_mended.load(Ordering::Relaxed) > 0 { row(2).into_bytes() } else { odd.clone() };
            if asked.parameter("id").is_some() {
                return reply(200, [br#"{"success":true,"asset":"#, second.as_slice(), b"}"].concat());
            }
            let (first, third) = (row(1), row(3));
            let rows = [first.as_bytes(), second.as_slice(), third.as_bytes()].join(&b","[..]);
            reply(200, [br#"{"success":true,"total_pages":1,"assets":["#, rows.as_slice(), b"]}"].concat())
        })
        .await;
        copied.sync("assets").await;
        copied.sync("assets").await;
        assert_eq!(copied.stored("assets").into_keys().collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(copied.set_aside("assets").len(), 1, "it waits in quarantine");
        assert!(logged().contains("stream=assets page=1 row_count=1"), "{}", logged());
        mended.store(1, Ordering::Relaxed);
        copied.settle("assets").await;
        assert_eq!(copied.stored("assets").len(), 3);
    }
}

/// A page that cannot be read at all fails with its number; other streams are read as ever.
#[tokio::test]
async fn a_page_that_cannot_be_read_is_named_and_harms_no_other_stream() {
    let (_clock, copied) = copied(r#"{"per_page":2}"#, |asked| {
        let rows: Vec<String> = (1..=4).map(row).collect();
        if asked.path.ends_with("assets") && asked.page() == 2 {
            return reply(200, r#"{"success":true,"assets":[{"id":3},{"id":"#);
        }
        list(asked.path.rsplit('/').next().unwrap(), &rows, asked)
    })
    .await;
    let report = copied.sync("assets").await;
    let (class, cause) = failed(&report.outcome);
    assert_eq!(class, Transient);
    assert!(cause.contains("stream assets") && cause.contains("page=2") && cause.contains("next: "), "{cause}");
    copied.settle("technicians").await;
    assert_eq!(copied.stored("technicians").len(), 4);
}

/// A row without a stamp is in no list with a bound, so the first import sends none.
#[tokio::test]
async fn a_first_import_brings_rows_without_a_stamp() {
    let (_clock, copied) =
        copied("{}", |asked| list("jobs", &[row(1), r#"{"id":2,"updated_at":null}"#.to_owned(), row(3)], asked)).await;
    copied.settle("jobs").await;
    assert_eq!(copied.stored("jobs").len(), 3);
    let asked = copied.script.asked();
    assert_eq!(asked[0].parameter("updated_since"), None);
    assert!(asked.last().unwrap().parameter("updated_since").is_some(), "later lists bear the bound");
}

#[tokio::test]
async fn a_first_checkpoint_of_ones_own_is_sent() {
    let settings = r#"{"first_checkpoint":"2026-01-01T00:00:10Z"}"#;
    let (_clock, copied) = copied(settings, |asked| list("jobs", &(1..=20).map(row).collect::<Vec<_>>(), asked)).await;
    copied.settle("jobs").await;
    assert!(copied.script.asked().iter().all(|asked| asked.parameter("updated_since").is_some()));
    // The bound lies an overlap below it.
    assert_eq!(copied.stored("jobs").len(), 20);
}

/// A filter that means "equal to" lists nothing, for ever.
#[tokio::test]
async fn a_filter_that_is_not_heeded_is_noticed_on_the_first_import() {
    for settings in ["{}", r#"{"first_checkpoint":"2025-12-01T00:00:00Z"}"#] {
        let (_clock, copied) = copied(settings, |asked| {
            let rows: Vec<String> = (1..=25).map(row).collect();
            match asked.parameter("updated_since") {
                Some(bound) => {
                    let equal: Vec<String> = rows.into_iter().filter(|row| row.contains(bound)).collect();
                    reply(200, format!(r#"{{"success":true,"jobs":[{}],"total_pages":1}}"#, equal.join(",")))
                }
                None => list("jobs", &rows, asked),
            }
        })
        .await;
        let report = copied.sync("jobs").await;
        let (class, cause) = failed(&report.outcome);
        assert_eq!(class, Forbidden, "{cause}");
        assert!(cause.contains("updated_since") && cause.contains("next: set filter_parameter"), "{cause}");
        assert!(report.notices.contains(&Notice::StreamPaused), "{report:?}");
        assert!(Notice::StreamPaused.needs_attention());
    }
}

/// A filter that is applied costs one call more, once; one that is ignored lists everything, and is reported later.
#[tokio::test]
async fn a_filter_that_is_heeded_is_compared_once() {
    let (_clock, copied) = copied("{}", |asked| list("jobs", &(1..=5).map(row).collect::<Vec<_>>(), asked)).await;
    copied.sync("jobs").await;
    let bounds: Vec<bool> =
        copied.script.asked().iter().map(|asked| asked.parameter("updated_since").is_some()).collect();
    assert_eq!(bounds, [false, true]);
}

/// Every row has a signed URL that differs at every reading, or the list comes in another order each time.
#[tokio::test]
async fn rows_that_differ_at_every_reading_are_imported_and_committed() {
    for is_shuffled in [false, true] {
        let reading = AtomicUsize::new(0);
        let (_clock, copied) = copied(r#"{"per_page":5}"#, move |asked| {
            let reading = reading.fetch_add(1, Ordering::Relaxed);
            let mut rows: Vec<String> = (1..=23).map(row).collect();
            if is_shuffled {
                let length = rows.len();
                (0..length).for_each(|at| rows.swap(at, (at * 7 + reading * 5) % length));
            } else {
                for row in &mut rows {
                    *row = row.replace('}', &format!(r#","photo":"https://x/?sig={reading}"}}"#));
                }
            }
            list("customers", &rows, asked)
        })
        .await;
        let mut committed = false;
        for _ in 0..12 {
            committed |= copied.sync("customers").await.committed.is_some();
        }
        assert!(committed, "the import ends; shuffled: {is_shuffled}");
        assert_eq!(copied.stored("customers").len(), 23, "shuffled: {is_shuffled}");
    }
}

/// Bodies of refusals are read for whose words they are.
#[tokio::test]
async fn a_refusal_is_believed_only_in_the_vendors_own_words() {
    let own = |code: &str| format!(r#"{{"success":false,"error":"{code}","message":"No."}}"#);
    for (status, body, class, next) in [
        (401, own("invalid_api_key"), FailureClass::Unauthorized, "put a valid credential"),
        (403, own("insufficient_scope"), Forbidden, "the scope jobs:read"),
        (403, own("ip_not_allowed"), Forbidden, "allowed addresses"),
        (404, own("not_found"), Forbidden, "compare the base URL"),
        (422, own("validation_error"), Forbidden, "filter_parameter"),
        (400, own("invalid_parameter"), Forbidden, "filter_parameter"),
        (401, "<html>Login</html>".to_owned(), Transient, "what stands before its API"),
        (401, String::new(), Transient, "what stands before its API"),
        (403, r#"{"message":"Forbidden"}"#.to_owned(), Transient, "what stands before its API"),
        (403, "<html>Attention Required! | Cloudflare</html>".to_owned(), Transient, "firewall"),
        (404, "404 page not found".to_owned(), Transient, "compare the base URL"),
        (404, "{}".to_owned(), Transient, "compare the base URL"),
        (400, "<html>Bad Request</html>".to_owned(), Transient, "the base URL"),
        (422, String::new(), Transient, "the base URL"),
    ] {
        let answer = body.clone();
        let (_clock, copied) = copied("{}", move |_| reply(status, answer.clone())).await;
        let report = copied.sync("jobs").await;
        let (found, cause) = failed(&report.outcome);
        assert_eq!(found, class, "{status} {body}: {cause}");
        assert!(cause.split("next: ").nth(1).unwrap().contains(next), "{status} {body}: {cause}");
    }
}

/// A shape that nobody knows has a next step of its own.
#[tokio::test]
async fn another_shape_than_is_known_is_named_so() {
    let (_clock, copied) = copied("{}", |_| reply(200, r#"{"success":true,"result":{"jobs":7}}"#)).await;
    let report = copied.sync("jobs").await;
    let (class, cause) = failed(&report.outcome);
    assert_eq!(class, Transient);
    assert!(cause.contains("another shape than is known"), "{cause}");
}

#[tokio::test]
async fn inventory_is_a_list_like_the_others() {
    let (_clock, copied) = copied("{}", |asked| {
        let rows: Vec<String> = (1..=3).map(row).collect();
        let shown = cut(&rows, asked);
        reply(200, format!(r#"{{"data":[{shown}],"pagination":{{"page":{},"total_pages":1}}}}"#, asked.page()))
    })
    .await;
    copied.settle("inventory").await;
    assert_eq!(copied.stored("inventory").len(), 3);
    assert!(copied.script.asked().iter().all(|asked| asked.path == "/api/v1/inventory"));
}

#[tokio::test]
async fn filters_are_sent_with_the_list_of_their_stream() {
    let settings = r#"{"queries":{"assets":{"status":"Active"},"customer_locations":{"has_locations":"1"}}}"#;
    let (_clock, copied) = copied(settings, |asked| match asked.path.as_str() {
        "/api/v1/assets" => list("assets", &[row(1)], asked),
        _ => list("customers", &[], asked),
    })
    .await;
    copied.settle("assets").await;
    copied.settle("customer_locations").await;
    for asked in copied.script.asked() {
        let (name, value) = if asked.path.ends_with("assets") { ("status", "Active") } else { ("has_locations", "1") };
        assert_eq!(asked.parameter(name), Some(value), "{asked:?}");
    }
}

/// Kind: the end of a list. Pages of so many rows, each with these counts; without counts an empty one is a 204.
async fn paged(counts: &'static str, sizes: &'static [usize]) -> (FakeFsmNavigator, Copied) {
    copied(r#"{"per_page":10}"#, move |asked| {
        let number = asked.page();
        let before: usize = sizes.iter().take(number - 1).sum();
        let size = sizes.get(number - 1).copied().unwrap_or_default();
        if size == 0 && counts.ends_with("or 204") {
            return reply(204, "");
        }
        let rows: Vec<String> = (before + 1..=before + size).map(row).collect();
        let left = sizes.len().saturating_sub(number - 1).to_string();
        let counts = counts.replace("{here}", &size.to_string()).replace("{left}", &left).replace(" or 204", "");
        reply(200, format!(r#"{{"success":true,"customers":[{}],"page":{number},{counts}}}"#, rows.join(",")))
    })
    .await
}

/// What a page counts may be of that page alone, or of the pages that are left; a page in mid-list may show no row, or
/// come from an old copy of the tables.
#[tokio::test]
async fn a_list_is_read_to_its_end_whatever_one_page_says_of_it() {
    const SHORTER: &[usize] = &[10, 10, 5];
    const HOLE: &[usize] = &[10, 0, 10, 5];
    const FIRST: &[usize] = &[0, 10, 10, 5];
    const HOLES: &[usize] = &[10, 0, 0, 10, 5];
    for (counts, sizes) in [
        (r#""per_page":10,"total":{here}"#, SHORTER),
        (r#""total":{here}"#, SHORTER),
        (r#""per_page":50,"total":{here}"#, SHORTER),
        (r#""per_page":10,"total":{here},"total_pages":1"#, SHORTER),
        (r#""per_page":10,"total_pages":1"#, SHORTER),
        (r#""total_pages":{left}"#, SHORTER),
        (r#""per_page":10,"total":35,"total_pages":4"#, HOLE),
        (r#""per_page":10,"total":35"#, HOLE),
        (r#""total":25"#, HOLE),
        (r#""total_pages":4"#, HOLE),
        (r#""total_pages":4 or 204"#, HOLE),
        (r#""per_page":10,"total":35,"total_pages":4"#, FIRST),
        (r#""per_page":10,"total":45,"total_pages":5"#, HOLES),
        (r#""has_more":true"#, HOLE),
    ] {
        let (_clock, copied) = paged(counts, sizes).await;
        copied.sync("customers").await;
        copied.settle("customers").await;
        assert_eq!(copied.stored("customers").len(), 25, "{counts} {sizes:?}");
    }
}

/// One page comes from an old copy of the tables, on which there are fewer.
#[tokio::test]
async fn an_old_answer_is_not_the_end_of_a_list() {
    let calls = AtomicUsize::new(0);
    let (_clock, copied) = copied(r#"{"per_page":10}"#, move |asked| {
        let count = if calls.fetch_add(1, Ordering::Relaxed) == 1 { 15 } else { 45 };
        list("customers", &(1..=count).map(row).collect::<Vec<_>>(), asked)
    })
    .await;
    copied.sync("customers").await;
    assert_eq!(copied.stored("customers").len(), 45);
}

#[tokio::test]
async fn a_list_that_counts_rows_and_shows_none_is_not_up_to_date() {
    for counts in [r#""per_page":10,"total":25,"total_pages":3"#, r#""total":25"#, r#""total":25,"total_pages":1"#] {
        let (_clock, copied) = paged(counts, &[]).await;
        for _ in 0..2 {
            let report = copied.sync("customers").await;
            assert_eq!(failed(&report.outcome).0, Transient, "{counts}: {report:?}");
        }
    }
}

/// A count that forgets the bound says of a quiet list that there is more.
#[tokio::test]
async fn a_count_of_all_rows_beside_a_bound_stops_no_stream() {
    let (_clock, copied) = copied(r#"{"per_page":10}"#, |asked| {
        let rows: Vec<String> = (1..=45).map(row).collect();
        match asked.parameter("updated_since") {
            Some(bound) if *bound > *stamp(45) => {
                let number = asked.page();
                reply(
                    200,
                    format!(r#"{{"success":true,"jobs":[],"page":{number},"per_page":10,"total":45,"total_pages":5}}"#),
                )
            }
            _ => list("jobs", &rows, asked),
        }
    })
    .await;
    copied.settle("jobs").await;
    let before = copied.script.asked().len();
    assert_eq!(copied.sync("jobs").await.outcome, PollOutcome::Quiet);
    assert!(copied.script.asked().len() - before <= 4);
}

/// A page that is refused once may be a slip; what is refused again is the end.
#[tokio::test]
async fn a_page_that_is_refused_once_is_no_end() {
    for (status, body) in [(404, NOT_FOUND), (400, r#"{"success":false,"error":"bad_request"}"#)] {
        let refused = AtomicUsize::new(0);
        let (_clock, copied) = copied(r#"{"per_page":10}"#, move |asked| {
            let rows: Vec<String> = (1..=35).map(row).collect();
            if asked.page() == 2 && refused.fetch_add(1, Ordering::Relaxed) == 0 {
                return reply(status, body);
            }
            reply(200, format!(r#"{{"success":true,"customers":[{}]}}"#, cut(&rows, asked)))
        })
        .await;
        copied.sync("customers").await;
        assert_eq!(copied.stored("customers").len(), 35, "{status} {body}");
    }
}

/// Both dialects at once, one of them without rows.
#[tokio::test]
async fn of_two_members_that_may_hold_the_rows_the_one_that_has_some_is_read() {
    for (first, second) in [("customers", "data"), ("data", "customers")] {
        for empty in ["[]", "null", "{}"] {
            let (_clock, copied) = copied("{}", move |_| {
                reply(200, format!(r#"{{"success":true,"{first}":{empty},"{second}":[{}],"total_pages":1}}"#, row(1)))
            })
            .await;
            copied.sync("customers").await;
            assert_eq!(copied.stored("customers").len(), 1, "{first} {empty}");
        }
    }
}

/// A filter for what is later than 1970 hides what is dated from its first second: that is no wrong filter.
#[tokio::test]
async fn rows_dated_from_1970_put_no_filter_in_doubt() {
    for at in ["1970-01-01T00:00:00Z", "1970-01-01T01:00:00Z", "2100-01-01T00:00:00Z", "0000-00-00T00:00:00Z"] {
        let (_clock, copied) = copied("{}", move |asked| {
            let is_shown = asked.parameter("updated_since").is_none_or(|bound| at > bound);
            let row = format!(r#"{{"id":1,"updated_at":"{at}"}}"#);
            reply(200, format!(r#"{{"success":true,"jobs":[{}],"total_pages":1}}"#, if is_shown { &row } else { "" }))
        })
        .await;
        copied.sync("jobs").await;
        assert_eq!(copied.stored("jobs").len(), 1, "{at}");
    }
}
