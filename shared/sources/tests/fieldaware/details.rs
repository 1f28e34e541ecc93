//! Fetching single records.

use tidemark_engine::change::Found;
use tidemark_engine::clock::VendorMillis;
use tidemark_engine::failure::FailureClass;
use tidemark_engine::ports::Source;
use tidemark_fakes::{Add, CallKind, Change, ClockChange, DateHeader, Effect, Fault, Heal, Poison};

use crate::account::{CHANGES, account, account_at, id};
use crate::support::answer;

const JOB: &str = "7cc5e2d8879a43829dcc07655f5ca606";

#[tokio::test]
async fn a_record_is_kept_byte_for_byte_as_the_vendor_sent_it() {
    let account = account("{}").await;
    for (uuid, truth) in {
        account.vendor.seed_count("tasks", 20).unwrap();
        account.vendor.truth("tasks").unwrap()
    } {
        assert_eq!(account.fetched(&format!("tasks/task/{uuid}")).await, (uuid, truth.body));
    }
    let odd = format!(r#" {{ "uuid":"{JOB}", "n":1.500e3,"big":90071992547409931, "x":"a\/b\u00e9","x":2 }} "#);
    account.vendor.fault(Fault::new(answer(200, &odd))).unwrap();
    assert_eq!(account.fetched(&format!("jobs/job/{JOB}")).await.1, odd.trim());
}

#[tokio::test]
async fn a_detail_is_one_plain_get_below_the_base_address() {
    let account = account("{}").await;
    let user = account.vendor.seed_count("users", 1).unwrap().remove(0);
    account.vendor.reset_requests();
    account.fetched(&format!("users/user/{user}")).await;
    let requests = account.vendor.requests();
    let [request] = &requests[..] else { panic!("one request") };
    assert_eq!((request.function.as_str(), request.kind), ("/user/{uuid}", CallKind::Detail));
    assert_eq!((request.id.as_deref(), request.parameters.len()), (Some(user.as_str()), 0));
}

#[tokio::test]
async fn a_record_that_is_gone_is_told_from_failures() {
    let account = account("{}").await;
    let added = account.vendor.add(Add::one("customers")).unwrap().ids.remove(0);
    let locator = format!("customers/customer/{added}");
    account.vendor.delete(Change::of("customers", &added)).unwrap();
    assert_eq!(account.try_fetch(&locator).await.unwrap().found, Found::Gone);
    account.vendor.undelete(Change::of("customers", &added)).unwrap();
    let named = r#"{"error":{"name":"NotFoundError","message":"no such customer"}}"#;
    for status in [404, 410] {
        account.vendor.fault(Fault::new(answer(status, named)).times(1)).unwrap();
        assert_eq!(account.try_fetch(&locator).await.unwrap().found, Found::Gone, "{status}");
        for others in [
            "",
            " ",
            "404 page not found",
            "{}",
            r#"{"error":"Not Found","status":404}"#,
            r#"{"error":{"name":"InvalidProtocolError","message":"Invalid protocol, please use HTTPS"}}"#,
        ] {
            account.vendor.fault(Fault::new(answer(status, others)).times(1)).unwrap();
            let found = account.try_fetch(&locator).await.unwrap().found;
            assert_eq!(found, Found::Missing, "{status} {others}: believed only once it has lasted");
        }
        account.vendor.fault(Fault::new(answer(status, "<html>Not Found</html>")).times(1)).unwrap();
        assert_eq!(account.try_fetch(&locator).await.unwrap_err().class, FailureClass::Transient, "{status}");
    }
    account.fetched(&locator).await;
    // Words are not a status: an error that comes with success is a failure.
    account.vendor.fault(Fault::new(answer(200, r#"{"error":{"name":"NotFoundError"}}"#))).unwrap();
    assert_eq!(account.try_fetch(&locator).await.unwrap_err().class, FailureClass::Record);
}

#[tokio::test]
async fn a_record_that_may_not_be_read_is_its_own_failure_and_not_the_feeds() {
    let account = account_at(|settings| settings.forbidden = vec!["jobs".to_owned()], "{}").await;
    let token = account.newest_token().await;
    account.vendor.add(Add::one("jobs")).unwrap();
    account.vendor.add(Add::one("items")).unwrap();
    let told = account.followed(&token).await.0;
    assert_eq!(account.try_fetch(&told[0]).await.unwrap_err().class, FailureClass::Record);
    account.fetched(&told[1]).await;
}

#[tokio::test]
async fn an_answer_about_another_record_says_so() {
    let account = account("{}").await;
    let seeded = account.vendor.seed_count("customers", 2).unwrap();
    account.vendor.fault(Fault::new(Effect::OtherId { id: seeded[1].clone() })).unwrap();
    assert_eq!(account.fetched(&format!("customers/customer/{}", seeded[0])).await.0, seeded[1]);
}

#[tokio::test]
async fn a_uuid_is_the_same_with_dashes_and_in_capitals() {
    let account = account("{}").await;
    let body = r#"{"uuid":"7CC5E2D8-879A-4382-9DCC-07655F5CA606"}"#;
    account.vendor.fault(Fault::new(answer(200, body))).unwrap();
    for asked in [JOB, "7cc5e2d8-879a-4382-9dcc-07655f5ca606", "7CC5E2D8879A43829DCC07655F5CA606"] {
        let locator = format!("jobs/job/{asked}");
        assert_eq!(account.fetched(&locator).await, (JOB.to_owned(), body.to_owned()));
        assert_eq!(account.record_of(&locator), ("jobs".to_owned(), JOB.to_owned()));
    }
}

#[tokio::test]
async fn a_poisoned_record_is_its_own_failure_until_it_is_healed() {
    let account = account("{}").await;
    let seeded = account.vendor.seed_count("assets", 2).unwrap();
    account.vendor.poison(&Poison::of("assets", &seeded[0])).unwrap();
    let (bad, good) = (format!("assets/asset/{}", seeded[0]), format!("assets/asset/{}", seeded[1]));
    assert_eq!(account.try_fetch(&bad).await.unwrap_err().class, FailureClass::Record);
    account.fetched(&good).await;
    account.vendor.heal(&Heal::default());
    account.fetched(&bad).await;
}

#[tokio::test]
async fn ids_that_are_no_locators_are_refused_without_a_call() {
    let account = account("{}").await;
    for text in [
        JOB,
        "jobs",
        "ships/ship/1",
        "jobs/job/../user",
        "jobs/job/%2e%2e",
        "jobs//job/1",
        "jobs/https://evil.example/job/1",
        "-jobs/job/1",
        "jobs/1/2/3/4/5/6/7/8/9",
    ] {
        assert_eq!(account.try_fetch(text).await.unwrap_err().class, FailureClass::Record, "{text}");
        assert_eq!(account.source.record_of(&CHANGES, &id(text)).unwrap_err().class, FailureClass::Record, "{text}");
    }
    assert_eq!(account.vendor.request_counts().total, 0);
}

#[tokio::test]
async fn the_vendors_clock_comes_with_every_answer_that_has_one() {
    let account = account("{}").await;
    let seeded = account.vendor.seed_count("items", 1).unwrap().remove(0);
    let now = account.vendor.now_ms().div_euclid(1000) * 1000;
    let token = account.newest_token().await;
    for (date, expected) in [
        (DateHeader::Present, Some(VendorMillis::new(now))),
        (DateHeader::SkewedSeconds(-60), Some(VendorMillis::new(now - 60_000))),
        (DateHeader::Absent, None),
    ] {
        account.vendor.change_clock(ClockChange { date: Some(date), ..ClockChange::default() });
        assert_eq!(account.events(&token).await.date, expected);
        assert_eq!(account.try_fetch(&format!("items/item/{seeded}")).await.unwrap().date, expected);
        assert_eq!(account.try_fetch("items/item/none").await.unwrap().date, expected);
    }
}
