//! The rate limit: what the vendor says of it slows the calls down, by the vendor's clock.

use std::time::Duration;

use tidemark_engine::change::ListRequest;
use tidemark_engine::failure::FailureClass::Throttled;
use tidemark_engine::ports::Source;
use tidemark_fakes::{ClockChange, DateHeader};

use crate::account::{Account, BEGINNING, account, source_with_rate, stream};

/// An account whose vendor answers so many calls within a minute, and which is asked for as fast as can be.
async fn limited(settings: &str, calls: u64) -> Account {
    let account = account(settings).await;
    account.vendor.configure(|vendor| (vendor.limit_calls, vendor.limit_seconds) = (calls, 60));
    account
}

/// Milliseconds from one request to the next, as the vendor saw them.
fn apart(account: &Account) -> Vec<i64> {
    let at: Vec<i64> = account.vendor.requests().iter().map(|request| request.at_ms).collect();
    at.iter().zip(at.iter().skip(1)).map(|(one, next)| next - one).collect()
}

fn wait_of(failure: &tidemark_engine::failure::SourceFailure) -> Duration {
    match failure.class {
        Throttled { retry_after: Some(wait) } => wait,
        other => panic!("{other:?} instead of a wait"),
    }
}

#[tokio::test]
async fn requests_keep_their_distance() {
    let account = account("{}").await;
    let (url, keys) = (account.vendor.url(), &account.keys);
    let source = source_with_rate(url, &account.vendor, "{}", keys, "2");
    for _ in 0..4 {
        source.list(&stream("jobs"), ListRequest::Page(BEGINNING, 1)).await.unwrap();
    }
    assert_eq!(apart(&account), [500, 500, 500]);
}

#[tokio::test]
async fn the_calls_left_are_spread_until_the_reset_and_the_limit_is_never_hit() {
    let account = limited("{}", 6).await;
    for _ in 0..20 {
        account.list("jobs").await.unwrap();
    }
    let requests = account.vendor.requests();
    assert!(requests.iter().all(|request| request.status == Some(200)), "{requests:#?}");
    let apart = apart(&account);
    // Five calls left of the minute that the first one began.
    assert!((11_000..=12_200).contains(&apart[0]), "{apart:?}");
    assert!(apart.iter().all(|millis| *millis <= 30_000), "{apart:?}");
}

#[tokio::test]
async fn a_wide_limit_slows_nothing_down() {
    let account = limited("{}", 10_000).await;
    let before = account.vendor.now_ms();
    for _ in 0..5 {
        account.list("jobs").await.unwrap();
    }
    assert!(account.vendor.now_ms() - before < 100);
}

#[tokio::test]
async fn without_calls_left_nobody_calls_until_the_reset() {
    let account = limited("{}", 1).await;
    account.list("jobs").await.unwrap();
    let refused = account.list("jobs").await.unwrap_err();
    assert!((59..=61).contains(&wait_of(&refused).as_secs()), "{refused:?}");
    assert_eq!(refused.cause, "GET /jobs?page=1: the vendor allows no more calls for now, so it was not called");
    assert!(account.fetch("jobs", "1").await.is_err());
    assert_eq!(account.vendor.request_counts().total, 1, "the refusals were made here");
    // A few seconds before the reset it is worth waiting.
    account.vendor.advance(Duration::from_secs(57));
    account.list("jobs").await.unwrap();
    assert_eq!(account.vendor.request_counts().total, 2);
    assert_eq!(account.vendor.requests()[1].status, Some(200));
}

#[tokio::test]
async fn the_reset_is_read_by_the_vendors_own_clock() {
    // The header's clock an hour ahead of the one that counts: the reset seems to be past, and slows nothing down.
    let account = limited("{}", 1).await;
    let date = Some(DateHeader::SkewedSeconds(3_600));
    account.vendor.change_clock(ClockChange { date, ..ClockChange::default() });
    account.list("jobs").await.unwrap();
    let answered = account.list("jobs").await.unwrap_err();
    assert!((59..=60).contains(&wait_of(&answered).as_secs()), "{answered:?}");
    assert_eq!(account.vendor.request_counts().total, 2, "the vendor itself said no");
}

#[tokio::test]
async fn a_refused_call_is_not_followed_by_another_one() {
    let account = limited("{}", 0).await;
    let answered = account.list("jobs").await.unwrap_err();
    assert_eq!(wait_of(&answered).as_secs(), 60);
    let refused = account.list("jobs").await.unwrap_err();
    assert!(refused.cause.contains("not called"), "{refused}");
    assert_eq!(account.vendor.request_counts().total, 1);
}

#[tokio::test]
async fn a_daily_quota_is_a_long_wait_cut_to_a_quarter_of_an_hour() {
    let account = limited("{}", 0).await;
    account.vendor.configure(|vendor| vendor.limit_seconds = 86_400);
    for _ in 0..2 {
        assert_eq!(wait_of(&account.list("jobs").await.unwrap_err()), Duration::from_mins(15));
    }
    assert_eq!(account.vendor.request_counts().total, 1);
}

#[tokio::test]
async fn the_longest_wait_is_that_of_the_settings_here_too() {
    let account = limited(r#"{"retry_after_max_seconds":20}"#, 1).await;
    account.list("jobs").await.unwrap();
    assert_eq!(wait_of(&account.list("jobs").await.unwrap_err()), Duration::from_secs(20));
}

#[tokio::test]
async fn the_headers_can_be_ignored() {
    let account = limited(r#"{"rate_headers":"ignore"}"#, 3).await;
    let before = account.vendor.now_ms();
    for _ in 0..3 {
        account.list("jobs").await.unwrap();
    }
    assert_eq!(account.vendor.now_ms(), before, "nobody waited");
    let answered = account.list("jobs").await.unwrap_err();
    assert!((59..=60).contains(&wait_of(&answered).as_secs()));
    assert_eq!(account.vendor.request_counts().total, 4);
}
