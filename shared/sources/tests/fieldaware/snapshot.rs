//! Listing everything for a first import.

use std::collections::BTreeMap;
use std::time::Duration;

use tidemark_engine::change::ListRequest;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::notice::Notice;
use tidemark_engine::poll::PollOutcome;
use tidemark_engine::ports::Clock;
use tidemark_engine::stream::{SourceKind, StreamKey, StreamName};
use tidemark_fakes::fieldaware::ListEnvelope;
use tidemark_fakes::{Action, Add, Change, Effect, Fault, Hook, Moment, RetryAfter};
use tidemark_sweep::SweepReport;
use tidemark_sweep::ports::Shown;
use tidemark_sweep::state::Absence;

use crate::account::{Account, CHANGES, RECORD_STREAMS, account, account_at, ids};
use crate::engine::Stage;
use crate::log::logged;
use crate::ports::POLL_INTERVAL;
use crate::support::answer;

const OWN_ERROR: &str = r#"{"error":{"name":"OddError","message":"jane@example.com"}}"#;

fn seed_all(account: &Account, count: usize) {
    for stream in RECORD_STREAMS {
        account.vendor.seed_count(stream, count).unwrap();
    }
}

/// The pages asked for of one list, in order.
async fn pages_of(account: &Account, function: &str) -> Vec<String> {
    account.vendor.reset_requests();
    let mut pages = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let before = account.vendor.requests().len();
        let asked = cursor.clone().unwrap_or_default();
        let page = account.list(ListRequest::Snapshot(cursor.as_deref())).await.unwrap();
        if account.vendor.requests().iter().skip(before).any(|request| request.function == function) {
            pages.push(asked);
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn everything_is_listed_and_can_be_fetched() {
    let account = account(r#"{"list_page_size":5}"#).await;
    seed_all(&account, 12);
    assert_eq!(account.imported().await, account.truth());
    for locator in account.snapshot().await.concat() {
        let (stream, id) = account.record_of(&locator);
        let truth = account.vendor.truth(&stream).unwrap().remove(&id).unwrap();
        assert_eq!(account.fetched(&locator).await, (id, truth.body), "{locator}");
    }
    assert_eq!(account.vendor.request_counts().refused, 0);
}

#[tokio::test]
async fn a_locator_is_the_same_text_from_the_feed_and_from_the_lists() {
    let account = account("{}").await;
    seed_all(&account, 3);
    let token = account.newest_token().await;
    for stream in RECORD_STREAMS {
        account.vendor.edit(Change::of_all(stream)).unwrap();
    }
    let mut told = account.followed(&token).await.0;
    let mut listed = account.snapshot().await.concat();
    told.sort();
    listed.sort();
    assert_eq!(told, listed);
}

#[tokio::test]
async fn every_envelope_is_read_to_its_end() {
    for (count, links, envelope) in [
        (true, true, ListEnvelope::Items),
        (true, false, ListEnvelope::Items),
        (false, true, ListEnvelope::Items),
        (false, false, ListEnvelope::Items),
        (false, true, ListEnvelope::Bare),
        (false, false, ListEnvelope::Bare),
    ] {
        let quirks = |settings: &mut tidemark_fakes::fieldaware::Settings| {
            settings.list_count = count;
            settings.list_links = links;
            settings.list_envelope = envelope;
        };
        let account = account_at(quirks, r#"{"list_page_size":2}"#).await;
        seed_all(&account, 4);
        assert_eq!(account.imported().await, account.truth(), "{count} {links} {envelope:?}");
    }
}

/// Kind: the end of a list. A list without an envelope says nothing of pages, so it ends with its first empty page.
#[tokio::test]
async fn a_bare_list_is_read_to_its_first_empty_page() {
    let quirks = |settings: &mut tidemark_fakes::fieldaware::Settings| {
        settings.list_envelope = ListEnvelope::Bare;
        settings.list_links = false;
    };
    let stage = Stage::at(quirks, r#"{"list_page_size":10,"record_streams":["customers"]}"#).await;
    stage.account.vendor.seed_count("customers", 25).unwrap();
    stage.settle().await;
    assert_eq!(stage.stored_count("customers"), 25);
}

#[tokio::test]
async fn a_page_size_that_the_vendor_cuts_loses_nothing() {
    let account = account_at(|settings| settings.list_page_size_max = 3, r#"{"list_page_size":100}"#).await;
    seed_all(&account, 10);
    assert_eq!(account.imported().await, account.truth());
}

#[tokio::test]
async fn a_list_of_several_pages_is_walked_forward_and_backward_and_one_page_once() {
    let settings = r#"{"list_page_size":2,"record_streams":["customers","items"]}"#;
    let account = account(settings).await;
    account.vendor.seed_count("customers", 5).unwrap();
    account.vendor.seed_count("items", 2).unwrap();
    let expected = [
        "customers/0/forward/0",
        "customers/1/forward/2",
        "customers/2/forward/4",
        "customers/2/backward/5",
        "customers/1/backward/5",
        "customers/0/backward/5",
    ];
    let pages = pages_of(&account, "/customer/").await;
    let places: Vec<String> =
        pages.iter().map(|page| page.splitn(5, '/').take(4).collect::<Vec<_>>().join("/")).collect();
    assert_eq!(places, expected);
    assert_eq!(pages_of(&account, "/item/").await, [""]);
}

#[tokio::test]
async fn a_last_page_that_would_lie_past_the_end_is_not_asked_for() {
    let account = account(r#"{"list_page_size":2,"record_streams":["web_quotes"]}"#).await;
    account.vendor.seed_count("web_quotes", 4).unwrap();
    assert_eq!(pages_of(&account, "/webquote/").await.len(), 4);
}

#[tokio::test]
async fn rows_that_a_deletion_moved_over_a_page_boundary_are_met_on_the_way_back() {
    let account = account(r#"{"list_page_size":2,"record_streams":["customers"]}"#).await;
    let seeded = account.vendor.seed_count("customers", 6).unwrap();
    // Deleted after the first page was answered: the third row moves up into it.
    let delete = Action::Delete(Change::of("customers", &seeded[0]));
    account.vendor.hook(Hook::after_list("customers", delete)).unwrap();
    let pages = account.snapshot().await;
    let third = format!("customers/customer/{}", seeded[2]);
    assert!(!pages[..3].concat().contains(&third), "the way there misses it: {pages:?}");
    assert!(pages.concat().contains(&third));
    let listed: std::collections::BTreeSet<String> = pages.concat().into_iter().collect();
    assert_eq!(listed.len(), 6);
}

#[tokio::test]
async fn rows_that_a_new_row_moved_down_come_twice_and_none_is_lost() {
    let account = account(r#"{"list_page_size":2,"record_streams":["customers"]}"#).await;
    account.vendor.seed_count("customers", 5).unwrap();
    let add = Action::Add(Add::one("customers"));
    account.vendor.hook(Hook { when: Moment::After, ..Hook::after_list("customers", add) }).unwrap();
    assert_eq!(account.imported().await, account.truth());
}

#[tokio::test]
async fn times_are_listed_below_every_user() {
    let settings = r#"{"list_page_size":2,"record_streams":["unavailable_times","working_hours_exceptions"]}"#;
    let account = account(settings).await;
    account.vendor.seed_count("users", 5).unwrap();
    account.vendor.seed_count("unavailable_times", 13).unwrap();
    account.vendor.seed_count("working_hours_exceptions", 4).unwrap();
    let records = account.imported().await;
    let expected: Vec<(String, String)> = account.truth().into_iter().filter(|(stream, _)| stream != "users").collect();
    assert_eq!(records, expected);
}

#[tokio::test]
async fn a_user_that_vanished_meanwhile_is_passed_over() {
    let account = account(r#"{"list_page_size":2,"record_streams":["unavailable_times"]}"#).await;
    let users = account.vendor.seed_count("users", 3).unwrap();
    account.vendor.seed_count("unavailable_times", 6).unwrap();
    let delete = Action::Delete(Change::of("users", &users[0]));
    account.vendor.hook(Hook::after_list("users", delete)).unwrap();
    assert_eq!(account.imported().await.len(), 4);
}

#[tokio::test]
async fn windows_are_sent_where_lists_take_them() {
    let quirks = |settings: &mut tidemark_fakes::fieldaware::Settings| settings.windows_required = true;
    let account = account_at(quirks, "{}").await;
    seed_all(&account, 3);
    assert_eq!(account.imported().await, account.truth());
    for request in account.vendor.requests() {
        let is_windowed = ["/job/", "/webquote/", "/user/{uuid}/exception"].contains(&request.function.as_str());
        assert_eq!(request.parameters.contains(&"start".to_owned()), is_windowed, "{}", request.function);
        assert_eq!(request.parameters.contains(&"end".to_owned()), is_windowed, "{}", request.function);
    }
    // The zone's plus sign arrives as one: otherwise the vendor would have refused the times.
    assert_eq!(account.vendor.request_counts().refused, 0);
}

#[tokio::test]
async fn windows_are_a_setting() {
    let settings = r#"{"record_streams":["jobs","web_quotes"],"list_windows":{"jobs":null,"web_quotes":["2000-01-01T00:00:00Z","2000-01-02T00:00:00Z"]}}"#;
    let account = account(settings).await;
    let jobs = account.vendor.seed_count("jobs", 2).unwrap();
    account.vendor.seed_count("web_quotes", 2).unwrap();
    assert_eq!(account.imported().await.len(), jobs.len(), "no web quote is within that day");
}

#[tokio::test]
async fn only_kept_streams_are_listed() {
    let account = account(r#"{"record_streams":["tasks"]}"#).await;
    seed_all(&account, 2);
    account.vendor.reset_requests();
    assert_eq!(account.imported().await.len(), 2);
    assert_eq!(account.asked(), ["/task/"]);
}

#[tokio::test]
async fn a_list_can_be_left_out_or_be_elsewhere() {
    let settings = r#"{"record_streams":["jobs","tasks"],"list_paths":{"jobs":null,"tasks":"/item/"}}"#;
    let account = account(settings).await;
    seed_all(&account, 1);
    account.vendor.reset_requests();
    account.snapshot().await;
    assert_eq!(account.asked(), ["/item/"]);
}

#[tokio::test]
async fn quotes_among_jobs_keep_their_class() {
    let account = account_at(|settings| settings.quotes_among_jobs = true, r#"{"list_page_size":2}"#).await;
    for stream in ["jobs", "web_quotes", "field_quotes"] {
        account.vendor.seed_count(stream, 3).unwrap();
    }
    assert_eq!(account.imported().await, account.truth());
}

#[tokio::test]
async fn a_class_whose_list_is_refused_is_left_out_with_a_warning() {
    let account = account("{}").await;
    seed_all(&account, 3);
    account.vendor.configure(|settings| {
        settings.features_off = vec!["unavailable_time_types".to_owned(), "unavailable_times".to_owned()];
    });
    account.vendor.fault(Fault::new(answer(404, OWN_ERROR)).on_function("/fieldquote/")).unwrap();
    let left_out = ["unavailable_time_types", "unavailable_times", "field_quotes"];
    let expected: Vec<(String, String)> =
        account.truth().into_iter().filter(|(stream, _)| !left_out.contains(&stream.as_str())).collect();
    assert_eq!(account.imported().await, expected);
    for class in ["UnavailableTimeType", "UnavailableTime", "FieldQuote"] {
        let warned = logged().lines().any(|line| {
            line.contains("WARN") && line.contains(&format!("class=\"{class}\"")) && line.contains("next_step=")
        });
        assert!(warned, "{class}: {}", logged());
    }
}

/// It asks for attention, and is tried again until it is allowed.
#[tokio::test]
async fn a_class_that_is_refused_asks_for_attention_and_is_imported_once_it_is_allowed() {
    let stage = Stage::at(|settings| settings.forbidden = vec!["customers".to_owned()], "{}").await;
    let vendor = &stage.account.vendor;
    for stream in ["customers", "items", "users"] {
        vendor.seed_count(stream, 30).unwrap();
    }
    let notices = stage.settle().await;
    let left_out = Notice::LeftOut(StreamName::known("customers"));
    assert!(notices.contains(&left_out) && left_out.needs_attention(), "{notices:?}");
    let customers = || stage.stored_count("customers");
    assert_eq!((customers(), stage.stored_count("items"), stage.stored_count("users")), (0, 30, 30));
    vendor.advance(Duration::from_mins(50));
    assert!(!stage.settle().await.contains(&left_out), "it is asked for once an hour");
    vendor.advance(Duration::from_mins(20));
    assert!(stage.settle().await.contains(&left_out), "it is refused again");
    vendor.configure(|settings| settings.forbidden.clear());
    vendor.reset_requests();
    vendor.advance(Duration::from_mins(70));
    assert_eq!(stage.settle().await, []);
    assert_eq!(customers(), 30);
    let asked = stage.account.asked();
    assert!(asked.iter().all(|function| !function.starts_with("/item/")), "the others are not listed again: {asked:?}");
    stage.compare();
}

/// A refusal of parameters, for good, in the vendor's own words.
#[tokio::test]
async fn a_class_whose_list_fails_for_good_stops_no_other() {
    for status in [400, 403, 409, 410, 422] {
        let stage = Stage::at(|_| {}, r#"{"record_streams":["customers","items"]}"#).await;
        let vendor = &stage.account.vendor;
        vendor.seed_count("customers", 3).unwrap();
        vendor.seed_count("items", 3).unwrap();
        vendor.fault(Fault::new(answer(status, OWN_ERROR)).on_function("/customer/")).unwrap();
        let notices = stage.settle().await;
        assert!(notices.contains(&Notice::LeftOut(StreamName::known("customers"))), "{status}: {notices:?}");
        assert_eq!((stage.stored_count("customers"), stage.stored_count("items")), (0, 3), "{status}");
    }
}

/// Kind: one odd thing. A class whose list fails for good waits and is tried again, and the rest is imported meanwhile.
#[tokio::test]
async fn a_class_whose_list_cannot_be_read_waits_and_the_others_are_imported() {
    let unknown = r#"{"count":1,"items":[{"uuid":"07af35","entityClass":"Ship"}]}"#;
    for effect in [
        answer(500, "{}"),
        answer(403, "<html>Forbidden</html>"),
        answer(200, "{}"),
        answer(200, unknown),
        answer(200, r#"{"count":3,"items":null}"#),
        Effect::EmptyBody,
        Effect::Truncate { bytes: 30 },
    ] {
        let settings = r#"{"list_page_size":2,"record_streams":["items","tasks","customers","assets"]}"#;
        let stage = Stage::at(|_| {}, settings).await;
        let vendor = &stage.account.vendor;
        for stream in ["items", "tasks", "customers", "assets"] {
            vendor.seed_count(stream, 5).unwrap();
        }
        for function in ["/task/", "/customer/"] {
            vendor.fault(Fault::new(effect.clone()).on_function(function)).unwrap();
        }
        for _ in 0..8 {
            let report = stage.tick().await;
            assert!(!matches!(report.outcome, PollOutcome::Quiet | PollOutcome::Owing), "{effect:?}: {report:?}");
            stage.drain().await;
            vendor.advance(POLL_INTERVAL);
        }
        let counts = || ["items", "tasks", "customers", "assets"].map(|stream| stage.stored_count(stream));
        assert_eq!(counts(), [5, 0, 0, 5], "{effect:?}");
        vendor.edit(Change::of_first("assets", 1)).unwrap();
        vendor.clear_faults();
        stage.settle().await;
        stage.compare();
    }
}

/// A sweep goes on without them, and says so. What passes is waited for.
#[tokio::test]
async fn a_sweep_compares_all_classes_but_those_whose_lists_keep_failing() {
    let failing = |function: &str| Fault::new(answer(500, "{}")).on_function(function);
    let for_good = vec![failing("/task/"), failing("/customer/")];
    let for_a_while = vec![failing("/task/").times(9)];
    let everywhere = vec![Fault::new(answer(500, "{}")).times(60)];
    for (faults, unproved) in [(for_good, vec!["customers", "tasks"]), (for_a_while, vec![]), (everywhere, vec![])] {
        // GIVEN a copy, of each class of which the vendor has lost a record silently
        let settings = r#"{"record_streams":["items","tasks","customers","assets"],
            "complete_lists":["items","tasks","customers","assets"]}"#;
        let stage = Stage::at(|settings| settings.silent_deletes = true, settings).await;
        let (vendor, streams) = (&stage.account.vendor, ["items", "tasks", "customers", "assets"]);
        for stream in streams {
            vendor.seed_count(stream, 5).unwrap();
        }
        stage.settle().await;
        for stream in streams {
            vendor.delete(Change::of_first(stream, 1)).unwrap();
        }
        // WHEN lists fail while it is swept
        for fault in &faults {
            vendor.fault(fault.clone()).unwrap();
        }
        let key = StreamKey { source: SourceKind::FieldAware, name: CHANGES.clone() };
        tidemark_sweep::ask(&stage.world, &key, None).await.unwrap();
        let mut report = SweepReport::default();
        for _ in 0..25 {
            stage.tick().await;
            let until = stage.world.clock.now().plus(POLL_INTERVAL);
            report = tidemark_sweep::go_on(&stage.world.poller(&CHANGES), &CHANGES, until).await.unwrap();
            if report.proof.is_some() {
                break;
            }
            vendor.advance(POLL_INTERVAL);
        }
        // THEN what could be read is compared, and nothing else
        let proof = report.proof.expect("the sweep ends");
        assert_eq!(proof.unproved.iter().map(StreamName::as_str).collect::<Vec<_>>(), unproved);
        assert_eq!(proof.extra, 4 - u64::try_from(unproved.len()).unwrap());
        assert_eq!(report.problem.is_some(), !unproved.is_empty());
        stage.settle().await;
        let lost = streams.map(|stream| 5 - stage.stored_count(stream));
        assert_eq!(lost, streams.map(|stream| usize::from(!unproved.contains(&stream))));
    }
}

/// The same for what stands below one user.
#[tokio::test]
async fn a_user_whose_list_cannot_be_read_waits_and_the_others_are_imported() {
    let settings = r#"{"list_page_size":2,"record_streams":["unavailable_times","users"]}"#;
    let stage = Stage::at(|_| {}, settings).await;
    let vendor = &stage.account.vendor;
    let users = vendor.seed_count("users", 5).unwrap();
    vendor.seed_count("unavailable_times", 10).unwrap();
    for user in [&users[0], &users[3]] {
        vendor.fault(Fault::new(answer(500, "{}")).on_function("/user/{uuid}/unavailability").on_id(user)).unwrap();
    }
    for _ in 0..8 {
        let report = stage.tick().await;
        assert_ne!(report.outcome, PollOutcome::Quiet);
        stage.drain().await;
        vendor.advance(POLL_INTERVAL);
    }
    assert_eq!((stage.stored_count("users"), stage.stored_count("unavailable_times")), (5, 6));
    vendor.clear_faults();
    stage.settle().await;
    stage.compare();
}

/// Kind: one odd thing. What the key may not read of one user hides nothing of another's.
#[tokio::test]
async fn a_user_whose_list_is_refused_hides_no_other() {
    let of_address = r#"{"error":{"name":"NotFoundError","message":"Endpoint not found"}}"#;
    for (status, error, is_left_out) in [
        (403, OWN_ERROR, true),
        (422, OWN_ERROR, true),
        (402, OWN_ERROR, true),
        (404, OWN_ERROR, false),
        (410, OWN_ERROR, false),
        // An address that leads nowhere is no user without such a list.
        (404, of_address, true),
    ] {
        let stage = Stage::at(|_| {}, r#"{"record_streams":["unavailable_times","users"]}"#).await;
        let vendor = &stage.account.vendor;
        let users = vendor.seed_count("users", 5).unwrap();
        vendor.seed_count("unavailable_times", 10).unwrap();
        for user in [&users[0], &users[3]] {
            let refused = Fault::new(answer(status, error)).on_function("/user/{uuid}/unavailability");
            vendor.fault(refused.on_id(user)).unwrap();
        }
        let left_out = Notice::LeftOut(StreamName::known("unavailable_times"));
        assert_eq!(stage.settle().await.contains(&left_out), is_left_out, "{status} {error}");
        assert_eq!((stage.stored_count("users"), stage.stored_count("unavailable_times")), (5, 6), "{status}");
        assert_eq!(logged().contains("the vendor asks to be paid"), status == 402, "{status}");
    }
}

/// A list below a user that knows no pages hides nothing of what is below the others.
#[tokio::test]
async fn a_user_whose_pages_are_not_turned_hides_no_other() {
    let quirks = |settings: &mut tidemark_fakes::fieldaware::Settings| settings.list_envelope = ListEnvelope::Bare;
    let settings = r#"{"list_page_size":10,"record_streams":["unavailable_times"]}"#;
    let stage = Stage::at(quirks, settings).await;
    let vendor = &stage.account.vendor;
    let users = vendor.seed_count("users", 4).unwrap();
    vendor.seed_count("unavailable_times", 8).unwrap();
    vendor.configure(|settings| settings.list_links = false);
    let page = |id: u32| answer(200, &format!(r#"[{{"uuid":"{id:032x}"}}]"#));
    vendor.fault(Fault::new(page(7)).on_function("/user/{uuid}/unavailability").on_id(&users[0])).unwrap();
    let notices = stage.settle().await;
    assert!(notices.contains(&Notice::ListMoving), "{notices:?}");
    assert!(notices.contains(&Notice::LeftOut(StreamName::known("unavailable_times"))), "{notices:?}");
    assert!((1..8).contains(&stage.stored_count("unavailable_times")), "of all users but one");
    vendor.clear_faults();
    vendor.advance(Duration::from_mins(70));
    stage.settle().await;
    assert_eq!(stage.stored_count("unavailable_times"), 8);
}

/// P3 for lists of a first import.
#[tokio::test]
async fn a_list_whose_pages_are_not_turned_is_told_of_and_left_out() {
    for list_count in [true, false] {
        let quirks = |settings: &mut tidemark_fakes::fieldaware::Settings| {
            settings.ignores_page = true;
            settings.list_count = list_count;
            settings.list_links = false;
        };
        let stage = Stage::at(quirks, r#"{"list_page_size":10,"record_streams":["customers","items"]}"#).await;
        let vendor = &stage.account.vendor;
        vendor.seed_count("customers", 25).unwrap();
        vendor.seed_count("items", 10).unwrap();
        let notices = stage.settle().await;
        let left_out = Notice::LeftOut(StreamName::known("customers"));
        assert!(notices.contains(&Notice::ListMoving) && notices.contains(&left_out), "{notices:?}");
        assert_eq!(stage.stored_count("items"), 10);
        vendor.configure(|settings| settings.ignores_page = false);
        vendor.advance(Duration::from_mins(70));
        stage.settle().await;
        stage.compare();
    }
}

#[tokio::test]
async fn pages_that_are_refused_though_they_hold_rows_are_told_of() {
    let quirks = |settings: &mut tidemark_fakes::fieldaware::Settings| settings.list_pages_max = Some(2);
    let stage = Stage::at(quirks, r#"{"list_page_size":10,"record_streams":["customers","items"]}"#).await;
    let vendor = &stage.account.vendor;
    vendor.seed_count("customers", 25).unwrap();
    vendor.seed_count("items", 20).unwrap();
    let notices = stage.settle().await;
    assert!(notices.contains(&Notice::LeftOut(StreamName::known("customers"))), "{notices:?}");
    assert!(!notices.contains(&Notice::LeftOut(StreamName::known("items"))), "{notices:?}");
    assert_eq!((stage.stored_count("customers"), stage.stored_count("items")), (20, 20));
}

#[tokio::test]
async fn archived_records_are_imported_where_a_setting_asks_for_it() {
    for (settings, stored) in [("{}", 2), (r#"{"archived":["users"]}"#, 3)] {
        let stage = Stage::at(|_| {}, settings).await;
        let vendor = &stage.account.vendor;
        let users = vendor.seed_count("users", 3).unwrap();
        vendor.deactivate(Change::of("users", &users[1])).unwrap();
        stage.settle().await;
        assert_eq!(stage.stored_count("users"), stored, "{settings}");
    }
}

#[tokio::test]
async fn declarations_of_custom_fields_are_copied_where_a_setting_asks_for_it_and_read_again_every_day() {
    for (settings, stored) in [("{}", 0), (r#"{"custom_fields":true}"#, 5)] {
        let stage = Stage::at(|_| {}, settings).await;
        let vendor = &stage.account.vendor;
        let fields = vendor.seed_count("custom_fields", 5).unwrap();
        stage.settle().await;
        assert_eq!(stage.stored_count("custom_fields"), stored, "{settings}");
        vendor.edit(Change::of("custom_fields", &fields[0])).unwrap();
        assert_eq!(stage.settle().await, [], "no event tells of it");
        vendor.advance(Duration::from_hours(25));
        assert_eq!(stage.settle().await, []);
        if stored > 0 {
            stage.compare_with(&["custom_fields"]);
        }
    }
}

#[tokio::test]
async fn users_that_may_not_be_listed_leave_out_what_stands_below_them() {
    let account = account_at(|settings| settings.forbidden = vec!["users".to_owned()], "{}").await;
    seed_all(&account, 2);
    let imported = account.imported().await;
    assert_eq!(imported.len(), 22);
    for left_out in ["users", "unavailable_times", "working_hours_exceptions"] {
        assert!(imported.iter().all(|(stream, _)| stream != left_out), "{left_out}");
    }
}

#[tokio::test]
async fn any_other_failure_of_a_list_fails_the_call_and_it_goes_on_there() {
    use FailureClass::{Throttled, Transient, Unauthorized};
    let account = account(r#"{"list_page_size":2}"#).await;
    seed_all(&account, 3);
    for (effect, class) in [
        (answer(401, OWN_ERROR), Unauthorized),
        (answer(401, ""), Transient),
        (answer(400, "{}"), Transient),
        (answer(403, "<html>Forbidden</html>"), Transient),
        (answer(404, ""), Transient),
        (answer(422, "{}"), Transient),
        (answer(500, "{}"), Transient),
        (answer(200, r#"{"error":{"name":"InternalError","message":"x"}}"#), Transient),
        (answer(200, "{}"), Transient),
        (Effect::WrongShape, Transient),
        (Effect::EmptyBody, Transient),
        (Effect::MaintenancePage, Transient),
        (Effect::CutBody { after_bytes: 9, reset: true }, Transient),
        (Effect::Throttled { status: 429, retry_after: RetryAfter::Text("x".into()) }, Throttled { retry_after: None }),
    ] {
        let cursor = Some("customers/1/forward/2/-/-");
        account.vendor.fault(Fault::new(effect.clone())).unwrap();
        let failure = account.list(ListRequest::Snapshot(cursor)).await.unwrap_err();
        assert_eq!(failure.class, class, "{effect:?}");
        super::account::assert_harmless(&failure);
        account.vendor.clear_faults();
        let page = account.list(ListRequest::Snapshot(cursor)).await.unwrap();
        assert_eq!((page.changes.len(), page.next.as_deref()), (1, Some("customers/1/backward/3/-/-")));
    }
}

#[tokio::test]
async fn a_class_whose_list_a_firewall_refuses_once_is_imported_later() {
    let account = account(r#"{"record_streams":["customers","items"]}"#).await;
    seed_all(&account, 3);
    for (status, words) in
        [(403, "<html><h1>403 Forbidden</h1></html>"), (403, ""), (404, "404 page not found"), (404, "{}")]
    {
        account.vendor.fault(Fault::new(answer(status, words)).times(1)).unwrap();
        let failure = account.list(ListRequest::Snapshot(None)).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Transient, "{status} {words}");
    }
    assert_eq!(account.imported().await.iter().filter(|(stream, _)| stream == "customers").count(), 3);
}

#[tokio::test]
async fn a_later_page_that_the_vendor_refuses_is_behind_the_end() {
    let account = account(r#"{"list_page_size":2,"record_streams":["customers"]}"#).await;
    account.vendor.seed_count("customers", 5).unwrap();
    for status in [400, 404, 410, 416, 422] {
        account.vendor.fault(Fault::new(answer(status, OWN_ERROR)).times(2)).unwrap();
        let cursor = Some("customers/3/forward/6/-/-");
        let page = account.list(ListRequest::Snapshot(cursor)).await.unwrap();
        assert_eq!((page.changes.len(), page.next.as_deref()), (0, Some("customers/2/backward/6/-/-")), "{status}");
        account.vendor.fault(Fault::new(answer(status, OWN_ERROR)).times(2)).unwrap();
        let cursor = Some("customers/2/backward/6/-/-");
        let page = account.list(ListRequest::Snapshot(cursor)).await.unwrap();
        assert_eq!((page.changes.len(), page.next.as_deref()), (0, Some("customers/1/backward/6/-/-")), "{status}");
    }
}

#[tokio::test]
async fn rows_that_are_none_are_counted_and_the_others_kept() {
    let account = account(r#"{"record_streams":["customers"]}"#).await;
    let page = r#"{"count":3,"items":[null,[1],{"uuid":"07af35","vat":NaN}]}"#;
    account.vendor.fault(Fault::new(answer(200, page))).unwrap();
    let page = account.list(ListRequest::Snapshot(None)).await.unwrap();
    assert_eq!((ids(&page), page.unusable_count), (vec!["customers/customer/07af35"], 2));
}

/// Kind: one odd thing. A record of a class that nobody knows here is not copied, which must not pass in silence.
#[tokio::test]
async fn rows_of_classes_that_are_not_known_are_counted_and_alone_a_failure() {
    let account = account(r#"{"record_streams":["jobs","items"]}"#).await;
    let row = |class: &str| format!(r#"{{"uuid":"07af35","entityClass":"{class}"}}"#);
    for (rows, expected) in [
        (vec![row("Job"), row("JobTask")], Ok((vec!["jobs/job/07af35".to_owned()], 1))),
        (vec![row("job"), row("Ship"), row("")], Ok((vec!["jobs/job/07af35".to_owned()], 2))),
        // Of classes that are known and not kept there is nothing to say.
        (vec![row("Task"), row("Customer")], Ok((Vec::new(), 0))),
        (vec![row("JobTask")], Err(FailureClass::Transient)),
        (vec![row("Ship"), "{}".to_owned(), "null".to_owned()], Err(FailureClass::Transient)),
    ] {
        let body = format!(r#"{{"count":{},"items":[{}]}}"#, rows.len(), rows.join(","));
        account.vendor.fault(Fault::new(answer(200, &body))).unwrap();
        let page = account.list(ListRequest::Snapshot(None)).await;
        account.vendor.clear_faults();
        let page = page.map(|page| (ids(&page).into_iter().map(str::to_owned).collect(), page.unusable_count));
        assert_eq!(page.map_err(|failure| failure.class), expected, "{body}");
    }
    for named in ["classes=JobTask", "classes=(not shown), Ship", "classes=Ship"] {
        let warned = logged().lines().any(|line| line.contains("WARN") && line.contains(named));
        assert!(warned, "{named}: {}", logged());
    }
}

#[tokio::test]
async fn a_cursor_of_another_version_starts_from_the_beginning() {
    let account = account("{}").await;
    seed_all(&account, 1);
    for cursor in ["", "nonsense", "ships/0/forward/0/-/-", "jobs/0", "jobs/0/forward/0"] {
        account.vendor.reset_requests();
        account.list(ListRequest::Snapshot(Some(cursor))).await.unwrap();
        assert_eq!(account.asked(), ["/job/"], "{cursor}");
    }
}

/// The cursor holds the users of a page, and the checkpoint holds the cursor.
#[tokio::test]
async fn a_page_of_users_that_no_checkpoint_can_hold_leaves_its_class_out() {
    let account = account(r#"{"record_streams":["unavailable_times"]}"#).await;
    let users: Vec<String> = (0..2_000).map(|n| format!(r#"{{"uuid":"{n:032}"}}"#)).collect();
    let page = format!(r#"{{"count":2000,"items":[{}]}}"#, users.join(","));
    account.vendor.fault(Fault::new(answer(200, &page))).unwrap();
    let page = account.list(ListRequest::Snapshot(None)).await.unwrap();
    assert_eq!(page.later.map(|later| later.stream), Some(StreamName::known("unavailable_times")));
}

/// The lists show what the key's user may see.
#[tokio::test]
async fn what_a_list_leaves_out_is_fetched_only_where_the_list_is_known_to_be_complete() {
    let account = account(r#"{"record_streams":["jobs","items"],"complete_lists":["items"]}"#).await;
    let expected = [("items", Absence::Fetched), ("jobs", Absence::Unproved)];
    let swept: BTreeMap<StreamName, Absence> =
        account.source.swept(&StreamName::known("changes")).into_iter().collect();
    assert_eq!(swept, expected.map(|(name, absence)| (StreamName::known(name), absence)).into());
}
