//! Answers of gateways and odd feeds, and what they leave of the copied records.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::stream::{SourceKind, StreamName};
use tidemark_fakes::{CallKind, Change, Fault};

use crate::account::{TOKEN, account, secret};
use crate::copied::Copied;
use crate::engine::Stage;
use crate::ports::POLL_INTERVAL;
use crate::script::{Asked, Reply, reply};
use crate::support::answer;

const CUSTOMERS: &str = r#"{"record_streams":["customers"]}"#;
const ITEM: &str = "07af3523740340fb8685ae2eece650c3";

/// A feed of one class, answered by this from the token on; there is nothing to import.
async fn fed(answer: impl Fn(&str) -> String + Send + 'static) -> Copied {
    let clock = account("{}").await.vendor;
    let answer = move |asked: &Asked| -> Reply {
        match asked.path.trim_matches('/').strip_prefix("changes/") {
            Some(token) => reply(200, answer(token)),
            None if asked.path == format!("/item/{ITEM}") => reply(200, format!(r#"{{"uuid":"{ITEM}"}}"#)),
            None => reply(200, r#"{"items":[],"count":0}"#),
        }
    };
    Copied::of(SourceKind::FieldAware, &secret(TOKEN), r#"{"record_streams":["items"]}"#, &clock, answer).await
}

fn event(id: u32) -> String {
    format!(r#"{{"entityClass":"Item","status":"UPDATED","entity":{{"uuid":"{ITEM}"}},"id":{id}}}"#)
}

/// For ten seconds, and for longer than a message lasts.
#[tokio::test]
async fn details_that_a_gateway_answers_with_404_delete_nothing() {
    for (words, rounds) in [("404 page not found", 1), ("", 1), ("404 page not found", 3), ("", 3)] {
        let stage = Stage::at(|_| {}, CUSTOMERS).await;
        let vendor = &stage.account.vendor;
        vendor.seed_count("customers", 8).unwrap();
        stage.settle().await;
        stage.repeat().await;
        for number in 1..=3 {
            vendor.edit(Change::of_first("customers", number)).unwrap();
        }
        vendor.fault(Fault::new(answer(404, words)).on_call(CallKind::Detail)).unwrap();
        for _ in 0..rounds {
            stage.tick().await;
            vendor.advance(Duration::from_secs(50));
            stage.world.fetch_all().await;
        }
        let deleted =
            stage.world.tables.with(|tables| tables.records.values().filter(|record| record.deleted.is_some()).count());
        assert_eq!(deleted, 0, "{words} {rounds}");
        vendor.clear_faults();
        stage.repeat().await;
        stage.compare();
    }
}

#[tokio::test]
async fn a_token_that_a_gateway_refuses_is_asked_again_and_what_lies_behind_it_arrives() {
    for (status, words) in [(404, "404 page not found"), (400, "")] {
        let stage = Stage::at(|_| {}, CUSTOMERS).await;
        let vendor = &stage.account.vendor;
        vendor.seed_count("customers", 5).unwrap();
        stage.settle().await;
        stage.repeat().await;
        let deleted = vendor.truth("customers").unwrap().into_keys().next_back().unwrap();
        vendor.delete(Change::of("customers", &deleted)).unwrap();
        vendor.edit(Change::of_first("customers", 1)).unwrap();
        vendor.fault(Fault::new(answer(status, words)).on_function("/changes/{token}/").times(1)).unwrap();
        vendor.reset_requests();
        for _ in 0..6 {
            assert!(!stage.tick().await.notices.contains(&Notice::Resync), "{status} {words}");
            vendor.advance(POLL_INTERVAL);
            stage.drain().await;
        }
        stage.compare();
        assert!(!stage.account.asked().contains(&"/customer/".to_owned()), "nothing is listed again");
    }
}

#[tokio::test]
async fn a_class_that_a_firewall_refuses_once_is_imported() {
    let stage = Stage::at(|_| {}, CUSTOMERS).await;
    let vendor = &stage.account.vendor;
    vendor.seed_count("customers", 30).unwrap();
    let page = "<html><h1>403 Forbidden</h1>nginx</html>";
    vendor.fault(Fault::new(answer(403, page)).on_function("/customer/").times(1)).unwrap();
    stage.repeat().await;
    stage.compare();
}

#[tokio::test]
async fn many_empty_pages_before_an_event_are_read_in_one_tick() {
    let copied = fed(|token| match token {
        "token" => r#"{"sinceToken":1}"#.to_owned(),
        "200" => format!(r#"{{"items":[{}],"next":201}}"#, event(200)),
        "201" => r#"{"items":[],"next":201}"#.to_owned(),
        empty => format!(r#"{{"items":[],"next":{}}}"#, empty.parse::<u32>().unwrap() + 1),
    })
    .await;
    let first = copied.sync("changes").await;
    assert_eq!(first.owed_count, 0, "the token is taken, and everything there was is listed");
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(copied.sync("changes").await.owed_count);
    }
    assert_eq!(told, [1, 0, 0, 0]);
    assert!(copied.stored("items").contains_key(ITEM));
}

#[tokio::test]
async fn a_feed_whose_last_page_has_no_next_is_followed_and_told_once() {
    let asked = AtomicU32::new(0);
    let copied = fed(move |token| {
        let call = asked.fetch_add(1, Ordering::Relaxed);
        match token {
            // An event happens behind the first tokens taken; the feed's own token follows it.
            "token" if call < 2 => r#"{"sinceToken":1}"#.to_owned(),
            "token" => r#"{"sinceToken":2}"#.to_owned(),
            "1" if call >= 2 => format!(r#"{{"items":[null,{}]}}"#, event(1)),
            _ => r#"{"items":[],"next":null}"#.to_owned(),
        }
    })
    .await;
    let mut told = Vec::new();
    for _ in 0..8 {
        told.push(copied.sync("changes").await.owed_count);
    }
    assert_eq!(told.iter().sum::<usize>(), 1, "{told:?}");
    assert!(copied.stored("items").contains_key(ITEM));
}

/// `DISPATCHED` must not vanish behind a later `UPDATED`, be they on one page, on two, or told by two ticks.
#[tokio::test]
async fn events_of_one_record_keep_all_their_actions() {
    let job = "07af3523740340fb8685ae2eece650c3";
    let event = move |id: u32, actions: &str| {
        format!(
            r#"{{"entityClass":"Job","status":"UPDATED","entity":{{"uuid":"{job}"}},"actions":[{actions}],"id":{id}}}"#
        )
    };
    let (dispatched, assigned) = (event(1, r#"{"status":"DISPATCHED"}"#), event(2, r#"{"status":"ASSIGNED"}"#));
    let plain = event(3, "");
    // The events of each page; a page without any ends a tick.
    for pages in [
        vec![vec![&dispatched, &assigned, &plain]],
        vec![vec![&dispatched], vec![&assigned, &plain]],
        vec![vec![&dispatched], vec![], vec![&assigned], vec![], vec![&assigned, &plain]],
    ] {
        let clock = account("{}").await.vendor;
        let pages: Vec<String> =
            pages.into_iter().map(|page| page.into_iter().map(String::as_str).collect::<Vec<_>>().join(",")).collect();
        let page_count = u32::try_from(pages.len()).unwrap();
        let reached = std::sync::Arc::new(AtomicU32::new(0));
        let asked_for = std::sync::Arc::clone(&reached);
        let answer = move |asked: &Asked| -> Reply {
            match asked.path.trim_matches('/').strip_prefix("changes/") {
                Some("token") => reply(200, r#"{"sinceToken":"t0"}"#),
                Some(token) => {
                    let at: u32 = token.trim_start_matches('t').parse().unwrap();
                    let may_go_on = at < asked_for.load(Ordering::Relaxed);
                    let items = pages.get(usize::try_from(at).unwrap()).filter(|_| may_go_on);
                    let next = if may_go_on { at + 1 } else { at };
                    reply(
                        200,
                        format!(r#"{{"items":[{}],"next":"/changes/t{next}/"}}"#, items.map_or("", String::as_str)),
                    )
                }
                None if asked.path.starts_with("/job/07") => reply(200, format!(r#"{{"uuid":"{job}"}}"#)),
                None => reply(200, r#"{"items":[],"count":0}"#),
            }
        };
        let settings = r#"{"record_streams":["jobs"]}"#;
        let copied = Copied::of(SourceKind::FieldAware, &secret(TOKEN), settings, &clock, answer).await;
        copied.settle("changes").await;
        // What a tick found is still owed when the next one reads on.
        for reach in 1..=page_count {
            reached.store(reach, Ordering::Relaxed);
            copied.ports.poll(&StreamName::known("changes"), "poller").await;
            clock.advance(Duration::from_secs(4));
        }
        for _ in 0..60 {
            copied.ports.fetch_all().await;
            clock.advance(Duration::from_secs(1));
        }
        copied.settle("changes").await;
        let event = copied.ports.tables.with(|tables| {
            let (_, record) = tables.records.iter().next().unwrap();
            record.event.as_ref().unwrap().text().to_owned()
        });
        assert!(event.contains(r#""id":3"#), "{event}");
        for action in ["DISPATCHED", "ASSIGNED"] {
            assert_eq!(event.matches(action).count(), 1, "{event}");
        }
    }
}

/// Kind: the end of a list. A page of events that leads back to itself is no end: what lies on it is read.
#[tokio::test]
async fn events_of_a_page_that_leads_to_itself_are_told() {
    let taken = AtomicU32::new(0);
    let copied = fed(move |token| match token {
        "token" if taken.fetch_add(1, Ordering::Relaxed) == 0 => r#"{"sinceToken":5}"#.to_owned(),
        "token" => r#"{"sinceToken":9}"#.to_owned(),
        "5" => format!(r#"{{"items":[{}],"next":5}}"#, event(6)),
        end => format!(r#"{{"items":[],"next":{end}}}"#),
    })
    .await;
    for _ in 0..4 {
        copied.sync("changes").await;
    }
    assert!(copied.stored("items").contains_key(ITEM));
}

/// Nothing that was not understood is the end of the feed.
#[tokio::test]
async fn a_page_of_events_that_failed_or_names_its_next_otherwise_is_never_up_to_date() {
    for page in [
        r#"{"items":[],"links":{"next":"/changes/7/"}}"#,
        r#"{"items":[],"nextUrl":"/changes/7/"}"#,
        r#"{"items":[],"next":5,"message":"Rate limit exceeded"}"#,
        r#"{"status":"error","items":[],"next":5}"#,
        r#"{"success":false,"items":[],"next":5}"#,
        r#"{"items":[],"next":5,"timed_out":true}"#,
    ] {
        let copied = fed(move |token| if token == "token" { r#"{"sinceToken":5}"# } else { page }.to_owned()).await;
        for _ in 0..3 {
            let report = copied.sync("changes").await;
            assert!(!matches!(report.outcome, PollOutcome::Quiet | PollOutcome::Owing), "{page}: {report:?}");
        }
    }
}

/// Kind: the end of a list. A feed whose pages lead back is never up to date, whatever its tokens are.
#[tokio::test]
async fn a_feed_that_goes_in_circles_is_a_failure_that_says_so() {
    for (tokens, events) in
        [(&["5", "4"][..], ""), (&["ab", "cd"], ""), (&["ab", "cd", "ef"], "null"), (&["5", "1"], "null")]
    {
        let copied = fed(move |token| match tokens.iter().position(|known| *known == token) {
            None => format!(r#"{{"sinceToken":"{}"}}"#, tokens[0]),
            Some(at) => {
                let next = tokens[(at + 1) % tokens.len()];
                format!(r#"{{"items":[{events}],"next":"/changes/{next}/"}}"#)
            }
        })
        .await;
        // The import, and a tick that keeps what it read before the circle closed.
        for _ in 0..2 {
            copied.sync("changes").await;
        }
        for _ in 0..3 {
            let report = copied.sync("changes").await;
            let PollOutcome::SourceFailed(_, cause) = &report.outcome else { panic!("{tokens:?}: {report:?}") };
            assert!(cause.contains("circles"), "{cause}");
        }
    }
}

/// A vendor that restores its tables may begin its count of events again.
#[tokio::test]
async fn a_token_that_is_a_smaller_number_is_followed() {
    let copied = fed(|token| match token {
        "token" => r#"{"sinceToken":50}"#.to_owned(),
        "50" => r#"{"items":[],"next":7}"#.to_owned(),
        "7" => format!(r#"{{"items":[{}],"next":8}}"#, event(8)),
        end => format!(r#"{{"items":[],"next":{end}}}"#),
    })
    .await;
    for _ in 0..4 {
        copied.sync("changes").await;
    }
    assert!(copied.stored("items").contains_key(ITEM));
    assert_eq!(copied.sync("changes").await.outcome, PollOutcome::Quiet);
}

/// Pages of a class of so many rows of ten, with this count; what is stored, and what was reported.
async fn listed(sizes: &'static [usize], count: &'static str, refused_once: bool) -> (usize, Vec<Notice>) {
    let clock = account("{}").await.vendor;
    let mut is_refused = refused_once;
    let answer = move |asked: &Asked| -> Reply {
        let segments: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
        let number = match segments.as_slice() {
            ["changes", "token"] => return reply(200, r#"{"sinceToken":1}"#),
            ["changes", _] => return reply(200, r#"{"items":[],"next":1}"#),
            ["item", id] => return reply(200, format!(r#"{{"uuid":"{id}"}}"#)),
            _ => asked.page(),
        };
        if number == 1 && std::mem::take(&mut is_refused) {
            return reply(404, r#"{"error":{"name":"NotFoundError","message":"x"}}"#);
        }
        let before: usize = sizes.iter().take(number).sum();
        let size = sizes.get(number).copied().unwrap_or_default();
        let rows: Vec<String> = (before..before + size).map(|at| format!(r#"{{"uuid":"{at:032x}"}}"#)).collect();
        let met = if number == 0 { 25 } else { before + size };
        let count = count.replace("{here}", &size.to_string()).replace("{met}", &met.to_string());
        reply(200, format!(r#"{{"count":{count},"items":[{}],"page":{number}}}"#, rows.join(",")))
    };
    let settings = r#"{"record_streams":["items"],"list_page_size":10}"#;
    let copied = Copied::of(SourceKind::FieldAware, &secret(TOKEN), settings, &clock, answer).await;
    let mut notices = Vec::new();
    for _ in 0..4 {
        notices.extend(copied.sync("changes").await.notices);
    }
    (copied.stored("items").len(), notices)
}

/// What a page counts may be of that page alone; a page in mid-list may show no row, come from an old copy of the tables,
/// or be refused once.
#[tokio::test]
async fn a_class_is_read_to_its_end_whatever_one_page_says_of_it() {
    for (sizes, count, refused_once) in [
        (&[10, 10, 5][..], "{here}", false),
        (&[10, 10, 5], "{met}", false),
        (&[10, 10, 5], "null", true),
        (&[10, 0, 10, 5], "35", false),
        (&[0, 10, 10, 5], "35", false),
    ] {
        let (stored, notices) = listed(sizes, count, refused_once).await;
        assert_eq!(stored, 25, "{sizes:?} {count} {refused_once}: {notices:?}");
    }
}

#[tokio::test]
async fn a_class_that_counts_rows_and_shows_none_asks_for_attention() {
    let (stored, notices) = listed(&[], "25", false).await;
    assert_eq!(stored, 0);
    assert!(notices.contains(&Notice::LeftOut(StreamName::known("items"))), "{notices:?}");
}
